#!/bin/sh
# holdfast redact: a payload goes, the message stays in its place
. "${top_srcdir:?}/tests/lib.sh"

holdfast init box >/dev/null || exit 99
export HOLDFAST_DIR=box

says()
{
    words=$1
    shift
    "$@" >said 2>&1
    grep -qF -e "$words" said || { cat said; false; }
}

payloads()
{
    holdfast tail --once room | sed 's/.*"payload":\(.*\)}$/\1/' >payloads.out
    printf '%s\n' "$1" | diff - payloads.out
}

holdfast publish room say '"one"' >/dev/null
secret=$(holdfast publish --publisher p --key k room say \
    '{"name":"Margarethe Unverkennbar"}')
holdfast publish room say '"three"' >/dev/null
holdfast tail --once room | sed 's/"payload":.*//' >before

t "redact takes the payload away" says "taken away: $secret" \
    holdfast redact "$secret"
t "the others stay" payloads '"one"
{}
"three"'
holdfast tail --once room | sed 's/"payload":.*//' >after
t "cursors, events and times stay" cmp before after
t "the bytes are in no file any more" sh -c '! grep -r Unverkennbar box'
t "it says who keeps it" says "backups" holdfast redact "$secret"
t "a second time it says so" says "taken away before" holdfast redact "$secret"
t "the key is still known" test "$secret" = \
    "$(holdfast publish --publisher p --key k room say \
        '{"name":"Margarethe Unverkennbar"}')"
t "an id that is no message's is refused" exits 1 holdfast redact "${secret%.*}.99"
t "with a reason" says "no message" holdfast redact "${secret%.*}.99"
t "another epoch is refused" exits 1 holdfast redact "j:AAAAAAAAAAE.2"
t "with a reason, too" says "not from the journal" \
    holdfast redact "j:AAAAAAAAAAE.2"
t "what is no cursor is a usage error" exits 2 holdfast redact 2
t "so is none" exits 2 holdfast redact
t "all of that changed nothing" payloads '"one"
{}
"three"'

if command -v sqlite3 >/dev/null; then
    late=$(holdfast publish room say '"Nochmals Unverkennbar"')
    (echo 'BEGIN; SELECT count(*) FROM messages;'; sleep 20) |
        sqlite3 box/journal.db >reader.out &
    pids="$pids $!"
    within 5 test -s reader.out
    t "while a program reads the old state it cannot be erased" \
        exits 1 timeout 15 holdfast redact "$late"
    t "but nobody is given it" sh -c \
        '! holdfast tail -n room | grep Unverkennbar'
else
    skip "while a program reads the old state it cannot be erased" "no sqlite3"
fi

finish

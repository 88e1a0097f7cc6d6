#!/bin/sh
# holdfast publish with operands
. "${top_srcdir:?}/tests/lib.sh"

holdfast init box >/dev/null || exit 99
export HOLDFAST_DIR=box

# kept TOPIC TEXT: the payloads of a topic, as they stand in the journal
kept()
{
    holdfast tail --once "$1" | sed 's/.*"payload":\(.*\)}$/\1/' >kept.out
    printf '%s\n' "$2" | diff - kept.out
}

is_cursor()
{
    printf '%s\n' "$1" | grep -qE '^j:[A-Za-z0-9_-]{11}\.[0-9]+$'
}

id()
{
    printf '%s\n' "${1##*.}"
}

says()
{
    words=$1
    shift
    "$@" >said 2>&1
    grep -qF -e "$words" said || { cat said; false; }
}

first=$(holdfast publish room say '{"text":"hi"}')
t "publish prints a cursor" is_cursor "$first"
second=$(holdfast publish room say '{"text":"ho"}')
t "cursors rise" test "$(id "$second")" -gt "$(id "$first")"
t "both are kept" kept room '{"text":"hi"}
{"text":"ho"}'

holdfast publish odd say ' {"a":1.0e2, "b":12345678901234567890,"a":"\u00e9"} '
t "a payload is kept as it was written" kept odd \
    '{"a":1.0e2, "b":12345678901234567890,"a":"\u00e9"}'
holdfast publish text say '"quoted"' >/dev/null
t "it may be any JSON value" kept text '"quoted"'
t "a topic may be in any language" holdfast publish 'café:ß' say 1

once=$(holdfast publish --publisher me --key k1 keyed say 1)
again=$(holdfast publish --publisher me --key k1 keyed say 1)
t "the same key gives the first cursor" test "$once" = "$again"
t "and adds nothing" kept keyed 1
t "the same key with another payload is an error" \
    exits 1 holdfast publish --publisher me --key k1 keyed say 2
t "that says so" says "key" \
    holdfast publish --publisher me --key k1 keyed say 2
t "the same key of another publisher is another key" \
    holdfast publish --publisher you --key k1 keyed say 1
t "now there are two" kept keyed '1
1'

t "an event of the protocol is refused" \
    exits 1 holdfast publish room phx_join '{}'
t "with a reason" says "phx_" holdfast publish room phx_join '{}'
t "so is a topic that is too long" \
    exits 2 holdfast publish "$(printf '%0201d' 0)" say 1
t "and an empty one" exits 2 holdfast publish "" say 1
t "a topic that is not UTF-8 is refused: no reader would be given it" \
    exits 2 holdfast publish "$(printf 'room:\377')" say 1
t "with a reason" says "is no topic" \
    holdfast publish "$(printf 'room:\377')" say 1
t "an event that is not UTF-8, too" \
    exits 2 holdfast publish room "$(printf 's\377')" 1
t "with its reason" says "is no event" \
    holdfast publish room "$(printf 's\377')" 1
t "nothing is in the journal that readers pass over" \
    refuses says "passed over" holdfast check
big=$(head -c 70000 /dev/zero | tr '\0' x)
t "and a payload beyond the limit" exits 1 holdfast publish room say "\"$big\""
t "that names the limit" says "max_payload" \
    holdfast publish room say "\"$big\""
t "nothing of that was kept" kept room '{"text":"hi"}
{"text":"ho"}'
t "the server's own disconnect is allowed" \
    holdfast publish user_socket:7 disconnect '{}'

# Another program holds the write lock, and keeps it longer than we wait.
if command -v sqlite3 >/dev/null; then
    sed 's/^;*busy *=.*/busy = 300ms/' box/holdfast.conf >conf
    grep -q '^busy = 300ms' conf && cat conf >box/holdfast.conf
    (echo 'BEGIN IMMEDIATE;'; sleep 10) | sqlite3 box/journal.db &
    pids="$pids $!"
    sleep 1
    t "a held write lock is an error after a while" \
        exits 1 timeout 8 holdfast publish room say 3
    t "that says it may be tried again" says "try again" \
        timeout 8 holdfast publish room say 3
else
    skip "a held write lock is an error after a while" "no sqlite3"
fi

# A limit of file size stands for a full disk, and is a signal by default.
limited()
(
    ulimit -f 160
    large=$(head -c 60000 /dev/zero | tr '\0' x)
    code=0
    for n in 1 2 3 4 5 6; do
        holdfast publish room say "\"$large\"" 2>err || code=$?
    done
    grep -q 'no room is left' err && test "$code" = 1
)
holdfast init small >/dev/null
export HOLDFAST_DIR=small
t "what finds no room says so" limited
t "and it is published again when there is" holdfast publish room say 1

finish

#!/bin/sh
# holdfast history: for people, and as JSON
. "${top_srcdir:?}/tests/lib.sh"

holdfast init box >/dev/null || exit 99
export HOLDFAST_DIR=box
TZ=UTC
export TZ

says()
{
    words=$1
    shift
    "$@" >said 2>&1
    grep -qF -e "$words" said || { cat said; false; }
}

# counts N COMMAND...: it prints so many lines
counts()
{
    want=$1
    shift
    "$@" >counted || return 1
    test "$(wc -l <counted)" -eq "$want" || { cat counted; false; }
}

shows()
{
    want=$1
    shift
    "$@" | sed 's/^[^ ]* [^ ]*  \([^ ]*  .*\)  j:[^ ]*$/\1/' >shown
    printf '%s\n' "$want" | diff - shown
}

t "in an empty journal, too, a cursor of another one is an error" \
    exits 1 holdfast history --since "j:AAAAAAAAAAE.1" room
t "as is one beyond its end" sh -c \
    '! holdfast history --since "$(holdfast status |
        sed -n "s/^head  *\(.*\)0\$/\1/p")7" room 2>beyond &&
        grep -q "not from the journal" beyond'
t "an empty topic has no history" counts 0 holdfast history room
one=$(holdfast publish room say '{"n": 1}')
two=$(holdfast publish room shout '"two"')
holdfast publish other say 3 >/dev/null
three=$(holdfast publish room say '[3]')

t "history prints one line each, oldest first" shows 'say  {"n": 1}
shout  "two"
say  [3]' holdfast history room
t "each with its time" sh -c \
    'holdfast history room | grep -qE "^20[0-9-]{8} [0-9:]{8}  say"'
t "and its cursor at the end" sh -c "holdfast history room | grep -qF '$two'"
t "--last prints the newest" shows 'shout  "two"
say  [3]' holdfast history --last 2 room
t "-n is --last" counts 1 holdfast history -n 1 room
t "--last beyond what there is prints all" counts 3 \
    holdfast history --last 100 room
t "--since prints what came after" counts 2 holdfast history --since "$one" room
t "--since the newest prints nothing" counts 0 \
    holdfast history --since "$three" room
t "--since and --last together" shows 'say  [3]' \
    holdfast history --since "$one" --last 1 room
t "--last does not reach behind --since" counts 1 \
    holdfast history --since "$two" --last 3 room
t "--json prints what tail prints" sh -c \
    'holdfast history --json room >a; holdfast tail --once room | cmp - a'
t "in several pages" sh -c 'i=0; while test $i -lt 300; do
        echo "{\"topic\":\"many\",\"event\":\"e\",\"payload\":$i}"
        i=$((i + 1))
    done | holdfast publish >/dev/null'
t "all are printed" counts 300 holdfast history many
t "or the last ones" counts 200 holdfast history --last 200 many

t "--last 0 is a usage error" exits 2 holdfast history --last 0 room
t "so is --last x" exits 2 holdfast history --last x room
t "so is what is no cursor" exits 2 holdfast history --since 12 room
t "so is now: nothing is older than that and newer" \
    exits 2 holdfast history --since now room
t "and no topic" exits 2 holdfast history
t "a cursor of another journal is an error" \
    exits 1 holdfast history --since "j:AAAAAAAAAAE.1" room
t "that says so" says "--since start" \
    holdfast history --since "j:AAAAAAAAAAE.1" room
if command -v sqlite3 >/dev/null; then
    sqlite3 box/journal.db "DELETE FROM messages WHERE topic = 'room' AND id = 2"
    t "a gap is an error" exits 1 holdfast history --since "$one" room
    t "that says so, too" says "no longer kept" \
        holdfast history --since "$one" room
    t "with --last as well" exits 1 holdfast history --since "$one" --last 1 room
    t "from the start there is none" holdfast history room
else
    skip "a gap is an error" "no sqlite3"
fi

# Whoever reads it takes no more, and then it is interrupted.
awk 'BEGIN { for (i = 1; i <= 3000; i++)
    printf "{\"topic\":\"long\",\"event\":\"e\",\"payload\":%d}\n", i }' |
    holdfast publish >/dev/null
mkfifo pipe
exec 3<>pipe
holdfast history long >pipe 2>long.err &
history=$!
pids="$pids $history"
read -r line <&3 # the pipe has no room for the rest
sleep 0.3
kill -TERM "$history"
code=0
wait "$history" || code=$?
t "interrupted before the end it fails" test "$code" -eq 1
t "and says so" grep -q "stopped before the end" long.err
exec 3>&-

# U+009B begins an escape sequence on some terminals, U+202E turns text around.
holdfast publish trick say "\"a$(printf '\302\233')31mb$(printf '\342\200\256')c\"" \
    >/dev/null
t "what could play tricks on a terminal is shown as a question mark" \
    says '"a?31mb?c"' holdfast history trick
if command -v script >/dev/null; then
    holdfast publish wide say "\"$(printf '%0300d' 0)\"" >/dev/null
    cut_to()
    {
        script -qc "stty cols 70 && holdfast history wide" /dev/null </dev/null |
            tr -d '\r' >typed
        test "$(wc -l <typed)" -eq 2 && grep -q '…  j:' typed &&
            test "$(sed 's/…/x/' typed | awk 'length > 70' | wc -l)" -eq 0
    }
    t "on a terminal a line is cut to its width" cut_to
else
    skip "on a terminal a line is cut to its width" "no script"
fi

finish

#!/bin/sh
# holdfast tail: from a cursor on, once or for ever
. "${top_srcdir:?}/tests/lib.sh"

holdfast init box >/dev/null || exit 99
export HOLDFAST_DIR=box

# shows TEXT COMMAND...: the payloads that the command prints
shows()
{
    want=$1
    shift
    "$@" | sed 's/.*"payload":\(.*\)}$/\1/' >shows.out
    printf '%s' "$want" | diff - shows.out
}

says()
{
    words=$1
    shift
    "$@" >said 2>&1
    grep -qF -e "$words" said || { cat said; false; }
}

holds()
{
    grep -qF -e "$1" "$2"
}

# ends PID CODE: within five seconds, with this exit code
ends()
{
    t_left=100
    while kill -0 "$1" 2>/dev/null && test "$t_left" -gt 0; do
        sleep 0.05
        t_left=$((t_left - 1))
    done
    kill -0 "$1" 2>/dev/null && return 1
    wait "$1"
    exits "$2" sh -c "exit $?"
}

t "an empty topic prints nothing" shows "" holdfast tail --once room
one=$(holdfast publish room say 1)
two=$(holdfast publish room say '"a\"b"')
holdfast publish other say 3 >/dev/null
t "--once prints what is there" shows '1
"a\"b"
' holdfast tail --once room
t "-n is --once" shows '3
' holdfast tail -n other
t "--since goes on after a cursor" shows '"a\"b"
' holdfast tail --once --since "$one" room
t "and prints nothing at the end" shows '' \
    holdfast tail --once --since "$two" room
t "--since start is everything" shows '1
"a\"b"
' holdfast tail --once --since start room
t "--since now is nothing yet" shows '' holdfast tail --once --since now room

line=$(holdfast tail --once other)
t "a line is one JSON object with all of it" sh -c "printf '%s\n' '$line' |
    grep -qE '^\{\"cursor\":\"j:[^\"]+\",\"at\":[0-9]+,\"topic\":\"other\",\"event\":\"say\",\"payload\":3\}$'"
holdfast publish wide say '{
  "a": 1
}' >/dev/null
t "a payload of several lines stays one line" shows '{   "a": 1 }
' holdfast tail --once wide

# Following.
holdfast tail room >follow.out 2>follow.err &
tail=$!
pids="$pids $tail"
within 5 sh -c 'holdfast status | grep -q "^waiting  *1 "'
holdfast publish room say '"new"' >/dev/null
t "tail prints what is published" within 5 holds '"new"' follow.out
t "and nothing older" test "$(wc -l <follow.out)" -eq 1
holdfast publish other say '"elsewhere"' >/dev/null
if command -v sqlite3 >/dev/null; then
    sqlite3 box/journal.db \
        "INSERT INTO messages(topic,event,payload) VALUES('room','sql','4')"
    t "also what another program inserts" within 5 holds '"sql"' follow.out
else
    skip "also what another program inserts" "no sqlite3"
fi
t "and not what goes elsewhere" refuses holds elsewhere follow.out
kill -INT "$tail"
t "an interrupt ends it with exit code 0" ends "$tail" 0
t "without a word" test ! -s follow.err

holdfast tail --since "$one" room >resume.out &
tail=$!
pids="$pids $tail"
t "following begins after a cursor" within 5 holds '"new"' resume.out
holdfast publish room say '"later"' >/dev/null
t "and goes on" within 5 holds '"later"' resume.out
kill -TERM "$tail"
t "a request to end is followed" ends "$tail" 0
t "nothing came twice" sh -c 'test -z "$(sort resume.out | uniq -d)"'

# On a quiet topic our place moves with the journal, so that what is trimmed of
# other topics is no gap in ours.
if command -v sqlite3 >/dev/null; then
    holdfast tail quiet >quiet.out 2>quiet.err &
    tail=$!
    pids="$pids $tail"
    within 5 sh -c 'holdfast status | grep -q "^waiting  *1 "'
    holdfast publish other say 5 >/dev/null
    sleep 1.5 # the look that needs no bell comes every half second
    sqlite3 box/journal.db "INSERT INTO trimmed(topic, through)
        SELECT '', seq FROM sqlite_sequence WHERE name = 'messages'"
    holdfast publish quiet say '"still here"' >/dev/null
    t "trimming of other topics is no gap" within 5 holds 'still here' quiet.out
    kill "$tail"
    t "nor an error" ends "$tail" 0
    sqlite3 box/journal.db "DELETE FROM trimmed WHERE topic = ''"
else
    skip "trimming of other topics is no gap" "no sqlite3"
fi

# Whoever reads us is slow, and then gone.
awk 'BEGIN { for (i = 1; i <= 3000; i++)
    printf "{\"topic\":\"many\",\"event\":\"e\",\"payload\":%d}\n", i }' |
    holdfast publish >/dev/null
t "a reader that stops early ends it" sh -c \
    'timeout 10 holdfast tail --since start many | head -n 1 >/dev/null'
t "a full disk is not success" \
    exits 1 sh -c 'holdfast tail --once many >/dev/full'

# Asked for all there is, and stopped before.
mkfifo pipe
exec 3<>pipe
holdfast tail --once many >pipe 2>once.err &
tail=$!
pids="$pids $tail"
read -r line <&3 # the pipe has no room for the rest
sleep 0.3
kill -TERM "$tail"
t "--once that is interrupted is no success" ends "$tail" 1
t "and says so" holds "stopped before the end" once.err
exec 3>&-

# Cursors that lead nowhere.
t "a cursor beyond the end is refused" \
    exits 1 holdfast tail --once --since "${one%.*}.999999999999" room
t "so is one of another journal" \
    exits 1 holdfast tail --once --since "j:AAAAAAAAAAA.1" room
t "and says how to go on" says "--since start" \
    holdfast tail --once --since "j:AAAAAAAAAAA.1" room
if command -v sqlite3 >/dev/null; then
    sqlite3 box/journal.db "DELETE FROM messages WHERE topic = 'room'
        AND id <= (SELECT min(id) + 1 FROM messages WHERE topic = 'room')"
    t "messages no longer kept are an error" \
        exits 1 holdfast tail --once --since "$one" room
    t "that says so" says "no longer kept" \
        holdfast tail --once --since "$one" room
    t "a cursor behind them is good" \
        holdfast tail --once --since "$two" room
    t "start begins with what is left" sh -c \
        'holdfast tail --once room | head -n 1 | grep -q "\"new\""'
else
    skip "messages no longer kept are an error" "no sqlite3"
fi

finish

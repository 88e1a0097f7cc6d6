#!/bin/sh
# holdfast status: one fact a line
. "${top_srcdir:?}/tests/lib.sh"

holdfast init box >/dev/null || exit 99
export HOLDFAST_DIR=box

# fact NAME PATTERN: what status says under that name
fact()
{
    holdfast status >status.out
    sed -n "s/^$1  *//p" status.out | grep -qE "$2" && return
    cat status.out
    false
}

t "the journal is named" fact journal "$scratch/box/journal.db$"
t "the head is a cursor" fact head '^j:[A-Za-z0-9_-]{11}\.[0-9]+$'
t "durability is full" fact durability '^full$'
t "nobody writes" fact writing '^no$'
t "nobody waits" fact waiting '^0$'
t "there is no long-poll session" fact sessions '^0$'

cursor=$(holdfast publish room say 1)
t "the head moves with what is published" fact head "^$cursor\$"

holdfast tail room >/dev/null &
tail=$!
pids="$pids $tail"
t "who waits is shown by process id" within 5 fact waiting "^1 process: $tail\$"
kill -9 "$tail"
t "a killed one waits no longer" within 5 fact waiting '^0$'

if command -v python3 >/dev/null; then
    python3 -c 'import fcntl, os, time
lock = open("box/writers", "r+")
fcntl.lockf(lock, fcntl.LOCK_EX)
lock.write("%-10d\n" % os.getpid())
lock.flush()
time.sleep(30)' &
    pids="$pids $!"
    t "who writes is named" within 5 fact writing "^process $!\$"
else
    skip "who writes is named" "no python3"
fi

t "looking changes nothing" fact head "^$cursor\$"

finish

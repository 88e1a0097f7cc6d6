#!/bin/sh
# holdfast backup, beside a publisher
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

mode()
{
    stat -c %a "$1"
}

same()
{
    printf '%s\n' "$1" "$2" | uniq | wc -l | grep -qx 1
}

cursor=$(holdfast publish room say 1)
t "backup copies the journal" holdfast backup copy.db
t "and prints where" same "$(holdfast backup copy2.db)" copy2.db
t "the copy is private" same "$(mode copy.db)" 600
t "it is one file" test ! -e copy.db-wal
t "nothing else stays behind" same "$(ls copy.db*)" copy.db
t "an older copy is kept" exits 1 holdfast backup copy.db
t "with the way to replace it" says "--replace" holdfast backup copy.db
t "--replace replaces it" holdfast backup --replace copy.db
t "--replace replaces nothing else" exits 1 holdfast backup --replace box/secret
t "a journal in use is never written over" \
    exits 1 holdfast backup --replace box/journal.db
t "a directory that is not there" exits 1 holdfast backup missing/copy.db
t "is named" says missing holdfast backup missing/copy.db
t "no file is a usage error" exits 2 holdfast backup
t "two files are, too" exits 2 holdfast backup a b

# Beside a publisher that never pauses it ends, and holds one state.
while :; do
    printf '%s\n' '{"topic":"busy","event":"say","payload":"0123456789"}'
done | holdfast publish >published 2>&1 &
pids="$pids $!"
within 10 test -s published
t "it ends though somebody publishes without a pause" \
    timeout 60 holdfast backup busy.db
kill "$!"
if command -v sqlite3 >/dev/null; then
    t "what it wrote is whole" same ok \
        "$(sqlite3 busy.db 'PRAGMA integrity_check')"
    t "without an epoch" same "" \
        "$(sqlite3 busy.db "SELECT value FROM meta WHERE name = 'epoch'")"
    t "and has a row published before" same 1 \
        "$(sqlite3 busy.db "SELECT count(*) FROM messages WHERE topic = 'room'")"
else
    skip "what it wrote is whole" "no sqlite3"
fi
t "the journal goes on with its own history" \
    same "$(holdfast tail --once room | cut -d'"' -f4)" "$cursor"

finish

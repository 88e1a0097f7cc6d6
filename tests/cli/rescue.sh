#!/bin/sh
# holdfast check --rescue and restore: really damaged journals, made good
. "${top_srcdir:?}/tests/lib.sh"

holdfast init box >/dev/null || exit 99
export HOLDFAST_DIR=box
holdfast allow 'room:*' join,publish || exit 99

filler=$(printf '%0500d' 0)
i=0
while test $i -lt 3000; do
    echo "{\"topic\":\"room:$((i % 7))\",\"event\":\"e\",\"payload\":[$i,\"$filler\"]}"
    i=$((i + 1))
done | holdfast publish --batch >last 2>/dev/null
last=$(cat last)
holdfast publish --publisher p --key k keyed e 1 >keyed
cp -r box good

says()
{
    words=$1
    shift
    "$@" >said 2>&1
    grep -qF -e "$words" said || { cat said; false; }
}

# everything TOPIC: all that is kept of it, without cursors
everything()
{
    holdfast tail --once "$1" | sed 's/^{"cursor":"[^"]*",//'
}

ids()
{
    holdfast tail --once "$1" | sed 's/^{"cursor":"j:[^.]*\.\([0-9]*\)".*/\1/'
}

again()
{
    rm -rf box && cp -r good box
}

# Pages lie in the main file only once they are out of the log.
fold()
{
    sqlite3 box/journal.db 'PRAGMA wal_checkpoint(TRUNCATE)' >/dev/null
}

t "a whole journal is left alone" says "nothing to rescue" \
    holdfast check --rescue
t "its cursors go on" holdfast tail --once --since "$last" room:1

holdfast tail room:1 >/dev/null &
tail=$!
pids="$pids $tail"
# before that it would be rescued below the one that is about to open it
t "somebody has it open" within 5 says ": $tail" holdfast status
t "then it is refused" exits 1 holdfast check --rescue --force
t "that process is named" says "$tail holdfast" holdfast check --rescue --force
t "restore is refused as well" says "$tail holdfast" \
    holdfast restore good/journal.db
kill "$tail"
wait "$tail" 2>/dev/null

# Also one of ours that has nobody to serve just now.
holdfast-gateway --socket "$scratch/gw.sock" >gw.log 2>&1 &
gateway=$!
pids="$pids $gateway"
within 10 test -S gw.sock
t "an idle gateway counts" exits 1 holdfast check --rescue --force
t "and is named" says "$gateway holdfast" holdfast check --rescue --force
kill "$gateway"
wait "$gateway" 2>/dev/null
holdfast-sidecar >sc.log 2>&1 &
sidecar=$!
pids="$pids $sidecar"
within 10 grep -q event=serving sc.log
t "so does an idle side-car" exits 1 holdfast check --rescue --force
kill "$sidecar"
wait "$sidecar" 2>/dev/null

everything room:1 >before
ids room:1 >before.ids
t "--force copies a whole one" holdfast check --rescue --force
everything room:1 >after
t "with every message" cmp before after
ids room:1 >after.ids
t "and their ids" cmp before.ids after.ids
t "the policies are there" sh -c 'holdfast status | grep -q "room:\*  join,publish"'
t "a key is still known" sh -c '
    holdfast publish --publisher p --key k keyed e 1 >again
    test "$(cut -d. -f2 keyed)" = "$(cut -d. -f2 again)"'
t "cursors of before are answered with a reset" \
    says "not from the journal" holdfast tail --once --since "$last" room:1
next=$(holdfast publish room:1 e 1)
t "ids go on far above" test "${next##*.}" -gt $((${last##*.} + 1000000))
t "the old file is kept with its log" sh -c 'ls box/journal.db.damaged-*Z-wal'
t "check finds nothing wrong" holdfast check --full

again
echo "2026-05-01T10:00:00Z process 1: a test" >box/failed
chmod 600 box/failed
t "after a lost sync nothing is published" exits 1 holdfast publish room:1 e 1
t "a rescue makes a new file" holdfast check --rescue
t "and then it is" holdfast publish room:1 e 1
t "the flag is gone" test ! -e box/failed

if command -v sqlite3 >/dev/null; then
    # damaged SENTENCE: all of this for the damage that was done to box
    damaged()
    {
        t "$1: check finds it" exits 1 holdfast check
        t "$1: backup refuses it" exits 1 holdfast backup copy.db
        t "$1: rescue saves what can be read" holdfast check --rescue
        t "$1: then all is well" holdfast check --full
        everything room:1 | cut -c 1-600 >after
        t "$1: nothing is there that was not" sh -c \
            'test "$(grep -cvxFf before after)" -eq 0'
        t "$1: it can be published to" holdfast publish room:1 e 1
    }

    again
    fold
    for page in 100 230 231 300; do
        head -c 4096 /dev/urandom |
            dd of=box/journal.db bs=4096 seek=$page conv=notrunc 2>/dev/null
    done
    damaged "four pages in the middle"
    t "most of it is there" test "$(wc -l <after)" -gt 400

    again
    fold
    size=$(stat -c %s box/journal.db)
    truncate -s $((size / 2)) box/journal.db
    damaged "half of the file"
    t "some of it is there" test "$(wc -l <after)" -gt 100

    again
    fold
    # the root of the table of messages' index: all rows can be read
    page=$(sqlite3 box/journal.db \
        "SELECT rootpage FROM sqlite_schema WHERE name = 'messages_topic'")
    head -c 4096 /dev/urandom | dd of=box/journal.db bs=4096 \
        seek=$((page - 1)) conv=notrunc 2>/dev/null
    damaged "an index"
    t "nothing is lost then" cmp before after

    again
    fold
    head -c 4096 /dev/urandom | dd of=box/journal.db bs=4096 conv=notrunc \
        2>/dev/null
    t "without its first page it is refused" exits 1 holdfast check --rescue
    t "with what to do" says "holdfast restore" holdfast check --rescue
    t "nothing was changed" sh -c '! ls box/journal.db.*'
    cp good/journal.db copy.db
    sqlite3 copy.db 'PRAGMA integrity_check' >/dev/null
else
    skip "damage" "no sqlite3"
fi

# --- restore ---------------------------------------------------------------

again
t "a backup is made" holdfast backup back.db
holdfast publish room:1 e '"later"' >later
t "and put back" holdfast restore back.db
everything room:1 >after
t "with every message of then" cmp before after
t "what came later is gone" sh -c '! holdfast tail -n room:1 | grep later'
t "but kept" sh -c 'ls box/journal.db.before-*Z'
t "its cursor is answered with a reset" \
    says "not from the journal" holdfast tail --once --since "$(cat later)" room:1
t "a new message does not pass for it" sh -c '
    holdfast publish room:1 e 2 >new; test "$(cat new)" != "$(cat later)"'
t "check finds nothing wrong then" holdfast check --full
t "the copy is as it was" holdfast restore back.db
rm -rf other && holdfast init other >/dev/null
t "it can be put into another directory" holdfast --dir other restore back.db
t "with every message there, too" sh -c \
    'holdfast --dir other tail -n room:1 | wc -l | grep -qx "$(wc -l <before)"'
head -c 50000 /dev/urandom >rubbish
t "rubbish is refused" exits 1 holdfast restore rubbish
t "a missing file, too" exits 1 holdfast restore missing.db
t "and the journal itself" exits 1 holdfast restore box/journal.db
t "and a copy that is damaged" sh -c '
    cp back.db torn.db; truncate -s 400000 torn.db
    ! holdfast restore torn.db'
t "nothing half-made is left" sh -c '! ls box | grep part'
t "no file is a usage error" exits 2 holdfast restore

finish

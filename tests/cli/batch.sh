#!/bin/sh
# holdfast publish --batch: many messages from a file
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

count()
{
    test "$(holdfast tail --once "$1" | wc -l)" -eq "$2"
}

i=0
while test $i -lt 1200; do
    echo "{\"topic\":\"a\",\"event\":\"e\",\"payload\":$i,\"key\":\"k$i\"}"
    i=$((i + 1))
done >lines
t "--batch publishes a file" says "1200 published" \
    holdfast publish --publisher me --batch lines
t "every line of it" count a 1200
t "its last line is the cursor of the last" \
    test "$(tail -n 1 said)" = \
    "$(holdfast tail --once a | tail -n 1 | cut -d'"' -f4)"
t "no other cursor is printed" test "$(wc -l <said)" -eq 2
t "again with the same keys adds nothing" says "1200 were there already" \
    holdfast publish --publisher me --batch lines
t "nothing was added" count a 1200
t "without a file it reads standard input" sh -c \
    'sed s/:.a.,/:\"b\",/ lines | head -n 700 | holdfast publish --publisher x --batch'
t "all of it" count b 700
t "a dash means standard input, too" sh -c \
    'head -n 1 lines | holdfast publish --publisher y --batch -'
t "no progress is written to a file" sh -c \
    'holdfast publish --publisher me --batch lines 2>err; test "$(wc -l <err)" -eq 1'

sed 's/"a"/"c"/; 900s/.*/{"topic":"c"}/' lines >bad
t "a bad line is an error" exits 1 \
    holdfast publish --publisher z --batch bad
t "those before it stand" count c 899
t "it is named, with what stands" says "line 900 is not published" \
    holdfast publish --publisher z --batch bad
t "and how many" says "0 published" holdfast publish --publisher z --batch bad
t "a file that is not there is an error" exits 1 \
    holdfast publish --batch missing
t "that is named" says "missing" holdfast publish --batch missing
t "a directory is an error" exits 1 holdfast publish --batch box
t "two files are a usage error" exits 2 holdfast publish --batch lines bad
t "so is a key for all of them" exits 2 \
    holdfast publish --key k --publisher p --batch lines

# Interrupted it ends in order, and says what stands.
mkfifo pipe
holdfast publish --publisher w --batch pipe >out 2>err &
pids="$pids $!"
exec 3>pipe
sed 's/"a"/"d"/' lines | head -n 100 >&3
t "what has arrived is published at once" within 10 count d 100
kill -TERM $!
wait $!
t "a signal ends it with exit code 1" test $? -eq 1
exec 3>&-
t "it says up to where" grep -q "lines up to 100 are published" err

if command -v script >/dev/null; then
    shown()
    {
        script -qc "holdfast publish --publisher q --batch lines" /dev/null \
            </dev/null >typed
        grep -q 'published, [0-9]* a second' typed
    }
    t "on a terminal it shows how far it is" shown
else
    skip "on a terminal it shows how far it is" "no script"
fi

finish

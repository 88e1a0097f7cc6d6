#!/bin/sh
# holdfast move: the history goes on in another directory, and only there
. "${top_srcdir:?}/tests/lib.sh"

holdfast init box >/dev/null || exit 99

says()
{
    words=$1
    shift
    "$@" >said 2>&1
    grep -qF -e "$words" said || { cat said; false; }
}
refuses_saying()
{
    words=$1
    shift
    exits 1 "$@" >said 2>&1 || { cat said; return 1; }
    grep -qF -e "$words" said || { cat said; false; }
}
same()
{
    test "$1" = "$2" || { printf '%s\n' "$1" "$2"; false; }
}
epoch()
{
    printf '%s' "${1%.*}"
}

holdfast --dir box allow 'room:*' join,publish
first=$(holdfast --dir box publish --publisher me --key a room say 1)
echo 'level = debug' >>box/holdfast.conf
sed -i 's/^level = debug$/[log]\nlevel = debug/' box/holdfast.conf

t "an operand is needed" exits 2 holdfast --dir box move
t "what is there is not moved onto" \
    refuses_saying "File exists" holdfast --dir box move home
holdfast --dir box tail room >/dev/null &
tail=$!
pids="$pids $tail"
t "a reader is there" within 10 says "process: $tail" holdfast --dir box status
t "nothing is moved while somebody has it open" \
    refuses_saying "$tail holdfast" holdfast --dir box move there
t "and nothing was made" test ! -e there
kill "$tail"
wait "$tail" 2>/dev/null

if test "$(id -u)" -eq 0; then
    holdfast init theirs >/dev/null
    chown 65534 theirs
    t "root does not move what is another account's" \
        refuses_saying "sudo -u '#65534'" holdfast --dir theirs move there
else
    skip "root does not move what is another account's" "not root"
fi

echo 1 >box/failed
t "what the disk has lost is for a rescue, and not taken along as whole" \
    refuses_saying "check --rescue" holdfast --dir box move there
t "and nothing was made of it" test ! -e there
rm box/failed

t "a journal is moved" holdfast --dir box move there
after=$(holdfast --dir there publish room say 2)
t "its history goes on" same "$(epoch "$after")" "$(epoch "$first")"
t "with its messages" same "$(holdfast --dir there tail --once room | wc -l)" 2
t "with its keys" same \
    "$(holdfast --dir there publish --publisher me --key a room say 1)" "$first"
t "with its policies" says 'room:*' holdfast --dir there status
for name in secret hook_secret keys.json holdfast.conf; do
    t "with its $name" cmp "box/$name" "there/$name"
    t "which is as private" same "$(stat -c %a "there/$name")" \
        "$(stat -c %a "box/$name")"
done
t "as private as before" same "$(stat -c %a there there/journal.db | xargs)" \
    "700 600"
t "the new one is whole" holdfast --dir there check

t "nothing is published in the old place" refuses_saying "was moved to" \
    holdfast --dir box publish room say 3
t "nor read" refuses_saying "$scratch/there" holdfast --dir box status
t "no gateway starts there" refuses_saying "was moved to" \
    timeout 20 holdfast-gateway --dir box --socket "$scratch/g.sock"
t "check says so" says "was moved to" holdfast --dir box check
t "init does not make it anew" refuses_saying "was moved to" holdfast init box
t "it is not moved twice" refuses_saying "was moved to" \
    holdfast --dir box move elsewhere
t "a program's INSERT fails" refuses sqlite3 -cmd '.timeout 100' \
    'file:box/journal.db?mode=rw' \
    "INSERT INTO messages (topic, event, payload) VALUES ('room', 'say', '1')"
kept=$(ls box/journal.db.moved-*Z)
t "the old file is kept" same \
    "$(sqlite3 -readonly "$kept" 'SELECT count(*) FROM messages')" 1
t "and back" holdfast --dir there move back
t "the same history again" same "$(epoch "$(holdfast --dir back publish room say 4)")" \
    "$(epoch "$first")"

# Killed at whatever moment, there are never two.
killed()
{
    for ms in 005 010 015 020 030 040 060 080 120 200; do
        rm -rf from to
        holdfast init from >/dev/null
        holdfast --dir from publish room say 1 >/dev/null
        timeout -s KILL "0.$ms" holdfast --dir from move to >/dev/null 2>&1
        if test -e from/journal.db && test -e to/journal.db; then
            echo "two journals after $ms ms"
            return 1
        fi
        if test -e from/journal.db; then
            holdfast --dir from tail --once room >messages
        elif test -e to/journal.db; then
            holdfast --dir to tail --once room >messages
        else
            mv to/journal.db.part to/journal.db
            holdfast --dir to tail --once room >messages
        fi
        test "$(wc -l <messages)" -eq 1 || { echo "lost after $ms ms"; return 1; }
    done
}
t "killed at any moment there is one journal, whole" killed

finish

#!/bin/sh
# holdfast init: what it makes, with which modes, and when it says no
. "${top_srcdir:?}/tests/lib.sh"

mode_is()
{
    test "$(stat -c %a "$2")" = "$1" || { stat -c '%a %n' "$2" >&2; false; }
}

# Every file below the directory is for its owner alone.
private()
{
    test -z "$(find "$1" -type f -not -perm 600)" || { ls -l "$1"; false; }
}

says()
{
    words=$1
    shift
    "$@" >said 2>&1
    grep -qF -e "$words" said || { cat said; false; }
}

umask 022
t "init makes a journal directory" holdfast init box
t "the directory is for its owner alone" mode_is 700 box
for file in journal.db holdfast.conf secret; do
    t "$file is for its owner alone" mode_is 600 "box/$file"
done
t "so is every other file" private box
holdfast --dir box publish room say 1 >/dev/null
t "also once it is in use" private box

before=$(cksum box/secret box/holdfast.conf)
t "init again succeeds" says "nothing to do" holdfast init box
t "and changes nothing" test "$before" = "$(cksum box/secret box/holdfast.conf)"
rm box/holdfast.conf
t "a lost holdfast.conf is put back" holdfast init box
t "with its mode" mode_is 600 box/holdfast.conf
t "and the messages are still there" says '"event":"say"' \
    holdfast --dir box tail --once room

umask 077
t "a lax or strict umask makes no difference" holdfast init box2
t "as the modes show" mode_is 700 box2

t "a missing parent is an error" exits 1 holdfast init none/box
t "and is named" says "none" holdfast init none/box
echo precious >file
t "a file in its place is an error" exits 1 holdfast init file
t "and stays as it was" grep -q precious file
mkdir other
echo precious >other/journal.db
t "a journal.db that is none is an error" exits 1 holdfast init other
t "and stays as it was, too" grep -q precious other/journal.db

t "an unknown group is an error" exits 1 \
    holdfast init --group no-such-group box3
t "after which nothing is left" test ! -e box3
if test "$(id -u)" -eq 0; then
    t "--group lets a group in" holdfast init --group nogroup box4
    t "the directory passes its group on" mode_is 2770 box4
    t "the journal is for the group" mode_is 660 box4/journal.db
    t "and is the group's" test "$(stat -c %G box4/journal.db)" = nogroup
else
    skip "--group lets a group in" "needs root"
fi

printf '[http]\nmont = /socket\n' >>box/holdfast.conf
t "a wrong holdfast.conf is an error" exits 1 holdfast --dir box status
t "that names the file" says "box/holdfast.conf" holdfast --dir box status
t "and the setting" says "mont" holdfast --dir box status

finish

#!/bin/sh
# The manual pages are well-formed and name every option
. "${top_srcdir:?}/tests/lib.sh"

man=$top_srcdir/docs/man

clean()
{
    mandoc -T lint -W warning "$1" >lint.out
    test ! -s lint.out || { cat lint.out; false; }
}

# The page of a program: the daemons' stand in section 8
page_of()
{
    for section in 1 8; do
        test ! -e "$man/$1.$section" || echo "$man/$1.$section"
    done
}

# options PROGRAM [COMMAND]: those of its --help, each named in its page
options()
{
    "$@" --help | grep -oE -e '--[a-z][a-z-]+' | sort -u >options.out
    test -s options.out || return 1
    # bold is a letter, a backspace and the letter again
    mandoc -T ascii "$(page_of "$1")" | sed "s/.$(printf '\b')//g" >page
    while read -r option; do
        grep -qF -e "$option" page ||
            { echo "$option is missing"; return 1; }
    done <options.out
}

if ! command -v mandoc >/dev/null; then
    echo "1..0 # SKIP no mandoc"
    exit 0
fi
for page in "$man"/*.[1578]; do
    t "${page##*/} is well-formed" clean "$page"
done
for program in holdfast holdfast-gateway holdfast-sidecar; do
    t "the page of $program names every option" options "$program"
done
for command in init allow publish tail history backup move check doctor token; do
    t "holdfast(1) names every option of $command" options holdfast "$command"
done

# every setting of the template stands in holdfast.conf(5)
holdfast init box >/dev/null
settings()
{
    sed -n 's/^;* *\([a-z_]*\) *=.*/\1/p' box/holdfast.conf >settings.out
    test -s settings.out || return 1
    while read -r name; do
        grep -q "^\.It Ic $name\b" "$man/holdfast.conf.5" ||
            { echo "$name is missing"; return 1; }
    done <settings.out
}
t "holdfast.conf(5) names every setting" settings

# every table stands in holdfast-journal(5), and every file of a fresh directory
tables()
{
    sqlite3 box/journal.db "SELECT name FROM sqlite_schema
        WHERE type = 'table' AND name NOT LIKE 'sqlite_%'" >tables.out
    test -s tables.out || return 1
    while read -r name; do
        grep -qE "^\.It Li .*\b$name\b" "$man/holdfast-journal.5" ||
            { echo "$name is missing"; return 1; }
    done <tables.out
}
files()
{
    for name in box/* box/.[a-z]*; do
        name=${name#box/}
        test "$name" != ".[a-z]*" || continue
        grep -qF "$(printf '%s' "$name" | sed 's/^live.*/live.db/')" \
            "$man/holdfast-journal.5" || { echo "$name is missing"; return 1; }
    done
}
t "holdfast-journal(5) names every table" tables
t "and every file of a new directory" files

finish

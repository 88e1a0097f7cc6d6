#!/bin/sh
# refusals.sh - docs/SQL.md lists every refusal, and each comes in those words
#
# refusals.sql has what provokes them. From it one line for each case is made,
# what is run before it and it, with tabs between; a program for each language
# runs them and prints the words it was refused with, one line each.

. "${top_srcdir:?}/tests/lib.sh"
. "$top_srcdir/tests/sql/lib.sh"

here=$top_srcdir/tests/sql
holdfast init journal >/dev/null || exit 99
HOLDFAST_DIR=$scratch/journal
export HOLDFAST_DIR

# So that there is something to repeat, change and delete.
sqlite3 -batch "$journal" "
    INSERT INTO messages (topic, event, payload) VALUES ('a', 'b', '1'), ('a', 'b', '2');
    INSERT INTO policies (pattern, rights) VALUES ('a', 'join')" || exit 99

# --- the three lists are one -------------------------------------------------

# What the triggers of a new journal can say; '' is a quote.
sqlite3 -batch "$journal" "SELECT sql FROM sqlite_schema WHERE type = 'trigger'" |
    sed -n "s/.*RAISE(ABORT, '\(.*\)').*/\1/p" | sed "s/''/'/g" |
    sort -u >said
# The first column of the two tables below "What is refused".
sed -n '/^## What is refused/,/^## Read/s/^| `\([a-z]*: [^`]*\)` |.*/\1/p' "$doc" |
    sort >listed
sed -n 's/^! //p' "$here/refusals.sql" | sort >provoked

t "the page has a list" test -s listed
t "every refusal of the schema is on the page, and no other" diff said listed
t "every refusal on the page is provoked here" diff listed provoked

# --- the cases ---------------------------------------------------------------

# The words wanted of each case to `wanted`, the case itself to `cases`.
awk '
    function try(sql) { print words >"wanted"; print before sql >"cases" }
    /^--/ || $0 == "" { next }
    sub(/^! /, "") { words = $0; before = ""; next }
    sub(/^\+ /, "") { before = before $0 "\t"; next }
    { try($0) }
    /^INSERT INTO/ {
        if (/ SELECT /)
            try($0 " AND 1 ON CONFLICT DO NOTHING")
        else
            try($0 " ON CONFLICT DO NOTHING")
    }
    sub(/^INSERT INTO/, "") {
        try("INSERT OR IGNORE INTO" $0)
        try("INSERT OR REPLACE INTO" $0)
        try("INSERT OR FAIL INTO" $0)
    }
    sub(/^UPDATE/, "") {
        try("UPDATE OR IGNORE" $0)
        try("UPDATE OR REPLACE" $0)
    }' "$here/refusals.sql"

state()
{
    sqlite3 -batch "$journal" 'SELECT * FROM messages; SELECT * FROM policies;
        SELECT * FROM sqlite_sequence; SELECT * FROM trimmed'
}

# refused_by COMMAND...
refused_by()
{
    state >before
    "$@" "$journal" <cases >got || return 1
    if ! diff wanted got >differ; then
        # the case beside what is wrong
        paste wanted got cases | awk -F '\t' '$1 != $2' | head -n 20
        return 1
    fi
    state | diff before -
}

check()
{
    what=$1
    shift
    with "$1" "$2" || return
    shift 2
    t "$what: each of $(wc -l <cases) mistakes is refused in these words, and leaves nothing" \
        refused_by "$@"
}

check "PHP, SQLite3" php refuse-sqlite3 php "$here/refuse.php" sqlite3
check "PHP, PDO" php refuse-pdo php "$here/refuse.php" pdo
check Python python refuse python3 "$here/refuse.py"
check Perl perl refuse perl "$here/refuse.pl"
check Ruby ruby refuse ruby "$here/refuse.rb"
check Node js refuse-builtin node "$here/refuse.cjs"
check "the sqlite3 shell" sh refuse sh "$here/refuse.sh"

finish

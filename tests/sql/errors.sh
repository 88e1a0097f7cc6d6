#!/bin/sh
# errors.sh - what SQLite says when it does not work, as docs/SQL.md has it

. "${top_srcdir:?}/tests/lib.sh"
. "$top_srcdir/tests/sql/lib.sh"

holdfast init journal >/dev/null || exit 99
HOLDFAST_DIR=$scratch/journal
export HOLDFAST_DIR
insert="INSERT INTO messages (topic, event, payload) VALUES ('a', 'b', '{}')"

sed -n '/^## When it does not work/,/^## Once only/s/^| \(`.*\) | .*/\1/p' "$doc" |
    tr '`' '\n' | grep '[a-z] ' >listed

# gives WORDS COMMAND...: it fails with these words, which the page has
gives()
{
    words=$1
    shift
    "$@" >said 2>&1 && return 1
    grep -F "$words" said && grep -qxF "$words" listed
}

published()
{
    sqlite3 -batch "$journal" 'SELECT count(*) FROM messages'
}

elsewhere()
{
    recipe php publish-sqlite3 | sed 's,journal/journal.db,nowhere/journal.db,' >php1
    gives 'unable to open database file' php php1 && test ! -e nowhere
}

made_anew()
{
    recipe php publish-pdo | sed 's,journal/journal.db,empty.db,' >php2
    gives 'no such table: messages' php php2 && test ! -s empty.db
}

# Permissions do not bind root, who runs tests too.
read_only()
{
    gives 'attempt to write a readonly database' \
        sqlite3 -batch -readonly "$journal" "$insert"
}

private()
{
    test "$(stat -c '%a' journal journal/journal.db | tr '\n' ' ')" = '700 600 '
}

without_timeout()
{
    php -r '$db = new SQLite3($argv[1]); $db->exec("BEGIN IMMEDIATE");
        touch("writing"); sleep(30);' "$journal" &
    holder=$!
    pids="$pids $holder"
    within 5 test -e writing || return 1
    gives 'database is locked' sqlite3 -batch "$journal" "$insert"
    locked=$?
    kill "$holder"
    wait "$holder"
    return "$locked"
}

read_before()
{
    cat >first.php <<'EOF'
<?php
$db = new SQLite3($argv[1]); $db->busyTimeout(5000); $db->enableExceptions(true);
$other = new SQLite3($argv[1]); $other->busyTimeout(5000); $other->enableExceptions(true);
$db->exec('BEGIN');
$db->querySingle('SELECT count(*) FROM messages');
$other->exec($argv[2]);
$begun = microtime(true);
try {
    $db->exec($argv[2]);
} catch (Exception $e) {
    echo $e->getMessage(), microtime(true) - $begun < 1 ? ' at once' : ' late';
    exit(1);
}
EOF
    gives 'database is locked' php first.php "$journal" "$insert" &&
        grep -q 'at once' said
}

# The journal can grow by no page, as on a full disk.
full()
{
    before=$(published)
    gives 'database or disk is full' sqlite3 -batch "$journal" "
        PRAGMA max_page_count = 1;
        INSERT INTO messages (topic, event, payload)
        SELECT 'a', 'b', '\"' || printf('%.*c', 60000, 'x') || '\"'" &&
        test "$(published)" = "$before"
}

damaged()
{
    sqlite3 -batch "$journal" "VACUUM INTO 'damaged.db'" || return 1
    head -c 8192 /dev/zero | tr '\0' 'x' |
        dd of=damaged.db bs=1 seek=4096 conv=notrunc 2>/dev/null
    gives 'database disk image is malformed' sqlite3 -batch damaged.db "$insert"
}

# What docs/SQL.md says under "When the journal is in trouble": nobody asks a
# script.
flagged()
{
    touch journal/failed
    refuses holdfast publish trouble e 1 2>said && grep -q journal_failed said &&
        sqlite3 -batch "$journal" "INSERT INTO messages (topic, event, payload)
            VALUES ('trouble', 'e', '\"a script\"')" &&
        holdfast tail --once trouble | grep -q 'a script'
    as_it_says=$?
    rm journal/failed
    return "$as_it_says"
}

blocked()
{
    printf '[journal]\nmax_wal = 1M\n' >>journal/holdfast.conf
    php -r '$db = new SQLite3($argv[1]); $db->exec("BEGIN");
        $db->querySingle("SELECT count(*) FROM messages");
        touch("reading"); sleep(60);' "$journal" &
    holder=$!
    pids="$pids $holder"
    within 5 test -e reading || return 1
    for _ in 1 2 3; do
        sqlite3 -batch -cmd '.timeout 5000' "$journal" "
            INSERT INTO messages (topic, event, payload)
            WITH RECURSIVE c(n) AS
                (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 20)
            SELECT 'big', 'e', '\"' || printf('%.*c', 30000, 'x') || '\"' FROM c"
    done
    refuses holdfast publish trouble e 2 2>said &&
        grep -q journal_blocked said && grep -q "$holder php" said &&
        sqlite3 -batch "$journal" "INSERT INTO messages (topic, event, payload)
            VALUES ('trouble', 'e', '\"another\"')" &&
        holdfast tail --once trouble | grep -q another
    as_it_says=$?
    kill "$holder"
    wait "$holder"
    test "$as_it_says" -eq 0 && within 5 holdfast publish trouble e 3
}

# A mistake of these versions; later ones take the row.
untrusted()
{
    case $(sqlite3 -version) in
    3.38.* | 3.39.* | 3.40.*)
        gives 'unsafe use of json_valid()' sqlite3 -batch "$journal" \
            "PRAGMA trusted_schema = OFF; $insert"
        ;;
    *) sqlite3 -batch "$journal" "PRAGMA trusted_schema = OFF; $insert" ;;
    esac
}

with php publish-sqlite3 && t "a wrong path is an error, and makes no file" elsewhere
with php publish-pdo && t "a wrong path where files are made: no such table" made_anew
with sh publish && {
    t "who may only read cannot publish" read_only
    t "the journal is its owner's alone" private
    t "a full disk: nothing is published" full
    t "a damaged file" damaged
    t "trusted_schema=OFF" untrusted
    t "a disk that lost a sync: Holdfast refuses, a script is not asked" flagged
}
with php publish-sqlite3 && {
    t "a log beyond max_wal: Holdfast refuses, a script is not asked" blocked
    t "without a busy timeout a publisher is refused while another writes" \
        without_timeout
    t "BEGIN, SELECT, INSERT fails when somebody wrote in between" read_before
}

finish

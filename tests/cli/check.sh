#!/bin/sh
# holdfast check: what it finds, and that it changes nothing
. "${top_srcdir:?}/tests/lib.sh"

holdfast init box >/dev/null || exit 99
export HOLDFAST_DIR=box
holdfast publish room say 1 >/dev/null

# finds LEVEL SUBJECT WORDS: a line of that kind that holds the words
finds()
{
    holdfast check >found 2>&1
    grep "^$1  *$2 " found | grep -qF -e "$3" || { cat found; false; }
}

t "a good directory has no problem" holdfast check
t "no finding is called a problem" sh -c '! holdfast check | grep ^problem'
for subject in directory filesystem space ballast files settings keys disk clock locks \
    processes journal tables mode history log pages messages; do
    t "$subject is looked at" finds ok "$subject" ""
done
t "locks are tried with a second process" finds ok locks "hold between"
t "nothing stays behind of that" sh -c '! ls box | grep check'
t "the library is named" sh -c 'holdfast check | grep -q "^[a-z]*  *sqlite  *3\."'
t "--full looks at more" holdfast check --full
t "a process that has it open is named" sh -c '
    holdfast tail room >/dev/null & tail=$!
    n=0; until holdfast check | grep -q "processes .*$tail holdfast"; do
        n=$((n + 1)); test $n -lt 20 || exit 1; sleep 0.1
    done; kill $tail'
holdfast tail --once room >before
holdfast check >/dev/null
holdfast tail --once room >after
t "looking changes nothing" cmp before after

chmod 755 box
t "a directory open to everybody is a problem" exits 1 holdfast check
t "that says what to do" finds problem directory "chmod 700"
chmod 770 box
t "a group without set-group-id is one" finds problem directory "chmod 2770"
chmod 700 box
chmod 644 box/secret
t "a secret that others can read is one" finds problem files "secret"
chmod 600 box/secret
chmod 644 box/keys.json
t "keys that others can read are one, too" finds problem files "keys.json"
cp box/keys.json kept
printf '%s' '{"keys":[{"kty":"oct","kid":"a","k":"c2hvcnQ"}]}' >box/keys.json
chmod 600 box/keys.json
t "a bad key is one" finds problem keys 'key 1 (kid "a"): its secret'
rm box/keys.json
t "no keys are a warning" finds warning keys "holdfast init"
cp kept box/keys.json
chmod 600 box/keys.json
chmod 644 box/holdfast.conf
t "settings that others can read are a warning" \
    finds warning files "holdfast.conf"
chmod 600 box/holdfast.conf
chmod 400 box/journal.db
t "a journal that cannot be written is a problem" finds problem files "journal.db"
chmod 600 box/journal.db
mv box/secret kept && ln -s ../kept box/secret
t "a link is a problem" finds problem files "link"
rm box/secret && mv kept box/secret
cp box/holdfast.conf kept
echo "nonsense = 1" >>box/holdfast.conf
t "settings that cannot be read are a problem" finds problem settings nonsense
cp kept box/holdfast.conf
echo "2026-05-01T10:00:00Z process 1: a test" >box/failed
chmod 600 box/failed
t "a lost sync is a problem" finds problem disk "process 1: a test"
rm box/failed
mv box/ballast kept
t "a missing ballast is a warning" finds warning ballast "missing"
mv kept box/ballast
t "without any of that all is well" holdfast check

mkdir etc && mv box/holdfast.conf etc && chmod 640 etc/holdfast.conf &&
    ln -s "$PWD/etc/holdfast.conf" box/holdfast.conf
t "settings may be a link, as packages make one" holdfast check
chmod 644 etc/holdfast.conf
t "but not to what others can read" finds warning files "leads to"
rm etc/holdfast.conf
t "nor to nothing" finds problem files "leads to no file"
rm box/holdfast.conf && holdfast init box >/dev/null

if command -v sqlite3 >/dev/null; then
    # bad ID SQL LEVEL SUBJECT WORDS: with that done to a copy of the journal
    bad()
    {
        rm -rf copy && cp -r box copy
        sqlite3 copy/journal.db "$1" >/dev/null 2>sql.err || return 1
        HOLDFAST_DIR=copy finds "$2" "$3" "$4"
    }
    t "an unreadable message is counted and named" bad \
        "INSERT INTO messages (topic, event, payload) VALUES ('a', 'b', CAST(x'22ff22' AS TEXT))" \
        warning messages "1 of 2"
    t "a table of somebody else is a problem" bad \
        "CREATE TABLE mine (x)" problem tables mine
    t "so is a trigger that is missing" bad \
        "DROP TRIGGER messages_place" problem tables "missing"
    t "another journal_mode is a warning" bad \
        "PRAGMA journal_mode = DELETE" warning mode "delete"
    t "a missing sequence is a warning" bad \
        "DELETE FROM sqlite_sequence" warning history "sqlite_sequence"
    t "a lowered one, too" bad \
        "UPDATE sqlite_sequence SET seq = 0" warning history "new epoch"
    t "a message from the future is a warning" bad \
        "INSERT INTO messages (topic, event, payload, at) VALUES ('a', 'b', '1', 99999999999999)" \
        warning clock "future"
    t "another application_id is a problem" bad \
        "PRAGMA application_id = 7" problem journal "no Holdfast journal"
    t "a newer version is a problem" bad \
        "PRAGMA user_version = 99" problem journal "newer Holdfast"
    t "a missing epoch is as it may be" bad \
        "UPDATE meta SET value = '' WHERE name = 'epoch'" ok history "no epoch"
    sqlite3 box/journal.db 'PRAGMA wal_checkpoint(TRUNCATE)' >/dev/null
    cp -r box older
    sqlite3 older/journal.db "UPDATE sqlite_sequence SET seq = 7"
    holdfast --dir older publish room say 1 >/dev/null
    cp box/journal.db older/journal.db
    rm -f older/journal.db-wal older/journal.db-shm
    t "a file older than what was seen is a warning" sh -c '
        holdfast --dir older check | grep "^warning  *history"'
else
    skip "an unreadable message is counted and named" "no sqlite3"
fi

rm -rf copy && cp -r box copy
printf 'rubbish' | dd of=copy/journal.db bs=4096 conv=notrunc 2>/dev/null
t "a file that is no database is a problem" exits 1 holdfast --dir copy check
t "no directory is a problem" exits 1 holdfast --dir missing check
t "that names init" sh -c 'holdfast --dir missing check | grep -q "holdfast init"'
t "an operand is a usage error" exits 2 holdfast check room
t "--force alone, too" exits 2 holdfast check --force

finish

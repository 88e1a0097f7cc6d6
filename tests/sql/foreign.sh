#!/bin/sh
# foreign.sh - programs that know SQLite and nothing of us publish with INSERT
#
# Each is what docs/SQL.md recommends for its language. A row arrives at a
# waiting process because it is noticed, not because somebody polls; and what
# is wrong is refused in words that the script's author sees.

. "${top_srcdir:?}/tests/lib.sh"

here=$top_srcdir/tests/sql
follow=$top_builddir/tests/sql/follow
journal=$scratch/j/journal.db
holdfast init j >/dev/null || exit 99

# run WRITER JOURNAL TOPIC EVENT PAYLOAD
run()
{
    writer=$1
    shift
    case $writer in
    *.php) php "$here/$writer" "$@" ;;
    *.py) python3 "$here/$writer" "$@" ;;
    *.pl) perl "$here/$writer" "$@" ;;
    *.sh) sh "$here/$writer" "$@" ;;
    esac
}

# Is it installed, with its driver?
usable()
{
    case $1 in
    sqlite3.php) php -r 'exit(class_exists("SQLite3") ? 0 : 1);' ;;
    pdo.php) php -r 'exit(extension_loaded("pdo_sqlite") ? 0 : 1);' ;;
    *.py) python3 -c 'import sqlite3' ;;
    *.pl) perl -MDBD::SQLite -e 1 ;;
    *.sh) sqlite3 -version ;;
    esac >/dev/null 2>&1
}

# Two wait: one of them is the watcher, the other is rung by it.
start_readers()
{
    for reader in 1 2; do
        "$follow" j "$1" "$2" 20 >"reader$reader" 2>&1 &
        pids="$pids $!"
        eval "pid$reader=$!"
        within 5 grep -q ready "reader$reader" || return 1
    done
}

publish_some()
{
    start_readers "from-$1" 5 || return 1
    for n in 1 2 3 4 5; do
        run "$1" "$journal" "from-$1" "note" "{\"text\": \"it's $n é\"}" ||
            return 1
    done
    wait "$pid1" "$pid2"
    {
        echo ready
        for n in 1 2 3 4 5; do
            echo "note {\"text\": \"it's $n é\"}"
        done
    } >wanted
    for reader in 1 2; do
        sed '$d' "reader$reader" | diff wanted - || return 1
    done
}

# At least four of five, so that a busy machine may be late once.
woken_by()
{
    count=$(sed -n "s/.*$1 \([0-9]*\).*/\1/p" "$2")
    cat "$2"
    test "$count" -ge 4
}

# says WORDS WRITER TOPIC EVENT PAYLOAD
says()
{
    words=$1
    shift
    writer=$1
    shift
    if run "$writer" "$journal" "$@" >said 2>&1; then
        echo "not refused"
        return 1
    fi
    cat said
    grep -qF "$words" said
}

for writer in sqlite3.php pdo.php publish.py publish.pl publish.sh; do
    if ! usable $writer; then
        skip "$writer publishes" "it cannot run here"
        continue
    fi
    t "$writer: an INSERT arrives at processes that wait" publish_some $writer
    t "$writer: the watcher noticed it" woken_by noticed reader1
    t "$writer: the other process was rung" woken_by rung reader2
    t "$writer is told that its JSON is none" \
        says "payload: not valid JSON" $writer a b '{"a":'
    t "$writer is told of a control character" \
        says "topic: control characters are not allowed" $writer 'a
b' b '{}'
    t "$writer is told of a topic too long" \
        says "topic: longer than 200 bytes" $writer \
        "$(printf '%0201d' 1)" b '{}'
    t "$writer is told that an event is the protocol's" \
        says "event: phx_* and chan_reply_* belong to the protocol" \
        $writer a phx_reply '{}'
    t "$writer is told where disconnect belongs" \
        says "event: disconnect is for topics user_socket:<id>" \
        $writer a disconnect '{}'
    t "$writer is told of a payload too long" \
        says "payload: longer than max_payload" $writer a b \
        "\"$(printf '%070000d' 1)\""
done

finish

#!/bin/sh
# recipes.sh - every recipe of docs/SQL.md does what the page says

. "${top_srcdir:?}/tests/lib.sh"
. "$top_srcdir/tests/sql/lib.sh"

follow=$top_builddir/tests/sql/follow
PATH=$top_builddir:$PATH
holdfast init journal >/dev/null || exit 99
HOLDFAST_DIR=$scratch/journal
export HOLDFAST_DIR

sql()
{
    sqlite3 -batch -cmd '.timeout 5000' "$journal" "$1"
}

# is WANTED COMMAND...: does it print exactly this?
is()
{
    wanted=$1
    shift
    printed=$("$@") || return 1
    test "$printed" = "$wanted" && return
    printf 'printed: %s\nwanted:  %s\n' "$printed" "$wanted"
    return 1
}

# Event and payload of all messages of a topic, blanks taken out
kept()
{
    sql "SELECT event || ' ' || replace(payload, ' ', '') FROM messages
         WHERE topic = '$1' ORDER BY id"
}

# Nothing is left of the test before.
empty()
{
    rm -f last-id
    sql 'DELETE FROM messages; DELETE FROM trimmed; DELETE FROM policies'
}

# --- publish: an INSERT arrives at processes that wait -----------------------

# Two wait: one of them is the watcher, the other is rung by it.
reader1=
reader2=
start_readers()
{
    for reader in 1 2; do
        "$follow" journal room:lobby 5 20 >"reader$reader" 2>&1 &
        pids="$pids $!"
        eval "reader$reader=$!"
        within 5 grep -q ready "reader$reader" || return 1
    done
}

publishes()
{
    empty
    start_readers || return 1
    for n in 1 2 3 4 5; do
        run_recipe "$1" "$2" || return 1
    done
    wait "$reader1" "$reader2"
    {
        echo ready
        for n in 1 2 3 4 5; do
            echo 'new_msg {"body":"hello"}'
        done
    } >wanted
    for reader in 1 2; do
        sed '$d' "reader$reader" | sed 's/": "/":"/' | diff wanted - || return 1
    done
}

# One of the two is the watcher, whichever. At least four of five, so that a
# busy machine may be late once.
woken()
{
    tail -n 1 reader1 reader2
    count=$(sed -n "s/.*$1 \([0-9]*\).*/\1/p" reader1 reader2 |
        awk '{ n += $1 } END { print n }')
    test "$count" -ge 4
}

check_publish()
{
    t "$1 $2: an INSERT arrives at processes that wait" publishes "$1" "$2"
    t "$1 $2: the watcher noticed it" woken noticed
    t "$1 $2: the other process was rung" woken rung
}

# One that waits for its turn has a busy timeout.
waits_its_turn()
{
    empty
    php -r '$db = new SQLite3($argv[1]); $db->exec("BEGIN IMMEDIATE");
        touch("writing"); usleep(700000); $db->exec("COMMIT");' "$journal" &
    holder=$!
    within 5 test -e writing || return 1
    rm writing
    run_recipe "$1" "$2" || return 1
    wait "$holder"
    is 'new_msg {"body":"hello"}' kept room:lobby
}

# --- the others --------------------------------------------------------------

check_once()
{
    once_again()
    {
        empty
        first=$(run_recipe "$1" once) && sql "INSERT INTO messages
            (topic, event, payload) VALUES ('orders', 'other', '{}')" || return
        is "$first" run_recipe "$1" once &&
            is 'paid {"order":4711}
other {}' kept orders && is "$first" sql "SELECT min(id) FROM messages"
    }
    t "$1 once: the same key again adds nothing and gives the first id" \
        once_again "$1"
}

check_many()
{
    all_of_them()
    {
        empty
        run_recipe "$1" many && kept prices | sed 's/.*"price":/ /' >got &&
            is ' 1}
 2}
 3}' cat got
    }
    none_of_them()
    {
        empty
        recipe "$1" many | sed '/COMMIT/i exit(1);' >dies
        refuses run "$1" ./dies
        is '' kept prices
    }
    t "$1 many: all rows, in their order" all_of_them "$1"
    t "$1 many: a script that dies before COMMIT publishes none" \
        none_of_them "$1"
}

publish_three()
{
    empty
    for n in 1 2 3; do
        sql "INSERT INTO messages (topic, event, payload)
             VALUES ('room:lobby', 'n', '$n'), ('room:other', 'n', '0')"
    done
    first=$(sql "SELECT min(id) FROM messages WHERE topic = 'room:lobby'")
}

check_read_php()
{
    reads()
    {
        publish_three
        is "$first 1
$((first + 2)) 2
$((first + 4)) 3" run_recipe php read && is '' run_recipe php read
    }
    notices()
    {
        publish_three
        echo "$first" >last-id
        sql "DELETE FROM messages WHERE id = $((first + 2))"
        is "messages after $first are gone
$((first + 4)) 3" run_recipe php read && is '' run_recipe php read
    }
    others_gaps()
    {
        publish_three
        sql "DELETE FROM messages WHERE topic = 'room:other'"
        is "$first 1
$((first + 2)) 2
$((first + 4)) 3" run_recipe php read
    }
    t "php read: all rows after the last id, then none" reads
    t "php read: deleted rows are noticed, once" notices
    t "php read: rows deleted elsewhere are no gap" others_gaps
}

check_read_python()
{
    python_read()
    {
        {
            recipe python read
            echo "print(read('room:lobby', $1))"
        } >reads && run python ./reads
    }
    reads()
    {
        publish_three
        is "(False, [($((first + 2)), '2'), ($((first + 4)), '3')])" \
            python_read "$first"
    }
    notices()
    {
        sql "DELETE FROM messages WHERE id = $((first + 2))"
        is "(True, [($((first + 4)), '3')])" python_read "$first" &&
            is "(False, [])" python_read "$((first + 4))"
    }
    t "python read: rows after an id" reads
    t "python read: deleted rows are noticed" notices
}

check_read()
{
    "check_read_$1"
}

check_cursor()
{
    is_the_head()
    {
        publish_three
        cursor=$(run_recipe "$1" cursor) &&
            is "head         $cursor" sh -c 'holdfast status | grep ^head'
    }
    tail_goes_on()
    {
        sql "INSERT INTO messages (topic, event, payload)
             VALUES ('room:lobby', 'n', '4')"
        holdfast tail --once --since "$cursor" room:lobby >tailed &&
            is '"n","payload":4}' sed 's/.*"event"://' tailed
    }
    t "$1 cursor: it is what holdfast status says" is_the_head "$1"
    t "$1 cursor: holdfast tail goes on from there" tail_goes_on
}

check_disconnect()
{
    is_kept()
    {
        empty
        run_recipe "$1" disconnect &&
            is 'disconnect {}' kept user_socket:alice
    }
    t "$1 disconnect: the row is there" is_kept "$1"
}

check_allow()
{
    allows()
    {
        empty
        run_recipe "$1" allow && run_recipe "$1" allow &&
            is 'policy       demo:*  join,publish  echo off' \
                sh -c 'holdfast status | grep ^policy'
    }
    t "$1 allow: status lists the policy" allows "$1"
}

check_forbid()
{
    forbids()
    {
        empty
        holdfast allow 'demo:*' join >/dev/null && run_recipe "$1" forbid &&
            is '' sql 'SELECT * FROM policies'
    }
    t "$1 forbid: the policy is gone" forbids "$1"
}

check_delete()
{
    is_deleted()
    {
        publish_three
        run_recipe "$1" delete && is '' kept room:lobby &&
            is "$((first + 4))" sql \
                "SELECT through FROM trimmed WHERE topic = 'room:lobby'"
    }
    tail_says_so()
    {
        cursor=$(holdfast publish room:lobby n 5) || return
        exits 1 holdfast tail --once --since "${cursor%.*}.$first" room:lobby \
            2>said && grep -q 'no longer kept' said
    }
    t "$1 delete: the rows are gone, and trimmed says so" is_deleted "$1"
    t "$1 delete: whoever asks for them is told" tail_says_so
}

check_redact()
{
    redacts()
    {
        publish_three
        sql "INSERT INTO messages (topic, event, payload, publisher, key)
             VALUES ('room:lobby', 'n', '\"secret\"', 'p', 'k')"
        id=$(sql 'SELECT max(id) FROM messages')
        recipe "$1" redact | sed "s/4711/$id/" >redacts && run "$1" ./redacts &&
            holdfast tail --once room:lobby >tailed &&
            is '1
2
3
{}' sed 's/.*"payload":\(.*\)}/\1/' tailed &&
            is "$id" sql 'SELECT id FROM redacted' &&
            is '' sql "INSERT INTO messages (topic, event, payload, publisher, key)
                VALUES ('room:lobby', 'n', '\"secret\"', 'p', 'k') RETURNING id"
    }
    t "$1 redact: the payload is gone, the message stays" redacts "$1"
}

check_copy()
{
    copies()
    {
        publish_three
        rm -f copy.db
        run_recipe "$1" copy && is '1 2 3 ' sqlite3 -batch -newline ' ' copy.db \
            "SELECT payload FROM messages WHERE topic = 'room:lobby' ORDER BY id"
    }
    t "$1 copy: it has all rows, the newest too" copies "$1"
}

check_last()
{
    newest_first()
    {
        publish_three
        is '3
2
1' sh -c 'sqlite3 -batch "$1" <"$2" | sed "s/.*|//"' sh "$journal" newest
    }
    recipe sql last >newest
    t "sql last: the newest rows of a topic" newest_first
}

# The page of a form, under PHP's own web server
check_say()
{
    serve()
    {
        empty
        mkdir -p web && recipe php say >web/say.php
        port=$(php -r '$s = stream_socket_server("tcp://127.0.0.1:0");
            echo substr(strrchr(stream_socket_get_name($s, false), ":"), 1);')
        php -S "127.0.0.1:$port" -t web >web.log 2>&1 &
        pids="$pids $!"
        within 5 ask '' && grep -q '<form method="post">' answer
    }
    # ask TEXT: post it; nothing is a GET
    ask()
    {
        php -r '$o = $argv[2] === "" ? [] : ["http" => ["method" => "POST",
                "header" => "Content-Type: application/x-www-form-urlencoded",
                "content" => "text=" . rawurlencode($argv[2])]];
            $a = file_get_contents($argv[1], false, stream_context_create($o));
            if ($a === false) exit(1);
            file_put_contents("answer", $a);' \
            "http://127.0.0.1:$port/say.php" "$1"
    }
    says()
    {
        ask "it's <b>é" && holdfast tail --once room:lobby >tailed &&
            is '{"body":"it'"'"'s <b>\u00e9"}}' sed 's/.*"payload"://' tailed
    }
    tells()
    {
        ask "$(printf '%070000d' 1)" &&
            grep -q 'payload: longer than max_payload' answer &&
            ask "$(printf 'bad \377')" && grep -q 'Malformed UTF-8' answer &&
            is 1 sql 'SELECT count(*) FROM messages'
    }
    t "php say: the web server shows the form" serve
    t "php say: what is sent arrives" says
    t "php say: what is wrong is shown, and not published" tells
}

# --- all of them -------------------------------------------------------------

recipes >list
while read -r language name <&3; do
    with "$language" "$name" || continue
    case $name in
    publish*)
        check_publish "$language" "$name"
        ! can php x ||
            t "$language $name waits for its turn" waits_its_turn "$language" "$name"
        ;;
    *)
        if command -v "check_$name" >/dev/null; then
            "check_$name" "$language"
        else
            t "$language $name is tested" false
        fi
        ;;
    esac
done 3<list

nothing_else()
{
    # a fenced block without a name would not be run
    grep -n '^```' "$doc" | grep -v '^[0-9]*:```$' >blocks
    test "$(wc -l <blocks)" -eq "$(wc -l <list)" || {
        grep -v '```[a-z]* [a-z0-9-]*$' blocks
        return 1
    }
}
enough()
{
    for each in 'php publish-sqlite3' 'php publish-pdo' 'python publish' \
        'perl publish' 'ruby publish' 'js publish-builtin' \
        'js publish-sqlite3' 'sh publish'; do
        grep -qx "$each" list || return 1
    done
}
t "every block of the page is a recipe that ran" nothing_else
t "publishing is shown for every language" enough

finish

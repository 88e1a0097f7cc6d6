#!/bin/sh
# holdfast prune: what is not kept any longer goes, and it says why
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

# set NAME VALUE, in holdfast.conf
set_to()
{
    sed "s/^;* *$1 *=.*/$1 = $2/" box/holdfast.conf >conf
    grep -q "^$1 = $2" conf && cat conf >box/holdfast.conf
}

t "an empty journal has nothing to remove" says "removed 0" holdfast prune
i=0
while test $i -lt 700; do
    echo "{\"topic\":\"room\",\"event\":\"e\",\"payload\":$i}"
    i=$((i + 1))
done | holdfast publish --batch >/dev/null 2>&1
holdfast publish other e 1 >/dev/null
t "what is young stays" says "removed 0" holdfast prune
t "it says why it stopped" says "nothing more to remove" holdfast prune

set_to retain_count 100 || exit 99
t "beyond the count of a topic it does, too, while it is young" \
    says "removed 0" holdfast prune
set_to keep_min 0s && t "with keep_min 0 it goes" \
    says "removed 600: 0 by age, 0 by size, 600 by count" holdfast prune
t "the newest are kept" count room 100
t "and other topics" count other 1
t "a second time there is nothing" says "removed 0" holdfast prune
t "a cursor into what is gone is a gap" sh -c '
    epoch=$(holdfast tail -n room | head -n 1 | cut -d\" -f4 | cut -d. -f1)
    holdfast history --since $epoch.10 room 2>&1 | grep -q "no longer kept"'

if command -v sqlite3 >/dev/null; then
    sqlite3 box/journal.db "INSERT INTO messages (topic, event, payload, at)
        SELECT 'new', 'e', '1', 1000 * strftime('%s', 'now')" || exit 99
    holdfast init old >/dev/null
    sqlite3 old/journal.db "INSERT INTO messages (topic, event, payload, at)
        WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 600)
        SELECT 'room', 'e', i, 1000 * strftime('%s', 'now', '-2 days') FROM n;
        INSERT INTO messages (topic, event, payload) VALUES ('room', 'e', 1)"
    t "what is older than retain goes" says "600 by age" \
        holdfast --dir old prune
    t "but the newest stays" sh -c \
        'test "$(holdfast --dir old tail -n room | wc -l)" -eq 1'
else
    skip "what is older than retain goes" "no sqlite3"
fi

# Beside a publisher that never pauses it comes to its end.
set_to retain_count 50 || exit 99
while :; do
    printf '%s\n' '{"topic":"busy","event":"say","payload":"0123456789"}'
done | holdfast publish >published 2>&1 &
pids="$pids $!"
within 10 test -s published
t "beside a publisher it does its work" says "by count" timeout 30 holdfast prune
kill "$!"
t "an operand is a usage error" exits 2 holdfast prune room

finish

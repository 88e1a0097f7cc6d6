#!/bin/sh
# The sqlite3 shell, one process for each row: as a cron job would
journal=$1 topic=$2 name=$3 count=$4 pause=$5
i=0
while [ "$i" -lt "$count" ]; do
    i=$((i + 1))
    id=$(sqlite3 -cmd '.timeout 5000' "$journal" \
        "INSERT INTO messages(topic, event, payload)
         VALUES ('$topic', 'note', '{\"uid\":\"$name-$i\"}')
         RETURNING id") || exit 1
    echo "$name-$i $id"
    sleep "$(printf '0.%03d' "$pause")"
done

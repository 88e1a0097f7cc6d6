#!/bin/sh
# refuse.sh JOURNAL <cases: see refusals.sh; one sqlite3 for each, as a cron job
# would, with the words as docs/SQL.md says they come
while IFS= read -r line; do
    printf 'BEGIN IMMEDIATE;%s;ROLLBACK' "$line" | tr '\t' ';' >case.sql
    if sqlite3 -batch "$1" "$(cat case.sql)" >/dev/null 2>words; then
        echo taken
    else
        sed 's/^Error: stepping, \(.*\) (19)$/\1/' words
    fi
done

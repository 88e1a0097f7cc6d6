#!/bin/sh
# A quote in a value is doubled; else it would end the value.
journal=$1 topic=$2 event=$3 payload=$4
quote()
{
    printf "'%s'" "$(printf '%s' "$1" | sed "s/'/''/g")"
}
sqlite3 -batch -cmd '.timeout 5000' "$journal" \
    "INSERT INTO messages (topic, event, payload)
     VALUES ($(quote "$topic"), $(quote "$event"), $(quote "$payload"))"

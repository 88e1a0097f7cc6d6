#!/bin/sh
# frame.sh - instructions of each of bench/frame's items, by callgrind
#
#     bench/frame.sh BUILD [BYTES...]      default: payloads of 50 500 5000
#
# A program's own start is not counted, and what one call costs does not vary;
# so 2,000 calls are enough. Needs valgrind.
set -eu
frame=${1:?name the build folder}/bench/frame
shift
test $# -gt 0 || set -- 50 500 5000

items=$("$frame" help 2>&1 | sed -n 's/.*items: //p')
printf '%-20s' payload
printf ' %9s' "$@"
printf '\n'
for item in $items; do
    printf '%-20s' "$item"
    for bytes; do
        valgrind --tool=callgrind --toggle-collect=measured \
            --callgrind-out-file=/dev/null "$frame" "$item" "$bytes" 2000 2>&1 |
            sed -n 's/.*Collected : //p' |
            awk '{ printf " %9.0f", $1 / 2000 }'
    done
    printf '\n'
done

#!/bin/sh
# python.sh - lang/python/holdfast.py: all of test.py, which speaks TAP itself

. "${top_srcdir:?}/tests/lib.sh"

if ! python3 -c 'import sqlite3, sys; sys.exit(sys.version_info < (3, 7))' \
    >/dev/null 2>&1; then
    skip "all of test.py" "no python 3.7 or later with sqlite3"
    finish
fi
holdfast init journal >/dev/null || exit 99
python3 "$top_srcdir/tests/lang/test.py" "$top_srcdir/lang/python" \
    "$scratch/journal" </dev/null

#!/bin/sh
# control.sh - without a budget fifty clients take the site down: the others can fail
. "${top_srcdir:?}/tests/lib.sh"
. "$top_srcdir/tests/holds/lib.sh"

holds "with nobody counting, pages are refused" \
    --control --clients 50 --settle 20 --window 20
finish

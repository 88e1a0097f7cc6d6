#!/bin/sh
# ours.sh - a site beside 5, 50 and 500 of our clients on a shared host
. "${top_srcdir:?}/tests/lib.sh"
. "$top_srcdir/tests/holds/lib.sh"

holds "the site does not notice our clients" \
    --mix ours
finish

#!/bin/sh
# stock.sh - the same, all of them stock clients
. "${top_srcdir:?}/tests/lib.sh"
. "$top_srcdir/tests/holds/lib.sh"

holds "the site does not notice stock clients" \
    --mix stock
finish

#!/bin/sh
# half.sh - the same, every other client a stock one
. "${top_srcdir:?}/tests/lib.sh"
. "$top_srcdir/tests/holds/lib.sh"

holds "the site does not notice a mixed crowd" \
    --mix half
finish

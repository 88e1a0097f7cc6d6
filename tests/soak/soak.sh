#!/bin/sh
# soak.sh - bench/soak.mjs in its short form, and that it notices what leaks

. "${top_srcdir:?}/tests/lib.sh"

HOLDFAST_BIN=$top_builddir
export HOLDFAST_BIN

# soak OPTION...
soak()
{
    timeout -k 5 120 node "$top_srcdir/bench/soak.mjs" quick=1 "$@"
}

# It ends by itself, with a complaint about both. In 24 s it loses three times the heap
# that counts as growth; in 12 s, a hair more or less than that.
finds_leaks()
{
    code=0
    soak seconds=24 warm=6 \
        sidecar="$top_builddir/tests/soak/leaky/holdfast-sidecar" \
        >leaky.out 2>&1 || code=$?
    cat leaky.out
    test "$code" -eq 1 && grep -q '^GROWS heap' leaky.out &&
        grep -q '^GROWS descriptors' leaky.out
}

t "nothing grows while thousands of clients come and go" soak
t "memory and descriptors that are not given back are noticed" finds_leaks

finish

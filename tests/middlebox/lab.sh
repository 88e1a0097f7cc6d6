#!/bin/sh
# lab.sh - the lab (tests/js/lab.test.js) with the client's timers as in life
. "${top_srcdir:?}/tests/lib.sh"

can_run_lab()
{
    missing=
    for needed in node lighttpd sqlite3; do
        PATH=$PATH:/usr/sbin:/sbin command -v $needed >/dev/null ||
            missing="$missing $needed"
    done
    test -d "${top_srcdir:?}/tests/js/node_modules" ||
        missing="$missing node_modules (npm ci in tests/js)"
    test -x "${top_builddir:?}/tests/middlebox/middlebox" ||
        missing="$missing tests/middlebox/middlebox (make it)"
    test -z "$missing" || echo "there is no$missing" >&2
    test -z "$missing"
}

t "what it needs is there" can_run_lab
test -n "$missing" ||
    t "whatever the network does, no message is lost, doubled or out of order" \
        env HOLDFAST_LAB_HURRY=1 HOLDFAST_BIN="${HOLDFAST_BIN:-$top_builddir}" \
        node --test "$top_srcdir/tests/js/lab.test.js"
finish

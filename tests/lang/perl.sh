#!/bin/sh
# perl.sh - lang/perl/Holdfast.pm: all of test.pl, which speaks TAP itself

. "${top_srcdir:?}/tests/lib.sh"

if ! perl -MDBD::SQLite -MJSON::PP -MTest::More -e 1 >/dev/null 2>&1; then
    skip "all of test.pl" "no perl with DBD::SQLite"
    finish
fi
holdfast init journal >/dev/null || exit 99
perl "$top_srcdir/tests/lang/test.pl" "$top_srcdir/lang/perl" \
    "$scratch/journal" </dev/null

#!/bin/sh
# caught.sh - every broken variant is noticed by a test, and by a test alone
#
# Noticed means: the program ends by itself with failed tests. A crash, a
# time-out or a program that cannot start would "fail" just as well, and count
# as not noticed.

. "${top_srcdir:?}/tests/lib.sh"

noticed()
{
    code=0
    timeout -k 5 100 "$1" >out 2>err || code=$?
    cat out err
    test "$code" -gt 0 && test "$code" -lt 124 &&
        grep -q '^not ok' out && ! grep -q 'Sanitizer' err
}

for program in "$top_builddir"/tests/broken/*; do
    test -f "$program" && test -x "$program" || continue
    name=$(basename "$program")
    t "without its rule, $name is caught" noticed "$program"
done

t "there were variants to try" test "$t_count" -ge 5

finish

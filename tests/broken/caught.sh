#!/bin/sh
# caught.sh - every broken variant is noticed by a test, and by a test alone
#
# Noticed means: the program ends by itself with failed tests. A crash, a
# time-out or a program that cannot start would "fail" just as well, and count
# as not noticed.

. "${top_srcdir:?}/tests/lib.sh"

# They spend their time waiting for what does not come, so several at once.
run_all()
{
    for program in "$top_builddir"/tests/broken/*; do
        test -f "$program" && test -x "$program" && printf '%s\n' "$program"
    done | xargs -P 6 -I PROGRAM sh -c '
        name=$(basename "$1")
        code=0
        timeout -k 5 200 "$1" >"$name.out" 2>"$name.err" || code=$?
        echo "$code" >"$name.code"' run PROGRAM
}

noticed()
{
    code=$(cat "$1.code")
    cat "$1.out" "$1.err"
    test "$code" -gt 0 && test "$code" -lt 124 &&
        grep -q '^not ok' "$1.out" && ! grep -q 'Sanitizer' "$1.err"
}

run_all
for code in ./*.code; do
    test -f "$code" || continue
    name=$(basename "$code" .code)
    t "without its rule, $name is caught" noticed "$name"
done

t "there were variants to try" test "$t_count" -ge 30

finish

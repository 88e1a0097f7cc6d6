#!/bin/sh
# random.sh - a thousand deaths of the real programs under load
#
# Needs what tests/js needs. CRASH_KILLS and CRASH_SEED in the environment
# change number and schedule.
. "${top_srcdir:?}/tests/lib.sh"
. "$top_srcdir/tests/crash/lib.sh"

kills=${CRASH_KILLS:-1000}
if can_crash; then
    t "every promise is kept over $kills kills" \
        crash --kills "$kills" ${CRASH_SEED:+--seed "$CRASH_SEED"}
    sed 's/^#* */# /' t.out
else
    skip "every promise is kept over $kills kills" "$missing"
fi

finish

#!/bin/sh
# random.sh - a thousand deaths of the real programs under load
#
# Needs what tests/js needs, `npm ci` there too. CRASH_KILLS and CRASH_SEED in the environment
# change number and schedule.
. "${top_srcdir:?}/tests/lib.sh"
. "$top_srcdir/tests/crash/lib.sh"

kills=${CRASH_KILLS:-1000}
t "what it needs is there" can_run_all
if test -z "$missing"; then
    t "every promise is kept over $kills kills" \
        crash --kills "$kills" ${CRASH_SEED:+--seed "$CRASH_SEED"}
    sed 's/^#* */# /' t.out
fi

finish

#!/bin/sh
# caught.sh - crash.mjs notices what it is there for: programs with one rule
# taken out end its run with the judge's complaint, and the right one
#
# ack_before_commit   while another program holds the lock, pushes are answered
#                     that a kill then takes back
# ids_reused          a script empties the journal and lowers the sequence
# no_watermark        deleted rows are passed over without a gap
# react_once          nothing is lost, thanks to the look twice a second; a
#                     quarter of the rows and more is late when all is calm
# replay_null_ref     rows without the cursor that a resuming client needs
#
# That syncs are skipped a kill cannot show; the power cut does.
. "${top_srcdir:?}/tests/lib.sh"
. "$top_srcdir/tests/crash/lib.sh"

# programs VARIANT: a folder with its programs, and the good ones for the rest
programs()
{
    mkdir -p "bin-$1"
    for program in holdfast holdfast-gateway holdfast-sidecar; do
        from=${top_builddir:?}/tests/crash/broken/$1/$program
        test -x "$from" || from=$top_builddir/$program
        ln -sf "$from" "bin-$1/$program"
    done
    HOLDFAST_BIN=$PWD/bin-$1
}

# complains RULES OPTIONS...: some schedule, of several, breaks one of the rules
complains()
{
    rules=$1
    shift
    for seed in 1 2 3 4; do
        code=0
        crash "$@" --seed $seed --keep "kept-$seed" >said 2>&1 || code=$?
        cat said
        test "$code" -eq 1 && grep -qE "^($rules) at " said && return
        test "$code" -le 1 || return 1 # ended for another reason
    done
    return 1
}

# caught VARIANT RULES OPTIONS...
caught()
{
    variant=$1
    shift
    programs "$variant"
    t "without its rule, $variant is caught" complains "$@"
    grep -E "^($1) at " t.out | head -n 3 | cut -c 1-150 | sed 's/^/# /'
    rm -rf "bin-$variant" kept-*
}

t "what it needs is there" can_run_all
test -z "$missing" || finish

caught ack_before_commit ack-not-journaled --kills 60 --locks 100
caught ids_reused id-twice --kills 10 --forget
caught no_watermark lost --kills 60 --trims 60
caught react_once late --kills 5 --calm 40
caught replay_null_ref 'fault|twice-or-reordered' --kills 20

finish

# shellcheck shell=sh
# lib.sh - what shell tests share; sourced by them, speaks TAP
#
#     . "${top_srcdir:?}/tests/lib.sh"
#     t "a sentence that is true" command with arguments
#     finish
#
# A test runs in an empty directory of its own, removed afterwards; whatever
# stands in its array `pids` is ended. Commands are found in the build tree
# first.

: "${top_builddir:?run me with make check}"
top_srcdir=$(cd "$top_srcdir" && pwd)
top_builddir=$(cd "$top_builddir" && pwd)
PATH=$top_builddir:$PATH
export PATH
unset HOLDFAST_DIR

t_count=0
t_failed=0
pids=

scratch=$(mktemp -d "${TMPDIR:-/tmp}/holdfast-test.XXXXXX") || exit 99
cd "$scratch" || exit 99

# not the ~/holdfast of whoever runs this
HOME=$scratch/home
mkdir "$HOME" || exit 99
export HOME

clean_up()
{
    for pid in $pids; do
        kill "$pid" 2>/dev/null
    done
    cd / && rm -rf "$scratch"
}
trap clean_up EXIT
trap 'exit 1' HUP INT TERM

# t SENTENCE COMMAND...: one test; its output is shown when it fails
t()
{
    t_name=$1
    shift
    t_count=$((t_count + 1))
    t_result=0
    "$@" >t.out 2>t.err || t_result=$?
    if test "$t_result" -eq 0; then
        echo "ok $t_count - $t_name"
    else
        echo "not ok $t_count - $t_name"
        {
            printf '%s\n' "exit code $t_result of: $*"
            sed 's/^/stdout: /' t.out
            sed 's/^/stderr: /' t.err
        } | cut -c 1-200 | sed 's/^/# /'
        t_failed=$((t_failed + 1))
    fi
}

# skip SENTENCE WHY
skip()
{
    t_count=$((t_count + 1))
    echo "ok $t_count - $1 # SKIP $2"
}

# refuses COMMAND...: true if it fails by itself, not by a signal
refuses()
{
    "$@"
    t_code=$?
    test "$t_code" -gt 0 && test "$t_code" -lt 126
}

# exits CODE COMMAND...
exits()
{
    t_want=$1
    shift
    "$@"
    t_code=$?
    test "$t_code" -eq "$t_want" && return
    echo "exit code $t_code, expected $t_want" >&2
    return 1
}

# within SECONDS COMMAND...: true as soon as the command is
within()
{
    t_tries=$(($1 * 20))
    shift
    while ! "$@" >/dev/null 2>&1; do
        t_tries=$((t_tries - 1))
        test "$t_tries" -gt 0 || return 1
        sleep 0.05
    done
}

finish()
{
    echo "1..$t_count"
    test "$t_failed" -eq 0 || exit 1
    exit 0
}

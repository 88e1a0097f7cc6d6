# shellcheck shell=sh
# lib.sh - running crash.mjs from a shell test; after tests/lib.sh

# can_run_all: is all there that crash.mjs needs? Whoever asks for the long tests
# is to have them run: what is missing is a failure, not something to skip.
can_run_all()
{
    missing=
    for needed in node python3 php lighttpd sqlite3; do
        PATH=$PATH:/usr/sbin:/sbin command -v $needed >/dev/null ||
            missing="$missing $needed"
    done
    test -z "$missing" || echo "there is no$missing; install it first" >&2
    test -d "${top_srcdir:?}/tests/js/node_modules" || {
        missing="$missing node_modules"
        echo "there is no tests/js/node_modules; run 'npm ci' in" \
            "$top_srcdir/tests/js first" >&2
    }
    test -z "$missing"
}

# crash OPTIONS...: with the programs of the build, or of HOLDFAST_BIN
crash()
{
    HOLDFAST_BIN=${HOLDFAST_BIN:-${top_builddir:?}} \
        node "$top_srcdir/tests/crash/crash.mjs" "$@"
}

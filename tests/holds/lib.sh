# shellcheck shell=sh
# lib.sh - a long run of bench/holds.mjs from a shell test; after tests/lib.sh

# can_run_holds: is all there? Whoever asks for the long tests is to have them
# run: what is missing is a failure, not something to skip.
can_run_holds()
{
    missing=
    for needed in node haproxy lighttpd php-cgi sqlite3; do
        PATH=$PATH:/usr/sbin:/sbin command -v $needed >/dev/null ||
            missing="$missing $needed"
    done
    test -d "${top_srcdir:?}/tests/js/node_modules" ||
        missing="$missing node_modules (npm ci in tests/js)"
    test -z "$missing" || echo "there is no$missing" >&2
    test -z "$missing"
}

# holds SENTENCE OPTIONS...: one test, its figures shown; together they take
# half an hour, and those of two at once would be of no use
holds()
{
    sentence=$1
    shift
    t "what it needs is there" can_run_holds
    test -z "$missing" || return
    t "$sentence" flock "${TMPDIR:-/tmp}/holdfast-holds.lock" \
        env HOLDFAST_BIN="${HOLDFAST_BIN:-${top_builddir:?}}" \
        node "$top_srcdir/bench/holds.mjs" --check "$@"
    sed 's/^#* */# /' t.out
}

# shellcheck shell=sh
# lib.sh - running crash.mjs from a shell test; after tests/lib.sh

missing= # what crash.mjs would need

can_crash()
{
    for needed in node python3 php lighttpd sqlite3; do
        PATH=$PATH:/usr/sbin:/sbin command -v $needed >/dev/null ||
            missing="$missing $needed"
    done
    test -d "${top_srcdir:?}/tests/js/node_modules" ||
        missing="$missing (npm ci in tests/js)"
    missing=${missing:+there is no$missing}
    test -z "$missing"
}

# crash OPTIONS...: with the programs of the build, or of HOLDFAST_BIN
crash()
{
    HOLDFAST_BIN=${HOLDFAST_BIN:-${top_builddir:?}} \
        node "$top_srcdir/tests/crash/crash.mjs" "$@"
}

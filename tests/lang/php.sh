#!/bin/sh
# php.sh - lang/php/holdfast.php: test.php with each of the two extensions

. "${top_srcdir:?}/tests/lib.sh"

library=$top_srcdir/lang/php/holdfast.php

# With DIRECTIVES for php: all tests of test.php, each shown when it fails.
all_of_test_php()
{
    rm -rf journal journal-b found home/holdfast
    holdfast init journal >/dev/null || return
    PHP_WITH=$* php "$@" "$top_srcdir/tests/lang/test.php" "$library" \
        "$scratch/journal" >said 2>&1 </dev/null
    code=$?
    cat said
    test "$code" -eq 0 && tail -n 1 said | grep -q '^1\.\.[1-9]'
}

if php -r 'exit(PHP_VERSION_ID < 70400 || !class_exists("SQLite3") ? 1 : 0);' \
    >/dev/null 2>&1; then
    t "the file is good for php, and says nothing" \
        test -z "$(php -d display_errors=1 "$library" 2>&1)"
    t "all of test.php, with the extension sqlite3" \
        all_of_test_php -d display_errors=1
else
    skip "all of test.php" "no php with the extension sqlite3"
fi
pdo_alone='-n -d display_errors=1 -d extension=pdo -d extension=pdo_sqlite'
# shellcheck disable=SC2086 # words
if php $pdo_alone -r 'exit(extension_loaded("pdo_sqlite") &&
    !class_exists("SQLite3") && extension_loaded("json") ? 0 : 1);' \
    >/dev/null 2>&1; then
    t "all of test.php, with pdo_sqlite and nothing else" \
        all_of_test_php $pdo_alone
else
    skip "all of test.php, with pdo_sqlite and nothing else" \
        "this php has no pdo_sqlite, or not alone"
fi

finish

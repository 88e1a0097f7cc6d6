#!/bin/sh
# composer.sh - lang/php as a package for Composer, by a repository of the kind
# `path` as docs/PUBLISHING.md has it; nothing is asked of the network

. "${top_srcdir:?}/tests/lib.sh"

if ! command -v composer >/dev/null; then
    if test -n "${HOLDFAST_ALL_RECIPES-}"; then
        t "composer is installed" false
    else
        skip "the package installs" "no composer"
    fi
    finish
fi
COMPOSER_HOME=$scratch/composer COMPOSER_ALLOW_SUPERUSER=1
COMPOSER_DISABLE_NETWORK=1
export COMPOSER_HOME COMPOSER_ALLOW_SUPERUSER COMPOSER_DISABLE_NETWORK

# The block of the page, with our folder, and without packagist.org.
mkdir app
awk '/^```json/ { inside = 1; next } /^```/ { inside = 0 } inside' \
    "$top_srcdir/docs/PUBLISHING.md" |
    sed "s,/usr/share/holdfast/php,$top_srcdir/lang/php,
        s,\"repositories\": \[,&{ \"packagist.org\": false }\, ," >app/composer.json

installs()
{
    (cd app && composer install --no-interaction --no-progress) &&
        cmp app/vendor/holdfast/holdfast/holdfast.php \
            "$top_srcdir/lang/php/holdfast.php"
}
publishes()
{
    holdfast init journal >/dev/null &&
        php -r 'require "app/vendor/autoload.php";
            (new Holdfast("journal"))->publish("room:a", "e", new HoldfastBytes("x"));
            try { new Holdfast("", ["x" => 1]); }
            catch (HoldfastError $e) { echo $e->reason; }' >said &&
        test "$(cat said)" = setup &&
        holdfast --dir journal tail --once room:a | grep -q '"topic":"room:a"'
}
t "composer.json is valid" composer validate --no-check-publish --no-check-version \
    --strict "$top_srcdir/lang/php/composer.json"
# a folder has no tags that Composer could take it from
t "its version is that of the programs" \
    grep -qF "\"version\": \"$(holdfast --version | sed 's/.* //; q')\"" \
    "$top_srcdir/lang/php/composer.json"
t "the package installs by the lines of docs/PUBLISHING.md" installs
t "an application that autoloads it publishes" publishes

finish

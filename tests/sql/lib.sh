# shellcheck shell=sh
# lib.sh - the recipes of docs/SQL.md as programs; sourced after tests/lib.sh
#
# A fenced block of docs/SQL.md whose first line says a language and a name,
#
#     ```php publish-pdo
#
# is the recipe `php publish-pdo`. It runs exactly as it stands there, but for
# /home/me, which becomes the directory of the test.

doc=${top_srcdir:?}/docs/SQL.md
journal=${scratch:?}/journal/journal.db

# Debian has its packages for node elsewhere than node looks.
NODE_PATH=${NODE_PATH:+$NODE_PATH:}$(printf '%s:' /usr/lib/*/nodejs)
NODE_PATH=$NODE_PATH/usr/share/nodejs:$top_srcdir/tests/js/node_modules
export NODE_PATH

# All recipes of the page, one "language name" a line
recipes()
{
    sed -n 's/^```\([a-z]* [a-z0-9-]*\)$/\1/p' "$doc"
}

# recipe LANGUAGE NAME: its text, /home/me replaced
recipe()
{
    awk -v head="\`\`\`$1 $2" '
        $0 == "```" { inside = 0 }
        inside
        $0 == head { inside = 1 }' "$doc" | sed "s,/home/me,$scratch,g"
}

# run LANGUAGE FILE
run()
{
    case $1 in
    php) php "$2" ;;
    python) python3 "$2" ;;
    perl) perl "$2" ;;
    ruby) ruby "$2" ;;
    js) node "$2" ;;
    sh) sh -e "$2" ;;
    sql) sqlite3 -bail -batch -cmd '.timeout 5000' "$journal" <"$2" ;;
    *) return 1 ;;
    esac
}

# run_recipe LANGUAGE NAME: as a user would, from a file
run_recipe()
{
    recipe "$1" "$2" >"recipe-$1-$2"
    test -s "recipe-$1-$2" && run "$1" "./recipe-$1-$2"
}

# Where this node has no SQLite of its own a package with the same calls takes
# its place.
if command -v node >/dev/null && ! node -e 'require("node:sqlite")' 2>/dev/null
then
    NODE_OPTIONS="--require=$top_srcdir/tests/sql/as-builtin.cjs"
    export NODE_OPTIONS
fi

# can LANGUAGE NAME: is what it needs installed?
can()
{
    case $1-$2 in
    php-*pdo | php-many) php -r 'exit(extension_loaded("pdo_sqlite") ? 0 : 1);' ;;
    php-*) php -r 'exit(class_exists("SQLite3") ? 0 : 1);' ;;
    python-*) python3 -c 'import sqlite3' ;;
    perl-*) perl -MDBD::SQLite -MJSON::PP -e 1 ;;
    ruby-*) ruby -rsqlite3 -e 1 ;;
    js-*builtin) node -e 'require("node:sqlite")' ;;
    js-*) node -e 'require("sqlite3")' ;;
    sh-* | sql-*) sqlite3 -version ;;
    *) false ;;
    esac >/dev/null 2>&1
}

# Debian 12's own node is too old for the one, and has the other.
may_lack()
{
    test "$1-$2" = js-publish-builtin &&
        node -e 'process.exit(parseInt(process.versions.node) < 20 ? 0 : 1)'
}

# with LANGUAGE NAME: can it run here? Where all is installed (./check says so)
# it must; elsewhere it is skipped, in so many words.
with()
{
    can "$1" "$2" && return
    if test -n "${HOLDFAST_ALL_RECIPES-}" && ! may_lack "$1" "$2"; then
        t "$1 $2 can run here" false
    else
        skip "$1 $2" "it cannot run here"
    fi
    return 1
}

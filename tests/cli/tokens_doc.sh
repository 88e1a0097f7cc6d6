#!/bin/sh
# docs/TOKENS.md: what it shows makes tokens that are valid
. "${top_srcdir:?}/tests/lib.sh"

holdfast init journal >/dev/null || exit 99
export HOLDFAST_DIR="$scratch/journal"
page=$top_srcdir/docs/TOKENS.md

# block "LANGUAGE NAME": as it stands, but for the directory
block()
{
    sed -n "/^\`\`\`$1\$/,/^\`\`\`\$/{/^\`\`\`/d;p;}" "$page" |
        sed "s,/home/me/journal,$HOLDFAST_DIR,"
}

# valid COMMAND...: it prints a token that is alice's
valid()
{
    token=$("$@") || return 1
    holdfast token --inspect "$token" >inspected || { cat inspected; return 1; }
    grep -q '^sub *alice$' inspected &&
        grep -q '^expires .*(+3[56][0-9][0-9] s)$' inspected &&
        grep -q '^topic *"room:\*" \["join","publish"\]$' inspected && return
    cat inspected
    return 1
}

block "php mint" >mint.php
block "sh mint" >mint.sh
t "the page has both" test -s mint.php -a -s mint.sh
t "the command makes a token" valid sh mint.sh
t "PHP needs less than ten lines" test "$(wc -l <mint.php)" -lt 10
if command -v php >/dev/null; then
    t "PHP makes a token" valid php mint.php
    holdfast token --add-key HS256 >/dev/null
    t "also with another key" valid php mint.php
else
    skip "PHP makes a token" "no php"
fi
finish

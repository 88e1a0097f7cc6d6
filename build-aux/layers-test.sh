#!/bin/sh
# Does the layer check catch what it is for? Plants one violation at a time in
# a small tree and expects a complaint that names the file.
set -u
. "${top_srcdir:?}/tests/lib.sh"

layers=$top_srcdir/build-aux/layers

clean_tree()
{
    rm -rf tree
    mkdir tree
    for folder in base schema channel gateway sidecar cli; do
        mkdir "tree/$folder"
        echo '/* #include "cli/x.h" in a comment is nothing */' \
            >"tree/$folder/x.h"
        printf '%s\n' "#include \"$folder/x.h\"" '#include <stdio.h>' \
            '#include "base/x.h"' >"tree/$folder/x.c"
    done
    printf '%s\n' '#include <sqlite3.h>' '#include "base/x.h"' \
        >tree/schema/x.h
    echo '#include <fcgiapp.h>' >tree/gateway/x.h
    echo '#include <microhttpd.h>' >tree/sidecar/main.c
    printf '%s\n' '#include "channel/x.h"' '#include "schema/x.h"' \
        >tree/cli/main.c
}

# planted FILE LINE: the clean tree with LINE at the end of FILE is refused
planted()
{
    clean_tree
    echo "$2" >>"tree/$1"
    "$layers" tree >out 2>&1 && return 1
    test "$(wc -l <out)" -eq 1 && grep -q "^$1:" out
}

clean_tree
t "a clean tree is accepted" "$layers" tree
t "base must not know schema" planted base/x.c '#include "schema/x.h"'
t "schema must not know channel" planted schema/x.h '#include "channel/x.h"'
t "channel must not know gateway" planted channel/x.c '#include "gateway/x.h"'
t "gateway must not know sidecar" planted gateway/x.c '#include "sidecar/x.h"'
t "sidecar must not know cli" planted sidecar/x.h '#include "cli/x.h"'
t "cli must not know gateway" planted cli/main.c '#include "gateway/x.h"'
t "angle brackets hide nothing" planted base/x.c '#include <schema/x.h>'
t "blanks hide nothing" planted base/x.c '  #  include  "schema/x.h"'
t "a macro hides nothing" planted base/x.c '#include WHATEVER'
t "the product must not know tests" planted base/x.c '#include "tests/x.h"'
t "an include names its folder" planted schema/x.c '#include "x.h"'
t "an include does not climb" planted schema/x.c '#include "base/../cli/x.h"'
t "only schema uses SQLite" planted channel/x.c '#include <sqlite3.h>'
t "only gateway uses libfcgi" planted sidecar/x.c '#include <fcgiapp.h>'
t "only sidecar uses libmicrohttpd" planted cli/main.c '#include <microhttpd.h>'

clean_tree
printf '#include <stdio.h>\n#include "base/x.h"\n' >tree/base/x.c
t "the first include is the own header" refuses "$layers" tree
mkdir empty
t "a tree without sources is refused" refuses "$layers" empty
t "this tree keeps the rule" "$layers" "$top_srcdir"

finish

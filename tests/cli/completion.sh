#!/bin/sh
# What bash offers behind `holdfast`
. "${top_srcdir:?}/tests/lib.sh"

if ! command -v bash >/dev/null; then
    echo "1..0 # SKIP no bash"
    exit 0
fi

# offers WORDS -- LINE: exactly these, for the line's last word, which may be empty
offered()
{
    bash -c '. "$1"; shift
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
        _holdfast "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
        printf "%s\n" "${COMPREPLY[@]}"' bash \
        "$top_srcdir/docs/completion/holdfast" "$@" 2>err | sort | xargs
}
offers()
{
    words=$1
    shift
    got=$(offered "$@")
    test "$got" = "$words" || { echo "offered: $got"; cat err; false; }
}
offers_among()
{
    word=$1
    shift
    offered "$@" | tr ' ' '\n' | grep -qxF -e "$word" || { offered "$@"; false; }
}
every_command()
{
    holdfast --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\)  .*/\1/p' >commands
    test "$(wc -l <commands)" -ge 15 || { cat commands; return 1; }
    test "$(offered holdfast '')" = "$(sort commands | xargs)"
}

t "every command" every_command
t "those that begin so" offers "restore" holdfast res
t "behind --dir, too" offers "backup" holdfast --dir box ba
t "--dir wants a folder, no word" offers "" holdfast --dir ''
t "options of the program" offers "--dir --help --version" holdfast --
t "an option of a command" offers "--since" holdfast tail --s
t "and those that all have" offers_among "--dir" holdfast tail --
t "no option of another" offers "" holdfast tail --batch
t "rights" offers "join join,publish join,publish,presence" holdfast allow 'room:*' join
t "kinds of keys" offers "EdDSA" holdfast token --add-key Ed
t "on and off" offers "off on" holdfast allow --echo ''
t "nothing where there is nothing to offer" offers "" holdfast publish ''
t "it is there once it is sourced" bash -c \
    '. "$1"; complete -p holdfast' bash "$top_srcdir/docs/completion/holdfast"

finish

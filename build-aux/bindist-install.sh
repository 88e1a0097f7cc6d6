#!/bin/sh
# install.sh - copy Holdfast out of its tarball to where your programs are
#
#     ./install.sh                    into ~/.local
#     ./install.sh --prefix DIR       anywhere else
#     ./install.sh --uninstall [--prefix DIR]
#
# Needs no root, changes no file but those it copies, and may be run again over
# an older version while that one is running. The programs run from where they
# lie just as well; this is so that you can type their names. --uninstall removes
# what was copied and nothing else: journals are yours. A copy of this script is
# in DIR/share/holdfast for that.
set -eu
umask 022
unset CDPATH # cd would go elsewhere, and print where

prefix=
uninstall=

usage()
{
    echo "usage: install.sh [--uninstall] [--prefix DIR]" >&2
    exit 2
}

while test $# -gt 0; do
    case $1 in
    --prefix=*) prefix=${1#--prefix=} ;;
    --prefix) test $# -gt 1 || usage; prefix=$2; shift ;;
    --uninstall) uninstall=yes ;;
    *) usage ;;
    esac
    shift
done
from=$(cd "$(dirname "$0")" && pwd)
if test -z "$prefix" && test -f "$from/installed"; then
    prefix=$from/../.. # the copy that was installed
fi
if test -z "$prefix"; then
    test -n "${HOME-}" || {
        echo "install.sh: there is no HOME; say --prefix DIR" >&2
        exit 1
    }
    prefix=$HOME/.local
fi
mkdir -p "$prefix"
prefix=$(cd "$prefix" && pwd)
share=$prefix/share/holdfast
list=$share/installed

# remove_old KEEP: the files of the list that are not in the list KEEP, and
# folders that are empty then
remove_old()
{
    test -f "$list" || return 0
    sort "$list" | comm -23 - "$1" | while IFS= read -r file; do
        rm -f "$prefix/$file"
        folder=$(dirname "$file")
        while test "$folder" != . && rmdir "$prefix/$folder" 2>/dev/null; do
            folder=$(dirname "$folder")
        done
    done
}

if test -n "$uninstall"; then
    test -f "$list" || {
        echo "install.sh: nothing of it is in $prefix" >&2
        exit 1
    }
    remove_old /dev/null
    rm -f "$list"
    rmdir "$share" "$prefix/share" 2>/dev/null || :
    echo "Removed from $prefix. Journal directories are where they were."
    exit 0
fi

test -x "$from/bin/holdfast" || {
    echo "install.sh: $from is not the unpacked tarball" >&2
    exit 1
}
"$from/bin/holdfast" --version >/dev/null 2>&1 || {
    echo "install.sh: the programs do not run here ($(uname -sm)):" >&2
    "$from/bin/holdfast" --version >&2 || :
    exit 1
}
mkdir -p "$share"

# put FILE PLACE: renamed into place, since a program that runs cannot be
# written; and somebody may start it this very moment
put()
{
    mkdir -p "$prefix/$(dirname "$2")"
    cp -p "$from/$1" "$prefix/$2.new.$$"
    mv -f "$prefix/$2.new.$$" "$prefix/$2"
    echo "$2" >>"$list.new"
}

: >"$list.new"
cd "$from"
for file in bin/*; do
    put "$file" "$file"
done
for file in docs/man/*.[1-9]; do
    put "$file" "share/man/man${file##*.}/${file##*/}"
done
find www lang -type f | while IFS= read -r file; do
    put "$file" "share/holdfast/${file#lang/}"
done
put install.sh share/holdfast/install.sh
find README.md CHANGELOG.md LICENSE licenses docs -type f \
    ! -path 'docs/man/*' | while IFS= read -r file; do
    put "$file" "share/doc/holdfast/$file"
done
sort -o "$list.new" "$list.new"
remove_old "$list.new"
mv "$list.new" "$list"

echo "Holdfast is in $prefix:"
echo "  programs         $prefix/bin"
echo "  browser's files  $share/www"
echo "  PHP, Python ...  $share"
echo "  documentation    $prefix/share/doc/holdfast"
case :$PATH: in
*":$prefix/bin:"*) ;;
*)
    echo "Not on your PATH yet. For now and later:"
    echo "  export PATH=$prefix/bin:\$PATH"
    echo "  echo 'export PATH=$prefix/bin:\$PATH' >>~/.profile"
    ;;
esac
echo "Next: holdfast init"

#!/bin/sh
# Make ./configure from configure.ac. Needed in a git checkout only: a release
# tarball has it already.
set -eu
cd "$(dirname "$0")"

need()
{
    command -v "$1" >/dev/null 2>&1 && return
    echo "autogen.sh: '$1' is not installed; on Debian or Ubuntu:" >&2
    echo "    apt-get install autoconf automake pkg-config" >&2
    exit 1
}

need autoreconf
need aclocal
need pkg-config # its pkg.m4 is what makes PKG_CHECK_MODULES known

# aclocal warns when the folder is missing, and git keeps no empty folder
mkdir -p m4
autoreconf -fi
echo "autogen.sh: done; now run ./configure, or configure out of tree"

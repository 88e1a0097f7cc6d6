#!/bin/sh
# deb.sh - the Debian package: built from the tarball, judged by lintian,
# installed on a Debian 12 where nothing of ours is
. "${top_srcdir:?}/tests/lib.sh"
. "$top_srcdir/tests/package/root.sh"
needs_root

t "a Debian 12 is made" make_root bookworm "$scratch/bookworm"
t "and it runs" inside "$scratch/bookworm" cat /etc/debian_version

finish

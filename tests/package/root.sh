# shellcheck shell=sh
# root.sh - a Debian in a folder; sourced by the scripts beside it, after lib.sh
#
#     needs_root
#     make_root bookworm "$scratch/root" lighttpd php-cgi
#     inside "$scratch/root" holdfast --version
#
# It lies in the test's own directory and goes with it. Nothing is mounted where
# others see it: what runs inside has namespaces of its own, which end with it.

HOLDFAST_ARCHIVE=${HOLDFAST_ARCHIVE:-http://deb.debian.org/debian}

# Never skipped: whoever may not do this has not tested the packages.
needs_root()
{
    test "$(id -u)" -eq 0 && unshare --mount --pid --fork true && return
    t_count=$((t_count + 1))
    t_failed=$((t_failed + 1))
    echo "not ok $t_count - this needs root, and may make namespaces"
    finish
}

# make_root SUITE DIR [PACKAGE...]: the smallest Debian, and these packages
make_root()
{
    root_suite=$1
    root_dir=$2
    shift 2
    debootstrap --variant=minbase "$root_suite" "$root_dir" \
        "$HOLDFAST_ARCHIVE" || return
    # a test need not wait for the disk
    echo force-unsafe-io >"$root_dir/etc/dpkg/dpkg.cfg.d/fast" || return
    test $# -eq 0 || apt_in "$root_dir" "$@"
}

# apt_in DIR PACKAGE...: by the network of this machine; starts no services
apt_in()
{
    root_dir=$1
    shift
    printf '#!/bin/sh\nexit 101\n' >"$root_dir/usr/sbin/policy-rc.d" &&
        chmod 755 "$root_dir/usr/sbin/policy-rc.d" &&
        inside "$root_dir" env DEBIAN_FRONTEND=noninteractive apt-get install \
            -y --no-install-recommends "$@" &&
        rm "$root_dir/usr/sbin/policy-rc.d"
}

# inside DIR COMMAND...: as root of it, with /proc and /dev of its own; what it
# leaves running ends with it. The environment is not handed on.
inside()
{
    root_dir=$1
    shift
    # shellcheck disable=SC2016 # $1 is that of the inner shell
    unshare --mount --pid --ipc --fork --kill-child sh -c '
        mount --make-rprivate / && mount -t proc proc "$1/proc" &&
            mount --rbind /dev "$1/dev" || exit 125
        root=$1
        shift
        exec env -i HOME=/root LANG=C.UTF-8 \
            PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
            chroot "$root" "$@"' sh "$root_dir" "$@"
}

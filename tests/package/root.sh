# shellcheck shell=sh
# root.sh - a Debian in a folder; sourced by the scripts beside it, after lib.sh
#
#     needs_root
#     make_root bookworm "$scratch/root" lighttpd php-cgi
#     inside "$scratch/root" holdfast --version
#
# It lies in the test's own directory and goes with it. Nothing is mounted where
# others see it: what runs inside has namespaces of its own, which end with it.

: "${scratch:?} ${top_srcdir:?}" # lib.sh has made it
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

# May it be tried? Not in every container.
may_boot()
{
    unshare --mount --cgroup --net --fork sh -c '
        mount --make-rprivate / && mount -t cgroup2 none "$0" &&
            mkdir "$0/holdfast-$$" && rmdir "$0/holdfast-$$"' /mnt
}

# boot DIR: systemd there, as process 1 of namespaces of its own, with no network
# but loopback; its id is in $machine. Whoever ends us ends it. In a group of its
# own below the machine's, so that it sees itself alone; in cgroup 2, since every
# kernel has that whatever else is mounted here.
boot()
{
    mkdir "$scratch/groups"
    unshare --mount --fork --kill-child sh -c '
        root=$1
        groups=$2
        own=$groups/holdfast-$$
        mount --make-rprivate / && mount -t cgroup2 none "$groups" &&
            mkdir "$own" && echo $$ >"$own/cgroup.procs" || exit 125
        unshare --mount --pid --ipc --uts --net --cgroup --fork --kill-child \
            sh "$3" "$root" &
        wait
        echo $$ >"$groups/cgroup.procs"
        until find "$own" -depth -type d -exec rmdir {} + 2>/dev/null; do
            sleep 0.1
        done' sh "$1" "$scratch/groups" \
        "$top_srcdir/tests/package/init.sh" >"$scratch/boot.log" 2>&1 </dev/null &
    supervisor=$!
    within 60 is_up || {
        cat "$scratch/boot.log"
        return 1
    }
}

# The one process whose parent is the inner unshare.
is_up()
{
    machine=$(pgrep -P "$(pgrep -P "$(pgrep -P "$supervisor")")")
    test -n "$machine" && on_machine systemctl is-system-running --wait
}

# on_machine COMMAND...: as its root
on_machine()
{
    nsenter --target "$machine" --mount --pid --ipc --uts --net --cgroup \
        --root --wd env -i HOME=/root LANG=C.UTF-8 \
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
}

# A program of this machine that speaks over the loopback of the other.
beside_machine()
{
    nsenter --target "$machine" --net "$@"
}

halt()
{
    kill -9 "$machine"
    machine=
    wait "$supervisor"
}

# unshare does not end by TERM, and systemd would start itself anew by it
clean_up_machine()
{
    test -z "$machine" || halt
    clean_up
}
machine=
trap clean_up_machine EXIT

#!/bin/sh
# deb.sh - the Debian package: built from what the tarball holds, judged by lintian,
# and walked as docs/install/vps.md says, its blocks word for word, on a Debian
# 12 with systemd where nothing of ours was; then upgraded under load, removed,
# installed again, purged
#
# HOLDFAST_SERVER: a copy of this folder is the machine, and none is made.
. "${top_srcdir:?}/tests/lib.sh"
. "$top_srcdir/tests/package/root.sh"
needs_root
PATH=$PATH:/usr/sbin:/sbin
unset MAKEFLAGS MFLAGS MAKELEVEL

version=$(sed -n '1s/.*(\(.*\)).*/\1/p' "$top_srcdir/debian/changelog")
arch=$(dpkg --print-architecture)
deb=holdfast_${version}_$arch.deb
guide=$top_srcdir/docs/install/vps.md
root=$scratch/root

# --- building --------------------------------------------------------------

version_is_that_of_configure()
{
    "$top_builddir/holdfast" --version | grep -x "holdfast $version"
}

# The suite runs elsewhere.
build_package()
{
    make -C "$top_builddir" distdir "distdir=$scratch/holdfast-$version" &&
        cd "holdfast-$version" &&
        DEB_BUILD_OPTIONS="nocheck parallel=2" dpkg-buildpackage -us -uc &&
        cd .. && test -s "$deb"
}

# What it says is only information are opinions: its overrides are in debian/.
lintian_is_content()
{
    lintian --allow-root --display-info --pedantic --fail-on \
        error,warning,info,pedantic "holdfast_${version}_$arch.changes"
}

# Nothing but the comment at its head and where systemd listens.
recipes_are_those_of_the_manual()
{
    for pair in lighttpd.conf:lighttpd/conf-available/50-holdfast.conf \
        apache-event.conf:apache2/conf-available/holdfast.conf \
        nginx.conf:nginx/snippets/holdfast.conf; do
        sed -e '1,/^$/d' -e 's,/var/lib/holdfast/sidecar,/run/holdfast/sidecar,' \
            "$top_srcdir/docs/hosts/${pair%%:*}" >wanted
        sed 1,2d "holdfast-$version/debian/holdfast/etc/${pair#*:}" |
            diff wanted - || return
    done
}

# --- the machine -----------------------------------------------------------

# With systemd, as a server of one's own has it, and what the test itself calls.
# Packages that are installed below are fetched now, for there is no network then.
make_server()
{
    if test -n "${HOLDFAST_SERVER-}"; then
        cp -a "$HOLDFAST_SERVER" "$root"
        return
    fi
    make_root bookworm "$root" systemd systemd-sysv curl sqlite3
}

fetch_packages()
{
    cp "$deb" "$root/root" &&
        inside "$root" sh -c "cd && $(block 1) --download-only"
}

# The nth block of the guide that we are named for.
block()
{
    awk -v wanted="$1" '
        /^<!-- test: by tests\/package\/deb.sh -->$/ { marked = 1; next }
        marked && /^```/ { if (inside) { marked = inside = 0 } else { inside = 1; n++ }; next }
        inside && n == wanted' "$guide"
}

blocks()
{
    grep -c '^<!-- test: by tests/package/deb.sh -->$' "$guide"
}

walk()
{
    block "$1" >"$root/root/block" && on_machine sh -ec 'cd; . ./block'
}

walk_on()
{
    n=2
    while test "$n" -le "$(blocks)"; do
        walk "$n" || return
        n=$((n + 1))
    done
}

# How long the reader's part took, in tenths of a second.
now()
{
    cut -d ' ' -f 1 /proc/uptime
}

took()
{
    echo "# $1: $(awk -v a="$2" -v b="$(now)" 'BEGIN { printf "%.1f", b - a }') s"
}

# --- what is to be seen there ----------------------------------------------

units_run()
{
    for part in gateway sidecar; do
        on_machine systemctl is-active "holdfast-$part.socket" \
            "holdfast-$part.service" || return
        on_machine systemctl is-enabled "holdfast-$part.socket" \
            "holdfast-$part.service" || return
    done
}

# Before anybody is in its group.
is_private()
{
    refuses on_machine runuser -u www-data -- cat /var/lib/holdfast/secret &&
        refuses on_machine runuser -u www-data -- ls /var/lib/holdfast &&
        refuses on_machine runuser -u nobody -- cat /etc/holdfast/holdfast.conf &&
        refuses on_machine runuser -u nobody -- curl -m 5 \
            --unix-socket /run/holdfast/sidecar.sock http://localhost/
}

# Also for the account that serves.
checks_are_content()
{
    on_machine holdfast check &&
        on_machine runuser -u holdfast -- holdfast-gateway --check-config &&
        on_machine runuser -u holdfast -- holdfast-sidecar --check-config
}

ask()
{
    beside_machine curl -sS -m 60 "http://localhost/$1"
}

# follow COUNT: stock clients, until they have so many messages
follow()
{
    beside_machine node "$top_srcdir/tests/package/vps.mjs" \
        http://localhost/socket "$1" >client.log 2>&1 &
    client=$!
    within 60 both_have_joined || {
        cat client.log
        return 1
    }
}

both_have_joined()
{
    grep -q '^websocket joined' client.log && grep -q '^longpoll joined' client.log
}

# COUNT messages have come to both, each once, in their order
came()
{
    cat client.log # shown if it fails
    seq 1 "$1" >wanted
    wait "$client" && tail -n 1 client.log | grep -qx all &&
        sed -n 's/^websocket said //p' client.log | diff wanted - &&
        sed -n 's/^longpoll said //p' client.log | diff wanted -
}

first_message()
{
    follow 1 && ask 'say.php?text=1' && came 1
}

# Nothing is fetched from elsewhere: there is no network there.
page_shows_it()
{
    beside_machine node "$top_srcdir/tests/package/page.mjs" http://localhost
}

# The same with another number is a later one to dpkg.
make_upgrade()
{
    dpkg-deb -R "$deb" later &&
        sed -i "s/^Version: .*/Version: $version+1/" later/DEBIAN/control &&
        dpkg-deb -b later "$root/root/later.deb"
}

upgrade()
{
    before=$(on_machine systemctl show -P MainPID holdfast-gateway holdfast-sidecar)
    on_machine apt-get install -y /root/later.deb &&
        after=$(on_machine systemctl show -P MainPID holdfast-gateway holdfast-sidecar) &&
        test "$before" != "$after" && units_run
}

# While PHP publishes, and others look whether somebody answers.
upgrade_under_load()
{
    follow 60 || return
    (
        for n in $(seq 1 60); do
            ask "say.php?text=$n"
            beside_machine curl -sS -m 60 -o /dev/null -w '%{http_code}\n' \
                'http://localhost/socket/longpoll?vsn=2.0.0'
        done
    ) >codes 2>&1 &
    load=$!
    upgrade && wait "$load" && came 60 || return
    sort codes | uniq -c
    test "$(sort -u codes)" = 200
}

# Whoever has moved the journal elsewhere goes on getting upgrades.
upgrade_after_move()
{
    on_machine systemctl stop holdfast-gateway.socket holdfast-gateway \
        holdfast-sidecar.socket holdfast-sidecar lighttpd &&
        on_machine runuser -u holdfast -- \
            holdfast move /var/lib/holdfast/elsewhere &&
        on_machine apt-get install -y --reinstall --allow-downgrades "/root/$deb" &&
        test "$(on_machine dpkg-query -W -f '${db:Status-Status}' holdfast)" = installed &&
        refuses on_machine test -e /var/lib/holdfast/journal.db || return
    on_machine systemctl stop holdfast-gateway.socket holdfast-gateway \
        holdfast-sidecar.socket holdfast-sidecar
    on_machine sh -c 'cd /var/lib/holdfast && rm moved journal.db.moved-* &&
        mv elsewhere/journal.db* . && rm -r elsewhere' &&
        on_machine systemctl restart holdfast-gateway holdfast-sidecar lighttpd
}

remove()
{
    on_machine apt-get remove -y holdfast &&
        refuses on_machine systemctl is-active holdfast-gateway.socket &&
        refuses on_machine test -e /run/holdfast/gateway.sock &&
        test -z "$(on_machine find /proc -maxdepth 1 -user holdfast)" &&
        on_machine test -s /var/lib/holdfast/journal.db &&
        on_machine test -s /etc/holdfast/holdfast.conf &&
        on_machine systemctl restart lighttpd # the site goes on
}

# Its own test, as Debian's machines would run it.
install_again()
{
    rows=$(on_machine sqlite3 /var/lib/holdfast/journal.db \
        'SELECT count(*) FROM messages')
    on_machine apt-get install -y "/root/$deb" &&
        cp "$top_srcdir/debian/tests/first-message" "$root/root" &&
        on_machine env AUTOPKGTEST_TMP=/tmp sh /root/first-message &&
        test "$(on_machine sqlite3 /var/lib/holdfast/journal.db \
            'SELECT count(*) FROM messages')" -eq $((rows + 1))
}

purge()
{
    on_machine apt-get purge -y holdfast &&
        left=$(on_machine find / -xdev -name '*holdfast*' \
            -not -path '/root/*' -not -path '/var/cache/*' \
            -not -path '/var/www/*' -not -path '/var/log/*') &&
        on_machine systemctl restart lighttpd || return
    echo "left: $left"
    test -z "$left"
}

# --- all of it -------------------------------------------------------------

make_server >"$scratch/server.log" 2>&1 &
server=$!

t "debian/changelog names the version of the programs" version_is_that_of_configure
t "the package is built" build_package
t "lintian has nothing to say" lintian_is_content
t "web servers are told what the manual says" recipes_are_those_of_the_manual
t "a Debian 12 with systemd is made" wait "$server"
if ! test -s "$deb" || ! test -x "$root/usr/bin/sqlite3"; then
    tail -n 20 "$scratch/server.log" | sed 's/^/# /'
    finish
fi
begun=$(now)
t "what it is to install is fetched" fetch_packages
took "fetching" "$begun"
if ! may_boot; then
    skip "the package is walked from a blank start" "no cgroup 2 to boot systemd in"
    finish
fi
t "it boots" boot "$root"
begun=$(now)
t "apt installs it, with lighttpd and PHP" walk 1
took "installing, without fetching" "$begun"
t "gateway and side-car run and will at each boot" units_run
t "the journal is private" is_private
begun=$(now)
t "the rest of the guide does as it says" walk_on
took "the rest of the guide" "$begun"
t "check finds no problem there" checks_are_content
t "a row of PHP reaches stock clients over both transports" first_message
t "the page of the guide shows it in Chromium" page_shows_it
t "a later package is there" make_upgrade
t "an upgrade under load: nothing lost, doubled, out of order or refused" \
    upgrade_under_load
t "after the journal was moved away it is upgraded, too" upgrade_after_move
t "removed it leaves the journal, and the site goes on" remove
t "installed again it goes on with that" install_again
t "purged it leaves nothing" purge
halt

finish

#!/bin/sh
# The units of docs/hosts/user, by a systemd --user of their own: for an account
# without rights, in a mount namespace and a control group that go with the test
. "${top_srcdir:?}/tests/lib.sh"

nope()
{
    echo "1..0 # SKIP $1"
    exit 0
}

# With set-user-id programs of the host it could be done by others; it is not.
test "$(id -u)" -eq 0 || nope "only root can start a systemd for another account"
command -v systemd >/dev/null && command -v systemctl >/dev/null &&
    command -v setpriv >/dev/null && command -v unshare >/dev/null ||
    nope "systemd, setpriv or unshare is missing"

home=$scratch/home
mkdir -p "$home/.local/bin" "$home/.config/systemd/user"
chmod 755 "$scratch"
for program in holdfast holdfast-gateway holdfast-sidecar; do
    cp "$(command -v $program)" "$home/.local/bin/"
done
cp "$top_srcdir"/docs/hosts/user/holdfast-* "$home/.config/systemd/user/"
chown -R 65534:65534 "$home"

# as_them COMMAND...
cat >as_them <<END
#!/bin/sh
exec setpriv --reuid=65534 --regid=65534 --clear-groups env -i HOME="$home" \\
    PATH="$home/.local/bin:$PATH" XDG_RUNTIME_DIR=/run/them \\
    ASAN_OPTIONS="${ASAN_OPTIONS-}" "\$@"
END
chmod 755 as_them

# all of it, in namespaces of its own; what is found out goes to "told"
cat >inner <<'END'
mount -t tmpfs tmpfs /run || exit 77
mkdir -p /run/systemd/system && mkdir -m 700 /run/them &&
    chown 65534 /run/them || exit 77
for at in /sys/fs/cgroup /sys/fs/cgroup/systemd /sys/fs/cgroup/unified; do
    test -e "$at/cgroup.procs" && mkdir "$at/$group" 2>/dev/null || continue
    chown -R 65534 "$at/$group" && echo $$ >"$at/$group/cgroup.procs"
done
cd "$home" || exit 77
"$scratch/as_them" systemd --user --log-target=console \
    >"$scratch/manager.log" 2>&1 </dev/null &
manager=$!
c="timeout 60 $scratch/as_them systemctl --user --no-pager"
tries=200
until $c is-system-running 2>/dev/null | grep -qE 'running|degraded'; do
    tries=$((tries - 1))
    test $tries -gt 0 && kill -0 $manager 2>/dev/null || exit 77
    sleep 0.1
done
show() { $c show "$1" -p "$2" --value; }
runs() { test "$(show holdfast-sidecar SubState)" = running; }
soon()
{
    tries=600
    until "$@" || test $tries -eq 0; do
        tries=$((tries - 1))
        sleep 0.05
    done
}
tell() { echo "$1 $2" >>"$scratch/told"; }
h="timeout 60 $scratch/as_them holdfast"
$h init >/dev/null

$c start holdfast-sidecar
tell started "$? $(show holdfast-sidecar StatusText)"
$h sidecar stop 2>/dev/null
tell stop_by_command "$?"
$c stop holdfast-sidecar
tell stopped "$(show holdfast-sidecar ActiveState) $(show holdfast-sidecar Result)"

$c start holdfast-sidecar.socket
tell with_socket "$(show holdfast-sidecar ActiveState)"
timeout 60 "$scratch/as_them" curl -s -o /dev/null \
    --unix-socket holdfast/sidecar.sock http://localhost/socket/websocket
soon runs # it answers a moment before systemd has heard that it does
tell after_client "$(show holdfast-sidecar ActiveState)"

$c start holdfast-gateway
tell gateway "$? $(show holdfast-gateway ActiveState)"
test -S holdfast/gateway.sock && tell gateway_socket yes

$c stop holdfast-gateway holdfast-sidecar.socket holdfast-sidecar
printf '[sidecar]\nlisten = nowhere\n' >>holdfast/holdfast.conf
$c start holdfast-sidecar 2>/dev/null
tell cannot_serve "$?"
$c stop holdfast-sidecar
kill $manager
wait $manager
END

group=holdfast-units.$$
export scratch home group
timeout 300 unshare -m --propagation private sh inner >inner.log 2>&1
code=$?
for at in /sys/fs/cgroup /sys/fs/cgroup/systemd /sys/fs/cgroup/unified; do
    find "$at/$group" -depth -type d -exec rmdir {} \; 2>/dev/null
done
test $code -ne 77 || nope "no systemd --user can be had here"

told() { grep -qxE "$1" told || { cat told inner.log manager.log; false; }; }

t "started, the side-car serves" told 'started 0 serving unix:sidecar.sock'
t "the command leaves it to systemd" told 'stop_by_command 1'
t "stopped, it ends in good order" told 'stopped inactive success'
t "with its socket it waits for somebody" told 'with_socket inactive'
t "who comes is served" told 'after_client active'
t "the gateway says when it can be used" told 'gateway 0 active'
t "by its socket" told 'gateway_socket yes'
t "a side-car that cannot serve is not started" told 'cannot_serve 1'
finish

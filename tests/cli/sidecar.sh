#!/bin/sh
# holdfast sidecar: started and stopped by hand, by cron, by a gateway
. "${top_srcdir:?}/tests/lib.sh"

holdfast init box >/dev/null || exit 99
export HOLDFAST_DIR="$scratch/box"
sed 's/^;drain = 10s/drain = 0/' box/holdfast.conf >conf &&
    cat conf >box/holdfast.conf

parent()
{
    holdfast sidecar status | sed -n 's/^side-car  *process \([0-9]*\).*/\1/p'
}

# to be ended whatever happens
remember()
{
    pids="$pids $(parent)"
}

runs() { holdfast sidecar status >status.out; }
no() { ! "$@"; }

# settings LINE...: those of [sidecar], beside what is there
settings()
{
    cat conf >box/holdfast.conf
    printf '[sidecar]\n' >>box/holdfast.conf
    printf '%s\n' "$@" >>box/holdfast.conf
}

# says PATTERN: the last status does
says() { holdfast sidecar status | grep -qE "$1"; }

# fails SAYING COMMAND...: exit code 1, and that is said
fails()
{
    saying=$1
    shift
    exits 1 "$@" 2>said && grep -q -e "$saying" said && return
    cat said
    false
}

# --- by hand -------------------------------------------------------------

t "at first none runs" exits 1 holdfast sidecar status
t "and nothing keeps one from being started" says '^next start   at any time$'
t "it is started" holdfast sidecar start
remember
first=$(parent)
t "and serves when the command ends" grep -q 'event=serving' box/sidecar.log
t "status says so, and by what" runs
t "its process is named" test -n "$first"
t "a second start does nothing" sh -c \
    'holdfast sidecar start | grep -q "runs already: process $0"' "$first"
t "cron's, too, without a word" sh -c \
    'test -z "$(holdfast sidecar start --cron 2>&1)"'
t "it is still the same" test "$(parent)" = "$first"
t "a restart is another process" holdfast sidecar restart
remember
t "that runs" runs
t "and not the same one" test "$(parent)" != "$first"

kill -9 "$(parent)"
t "killed, it runs no more" within 20 no runs
t "cron waits a little with the next one" sh -c \
    'holdfast sidecar start --cron && ! holdfast sidecar status'
t "which status tells" says '^next start   by hand, or in [0-9]+ s: '
t "a person does not have to wait" holdfast sidecar start
remember
t "it is stopped" holdfast sidecar stop
t "and has ended" exits 1 holdfast sidecar status
t "status says who may start it" says '^next start   by hand: it was stopped'
t "cron leaves it alone" sh -c \
    'holdfast sidecar start --cron && ! holdfast sidecar status'
t "stopping again is no error" holdfast sidecar stop

# --- what does not start -------------------------------------------------

settings 'listen = 127.0.0.1:99999'
t "of one that cannot start the reason is shown" \
    fails 'no address to listen on' holdfast sidecar start
settings "program = $scratch/nothing"
t "a program that is not there is named" \
    fails "$scratch/nothing: No such file" holdfast sidecar start
cp "$(command -v holdfast-sidecar)" copy
chmod 777 copy
settings "program = $scratch/copy"
t "one that anybody may change is not started" \
    fails "chmod go-w $scratch/copy" holdfast sidecar start
chmod 644 copy
t "nor one that cannot be executed" \
    fails "chmod 755 $scratch/copy" holdfast sidecar start
chmod 755 copy
t "another program is taken by its path" holdfast sidecar start
remember
t "and runs" says "^program      $scratch/copy\$"
holdfast sidecar stop >/dev/null

printf '#!/bin/sh\nexit 1\n' >dies
chmod 755 dies
settings "program = $scratch/dies"
t "one that dies at once is an error" \
    fails 'could not start' holdfast sidecar start
t "cron tries it later" sh -c 'test -z "$(holdfast sidecar start --cron 2>&1)"'
t "status says why" says 'in [0-9]+ s: .* 1 in a row'

# --- a service manager's -------------------------------------------------

settings
NOTIFY_SOCKET=$scratch/nobody holdfast-sidecar 2>managed.log &
managed=$!
pids="$pids $managed"
t "one of a service manager is known" within 30 says ', started by a service manager$'
t "and is left to it" fails 'systemctl stop' holdfast sidecar stop
kill "$managed"
wait "$managed"

if test "$(id -u)" -eq 0; then
    holdfast init theirs >/dev/null
    chown -R nobody theirs
    t "root starts none for another account" \
        fails 'sudo -u nobody' holdfast --dir theirs sidecar start
else
    skip "root starts none for another account" "we are not root"
fi

# --- cron's line ---------------------------------------------------------

t "the line is for each minute" sh -c \
    'holdfast sidecar cron | grep -qE "^\* \* \* \* \* .* sidecar start --cron\$"'
odd="$scratch/it's 100% odd"
mkdir "$odd"
holdfast init "$odd/box" >/dev/null
# what cron makes of it: the sixth field on, \% a percent sign, to a shell
holdfast --dir "$odd/box" sidecar cron |
    sed -e 's/^\* \* \* \* \* //' -e 's/\\%/%/g' >line
t "what it says starts one, whatever the path is" sh line
pids="$pids $(cut -d ' ' -f 1 "$odd/box/sidecar.run")"
t "which runs" holdfast --dir "$odd/box" sidecar status
holdfast --dir "$odd/box" sidecar stop >/dev/null

# --- on demand -----------------------------------------------------------

# ask [PATH]: a request to a gateway by CGI, as lighttpd makes it; the answer is
# all when nobody has the other end any more
ask()
{
    env -i PATH="$PATH" ASAN_OPTIONS="${ASAN_OPTIONS-}" REQUEST_METHOD=GET \
        SCRIPT_NAME=/socket PATH_INFO="${1:-/longpoll}" \
        QUERY_STRING=vsn=2.0.0 HTTP_HOST=localhost HTTP_COOKIE=cookie=secret \
        holdfast-gateway --dir box 2>gateway.log | cat
}

reset() { rm -f box/sidecar.start; }

settings
reset
ask >/dev/null
t "without the setting a gateway starts none" no runs
settings 'start = on-demand' 'idle_exit = 1h'
holdfast sidecar stop >/dev/null
ask >/dev/null
t "nor one that was stopped by hand" no runs
reset
ask >answer
t "with it, when a client begins" within 30 runs
remember
t "who has its answer before" grep -q '"status":410' answer
t "the gateway says so" grep -q 'event=sidecar_started' gateway.log
on_demand=$(parent)
t "it has a session of its own" sh -c \
    'test "$(sed "s/.*) //" /proc/$0/stat | cut -d " " -f 4)" != \
          "$(sed "s/.*) //" /proc/$$/stat | cut -d " " -f 4)"' "$on_demand"
t "and nothing of the request" no grep -q secret "/proc/$on_demand/environ"
t "no descriptor either" sh -c \
    'for fd in 0 1 2; do readlink /proc/$0/fd/$fd; done | sort -u |
        tr "\n" " " | grep -qx "/dev/null $1/box/sidecar.log "' \
    "$on_demand" "$scratch"
ask >/dev/null
t "the next client starts no other" test "$(parent)" = "$on_demand"
holdfast sidecar stop >/dev/null

settings 'start = on-demand' 'idle_exit = 1s'
reset
ask /websocket >answer
t "who asks the gateway for a WebSocket gets 404" grep -q 'Status: 404' answer
t "and has one started as well" \
    within 30 grep -q 'event=sidecar_started' gateway.log
t "which ends by itself when nobody comes" \
    within 60 says 'nobody came to the last 1$'
t "and has told why" grep -q 'event=not_needed.*websockets=0' box/sidecar.log
ask >/dev/null
t "the next one is not for the next client" no runs

reset
settings 'start = on-demand' "program = $scratch/dies"
ask >/dev/null
ask >/dev/null
t "where it dies it is not started for each client" says ' 1 in a row$'

# Gateways that are asked at one moment start one together.
reset
settings 'start = on-demand'
for i in 1 2 3 4 5 6 7 8; do
    env -i PATH="$PATH" ASAN_OPTIONS="${ASAN_OPTIONS-}" REQUEST_METHOD=GET \
        SCRIPT_NAME=/socket PATH_INFO=/longpoll QUERY_STRING=vsn=2.0.0 \
        HTTP_HOST=localhost holdfast-gateway --dir box \
        >/dev/null 2>"gateway.$i.log" &
    all="${all-} $!"
done
# shellcheck disable=SC2086 # each is a process
wait $all
t "of eight gateways one starts one" \
    test "$(cat gateway.?.log | grep -c event=sidecar_started)" -eq 1
t "and it runs" within 30 runs
remember
holdfast sidecar stop >/dev/null

# --- words ---------------------------------------------------------------

t "it wants to know what to do" exits 2 holdfast sidecar
t "in words that it knows" exits 2 holdfast sidecar begin
t "one at a time" exits 2 holdfast sidecar start stop
t "--cron is for start" exits 2 holdfast sidecar stop --cron
finish

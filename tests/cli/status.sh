#!/bin/sh
# holdfast status: one fact a line
. "${top_srcdir:?}/tests/lib.sh"

holdfast init box >/dev/null || exit 99
export HOLDFAST_DIR=box

# fact NAME PATTERN: what status says under that name
fact()
{
    holdfast status >status.out
    sed -n "s/^$1  *//p" status.out | grep -qE "$2" && return
    cat status.out
    false
}

t "the journal is named" fact journal "$scratch/box/journal.db$"
t "the head is a cursor" fact head '^j:[A-Za-z0-9_-]{11}\.[0-9]+$'
t "durability is full" fact durability '^full$'
t "the version is told" fact version '^[0-9]+\.[0-9]+\.[0-9]+$'
t "nobody writes" fact writing '^no$'
t "nobody waits" fact waiting '^0$'
t "there is no side-car" fact side-car '^no$'
t "there is no long-poll session" fact sessions '^0$'
t "and no poll is held" fact holding '^0, nobody has asked yet, stock sessions 0$'

cursor=$(holdfast publish room say 1)
t "the head moves with what is published" fact head "^$cursor\$"

holdfast tail room >/dev/null &
tail=$!
pids="$pids $tail"
t "who waits is shown by process id" within 5 fact waiting "^1 process: $tail\$"
kill -9 "$tail"
t "a killed one waits no longer" within 5 fact waiting '^0$'

printf '[sidecar]\nworkers = 2\n' >box/holdfast.conf
holdfast-sidecar 2>sidecar.log &
sidecar=$!
pids="$pids $sidecar"
t "the side-car and its workers are named" within 10 \
    fact side-car "^process $sidecar, workers 2: [0-9]+, [0-9]+\$"
t "each is asked how it is" within 10 fact process \
    '^[0-9]+, side-car [0-9.]+, WebSockets 0, members 0, of these behind 0$'

# What others send to the socket on which they are asked does them nothing.
nonsense()
{
    python3 -c 'import glob, os, socket
def ask(path, question):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.connect(path) # waits for its turn
    s.settimeout(20)
    if question:
        s.send(question)
        s.recv(1 << 17)
    return s
for path in glob.glob("box/ask.*"):
    for question in b"\0" * 8192, b"explain 1 ", b"explain 1\t\t\t\n\n", \
            b"explain 1 0 1 0\t" + b"a" * 8000, *(os.urandom(300) for i in range(50)):
        ask(path, question)
    silent = [ask(path, None) for i in range(8)]'
}
if command -v python3 >/dev/null; then
    t "nonsense is sent to each" nonsense
    t "and it answers as before" within 10 fact process \
        '^[0-9]+, side-car [0-9.]+, WebSockets 0, members 0, of these behind 0$'
else
    skip "nonsense is sent to each" "no python3"
fi
kill "$sidecar"
t "as long as it serves" within 10 fact side-car '^no$'
rm box/holdfast.conf

t "it can be published" fact publishing '^yes$'
t "the log has its bound" fact log '^[0-9]+ of 268435456$'
t "room and ballast are told" fact room '^[0-9]+, ballast 4194304$'

# The sqlite3 shell keeps the transaction while the pipe is open.
mkfifo pipe
sqlite3 box/journal.db <pipe >/dev/null &
foreign=$!
pids="$pids $foreign"
exec 9>pipe
echo "BEGIN IMMEDIATE;" >&9
t "a foreign writer is named" within 5 fact writing \
    "^process $foreign sqlite3, which is not Holdfast's\$"
echo "ROLLBACK; BEGIN; SELECT count(*) FROM messages;" >&9
t "it has let go" within 5 fact writing '^no$'
printf '[journal]\nmax_wal = 1M\n' >box/holdfast.conf
large=$(head -c 60000 /dev/zero | tr '\0' x)
n=0
while holdfast publish room say "\"$large\"" >/dev/null 2>err && [ $n -lt 60 ]
do
    n=$((n + 1))
done
t "a pinned log refuses" grep -q 'above max_wal' err
t "status says so" fact publishing '^no: journal_blocked'
t "and who keeps it" fact log "^[0-9]+ of 1048576, kept by $foreign sqlite3\$"
exec 9>&-
t "it comes back" within 5 holdfast publish room say 1
rm box/holdfast.conf
cursor=$(holdfast publish room say 1)

echo "2026-05-01T10:00:00Z process 1: a test" >box/failed
t "the flag is shown" fact publishing '^no: journal_failed \(2026.*: a test\)'
t "and refuses" sh -c '! holdfast publish room say 1 2>err &&
    grep -q "check --rescue" err'
rm box/failed
mv box/ballast away
t "so is a full disk" fact publishing '^no: journal_full'
mv away box/ballast
truncate -s 2M box/ballast
t "a ballast that is too small, too" fact publishing '^no: journal_full'
t "who publishes makes it larger" holdfast publish room say 1
t "and it goes on" fact publishing '^yes$'
t "with all of it" fact room '^[0-9]+, ballast 4194304$'
cursor=$(holdfast publish room say 1)

if command -v python3 >/dev/null; then
    python3 -c 'import fcntl, os, time
lock = open("box/writers", "r+")
fcntl.lockf(lock, fcntl.LOCK_EX)
lock.write("%-10d\n" % os.getpid())
lock.flush()
time.sleep(30)' &
    pids="$pids $!"
    t "who writes is named" within 5 fact writing "^process $!\$"
else
    skip "who writes is named" "no python3"
fi

t "looking changes nothing" fact head "^$cursor\$"

finish

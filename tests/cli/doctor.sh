#!/bin/sh
# holdfast doctor: what it finds of a host that has the trouble, for real
. "${top_srcdir:?}/tests/lib.sh"

doctor()
{
    holdfast --dir "$box" doctor --json --no-background >found 2>err
    test -s found
}

# shown ID: the finding of that name is in the last answer
shown()
{
    grep -q "\"id\":\"$1\"" found || { cat found err; false; }
}
not_shown()
{
    ! shown "$1" >/dev/null
}

# finds ID: the doctor does, now
finds()
{
    doctor
    shown "$1"
}

box=$scratch/box
holdfast init "$box" >/dev/null || exit 99
holdfast --dir "$box" allow 'room:*' join,publish >/dev/null

t "a good host is looked over" doctor
for id in no-directory directory read-only files network-filesystem no-locks \
    disk-full disk-nearly-full no-inodes ballast journal settings keys noexec \
    nobody-may-join process-limit open-files memory-limit background-killed; do
    t "which has no $id" not_shown $id
done
t "it recommends nothing" grep -q '"changes":\[\]' found
t "it can be read by people, too" sh -c \
    "holdfast --dir '$box' doctor --no-background | grep -q '^ok  *locks'"
t "and says where more is told" sh -c \
    "holdfast --dir nowhere doctor | grep -q 'see:.*TROUBLES.md#directory'"
t "a problem is an exit code" exits 1 holdfast --dir nowhere doctor
t "--json is one line" sh -c \
    "test \$(holdfast --dir '$box' doctor --json --no-background | wc -l) -eq 1"
t "it takes no strange option" exits 2 holdfast doctor --cure

# --- the background process ------------------------------------------------

# background LEVEL WORDS: what it says of background processes
background()
{
    holdfast --dir "$box" doctor --json >found
    grep -q "\"level\":\"$1\",\"subject\":\"background\",\"text\":\"[^\"]*$2" \
        found || { cat found; false; }
}
# its lock names no process, so it is found by its file
survivor()
{
    for fd in /proc/[0-9]*/fd/*; do
        case $(readlink "$fd" 2>/dev/null) in
        "$box/survivor")
            pid=${fd#/proc/}
            echo "${pid%%/*}"
            return
            ;;
        esac
    done
    false
}
t "a process is left behind" background ok "one was started"
t "which the next run finds alive" background ok "lives"
victim=$(survivor) || victim=
pids="$pids $victim"
t "it holds nothing but its file" \
    test "$(ls /proc/"$victim"/fd 2>/dev/null | wc -l)" -eq 1
t "and stands nowhere that anybody wants to unmount" \
    test "$(readlink /proc/"$victim"/cwd)" = /
kill -9 "$victim"
t "that it was ended is found" within 10 background warning "was ended after"
victim=$(survivor) # the one that took its place
pids="$pids $victim"
rm "$box/survivor"
gone()
{
    ! kill -0 "$victim" 2>/dev/null
}
t "it ends with its file" within 30 gone

# --- the settings ------------------------------------------------------------

chmod 755 "$box"
t "a directory that all may enter is found" finds directory
chmod 700 "$box"
echo "[gateway]
hold = 4h" >bad
cp "$box/holdfast.conf" good && cat bad >"$box/holdfast.conf"
t "a wrong setting is found" finds settings
cat good >"$box/holdfast.conf"

# --- cron ----------------------------------------------------------------

no_crontab()
{
    PATH=/nowhere "$top_builddir/holdfast" --dir "$box" doctor --json \
        --no-background >found
    shown no-cron
}
t "a host without crontab is noted" no_crontab

# --- limits --------------------------------------------------------------

few_files()
{
    (ulimit -n 200 && finds open-files)
}
t "a limit of open files is found" few_files

# sanitizers take terabytes of addresses
little_memory()
{
    prlimit --as=60000000 holdfast --dir "$box" doctor --json \
        --no-background >found 2>err
    shown memory-limit
}
if prlimit --as=60000000 holdfast --version >/dev/null 2>&1; then
    t "a limit of memory is found" little_memory
else
    skip "a limit of memory" "this program needs more to begin with"
fi

if test "$(id -u)" -ne 0 || ! command -v prlimit >/dev/null; then
    skip "limits of processes, and file systems" "root is needed"
    finish
fi

# of an account that nothing else has: the limit counts all that it runs
few_processes()
{
    uid=54321
    cp -r "$box" "$scratch/theirs" && chown -R $uid "$scratch/theirs" &&
        chmod 755 "$scratch" "$top_builddir" 2>/dev/null
    cp "$top_builddir/holdfast" "$scratch/holdfast" &&
        prlimit --nproc=20 setpriv --reuid $uid --regid $uid --clear-groups \
            "$scratch/holdfast" --dir "$scratch/theirs" doctor --json \
            --no-background "$@" >found 2>err
    shown process-limit
}
t "a limit of processes is found" few_processes
t "who has no account may have no crontab, which is noted" shown no-cron
t "and fewer held polls are recommended" \
    grep -q '"name":"cgi_max_held","now":"40","to":"9","for":"process-limit"' found
rm -rf "$scratch/theirs"
t "and set, if it is wanted" few_processes --apply
t "beside all that stood there" sh -c \
    "diff '$scratch/theirs/holdfast.conf.before' '$scratch/theirs/holdfast.conf' | grep '^[<>]' |
        grep -qx '> cgi_max_held = 9'"

# --- file systems --------------------------------------------------------

# mounted OPTIONS COMMAND...: the box is on a file system of its own meanwhile
mounted()
{
    options=$1
    shift
    mkdir -p "$scratch/disk"
    unshare -m sh -ec '
        mount --make-rprivate /
        mount -t tmpfs -o "$1" none "$2/disk"
        cp -r "$3" "$2/disk/box"
        shift 3
        "$@"' - "$options" "$scratch" "$box" "$@"
}
doctor_there()
{
    # in the other name space: a new shell
    mounted "$1" sh -c "$2
        holdfast --dir '$scratch/disk/box' doctor --json --no-background \
            >'$scratch/found' 2>err; true" && shown "$3"
}
if ! mounted size=64m true 2>/dev/null; then
    skip "file systems" "nothing may be mounted here"
    finish
fi
t "a read-only file system is found" doctor_there size=64m \
    "mount -o remount,ro '$scratch/disk'" read-only
t "a full disk is found" doctor_there size=16m \
    "head -c 16m /dev/zero >'$scratch/disk/rest' 2>/dev/null || true" disk-full
t "a disk that is nearly full is found" doctor_there size=64m : \
    disk-nearly-full
t "a disk without room for files is found" \
    doctor_there size=64m,nr_inodes=100 : no-inodes
t "a home from which nothing may be started is found" doctor_there \
    size=64m,noexec "export HOME='$scratch/disk'" noexec
t "none of it on a good one" not_shown read-only

# --- asked by the page -----------------------------------------------------

# a crontab that ends whoever starts it, which is the process of the gateway
facts_killed()
{
    mkdir fake
    printf '#!/bin/sh\nkill -9 $PPID\n' >fake/crontab
    chmod 755 fake/crontab
    body=$(holdfast --dir "$box" doctor --page | sed 's/.*?//') || return
    printf %s "$body" |
        env PATH="$scratch/fake:$PATH" REQUEST_METHOD=POST \
            PATH_INFO=/doctor/facts CONTENT_LENGTH=${#body} \
            "$top_builddir/holdfast-gateway" --dir "$box" >found
    grep -q '"no-child-process"' found && grep -q "without an answer" found
}
t "a second process that is killed is told of, and not taken for all well" \
    facts_killed

# --- cron that runs, in a world of its own ---------------------------------

with_cron()
{
    unshare -m -p -f --mount-proc sh -ec '
        mount -t tmpfs none /run
        cron -f & cron=$!
        n=0
        until grep -qx cron /proc/$cron/comm || test $n -gt 200; do
            n=$((n + 1)); sleep 0.05
        done
        holdfast --dir "$1" doctor --json --no-background >"$2" || true
        kill $cron' - "$box" "$scratch/found"
    grep -q "may have a crontab, and cron runs" found && not_shown no-cron
}
if command -v cron >/dev/null; then
    t "one with cron is well" with_cron
else
    skip "one with cron is well" "there is no cron"
fi
finish

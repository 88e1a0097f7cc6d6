#!/bin/sh
# --check-config of gateway and side-car: what they find, and what they say to do
. "${top_srcdir:?}/tests/lib.sh"

gateway()
{
    holdfast-gateway --check-config "$@" >found 2>&1
}

# finds LEVEL SUBJECT WORDS ARGUMENT...: the gateway says so
finds()
{
    line="^$1  *$2 "
    words=$3
    shift 3
    gateway "$@"
    grep "$line" found | grep -qF -e "$words" || { cat found; false; }
}

# problem SUBJECT WORDS ARGUMENT...: and that it cannot serve, by its exit code
problem()
{
    finds problem "$@" && grep -q '^It cannot serve' found &&
        exits 1 holdfast-gateway --check-config "$3" "$4"
}

# conf LINE...: the settings
conf()
{
    printf '%s\n' "$@" >box/holdfast.conf
}

holdfast init box >/dev/null || exit 99

t "a good directory has no problem" gateway --dir box
t "which is the last line" sh -c 'tail -n 1 found | grep -q "^It can serve"'
t "where the directory was said is told" \
    finds ok place "box, said by --dir" --dir box
for subject in directory filesystem files settings keys locks journal space; do
    t "$subject is looked at" finds ok $subject "" --dir box
done
t "that all settings have their defaults is told" \
    finds ok settings "all have their defaults" --dir box
t "the path of requests is told" finds ok path "/socket/longpoll" --dir box
t "without policies nobody may do anything, and how to change that" \
    finds warning policies "allow 'room:*' join,publish" --dir box
holdfast --dir box allow 'room:*' join,publish >/dev/null
t "with one that is well" finds ok policies "1 say" --dir box

# all but the index of the log, which readers share
contents()
{
    for file in box/*; do
        case $file in
        *-shm) echo "$file" ;;
        *) cksum "$file" ;;
        esac
    done
}
contents >before
gateway --dir box
contents >after
t "looking makes no file and changes none" cmp before after

# --- settings ---------------------------------------------------------------

conf '[http]' 'max_body = 1M' '[gateway]' 'hold = 20s'
t "a setting that differs is told with its default" \
    finds ok settings "[http] max_body = 1M (default: 8000000)" --dir box
t "and each of them" \
    finds ok settings "[gateway] hold = 20s (default: 25s)" --dir box
conf '[gateway]' 'max_hold = 3'
t "an unknown name is a problem, with its line and what was meant" \
    problem settings "holdfast.conf:2: unknown name 'max_hold' in [gateway]: did you mean 'max_held'?" \
    --dir box
conf '[gateway]' 'hold = 20'
t "a wrong value is one, with what is right" \
    problem settings "like hold = 25s" --dir box
conf '[hooks]' 'hook_url = http://127.0.0.1:1/hook'
t "an application is named, not asked" \
    finds ok hooks "http://127.0.0.1:1/hook is asked (it was not tried)" \
    --dir box
rm box/hook_secret
t "whose secret must be there" problem hooks "hook_secret" --dir box
holdfast init box >/dev/null
conf

# --- the directory ----------------------------------------------------------

chmod 755 box
t "a directory open to everybody is a problem" \
    problem directory "chmod 700" --dir box
chmod 700 box
chmod 644 box/keys.json
t "keys that everybody can read are one" problem files "keys.json" --dir box
chmod 600 box/keys.json
echo '{' >box/keys.json
t "keys that cannot be read are one" problem keys "keys.json" --dir box
rm box/keys.json
holdfast init box >/dev/null
t "a directory that is not there is one" problem directory "missing" \
    --dir missing
mkdir empty
chmod 700 empty
t "one without a journal is one" problem files "journal.db" --dir empty

# --- where it is ------------------------------------------------------------

t "where nothing says it, what was tried is listed" \
    problem place "HOLDFAST_DIR (not set)" --socket x.sock
t "with what to do" finds problem place 'holdfast init' --socket x.sock
t "HOLDFAST_DIR says it" env HOLDFAST_DIR=box holdfast-gateway --check-config
mkdir cgi-bin
ln -s "$top_builddir/holdfast-gateway" cgi-bin/holdfast.cgi
echo 'dir = ../box' >cgi-bin/.htholdfast
t "a file beside the link does" cgi-bin/holdfast.cgi --check-config
t "and is named" sh -c \
    'cgi-bin/holdfast.cgi --check-config | grep -q "said by .*cgi-bin/.htholdfast"'
printf '#!/bin/sh\n' >cgi-bin/chat.cgi
chmod 755 cgi-bin/chat.cgi
t "and one beside the script that is said to be served" \
    env SCRIPT_FILENAME="$scratch/cgi-bin/chat.cgi" \
    holdfast-gateway --check-config
echo 'dri = ../box' >cgi-bin/.htholdfast
t "what is wrong in it is a problem" exits 1 cgi-bin/holdfast.cgi --check-config
echo 'dir = ../box' >cgi-bin/.htholdfast

# --- the socket -------------------------------------------------------------

t "a socket that is free is well" \
    finds ok socket "x.sock can be made" --dir box --socket x.sock
t "one in no folder is a problem" finds problem socket "none" \
    --dir box --socket none/x.sock
echo >file
t "a file in its place is one" finds problem socket "is not a socket" \
    --dir box --socket file
holdfast-gateway --dir box --socket used.sock 2>/dev/null &
pids="$pids $!"
n=0
until test -S used.sock || test $n -ge 50; do
    n=$((n + 1))
    sleep 0.1
done
t "one that a gateway uses is well" \
    finds ok socket "a gateway listens on used.sock now" \
    --dir box --socket used.sock
t "and the process is named" finds ok processes "holdfast-gate" --dir box

# --- as CGI, and the side-car -----------------------------------------------

cat >cgi-bin/check.cgi <<'END'
#!/bin/sh
printf 'Content-Type: text/plain\n\n'
exec 2>&1 "${0%/*}/holdfast.cgi" --check-config
END
chmod 755 cgi-bin/check.cgi
as_cgi()
{
    env -i PATH="$PATH" HOME="$HOME" REQUEST_METHOD=GET QUERY_STRING= \
        SCRIPT_FILENAME="$scratch/cgi-bin/check.cgi" cgi-bin/check.cgi >page &&
        sed -n 1p page | grep -q '^Content-Type: text/plain' &&
        sed -n '$p' page | grep -q '^It can serve'
}
t "a script of three lines shows it to who has no shell" as_cgi

t "the side-car has it, too" holdfast-sidecar --check-config --dir box
sidecar()
{
    words=$1
    shift
    holdfast-sidecar --check-config --dir box "$@" >found 2>&1
    grep -qF -e "$words" found || { cat found; false; }
}
t "and looks at its own socket" sidecar "box/sidecar.sock can be made"
t "or names its port" sidecar "127.0.0.1:4000 is listened on" \
    --listen 127.0.0.1:4000
t "and finds ~/holdfast" sh -c \
    'holdfast init >/dev/null && holdfast-sidecar --check-config >/dev/null'

t "with a wrong option the exit code is 2" \
    exits 2 holdfast-gateway --check-config --nonsense
finish

#!/bin/sh
# bindist.sh - the tarball of `make bindist`: the same bytes wherever it is built,
# and used as docs/install/ssh.md tells it, word for word, by a fresh account of
# a Debian 11, whose C library is older than what the programs were built with
#
# The host is one of those that people rent: Apache, its users' folders, scripts
# that run as their owner (suEXEC), mod_fcgid, PHP 7.4; no compiler, no library of
# ours. The reader of the page is a Chromium outside.
#
# HOLDFAST_TARBALL: try this one, and build none. HOLDFAST_HOST: a copy of this
# folder is the host, and none is made.
. "${top_srcdir:?}/tests/lib.sh"
. "$top_srcdir/tests/package/root.sh"
needs_root
PATH=$PATH:/usr/sbin:/sbin
unset MAKEFLAGS MFLAGS MAKELEVEL
SOURCE_DATE_EPOCH=$(date +%s)
export SOURCE_DATE_EPOCH
pages=$top_srcdir/docs/install/ssh.md
root=$scratch/bullseye
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])')

# --- both at once: the machine, mostly from the network, and the tarball -------

make_host()
{
    if test -n "${HOLDFAST_HOST-}"; then
        cp -a "$HOLDFAST_HOST" "$root"
        return
    fi
    make_root bullseye "$root" apache2 apache2-suexec-custom \
        libapache2-mod-fcgid php7.4-cli php7.4-sqlite3
}
make_host >"$scratch/host.log" 2>&1 &
host=$!
pids=$host

make_tarball()
{
    tarball=${HOLDFAST_TARBALL-}
    test -z "$tarball" || return 0
    rm -f "$top_builddir"/holdfast-*-linux-*.tar.gz
    make -C "$top_builddir" bindist &&
        tarball=$(echo "$top_builddir"/holdfast-*-linux-*.tar.gz) &&
        test -s "$tarball"
}

# Another folder, another depth, the same two libraries.
make_again()
{
    mkdir -p "$scratch/a/second/time" && (
        cd "$scratch/a/second/time" && "$top_srcdir/configure" -q &&
            BINDIST_LIBS=$top_builddir/bindist/libs make -s bindist
    ) && again=$(echo "$scratch"/a/second/time/holdfast-*-linux-*.tar.gz) &&
        cmp "$tarball" "$again" && return
    mkdir one two # which files are not the same?
    tar -xzf "$tarball" -C one && tar -xzf "$again" -C two && diff -rq one two
    return 1
}

t "make bindist makes a tarball" make_tarball
test -n "${HOLDFAST_TARBALL-}" ||
    t "and the same bytes in another folder" make_again

# --- nothing at all ------------------------------------------------------------

empty=$scratch/empty
unpack()
{
    mkdir -p "$empty/proc" && tar -xzf "$tarball" -C "$empty" --strip-components=2 \
        --wildcards '*/bin/*'
}
# alone COMMAND...: there, with /proc if `proc` is set
proc=
alone()
{
    # shellcheck disable=SC2016 # of the inner shell
    unshare --mount sh -c '
        test -z "$2" || mount -t proc proc "$1/proc" || exit 125
        root=$1
        shift 2
        exec env -i PATH="$PATH" GATEWAY_INTERFACE=CGI/1.1 REQUEST_METHOD=GET \
            PATH_INFO=/longpoll QUERY_STRING=vsn=2.0.0 chroot "$root" "$@"
        ' sh "$empty" "$proc" "$@" </dev/null
}
is_a_poll()
{
    grep -q '"status":410,"token"'
}
t "it unpacks" unpack
without_proc()
{
    alone /holdfast init /journal 2>&1 | grep "/proc is not there"
}
t "in a folder with the programs and nothing else they say what is missing" \
    without_proc
proc=yes
t "and with /proc a journal is made" alone /holdfast init /journal
t "a message is published" alone /holdfast --dir /journal publish room:a word 1
poll_alone()
{
    alone /holdfast-gateway --dir /journal | is_a_poll
}
t "and the gateway answers" poll_alone

# --- the host --------------------------------------------------------------------

wait_for_host()
{
    wait "$host" && return
    tail -n 20 "$scratch/host.log" >&2
    return 1
}

# One namespace for all that happens there; its commands come by a pipe.
start_host()
{
    inside "$root" useradd --create-home --shell /bin/sh me &&
        inside "$root" install -d -o me -g me -m 711 /home/me &&
        inside "$root" install -d -o me -g me -m 755 /home/me/public_html &&
        printf '/home\npublic_html\n' >"$root/etc/apache2/suexec/www-data" &&
        cat >"$root/etc/apache2/sites-enabled/000-default.conf" <<END &&
<VirtualHost *:*>
    DocumentRoot /home/me/public_html
    SuexecUserGroup me me
    <Directory /home/*/public_html>
        AllowOverride FileInfo AuthConfig Options Indexes Limit
        Options SymLinksIfOwnerMatch
        Require all granted
    </Directory>
</VirtualHost>
END
        echo "Listen 127.0.0.1:$port" >"$root/etc/apache2/ports.conf" &&
        inside "$root" a2enmod suexec cgid fcgid &&
        cp "$tarball" "$root/home/me" &&
        mkfifo "$scratch/commands" || return
    inside "$root" sh -c '
        . /etc/apache2/envvars
        mkdir -p "$APACHE_RUN_DIR" "$APACHE_LOCK_DIR" "$APACHE_LOG_DIR"
        apache2 -DFOREGROUND 2>&1 &
        while read -r line; do
            code=0
            su - me -c "sh -e $line" >/tmp/said 2>&1 || code=$?
            echo "$code" >/tmp/code.new
            mv /tmp/code.new /tmp/code
        done' <"$scratch/commands" >"$scratch/apache.log" 2>&1 &
    pids="$pids $!"
    exec 3>"$scratch/commands"
    within 30 curl -s -o /dev/null "http://127.0.0.1:$port/"
}

# as_me FILE: a login of its own for these lines of shell
as_me()
{
    rm -f "$root/tmp/code"
    cp "$1" "$root/tmp/lines" && chmod 644 "$root/tmp/lines" &&
        echo /tmp/lines >&3 && within 60 test -s "$root/tmp/code" || return
    cat "$root/tmp/said"
    test "$(cat "$root/tmp/code")" -eq 0
}

# block N: the lines of shell of the page's Nth block with our mark, in the
# folder and with the variables that the ones before have left
block()
{
    {
        echo 'test ! -e ~/.walk || . ~/.walk'
        awk -v want="$1" '
            /^<!-- test: by tests\/package\/bindist.sh -->$/ { n++; next }
            /^    / { if (n == want) print substr($0, 5); next }
            /./ { if (n == want) exit }
            n == want { print "" }' "$pages"
        echo 'echo "export PATH=$PATH; cd $PWD" >~/.walk'
    } >"$scratch/block"
    as_me "$scratch/block"
}

t "a Debian 11 with Apache is made" wait_for_host
t "and serves its user's folder" start_host

# --- the page, step by step ------------------------------------------------------

ask()
{
    curl -s --max-time 20 "http://127.0.0.1:$port/chat/$1/longpoll?vsn=2.0.0" | is_a_poll
}
sees()
{
    within 30 grep -q "^see: .*$1" "$scratch/reader.log"
}
open_page()
{
    node "$top_srcdir/tests/js/lib/reader.js" "http://127.0.0.1:$port/chat/" \
        "hello from a visitor" >"$scratch/reader.log" 2>&1 &
    pids="$pids $!"
    sees "hello from a visitor" && return
    cat "$scratch/reader.log" >&2
    return 1
}
shows()
{
    block "$1" && sees "$2"
}

begun=$(date +%s)
t "the tarball is unpacked and installed" block 1
t "for the next login, too" block 2
t "a journal is made, and a topic opened" block 3
t "the gateway is put beside the page" block 4
t "and answers as a CGI script of this user" ask holdfast.cgi
t "the page is written" block 5
t "a visitor's message comes back to Chromium" open_page
t "one from the shell is shown" shows 6 "hello from the shell"
t "one from PHP is shown" shows 7 "hello from PHP"
echo "# from the tarball to the third message: $(($(date +%s) - begun)) s"

# --- the rest of what a host offers ------------------------------------------------

lines()
{
    cat >"$scratch/lines"
    as_me "$scratch/lines"
}
by_fcgid()
{
    lines <<'END' && ask holdfast.fcgi
cd ~/public_html/chat
cp ~/.local/bin/holdfast-gateway holdfast.fcgi
cat ~/.local/share/doc/holdfast/docs/hosts/htaccess-fcgid >>.htaccess
END
}
# A channel is joined over a WebSocket; the side-car is on its socket.
greet_sidecar()
{
    lines <<'END' || return
~/.local/bin/holdfast-sidecar >~/sidecar.log 2>&1 &
END
    within 30 test -S "$root/home/me/holdfast/sidecar.sock" &&
        timeout 60 python3 "$top_srcdir/tests/package/hello.py" \
            "$root/home/me/holdfast/sidecar.sock"
}
t "mod_fcgid runs it, too" by_fcgid
t "the side-car answers on a WebSocket" greet_sidecar

# Modules that the host names for names of hosts are of its C library, not of
# ours: this one ends whoever loads it.
fatal_module()
{
    echo '__attribute__((constructor)) static void f(void) { __builtin_trap(); }' |
        cc -x c -shared -nostdlib -o \
            "$root/lib/x86_64-linux-gnu/libnss_fatal.so.2" - &&
        sed -i 's/^hosts:.*/hosts: fatal files dns/' "$root/etc/nsswitch.conf"
}

# An application asked by https, whose certificate is signed by an authority that
# this host believes; then by one that it does not.
authorities=$root/etc/ssl/certs/ca-certificates.crt
start_application()
{
    openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem \
        -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost &&
        fatal_module && mkdir -p "$root/etc/ssl/certs" && cp cert.pem "$authorities" || return
    python3 "$top_srcdir/tests/package/application.py" cert.pem key.pem \
        >"$scratch/application" &
    pids="$pids $!"
    within 30 test -s "$scratch/application" && lines <<END
printf '[hooks]\nhook_url = https://localhost:%s/\nhook_events = connect\n' \
    "$(cat "$scratch/application")" >>~/holdfast/holdfast.conf
END
}
t "an application of the host's is asked by https" start_application
t "and lets the visitor in" ask holdfast.cgi
refused()
{
    : >"$authorities"
    curl -s "http://127.0.0.1:$port/chat/holdfast.cgi/longpoll?vsn=2.0.0" |
        grep -q '"status":500'
}
t "but not with a certificate that nobody knows" refused

# --- and away with it --------------------------------------------------------------

nothing_left()
{
    block 9 && left=$(find "$root/home/me/.local" -type f) && test -z "$left" &&
        test -s "$root/home/me/holdfast/journal.db"
}
t "the gateway beside the page is replaced while it runs" block 8
t "uninstalled, nothing but the journal is left" nothing_left

exec 3>&-
finish

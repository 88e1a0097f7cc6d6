#!/bin/sh
# docs/hosts/logrotate.conf: logs are turned while a program writes them
. "${top_srcdir:?}/tests/lib.sh"

PATH=$PATH:/usr/sbin:/sbin
if ! command -v logrotate >/dev/null; then
    echo "1..0 # SKIP no logrotate"
    exit 0
fi

holdfast init box >/dev/null || exit 99
mkdir -m 700 logs
sed "s|^/var/log/holdfast|$scratch/logs|; s/size 10M/size 1/" \
    "$top_srcdir/docs/hosts/logrotate.conf" >logrotate.conf
chmod 600 logrotate.conf
holdfast-sidecar --dir box 2>>logs/sidecar.log &
sidecar=$!
pids="$pids $sidecar"

t "it is logged" within 10 grep -q event=serving logs/sidecar.log
t "the log is turned" logrotate -s "$scratch/state" logrotate.conf
t "what was there is kept" grep -q event=serving logs/sidecar.log.1
t "the log begins anew" test ! -s logs/sidecar.log
kill "$sidecar"
t "what comes then stands in the new one" within 20 \
    grep -q event=leaving logs/sidecar.log
t "from its beginning" sh -c 'head -c 3 logs/sidecar.log | grep -q ts='

finish

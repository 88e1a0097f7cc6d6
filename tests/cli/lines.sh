#!/bin/sh
# holdfast publish, reading lines of JSON
. "${top_srcdir:?}/tests/lib.sh"

holdfast init box >/dev/null || exit 99
export HOLDFAST_DIR=box

kept()
{
    holdfast tail --once "$1" | sed 's/.*"payload":\(.*\)}$/\1/' >kept.out
    printf '%s' "$2" | diff - kept.out
}

# stops LINE WORDS: publishing `in` fails, and the message names line and why
stops()
{
    holdfast publish <in >stops.out 2>stops.err
    test $? -eq 1 && grep -q "line $1 " stops.err &&
        grep -qF -e "$2" stops.err && return
    cat stops.err
    false
}

count()
{
    test "$(wc -l <"$2")" -eq "$1"
}

cat >in <<'X'
{"topic":"a","event":"say","payload":{"n": 1}}

{"payload":[2],"event":"say","topic":"a"}
{"topic":"b","event":"s\u00e4gen","payload":"drei","key":"k","publisher":"p"}
X
t "publish reads lines from standard input" sh -c 'holdfast publish <in >out'
t "and prints a cursor for each" count 3 out
t "each went to its topic" kept a '{"n": 1}
[2]
'
t "escapes in names are undone" sh -c \
    'holdfast tail --once b | grep -q "\"event\":\"sägen\""'
t "a lone dash means standard input, too" \
    sh -c 'holdfast publish - <in >again'
t "a key works in a line" test "$(tail -n 1 out)" = "$(tail -n 1 again)"
t "a line without publisher gets that of the command" sh -c \
    'sed "s/,.publisher.:.p.//" in | holdfast publish --publisher p >again'
t "so its key means the same message" \
    test "$(tail -n 1 out)" = "$(tail -n 1 again)"
printf '{"topic":"c","event":"e","payload":1}' >in
t "the last line needs no line end" sh -c 'holdfast publish <in >out'
t "and was published" kept c '1
'
t "nothing to publish is no error" holdfast publish </dev/null

good='{"topic":"d","event":"e","payload":1}'
for bad in \
    '{"topic":"d","event":"e"}|needed' \
    '{"topic":"d","event":"e","payload":}|JSON' \
    'hello|JSON' \
    '[1]|object' \
    '{"topic":7,"event":"e","payload":1}|topic' \
    '{"topic":"d","event":"e","payload":1,"keey":"x"}|"keey"' \
    '{"topic":"d","event":"e","payload":1,"key":"x"}|publisher' \
    '{"topic":"d","event":"e","payload":1,"key":""}|key' \
    '{"topic":"d","event":"phx_join","payload":1}|phx_' \
    '{"topic":"","event":"e","payload":1}|topic'; do
    printf '%s\n' "$good" "$good" "${bad%|*}" "$good" >in
    t "stops at ${bad%|*}" stops 3 "${bad##*|}"
    t "with the lines before it published" count 2 stops.out
done
printf '%s\n{"topic":"d","event":"e","payload":"\377"}\n' "$good" >in
t "stops at what is not UTF-8" stops 2 "UTF-8"
{ echo "$good"; printf '{"topic":"d","event":"e","payload":"'
  head -c 70000 /dev/zero | tr '\0' x; echo '"}'; } >in
t "stops at a payload beyond the limit" stops 2 "max_payload"
{ echo "$good"; head -c 300000 /dev/zero | tr '\0' x; } >in
t "stops at a line without end" stops 2 "longer"
t "stops reading one that never ends" sh -c \
    'yes x | tr -d "\n" | timeout 20 holdfast publish; test $? -eq 1'

# 2,000 lines: several groups, in order
awk 'BEGIN { for (i = 1; i <= 2000; i++)
    printf "{\"topic\":\"many\",\"event\":\"e\",\"payload\":%d}\n", i }' >in
t "many lines go through" sh -c 'holdfast publish <in >out'
t "with as many cursors" count 2000 out
t "which rise" sh -c 'sed "s/.*\.//" out | sort -nuc'
seq 2000 >want
t "and keep their order" sh -c \
    'holdfast tail --once many | sed "s/.*:\(.*\)}/\1/" | cmp - want'

# A line is published when it is there, not when the next one comes.
mkfifo pipe
holdfast publish <pipe >slow.out &
pids="$pids $!"
exec 3>pipe
echo "$good" >&3
t "a line does not wait for the next one" within 5 test -s slow.out
exec 3>&-

# A topic copied: what tail prints, publish takes.
holdfast init copy >/dev/null
t "tail can be piped into publish" sh -c \
    'holdfast tail --once many | holdfast --dir copy publish >out'
t "and nothing is lost" count 2000 out

holdfast publish <in >/dev/full 2>err
t "a full disk is not success" test $? -eq 1

finish

#!/bin/sh
# holdfast token and disconnect: tokens are made and looked at, keys come and go
. "${top_srcdir:?}/tests/lib.sh"

holdfast init box >/dev/null || exit 99
export HOLDFAST_DIR=box

# inspects PATTERN ARGUMENTS...: what --inspect says of a token made with them
inspects()
{
    wanted=$1
    shift
    token=$(holdfast token "$@") || return 1
    holdfast token --inspect "$token" >inspected || { cat inspected; return 1; }
    grep -q -e "$wanted" inspected || { cat inspected; return 1; }
}

# invalid PATTERN TOKEN: --inspect says it in these words
invalid()
{
    holdfast token --inspect "$2" >inspected && return 1
    grep -q -e "^not valid: $1" inspected || { cat inspected; return 1; }
}

# keys ALGORITHMS: those that --list-keys has, in this order
keys()
{
    test "$(holdfast token --list-keys | awk '{ printf "%s ", $1 }')" = "$1"
}

private()
{
    test "$(stat -c %a box/keys.json)" = 600
}

first=$(holdfast token --list-keys | awk '{ print $3 }')

t "init makes one key" keys "HS256 "
t "and keeps it private" private
t "a token is valid at once" inspects "^valid$"
# a second may pass between the two commands
t "and ends after an hour" inspects '^expires.*(+\(3600\|3599\) s)$'
t "or when it is told" inspects '^expires.*(+\(5400\|5399\) s)$' --ttl 90m
t "it names its user" inspects "^sub *alice$" --sub alice
t "also one with quotes and signs" inspects '^sub *a"ü$' --sub 'a"ü'
t "it names topics and rights" inspects '^topic *"room:\*" \["join","publish"\]$' \
    --topic 'room:*=publish,join' --topic 'x=join'
t "the last = divides" inspects '^topic *"a=b" \["join"\]$' --topic 'a=b=join'
t "it names its key" inspects "^kid *$first$"
t "standard input is looked at, too" sh -c \
    'holdfast token | holdfast token --inspect - | grep -q ^valid$'

token=$(holdfast token --sub alice --ttl 1s)
t "a changed token is not valid" invalid "its signature is wrong" "${token%????}AAAA"
t "a word is not" invalid "it is not three parts" word
t "without a key it is not" invalid "its kid names no key" \
    "eyJhbGciOiJIUzI1NiIsImtpZCI6Im5vbmUifQ.e30.AAAA"
t "nor unsigned" invalid "its alg is not that of its key" \
    "eyJhbGciOiJub25lIn0.eyJleHAiOjk5OTk5OTk5OTl9."
sleep 1
t "nor when its time is over" invalid "it has expired" "$token"
t "which still says whose it was" grep -q "^sub *alice$" inspected

for alg in EdDSA ES256 rs256; do
    t "a key for $alg is made" holdfast token --add-key "$alg"
    t "which signs from then on" inspects "^valid$"
done
t "the newest is first" keys "RS256 ES256 EdDSA HS256 "
t "all stay private" private
t "an older one signs when asked" inspects "^kid *$first$" --kid "$first"
t "a key may be named" holdfast token --add-key HS256 --kid mine
t "but not twice" exits 1 holdfast token --add-key HS256 --kid mine
token=$(holdfast token)
t "a key goes" holdfast token --remove-key mine
t "and its tokens with it" invalid "its kid names no key" "$token"
t "one in the middle goes" holdfast token --remove-key \
    "$(holdfast token --list-keys | awk '/EdDSA/ { print $3 }')"
t "the last one goes" holdfast token --remove-key "$first"
t "the others stay" keys "RS256 ES256 "
t "what is not there does not go" exits 1 holdfast token --remove-key "$first"

# says WORDS COMMAND...: it fails and says so
says()
{
    wanted=$1
    shift
    exits 1 "$@" 2>said || return 1
    grep -qF -e "$wanted" said || { cat said; return 1; }
}

# file TEXT: keys.json as an operator may have written it
file()
{
    (umask 077 && printf '%s' "$1" >box/keys.json)
}

file '{"keys":[{"kty":"oct","kid":"a","k":"c2hvcnQ"}]}'
t "a short secret is refused, and which" says 'key 1 (kid "a"): its secret' \
    holdfast token
file '{"keys":[]}'
t "without a key there is no token" says "make one: holdfast token --add-key" \
    holdfast token
t "a key can be put into an empty set" holdfast token --add-key HS256
t "and signs" inspects "^valid$"
file '{"keys": [], "note": "kept"}'
holdfast token --add-key HS256 >/dev/null
t "what else is in the file stays" grep -q '"note": "kept"' box/keys.json
t "an option too many is refused" exits 2 holdfast token --list-keys --sub a
t "two things at once, too" exits 2 holdfast token --list-keys --inspect x
t "no rights are none" exits 2 holdfast token --topic x=none
t "no pattern is none" exits 2 holdfast token --topic 'a*b=join'
t "no time is none" exits 2 holdfast token --ttl soon
t "no algorithm is none" exits 2 holdfast token --add-key none

chmod 644 box/keys.json
t "a file that others can read is refused" says "can be read or changed by others" \
    holdfast token

t "disconnect writes its row" holdfast disconnect alice
t "for the user's topic" test "$(holdfast tail --once user_socket:alice | wc -l)" = 1
t "of somebody" exits 2 holdfast disconnect
t "and not of nobody" exits 2 holdfast disconnect ''

finish

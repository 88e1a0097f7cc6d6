#!/bin/sh
# Command lines that are right and wrong: help, versions, exit codes
. "${top_srcdir:?}/tests/lib.sh"

says()
{
    words=$1
    shift
    "$@" >said 2>&1
    grep -qF -e "$words" said
}

# helped COMMAND: its help is on standard output and says how it is used
helped()
{
    holdfast "$1" --help >help.out 2>help.err &&
        grep -q "^Usage: holdfast $1" help.out && ! test -s help.err &&
        test "$(awk 'length > 80' help.out)" = ""
}

# wrong COMMAND...: exit code 2, nothing on standard output, a hint at --help
wrong()
{
    holdfast "$@" >wrong.out 2>wrong.err </dev/null
    test $? -eq 2 && ! test -s wrong.out && grep -q -e '--help' wrong.err
}

t "--version says a version" says "holdfast 0." holdfast --version
t "--help lists the commands" says "publish" holdfast --help
t "-h is --help" says "Usage: holdfast" holdfast -h
for command in init allow publish tail history status backup \
    restore check prune redact; do
    t "$command --help explains it" helped "$command"
done

t "no command is a usage error" wrong
t "an unknown command is a usage error" wrong pubish a b 1
t "and is named" says "'pubish'" holdfast pubish a b 1
t "an unknown option is a usage error" wrong publish --frob a b 1
t "and is named, too" says "'--frob'" holdfast publish --frob a b 1
t "an unknown letter is a usage error" wrong tail -x room
t "and is named as well" says "'-x'" holdfast tail -x room
t "an unknown global option is a usage error" wrong --frob
t "an option without its value is a usage error" wrong publish --key
t "and says so" says "needs a value" holdfast publish --key
t "an empty --dir is a usage error" wrong --dir "" status

t "init of nothing" wrong init ""
t "init of two directories" wrong init a b
t "allow without rights" wrong allow 'room:*'
t "allow with one word too many" wrong allow 'room:*' join now
t "allow with an unknown right" wrong allow 'room:*' join,shout
t "allow with a star in the middle" wrong allow 'room:*:x' join
t "allow with an echo that is neither on nor off" \
    wrong allow --echo loud 'room:*' join
t "publish without a payload" wrong publish room say
t "publish of what is not JSON" wrong publish room say hello
t "publish with a key of nobody" wrong publish --key k room say 1
t "publish with an empty key" wrong publish --key "" --publisher p room say 1
t "a key for many lines" wrong publish --key k --publisher p
t "tail without a topic" wrong tail
t "tail of an empty topic" wrong tail ""
t "tail since what is no cursor" wrong tail --since 12 room
t "status with an operand" wrong status room

t "where there is no journal the exit code is 1" \
    exits 1 holdfast --dir missing status
t "and the directory is named" says "missing" holdfast --dir missing status
t "without --dir it says how to name one" says "HOLDFAST_DIR" holdfast status

holdfast init box >/dev/null
t "--dir may stand before the command" holdfast --dir box status
t "--dir may stand behind the command" holdfast status --dir box
t "HOLDFAST_DIR names it" env HOLDFAST_DIR=box holdfast status
t "--dir goes before HOLDFAST_DIR" \
    env HOLDFAST_DIR=missing holdfast --dir box status
cd box || exit 99
t "else it is the current directory" holdfast status
cd .. || exit 99
t "which must hold a journal" says "no journal in it" holdfast status

in_the_home()
{
    holdfast status | grep -qF "$HOME/holdfast"
}

t "init without a directory makes ~/holdfast" \
    says "made $HOME/holdfast" holdfast init
t "which is found where nothing names another" in_the_home
t "a tilde that no shell has seen is the home" \
    holdfast '--dir=~/holdfast' status
t "init makes what HOLDFAST_DIR names" \
    env HOLDFAST_DIR=named holdfast init
t "and finds it" env HOLDFAST_DIR=named holdfast status
cd box || exit 99
t "the current directory goes before ~/holdfast" \
    says "$scratch/box" holdfast status
cd .. || exit 99

t "a full disk is not success" \
    exits 1 sh -c 'holdfast --dir box status >/dev/full'
t "an operand that begins with a dash goes behind --" \
    holdfast --dir box publish room say -- -1

finish

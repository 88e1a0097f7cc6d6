#!/bin/sh
# holdfast allow: policies come and go
. "${top_srcdir:?}/tests/lib.sh"

holdfast init box >/dev/null || exit 99
export HOLDFAST_DIR=box

# policies TEXT: what status lists, one policy a line
policies()
{
    holdfast status | sed -n 's/^policy *//p' >policies.out
    printf '%s' "$1" | diff - policies.out
}

t "at first nothing is allowed" policies ""
t "allow sets a policy" holdfast allow 'room:*' join,publish
t "which status shows" policies "room:*  join,publish  echo on
"
t "allow replaces it" holdfast allow --echo off 'room:*' presence,join
t "by the new one" policies "room:*  join,presence  echo off
"
t "a topic may be exact" holdfast allow lobby join
t "and both stand" policies "lobby  join  echo on
room:*  join,presence  echo off
"
t "none removes one" holdfast allow 'room:*' none
t "and only that one" policies "lobby  join  echo on
"
t "removing what is not there is no error" holdfast allow 'x:*' none
t "a topic may have a rate" holdfast allow --rate 5 'slow:*' join
t "which status shows" policies "lobby  join  echo on
slow:*  join  echo on  rate 5
"
t "a rate is a number" exits 2 holdfast allow --rate fast 'slow:*' join
t "of bounded size" exits 2 holdfast allow --rate 1001 'slow:*' join
t "a star alone is everything" holdfast allow '*' join

finish

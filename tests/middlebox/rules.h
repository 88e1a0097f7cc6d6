/*
 * rules.h - what the middlebox does to which requests
 *
 * There are three kinds of requests, and one rule for each. A command sets the
 * rule of the kinds it names, else of those that the mode is about:
 *
 *     MODE[=NUMBER] [upgrade|get|post|all]...
 *
 *     mode           for            meaning
 *     pass           all            as it is
 *     refuse=403     upgrade        answered with this HTTP status, at once
 *     status=502     all            the same: a storm of errors of a web server
 *     portal         all            answered with HTML and HTTP 200, as in a hotel
 *     reset          upgrade        the connection is reset
 *     hang           upgrade        no answer ever; the server sees nothing
 *     swallow        post           the same
 *     lose           post           the server answers, the client sees a reset
 *     strip          upgrade        without its Upgrade: a plain GET
 *     http10         all            passed on and answered as HTTP/1.0, so is an
 *                                   upgrade, which thereby is none any more
 *     mute           upgrade        after the 101 nothing passes, either way
 *     mute-up        upgrade        ... from the client
 *     mute-down      upgrade        ... from the server
 *     cut=1000       upgrade        reset so many ms after the 101, busy or not
 *     delay=1000     all            each byte, each way, so many ms later
 *     double         get            sent twice; the answer to one is passed on
 *     truncate=10    get            after so many bytes of the body it ends
 *
 * mute, mute-up, mute-down, cut and delay concern open WebSockets, too; the
 * others those who come later. Who was muted stays so, as a connection whose
 * entry a router has lost.
 */
#ifndef MIDDLEBOX_RULES_H
#define MIDDLEBOX_RULES_H

#include "base/err.h"
#include "base/str.h"

enum kind {
    KIND_UPGRADE, /* of a WebSocket */
    KIND_GET,     /* and all that is none of the others */
    KIND_POST,
    KINDS
};

enum mode {
    MODE_PASS,
    MODE_STATUS,
    MODE_PORTAL,
    MODE_RESET,
    MODE_HANG,
    MODE_LOSE,
    MODE_STRIP,
    MODE_HTTP10,
    MODE_MUTE,
    MODE_MUTE_UP,
    MODE_MUTE_DOWN,
    MODE_CUT,
    MODE_DELAY,
    MODE_DOUBLE,
    MODE_TRUNCATE
};

struct rule {
    enum mode mode;
    unsigned number; /* HTTP status, ms, or bytes; 0 where there is none */
};

/* Zeroed: all passes. */
struct rules {
    struct rule of[KINDS];
};

/* Kinds that a command names, as bits: 1 << KIND_GET. */
#define KINDS_ALL ((1u << KINDS) - 1)

/* Words that are kinds, or nothing, which is `none`. 0; HF_EINVAL with *why. */
int kinds_read(struct hf_str words, unsigned none, unsigned *out,
               struct hf_why *why);

/* Carry out one command. 0; HF_EINVAL with *why, and no rule is changed. */
int rules_read(struct rules *rules, struct hf_str command, struct hf_why *why);

#endif

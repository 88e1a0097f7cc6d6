/*
 * front.h - the doctor from outside: what is between a client and the gateway
 *
 * Asks the gateway's own questions (gateway/probe.h) through whatever is in
 * front of it, measures, and lets the gateway judge: the same as its page does,
 * but with as many requests at once as are wanted, which no browser does.
 */
#ifndef HF_CLI_FRONT_H
#define HF_CLI_FRONT_H

#include "channel/report.h"

/* A hold that is longer than any of ours: what cuts it, cuts those as well. */
#define HF_FRONT_HOLD_MS 37000

struct hf_front_wish {
    char socket[1024]; /* "https://example.com/socket" */
    char key[64];      /* the owner's (channel/ownership.h) */
    long long hold_ms; /* longest hold that is tried */
    unsigned parallel; /* requests at once; 0: not tried */
    bool insecure;     /* take any certificate */
    bool apply;        /* what is recommended, there */
    /* A word about what happens now. */
    void (*progress)(const char *what);
};

/* Read a URL of the socket or of its page, which may have the key behind it.
 * False: it is none. */
bool hf_front_read_url(struct hf_front_wish *wish, const char *url);

/* 0, with the answers of the gateway in *report, or what stands in the way;
 * HF_ENOTFOUND, HF_EDENIED, HF_EIO, HF_ENOMEM with *why: nothing could be
 * asked. */
int hf_front_ask(const struct hf_front_wish *wish, struct hf_report *report,
                 struct hf_why *why);

#endif

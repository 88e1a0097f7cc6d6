/*
 * front.h - what lies between a browser and the gateway, and what follows of it
 *
 * Measured from outside, by the doctor's page or by `holdfast doctor URL`, with
 * the gateway's help (gateway/probe.h), and sent to the gateway as one JSON
 * object, each member of which may be missing:
 *
 *     {"page": "https://example.com",     the site as the visitor sees it
 *      "echo": {...},                     what the gateway saw of a request
 *      "holds": [{"ms": 12000, "took": 6003, "status": 504}, ...],
 *      "trickle": {"first": 10, "last": 3010},   ms until parts of an answer
 *      "parallel": {"ms": 4000, "asked": 20, "ok": 12, "refused": 508,
 *                   "slowest": 4100},
 *      "body": {"bytes": 140000, "status": 200},
 *      "websocket": {"result": "opened" | "refused" | "hung", "status": 426},
 *      "clock": 1790000000000}            the visitor's, ms since 1970
 *
 * The gateway adds what it knows, judges, and answers with a report.
 */
#ifndef HF_CHANNEL_FRONT_H
#define HF_CHANNEL_FRONT_H

#include "channel/process.h"
#include "channel/report.h"

#define HF_FRONT_HOLDS 8u
#define HF_FRONT_TEXT  200u
#define HF_FRONT_MAX   8192u /* bytes of the JSON */

struct hf_front_hold {
    long long ms, took_ms, status; /* status 0: no answer */
};

enum hf_front_upgrade {
    HF_UPGRADE_UNKNOWN,
    HF_UPGRADE_OPENED,
    HF_UPGRADE_REFUSED,
    HF_UPGRADE_HUNG,
};

struct hf_front {
    /* the gateway's own words */
    enum hf_served served;
    char software[HF_FRONT_TEXT];
    bool sidecar; /* one runs */
    /* the visitor's */
    char page[HF_FRONT_TEXT];
    bool echoed;
    bool authorization, auth_token, query; /* arrived */
    bool host_differs, scheme_differs, origin_refused;
    char host[HF_FRONT_TEXT]; /* as the gateway saw it */
    struct hf_front_hold holds[HF_FRONT_HOLDS];
    size_t holds_count;
    bool trickled;
    long long first_ms, last_ms;
    long long parallel_ms, asked, ok, refused, slowest_ms;
    long long body_bytes, body_status;
    enum hf_front_upgrade upgrade;
    long long upgrade_status;
    long long clock_ms; /* 0: not said */
};

/* Adds what the text says; what is missing or of another type is passed over.
 * 0, HF_EMALFORMED, HF_ELIMIT. */
int hf_front_read(struct hf_front *front, struct hf_str json);

void hf_front_judge(const struct hf_front *front,
                    const struct hf_settings *settings,
                    struct hf_report *report);

#endif

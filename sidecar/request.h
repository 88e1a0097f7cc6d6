/*
 * request.h - judge the one HTTP request of a connection
 *
 * In the order of specification section 5.1: what is asked for, the method and
 * headers, who connects and from which page, and only then whether it can be
 * upgraded at all. An application with a `connect` hook is asked in between,
 * and the request waits (ASKING).
 *
 *                +------------- ASKING --------------+
 *                |                 |                 |
 *     NEW -------+-> ADMITTED <----+----> REFUSED <--+-- or FAILED
 *
 * What may be asked for is <mount>/websocket, and the path of the echo, which
 * anybody may connect to (echo.h); everything else is 404. Knows no HTTP
 * library: http.c does.
 */
#ifndef HF_SIDECAR_REQUEST_H
#define HF_SIDECAR_REQUEST_H

#include "channel/connecting.h"
#include "channel/process.h"
#include "schema/settings.h"
#include "sidecar/counters.h"
#include "sidecar/handshake.h"
#include "sidecar/listen.h"

/* What requests are judged by. */
struct hf_rules {
    const struct hf_settings *settings; /* borrowed, as is the process */
    struct hf_process *process;         /* whose keys and hooks are asked */
    char path[HF_SETTINGS_TEXT + sizeof("/websocket")];
    const char *echo; /* another path; NULL = there is no echo */
};

void hf_rules_init(struct hf_rules *rules, const struct hf_settings *settings,
                   struct hf_process *process);

/* One that has come, until it is answered. */
struct hf_request {
    struct hf_client client; /* once ADMITTED: who connects */
    enum {
        HF_REQUEST_NEW,
        HF_REQUEST_ASKING,
        HF_REQUEST_ADMITTED,
        HF_REQUEST_REFUSED,
        HF_REQUEST_FAILED,
    } state;
    struct hf_connecting connecting;
    /* After ASKING, never within hf_request_judge: call judge again. */
    void (*answered)(struct hf_request *request);
    bool echo;                /* of what it sends, not channels */
    char *uri;                /* as it came */
    enum hf_counter checking; /* counted when it is refused now; private */
};

/* Zeroed but for `answered`. 0 or HF_ENOMEM. */
int hf_request_init(struct hf_request *request, const char *uri);
/* Accepts the zeroed struct. */
void hf_request_release(struct hf_request *request);

/* What a request says of itself; all borrowed. */
struct hf_asked {
    const struct hf_listener *through; /* how it came */
    struct hf_str peer; /* of whom: its address; empty = not known */
    bool believed;      /* what it says of its client (door.h) */
    const struct hf_handshake *handshake;
    struct hf_str method;
    struct hf_str version; /* "HTTP/1.1" */
};

/* With status 0 and state ASKING: wait for `answered`. Else with status 0:
 * upgrade it. */
struct hf_refusal hf_request_judge(struct hf_request *request,
                                   const struct hf_rules *rules,
                                   const struct hf_asked *asked);

/* Nobody will answer it any more: it has FAILED. */
void hf_request_give_up(struct hf_request *request);

#endif

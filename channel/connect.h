/*
 * connect.h - may this client connect, and with which serializer?
 *
 * The checks both transports make before anything exists for a client, in the
 * order of specification sections 2.2-2.5: version, host and origin.
 */
#ifndef HF_CHANNEL_CONNECT_H
#define HF_CHANNEL_CONNECT_H

#include "channel/client.h"
#include "channel/origin.h"

struct hf_hello {
    struct hf_str query; /* raw, without '?' */
    struct hf_origin_request from;
    struct hf_str peer; /* address, for limits and the log */
};

/* 0 with *out filled; HF_EDENIED: answer 403 (WebSocket: HTTP 403 with empty
 * body; long-poll: HTTP 200 {"status":403}). */
int hf_connect_check(const struct hf_settings *settings,
                     const struct hf_hello *hello, struct hf_client *out);

#endif

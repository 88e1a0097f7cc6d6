/*
 * service.h - what is spoken over a socket, once it is upgraded
 *
 * The calls of channel/link.h as a table, so that sockets (ws_conn.h) need not
 * know who answers: the channels, or an echo for conformance tests (echo.h).
 * What they owe each other is said there.
 */
#ifndef HF_SIDECAR_SERVICE_H
#define HF_SIDECAR_SERVICE_H

#include "channel/link.h"

struct hf_service {
    int (*open)(struct hf_hub *hub, struct hf_link *link,
                const struct hf_client *client, void **out_session);
    int (*receive)(void *session, struct hf_str message, bool binary);
    bool (*is_full)(void *session); /* or NULL: never */
    size_t (*take)(void *session, struct hf_msg **out, size_t max,
                   size_t max_bytes);
    void (*expect)(void *session); /* or NULL */
    bool (*has_presence)(const void *session);
    void (*give_up)(void *session);
    void (*detach)(void *session);
    /* All that was received is answered before more is read, and before the
     * goodbye to a peer that says one or breaks the rules. For a service that
     * speaks only when spoken to: others might never come to an end. */
    bool in_turn;
};

extern const struct hf_service hf_service_channels;

#endif

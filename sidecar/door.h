/*
 * door.h - whom we let in: who it is that comes, and whether there is room
 *
 * Twice somebody may be turned away, before any work is done for it:
 *
 *     accepted      by the address of its connection; answered 429 and closed
 *                   without its request being read (by TLS: closed)
 *     request read  when a proxy sent it, by the address of the proxy's client
 *
 * A proxy is believed (D21) on a Unix socket, which nobody else reaches, or if
 * it says `proxy_secret` in X-Holdfast-Proxy. It adds to X-Forwarded-For by
 * whom it was asked, so what stands rightmost is true; what stands left of it
 * the client may have written itself. Where further proxies of ours stand in
 * front of it (the setting `proxies`) their addresses are passed over: whom the
 * leftmost of them names is the client. Nobody else's word counts.
 */
#ifndef HF_SIDECAR_DOOR_H
#define HF_SIDECAR_DOOR_H

#include "schema/settings.h"
#include "sidecar/accept.h"
#include "sidecar/handshake.h"
#include "sidecar/visitors.h"

struct hf_door {
    struct hf_visitors visitors;
    const struct hf_settings *settings; /* borrowed */
    struct hf_network proxies[HF_SETTINGS_LIST];
};

/* Who comes by a connection. */
struct hf_caller {
    struct hf_address address;  /* its own, or of whom a proxy speaks for */
    bool believed;              /* what it says of its client */
    struct hf_visitor *visitor; /* of visitors.h; NULL: not counted */
};

void hf_door_init(struct hf_door *door, const struct hf_settings *settings);
/* No caller lasts. Accepts the zeroed struct. */
void hf_door_release(struct hf_door *door);

/* Somebody was accepted. True: *out is filled, and its visitor is to be told
 * when it leaves. False: turned away, the descriptor is closed. */
bool hf_door_open(struct hf_door *door, const struct hf_guest *guest,
                  struct hf_caller *out);

/* Its request is there: if it is a proxy's, the caller becomes the client. With
 * a refusal: that one is not let in. */
struct hf_refusal hf_door_ask(struct hf_door *door,
                              const struct hf_listener *through,
                              const struct hf_handshake *handshake,
                              struct hf_caller *caller);

#endif

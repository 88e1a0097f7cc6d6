/*
 * handshake.h - is this request a WebSocket handshake? (RFC 6455 section 4.2)
 *
 * Fed with headers as they come, then asked. The HTTP library lets through
 * much that must not be answered with a 101 (doubled headers, HTTP/1.0,
 * `Connection: close`, bodies), so everything is judged here.
 */
#ifndef HF_SIDECAR_HANDSHAKE_H
#define HF_SIDECAR_HANDSHAKE_H

#include "base/str.h"

#define HF_ACCEPT_LEN 28u /* base64 of a SHA-1 */

#define HF_FORWARDED_MAX 4u /* lines; proxies that add one each are few */

/* Zeroed before the first header. The texts are borrowed. */
struct hf_handshake {
    struct hf_str host;
    struct hf_str origin;
    struct hf_str sec_fetch_site;
    struct hf_str key;
    struct hf_str authorization;
    /* What a proxy says, for who believes it: X-Forwarded-Proto, and the last
     * lines of X-Forwarded-For, in their order; those that are not there are
     * empty. */
    struct hf_str forwarded_proto;
    struct hf_str forwarded_for[HF_FORWARDED_MAX];
    struct hf_str proxy;  /* X-Holdfast-Proxy: that it is one of ours */
    struct hf_str bearer; /* of the subprotocol with a token, still encoded */
    unsigned hosts;       /* how often each came; once is right */
    unsigned origins;
    unsigned sec_fetch_sites;
    unsigned keys;
    unsigned authorizations;
    unsigned proxies;
    unsigned bearers;
    unsigned versions;
    bool version_13;
    bool upgrade_websocket;  /* in the list of Upgrade */
    bool connection_upgrade; /* in the list of Connection */
    bool phoenix;            /* the client offers the subprotocol */
    bool foreign;            /* and others, beside a token */
    bool body;
};

/* Take one header; names are compared without case. */
void hf_handshake_header(struct hf_handshake *handshake, struct hf_str name,
                         struct hf_str value);

struct hf_refusal {
    int status;         /* of HTTP; 0 = nothing to refuse */
    const char *text;   /* the body: one line naming what is wrong, or empty */
    bool names_version; /* the answer must name the version we speak */
    unsigned retry_s;   /* when to come back; 0: it would be the same again */
};

/* What comes before asking who connects (specification section 5.1): the
 * method, and headers of which only one can be meant. */
struct hf_refusal hf_handshake_request(const struct hf_handshake *handshake,
                                       struct hf_str method);

/* Does it offer subprotocols, and ours is not among them? Refused with 403
 * (specification 2.4). */
bool hf_handshake_foreign(const struct hf_handshake *handshake);

/* What comes after it: may this be upgraded? `version` is "HTTP/1.1". */
struct hf_refusal hf_handshake_upgrade(const struct hf_handshake *handshake,
                                       struct hf_str version);

/* Sec-WebSocket-Accept for a key that passed, terminated. 0 or HF_ENOMEM. */
int hf_handshake_accept(const struct hf_handshake *handshake,
                        char out[HF_ACCEPT_LEN + 1]);

#endif

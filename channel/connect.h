/*
 * connect.h - may this client connect, and with which serializer?
 *
 * The checks both transports make before anything exists for a client, in the
 * order of specification sections 2.2-2.5: version, host and origin, then the
 * token, if it gives one (D10). Where a token may stand, first to last:
 *
 *     1. phoenix.js' authToken: a subprotocol, or X-Phoenix-AuthToken
 *     2. Authorization: Bearer TOKEN
 *     3. the connect parameter access_token
 *     4. the connect parameter apikey, but only if it is a valid token of ours:
 *        Supabase's clients always send one, whatever it is
 *
 * The first that is there counts, and when it is not valid the client is
 * refused: only who gives none is anonymous. With `tokens = application` the
 * first three are the application's to judge, and whoever cannot be read at
 * all is refused.
 */
#ifndef HF_CHANNEL_CONNECT_H
#define HF_CHANNEL_CONNECT_H

#include "base/jwt.h"
#include "channel/client.h"
#include "channel/keys.h"
#include "channel/origin.h"

struct hf_hello {
    struct hf_str query; /* raw, without '?' */
    struct hf_origin_request from;
    struct hf_str peer;          /* address, for limits and the log */
    struct hf_str auth_token;    /* of phoenix.js, decoded; empty = absent */
    bool auth_token_bad;         /* it is there, and cannot be decoded */
    struct hf_str authorization; /* the header; empty = absent */
};

/* 0 with *out filled; HF_EDENIED: answer 403 (WebSocket: HTTP 403 with empty
 * body; long-poll: HTTP 200 {"status":403}). */
int hf_connect_check(const struct hf_settings *settings,
                     const struct hf_hello *hello, struct hf_client *out);

/* Who is it? Fills the client's identity, whose reference is the caller's to
 * release, or leaves it anonymous. 0; HF_EDENIED: as above; HF_ENOMEM. */
int hf_connect_identify(const struct hf_settings *settings,
                        struct hf_keys *keys, const struct hf_hello *hello,
                        struct hf_client *client);

/* The token as it was given, for the application: empty when there is none, or
 * when tokens are not the application's. `room` may be what holds it. */
struct hf_str hf_connect_token(const struct hf_settings *settings,
                               const struct hf_hello *hello,
                               char room[HF_JWT_MAX]);

/* A token that came on a later request of phoenix.js: those of the connection's
 * own user are taken in place of an older one. True with a new reference. */
bool hf_connect_fresher(struct hf_keys *keys, const struct hf_hello *hello,
                        const struct hf_client *client,
                        struct hf_identity **out);

#endif

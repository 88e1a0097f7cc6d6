/*
 * client.h - who a connection is: what was found out when it came
 *
 * Filled by hf_connect_check and hf_connect_identify. A WebSocket keeps it for
 * its life; a long-poll client says its version again with every request, and
 * its identity is kept with its session (owner.h).
 */
#ifndef HF_CHANNEL_CLIENT_H
#define HF_CHANNEL_CLIENT_H

#include "channel/identity.h"

/* The serializer it speaks (specification 2.2, 3). */
enum hf_vsn { HF_VSN_1 = 1, HF_VSN_2 = 2 };

/* Characters of what a client_id is known by (presence.h). */
#define HF_OWNER_LEN 22u

struct hf_client {
    enum hf_vsn vsn;
    bool owned; /* it gave a client_id */
    char owner[HF_OWNER_LEN];
    struct hf_str user;           /* the identity's; empty = nobody known */
    struct hf_identity *identity; /* a reference; NULL = anonymous */
};

/* Take a reference over in place of the one it has. */
static inline void hf_client_set(struct hf_client *client,
                                 struct hf_identity *identity)
{
    hf_identity_unref(client->identity);
    client->identity = identity;
    client->user = identity ? identity->user : (struct hf_str){NULL, 0};
}

/* A copy with a reference of its own. */
static inline struct hf_client hf_client_copy(const struct hf_client *client)
{
    struct hf_client copy = *client;

    (void)hf_identity_ref(copy.identity);
    return copy;
}

/* Accepts the zeroed struct. */
static inline void hf_client_release(struct hf_client *client)
{
    hf_client_set(client, NULL);
}

#endif

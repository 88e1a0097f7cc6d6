/*
 * client.h - who a connection is: what was found out when it came
 *
 * Filled by hf_connect_check and hf_connect_identify. A WebSocket keeps it for
 * its life; a long-poll client says its version again with every request, and
 * its identity is kept with its session (owner.h).
 */
#ifndef HF_CHANNEL_CLIENT_H
#define HF_CHANNEL_CLIENT_H

#include <stdlib.h>

#include "base/err.h"
#include "channel/identity.h"

/* The serializer it speaks (specification 2.2, 3). */
enum hf_vsn { HF_VSN_1 = 1, HF_VSN_2 = 2 };

/* Characters of what a client_id is known by (presence.h). */
#define HF_OWNER_LEN 22u

/* Text that is shared and never changed; on the loop's thread. */
struct hf_shared {
    uint32_t refs;
    size_t len;
    char text[];
};

static inline struct hf_shared *hf_shared_new(struct hf_str text)
{
    struct hf_shared *kept = malloc(sizeof(*kept) + text.len);

    if (!kept)
        return NULL;
    kept->refs = 1;
    kept->len = text.len;
    if (text.len > 0)
        memcpy(kept->text, text.at, text.len);
    return kept;
}

static inline void hf_shared_unref(struct hf_shared *kept)
{
    if (kept && --kept->refs == 0)
        free(kept);
}

struct hf_client {
    enum hf_vsn vsn;
    /* The application was asked to let it in, when asked_at was the journal's
     * head: a `disconnect` behind it is for this client, too. */
    bool asked;
    bool owned; /* it gave a client_id */
    char owner[HF_OWNER_LEN];
    struct hf_str user;           /* the identity's; empty = nobody known */
    struct hf_identity *identity; /* a reference; NULL = anonymous */
    struct hf_shared *params;     /* for hooks, a JSON object; NULL = none */
    uint64_t asked_at;
};

static inline struct hf_str hf_client_params(const struct hf_client *client)
{
    return client->params ? hf_str(client->params->text, client->params->len)
                          : hf_str(NULL, 0);
}

/* The claim `topics` of its token; empty = none. */
static inline struct hf_str hf_client_topics(const struct hf_client *client)
{
    return client->identity ? client->identity->topics : hf_str(NULL, 0);
}

/* Copied. 0 or HF_ENOMEM. */
static inline int hf_client_set_params(struct hf_client *client,
                                       struct hf_str params)
{
    struct hf_shared *kept = hf_shared_new(params);

    if (!kept)
        return HF_ENOMEM;
    hf_shared_unref(client->params);
    client->params = kept;
    return 0;
}

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
    if (copy.params)
        copy.params->refs++;
    return copy;
}

/* Accepts the zeroed struct. */
static inline void hf_client_release(struct hf_client *client)
{
    hf_client_set(client, NULL);
    hf_shared_unref(client->params);
    client->params = NULL;
}

#endif

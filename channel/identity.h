/*
 * identity.h - who a client has shown to be, and what that allows it (D10)
 *
 * Made from a verified token (or by the application's answer to `connect`),
 * never changed, and shared by all that needs it. What it allows comes on top
 * of the policies, which are for everybody; its patterns add up, too. NULL is
 * an anonymous visitor.
 */
#ifndef HF_CHANNEL_IDENTITY_H
#define HF_CHANNEL_IDENTITY_H

#include <stdint.h>

#include "base/jwk.h"
#include "base/str.h"

#define HF_USER_MAX 128u /* bytes */

#define HF_NEVER INT64_MAX

struct hf_identity {
    uint32_t refs;        /* loop's thread only */
    struct hf_str user;   /* `sub`; empty when the token has none */
    struct hf_str topics; /* the claim as JSON text; empty = none */
    int64_t expires_ms;   /* wall clock; HF_NEVER */
    /* private */
    size_t count;
    struct hf_claim *claims;
    char text[];
};

/* `user`: at most HF_USER_MAX bytes without control characters; `topics`: a
 * JSON object of patterns and lists of rights, or empty. A pattern that can
 * match nothing and a right unknown to this version give nothing. With one
 * reference. 0; HF_EINVAL; HF_ENOMEM. */
int hf_identity_new(struct hf_str user, struct hf_str topics,
                    int64_t expires_ms, struct hf_identity **out);

/* From a token in compact form. 0; HF_EEXPIRED; HF_EDENIED; HF_ENOMEM; *out_why
 * then says what is wrong, as a static text. */
int hf_identity_of_token(const struct hf_jwks *keys, struct hf_str token,
                         int64_t now_ms, struct hf_identity **out,
                         const char **out_why);

struct hf_identity *hf_identity_ref(struct hf_identity *identity);
void hf_identity_unref(struct hf_identity *identity); /* NULL: nothing */

/* HF_RIGHT_* on a legal topic; 0 for NULL, or when it has expired. */
unsigned hf_identity_rights(const struct hf_identity *identity,
                            struct hf_str topic, int64_t now_ms);

/* The topic whose `disconnect` rows end this user's connections; empty when
 * there is no user. */
#define HF_USER_TOPIC_MAX (sizeof("user_socket:") - 1 + HF_USER_MAX)
struct hf_str hf_user_topic(struct hf_str user, char room[HF_USER_TOPIC_MAX]);

#endif

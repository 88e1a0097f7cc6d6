/*
 * jwt.h - signed tokens in compact form (RFC 7515, 7519), verified and made
 *
 * The key decides the algorithm; the header must agree, and is believed in
 * nothing else: no keys, addresses or certificates are taken from it. `exp` is
 * required. Refused are `crit` of any kind, a member named twice anywhere,
 * blanks, padding and the other alphabet in the three parts.
 *
 * Which key: the one that `kid` names. Without `kid`, the only key of the set
 * that is for the header's algorithm; where there are several, none.
 */
#ifndef HF_BASE_JWT_H
#define HF_BASE_JWT_H

#include <stdint.h>

#include "base/json.h"
#include "base/jwk.h"

#define HF_JWT_MAX 4096u /* bytes of the compact form */

/* How far another machine's clock may be ahead, for nbf and iat. */
#define HF_JWT_SKEW_S 60

enum hf_jwt_state {
    HF_JWT_VALID,
    HF_JWT_LONG,      /* more than HF_JWT_MAX */
    HF_JWT_FORM,      /* not three parts of base64url */
    HF_JWT_HEADER,    /* not a JSON object, or a member stands twice */
    HF_JWT_CRITICAL,  /* crit */
    HF_JWT_KEY,       /* kid is none of ours */
    HF_JWT_KEYS,      /* no kid, and not exactly one key could be meant */
    HF_JWT_ALGORITHM, /* alg is not the key's */
    HF_JWT_SIGNATURE,
    HF_JWT_CLAIMS,    /* not a JSON object, or a member stands twice */
    HF_JWT_NO_EXPIRY, /* exp is absent or no date */
    HF_JWT_EXPIRED,
    HF_JWT_EARLY, /* nbf or iat is no date, or in the future */
    HF_JWT_MEMORY,
};

/* One line, no final dot. */
const char *hf_jwt_why(enum hf_jwt_state state);

struct hf_jwt {
    const struct hf_jwk *key; /* NULL when none was found */
    struct hf_json header;    /* slices of `text`; valid as far as it came */
    struct hf_json claims;    /* never before the signature was right */
    int64_t expires_s;        /* exp, rounded down */
    char text[HF_JWT_MAX];    /* header and claims, decoded */
};

/* `now_s`: seconds since 1970. Looks at the signature before the claims. */
enum hf_jwt_state hf_jwt_verify(struct hf_jwt *jwt, struct hf_str compact,
                                const struct hf_jwks *keys, int64_t now_s);

/* Does it look like one: three parts of its alphabet, the first one a JSON
 * object? For telling tokens from other words. */
bool hf_jwt_shaped(struct hf_str compact);

/* Append the compact form of claims (a JSON object). 0, HF_EINVAL: the key
 * cannot sign, HF_ENOMEM, HF_ELIMIT. */
int hf_jwt_make(const struct hf_jwk *key, struct hf_str claims,
                struct hf_buf *out);

#endif

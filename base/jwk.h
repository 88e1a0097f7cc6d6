/*
 * jwk.h - keys that sign and verify tokens: a JWK set (RFC 7517)
 *
 * Four kinds, and each key is good for one algorithm only, whatever a token
 * says (RFC 8725 section 3.1):
 *
 *     kty oct               HS256   32 to 512 bytes (RFC 7518 section 3.2)
 *     kty OKP, crv Ed25519  EdDSA   (RFC 8037)
 *     kty EC, crv P-256     ES256
 *     kty RSA               RS256   2048 to 8192 bits
 *
 * Public keys verify; with their private part (`d`) they sign too. A set with
 * one bad key is refused as a whole, in words that name the key.
 */
#ifndef HF_BASE_JWK_H
#define HF_BASE_JWK_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#define HF_JWKS_MAX       (64u * 1024u) /* bytes of a set */
#define HF_JWKS_KEYS      64u
#define HF_JWK_ID_MAX     128u /* bytes of a kid */
#define HF_JWK_SECRET_MIN 32u
#define HF_JWK_SECRET_MAX 512u

enum hf_jwk_alg { HF_JWK_HS256, HF_JWK_EDDSA, HF_JWK_ES256, HF_JWK_RS256 };

/* "HS256" and so on. */
const char *hf_jwk_alg_name(enum hf_jwk_alg alg);
/* By that name, in any case; EdDSA also as "Ed25519" (RFC 9864). HF_EINVAL. */
int hf_jwk_alg_of(struct hf_str name, enum hf_jwk_alg *out);

struct hf_jwk {
    enum hf_jwk_alg alg;
    bool can_sign;
    size_t id_len; /* of id, the key's kid; 0 = it has none */
    char id[HF_JWK_ID_MAX];
    size_t secret_len; /* HS256 */
    unsigned char secret[HF_JWK_SECRET_MAX];
    void *pkey; /* the others: OpenSSL's EVP_PKEY */
};

static inline struct hf_str hf_jwk_id(const struct hf_jwk *key)
{
    return hf_str(key->id, key->id_len);
}

struct hf_jwks {
    size_t count;
    struct hf_jwk *keys; /* in the order of the text */
};

/* Read {"keys":[...]}. 0; HF_EMALFORMED, HF_ELIMIT with *why: what is wrong
 * with which key; HF_EIO: no libcrypto, which all but HS256 need; HF_ENOMEM. */
int hf_jwks_read(struct hf_str text, struct hf_jwks *out, struct hf_why *why);
/* Wipes the secrets. Accepts the zeroed struct. */
void hf_jwks_release(struct hf_jwks *set);

/* The key of that kid, or NULL. */
const struct hf_jwk *hf_jwks_find(const struct hf_jwks *set, struct hf_str id);

/* A name for a new key: today and four random letters, "2024-05-31-kq3x".
 * 0 or HF_EIO. */
#define HF_JWK_NAME_MAX 16u
int hf_jwk_name(char out[HF_JWK_NAME_MAX]);

/* Append a fresh key as one JSON object, with its private part and `id` as its
 * kid. 0, HF_ENOMEM, HF_EIO: no random bytes, or no libcrypto. */
int hf_jwk_make(enum hf_jwk_alg alg, struct hf_str id, struct hf_buf *out);

/* --- for jwt.c ----------------------------------------------------------- */

#define HF_JWK_SIGNATURE_MAX 1024u /* RSA with 8192 bits */

/* 0, HF_EINVAL: it has no private part, HF_ENOMEM. */
int hf_jwk_sign(const struct hf_jwk *key, struct hf_str data,
                unsigned char out[HF_JWK_SIGNATURE_MAX], size_t *out_len);
bool hf_jwk_verify(const struct hf_jwk *key, struct hf_str data,
                   struct hf_str signature);

#endif

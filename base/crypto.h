/*
 * crypto.h - random bytes, hashes, HMAC, base64
 *
 * Random bytes are the kernel's, SHA-256 is sha256.h, SHA-1 is OpenSSL's.
 */
#ifndef HF_BASE_CRYPTO_H
#define HF_BASE_CRYPTO_H

#include <stdint.h>

#include "base/err.h"
#include "base/sha256.h"
#include "base/str.h"

#define HF_SHA1_LEN 20u

/* 0 or HF_EIO: no random bytes to be had. */
int hf_random(void *out, size_t len);

/* 0, HF_ENOMEM; HF_EIO: no libcrypto, which hf_sha1_prepare loads where somebody
 * reads why that fails. */
int hf_sha1_prepare(struct hf_why *why);
int hf_sha1(struct hf_str data, unsigned char out[HF_SHA1_LEN]);
void hf_sha256(struct hf_str data, unsigned char out[HF_SHA256_LEN]);
/* RFC 2104, with keys of any length. */
void hf_hmac_sha256(struct hf_str key, struct hf_str data,
                    unsigned char out[HF_SHA256_LEN]);
/* The same for who uses one key again and again: what comes of the key alone is
 * two blocks of five for a short text. As secret as the key. */
struct hf_hmac_key {
    struct hf_sha256 inner, outer;
};
void hf_hmac_key(struct hf_hmac_key *out, struct hf_str key);
void hf_hmac(const struct hf_hmac_key *key, struct hf_str data,
             unsigned char out[HF_SHA256_LEN]);

/* Same bytes? Takes as long whatever the answer. */
bool hf_equal_secret(struct hf_str a, struct hf_str b);

/* Room for the encoding of n bytes, without a terminator. */
#define HF_BASE64_LEN(n)    (((n) + 2u) / 3u * 4u)
#define HF_BASE64URL_LEN(n) (((n)*4u + 2u) / 3u)

/* Standard alphabet with padding (RFC 4648 section 4); returns the length. */
size_t hf_base64(struct hf_str data, char *out);
/* URL alphabet without padding (section 5); returns the length. */
size_t hf_base64url(struct hf_str data, char *out);
/*
 * Decode either alphabet, padding optional, blanks not allowed, unused bits
 * zero. out has room for text.len / 4 * 3 + 3 bytes. 0 or HF_EMALFORMED.
 */
int hf_base64_decode(struct hf_str text, unsigned char *out, size_t *out_len);
/* The same, but the URL alphabet without padding only, as JOSE wants it: one
 * text for one content. */
int hf_base64url_decode(struct hf_str text, unsigned char *out,
                        size_t *out_len);

#endif

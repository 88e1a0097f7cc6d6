/*
 * crypto.h - thin wraps of OpenSSL 3: random bytes, SHA-1, HMAC, base64
 */
#ifndef HF_BASE_CRYPTO_H
#define HF_BASE_CRYPTO_H

#include <stdint.h>

#include "base/str.h"

#define HF_SHA1_LEN   20u
#define HF_SHA256_LEN 32u

/* 0 or HF_EIO: no random bytes to be had. */
int hf_random(void *out, size_t len);

/* 0 or HF_ENOMEM. */
int hf_sha1(struct hf_str data, unsigned char out[HF_SHA1_LEN]);
int hf_hmac_sha256(struct hf_str key, struct hf_str data,
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

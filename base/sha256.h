/*
 * sha256.h - SHA-256 (FIPS 180-4), for what every request needs
 *
 * Our own, and the only hash that is: libcrypto costs each process that loads
 * it 0.4 MB and a millisecond, and a host of plain CGI starts one for every
 * request, to check one HMAC over 100 bytes (bench/RESULTS.md). No branch and
 * no address depends on the data. OpenSSL's is its oracle in tests.
 */
#ifndef HF_BASE_SHA256_H
#define HF_BASE_SHA256_H

#include <stdint.h>

#include "base/str.h"

#define HF_SHA256_LEN   32u
#define HF_SHA256_BLOCK 64u

struct hf_sha256 {
    uint32_t state[8];
    uint64_t len;                         /* bytes so far; fewer than 2^61 */
    unsigned char block[HF_SHA256_BLOCK]; /* the len % 64 that wait */
};

void hf_sha256_init(struct hf_sha256 *sha);
void hf_sha256_add(struct hf_sha256 *sha, struct hf_str bytes);
/* Wipes *sha. */
void hf_sha256_end(struct hf_sha256 *sha, unsigned char out[HF_SHA256_LEN]);

#endif

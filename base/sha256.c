#include "base/sha256.h"

#include <string.h>

/* The first 32 bits of the fractional parts of the cube roots of the first 64
 * primes (section 4.2.2). */
static const uint32_t k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1,
    0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
    0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
    0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
    0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
    0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
    0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
    0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
    0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t turn(uint32_t x, unsigned n)
{
    return x >> n | x << (32 - n);
}

static uint32_t read_word(const unsigned char *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 |
           (uint32_t)at[2] << 8 | at[3];
}

static void write_word(unsigned char *at, uint32_t x)
{
    at[0] = (unsigned char)(x >> 24);
    at[1] = (unsigned char)(x >> 16);
    at[2] = (unsigned char)(x >> 8);
    at[3] = (unsigned char)x;
}

/* The message schedule (section 6.2.2, step 1). */
static void schedule(uint32_t w[64], const unsigned char *block)
{
    unsigned t;

    for (t = 0; t < 16; t++)
        w[t] = read_word(block + 4 * (size_t)t);
    for (; t < 64; t++) {
        uint32_t a = w[t - 15], b = w[t - 2];

        w[t] = (turn(b, 17) ^ turn(b, 19) ^ b >> 10) + w[t - 7] +
               (turn(a, 7) ^ turn(a, 18) ^ a >> 3) + w[t - 16];
    }
}

static void take_block(uint32_t state[8], const unsigned char *block)
{
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
    uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
    uint32_t w[64], t1, t2;
    unsigned t;

    schedule(w, block);
    for (t = 0; t < 64; t++) {
        t1 = h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) +
             ((e & f) ^ (~e & g)) + k[t] + w[t];
        t2 = (turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) +
             ((a & b) ^ (a & c) ^ (b & c));
        h = g;
        g = f;
        f = e;
        e = d + t1;
        d = c;
        c = b;
        b = a;
        a = t1 + t2;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
    state[5] += f;
    state[6] += g;
    state[7] += h;
    explicit_bzero(w, sizeof(w)); /* of an HMAC it has the key */
}

void hf_sha256_init(struct hf_sha256 *sha)
{
    /* Of the square roots of the first 8 primes (section 5.3.3). */
    *sha = (struct hf_sha256){.state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372,
                                        0xa54ff53a, 0x510e527f, 0x9b05688c,
                                        0x1f83d9ab, 0x5be0cd19}};
}

void hf_sha256_add(struct hf_sha256 *sha, struct hf_str bytes)
{
    while (bytes.len > 0) {
        size_t held = sha->len % HF_SHA256_BLOCK;
        size_t some = HF_SHA256_BLOCK - held;

        if (some > bytes.len)
            some = bytes.len;
        memcpy(sha->block + held, bytes.at, some);
        sha->len += some;
        bytes = hf_str_from(bytes, some);
        if (held + some == HF_SHA256_BLOCK)
            take_block(sha->state, sha->block);
    }
}

/* A one bit, zeros, and the length in bits end the last block (5.1.1). */
void hf_sha256_end(struct hf_sha256 *sha, unsigned char out[HF_SHA256_LEN])
{
    static const char padding[HF_SHA256_BLOCK] = {(char)0x80};
    uint64_t bits = sha->len * 8;
    size_t held = sha->len % HF_SHA256_BLOCK;
    unsigned char len[8];
    unsigned n;

    write_word(len, (uint32_t)(bits >> 32));
    write_word(len + 4, (uint32_t)bits);
    hf_sha256_add(sha, hf_str(padding, (held < 56 ? 56 : 120) - held));
    hf_sha256_add(sha, hf_str((const char *)len, sizeof(len)));
    for (n = 0; n < 8; n++)
        write_word(out + 4 * (size_t)n, sha->state[n]);
    explicit_bzero(sha, sizeof(*sha));
}

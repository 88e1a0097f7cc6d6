#include "channel/token.h"

#include "base/crypto.h"
#include "base/err.h"

/*
 * Bytes, integers big-endian:
 *
 *      0   1  version
 *      1   1  flags: bit 0 joined, 1 owned, 2 expired, 3 empty, the others 0
 *      2  22  session
 *     24   8  epoch
 *     32   8  cursor
 *     40   8  replay
 *     48   8  replay_at
 *     56   8  states
 *     64   4  replies
 *     68   4  mount
 *     72   8  birth_ms
 *     80   8  expiry_ms
 *     88   1  zero
 *     89  16  HMAC-SHA-256 of the bytes before, its first half
 *
 * 105 is a multiple of 3, so every bit of the 140 characters counts, and a text
 * with another last character is another token.
 */
#define VERSION      2u
#define FLAG_JOINED  1u
#define FLAG_OWNED   2u
#define FLAG_EXPIRED 4u
#define FLAG_EMPTY   8u
#define FLAGS        (FLAG_JOINED | FLAG_OWNED | FLAG_EXPIRED | FLAG_EMPTY)
#define SIGNED_LEN   89u
#define MAC_LEN      16u
#define BYTES_LEN    (SIGNED_LEN + MAC_LEN)
#define TEXT_LEN     HF_BASE64URL_LEN(BYTES_LEN)

_Static_assert(BYTES_LEN % 3 == 0, "no spare bits in the text");
_Static_assert(TEXT_LEN <= HF_TOKEN_MAX, "a token fits");

static unsigned char *put_be(unsigned char *at, uint64_t n, unsigned len)
{
    unsigned i;

    for (i = 0; i < len; i++)
        at[i] = (unsigned char)(n >> (8 * (len - 1 - i)));
    return at + len;
}

static uint64_t take_be(const unsigned char **at, unsigned len)
{
    uint64_t n = 0;

    while (len-- > 0)
        n = n << 8 | *(*at)++;
    return n;
}

static struct hf_str bytes_str(const unsigned char *bytes, size_t len)
{
    return hf_str((const char *)bytes, len);
}

static unsigned flags_of(const struct hf_token *token)
{
    return (token->joined ? FLAG_JOINED : 0) | (token->owned ? FLAG_OWNED : 0) |
           (token->expired ? FLAG_EXPIRED : 0) |
           (token->empty ? FLAG_EMPTY : 0);
}

size_t hf_token_format(const struct hf_token *token,
                       const struct hf_hmac_key *key, char out[HF_TOKEN_MAX])
{
    unsigned char bytes[BYTES_LEN];
    unsigned char mac[HF_SHA256_LEN];
    unsigned char *at = bytes;

    at = put_be(at, VERSION, 1);
    at = put_be(at, flags_of(token), 1);
    memcpy(at, token->session, sizeof(token->session));
    at += sizeof(token->session);
    at = put_be(at, token->epoch, 8);
    at = put_be(at, token->cursor, 8);
    at = put_be(at, token->replay, 8);
    at = put_be(at, token->replay_at, 8);
    at = put_be(at, token->states, 8);
    at = put_be(at, token->replies, 4);
    at = put_be(at, token->mount, 4);
    at = put_be(at, (uint64_t)token->birth_ms, 8);
    at = put_be(at, (uint64_t)token->expiry_ms, 8);
    at = put_be(at, 0, 1);

    hf_hmac(key, bytes_str(bytes, SIGNED_LEN), mac);
    memcpy(at, mac, MAC_LEN);
    return hf_base64url(bytes_str(bytes, BYTES_LEN), out);
}

/* The decoder takes the other alphabet and padding too; a token does not. */
static bool is_token_text(struct hf_str text)
{
    size_t i;

    if (text.len != TEXT_LEN)
        return false;
    for (i = 0; i < text.len; i++) {
        char c = text.at[i];

        if (!(c >= 'A' && c <= 'Z') && !(c >= 'a' && c <= 'z') &&
            !(c >= '0' && c <= '9') && c != '-' && c != '_')
            return false;
    }
    return true;
}

static bool is_signed(const unsigned char bytes[BYTES_LEN],
                      const struct hf_hmac_key *key)
{
    unsigned char mac[HF_SHA256_LEN];

    hf_hmac(key, bytes_str(bytes, SIGNED_LEN), mac);
    return hf_equal_secret(bytes_str(bytes + SIGNED_LEN, MAC_LEN),
                           bytes_str(mac, MAC_LEN));
}

int hf_token_parse(struct hf_str text, const struct hf_hmac_key *key,
                   struct hf_token *out)
{
    unsigned char bytes[TEXT_LEN / 4 * 3 + 3];
    const unsigned char *at = bytes;
    size_t len;

    if (!is_token_text(text) || hf_base64_decode(text, bytes, &len) ||
        len != BYTES_LEN || !is_signed(bytes, key))
        return HF_EMALFORMED;
    /* Ours, but perhaps of a later version that shares the secret. */
    if (bytes[0] != VERSION || (bytes[1] & ~FLAGS) != 0)
        return HF_EMALFORMED;

    at += 2;
    out->joined = (bytes[1] & FLAG_JOINED) != 0;
    out->owned = (bytes[1] & FLAG_OWNED) != 0;
    out->expired = (bytes[1] & FLAG_EXPIRED) != 0;
    out->empty = (bytes[1] & FLAG_EMPTY) != 0;
    memcpy(out->session, at, sizeof(out->session));
    at += sizeof(out->session);
    out->epoch = take_be(&at, 8);
    out->cursor = take_be(&at, 8);
    out->replay = take_be(&at, 8);
    out->replay_at = take_be(&at, 8);
    out->states = take_be(&at, 8);
    out->replies = (uint32_t)take_be(&at, 4);
    out->mount = (uint32_t)take_be(&at, 4);
    out->birth_ms = (int64_t)take_be(&at, 8);
    out->expiry_ms = (int64_t)take_be(&at, 8);
    return 0;
}

int hf_token_new_session(char out[22])
{
    unsigned char bits[16];
    int err;

    err = hf_random(bits, sizeof(bits));
    if (err)
        return err;
    (void)hf_base64url(bytes_str(bits, sizeof(bits)), out); /* always 22 */
    return 0;
}

uint32_t hf_token_mount(struct hf_str mount)
{
    uint32_t hash = 2166136261u; /* FNV-1a: the same in every version */
    size_t i;

    for (i = 0; i < mount.len; i++)
        hash = (hash ^ (unsigned char)mount.at[i]) * 16777619u;
    return hash;
}

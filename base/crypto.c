#include "base/crypto.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "base/err.h"
#include "base/openssl.h"

static const char standard[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url_safe[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* For those who take NULL for "not given", which an empty run is not. */
static const unsigned char *bytes_of(struct hf_str s)
{
    return (const unsigned char *)(s.len ? s.at : "");
}

int hf_random(void *out, size_t len)
{
    unsigned char *at = out;

    while (len > 0) {
        ssize_t some = getrandom(at, len, 0);

        if (some < 0 && errno == EINTR)
            continue;
        if (some <= 0)
            return HF_EIO;
        at += some;
        len -= (size_t)some;
    }
    return 0;
}

int hf_sha1_prepare(struct hf_why *why)
{
    const struct hf_openssl *lib;
    struct hf_why here = {""};
    int err = hf_openssl_load(&lib, &here);

    return err ? hf_explain(why, err, "SHA-1 needs OpenSSL: %s", here.text) : 0;
}

int hf_sha1(struct hf_str data, unsigned char out[HF_SHA1_LEN])
{
    const struct hf_openssl *lib;

    if (hf_openssl_load(&lib, NULL))
        return HF_EIO;
    if (lib->EVP_Digest(bytes_of(data), data.len, out, NULL, lib->EVP_sha1(),
                        NULL) != 1)
        return HF_ENOMEM;
    return 0;
}

void hf_sha256(struct hf_str data, unsigned char out[HF_SHA256_LEN])
{
    struct hf_sha256 sha;

    hf_sha256_init(&sha);
    hf_sha256_add(&sha, data);
    hf_sha256_end(&sha, out);
}

/* RFC 2104: H(key ^ opad, H(key ^ ipad, data)). */
static void begin_with_pad(const unsigned char key[HF_SHA256_BLOCK],
                           unsigned char pad, struct hf_sha256 *out)
{
    char block[HF_SHA256_BLOCK];
    size_t i;

    for (i = 0; i < sizeof(block); i++)
        block[i] = (char)(key[i] ^ pad);
    hf_sha256_init(out);
    hf_sha256_add(out, hf_str(block, sizeof(block)));
    explicit_bzero(block, sizeof(block));
}

void hf_hmac_key(struct hf_hmac_key *out, struct hf_str key)
{
    unsigned char block[HF_SHA256_BLOCK] = {0};

    if (key.len > sizeof(block))
        hf_sha256(key, block);
    else if (key.len > 0)
        memcpy(block, key.at, key.len);
    begin_with_pad(block, 0x36, &out->inner);
    begin_with_pad(block, 0x5c, &out->outer);
    explicit_bzero(block, sizeof(block));
}

void hf_hmac(const struct hf_hmac_key *key, struct hf_str data,
             unsigned char out[HF_SHA256_LEN])
{
    struct hf_sha256 sha = key->inner;

    hf_sha256_add(&sha, data);
    hf_sha256_end(&sha, out);
    sha = key->outer;
    hf_sha256_add(&sha, hf_str((const char *)out, HF_SHA256_LEN));
    hf_sha256_end(&sha, out);
}

void hf_hmac_sha256(struct hf_str key, struct hf_str data,
                    unsigned char out[HF_SHA256_LEN])
{
    struct hf_hmac_key made;

    hf_hmac_key(&made, key);
    hf_hmac(&made, data, out);
    explicit_bzero(&made, sizeof(made));
}

bool hf_equal_secret(struct hf_str a, struct hf_str b)
{
    /* volatile: no shorter way round the loop is to be found */
    const volatile unsigned char *x = bytes_of(a), *y;
    unsigned char differs = a.len != b.len;
    size_t i;

    /* With another length compare a with itself: the time tells a's length,
     * which is ours to give away, and nothing about b. */
    y = differs ? x : bytes_of(b);
    for (i = 0; i < a.len; i++)
        differs |= x[i] ^ y[i];
    return differs == 0;
}

/* Groups of three bytes to four letters; 2 or 3 letters for what is left. */
static size_t encode(struct hf_str data, const char *alphabet, char *out)
{
    const unsigned char *at = bytes_of(data);
    size_t left = data.len;
    char *o = out;
    unsigned long bits;

    for (; left >= 3; at += 3, left -= 3) {
        bits = (unsigned long)at[0] << 16 | (unsigned long)at[1] << 8 | at[2];
        *o++ = alphabet[bits >> 18];
        *o++ = alphabet[bits >> 12 & 63];
        *o++ = alphabet[bits >> 6 & 63];
        *o++ = alphabet[bits & 63];
    }
    if (left > 0) {
        bits = (unsigned long)at[0] << 16;
        if (left == 2)
            bits |= (unsigned long)at[1] << 8;
        *o++ = alphabet[bits >> 18];
        *o++ = alphabet[bits >> 12 & 63];
        if (left == 2)
            *o++ = alphabet[bits >> 6 & 63];
    }
    return (size_t)(o - out);
}

size_t hf_base64(struct hf_str data, char *out)
{
    size_t len = encode(data, standard, out);

    while (len % 4 != 0)
        out[len++] = '=';
    return len;
}

size_t hf_base64url(struct hf_str data, char *out)
{
    return encode(data, url_safe, out);
}

/* What a letter stands for, or 64. */
static unsigned value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (unsigned)(c - 'A');
    if (c >= 'a' && c <= 'z')
        return (unsigned)(c - 'a') + 26;
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0') + 52;
    if (c == '+' || c == '-')
        return 62;
    if (c == '/' || c == '_')
        return 63;
    return 64;
}

/* Without its padding, which when present must fill the last four. */
static int strip_padding(struct hf_str *text)
{
    if (text->len > 0 && text->at[text->len - 1] == '=') {
        if (text->len % 4 != 0)
            return HF_EMALFORMED;
        text->len--;
        if (text->at[text->len - 1] == '=')
            text->len--;
    }
    return text->len % 4 == 1 ? HF_EMALFORMED : 0;
}

int hf_base64_decode(struct hf_str text, unsigned char *out, size_t *out_len)
{
    unsigned long bits = 0;
    unsigned held = 0; /* bits not written yet: 0, 2, 4 or 6 */
    size_t i, len = 0;
    int err;

    err = strip_padding(&text);
    if (err)
        return err;
    for (i = 0; i < text.len; i++) {
        unsigned value = value_of(text.at[i]);

        if (value > 63)
            return HF_EMALFORMED;
        bits = (bits << 6 | value) & 0xfff;
        held += 6;
        if (held >= 8) {
            held -= 8;
            out[len++] = (unsigned char)(bits >> held & 0xff);
        }
    }
    /* One text for one content: the bits past the last byte are zero. */
    if (bits & ((1u << held) - 1))
        return HF_EMALFORMED;
    *out_len = len;
    return 0;
}

int hf_base64url_decode(struct hf_str text, unsigned char *out, size_t *out_len)
{
    size_t i;

    for (i = 0; i < text.len; i++) {
        char c = text.at[i];

        if (c == '+' || c == '/' || c == '=')
            return HF_EMALFORMED;
    }
    return hf_base64_decode(text, out, out_len);
}

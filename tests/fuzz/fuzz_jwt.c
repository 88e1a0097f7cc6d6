/*
 * fuzz_jwt.c - any bytes as a signed token, and as what stands in a good one
 *
 * An input is a token in compact form, or a header, a line end and claims, which
 * are then signed as they are. Bytes alone never make a valid token but the
 * very ones that were signed; what is valid has a future expiry and can be
 * somebody, with the same rights from his claims each time.
 */
#include "tests/fuzz/fuzz.h"

#include "base/crypto.h"
#include "base/jwt.h"
#include "channel/identity.h"
#include "tests/fuzz/keys.h"

#define NOW INT64_C(1700000000)

static struct hf_jwks keys;

static size_t encode(struct hf_str bytes, char *out)
{
    return hf_base64url(bytes, out);
}

/* As an issuer would who does not look at what he signs. */
static size_t sign(struct hf_str header, struct hf_str claims, char *out)
{
    unsigned char mac[HF_JWK_SIGNATURE_MAX];
    size_t len = encode(header, out), mac_len;

    out[len++] = '.';
    len += encode(claims, out + len);
    CHECK(!hf_jwk_sign(&keys.keys[0], hf_str(out, len), mac, &mac_len));
    out[len++] = '.';
    return len + encode(hf_str((const char *)mac, mac_len), out + len);
}

static void check_identity(struct hf_str token)
{
    struct hf_identity *identity;
    const char *why = NULL;

    if (hf_identity_of_token(&keys, token, NOW * 1000, &identity, &why)) {
        CHECK(why);
        return;
    }
    CHECK(identity->user.len <= HF_USER_MAX);
    CHECK(identity->expires_ms > NOW * 1000);
    CHECK(
        !hf_identity_rights(identity, HF_STR("room:a"), identity->expires_ms));
    (void)hf_identity_rights(identity, HF_STR("room:a"), NOW * 1000);
    hf_identity_unref(identity);
}

static enum hf_jwt_state check(struct hf_str token)
{
    static struct hf_jwt jwt;
    enum hf_jwt_state state = hf_jwt_verify(&jwt, token, &keys, NOW);

    CHECK(hf_jwt_why(state)[0]);
    CHECK((state == HF_JWT_LONG) == (token.len > HF_JWT_MAX));
    if (state == HF_JWT_LONG || state == HF_JWT_FORM)
        return state;
    if (state != HF_JWT_HEADER)
        CHECK(jwt.header.type == HF_JSON_OBJECT && hf_jwt_shaped(token));
    if (state != HF_JWT_VALID)
        return state;
    CHECK(jwt.key && jwt.claims.type == HF_JSON_OBJECT);
    CHECK(jwt.expires_s > NOW);
    check_identity(token);
    return state;
}

/* A valid token with one bit of its text changed is none. */
static void check_tampered(char *text, size_t len, uint8_t chosen)
{
    size_t at = chosen * len / 256;

    text[at] = (char)(text[at] ^ 1);
    CHECK(check(hf_str(text, len)) != HF_JWT_VALID);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char text[3 * HF_JWT_MAX];
    struct hf_str all = hf_str((const char *)data, size);
    const char *line = size > 0 ? memchr(all.at, '\n', size) : NULL;
    size_t header, len;

    if (keys.count == 0)
        CHECK(!hf_jwks_read(HF_STR(FUZZ_KEYS), &keys, NULL));
    (void)check(all);
    if (!line || size > HF_JWT_MAX)
        return 0;
    header = (size_t)(line - all.at);
    len = sign(hf_str(all.at, header), hf_str_from(all, header + 1), text);
    if (check(hf_str(text, len)) == HF_JWT_VALID)
        check_tampered(text, len, data[size - 1]);
    return 0;
}

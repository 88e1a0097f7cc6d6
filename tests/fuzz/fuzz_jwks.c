/*
 * fuzz_jwks.c - any bytes as a JWK set
 *
 * What is read keeps to its bounds, each key is found by its name, and one that
 * signs verifies what it has signed and nothing else.
 */
#include "tests/fuzz/fuzz.h"

#include "base/jwk.h"

static void check_signing(const struct hf_jwk *key)
{
    unsigned char signature[HF_JWK_SIGNATURE_MAX];
    struct hf_str made;
    size_t len;
    int err = hf_jwk_sign(key, HF_STR("said"), signature, &len);

    CHECK(key->can_sign || err == HF_EINVAL);
    if (err)
        return;
    CHECK(len > 0 && len <= sizeof(signature));
    made = hf_str((const char *)signature, len);
    CHECK(hf_jwk_verify(key, HF_STR("said"), made));
    CHECK(!hf_jwk_verify(key, HF_STR("sait"), made));
    signature[len / 2] ^= 1;
    CHECK(!hf_jwk_verify(key, HF_STR("said"), made));
}

static void check_key(const struct hf_jwks *set, const struct hf_jwk *key)
{
    CHECK(key->id_len <= HF_JWK_ID_MAX);
    if (key->id_len > 0)
        CHECK(hf_jwks_find(set, hf_jwk_id(key)) == key);
    if (key->alg == HF_JWK_HS256)
        CHECK(!key->pkey && key->secret_len >= HF_JWK_SECRET_MIN &&
              key->secret_len <= HF_JWK_SECRET_MAX && key->can_sign);
    else
        CHECK(key->pkey && key->secret_len == 0);
    CHECK(!hf_jwk_verify(key, HF_STR("said"), HF_STR("")));
    if (key->alg != HF_JWK_RS256) /* a millisecond, and reading has tried it */
        check_signing(key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_why why = {""};
    struct hf_jwks set;
    size_t i;
    int err = hf_jwks_read(hf_str((const char *)data, size), &set, &why);

    if (err) {
        CHECK(why.text[0]);
        return 0;
    }
    CHECK(set.count <= HF_JWKS_KEYS);
    for (i = 0; i < set.count; i++)
        check_key(&set, &set.keys[i]);
    hf_jwks_release(&set);
    return 0;
}

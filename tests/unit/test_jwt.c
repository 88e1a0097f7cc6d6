#include "base/jwt.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/crypto.h"
#include "base/err.h"

/* RFC 7515 appendix A: the same claims (those of RFC 7519 section 3.1) signed
 * in three ways. */
#define CLAIMS                                                                 \
    ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLm"  \
    "NvbS9pc19yb290Ijp0cnVlfQ."
#define EXP 1300819380

#define HS256_KEY                                                              \
    "{\"kty\":\"oct\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-"   \
    "1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow\"}"
#define HS256_TOKEN                                                            \
    "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9" CLAIMS                          \
    "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"

#define RS256_N                                                                \
    "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-"    \
    "4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2j"  \
    "Z47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-"        \
    "UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_"                \
    "I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_"                                       \
    "h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"
#define RS256_D                                                                \
    "Eq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZD50LpXyWPEAeP88vLNO97IjlA7_"          \
    "GQ5sLKMgvfTeXZx9SE-7YwVol2NXOoAJe46sui395IW_GO-"                          \
    "pWJ1O0BkTGoVEn2bKVRUCgu-GjBVaYLU6f3l9kJfFNS3E0QbVdxzubSu3Mkqzjkn439X0M_"  \
    "V51gfpRLI9JYanrC4D4qAdGcopV_0ZHHzQlBjudU2QvXt4ehNYTCBr6XCLQUShb1juUO1Zd"  \
    "iYoFaFQT5Tw8bGUl_x_jTj3ccPDVZFD9pIuhLhBOneufuBiB4cS98l2SR_"               \
    "RQyGWSeWjnczT0QU91p1DhOVRuOopznQ"
#define RS256_KEY                                                              \
    "{\"kty\":\"RSA\",\"n\":\"" RS256_N "\",\"e\":\"AQAB\",\"d\":\"" RS256_D   \
    "\"}"
#define RS256_TOKEN                                                            \
    "eyJhbGciOiJSUzI1NiJ9" CLAIMS                                              \
    "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4"  \
    "Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_"  \
    "nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_"              \
    "eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2"  \
    "w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"

#define ES256_KEY                                                              \
    "{\"kty\":\"EC\",\"crv\":\"P-256\","                                       \
    "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","                   \
    "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}"
#define ES256_TOKEN                                                            \
    "eyJhbGciOiJFUzI1NiJ9" CLAIMS "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-"           \
    "F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"

static struct hf_jwks set;
static struct hf_jwt jwt;

static void use_keys(const char *keys)
{
    char text[8000];
    struct hf_why why = {""};

    hf_jwks_release(&set);
    (void)snprintf(text, sizeof(text), "{\"keys\":[%s]}", keys);
    if (hf_jwks_read(hf_str_of(text), &set, &why))
        fail_msg("%s", why.text);
}

static enum hf_jwt_state verify_at(const char *token, int64_t now_s)
{
    return hf_jwt_verify(&jwt, hf_str_of(token), &set, now_s);
}

static enum hf_jwt_state verify(const char *token)
{
    return verify_at(token, EXP - 1);
}

/* A token of this header and these claims, signed with the first key (HS256),
 * whatever they say. */
static const char *signed_token(const char *header, const char *claims)
{
    static char text[8000];
    unsigned char signature[HF_JWK_SIGNATURE_MAX];
    size_t len, at;

    at = hf_base64url(hf_str_of(header), text);
    text[at++] = '.';
    at += hf_base64url(hf_str_of(claims), text + at);
    assert_int_equal(
        hf_jwk_sign(&set.keys[0], hf_str(text, at), signature, &len), 0);
    text[at++] = '.';
    at += hf_base64url(hf_str((char *)signature, len), text + at);
    text[at] = '\0';
    return text;
}

#define HS "{\"alg\":\"HS256\"}"

static int tear_down(void **state)
{
    (void)state;
    hf_jwks_release(&set);
    return 0;
}

/* --- vectors ------------------------------------------------------------- */

static void the_tokens_of_rfc_7515_are_valid(void **state)
{
    static const struct {
        const char *key;
        const char *token;
    } cases[] = {{HS256_KEY, HS256_TOKEN},
                 {RS256_KEY, RS256_TOKEN},
                 {ES256_KEY, ES256_TOKEN}};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct hf_json issuer;

        use_keys(cases[i].key);
        assert_int_equal(verify(cases[i].token), HF_JWT_VALID);
        assert_int_equal(jwt.expires_s, EXP);
        assert_true(hf_json_find(jwt.claims, HF_STR("iss"), &issuer));
        assert_true(hf_json_is(issuer, HF_STR("joe")));
        assert_int_equal(verify_at(cases[i].token, EXP), HF_JWT_EXPIRED);
    }
}

static void the_signature_of_rfc_7515_appendix_a_2_is_made_again(void **state)
{
    static const struct hf_str token = HF_STR_INIT(RS256_TOKEN);
    unsigned char signature[HF_JWK_SIGNATURE_MAX];
    char text[1400];
    size_t input = 0, len;
    unsigned dots = 0;

    (void)state;
    while (dots < 2)
        dots += token.at[input++] == '.';
    use_keys(RS256_KEY);
    assert_int_equal(
        hf_jwk_sign(&set.keys[0], hf_str(token.at, input - 1), signature, &len),
        0);
    len = hf_base64url(hf_str((char *)signature, len), text);
    assert_int_equal(len, token.len - input);
    assert_memory_equal(text, token.at + input, len);
}

static void the_unsecured_token_of_rfc_7519_is_refused(void **state)
{
    (void)state;
    use_keys(HS256_KEY);
    assert_int_equal(verify("eyJhbGciOiJub25lIn0" CLAIMS), HF_JWT_ALGORITHM);
}

static void the_critical_header_of_rfc_7515_appendix_e_is_refused(void **state)
{
    (void)state;
    use_keys(HS256_KEY);
    assert_int_equal(
        verify("eyJhbGciOiJub25lIiwNCiAiY3JpdCI6WyJodHRwOi8vZXhhbXBsZS5jb20vVU"
               "5ERUZJTkVEIl0sDQogImh0dHA6Ly9leGFtcGxlLmNvbS9VTkRFRklORUQiOnRy"
               "dWUNCn0.RkFJTA."),
        HF_JWT_CRITICAL);
}

static void the_json_form_of_rfc_7515_is_no_token(void **state)
{
    (void)state;
    use_keys(HS256_KEY);
    assert_int_equal(verify("{\"payload\":\"eyJpc3MiOiJqb2UifQ\","
                            "\"signatures\":[]}"),
                     HF_JWT_FORM);
}

/* --- form ---------------------------------------------------------------- */

static void only_three_parts_of_base64url_are_a_token(void **state)
{
    static const char *const bad[] = {
        "",
        ".",
        "..",
        "a.b",
        HS256_TOKEN ".",
        HS256_TOKEN "=",
        " " HS256_TOKEN,
        HS256_TOKEN "\n",
        "eyJhbGciOiJIUzI1NiJ9..AAAA",
        ".e30.AAAA",
        "eyJhbGciOiJIUzI1NiJ9.e30=.AAAA",
        "eyJhbGciOiJIUzI1NiJ9.e30.+/+/",
    };
    size_t i;

    (void)state;
    use_keys(HS256_KEY);
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_not_equal(verify(bad[i]), HF_JWT_VALID);
    assert_int_equal(verify("a.b"), HF_JWT_FORM);
}

/* Signed as it stands, so that nothing but its letters is wrong. */
static void padding_and_the_other_alphabet_are_refused(void **state)
{
    static const struct {
        const char *input;
        enum hf_jwt_state state;
    } cases[] = {
        /* {"exp":1300819380,"a":"???>>>"} */
        {"eyJhbGciOiJIUzI1NiJ9."
         "eyJleHAiOjEzMDA4MTkzODAsImEiOiI_Pz8-Pj4ifQ",
         HF_JWT_VALID},
        {"eyJhbGciOiJIUzI1NiJ9."
         "eyJleHAiOjEzMDA4MTkzODAsImEiOiI/Pz8+Pj4ifQ",
         HF_JWT_FORM},
        {"eyJhbGciOiJIUzI1NiJ9."
         "eyJleHAiOjEzMDA4MTkzODAsImEiOiI_Pz8-Pj4ifQ==",
         HF_JWT_FORM},
        {"eyJhbGciOiJIUzI1NiIgfQ==.eyJleHAiOjEzMDA4MTkzODB9", HF_JWT_FORM},
    };
    size_t i;

    (void)state;
    use_keys(HS256_KEY);
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        unsigned char mac[HF_JWK_SIGNATURE_MAX];
        char text[300];
        size_t len, at = strlen(cases[i].input);

        assert_int_equal(
            hf_jwk_sign(&set.keys[0], hf_str_of(cases[i].input), mac, &len), 0);
        memcpy(text, cases[i].input, at);
        text[at++] = '.';
        at += hf_base64url(hf_str((char *)mac, len), text + at);
        assert_int_equal(hf_jwt_verify(&jwt, hf_str(text, at), &set, EXP - 1),
                         cases[i].state);
    }
}

/* The last letter has bits to spare: one token, one text. */
static void no_other_text_is_the_same_token(void **state)
{
    char text[] = HS256_TOKEN;
    size_t len = sizeof(text) - 1, i;

    (void)state;
    use_keys(HS256_KEY);
    for (i = 0; i < len; i++) {
        char c = text[i];

        text[i] = c == 'A' ? 'B' : (char)(c + 1);
        assert_int_not_equal(verify(text), HF_JWT_VALID);
        text[i] = c;
    }
    assert_int_equal(verify(text), HF_JWT_VALID);
}

static void a_token_is_bounded(void **state)
{
    char claims[3200];

    (void)state;
    use_keys(HS256_KEY);
    (void)snprintf(claims, sizeof(claims), "{\"exp\":%d,\"x\":\"%02900d\"}",
                   EXP, 1);
    assert_int_equal(verify(signed_token(HS, claims)), HF_JWT_VALID);
    (void)snprintf(claims, sizeof(claims), "{\"exp\":%d,\"x\":\"%03100d\"}",
                   EXP, 1);
    assert_int_equal(verify(signed_token(HS, claims)), HF_JWT_LONG);
}

/* --- header -------------------------------------------------------------- */

static void the_key_decides_the_algorithm(void **state)
{
    static const char *const headers[] = {
        "{\"alg\":\"none\"}",
        "{\"alg\":\"None\"}",
        "{\"alg\":\"\"}",
        "{\"alg\":null}",
        "{\"alg\":[\"HS256\"]}",
        "{}",
        "{\"alg\":\"HS384\"}",
        "{\"alg\":\"RS256\",\"kid\":\"h\"}",
        "{\"alg\":\"ES256\",\"kid\":\"h\"}",
        "{\"alg\":\"EdDSA\",\"kid\":\"h\"}",
        "{\"alg\":\"HS256\",\"kid\":\"e\"}",
    };
    size_t i;

    (void)state;
    use_keys("{\"kid\":\"h\",\"kty\":\"oct\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKO"
             "bwVMkoqQ-EstJQLr_T\"},"
             "{\"kid\":\"e\",\"kty\":\"EC\",\"crv\":\"P-256\","
             "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
             "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}");
    for (i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
        assert_int_equal(
            verify(signed_token(headers[i], "{\"exp\":1300819380}")),
            HF_JWT_ALGORITHM);
}

/* The classic: the public key's text as an HMAC secret. */
static void a_public_key_is_no_secret(void **state)
{
    struct hf_jwk fake = {.alg = HF_JWK_HS256, .can_sign = true};
    struct hf_buf token;

    (void)state;
    use_keys(ES256_KEY);
    fake.secret_len = sizeof(ES256_KEY) - 1;
    memcpy(fake.secret, ES256_KEY, fake.secret_len);
    hf_buf_init(&token, 8192);
    assert_int_equal(hf_jwt_make(&fake, HF_STR("{\"exp\":1300819380}"), &token),
                     0);
    assert_int_equal(hf_jwt_verify(&jwt, hf_buf_str(&token), &set, EXP - 1),
                     HF_JWT_KEYS);
    hf_buf_release(&token);
}

static void the_kid_names_the_key(void **state)
{
    static const char claims[] = "{\"exp\":1300819380}";

    (void)state;
    use_keys("{\"kid\":\"a\",\"kty\":\"oct\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKO"
             "bwVMkoqQ-EstJQLr_T\"},"
             "{\"kid\":\"b\",\"kty\":\"oct\",\"k\":\"1qS0gZH75aKtMN3Yj0iPS4hcgU"
             "uTwjAzZr1Z9CAowAyM\"}");
    assert_int_equal(
        verify(signed_token("{\"alg\":\"HS256\",\"kid\":\"a\"}", claims)),
        HF_JWT_VALID);
    assert_int_equal(
        verify(signed_token("{\"alg\":\"HS256\",\"kid\":\"b\"}", claims)),
        HF_JWT_SIGNATURE);
    assert_int_equal(
        verify(signed_token("{\"alg\":\"HS256\",\"kid\":\"c\"}", claims)),
        HF_JWT_KEY);
    assert_int_equal(
        verify(signed_token("{\"alg\":\"HS256\",\"kid\":7}", claims)),
        HF_JWT_KEY);
    assert_int_equal(
        verify(signed_token("{\"alg\":\"HS256\",\"kid\":\"\"}", claims)),
        HF_JWT_KEY);
    /* without one, two could be meant */
    assert_int_equal(verify(signed_token(HS, claims)), HF_JWT_KEYS);
    use_keys(HS256_KEY "," ES256_KEY);
    assert_int_equal(verify(signed_token(HS, claims)), HF_JWT_VALID);
}

static void a_doubled_member_is_refused_everywhere(void **state)
{
    (void)state;
    use_keys(HS256_KEY);
    assert_int_equal(verify(signed_token("{\"alg\":\"none\",\"alg\":\"HS256\"}",
                                         "{\"exp\":1300819380}")),
                     HF_JWT_HEADER);
    assert_int_equal(
        verify(signed_token(HS, "{\"exp\":1300819380,\"exp\":9999999999}")),
        HF_JWT_CLAIMS);
    assert_int_equal(verify(signed_token(
                         HS, "{\"exp\":1300819380,\"e\\u0078p\":9999999999}")),
                     HF_JWT_CLAIMS);
    assert_int_equal(
        verify(signed_token(HS, "{\"exp\":1300819380,"
                                "\"topics\":{\"a\":[],\"a\":[\"join\"]}}")),
        HF_JWT_CLAIMS);
    assert_int_equal(verify(signed_token(
                         HS, "{\"exp\":1300819380,\"x\":[{\"y\":1,\"y\":2}]}")),
                     HF_JWT_CLAIMS);
}

static void header_and_claims_are_objects(void **state)
{
    (void)state;
    use_keys(HS256_KEY);
    assert_int_equal(verify(signed_token("[]", "{}")), HF_JWT_HEADER);
    assert_int_equal(verify(signed_token("nothing", "{}")), HF_JWT_HEADER);
    assert_int_equal(verify(signed_token(HS, "[1]")), HF_JWT_CLAIMS);
    assert_int_equal(verify(signed_token(HS, "{\"exp\":1300819380")),
                     HF_JWT_CLAIMS);
    assert_int_equal(verify(signed_token(HS, "{\"exp\":1300819380,\"a\":\"\xff"
                                             "\"}")),
                     HF_JWT_CLAIMS);
}

/* Claims are not even decoded before the signature was right. */
static void the_signature_is_looked_at_first(void **state)
{
    char text[] = HS256_TOKEN;

    (void)state;
    use_keys(HS256_KEY);
    text[sizeof(text) - 4] ^= 1;
    assert_int_equal(verify_at(text, EXP + 1), HF_JWT_SIGNATURE);
    assert_int_equal(jwt.claims.type, HF_JSON_NULL);
}

/* --- times --------------------------------------------------------------- */

static void a_token_has_an_end(void **state)
{
    static const char *const without[] = {
        "{}",
        "{\"exp\":null}",
        "{\"exp\":\"1300819380\"}",
        "{\"exp\":-1}",
        "{\"exp\":1e300}",
        "{\"exp\":253402300800}",
        "{\"exp\":1300819380.00000000000000000000000000000000000}",
    };
    size_t i;

    (void)state;
    use_keys(HS256_KEY);
    for (i = 0; i < sizeof(without) / sizeof(without[0]); i++)
        assert_int_equal(verify(signed_token(HS, without[i])),
                         HF_JWT_NO_EXPIRY);
    assert_int_equal(verify(signed_token(HS, "{\"exp\":1300819380.9}")),
                     HF_JWT_VALID);
    assert_int_equal(jwt.expires_s, EXP);
    assert_int_equal(verify_at(signed_token(HS, "{\"exp\":1300819380.9}"), EXP),
                     HF_JWT_EXPIRED);
    assert_int_equal(verify(signed_token(HS, "{\"exp\":13008193.8e2}")),
                     HF_JWT_VALID);
}

static void a_token_from_the_future_is_refused(void **state)
{
    static const char *const names[] = {"nbf", "iat"};
    char claims[100];
    size_t i;

    (void)state;
    use_keys(HS256_KEY);
    for (i = 0; i < 2; i++) {
        (void)snprintf(claims, sizeof(claims),
                       "{\"exp\":1300819380,\"%s\":1300819300}", names[i]);
        assert_int_equal(verify_at(signed_token(HS, claims), 1300819240),
                         HF_JWT_VALID);
        assert_int_equal(verify_at(signed_token(HS, claims), 1300819239),
                         HF_JWT_EARLY);
        (void)snprintf(claims, sizeof(claims),
                       "{\"exp\":1300819380,\"%s\":\"now\"}", names[i]);
        assert_int_equal(verify(signed_token(HS, claims)), HF_JWT_EARLY);
    }
}

/* --- making and telling apart -------------------------------------------- */

static void what_is_made_is_valid(void **state)
{
    struct hf_buf token;
    struct hf_jwk key;

    (void)state;
    use_keys("{\"kid\":\"a \\\"b\",\"kty\":\"oct\",\"k\":\"AyM1SysPpbyDfgZld3um"
             "j1qzKObwVMkoqQ-EstJQLr_T\"}");
    hf_buf_init(&token, 16384);
    assert_int_equal(
        hf_jwt_make(&set.keys[0], HF_STR("{\"exp\":1300819380}"), &token), 0);
    assert_int_equal(hf_jwt_verify(&jwt, hf_buf_str(&token), &set, EXP - 1),
                     HF_JWT_VALID);
    assert_ptr_equal(jwt.key, &set.keys[0]);
    key = set.keys[0];
    key.can_sign = false;
    assert_int_equal(hf_jwt_make(&key, HF_STR("{}"), &token), HF_EINVAL);
    hf_buf_reset(&token);
    assert_int_equal(
        hf_jwt_make(&set.keys[0], hf_str(jwt.text, HF_JWT_MAX), &token),
        HF_ELIMIT);
    hf_buf_release(&token);
}

static void other_words_do_not_look_like_one(void **state)
{
    (void)state;
    assert_true(hf_jwt_shaped(HF_STR(HS256_TOKEN)));
    assert_true(hf_jwt_shaped(HF_STR("e30.e30.")));
    assert_false(hf_jwt_shaped(HF_STR("")));
    assert_false(hf_jwt_shaped(HF_STR("sb_publishable_abc")));
    assert_false(hf_jwt_shaped(HF_STR("www.example.com")));
    assert_false(hf_jwt_shaped(HF_STR("W10.e30.")));
}

static void every_state_has_its_words(void **state)
{
    enum hf_jwt_state a, b;

    (void)state;
    for (a = HF_JWT_VALID; a <= HF_JWT_MEMORY; a++) {
        assert_string_not_equal(hf_jwt_why(a), "");
        for (b = HF_JWT_VALID; b < a; b++)
            assert_string_not_equal(hf_jwt_why(a), hf_jwt_why(b));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_tokens_of_rfc_7515_are_valid),
        cmocka_unit_test(the_signature_of_rfc_7515_appendix_a_2_is_made_again),
        cmocka_unit_test(the_unsecured_token_of_rfc_7519_is_refused),
        cmocka_unit_test(the_critical_header_of_rfc_7515_appendix_e_is_refused),
        cmocka_unit_test(the_json_form_of_rfc_7515_is_no_token),
        cmocka_unit_test(only_three_parts_of_base64url_are_a_token),
        cmocka_unit_test(padding_and_the_other_alphabet_are_refused),
        cmocka_unit_test(no_other_text_is_the_same_token),
        cmocka_unit_test(a_token_is_bounded),
        cmocka_unit_test(the_key_decides_the_algorithm),
        cmocka_unit_test(a_public_key_is_no_secret),
        cmocka_unit_test(the_kid_names_the_key),
        cmocka_unit_test(a_doubled_member_is_refused_everywhere),
        cmocka_unit_test(header_and_claims_are_objects),
        cmocka_unit_test(the_signature_is_looked_at_first),
        cmocka_unit_test(a_token_has_an_end),
        cmocka_unit_test(a_token_from_the_future_is_refused),
        cmocka_unit_test(what_is_made_is_valid),
        cmocka_unit_test(other_words_do_not_look_like_one),
        cmocka_unit_test(every_state_has_its_words),
    };

    return cmocka_run_group_tests_name("jwt", tests, NULL, tear_down);
}

#include "base/jwk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/crypto.h"

/* RFC 7515 appendices A.1 to A.3, RFC 8037 appendix A.1. */
#define K256                                                                   \
    "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-"                            \
    "1qS0gZH75aKtMN3Yj0iPS4hcgUuT"                                             \
    "wjAzZr1Z9CAow"
#define ED_X "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
#define ED_D "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"
#define EC_X "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
#define EC_Y "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
#define EC_D "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"

static struct hf_jwks set;
static struct hf_why why;

static int read_set(const char *text)
{
    why.text[0] = '\0';
    hf_jwks_release(&set);
    return hf_jwks_read(hf_str_of(text), &set, &why);
}

static int tear_down(void **state)
{
    (void)state;
    hf_jwks_release(&set);
    return 0;
}

static void assert_refused(const char *text, const char *words)
{
    assert_int_not_equal(read_set(text), 0);
    assert_int_equal(set.count, 0);
    if (!strstr(why.text, words))
        fail_msg("'%s' is not in '%s'", words, why.text);
}

/* --- what is read -------------------------------------------------------- */

static void the_key_of_rfc_8037_signs_as_it_says(void **state)
{
    static const char signature[] =
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9"
        "g7sVvpAr_MuM0KAg";
    static const struct hf_str input =
        HF_STR_INIT("eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc");
    unsigned char bytes[HF_JWK_SIGNATURE_MAX];
    char text[100];
    size_t len;

    (void)state;
    assert_int_equal(read_set("{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\","
                              "\"d\":\"" ED_D "\",\"x\":\"" ED_X "\"}]}"),
                     0);
    assert_true(set.keys[0].can_sign);
    assert_int_equal(hf_jwk_sign(&set.keys[0], input, bytes, &len), 0);
    len = hf_base64url(hf_str((char *)bytes, len), text);
    assert_int_equal(len, strlen(signature));
    assert_memory_equal(text, signature, len);
}

static void each_kind_has_one_algorithm(void **state)
{
    static const char text[] =
        "{\"keys\":["
        "{\"kty\":\"oct\",\"k\":\"" K256 "\",\"kid\":\"a\"},"
        "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" ED_X
        "\",\"alg\":\"EdDSA\",\"use\":\"sig\"},"
        "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" ED_X
        "\",\"alg\":\"Ed25519\",\"key_ops\":[\"verify\"]},"
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_X "\",\"y\":\"" EC_Y
        "\",\"more\":[1]}],\"more\":{}}";

    (void)state;
    assert_int_equal(read_set(text), 0);
    assert_int_equal(set.count, 4);
    assert_int_equal(set.keys[0].alg, HF_JWK_HS256);
    assert_true(set.keys[0].can_sign);
    assert_int_equal(set.keys[1].alg, HF_JWK_EDDSA);
    assert_int_equal(set.keys[2].alg, HF_JWK_EDDSA);
    assert_int_equal(set.keys[3].alg, HF_JWK_ES256);
    assert_false(set.keys[3].can_sign);
    assert_ptr_equal(hf_jwks_find(&set, HF_STR("a")), &set.keys[0]);
    assert_null(hf_jwks_find(&set, HF_STR("b")));
    assert_null(hf_jwks_find(&set, HF_STR(""))); /* none is no name */
}

static void no_keys_are_a_set(void **state)
{
    (void)state;
    assert_int_equal(read_set(" {\"keys\" : [] } "), 0);
    assert_int_equal(set.count, 0);
}

static void a_secret_may_have_32_to_512_bytes(void **state)
{
    char bytes[513] = {0}, k[800], text[1000];
    static const struct {
        size_t len;
        bool good;
    } cases[] = {{31, false}, {32, true}, {512, true}, {513, false}};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t len = hf_base64url(hf_str(bytes, cases[i].len), k);

        (void)snprintf(text, sizeof(text),
                       "{\"keys\":[{\"kty\":\"oct\",\"k\":\"%.*s\"}]}",
                       (int)len, k);
        assert_int_equal(read_set(text) == 0, cases[i].good);
    }
    assert_refused("{\"keys\":[{\"kty\":\"oct\",\"kid\":\"a\\u0007b\","
                   "\"k\":\"c2hvcnQ\"}]}",
                   "key 1 (kid \"a?b\"): its secret is shorter than 32 bytes");
}

/* --- what is refused, and in which words --------------------------------- */

static void a_bad_key_is_named(void **state)
{
    static const struct {
        const char *key;
        const char *words;
    } cases[] = {
        {"1", "key 2: it is no JSON object"},
        {"{}", "kty is missing"},
        {"{\"kty\":\"PBX\"}", "kty is none of"},
        {"{\"kty\":\"oct\",\"kid\":\"\"}", "kid must be"},
        {"{\"kty\":\"oct\",\"kid\":7}", "kid must be"},
        {"{\"kty\":\"oct\",\"kid\":\"x\"}", "key 2 (kid \"x\"): k must be"},
        {"{\"kty\":\"oct\",\"k\":\"" K256 "=\"}", "k must be"},
        {"{\"kty\":\"oct\",\"k\":\"+" K256 "+/\"}", "k must be"},
        {"{\"kty\":\"oct\",\"k\":\"" K256 "\",\"alg\":\"HS512\"}", "its alg"},
        {"{\"kty\":\"oct\",\"k\":\"" K256 "\",\"alg\":\"none\"}", "its alg"},
        {"{\"kty\":\"oct\",\"k\":\"" K256 "\",\"alg\":7}", "its alg"},
        {"{\"kty\":\"EC\",\"alg\":\"HS256\"}", "its alg"},
        {"{\"kty\":\"oct\",\"k\":\"" K256 "\",\"use\":\"enc\"}", "its use"},
        {"{\"kty\":\"oct\",\"k\":\"" K256 "\",\"key_ops\":[\"encrypt\"]}",
         "key_ops has neither"},
        {"{\"kty\":\"oct\",\"k\":\"" K256 "\",\"key_ops\":\"sign\"}",
         "key_ops is no list"},
        {"{\"kty\":\"oct\",\"k\":\"" K256 "\",\"kid\":\"first\"}",
         "an earlier key has the same kid"},
        {"{\"kty\":\"oct\",\"k\":\"a\",\"k\":\"" K256 "\"}",
         "a member stands twice"},
        {"{\"kty\":\"oct\",\"\\u006b\":\"a\",\"k\":\"" K256 "\"}",
         "a member stands twice"},
        {"{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"" ED_X "\"}", "crv must"},
        {"{\"kty\":\"OKP\",\"crv\":\"Ed25519\"}", "x must"},
        {"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"YWJj\"}", "x must"},
        {"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" ED_X
         "\",\"d\":\"YWJj\"}",
         "d must"},
        {"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" EC_X "\",\"d\":\"" ED_D
         "\"}",
         "x is not the public part of d"},
        {"{\"kty\":\"EC\",\"crv\":\"P-384\"}", "crv must"},
        {"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_X "\"}", "x and y"},
        {"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_X "\",\"y\":\"" EC_X
         "\"}",
         "no point of P-256"},
        {"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_X "\",\"y\":\"" EC_Y
         "\",\"d\":\"" ED_D "\"}",
         "d is not the private part"},
        {"{\"kty\":\"RSA\",\"n\":\"" K256 "\",\"e\":\"AQAB\"}", "n must"},
        {"{\"kty\":\"RSA\",\"e\":\"AQAB\"}", "n must"},
    };
    char text[2000];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        (void)snprintf(text, sizeof(text),
                       "{\"keys\":[{\"kty\":\"oct\",\"kid\":\"first\","
                       "\"k\":\"" K256 "\"},%s]}",
                       cases[i].key);
        assert_refused(text, cases[i].words);
        assert_null(strstr(why.text, K256));
    }
}

static void what_is_no_set_is_refused(void **state)
{
    (void)state;
    assert_refused("", "not a JSON object");
    assert_refused("[]", "not a JSON object");
    assert_refused("{\"keys\":[]", "not a JSON object");
    assert_refused("{}", "no list");
    assert_refused("{\"keys\":{}}", "no list");
    assert_refused("{\"keys\":[],\"keys\":[]}", "a member stands twice");
}

static void a_set_is_bounded(void **state)
{
    static char text[HF_JWKS_MAX + 2];
    size_t len, i;

    (void)state;
    len = (size_t)snprintf(text, sizeof(text), "{\"keys\":[");
    for (i = 0; i <= HF_JWKS_KEYS; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s{}",
                                i ? "," : "");
    (void)snprintf(text + len, sizeof(text) - len, "]}");
    assert_refused(text, "more than 64 keys");
    memset(text, ' ', sizeof(text) - 1);
    memcpy(text, "{\"keys\":[]}", 11);
    assert_refused(text, "longer than 65536 bytes");
    text[HF_JWKS_MAX] = '\0';
    assert_int_equal(read_set(text), 0);
}

/* --- what is made -------------------------------------------------------- */

static void a_made_key_is_read_again_and_signs(void **state)
{
    enum hf_jwk_alg alg;

    (void)state;
    for (alg = HF_JWK_HS256; alg <= HF_JWK_RS256; alg++) {
        static const struct hf_str data = HF_STR_INIT("some bytes");
        unsigned char signature[HF_JWK_SIGNATURE_MAX];
        struct hf_str signed_, cut;
        struct hf_buf text;
        size_t len;

        hf_buf_init(&text, 8192);
        (void)hf_buf_add_str(&text, HF_STR("{\"keys\":["));
        assert_int_equal(hf_jwk_make(alg, HF_STR("a\"b"), &text), 0);
        (void)hf_buf_add(&text, "]}", 3);
        assert_int_equal(read_set(text.at), 0);
        hf_buf_release(&text);
        assert_int_equal(set.keys[0].alg, alg);
        assert_ptr_equal(hf_jwks_find(&set, HF_STR("a\"b")), &set.keys[0]);
        assert_int_equal(hf_jwk_sign(&set.keys[0], data, signature, &len), 0);
        signed_ = hf_str((char *)signature, len);
        assert_true(hf_jwk_verify(&set.keys[0], data, signed_));
        assert_false(hf_jwk_verify(&set.keys[0], HF_STR("others"), signed_));
        cut = hf_str(signed_.at, len - 1);
        assert_false(hf_jwk_verify(&set.keys[0], data, cut));
        assert_false(hf_jwk_verify(&set.keys[0], data, HF_STR("")));
        signature[len / 2] ^= 1;
        assert_false(hf_jwk_verify(&set.keys[0], data, signed_));
    }
}

static void a_public_key_does_not_sign(void **state)
{
    unsigned char signature[HF_JWK_SIGNATURE_MAX];
    size_t len;

    (void)state;
    assert_int_equal(read_set("{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\","
                              "\"x\":\"" EC_X "\",\"y\":\"" EC_Y "\"}]}"),
                     0);
    assert_int_equal(hf_jwk_sign(&set.keys[0], HF_STR("data"), signature, &len),
                     HF_EINVAL);
}

static void names_differ(void **state)
{
    char a[HF_JWK_NAME_MAX], b[HF_JWK_NAME_MAX];

    (void)state;
    assert_int_equal(hf_jwk_name(a), 0);
    assert_int_equal(hf_jwk_name(b), 0);
    assert_int_equal(strlen(a), 15);
    assert_string_not_equal(a, b);
}

static void algorithms_are_known_by_name(void **state)
{
    enum hf_jwk_alg alg;

    (void)state;
    assert_int_equal(hf_jwk_alg_of(HF_STR("rs256"), &alg), 0);
    assert_string_equal(hf_jwk_alg_name(alg), "RS256");
    assert_int_equal(hf_jwk_alg_of(HF_STR("Ed25519"), &alg), 0);
    assert_string_equal(hf_jwk_alg_name(alg), "EdDSA");
    assert_int_equal(hf_jwk_alg_of(HF_STR("none"), &alg), HF_EINVAL);
    assert_int_equal(hf_jwk_alg_of(HF_STR("HS384"), &alg), HF_EINVAL);
    assert_int_equal(hf_jwk_alg_of(HF_STR(""), &alg), HF_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_key_of_rfc_8037_signs_as_it_says),
        cmocka_unit_test(each_kind_has_one_algorithm),
        cmocka_unit_test(no_keys_are_a_set),
        cmocka_unit_test(a_secret_may_have_32_to_512_bytes),
        cmocka_unit_test(a_bad_key_is_named),
        cmocka_unit_test(what_is_no_set_is_refused),
        cmocka_unit_test(a_set_is_bounded),
        cmocka_unit_test(a_made_key_is_read_again_and_signs),
        cmocka_unit_test(a_public_key_does_not_sign),
        cmocka_unit_test(names_differ),
        cmocka_unit_test(algorithms_are_known_by_name),
    };

    return cmocka_run_group_tests_name("jwk", tests, NULL, tear_down);
}

#include "base/crypto.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>

#include "base/err.h"

static void assert_hex(const unsigned char *bytes, size_t len, const char *hex)
{
    static const char digits[] = "0123456789abcdef";
    size_t i;

    assert_int_equal(strlen(hex), len * 2);
    for (i = 0; i < len; i++) {
        assert_int_equal(hex[i * 2], digits[bytes[i] >> 4]);
        assert_int_equal(hex[i * 2 + 1], digits[bytes[i] & 15]);
    }
}

static void sha1_is_that_of_rfc_3174(void **state)
{
    unsigned char out[HF_SHA1_LEN];

    (void)state;
    assert_int_equal(hf_sha1(HF_STR("abc"), out), 0);
    assert_hex(out, sizeof(out), "a9993e364706816aba3e25717850c26c9cd0d89d");
    assert_int_equal(hf_sha1(hf_str(NULL, 0), out), 0);
    assert_hex(out, sizeof(out), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
}

static void websocket_accept_is_that_of_rfc_6455(void **state)
{
    unsigned char sha1[HF_SHA1_LEN];
    char text[HF_BASE64_LEN(HF_SHA1_LEN)];

    (void)state;
    assert_int_equal(hf_sha1(HF_STR("dGhlIHNhbXBsZSBub25jZQ=="
                                    "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"),
                             sha1),
                     0);
    assert_int_equal(hf_base64(hf_str((const char *)sha1, sizeof(sha1)), text),
                     28);
    assert_memory_equal(text, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", 28);
}

static void hmac_is_that_of_rfc_4231(void **state)
{
    unsigned char out[HF_SHA256_LEN];
    char key[131];

    (void)state;
    hf_hmac_sha256(HF_STR("Jefe"), HF_STR("what do ya want for nothing?"), out);
    assert_hex(out, sizeof(out),
               "5bdcc146bf60754e6a042426089575c7"
               "5a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, sizeof(key));
    hf_hmac_sha256(hf_str(key, sizeof(key)),
                   HF_STR("Test Using Larger Than Block-Size Key - "
                          "Hash Key First"),
                   out);
    assert_hex(out, sizeof(out),
               "60e431591ee0b67f0d8a26aacbf5b77f"
               "8e0bc6213728c5140546040f0ee37f54");
}

static void hmac_takes_empty_key_and_data(void **state)
{
    unsigned char out[HF_SHA256_LEN];

    (void)state;
    hf_hmac_sha256(hf_str(NULL, 0), hf_str(NULL, 0), out);
    assert_hex(out, sizeof(out),
               "b613679a0814d9ec772f95d778c35fc5"
               "ff1697c493715653c6c712144292c5ad");
}

static void sha256_is_that_of_fips_180_4(void **state)
{
    unsigned char out[HF_SHA256_LEN];
    char *million = malloc(1000000);

    (void)state;
    hf_sha256(HF_STR("abc"), out);
    assert_hex(out, sizeof(out),
               "ba7816bf8f01cfea414140de5dae2223"
               "b00361a396177a9cb410ff61f20015ad");
    hf_sha256(hf_str(NULL, 0), out);
    assert_hex(out, sizeof(out),
               "e3b0c44298fc1c149afbf4c8996fb924"
               "27ae41e4649b934ca495991b7852b855");
    hf_sha256(HF_STR("abcdbcdecdefdefgefghfghighijhijk"
                     "ijkljklmklmnlmnomnopnopq"),
              out);
    assert_hex(out, sizeof(out),
               "248d6a61d20638b8e5c026930c3e6039"
               "a33ce45964ff2167f6ecedd419db06c1");
    assert_non_null(million);
    memset(million, 'a', 1000000);
    hf_sha256(hf_str(million, 1000000), out);
    assert_hex(out, sizeof(out),
               "cdc76e5c9914fb9281a1c7e284d73e67"
               "f1809a48a497200e046d39ccc7112cd0");
    free(million);
}

/* Every length around the ends of blocks, in pieces of every size. */
static void sha256_is_the_same_as_that_of_openssl(void **state)
{
    unsigned char ours[HF_SHA256_LEN], theirs[HF_SHA256_LEN];
    char data[200];
    size_t len, piece;

    (void)state;
    assert_int_equal(hf_random(data, sizeof(data)), 0);
    for (len = 0; len <= sizeof(data); len++) {
        assert_int_equal(
            EVP_Digest(data, len, theirs, NULL, EVP_sha256(), NULL), 1);
        for (piece = 1; piece <= 130; piece += piece < 4 ? 1 : 21) {
            struct hf_str rest = hf_str(data, len);
            struct hf_sha256 sha;

            hf_sha256_init(&sha);
            while (rest.len > piece) {
                hf_sha256_add(&sha, hf_str(rest.at, piece));
                rest = hf_str_from(rest, piece);
            }
            hf_sha256_add(&sha, rest);
            hf_sha256_end(&sha, ours);
            assert_memory_equal(ours, theirs, sizeof(ours));
        }
    }
}

static void hmac_is_the_same_as_that_of_openssl(void **state)
{
    unsigned char ours[HF_SHA256_LEN], theirs[HF_SHA256_LEN];
    char key[150], data[150];
    size_t i;

    (void)state;
    assert_int_equal(hf_random(key, sizeof(key)), 0);
    assert_int_equal(hf_random(data, sizeof(data)), 0);
    for (i = 0; i <= sizeof(key); i++) {
        size_t len = (i * 7) % (sizeof(data) + 1);

        assert_non_null(HMAC(EVP_sha256(), key, (int)i,
                             (const unsigned char *)data, len, theirs, NULL));
        hf_hmac_sha256(hf_str(key, i), hf_str(data, len), ours);
        assert_memory_equal(ours, theirs, sizeof(ours));
    }
}

static void a_key_that_was_prepared_serves_again_and_again(void **state)
{
    unsigned char ours[HF_SHA256_LEN], theirs[HF_SHA256_LEN];
    struct hf_hmac_key key;
    char data[150];
    size_t len;

    (void)state;
    assert_int_equal(hf_random(data, sizeof(data)), 0);
    hf_hmac_key(&key, HF_STR("Jefe"));
    for (len = 0; len <= sizeof(data); len++) {
        hf_hmac_sha256(HF_STR("Jefe"), hf_str(data, len), theirs);
        hf_hmac(&key, hf_str(data, len), ours);
        assert_memory_equal(ours, theirs, sizeof(ours));
    }
}

static void random_bytes_differ(void **state)
{
    unsigned char a[32] = {0}, b[32] = {0};

    (void)state;
    assert_int_equal(hf_random(a, sizeof(a)), 0);
    assert_int_equal(hf_random(b, sizeof(b)), 0);
    assert_memory_not_equal(a, b, sizeof(a));
    assert_int_equal(hf_random(NULL, 0), 0);
}

static void secrets_are_equal_only_byte_for_byte(void **state)
{
    (void)state;
    assert_true(hf_equal_secret(HF_STR("abc"), HF_STR("abc")));
    assert_true(hf_equal_secret(HF_STR(""), hf_str(NULL, 0)));
    assert_false(hf_equal_secret(HF_STR("abc"), HF_STR("abd")));
    assert_false(hf_equal_secret(HF_STR("abc"), HF_STR("ab")));
    assert_false(hf_equal_secret(HF_STR("ab"), HF_STR("abc")));
    assert_false(hf_equal_secret(HF_STR(""), HF_STR("a")));
    assert_false(hf_equal_secret(HF_STR("a"), hf_str(NULL, 0)));
}

static const struct {
    struct hf_str plain;
    const char *base64;
    const char *base64url;
} pairs[] = {
    {HF_STR_INIT(""), "", ""},
    {HF_STR_INIT("f"), "Zg==", "Zg"},
    {HF_STR_INIT("fo"), "Zm8=", "Zm8"},
    {HF_STR_INIT("foo"), "Zm9v", "Zm9v"},
    {HF_STR_INIT("foob"), "Zm9vYg==", "Zm9vYg"},
    {HF_STR_INIT("fooba"), "Zm9vYmE=", "Zm9vYmE"},
    {HF_STR_INIT("foobar"), "Zm9vYmFy", "Zm9vYmFy"},
    {HF_STR_INIT("\xff\xef\xbe"), "/+++", "_---"},
    {HF_STR_INIT("\0\0"), "AAA=", "AAA"},
};

#define PAIRS (sizeof(pairs) / sizeof(pairs[0]))

/* Also that nothing is written past the length the header promises. */
static void base64_is_that_of_rfc_4648(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < PAIRS; i++) {
        char out[16];
        size_t len;

        memset(out, '#', sizeof(out));
        len = hf_base64(pairs[i].plain, out);
        assert_int_equal(len, strlen(pairs[i].base64));
        assert_int_equal(len, HF_BASE64_LEN(pairs[i].plain.len));
        assert_memory_equal(out, pairs[i].base64, len);
        assert_int_equal(out[len], '#');

        memset(out, '#', sizeof(out));
        len = hf_base64url(pairs[i].plain, out);
        assert_int_equal(len, strlen(pairs[i].base64url));
        assert_int_equal(len, HF_BASE64URL_LEN(pairs[i].plain.len));
        assert_memory_equal(out, pairs[i].base64url, len);
        assert_int_equal(out[len], '#');
    }
}

static void assert_decodes(const char *text, struct hf_str expected)
{
    unsigned char out[32];
    size_t len = 99;

    assert_int_equal(hf_base64_decode(hf_str_of(text), out, &len), 0);
    assert_int_equal(len, expected.len);
    assert_memory_equal(out, expected.at, len);
}

static void either_alphabet_decodes_with_or_without_padding(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < PAIRS; i++) {
        assert_decodes(pairs[i].base64, pairs[i].plain);
        assert_decodes(pairs[i].base64url, pairs[i].plain);
    }
}

static void bad_base64_is_refused(void **state)
{
    static const char *const bad[] = {
        "Z",      "A",    "AAAAA",   "Zm9vY", "Zg=",      "Zg===", "Zm8==",
        "=",      "==",   "====",    "A===",  "Zg==Zg==", "Zm=v",  "Z m9v",
        "Zm9v\n", "Zm9.", "AAA\xff", "Zh==",  "Zh",       "Zm9=",  "Zm9"};
    unsigned char out[32];
    size_t i, len = 99;

    (void)state;
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (hf_base64_decode(hf_str_of(bad[i]), out, &len) != HF_EMALFORMED)
            fail_msg("accepted: %s", bad[i]);
    }
    assert_int_equal(hf_base64_decode(HF_STR("AA\0A"), out, &len),
                     HF_EMALFORMED);
    assert_int_equal(len, 99);
}

static void all_bytes_survive_a_round_trip(void **state)
{
    char plain[256], text[HF_BASE64_LEN(256)];
    unsigned char back[sizeof(text) / 4 * 3 + 3];
    size_t i, text_len, back_len;

    (void)state;
    for (i = 0; i < sizeof(plain); i++)
        plain[i] = (char)i;
    for (i = 0; i <= sizeof(plain); i++) {
        text_len = hf_base64(hf_str(plain, i), text);
        assert_int_equal(
            hf_base64_decode(hf_str(text, text_len), back, &back_len), 0);
        assert_int_equal(back_len, i);
        assert_memory_equal(back, plain, i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha1_is_that_of_rfc_3174),
        cmocka_unit_test(websocket_accept_is_that_of_rfc_6455),
        cmocka_unit_test(sha256_is_that_of_fips_180_4),
        cmocka_unit_test(sha256_is_the_same_as_that_of_openssl),
        cmocka_unit_test(hmac_is_the_same_as_that_of_openssl),
        cmocka_unit_test(a_key_that_was_prepared_serves_again_and_again),
        cmocka_unit_test(hmac_is_that_of_rfc_4231),
        cmocka_unit_test(hmac_takes_empty_key_and_data),
        cmocka_unit_test(random_bytes_differ),
        cmocka_unit_test(secrets_are_equal_only_byte_for_byte),
        cmocka_unit_test(base64_is_that_of_rfc_4648),
        cmocka_unit_test(either_alphabet_decodes_with_or_without_padding),
        cmocka_unit_test(bad_base64_is_refused),
        cmocka_unit_test(all_bytes_survive_a_round_trip),
    };

    return cmocka_run_group_tests_name("crypto", tests, NULL, NULL);
}

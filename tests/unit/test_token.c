#include "channel/token.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/crypto.h"
#include "base/err.h"

#define TEXT_LEN 140u
#define SIGNED   89u /* bytes before the signature */

static const char alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static const struct hf_hmac_key *key_of(const char *text)
{
    static struct hf_hmac_key made;

    hf_hmac_key(&made, hf_str_of(text));
    return &made;
}

static const struct hf_hmac_key *key(void)
{
    return key_of("0123456789abcdef0123456789abcdef");
}

static struct hf_token sample(void)
{
    struct hf_token token = {
        .epoch = 0xfedcba9876543210u,
        .cursor = 1000,
        .replay = 900,
        .replay_at = 901,
        .states = 902,
        .replies = 3,
        .mount = 0xdeadbeefu,
        .birth_ms = 1770000000000,
        .expiry_ms = 1770003600000,
        .joined = true,
    };

    memcpy(token.session, "abcdefghijklmnopqrstuv", sizeof(token.session));
    return token;
}

static struct hf_str write_token(const struct hf_token *token, char *out)
{
    size_t len = hf_token_format(token, key(), out);

    assert_int_equal(len, TEXT_LEN);
    return hf_str(out, len);
}

static void assert_same(const struct hf_token *a, const struct hf_token *b)
{
    assert_memory_equal(a->session, b->session, sizeof(a->session));
    assert_true(a->epoch == b->epoch);
    assert_true(a->cursor == b->cursor);
    assert_true(a->replay == b->replay);
    assert_true(a->replay_at == b->replay_at);
    assert_true(a->states == b->states);
    assert_true(a->replies == b->replies);
    assert_true(a->mount == b->mount);
    assert_true(a->birth_ms == b->birth_ms);
    assert_true(a->expiry_ms == b->expiry_ms);
    assert_true(a->joined == b->joined);
}

static void assert_refused(struct hf_str text)
{
    struct hf_token out;

    assert_int_equal(hf_token_parse(text, key(), &out), HF_EMALFORMED);
}

static void what_went_in_comes_out(void **state)
{
    struct hf_token tokens[3] = {sample(), sample(), {.joined = false}};
    size_t i;

    (void)state;
    tokens[1].epoch = tokens[1].cursor = UINT64_MAX;
    tokens[1].replay = tokens[1].replay_at = UINT64_MAX;
    tokens[1].replies = tokens[1].mount = UINT32_MAX;
    tokens[1].birth_ms = INT64_MIN;
    tokens[1].expiry_ms = INT64_MAX;

    for (i = 0; i < 3; i++) {
        char text[HF_TOKEN_MAX];
        struct hf_token again;

        assert_int_equal(
            hf_token_parse(write_token(&tokens[i], text), key(), &again), 0);
        assert_same(&tokens[i], &again);
    }
}

static void a_token_needs_no_escape_in_a_url_or_a_header(void **state)
{
    char text[HF_TOKEN_MAX];
    struct hf_token token = sample();
    size_t i;

    (void)state;
    (void)write_token(&token, text);
    for (i = 0; i < TEXT_LEN; i++)
        assert_non_null(memchr(alphabet, text[i], sizeof(alphabet) - 1));
}

/* Tokens outlive an upgrade: this one was made by version 0.1.0. */
static void the_layout_stays_as_it_is(void **state)
{
    static const char kept[] =
        "AgFhYmNkZWZnaGlqa2xtbm9wcXJzdHV2_ty6mHZUMhAAAAAAAAAD6AAAAAAAAAOE"
        "AAAAAAAAA4UAAAAAAAADhgAAAAPerb7vAAABnBw4pAAAAAGcHG-SgAAnt9RqGqmI"
        "h5jhPgXA1D5s";
    char text[HF_TOKEN_MAX];
    struct hf_token token = sample();

    (void)state;
    (void)write_token(&token, text);
    assert_memory_equal(text, kept, TEXT_LEN);
}

static void any_other_character_anywhere_is_a_forgery(void **state)
{
    char text[HF_TOKEN_MAX];
    struct hf_token token = sample();
    size_t at, i;

    (void)state;
    (void)write_token(&token, text);
    for (at = 0; at < TEXT_LEN; at++) {
        char kept = text[at];

        for (i = 0; i < sizeof(alphabet) - 1; i++) {
            text[at] = alphabet[i];
            if (alphabet[i] != kept)
                assert_refused(hf_str(text, TEXT_LEN));
        }
        text[at] = kept;
    }
}

static void other_bytes_and_other_lengths_are_refused(void **state)
{
    static const char bad[] = {'=', '+', '/', '.', ' ', '\n', '\0', '\xff'};
    char text[HF_TOKEN_MAX] = {0};
    struct hf_token token = sample();
    size_t i;

    (void)state;
    (void)write_token(&token, text);
    for (i = 0; i < HF_TOKEN_MAX; i++) {
        if (i != TEXT_LEN)
            assert_refused(hf_str(text, i));
    }
    memset(text + TEXT_LEN, 'A', HF_TOKEN_MAX - TEXT_LEN);
    for (i = TEXT_LEN + 1; i <= HF_TOKEN_MAX; i++)
        assert_refused(hf_str(text, i));
    text[TEXT_LEN] = '=';
    assert_refused(hf_str(text, TEXT_LEN + 1));
    for (i = 0; i < sizeof(bad); i++) {
        char kept = text[TEXT_LEN - 1];

        text[TEXT_LEN - 1] = bad[i];
        assert_refused(hf_str(text, TEXT_LEN));
        text[TEXT_LEN - 1] = kept;
    }
    assert_refused(hf_str(NULL, 0));
    assert_refused(HF_STR("undefined")); /* what old clients send */
}

/* The decoder of base64 takes both alphabets; the same bits in the other one
 * are another text, and so not a token of ours. */
static void the_standard_alphabet_is_refused(void **state)
{
    char text[HF_TOKEN_MAX];
    struct hf_token token = sample();
    bool changed = false;
    size_t i;

    (void)state;
    token.cursor = UINT64_MAX;
    token.replay = 0xfbefbefbefbefbefu;
    (void)write_token(&token, text);
    for (i = 0; i < TEXT_LEN; i++) {
        if (text[i] != '-' && text[i] != '_')
            continue;
        text[i] = text[i] == '-' ? '+' : '/';
        changed = true;
    }
    assert_true(changed);
    assert_refused(hf_str(text, TEXT_LEN));
}

static void another_key_is_another_host(void **state)
{
    char text[HF_TOKEN_MAX];
    struct hf_token token = sample();
    struct hf_token out;

    (void)state;
    (void)write_token(&token, text);
    assert_int_equal(hf_token_parse(hf_str(text, TEXT_LEN),
                                    key_of("0123456789abcdef0123456789abcdeF"),
                                    &out),
                     HF_EMALFORMED);
}

/* Change one byte of the contents and sign again, as a later version would. */
static void resigned(size_t at, unsigned char byte, char *out)
{
    unsigned char bytes[TEXT_LEN / 4 * 3 + 3];
    unsigned char mac[HF_SHA256_LEN];
    struct hf_token token = sample();
    size_t len;

    (void)write_token(&token, out);
    assert_int_equal(hf_base64_decode(hf_str(out, TEXT_LEN), bytes, &len), 0);
    bytes[at] = byte;
    hf_hmac(key(), hf_str((const char *)bytes, SIGNED), mac);
    memcpy(bytes + SIGNED, mac, 16);
    (void)hf_base64url(hf_str((const char *)bytes, len), out);
}

static void a_token_of_another_version_is_refused(void **state)
{
    char text[HF_TOKEN_MAX];
    struct hf_token out;

    (void)state;
    resigned(0, 2, text);
    assert_int_equal(hf_token_parse(hf_str(text, TEXT_LEN), key(), &out), 0);
    resigned(0, 0, text);
    assert_refused(hf_str(text, TEXT_LEN));
    resigned(0, 1, text);
    assert_refused(hf_str(text, TEXT_LEN));
    resigned(1, 0x11, text); /* a flag nobody has given a meaning yet */
    assert_refused(hf_str(text, TEXT_LEN));
}

static void a_refused_token_leaves_nothing_behind(void **state)
{
    char text[HF_TOKEN_MAX];
    struct hf_token token = sample();
    struct hf_token out = {.cursor = 77, .joined = false};

    (void)state;
    (void)write_token(&token, text);
    text[TEXT_LEN - 1] = text[TEXT_LEN - 1] == 'A' ? 'B' : 'A';
    assert_int_equal(hf_token_parse(hf_str(text, TEXT_LEN), key(), &out),
                     HF_EMALFORMED);
    assert_true(out.cursor == 77 && !out.joined);
}

static void session_ids_are_random(void **state)
{
    char a[22], b[22];
    size_t i;

    (void)state;
    assert_int_equal(hf_token_new_session(a), 0);
    assert_int_equal(hf_token_new_session(b), 0);
    assert_memory_not_equal(a, b, sizeof(a));
    for (i = 0; i < sizeof(a); i++)
        assert_non_null(memchr(alphabet, a[i], sizeof(alphabet) - 1));
}

static void a_mount_has_the_same_hash_in_every_version(void **state)
{
    (void)state;
    assert_int_equal(hf_token_mount(HF_STR("")), 0x811c9dc5u);
    assert_int_equal(hf_token_mount(HF_STR("a")), 0xe40c292cu);
    assert_int_equal(hf_token_mount(HF_STR("foobar")), 0xbf9cf968u);
    assert_int_not_equal(hf_token_mount(HF_STR("/socket")),
                         hf_token_mount(HF_STR("/socket2")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_went_in_comes_out),
        cmocka_unit_test(a_token_needs_no_escape_in_a_url_or_a_header),
        cmocka_unit_test(the_layout_stays_as_it_is),
        cmocka_unit_test(any_other_character_anywhere_is_a_forgery),
        cmocka_unit_test(other_bytes_and_other_lengths_are_refused),
        cmocka_unit_test(the_standard_alphabet_is_refused),
        cmocka_unit_test(another_key_is_another_host),
        cmocka_unit_test(a_token_of_another_version_is_refused),
        cmocka_unit_test(a_refused_token_leaves_nothing_behind),
        cmocka_unit_test(session_ids_are_random),
        cmocka_unit_test(a_mount_has_the_same_hash_in_every_version),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

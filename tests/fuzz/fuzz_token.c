/*
 * fuzz_token.c - any bytes as a poll token, and any token tampered with
 *
 * The input's beginning fills a token, what follows says how its text is
 * changed. Only the unchanged text may be taken.
 */
#include "tests/fuzz/fuzz.h"

#include "channel/token.h"

static struct hf_hmac_key made;
static const struct hf_hmac_key *const key = &made;

static void fill(void *out, size_t len, const uint8_t **data, size_t *size)
{
    size_t n = *size < len ? *size : len;

    memset(out, 0, len);
    if (n > 0)
        memcpy(out, *data, n);
    *data += n;
    *size -= n;
}

#define FILL(member) fill(&(member), sizeof(member), &data, &size)

static bool same(const struct hf_token *a, const struct hf_token *b)
{
    return memcmp(a->session, b->session, sizeof(a->session)) == 0 &&
           a->epoch == b->epoch && a->cursor == b->cursor &&
           a->replay == b->replay && a->replay_at == b->replay_at &&
           a->replies == b->replies && a->mount == b->mount &&
           a->birth_ms == b->birth_ms && a->expiry_ms == b->expiry_ms &&
           a->joined == b->joined && a->owned == b->owned &&
           a->expired == b->expired;
}

static void check_text(struct hf_str text)
{
    struct hf_token token;
    char again[HF_TOKEN_MAX];

    if (hf_token_parse(text, key, &token))
        return;
    CHECK(hf_str_eq(text, hf_str(again, hf_token_format(&token, key, again))));
}

/* Pairs of a place and a byte; the text may also get shorter. */
static void check_tampered(struct hf_str text, const uint8_t *data, size_t size)
{
    char changed[HF_TOKEN_MAX];
    struct hf_token token;
    size_t len = text.len, i;

    memcpy(changed, text.at, len);
    for (i = 0; i + 1 < size; i += 2) {
        if (data[i] < len)
            changed[data[i]] = (char)data[i + 1];
        else
            len = data[i + 1] < len ? data[i + 1] : len;
    }
    if (!hf_str_eq(text, hf_str(changed, len)))
        CHECK(hf_token_parse(hf_str(changed, len), key, &token));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_token token, again;
    char text[HF_TOKEN_MAX];
    uint8_t joined;
    size_t len;

    hf_hmac_key(&made, HF_STR("a key that the fuzzer does not use"));
    check_text(hf_str((const char *)data, size));

    FILL(joined);
    FILL(token.session);
    FILL(token.epoch);
    FILL(token.cursor);
    FILL(token.replay);
    FILL(token.replay_at);
    FILL(token.replies);
    FILL(token.mount);
    FILL(token.birth_ms);
    FILL(token.expiry_ms);
    token.joined = joined & 1;
    token.owned = joined >> 1 & 1;
    token.expired = joined >> 2 & 1;

    len = hf_token_format(&token, key, text);
    CHECK(len > 0 && len <= HF_TOKEN_MAX);
    CHECK(!hf_token_parse(hf_str(text, len), key, &again));
    CHECK(same(&token, &again));
    check_tampered(hf_str(text, len), data, size);
    return 0;
}

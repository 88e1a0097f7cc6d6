#include "channel/identity.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/jwt.h"
#include "channel/topic.h"
#include "schema/policies.h"

/* Nested arrays and objects; the claim has two. */
#define DEPTH 16u

struct hf_claim {
    struct hf_str name; /* the topic, or the prefix without its '*' */
    bool prefix;
    unsigned rights;
};

/* --- the claim `topics` -------------------------------------------------- */

/* Words that this version does not know give no right. False: no list. */
static bool read_rights(struct hf_json list, unsigned *out)
{
    struct hf_json_walk walk;
    struct hf_json word;

    *out = 0;
    if (list.type != HF_JSON_ARRAY)
        return false;
    hf_json_walk(list, &walk);
    while (hf_json_element(&walk, &word)) {
        char text[16];
        size_t len;
        unsigned right;

        if (word.type == HF_JSON_STRING &&
            hf_json_unescape(word, text, sizeof(text), &len) == 0 &&
            hf_rights_parse(hf_str(text, len), &right) == 0)
            *out |= right;
    }
    return true;
}

static int count_patterns(struct hf_json topics, size_t *out)
{
    struct hf_json name, rights;
    struct hf_json_walk walk;
    unsigned ignored;

    *out = 0;
    if (topics.type != HF_JSON_OBJECT)
        return HF_EINVAL;
    hf_json_walk(topics, &walk);
    while (hf_json_member(&walk, &name, &rights)) {
        if (!read_rights(rights, &ignored))
            return HF_EINVAL;
        ++*out;
    }
    return 0;
}

/* Patterns unescaped to `room`, which has as much of it as the claim is long. */
static void read_patterns(struct hf_identity *identity, struct hf_json topics,
                          char *room)
{
    struct hf_json name, rights;
    struct hf_json_walk walk;

    hf_json_walk(topics, &walk);
    while (hf_json_member(&walk, &name, &rights)) {
        struct hf_claim claim = {.prefix = false};
        struct hf_str pattern = hf_str(room, 0);

        (void)hf_json_unescape(name, room, name.raw.len, &pattern.len);
        (void)read_rights(rights, &claim.rights);
        if (!hf_pattern_legal(pattern))
            continue;
        claim.prefix = hf_pattern_prefix(pattern, &claim.name);
        if (!claim.prefix)
            claim.name = pattern;
        identity->claims[identity->count++] = claim;
        room += pattern.len;
    }
}

/* --- life ---------------------------------------------------------------- */

static bool user_legal(struct hf_str user)
{
    size_t i;

    if (user.len > HF_USER_MAX)
        return false;
    for (i = 0; i < user.len; i++) {
        unsigned char c = (unsigned char)user.at[i];

        if (c < ' ' || c == 0x7f)
            return false;
    }
    return true;
}

static struct hf_str put(char **at, struct hf_str s)
{
    struct hf_str copy = hf_str(*at, s.len);

    if (s.len > 0)
        memcpy(*at, s.at, s.len);
    *at += s.len;
    return copy;
}

static struct hf_identity *allocate(size_t text, size_t claims)
{
    struct hf_identity *identity = calloc(1, sizeof(*identity) + text);

    if (!identity)
        return NULL;
    identity->claims = calloc(claims ? claims : 1, sizeof(*identity->claims));
    if (!identity->claims) {
        free(identity);
        return NULL;
    }
    identity->refs = 1;
    return identity;
}

int hf_identity_new(struct hf_str user, struct hf_str topics,
                    int64_t expires_ms, struct hf_identity **out)
{
    struct hf_identity *identity;
    struct hf_json claim = {.type = HF_JSON_NULL};
    size_t count = 0;
    char *at;

    if (!user_legal(user) ||
        (topics.len > 0 && (hf_json_read(topics, DEPTH, &claim) ||
                            count_patterns(claim, &count))))
        return HF_EINVAL;
    identity = allocate(user.len + 2 * topics.len, count);
    if (!identity)
        return HF_ENOMEM;
    at = identity->text;
    identity->expires_ms = expires_ms;
    identity->user = put(&at, user);
    identity->topics = put(&at, topics);
    if (topics.len > 0)
        read_patterns(identity, claim, at);
    *out = identity;
    return 0;
}

struct hf_identity *hf_identity_ref(struct hf_identity *identity)
{
    if (identity)
        identity->refs++;
    return identity;
}

void hf_identity_unref(struct hf_identity *identity)
{
    if (!identity || --identity->refs > 0)
        return;
    free(identity->claims);
    free(identity);
}

/* --- from a token -------------------------------------------------------- */

/* `sub`, if it has one, to `room`. */
static bool read_sub(const struct hf_jwt *jwt, char room[HF_USER_MAX],
                     struct hf_str *out)
{
    struct hf_json sub;

    *out = hf_str(room, 0);
    return !hf_json_find(jwt->claims, HF_STR("sub"), &sub) ||
           (hf_json_unescape(sub, room, HF_USER_MAX, &out->len) == 0 &&
            out->len > 0 && user_legal(*out));
}

static int of_claims(const struct hf_jwt *jwt, struct hf_identity **out,
                     const char **out_why)
{
    struct hf_json topics = {.type = HF_JSON_NULL};
    char room[HF_USER_MAX];
    struct hf_str user;
    int err;

    if (!read_sub(jwt, room, &user)) {
        *out_why = "its sub is no text of 1 to 128 bytes without control "
                   "characters";
        return HF_EDENIED;
    }
    (void)hf_json_find(jwt->claims, HF_STR("topics"), &topics);
    err = hf_identity_new(user, topics.raw, jwt->expires_s * 1000, out);
    if (err == HF_EINVAL) {
        *out_why = "its topics are no object of patterns and lists of rights";
        return HF_EDENIED;
    }
    if (err)
        *out_why = hf_jwt_why(HF_JWT_MEMORY);
    return err;
}

int hf_identity_of_token(const struct hf_jwks *keys, struct hf_str token,
                         int64_t now_ms, struct hf_identity **out,
                         const char **out_why)
{
    struct hf_jwt jwt;
    enum hf_jwt_state state = hf_jwt_verify(&jwt, token, keys, now_ms / 1000);

    *out_why = hf_jwt_why(state);
    switch (state) {
    case HF_JWT_VALID:
        return of_claims(&jwt, out, out_why);
    case HF_JWT_EXPIRED:
        return HF_EEXPIRED;
    case HF_JWT_MEMORY:
        return HF_ENOMEM;
    case HF_JWT_LONG:
    case HF_JWT_FORM:
    case HF_JWT_HEADER:
    case HF_JWT_CRITICAL:
    case HF_JWT_KEY:
    case HF_JWT_KEYS:
    case HF_JWT_ALGORITHM:
    case HF_JWT_SIGNATURE:
    case HF_JWT_CLAIMS:
    case HF_JWT_NO_EXPIRY:
    case HF_JWT_EARLY:
        return HF_EDENIED;
    }
    return HF_EDENIED;
}

/* --- looking ------------------------------------------------------------- */

unsigned hf_identity_rights(const struct hf_identity *identity,
                            struct hf_str topic, int64_t now_ms)
{
    unsigned rights = 0;
    size_t i;

    if (!identity || now_ms >= identity->expires_ms)
        return 0;
    for (i = 0; i < identity->count; i++) {
        const struct hf_claim *claim = &identity->claims[i];

        if (claim->prefix ? hf_str_starts(topic, claim->name)
                          : hf_str_eq(topic, claim->name))
            rights |= claim->rights;
    }
    return rights;
}

struct hf_str hf_user_topic(struct hf_str user, char room[HF_USER_TOPIC_MAX])
{
    static const struct hf_str start = HF_STR_INIT("user_socket:");

    if (user.len == 0)
        return hf_str(room, 0);
    memcpy(room, start.at, start.len);
    memcpy(room + start.len, user.at, user.len);
    return hf_str(room, start.len + user.len);
}

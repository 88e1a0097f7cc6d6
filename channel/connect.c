#include "channel/connect.h"

#include <strings.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/jwt.h"
#include "base/log.h"
#include "base/query.h"
#include "channel/presence.h"

/* --- version (2.2) ------------------------------------------------------- */

enum version { VERSION_1, VERSION_2, VERSION_OTHER };

/* "<major>.0." and a number without leading zeros. */
static bool is_version(struct hf_str text, struct hf_str start)
{
    struct hf_str patch;
    size_t i;

    if (!hf_str_starts(text, start))
        return false;
    patch = hf_str_from(text, start.len);
    for (i = 0; i < patch.len; i++) {
        if (patch.at[i] < '0' || patch.at[i] > '9')
            return false;
    }
    return patch.len == 1 || (patch.len > 1 && patch.at[0] != '0');
}

static enum version version_of(struct hf_str text)
{
    if (is_version(text, HF_STR("2.0.")))
        return VERSION_2;
    if (is_version(text, HF_STR("1.0.")))
        return VERSION_1;
    return VERSION_OTHER;
}

/* Of several the last one counts; "vsn[]" is a list and never a version. */
static enum version asked_version(struct hf_str query)
{
    enum version version = VERSION_1; /* when there is none */
    struct hf_str name, value;

    while (hf_query_next(&query, &name, &value)) {
        char plain[16];
        size_t len;

        if (hf_query_decode(name, plain, sizeof(plain), &len))
            continue; /* a user parameter: not ours to judge */
        if (hf_str_starts(hf_str(plain, len), HF_STR("vsn[")))
            return VERSION_OTHER;
        if (!hf_str_eq(hf_str(plain, len), HF_STR("vsn")))
            continue;
        version = VERSION_OTHER;
        if (!hf_query_decode(value, plain, sizeof(plain), &len))
            version = version_of(hf_str(plain, len));
    }
    return version;
}

static bool version_served(const struct hf_hello *hello, enum hf_vsn *out)
{
    switch (asked_version(hello->query)) {
    case VERSION_1:
        *out = HF_VSN_1;
        return true;
    case VERSION_2:
        *out = HF_VSN_2;
        return true;
    case VERSION_OTHER:
        HF_LOG(HF_LOG_WARN, "connect_refused", hf_field("reason", "version"),
               hf_field("hint", "vsn is none of ours: connect with vsn=2.0.0, "
                                "or with 1.0.0 for messages as objects"),
               hf_field_s("peer", hello->peer));
        return false;
    }
    return false;
}

/* ------------------------------------------------------------------------- */

int hf_connect_check(const struct hf_settings *settings,
                     const struct hf_hello *hello, struct hf_client *out)
{
    enum hf_vsn vsn;

    if (!version_served(hello, &vsn))
        return HF_EDENIED;
    if (!hf_host_ours(settings, &hello->from)) {
        HF_LOG(HF_LOG_WARN, "connect_refused", hf_field("reason", "host"),
               hf_field_s("host", hello->from.host),
               hf_field("hint", "if this name is yours, add it to hosts in "
                                "holdfast.conf"),
               hf_field_s("peer", hello->peer));
        return HF_EDENIED;
    }
    if (hf_origin_check(settings, &hello->from)) {
        HF_LOG(HF_LOG_WARN, "connect_refused", hf_field("reason", "origin"),
               hf_field_s("origin", hello->from.origin),
               hf_field_s("host", hello->from.host),
               hf_field_s("sec_fetch_site", hello->from.sec_fetch_site),
               hf_field("hint", "if pages from there may connect, add it to "
                                "origins in holdfast.conf"),
               hf_field_s("peer", hello->peer));
        return HF_EDENIED;
    }
    *out = (struct hf_client){.vsn = vsn};
    out->owned = hf_presence_owner(hello->query, out->owner);
    return 0;
}

/* --- token (2.4) --------------------------------------------------------- */

/* "Bearer TOKEN"; other schemes are for the web server. */
static bool is_bearer(struct hf_str header, struct hf_str *out)
{
    static const struct hf_str scheme = HF_STR_INIT("Bearer ");

    if (header.len < scheme.len ||
        strncasecmp(header.at, scheme.at, scheme.len) != 0)
        return false;
    *out = hf_str_from(header, scheme.len);
    while (out->len > 0 && out->at[0] == ' ')
        *out = hf_str_from(*out, 1);
    return true;
}

/* A connect parameter; one that is too long, or badly written, counts as an
 * empty token, which is valid nowhere. */
static bool parameter(struct hf_str query, struct hf_str name,
                      char room[HF_JWT_MAX], struct hf_str *out)
{
    int err;

    *out = hf_str(room, 0);
    err = hf_query_get(query, name, room, HF_JWT_MAX, &out->len);
    if (err)
        out->len = 0;
    return err != HF_ENOTFOUND;
}

static int refuse_token(const struct hf_hello *hello, const char *why)
{
    HF_LOG(HF_LOG_WARN, "connect_refused", hf_field("reason", "token"),
           hf_field("why", why),
           hf_field("hint", "`holdfast token --inspect` looks at one"),
           hf_field_s("peer", hello->peer));
    return HF_EDENIED;
}

/* Where the token stands that must be valid. */
static bool find_token(const struct hf_hello *hello, char room[HF_JWT_MAX],
                       struct hf_str *out)
{
    *out = hello->auth_token;
    if (out->len > 0)
        return true;
    return is_bearer(hello->authorization, out) ||
           parameter(hello->query, HF_STR("access_token"), room, out);
}

int hf_connect_identify(const struct hf_settings *settings,
                        struct hf_keys *keys, const struct hf_hello *hello,
                        struct hf_client *client)
{
    struct hf_identity *identity = NULL;
    const char *why = "";
    char room[HF_JWT_MAX];
    struct hf_str token;
    int err;

    if (hello->auth_token_bad)
        return refuse_token(hello, "it is not in base64");
    if (settings->tokens == HF_TOKENS_APPLICATION) {
        hf_client_set(client, NULL); /* who it is, the hook will say */
        return 0;
    }
    if (find_token(hello, room, &token)) {
        err = hf_identity_of_token(hf_keys_now(keys), token, hf_wall_ms(),
                                   &identity, &why);
        if (err)
            return err == HF_ENOMEM ? err : refuse_token(hello, why);
    } else if (parameter(hello->query, HF_STR("apikey"), room, &token) &&
               hf_identity_of_token(hf_keys_now(keys), token, hf_wall_ms(),
                                    &identity, &why)) {
        HF_LOG(HF_LOG_DEBUG, "apikey_ignored", hf_field("why", why));
    }
    hf_client_set(client, identity);
    return 0;
}

struct hf_str hf_connect_token(const struct hf_settings *settings,
                               const struct hf_hello *hello,
                               char room[HF_JWT_MAX])
{
    struct hf_str token;

    if (settings->tokens == HF_TOKENS_APPLICATION &&
        find_token(hello, room, &token))
        return token;
    return HF_STR("");
}

bool hf_connect_fresher(struct hf_keys *keys, const struct hf_hello *hello,
                        const struct hf_client *client,
                        struct hf_identity **out)
{
    struct hf_identity *identity;
    const char *why;

    if (!client->identity || hello->auth_token.len == 0 ||
        hf_identity_of_token(hf_keys_now(keys), hello->auth_token, hf_wall_ms(),
                             &identity, &why))
        return false;
    if (hf_str_eq(identity->user, client->user) &&
        identity->expires_ms > client->identity->expires_ms) {
        *out = identity;
        return true;
    }
    hf_identity_unref(identity);
    return false;
}

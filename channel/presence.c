#include "channel/presence.h"

#include "base/crypto.h"
#include "base/err.h"
#include "base/json.h"
#include "base/query.h"

/* 22 characters that tell nobody what they were made of. */
static void derive(const char *what, struct hf_str from, char out[HF_OWNER_LEN])
{
    unsigned char hash[HF_SHA256_LEN];
    char text[HF_BASE64URL_LEN(HF_SHA256_LEN)];

    hf_hmac_sha256(hf_str_of(what), from, hash);
    (void)hf_base64url(hf_str((const char *)hash, sizeof(hash)), text);
    memcpy(out, text, HF_OWNER_LEN);
}

bool hf_presence_owner(struct hf_str query, char out[HF_OWNER_LEN])
{
    char id[HF_CLIENT_ID_MAX];
    size_t len;

    if (hf_query_get(query, HF_STR("client_id"), id, sizeof(id), &len) ||
        len < HF_CLIENT_ID_MIN)
        return false;
    derive("holdfast client_id", hf_str(id, len), out);
    return true;
}

struct hf_str hf_presence_owner_of(const struct hf_client *client,
                                   struct hf_str session)
{
    return client->owned ? hf_str(client->owner, HF_OWNER_LEN) : session;
}

/* --- join ------------------------------------------------------------------ */

/* A string member that is not empty. */
static bool find_key(struct hf_json object, struct hf_json *out)
{
    return hf_json_find(object, HF_STR("key"), out) &&
           out->type == HF_JSON_STRING && out->raw.len > 2;
}

static bool find_said_key(struct hf_json payload, struct hf_json *out)
{
    struct hf_json config, presence;

    if (hf_json_find(payload, HF_STR("presence"), &presence) &&
        find_key(presence, out))
        return true;
    return hf_json_find(payload, HF_STR("config"), &config) &&
           hf_json_find(config, HF_STR("presence"), &presence) &&
           find_key(presence, out);
}

static bool take_key(const struct hf_frame *frame,
                     const struct hf_client *client, struct hf_str owner,
                     struct hf_presence_join *out)
{
    struct hf_json said;

    if (hf_presence_key_legal(client->user)) {
        memcpy(out->bytes, client->user.at, client->user.len);
        out->key = hf_str(out->bytes, client->user.len);
        return true;
    }
    if (client->user.len == 0 && frame->kind == HF_KIND_JSON &&
        find_said_key(frame->payload, &said)) {
        size_t len;

        if (hf_json_unescape(said, out->bytes, sizeof(out->bytes), &len))
            return false;
        out->key = hf_str(out->bytes, len);
        return hf_presence_key_legal(out->key);
    }
    out->key = hf_str(out->bytes, HF_OWNER_LEN);
    derive("holdfast presence key", owner, out->bytes);
    return true;
}

void hf_presence_of_join(const struct hf_frame *frame,
                         const struct hf_client *client, struct hf_str owner,
                         struct hf_grant grant, struct hf_presence_join *out)
{
    struct hf_json presence, meta;

    *out = (struct hf_presence_join){
        .allowed = (grant.rights & HF_RIGHT_PRESENCE) != 0};
    if (!out->allowed)
        return;
    if (!take_key(frame, client, owner, out)) {
        out->refused = "invalid presence";
        return;
    }
    if (frame->kind != HF_KIND_JSON ||
        !hf_json_find(frame->payload, HF_STR("presence"), &presence) ||
        !hf_json_find(presence, HF_STR("meta"), &meta))
        return;
    if (meta.type != HF_JSON_OBJECT || meta.raw.len > HF_PRESENCE_META)
        out->refused = "invalid presence";
    out->meta = meta.raw;
}

/* --- push ------------------------------------------------------------------- */

static bool is_text(struct hf_json object, struct hf_str name,
                    struct hf_str wanted)
{
    struct hf_json value;
    char text[16];
    size_t len;

    return hf_json_find(object, name, &value) && value.type == HF_JSON_STRING &&
           hf_json_unescape(value, text, sizeof(text), &len) == 0 &&
           hf_str_eq(hf_str(text, len), wanted);
}

bool hf_presence_of_push(const struct hf_frame *frame, struct hf_grant grant,
                         struct hf_presence_push *out)
{
    struct hf_json meta;

    *out = (struct hf_presence_push){.refused = NULL};
    if (!hf_str_eq(frame->event, HF_STR("presence")) ||
        frame->kind != HF_KIND_JSON ||
        !is_text(frame->payload, HF_STR("type"), HF_STR("presence")))
        return false;
    out->tracks = is_text(frame->payload, HF_STR("event"), HF_STR("track"));
    if (!out->tracks &&
        !is_text(frame->payload, HF_STR("event"), HF_STR("untrack")))
        out->refused = "invalid presence";
    if (!(grant.rights & HF_RIGHT_PRESENCE))
        out->refused = "unauthorized";
    if (!out->tracks || out->refused)
        return true;
    if (!hf_json_find(frame->payload, HF_STR("payload"), &meta))
        out->meta = HF_STR("{}");
    else if (meta.type == HF_JSON_OBJECT && meta.raw.len <= HF_PRESENCE_META)
        out->meta = meta.raw;
    else
        out->refused = "invalid presence";
    return true;
}

const char *hf_presence_reason(int err)
{
    switch (err) {
    case HF_EINVAL:
        return "invalid presence";
    case HF_ELIMIT:
        return "presence full";
    default:
        return NULL;
    }
}

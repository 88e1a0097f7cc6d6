#include "channel/row.h"

#include "base/crypto.h"
#include "base/json.h"
#include "channel/cursor.h"

/* "j:<epoch>.<id>", with its quotes. */
static size_t quote_cursor(char *out, uint64_t epoch, uint64_t id)
{
    size_t len = hf_cursor_format((struct hf_cursor){epoch, id}, out + 1);

    out[0] = out[1 + len] = '"';
    return len + 2;
}

/* `cursor` is room that stays until the parts are written. */
static void take_apart(struct hf_parts *out, const struct hf_row *row,
                       uint64_t epoch, enum hf_form form,
                       struct hf_str join_ref, char cursor[HF_CURSOR_MAX + 2])
{
    struct hf_str ref = HF_NULL;

#ifdef HF_BROKEN_REPLAY_NULL_REF
    join_ref.len = 0;
#endif
    if (join_ref.len > 0)
        ref = hf_str(cursor, quote_cursor(cursor, epoch, row->id));
    else
        join_ref = HF_NULL;
    hf_parts_push(out, form, join_ref, ref, row->topic, row->event, row->kind,
                  row->payload);
}

int hf_encode_row(struct hf_buf *out, const struct hf_row *row, uint64_t epoch,
                  enum hf_vsn vsn, struct hf_str join_ref)
{
    char cursor[HF_CURSOR_MAX + 2];
    struct hf_parts parts;

    take_apart(&parts, row, epoch, hf_form_of(vsn), join_ref, cursor);
    return hf_parts_add(out, &parts);
}

/* --- raw bytes for realtime-js (9.1) --------------------------------------- */

#define FIELD_MAX 255u /* and a topic is shorter, see limits.h */

struct user {
    struct hf_str event, metadata, base64;
};

static bool is_broadcast(const struct hf_row *row)
{
    return hf_str_eq(row->event, HF_STR("broadcast"));
}

/* The inside of a JSON string that is written as it is. */
static bool inside(struct hf_json value, struct hf_str *out)
{
    if (value.type != HF_JSON_STRING ||
        memchr(value.raw.at, '\\', value.raw.len))
        return false;
    *out = hf_str(value.raw.at + 1, value.raw.len - 2);
    return true;
}

/* {"_binary":"<base64>"} and nothing more. */
static bool find_base64(struct hf_json value, struct hf_str *out)
{
    struct hf_json_walk walk;
    struct hf_json name, base64;

    if (value.type != HF_JSON_OBJECT)
        return false;
    hf_json_walk(value, &walk);
    return hf_json_member(&walk, &name, &base64) &&
           hf_json_is(name, HF_STR("_binary")) && inside(base64, out) &&
           !hf_json_member(&walk, &name, &base64);
}

/* Is the payload of this row a broadcast of bytes, and nothing more? */
static bool find_user(const struct hf_row *row, struct user *out)
{
    struct hf_json payload, name, value;
    struct hf_json_walk walk;
    bool named = false, found = false;

    if (hf_json_read(row->payload, HF_JSON_DEPTH, &payload) ||
        payload.type != HF_JSON_OBJECT)
        return false;
    *out = (struct user){.metadata = {NULL, 0}};
    hf_json_walk(payload, &walk);
    while (hf_json_member(&walk, &name, &value)) {
        if (hf_json_is(name, HF_STR("event")))
            named = inside(value, &out->event);
        else if (hf_json_is(name, HF_STR("payload")))
            found = find_base64(value, &out->base64);
        else if (hf_json_is(name, HF_STR("meta")))
            out->metadata = value.raw;
        else if (!hf_json_is(name, HF_STR("type")))
            return false;
    }
    return named && found && out->event.len <= FIELD_MAX &&
           out->metadata.len <= FIELD_MAX;
}

static char *put(char *at, struct hf_str s)
{
    if (s.len > 0)
        memcpy(at, s.at, s.len);
    return at + s.len;
}

/* 04 | T | E | M | enc 0 | topic | user event | metadata | payload. NULL when
 * it is none, or out of memory: then it goes as text. */
static struct hf_msg *user_msg(const struct hf_row *row)
{
    struct hf_msg *msg;
    struct user user;
    size_t head, len;
    char *at;

    if (!find_user(row, &user))
        return NULL;
    head = 5 + row->topic.len + user.event.len + user.metadata.len;
    msg = hf_msg_new(head + user.base64.len / 4 * 3 + 3);
    if (!msg)
        return NULL;
    at = msg->text;
    *at++ = 4;
    *at++ = (char)row->topic.len;
    *at++ = (char)user.event.len;
    *at++ = (char)user.metadata.len;
    *at++ = 0;
    at = put(at, row->topic);
    at = put(at, user.event);
    at = put(at, user.metadata);
    if (hf_base64_decode(user.base64, (unsigned char *)at, &len)) {
        hf_msg_unref(msg);
        return NULL;
    }
    msg->len = (uint32_t)(head + len);
    msg->binary = true;
    return msg;
}

/* --------------------------------------------------------------------------- */

struct hf_msg *hf_row_msg(const struct hf_row *row, uint64_t epoch,
                          enum hf_form form, struct hf_str join_ref)
{
    char cursor[HF_CURSOR_MAX + 2];
    struct hf_parts parts;
    struct hf_msg *msg = NULL;

    if (form == HF_FORM_REALTIME && join_ref.len == 0 &&
        row->kind == HF_KIND_JSON && is_broadcast(row))
        msg = user_msg(row);
    if (msg)
        return msg;
    take_apart(&parts, row, epoch, form, join_ref, cursor);
    return hf_parts_msg(&parts);
}

void hf_row_same(const struct hf_row *row, enum hf_form *form,
                 struct hf_str *join_ref)
{
    switch (*form) {
    case HF_FORM_OBJECT: /* knows no join_ref, only whether there are cursors */
        if (join_ref->len > 0)
            *join_ref = HF_NULL;
        return;
    case HF_FORM_ARRAY:
        return;
    case HF_FORM_FRAMES:
        if (row->kind == HF_KIND_JSON || join_ref->len > 0)
            *form = HF_FORM_ARRAY;
        return;
    case HF_FORM_REALTIME:
        if ((row->kind == HF_KIND_JSON && !is_broadcast(row)) ||
            join_ref->len > 0)
            *form = HF_FORM_ARRAY;
        return;
    }
}

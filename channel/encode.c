#include "channel/encode.h"

#include <assert.h>

#include "base/crypto.h"
#include "base/err.h"
#include "base/json.h"

#define FIELD_MAX 255u /* a length in a binary header is one byte */

enum frame_kind {
    KIND_PUSH = 0,
    KIND_REPLY = 1,
    KIND_BROADCAST = 2,
    KIND_REALTIME = 4,
};

/* --- parts --------------------------------------------------------------- */

static void begin(struct hf_parts *out)
{
    out->binary = false;
    out->len = 0;
    out->count = 0;
}

static struct hf_part *next_part(struct hf_parts *out, struct hf_str bytes)
{
    struct hf_part *part = &out->part[out->count];

    assert(out->count < HF_PARTS);
    out->count++;
    part->bytes = bytes;
    part->how = HF_PART_PLAIN;
    return part;
}

static void plain(struct hf_parts *out, struct hf_str bytes)
{
    (void)next_part(out, bytes);
    out->len += bytes.len;
}

static void quoted(struct hf_parts *out, struct hf_str bytes)
{
    size_t len = hf_json_quoted_len(bytes);

    next_part(out, bytes)->how =
        len == bytes.len + 2 ? HF_PART_STRING : HF_PART_QUOTED;
    out->len += len;
}

static void value(struct hf_parts *out, enum hf_kind kind, struct hf_str bytes)
{
    if (kind == HF_KIND_JSON) {
        plain(out, bytes);
        return;
    }
    plain(out, HF_BINARY_BEGIN);
    next_part(out, bytes)->how = HF_PART_BASE64;
    out->len += HF_BASE64_LEN(bytes.len);
    plain(out, HF_BINARY_END);
}

static char *put(char *at, struct hf_str bytes)
{
    if (bytes.len > 0)
        memcpy(at, bytes.at, bytes.len);
    return at + bytes.len;
}

char *hf_parts_write(const struct hf_parts *parts, char *at)
{
    uint8_t i;

    for (i = 0; i < parts->count; i++) {
        const struct hf_part *part = &parts->part[i];

        switch (part->how) {
        case HF_PART_PLAIN:
            at = put(at, part->bytes);
            break;
        case HF_PART_STRING:
            *at++ = '"';
            at = put(at, part->bytes);
            *at++ = '"';
            break;
        case HF_PART_QUOTED:
            at = hf_json_quote_to(at, part->bytes);
            break;
        case HF_PART_BASE64:
            at += hf_base64(part->bytes, at);
            break;
        }
    }
    return at;
}

int hf_parts_add(struct hf_buf *out, const struct hf_parts *parts)
{
    char *at = hf_buf_room(out, parts->len);

    if (!at)
        return out->failed;
    (void)hf_parts_write(parts, at);
    hf_buf_grown(out, parts->len);
    return 0;
}

struct hf_msg *hf_parts_msg(const struct hf_parts *parts)
{
    struct hf_msg *msg = hf_msg_new(parts->len);

    if (!msg)
        return NULL;
    msg->binary = parts->binary;
    (void)hf_parts_write(parts, msg->text);
    return msg;
}

/* --- binary frames (3.3) --------------------------------------------------- */

/* A JSON string as the bytes it stands for, null as none. False where a frame
 * cannot carry it; a text with escapes is not worth undoing them. */
static bool field_of(struct hf_str json, struct hf_str *out)
{
    if (hf_str_eq(json, HF_NULL)) {
        *out = hf_str(NULL, 0);
        return true;
    }
    if (json.len < 2 || json.at[0] != '"' || memchr(json.at, '\\', json.len))
        return false;
    *out = hf_str(json.at + 1, json.len - 2);
    return out->len <= FIELD_MAX;
}

/* Kind, lengths, fields, payload. */
static bool frame(struct hf_parts *out, enum frame_kind kind,
                  const struct hf_str *fields, size_t count,
                  struct hf_str payload)
{
    size_t i;

    for (i = 0; i < count; i++) {
        if (fields[i].len > FIELD_MAX)
            return false;
        out->header[1 + i] = (unsigned char)fields[i].len;
    }
    out->binary = true;
    out->header[0] = (unsigned char)kind;
    plain(out, hf_str((const char *)out->header, 1 + count));
    for (i = 0; i < count; i++)
        plain(out, fields[i]);
    plain(out, payload);
    return true;
}

static bool reply_frame(struct hf_parts *out, struct hf_str join_ref,
                        struct hf_str ref, struct hf_str raw_topic,
                        struct hf_str status, struct hf_str response)
{
    struct hf_str fields[4];

    if (!field_of(join_ref, &fields[0]) || !field_of(ref, &fields[1]) ||
        !field_of(raw_topic, &fields[2]))
        return false;
    fields[3] = status;
    return frame(out, KIND_REPLY, fields, 4, response);
}

static bool push_frame(struct hf_parts *out, struct hf_str join_ref,
                       struct hf_str topic, struct hf_str event,
                       struct hf_str payload)
{
    struct hf_str fields[3] = {{NULL, 0}, topic, event};

    if (hf_str_eq(join_ref, HF_NULL))
        return frame(out, KIND_BROADCAST, fields + 1, 2, payload);
    return field_of(join_ref, &fields[0]) &&
           frame(out, KIND_PUSH, fields, 3, payload);
}

/* 04 | T | E | M | enc | topic | user event | metadata | payload, with no
 * metadata and enc 0: raw bytes (9.1). */
static bool realtime_frame(struct hf_parts *out, struct hf_str topic,
                           struct hf_str event, struct hf_str payload)
{
    struct hf_str fields[4] = {topic, event, {NULL, 0}, {NULL, 0}};

    return frame(out, KIND_REALTIME, fields, 4, payload);
}

/* --- text ------------------------------------------------------------------ */

static void refs(struct hf_parts *out, struct hf_str join_ref,
                 struct hf_str ref)
{
    plain(out, HF_STR("["));
    plain(out, join_ref);
    plain(out, HF_STR(","));
    plain(out, ref);
    plain(out, HF_STR(","));
}

static void reply_value(struct hf_parts *out, struct hf_str status,
                        enum hf_kind kind, struct hf_str response)
{
    quoted(out, status);
    plain(out, HF_STR(",\"response\":"));
    value(out, kind, response);
}

void hf_parts_reply(struct hf_parts *out, enum hf_form form,
                    struct hf_str join_ref, struct hf_str ref,
                    struct hf_str raw_topic, struct hf_str status,
                    enum hf_kind kind, struct hf_str response)
{
    begin(out);
    if (form == HF_FORM_FRAMES && kind == HF_KIND_BINARY &&
        reply_frame(out, join_ref, ref, raw_topic, status, response))
        return;
    if (form == HF_FORM_OBJECT) {
        plain(out, HF_STR("{\"topic\":"));
        plain(out, raw_topic);
        plain(out, HF_STR(",\"event\":\"phx_reply\",\"payload\":{\"status\":"));
        reply_value(out, status, kind, response);
        plain(out, HF_STR("},\"ref\":"));
        plain(out, ref);
        plain(out, HF_STR("}"));
        return;
    }
    refs(out, join_ref, ref);
    plain(out, raw_topic);
    plain(out, HF_STR(",\"phx_reply\",{\"status\":"));
    reply_value(out, status, kind, response);
    plain(out, HF_STR("}]"));
}

static bool binary_push(struct hf_parts *out, enum hf_form form,
                        struct hf_str join_ref, struct hf_str topic,
                        struct hf_str event, struct hf_str payload)
{
    switch (form) {
    case HF_FORM_OBJECT:
    case HF_FORM_ARRAY:
        return false;
    case HF_FORM_FRAMES:
        return push_frame(out, join_ref, topic, event, payload);
    case HF_FORM_REALTIME:
        return realtime_frame(out, topic, event, payload);
    }
    return false;
}

void hf_parts_push(struct hf_parts *out, enum hf_form form,
                   struct hf_str join_ref, struct hf_str ref,
                   struct hf_str topic, struct hf_str event, enum hf_kind kind,
                   struct hf_str payload)
{
    begin(out);
    if (kind == HF_KIND_BINARY && hf_str_eq(ref, HF_NULL) &&
        binary_push(out, form, join_ref, topic, event, payload))
        return;
    if (form == HF_FORM_OBJECT) {
        plain(out, HF_STR("{\"topic\":"));
        quoted(out, topic);
        plain(out, HF_STR(",\"event\":"));
        quoted(out, event);
        plain(out, HF_STR(",\"payload\":"));
        value(out, kind, payload);
        plain(out, HF_STR(",\"ref\":"));
        plain(out, ref);
        plain(out, HF_STR("}"));
        return;
    }
    refs(out, join_ref, ref);
    quoted(out, topic);
    plain(out, HF_STR(","));
    quoted(out, event);
    plain(out, HF_STR(","));
    value(out, kind, payload);
    plain(out, HF_STR("]"));
}

int hf_encode_reply(struct hf_buf *out, enum hf_vsn vsn, struct hf_str join_ref,
                    struct hf_str ref, struct hf_str raw_topic,
                    const char *status, struct hf_str response)
{
    struct hf_parts parts;

    hf_parts_reply(&parts, hf_form_of(vsn), join_ref, ref, raw_topic,
                   hf_str_of(status), HF_KIND_JSON, response);
    return hf_parts_add(out, &parts);
}

int hf_encode_push(struct hf_buf *out, enum hf_vsn vsn, struct hf_str join_ref,
                   struct hf_str ref, struct hf_str topic, struct hf_str event,
                   struct hf_str payload)
{
    struct hf_parts parts;

    hf_parts_push(&parts, hf_form_of(vsn), join_ref, ref, topic, event,
                  HF_KIND_JSON, payload);
    return hf_parts_add(out, &parts);
}

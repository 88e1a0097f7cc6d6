/*
 * proto_binary.c - binary frames of clients: kind 0, and kind 3 of realtime-js
 *
 *     00 | J | R | T | E | join_ref | ref | topic | event | payload
 *     03 | J | R | T | E | M | enc | join_ref | ref | topic | user event
 *        | metadata | payload
 *
 * Lengths are one byte each (specification 3.3). Kind 3 stands for the text
 * [join_ref, ref, topic, "broadcast", {"type":"broadcast","event":user event,
 * "payload":payload, "meta":metadata}]; enc 1 says that its payload is JSON
 * text, enc 0 raw bytes, which take their JSON form there (9.1).
 */
#include "channel/proto.h"

#include <stdlib.h>

#include "base/crypto.h"
#include "base/err.h"
#include "base/utf8.h"

/* The payload of kind 3 stands two brackets deep, as in the text. */
#define USER_DEPTH (HF_JSON_DEPTH - 2)

struct fields {
    struct hf_str join_ref, ref, topic, event, metadata, payload;
    bool raw; /* the payload is bytes */
};

static struct hf_str cut(struct hf_str *rest, size_t len)
{
    struct hf_str field = hf_str(rest->at, len);

    *rest = hf_str_from(*rest, len);
    return field;
}

/* Header and names; what remains is the payload. Clients before phoenix 1.8.7
 * write a name that is not ASCII as something else than UTF-8 (3.3). */
static int take_fields(struct hf_str bytes, size_t header, struct fields *out)
{
    const unsigned char *at = (const unsigned char *)bytes.at;
    size_t metadata, names;
    struct hf_str rest;

    if (bytes.len < header)
        return HF_EMALFORMED;
    metadata = header > 5 ? at[5] : 0;
    rest = hf_str_from(bytes, header);
    names = (size_t)at[1] + at[2] + at[3] + at[4] + metadata;
    if (rest.len < names)
        return HF_EMALFORMED;
    out->join_ref = cut(&rest, at[1]);
    out->ref = cut(&rest, at[2]);
    out->topic = cut(&rest, at[3]);
    out->event = cut(&rest, at[4]);
    out->metadata = cut(&rest, metadata);
    out->payload = rest;
    return hf_utf8_valid(out->join_ref) && hf_utf8_valid(out->ref) &&
                   hf_utf8_valid(out->topic) && hf_utf8_valid(out->event)
               ? 0
               : HF_EMALFORMED;
}

/* --- what has no JSON form in the frame ------------------------------------ */

/* An empty ref is none (3.3, H). */
static size_t ref_room(struct hf_str ref)
{
    return ref.len > 0 ? hf_json_quoted_len(ref) : 0;
}

static struct hf_json make_string(char **at, struct hf_str bytes)
{
    char *end = hf_json_quote_to(*at, bytes);
    struct hf_json made = {HF_JSON_STRING, {*at, (size_t)(end - *at)}};

    *at = end;
    return made;
}

static struct hf_json make_ref(char **at, struct hf_str ref)
{
    if (ref.len == 0)
        return (struct hf_json){HF_JSON_NULL, HF_NULL};
    return make_string(at, ref);
}

/* Room for the refs, the topic and `more`; *out_at: where `more` goes. */
static int make(struct hf_frame *out, const struct fields *fields, size_t more,
                char **out_at)
{
    char *at = malloc(ref_room(fields->join_ref) + ref_room(fields->ref) +
                      hf_json_quoted_len(fields->topic) + more);

    if (!at)
        return HF_ENOMEM;
    out->made = at;
    out->join_ref = make_ref(&at, fields->join_ref);
    out->ref = make_ref(&at, fields->ref);
    out->raw_topic = make_string(&at, fields->topic);
    *out_at = at;
    return 0;
}

/* As for text: a name that is too long names nothing. */
static struct hf_str name_of(struct hf_str field, size_t max)
{
    return field.len <= max ? field : hf_str(NULL, 0);
}

/* --- kind 0 ---------------------------------------------------------------- */

static int decode_push(struct hf_str bytes, struct hf_frame *out)
{
    struct fields fields;
    char *end;
    int err = take_fields(bytes, 5, &fields);

    if (err == 0)
        err = make(out, &fields, 0, &end);
    if (err)
        return err;
    out->topic = name_of(fields.topic, HF_TOPIC_MAX);
    out->event = name_of(fields.event, HF_EVENT_MAX);
    out->kind = HF_KIND_BINARY;
    out->payload = (struct hf_json){HF_JSON_NULL, fields.payload};
    return 0;
}

/* --- kind 3 ---------------------------------------------------------------- */

#define USER_BEGIN  HF_STR("{\"type\":\"broadcast\",\"event\":")
#define USER_MIDDLE HF_STR(",\"payload\":")
#define USER_META   HF_STR(",\"meta\":")

static bool is_json(struct hf_str text)
{
    struct hf_json value;

    return hf_json_read(text, USER_DEPTH, &value) == 0;
}

static char *copy(char *at, struct hf_str s)
{
    if (s.len > 0)
        memcpy(at, s.at, s.len);
    return at + s.len;
}

static size_t user_room(const struct fields *fields)
{
    size_t payload = fields->raw ? HF_BASE64_LEN(fields->payload.len) +
                                       HF_BINARY_BEGIN.len + HF_BINARY_END.len
                                 : fields->payload.len;

    return USER_BEGIN.len + hf_json_quoted_len(fields->event) +
           USER_MIDDLE.len + payload + USER_META.len + fields->metadata.len + 1;
}

static char *write_user(char *at, const struct fields *fields)
{
    at = copy(at, USER_BEGIN);
    at = hf_json_quote_to(at, fields->event);
    at = copy(at, USER_MIDDLE);
    if (fields->raw) {
        at = copy(at, HF_BINARY_BEGIN);
        at += hf_base64(fields->payload, at);
        at = copy(at, HF_BINARY_END);
    } else {
        at = copy(at, fields->payload);
    }
    if (fields->metadata.len > 0) {
        at = copy(at, USER_META);
        at = copy(at, fields->metadata);
    }
    *at++ = '}';
    return at;
}

static int decode_user(struct hf_str bytes, struct hf_frame *out)
{
    struct fields fields;
    char *at, *end;
    int err = take_fields(bytes, 7, &fields);

    if (err)
        return err;
    if ((unsigned char)bytes.at[6] > 1)
        return HF_EMALFORMED;
    fields.raw = bytes.at[6] == 0;
    if ((!fields.raw && !is_json(fields.payload)) ||
        (fields.metadata.len > 0 && !is_json(fields.metadata)))
        return HF_EMALFORMED;
    err = make(out, &fields, user_room(&fields), &at);
    if (err)
        return err;
    end = write_user(at, &fields);
    out->topic = name_of(fields.topic, HF_TOPIC_MAX);
    out->event = HF_STR("broadcast");
    out->payload = (struct hf_json){HF_JSON_OBJECT, {at, (size_t)(end - at)}};
    return 0;
}

/* --------------------------------------------------------------------------- */

int hf_frame_decode_binary(struct hf_str bytes, struct hf_frame *out)
{
    if (bytes.len == 0)
        return HF_EMALFORMED;
    switch (bytes.at[0]) {
    case 0:
        return decode_push(bytes, out);
    case 3:
        return decode_user(bytes, out);
    default: /* from a server only, or none at all */
        return HF_EMALFORMED;
    }
}

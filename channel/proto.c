#include "channel/proto.h"

#include "base/err.h"

/* --- decoding ------------------------------------------------------------ */

/* The name a JSON string stands for: a slice of the text when it has no
 * escapes, else written to `room`. Empty when it is no string or too long. */
static struct hf_str name_of(struct hf_json value, char *room, size_t max)
{
    struct hf_str inside;
    size_t len;

    if (value.type != HF_JSON_STRING)
        return hf_str(NULL, 0);
    inside = hf_str(value.raw.at + 1, value.raw.len - 2);
    if (!memchr(inside.at, '\\', inside.len))
        return inside.len <= max ? inside : hf_str(NULL, 0);
    if (hf_json_unescape(value, room, max, &len))
        return hf_str(NULL, 0);
    return hf_str(room, len);
}

/* Extra elements are ignored (3.1), all but options in the sixth place. */
static bool take_elements(struct hf_json array, struct hf_frame *out)
{
    struct hf_json_walk walk;
    struct hf_json sixth;

    hf_json_walk(array, &walk);
    if (!hf_json_element(&walk, &out->join_ref) ||
        !hf_json_element(&walk, &out->ref) ||
        !hf_json_element(&walk, &out->raw_topic) ||
        !hf_json_element(&walk, &out->raw_event) ||
        !hf_json_element(&walk, &out->payload))
        return false;

    out->options = (struct hf_json){HF_JSON_NULL, HF_NULL};
    if (hf_json_element(&walk, &sixth) && sixth.type == HF_JSON_OBJECT)
        out->options = sixth;
    return true;
}

int hf_frame_decode(struct hf_str text, struct hf_frame *out)
{
    struct hf_json array;

    if (hf_json_read(text, HF_JSON_DEPTH, &array))
        return HF_EMALFORMED; /* a text that is too deep too */
    if (array.type != HF_JSON_ARRAY || !take_elements(array, out))
        return HF_EMALFORMED;
    if (out->join_ref.raw.len > HF_REF_MAX || out->ref.raw.len > HF_REF_MAX)
        return HF_EMALFORMED;

    out->topic = name_of(out->raw_topic, out->names, HF_TOPIC_MAX);
    out->event =
        name_of(out->raw_event, out->names + HF_TOPIC_MAX, HF_EVENT_MAX);
    return 0;
}

/* --- encoding ------------------------------------------------------------ */

/* Either all of a frame stands in the buffer or none of it. */
static int close_frame(struct hf_buf *out, size_t before, int err)
{
    if (!err)
        err = hf_buf_add_byte(out, ']');
    if (err)
        out->len = before;
    return err;
}

/* [join_ref,ref, */
static int add_refs(struct hf_buf *out, struct hf_str join_ref,
                    struct hf_str ref)
{
    int err;

    err = hf_buf_add_byte(out, '[');
    if (!err)
        err = hf_buf_add_str(out, join_ref);
    if (!err)
        err = hf_buf_add_byte(out, ',');
    if (!err)
        err = hf_buf_add_str(out, ref);
    if (!err)
        err = hf_buf_add_byte(out, ',');
    return err;
}

static int add_reply(struct hf_buf *out, struct hf_str raw_topic,
                     const char *status, struct hf_str response)
{
    int err;

    err = hf_buf_add_str(out, raw_topic);
    if (!err)
        err = hf_buf_add_str(out, HF_STR(",\"phx_reply\",{\"status\":"));
    if (!err)
        err = hf_json_quote(out, hf_str_of(status));
    if (!err)
        err = hf_buf_add_str(out, HF_STR(",\"response\":"));
    if (!err)
        err = hf_buf_add_str(out, response);
    if (!err)
        err = hf_buf_add_byte(out, '}');
    return err;
}

int hf_encode_reply(struct hf_buf *out, struct hf_str join_ref,
                    struct hf_str ref, struct hf_str raw_topic,
                    const char *status, struct hf_str response)
{
    size_t before = out->len;
    int err;

    err = add_refs(out, join_ref, ref);
    if (!err)
        err = add_reply(out, raw_topic, status, response);
    return close_frame(out, before, err);
}

int hf_encode_push(struct hf_buf *out, struct hf_str join_ref,
                   struct hf_str ref, struct hf_str topic, struct hf_str event,
                   struct hf_str payload)
{
    size_t before = out->len;
    int err;

    err = add_refs(out, join_ref, ref);
    if (!err)
        err = hf_json_quote(out, topic);
    if (!err)
        err = hf_buf_add_byte(out, ',');
    if (!err)
        err = hf_json_quote(out, event);
    if (!err)
        err = hf_buf_add_byte(out, ',');
    if (!err)
        err = hf_buf_add_str(out, payload);
    return close_frame(out, before, err);
}

#include "channel/proto.h"

#include <stdlib.h>

#include "base/crypto.h"
#include "base/err.h"

/* --- names ----------------------------------------------------------------- */

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

static void take_names(struct hf_frame *out, struct hf_json event)
{
    out->topic = name_of(out->raw_topic, out->names, HF_TOPIC_MAX);
    out->event = name_of(event, out->names + HF_TOPIC_MAX, HF_EVENT_MAX);
}

static const struct hf_json null = {HF_JSON_NULL, HF_STR_INIT("null")};

/* --- V2 (3.1) -------------------------------------------------------------- */

/* Extra elements are ignored, all but options in the sixth place. */
static bool take_elements(struct hf_json array, struct hf_frame *out)
{
    struct hf_json_walk walk;
    struct hf_json event, sixth;

    if (array.type != HF_JSON_ARRAY)
        return false;
    hf_json_walk(array, &walk);
    if (!hf_json_element(&walk, &out->join_ref) ||
        !hf_json_element(&walk, &out->ref) ||
        !hf_json_element(&walk, &out->raw_topic) ||
        !hf_json_element(&walk, &event) ||
        !hf_json_element(&walk, &out->payload))
        return false;
    if (hf_json_element(&walk, &sixth) && sixth.type == HF_JSON_OBJECT)
        out->options = sixth;
    take_names(out, event);
    return true;
}

/* --- V1 (3.2) -------------------------------------------------------------- */

enum member { TOPIC, EVENT, PAYLOAD, REF, JOIN_REF, OPTIONS, MEMBERS };

static enum member member_of(struct hf_json name)
{
    static const struct hf_str names[MEMBERS] = {
        [TOPIC] = HF_STR_INIT("topic"),
        [EVENT] = HF_STR_INIT("event"),
        [PAYLOAD] = HF_STR_INIT("payload"),
        [REF] = HF_STR_INIT("ref"),
        [JOIN_REF] = HF_STR_INIT("join_ref"),
        [OPTIONS] = HF_STR_INIT("options"),
    };
    enum member m;

    for (m = TOPIC; m < MEMBERS; m++)
        if (hf_json_is(name, names[m]))
            break;
    return m;
}

/* All but join_ref and options are required, others ignored. Of a name that stands twice
 * the last one counts, as in JavaScript. */
static bool take_members(struct hf_json object, struct hf_frame *out)
{
    struct hf_json found[MEMBERS + 1];
    struct hf_json_walk walk;
    struct hf_json name, value;
    unsigned seen = 0;

    if (object.type != HF_JSON_OBJECT)
        return false;
    found[JOIN_REF] = found[OPTIONS] = null;
    hf_json_walk(object, &walk);
    while (hf_json_member(&walk, &name, &value)) {
        enum member m = member_of(name);

        found[m] = value;
        seen |= 1u << m;
    }
    if ((seen & 0xf) != 0xf)
        return false;
    out->join_ref = found[JOIN_REF];
    out->ref = found[REF];
    out->raw_topic = found[TOPIC];
    out->payload = found[PAYLOAD];
    if (found[OPTIONS].type == HF_JSON_OBJECT)
        out->options = found[OPTIONS];
    take_names(out, found[EVENT]);
    return true;
}

/* --- bytes in a text (P-1.14) ---------------------------------------------- */

bool hf_binary_form(struct hf_json value, struct hf_json *out_base64)
{
    struct hf_json_walk walk;
    struct hf_json name, more;

    if (value.type != HF_JSON_OBJECT)
        return false;
    hf_json_walk(value, &walk);
    return hf_json_member(&walk, &name, out_base64) &&
           hf_json_is(name, HF_STR("_binary")) &&
           out_base64->type == HF_JSON_STRING &&
           !hf_json_member(&walk, &name, &more);
}

int hf_frame_take_bytes(struct hf_frame *frame, struct hf_json base64)
{
    size_t len;

    frame->made = malloc(base64.raw.len + 3);
    if (!frame->made)
        return HF_ENOMEM;
    /* its slashes may be escaped; bytes are decoded where their base64 is,
     * which is ahead of them all the way */
    if (hf_json_unescape(base64, frame->made, base64.raw.len, &len) ||
        hf_base64_decode(hf_str(frame->made, len), (unsigned char *)frame->made,
                         &len))
        return HF_EMALFORMED;
    frame->kind = HF_KIND_BINARY;
    frame->payload = (struct hf_json){HF_JSON_NULL, hf_str(frame->made, len)};
    return 0;
}

/* Only who says so means bytes: any other payload is passed on as written. */
static int take_bytes(struct hf_frame *out)
{
    struct hf_json bytes, base64;

    if (!hf_json_find(out->options, HF_STR("bytes"), &bytes) ||
        bytes.type != HF_JSON_TRUE)
        return 0;
    if (!hf_binary_form(out->payload, &base64))
        return HF_EMALFORMED;
    return hf_frame_take_bytes(out, base64);
}

/* --------------------------------------------------------------------------- */

static int decode_text(struct hf_str text, struct hf_frame *out)
{
    struct hf_json value;
    bool taken;

    if (hf_json_read(text, HF_JSON_DEPTH, &value))
        return HF_EMALFORMED; /* a text that is too deep too */
    taken = out->vsn == HF_VSN_1 ? take_members(value, out)
                                 : take_elements(value, out);
    return taken ? take_bytes(out) : HF_EMALFORMED;
}

int hf_frame_decode(enum hf_vsn vsn, struct hf_str bytes, bool binary,
                    struct hf_frame *out)
{
    int err;

    out->vsn = vsn;
    out->kind = HF_KIND_JSON;
    out->options = null;
    out->made = NULL;
    if (binary && vsn == HF_VSN_1)
        return HF_EMALFORMED; /* there are none in it (3.2) */
    err = binary ? hf_frame_decode_binary(bytes, out) : decode_text(bytes, out);
    if (err == 0 &&
        (out->join_ref.raw.len > HF_REF_MAX || out->ref.raw.len > HF_REF_MAX))
        err = HF_EMALFORMED;
    if (err)
        hf_frame_release(out);
    return err;
}

void hf_frame_release(struct hf_frame *frame)
{
    free(frame->made);
    frame->made = NULL;
}

#include "channel/publication.h"

#include <stdlib.h>

#include "base/err.h"
#include "channel/topic.h"

/* What is wrong is said once, by whoever finds it. */
static int wrong(struct hf_publications *out, const char *what)
{
    out->wrong = what;
    return HF_EMALFORMED;
}

/* --- one object ---------------------------------------------------------- */

struct members {
    struct hf_json topic, event, payload, key;
};

/* Where the value of the member called `name` goes; NULL: nobody knows it. */
static struct hf_json *place_of(struct members *members, struct hf_json name)
{
    if (hf_json_is(name, HF_STR("topic")))
        return &members->topic;
    if (hf_json_is(name, HF_STR("event")))
        return &members->event;
    if (hf_json_is(name, HF_STR("payload")))
        return &members->payload;
    if (hf_json_is(name, HF_STR("key")))
        return &members->key;
    return NULL;
}

static int read_members(struct hf_publications *out, struct hf_json object,
                        struct members *members)
{
    struct hf_json_walk walk;
    struct hf_json name, value, *place;

    *members = (struct members){.key = {.raw = {NULL, 0}}};
    hf_json_walk(object, &walk);
    while (hf_json_member(&walk, &name, &value)) {
        place = place_of(members, name);
        if (!place)
            return wrong(out, "a member that is none of topic, event, payload "
                              "and key");
        if (place->raw.at)
            return wrong(out, "a member stands twice");
        *place = value;
    }
    if (!members->topic.raw.at || !members->event.raw.at ||
        !members->payload.raw.at)
        return wrong(out, "topic, event or payload is missing");
    return 0;
}

static int read_names(struct hf_publications *out, struct hf_frame *frame,
                      const struct members *members)
{
    char *at = frame->names;
    size_t len;

    if (hf_json_unescape(members->topic, at, HF_TOPIC_MAX, &len) ||
        !hf_topic_legal(hf_str(at, len)))
        return wrong(out, "topic must be a string of 1 to 200 bytes without "
                          "control characters");
    frame->topic = hf_str(at, len);
    at += len;
    if (hf_json_unescape(members->event, at, HF_EVENT_MAX, &len) ||
        !hf_event_legal(hf_str(at, len)))
        return wrong(out, "event must be a string of 1 to 200 bytes without "
                          "control characters");
    frame->event = hf_str(at, len);
    return 0;
}

static int read_payload(struct hf_publications *out, struct hf_frame *frame,
                        struct hf_json payload)
{
    struct hf_json base64;
    int err;

    frame->kind = HF_KIND_JSON;
    frame->payload = payload;
    if (!hf_binary_form(payload, &base64))
        return 0;
    err = hf_frame_take_bytes(frame, base64);
    return err == HF_EMALFORMED ? wrong(out, "_binary is not base64") : err;
}

static int decode_one(struct hf_publications *out, struct hf_str text,
                      struct hf_frame *frame)
{
    static const struct hf_json null = {HF_JSON_NULL, HF_STR_INIT("null")};
    struct hf_json object;
    struct members members;
    int err;

    *frame = (struct hf_frame){
        .vsn = HF_VSN_2, .join_ref = null, .ref = null, .options = null};
    if (hf_json_read(text, HF_JSON_DEPTH, &object))
        return wrong(out, "it is not JSON, or nested too deeply");
    if (object.type != HF_JSON_OBJECT)
        return wrong(out, "it is not a JSON object");
    err = read_members(out, object, &members);
    if (err == 0)
        err = read_names(out, frame, &members);
    if (err)
        return err;
    frame->raw_topic = members.topic;
    if (members.key.raw.at)
        frame->options = object;
    return read_payload(out, frame, members.payload);
}

/* --- lines --------------------------------------------------------------- */

/* The next line without its LF or CRLF; *number is its own. */
static bool next_line(struct hf_str *rest, struct hf_str *out, size_t *number)
{
    while (rest->len > 0) {
        const char *end = memchr(rest->at, '\n', rest->len);
        size_t len = end ? (size_t)(end - rest->at) : rest->len;

        *out = hf_str(rest->at, len);
        *rest = hf_str_from(*rest, end ? len + 1 : len);
        ++*number;
        if (out->len > 0 && out->at[out->len - 1] == '\r')
            out->len--;
        if (out->len > 0)
            return true;
    }
    return false;
}

static int make_room(struct hf_publications *out, size_t count)
{
    /* the decoder fills a frame: no need to clear it */
    out->frames = malloc(count * sizeof(*out->frames));
    out->lines = malloc(count * sizeof(*out->lines));
    return out->frames && out->lines ? 0 : HF_ENOMEM;
}

static int add(struct hf_publications *out, struct hf_str text, size_t line)
{
    struct hf_frame *frame = &out->frames[out->count];
    int err = decode_one(out, text, frame);

    if (err) {
        hf_frame_release(frame);
        out->wrong_line = line;
        return err;
    }
    out->lines[out->count++] = line;
    return 0;
}

static int decode_lines(struct hf_publications *out, struct hf_str bytes)
{
    struct hf_str rest = bytes, line;
    size_t count = 0, number = 0;
    int err;

    while (next_line(&rest, &line, &number))
        count++;
    if (count == 0)
        return wrong(out, "the body is empty");
    if (count > HF_POST_LINES)
        return HF_ELIMIT;
    err = make_room(out, count);
    number = 0;
    for (rest = bytes; err == 0 && next_line(&rest, &line, &number);)
        err = add(out, line, number);
    return err;
}

int hf_publications_decode(struct hf_publications *out, struct hf_str bytes,
                           bool ndjson)
{
    int err;

    *out = (struct hf_publications){0};
    if (ndjson)
        return decode_lines(out, bytes);
    err = make_room(out, 1);
    return err ? err : add(out, bytes, 0);
}

void hf_publications_release(struct hf_publications *publications)
{
    size_t n;

    for (n = 0; n < publications->count; n++)
        hf_frame_release(&publications->frames[n]);
    free(publications->frames);
    free(publications->lines);
    *publications = (struct hf_publications){0};
}

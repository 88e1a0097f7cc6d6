/*
 * fuzz_frame_binary.c - any bytes as a binary frame of a client
 *
 * A push must give its bytes back when it is put together again, and a
 * broadcast of realtime-js must be the text that it stands for.
 */
#include "tests/fuzz/frames.h"

#include <string.h>

#include "channel/row.h"

static struct hf_str cut(struct hf_str *rest, size_t len)
{
    struct hf_str field = hf_str(rest->at, len);

    CHECK(len <= rest->len);
    *rest = hf_str_from(*rest, len);
    return field;
}

static void check_ref(struct hf_json ref, struct hf_str bytes)
{
    if (bytes.len == 0)
        CHECK(ref.type == HF_JSON_NULL && hf_str_eq(ref.raw, HF_NULL));
    else
        CHECK(hf_json_is(ref, bytes));
}

static void check_names(const struct hf_frame *frame, const uint8_t *data,
                        struct hf_str *rest, struct hf_str *out_event)
{
    struct hf_str topic;

    check_ref(frame->join_ref, cut(rest, data[1]));
    check_ref(frame->ref, cut(rest, data[2]));
    topic = cut(rest, data[3]);
    CHECK(hf_json_is(frame->raw_topic, topic));
    CHECK(hf_str_eq(frame->topic, topic) ||
          (frame->topic.len == 0 && topic.len > HF_TOPIC_MAX));
    *out_event = cut(rest, data[4]);
}

/* What goes out as a frame is what came in, in the order of the server. */
static void check_push(const struct hf_frame *frame, const uint8_t *data,
                       size_t size)
{
    struct hf_str rest = hf_str_from(hf_str((const char *)data, size), 5);
    struct hf_str event;
    struct hf_parts parts;
    struct hf_msg *msg;

    CHECK(frame->kind == HF_KIND_BINARY && frame->payload.type == HF_JSON_NULL);
    check_names(frame, data, &rest, &event);
    CHECK(hf_str_eq(frame->event, event) ||
          (frame->event.len == 0 && event.len > HF_EVENT_MAX));
    CHECK(hf_str_eq(frame->payload.raw, rest));

    hf_parts_push(&parts, HF_FORM_FRAMES, HF_NULL, HF_NULL, frame->topic,
                  frame->event, frame->kind, frame->payload.raw);
    CHECK(parts.binary);
    CHECK(parts.len == 3 + frame->topic.len + frame->event.len + rest.len);
    msg = hf_parts_msg(&parts);
    CHECK(msg && (rest.len == 0 || memcmp(msg->text + msg->len - rest.len,
                                          rest.at, rest.len) == 0));
    hf_msg_unref(msg);
}

/* A realtime-js client is given back the bytes it sent. */
static void check_given_back(const struct hf_frame *frame, struct hf_str event,
                             struct hf_str bytes)
{
    struct hf_row row = {.id = 1,
                         .topic = frame->topic,
                         .event = frame->event,
                         .payload = frame->payload.raw,
                         .kind = frame->kind};
    struct hf_msg *msg = hf_row_msg(&row, 0, HF_FORM_REALTIME, HF_STR(""));

    CHECK(msg);
    if (msg->binary) {
        CHECK(msg->text[0] == 4 && msg->text[4] == 0);
        CHECK(msg->len >= bytes.len + 5);
        CHECK(bytes.len == 0 || memcmp(msg->text + msg->len - bytes.len,
                                       bytes.at, bytes.len) == 0);
        CHECK(
            hf_str_eq(hf_str(msg->text + 5 + row.topic.len, event.len), event));
    } else { /* a text with escapes is not worth undoing them */
        CHECK(hf_json_quoted_len(event) > event.len + 2);
    }
    hf_msg_unref(msg);
}

static void check_broadcast(const struct hf_frame *frame, const uint8_t *data,
                            size_t size)
{
    struct hf_str rest = hf_str_from(hf_str((const char *)data, size), 7);
    struct hf_str event, metadata;
    struct hf_json value, again;

    CHECK(frame->kind == HF_KIND_JSON);
    check_names(frame, data, &rest, &event);
    metadata = cut(&rest, data[5]);
    CHECK(hf_str_eq(frame->event, HF_STR("broadcast")));
    check_json(frame->payload);
    CHECK(hf_json_find(frame->payload, HF_STR("type"), &value));
    CHECK(hf_json_is(value, HF_STR("broadcast")));
    CHECK(hf_json_find(frame->payload, HF_STR("event"), &value));
    CHECK(hf_json_is(value, event));
    CHECK(hf_json_find(frame->payload, HF_STR("meta"), &value) ==
          (metadata.len > 0));
    CHECK(hf_json_find(frame->payload, HF_STR("payload"), &value));
    if (data[6] == 1) {
        CHECK(!hf_json_read(rest, HF_JSON_DEPTH, &again));
        CHECK(hf_str_eq(value.raw, again.raw));
    } else {
        CHECK(hf_json_find(value, HF_STR("_binary"), &again));
        check_given_back(frame, event, rest);
    }
    check_sent_back(frame);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_str bytes = hf_str((const char *)data, size);
    struct hf_frame frame;

    CHECK(hf_frame_decode(HF_VSN_1, bytes, true, &frame)); /* has none */
    if (hf_frame_decode(HF_VSN_2, bytes, true, &frame))
        return 0;
    CHECK(frame.vsn == HF_VSN_2 && frame.options.type == HF_JSON_NULL);
    check_limits(&frame);
    if (data[0] == 0)
        check_push(&frame, data, size);
    else
        check_broadcast(&frame, data, size);
    hf_frame_release(&frame);
    return 0;
}

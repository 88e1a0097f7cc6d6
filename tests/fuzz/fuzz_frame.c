/*
 * fuzz_frame.c - any bytes as a client frame
 *
 * What decodes must be made of slices of its text, and must be the same frame
 * again after it was encoded, its payload byte for byte.
 */
#include "tests/fuzz/fuzz.h"

#include "channel/proto.h"

/* Two more brackets than a frame may have: a reply wraps a payload deeper. */
#define DEPTH (HF_JSON_DEPTH + 2)

static bool within(struct hf_str part, const char *at, size_t len)
{
    return part.at >= at && part.len <= len &&
           (size_t)(part.at - at) <= len - part.len;
}

static void check_value(struct hf_json value, struct hf_str text)
{
    struct hf_json again;

    CHECK(value.raw.len > 0 && within(value.raw, text.at, text.len));
    CHECK(!hf_json_read(value.raw, HF_JSON_DEPTH, &again));
    CHECK(again.type == value.type && again.raw.at == value.raw.at &&
          again.raw.len == value.raw.len);
}

static void check_name(struct hf_str name, struct hf_json raw,
                       const struct hf_frame *frame, size_t max)
{
    CHECK(name.len <= max);
    if (name.len > 0)
        CHECK(raw.type == HF_JSON_STRING &&
              (within(name, raw.raw.at, raw.raw.len) ||
               within(name, frame->names, sizeof(frame->names))));
}

static void check_slices(const struct hf_frame *frame, struct hf_str text)
{
    check_value(frame->join_ref, text);
    check_value(frame->ref, text);
    check_value(frame->raw_topic, text);
    check_value(frame->payload, text);
    CHECK(frame->join_ref.raw.len <= HF_REF_MAX);
    CHECK(frame->ref.raw.len <= HF_REF_MAX);
    CHECK(frame->options.type == HF_JSON_NULL ||
          frame->options.type == HF_JSON_OBJECT);
    if (frame->options.type == HF_JSON_OBJECT)
        check_value(frame->options, text);
    check_name(frame->topic, frame->raw_topic, frame, HF_TOPIC_MAX);
    CHECK(frame->event.len <= HF_EVENT_MAX);
}

static void check_push(const struct hf_frame *frame, struct hf_buf *buf)
{
    struct hf_frame again;

    CHECK(!hf_encode_push(buf, HF_VSN_2, frame->join_ref.raw, frame->ref.raw,
                          frame->topic, frame->event, frame->payload.raw));
    CHECK(!hf_frame_decode(HF_VSN_2, hf_buf_str(buf), false, &again));
    CHECK(hf_str_eq(again.join_ref.raw, frame->join_ref.raw));
    CHECK(hf_str_eq(again.ref.raw, frame->ref.raw));
    CHECK(hf_str_eq(again.topic, frame->topic));
    CHECK(hf_str_eq(again.event, frame->event));
    CHECK(hf_str_eq(again.payload.raw, frame->payload.raw));
    CHECK(again.payload.type == frame->payload.type);
}

static void check_reply(const struct hf_frame *frame, struct hf_buf *buf)
{
    struct hf_json reply, part;
    struct hf_json_walk walk;

    CHECK(!hf_encode_reply(buf, HF_VSN_2, frame->join_ref.raw, frame->ref.raw,
                           frame->raw_topic.raw, "ok", frame->payload.raw));
    CHECK(!hf_json_read(hf_buf_str(buf), DEPTH, &reply));
    hf_json_walk(reply, &walk);
    CHECK(hf_json_element(&walk, &part));
    CHECK(hf_str_eq(part.raw, frame->join_ref.raw));
    CHECK(hf_json_element(&walk, &part));
    CHECK(hf_str_eq(part.raw, frame->ref.raw));
    CHECK(hf_json_element(&walk, &part));
    CHECK(hf_str_eq(part.raw, frame->raw_topic.raw));
    CHECK(hf_json_element(&walk, &part));
    CHECK(hf_str_eq(part.raw, HF_STR("\"phx_reply\"")));
    CHECK(hf_json_element(&walk, &part));
    CHECK(hf_json_find(part, HF_STR("response"), &reply));
    CHECK(hf_str_eq(reply.raw, frame->payload.raw));
    CHECK(!hf_json_element(&walk, &part));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_str text = hf_str((const char *)data, size);
    struct hf_frame frame;
    struct hf_buf buf;

    if (hf_frame_decode(HF_VSN_2, text, false, &frame))
        return 0;
    check_slices(&frame, text);

    hf_buf_init(&buf, 8 * size + 1024); /* an escape takes six bytes */
    check_push(&frame, &buf);
    hf_buf_reset(&buf);
    check_reply(&frame, &buf);
    hf_buf_release(&buf);
    return 0;
}

/*
 * frames.h - what must hold of a decoded client frame, whatever its form
 */
#ifndef HF_TESTS_FUZZ_FRAMES_H
#define HF_TESTS_FUZZ_FRAMES_H

#include "channel/proto.h"
#include "tests/fuzz/fuzz.h"

/* A reply wraps a payload two brackets deeper than its frame did. */
#define REPLY_DEPTH (HF_JSON_DEPTH + 2)

static inline bool within(struct hf_str part, const char *at, size_t len)
{
    return part.at >= at && part.len <= len &&
           (size_t)(part.at - at) <= len - part.len;
}

/* JSON, and of the type it is said to be. */
static inline void check_json(struct hf_json value)
{
    struct hf_json again;

    CHECK(value.raw.len > 0);
    CHECK(!hf_json_read(value.raw, HF_JSON_DEPTH, &again));
    CHECK(again.type == value.type && again.raw.at == value.raw.at &&
          again.raw.len == value.raw.len);
}

static inline void check_limits(const struct hf_frame *frame)
{
    check_json(frame->join_ref);
    check_json(frame->ref);
    check_json(frame->raw_topic);
    CHECK(frame->join_ref.raw.len <= HF_REF_MAX);
    CHECK(frame->ref.raw.len <= HF_REF_MAX);
    CHECK(frame->topic.len <= HF_TOPIC_MAX);
    CHECK(frame->event.len <= HF_EVENT_MAX);
    if (frame->topic.len > 0)
        CHECK(hf_json_is(frame->raw_topic, frame->topic));
    CHECK(frame->options.type == HF_JSON_NULL ||
          frame->options.type == HF_JSON_OBJECT);
}

static inline void check_same(const struct hf_frame *a,
                              const struct hf_frame *b)
{
    CHECK(a->kind == b->kind);
    CHECK(hf_str_eq(a->join_ref.raw, b->join_ref.raw));
    CHECK(hf_str_eq(a->ref.raw, b->ref.raw));
    CHECK(hf_str_eq(a->topic, b->topic));
    CHECK(hf_str_eq(a->event, b->event));
    CHECK(a->payload.type == b->payload.type);
    CHECK(hf_str_eq(a->payload.raw, b->payload.raw));
}

/* A JSON payload sent in this version comes back as it was, but in V1 without
 * its join_ref. */
static inline void check_sent(const struct hf_frame *frame, enum hf_vsn vsn,
                              struct hf_buf *buf)
{
    struct hf_frame again;

    hf_buf_reset(buf);
    CHECK(!hf_encode_push(buf, vsn, frame->join_ref.raw, frame->ref.raw,
                          frame->topic, frame->event, frame->payload.raw));
    CHECK(!hf_frame_decode(vsn, hf_buf_str(buf), false, &again));
    if (vsn == HF_VSN_1) {
        CHECK(again.join_ref.type == HF_JSON_NULL);
        again.join_ref = frame->join_ref;
    }
    check_same(&again, frame);
    hf_frame_release(&again);
}

/* So does a reply with it, around which nothing else stands. */
static inline void check_replied(const struct hf_frame *frame,
                                 struct hf_buf *buf)
{
    struct hf_json reply, payload, part;
    struct hf_json_walk walk;

    hf_buf_reset(buf);
    CHECK(!hf_encode_reply(buf, frame->vsn, frame->join_ref.raw, frame->ref.raw,
                           frame->raw_topic.raw, "ok", frame->payload.raw));
    CHECK(!hf_json_read(hf_buf_str(buf), REPLY_DEPTH, &reply));
    if (frame->vsn == HF_VSN_1) {
        CHECK(hf_json_find(reply, HF_STR("ref"), &part));
        CHECK(hf_str_eq(part.raw, frame->ref.raw));
        CHECK(hf_json_find(reply, HF_STR("topic"), &part));
        CHECK(hf_str_eq(part.raw, frame->raw_topic.raw));
        CHECK(hf_json_find(reply, HF_STR("payload"), &payload));
    } else {
        hf_json_walk(reply, &walk);
        CHECK(hf_json_element(&walk, &part));
        CHECK(hf_str_eq(part.raw, frame->join_ref.raw));
        CHECK(hf_json_element(&walk, &part));
        CHECK(hf_str_eq(part.raw, frame->ref.raw));
        CHECK(hf_json_element(&walk, &part));
        CHECK(hf_str_eq(part.raw, frame->raw_topic.raw));
        CHECK(hf_json_element(&walk, &part));
        CHECK(hf_json_element(&walk, &payload));
        CHECK(!hf_json_element(&walk, &part));
    }
    CHECK(hf_json_find(payload, HF_STR("response"), &part));
    CHECK(hf_str_eq(part.raw, frame->payload.raw));
}

/* Both, in a buffer that is large enough: an escape takes six bytes. */
static inline void check_sent_back(const struct hf_frame *frame)
{
    struct hf_buf buf;

    hf_buf_init(&buf, 8 * (frame->payload.raw.len + frame->raw_topic.raw.len) +
                          6 * HF_EVENT_MAX + 2 * HF_REF_MAX + 1024);
    check_sent(frame, HF_VSN_2, &buf);
    check_sent(frame, HF_VSN_1, &buf);
    check_replied(frame, &buf);
    hf_buf_release(&buf);
}

/* Of a text: what it is made of are slices of it. */
static inline int check_text(enum hf_vsn vsn, const uint8_t *data, size_t size)
{
    const char *at = (const char *)data;
    struct hf_frame frame;

    if (hf_frame_decode(vsn, hf_str(at, size), false, &frame))
        return 0;
    CHECK(frame.vsn == vsn && frame.kind == HF_KIND_JSON && !frame.made);
    check_limits(&frame);
    check_json(frame.payload);
    CHECK(within(frame.payload.raw, at, size));
    CHECK(within(frame.ref.raw, at, size));
    CHECK(within(frame.raw_topic.raw, at, size));
    CHECK(within(frame.join_ref.raw, at, size) ||
          frame.join_ref.type == HF_JSON_NULL);
    if (frame.topic.len > 0)
        CHECK(within(frame.topic, at, size) ||
              within(frame.topic, frame.names, sizeof(frame.names)));
    if (frame.options.type == HF_JSON_OBJECT)
        CHECK(within(frame.options.raw, at, size));
    check_sent_back(&frame);
    hf_frame_release(&frame);
    return 0;
}

#endif

/*
 * proto.h - what clients send, taken apart; no state
 *
 * Three forms (specification section 3), and all become one struct hf_frame:
 *
 *     V2 text    [join_ref, ref, topic, event, payload, options?]
 *     V1 text    {"topic", "event", "payload", "ref", "join_ref"?}
 *     V2 binary  lengths, join_ref, ref, topic, event, then raw bytes (kind 0);
 *                the broadcast of realtime-js (kind 3)
 *
 * A text whose options say "bytes":true stands for a push of bytes (P-1.14).
 * Payloads are kept verbatim (D17). Frames come from the network: this decoder
 * is the only one for them. The other direction is encode.h.
 */
#ifndef HF_CHANNEL_PROTO_H
#define HF_CHANNEL_PROTO_H

#include "base/json.h"
#include "channel/encode.h"
#include "channel/limits.h"

/*
 * A decoded client frame. Everything is borrowed from its text, but what has no
 * JSON form there: names with escapes stand unescaped in `names`, refs of a
 * binary frame quoted in `made`, and so do bytes that came as base64. Types are
 * not judged here (section 3.1): a topic that is no string, or longer than the
 * limits, has topic.len 0 and can match nothing, and its raw form is echoed.
 */
struct hf_frame {
    enum hf_vsn vsn;   /* of the form it came in; its answer takes the same */
    enum hf_kind kind; /* of the payload */
    struct hf_json join_ref;
    struct hf_json ref;
    struct hf_json raw_topic;
    struct hf_json payload; /* HF_KIND_BINARY: raw is bytes, type is NULL */
    struct hf_json options; /* sixth element or V1 member, an object (D8) */
    struct hf_str topic;    /* unescaped */
    struct hf_str event;
    char *made;
    char names[HF_TOPIC_MAX + HF_EVENT_MAX];
};

/*
 * Decode one whole message of a client that speaks `vsn`. 0; HF_EMALFORMED: not
 * in that form, or beyond HF_REF_MAX or HF_JSON_DEPTH, which is fatal for the
 * socket (4.9); HF_ENOMEM, for binary only. After 0 it is released at the end;
 * do not copy the struct, it points into itself.
 */
int hf_frame_decode(enum hf_vsn vsn, struct hf_str bytes, bool binary,
                    struct hf_frame *out);
/* Accepts the zeroed struct. */
void hf_frame_release(struct hf_frame *frame);

/* Is it {"_binary":"..."} and nothing else (P-1.12)? Then the string. */
bool hf_binary_form(struct hf_json value, struct hf_json *out_base64);
/* The payload is the bytes that string stands for. The frame has made nothing
 * yet, and is to be released. 0, HF_EMALFORMED, HF_ENOMEM. */
int hf_frame_take_bytes(struct hf_frame *frame, struct hf_json base64);

/* --- proto_binary.c, for proto.c */
int hf_frame_decode_binary(struct hf_str bytes, struct hf_frame *out);

#endif

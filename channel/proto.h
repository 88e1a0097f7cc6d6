/*
 * proto.h - one frame <-> bytes; no state
 *
 * Serializer V2, JSON text: [join_ref, ref, topic, event, payload] (protocol
 * specification section 3.1). Payloads are kept verbatim (D17). Frames come
 * from the network: this decoder is the only one for them.
 */
#ifndef HF_CHANNEL_PROTO_H
#define HF_CHANNEL_PROTO_H

#include "base/buf.h"
#include "base/json.h"
#include "channel/limits.h"

/*
 * A decoded client frame. Everything is borrowed from the text but `topic` and
 * `event`, which point into `names` when their JSON form has escapes. Types
 * are not judged here (section 3.1): a topic that is no string, or longer than
 * the limits, has topic.len 0 and can match nothing, and its raw form is
 * echoed.
 */
struct hf_frame {
    struct hf_json join_ref;
    struct hf_json ref;
    struct hf_json raw_topic;
    struct hf_json raw_event;
    struct hf_json payload;
    struct hf_json options; /* sixth element when it is an object (D8); else HF_JSON_NULL */
    struct hf_str topic;    /* unescaped */
    struct hf_str event;
    char names[HF_TOPIC_MAX + HF_EVENT_MAX];
};

/* 0; HF_EMALFORMED: not JSON, no array, fewer than five elements, or ref and
 * join_ref beyond HF_REF_MAX. Such input is fatal for the socket (4.9). Do not
 * copy the struct: it points into itself. */
int hf_frame_decode(struct hf_str text, struct hf_frame *out);

/* [join_ref,ref,topic,"phx_reply",{"status":status,"response":response}].
 * join_ref, ref, topic and response are JSON text as it stands. */
int hf_encode_reply(struct hf_buf *out, struct hf_str join_ref,
                    struct hf_str ref, struct hf_str raw_topic,
                    const char *status, struct hf_str response);

/* [join_ref,ref,topic,event,payload], topic and event plain, the rest JSON
 * text. For phx_close and phx_error ref is the join_ref (3.1). */
int hf_encode_push(struct hf_buf *out, struct hf_str join_ref,
                   struct hf_str ref, struct hf_str topic,
                   struct hf_str event, struct hf_str payload);

/* The JSON text null, and an empty object. */
#define HF_NULL  HF_STR("null")
#define HF_EMPTY HF_STR("{}")

#endif

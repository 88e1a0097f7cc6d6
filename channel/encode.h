/*
 * encode.h - messages to clients, in the form each of them takes
 *
 * A message is first taken apart, which measures it, and then written once: to
 * the end of a buffer, or into a message of exactly its size. Nothing is copied
 * on the way, so what is put in must stay until it is written.
 *
 *               JSON payload                        bytes as payload
 *     OBJECT    {"topic","event","payload","ref"}   the same, its payload
 *                                                   {"_binary":"<base64>"}
 *     ARRAY     [join_ref,ref,topic,event,payload]  the same
 *     FRAMES    as ARRAY                            binary frame of kind 0 (a
 *                                                   push), 1 (reply) or 2 (row)
 *     REALTIME  as ARRAY                            binary frame of kind 4
 *
 * A binary frame has no room for a cursor, for a ref that is no short string,
 * or for a name over 255 bytes (specification 3.3, 10): then it is as ARRAY.
 */
#ifndef HF_CHANNEL_ENCODE_H
#define HF_CHANNEL_ENCODE_H

#include "base/buf.h"
#include "channel/client.h"
#include "channel/msg.h"
#include "schema/journal.h"

enum hf_form {
    HF_FORM_OBJECT,   /* serializer V1, either transport (3.2) */
    HF_FORM_ARRAY,    /* V2, text alone: long-poll (3.1, 6.7) */
    HF_FORM_FRAMES,   /* V2 on a WebSocket (3.3) */
    HF_FORM_REALTIME, /* the same, for realtime-js, which knows kind 4 alone */
};

/* The form in which this serializer takes text. */
static inline enum hf_form hf_form_of(enum hf_vsn vsn)
{
    return vsn == HF_VSN_1 ? HF_FORM_OBJECT : HF_FORM_ARRAY;
}

/* The JSON text null, and an empty object. */
#define HF_NULL  HF_STR("null")
#define HF_EMPTY HF_STR("{}")

/* Around the base64 of a binary payload in JSON: {"_binary":"..."}. */
#define HF_BINARY_BEGIN HF_STR("{\"_binary\":\"")
#define HF_BINARY_END   HF_STR("\"}")

#define HF_PARTS 16u

/* A message taken apart. Do not copy it: it points into itself. */
struct hf_parts {
    bool binary; /* a binary frame, no text */
    size_t len;  /* bytes, once written */
    /* private */
    uint8_t count;
    unsigned char header[5]; /* of a binary frame */
    struct hf_part {
        struct hf_str bytes;
        enum {
            HF_PART_PLAIN,
            HF_PART_STRING, /* between quotes, with nothing to escape */
            HF_PART_QUOTED,
            HF_PART_BASE64,
        } how;
    } part[HF_PARTS];
};

/*
 * Event "phx_reply", payload {"status":status,"response":response}. join_ref,
 * ref and raw_topic are JSON text as it stands; response is JSON text, or bytes
 * where `kind` says so.
 */
void hf_parts_reply(struct hf_parts *out, enum hf_form form,
                    struct hf_str join_ref, struct hf_str ref,
                    struct hf_str raw_topic, struct hf_str status,
                    enum hf_kind kind, struct hf_str response);

/*
 * Any other event. topic and event are plain, join_ref and ref JSON text; for
 * phx_close and phx_error ref is the join_ref (3.1, C). Of a binary frame the
 * join_ref tells a push to one client from a row for all.
 */
void hf_parts_push(struct hf_parts *out, enum hf_form form,
                   struct hf_str join_ref, struct hf_str ref,
                   struct hf_str topic, struct hf_str event, enum hf_kind kind,
                   struct hf_str payload);

/* Write parts->len bytes; returns where they end. */
char *hf_parts_write(const struct hf_parts *parts, char *at);
/* Append all of it or nothing. Errors as hf_buf_add. */
int hf_parts_add(struct hf_buf *out, const struct hf_parts *parts);
/* As a message with one reference; NULL when out of memory. */
struct hf_msg *hf_parts_msg(const struct hf_parts *parts);

/* Text of JSON payloads, appended: the two above in one. */
int hf_encode_reply(struct hf_buf *out, enum hf_vsn vsn, struct hf_str join_ref,
                    struct hf_str ref, struct hf_str raw_topic,
                    const char *status, struct hf_str response);
int hf_encode_push(struct hf_buf *out, enum hf_vsn vsn, struct hf_str join_ref,
                   struct hf_str ref, struct hf_str topic, struct hf_str event,
                   struct hf_str payload);

#endif

/*
 * msg.h - one encoded message, shared by all who are sent it
 *
 * The one reference-counted type. The text is immutable. In front of it is
 * room where a transport writes its frame header once, when the message is
 * first sent; since one process has one such transport, every receiver sends
 * the same bytes. Used on the loop's thread only.
 */
#ifndef HF_CHANNEL_MSG_H
#define HF_CHANNEL_MSG_H

#include <stdint.h>

#include "base/str.h"

#define HF_MSG_HEADROOM 14u /* RFC 6455 section 5.2: longest frame header */

struct hf_msg {
    uint32_t refs;
    uint32_t len;       /* bytes of text, or of a binary frame */
    uint8_t head_len;   /* bytes of header before the text; 0 = none yet */
    bool binary;
    char room[HF_MSG_HEADROOM]; /* the header's last byte is room's last */
    char text[];
};

/* A new message with one reference, its text still to be written; NULL when
 * out of memory. */
struct hf_msg *hf_msg_new(size_t len);
/* Copy of `text`. */
struct hf_msg *hf_msg_of(struct hf_str text);
struct hf_msg *hf_msg_ref(struct hf_msg *msg);
void hf_msg_unref(struct hf_msg *msg); /* NULL: nothing */

static inline struct hf_str hf_msg_text(const struct hf_msg *msg)
{
    return hf_str(msg->text, msg->len);
}

#endif

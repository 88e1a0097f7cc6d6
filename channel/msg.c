#include "channel/msg.h"

#include <assert.h>
#include <stdlib.h>

struct hf_msg *hf_msg_new(size_t len)
{
    struct hf_msg *msg;

    if (len > UINT32_MAX - sizeof(*msg))
        return NULL;
    msg = malloc(sizeof(*msg) + len);
    if (!msg)
        return NULL;
    msg->refs = 1;
    msg->len = (uint32_t)len;
    msg->head_len = 0;
    msg->binary = false;
    return msg;
}

struct hf_msg *hf_msg_of(struct hf_str text)
{
    struct hf_msg *msg = hf_msg_new(text.len);

    if (msg && text.len > 0)
        memcpy(msg->text, text.at, text.len);
    return msg;
}

struct hf_msg *hf_msg_ref(struct hf_msg *msg)
{
    /* Each reference stands in some bounded ring or queue: it cannot wrap. */
    assert(msg->refs > 0 && msg->refs < UINT32_MAX);
    msg->refs++;
    return msg;
}

void hf_msg_unref(struct hf_msg *msg)
{
    if (!msg)
        return;
    assert(msg->refs > 0);
    msg->refs--;
    if (msg->refs == 0)
        free(msg);
}

#include "sidecar/ws_out.h"

#include <assert.h>
#include <string.h>

#include "base/err.h"
#include "sidecar/counters.h"

#define GOODBYE_SLOT (HF_OUT_SLOTS - 1)

/* Header and text lie one behind the other, see msg.h. */
static char *frame_start(struct hf_msg *msg)
{
    return (char *)msg + offsetof(struct hf_msg, text) - msg->head_len;
}

static size_t frame_len(const struct hf_msg *msg)
{
    return msg->head_len + (size_t)msg->len;
}

static void give_header(struct hf_msg *msg, enum hf_ws_opcode opcode)
{
    char *text = (char *)msg + offsetof(struct hf_msg, text);

    msg->head_len = (uint8_t)hf_ws_head(text, opcode, msg->len);
}

static struct hf_msg *control(enum hf_ws_opcode opcode, struct hf_str payload)
{
    struct hf_msg *msg = hf_msg_of(payload);

    if (msg)
        give_header(msg, opcode);
    return msg;
}

static void append(struct hf_ws_out *out, struct hf_msg *msg)
{
    out->slot[out->count++] = msg;
    out->bytes += frame_len(msg);
}

/* Give up the newest one. */
static void drop_last(struct hf_ws_out *out)
{
    struct hf_msg *msg = out->slot[--out->count];

    out->bytes -= frame_len(msg);
    hf_msg_unref(msg);
}

void hf_ws_out_release(struct hf_ws_out *out)
{
    size_t i;

    for (i = 0; i < out->count; i++)
        hf_msg_unref(out->slot[i]);
    out->count = 0;
    out->bytes = 0;
    out->written = 0;
}

void hf_ws_out_add(struct hf_ws_out *out, struct hf_msg *msg)
{
    assert(hf_ws_out_has_room(out));
    if (msg->head_len == 0)
        give_header(msg, msg->binary ? HF_WS_BINARY : HF_WS_TEXT);
    append(out, msg);
}

int hf_ws_out_pong(struct hf_ws_out *out, struct hf_str payload)
{
    struct hf_msg *msg = control(HF_WS_PONG, payload);

    if (!msg)
        return HF_ENOMEM;
    /* Messages end before the pongs' slots, so the last one is a pong, or a ping
     * that nobody needs now; and it is not the first, so it was not begun. */
    if (out->count == GOODBYE_SLOT)
        drop_last(out);
    append(out, msg);
    return 0;
}

int hf_ws_out_ping(struct hf_ws_out *out)
{
    struct hf_msg *msg;

    if (out->count == GOODBYE_SLOT)
        return HF_EAGAIN;
    msg = control(HF_WS_PING, HF_STR(""));
    if (!msg)
        return HF_ENOMEM;
    append(out, msg);
    return 0;
}

int hf_ws_out_goodbye(struct hf_ws_out *out, int code, struct hf_str reason)
{
    char body[HF_WS_CONTROL_MAX] = {(char)(code >> 8 & 0xFF),
                                    (char)(code & 0xFF)};
    struct hf_msg *msg;

    assert(reason.len < HF_WS_REASON_MAX);
    memcpy(body + 2, reason.at, reason.len);

    while (out->count > (out->written > 0 ? 1u : 0u))
        drop_last(out);
    msg = control(HF_WS_CLOSE,
                  hf_str(body, code == HF_WS_NO_STATUS ? 0 : 2 + reason.len));
    if (!msg)
        return HF_ENOMEM;
    append(out, msg);
    return 0;
}

/* Forget the first n bytes. */
static void advance(struct hf_ws_out *out, size_t n)
{
    size_t gone = 0, i;

    out->bytes -= n;
    n += out->written;
    while (gone < out->count && n >= frame_len(out->slot[gone])) {
        n -= frame_len(out->slot[gone]);
        hf_msg_unref(out->slot[gone]);
        gone++;
    }
    out->written = n;
    out->count -= gone;
    for (i = 0; i < out->count; i++)
        out->slot[i] = out->slot[i + gone];
}

int hf_ws_out_write(struct hf_ws_out *out, struct hf_wire *wire,
                    bool *out_progress)
{
    struct iovec parts[HF_OUT_SLOTS];
    size_t taken, i;
    int err;

    for (i = 0; i < out->count; i++)
        parts[i] =
            (struct iovec){frame_start(out->slot[i]), frame_len(out->slot[i])};
    if (out->count > 0) {
        parts[0].iov_base = (char *)parts[0].iov_base + out->written;
        parts[0].iov_len -= out->written;
    }
    err = hf_wire_write(wire, parts, out->count, &taken);
    *out_progress = taken > 0;
    if (taken > 0) {
        hf_count_many(HF_COUNT_SENT_BYTES, taken);
        advance(out, taken);
    }
    return err == 0 && out->count > 0 ? HF_EAGAIN : err;
}

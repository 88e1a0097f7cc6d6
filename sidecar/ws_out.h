/*
 * ws_out.h - messages on their way into one socket
 *
 * Holds references, never copies: a broadcast is encoded once and every
 * socket's writev points at the same bytes. What the kernel does not take at
 * once stays here, a frame begun is always finished. Exists only while there is
 * something to write; an idle socket has none.
 *
 *     messages      0 .. HF_WRITE_BATCH - 1, taken from the session
 *     pongs, pings  behind them, up to HF_WRITE_PONGS beyond the batch
 *     goodbye       one slot that nothing else may use
 */
#ifndef HF_SIDECAR_WS_OUT_H
#define HF_SIDECAR_WS_OUT_H

#include "channel/msg.h"
#include "sidecar/limits.h"
#include "sidecar/wire.h"
#include "sidecar/ws_frame.h"

#define HF_OUT_SLOTS (HF_WRITE_BATCH + HF_WRITE_PONGS + 1u)

/* Zeroed when empty. */
struct hf_ws_out {
    size_t written; /* bytes of slot[0], header included, that are gone */
    size_t count;
    size_t bytes; /* of all slots, headers included, less what is gone */
    struct hf_msg *slot[HF_OUT_SLOTS];
};

/* Drop everything. */
void hf_ws_out_release(struct hf_ws_out *out);

/* May another message of the session go in? */
static inline bool hf_ws_out_has_room(const struct hf_ws_out *out)
{
    return out->count < HF_WRITE_BATCH && out->bytes < HF_WRITE_BYTES;
}

/* Messages that fit; HF_WRITE_BATCH at most. */
static inline size_t hf_ws_out_room(const struct hf_ws_out *out)
{
    return hf_ws_out_has_room(out) ? HF_WRITE_BATCH - out->count : 0;
}

/* Queue a message of the session, whose reference is taken over; there must be
 * room. Its frame header is written when it has none yet. */
void hf_ws_out_add(struct hf_ws_out *out, struct hf_msg *msg);

/* Queue an answer to a ping. Where none fits it replaces the newest. 0 or
 * HF_ENOMEM, when it is left out. */
int hf_ws_out_pong(struct hf_ws_out *out, struct hf_str payload);

/* Queue a ping without data. 0, HF_ENOMEM, or HF_EAGAIN: no room. */
int hf_ws_out_ping(struct hf_ws_out *out);

/* Drop what was not begun and queue a close frame; NO_STATUS gives one without
 * a code and reason, which is less than HF_WS_REASON_MAX bytes of UTF-8. Nothing
 * may be queued behind it. 0 or HF_ENOMEM. */
int hf_ws_out_goodbye(struct hf_ws_out *out, int code, struct hf_str reason);

/*
 * Write what the connection takes, in one call. 0: all is gone; HF_EAGAIN: some
 * is left, here or in its layer (wire.h), and *out_progress tells whether any
 * went; HF_ECLOSED: it is broken.
 */
int hf_ws_out_write(struct hf_ws_out *out, struct hf_wire *wire,
                    bool *out_progress);

#endif

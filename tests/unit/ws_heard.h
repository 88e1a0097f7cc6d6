/*
 * ws_heard.h - what a WebSocket client has heard from its server, so that it can
 * be compared. For tests only.
 *
 * A pong may pass a message (RFC 6455 section 5.5.3 asks for it "as soon as is
 * practical"), so the two are kept apart.
 */
#ifndef HF_TESTS_WS_HEARD_H
#define HF_TESTS_WS_HEARD_H

#include <stdlib.h>

#include "base/buf.h"
#include "sidecar/ws_frame.h"

#define WS_HEARD_MAX ((size_t)1 << 26)

struct ws_heard {
    struct hf_buf messages; /* kind, length, payload of each */
    struct hf_buf pongs;    /* likewise */
    int code;               /* of the close frame; 0 = there was none */
    const char *wrong;      /* what a server must not do; NULL = nothing */
};

static inline void ws_heard_init(struct ws_heard *heard)
{
    *heard = (struct ws_heard){.code = 0};
    hf_buf_init(&heard->messages, WS_HEARD_MAX);
    hf_buf_init(&heard->pongs, WS_HEARD_MAX);
}

static inline void ws_heard_release(struct ws_heard *heard)
{
    hf_buf_release(&heard->messages);
    hf_buf_release(&heard->pongs);
}

static inline void ws_heard_data(struct hf_buf *to, unsigned opcode,
                                 struct hf_str payload)
{
    if (hf_buf_addf(to, "%u:%zu:", opcode, payload.len) ||
        hf_buf_add_str(to, payload))
        abort();
}

static inline void ws_heard_close(struct ws_heard *heard, struct hf_str body)
{
    int code = 0;

    if (heard->code || hf_ws_read_close(body, &code))
        heard->wrong = "a second goodbye, or a bad one";
    heard->code = code;
}

static inline void ws_heard_add(struct ws_heard *heard, unsigned opcode,
                                struct hf_str payload)
{
    if (heard->code)
        heard->wrong = "something behind the goodbye";
    if (opcode == HF_WS_TEXT || opcode == HF_WS_BINARY)
        ws_heard_data(&heard->messages, opcode, payload);
    else if (opcode == HF_WS_PONG)
        ws_heard_data(&heard->pongs, opcode, payload);
    else if (opcode == HF_WS_CLOSE)
        ws_heard_close(heard, payload);
    else
        heard->wrong = "a frame that nobody asked for";
}

static inline void ws_heard_copy(struct ws_heard *to,
                                 const struct ws_heard *from)
{
    ws_heard_init(to);
    to->code = from->code;
    if (hf_buf_add_str(&to->messages, hf_buf_str(&from->messages)) ||
        hf_buf_add_str(&to->pongs, hf_buf_str(&from->pongs)))
        abort();
}

static inline bool ws_heard_same(const struct ws_heard *a,
                                 const struct ws_heard *b)
{
    return !a->wrong && !b->wrong && a->code == b->code &&
           hf_str_eq(hf_buf_str(&a->messages), hf_buf_str(&b->messages)) &&
           hf_str_eq(hf_buf_str(&a->pongs), hf_buf_str(&b->pongs));
}

/* Take one frame from the front; its length, or 0 when it is not whole. A
 * server's frames have no mask, and ours are never in pieces. */
static inline size_t ws_heard_frame(struct ws_heard *heard, struct hf_str in)
{
    size_t head = 2, len, i;

    if (in.len < 2)
        return 0;
    len = (unsigned char)in.at[1];
    if (!(in.at[0] & 0x80) || (in.at[0] & 0x70) || len > 127)
        heard->wrong = "reserved bits, a mask or a fragment";
    if (len >= 126) {
        head = len == 126 ? 4 : 10;
        if (in.len < head)
            return 0;
        len = 0;
        for (i = 2; i < head; i++)
            len = len << 8 | (unsigned char)in.at[i];
    }
    if (in.len - head < len)
        return 0;
    ws_heard_add(heard, (unsigned char)in.at[0] & 0x0fu,
                 hf_str(in.at + head, len));
    return head + len;
}

/* Take all whole frames from the front of what came in. */
static inline void ws_heard_take(struct ws_heard *heard, struct hf_buf *in)
{
    size_t used = 0, len;

    while ((len = ws_heard_frame(heard, hf_str(in->at + used, in->len - used))))
        used += len;
    hf_buf_drop(in, used);
}

#endif

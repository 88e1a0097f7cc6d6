/*
 * ws_trace.h - what the decoder of sidecar/ws_frame.h makes of some bytes, as
 * text that can be compared: "text(hello) ping() !1002". For tests only.
 */
#ifndef HF_TESTS_WS_TRACE_H
#define HF_TESTS_WS_TRACE_H

#include <stdlib.h>

#include "base/buf.h"
#include "sidecar/ws_frame.h"

struct ws_trace {
    struct hf_ws_decoder decoder;
    size_t max_message;
    struct hf_buf text;
    struct hf_buf message;
    struct hf_buf control;
    size_t frames;
    int refused; /* status code; nothing is taken after it */
};

static inline void ws_trace_init(struct ws_trace *t, size_t max_message)
{
    *t = (struct ws_trace){.max_message = max_message};
    hf_buf_init(&t->text, (size_t)1 << 24);
    hf_buf_init(&t->message, max_message);
    hf_buf_init(&t->control, HF_WS_CONTROL_MAX);
}

static inline void ws_trace_release(struct ws_trace *t)
{
    hf_buf_release(&t->text);
    hf_buf_release(&t->message);
    hf_buf_release(&t->control);
}

static inline void ws_trace_add(struct ws_trace *t, const char *name,
                                struct hf_str bytes)
{
    (void)hf_buf_addf(&t->text, "%s%s(", t->text.len ? " " : "", name);
    (void)hf_buf_add_str(&t->text, bytes);
    (void)hf_buf_add_byte(&t->text, ')');
}

/* Aborts where the decoder does not keep its word. */
static inline void ws_trace_piece(struct ws_trace *t,
                                  const struct hf_ws_piece *piece)
{
    bool control = piece->kind >= HF_WS_CLOSE;
    struct hf_buf *buf = control ? &t->control : &t->message;
    const char *name = piece->kind == HF_WS_TEXT     ? "text"
                       : piece->kind == HF_WS_BINARY ? "binary"
                       : piece->kind == HF_WS_CLOSE  ? "close"
                       : piece->kind == HF_WS_PING   ? "ping"
                                                     : "pong";

    if (piece->starts && buf->len > 0)
        abort(); /* the message before was not ended */
    if (piece->ends && !piece->ends_frame)
        abort();
    if (hf_buf_add_str(buf, piece->bytes))
        abort(); /* more than was allowed */
    t->frames += piece->ends_frame;
    if (!piece->ends)
        return;
    if (piece->kind == HF_WS_TEXT && !hf_utf8_valid(hf_buf_str(buf)))
        abort();
    ws_trace_add(t, name, hf_buf_str(buf));
    hf_buf_reset(buf);
}

/* Feed one piece of the stream; `bytes` may lie in read-only memory. */
static inline void ws_trace_feed(struct ws_trace *t, struct hf_str bytes)
{
    char *copy = malloc(bytes.len + 1); /* exact, so that ASan sees overruns */
    size_t at = 0, used = 0;

    if (!copy)
        abort();
    if (bytes.len > 0)
        memcpy(copy, bytes.at, bytes.len);
    while (!t->refused && at < bytes.len) {
        struct hf_ws_piece piece;

        t->refused = hf_ws_decode(&t->decoder, t->max_message, copy + at,
                                  bytes.len - at, &used, &piece);
        if (t->refused) {
            (void)hf_buf_addf(&t->text, "%s!%d", t->text.len ? " " : "",
                              t->refused);
            break;
        }
        if (used == 0 || used > bytes.len - at)
            abort();
        at += used;
        if (piece.kind != HF_WS_CONTINUATION)
            ws_trace_piece(t, &piece);
    }
    free(copy);
}

#endif

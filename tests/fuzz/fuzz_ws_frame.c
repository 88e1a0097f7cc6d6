/*
 * fuzz_ws_frame.c - however the bytes are cut, the decoder understands the same
 * and refuses at the same place; ws_trace.h aborts where a piece is not what
 * the header promises. What it understood makes the same message again when it
 * is put into a frame of ours.
 */
#include "tests/fuzz/fuzz.h"

#include "tests/unit/ws_trace.h"

#define MAX_MESSAGE 300u /* small, so that inputs reach it */

static void feed_in_pieces(struct ws_trace *t, struct hf_str bytes,
                           size_t piece)
{
    ws_trace_init(t, MAX_MESSAGE);
    while (bytes.len > 0) {
        size_t len = piece < bytes.len ? piece : bytes.len;

        ws_trace_feed(t, hf_str(bytes.at, len));
        bytes = hf_str_from(bytes, len);
    }
}

/* A frame of ours, given the mask bit and a mask that changes nothing. */
static void check_round_trip(struct hf_str payload)
{
    char room[HF_WS_HEAD_MAX + 4 + MAX_MESSAGE];
    size_t head = hf_ws_head(room + HF_WS_HEAD_MAX, HF_WS_BINARY, payload.len);
    char *frame = room + HF_WS_HEAD_MAX - head;
    struct ws_trace t;

    frame[1] = (char)(frame[1] | '\x80');
    memset(room + HF_WS_HEAD_MAX, 0, 4);
    memcpy(room + HF_WS_HEAD_MAX + 4, payload.at, payload.len);
    ws_trace_init(&t, MAX_MESSAGE);
    ws_trace_feed(&t, hf_str(frame, head + 4 + payload.len));
    CHECK(t.refused == 0 && t.frames == 1);
    CHECK(t.text.len == payload.len + sizeof("binary()") - 1);
    CHECK(memcmp(t.text.at + sizeof("binary(") - 1, payload.at, payload.len) ==
          0);
    ws_trace_release(&t);
}

static void check_close(struct hf_str body)
{
    int code = 0;
    int refused = hf_ws_read_close(body, &code);

    CHECK(refused == 0 || refused == HF_WS_PROTOCOL ||
          refused == HF_WS_BAD_TEXT);
    CHECK(refused != 0 || (code >= 1000 && code <= 4999));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t pieces[] = {1, 2, 3, 7, 16};
    struct hf_str bytes = hf_str((const char *)data, size);
    struct ws_trace whole, cut;
    size_t i;

    ws_trace_init(&whole, MAX_MESSAGE);
    ws_trace_feed(&whole, bytes);
    for (i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        feed_in_pieces(&cut, bytes, pieces[i]);
        CHECK(cut.refused == whole.refused);
        CHECK(hf_str_eq(hf_buf_str(&cut.text), hf_buf_str(&whole.text)));
        ws_trace_release(&cut);
    }
    ws_trace_release(&whole);
    if (size > 0 && size <= MAX_MESSAGE)
        check_round_trip(bytes);
    check_close(bytes);
    return 0;
}

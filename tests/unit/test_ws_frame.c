#include "sidecar/ws_frame.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/unit/ws_trace.h"

#define MAX_MESSAGE 70000u
#define MASK0       "\0\0\0\0" /* changes nothing: the payload can be read */

struct sample {
    const char *what;
    struct hf_str bytes;
    const char *trace;
};

/* --- tables --------------------------------------------------------------- */

static const struct sample accepted[] = {
    {"a text", HF_STR_INIT("\x81\x85" MASK0 "hello"), "text(hello)"},
    {"RFC 6455 section 5.7: a masked Hello",
     HF_STR_INIT("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"),
     "text(Hello)"},
    {"a mask over a whole word and more",
     HF_STR_INIT("\x81\x8b\x01\x02\x03\x04"
                 "\x60\x60\x60\x60\x64\x64\x64\x6c"
                 "\x68\x68\x68"),
     "text(abcdefghijk)"},
    {"an empty text", HF_STR_INIT("\x81\x80" MASK0), "text()"},
    {"a binary message",
     HF_STR_INIT("\x82\x83" MASK0 "a\xff"
                 "b"),
     "binary(a\xff"
     "b)"},
    {"two messages", HF_STR_INIT("\x81\x81" MASK0 "a\x82\x81" MASK0 "b"),
     "text(a) binary(b)"},
    {"fragments",
     HF_STR_INIT("\x01\x82" MASK0 "he\x00\x81" MASK0 "l\x80\x82" MASK0 "lo"),
     "text(hello)"},
    {"empty fragments",
     HF_STR_INIT("\x01\x80" MASK0 "\x00\x80" MASK0 "\x80\x80" MASK0), "text()"},
    {"an empty fragment at the end",
     HF_STR_INIT("\x02\x81" MASK0 "a\x80\x80" MASK0), "binary(a)"},
    {"a ping between fragments",
     HF_STR_INIT("\x01\x82" MASK0 "he\x89\x82" MASK0 "hi\x80\x83" MASK0 "llo"),
     "ping(hi) text(hello)"},
    {"pong and ping between fragments",
     HF_STR_INIT("\x02\x81" MASK0 "a\x8a\x80" MASK0 "\x00\x81" MASK0
                 "b\x89\x80" MASK0 "\x80\x81" MASK0 "c"),
     "pong() ping() binary(abc)"},
    {"a message after a fragmented one",
     HF_STR_INIT("\x01\x81" MASK0 "a\x80\x81" MASK0 "b\x82\x81" MASK0 "c"),
     "text(ab) binary(c)"},
    {"a goodbye", HF_STR_INIT("\x88\x82" MASK0 "\x03\xe8"), "close(\x03\xe8)"},
    {"a character over two fragments",
     HF_STR_INIT("\x01\x81" MASK0 "\xc3\x80\x81" MASK0 "\xa4"),
     "text(\xc3\xa4)"},
    {"a ping inside a character",
     HF_STR_INIT("\x01\x81" MASK0 "\xc3\x89\x81" MASK0 "\xff\x80\x81" MASK0
                 "\xa4"),
     "ping(\xff) text(\xc3\xa4)"},
    {"half a frame", HF_STR_INIT("\x81\x85" MASK0 "he"), ""},
};

static const struct sample refused[] = {
    {"RSV1", HF_STR_INIT("\xc1\x80" MASK0), "!1002"},
    {"RSV2", HF_STR_INIT("\xa1\x80" MASK0), "!1002"},
    {"RSV3", HF_STR_INIT("\x91\x80" MASK0), "!1002"},
    {"RSV1 on a ping", HF_STR_INIT("\xc9\x80" MASK0), "!1002"},
    {"opcode 3", HF_STR_INIT("\x83\x80" MASK0), "!1002"},
    {"opcode 7", HF_STR_INIT("\x87\x80" MASK0), "!1002"},
    {"opcode 11", HF_STR_INIT("\x8b\x80" MASK0), "!1002"},
    {"opcode 15", HF_STR_INIT("\x8f\x80" MASK0), "!1002"},
    {"no mask", HF_STR_INIT("\x81\x05hello"), "!1002"},
    {"no mask on a ping", HF_STR_INIT("\x89\x00"), "!1002"},
    {"a ping in fragments", HF_STR_INIT("\x09\x80" MASK0), "!1002"},
    {"a goodbye in fragments", HF_STR_INIT("\x08\x80" MASK0), "!1002"},
    {"a ping of 126 bytes", HF_STR_INIT("\x89\xfe\x00\x7e" MASK0), "!1002"},
    {"a pong with a wide length", HF_STR_INIT("\x8a\xff"), "!1002"},
    {"a continuation of nothing", HF_STR_INIT("\x80\x80" MASK0), "!1002"},
    {"a continuation after the end",
     HF_STR_INIT("\x81\x80" MASK0 "\x80\x80" MASK0), "text() !1002"},
    {"a text inside a text", HF_STR_INIT("\x01\x80" MASK0 "\x81\x80" MASK0),
     "!1002"},
    {"a binary inside a text", HF_STR_INIT("\x01\x80" MASK0 "\x02\x80" MASK0),
     "!1002"},
    {"125 in two bytes", HF_STR_INIT("\x82\xfe\x00\x7d" MASK0), "!1002"},
    {"65535 in eight bytes", HF_STR_INIT("\x82\xff\0\0\0\0\0\0\xff\xff" MASK0),
     "!1002"},
    {"a length of 2^63", HF_STR_INIT("\x82\xff\x80\0\0\0\0\0\0\0" MASK0),
     "!1002"},
    {"a length of 2^63 - 1",
     HF_STR_INIT("\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff" MASK0), "!1009"},
    {"one more than the limit",
     HF_STR_INIT("\x82\xff\0\0\0\0\0\x01\x11\x71" MASK0), "!1009"},
    {"one more than the limit, in fragments",
     HF_STR_INIT("\x02\x81" MASK0 "a\x00\xff\0\0\0\0\0\x01\x11\x70" MASK0),
     "!1009"},
    {"a bad byte", HF_STR_INIT("\x81\x81" MASK0 "\xff"), "!1007"},
    {"a bad byte at the start of much more",
     HF_STR_INIT("\x81\xfe\x40\x00" MASK0 "\xff"), "!1007"},
    {"an unfinished character", HF_STR_INIT("\x81\x81" MASK0 "\xc3"), "!1007"},
    {"an unfinished character, then nothing",
     HF_STR_INIT("\x01\x81" MASK0 "\xc3\x80\x80" MASK0), "!1007"},
    {"a bad byte in the second fragment",
     HF_STR_INIT("\x01\x81" MASK0 "a\x80\x81" MASK0 "\x80"), "!1007"},
};

/* --- helpers -------------------------------------------------------------- */

/* Fed in pieces that end at `a`, at `b`, and at the end. */
static void check_cut(const struct sample *s, size_t a, size_t b)
{
    struct ws_trace t;

    ws_trace_init(&t, MAX_MESSAGE);
    ws_trace_feed(&t, hf_str(s->bytes.at, a));
    ws_trace_feed(&t, hf_str(s->bytes.at + a, b - a));
    ws_trace_feed(&t, hf_str(s->bytes.at + b, s->bytes.len - b));
    if (!hf_str_eq(hf_buf_str(&t.text), hf_str_of(s->trace)))
        fail_msg("%s, cut at %zu and %zu: got \"%.*s\", want \"%s\"", s->what,
                 a, b, HF_STR_ARG(hf_buf_str(&t.text)), s->trace);
    ws_trace_release(&t);
}

static void check_bytewise(const struct sample *s)
{
    struct ws_trace t;
    size_t i;

    ws_trace_init(&t, MAX_MESSAGE);
    for (i = 0; i < s->bytes.len; i++)
        ws_trace_feed(&t, hf_str(s->bytes.at + i, 1));
    if (!hf_str_eq(hf_buf_str(&t.text), hf_str_of(s->trace)))
        fail_msg("%s, byte by byte: got \"%.*s\", want \"%s\"", s->what,
                 HF_STR_ARG(hf_buf_str(&t.text)), s->trace);
    ws_trace_release(&t);
}

static void check_every_cut(const struct sample *samples, size_t count)
{
    size_t i, a, b;

    for (i = 0; i < count; i++) {
        for (a = 0; a <= samples[i].bytes.len; a++) {
            for (b = a; b <= samples[i].bytes.len; b++)
                check_cut(&samples[i], a, b);
        }
        check_bytewise(&samples[i]);
    }
}

#define EVERY_CUT(samples)                                                     \
    check_every_cut(samples, sizeof(samples) / sizeof((samples)[0]))

/* A client's frame with the shortest length. */
static void add_frame(struct hf_buf *out, unsigned first,
                      const unsigned char mask[4], struct hf_str payload)
{
    char head[HF_WS_HEAD_MAX];
    size_t len = hf_ws_head(head + sizeof(head), HF_WS_TEXT, payload.len);
    char *start = head + sizeof(head) - len;
    size_t i;

    start[0] = (char)first;
    start[1] = (char)(start[1] | '\x80');
    assert_int_equal(hf_buf_add(out, start, len), 0);
    assert_int_equal(hf_buf_add(out, mask, 4), 0);
    for (i = 0; i < payload.len; i++)
        assert_int_equal(
            hf_buf_add_byte(out, (char)(payload.at[i] ^ mask[i % 4])), 0);
}

/* --- tests ---------------------------------------------------------------- */

static void good_frames_are_understood_wherever_they_are_cut(void **state)
{
    (void)state;
    EVERY_CUT(accepted);
}

static void bad_frames_are_refused_wherever_they_are_cut(void **state)
{
    (void)state;
    EVERY_CUT(refused);
}

static void a_frame_is_refused_as_soon_as_its_bytes_allow(void **state)
{
    /* The last byte of each is the one that cannot be. */
    static const struct sample samples[] = {
        {"reserved bit", HF_STR_INIT("\xc1"), "!1002"},
        {"opcode", HF_STR_INIT("\x83"), "!1002"},
        {"stray continuation", HF_STR_INIT("\x80"), "!1002"},
        {"fragmented ping", HF_STR_INIT("\x09"), "!1002"},
        {"mask", HF_STR_INIT("\x81\x05"), "!1002"},
        {"long ping", HF_STR_INIT("\x89\xfe"), "!1002"},
        {"2^63", HF_STR_INIT("\x82\xff\x80"), "!1002"},
        {"not minimal", HF_STR_INIT("\x82\xfe\x00\x7d"), "!1002"},
        {"too big", HF_STR_INIT("\x82\xff\0\0\0\0\0\x01\x11\x71"), "!1009"},
        {"bad text", HF_STR_INIT("\x81\x85" MASK0 "a\xff"), "!1007"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        struct sample shorter = samples[i];

        check_bytewise(&samples[i]);
        shorter.bytes.len--;
        shorter.trace = "";
        check_bytewise(&shorter);
    }
}

static void every_length_around_a_change_of_form_comes_through(void **state)
{
    static const size_t lengths[] = {0,     1,     7,     8,     124,  125,
                                     126,   127,   128,   255,   256,  65534,
                                     65535, 65536, 65537, 69999, 70000};
    static const unsigned char mask[4] = {0xde, 0xad, 0xbe, 0xef};
    struct hf_buf payload, frame;
    struct ws_trace t;
    size_t i, cut;

    (void)state;
    hf_buf_init(&payload, MAX_MESSAGE);
    hf_buf_init(&frame, MAX_MESSAGE + 100);
    while (payload.len < MAX_MESSAGE)
        assert_int_equal(
            hf_buf_add_byte(&payload, (char)('a' + payload.len % 23)), 0);
    for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        hf_buf_reset(&frame);
        add_frame(&frame, 0x81, mask, hf_str(payload.at, lengths[i]));
        /* all at once, and cut at odd places so that the mask has to turn */
        for (cut = 1; cut <= frame.len; cut = cut * 3 + 1) {
            ws_trace_init(&t, MAX_MESSAGE);
            ws_trace_feed(&t, hf_str(frame.at, cut));
            ws_trace_feed(&t, hf_str(frame.at + cut, frame.len - cut));
            assert_int_equal(t.refused, 0);
            assert_int_equal(t.text.len, lengths[i] + 6);
            assert_memory_equal(t.text.at + 5, payload.at, lengths[i]);
            ws_trace_release(&t);
        }
    }
    hf_buf_release(&payload);
    hf_buf_release(&frame);
}

static void
the_limit_is_for_the_message_and_not_for_the_connection(void **state)
{
    struct ws_trace t;
    int i;

    (void)state;
    ws_trace_init(&t, 3);
    for (i = 0; i < 5; i++) {
        ws_trace_feed(&t, HF_STR("\x02\x82" MASK0 "ab"));
        ws_trace_feed(&t, HF_STR("\x89\x84" MASK0 "ping")); /* not counted */
        ws_trace_feed(&t, HF_STR("\x80\x81" MASK0 "c"));
    }
    assert_int_equal(t.refused, 0);
    ws_trace_feed(&t, HF_STR("\x02\x82" MASK0 "ab"));
    ws_trace_feed(&t, HF_STR("\x80\x82" MASK0));
    assert_int_equal(t.refused, HF_WS_TOO_BIG);
    ws_trace_release(&t);
}

static void the_end_of_every_frame_is_told(void **state)
{
    struct ws_trace t;

    (void)state;
    ws_trace_init(&t, 100);
    ws_trace_feed(&t, HF_STR("\x01\x82" MASK0 "a"));
    assert_int_equal(t.frames, 0);
    ws_trace_feed(&t, HF_STR("b"));
    assert_int_equal(t.frames, 1); /* a fragment is a frame, too */
    ws_trace_feed(&t, HF_STR("\x89\x80" MASK0));
    assert_int_equal(t.frames, 2);
    ws_trace_feed(&t, HF_STR("\x80\x80" MASK0));
    assert_int_equal(t.frames, 3);
    ws_trace_release(&t);
}

static void a_goodbye_is_read_strictly(void **state)
{
    static const struct {
        struct hf_str body;
        int result;
        int code;
    } samples[] = {
        {HF_STR_INIT(""), 0, HF_WS_NO_STATUS},
        {{"\x03\xe8", 1}, HF_WS_PROTOCOL, 0},         /* half a 1000 */
        {HF_STR_INIT("\x03\xe7"), HF_WS_PROTOCOL, 0}, /* 999 */
        {HF_STR_INIT("\x03\xe8"), 0, 1000},
        {HF_STR_INIT("\x03\xeb"), 0, 1003},
        {HF_STR_INIT("\x03\xec"), HF_WS_PROTOCOL, 0}, /* 1004 */
        {HF_STR_INIT("\x03\xed"), HF_WS_PROTOCOL, 0}, /* 1005 */
        {HF_STR_INIT("\x03\xee"), HF_WS_PROTOCOL, 0}, /* 1006 */
        {HF_STR_INIT("\x03\xef"), 0, 1007},
        {HF_STR_INIT("\x03\xf6"), 0, 1014},
        {HF_STR_INIT("\x03\xf7"), HF_WS_PROTOCOL, 0}, /* 1015 */
        {HF_STR_INIT("\x0b\xb7"), HF_WS_PROTOCOL, 0}, /* 2999 */
        {HF_STR_INIT("\x0b\xb8"), 0, 3000},
        {HF_STR_INIT("\x13\x87"), 0, 4999},
        {HF_STR_INIT("\x13\x88"), HF_WS_PROTOCOL, 0}, /* 5000 */
        {HF_STR_INIT("\x03\xe8"
                     "bye"),
         0, 1000},
        {HF_STR_INIT("\x03\xe8\xc3\xa4"), 0, 1000},
        {HF_STR_INIT("\x03\xe8\xc3"), HF_WS_BAD_TEXT, 0},
        {HF_STR_INIT("\x03\xe8\xff"), HF_WS_BAD_TEXT, 0},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        int code = 0;

        assert_int_equal(hf_ws_read_close(samples[i].body, &code),
                         samples[i].result);
        assert_int_equal(code, samples[i].code);
    }
}

static void headers_take_the_shortest_form(void **state)
{
    static const struct {
        size_t len;
        struct hf_str head;
    } samples[] = {
        {0, HF_STR_INIT("\x81\x00")},
        {125, HF_STR_INIT("\x81\x7d")},
        {126, HF_STR_INIT("\x81\x7e\x00\x7e")},
        {65535, HF_STR_INIT("\x81\x7e\xff\xff")},
        {65536, HF_STR_INIT("\x81\x7f\0\0\0\0\0\x01\0\0")},
        {0x12345678, HF_STR_INIT("\x81\x7f\0\0\0\0\x12\x34\x56\x78")},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        char room[HF_WS_HEAD_MAX + 1];
        size_t len;

        room[HF_WS_HEAD_MAX] = 'x';
        len = hf_ws_head(room + HF_WS_HEAD_MAX, HF_WS_TEXT, samples[i].len);
        assert_int_equal(len, samples[i].head.len);
        assert_memory_equal(room + HF_WS_HEAD_MAX - len, samples[i].head.at,
                            len);
        assert_int_equal(room[HF_WS_HEAD_MAX], 'x');
    }
    {
        char room[HF_WS_HEAD_MAX];

        assert_int_equal(hf_ws_head(room + HF_WS_HEAD_MAX, HF_WS_PONG, 3), 2);
        assert_memory_equal(room + HF_WS_HEAD_MAX - 2, "\x8a\x03", 2);
    }
}

/* --- wslay as oracle ------------------------------------------------------ */

#ifdef HF_HAVE_WSLAY
#include <wslay/wslay.h>

/* Bytes that depend on nothing but the seed. */
static unsigned next_random(unsigned *seed)
{
    *seed = *seed * 1103515245u + 12345u;
    return *seed >> 16 & 0x7fffu;
}

struct oracle {
    struct hf_str input;
    struct hf_buf text;
};

static ssize_t oracle_recv(wslay_event_context_ptr ctx, uint8_t *out,
                           size_t len, int flags, void *data)
{
    struct oracle *o = data;
    size_t n = o->input.len < len ? o->input.len : len;

    (void)flags;
    if (n == 0) {
        wslay_event_set_error(ctx, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    memcpy(out, o->input.at, n);
    o->input = hf_str_from(o->input, n);
    return (ssize_t)n;
}

static void oracle_message(wslay_event_context_ptr ctx,
                           const struct wslay_event_on_msg_recv_arg *arg,
                           void *data)
{
    static const char *const names[16] = {[1] = "text",
                                          [2] = "binary",
                                          [8] = "close",
                                          [9] = "ping",
                                          [10] = "pong"};
    struct oracle *o = data;

    (void)ctx;
    (void)hf_buf_addf(&o->text, "%s%s(", o->text.len ? " " : "",
                      names[arg->opcode]);
    (void)hf_buf_add(&o->text, arg->msg, arg->msg_length);
    (void)hf_buf_add_byte(&o->text, ')');
}

static void ask_oracle(struct hf_str bytes, struct oracle *o)
{
    struct wslay_event_callbacks callbacks = {
        .recv_callback = oracle_recv,
        .on_msg_recv_callback = oracle_message,
    };
    wslay_event_context_ptr ctx;

    *o = (struct oracle){.input = bytes};
    hf_buf_init(&o->text, (size_t)1 << 24);
    assert_int_equal(wslay_event_context_server_init(&ctx, &callbacks, o), 0);
    wslay_event_config_set_max_recv_msg_length(ctx, MAX_MESSAGE);
    (void)wslay_event_recv(ctx);
    if (!wslay_event_get_read_enabled(ctx))
        (void)hf_buf_addf(&o->text, "%s!", o->text.len ? " " : "");
    wslay_event_context_free(ctx);
}

/* A stream of frames a client might send, some with a mistake. */
static void random_stream(struct hf_buf *out, unsigned *seed, bool mistakes)
{
    static const char text[] = "plain, \xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80 ";
    bool open = false;
    int frames;

    for (frames = (int)(next_random(seed) % 8) + 1; frames > 0; frames--) {
        unsigned char mask[4];
        char payload[300];
        bool control = next_random(seed) % 4 == 0;
        size_t len = next_random(seed) % (control ? 126 : sizeof(payload));
        bool final = control || next_random(seed) % 3 != 0;
        unsigned opcode = control ? 9 + next_random(seed) % 2
                          : open  ? 0
                                  : 1 + next_random(seed) % 2;
        size_t i;

        /* whole runs of the text, so that most texts are valid */
        len -= len % (sizeof(text) - 1);
        for (i = 0; i < len; i++)
            payload[i] = text[i % (sizeof(text) - 1)];
        for (i = 0; i < 4; i++)
            mask[i] = (unsigned char)next_random(seed);
        /* no goodbye: wslay stops there, we leave that to the caller */
        if (mistakes && next_random(seed) % 6 == 0)
            opcode = next_random(seed) % 16;
        if (opcode == HF_WS_CLOSE)
            opcode = HF_WS_PING;
        if (mistakes && len > 0 && next_random(seed) % 8 == 0)
            payload[next_random(seed) % len] = (char)next_random(seed);
        if (opcode < 8)
            open = !final;
        add_frame(out, (final ? 0x80u : 0u) | opcode, mask,
                  hf_str(payload, len));
    }
}

/* Messages must be the same, and so must whether and where it was refused; the
 * code, which wslay would tell when it sends, is cut off. */
static void compare_with_oracle(struct hf_str stream)
{
    struct ws_trace ours;
    struct oracle o;
    struct hf_str text;
    size_t at;

    ws_trace_init(&ours, MAX_MESSAGE);
    for (at = 0; at < stream.len; at += 61) {
        size_t left = stream.len - at;

        ws_trace_feed(&ours, hf_str(stream.at + at, left < 61 ? left : 61));
    }
    ask_oracle(stream, &o);
    text = hf_buf_str(&ours.text);
    if (ours.refused)
        text.len -= 4;
    if (!hf_str_eq(text, hf_buf_str(&o.text)))
        fail_msg("ours \"%.*s\", wslay's \"%.*s\"", HF_STR_ARG(text),
                 HF_STR_ARG(hf_buf_str(&o.text)));
    ws_trace_release(&ours);
    hf_buf_release(&o.text);
}

static void wslay_understands_random_streams_alike(void **state)
{
    unsigned seed = 1;
    int i;

    (void)state;
    for (i = 0; i < 4000; i++) {
        struct hf_buf stream;

        hf_buf_init(&stream, (size_t)1 << 16);
        random_stream(&stream, &seed, i % 2 == 1);
        compare_with_oracle(hf_buf_str(&stream));
        hf_buf_release(&stream);
    }
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_frames_are_understood_wherever_they_are_cut),
        cmocka_unit_test(bad_frames_are_refused_wherever_they_are_cut),
        cmocka_unit_test(a_frame_is_refused_as_soon_as_its_bytes_allow),
        cmocka_unit_test(every_length_around_a_change_of_form_comes_through),
        cmocka_unit_test(
            the_limit_is_for_the_message_and_not_for_the_connection),
        cmocka_unit_test(the_end_of_every_frame_is_told),
        cmocka_unit_test(a_goodbye_is_read_strictly),
        cmocka_unit_test(headers_take_the_shortest_form),
#ifdef HF_HAVE_WSLAY
        cmocka_unit_test(wslay_understands_random_streams_alike),
#endif
    };

    return cmocka_run_group_tests_name("ws_frame", tests, NULL, NULL);
}

/*
 * The cases of tests/conformance, against decoder and connection with an echo
 * behind them, over a socket pair: whole, cut at every position, byte by byte.
 * And against wslay, which is another server that has to say the same.
 */
#include "sidecar/echo.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/sys.h"
#include "tests/unit/ws_cases.h"

/* Up to so many bytes a case is cut everywhere, and sent byte by byte. */
#define CUT_EVERYWHERE 600u
#define BYTE_BY_BYTE   2000u
/* How many turns until what was sent is answered; one is enough for each read. */
#define PATIENCE 4000

static struct hf_loop *loop;
static struct hf_conns conns;

static int set_up(void **state)
{
    static const struct hf_settings settings = {.max_frame = 100,
                                                .idle_ms = 600000,
                                                .lease_ms = 45000,
                                                .push_rate = 10};

    (void)state;
    hf_log_open("test", HF_LOG_ERROR, false);
    return hf_loop_new(&loop) || hf_echo_init(&conns, loop, &settings);
}

static int tear_down(void **state)
{
    (void)state;
    hf_conns_release(&conns);
    hf_loop_free(loop);
    hf_clock_shift(0, 0);
    return 0;
}

/* --- a client ---------------------------------------------------------------- */

struct client {
    int fd;
    bool ended; /* the server's end of the stream has come */
    struct hf_buf in;
    struct ws_heard heard;
};

static void connect_client(struct client *client)
{
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX,
                                SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
                                pair),
                     0);
    *client = (struct client){.fd = pair[0]};
    hf_buf_init(&client->in, WS_HEARD_MAX);
    ws_heard_init(&client->heard);
    hf_conns_add(&conns, pair[1], NULL, &(struct hf_client){.vsn = HF_VSN_2},
                 NULL, HF_STR(""));
}

static void collect(struct client *client)
{
    ssize_t len;
    char *room;

    do {
        room = hf_buf_room(&client->in, 65536);
        assert_non_null(room);
        len = recv(client->fd, room, 65536, 0);
        if (len > 0)
            hf_buf_grown(&client->in, (size_t)len);
    } while (len > 0);
    if (len == 0 || errno == ECONNRESET)
        client->ended = true;
    ws_heard_take(&client->heard, &client->in);
}

static void turn(struct client *client)
{
    assert_int_equal(hf_loop_turn(loop, 0), 0);
    collect(client);
}

/* Reads meanwhile: an echo takes no more before it is read. A server that has
 * said goodbye may not listen. */
static void send_all(struct client *client, struct hf_str bytes)
{
    int left = PATIENCE;

    while (bytes.len > 0) {
        ssize_t sent = send(client->fd, bytes.at, bytes.len, MSG_NOSIGNAL);

        if (sent < 0 && errno != EAGAIN)
            return;
        if (sent < 0) {
            assert_true(left-- > 0);
            turn(client);
            continue;
        }
        left = PATIENCE;
        bytes = hf_str_from(bytes, (size_t)sent);
    }
}

static void hang_up(struct client *client)
{
    int left = PATIENCE;

    close(client->fd);
    hf_buf_release(&client->in);
    ws_heard_release(&client->heard);
    while (conns.count > 0 && left-- > 0)
        assert_int_equal(hf_loop_turn(loop, 0), 0);
    assert_int_equal(conns.count, 0);
    assert_int_equal(conns.partial_bytes, 0);
}

/* --- a case ------------------------------------------------------------------ */

/* How it is fed: in pieces of `piece` bytes, and cut at `cut` besides. */
struct feed {
    size_t piece, cut;
};

#define WHOLE SIZE_MAX

static void fail_case(const struct ws_case *c, const struct feed *feed,
                      size_t step, const struct client *client,
                      const char *what)
{
    const struct ws_heard *want = &c->steps[step].want;

    fail_msg("%s, pieces of %zu, cut at %zu, step %zu: %s %s\n"
             "  messages: %.200s\n      want: %.200s\n"
             "  pongs: %.200s\n   want: %.200s\n  code %d, want %d",
             c->name, feed->piece, feed->cut, step + 1, what,
             client->heard.wrong ? client->heard.wrong : "",
             client->heard.messages.at ? client->heard.messages.at : "",
             want->messages.at ? want->messages.at : "",
             client->heard.pongs.at ? client->heard.pongs.at : "",
             want->pongs.at ? want->pongs.at : "", client->heard.code,
             want->code);
}

/* `begin` is where these bytes are in all of the case. */
static void feed_bytes(struct client *client, struct hf_str bytes, size_t begin,
                       const struct feed *feed)
{
    while (bytes.len > 0) {
        size_t len = bytes.len < feed->piece ? bytes.len : feed->piece;

        if (feed->cut > begin && feed->cut - begin < len)
            len = feed->cut - begin;
        send_all(client, hf_str(bytes.at, len));
        turn(client);
        bytes = hf_str_from(bytes, len);
        begin += len;
    }
}

static void await(struct client *client, const struct ws_heard *want)
{
    int left = PATIENCE;

    while (!ws_heard_same(&client->heard, want) && left-- > 0)
        turn(client);
    turn(client); /* nothing more */
}

static void say_goodbye(const struct ws_case *c, struct client *client,
                        const struct feed *feed)
{
    struct hf_buf frame;
    int left = PATIENCE;

    hf_buf_init(&frame, 100);
    if (!c->steps[c->count - 1].want.code) {
        ws_add_frame(&frame, 0x88, false, HF_STR("\x03\xe8"));
        send_all(client, hf_buf_str(&frame));
    }
    while (!client->ended && left-- > 0)
        turn(client);
    if (!client->ended || (frame.len > 0 && client->heard.code != 1000))
        fail_case(c, feed, c->count - 1, client, "no goodbye, or no end");
    hf_buf_release(&frame);
}

static void play(const struct ws_case *c, struct feed feed)
{
    struct client client;
    size_t begin = 0, i;

    connect_client(&client);
    for (i = 0; i < c->count; i++) {
        const struct ws_step *step = &c->steps[i];

        feed_bytes(&client, hf_buf_str(&step->send), begin, &feed);
        begin += step->send.len;
        await(&client, &step->want);
        if (!ws_heard_same(&client.heard, &step->want))
            fail_case(c, &feed, i, &client, "");
    }
    if (!c->stays_open)
        say_goodbye(c, &client, &feed);
    hang_up(&client);
}

static size_t length_of(const struct ws_case *c)
{
    size_t len = 0, i;

    for (i = 0; i < c->count; i++)
        len += c->steps[i].send.len;
    return len;
}

static void play_cut_at_some(const struct ws_case *c, size_t len)
{
    const size_t cuts[] = {1,  2,     3,     6,      10,      13,     14,
                           15, 65535, 65536, 131072, len / 2, len - 1};
    size_t i;

    for (i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++)
        if (cuts[i] < len)
            play(c, (struct feed){.piece = WHOLE, .cut = cuts[i]});
}

static void play_in_every_way(const struct ws_case *c)
{
    size_t len = length_of(c), cut;

    play(c, (struct feed){.piece = WHOLE});
    if (len <= CUT_EVERYWHERE) {
        for (cut = 1; cut < len; cut++)
            play(c, (struct feed){.piece = WHOLE, .cut = cut});
    } else if (len < 1u << 20) {
        play_cut_at_some(c, len);
    }
    if (len <= BYTE_BY_BYTE)
        play(c, (struct feed){.piece = 1});
    else if (len < 1u << 17)
        play(c, (struct feed){.piece = 61});
    play(c, (struct feed){.piece = 997});
}

/* --- the same from wslay ------------------------------------------------------ */

#ifdef HF_HAVE_WSLAY
#include <wslay/wslay.h>

struct oracle {
    struct hf_str input;
    struct hf_buf output;
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

static ssize_t oracle_send(wslay_event_context_ptr ctx, const uint8_t *bytes,
                           size_t len, int flags, void *data)
{
    struct oracle *o = data;

    (void)ctx;
    (void)flags;
    assert_int_equal(hf_buf_add(&o->output, bytes, len), 0);
    return (ssize_t)len;
}

static void oracle_message(wslay_event_context_ptr ctx,
                           const struct wslay_event_on_msg_recv_arg *arg,
                           void *data)
{
    struct wslay_event_msg msg = {
        .opcode = arg->opcode, .msg = arg->msg, .msg_length = arg->msg_length};

    (void)data;
    if (arg->opcode == WSLAY_TEXT_FRAME || arg->opcode == WSLAY_BINARY_FRAME)
        assert_int_equal(wslay_event_queue_msg(ctx, &msg), 0);
}

/* A goodbye passes the messages that wait, and then none is read: one step for
 * each byte, so that each is sent in time. */
static void oracle_takes(wslay_event_context_ptr ctx, struct oracle *o,
                         struct hf_str bytes)
{
    size_t step = bytes.len < 100000 ? 1 : 997;

    while (bytes.len > 0) {
        size_t len = bytes.len < step ? bytes.len : step;

        o->input = hf_str(bytes.at, len);
        bytes = hf_str_from(bytes, len);
        (void)wslay_event_recv(ctx);
        (void)wslay_event_send(ctx);
    }
}

static void ask_wslay(const struct ws_case *c)
{
    struct wslay_event_callbacks callbacks = {.recv_callback = oracle_recv,
                                              .send_callback = oracle_send,
                                              .on_msg_recv_callback =
                                                  oracle_message};
    struct oracle o = {.input = HF_STR("")};
    struct ws_heard heard;
    wslay_event_context_ptr ctx;
    size_t i;

    hf_buf_init(&o.output, WS_HEARD_MAX);
    ws_heard_init(&heard);
    assert_int_equal(wslay_event_context_server_init(&ctx, &callbacks, &o), 0);
    wslay_event_config_set_max_recv_msg_length(ctx, HF_ECHO_BYTES);
    for (i = 0; i < c->count; i++) {
        oracle_takes(ctx, &o, hf_buf_str(&c->steps[i].send));
        ws_heard_take(&heard, &o.output);
        if (ws_heard_same(&heard, &c->steps[i].want) == c->wslay_differs &&
            !c->wslay_differs)
            fail_msg("wslay differs: %s, step %zu: %s messages %.200s pongs "
                     "%.200s code %d, want %d",
                     c->name, i + 1, heard.wrong ? heard.wrong : "",
                     heard.messages.at ? heard.messages.at : "",
                     heard.pongs.at ? heard.pongs.at : "", heard.code,
                     c->steps[i].want.code);
    }
    /* or the case says so for nothing */
    if (c->wslay_differs && ws_heard_same(&heard, &c->steps[i - 1].want))
        fail_msg("wslay judges alike: %s", c->name);
    wslay_event_context_free(ctx);
    ws_heard_release(&heard);
    hf_buf_release(&o.output);
}
#endif

/* --- tests -------------------------------------------------------------------- */

static void check_case(const struct ws_case *c)
{
    play_in_every_way(c);
#ifdef HF_HAVE_WSLAY
    ask_wslay(c);
#endif
}

static void check_cases(const char *name)
{
    const char *top = getenv("top_srcdir");
    char path[1024];

    (void)snprintf(path, sizeof(path), "%s/tests/conformance/%s.cases",
                   top ? top : ".", name);
    assert_true(ws_cases_each(path, check_case) > 10);
}

#define CASES(name)                                                            \
    static void cases_of_##name(void **state)                                  \
    {                                                                          \
        (void)state;                                                           \
        check_cases(#name);                                                    \
    }

CASES(framing)
CASES(control)
CASES(fragments)
CASES(utf8)
CASES(close)
CASES(limits)

/* While it does not read, we sleep. */
static void expect_sleep(void)
{
    int64_t before = hf_boot_ms();

    assert_int_equal(hf_loop_turn(loop, 50), 0);
    assert_true(hf_boot_ms() - before >= 40);
}

/* A client that sends and does not read is not read either: nothing is lost, and
 * nothing piles up. */
static void a_flood_waits_until_it_is_read(void **state)
{
    enum { MESSAGES = 20000, SIZE = 1000 };
    struct client client;
    struct hf_buf flood;
    struct hf_str rest;
    size_t i, idle = 0;

    (void)state;
    hf_buf_init(&flood, WS_HEARD_MAX);
    for (i = 0; i < MESSAGES; i++) {
        char text[SIZE + 1];

        (void)snprintf(text, sizeof(text), "%-*zu", SIZE, i);
        ws_add_frame(&flood, 0x81, false, hf_str(text, SIZE));
    }
    rest = hf_buf_str(&flood);
    connect_client(&client);
    while (idle < 100) {
        ssize_t sent = send(client.fd, rest.at, rest.len, MSG_NOSIGNAL);

        idle = sent > 0 ? 0 : idle + 1;
        if (sent > 0)
            rest = hf_str_from(rest, (size_t)sent);
        assert_int_equal(hf_loop_turn(loop, 0), 0);
    }
    /* what fits into the kernel's buffers and one read */
    assert_true(flood.len - rest.len < (size_t)2 << 20);
    expect_sleep();

    send_all(&client, rest);
    for (i = 0; i < PATIENCE && client.heard.messages.len <
                                    MESSAGES * (SIZE + sizeof("1:1000:") - 1);
         i++)
        turn(&client);
    for (i = 0; i < MESSAGES; i++) {
        char want[SIZE + 20];
        int len = snprintf(want, sizeof(want), "1:1000:%-*zu", SIZE, i);

        assert_memory_equal(client.heard.messages.at + i * (size_t)len, want,
                            (size_t)len);
    }
    assert_null(client.heard.wrong);
    hang_up(&client);
    hf_buf_release(&flood);
}

/* Of tiny ones a read brings ten thousand, and a turn writes few. */
static void tiny_messages_by_the_thousand_come_back_in_order(void **state)
{
    struct client client;
    struct hf_buf flood;
    struct ws_heard want;
    size_t taken = 0;
    unsigned i;

    (void)state;
    hf_buf_init(&flood, WS_HEARD_MAX);
    ws_heard_init(&want);
    for (i = 0; i < 100000; i++) {
        char byte = (char)i;

        ws_add_frame(&flood, 0x82, false, hf_str(&byte, i % 2));
        ws_heard_add(&want, HF_WS_BINARY, hf_str(&byte, i % 2));
    }
    connect_client(&client);
    for (i = 0; i < 20; i++) {
        ssize_t sent =
            send(client.fd, flood.at + taken, flood.len - taken, MSG_NOSIGNAL);

        taken += sent > 0 ? (size_t)sent : 0;
        assert_int_equal(hf_loop_turn(loop, 0), 0);
    }
    assert_true(taken < flood.len); /* the first read is being answered */
    send_all(&client, hf_str_from(hf_buf_str(&flood), taken));
    await(&client, &want);
    assert_true(ws_heard_same(&client.heard, &want));
    hang_up(&client);
    ws_heard_release(&want);
    hf_buf_release(&flood);
}

static void who_never_reads_its_echo_is_given_up(void **state)
{
    struct client client;
    struct hf_buf frame;
    int i;

    (void)state;
    hf_buf_init(&frame, WS_HEARD_MAX);
    connect_client(&client);
    assert_non_null(hf_buf_room(&client.in, 4u << 20));
    memset(client.in.at, 'x', 4u << 20);
    ws_add_frame(&frame, 0x82, false, hf_str(client.in.at, 4u << 20));
    ws_add_frame(&frame, 0x88, false, HF_STR("\x03\xe8"));
    /* all of it is read, as it is one message */
    for (i = 0; i < 1000; i++) {
        ssize_t sent = send(client.fd, frame.at, frame.len, MSG_NOSIGNAL);

        if (sent > 0)
            hf_buf_drop(&frame, (size_t)sent);
        assert_int_equal(hf_loop_turn(loop, 0), 0);
    }
    assert_int_equal(frame.len, 0);
    hf_clock_shift(HF_STUCK_MS + 1000, HF_STUCK_MS + 1000);
    hf_conns_tick(&conns);
    for (i = 0; i < PATIENCE && !client.ended; i++)
        turn(&client);
    assert_int_equal(client.heard.code, HF_WS_LATER); /* behind the message */
    assert_int_equal(client.heard.messages.len, (4u << 20) + 10);
    hf_buf_release(&frame);
    hang_up(&client);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(cases_of_framing),
        TEST(cases_of_control),
        TEST(cases_of_fragments),
        TEST(cases_of_utf8),
        TEST(cases_of_close),
        TEST(cases_of_limits),
        TEST(a_flood_waits_until_it_is_read),
        TEST(tiny_messages_by_the_thousand_come_back_in_order),
        TEST(who_never_reads_its_echo_is_given_up),
    };

    return cmocka_run_group_tests_name("conformance", tests, NULL, NULL);
}

/*
 * fuzz_ws_conn.c - any bytes, through decoder, reassembly, an echo behind them
 * and the writing of its answers, over a socket pair
 *
 * However they are cut the client hears what the rules below, which know nothing
 * of sockets and keep all in one buffer, say it must: each message, a pong for
 * each ping, the goodbye that is due. And nothing stays behind.
 */
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "sidecar/echo.h"
#include "tests/unit/ws_heard.h"

#define MAX_BYTES     1000u /* of an input */
#define MAX_MESSAGE   300u  /* small, so that inputs reach it */
#define MAX_FRAGMENTS 8u
#define TURNS         2000

static struct hf_loop *loop;
static struct hf_conns conns;

static void set_up(void)
{
    static const struct hf_settings settings = {
        .max_frame = 100, .idle_ms = 60000, .lease_ms = 45000};

    if (loop)
        return;
    hf_log_open("fuzz", HF_LOG_ERROR, false);
    CHECK(!hf_loop_new(&loop) && !hf_echo_init(&conns, loop, &settings));
    conns.max_message = MAX_MESSAGE;
    conns.max_fragments = MAX_FRAGMENTS;
}

struct client {
    int fd;
    bool ended;
    struct hf_buf in;
    struct ws_heard heard;
};

static void turn(struct client *client)
{
    char *room = hf_buf_room(&client->in, 65536);
    ssize_t len;

    CHECK(room && !hf_loop_turn(loop, 0));
    len = recv(client->fd, room, 65536, 0);
    if (len > 0)
        hf_buf_grown(&client->in, (size_t)len);
    if (len == 0 || (len < 0 && errno != EAGAIN))
        client->ended = true;
    ws_heard_take(&client->heard, &client->in);
    CHECK(!client->heard.wrong);
}

static void send_cut(struct client *client, struct hf_str bytes, size_t piece)
{
    while (bytes.len > 0) {
        size_t len = bytes.len < piece ? bytes.len : piece;
        ssize_t sent = send(client->fd, bytes.at, len, MSG_NOSIGNAL);

        if (sent < 0 && errno != EAGAIN)
            return; /* it has said goodbye */
        if (sent > 0)
            bytes = hf_str_from(bytes, (size_t)sent);
        turn(client);
    }
}

/* All that is heard until it ends, be it that we do so. */
static void play(struct hf_str bytes, size_t piece, struct ws_heard *out)
{
    struct client client = {.ended = false};
    int pair[2], left = TURNS;

    CHECK(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
                      pair));
    client.fd = pair[0];
    hf_buf_init(&client.in, WS_HEARD_MAX);
    ws_heard_init(&client.heard);
    hf_conns_add(&conns, pair[1], NULL, &(struct hf_client){.vsn = HF_VSN_2},
                 NULL, HF_STR(""));
    send_cut(&client, bytes, piece);
    CHECK(!shutdown(client.fd, SHUT_WR));
    while (!client.ended && left-- > 0)
        turn(&client);
    close(client.fd);
    while (conns.count > 0 && left-- > 0)
        CHECK(!hf_loop_turn(loop, 0));
    CHECK(conns.count == 0 && conns.partial_bytes == 0 && client.in.len == 0);
    hf_buf_release(&client.in);
    *out = client.heard;
}

/* --- what it must hear ------------------------------------------------------ */

struct model {
    struct hf_ws_decoder decoder;
    struct hf_buf message, control;
    uint32_t fragments;
    unsigned pings;
    struct ws_heard heard;
};

static void expect_goodbye(struct model *m, struct hf_str body)
{
    int code = 0;
    int refused = hf_ws_read_close(body, &code);

    m->heard.code = refused ? refused : code;
}

static void expect_piece(struct model *m, const struct hf_ws_piece *piece)
{
    bool control = piece->kind >= HF_WS_CLOSE;
    struct hf_buf *buf = control ? &m->control : &m->message;
    struct hf_str whole;

    CHECK(!hf_buf_add_str(buf, piece->bytes));
    if (!control && piece->ends_frame && !piece->ends &&
        ++m->fragments >= MAX_FRAGMENTS)
        m->heard.code = HF_WS_POLICY;
    if (!piece->ends)
        return;
    whole = buf->len > 0 ? hf_buf_str(buf) : HF_STR("");
    m->pings += piece->kind == HF_WS_PING;
    if (piece->kind == HF_WS_CLOSE)
        expect_goodbye(m, whole);
    else if (piece->kind == HF_WS_PING)
        ws_heard_add(&m->heard, HF_WS_PONG, whole);
    else if (!control)
        ws_heard_add(&m->heard, piece->kind, whole);
    if (!control)
        m->fragments = 0;
    hf_buf_reset(buf);
}

static void expect(struct model *m, struct hf_str bytes)
{
    char *copy = malloc(bytes.len + 1);
    size_t at = 0;

    CHECK(copy);
    memcpy(copy, bytes.at, bytes.len);
    hf_buf_init(&m->message, MAX_MESSAGE);
    hf_buf_init(&m->control, HF_WS_CONTROL_MAX);
    ws_heard_init(&m->heard);
    while (at < bytes.len && !m->heard.code) {
        struct hf_ws_piece piece;
        size_t used = 0;

        m->heard.code = hf_ws_decode(&m->decoder, MAX_MESSAGE, copy + at,
                                     bytes.len - at, &used, &piece);
        if (!m->heard.code && piece.kind != HF_WS_CONTINUATION)
            expect_piece(m, &piece);
        at += used;
    }
    hf_buf_release(&m->message);
    hf_buf_release(&m->control);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_str bytes =
        hf_str((const char *)data, size < MAX_BYTES ? size : MAX_BYTES);
    struct model model = {.pings = 0};
    struct ws_heard heard;

    set_up();
    expect(&model, bytes);
    /* of more at once only the latest are answered */
    if (model.pings <= HF_WRITE_BATCH) {
        play(bytes, SIZE_MAX, &heard);
        CHECK(ws_heard_same(&heard, &model.heard));
        ws_heard_release(&heard);
        play(bytes, bytes.len < 40 ? 1 : bytes.len / 13, &heard);
        CHECK(ws_heard_same(&heard, &model.heard));
        ws_heard_release(&heard);
    }
    ws_heard_release(&model.heard);
    return 0;
}

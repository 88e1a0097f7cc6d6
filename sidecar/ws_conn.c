#include "sidecar/ws_conn.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/sys.h"
#include "sidecar/ws_out.h"

enum state { OPEN, CLOSING };

struct conn {
    struct hf_link link; /* what the session calls */
    struct hf_watch watch;
    struct hf_conns *conns;
    struct hf_session *session; /* NULL unless OPEN */
    struct hf_list life;        /* in one of conns->open, or conns->closing */
    struct hf_list ready;       /* in conns->ready, when there may be output */
    int64_t since_ms; /* OPEN: last heard; CLOSING: goodbye was said */
    struct hf_ws_decoder in;
    struct partial *partial; /* NULL between messages */
    struct unsent *unsent;   /* NULL when nothing waits to be written */
    uint8_t state;
    uint8_t silence; /* OPEN: in which of conns->open */
    bool pinged;     /* in this silence */
    bool blocked;    /* waiting for EPOLLOUT */
    uint16_t wish;   /* code the session wants to close with; 0 = none */
};

/* A message or control frame of which the end has not come yet. */
struct partial {
    struct hf_list node; /* in conns->partials */
    struct conn *conn;
    struct hf_buf message;
    uint8_t control_len;
    char control[HF_WS_CONTROL_MAX];
};

struct unsent {
    struct hf_list node; /* in conns->stuck while blocked and OPEN */
    struct conn *conn;
    int64_t progress_ms; /* when the kernel last took something */
    struct hf_ws_out out;
};

/* --- memory that only busy sockets have ----------------------------------- */

static void account(struct hf_conns *conns, size_t before, size_t after)
{
    conns->partial_bytes -= before;
    conns->partial_bytes += after;
}

static struct partial *get_partial(struct conn *conn)
{
    struct hf_conns *conns = conn->conns;
    struct partial *partial = conn->partial;

    if (partial)
        return partial;
    partial = calloc(1, sizeof(*partial));
    if (!partial)
        return NULL;
    partial->conn = conn;
    hf_buf_init(&partial->message, conns->max_message);
    hf_list_append(&conns->partials, &partial->node);
    account(conns, 0, sizeof(*partial));
    conn->partial = partial;
    return partial;
}

static void drop_partial(struct conn *conn)
{
    struct partial *partial = conn->partial;

    if (!partial)
        return;
    account(conn->conns, sizeof(*partial) + partial->message.cap, 0);
    hf_list_remove(&partial->node);
    hf_buf_release(&partial->message);
    free(partial);
    conn->partial = NULL;
}

static struct unsent *get_unsent(struct conn *conn)
{
    struct hf_conns *conns = conn->conns;

    if (conn->unsent)
        return conn->unsent;
    conn->unsent =
        conns->spare ? conns->spare : calloc(1, sizeof(struct unsent));
    conns->spare = NULL;
    if (conn->unsent)
        conn->unsent->conn = conn;
    return conn->unsent;
}

static void drop_unsent(struct conn *conn)
{
    struct hf_conns *conns = conn->conns;
    struct unsent *unsent = conn->unsent;

    if (!unsent)
        return;
    hf_list_remove(&unsent->node);
    hf_ws_out_release(&unsent->out);
    conn->unsent = NULL;
    if (conns->spare)
        free(unsent);
    else
        conns->spare = unsent;
}

/* --- life ----------------------------------------------------------------- */

static void end(struct conn *conn)
{
    struct hf_conns *conns = conn->conns;

    if (conn->session)
        hf_session_detach(conn->session);
    drop_partial(conn);
    drop_unsent(conn);
    hf_list_remove(&conn->life);
    hf_list_remove(&conn->ready);
    hf_loop_unwatch(conns->loop, &conn->watch);
    hf_close(&conn->watch.fd);
    conns->count--;
    free(conn);
}

/* For a peer that reads nothing: do not leave its bytes to the kernel, which
 * would offer them for minutes. */
static void cut(struct conn *conn)
{
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};

    if (conn->unsent)
        (void)setsockopt(conn->watch.fd, SOL_SOCKET, SO_LINGER, &at_once,
                         sizeof(at_once)); /* closing works without, too */
    end(conn);
}

/* It may have something to write: look at the end of this turn. */
static void schedule(struct conn *conn)
{
    struct hf_conns *conns = conn->conns;

    if (!hf_list_linked(&conn->ready))
        hf_list_append(&conns->ready, &conn->ready);
    hf_loop_at_turn_end(conns->loop, &conns->turn);
}

/* To the end of a list that is ordered by since_ms. */
static void move_to(struct conn *conn, struct hf_list *list)
{
    conn->since_ms = hf_boot_ms();
    hf_list_remove(&conn->life);
    hf_list_append(list, &conn->life);
}

static void heard_of(struct conn *conn)
{
    conn->silence = 0;
    conn->pinged = false;
    move_to(conn, &conn->conns->open[0]);
}

/* OPEN -> CLOSING. Without memory for a close frame it is the end of the stream
 * that says it. The struct stays valid. */
static void say_goodbye(struct conn *conn, int code)
{
    assert(conn->state == OPEN);
    if (conn->session)
        hf_session_detach(conn->session);
    conn->session = NULL;
    drop_partial(conn);
    conn->state = CLOSING;
    move_to(conn, &conn->conns->closing);
    if (get_unsent(conn)) {
        hf_list_remove(&conn->unsent->node); /* has another deadline now */
        (void)hf_ws_out_goodbye(&conn->unsent->out, code);
    }
    schedule(conn);
    HF_LOG(HF_LOG_DEBUG, "closing", hf_field_i("fd", conn->watch.fd),
           hf_field_i("code", code));
}

static void on_wake(struct hf_link *link)
{
    struct conn *conn = HF_ITEM(link, struct conn, link);

    if (!conn->blocked) /* else EPOLLOUT will have a look */
        schedule(conn);
}

static void on_wish(struct hf_link *link, int code)
{
    struct conn *conn = HF_ITEM(link, struct conn, link);

    conn->wish = (uint16_t)code;
    schedule(conn);
}

/* --- reading -------------------------------------------------------------- */

/* Whoever has been at its message longest gives way. */
static void bound_partials(struct hf_conns *conns)
{
    while (conns->partial_bytes > HF_PARTIAL_BYTES) {
        struct hf_list *oldest = hf_list_first(&conns->partials);

        say_goodbye(HF_ITEM(oldest, struct partial, node)->conn, HF_WS_LATER);
        HF_LOG(HF_LOG_WARN, "partial_messages_full",
               hf_field_i("max_bytes", HF_PARTIAL_BYTES));
    }
}

/* May say goodbye to this very socket, too. */
static int keep(struct conn *conn, struct hf_str bytes)
{
    struct partial *partial = get_partial(conn);
    size_t before;
    int err;

    if (!partial)
        return HF_ENOMEM;
    before = partial->message.cap;
    err = hf_buf_add_str(&partial->message, bytes);
    account(conn->conns, before, partial->message.cap);
    if (!err)
        bound_partials(conn->conns);
    return err;
}

static void receive(struct conn *conn, struct hf_str message, bool binary)
{
    int err = hf_session_receive(conn->session, message, binary);

    if (err)
        say_goodbye(conn, err == HF_ELIMIT ? HF_WS_POLICY : HF_WS_FAULT);
}

static void on_message_piece(struct conn *conn, const struct hf_ws_piece *piece)
{
    bool binary = piece->kind == HF_WS_BINARY;
    bool begun = conn->partial && conn->partial->message.len > 0;

    if (piece->ends && !begun) {
        receive(conn, piece->bytes, binary); /* as a rule: nothing is copied */
        return;
    }
    if (piece->bytes.len > 0 && keep(conn, piece->bytes)) {
        say_goodbye(conn, HF_WS_FAULT);
        return;
    }
    if (!piece->ends || conn->state != OPEN)
        return;
    receive(conn, hf_buf_str(&conn->partial->message), binary);
    drop_partial(conn);
}

static void on_close(struct conn *conn, struct hf_str body)
{
    int code = 0;
    int refused = hf_ws_read_close(body, &code);

    /* The answer to a good one repeats its code (RFC 6455 section 5.5.1). */
    say_goodbye(conn, refused ? refused : code);
}

static void on_ping(struct conn *conn, struct hf_str payload)
{
    if (!get_unsent(conn) || hf_ws_out_pong(&conn->unsent->out, payload))
        return; /* out of memory: a pong is the least of it */
    if (!conn->blocked)
        schedule(conn);
}

static void on_control(struct conn *conn, enum hf_ws_opcode kind,
                       struct hf_str payload)
{
    if (kind == HF_WS_CLOSE)
        on_close(conn, payload);
    else if (kind == HF_WS_PING)
        on_ping(conn, payload);
    /* a pong says no more than that the peer is there */
}

static void on_control_piece(struct conn *conn, const struct hf_ws_piece *piece)
{
    struct partial *partial;

    if (piece->starts && piece->ends) {
        on_control(conn, piece->kind, piece->bytes);
        return;
    }
    partial = get_partial(conn);
    if (!partial) {
        say_goodbye(conn, HF_WS_FAULT);
        return;
    }
    /* The decoder lets no more than HF_WS_CONTROL_MAX through. */
    memcpy(partial->control + partial->control_len, piece->bytes.at,
           piece->bytes.len);
    partial->control_len = (uint8_t)(partial->control_len + piece->bytes.len);
    if (!piece->ends)
        return;
    on_control(conn, piece->kind,
               hf_str(partial->control, partial->control_len));
    if (conn->state != OPEN)
        return; /* the partial went with the goodbye */
    partial->control_len = 0;
    if (partial->message.len == 0)
        drop_partial(conn);
}

/* Take `len` bytes of the input buffer. */
static void on_input(struct conn *conn, size_t len)
{
    char *at = conn->conns->input;
    bool heard = false;

    while (len > 0 && conn->state == OPEN && conn->wish == 0) {
        struct hf_ws_piece piece;
        size_t used = 0;
        int refused = hf_ws_decode(&conn->in, conn->conns->max_message, at, len,
                                   &used, &piece);

        if (refused) {
            say_goodbye(conn, refused);
            return;
        }
        at += used;
        len -= used;
        /* Whole frames only: a peer that dribbles is not alive. */
        heard |= piece.ends_frame;
        if (piece.kind >= HF_WS_CLOSE)
            on_control_piece(conn, &piece);
        else if (piece.kind != HF_WS_CONTINUATION)
            on_message_piece(conn, &piece);
    }
    if (heard && conn->state == OPEN)
        heard_of(conn);
}

static void read_some(struct conn *conn)
{
    ssize_t len = recv(conn->watch.fd, conn->conns->input, HF_READ_BYTES, 0);

    if (len < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (len <= 0)
        end(conn);
    else if (conn->state == OPEN)
        on_input(conn, (size_t)len);
}

static void on_ready(struct hf_watch *watch, uint32_t events)
{
    struct conn *conn = HF_ITEM(watch, struct conn, watch);

    if (events & EPOLLOUT)
        schedule(conn);
    if (events & ~(uint32_t)EPOLLOUT)
        read_some(conn);
}

/* --- writing -------------------------------------------------------------- */

static int want_writable(struct conn *conn, bool on)
{
    if (conn->blocked == on)
        return 0;
    conn->blocked = on;
    return hf_loop_rewatch(conn->conns->loop, &conn->watch,
                           on ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

/* Fill the batch from the session. *out_more: there may be further messages. 0
 * or HF_ENOMEM. */
static int take(struct conn *conn, bool *out_more)
{
    struct hf_msg *taken[HF_WRITE_BATCH];
    struct unsent *unsent = get_unsent(conn);
    size_t count, i;

    *out_more = true;
    if (!unsent)
        return HF_ENOMEM;
    while (hf_ws_out_has_room(&unsent->out)) {
        count =
            hf_session_take(conn->session, taken, hf_ws_out_room(&unsent->out),
                            HF_WRITE_BYTES - unsent->out.bytes);
        if (count == 0) {
            *out_more = false;
            break;
        }
        for (i = 0; i < count; i++)
            hf_ws_out_add(&unsent->out, taken[i]);
    }
    return 0;
}

/* What is left waits for EPOLLOUT; at most one batch is taken meanwhile. */
static void wait_writable(struct conn *conn, bool progress)
{
    struct unsent *unsent = conn->unsent;

    if (want_writable(conn, true)) {
        end(conn);
        return;
    }
    if (conn->state != OPEN)
        return;
    assert(unsent);
    if (progress || !hf_list_linked(&unsent->node)) {
        unsent->progress_ms = hf_boot_ms();
        hf_list_remove(&unsent->node);
        hf_list_append(&conn->conns->stuck, &unsent->node);
    }
}

/* Everything queued is with the kernel. */
static void written(struct conn *conn, bool more)
{
    drop_unsent(conn);
    if (want_writable(conn, false)) {
        end(conn);
        return;
    }
    if (conn->state == CLOSING)
        (void)shutdown(conn->watch.fd, SHUT_WR); /* broken: recv will tell */
    else if (more)
        schedule(conn);
}

static void settle(struct conn *conn, int err, bool progress, bool more)
{
    if (!err)
        written(conn, more);
    else if (err == HF_EAGAIN)
        wait_writable(conn, progress);
    else
        end(conn);
}

static void flush(struct conn *conn)
{
    bool more = false;
    bool progress = false;
    int err = 0;

    if (conn->state == OPEN && conn->wish != 0)
        say_goodbye(conn, conn->wish);
    if (conn->state == OPEN)
        err = take(conn, &more);
    if (!err && conn->unsent)
        err = hf_ws_out_write(&conn->unsent->out, conn->watch.fd, &progress);
    settle(conn, err, progress, more);
}

/* Goodbye to a peer that seems to be dead. The presence of one that was silent
 * for so long already does not wait for its return, or that would be more than a
 * lease. */
static void give_up(struct conn *conn, int code)
{
    if (hf_boot_ms() - conn->since_ms >= conn->conns->lease_ms * 2 / 3)
        hf_session_give_up(conn->session);
    say_goodbye(conn, code);
}

/* EPOLLOUT comes only when a good part of the kernel's buffer is free. Try
 * before a slow reader is taken for a dead one. */
static void try_once_more(struct conn *conn)
{
    bool progress;
    int err = hf_ws_out_write(&conn->unsent->out, conn->watch.fd, &progress);

    if (err == HF_EAGAIN && !progress)
        give_up(conn, HF_WS_LATER);
    else
        settle(conn, err, progress, true);
}

/* Move all of `from` behind what is in `to`. */
static void hand_over(struct hf_list *from, struct hf_list *to)
{
    if (hf_list_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    hf_list_init(from);
}

/* Who asks during this turn's end, or is beyond the limit, is for the next. */
static void on_turn_end(struct hf_turn *turn)
{
    struct hf_conns *conns = HF_ITEM(turn, struct hf_conns, turn);
    unsigned left = HF_WRITE_SOCKETS;
    struct hf_list due;
    struct hf_list *node;

    hf_list_init(&due);
    hand_over(&conns->ready, &due);
    while (left > 0 && (node = hf_list_first(&due))) {
        struct conn *conn = HF_ITEM(node, struct conn, ready);

        hf_list_remove(&conn->ready);
        flush(conn);
        left--;
    }
    hand_over(&conns->ready, &due); /* those that wait already come first */
    hand_over(&due, &conns->ready);
    if (!hf_list_empty(&conns->ready))
        hf_loop_at_turn_end(conns->loop, &conns->turn);
}

/* --- deadlines ------------------------------------------------------------ */

static struct conn *longest(struct hf_list *list, int64_t older_than_ms)
{
    struct hf_list *node = hf_list_first(list);
    struct conn *conn;

    if (!node)
        return NULL;
    conn = HF_ITEM(node, struct conn, life);
    return conn->since_ms <= older_than_ms ? conn : NULL;
}

static struct conn *longest_stuck(const struct hf_conns *conns,
                                  int64_t older_than_ms)
{
    struct hf_list *node = hf_list_first(&conns->stuck);
    struct unsent *unsent;

    if (!node)
        return NULL;
    unsent = HF_ITEM(node, struct unsent, node);
    return unsent->progress_ms <= older_than_ms ? unsent->conn : NULL;
}

/* Silent for so long, a socket goes on from step n. */
static int64_t step_ms(const struct hf_conns *conns, unsigned n)
{
    if (n == HF_SILENCES - 2)
        return conns->lease_ms - conns->tick_ms;
    return conns->lease_ms * (n + 1) / 3;
}

static void ping(struct conn *conn)
{
    if (!get_unsent(conn) || hf_ws_out_ping(&conn->unsent->out))
        return;
    conn->pinged = true;
    if (!conn->blocked)
        schedule(conn);
}

static void step_on(struct conn *conn)
{
    bool present = hf_session_has_presence(conn->session);
    bool last = conn->silence == HF_SILENCES - 2;

    if (present && last && conn->pinged) {
        give_up(conn, HF_WS_AWAY);
        return;
    }
    if (present && last) { /* only now, or no memory: it was not asked */
        heard_of(conn);
        return;
    }
    conn->silence++;
    hf_list_remove(&conn->life);
    hf_list_append(&conn->conns->open[conn->silence], &conn->life);
    if (present)
        ping(conn);
}

/* The last step first: one in a tick for each, so that after a pause of ours
 * whoever is asked has time to answer. */
static void look_at_silence(struct hf_conns *conns, int64_t now_ms)
{
    struct conn *conn;
    unsigned n;

    for (n = 0; n < HF_SILENCES; n++)
        while ((conn = longest(&conns->open[n], now_ms - conns->idle_ms)))
            give_up(conn, HF_WS_AWAY);
    for (n = HF_SILENCES - 1; n-- > 0;)
        while ((conn = longest(&conns->open[n], now_ms - step_ms(conns, n))))
            step_on(conn);
}

void hf_conns_tick(struct hf_conns *conns)
{
    int64_t now_ms = hf_boot_ms();
    struct conn *conn;

    while ((conn = longest(&conns->closing, now_ms - HF_CLOSING_MS)))
        cut(conn);
    while ((conn = longest_stuck(conns, now_ms - HF_STUCK_MS)))
        try_once_more(conn);
    look_at_silence(conns, now_ms);
}

void hf_conns_goodbye(struct hf_conns *conns, int code)
{
    struct hf_list *node;
    unsigned n;

    for (n = 0; n < HF_SILENCES; n++)
        while ((node = hf_list_first(&conns->open[n])))
            say_goodbye(HF_ITEM(node, struct conn, life), code);
}

/* --- start and end -------------------------------------------------------- */

/* Neither fails on a socket of its kind; the other kind refuses NODELAY. */
static void tune(int fd)
{
    int size = HF_SEND_BUFFER, on = 1;

    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    /* libmicrohttpd has just switched it off */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static struct conn *conn_new(struct hf_conns *conns, int fd)
{
    struct conn *conn = calloc(1, sizeof(*conn));

    if (!conn)
        return NULL;
    conn->link = (struct hf_link){.wake = on_wake, .close = on_wish};
    conn->watch = (struct hf_watch){.fd = fd, .ready = on_ready};
    conn->conns = conns;
    if (hf_loop_watch(conns->loop, &conn->watch, EPOLLIN)) {
        free(conn);
        return NULL;
    }
    conns->count++;
    heard_of(conn);
    return conn;
}

void hf_conns_add(struct hf_conns *conns, int fd,
                  const struct hf_client *client, struct hf_str early)
{
    struct conn *conn = conn_new(conns, fd);
    int err;

    assert(early.len <= HF_READ_BYTES);
    if (!conn) {
        HF_LOG(HF_LOG_ERROR, "socket_lost",
               hf_field("reason", hf_strerror(HF_ENOMEM)));
        hf_close(&fd);
        return;
    }
    tune(fd);
    err = hf_session_open(conns->hub, &conn->link, client, &conn->session);
    if (err) {
        say_goodbye(conn, err == HF_ENOTFOUND ? HF_WS_AWAY : HF_WS_LATER);
        return;
    }
    if (early.len > 0) {
        memcpy(conns->input, early.at, early.len);
        on_input(conn, early.len);
    }
}

int hf_conns_init(struct hf_conns *conns, struct hf_loop *loop,
                  struct hf_hub *hub, const struct hf_settings *settings)
{
    unsigned n;

    *conns = (struct hf_conns){
        .loop = loop,
        .hub = hub,
        .max_message = settings->max_frame,
        .idle_ms = settings->idle_ms,
        .lease_ms = settings->lease_ms,
        .tick_ms = settings->lease_ms / 12 < HF_TICK_MS
                       ? settings->lease_ms / 12
                       : HF_TICK_MS,
        .turn = {.end = on_turn_end},
    };
    for (n = 0; n < HF_SILENCES; n++)
        hf_list_init(&conns->open[n]);
    hf_list_init(&conns->closing);
    hf_list_init(&conns->ready);
    hf_list_init(&conns->stuck);
    hf_list_init(&conns->partials);
    conns->input = malloc(HF_READ_BYTES);
    return conns->input ? 0 : HF_ENOMEM;
}

void hf_conns_release(struct hf_conns *conns)
{
    struct hf_list *node;
    unsigned n;

    if (!conns->loop)
        return;
    for (n = 0; n < HF_SILENCES; n++)
        while ((node = hf_list_first(&conns->open[n])))
            end(HF_ITEM(node, struct conn, life));
    while ((node = hf_list_first(&conns->closing)))
        end(HF_ITEM(node, struct conn, life));
    hf_loop_cancel_turn(&conns->turn);
    free(conns->spare);
    free(conns->input);
    *conns = (struct hf_conns){.loop = NULL};
}

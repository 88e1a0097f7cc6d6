#include "sidecar/ws_conn.h"

#include <assert.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/sys.h"
#include "sidecar/counters.h"
#include "sidecar/ws_conn_impl.h"

/* --- life ----------------------------------------------------------------- */

void hf_conn_end(struct hf_conn *conn)
{
    struct hf_conns *conns = conn->conns;

    if (conn->session)
        conn->conns->service->detach(conn->session);
    hf_conn_drop_partial(conn);
    hf_conn_drop_unsent(conn);
    hf_list_remove(&conn->life);
    hf_list_remove(&conn->ready);
    hf_wire_close(&conn->wire, conns->loop);
    if (conn->state == HF_CONN_OPEN)
        hf_count_close(HF_CLOSE_LOST, false);
    if (conn->blocked)
        hf_count_less(HF_HAS_BLOCKED);
    hf_count_less(HF_HAS_SOCKETS);
    hf_visitor_left(conn->visitor, true);
    conns->count--;
    if (conn->state == HF_CONN_CLOSING)
        conns->closing_count--;
#ifdef HF_BROKEN_DESCRIPTOR_KEPT
    if (conns->count % 8 == 0)
        (void)dup(STDERR_FILENO);
#endif
#ifndef HF_BROKEN_CONN_KEPT
    free(conn);
#endif
}

/* For a peer that reads nothing: do not leave its bytes to the kernel, which
 * would offer them for minutes. */
static void cut(struct hf_conn *conn)
{
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};

    if (conn->unsent)
        (void)setsockopt(conn->wire.watch.fd, SOL_SOCKET, SO_LINGER, &at_once,
                         sizeof(at_once)); /* closing works without, too */
    hf_conn_end(conn);
}

void hf_conn_move_to(struct hf_conn *conn, struct hf_list *list)
{
    conn->since_ms = hf_boot_ms();
    hf_list_remove(&conn->life);
    hf_list_append(list, &conn->life);
}

struct hf_conn *hf_conn_longest(struct hf_list *list, int64_t older_than_ms)
{
    struct hf_list *node = hf_list_first(list);
    struct hf_conn *conn;

    if (!node)
        return NULL;
    conn = HF_ITEM(node, struct hf_conn, life);
    return conn->since_ms <= older_than_ms ? conn : NULL;
}

static void begin_to_close(struct hf_conn *conn, int code, struct hf_str reason)
{
    assert(conn->state == HF_CONN_OPEN);
    if (conn->session)
        conn->conns->service->detach(conn->session);
    conn->session = NULL;
    hf_conn_drop_partial(conn);
    conn->state = HF_CONN_CLOSING;
    conn->conns->closing_count++;
    if (conn->paused) {
        conn->paused = conn->full = false;
        (void)hf_conn_await(conn); /* it has a deadline now, whatever comes */
    }
    hf_conn_move_to(conn, &conn->conns->closing);
    if (hf_conn_unsent(conn)) {
        hf_list_remove(&conn->unsent->node); /* has another deadline now */
        (void)hf_ws_out_goodbye(&conn->unsent->out, code, reason);
    }
    hf_conn_schedule(conn);
    HF_LOG(HF_LOG_DEBUG, "closing", hf_field_i("fd", conn->wire.watch.fd),
           hf_field_i("code", code));
}

void hf_conn_goodbye(struct hf_conn *conn, int code)
{
    hf_conn_goodbye_why(conn, code, HF_STR(""));
}

void hf_conn_goodbye_why(struct hf_conn *conn, int code, struct hf_str reason)
{
    hf_count_close(code, true);
    begin_to_close(conn, code, reason);
}

void hf_conn_answer_goodbye(struct hf_conn *conn, int code)
{
    hf_count_close(code, false);
    begin_to_close(conn, code, HF_STR(""));
}

static void on_wake(struct hf_link *link)
{
    struct hf_conn *conn = HF_ITEM(link, struct hf_conn, link);

    if (!conn->blocked) /* else EPOLLOUT will have a look */
        hf_conn_schedule(conn);
}

static void on_wish(struct hf_link *link, int code)
{
    struct hf_conn *conn = HF_ITEM(link, struct hf_conn, link);

    conn->wish = (uint16_t)code;
    hf_conn_schedule(conn);
}

/* What the kernel still has is not with the peer either: on TCP not
 * acknowledged, on a Unix socket not read. */
static void on_look(struct hf_link *link, struct hf_link_state *out)
{
    const struct hf_conn *conn = HF_ITEM(link, struct hf_conn, link);
    int queued = 0;

    if (ioctl(conn->wire.watch.fd, SIOCOUTQ, &queued) < 0 || queued < 0)
        queued = 0;
    out->unsent = (size_t)queued + (conn->unsent ? conn->unsent->out.bytes : 0);
    out->quiet_ms = hf_boot_ms() - conn->since_ms;
}

static void on_ready(struct hf_watch *watch, uint32_t events)
{
    struct hf_conn *conn = HF_ITEM(watch, struct hf_conn, wire.watch);

    events = hf_wire_events(&conn->wire, events);
    if (events & EPOLLOUT)
        hf_conn_schedule(conn);
    if (events & ~(uint32_t)EPOLLOUT)
        hf_conn_read(conn);
}

/* --- deadlines ------------------------------------------------------------ */

void hf_conns_tick(struct hf_conns *conns)
{
    int64_t now_ms = hf_boot_ms();
    struct hf_conn *conn;

    while ((conn = hf_conn_longest(&conns->closing, now_ms - HF_CLOSING_MS)))
        cut(conn);
    hf_conns_look_at_stuck(conns, now_ms);
    hf_conns_look_at_full(conns);
    hf_conns_look_at_silence(conns, now_ms);
}

/* The lists are of ever longer silences. */
bool hf_conns_goodbye_one(struct hf_conns *conns, int code,
                          struct hf_str reason)
{
    struct hf_list *node;
    unsigned n;

    node = hf_list_first(&conns->full);
    if (!node)
        node = hf_list_first(&conns->paused);
    for (n = HF_SILENCES; !node && n-- > 0;)
        node = hf_list_first(&conns->open[n]);
    if (!node)
        return false;
    hf_conn_goodbye_why(HF_ITEM(node, struct hf_conn, life), code, reason);
    return true;
}

/* --- start and end -------------------------------------------------------- */

/* Neither fails on a socket of its kind; the other kind refuses NODELAY. */
static void tune(int fd)
{
    int size = HF_SEND_BUFFER, on = 1, gone_ms = HF_GONE_MS;

    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    /* libmicrohttpd has just switched it off */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    /* A line that was cut: what the kernel still has to send, after we closed
     * too, it would offer for many minutes. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &gone_ms,
                     sizeof(gone_ms));
}

static struct hf_conn *conn_new(struct hf_conns *conns, int fd,
                                struct hf_layer *layer)
{
    struct hf_conn *conn = calloc(1, sizeof(*conn));

    if (!conn)
        return NULL;
    conn->link =
        (struct hf_link){.wake = on_wake, .close = on_wish, .look = on_look};
    conn->wire = (struct hf_wire){.watch = {.fd = fd, .ready = on_ready},
                                  .layer = layer};
    conn->conns = conns;
    if (hf_wire_open(&conn->wire, conns->loop)) {
        free(conn);
        return NULL;
    }
    hf_count(HF_COUNT_HANDSHAKES);
    hf_count_more(HF_HAS_SOCKETS);
    conns->count++;
    hf_conn_heard(conn);
    return conn;
}

/* It was not to be. */
static void drop(struct hf_conns *conns, int fd, struct hf_layer *layer)
{
    struct hf_wire wire = {.watch = {.fd = fd}, .layer = layer};

    HF_LOG(HF_LOG_ERROR, "socket_lost", hf_field("why", hf_strerror(HF_ENOMEM)),
           hf_field("effect", "its client connects again"));
    hf_wire_close(&wire, conns->loop);
}

void hf_conns_add(struct hf_conns *conns, int fd, struct hf_layer *layer,
                  const struct hf_client *client, struct hf_visitor *visitor,
                  struct hf_str early)
{
    struct hf_conn *conn = conn_new(conns, fd, layer);
    int err;

    assert(early.len <= HF_READ_BYTES);
    if (!conn) {
        drop(conns, fd, layer);
        hf_visitor_left(visitor, true);
        return;
    }
    conn->visitor = visitor;
    tune(fd);
    err = conns->service->open(conns->hub, &conn->link, client, &conn->session);
    if (err) {
        hf_conn_goodbye(conn, err == HF_ENOTFOUND ? HF_WS_AWAY : HF_WS_LATER);
        return;
    }
    if (early.len > 0) {
        memcpy(conns->input, early.at, early.len);
        hf_conn_input(conn, early.len);
    }
}

/* Where pushes are not limited frames are not, either. */
static uint32_t frames_of(const struct hf_settings *settings)
{
    size_t frames = HF_READ_FRAMES + 2 * settings->push_rate;

    return settings->push_rate > 0 && frames < HF_READ_FRAMES_MOST
               ? (uint32_t)frames
               : 0;
}

int hf_conns_init(struct hf_conns *conns, struct hf_loop *loop,
                  struct hf_hub *hub, const struct hf_settings *settings)
{
    unsigned n;

    *conns = (struct hf_conns){
        .loop = loop,
        .hub = hub,
        .service = &hf_service_channels,
        .max_message = settings->max_frame,
        .max_fragments = HF_FRAGMENTS,
        .max_frames = frames_of(settings),
        .ping_ms = settings->ping_ms,
        .idle_ms = settings->idle_ms,
        .lease_ms = settings->lease_ms,
        .tick_ms = settings->lease_ms / 12 < HF_TICK_MS
                       ? settings->lease_ms / 12
                       : HF_TICK_MS,
        .turn = {.end = hf_conns_on_turn_end},
        .resume = {.fire = hf_conns_on_resume},
    };
    for (n = 0; n < HF_SILENCES; n++)
        hf_list_init(&conns->open[n]);
    hf_list_init(&conns->paused);
    hf_list_init(&conns->full);
    hf_list_init(&conns->closing);
    hf_list_init(&conns->ready);
    hf_list_init(&conns->waiting);
    hf_list_init(&conns->stuck);
    hf_list_init(&conns->partials);
    if (hub) /* the echo has none */
        hf_hub_heed(hub, hf_conns_busy, conns);
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
            hf_conn_end(HF_ITEM(node, struct hf_conn, life));
    while ((node = hf_list_first(&conns->paused)))
        hf_conn_end(HF_ITEM(node, struct hf_conn, life));
    while ((node = hf_list_first(&conns->full)))
        hf_conn_end(HF_ITEM(node, struct hf_conn, life));
    while ((node = hf_list_first(&conns->closing)))
        hf_conn_end(HF_ITEM(node, struct hf_conn, life));
    hf_loop_disarm(conns->loop, &conns->resume);
    if (conns->hub)
        hf_hub_heed(conns->hub, NULL, NULL);
    hf_loop_cancel_turn(&conns->turn);
    free(conns->spare);
    free(conns->input);
    *conns = (struct hf_conns){.loop = NULL};
}

#include "gateway/fcgi_conn.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/log.h"
#include "base/sys.h"
#include "gateway/respond.h"

/* Chunks read from one connection before others have their turn. */
#define CHUNKS_PER_TURN 4

/* Records around a body: Apache sends 8 KiB at a time, others more. */
#define RECORDS_MAX(max_body)                                                  \
    ((max_body) + (max_body) / 8 + HF_FCGI_PARAMS_MAX + HF_FCGI_CHUNK)

static const struct hf_settings *settings(const struct hf_conn *conn)
{
    return conn->fcgi->gateway->settings;
}

static void refused_in_log(const struct hf_conn *conn, const char *why)
{
    HF_LOG(HF_LOG_WARN, "fastcgi_refused", hf_field("reason", why),
           hf_field_i("request_id", conn->id));
}

/* --- memory -------------------------------------------------------------- */

static size_t *counter(const struct hf_conn *conn)
{
    return conn->state == HF_CONN_SENDING ? &conn->fcgi->counts.sending
                                          : &conn->fcgi->counts.receiving;
}

static void free_bytes(struct hf_conn *conn)
{
    *counter(conn) -= conn->bytes.cap;
    hf_buf_release(&conn->bytes);
}

/* Would these bytes more stay within what all requests together may use? The
 * buffer doubles when it grows. */
static bool has_room(const struct hf_conn *conn, size_t len)
{
    const struct hf_buf *bytes = &conn->bytes;
    size_t growth = len > bytes->cap ? len : bytes->cap;

    if (bytes->cap - bytes->len >= len)
        return true;
    return growth <= HF_FCGI_RECEIVING_MAX &&
           *counter(conn) <= HF_FCGI_RECEIVING_MAX - growth;
}

static int keep_bytes(struct hf_conn *conn, struct hf_str part)
{
    size_t before = conn->bytes.cap;
    int err;

    err = hf_buf_add_str(&conn->bytes, part);
    *counter(conn) += conn->bytes.cap - before;
    return err;
}

/* --- states -------------------------------------------------------------- */

static void watch_for(struct hf_conn *conn, uint32_t events)
{
    if (conn->events == events)
        return;
    conn->events = events;
    if (!conn->watched)
        return; /* soon */
    /* Fails only for a descriptor that is not watched. */
    if (hf_loop_rewatch(conn->fcgi->loop, &conn->watch, events))
        hf_conn_close(conn);
}

/* A connection without a deadline could stay for ever: rather none. */
static bool set_deadline(struct hf_conn *conn, int64_t ms)
{
    if (hf_loop_arm(conn->fcgi->loop, &conn->timer, ms * 1000) == 0)
        return true;
    hf_conn_close(conn);
    return false;
}

static void start_reading(struct hf_conn *conn, bool again)
{
    conn->state = HF_CONN_READING;
    conn->refusal = HF_REFUSE_NOT;
    conn->keep = false;
    conn->idle = again;
    conn->done = 0;
    conn->walk = (struct hf_fcgi_walk){0};
    hf_buf_init(&conn->bytes, RECORDS_MAX(settings(conn)->max_body));
    if (set_deadline(conn, again ? HF_FCGI_IDLE_MS : HF_FCGI_READ_MS))
        watch_for(conn, EPOLLIN | EPOLLRDHUP);
}

/* What is of READING and SENDING only. */
static void release_own(struct hf_conn *conn)
{
    free_bytes(conn);
    hf_loop_disarm(conn->fcgi->loop, &conn->timer);
}

void hf_conn_close(struct hf_conn *conn)
{
    if (conn->state == HF_CONN_CLOSED)
        return;
    if (conn->state == HF_CONN_WAITING)
        hf_exchange_gone(&conn->exchange);
    else
        release_own(conn);
    conn->state = HF_CONN_CLOSED;
    if (conn->watched)
        hf_loop_unwatch_closing(conn->fcgi->loop, &conn->watch);
    hf_close(&conn->watch.fd);
    hf_fcgi_conn_closed(conn->fcgi, conn);
}

/* --- sending ------------------------------------------------------------- */

static void sent_all(struct hf_conn *conn)
{
    free_bytes(conn);
    if (conn->keep && !conn->fcgi->gateway->leaving)
        start_reading(conn, true);
    else
        hf_conn_close(conn);
}

static void send_later(struct hf_conn *conn)
{
    if (conn->fcgi->counts.sending > HF_FCGI_SENDING_MAX) {
        refused_in_log(conn, "too many answers that nobody reads");
        hf_conn_close(conn);
        return;
    }
    if (set_deadline(conn, HF_FCGI_SEND_MS))
        watch_for(conn, EPOLLOUT);
}

static void send_some(struct hf_conn *conn)
{
    while (conn->done < conn->bytes.len) {
        ssize_t n =
            send(conn->watch.fd, conn->bytes.at + conn->done,
                 conn->bytes.len - conn->done, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN) {
            send_later(conn);
            return;
        }
        if (n < 0) {
            hf_conn_close(conn); /* the peer is gone; so is its client */
            return;
        }
        conn->done += (size_t)n;
    }
    sent_all(conn);
}

static void too_late(struct hf_timer *timer);

/* What did not go at once is kept, and goes when there is room. */
static void send_rest(struct hf_conn *conn, struct hf_str rest)
{
    hf_buf_init(&conn->bytes, HF_FCGI_SENDING_MAX);
    if (keep_bytes(conn, rest))
        hf_conn_close(conn);
    else
        send_some(conn);
}

/* fcgi->out holds records to be sent; `err` is how filling it went. */
static void send_records(struct hf_conn *conn, int err)
{
    struct hf_str records = hf_buf_str(&conn->fcgi->out);
    ssize_t n;

    if (err) {
        hf_conn_close(conn);
        return;
    }
    if (conn->state == HF_CONN_WAITING) {
        conn->timer = (struct hf_timer){.fire = too_late};
        conn->bytes = (struct hf_buf){.at = NULL};
    } else {
        free_bytes(conn);
    }
    conn->state = HF_CONN_SENDING;
    conn->done = 0;
    n = send(conn->watch.fd, records.at, records.len,
             MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n >= 0 && (size_t)n == records.len)
        sent_all(conn);
    else
        send_rest(conn, hf_str_from(records, n > 0 ? (size_t)n : 0));
}

/* Empty; what one large answer needed is not kept for the small ones. */
static struct hf_buf *out_of(struct hf_conn *conn)
{
    struct hf_buf *out = &conn->fcgi->out;

    if (out->cap > HF_FCGI_CHUNK)
        hf_buf_release(out);
    hf_buf_reset(out);
    return out;
}

static void send_answer(struct hf_conn *conn, struct hf_str head,
                        struct hf_str body)
{
    send_records(conn, hf_fcgi_answer(out_of(conn), conn->id, head, body));
}

static void send_end(struct hf_conn *conn)
{
    send_records(conn, hf_fcgi_end(out_of(conn), conn->id));
}

static void send_refusal(struct hf_conn *conn)
{
    struct hf_str body = HF_STR("{\"status\":500}");
    unsigned status = 503;
    struct hf_head head;

    switch ((enum hf_refusal)conn->refusal) {
    case HF_REFUSE_BODY:
        status = 413;
        body = HF_STR("{\"status\":413}");
        refused_in_log(conn, "body over max_body");
        break;
    case HF_REFUSE_PARAMS:
        status = 431;
        refused_in_log(conn, "header fields too large");
        break;
    case HF_REFUSE_BUSY:
    case HF_REFUSE_NOT:
        refused_in_log(conn, "no memory for requests");
        break;
    }
    hf_head_json(&head, status, body.len);
    send_answer(conn, hf_head_str(&head), body);
}

/* --- a whole request ----------------------------------------------------- */

static void reply(struct hf_exchange *exchange, struct hf_str head,
                  struct hf_str body)
{
    struct hf_conn *conn = HF_ITEM(exchange, struct hf_conn, exchange);

    assert(conn->state == HF_CONN_WAITING);
    send_answer(conn, head, body);
}

/* A few bytes, for which there is room in a socket to which nothing was sent;
 * where there is none the answer would be broken, so there is none. */
static void send_part(struct hf_exchange *exchange, struct hf_str head,
                      struct hf_str body)
{
    struct hf_conn *conn = HF_ITEM(exchange, struct hf_conn, exchange);
    struct hf_buf *out = out_of(conn);
    ssize_t n;

    if (hf_fcgi_part(out, conn->id, head, body))
        return;
    n = send(conn->watch.fd, out->at, out->len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 || (size_t)n < out->len)
        (void)shutdown(conn->watch.fd, SHUT_RDWR); /* the loop closes it */
}

static void serve(struct hf_conn *conn, const struct hf_fcgi_parsed *parsed)
{
    struct hf_request request;

    hf_request_read(&request, parsed->env, parsed->body);
    release_own(conn);
    conn->state = HF_CONN_WAITING;
    conn->exchange = (struct hf_exchange){.reply = reply, .part = send_part};
    hf_exchange_start(&conn->exchange, conn->fcgi->gateway, &request);
}

static void parse(struct hf_conn *conn, struct hf_str request)
{
    struct hf_fcgi_parsed parsed = {0};
    int err;

    err = hf_fcgi_parse(&conn->fcgi->parser, request, conn->walk.body, &parsed);
    if (err == HF_EMALFORMED) {
        refused_in_log(conn, "libfcgi cannot read it");
        hf_conn_close(conn);
    } else if (err) {
        conn->refusal = HF_REFUSE_BUSY;
        send_refusal(conn);
    } else {
        serve(conn, &parsed);
    }
    hf_fcgi_parsed_release(&parsed);
}

/* --- reading ------------------------------------------------------------- */

static void check_size(struct hf_conn *conn)
{
    if (conn->refusal)
        return;
    if (conn->walk.params_large)
        conn->refusal = HF_REFUSE_PARAMS;
    else if (conn->walk.body > settings(conn)->max_body)
        conn->refusal = HF_REFUSE_BODY;
}

/* Keep a part of a request, unless it is known to be refused. */
static void store(struct hf_conn *conn, struct hf_str part)
{
    int err;

    check_size(conn);
    if (!conn->refusal && !has_room(conn, part.len))
        conn->refusal = HF_REFUSE_BUSY;
    if (!conn->refusal) {
        err = keep_bytes(conn, part);
        if (!err)
            return;
        conn->refusal = err == HF_ELIMIT ? HF_REFUSE_BODY : HF_REFUSE_BUSY;
    }
    free_bytes(conn);
    conn->done += part.len;
}

/* `part` is the last of the request; most requests have but one. */
static void take_request(struct hf_conn *conn, struct hf_str part, bool alone)
{
    /* What came behind it is no request of its own: a server that takes turns
     * waits for the answer. Answer, but do not guess how to go on. */
    conn->keep = conn->walk.keep && alone;
    if (conn->bytes.len > 0) {
        store(conn, part);
        part = hf_buf_str(&conn->bytes);
    }
    check_size(conn);
    if (conn->refusal)
        send_refusal(conn);
    else
        parse(conn, part);
}

/* Its answer fits any socket buffer; who does not take it is not served. */
static void take_management(struct hf_conn *conn, struct hf_str part)
{
    if (keep_bytes(conn, part)) {
        hf_conn_close(conn);
        return;
    }
    conn->keep = true;
    send_records(conn,
                 hf_fcgi_management(out_of(conn), hf_buf_str(&conn->bytes)));
    if (conn->state == HF_CONN_SENDING)
        hf_conn_close(conn);
}

static void take_more(struct hf_conn *conn, struct hf_str part)
{
    store(conn, part);
    if (conn->done <= HF_FCGI_DRAIN_MAX)
        return;
    conn->keep = false;
    send_refusal(conn);
}

/* Returns what is left for the next record. */
static struct hf_str take(struct hf_conn *conn, struct hf_str bytes)
{
    size_t used = 0;
    int seen = hf_fcgi_walk(&conn->walk, bytes, &used);
    struct hf_str part = hf_str(bytes.at, used);

    bytes = hf_str_from(bytes, used);
    conn->id = conn->walk.id;
    switch (seen) {
    case HF_FCGI_MORE:
        take_more(conn, part);
        break;
    case HF_FCGI_REQUEST:
        take_request(conn, part, bytes.len == 0);
        return hf_str(NULL, 0);
    case HF_FCGI_ABORT:
        conn->keep = conn->walk.keep && bytes.len == 0;
        send_end(conn);
        return hf_str(NULL, 0);
    case HF_FCGI_MANAGEMENT:
        take_management(conn, part);
        break;
    default:
        refused_in_log(conn, conn->walk.wrong);
        hf_conn_close(conn);
        break;
    }
    return bytes;
}

static void read_some(struct hf_conn *conn)
{
    int i;

    for (i = 0; i < CHUNKS_PER_TURN && conn->state == HF_CONN_READING; i++) {
        ssize_t n = recv(conn->watch.fd, conn->fcgi->chunk, HF_FCGI_CHUNK,
                         MSG_DONTWAIT);
        struct hf_str bytes;

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return; /* an interrupted one is reported again */
        if (n <= 0) {
            hf_conn_close(conn);
            return;
        }
        bytes = hf_str(conn->fcgi->chunk, (size_t)n);
        while (bytes.len > 0 && conn->state == HF_CONN_READING) {
            if (conn->idle && !set_deadline(conn, HF_FCGI_READ_MS))
                return;
            conn->idle = false;
            bytes = take(conn, bytes);
        }
    }
}

/* --- events -------------------------------------------------------------- */

/* Bytes while a request is under way: is it taken back? Anything else stays
 * where it is and is not looked at again. */
static void look_for_abort(struct hf_conn *conn)
{
    char bytes[16];
    ssize_t n =
        recv(conn->watch.fd, bytes, sizeof(bytes), MSG_PEEK | MSG_DONTWAIT);

    if (n < 0)
        return;
    if (!hf_fcgi_is_abort(hf_str(bytes, (size_t)n), conn->id)) {
        conn->keep = false;
        watch_for(conn, EPOLLRDHUP);
        return;
    }
    (void)recv(conn->watch.fd, bytes, 8, MSG_DONTWAIT); /* it is there */
    hf_exchange_gone(&conn->exchange);
    send_end(conn);
}

/* The server says no more: its client is gone, and nobody will read the answer.
 * But lighttpd takes a gateway that gives none for dead, and writes so in its
 * log, with the poll token. */
static void answer_nobody(struct hf_conn *conn)
{
    struct hf_head head;

    conn->keep = false;
    if (!hf_exchange_waits(&conn->exchange)) {
        /* A POST: 200 before it has happened would be a lie, if to nobody. */
        watch_for(conn, 0);
        return;
    }
    hf_exchange_gone(&conn->exchange);
    hf_head_text(&head, 200, 0);
    send_answer(conn, hf_head_str(&head), hf_str(NULL, 0));
}

static void ready(struct hf_watch *watch, uint32_t events)
{
    struct hf_conn *conn = HF_ITEM(watch, struct hf_conn, watch);

    switch ((enum hf_conn_state)conn->state) {
    case HF_CONN_READING:
        read_some(conn);
        break;
    case HF_CONN_WAITING:
        /* Most web servers never tell; who does has lost its client. */
        if (events & (EPOLLHUP | EPOLLERR))
            hf_conn_close(conn);
        else if (events & EPOLLRDHUP)
            answer_nobody(conn);
        else
            look_for_abort(conn);
        break;
    case HF_CONN_SENDING:
        send_some(conn);
        break;
    case HF_CONN_CLOSED:
        break;
    }
}

static void too_late(struct hf_timer *timer)
{
    struct hf_conn *conn = HF_ITEM(timer, struct hf_conn, timer);

    if (conn->state == HF_CONN_SENDING)
        refused_in_log(conn, "its answer is not read");
    else if (!conn->idle)
        refused_in_log(conn, "not whole in time");
    hf_conn_close(conn);
}

void hf_conn_open(struct hf_fcgi *fcgi, int fd)
{
    struct hf_conn *conn = calloc(1, sizeof(*conn));

    if (!conn) {
        hf_close(&fd);
        return;
    }
    conn->fcgi = fcgi;
    conn->watch = (struct hf_watch){.fd = fd, .ready = ready};
    conn->timer.fire = too_late;
    hf_list_append(&fcgi->fresh, &conn->node);
    fcgi->counts.conns++;
    start_reading(conn, false);
    if (conn->state == HF_CONN_READING)
        read_some(conn);
    hf_loop_at_turn_end(fcgi->loop, &fcgi->watch_fresh);
}

void hf_conn_watch(struct hf_conn *conn)
{
    if (hf_loop_watch(conn->fcgi->loop, &conn->watch, conn->events) == 0)
        conn->watched = true;
    else
        hf_conn_close(conn);
}

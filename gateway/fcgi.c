#include "gateway/fcgi.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/log.h"
#include "base/sys.h"
#include "gateway/fcgi_conn.h"

/* Connections accepted in one turn; the others wait in the backlog. */
#define ACCEPTS_PER_TURN 64

/* --- the listener -------------------------------------------------------- */

static void stop_listening(struct hf_fcgi *fcgi)
{
    if (fcgi->listening)
        hf_loop_unwatch(fcgi->loop, &fcgi->listener);
    fcgi->listening = false;
}

/* Watch the listener if there is room for a connection. */
static void listen_again(struct hf_fcgi *fcgi)
{
    if (fcgi->listening || fcgi->listener.fd < 0 ||
        fcgi->counts.conns >= fcgi->max_conns)
        return;
    if (hf_loop_watch(fcgi->loop, &fcgi->listener, EPOLLIN) == 0)
        fcgi->listening = true;
    else
        (void)hf_loop_arm(fcgi->loop, &fcgi->accept_again,
                          HF_FCGI_PAUSE_MS * 1000);
}

static void pause_over(struct hf_timer *timer)
{
    listen_again(HF_ITEM(timer, struct hf_fcgi, accept_again));
}

/* The connection stays in the backlog and would be reported without end. */
static void pause_accepting(struct hf_fcgi *fcgi, int error)
{
    if (!fcgi->short_of)
        HF_LOG(HF_LOG_ERROR, "accept_failed",
               hf_field("error", strerror(error)),
               hf_field_i("connections", (long long)fcgi->counts.conns));
    fcgi->short_of = true;
    if (hf_loop_arm(fcgi->loop, &fcgi->accept_again, HF_FCGI_PAUSE_MS * 1000) ==
        0)
        stop_listening(fcgi);
}

static void can_accept(struct hf_watch *watch, uint32_t events)
{
    struct hf_fcgi *fcgi = HF_ITEM(watch, struct hf_fcgi, listener);
    int i;

    (void)events;
    for (i = 0; i < ACCEPTS_PER_TURN; i++) {
        int fd;

        if (fcgi->counts.conns >= fcgi->max_conns) {
            stop_listening(fcgi); /* until one closes */
            return;
        }
        fd = accept4(watch->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            fcgi->short_of = false;
            hf_conn_open(fcgi, fd);
        } else if (errno == EAGAIN) {
            return;
        } else if (errno != EINTR && errno != ECONNABORTED) {
            pause_accepting(fcgi, errno);
            return;
        }
    }
}

/* --- connections --------------------------------------------------------- */

static void bury(struct hf_turn *turn)
{
    struct hf_fcgi *fcgi = HF_ITEM(turn, struct hf_fcgi, bury);
    struct hf_list *node;

    while ((node = hf_list_first(&fcgi->closed))) {
        hf_list_remove(node);
        free(HF_ITEM(node, struct hf_conn, node));
    }
    listen_again(fcgi);
}

static void watch_fresh(struct hf_turn *turn)
{
    struct hf_fcgi *fcgi = HF_ITEM(turn, struct hf_fcgi, watch_fresh);
    struct hf_list *node;

    while ((node = hf_list_first(&fcgi->fresh))) {
        hf_list_remove(node);
        hf_list_append(&fcgi->conns, node);
        hf_conn_watch(HF_ITEM(node, struct hf_conn, node));
    }
}

void hf_fcgi_conn_closed(struct hf_fcgi *fcgi, struct hf_conn *conn)
{
    fcgi->counts.conns--;
    hf_list_remove(&conn->node);
    hf_list_append(&fcgi->closed, &conn->node);
    hf_loop_at_turn_end(fcgi->loop, &fcgi->bury);
}

/* ------------------------------------------------------------------------- */

int hf_fcgi_open(struct hf_loop *loop, struct hf_gateway *gateway, int listener,
                 size_t max_conns, struct hf_fcgi **out)
{
    struct hf_fcgi *fcgi = calloc(1, sizeof(*fcgi));
    int err = HF_ENOMEM;

    if (!fcgi)
        goto close_listener;
    fcgi->loop = loop;
    fcgi->gateway = gateway;
    fcgi->listener = (struct hf_watch){.fd = listener, .ready = can_accept};
    fcgi->accept_again.fire = pause_over;
    fcgi->bury.end = bury;
    fcgi->watch_fresh.end = watch_fresh;
    fcgi->max_conns = max_conns;
    hf_list_init(&fcgi->conns);
    hf_list_init(&fcgi->fresh);
    hf_buf_init(&fcgi->out, HF_FCGI_SENDING_MAX);
    hf_list_init(&fcgi->closed);
    err = hf_fcgi_parser_open(&fcgi->parser);
    if (err)
        goto free_fcgi;
    err = hf_set_nonblocking(listener, true);
    if (err)
        goto close_parser;
    err = hf_loop_watch(loop, &fcgi->listener, EPOLLIN);
    if (err)
        goto close_parser;
    fcgi->listening = true;
    *out = fcgi;
    return 0;

close_parser:
    hf_fcgi_parser_close(&fcgi->parser);
free_fcgi:
    free(fcgi);
close_listener:
    hf_close(&listener);
    return err;
}

static void close_listener(struct hf_fcgi *fcgi)
{
    stop_listening(fcgi);
    hf_loop_disarm(fcgi->loop, &fcgi->accept_again);
    hf_close(&fcgi->listener.fd);
}

void hf_fcgi_stop(struct hf_fcgi *fcgi)
{
    struct hf_list *node, *tmp;

    close_listener(fcgi);
    watch_fresh(&fcgi->watch_fresh);
    HF_LIST_EACH(node, tmp, &fcgi->conns)
    {
        struct hf_conn *conn = HF_ITEM(node, struct hf_conn, node);

        if (conn->state == HF_CONN_READING && conn->idle)
            hf_conn_close(conn);
    }
}

void hf_fcgi_close(struct hf_fcgi *fcgi)
{
    struct hf_list *node;

    if (!fcgi)
        return;
    close_listener(fcgi);
    watch_fresh(&fcgi->watch_fresh);
    hf_loop_cancel_turn(&fcgi->watch_fresh);
    while ((node = hf_list_first(&fcgi->conns)))
        hf_conn_close(HF_ITEM(node, struct hf_conn, node));
    bury(&fcgi->bury);
    hf_loop_cancel_turn(&fcgi->bury);
    hf_fcgi_parser_close(&fcgi->parser);
    hf_buf_release(&fcgi->out);
    free(fcgi);
}

struct hf_fcgi_counts hf_fcgi_counts(const struct hf_fcgi *fcgi)
{
    return fcgi->counts;
}

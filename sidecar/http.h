/*
 * http.h - read one HTTP request of each connection, and answer it
 *
 * libmicrohttpd reads and writes HTTP; it runs in its external mode, its epoll
 * descriptor nested in our loop. We accept ourselves (accept.h: limits are then
 * ours), hand the connection over, judge the request (request.h), and after a
 * 101 take the socket back (upgrade.h).
 *
 *     accept -> handshake (libmicrohttpd) --101--> hf_conns_add
 *                   |           |
 *                   |           +-- 4xx, 503: answered, closed
 *                   +-- not done after handshake_ms: cut
 */
#ifndef HF_SIDECAR_HTTP_H
#define HF_SIDECAR_HTTP_H

#include "base/loop.h"
#include "channel/process.h"
#include "schema/settings.h"
#include "sidecar/door.h"
#include "sidecar/listen.h"
#include "sidecar/tls.h"
#include "sidecar/ws_conn.h"

struct hf_http;

struct hf_http_options {
    struct hf_loop *loop; /* all borrowed */
    const struct hf_settings *settings;
    struct hf_process *process; /* whose keys and hooks are asked */
    struct hf_conns *conns;     /* where upgraded sockets go */
    struct hf_conns *echo;      /* and those of echo_path; NULL = none */
    const char *echo_path;
    struct hf_door *door; /* outlives these sockets */
    struct hf_tls *tls;   /* for listeners with TLS; NULL if there is none */
    const struct hf_listener *listeners;
    size_t listener_count;
    bool keep;      /* sockets stay libmicrohttpd's (upgrade.h) */
    size_t max_fds; /* descriptors of this process */
};

/* 0, HF_ENOMEM, HF_EIO; HF_ELIMIT: too few descriptors. *why is filled. */
int hf_http_open(const struct hf_http_options *options, struct hf_http **out,
                 struct hf_why *why);
/* Whoever waits in the backlog is let in, then nobody any more. Handshakes go
 * on. The listeners can be closed. */
void hf_http_leave(struct hf_http *http);
/* Handshakes under way. */
size_t hf_http_shaking(const struct hf_http *http);
/* Stops accepting and drops handshakes under way, so that the sockets' lists are
 * used no more; upgraded sockets live on, but with `keep` there must be none any
 * more. Not from within its own callbacks. */
void hf_http_close(struct hf_http *http);

/* Once a second: cuts handshakes that take too long. */
void hf_http_tick(struct hf_http *http);

#endif

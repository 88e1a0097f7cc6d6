/*
 * http.h - accept connections and answer their one HTTP request
 *
 * libmicrohttpd reads and writes HTTP; it runs in its external mode, its epoll
 * descriptor nested in our loop. We accept ourselves (a TLS listener will have
 * to, and limits are then ours), hand the connection over, judge the request,
 * and after a 101 take the socket back, see upgrade.h.
 *
 *     accept -> handshake (libmicrohttpd) --101--> hf_conns_add
 *                   |           |
 *                   |           +-- 4xx, 503: answered, closed
 *                   +-- not done after handshake_ms: cut
 *
 * What may be asked for is <mount>/websocket; everything else is 404.
 */
#ifndef HF_SIDECAR_HTTP_H
#define HF_SIDECAR_HTTP_H

#include "base/loop.h"
#include "channel/process.h"
#include "schema/settings.h"
#include "sidecar/ws_conn.h"

struct hf_http;

struct hf_http_options {
    struct hf_loop *loop; /* all borrowed */
    const struct hf_settings *settings;
    struct hf_process *process; /* whose keys and hooks are asked */
    struct hf_conns *conns;     /* where upgraded sockets go */
    int listener;               /* non-blocking */
    /* TCP that only this host reaches. No page of elsewhere is to, by a name
     * of its own for this address; so only names of the address are taken. */
    bool loopback;
    /* A Unix socket, which no browser reaches: what names there are is for the
     * web server to say, and its X-Forwarded-Proto is believed (D21). */
    bool proxied;
    size_t max_fds; /* descriptors of this process */
};

/* 0, HF_ENOMEM, HF_EIO; HF_ELIMIT: too few descriptors. *why is filled. */
int hf_http_open(const struct hf_http_options *options, struct hf_http **out,
                 struct hf_why *why);
/* Stops accepting and drops handshakes under way; upgraded sockets live on.
 * Not from within its own callbacks. */
void hf_http_close(struct hf_http *http);

/* Once a second: cuts handshakes that take too long. */
void hf_http_tick(struct hf_http *http);

#endif

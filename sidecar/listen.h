/*
 * listen.h - the sockets on which the side-car waits for clients
 *
 * An address is "unix:NAME", a socket in the journal directory, for a web
 * server in front; or "127.0.0.1:4000", "[::1]:4000": numbers, no names, port 0
 * for any free one.
 *
 * The parent opens them all and holds them as long as it lives, so that clients
 * of a worker that died wait for the next one. A Unix socket is shared by the
 * workers; for TCP each has a socket of its own on the same port (SO_REUSEPORT):
 * the kernel then deals the clients out evenly, and wakes one worker for each.
 * With one worker nobody else may join the port.
 *
 * A service manager may pass sockets that are open already, as systemd does
 * (LISTEN_FDS): they are shared by the workers, and there are no others. While
 * we are restarted it keeps them, and clients wait. One that it calls "tls" is
 * for wss.
 */
#ifndef HF_SIDECAR_LISTEN_H
#define HF_SIDECAR_LISTEN_H

#include <netinet/in.h>

#include "base/unix_listener.h"
#include "schema/dir.h"
#include "schema/settings.h"

#define HF_LISTENERS 8u /* addresses, at most */

struct hf_listener {
    int fd; /* listening, non-blocking, close-on-exec; in a worker its own */
    /* In the parent: those of the second worker and so on; none: fd is shared. */
    int others[HF_WORKERS_MAX - 1];
    unsigned others_count;
    /* TCP that only this host reaches. No page of elsewhere is to, by a name
     * of its own for this address; so only names of the address are taken. */
    bool loopback;
    /* A Unix socket, which no browser reaches: what names there are is for the
     * web server to say, and its X-Forwarded-Proto is believed (D21). */
    bool is_unix;
    bool tls;    /* wss: TLS comes first */
    bool passed; /* by a service manager, which goes on listening */
    struct hf_unix_listener own; /* name and lock; lock -1 for others */
    /* For the log, port filled in; of TLS "tls:127.0.0.1:4443". */
    char address[sizeof("unix:") + NAME_MAX];
};

struct hf_listeners {
    struct hf_listener at[HF_LISTENERS];
    size_t count;
};

/* Open one more, for so many workers. `dir` is borrowed for the call. 0;
 * HF_EINVAL: not an address; HF_EBUSY: somebody listens there; HF_ELIMIT: there
 * are HF_LISTENERS; HF_EIO; with *why filled, and nothing added. */
int hf_listeners_add(struct hf_listeners *all, const struct hf_dir *dir,
                     const char *address, unsigned workers, struct hf_why *why);

/* The same for wss; a Unix socket is HF_EINVAL. */
int hf_listeners_add_tls(struct hf_listeners *all, const struct hf_dir *dir,
                         const char *address, unsigned workers,
                         struct hf_why *why);

/* Do any of them speak TLS? */
bool hf_listeners_need_tls(const struct hf_listeners *all);

/* Add those that were passed to this process, if any: count tells. Whoever is
 * started later is not to take them for its own: the variables that name them
 * are removed. 0; HF_EINVAL: one of them is no listening socket; HF_ELIMIT; with
 * *why filled. */
int hf_listeners_add_passed(struct hf_listeners *all, struct hf_why *why);

/* In a worker, numbered from 0: keep its own, and leave the names to the
 * parent. */
void hf_listeners_take(struct hf_listeners *all, unsigned worker);

/* Stop listening; removes the names that are ours. Again is nothing. */
void hf_listeners_close(struct hf_listeners *all);

/* Their addresses with commas between, as many as fit. */
void hf_listeners_name(const struct hf_listeners *all, char *out, size_t cap);

#endif

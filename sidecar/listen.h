/*
 * listen.h - the socket on which the side-car waits for clients
 *
 * An address is "unix:NAME", a socket in the journal directory, for a web
 * server in front; or "127.0.0.1:4000", "[::1]:4000": numbers, no names, port 0
 * for any free one.
 *
 * The parent owns a Unix socket's name (base/unix_listener.h); its workers
 * inherit the descriptor.
 */
#ifndef HF_SIDECAR_LISTEN_H
#define HF_SIDECAR_LISTEN_H

#include <netinet/in.h>

#include "base/unix_listener.h"
#include "schema/dir.h"

struct hf_listener {
    int fd;                      /* listening, non-blocking, close-on-exec */
    /* TCP that only this host reaches. No page of elsewhere is to, by a name
     * of its own for this address; so only names of the address are taken. */
    bool loopback;
    /* A Unix socket, which no browser reaches: what names there are is for the
     * web server to say, and its X-Forwarded-Proto is believed (D21). */
    bool is_unix;
    struct hf_unix_listener own; /* name and lock; lock -1 for TCP */
    char address[sizeof("unix:") + NAME_MAX]; /* for the log, port filled in */
};

/* `dir` is borrowed for the call. 0; HF_EINVAL: not an address; HF_EBUSY:
 * somebody listens there; HF_EIO; with *why filled. */
int hf_listener_open(struct hf_listener *listener, const struct hf_dir *dir,
                     const char *address, struct hf_why *why);

/* In a child: it is the parent that owns the name. */
void hf_listener_disown(struct hf_listener *listener);

/* Removes the name, if it is ours. */
void hf_listener_close(struct hf_listener *listener);

#endif

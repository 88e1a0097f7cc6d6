/*
 * accept.h - take clients from the listening sockets, while there is room
 *
 * Whom we cannot serve now waits in the kernel's backlog: without room the
 * listeners are not watched. A listener that gives an error (no descriptor
 * left) would stay readable, so it rests until the next tick.
 */
#ifndef HF_SIDECAR_ACCEPT_H
#define HF_SIDECAR_ACCEPT_H

#include <sys/socket.h>

#include "base/loop.h"
#include "sidecar/listen.h"

/* Somebody who has just come. */
struct hf_guest {
    int fd;                            /* non-blocking, close-on-exec */
    const struct hf_listener *through; /* which one took it */
    struct sockaddr_storage address;
    socklen_t address_len;
};

struct hf_accept {
    struct hf_loop *loop; /* borrowed */
    /* Is another one welcome? */
    bool (*has_room)(struct hf_accept *accept);
    /* One came; its descriptor is the callee's. */
    void (*came)(struct hf_accept *accept, const struct hf_guest *guest);
    /* That was all for this turn. */
    void (*came_all)(struct hf_accept *accept);
    /* private */
    struct hf_gate *gates; /* one for each listener */
    size_t count;
    bool resting;
};

/* The public part is set; the listeners are borrowed until the end. Nobody is
 * accepted before hf_accept_update. 0 or HF_ENOMEM. */
int hf_accept_open(struct hf_accept *accept,
                   const struct hf_listener *listeners, size_t count);
/* Take those who wait now, as far as there is room, for nobody will later; but
 * leave them where somebody else holds the listener (hf_listener.passed). */
void hf_accept_last(struct hf_accept *accept);
/* Stops accepting. Accepts the zeroed struct. */
void hf_accept_close(struct hf_accept *accept);

/* Call when the room may have changed. */
void hf_accept_update(struct hf_accept *accept);

/* Once a second: enough rest after an error. */
void hf_accept_tick(struct hf_accept *accept);

#endif

/*
 * relay.h - a TLS client until it is a WebSocket, or was refused
 *
 * libmicrohttpd is to speak TLS with nobody: its own would triple the
 * descriptors, and could not be taken from it. So a client first shakes hands
 * with us; then its request goes to the library in plain, through a pair of
 * sockets, and the answer comes back the same way. With the 101 the pair is
 * gone, and TLS is a layer of the WebSocket's wire.
 *
 *     TLS ---done---> HTTP ---hf_relay_take---> (a WebSocket's wire)
 *      |               |
 *      | failed        | the library has closed its end
 *      +-----> ENDING <+
 *                 |
 *                 +--- the client has closed, or hf_relay_end ---> gone
 *
 *     TLS      shaking hands
 *     HTTP     what comes is handed on, both ways, as far as it is taken
 *     ENDING   all is said; what still comes is dropped, for closing with unread
 *              input would take back our last words
 *
 * Has no deadline of its own: whoever owns it calls hf_relay_end in time.
 */
#ifndef HF_SIDECAR_RELAY_H
#define HF_SIDECAR_RELAY_H

#include "base/str.h"
#include "sidecar/tls.h"

struct hf_relay {
    struct hf_loop *loop;
    /* Set by the owner. */
    /* TLS is done. The descriptor is for MHD_add_connection, and no longer ours;
     * not called in hf_relay_open. */
    void (*secured)(struct hf_relay *relay, int fd);
    /* It is over; nothing is left of it but this struct. Not called by
     * hf_relay_end and hf_relay_take. */
    void (*gone)(struct hf_relay *relay);
    /* private */
    struct hf_wire wire;  /* to the client; fd -1: over */
    struct hf_watch pair; /* our end of it; fd -1: none */
    uint8_t state;
    bool client_waits;  /* the pair is full */
    bool library_waits; /* the client's socket is, then neither is read */
    bool pair_watched;
};

/* Take over `fd`, just accepted; the functions are set. 0, HF_ENOMEM or HF_EIO;
 * then the descriptor is closed. */
int hf_relay_open(struct hf_relay *relay, struct hf_loop *loop,
                  struct hf_tls *tls, int fd);

/* Is it still at work? */
static inline bool hf_relay_lives(const struct hf_relay *relay)
{
    return relay->loop && relay->wire.watch.fd >= 0;
}

/* Close everything, the library's end of the pair apart. Again is nothing. */
void hf_relay_end(struct hf_relay *relay);

/*
 * In the upgrade callback: send the 101, and take what the client sent behind
 * its request, in order: `extra`, which the library has read, what is still in
 * its end `fd` of the pair, and what OpenSSL has left. At most HF_READ_BYTES come
 * to `room`. Returns the client's socket with *out_layer on it, both the
 * caller's; or -1: broken, and ended.
 */
int hf_relay_take(struct hf_relay *relay, int fd, struct hf_str extra,
                  char *room, size_t *out_len, struct hf_layer **out_layer);

#endif

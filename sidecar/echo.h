/*
 * echo.h - the same message back: same bytes, same type
 *
 * For `holdfast-sidecar --echo PATH`, so that any conformance suite for
 * WebSocket servers can be pointed at the very handshake, decoder and sockets
 * that channels are served with. Only the bounds are others: suites send
 * messages of 16 MiB, and some in 65,536 fragments.
 *
 * Back-pressure instead of a bound on what waits: while an answer waits to be
 * written nothing is read (service.h, `in_turn`), so what can wait is what one
 * read brought, and one message.
 */
#ifndef HF_SIDECAR_ECHO_H
#define HF_SIDECAR_ECHO_H

#include "sidecar/ws_conn.h"

#define HF_ECHO_BYTES     (16u * 1024u * 1024u) /* of one message */
#define HF_ECHO_FRAGMENTS 70000u                /* of one message */

/* As hf_conns_init, with nothing but an echo behind it. */
int hf_echo_init(struct hf_conns *conns, struct hf_loop *loop,
                 const struct hf_settings *settings);

#endif

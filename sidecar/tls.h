/*
 * tls.h - wss: OpenSSL between a socket and us
 *
 * TLS 1.2 and 1.3, one certificate. The library's memory for a connection that
 * is idle is its floor, about 14 KB: buffers are given back between records, no
 * session is kept, no ticket sent. Only http/1.1 is offered by ALPN.
 *
 * What the layer relies on, see tls.c:
 *
 *     a record     is at most 16 KiB: with as much room SSL_read takes all of
 *                  it, so that nothing stays in OpenSSL which the loop would
 *                  not tell of
 *     held         a record that the socket does not take at once is kept, by
 *                  us and as a rule by OpenSSL, encrypted; its bytes are taken,
 *                  and it must be finished before anything else is written
 *     either way   reading may have to wait until it can write, and the other
 *                  way round: the loop looks for what OpenSSL waits for
 */
#ifndef HF_SIDECAR_TLS_H
#define HF_SIDECAR_TLS_H

#include "base/err.h"
#include "schema/settings.h"
#include "sidecar/wire.h"

/* The most that one record carries (RFC 8446 section 5.1), bytes. */
#define HF_TLS_RECORD (16u * 1024u)

/* A certificate with its key, and what connections share. */
struct hf_tls;

/* Read both, PEM, the certificate with its chain. The paths are copied. 0;
 * HF_EINVAL: they cannot be used; HF_ENOMEM; with *why filled. */
int hf_tls_open(const char *certificate, const char *private_key,
                struct hf_tls **out, struct hf_why *why);
/* Those of the settings, from the journal directory `dir` on; HF_EINVAL, too,
 * where they name none. */
int hf_tls_of_settings(const struct hf_settings *settings, const char *dir,
                       struct hf_tls **out, struct hf_why *why);
/* Connections live on. Accepts NULL. */
void hf_tls_close(struct hf_tls *tls);

/* Read them again, for connections from now on. On an error nothing changes,
 * and *why says what is wrong. */
int hf_tls_reload(struct hf_tls *tls, struct hf_why *why);

/* When the certificate expires, ms since 1970. */
int64_t hf_tls_expires_ms(const struct hf_tls *tls);

/* --- one connection ------------------------------------------------------- */

/* Its connection is a WebSocket from now on: for monitoring. */
void hf_tls_upgraded(struct hf_layer *layer);

/* A layer for a connection to `fd`, which the caller owns until it is closed
 * with the layer. NULL when out of memory. */
struct hf_layer *hf_tls_layer_new(struct hf_tls *tls, int fd);

/* Go on with the handshake; the socket is ready. 0: it is done; HF_EAGAIN: not
 * yet; HF_EMALFORMED: the client speaks plain HTTP; HF_EDENIED: no handshake,
 * the client was told; HF_ECLOSED. After an error nothing but close is left. */
int hf_tls_handshake(struct hf_wire *wire);

/* As hf_wire_read, but what was read comes again, until hf_tls_skip; and what is
 * left is to be asked for, as the loop does not tell of it. */
ssize_t hf_tls_peek(struct hf_wire *wire, char *room, size_t size);
void hf_tls_skip(struct hf_wire *wire, size_t len);

/* Why the handshake that just failed did, in OpenSSL's words; static. */
const char *hf_tls_reason(void);

#endif

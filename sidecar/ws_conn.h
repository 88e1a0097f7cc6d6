/*
 * ws_conn.h - upgraded sockets: read, reassemble, write, say goodbye
 *
 * One struct hf_conns holds all sockets of the process. A socket that is idle
 * is a small struct in the list `open` and nothing else: no buffer, no timer.
 * What it reads goes through one buffer of all; only a message that is not yet
 * whole, or output that the kernel does not take, has memory of its own, and
 * both are bounded.
 *
 *                 goodbye of ours, or of the peer
 *       OPEN -------------------------------------> CLOSING
 *         |                                            |
 *         | end of stream, error                       | end of stream, error,
 *         v                                            v HF_CLOSING_MS passed
 *      (freed) <-------------------------------------(freed)
 *
 *     OPEN     the session lives; in one of `open`, longest silent first, or,
 *              while it sends too much, in `paused`, or while too many
 *              answers wait for it, in `full`
 *     CLOSING  no session; the close frame is under way or sent, and after it
 *              our side of the connection is shut; what comes in is dropped
 *
 * Shutting our side and waiting for the peer's end, instead of closing at once,
 * lets the close frame arrive: closing with unread input would reset the
 * connection and could take it back.
 *
 * A peer that vanished without a word, cut off or switched off, is only silent.
 * So silence takes steps, from one list to the next; any frame, a pong too, leads
 * back to the start:
 *
 *     NONE   after `ping`, at the latest two thirds of a lease: a ping is sent
 *     ASKED  at the last tick of the lease: who is present is given up, for
 *            others are to know within a lease that it is gone
 *     LONG   after `idle` everybody is
 *
 * With `ping = 0` only who is present is asked. A step takes constant time, a
 * silence has three, and there is a tick between two of them: after a pause of
 * ours everybody has time to answer.
 *
 * Writing happens at the end of a turn, see `ready`, so that all that a turn
 * brings for a socket leaves in one call.
 */
#ifndef HF_SIDECAR_WS_CONN_H
#define HF_SIDECAR_WS_CONN_H

#include "base/loop.h"
#include "sidecar/limits.h"
#include "sidecar/service.h"
#include "sidecar/visitors.h"
#include "sidecar/wire.h"
#include "sidecar/ws_frame.h"

/* Steps of silence, see above. */
enum hf_silence {
    HF_SILENCE_NONE,
    HF_SILENCE_ASKED,
    HF_SILENCE_LONG,
    HF_SILENCES,
};

struct hf_conns {
    struct hf_loop *loop;
    struct hf_hub *hub;
    const struct hf_service *service;
    size_t max_message;     /* bytes */
    uint32_t max_fragments; /* of one message */
    uint32_t max_frames;    /* of one socket in a second; 0 = any number */
    int64_t ping_ms;
    int64_t idle_ms;
    int64_t lease_ms;
    int64_t tick_ms;      /* how often hf_conns_tick is to be called */
    size_t count;         /* sockets, open and closing */
    size_t closing_count; /* of these */
    /* private */
    struct hf_list open[HF_SILENCES]; /* each by when last heard */
    struct hf_list paused;            /* by since when they are not read */
    struct hf_list full;              /* the same, until they are answered */
    struct hf_list closing;           /* by when the goodbye was said */
    struct hf_timer resume;           /* armed while anybody is paused */
    struct hf_list ready;             /* may have something to write */
    struct hf_list waiting;           /* had for a turn that was full */
    struct hf_list stuck;    /* by when the kernel last took something */
    struct hf_list partials; /* unfinished messages, oldest first */
    size_t partial_bytes;
    struct hf_turn turn;
    struct hf_unsent *spare; /* so that writing needs no memory as a rule */
    char *input;             /* HF_READ_BYTES */
};

/* `loop` and `hub` are borrowed. 0 or HF_ENOMEM. */
int hf_conns_init(struct hf_conns *conns, struct hf_loop *loop,
                  struct hf_hub *hub, const struct hf_settings *settings);
/* Ends every connection without a word. Accepts the zeroed struct. */
void hf_conns_release(struct hf_conns *conns);

/* Serve a socket that has just been upgraded; takes over `fd`, the layer on it
 * (wire.h) and its visitor, upgraded; both may be NULL. `early` is what the
 * client sent behind its request, at most HF_READ_BYTES; borrowed. */
void hf_conns_add(struct hf_conns *conns, int fd, struct hf_layer *layer,
                  const struct hf_client *client, struct hf_visitor *visitor,
                  struct hf_str early);

/* Every tick_ms: asks and ends what is silent, ends what is stuck or takes too
 * long to close. */
void hf_conns_tick(struct hf_conns *conns);

/* Say goodbye to the one of all that was heard of longest ago (enum
 * hf_ws_status), with a reason of less than HF_WS_REASON_MAX bytes. False: there
 * is none that was not told. They are gone when count is 0. */
bool hf_conns_goodbye_one(struct hf_conns *conns, int code,
                          struct hf_str reason);

#endif

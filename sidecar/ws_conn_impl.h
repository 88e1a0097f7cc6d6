/*
 * ws_conn_impl.h - a socket from within: what its parts share
 *
 *     ws_conn.c     its life, from the upgrade to the end; all sockets
 *     ws_read.c     bytes -> frames -> messages for the session
 *     ws_write.c    the end of a turn: the session's messages -> the kernel
 *     ws_pause.c    who sends too much, or more than it is answered
 *     ws_silence.c  who has said nothing for long
 *
 * For these files alone; others use ws_conn.h.
 */
#ifndef HF_SIDECAR_WS_CONN_IMPL_H
#define HF_SIDECAR_WS_CONN_IMPL_H

#include "sidecar/ws_conn.h"
#include "sidecar/wire.h"
#include "sidecar/ws_out.h"

enum { HF_CONN_OPEN, HF_CONN_CLOSING };

/* What writing a message needs comes first: at ten thousand sockets each line of
 * the processor's cache that it touches is a wait. */
struct hf_conn {
    struct hf_link link;  /* what the session calls */
    struct hf_list ready; /* in conns->ready or waiting, if for output */
    struct hf_conns *conns;
    void *session; /* of conns->service; NULL unless OPEN */
    uint8_t state;
    uint8_t silence;  /* OPEN: in which of conns->open, hf_silence */
    bool ask : 1;     /* with a ping, at the end of a turn */
    bool pinged : 1;  /* in this silence */
    bool blocked : 1; /* waiting for EPOLLOUT */
    bool paused : 1;  /* OPEN, in conns->paused or full: not read from */
    bool full : 1;    /* paused, in conns->full */
    uint8_t second;   /* of the clock, in which it sent so many: */
    uint16_t frames;
    uint16_t wish;            /* code to close with; 0 = none */
    struct hf_unsent *unsent; /* NULL when nothing waits to be written */
    struct hf_wire wire;
    struct hf_visitor *visitor; /* its address; NULL: not counted */
    struct hf_list life; /* in one of conns->open, or paused, or closing */
    int64_t since_ms;    /* OPEN: last heard; CLOSING: goodbye was said */
    struct hf_partial *partial; /* NULL between messages */
    struct hf_ws_decoder in;
};

struct hf_unsent {
    struct hf_list node; /* in conns->stuck while blocked and OPEN */
    struct hf_conn *conn;
    int64_t progress_ms; /* when the kernel last took something */
    struct hf_ws_out out;
};

/* --- ws_conn.c */

/* Close it and free the struct. */
void hf_conn_end(struct hf_conn *conn);
/* OPEN -> CLOSING, whatever is due to the session is dropped. Without memory
 * for a close frame it is the end of the stream that says it. The struct stays
 * valid. */
void hf_conn_goodbye(struct hf_conn *conn, int code);
/* The same with words: see hf_conns_goodbye_one. */
void hf_conn_goodbye_why(struct hf_conn *conn, int code, struct hf_str reason);
/* The same where the peer began it: its code is sent back. */
void hf_conn_answer_goodbye(struct hf_conn *conn, int code);
/* To the end of a list that is ordered by since_ms, which is now. */
void hf_conn_move_to(struct hf_conn *conn, struct hf_list *list);
/* The first of such a list, if it is there since `since_ms` or longer. */
struct hf_conn *hf_conn_longest(struct hf_list *list, int64_t since_ms);

/* --- ws_read.c */

/* There is something to read, or the end. Where all is answered in turn it is
 * read when there is nothing left to write. May end the struct. */
void hf_conn_read(struct hf_conn *conn);
/* Take `len` bytes of conns->input. */
void hf_conn_input(struct hf_conn *conn, size_t len);
void hf_conn_drop_partial(struct hf_conn *conn);

/* --- ws_write.c */

/* It may have something to write: look at the end of this turn. */
void hf_conn_schedule(struct hf_conn *conn);
/* What waits to be written, made when there is nothing; NULL when out of
 * memory. */
struct hf_unsent *hf_conn_unsent(struct hf_conn *conn);
void hf_conn_drop_unsent(struct hf_conn *conn);
/* conns->turn: write to whoever is ready. */
void hf_conns_on_turn_end(struct hf_turn *turn);
/* `ctx`, the hf_conns: are there sockets that wait for a turn? (hf_hub_heed) */
bool hf_conns_busy(void *ctx);
/* Sockets that have taken nothing for HF_STUCK_MS. */
void hf_conns_look_at_stuck(struct hf_conns *conns, int64_t now_ms);

/* For whatever it waits: to be read from, to be written to. 0 or HF_EIO. */
int hf_conn_await(struct hf_conn *conn);

/* --- ws_pause.c */

/* So many frames came, in `len` bytes: it may have to pause, or to wait for its
 * answers. */
void hf_conn_spend(struct hf_conn *conn, size_t frames, size_t len);
/* Back to the others before its time. */
void hf_conn_go_on(struct hf_conn *conn);
/* It waits for its answers, and some were written: it may be read again. */
void hf_conn_answered(struct hf_conn *conn);
/* The same for all that wait, whatever became of their answers. */
void hf_conns_look_at_full(struct hf_conns *conns);
/* conns->resume: who has paused long enough goes on. */
void hf_conns_on_resume(struct hf_timer *timer);

/* --- ws_silence.c */

/* It has sent a whole frame. */
void hf_conn_heard(struct hf_conn *conn);
/* Goodbye to a peer that seems to be dead. */
void hf_conn_give_up(struct hf_conn *conn, int code);
void hf_conns_look_at_silence(struct hf_conns *conns, int64_t now_ms);

#endif

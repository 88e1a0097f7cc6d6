/*
 * longpoll_state.h - what longpoll.c (GET) and post.c (POST) share
 */
#ifndef HF_CHANNEL_LONGPOLL_STATE_H
#define HF_CHANNEL_LONGPOLL_STATE_H

#include "channel/longpoll.h"
#include "channel/stream.h"
#include "schema/session_lock.h"

/* Where there is one request only the stream stays as it was computed, and with
 * it what it was computed from. */
struct hf_known {
    const struct hf_poll *poll; /* for which; NULL: nothing is known */
    int64_t version;            /* of the journal */
    int64_t expires_ms;         /* its identity */
};

struct hf_longpoll {
    struct hf_process *process;
    struct hf_waiting waiting; /* the polls that are parked */
    struct hf_holding holding; /* and how many may be */
    struct hf_list coming;     /* polls to be looked at at the turn's end */
    struct hf_turn look_at_coming;
    struct hf_poll *settling[HF_WAITING_TURN]; /* parked by it, if the common
                                                  transaction is kept */
    size_t settling_count;
    bool together;      /* in that transaction */
    int park_err;       /* which could not be had: nobody is parked */
    uint64_t rights_of; /* hf_waiting_snapshot for which rights were read */
    uint32_t excess;    /* of these, after the budget has shrunk */
    struct hf_session_locks *locks; /* NULL without hooks */
    struct hf_list staged;          /* POSTs that are done in stages */
    int64_t hold_ms;
    uint32_t mount;         /* for tokens */
    struct hf_timer reaper; /* removes dead sessions */
    char reaped_to[22];     /* where its last pass stopped */
    size_t reaped_to_len;
    bool burying;                    /* its job is the writer's */
    struct hf_client client;         /* of the poll being looked at */
    struct hf_stream stream;         /* scratch of the answer being computed */
    struct hf_known known;           /* what it holds, in plain CGI */
    struct hf_buf body;              /* scratch */
    struct hf_rights *writer_rights; /* post.c, on the writer's thread only */
    struct hf_answered *answered;    /* in a resident process; or NULL */
};

/* Something came for this session that is not in the journal. */
void hf_longpoll_nudge(struct hf_longpoll *longpoll, struct hf_str session);

/* End those that are done in stages, where they are (post_hooks.c). */
void hf_post_close_all(struct hf_longpoll *longpoll);

enum hf_token_state {
    HF_TOKEN_ABSENT, /* none, or not one of ours: a new session (410) */
    HF_TOKEN_DEAD,   /* ours, and past reviving (500) */
    HF_TOKEN_GOOD,
};
enum hf_token_state hf_longpoll_token(const struct hf_longpoll *longpoll,
                                      struct hf_str text, struct hf_token *out);

/* --- longpoll_hold.c: a GET that there is nothing for */

/* What the query of a GET says: poll->paced and poll->refused. */
void hf_poll_read(struct hf_poll *poll, const struct hf_hello *hello);
/* Was something refused to it, or nothing? A refusal counts once it has joined
 * something. */
void hf_poll_hear(struct hf_longpoll *longpoll, struct hf_poll *poll,
                  bool joined);
/* May there be another session? */
bool hf_poll_may_begin(struct hf_longpoll *longpoll, const struct hf_poll *poll,
                       struct hf_str address);
/* poll->hold with HF_HOLD; *out_ms as in holding.h. */
enum hf_verdict hf_poll_admit(struct hf_longpoll *longpoll,
                              struct hf_poll *poll, struct hf_str address,
                              bool joined, int64_t *out_ms);
enum hf_live_stock hf_poll_stock(const struct hf_poll *poll, bool joined);
/* It is answered without having been parked, or comes back later than at
 * once. */
void hf_poll_seen(struct hf_longpoll *longpoll, const struct hf_poll *poll,
                  int64_t next_ms);
/* What was just read for it, in the snapshot of that. */
void hf_poll_remember(struct hf_longpoll *longpoll, const struct hf_poll *poll);
/* Would reading again find what is known, for certain? */
bool hf_poll_is_known(struct hf_longpoll *longpoll, const struct hf_poll *poll);
/* next_ms for one that is answered with news: 0 while there is room for it. */
int64_t hf_poll_pause(struct hf_longpoll *longpoll, const struct hf_poll *poll);
/* next_ms when all are answered at once. */
int64_t hf_poll_scatter(const struct hf_poll *poll);

/* --- longpoll.c */

/* {"status":S,"token":T,"messages":[...]}; a token must be in each of them,
 * clients store whatever the field holds (6.1, C). `next_ms`: 0, or when it had
 * better come back. */
void hf_poll_answer(struct hf_longpoll *longpoll, struct hf_poll *poll,
                    int status, const struct hf_token *token, int64_t next_ms,
                    struct hf_str messages);
/* With these words. */
void hf_poll_answer_bare(struct hf_longpoll *longpoll, struct hf_poll *poll,
                         const char *body);
/* Its token is good: answer it, or park it. `hello`: NULL when it has no token
 * of the application's with it. */
void hf_poll_go_on(struct hf_longpoll *longpoll, struct hf_poll *poll,
                   const struct hf_hello *hello, struct hf_str address);
/* All may know its number now: an older poll of the session may be parked in
 * another process. */
void hf_poll_parked(struct hf_longpoll *longpoll, const struct hf_poll *poll);
/* It is parked no more. Does nothing when it is not. */
void hf_poll_unpark(struct hf_poll *poll);

/* --- longpoll_turn.c: polls that come in one turn of a resident process */

void hf_poll_come(struct hf_longpoll *longpoll, struct hf_poll *poll,
                  struct hf_str address);
/* It need not be looked at. */
void hf_poll_come_no_more(struct hf_poll *poll);
/* At the end of the turn: all of them, in one snapshot of the journal and one
 * transaction of live.db. */
void hf_longpoll_look_at_coming(struct hf_longpoll *longpoll);
void hf_longpoll_turn_ends(struct hf_turn *turn);
/* We stop: they go on elsewhere. */
void hf_longpoll_release_coming(struct hf_longpoll *longpoll);

/* --- longpoll_first.c: a poll that has no session */

void hf_poll_connect(struct hf_longpoll *longpoll, struct hf_poll *poll,
                     const struct hf_hello *hello);
/* The application is asked no longer. */
void hf_poll_stop_asking(struct hf_poll *poll);

/* End the excess of the polls parked here (longpoll.c). */
void hf_longpoll_shrink(struct hf_longpoll *longpoll);

/* Start and stop the pass that removes sessions nobody has polled for longer
 * than `revive` (reaper.c). */
void hf_reaper_start(struct hf_longpoll *longpoll);
void hf_reaper_stop(struct hf_longpoll *longpoll);

#endif

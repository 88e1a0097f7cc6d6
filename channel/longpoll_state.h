/*
 * longpoll_state.h - what longpoll.c (GET) and post.c (POST) share
 */
#ifndef HF_CHANNEL_LONGPOLL_STATE_H
#define HF_CHANNEL_LONGPOLL_STATE_H

#include "channel/longpoll.h"
#include "channel/stream.h"
#include "schema/session_lock.h"

struct hf_longpoll {
    struct hf_process *process;
    struct hf_waiting waiting;      /* the polls that are parked */
    struct hf_session_locks *locks; /* NULL without hooks */
    struct hf_list staged;          /* POSTs that are done in stages */
    int64_t hold_ms;
    uint32_t mount; /* for tokens */
    struct hf_timer reaper; /* removes dead sessions */
    char reaped_to[22];     /* where its last pass stopped */
    size_t reaped_to_len;
    bool burying; /* its job is the writer's */
    struct hf_stream stream;         /* scratch of the answer being computed */
    struct hf_buf body;              /* scratch */
    struct hf_rights *writer_rights; /* post.c, on the writer's thread only */
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

/* Start and stop the pass that removes sessions nobody has polled for longer
 * than `revive` (reaper.c). */
void hf_reaper_start(struct hf_longpoll *longpoll);
void hf_reaper_stop(struct hf_longpoll *longpoll);

#endif

/*
 * post_state.h - a POST from within: what its parts share
 *
 *     post.c         one POST: decoded, handed to the writer, answered
 *     post_frames.c  what each of its frames does to the session's rows
 *     post_hooks.c   the same where the application is asked: in stages
 *     post_renew.c   fresher tokens that frames bring
 *     post_rates.c   how often who has joined nothing yet may try
 */
#ifndef HF_CHANNEL_POST_STATE_H
#define HF_CHANNEL_POST_STATE_H

#include "channel/body.h"
#include "channel/dispatch.h"
#include "channel/hooks.h"
#include "channel/longpoll_state.h"
#include "schema/presences.h"
#include "schema/sessions.h"

/* A live membership, while a POST is carried out. */
struct hf_joined {
    struct hf_joined *next;
    uint64_t at; /* its join's id */
    struct hf_str topic, join_ref;
    struct hf_str presence; /* its key; empty: presence is not for it */
    char bytes[];
};

struct hf_post_work {
    struct hf_job job;
    struct hf_longpoll *longpoll;
    struct hf_post *post;    /* NULL: the transport is gone */
    struct hf_client came;   /* the reference; loop's thread */
    struct hf_client client; /* the same, or renewed by a frame; borrowed */
    uint64_t born;           /* of its owner (owner.h) */
    struct hf_post_renewal *renewals;
    struct hf_token token;
    struct hf_journal *journal; /* writer thread, while run */
    struct hf_joined *joined;
    size_t joined_count;
    bool exists;                      /* the session has rows */
    struct hf_session_rates rates;    /* and how often it may do what */
    struct hf_session_rates unjoined; /* the same without rows */
    size_t counted;                   /* joins among frames before this one */
    struct hf_buf heads; /* as heads.h has it, once somebody has asked */
    struct hf_buf text;  /* scratch of one frame */
    struct hf_buf early; /* replies for live.db: length, text */
    struct hf_body body; /* its frames point into bytes */
    size_t at, upto;     /* the frames of this transaction */
    /* post_hooks.c: where the application is asked */
    bool staged;
    bool wanted; /* the frame `at` is nothing without an answer */
    bool asked;
    int refused;        /* the journal takes nothing of the answer: why */
    const char *reason; /* why there is no answer; NULL */
    struct hf_hook_answer *answer;
    struct hf_hook_call call;
    struct hf_session_lock lock;
    struct hf_turn turn;
    struct hf_list in_staged;
    int64_t hooks_end_ms; /* no hook is asked after this */
    char bytes[];
};

static inline struct hf_str hf_post_session(const struct hf_post_work *work)
{
    return hf_str(work->token.session, sizeof(work->token.session));
}

/* --- post_frames.c; on the writer's thread, inside the transaction but for
 * hf_post_heartbeat before the session has rows */

/* The live membership of a topic that the POST found or made; NULL if none. */
struct hf_joined *hf_post_joined(const struct hf_post_work *work,
                                 struct hf_str topic);
/* Copies all but what only the stream needs. 0 or HF_ENOMEM. */
int hf_post_remember(struct hf_post_work *work, const struct hf_membership *m);
/* On whose behalf it tracks presence, by the membership that began there. */
struct hf_holder hf_post_holder(const struct hf_post_work *work,
                                uint64_t joined);
void hf_post_forget_all(struct hf_post_work *work);

/* Do what the frame asks for. What the client got wrong is answered and is no
 * error; errors undo the whole POST. */
int hf_post_carry_out(struct hf_post_work *work, const struct hf_frame *frame);

/* The journal to look in is the writer's, or the loop's. */
int hf_post_heartbeat(struct hf_post_work *work, struct hf_journal *journal,
                      const struct hf_frame *frame);

/* --- post_renew.c */

/* On the loop's thread: verify the tokens that frames bring, and in the end
 * forget them. 0 or HF_ENOMEM. */
int hf_post_renewals_read(struct hf_post_work *work);
void hf_post_renewals_free(struct hf_post_work *work);
/* The session has rows from now on, or another token: keep whose it is. */
int hf_post_own(struct hf_post_work *work);
/* Take the token that the frame brings, if any; *out_refusal, when it cannot be
 * taken, is the reason for the client. */
int hf_post_renew(struct hf_post_work *work, const struct hf_frame *frame,
                  const char **out_refusal);
/* On the loop's thread. Who it would be, with the token of this frame; borrowed.
 * And who it is from now on, after a transaction. */
struct hf_client hf_post_client_with(const struct hf_post_work *work,
                                     const struct hf_frame *frame);
void hf_post_renewed(struct hf_post_work *work);

/* --- post_rates.c; on the loop's thread */

/* Before the transaction of the frames up to work->upto, each of them once. */
void hf_post_count_joins(struct hf_post_work *work);
/* As far as it is known here. 0, or HF_ESTORE, HF_EBUSY. */
int hf_post_rates_now(const struct hf_post_work *work,
                      struct hf_session_rates *out);

/* --- post_frames.c */

int hf_post_reply_ok(struct hf_post_work *work, const struct hf_frame *frame,
                     struct hf_str join_ref);

/* What work->text holds becomes the session's next frame. */
int hf_post_add_frame(struct hf_post_work *work);

/* --- post.c */

/* Answer and free it. */
void hf_post_finish(struct hf_post_work *work, int err);

/* --- post_hooks.c */

/* Is any of it for the application, or behind what may be? */
bool hf_post_asks(const struct hf_post_work *work);
/* Then it is done in stages; hf_post_finish comes at the end. */
void hf_post_begin(struct hf_post_work *work);
/* A transaction of it is over: true: it goes on. */
bool hf_post_stage_done(struct hf_post_work *work, int err);
/* What it holds for its stages is let go. */
void hf_post_end(struct hf_post_work *work);

/* In the transaction: all that work->answer wants, but the reply to a join or a
 * leave and the end of the channel. */
int hf_post_answer(struct hf_post_work *work, const struct hf_frame *frame,
                   const struct hf_joined *j);
int hf_post_answer_reply(struct hf_post_work *work,
                         const struct hf_frame *frame, struct hf_str join_ref);

#endif

/*
 * dispatch.h - what a client frame asks for, and the words of the answers
 *
 * The rules of specification section 4, shared by both transports: they decide,
 * session.c (WebSocket) and post.c (long-poll) carry out. No state.
 */
#ifndef HF_CHANNEL_DISPATCH_H
#define HF_CHANNEL_DISPATCH_H

#include "channel/cursor.h"
#include "channel/proto.h"
#include "channel/rate.h"
#include "channel/resume.h"
#include "channel/rights.h"

enum hf_action {
    HF_ACTION_HEARTBEAT,      /* answer ok, before and without any join */
    HF_ACTION_UNMATCHED,      /* answer error "unmatched topic" */
    HF_ACTION_JOIN,           /* join; the topic is not joined */
    HF_ACTION_JOIN_AGAIN,     /* join; the older membership ends */
    HF_ACTION_LEAVE,          /* leave the joined topic */
    HF_ACTION_LEAVE_UNJOINED, /* answer ok; nothing to leave */
    HF_ACTION_PUSH,           /* a message for the joined topic */
    HF_ACTION_DROP,           /* of an earlier membership: no answer */
};

/* `joined`: the join_ref (JSON text) of the live membership of the frame's
 * topic; at == NULL when it is not joined. Section 4.1, in its order. */
enum hf_action hf_dispatch(const struct hf_frame *frame, struct hf_str joined);

/* The join_ref a new membership takes: the frame's, or its ref when it has
 * none, as Phoenix' own channels do (4.1, H); but in V1, where nobody is told
 * one, null stays null (3.2). JSON text, borrowed. */
struct hf_str hf_join_ref_of(const struct hf_frame *frame);

/* Is it the join of a realtime-js client, who takes kind 4 only (9.1)? */
bool hf_join_realtime(const struct hf_frame *frame);

/* And does it ask not to be sent its own rows: "self" is false there? */
bool hf_join_without_self(const struct hf_frame *frame);

/* May this join happen? NULL: yes. Else the reason for the error reply;
 * *out_null_ref: it is answered with join_ref null (4.2). */
const char *hf_join_refused(const struct hf_frame *frame, struct hf_grant grant,
                            size_t joined_topics, size_t max_topics,
                            bool *out_null_ref);

/* May this push be published? NULL: yes. Else the reason. */
const char *hf_push_refused(const struct hf_frame *frame, struct hf_grant grant,
                            size_t max_payload);

/* How often a client may push and join. */
struct hf_rate hf_push_rate(const struct hf_settings *settings);
struct hf_rate hf_join_rate(const struct hf_settings *settings);

/* May this topic have one more message? *out_ms: 0, or when to try again. By
 * the journal alone, so it is the same for all processes (policies.rate). */
int hf_topic_limited(struct hf_journal *journal,
                     const struct hf_publish *publish, unsigned rate,
                     int64_t *out_ms);

/* The words for an error of hf_journal_append, of the commit, or of what an
 * application wants (hook_effects.h). */
const char *hf_publish_reason(int err);

/* The response to a push whose row is to be named: {"cursor":...}. */
int hf_push_response(struct hf_buf *out, struct hf_cursor cursor);

/* The members of both objects; where one stands in both, ours counts. */
int hf_join_merge(struct hf_buf *out, struct hf_str theirs, struct hf_str ours);

/* Does it bring a fresher token (user.h)? An event of Supabase's clients. */
bool hf_renewal_asked(const struct hf_frame *frame);

/* Whole messages, appended. */
int hf_reply_ok(struct hf_buf *out, const struct hf_frame *frame,
                struct hf_str join_ref, struct hf_str response);
int hf_reply_error(struct hf_buf *out, const struct hf_frame *frame,
                   struct hf_str join_ref, const char *reason);
/* An error that passes: "rate_limited", and when to try again. */
int hf_reply_limited(struct hf_buf *out, const struct hf_frame *frame,
                     struct hf_str join_ref, int64_t retry_ms);
/* phx_close, and phx_error with a reason: ref = join_ref (3.1, C). */
int hf_encode_close(struct hf_buf *out, enum hf_vsn vsn, struct hf_str join_ref,
                    struct hf_str topic);
int hf_encode_error(struct hf_buf *out, enum hf_vsn vsn, struct hf_str join_ref,
                    struct hf_str topic, const char *reason);

#endif

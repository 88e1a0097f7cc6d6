/*
 * session_state.h - a session from within: what its parts share
 *
 *     session.c   one client: its frames, in order, and its end
 *     member.c    join and leave
 *     push.c      push -> writer -> answer
 *     reply.c     messages that are no rows, and the order they go in
 *     deliver.c   rows: from the ring, or from the journal
 */
#ifndef HF_CHANNEL_SESSION_STATE_H
#define HF_CHANNEL_SESSION_STATE_H

#include "channel/asking.h"
#include "channel/dispatch.h"
#include "channel/session.h"

/* RFC 6455 section 7.4.1: we cannot go on with this connection. */
#define HF_CLOSE_FAULT 1011

struct hf_push; /* push.c */

struct hf_answer {
    struct hf_answer *next;
    struct hf_msg *msg;     /* NULL until the push it answers is settled */
    uint64_t after;         /* sent once the member's cursor is at or above */
    struct hf_push *push;   /* under way; NULL once settled */
    struct hf_asking *ends; /* the membership ends with it; else NULL */
};

struct hf_stalled; /* session.c */

/* What delivering a row needs comes first, in one line of the processor's cache:
 * there may be ten thousand to look at for one row. */
struct hf_session {
    struct hf_list ready; /* members with something to send, in turns */
    struct hf_hub *hub;
    struct hf_link *link;
    struct hf_answer *replies; /* go first, oldest first */
    bool woken;                /* the transport knows there is something */
    bool closing;
    bool given_up; /* its client counts as dead */
    bool unstall;  /* some that are stalled may go on */
    bool unstalling;
    bool named;      /* id is drawn: see hf_session_id */
    bool full;       /* see hf_session_is_full */
    uint16_t ending; /* close with this when all replies are out; 0 = no */
    struct hf_client client;
    struct hf_list deferred; /* in hub->deferred */
    struct hf_list members;
    struct hf_user *user; /* user.h; NULL = nobody known */
    struct hf_list in_user;
    struct hf_timer expiry; /* of the client's token */
    struct hf_answer **replies_end;
    struct hf_list asking;      /* frames whose hook is asked */
    struct hf_stalled *stalled; /* frames that wait: their topic does */
    struct hf_stalled **stalled_end;
    size_t stalled_bytes;
    struct hf_push *orphans;          /* pushes whose membership has ended */
    size_t waiting_bytes;             /* of messages in replies and answers */
    int64_t push_due_us, join_due_us; /* of hf_boot_us (rate.h) */
    uint32_t waiting;                 /* replies and answers */
    uint16_t stalled_count;
    uint16_t members_count;
    uint16_t present; /* members that are */
    char id[22];
};

static inline struct hf_str hf_member_join_ref(const struct hf_member *member)
{
    return hf_str(member->join_ref, member->join_ref_len);
}

static inline struct hf_str hf_member_key(const struct hf_member *member)
{
    return hf_str(member->join_ref + member->join_ref_len, member->key_len);
}

/* How the member's client takes messages. */
static inline enum hf_form hf_member_form(const struct hf_member *member)
{
    if (member->session->client.vsn == HF_VSN_1)
        return HF_FORM_OBJECT;
    return member->realtime ? HF_FORM_REALTIME : HF_FORM_FRAMES;
}

/* --- session.c */

/* Tell the transport, unless it knows, that there is something to take. */
void hf_session_wake(struct hf_session *session);
/* Have the transport close with this code; nothing more is sent. */
void hf_session_fail(struct hf_session *session, int code);
/* The same once the replies that wait are sent; frames are ignored meanwhile. */
void hf_session_end(struct hf_session *session, int code);
/* Frames that waited for what was under way may go on. */
void hf_session_unstall(struct hf_session *session);
/* Its id, drawn when first asked for: only hooks and senders without echo need
 * one. Empty when there are no random bytes. */
struct hf_str hf_session_id(struct hf_session *session);

/* --- member.c */

struct hf_member *hf_member_find(const struct hf_session *session,
                                 struct hf_str topic);
/* End it without a word. */
void hf_member_remove(struct hf_member *member);
/* 0, HF_ENOMEM, HF_EAGAIN: pushes of the topic are still under way. */
int hf_member_join(struct hf_session *session, const struct hf_frame *frame);
int hf_member_leave(struct hf_member *member, const struct hf_frame *frame);
/* The rest of each, once the application has answered. `reason` refuses; else
 * the answer decides. *out: the member, if it was let in. */
int hf_member_join_asked(struct hf_session *session,
                         const struct hf_frame *frame, const char *reason,
                         const struct hf_hook_answer *answer,
                         struct hf_member **out);
void hf_member_left(struct hf_member *member, const struct hf_frame *frame);

/* --- push.c */

/* 0 (also when it is refused: the client is told) or HF_ENOMEM. */
int hf_push_start(struct hf_member *member, const struct hf_frame *frame);
/* The membership ends before the push is settled: its answer goes to the
 * session. */
void hf_push_orphan(struct hf_push *push);
/* The session ends: pushes are still journaled, their answers go nowhere. */
void hf_push_abandon(struct hf_session *session);

/* --- reply.c */

/* Whole messages with one reference; NULL when out of memory. */
struct hf_msg *hf_msg_ok(const struct hf_frame *frame, struct hf_str join_ref,
                         struct hf_str response);
struct hf_msg *hf_msg_refusal(const struct hf_frame *frame,
                              struct hf_str join_ref, const char *reason);
/* A reply to a join with a status of the application's. */
struct hf_msg *hf_msg_joined(const struct hf_frame *frame, struct hf_str status,
                             struct hf_str response);
struct hf_msg *hf_msg_limited(const struct hf_frame *frame,
                              struct hf_str join_ref, int64_t retry_ms);
/* A reply and a push of the application's, whose payload may be bytes. */
struct hf_msg *hf_msg_reply(const struct hf_member *member,
                            const struct hf_frame *frame, struct hf_str status,
                            enum hf_kind kind, struct hf_str response);
struct hf_msg *hf_msg_push(const struct hf_member *member, struct hf_str event,
                           enum hf_kind kind, struct hf_str payload);
struct hf_msg *hf_msg_close(const struct hf_member *member);
struct hf_msg *hf_msg_phx_error(const struct hf_member *member,
                                const char *reason);

/* Queue a message, taking the reference over. NULL (out of memory) is a fault
 * of the connection, since a client cannot do without its reply. */
void hf_reply(struct hf_session *session, struct hf_msg *msg);
/* The same for one channel: behind the answers to its pushes under way. */
void hf_reply_in_order(struct hf_member *member, struct hf_msg *msg);
/* And behind the row `after`. With `ends` the membership ends when it is taken,
 * and hf_asking_ended is called; false: it is not queued, nor will that be. */
bool hf_reply_after(struct hf_member *member, struct hf_msg *msg,
                    uint64_t after, struct hf_asking *ends);

void hf_answer_append(struct hf_answer ***end, struct hf_answer *answer);
/* Answers of a membership that ends go out without waiting for their rows.
 * Returns the one that would have ended it, or NULL. */
struct hf_asking *hf_answers_release(struct hf_member *member);

#endif

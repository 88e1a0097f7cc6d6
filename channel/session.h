/*
 * session.h - one connected client and its memberships (WebSocket)
 *
 * link.h is the transport's view of it. A membership is a cursor into its
 * topic's ring and owns no queue while idle. Its states:
 *
 *                 phx_join                     phx_leave, all pushes answered
 *     (none) ------------------> JOINED ------------------------> (none)
 *                                  |  rejoin, lost right, gap, new epoch
 *                                  +------------------------------> (none)
 *
 * What waits for a member comes in two kinds: rows after its cursor, and
 * answers to its pushes, in the order of the pushes (D5). An answer is sent
 * when its push is committed and the member has passed the row, so a sender
 * sees its own broadcast first, then the reply (specification 4.7).
 *
 * A leave, and a join on a joined topic, wait until the pushes under way are
 * answered; meanwhile the session's frames queue up, bounded, except
 * heartbeats, which overtake.
 */
#ifndef HF_CHANNEL_SESSION_H
#define HF_CHANNEL_SESSION_H

#include "channel/hub.h"
#include "channel/link.h"

struct hf_answer;     /* one that waits; session.c */
struct hf_tracker_op; /* tracker.c */

/* What delivering a row needs comes first, as in session_state.h. */
struct hf_member {
    struct hf_list in_topic;
    struct hf_list ready; /* linked while it may have something to send */
    struct hf_session *session;
    struct hf_topic *topic;
    uint64_t cursor; /* rows at or below were sent or are not for it */
    struct hf_answer *answers; /* oldest push first; NULL while idle */
    uint64_t sent;             /* the newest row sent, or where it began */
    uint64_t began;            /* rows at or below were before its time */
    uint64_t live;             /* rows above came while it was joined */
    uint64_t told;             /* presence_diff up to here are not for it */
    bool held;                 /* rows wait for what is to come before them */
    bool owed;                 /* the state of presence */
    bool present;              /* it may have entries */
    bool lagging;         /* it reads from the journal, and is counted for it */
    bool with_cursors;    /* joined with `since`: rows carry join_ref */
    bool without_self;    /* asked not to be sent what it pushes */
    bool realtime;        /* takes binary payloads in kind 4 (encode.h) */
    uint8_t join_ref_len; /* JSON text, at most HF_REF_MAX */
    struct hf_answer **answers_end;
    struct hf_list in_session;
    /* presence (tracker.h) */
    struct hf_tracker_op *asked; /* by its join, not written yet; or NULL */
    uint64_t number;             /* among all members of its process */
    uint32_t in_flight;          /* pushes handed to the writer, not yet back */
    uint8_t key_len;
    char join_ref[]; /* and its presence key behind */
};

/* There may be rows after the member's cursor: have its session take them. */
void hf_member_ready(struct hf_member *member);

/* Send it no rows for the moment, and then go on where it was. */
void hf_member_hold(struct hf_member *member);
void hf_member_unhold(struct hf_member *member);

/* End the membership from our side with phx_error and this reason, so that the
 * client joins again (4.5). */
void hf_member_expel(struct hf_member *member, const char *reason);

/* A new turn: the session may read on. */
void hf_session_undefer(struct hf_list *deferred);

#endif

/*
 * sessions.h - long-poll sessions as rows of the journal (D6)
 *
 * sessions(id ...), memberships(session, topic, join_ref, since, joined,
 * ended), frames(session, id, text). Written only inside a transaction of
 * journal.h; `joined`, `ended` and frame ids are drawn there. Everything that
 * changes a session's stream also rings the session.
 */
#ifndef HF_SCHEMA_SESSIONS_H
#define HF_SCHEMA_SESSIONS_H

#include "schema/journal.h"

#define HF_SESSION_ID_LEN 22u /* 128 random bits in base64url */

struct hf_membership {
    struct hf_str topic;
    struct hf_str join_ref; /* the JSON value as the client wrote it */
    bool has_since;         /* joined with a cursor: rows carry join_ref */
    uint64_t since;         /* where its stream begins, when has_since */
    bool has_replay;        /* some older rows follow the reply, marked so */
    uint64_t replay;        /* those after this id, when has_replay */
    uint64_t joined;        /* id of its join reply */
    unsigned vsn;           /* of its client; 0 is written as 2 */
    struct hf_str presence; /* its key; empty: presence is not for it */
    uint64_t ended;         /* 0 = live; else the last id that is its own */
};

/* Whose a session is, when it came with a token or the application named it. */
struct hf_session_owner {
    struct hf_str user;   /* empty = nobody known */
    struct hf_str claims; /* what its token allows, JSON text or empty */
    struct hf_str params; /* of the connect, for hooks: JSON text or empty */
    int64_t expires_ms;   /* of the token, wall clock; INT64_MAX = never */
    uint64_t born;        /* head of the journal when the session was made */
};
typedef int (*hf_owner_fn)(void *ctx, const struct hf_session_owner *owner);

/* Reading: borrowed until the callback returns; other than 0 stops. */
typedef int (*hf_membership_fn)(void *ctx, const struct hf_membership *m);
typedef int (*hf_frame_fn)(void *ctx, uint64_t id, struct hf_str text);
typedef int (*hf_frame_owner_fn)(void *ctx, uint64_t id, struct hf_str session);

int hf_session_exists(struct hf_journal *journal, struct hf_str session,
                      bool *out);
/* One call at most. 0; HF_ENOTFOUND: no such session, or nobody's. *out_exists
 * (may be NULL) tells these two apart. */
int hf_session_owner(struct hf_journal *journal, struct hf_str session,
                     hf_owner_fn each, void *ctx, bool *out_exists);
/* Was there a row `disconnect` of this topic (user_socket:<user>) behind an id?
 * Known for two days, whatever retention did to the row. */
int hf_session_disconnected(struct hf_journal *journal, struct hf_str topic,
                            uint64_t after, bool *out);
/* Live and ended ones, by `joined`. */
int hf_memberships_each(struct hf_journal *journal, struct hf_str session,
                        hf_membership_fn each, void *ctx);
/* Frames with id > after, oldest first, at most max. */
int hf_frames_each(struct hf_journal *journal, struct hf_str session,
                   uint64_t after, size_t max, hf_frame_fn each, void *ctx);
/* Which sessions got frames after `after` (for waking). */
/* The id of the newest frame, whosever; 0: there is none. */
int hf_frames_highest(struct hf_journal *journal, uint64_t *out);
int hf_frames_owners(struct hf_journal *journal, uint64_t after, size_t max,
                     hf_frame_owner_fn each, void *ctx, uint64_t *out_last,
                     bool *out_more);

/* How often it may push and join (channel/rate.h): the state of that, in
 * microseconds of hf_wall_ms. Zeros when there is no such session. */
struct hf_session_rates {
    int64_t push_due_us, join_due_us;
};
int hf_session_rates(struct hf_journal *journal, struct hf_str session,
                     struct hf_session_rates *out);

/* Writing; inside a transaction. */
int hf_session_set_rates(struct hf_journal *journal, struct hf_str session,
                         const struct hf_session_rates *rates);
/* Adding one that is there does nothing. */
int hf_session_add(struct hf_journal *journal, struct hf_str session);
/* Of a session that is there: it becomes, or stays, this owner's. */
int hf_session_own(struct hf_journal *journal, struct hf_str session,
                   const struct hf_session_owner *owner);
int hf_membership_add(struct hf_journal *journal, struct hf_str session,
                      const struct hf_membership *m);
/* And what it has tracked, unless another has taken it over. */
int hf_membership_end(struct hf_journal *journal, struct hf_str session,
                      uint64_t joined, uint64_t ended);
int hf_frame_add(struct hf_journal *journal, struct hf_str session, uint64_t id,
                 struct hf_str text);
/* A client has shown a cursor: ended intervals and frames at or below it have
 * served their purpose. */
int hf_session_acknowledged(struct hf_journal *journal, struct hf_str session,
                            uint64_t cursor);
/* With all that is its own, presences too. */
int hf_session_remove(struct hf_journal *journal, struct hf_str session);

/* Sessions known to the journal, at most max, after `after` in id order: for
 * the pass that removes dead ones. */
int hf_sessions_each(struct hf_journal *journal, struct hf_str after,
                     size_t max, hf_frame_owner_fn each, void *ctx);
/* Those of them that have joined something now. */
int hf_sessions_joined(struct hf_journal *journal, struct hf_str after,
                       size_t max, hf_frame_owner_fn each, void *ctx);

#endif

/*
 * tracker.h - the presence of a worker's sockets
 *
 * What sockets do to presence is put into one list, in its order, and goes to
 * the writer once a turn as one job: so a rejoin is no leave and join, and a
 * crowd that comes or goes at once is told of in few diffs. What could not be
 * written is tried again, in front of what came after it: nobody who has left
 * stays for want of room.
 *
 * All of a worker's presences depend on one lease, renewed when a third of it is
 * used. A worker that finds its lease over (it was stopped, the host slept)
 * takes a new one and ends the channels that were present, which join again. A
 * socket that goes without a word ends its presences at once, unless its page
 * gave a client_id: that may be on its way back by another connection, and has a
 * third of a lease; unless it was silent for so long before that it is given up.
 *
 * A member is told the state when its transport can take it, not when it joins:
 * a crowd's states would lie in memory otherwise, each as large as the crowd.
 * The state is of a moment, and diffs up to it are passed over.
 */
#ifndef HF_CHANNEL_TRACKER_H
#define HF_CHANNEL_TRACKER_H

#include "channel/presence.h"
#include "channel/session.h"

struct hf_tracker; /* one per hub */

int hf_tracker_open(struct hf_hub *hub, struct hf_tracker **out);
/* Hand over all that is left, before the writer ends, which has busy_ms for it;
 * then free. What is not written by then ends with the lease. NULL: nothing. */
void hf_tracker_finish(struct hf_tracker *tracker);
void hf_tracker_close(struct hf_tracker *tracker);

/* May this join be? NULL, or the reason. `presence` as by hf_presence_of_join. */
const char *hf_tracker_refused(struct hf_tracker *tracker,
                               const struct hf_frame *frame,
                               struct hf_str owner,
                               const struct hf_presence_join *presence);
/* A member has joined: track what it asked for. 0 or HF_ENOMEM. */
int hf_tracker_joined(struct hf_member *member, struct hf_str meta);
/* A member ends. */
void hf_tracker_left(struct hf_member *member);
/* A socket is gone, before its members end. */
void hf_tracker_gone(struct hf_session *session);

/* For what goes to the writer by itself, behind all that is in the list: on
 * whose behalf. The member counts as present from now on. 0; HF_EBUSY: not now;
 * HF_EIO. */
struct hf_hold {
    uint64_t member;
    char owner[HF_OWNER_LEN];
    char session[HF_OWNER_LEN];
    char lease[HF_OWNER_LEN + 1];
};
int hf_tracker_hold(struct hf_member *member, struct hf_hold *out);
static inline struct hf_holder hf_holder_of(const struct hf_hold *hold)
{
    return (struct hf_holder){
        .owner = hf_str(hold->owner, sizeof(hold->owner)),
        .session = hf_str(hold->session, sizeof(hold->session)),
        .member = hold->member,
        .lease = hf_str(hold->lease, sizeof(hold->lease)),
    };
}

/* The message a member is owed; a new reference. 0, HF_ENOMEM, HF_EAGAIN: in the
 * next turn, or why the journal cannot be read. */
int hf_tracker_state(struct hf_member *member, struct hf_msg **out);

#endif

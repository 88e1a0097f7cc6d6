/*
 * losses.h - channels of long-poll sessions that have fallen silent, where the
 * application knows of them (D6, D12)
 *
 * A client on long-poll that dies says nothing. When its session's lease is
 * over (leases.h) those of its channels whose topic is asked about are ended
 * with phx_error, and the application is told of a leave: who comes back after
 * all joins again, and is asked about anew.
 *
 *     hf_losses_find --> leases.c's transaction --> hf_losses_tell
 *                                                   one after the other
 *
 * Told as far as it can be: not after a lease, not to whom the topic was joined
 * again meanwhile by the same session, not when too many wait already, and not
 * when this process ends before. How many were not told, and why, is said once
 * per pass of leases.h, not once each: there may be as many as clients.
 */
#ifndef HF_CHANNEL_LOSSES_H
#define HF_CHANNEL_LOSSES_H

#include "channel/hooks.h"
#include "schema/writer.h"

struct hf_process;

#define HF_LOSSES_ONCE 256u /* of one transaction */

/* That wait to be told at once, and their bytes: each has a copy of whose the
 * session was. */
#define HF_LOSSES_WAITING 10000u
#define HF_LOSSES_BYTES   ((size_t)16 * 1024 * 1024)

/* The reason of the phx_error, and of the leave. */
#define HF_LOSS_REASON "session_expired"

struct hf_loss {
    struct hf_list node;
    struct hf_str session, topic;
    uint64_t joined;
    bool ended; /* the transaction found it live, and ended it */
    /* private */
    struct hf_hook_call call;
    struct hf_job job;
    struct hf_process *process;
    int64_t ended_ms;
    struct hf_str join_ref, user, topics, params;
    struct hf_hook_answer *answer;
    char bytes[];
};

struct hf_losses {
    struct hf_list waiting; /* the first one is being told */
    bool telling;
    size_t count, bytes; /* that wait */
    size_t untold;       /* since that was last said */
    int untold_why;      /* of the last one */
};

void hf_losses_init(struct hf_losses *losses);

/* Is the application asked anything? */
bool hf_losses_wanted(const struct hf_process *process);

/*
 * Append to `list` the live channels of a session that were joined by `through`
 * and are asked about. *count is how many are in the list. 0; HF_ELIMIT: there
 * are more than HF_LOSSES_ONCE in all; HF_ENOMEM; as hf_memberships_each.
 */
int hf_losses_find(struct hf_process *process, struct hf_str session,
                   uint64_t through, struct hf_list *list, size_t *count);
void hf_losses_free(struct hf_list *list);

/* Tell the application of those that were ended, and free all. In plain CGI it
 * is not told: the process ends. */
void hf_losses_tell(struct hf_process *process, struct hf_list *list);

/* Say how many the application was not told of since the last call, if any. */
void hf_losses_report(struct hf_process *process);

#endif

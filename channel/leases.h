/*
 * leases.h - ends presences whose lease has run out (D11, D20, G7), and the
 * channels of silent long-poll sessions that the application knows of (D6)
 *
 * A presence depends on a lease in live.db: of its long-poll session, renewed
 * by polls; of the side-car's worker, for all its sockets; or of a socket that is
 * gone and whose owner may come back. A killed process or client renews
 * nothing, and within a lease its presences end, with a diff like any other.
 *
 * Who judges: whoever asks first when it is due (hf_live_reap): a resident
 * process by timer, plain CGI after an answer. The judge alone decides. Its
 * judgement spares what was tracked after it, and ends the channel of a
 * long-poll session in the same transaction with phx_error, so that a client
 * which comes back after all joins again and is tracked anew; without a
 * judgement nothing has ended, and the client goes on as if nothing had been.
 *
 * A pass looks at sessions first, where there are hooks (losses.h), then at what
 * is present; at the one moment when it began. Sessions are ended up to a ninth
 * of a lease late, so that many of them do not cost a pass each.
 *
 * A lease that live.db does not know begins when it is first missed: after a
 * reboot, and when live.db was lost, everybody has a whole lease to come back.
 */
#ifndef HF_CHANNEL_LEASES_H
#define HF_CHANNEL_LEASES_H

#include "base/loop.h"

struct hf_process;

#define HF_LEASE_NAME 64u /* bytes at most */

/* The reason of the phx_error, of a presence. */
#define HF_LEASE_REASON "presence_expired"

enum hf_leases_stage {
    HF_LEASES_REST,
    HF_LEASES_SESSIONS, /* of channels with hooks */
    HF_LEASES_PRESENCES,
};

struct hf_leases {
    struct hf_process *process; /* NULL = not started */
    struct hf_timer timer;
    enum hf_leases_stage stage; /* of this pass */
    int64_t began_ms;
    int64_t earliest_ms; /* of the leases looked at in this pass */
    size_t after_len;    /* where the pass goes on; 0 = at the start */
    char after[HF_LEASE_NAME];
};

/* The loop's thread of a resident process. Stop accepts one that was not
 * started; a job under way is finished by closing the writer before. */
void hf_leases_start(struct hf_leases *leases, struct hf_process *process);
void hf_leases_stop(struct hf_leases *leases);

/* Plain CGI: one bounded pass if it is due. */
void hf_leases_look(struct hf_process *process);

/* Was live.db lost or put aside? Then open the one that counts now; our own
 * leases are granted anew by who holds them. */
void hf_leases_follow(struct hf_process *process);

#endif

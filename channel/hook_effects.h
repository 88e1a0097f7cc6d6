/*
 * hook_effects.h - what an application's answer does to the journal
 */
#ifndef HF_CHANNEL_HOOK_EFFECTS_H
#define HF_CHANNEL_HOOK_EFFECTS_H

#include "channel/hook_answer.h"
#include "schema/presences.h"

/* Whose answer it is. */
struct hf_hook_from {
    struct hf_str topic;   /* of the channel */
    struct hf_str session; /* of the sender, whom broadcast_others leaves out */
    const struct hf_holder *holder; /* NULL: he is gone */
    bool leaving; /* and broadcast, too: he is as good as gone */
};

/*
 * One action, inside a transaction. *out_id is the row it made in the channel's
 * own topic, else it stays as it is. HF_HOOK_SEND is the caller's and does
 * nothing here. 0; HF_EINVAL, HF_ELIMIT: the journal refuses it; else as
 * hf_journal_append.
 */
int hf_hook_write(struct hf_journal *journal,
                  const struct hf_hook_action *action,
                  const struct hf_hook_from *from, uint64_t *out_id);

#endif

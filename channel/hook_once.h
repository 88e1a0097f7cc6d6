/*
 * hook_once.h - a push with a key, where the application is asked (D8, D12)
 *
 * Its answer's reply is kept with the key, in the transaction of its actions; a
 * repeat gets it again, and the application hears nothing of it.
 */
#ifndef HF_CHANNEL_HOOK_ONCE_H
#define HF_CHANNEL_HOOK_ONCE_H

#include "channel/hook_answer.h"
#include "channel/once.h"
#include "schema/journal.h"

/* What was answered before. 0: *out is the caller's, and has no actions;
 * HF_ENOTFOUND: nothing, or the push has no key; HF_ECONFLICT: key_reused. */
int hf_hook_once_find(struct hf_journal *journal, const struct hf_frame *frame,
                      const struct hf_once *once, struct hf_hook_answer **out);

/* In the transaction, before its actions: keep the answer. 0, and then *out is
 * NULL, or what somebody else kept meanwhile, which is all there is to do. */
int hf_hook_once_keep(struct hf_journal *journal, const struct hf_frame *frame,
                      const struct hf_once *once,
                      const struct hf_hook_answer *answer,
                      struct hf_hook_answer **out);

#endif

/*
 * kept_answers.h - what an application answered to a push with a key (D12)
 *
 * Whoever repeats the push is answered the same, without asking again and
 * without doing anything again. Kept as long as messages are; what is older
 * goes when others come.
 */
#ifndef HF_SCHEMA_KEPT_ANSWERS_H
#define HF_SCHEMA_KEPT_ANSWERS_H

#include "base/buf.h"
#include "schema/journal.h"

struct hf_kept_key {
    struct hf_str publisher; /* as of messages */
    struct hf_str key;
    struct hf_str digest; /* of all that the push says */
};

/* Append the answer, JSON text. 0; HF_ENOTFOUND; HF_ECONFLICT: the key was used
 * for another push; HF_ESTORE, HF_EBUSY. */
int hf_kept_answer(struct hf_journal *journal, const struct hf_kept_key *key,
                   struct hf_buf *out);
/* In a transaction; the key is not there. */
int hf_kept_answer_add(struct hf_journal *journal,
                       const struct hf_kept_key *key, struct hf_str answer);

#endif

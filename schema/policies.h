/*
 * policies.h - what anonymous visitors may do, per topic pattern (D3, D9)
 *
 * policies(pattern, rights, echo, rate): pattern is a topic or a prefix with one
 * trailing '*', rights a comma list of join, publish, presence. A change takes
 * effect at once; a trigger raises rights_rev, so that reading again is one
 * cheap look.
 */
#ifndef HF_SCHEMA_POLICIES_H
#define HF_SCHEMA_POLICIES_H

#include "schema/journal.h"

#define HF_RIGHT_JOIN     1u
#define HF_RIGHT_PUBLISH  2u
#define HF_RIGHT_PRESENCE 4u

struct hf_policy {
    struct hf_str pattern;
    unsigned rights; /* HF_RIGHT_* */
    bool echo;       /* a pusher gets its own message too */
    unsigned rate;   /* messages of one topic per second; 0 = any number */
};

#define HF_TOPIC_RATE_MAX 1000u

typedef int (*hf_policy_fn)(void *ctx, const struct hf_policy *policy);

/* Rises with every change of the table. */
int hf_policies_revision(struct hf_journal *journal, uint64_t *out);
int hf_policies_each(struct hf_journal *journal, hf_policy_fn each, void *ctx);
/* Write one, replacing that pattern's; rights 0 removes it. Inside a
 * transaction. HF_EINVAL: see hf_journal_refusal. */
int hf_policy_set(struct hf_journal *journal, const struct hf_policy *policy);

/* "join,publish" <-> bits. HF_EINVAL for an unknown word. "none" is 0. */
int hf_rights_parse(struct hf_str text, unsigned *out);
/* Writes at most 32 bytes with terminator. */
void hf_rights_format(unsigned rights, char out[32]);

#endif

/*
 * rights.h - what a client may do on a topic, from the policies in force
 *
 * A copy of the table `policies`, read again when its revision moved. Several
 * patterns may match: the most specific one counts (exact, then the longest
 * prefix). What a client's identity allows is added to it. No match: nothing is
 * allowed (D10). One per connection of the journal, since rows are read through
 * it.
 */
#ifndef HF_CHANNEL_RIGHTS_H
#define HF_CHANNEL_RIGHTS_H

#include "channel/client.h"
#include "schema/journal.h"
#include "schema/policies.h"

struct hf_rights; /* the copy */

int hf_rights_new(struct hf_rights **out);
void hf_rights_free(struct hf_rights *rights);

/* Read again if the revision moved; *out_changed (may be NULL) says so. Inside
 * or outside a transaction. Keeps the old copy on an error. */
int hf_rights_refresh(struct hf_rights *rights, struct hf_journal *journal,
                      bool *out_changed);

struct hf_grant {
    unsigned rights; /* HF_RIGHT_*; 0 for reserved or illegal topics */
    bool echo;
    bool known;      /* some pattern matches: an error may say "unauthorized"
                        rather than "unmatched topic" */
    unsigned rate;   /* messages per second of the topic; 0 = any number */
};

/* `client` NULL: what everybody may. */
struct hf_grant hf_rights_of(const struct hf_rights *rights,
                             const struct hf_client *client,
                             struct hf_str topic);

#endif

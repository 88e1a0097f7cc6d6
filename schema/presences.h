/*
 * presences.h - who is present on a topic, and what others are told of it (D11)
 *
 * A presence is a row (topic, key, owner) with an object of the application,
 * its meta. One key may have several owners (tabs); one owner several keys. It
 * belongs to a membership and, when nobody ends that, to a lease (live.h).
 *
 * What changes is told to the topic by messages `presence_diff`, written by the
 * commit of the same transaction: rows and diffs cannot come apart. Changes of
 * one transaction, whoever made them, make one diff for each topic, split below
 * max_payload, and what has come and gone within it is not told at all. Until
 * then the column `change` says what others do not know:
 *
 *     track                  commit
 *    --------> 1 (new) ----------------> 0 (known) --+
 *              |  untrack                    ^       | untrack, leave, lease
 *              v                       track |       v
 *           (gone)  <---------------------- 2 (left), not told yet
 *                           commit
 *
 * A change of meta is both: the old row leaves, a new one comes, and the diff
 * holds both side by side.
 */
#ifndef HF_SCHEMA_PRESENCES_H
#define HF_SCHEMA_PRESENCES_H

#include "base/buf.h"
#include "schema/journal.h"

#define HF_PRESENCE_MAX  1000u /* entries of one topic */
#define HF_PRESENCE_KEY  128u  /* bytes of a key */
#define HF_PRESENCE_META 2048u /* bytes of a meta */
#define HF_PRESENCE_REF  16u   /* characters of a phx_ref */

/* Bytes of the largest hf_presence_state. */
#define HF_PRESENCE_STATE_MAX                                                  \
    (HF_PRESENCE_MAX * (HF_PRESENCE_META + 6u * HF_PRESENCE_KEY + 96u))

/* On whose behalf. All at most 64 bytes, none empty. */
struct hf_holder {
    struct hf_str owner;   /* who is present; may outlive a connection, and then
                            * takes over what it had under another one */
    struct hf_str session; /* the connection */
    uint64_t member;       /* its membership of the topic */
    struct hf_str lease;   /* as long as this is renewed */
};

/* --- writing; inside a transaction -------------------------------------- */

enum hf_track {
    HF_TRACK,  /* make it so, whatever was there */
    HF_UPDATE, /* HF_ENOTFOUND unless the owner has this key */
};

/*
 * Track `key` with `meta`, the text of a JSON object. The same meta again only
 * changes the holder: nobody is told. 0; HF_EINVAL: not a legal key (see
 * hf_presence_key_legal), or meta is no object or too large; HF_ELIMIT: the
 * topic has HF_PRESENCE_MAX entries; HF_ENOTFOUND.
 */
int hf_presence_track(struct hf_journal *journal,
                      const struct hf_holder *holder, struct hf_str topic,
                      struct hf_str key, struct hf_str meta, enum hf_track how);
/* The owner's entry under this key; none is no error. */
int hf_presence_untrack(struct hf_journal *journal, struct hf_str owner,
                        struct hf_str topic, struct hf_str key);

/* What a membership, a connection, or a lease holds at this moment. What was
 * taken over meanwhile is another's. */
int hf_presence_leave(struct hf_journal *journal, struct hf_str session,
                      uint64_t member);
int hf_presence_leave_all(struct hf_journal *journal, struct hf_str session);
/* A connection is gone, and its owner may come back by another: its entries
 * now depend on this lease. */
int hf_presence_entrust(struct hf_journal *journal, struct hf_str session,
                        struct hf_str lease);

/* What a reaped lease held; borrowed until the callback returns. May be NULL. */
typedef int (*hf_reaped_fn)(void *ctx, struct hf_str topic,
                            struct hf_str session, uint64_t member);
/* End what this lease has held since `through` (hf_journal_head when it was
 * judged) or longer; what was tracked under it later is not touched. */
int hf_presence_reap(struct hf_journal *journal, struct hf_str lease,
                     uint64_t through, hf_reaped_fn each, void *ctx);

/* --- reading ------------------------------------------------------------- */

/* 1 .. 128 bytes of UTF-8, and none of `__proto__`, `constructor`, `prototype`,
 * on which clients before 1.8.9 stumble (specification 7). */
bool hf_presence_key_legal(struct hf_str key);

/* Append the payload of presence_state: {"key":{"metas":[{...}]}}. 0; HF_ELIMIT:
 * beyond HF_PRESENCE_STATE_MAX, which only a foreign writer can do; HF_ESTORE. */
int hf_presence_state(struct hf_journal *journal, struct hf_str topic,
                      struct hf_buf *out);

/* May this owner track this key with this meta? 0, HF_EINVAL or HF_ELIMIT, as
 * hf_presence_track would say now. */
int hf_presence_room(struct hf_journal *journal, struct hf_str owner,
                     struct hf_str topic, struct hf_str key,
                     struct hf_str meta);
int hf_presence_count(struct hf_journal *journal, struct hf_str topic,
                      uint64_t *out);
/* Of the whole journal, for status. */
int hf_presences_count(struct hf_journal *journal, uint64_t *out_entries,
                       uint64_t *out_topics);

/* Leases that anything depends on, by name behind `after`, at most max. */
typedef int (*hf_lease_fn)(void *ctx, struct hf_str lease);
int hf_presences_leases(struct hf_journal *journal, struct hf_str after,
                        size_t max, hf_lease_fn each, void *ctx);

/* --- for journal.c -------------------------------------------------------- */

/* Before a commit: write the diffs of what has changed in the transaction. */
int hf_presences_tell(struct hf_journal *journal);

#endif

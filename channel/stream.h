/*
 * stream.h - what a long-poll session receives: a pure function of the journal
 *
 * From cursor a to b a session receives, by id: its frames (replies, closes),
 * and each topic's rows inside that topic's membership intervals (D6). All of
 * one answer is read in one read transaction, so the same token gives the same
 * messages again, in whatever process, and more behind them if more came.
 * Replies that wait in live.db (live.h) go before all of it: they overtake. Who
 * is present (presence.h) goes behind it, to memberships that began since.
 *
 *     a                                                            b = head
 *     |--- frame -- row -- row -- join reply ~~ replay ~~ -- row ---|
 *                                  (since, joined] of its topic,
 *                                  in pages; the token says how far
 */
#ifndef HF_CHANNEL_STREAM_H
#define HF_CHANNEL_STREAM_H

#include "base/buf.h"
#include "channel/client.h"
#include "channel/common.h"
#include "channel/token.h"
#include "schema/journal.h"
#include "schema/live.h"

/* Reused from answer to answer; start from the zeroed struct. */
struct hf_stream {
    struct hf_buf messages; /* JSON strings, comma between them */
    size_t count;           /* how many */
    struct hf_token next;   /* to come back with: acknowledges them */
    bool more;              /* this is not all: `next` has more to read */
    uint64_t head;          /* of the journal, in the same snapshot */
    /* Before hf_stream_read_within: the number of the caller's snapshot, which
     * several reads share (waiting.h); 0: it has none. */
    uint64_t snapshot;
    /* private */
    enum hf_vsn vsn;
    struct hf_buf arena; /* names and texts; slices of it are offsets */
    struct hf_stream_member *members;
    size_t members_count, members_cap;
    struct hf_stream_item *items;
    size_t items_count, items_cap;
    struct hf_common common;
    uint64_t known_of; /* the snapshot of `head` and `frames_to` */
    uint64_t frames_to; /* nobody has a frame behind this */
    uint64_t through;   /* some source was cut here */
    uint64_t owed_from; /* presence_state, to those joined at or behind it */
    bool cut;
};

/*
 * Compute the answer to `token`, its rows as `vsn` has them; frames stay as the
 * client's POST of then had them. 0: count may be 0, there is nothing now; but
 * with `more`, only nothing so far: read on from `next`.
 * HF_EGAP: rows it must still read are gone (D7); HF_ENOTFOUND: the session is
 * no more, or of another epoch; both mean {"status":500}. HF_ESTORE, HF_EBUSY,
 * HF_ENOMEM: not now.
 */
int hf_stream_read(struct hf_stream *stream, struct hf_journal *journal,
                   struct hf_live *live, const struct hf_token *token,
                   enum hf_vsn vsn);
/* The same in the snapshot that the caller has begun, for what must be known of
 * the session at the same moment; `exists`: it has a row there. */
int hf_stream_read_within(struct hf_stream *stream, struct hf_journal *journal,
                          struct hf_live *live, const struct hf_token *token,
                          enum hf_vsn vsn, bool exists);

/* Names of the topics it is joined to, for waiting: start with *at = 0; false
 * at the end. Borrowed until the next read. */
bool hf_stream_next_topic(const struct hf_stream *stream, size_t *at,
                          struct hf_str *out);

void hf_stream_release(struct hf_stream *stream);

#endif

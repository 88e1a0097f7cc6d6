/*
 * resume.h - what a join asks of the past, and what it gets (D8)
 *
 *     {"since": C}                go on after this cursor
 *     {"since": "", "last": n}    from now, but for the newest n there are
 *     {"config":{"broadcast":{"replay":{"since": ms, "limit": n}}}}
 *                                 what @supabase/realtime-js asks: the newest
 *                                 broadcasts since then, marked as replayed
 *
 * The same for both transports: dispatch.h judges a join, this says where its
 * stream begins, member.c and post_frames.c carry it out.
 */
#ifndef HF_CHANNEL_RESUME_H
#define HF_CHANNEL_RESUME_H

#include "channel/cursor.h"
#include "channel/proto.h"
#include "schema/journal.h"

struct hf_resume {
    const char *refused; /* NULL, or the reason for an error reply */
    bool asked;          /* payload has a string member `since` */
    bool from_now;       /* it is "" */
    struct hf_cursor since;
    uint64_t last;   /* from_now: so many older rows; at most HF_LAST_MAX */
    bool replay;     /* not asked, but for a replay as Supabase has it */
    int64_t from_ms; /* replay: of broadcasts not older than this */
    uint64_t limit;  /* and at most so many */
};
struct hf_resume hf_resume_of(const struct hf_frame *frame);

/* How a join goes on. */
struct hf_start {
    uint64_t cursor; /* nothing at or below is sent; but for the replay */
    bool recovered;  /* the stream goes on where the client was */
    const char *gap; /* NULL, or "reset" | "trimmed" (D7) */
    uint64_t replay; /* resume.replay: after this id, hf_replayable rows */
};

/* `joined`: the position of the join itself; `trimmed`: hf_journal_trimmed of
 * its topic. Without `last` and `replay`. */
struct hf_start hf_resume_start(const struct hf_resume *resume, uint64_t epoch,
                                uint64_t joined, uint64_t trimmed);

/* The same, with all that must be read for it. 0, or why it cannot be read. */
int hf_resume_locate(const struct hf_resume *resume, struct hf_journal *journal,
                     struct hf_str topic, uint64_t epoch, uint64_t joined,
                     struct hf_start *out);

/* The response object of an accepted join: {} or {"cursor":...}. */
int hf_join_response(struct hf_buf *out, const struct hf_resume *resume,
                     const struct hf_start *start, uint64_t epoch);

/* Does a replay hold this row? And the payload it has there: the row's with
 * "meta":{"replayed":true,"id":CURSOR} behind its members. */
bool hf_replayable(const struct hf_row *row);
int hf_replayed_payload(struct hf_buf *out, const struct hf_row *row,
                        uint64_t epoch);

#endif

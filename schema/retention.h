/*
 * retention.h - what is kept, and for how long
 *
 * A message goes when it is older than `retain`, when the journal is larger
 * than `retain_bytes`, or when its topic has more than `retain_count`. The
 * first two take the oldest ids of all topics and raise the cut for all of
 * them (topic '' of `trimmed`); the third takes the oldest of one topic. The
 * newest message of the journal always stays, and neither size nor number takes
 * one that is younger than `keep_min`.
 *
 * Numbers per topic are looked at when keep_min has passed over its messages,
 * so a topic has at most `retain_count` beside those of the last keep_min or
 * two; all topics are visited at the start, after that those that got messages.
 *
 * The size is that of the pages in use: (page_count - freelist_count) *
 * page_size, all three are pragmas anybody can ask. The file itself does not
 * shrink; freed pages are used again.
 *
 * *Ids decide, times only say where.* `at` is what a publisher wrote, and it
 * may be wrong. From the oldest id on, the cut is the last message that is old
 * enough before the first that is not; a time in the future, or before 2001
 * (seconds for milliseconds), says nothing, and such a message goes with those
 * after it. So a wrong `at` neither holds up the others for longer than
 * `retain` nor takes any along. What no time vouches for goes by our own watch:
 * the head that was noted so long ago (two notes are kept, so it may be twice
 * as long).
 *
 * *Clock rule* (D5). The wall clock is compared with the one since boot at each
 * step. When it has jumped by more than 60 s nothing goes by age until it is
 * back or has run steadily for an hour at its new place; `keep_min` is judged
 * by the old one meanwhile. A new boot begins with the clock it finds.
 *
 * The write lock is held for one step at a time, a few milliseconds; between
 * two steps the caller lets others in. What steps know of each other stands in
 * the file `upkeep`, so that any process may do the next one; two at once do no
 * harm and no good, hence a lock.
 */
#ifndef HF_SCHEMA_RETENTION_H
#define HF_SCHEMA_RETENTION_H

#include <stdbool.h>
#include <stdint.h>

#include "schema/journal.h"

/* One step removes at most so many messages, and about so many bytes of them,
 * for one message is always removed. In a large journal with many topics each
 * message lies on an index page of its own, which is what takes the time. */
#define HF_RETENTION_ROWS  100u
#define HF_RETENTION_BYTES (64u * 1024u)

/* Between passes when there is nothing more to do; between two steps. */
#define HF_RETENTION_PASS_MS  60000
#define HF_RETENTION_PAUSE_MS 10

struct hf_retention_report {
    uint64_t by_age; /* messages removed, by the rule that did it */
    uint64_t by_bytes;
    uint64_t by_count;
    uint64_t through;   /* the cut for all topics afterwards; 0 = never cut */
    int64_t bytes_used; /* pages in use before the step, in bytes */
    bool more;          /* there is more to do now: call again */
    bool clock_jumped;  /* age was left out: the wall clock has jumped */
    bool kept_by_min;   /* too many bytes, but all younger than keep_min */
    bool adrift;        /* not done, and how far it is cannot be written down:
                           `more` is false, for the next step would be the same */
};

/*
 * One bounded step, in a transaction of its own: the connection is for writing
 * and in none. Fills *report also when there was nothing to do. 0; HF_EAGAIN:
 * another process is at it; HF_EBUSY: the write lock was not to be had in time;
 * HF_ESTORE, HF_EFAILED, HF_EIO, HF_ENOMEM.
 */
int hf_retention_step(struct hf_journal *journal,
                      struct hf_retention_report *report);

/* How long ago the last step found nothing more to do, whichever process did
 * it; INT64_MAX when none has since boot. Reads one small file. */
int64_t hf_retention_idle_ms(const struct hf_dir *dir);

#endif

/*
 * inquiry.h - ask the resident processes of a journal directory what they know
 *
 * For people (`holdfast explain`): what a process holds in memory stands nowhere
 * else. Each listens on a socket `ask.<pid>.<random>` in the directory, which is
 * as private as the journal; one question, one answer, and the connection ends.
 * What they say is the caller's business (channel/witness.h). Nothing depends on
 * it: a process that cannot listen serves all the same.
 *
 *     asker                               process
 *     connect, question  --------------->  accept, answer written at once
 *     <---------------------------------   closed
 *
 * The process never waits: a caller who sends nothing is dropped after
 * HF_INQUIRY_MS, and one beyond HF_INQUIRY_CALLERS takes the oldest's place.
 */
#ifndef HF_SCHEMA_INQUIRY_H
#define HF_SCHEMA_INQUIRY_H

#include <sys/types.h>

#include "base/buf.h"
#include "base/loop.h"
#include "schema/dir.h"

#define HF_INQUIRY_QUESTION 8192u /* bytes at most */
#define HF_INQUIRY_ANSWER   (96u * 1024u)
#define HF_INQUIRY_CALLERS  4u
#define HF_INQUIRY_MS       2000
#define HF_INQUIRY_ASKED    128u /* processes at most; the rest is counted */

struct hf_inquiry; /* one per process */

/* Write the answer to `out`, which takes HF_INQUIRY_ANSWER bytes. */
typedef void (*hf_inquiry_answer_fn)(void *ctx, struct hf_str question,
                                     struct hf_buf *out);

/* On the loop's thread. 0, HF_ENOMEM, HF_EIO. */
int hf_inquiry_open(struct hf_loop *loop, const struct hf_dir *dir,
                    struct hf_inquiry **out);
/* Who answers; before that, and with NULL, the answer is an empty line. NULL
 * inquiry: nothing. */
void hf_inquiry_answer(struct hf_inquiry *inquiry, hf_inquiry_answer_fn answer,
                       void *ctx);
void hf_inquiry_close(struct hf_inquiry *inquiry); /* NULL: nothing */

/* One process: its answer, or NULL when it gave none in time. */
typedef void (*hf_inquiry_heard_fn)(void *ctx, pid_t pid,
                                    const struct hf_str *answer);

/*
 * Ask all of them at once and wait for all, at most wait_ms. `heard` is called
 * for each that listens; what a killed one left behind is removed. *out_unasked:
 * how many there were beyond HF_INQUIRY_ASKED. 0, HF_ENOMEM, HF_EIO, HF_ELIMIT
 * (the question is too long).
 */
int hf_inquiry_ask(const struct hf_dir *dir, struct hf_str question,
                   int64_t wait_ms, hf_inquiry_heard_fn heard, void *ctx,
                   unsigned *out_unasked);

#endif

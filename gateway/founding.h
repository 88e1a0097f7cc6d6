/*
 * founding.h - make the journal directory from the web, once
 *
 *            test                     found
 *     spot ----------> canaries ----------------+--> journal directory
 *       |                 |                     |    and .htholdfast
 *       |                 +--drop--> spot       |
 *       +---------------- found ----------------+
 *
 * Where an address may lead to the spot, files are put there first that look
 * like those of a journal, with a word in them; the owner's page tries to read
 * them. Only if none can be read is the journal made.
 *
 * It is made under another name and renamed, whole, with its rights; then
 * .htholdfast is written beside the program, and only that makes it count. Two
 * who do this at once take turns by a lock on the program's folder, and the
 * second finds that there is a journal.
 */
#ifndef HF_GATEWAY_FOUNDING_H
#define HF_GATEWAY_FOUNDING_H

#include "gateway/spot.h"

/* Names of the files that are tried, ended by NULL: kinds of files that web
 * servers may treat differently. */
extern const char *const hf_founding_canaries[];

#define HF_FOUNDING_WORD 48u

struct hf_founding {
    const struct hf_visit *visit; /* of the owner */
    const char *open_topics;      /* a pattern that every visitor may join and
                                     publish in; "" = none */
    int lock;                     /* private */
};

/* The lock, and a last look whether there is a journal. 0; HF_EBUSY: somebody
 * else does it now; HF_EEXIST: there is one. *why is filled. */
int hf_founding_begin(struct hf_founding *founding,
                      const struct hf_visit *visit, const char *open_topics,
                      struct hf_why *why);
void hf_founding_end(struct hf_founding *founding);

/* The word that the files hold, for this key. */
void hf_founding_word(const struct hf_visit *visit, char out[HF_FOUNDING_WORD]);

/* Put the files there. 0, HF_EIO. */
int hf_founding_test(const struct hf_founding *founding,
                     const struct hf_spot *spot, struct hf_why *why);
/* Are they there, with the word of this key? */
bool hf_founding_tested(const struct hf_founding *founding,
                        const struct hf_spot *spot);
/* Take them away. */
void hf_founding_drop(const struct hf_spot *spot);

/* Is all that is at the spot what a test, or a try that was cut short, left? */
bool hf_founding_left(const struct hf_spot *spot);

/* Make the journal directory, keep the owner's key in it, and say where it is.
 * A side-car that lies beside this program is to be started on demand. 0, or as hf_dir_init; then nothing is left. */
int hf_founding_found(const struct hf_founding *founding,
                      const struct hf_spot *spot, struct hf_why *why);

#endif

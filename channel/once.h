/*
 * once.h - a push that may be repeated and has its effect once (D8)
 *
 * [join_ref, ref, topic, event, payload, {"key": K}]: the journal keeps K with
 * the row, unique for its publisher, and whoever sends the same again is told
 * the first row's cursor. A user is his own publisher, so his keys are his
 * alone, on whatever device. Without a name nobody can be told from anybody:
 * then a key counts for its topic, and must be too long to be guessed.
 *
 * With "after": K2 beside it the push counts only behind the one whose key that
 * is: pushes that were sent without waiting keep their order, whichever of them
 * is refused or lost.
 */
#ifndef HF_CHANNEL_ONCE_H
#define HF_CHANNEL_ONCE_H

#include "channel/proto.h"

struct hf_once {
    struct hf_str key;   /* empty: nothing was asked */
    struct hf_str after; /* the key it comes behind; empty: of none */
    struct hf_str publisher;
    char bytes[2 * HF_KEY_MAX + 255]; /* what they point into; do not copy */
};

/* What the frame asks. NULL, or the reason for the error reply, and no key. */
const char *hf_once_of(const struct hf_frame *frame, struct hf_str user,
                       struct hf_once *out);

#endif

/*
 * utf8.h - UTF-8 validation (RFC 3629), resumable at any byte
 */
#ifndef HF_BASE_UTF8_H
#define HF_BASE_UTF8_H

#include <stdint.h>

#include "base/str.h"

/* Whole text at once. */
bool hf_utf8_valid(struct hf_str text);

/* In pieces: start from the zeroed struct. */
struct hf_utf8 {
    uint8_t need;  /* continuation bytes still to come: 0 .. 3 */
    uint8_t lower; /* bounds of the next continuation byte, when need > 0 */
    uint8_t upper;
};

/* Take a piece; false as soon as no continuation could make it valid. */
bool hf_utf8_feed(struct hf_utf8 *state, struct hf_str piece);
/* Is the text complete here, between two characters? */
static inline bool hf_utf8_done(const struct hf_utf8 *state)
{
    return state->need == 0;
}

#endif

/*
 * nearest.h - "did you mean ...?": the known word that is nearest to a wrong one
 */
#ifndef HF_BASE_NEAREST_H
#define HF_BASE_NEAREST_H

#include <stddef.h>

/* The smallest of this search so far. Zeroed before it, but for `word`. */
struct hf_nearest {
    const char *word;  /* the wrong one */
    const char *found; /* NULL: none is near enough to be meant */
    unsigned distance; /* of `found` */
};

/*
 * Is `known` nearer than what was found before? The distance is the number of
 * letters put in, taken out, replaced, or exchanged with their neighbour,
 * without regard to case; more than one for every three letters is too far.
 * Words of more than 40 letters are near to nothing.
 */
void hf_nearest_offer(struct hf_nearest *nearest, const char *known);

#endif

/*
 * ring.h - the newest rows of one topic, encoded once for all members
 *
 * A member is a cursor; whoever is within the ring is served from here without
 * a query or a copy. The ring holds, without a hole, every row of its topic in
 * (low, hub's cursor]; a member whose cursor is below `low` refills from the
 * journal. Bounded by HF_RING_ROWS and HF_RING_BYTES; the oldest rows give way.
 *
 *     low            oldest row                      newest row    hub's cursor
 *      |  (gone)  [ r17 | r18 | ............ | r30 ]                    |
 *
 * A row is kept as it came and encoded when first asked for: once for each form
 * (encode.h) that it differs in, and in each once for members without cursors,
 * once for each distinct join_ref of those with (D8), of which there are few,
 * since clients count refs alike.
 */
#ifndef HF_CHANNEL_RING_H
#define HF_CHANNEL_RING_H

#include "channel/encode.h"
#include "channel/limits.h"

struct hf_ring_row; /* a row and its encodings */

struct hf_ring {
    uint64_t low;              /* rows at or below are not here */
    struct hf_ring_row **rows; /* `size` pointers; NULL while empty */
    uint32_t size;             /* 0, or a power of two up to HF_RING_ROWS */
    uint32_t head;             /* oldest, before masking */
    uint32_t count;
    size_t bytes; /* payload bytes held */
};

void hf_ring_init(struct hf_ring *ring, uint64_t low);
void hf_ring_release(struct hf_ring *ring);

/* Drop everything: rows at or below `low` are no longer here. Takes no memory
 * until the next row. */
void hf_ring_restart(struct hf_ring *ring, uint64_t low);

/*
 * Take in a row; ids rise. Older rows give way to it. A row that cannot be
 * kept (out of memory) empties the ring and moves `low` to it: members then
 * read it from the journal, so nothing is lost.
 */
void hf_ring_push(struct hf_ring *ring, const struct hf_row *row);

/* The first row with an id above `after`, which is not below `low`; NULL when
 * there is none. Borrowed until the next push. */
struct hf_ring_row *hf_ring_after(const struct hf_ring *ring, uint64_t after);

uint64_t hf_ring_row_id(const struct hf_ring_row *row);
/* Session or client id the row is not for; often empty. */
struct hf_str hf_ring_row_skip(const struct hf_ring_row *row);
/* As hf_presence_known. */
bool hf_ring_row_known(const struct hf_ring_row *row, uint64_t told);

/* The row as a member receives it (row.h); a new reference, or NULL when out
 * of memory. *out_encoded is raised when it had to be encoded. */
struct hf_msg *hf_ring_row_msg(struct hf_ring_row *row, uint64_t epoch,
                               enum hf_form form, struct hf_str join_ref,
                               uint64_t *out_encoded);

#endif

/*
 * rings.h - the rings of all topics of a hub: who has new rows, who lets go
 *
 * A page of the journal may hold many rows of one topic. They all go into its
 * ring first, and then its members are told once, not once for each row.
 *
 *     hf_rings_put ..           each row of the page
 *     hf_rings_tell             its members are ready
 *     (the hub's cursor moves to the end of the page)
 *     hf_rings_bound            the oldest rings let go, if all hold too much
 *
 * A ring is there for members that are a moment behind. One that nobody has
 * published to for HF_RING_QUIET_MS, all of it, is empty again and takes no
 * memory; whoever needs older rows finds them in the journal.
 */
#ifndef HF_CHANNEL_RINGS_H
#define HF_CHANNEL_RINGS_H

#include "base/loop.h"
#include "channel/ring.h"

struct hf_hub;
struct hf_topic;

struct hf_rings {
    struct hf_list held; /* topics whose ring holds rows, by their newest */
    size_t bytes;        /* payload bytes of all of them */
    uint64_t page;       /* the number of the page being read */
    uint64_t quiet;      /* no newer row than of this page: quiet */
    struct hf_timer timer;
};

void hf_rings_init(struct hf_rings *rings);
/* Every topic is gone already. */
void hf_rings_release(struct hf_hub *hub);

/* Take in a row of the page that is being read; see hf_ring_push. */
void hf_rings_put(struct hf_topic *topic, const struct hf_row *row);
/* Members of topics that were put rows since the last time are ready. */
void hf_rings_tell(struct hf_hub *hub);
/* Between pages. */
void hf_rings_bound(struct hf_hub *hub);

/*
 * Let the ring begin again behind `after`, which is below its low, and take in
 * what it has let go: where many come back at once, after a deploy or when the
 * line was cut, all of them have missed the same rows, and these are read and
 * encoded once.
 *
 * To be called in a snapshot of the hub's epoch in which nothing behind `after`
 * was deleted. 0: the ring begins there. HF_ENOTFOUND: nothing has changed, for
 * the members are few, the rows too many, or the rings full: let this member
 * read for itself. Or why the journal cannot be read.
 *
 * Where there were too many, topic->too_far is the last one looked at: until a
 * member has come so far by itself nobody tries again.
 */
int hf_rings_reach_back(struct hf_topic *topic, uint64_t after);

/* As hf_ring_restart. */
void hf_rings_restart(struct hf_topic *topic, uint64_t low);

#endif

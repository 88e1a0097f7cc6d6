/*
 * keen.h - when the watcher looks again for a commit that is due (wake.c)
 *
 * The event of a foreign commit comes before the commit is visible, by the time
 * of a sync. To sleep for so short a time and be woken costs as much as the
 * wait itself; to look without sleeping costs a core. So it looks without
 * sleeping when one of the last commits took about as long as it has been by
 * now, and sleeps before and after: disks have one such time or two, those of a
 * quiet moment and of a busy one.
 *
 * Looking without sleep has a budget, a tenth of the time; beyond it, when
 * scripts commit without a pause, it sleeps all the same. While half of what can
 * be saved is there, it is also spent between the times that commits took: what
 * was found there after a sleep was most of what was late. Each sleep is short,
 * and after some milliseconds a 32nd of the time since the event; the commit is
 * seen that much late.
 *
 * No clock, no loop: times come in, in microseconds.
 */
#ifndef HF_SCHEMA_KEEN_H
#define HF_SCHEMA_KEEN_H

#include <stdint.h>

#define HF_KEEN_SHARE    10    /* one part in so many of the time */
#define HF_KEEN_SAVED_US 50000 /* at most, for when it is needed */
#define HF_KEEN_US       6000  /* this long after the event it always sleeps */
#define HF_KEEN_NEW_US   3000  /* the same while too little is known */
#define HF_KEEN_STEP_US  50    /* one sleep until then */
#define HF_KEEN_LAST     16u   /* commits it knows the time of */

/* Zeroed: nothing known, nothing saved. */
struct hf_keen {
    int64_t took_us[HF_KEEN_LAST]; /* 0 = not known yet */
    unsigned next;
    int64_t sleepless_us; /* since when it looks without sleep; 0 = not */
    int64_t saved_us;     /* of such time, as of ... */
    int64_t saved_at_us;  /* ... then */
};

/* Nothing was seen yet: how long to sleep before the next look; 0: not at all,
 * and the time until the next call is paid for. */
int64_t hf_keen_step(struct hf_keen *keen, int64_t event_us, int64_t now_us);
/* The commit of this event was seen. */
void hf_keen_seen(struct hf_keen *keen, int64_t event_us, int64_t now_us);
/* None is due any more. */
void hf_keen_rest(struct hf_keen *keen, int64_t now_us);

#endif

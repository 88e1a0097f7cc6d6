/*
 * meter.h - a worker's own figures, brought into its slot
 *
 * What the side-car does itself it counts where it does it (counters.h). The
 * hub, which knows no side-car, counts for itself; so does the kernel. Once a
 * second, and before this worker answers, their figures are brought up to date;
 * how far the hub has read, and how long a turn took, with every turn.
 */
#ifndef HF_SIDECAR_METER_H
#define HF_SIDECAR_METER_H

#include "channel/hub.h"

struct hf_meter {
    struct hf_loop *loop; /* NULL: not started */
    const struct hf_hub *hub;
    struct hf_timer timer;
    int64_t due_us;              /* when it should fire */
    struct hf_hub_counts before; /* what was brought already */
    uint64_t cpu_us;             /* the same */
    unsigned heap_in;            /* ticks until the heap is asked */
    int statm;                   /* /proc/self/statm; -1 = none */
};

/* After hf_counters_use; all borrowed until hf_meter_stop. Takes over
 * hf_loop_measure. 0 or HF_ENOMEM. */
int hf_meter_start(struct hf_meter *meter, struct hf_loop *loop,
                   const struct hf_hub *hub);
/* Brings the last figures. Accepts the zeroed struct. */
void hf_meter_stop(struct hf_meter *meter);

/* Bring all figures up to date. */
void hf_meter_read(struct hf_meter *meter);

#endif

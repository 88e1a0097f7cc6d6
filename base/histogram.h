/*
 * histogram.h - how often something took how long
 *
 * Bounds are the same for all, 100 us to 10 s in steps of 2 to 2.5, so that
 * histograms of several processes can be added. Not atomic: one thread's.
 */
#ifndef HF_BASE_HISTOGRAM_H
#define HF_BASE_HISTOGRAM_H

#include <stdint.h>

#define HF_HISTOGRAM_BOUNDS  16u
#define HF_HISTOGRAM_BUCKETS (HF_HISTOGRAM_BOUNDS + 1u)

/* Rising, microseconds. Bucket n counts what took at most bound n, and longer
 * than bound n - 1; the last one what took longer than all. */
extern const int64_t hf_histogram_bounds_us[HF_HISTOGRAM_BOUNDS];

struct hf_histogram {
    uint64_t bucket[HF_HISTOGRAM_BUCKETS];
    uint64_t sum_us;
};

/* Which bucket counts this? Less than nothing is the first one's. */
unsigned hf_histogram_bucket(int64_t us);

/* It took so long, `times` times. Less than 0 counts as 0. */
void hf_histogram_add(struct hf_histogram *histogram, int64_t us,
                      uint64_t times);

#endif

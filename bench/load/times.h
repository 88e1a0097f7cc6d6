/*
 * times.h - how often each duration was seen, to three percent
 *
 * 32 buckets for each power of two, as HDR histograms have them: any number of
 * values in 16 kB, and quantiles whatever their distribution. The largest one
 * is kept as it is.
 */
#ifndef HF_BENCH_TIMES_H
#define HF_BENCH_TIMES_H

#include <stdint.h>

#define HF_TIMES_BUCKETS 1952u

/* Zeroed when empty. */
struct hf_times {
    uint64_t count;
    uint64_t max;
    uint64_t bucket[HF_TIMES_BUCKETS];
};

void hf_times_add(struct hf_times *times, uint64_t value);

/* The value that `share` (0 to 1) of all are not above; 0 when empty. */
uint64_t hf_times_at(const struct hf_times *times, double share);

#endif

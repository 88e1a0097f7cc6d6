#include "bench/load/times.h"

/* Below 64 a bucket is one value; above, a 32nd of its power of two. */
static unsigned bucket_of(uint64_t value)
{
    unsigned shift;

    if (value < 64)
        return (unsigned)value;
    shift = 58u - (unsigned)__builtin_clzll(value);
    return shift * 32u + (unsigned)(value >> shift);
}

static uint64_t highest_in(unsigned bucket)
{
    unsigned shift;

    if (bucket < 64)
        return bucket;
    shift = bucket / 32u - 1u;
    return ((bucket % 32u + 33ull) << shift) - 1u;
}

void hf_times_add(struct hf_times *times, uint64_t value)
{
    times->count++;
    times->bucket[bucket_of(value)]++;
    if (times->max < value)
        times->max = value;
}

uint64_t hf_times_at(const struct hf_times *times, double share)
{
    uint64_t seen = 0;
    uint64_t wanted = (uint64_t)(share * (double)times->count);
    unsigned i;

    if (times->count == 0)
        return 0;
    if (wanted >= times->count)
        return times->max;
    for (i = 0; i < HF_TIMES_BUCKETS; i++) {
        seen += times->bucket[i];
        if (seen > wanted)
            break;
    }
    return highest_in(i) < times->max ? highest_in(i) : times->max;
}

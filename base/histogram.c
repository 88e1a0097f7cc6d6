#include "base/histogram.h"

const int64_t hf_histogram_bounds_us[HF_HISTOGRAM_BOUNDS] = {
    100,   250,    500,    1000,   2500,    5000,    10000,   25000,
    50000, 100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000,
};

/* Most are short: begin there. */
unsigned hf_histogram_bucket(int64_t us)
{
    unsigned n = 0;

    while (n < HF_HISTOGRAM_BOUNDS && us > hf_histogram_bounds_us[n])
        n++;
    return n;
}

void hf_histogram_add(struct hf_histogram *histogram, int64_t us,
                      uint64_t times)
{
    histogram->bucket[hf_histogram_bucket(us)] += times;
    if (us > 0)
        histogram->sum_us += (uint64_t)us * times;
}

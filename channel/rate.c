#include "channel/rate.h"

#define SECOND_US 1000000

int64_t hf_rate_take_many(struct hf_rate rate, uint64_t count, int64_t *due_us,
                          int64_t now_us)
{
    int64_t each, full, due = *due_us;

    if (rate.per_second == 0)
        return 0;
    each = SECOND_US / (int64_t)rate.per_second;
    full = each * (int64_t)(rate.burst > 0 ? rate.burst : 1);
    if (due < now_us)
        due = now_us;
    if (due > now_us + full)
        due = now_us + full;
    *due_us = due; /* of the clock as it is now */
    due += each * (int64_t)count;
    if (due > now_us + full)
        return (due - now_us - full + 999) / 1000;
    *due_us = due;
    return 0;
}

void hf_rate_give_back(struct hf_rate rate, int64_t *due_us)
{
    if (rate.per_second > 0)
        *due_us -= SECOND_US / (int64_t)rate.per_second;
}

int64_t hf_rate_take(struct hf_rate rate, int64_t *due_us, int64_t now_us)
{
    return hf_rate_take_many(rate, 1, due_us, now_us);
}

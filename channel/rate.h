/*
 * rate.h - how often: a bucket that fills by itself, kept in one number
 *
 * GCRA: `due` is the moment at which the bucket will be full again. Nobody has
 * to fill it, so it can lie in memory or in a row for as long as it likes. Any
 * clock will do, as long as the same one is asked each time.
 */
#ifndef HF_CHANNEL_RATE_H
#define HF_CHANNEL_RATE_H

#include <stdint.h>

struct hf_rate {
    uint64_t per_second; /* 0: as often as one likes */
    uint64_t burst;      /* so many at once, after a pause; at least 1 */
};

/* One more, now? 0, or after how many milliseconds it may be asked again. *due
 * starts as 0. A clock that was set back empties the bucket and no more. */
int64_t hf_rate_take(struct hf_rate rate, int64_t *due_us, int64_t now_us);
/* It has not been after all. */
void hf_rate_give_back(struct hf_rate rate, int64_t *due_us);
/* So many at one go, or none of them; more than `burst` never. */
int64_t hf_rate_take_many(struct hf_rate rate, uint64_t count, int64_t *due_us,
                          int64_t now_us);

#endif

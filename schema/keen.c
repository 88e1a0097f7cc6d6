#include "schema/keen.h"

/* To enter the likely time awake: a short sleep may last twice as long. */
#define EARLY_US 100
#define LATE_US  50

/* What was spent since the last call is paid first. */
static void pay(struct hf_keen *keen, int64_t now_us)
{
    keen->saved_us += (now_us - keen->saved_at_us) / HF_KEEN_SHARE;
    keen->saved_at_us = now_us;
    if (keen->saved_us > HF_KEEN_SAVED_US)
        keen->saved_us = HF_KEEN_SAVED_US;
    if (keen->sleepless_us)
        keen->saved_us -= now_us - keen->sleepless_us;
    keen->sleepless_us = 0;
}

struct span {
    int64_t from_us, to_us; /* since the event */
};

/* When a commit that takes about as long as this one did may be seen. */
static struct span likely(int64_t took_us)
{
    if (took_us == 0)
        return (struct span){0, HF_KEEN_NEW_US};
    return (struct span){took_us - took_us / 4 - EARLY_US,
                         took_us + took_us / 4 + LATE_US};
}

/* How long until then; 0: now; INT64_MAX: that time is over. */
static int64_t until(struct span span, int64_t since_us)
{
    if (since_us > span.to_us)
        return INT64_MAX;
    return since_us < span.from_us ? span.from_us - since_us : 0;
}

static int64_t until_likely(const struct hf_keen *keen, int64_t since_us)
{
    struct span all = {INT64_MAX, 0};
    int64_t wait_us = INT64_MAX;
    unsigned i;

    if (since_us >= HF_KEEN_US)
        return INT64_MAX;
    for (i = 0; i < HF_KEEN_LAST; i++) {
        struct span one = likely(keen->took_us[i]);
        int64_t us = until(one, since_us);

        wait_us = us < wait_us ? us : wait_us;
        all.from_us = one.from_us < all.from_us ? one.from_us : all.from_us;
        all.to_us = one.to_us > all.to_us ? one.to_us : all.to_us;
    }
    /* Less likely between them, but there is enough to spend. */
    if (keen->saved_us > HF_KEEN_SAVED_US / 2)
        wait_us = until(all, since_us);
    return wait_us;
}

int64_t hf_keen_step(struct hf_keen *keen, int64_t event_us, int64_t now_us)
{
    int64_t since_us = now_us - event_us;
    int64_t sleep_us = since_us < HF_KEEN_US ? HF_KEEN_STEP_US : since_us / 32;
    int64_t likely_us;

    pay(keen, now_us);
    likely_us = until_likely(keen, since_us);
    if (likely_us == 0 && keen->saved_us > 0) {
        keen->sleepless_us = now_us;
        return 0;
    }
    if (likely_us > 0 && likely_us < sleep_us)
        sleep_us = likely_us;
    return sleep_us;
}

void hf_keen_seen(struct hf_keen *keen, int64_t event_us, int64_t now_us)
{
    int64_t took_us = now_us - event_us;

    pay(keen, now_us);
    keen->took_us[keen->next++ % HF_KEEN_LAST] = took_us > 0 ? took_us : 1;
}

void hf_keen_rest(struct hf_keen *keen, int64_t now_us)
{
    pay(keen, now_us);
}

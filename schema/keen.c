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

/* How long until a commit that takes as long as this one did may be seen; 0:
 * now; INT64_MAX: that time is over. */
static int64_t until(int64_t took_us, int64_t since_us)
{
    int64_t from_us = took_us - took_us / 4 - EARLY_US;
    int64_t to_us = took_us + took_us / 4 + LATE_US;

    if (took_us == 0) {
        from_us = 0;
        to_us = HF_KEEN_NEW_US;
    }
    if (since_us > to_us)
        return INT64_MAX;
    return since_us < from_us ? from_us - since_us : 0;
}

static int64_t until_likely(const struct hf_keen *keen, int64_t since_us)
{
    int64_t wait_us = INT64_MAX;
    unsigned i;

    if (since_us >= HF_KEEN_US)
        return INT64_MAX;
    for (i = 0; i < HF_KEEN_LAST; i++) {
        int64_t us = until(keen->took_us[i], since_us);

        wait_us = us < wait_us ? us : wait_us;
    }
    return wait_us;
}

int64_t hf_keen_step(struct hf_keen *keen, int64_t event_us, int64_t now_us)
{
    int64_t since_us = now_us - event_us;
    int64_t likely_us = until_likely(keen, since_us);
    int64_t sleep_us = since_us < HF_KEEN_US ? HF_KEEN_STEP_US : since_us / 32;

    pay(keen, now_us);
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

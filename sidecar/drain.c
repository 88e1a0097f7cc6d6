#include "sidecar/drain.h"

#include <stdio.h>

#include "base/clock.h"

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static size_t open_sockets(const struct hf_drain *drain)
{
    return drain->conns->count - drain->conns->closing_count;
}

size_t hf_drain_share(size_t open, int64_t left_ms)
{
    size_t steps = left_ms > 0 ? (size_t)(left_ms / HF_DRAIN_STEP_MS) + 1 : 1;

    return (open + steps - 1) / steps;
}

int64_t hf_drain_return_ms(const struct hf_drain *drain, size_t open,
                           int64_t left_ms)
{
    int64_t window_ms = most(drain->spread_ms, HF_RETURN_LEAST_MS);
    int64_t all = (int64_t)(drain->told + open);

    return most(left_ms, 0) + HF_SUCCESSOR_MS +
           window_ms * (int64_t)drain->told / most(all, 1);
}

static void tell(struct hf_drain *drain, size_t count, int64_t left_ms)
{
    while (count-- > 0) {
        char reason[HF_WS_REASON_MAX];
        int64_t ms = hf_drain_return_ms(drain, open_sockets(drain), left_ms);
        int len =
            snprintf(reason, sizeof(reason), "retry_ms=%lld", (long long)ms);

        if (!hf_conns_goodbye_one(drain->conns, HF_WS_RESTART,
                                  hf_str(reason, (size_t)len)))
            return;
        drain->told++;
    }
}

void hf_drain_begin(struct hf_drain *drain, struct hf_conns *conns,
                    int64_t drain_ms)
{
    int64_t enough_ms = (int64_t)conns->count * 1000 / HF_DRAIN_RATE;

    *drain = (struct hf_drain){
        .conns = conns,
        .spread_ms = least(drain_ms, enough_ms),
    };
    drain->end_ms = hf_boot_ms() + drain->spread_ms;
}

void hf_drain_step(struct hf_drain *drain)
{
    int64_t left_ms = drain->end_ms - hf_boot_ms();

    tell(drain, hf_drain_share(open_sockets(drain), left_ms), left_ms);
}

void hf_drain_hurry(struct hf_drain *drain)
{
    tell(drain, open_sockets(drain), 0);
}

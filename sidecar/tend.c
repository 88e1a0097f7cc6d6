#include "sidecar/tend.h"

#include <stdio.h>

#include "sidecar/limits.h"

/* One that died meanwhile is being replaced, and is waited for. */
static bool all_serve(const struct hf_counters *counters)
{
    struct hf_counts counts;

    hf_counters_sum(counters, &counts);
    return counts.gauge[HF_HAS_SERVING] == hf_counters_workers(counters);
}

static void tell_ready(struct hf_tend *tend)
{
    char addresses[512], state[sizeof(addresses) + 64];

    hf_listeners_name(tend->listeners, addresses, sizeof(addresses));
    (void)snprintf(state, sizeof(state), "READY=1\nSTATUS=serving %s",
                   addresses);
    hf_notify(&tend->notify, state);
    tend->told = true;
}

int64_t hf_tend_look(struct hf_tend *tend)
{
    if (!tend->told && hf_notify_wanted(&tend->notify)) {
        if (!all_serve(tend->counters))
            return HF_TEND_START_MS;
        tell_ready(tend);
    }
    return HF_TEND_REST_MS;
}

void hf_tend_stopping(const struct hf_tend *tend)
{
    hf_notify(&tend->notify,
              "STOPPING=1\nSTATUS=saying goodbye to its clients");
}

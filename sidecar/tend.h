/*
 * tend.h - what the parent looks at now and then
 *
 * Whether all workers serve, so that whoever started us is told once that we
 * can be used (base/notify.h): a service manager, or `holdfast sidecar start`.
 */
#ifndef HF_SIDECAR_TEND_H
#define HF_SIDECAR_TEND_H

#include <stdbool.h>

#include "base/notify.h"
#include "sidecar/counters.h"
#include "sidecar/listen.h"

struct hf_tend {
    struct hf_notify notify;
    const struct hf_counters *counters;
    const struct hf_listeners *listeners;
    bool told; /* that we are ready */
};

/* The parent's `look` (parent.h). */
int64_t hf_tend_look(struct hf_tend *tend);

/* We have been told to end. */
void hf_tend_stopping(const struct hf_tend *tend);

#endif

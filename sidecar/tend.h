/*
 * tend.h - what the parent looks at now and then
 *
 * - Whether all workers serve, so that whoever started us is told once that we
 *   can be used (base/notify.h): a service manager, or `holdfast sidecar start`.
 * - Started on demand (channel/ondemand.h): whether anybody needs us. After
 *   idle_exit without a WebSocket we end, and leave word whether we were of any
 *   use (schema/starts.h).
 * - Where our log is the file of the directory, how long that is: nobody else
 *   looks after it.
 */
#ifndef HF_SIDECAR_TEND_H
#define HF_SIDECAR_TEND_H

#include <stdbool.h>
#include <stdint.h>

#include "base/notify.h"
#include "schema/dir.h"
#include "sidecar/counters.h"
#include "sidecar/listen.h"

struct hf_tend {
    struct hf_notify notify;
    const struct hf_dir *dir;
    const struct hf_counters *counters;
    const struct hf_listeners *listeners;
    bool on_demand;
    int64_t idle_exit_ms; /* of one started on demand */
    /* private */
    bool told;          /* that we are ready */
    bool logs;          /* standard error is HF_FILE_LOG */
    bool proven;        /* we have left word that we are of use */
    int64_t started_ms; /* hf_boot_ms */
    int64_t needed_ms;  /* when somebody needed us last, or we started */
    uint64_t opened;    /* WebSockets, up to then */
};

/* When all above is set, before the first look. */
void hf_tend_begin(struct hf_tend *tend);

/* The parent's `look` (parent.h). */
int64_t hf_tend_look(struct hf_tend *tend);

/* We have been told to end, or ended ourselves. */
void hf_tend_stopping(const struct hf_tend *tend);

#endif

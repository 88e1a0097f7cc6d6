/*
 * monitor.h - /healthz, /healthz/ready and /metrics, on an address of their own
 *
 * For whoever runs the machine, never for clients: the setting `monitor` names a
 * Unix socket in the journal directory or a loopback address; without it they
 * are served nowhere. One listener is shared by all workers, and whoever is
 * asked answers for all (counters.h).
 *
 *     GET /healthz        200: this worker's loop turns
 *     GET /healthz/ready  200: clients can be sent here; else 503 and, in words,
 *                         each reason why not
 *     GET /metrics        Prometheus text (metrics.h)
 *
 * It answers while the worker leaves, too, and while there is no room for
 * clients. One request a connection. Who is slow is cut after HF_MONITOR_MS; who
 * comes beyond HF_MONITOR_CALLERS takes the place of the oldest, so that nobody
 * can sit on all of them.
 */
#ifndef HF_SIDECAR_MONITOR_H
#define HF_SIDECAR_MONITOR_H

#include "channel/process.h"
#include "sidecar/counters.h"
#include "sidecar/listen.h"
#include "sidecar/meter.h"

struct hf_monitor;

struct hf_monitor_options {
    struct hf_loop *loop; /* all borrowed */
    const struct hf_listener *listener;
    const struct hf_counters *counters;
    struct hf_process *process;
    struct hf_meter *meter; /* of this worker */
};

/* 0; HF_ENOMEM, HF_EIO, with *why filled. */
int hf_monitor_open(const struct hf_monitor_options *options,
                    struct hf_monitor **out, struct hf_why *why);
void hf_monitor_close(struct hf_monitor *monitor); /* NULL: nothing */

/* From here on it is not ready: no new client is to be sent here. NULL: nothing. */
void hf_monitor_leave(struct hf_monitor *monitor);

#endif

/*
 * worker.h - the process that serves: one loop thread and the writer's
 *
 *     serving --SIGTERM, SIGINT--> leaving --all gone, or too late--> ended
 *        |                            |
 *        +----------SIGQUIT-----------+--> leaving in a hurry ------> ended
 *
 *     leaving   nobody is accepted any more; handshakes under way go on for a
 *               second; goodbyes are spread (drain.h), and who was not told yet
 *               is served as ever
 *
 * SIGHUP is for what can be read anew without a restart.
 */
#ifndef HF_SIDECAR_WORKER_H
#define HF_SIDECAR_WORKER_H

#include "schema/running.h"
#include "sidecar/counters.h"
#include "sidecar/listen.h"

struct hf_worker_job {
    const char *dir; /* the journal directory */
    struct hf_listeners *listeners;
    struct hf_counters *counters;
    struct hf_running *running; /* the parent's: closed in the worker */
    const char *echo;             /* path of an echo; NULL = none */
    struct hf_listeners *monitor; /* one that all share, or none */
};

/*
 * Serve, as the worker of that number, until told to end by a signal, all of
 * which must be blocked; see parent.h. `ctx` is a struct hf_worker_job; the
 * listeners, a copy of the parent's, become ours. Returns 0, 1, or
 * HF_WORKER_UNABLE; what went wrong has been logged.
 */
int hf_worker_run(void *ctx, unsigned worker);

#endif

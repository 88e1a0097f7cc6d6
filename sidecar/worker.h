/*
 * worker.h - the process that serves: one loop thread and the writer's
 */
#ifndef HF_SIDECAR_WORKER_H
#define HF_SIDECAR_WORKER_H

#include "sidecar/listen.h"

struct hf_worker_job {
    const char *dir; /* the journal directory */
    struct hf_listener *listener;
    const char *echo; /* path of an echo; NULL = none */
};

/*
 * Serve until SIGTERM or SIGINT, which must be blocked; then stop accepting,
 * say goodbye with 1012, and end when all are gone or HF_CLOSING_MS has passed.
 * For hf_parent_run: `ctx` is a struct hf_worker_job. Returns 0, 1, or
 * HF_WORKER_UNABLE; what went wrong has been logged.
 */
int hf_worker_run(void *ctx);

#endif

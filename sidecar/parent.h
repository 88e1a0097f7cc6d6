/*
 * parent.h - keep workers running
 *
 * The parent holds the listening sockets and does nothing else, so it lives on
 * when a worker dies; clients that connect meanwhile wait in the backlog. A
 * worker opens everything else, after the fork: databases and threads do not
 * survive one.
 *
 *     SIGTERM, SIGINT   ask all workers to end (SIGTERM), wait, return; told
 *                       again a while later, or when they take too long: at once
 *     SIGQUIT           the same, at once: no goodbye is spread (SIGQUIT)
 *     SIGHUP            pass it on: workers read certificates anew
 *     a worker ended    start another in its place: at once, then with growing
 *                       pauses as long as they die young. The others do not
 *                       notice.
 *     parent killed     the kernel sends each worker SIGTERM
 *
 * A worker may be told the same twice, by us and by whoever signals the whole
 * process group (Ctrl-C) or control group.
 */
#ifndef HF_SIDECAR_PARENT_H
#define HF_SIDECAR_PARENT_H

#include <stdint.h>
#include <sys/types.h>

#include "sidecar/counters.h"

/* What a worker returns that could not start, and has said why. The first one
 * in its place is then not replaced, and all end: it is for a person to put
 * right. */
#define HF_WORKER_UNABLE 3

struct hf_parent_job {
    unsigned workers; /* 1 .. HF_WORKERS_MAX */
    int64_t stop_ms;  /* from SIGTERM until a worker is told SIGQUIT */
    int64_t quit_ms;  /* and from then until it is killed */
    /* In a child, numbered from 0; the value is its exit status. All signals
     * named above are blocked, to be read by signalfd. */
    int (*work)(void *ctx, unsigned worker);
    /* In the parent, when told to stop: nobody is to come any more. */
    void (*stopping)(void *ctx);
    /* In the parent: who runs now; 0 in the place of one that does not. May be
     * NULL. */
    void (*changed)(void *ctx, const pid_t *workers, unsigned count);
    /* In the parent, now and then: first when the workers have been started, then
     * as many ms after each time as it has returned, or a little earlier.
     * Negative: end, as if told SIGTERM. NULL: there is nothing to look at. */
    int64_t (*look)(void *ctx);
    void *ctx;
    struct hf_counters *counters; /* told who has ended; may be NULL */
};

/* Run until we are told to stop. Returns the exit status for the whole program:
 * 0, or 1. */
int hf_parent_run(const struct hf_parent_job *job);

#endif

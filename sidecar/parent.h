/*
 * parent.h - keep one worker running
 *
 * The parent holds the listening socket and does nothing else, so it lives on
 * when a worker dies; clients that connect meanwhile wait in the backlog. The
 * worker opens everything else, after the fork: databases and threads do not
 * survive one.
 *
 *     SIGTERM, SIGINT   ask the worker to end (SIGTERM), wait, return
 *     worker ended      start another: at once, then with growing pauses as
 *                       long as they die young
 *     parent killed     the kernel sends the worker SIGTERM
 */
#ifndef HF_SIDECAR_PARENT_H
#define HF_SIDECAR_PARENT_H

/* What a worker returns that could not start, and has said why. The first one
 * is then not replaced: it is for a person to put right. */
#define HF_WORKER_UNABLE 3

/*
 * Run `work` in a child until we are told to stop; its value is the child's
 * exit status. SIGTERM and SIGINT are blocked in the child, to be read by
 * signalfd. Returns the exit status for the whole program: 0, or 1.
 */
int hf_parent_run(int (*work)(void *ctx), void *ctx);

#endif

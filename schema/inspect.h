/*
 * inspect.h - looks a journal directory over, and changes nothing in it
 *
 * Every finding is one line for a person: what was looked at, what is so, and,
 * where something is not as it should be, what that means and what to do. It
 * goes on where the other processes would refuse to start, so that one run
 * tells all there is to tell.
 *
 * It forks, to try whether locks really lock, before it opens a database: call
 * it in a process that has none open and only one thread.
 */
#ifndef HF_SCHEMA_INSPECT_H
#define HF_SCHEMA_INSPECT_H

#include <stdbool.h>
#include <stdint.h>

enum hf_finding_level {
    HF_FINDING_OK,
    HF_FINDING_WARNING, /* works, but not as well as it could */
    HF_FINDING_PROBLEM, /* does not work, or will cost messages */
};

struct hf_finding {
    enum hf_finding_level level;
    const char *subject; /* one word: "locks" */
    const char *text;
};

struct hf_inspection {
    bool full; /* compare indexes and tables too, and read every message */
    void (*found)(void *ctx, const struct hf_finding *finding);
    /* Now and then while it takes long; other than 0 ends it. May be NULL. */
    int (*progress)(void *ctx, const char *what);
    void *ctx;
};

/* The worst level that was found. */
enum hf_finding_level hf_inspect(const char *path,
                                 const struct hf_inspection *inspection);

#endif

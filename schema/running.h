/*
 * running.h - which side-car serves the directory, and by which workers
 *
 * A file with their process ids, for people (`holdfast status`); nothing depends
 * on it. Its lock is the parent's alone, so that what a killed one left there is
 * seen to be old.
 */
#ifndef HF_SCHEMA_RUNNING_H
#define HF_SCHEMA_RUNNING_H

#include <stddef.h>
#include <sys/types.h>

#include "schema/dir.h"
#include "schema/settings.h"

struct hf_running {
    int fd; /* -1: nothing is told */
};

/* From here on we may tell. Where another side-car serves the directory, or the
 * file cannot be made, nothing will be told. */
void hf_running_open(struct hf_running *running, const struct hf_dir *dir);
/* In a child, and when we no longer serve. */
void hf_running_close(struct hf_running *running);

/* The workers of this process; 0 in the place of one that is not there now. */
void hf_running_tell(const struct hf_running *running, const pid_t *workers,
                     unsigned count);

/* Returns the parent's process id, 0 when no side-car serves; at most
 * HF_WORKERS_MAX workers. */
pid_t hf_running_read(const struct hf_dir *dir, pid_t workers[HF_WORKERS_MAX],
                      unsigned *out_count);

#endif

/*
 * failed.h - the flag that says: this disk has lost a sync (D5)
 *
 * When a sync fails the kernel has thrown away what it had promised to write,
 * and it says so once: the next sync succeeds, and what is read back comes from
 * memory. So nothing that this host still shows of the journal proves anything
 * about the disk. The first process of ours that meets it raises the flag, the
 * file `failed` in the directory, and from then on no process of ours publishes,
 * after a restart neither. Reading goes on. No process takes the flag down by
 * itself: `holdfast check --rescue` copies what can be read to a new file with a
 * new epoch, and a person decides about the disk.
 *
 * The flag is the file's being there. Its text is for people:
 *
 *     2026-05-01T10:00:00Z process 4711: a sync failed while committing
 */
#ifndef HF_SCHEMA_FAILED_H
#define HF_SCHEMA_FAILED_H

#include <stdbool.h>

#include "schema/dir.h"

#define HF_FAILED_TEXT 256u

/* Is it raised? One look at the directory, under a microsecond, so every
 * transaction takes it. Who cannot find out is told yes. */
bool hf_failed(const struct hf_dir *dir);

/*
 * Raise it, synced as far as this disk still syncs; `what` was being done. Kept
 * as it is when it is there. 0; HF_EIO: it could not even be made.
 */
int hf_failed_raise(const struct hf_dir *dir, const char *what);

/* Its text without the line end, perhaps empty. 0, HF_ENOTFOUND: not raised,
 * HF_EIO: raised, and not to be read. */
int hf_failed_read(const struct hf_dir *dir, char out[HF_FAILED_TEXT]);

/* Take it down, synced; for `check --rescue` alone, once the new file is in
 * place. 0 (also when there is none), HF_EIO. */
int hf_failed_clear(const struct hf_dir *dir);

#endif

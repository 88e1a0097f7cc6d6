/*
 * mapped.h - a small file in the directory that all processes have mapped
 *
 * What processes share from moment to moment and nobody needs after the last
 * one ended: who waits (bell.h), who holds what (holds.h). A new file is all
 * zero but for the magic number it begins with, and that is a good one. Parts
 * of it are owned through OFD locks on the file's bytes, so that the kernel
 * frees them when a process dies.
 */
#ifndef HF_SCHEMA_MAPPED_H
#define HF_SCHEMA_MAPPED_H

#include <stddef.h>
#include <stdint.h>

#include "schema/dir.h"

/* One file: the same in all processes of one version. */
struct hf_mapped_kind {
    const char *name;
    uint64_t magic; /* its first eight bytes; another one for another layout */
    size_t size;
    int64_t lock_at;      /* this byte is locked while the file is made */
    const char *replaced; /* for the log: one of another version was, and */
    const char *effect;   /* what that means for who still has it mapped */
};

struct hf_mapped {
    void *at;
    size_t size;
    int fd;     /* the file; owns the locks; -1 = not open */
    int dir_fd; /* the directory */
};

/* Map the file, creating it if need be. One of another version of Holdfast, or
 * damaged, is replaced, with a line in the log. 0, HF_EIO. */
int hf_mapped_open(const struct hf_dir *dir, const struct hf_mapped_kind *kind,
                   struct hf_mapped *out);
/* Frees what it had locked. Accepts the one that was not opened. */
void hf_mapped_close(struct hf_mapped *mapped);

#endif

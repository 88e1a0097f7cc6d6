/*
 * fresh.h - a database file that is made under another name, then put in place
 *
 * Whoever looks at FILE sees the old file, or none, or the whole new one. While
 * it is made it is FILE.part, locked (flock), so that two who make the same
 * file do not meet and what a killed one has left is written over.
 *
 *     hf_fresh_open   FILE.part is there and empty, `db` is open on it
 *     ...             fill it
 *     hf_fresh_place  close, sync, put in place, sync the directory
 *     hf_fresh_drop   in any case: what is left of it goes
 */
#ifndef HF_SCHEMA_FRESH_H
#define HF_SCHEMA_FRESH_H

#include <limits.h>
#include <sys/types.h>

#include "schema/db.h"

struct hf_fresh {
    struct hf_db db; /* synchronous=OFF: place syncs once, at the end */
    int fd;          /* FILE.part, holding the lock; -1 = none */
    int dir;         /* its directory */
    char dir_path[PATH_MAX];
    char name[NAME_MAX + 1];
    char part[NAME_MAX + 1];
};

/* Who may read the file. */
struct hf_fresh_owner {
    mode_t mode;
    gid_t group; /* (gid_t)-1: leave it */
};

/* 0; HF_EBUSY: somebody makes this file now; HF_ENOTFOUND, HF_EDENIED, HF_EIO,
 * HF_EFULL, HF_ESTORE, HF_ENOMEM. *why is filled. */
int hf_fresh_open(struct hf_fresh *fresh, const char *path,
                  const struct hf_fresh_owner *owner, struct hf_why *why);

/* HF_EEXIST: FILE is there and `replace` is false. Else as open. Sets the file
 * to journal_mode=DELETE first, so that it is one file and can be read on a
 * read-only medium; our processes set WAL again when they open it. */
int hf_fresh_place(struct hf_fresh *fresh, bool replace, struct hf_why *why);

/* What place does before it puts the file in place, for who does that himself:
 * sets journal_mode=DELETE and closes `db`, unless it is closed already, then
 * syncs. FILE.part is whole and synced. */
int hf_fresh_finish(struct hf_fresh *fresh, struct hf_why *why);

/* Accepts one that failed to open, and one in place. */
void hf_fresh_drop(struct hf_fresh *fresh);

/* Room for so many bytes more where the file is? Leaves some to others.
 * HF_EFULL with *why, which ends with `remedy`: what is to be done then. */
int hf_fresh_room(const struct hf_fresh *fresh, uint64_t bytes,
                  const char *remedy, struct hf_why *why);

#endif

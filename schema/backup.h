/*
 * backup.h - a copy of a journal that is in use
 *
 * The copy is one state of the journal: a read snapshot is held on the source
 * and SQLite's backup runs inside it, a step of a megabyte at a time. Without
 * the snapshot every commit of another process would make the backup begin
 * again, and beside busy publishers it would never end. Nobody is locked out;
 * the price is that the WAL cannot begin anew meanwhile, so it is watched: when
 * it nears its ceiling (max_wal) the backup gives up before publishers are
 * refused.
 *
 * The copy has no epoch, so that whoever opens it as a journal begins a new one
 * (D2): ids given after it was made are given again in it, and a cursor of the
 * old history must not be mistaken for one of the new. Long-poll sessions and
 * what was sent to them are left out. It is in journal_mode=DELETE: one file.
 */
#ifndef HF_SCHEMA_BACKUP_H
#define HF_SCHEMA_BACKUP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "schema/alone.h"
#include "schema/journal.h"

struct hf_db;

struct hf_backup {
    const char *path; /* of the copy; its directory exists */
    mode_t mode;      /* of the copy */
    gid_t group;      /* of the copy, or (gid_t)-1 */
    bool replace;     /* an older copy of that name; nothing else ever */
    bool quick;       /* look the copy over with quick_check only */
    int64_t max_wal;  /* bytes the source's WAL may reach; 0 = any */

    /* After each step; other than 0 stops with HF_ECLOSED. May be NULL. */
    int (*progress)(void *ctx, uint64_t done, uint64_t total); /* bytes */
    void *ctx;
};

/*
 * Copy what `source` sees. It is not inside a transaction of its own; another
 * connection of this or another process may be. `path` is there, whole, synced
 * and looked over, when this returns 0; else it is as it was before.
 *
 * HF_EEXIST: there already, and not `replace`, or not to be replaced; HF_EFULL:
 * no room (looked at before); HF_EBLOCKED: the WAL neared its ceiling;
 * HF_ESTORE: the source, and so the copy, is damaged; HF_ECLOSED: stopped;
 * HF_EBUSY, HF_ENOTFOUND, HF_EDENIED, HF_EIO, HF_ENOMEM. *why is filled.
 */
int hf_backup_make(struct hf_db *source, const struct hf_backup *backup,
                   struct hf_why *why);

/* For move.h: fill `fresh` with all that `source` sees, its history and sessions
 * too, and look it over. Only progress, ctx and quick of *backup are used. */
struct hf_fresh;
int hf_backup_whole(struct hf_db *source, struct hf_fresh *fresh,
                    const struct hf_backup *backup, struct hf_why *why);

/* The same for a connection; mode, group and max_wal are set from it. */
int hf_journal_backup(struct hf_journal *journal,
                      const struct hf_backup *backup, struct hf_why *why);

/*
 * The way back: put `path`, a copy or another journal's file of this version or
 * an older one, in place of the journal of the directory, whose file is kept
 * under the name written to `kept`. It is looked over before anything is
 * changed, and done alone (alone.h); `replace`, mode, group and max_wal of
 * *backup are not used. The flag that a sync has failed is taken down, for the
 * file is a new one. What is put in place has no epoch: open it once.
 *
 * HF_EBUSY: somebody has the journal open; HF_EINVAL: the file is no journal,
 * or of a newer version; else as above.
 */
int hf_backup_restore(const struct hf_dir *dir, const struct hf_backup *backup,
                      char kept[HF_ALONE_KEPT], struct hf_why *why);

#endif

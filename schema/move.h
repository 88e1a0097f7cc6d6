/*
 * move.h - a journal goes to another directory, and its history goes on there
 *
 * A copy made by backup.h begins a new history, since the original may go on and
 * give the same ids again. Moving is what needs none: everything is stopped, and
 * where the journal was none is left, so the ids, cursors, sessions and tokens of
 * before stay good in the new directory. That may then be carried to another
 * host; clients come back there and miss nothing.
 *
 *     alone    nobody has the journal open (alone.h), nor opens it meanwhile
 *     copy     the settings, keys and secrets; the journal, as FILE.part, whole,
 *              looked over, synced
 *     retire   journal.db becomes journal.db.moved-<time>, with its log, and the
 *              file `moved` says where to: from here on the old directory cannot
 *              be opened, and `holdfast init` does not make it anew
 *     place    the copy gets its name
 *
 * Killed at any moment there is never a journal in both. Killed between the last
 * two steps there is one in neither; both files are whole, and giving either its
 * name is the way on (docs/OPERATING.md).
 */
#ifndef HF_SCHEMA_MOVE_H
#define HF_SCHEMA_MOVE_H

#include "schema/backup.h"

/*
 * To `path`, which is made: it is not there yet, its parent is. Of *backup only
 * progress, ctx and quick count. `kept`: the name that the old file has now. 0;
 * HF_EBUSY: somebody has it open; HF_EEXIST: the path is there; HF_EDENIED: the
 * directory is another account's, even for root; HF_EIO: its disk has lost
 * something (failed.h); else as
 * hf_backup_make, with *why filled; then the journal is where it was, unless *why
 * says otherwise.
 */
int hf_move(const struct hf_dir *dir, const char *path,
            const struct hf_backup *backup, char kept[HF_ALONE_KEPT],
            struct hf_why *why);

/* Was the journal of this directory moved away? *why then says where to. */
bool hf_moved(const struct hf_dir *dir, struct hf_why *why);

#endif

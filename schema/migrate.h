/*
 * migrate.h - versions of the journal's tables, and the way from one to the next
 *
 * schema/NNN_*.sql brings a journal from version NNN-1 to NNN; `init` runs all
 * of them. A file that has been released is never edited.
 *
 * Whoever first opens an older journal, to read or to write, migrates it:
 *
 *     lock       one process at a time; whoever comes second finds it done
 *     check      the tables are those of the old version, and nothing else
 *     backup     a copy, journal.db.v<old>-backup, replacing one of that name
 *     change     all versions up to ours in one IMMEDIATE transaction
 *
 * A kill at any moment leaves the old version whole or the new one. Older
 * processes that have the journal open go on working, for the new tables allow
 * what the old ones did; they cannot open it again. The way back is to stop
 * everything and put the backup in place of journal.db; what was published
 * since is lost then, and clients start afresh, for it begins a new epoch.
 */
#ifndef HF_SCHEMA_MIGRATE_H
#define HF_SCHEMA_MIGRATE_H

#include "base/err.h"
#include "schema/journal.h"

#define HF_SCHEMA_VERSION 3u /* PRAGMA user_version of our journals */

/* The texts of versions 1 to HF_SCHEMA_VERSION, in this order. */
extern const char *const hf_schema_texts[HF_SCHEMA_VERSION];

/*
 * Bring the journal, just opened, of an older version and not looked over yet,
 * to ours; a longer wait than usual. 0; HF_EBUSY: another process is at it or
 * keeps the write lock; HF_EFULL: no room for the backup; HF_EINVAL: the tables
 * are not those of its version; HF_EIO, HF_ESTORE. On error *why is filled and
 * the journal is as it was.
 */
int hf_migrate(struct hf_journal *journal, struct hf_why *why);

#endif

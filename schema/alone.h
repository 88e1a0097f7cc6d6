/*
 * alone.h - the journal while nobody has it open, to put another in its place
 *
 * Every connection in WAL mode holds a lock on the main file for as long as it
 * is open, also one that does nothing. Whoever gets all of these bytes knows
 * that there is none, and that none opens it until he lets go: it finds the
 * journal busy. The locks are of the open file description (F_OFD_*), so what
 * this process opens and closes besides does not drop them; its own SQLite must
 * not lock, though ("unix-none").
 */
#ifndef HF_SCHEMA_ALONE_H
#define HF_SCHEMA_ALONE_H

#include "schema/dir.h"
#include "schema/fresh.h"

struct hf_alone {
    int fd; /* -1 = not alone */
};

/* 0; HF_EBUSY: somebody has it open, *why names the processes as far as we may
 * see them; HF_EDENIED, HF_EIO. Not while this process has it open. */
int hf_alone_take(struct hf_alone *alone, const struct hf_dir *dir,
                  struct hf_why *why);
void hf_alone_end(struct hf_alone *alone);

/* "4711 php, 4712 holdfast-gateway": the processes that have it open, as far as
 * we may look into them; our own is left out. Returns their number. */
size_t hf_alone_openers(const struct hf_dir *dir, char *out, size_t cap);

/*
 * Read the journal while alone, without SQLite's locks, which would meet ours, and
 * without a -shm: in exclusive mode the index of the WAL is kept in memory.
 * Nothing is written to it. 0, or as hf_db_open; close with hf_db_close.
 */
struct hf_db;
int hf_alone_read(struct hf_db *db, const struct hf_dir *dir,
                  struct hf_why *why);

#define HF_ALONE_KEPT 64u /* bytes of the name below */

/*
 * Put the file that `fresh` has finished in the journal's place. The old one is
 * kept with its WAL as journal.db.<tag>-<time>, whose name is written to
 * `kept`. In this order, so that at no moment a file stands beside a WAL of
 * another: the old pair gets its second name, the WAL loses its first, the new
 * file takes the journal's name. Killed in between, the old journal stands
 * there without its newest messages, and the kept pair has all; after an error
 * the old WAL has its first name again, or *why says how to give it back.
 *
 * It returns when no process that we may see has the old file open: one that
 * waits for the lock would write its log beside the new file. Programs wait for
 * seconds, PHP's PDO for a minute. 0, HF_EEXIST, HF_EIO.
 */
#define HF_ALONE_OUTLAST_MS INT64_C(70000)
int hf_alone_replace(const struct hf_dir *dir, struct hf_fresh *fresh,
                     const char *tag, char kept[HF_ALONE_KEPT],
                     struct hf_why *why);

/* The same with nothing in its place: afterwards the directory has no journal. */
int hf_alone_retire(const struct hf_dir *dir, const char *tag,
                    char kept[HF_ALONE_KEPT], struct hf_why *why);

#endif

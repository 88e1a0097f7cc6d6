/*
 * shim.h - between SQLite and the disk: counts calls, fails them, fills up
 *
 * A VFS of SQLite over the one for Unix. Installed as the default before
 * anything is opened, it sees every file access of every connection of this
 * process, ours and foreign ones, without the product knowing. It can
 *
 *   - count the calls of each class, per kind of file
 *   - fail the n-th call of a class with a chosen code, once or from then on
 *   - be a small disk, full when the files of the directory fill it
 *   - tell somebody of all that is done to files (disk.h, for power cuts)
 *
 * Whatever the tests of a program do to it, shim_reset makes it transparent
 * again. Every function may be called from every thread.
 *
 *     shim_install();
 *     ... open the journal ...
 *     shim_fail(SHIM_SYNC, SHIM_WAL, 1, SHIM_ONCE, SQLITE_IOERR_FSYNC);
 *     ... publish: the next sync of the WAL fails ...
 *     assert(shim_failed() == 1);
 *     shim_reset();
 *
 * live.db is a database, too. Tests of the journal say shim_only("journal.db")
 * and have its main file and WAL counted and failed, nothing else.
 */
#ifndef HF_TESTS_VFS_SHIM_H
#define HF_TESTS_VFS_SHIM_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum shim_call {
    SHIM_OPEN,
    SHIM_READ,
    SHIM_WRITE,
    SHIM_TRUNCATE,
    SHIM_SYNC,
    SHIM_SIZE,    /* asking for a file's length */
    SHIM_LOCK,    /* of the main file; in WAL mode taken at open */
    SHIM_SHM_MAP, /* a part of the wal-index, made or opened */
    SHIM_SHM_LOCK,
    SHIM_DELETE,
    SHIM_ACCESS, /* is the file there? */
    SHIM_CALLS
};

/* Kinds of files; a set of them is their sum. */
#define SHIM_MAIN     1u
#define SHIM_WAL      2u
#define SHIM_ROLLBACK 4u /* journal of a database that is not in WAL mode */
#define SHIM_OTHER    8u /* temporary files */
#define SHIM_ANY      15u

/* Once per process, before sqlite3_open; again does nothing. It stays for the
 * life of the process. */
void shim_install(void);

/* No faults, a big disk, all files, counters at 0. The watcher stays. */
void shim_reset(void);

/* Count and fail only files whose name begins with this; NULL: all. Borrowed
 * until the next call or reset. */
void shim_only(const char *name);

/* Calls since the last reset, those that failed included. */
unsigned long shim_count(enum shim_call call, unsigned files);

/* --- faults --------------------------------------------------------------- */

#define SHIM_ONCE    1ul
#define SHIM_FOREVER 0ul

/*
 * The nth call from now on (1 = the next one), and `times` of them altogether,
 * gives SQLite this code (SQLITE_IOERR_FSYNC, SQLITE_IOERR_WRITE,
 * SQLITE_IOERR_READ, SQLITE_FULL, SQLITE_CANTOPEN, SQLITE_IOERR_SHMMAP ...) and
 * is not done. Up to SHIM_FAULTS may wait at a time; shim_reset or
 * shim_heal removes them.
 */
#define SHIM_FAULTS 8
void shim_fail(enum shim_call call, unsigned files, unsigned long nth,
               unsigned long times, int code);
/* Remove all faults; counters and disk stay as they are. */
void shim_heal(void);

/* Calls that a fault or the full disk has failed since the last reset. */
unsigned long shim_failed(void);

/*
 * From now on the directory is a disk of so many bytes: a write or truncation
 * by which its files (all of them, whoever made them, in blocks of 4 KiB) would
 * exceed that gives SQLITE_FULL, and a growing wal-index SQLITE_IOERR_SHMSIZE,
 * as a full disk does. So what is deleted or cut short makes room, also by
 * other means than SQLite. Negative: no limit. shim_disk_used says what is
 * taken now; a disk as big as that is full.
 */
void shim_disk(const char *directory, int64_t bytes);
int64_t shim_disk_used(const char *directory);

/* A sync is answered at once and not passed on: much faster, and nobody in a
 * test that does not cut the host's own power can tell. Default: passed on. */
void shim_sync_for_real(bool on);

/* --- who watches ---------------------------------------------------------- */

struct shim_event {
    enum shim_call call; /* OPEN, WRITE, TRUNCATE, SYNC, DELETE */
    unsigned file;       /* its kind */
    const char *path;    /* absolute; NULL for temporary files */
    ino_t inode;         /* of the open file; 0 for DELETE */
    bool sync_directory; /* SYNC, DELETE: the directory, too, is synced */
    bool failed;         /* by a fault: SYNC only */
    const void *data;    /* WRITE */
    size_t len;
    int64_t at; /* WRITE: offset; TRUNCATE: new length */
};

/*
 * Called for what changes files: OPEN of an existing or new file after it was
 * done; WRITE, TRUNCATE, DELETE just before; SYNC after, also when it failed.
 * On the thread of the connection; must be quick. NULL: nobody.
 */
void shim_watch(void (*watcher)(const struct shim_event *event));

#endif

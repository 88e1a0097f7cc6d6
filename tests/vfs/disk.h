/*
 * disk.h - what would still be on the disk if the power failed now?
 *
 * Watches every change to the files of one directory: SQLite's through shim.h,
 * our own (openat, write, renameat ...) by wrapping them at link time
 * (DISK_WRAPS). Of each file it keeps what is durable, that is the contents
 * at its last sync, and the list of what was done to it since; of the directory
 * likewise: the names at its last sync, and the names made, removed and moved
 * since.
 *
 *     write --> un-synced list --sync--> durable contents
 *                    |                        |
 *                    +--- power cut: --------- + ---> an image of the directory
 *                         each kept, dropped
 *                         or torn at 512 bytes
 *
 * At a cut every un-synced change is kept or not, whatever became of those
 * before and after it, as disks that reorder do. A write may also be torn: each
 * 512-byte sector of it is kept or dropped by itself; bytes outside of what was
 * written are never harmed (SQLite asks for as much: "powersafe overwrite").
 * Where a file was made longer by a write and an earlier one is missing the
 * hole holds zeros or noise. The wal-index, -shm, is no file: it is gone.
 *
 * What was written before a sync that failed is lost or not, and a later sync
 * that works does not bring it back: so does Linux since 4.13.
 *
 * The disk is one, as the shim is. Safe with threads: a change and a cut exclude
 * each other.
 */
#ifndef HF_TESTS_VFS_DISK_H
#define HF_TESTS_VFS_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Begin to watch this directory; what is in it now is durable. Installs the
 * shim. The process must not have any file of it open. */
void disk_begin(const char *directory);
/* Stop watching, forget everything. */
void disk_end(void);

/* When to cut: before the nth (from now on) change of this class. */
enum disk_moment {
    DISK_ANY,
    DISK_WAL_WRITE,
    DISK_WAL_RESTART, /* a WAL's header is written: begun, or begun anew */
    DISK_WAL_SYNC,    /* all of a commit is written, none of it is synced */
    DISK_MAIN_WRITE,  /* a checkpoint is under way */
    DISK_MAIN_SYNC,   /* it is written, none of it is synced */
    DISK_TRUNCATE,
    DISK_NAME, /* a file is made, removed or moved, or the directory synced */
    DISK_MOMENTS
};

/* How the un-synced changes fare. */
enum disk_fate {
    DISK_DROP,   /* none is kept */
    DISK_KEEP,   /* all are */
    DISK_PREFIX, /* those up to a random moment, the last of them torn */
    DISK_MIXED,  /* each by itself, some torn */
    DISK_LATE,   /* mostly the later ones */
    DISK_FATES
};

struct disk_plan {
    enum disk_moment moment;
    unsigned long nth;       /* 1 = the next one */
    unsigned long at_latest; /* changes of any class; 0: wait for the nth */
    enum disk_fate fate;
    uint64_t seed;     /* of every choice made in the cut */
    const char *image; /* directory to make; borrowed */
    /* Called when the power is cut, before the image is made; nothing changes
     * on the disk meanwhile. It must not touch the journal. */
    void (*cut)(void *ctx);
    /* Called after the image is there. May set the next plan. */
    void (*made)(void *ctx);
    void *ctx;
};

/* Replaces the plan there was; NULL: none. Also from within `made`. */
void disk_plan(const struct disk_plan *plan);

/* Changes of a class since disk_begin. */
unsigned long disk_count(enum disk_moment moment);

/* A random number generator for tests: splitmix64, from a seed. */
uint64_t disk_random(uint64_t *state);

#endif

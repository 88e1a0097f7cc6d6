/*
 * calls.h - our own calls of the C library and the kernel: counted and failed
 *
 * What shim.h is to SQLite this is to our own code: the linker sends its
 * malloc, openat, fsync and so on here (CALLS_WRAPS), and SQLite its memory
 * (calls_install). Libraries' own calls are not seen.
 *
 * Only what can fail in life fails: read and write of plain files, locks that
 * are taken. Nothing is counted or failed before calls_on(true).
 *
 * Compile calls.c into the program; it and disk.c wrap some of the same calls.
 */
#ifndef HF_TESTS_VFS_CALLS_H
#define HF_TESTS_VFS_CALLS_H

#include <stdbool.h>

enum calls {
    CALLS_MEMORY,        /* malloc, calloc, realloc of ours */
    CALLS_SQLITE_MEMORY, /* of SQLite */
    CALLS_OPEN,          /* open, openat */
    CALLS_READ,          /* read, pread */
    CALLS_WRITE,         /* write, pwrite */
    CALLS_FSYNC,
    CALLS_RENAME,
    CALLS_TRUNCATE,
    CALLS_STAT, /* fstat, fstatat */
    CALLS_LOCK,
    CALLS_MAP,
    CALLS_DESCRIPTOR, /* eventfd, epoll_create1, socket, inotify_init1, dup */
    CALLS_EPOLL,      /* epoll_ctl that adds */
    CALLS_THREAD,
    CALLS_KINDS
};

/* Before SQLite is used. */
void calls_install(void);

void calls_on(bool on);
/* The nth call of the class from now on fails, once; 0: none. */
void calls_fail(enum calls which, unsigned long nth);
unsigned long calls_count(enum calls which);
bool calls_failed(void);

#endif

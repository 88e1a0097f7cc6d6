/*
 * sys.h - descriptors, files and locks of the operating system
 */
#ifndef HF_BASE_SYS_H
#define HF_BASE_SYS_H

#include <stdint.h>
#include <sys/types.h>

#include "base/str.h"

/* 0 or HF_EIO. */
int hf_set_nonblocking(int fd, bool on);
int hf_set_cloexec(int fd);
/* Whoever starts us may have closed 0, 1 or 2; the next file opened would take
 * that number, and a line of the log end up in it. Fills the gaps. */
void hf_fill_standard_fds(void);
/* Close unless negative, and set to -1; errno is kept. */
void hf_close(int *fd);

/*
 * Locks of open file descriptions (F_OFD_*): owned by the descriptor, freed by
 * the kernel when its last copy closes, and so by kill -9 too. Exclusive, on
 * `len` bytes from `at`.
 */
int hf_lock_try(int fd, int64_t at, int64_t len);   /* 0, HF_EBUSY, HF_EIO */
/* Wait in the kernel's queue, at most until `deadline_ms` (hf_boot_ms). For
 * one thread only: the caller's thread may be interrupted by a signal of its
 * own while it waits. 0, HF_EBUSY at the deadline, HF_EIO. */
int hf_lock_wait(int fd, int64_t at, int64_t len, int64_t deadline_ms);
void hf_unlock(int fd, int64_t at, int64_t len);
/* Does anybody else hold any of it? */
bool hf_locked(int fd, int64_t at, int64_t len);

/* Read a whole small file below directory dirfd (AT_FDCWD allowed); *out_len
 * is at most cap, longer files give HF_ELIMIT. 0, HF_ENOTFOUND, HF_EIO. */
int hf_file_read(int dirfd, const char *name, void *out, size_t cap,
                 size_t *out_len);
/* Write under another name, optionally sync, rename into place: readers see
 * the old file or the new one, never a part. 0 or HF_EIO. */
int hf_file_replace(int dirfd, const char *name, mode_t mode,
                    struct hf_str contents, bool sync);

/*
 * Afterwards the file has at least `len` bytes and the disk has a place for each
 * of them; what it holds stays. Where the file system cannot do that the bytes
 * beyond its end are written: zeros or, `dense`, some that cannot be made
 * smaller. 0; HF_EIO (errno), and it may have grown.
 */
int hf_allocate(int fd, int64_t len, bool dense);

/* The kernel's id of this boot, 36 characters. 0 or HF_EIO. */
int hf_boot_id(char out[40]);

/* What /proc calls this process; "" when it is gone or hidden. */
void hf_process_name(pid_t pid, char out[17]);

/* Raise the soft limit of descriptors to the hard one; returns the limit. */
size_t hf_raise_fd_limit(void);

/* Give free memory back to the system: of the heap, as far as the C library can,
 * and, on the main thread, of the stack. */
void hf_trim_memory(void);

#endif

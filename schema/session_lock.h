/*
 * session_lock.h - whose turn it is to work on a session, over all processes
 *
 * A POST whose frames are asked of the application is more than one
 * transaction. It holds a lock of its session meanwhile, so that another POST
 * of the session, in whatever process, comes before all of it or after (D6).
 * The lock is one byte of the file `posts`, at a place that the session's
 * random id gives; the kernel frees it when a process dies. Within a process
 * they take turns in the order of their coming.
 *
 * Waiting is done by the loop, never by the thread.
 */
#ifndef HF_SCHEMA_SESSION_LOCK_H
#define HF_SCHEMA_SESSION_LOCK_H

#include "base/list.h"
#include "base/loop.h"
#include "base/str.h"
#include "schema/dir.h"

struct hf_session_locks; /* one per process */

struct hf_session_lock {
    /* It was waited for: 0, or HF_EBUSY, HF_EIO: it is not ours. */
    void (*taken)(struct hf_session_lock *lock, int err);
    /* private */
    struct hf_session_locks *owner; /* NULL: neither held nor waited for */
    struct hf_list node;
    int64_t at, deadline_ms;
    bool held;
};

int hf_session_locks_open(struct hf_loop *loop, const struct hf_dir *dir,
                          struct hf_session_locks **out);
/* Nothing may be held; who waits is told HF_EBUSY. NULL: nothing. */
void hf_session_locks_close(struct hf_session_locks *locks);

/* 0: it is ours; HF_EAGAIN: `taken` will be called, after wait_ms at the
 * latest; HF_EIO. The zeroed struct, with `taken`. */
int hf_session_lock_take(struct hf_session_locks *locks,
                         struct hf_session_lock *lock, struct hf_str session,
                         int64_t wait_ms);
/* Held, waited for, or neither. */
void hf_session_lock_drop(struct hf_session_lock *lock);

#endif

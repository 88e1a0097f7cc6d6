/*
 * holders.h - which processes hold SQLite's locks on the journal, to name them
 *
 * From /proc/locks, for people: the kernel shows processes that we may see, and
 * what it shows may be over before it is read. Our own process is left out, and
 * nothing is opened: closing journal.db-shm would drop this process' own locks.
 */
#ifndef HF_SCHEMA_HOLDERS_H
#define HF_SCHEMA_HOLDERS_H

#include <stddef.h>
#include <sys/types.h>

#include "schema/dir.h"

enum hf_hold {
    HF_HOLD_READ,      /* in a read transaction */
    HF_HOLD_WRITE,     /* the write lock */
    HF_HOLD_EXCLUSIVE, /* all of it: PRAGMA locking_mode = EXCLUSIVE */
};

#define HF_HOLDERS 8u

/*
 * "4711 php, 4712 python3" of the journal in dir, at most HF_HOLDERS of them;
 * "" when none is seen. Returns their number.
 */
size_t hf_holders(const struct hf_dir *dir, enum hf_hold hold, char *out,
                  size_t cap);

#endif

/*
 * journal_impl.h - inside of a journal connection, for the files of schema/
 *
 * One idea needs care: what the connection believes of the history, `epoch`
 * and `head_seen`, comes from committed states only. A sequence read inside a
 * transaction of our own may still be undone, and believing it would make the
 * sequence seem lowered afterwards (history.c).
 */
#ifndef HF_SCHEMA_JOURNAL_IMPL_H
#define HF_SCHEMA_JOURNAL_IMPL_H

#include <sys/stat.h>

#include "schema/bell.h"
#include "schema/db.h"
#include "schema/journal.h"

#define HF_APPLICATION_ID 0x48464a31          /* "HFJ1" */
#define HF_HISTORY_LEAP   (UINT64_C(1) << 20) /* added where ids may be lost */

/* Ids of unreadable rows that a connection remembers to have named. */
#define HF_UNREADABLE_NAMED 64u

/* Words of the wal-index that a commit changes, once it can be read: the first
 * copy of its header, which is written last. */
#define HF_STIRRING 12u

/* What guard.c knows of log and disk. */
struct hf_guard {
    int64_t wal_bytes;  /* length of the WAL at the last look at the files */
    int64_t room_ms;    /* hf_boot_ms of the last look at the disk; 0 = none */
    bool full;          /* what it found */
    bool no_ballast;    /* none could be made then, and not for lack of room */
    bool failed;        /* a sync was lost, and the flag could not be raised */
    int refused;        /* what was refused and logged last; 0 = nothing */
    int64_t refused_ms; /* when it was logged */
    int64_t locked_ms;  /* when being locked out was logged */
};

struct hf_journal {
    struct hf_db db;
    struct hf_dir dir; /* our own copy and descriptor */
    const struct hf_settings *settings;
    enum hf_journal_use use;

    uint64_t epoch;
    uint64_t head_seen;    /* greatest sequence seen in this epoch */
    int64_t head_saved_ms; /* hf_boot_ms of the last look at file `head` */

    int64_t data_version; /* of the last hf_journal_snapshot_if_new */
    bool version_known;
    bool shed; /* what is known of the tables, since the last snapshot */
    uint32_t stirring[HF_STIRRING]; /* of the wal-index, just before it */
    bool stirring_known;
    unsigned snapshots; /* open, one within the other */

    int writers_fd;       /* OFD lock `writers`; -1 until needed */
    bool queued;          /* we hold that lock */
    bool writing;         /* between begin and commit or rollback */
    uint64_t first;       /* sequence when the transaction began, plus 1 */
    struct hf_bell *bell; /* to ring; NULL: nobody is woken */
    struct hf_bell_names to_ring; /* of this transaction */
    bool presence_changed; /* in it; may be true though it was undone */

    uint64_t unreadable; /* rows passed over and named in the log */
    uint64_t named[HF_UNREADABLE_NAMED]; /* their ids, by id modulo slots */

    int clock_said;        /* last news of the clock (retention.c) */
    int64_t clock_said_ms; /* hf_boot_ms when it was logged */

    struct hf_guard guard;
    bool owed; /* the history could not be put right at open */
    ino_t wal; /* 0 = not seen yet */
    bool lost; /* the files were replaced below us */
};

/* The connection, for sessions.c and policies.c. */
static inline struct hf_db *hf_journal_db(struct hf_journal *journal)
{
    return &journal->db;
}

/* Byte ranges of the file `writers`. */
#define HF_WRITERS_QUEUE  0 /* our writers' queue before BEGIN IMMEDIATE */
#define HF_WRITERS_LIVE   1 /* making live.db */
#define HF_WRITERS_UPKEEP 2 /* migrating, or one step of retention */
/* Contents: the pid of who writes, as text; then how the last attempt to empty
 * a log above its ceiling went, for all our processes, written in the queue;
 * then the last process that found the files replaced below it. */
#define HF_WRITERS_DRAINED  16
#define HF_WRITERS_STRANDED 64
struct hf_drained {
    int64_t at_ms; /* hf_boot_ms; 0 = never */
    int64_t bytes; /* that the log still held; 0 = emptied */
    int64_t file;  /* length of its file then; longer now: the log has grown */
};
struct hf_stranded {
    int64_t pid; /* 0 = none */
    int64_t at_ms;
};

/* The writers' queue, and with it BEGIN IMMEDIATE; bounded by deadline_ms. 0,
 * HF_EBUSY, HF_EIO, HF_EREPLACED, HF_ESTORE. On error nothing is held. */
int hf_journal_queue(struct hf_journal *journal, int64_t deadline_ms);
int hf_journal_lock(struct hf_journal *journal, int64_t deadline_ms);
/* Rolls back what is open, then leaves the queue. */
void hf_journal_unlock(struct hf_journal *journal);

/*
 * Was the journal or its WAL replaced or removed below us? SQLite would go on
 * happily in the unlinked files, and what we publish there nobody would see.
 * HF_EREPLACED from then on. No way back within this process: SQLite's locks
 * are the process', and hold as long as any connection to the old files is
 * open; nor is one process enough, for those that have the old WAL and those
 * that make a new one share the index. So all must end, and the log says so.
 * Two calls into the kernel: writers ask at each begin, who waits as wake.h
 * says.
 */
int hf_journal_check_files(struct hf_journal *journal);

/* --- guard.c ------------------------------------------------------------- */

/*
 * May a transaction begin? In the queue, before BEGIN; tries what may help
 * first: empties a log above its ceiling, puts back the ballast or makes it
 * larger. What was in vain is not tried again for a second; only the room is
 * looked at once a second even if all is well. 0, HF_EFAILED, HF_EBLOCKED,
 * HF_EFULL.
 */
int hf_guard_admit(struct hf_journal *journal, bool upkeep);

/* After a commit, in the queue: copy a long log into the main file. What goes
 * wrong is noted in the connection, and settled when the queue is left. */
void hf_guard_checkpoint(struct hf_journal *journal);

/* Before the queue is left, no transaction open: raise the flag if a sync was
 * lost, make room if a write found none. */
void hf_guard_settle(struct hf_journal *journal, const char *while_doing);

/* Log that writing is refused: when that is new, then once a minute; and, with
 * 0, that it goes on again. Returns err. */
int hf_guard_report(struct hf_journal *journal, int err);

/* A read met HF_EBUSY, which WAL mode does not know unless somebody has locked
 * everything: says so, once a minute. Returns err. */
int hf_guard_locked_out(struct hf_journal *journal, int err);

/* --- history.c ----------------------------------------------------------- */

/* At open: file `head`, boot, sequence, epoch; repairs what it finds. */
int hf_history_open(struct hf_journal *journal, struct hf_why *why);

/*
 * Read epoch and sequence of what is committed. 0; HF_EAGAIN: the sequence is
 * missing or was lowered, see hf_history_repair. Outside a transaction of our
 * own, or right after its BEGIN. *out may be NULL.
 */
int hf_history_look(struct hf_journal *journal, uint64_t *out_head);

/* Put the history right in a transaction of its own; bounded. */
int hf_history_repair(struct hf_journal *journal, int64_t deadline_ms);

/* What file `head` says: the epoch, and the highest id seen in it. */
struct hf_head {
    uint64_t epoch; /* 0 = no such file, or it cannot be read */
    uint64_t id;
};
struct hf_head hf_history_head(const struct hf_dir *dir);

/* Write `head` unless that was done within a second; holding the queue. */
bool hf_history_head_due(const struct hf_journal *journal);
void hf_history_save_head(struct hf_journal *journal);

#endif

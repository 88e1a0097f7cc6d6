/*
 * wake.h - tells a loop that the journal has grown, whoever wrote to it (D4)
 *
 * Three sources, one callback: our bell (publishers of ours and the watcher
 * ring it), the watcher's own eyes when this process is the elected one (flock
 * on `watcher`, inotify on the directory, then looking again and again, because
 * the event precedes the commit), and the backstop: PRAGMA data_version every
 * 0.5 s (250 ms without a slot or without inotify). `grown` is called on the
 * loop's thread, only when the data version moved, and must read everything
 * after its own cursor. A snapshot of what moved it is open meanwhile
 * (hf_journal_snapshot, which may be nested): who reads at once needs no second
 * transaction, and must not wait for anybody. What is rarer than messages is
 * looked for every 2 s only, unless something else tells of it.
 *
 * While nobody waits here for any name there is no slot, no polling and no
 * watching; when the last one has gone that comes with the next backstop, for
 * a client comes back at once.
 *
 * What foreign programs and accidents do, and how long a message that can be
 * read then waits at most (tests/unit/test_foreign.c; usually it is much less):
 *
 *     the watcher resigns                 at once: it rings one successor
 *     it is killed, also with a commit    0.5 s: everybody's backstop finds
 *       seen and nobody rung yet          the rows; the first to look watches.
 *                                         With no rows to find it is replaced
 *                                         within 2 s
 *     a bell is lost                      0.5 s; if it told of no rows, 2 s
 *     no inotify to be had, no free slot  0.25 s
 *     a transaction is held open          looks get rare, the last of them
 *       (pages in the WAL or not)         twice a second; the commit raises an
 *                                         event of its own
 *     a checkpoint, of whatever kind      none is delayed; each waiter may look
 *                                         once for nothing, nobody is rung
 *     the last close removed the WAL      made anew at our open; none
 *     journal_mode = DELETE               refused by SQLite while we are there;
 *                                         set back to WAL at our open
 *     locking_mode = EXCLUSIVE            the same; but who has it before us
 *                                         keeps us from opening: refused with
 *                                         words until it ends
 *     journal or WAL moved, replaced or   refused with words, at once by the
 *       removed while we have it open     watcher and those it rings, else
 *                                         within 2 s: journal_replaced in the
 *                                         log, and nothing is told any more
 */
#ifndef HF_SCHEMA_WAKE_H
#define HF_SCHEMA_WAKE_H

#include "base/loop.h"
#include "schema/bell.h"
#include "schema/journal.h"

#define HF_WAKE_BACKSTOP_MS      500
#define HF_WAKE_BACKSTOP_BARE_MS 250
#define HF_WAKE_THOROUGH_MS      2000

struct hf_wake;

/* `journal` is the loop's read connection, borrowed. 0, HF_ENOMEM, HF_EIO. */
int hf_wake_new(struct hf_loop *loop, const struct hf_dir *dir,
                struct hf_journal *journal, void (*grown)(void *ctx), void *ctx,
                struct hf_wake **out);
void hf_wake_free(struct hf_wake *wake);

/*
 * This process watches no descriptors of its own (plain CGI): it is rung by a
 * word in memory, which leaves no file behind and costs ringer and waiter less.
 * Only while it is the watcher, whose eyes are a descriptor, it has a socket
 * all the same. Before the first hf_wake_add.
 */
void hf_wake_without_descriptors(struct hf_wake *wake);

/* What the first name begins, before there is one: for who adds names inside a
 * snapshot of the journal, where that must not begin. Without names it ends by
 * itself. */
void hf_wake_start(struct hf_wake *wake);

/*
 * One more, or one less, who waits here for this name (of a topic, a session,
 * a user); those of one name are counted. When it returns the name is heard;
 * what was committed before is not told, so read the journal once yourself.
 */
void hf_wake_add(struct hf_wake *wake, struct hf_str name);
void hf_wake_drop(struct hf_wake *wake, struct hf_str name);

/*
 * Ring whoever else waits for this name though the journal has not grown: a
 * newer poll of a session ends the older one, in whatever process (D20).
 * `rung` of the others is called; also when rows were committed, for bells
 * merge, and every 2 s (without a slot: with every backstop), for bells may be
 * lost.
 */
void hf_wake_ring(struct hf_wake *wake, struct hf_str name);
void hf_wake_on_ring(struct hf_wake *wake, void (*rung)(void *ctx));

/* Is this process the watcher? For status and tests. */
bool hf_wake_watching(const struct hf_wake *wake);

/* Counters since the start; with log level debug their sums are in the line
 * `waited` when it ends. */
struct hf_wake_counts {
    uint64_t looks;    /* at the journal, whatever for */
    uint64_t glances;  /* of the watcher between two of them, without sleep */
    uint64_t rung;     /* woken by a bell */
    uint64_t noticed;  /* by the watcher's eyes */
    uint64_t backstop; /* found by the backstop: something was missed */
    uint64_t needless; /* woken, and the data version had not moved */
};
struct hf_wake_counts hf_wake_counts(const struct hf_wake *wake);

#endif

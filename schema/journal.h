/*
 * journal.h - one connection to the journal: append, read, cursor, epoch
 *
 * The journal is one SQLite file (D2). A row's id is its place in the one
 * order of everything; ids rise, are never given twice in an epoch, and are
 * also drawn for what long-poll sessions do (sessions.h), so that one order
 * covers all of it (D6).
 *
 * A connection belongs to one thread. Reading never blocks a writer. Writing
 * happens between hf_journal_begin and hf_journal_commit:
 *
 *     begin   queue on the OFD lock `writers`, then BEGIN IMMEDIATE; bounded
 *     ...     append, draw, sessions; savepoints isolate one caller's part
 *     commit  with durability full the rows are on disk when it returns 0
 *
 * Nobody may learn an id before commit has returned 0.
 */
#ifndef HF_SCHEMA_JOURNAL_H
#define HF_SCHEMA_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "schema/dir.h"
#include "schema/settings.h"

struct hf_journal;

enum hf_journal_use { HF_JOURNAL_READ, HF_JOURNAL_WRITE };

/*
 * Open an existing journal and look it over: application_id, user_version,
 * epoch, no foreign schema objects, WAL mode, sequence not behind the file
 * `head` (else a new epoch is set first; with a new boot the sequence is
 * raised by 2^20). `settings` is borrowed for the connection's life. Errors
 * fill *why. Never open it in a process that will fork.
 */
int hf_journal_open(const struct hf_dir *dir,
                    const struct hf_settings *settings, enum hf_journal_use use,
                    struct hf_journal **out, struct hf_why *why);
void hf_journal_close(struct hf_journal *journal); /* NULL: nothing */

/* For plain CGI, where many processes do little: databases are to take less
 * memory, at the cost of speed. Before the first of any kind is opened. */
void hf_journal_be_small(void);
/* Nothing is read for a while: give back the pages that make reading fast. To
 * hf_journal_changed it is no change. Outside of snapshots. */
void hf_journal_rest(struct hf_journal *journal);
/* The same, and what is known of the tables, until anybody has committed or
 * something is read: to ask whether anybody has needs none of it. */
void hf_journal_shed(struct hf_journal *journal);

/* 64 random bits that name this history; read again when it changed. */
uint64_t hf_journal_epoch(const struct hf_journal *journal);

/* --- reading ----------------------------------------------------------- */

/* Has anybody else committed since the last call on this connection? (PRAGMA
 * data_version.) The first call says yes. Inside a snapshot it is asked of that:
 * what was committed since is still new then. 0 or HF_ESTORE, HF_EBUSY; HF_EREPLACED
 * once it is known that the files are no longer these. */
int hf_journal_changed(struct hf_journal *journal, bool *out);

/*
 * The same, and where anybody has, a snapshot of that state is open, to be ended
 * as below: what is new can then be read at once, without another transaction.
 * On errors none is. Not inside a snapshot.
 */
int hf_journal_snapshot_if_new(struct hf_journal *journal, bool *out);

/* May anybody have committed since that was last asked? A glance at memory that
 * is shared with who writes: some ten nanoseconds, no call of the kernel, never
 * a no when it is yes. A hint all the same: what must not be missed is asked
 * for by the two above (D4). */
bool hf_journal_stirred(struct hf_journal *journal);

/* The number that this connection gives the state of the file: as long as it is
 * the same, nobody else has committed. Errors as above. */
int hf_journal_version(struct hf_journal *journal, int64_t *out);

/* One read transaction around several reads; they then see one state. May be
 * nested: it is that of the outermost, and ends with it. Do not wait for anybody
 * in it: while it is open the log cannot be emptied. */
int hf_journal_snapshot(struct hf_journal *journal);
void hf_journal_snapshot_end(struct hf_journal *journal);
/* Is it still the one that was begun? After some errors SQLite ends it. */
bool hf_journal_in_snapshot(const struct hf_journal *journal);

/* The sequence at this moment: the highest id ever given (D7). */
int hf_journal_head(struct hf_journal *journal, uint64_t *out);

enum hf_kind { HF_KIND_JSON = 0, HF_KIND_BINARY = 1 };

struct hf_row {
    uint64_t id;
    struct hf_str topic;
    struct hf_str event;
    struct hf_str payload; /* verbatim JSON text, or bytes */
    enum hf_kind kind;
    int64_t at_ms;      /* wall clock of the publish */
    struct hf_str skip; /* session or client id not to deliver to; or empty */
};

/* The row is borrowed until the callback returns. Other than 0 stops the
 * reading and is what it returns; that row is not counted as read. */
typedef int (*hf_row_fn)(void *ctx, const struct hf_row *row);

/*
 * Rows with id > after, of every topic, oldest first, at most `max` and about
 * `max_bytes` of payload (at least one row). *out_last: the last id looked
 * at, also when rows were passed over because a foreign writer put in what
 * nobody can read (readable.h: counted and logged); `after` when none.
 * *out_more: there may be further rows.
 */
int hf_journal_read(struct hf_journal *journal, uint64_t after, size_t max,
                    size_t max_bytes, hf_row_fn each, void *ctx,
                    uint64_t *out_last, bool *out_more);

/* The same for one topic and ids in (after, through]. */
int hf_journal_read_topic(struct hf_journal *journal, struct hf_str topic,
                          uint64_t after, uint64_t through, size_t max,
                          size_t max_bytes, hf_row_fn each, void *ctx,
                          uint64_t *out_last, bool *out_more);

/* Rows of one topic with ids up to `through`, newest first, at most `max`;
 * unreadable ones are passed over. 0, what `each` returned, or why it cannot be
 * read. */
int hf_journal_read_back(struct hf_journal *journal, struct hf_str topic,
                         uint64_t through, size_t max, hf_row_fn each,
                         void *ctx);

/* Only id and topic of rows after `after` (for waking), as above; payload,
 * event and skip are empty, and unreadable rows are not passed over. */
int hf_journal_read_topics(struct hf_journal *journal, uint64_t after,
                           size_t max, hf_row_fn each, void *ctx,
                           uint64_t *out_last, bool *out_more);

/* Rows that this connection found unreadable, passed over and named. */
uint64_t hf_journal_unreadable(const struct hf_journal *journal);

/* Highest id of this topic that was deleted, the global watermark included;
 * 0 = nothing was. A reader below it has a gap (D7). */
int hf_journal_trimmed(struct hf_journal *journal, struct hf_str topic,
                       uint64_t *out_through);

/* Was anything deleted that a reader of this topic at `after` has not read?
 * (D7.) Costs next to nothing while nothing above `after` was, anywhere. */
int hf_journal_gap(struct hf_journal *journal, struct hf_str topic,
                   uint64_t after, bool *out);

/* As hf_journal_trimmed, for whatever topic: nothing above it was deleted anywhere. */
int hf_journal_trimmed_highest(struct hf_journal *journal,
                               uint64_t *out_through);

/* The id before this topic's newest `count` rows: those after it are at most so
 * many. 0 when the topic has no more than that. */
int hf_journal_before_last(struct hf_journal *journal, struct hf_str topic,
                           uint64_t count, uint64_t *out_before);

/* The newest `count` messages of this topic, presence_diffs not counted: when
 * was the oldest of them? In ms since 1970; 0 when there are fewer since
 * `after_ms`, for which no more than those are looked at. What claims to be of
 * the future does not count: clocks are set back. */
int hf_journal_pace(struct hf_journal *journal, struct hf_str topic,
                    unsigned count, int64_t after_ms, int64_t *out_ms);

/* How many payloads were ever taken away (redact.h). When it has changed, what
 * was kept in memory of rows is not to be given out any more. */
int hf_journal_redactions(struct hf_journal *journal, uint64_t *out);

/* --- writing ----------------------------------------------------------- */

/*
 * Begin a transaction that may add rows. 0; HF_EBUSY after settings.busy_ms
 * (safe to retry); HF_EFAILED: a sync was lost (failed.h), nothing is published
 * until the journal is rescued; HF_EBLOCKED: the write-ahead log is above
 * settings.max_wal, because somebody keeps a transaction open; HF_EFULL: no
 * room on the disk (space.h); HF_EREPLACED; HF_ESTORE. Reading goes on under
 * all of these, and but for HF_EFAILED and HF_EREPLACED publishing comes back
 * by itself when the reason has gone.
 */
int hf_journal_begin(struct hf_journal *journal);
/*
 * The same for what only deletes (retention, prune, redact): let in while
 * publishing is refused as blocked or full, since it may be the way out of it,
 * and refused as it is when a sync was lost. Work in small steps: there may be
 * room for one MiB of log. HF_EFULL from a step or its commit has made what
 * room can be made: begin again, once, with a smaller one.
 */
int hf_journal_begin_upkeep(struct hf_journal *journal);
/* By what HF_EFULL is decided, for hf_space_judge (space.h); to look changes
 * nothing. Outside of transactions. */
struct hf_space;
void hf_journal_space(struct hf_journal *journal, struct hf_space *out);
int hf_journal_commit(struct hf_journal *journal);
void hf_journal_rollback(struct hf_journal *journal);

/* Pid of the process of ours that is writing at this moment, for status; 0 =
 * none. For a foreign writer see holders.h. */
pid_t hf_journal_holder(const struct hf_dir *dir);

/* Pid of a process of ours that found the files replaced below it and has not
 * ended since, for status; 0 = none is known. */
pid_t hf_journal_stranded(const struct hf_dir *dir);

/* Inside a transaction: one caller's part, undone alone. Do not nest. */
int hf_journal_part_begin(struct hf_journal *journal);
int hf_journal_part_keep(struct hf_journal *journal);
void hf_journal_part_undo(struct hf_journal *journal);

struct hf_publish {
    struct hf_str topic;   /* 1 .. 200 bytes, no control characters */
    struct hf_str event;   /* 1 .. 200 bytes, not phx_*, chan_reply_* */
    struct hf_str payload; /* JSON text, at most settings.max_payload */
    enum hf_kind kind;
    struct hf_str publisher; /* with key: who it is unique for; else empty */
    struct hf_str key;       /* empty = none; else 1 .. 128 bytes */
    struct hf_str after;     /* beside it: key of the one before; or empty */
    struct hf_str skip;      /* not delivered to; or empty */
};

/*
 * Append one message; inside a transaction. With a key that was used before by
 * this publisher nothing is added, *out_id is the first one's id and
 * *out_repeated true. 0; HF_EINVAL: the journal refuses it, hf_journal_refusal
 * says why; HF_ECONFLICT: key used with other contents; HF_EAGAIN: nothing of
 * this publisher has the key `after`; HF_ELIMIT: payload too large; HF_ESTORE.
 */
int hf_journal_append(struct hf_journal *journal,
                      const struct hf_publish *publish, uint64_t *out_id,
                      bool *out_repeated);
/* Is it the repeat of a message that is there, by its key? *out_id is that one,
 * 0: no, or it has no key. Errors as append. */
int hf_journal_repeated(struct hf_journal *journal,
                        const struct hf_publish *publish, uint64_t *out_id);

/* Words of the last HF_EINVAL, from the CHECK or trigger; borrowed. */
const char *hf_journal_refusal(const struct hf_journal *journal);

/* Draw the next id from the sequence without a message; in a transaction. */
int hf_journal_draw(struct hf_journal *journal, uint64_t *out);

/* Who waits for this name (bell.h) is woken once the open transaction is
 * committed; append asks for its topic, sessions.h for its session. */
void hf_journal_ring_later(struct hf_journal *journal, struct hf_str name);

/* Write the file `head`, if a second has passed since the last time. Does nothing
 * in a snapshot. */
void hf_journal_save_head(struct hf_journal *journal);

#endif

/*
 * db.h - one SQLite connection: how we open it, kept statements, error numbers
 *
 * For the files of schema/ only; nobody above knows that there is SQLite.
 *
 * A statement is prepared once and kept, found by the address of its text, so
 * `sql` is always a string literal. Whoever steps one to a row ends with
 * hf_db_done: an open statement is an open snapshot, and a snapshot that stays
 * open keeps the WAL growing.
 */
#ifndef HF_SCHEMA_DB_H
#define HF_SCHEMA_DB_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

#define HF_DB_PAGE       4096              /* bytes; init sets it */
#define HF_DB_STATEMENTS 160u              /* kept per connection; asserted */
#define HF_DB_OBJECTS    96u               /* named by our texts; asserted */
#define HF_DB_WAL_LIMIT  (8 * 1024 * 1024) /* bytes left after a checkpoint */
#define HF_DB_CHECKPOINT 500               /* pages in the log at a commit */
/* The same in a process that is small: where nobody is resident each opens a
 * log that nobody has open, and reads all of it to know what is in it. */
#define HF_DB_CHECKPOINT_SMALL 64
#define HF_DB_JSON_DEPTH       128u /* deeper payloads are refused */

struct hf_db {
    sqlite3 *handle; /* NULL = closed */
    unsigned kept_count;
    struct {
        const char *sql;
        sqlite3_stmt *stmt;
    } kept[HF_DB_STATEMENTS];
    char refusal[256]; /* words of the last HF_EINVAL */

    /* Met since the connection was opened or the owner put them back: */
    bool sync_lost; /* a sync failed, HF_EFAILED */
    bool full;      /* a write found no room, HF_EFULL */

    int log_pages; /* in the log after the last commit; own checkpoints only */
};

/*
 * Open the file, which exists unless `create`. `sync` is what PRAGMA
 * synchronous takes. The zeroed struct is closed; on error it is closed again.
 * 0, HF_ENOMEM, HF_ESTORE with *why.
 */
int hf_db_open(struct hf_db *db, const char *path, bool create,
               const char *sync, struct hf_why *why);
void hf_db_close(struct hf_db *db);

/* For a process that asks little and is one of many: SQLite keeps few pages and
 * sets aside no memory that it may need. Before the first open; for good. */
void hf_db_be_small(void);
/* For a connection that reads what others write: each commit of theirs empties
 * what it keeps, so that more of it is memory for nothing. */
void hf_db_keep_few(struct hf_db *db);
/* Forget the pages that are kept. */
void hf_db_rest(struct hf_db *db);
/* And the statements. Not while one is open. */
void hf_db_forget(struct hf_db *db);
/* And what SQLite knows of the tables, which it reads again for the next
 * statement that names one: for the journal's some 0.3 ms. */
void hf_db_shed(struct hf_db *db);
/* Pages in the log from which on it is copied into the main file. */
int hf_db_checkpoint_at(void);

/* Longest wait for a lock of another connection. */
void hf_db_wait(struct hf_db *db, int64_t ms);

/*
 * From now on commits do not empty the log by themselves: SQLite would do so at
 * HF_DB_CHECKPOINT pages and forget what went wrong, a failed sync of the main
 * file too. The owner looks at log_pages and calls hf_db_checkpoint.
 */
void hf_db_own_checkpoints(struct hf_db *db);
/*
 * Copy what the log holds into the main file, as far as readers let. `empty`:
 * wait for them, at most hf_db_wait, and cut the log to nothing; HF_EBUSY when
 * they did not let. *out_log, *out_done: pages in the log, and of these copied;
 * 0 when not known. Not in a transaction.
 */
int hf_db_checkpoint(struct hf_db *db, bool empty, int *out_log, int *out_done);

/* Run texts that give no rows, parameters none. Not kept. */
int hf_db_run(struct hf_db *db, const char *sql);
/* Run a kept statement without parameters or rows to its end. */
int hf_db_do(struct hf_db *db, const char *sql);
/* One number of a kept statement without parameters. HF_ENOTFOUND: no row. */
int hf_db_number(struct hf_db *db, const char *sql, int64_t *out);

/*
 * A transaction, for reading or, `immediate`, for writing. Whoever begins can
 * undo: the statement for it is made ready first. It may be needed when there
 * is no memory to make it, and a connection whose transaction stays open is of
 * no more use: no other begins in it, and what it sees never moves.
 */
int hf_db_begin(struct hf_db *db, bool immediate);
/* If one is open; some errors make SQLite roll back by itself. Cannot fail. */
void hf_db_rollback(struct hf_db *db);

/* Get a kept statement ready for binding. */
int hf_db_get(struct hf_db *db, const char *sql, sqlite3_stmt **out);
/* Bound by reference: must live until hf_db_done. NULL at -> NULL if `null`,
 * else the empty text. */
void hf_db_bind_text(sqlite3_stmt *stmt, int at, struct hf_str text);
void hf_db_bind_text_or_null(sqlite3_stmt *stmt, int at, struct hf_str text);
void hf_db_bind_u64(sqlite3_stmt *stmt, int at, uint64_t number);
/* *out_row true: a row is there, read it and step again or call done. False:
 * at the end, and done already. */
int hf_db_step(struct hf_db *db, sqlite3_stmt *stmt, bool *out_row);
/* Step to the end, no row expected, done. */
int hf_db_finish(struct hf_db *db, sqlite3_stmt *stmt);
void hf_db_done(sqlite3_stmt *stmt);

/* Borrowed until the next step. */
struct hf_str hf_db_text(sqlite3_stmt *stmt, int column);
uint64_t hf_db_u64(sqlite3_stmt *stmt, int column); /* negative gives 0 */

/* What a result code of SQLite means to us, right after it came, for errno
 * counts (0 before the call); a refusal's words are kept, a lost sync and a
 * full disk are noted. */
int hf_db_error(struct hf_db *db, int code);

/* The first line that says something of what integrity_check answers. */
struct hf_str hf_db_damage(struct hf_str answer);

/*
 * Compare the objects in the file with what `texts`, run one after the other,
 * have made: the last CREATE of each name, unless a DROP came after it, word
 * for word, and nothing else but SQLite's own. Each of these statements begins
 * at the start of a line. A trigger or view slipped in by somebody would run
 * with our rights. 0, HF_EINVAL with *why.
 */
int hf_db_check_schema(struct hf_db *db, const char *const *texts,
                       unsigned count, struct hf_why *why);

#endif

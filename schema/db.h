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

#define HF_DB_STATEMENTS 96u               /* kept per connection; asserted */
#define HF_DB_WAL_LIMIT  (8 * 1024 * 1024) /* bytes left after a checkpoint */
#define HF_DB_CHECKPOINT 500               /* pages, for every commit of ours */
#define HF_DB_JSON_DEPTH 128u              /* deeper payloads are refused */

struct hf_db {
    sqlite3 *handle; /* NULL = closed */
    unsigned kept_count;
    struct {
        const char *sql;
        sqlite3_stmt *stmt;
    } kept[HF_DB_STATEMENTS];
    char refusal[256]; /* words of the last HF_EINVAL */
};

/*
 * Open the file, which exists unless `create`. `sync` is what PRAGMA
 * synchronous takes. The zeroed struct is closed; on error it is closed again.
 * 0, HF_ENOMEM, HF_ESTORE with *why.
 */
int hf_db_open(struct hf_db *db, const char *path, bool create,
               const char *sync, struct hf_why *why);
void hf_db_close(struct hf_db *db);

/* Longest wait for a lock of another connection. */
void hf_db_wait(struct hf_db *db, int64_t ms);

/* Run texts that give no rows, parameters none. Not kept. */
int hf_db_run(struct hf_db *db, const char *sql);
/* Run a kept statement without parameters or rows to its end. */
int hf_db_do(struct hf_db *db, const char *sql);
/* One number of a kept statement without parameters. HF_ENOTFOUND: no row. */
int hf_db_number(struct hf_db *db, const char *sql, int64_t *out);

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

/* What a result code of SQLite means to us; a refusal's words are kept. */
int hf_db_error(struct hf_db *db, int code);

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

#include "schema/db.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "schema/space.h"

/* --- opening ------------------------------------------------------------- */

/*
 * Takes the place of SQLite's json_valid on our connections: stricter (UTF-8,
 * depth, surrogates) and several times faster. It is needed, too: in 3.38 to
 * 3.40 the built-in one is marked unsafe by mistake and cannot be used by a
 * trigger under trusted_schema=OFF.
 */
static void json_valid(sqlite3_context *context, int count,
                       sqlite3_value **values)
{
    struct hf_json value;
    struct hf_str text;

    (void)count; /* one; SQLite has checked */
    text.at = (const char *)sqlite3_value_text(values[0]);
    text.len = (size_t)sqlite3_value_bytes(values[0]);
    if (!text.at)
        sqlite3_result_null(context);
    else
        sqlite3_result_int(context,
                           hf_json_read(text, HF_DB_JSON_DEPTH, &value) == 0);
}

static int harden(struct hf_db *db)
{
    int on = 1;
    int code;

    code = sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    if (code)
        return code;
    code =
        sqlite3_db_config(db->handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    if (code)
        return code;
    /* The last close of a connection of ours neither checkpoints (that would
     * race with the writers' queue) nor removes the WAL. */
    code = sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1,
                             NULL);
    if (code)
        return code;
    code =
        sqlite3_file_control(db->handle, "main", SQLITE_FCNTL_PERSIST_WAL, &on);
    if (code)
        return code;
    return sqlite3_create_function_v2(db->handle, "json_valid", 1,
                                      SQLITE_UTF8 | SQLITE_DETERMINISTIC |
                                          SQLITE_INNOCUOUS,
                                      NULL, json_valid, NULL, NULL, NULL);
}

static bool small;

void hf_db_be_small(void)
{
    small = true;
    /* These fail once SQLite is in use, and then stay as they are. */
    (void)sqlite3_config(SQLITE_CONFIG_PAGECACHE, NULL, 0, 0);
    (void)sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0);
}

int hf_db_checkpoint_at(void)
{
    return small ? HF_DB_CHECKPOINT_SMALL : HF_DB_CHECKPOINT;
}

/* cache_size stays SQLite's 2 MB: a larger one gains next to nothing, also in a
 * large file, and the next commit of another empties it (bench/RESULTS.md). */
static int set_pragmas(struct hf_db *db, const char *sync)
{
    char sql[288];

    (void)snprintf(sql, sizeof(sql),
                   "PRAGMA synchronous = %s;"
                   "PRAGMA cell_size_check = ON;"
                   "PRAGMA secure_delete = ON;" /* what is gone is gone */
                   "PRAGMA mmap_size = 0;" /* a bad disk must not be SIGBUS */
                   "PRAGMA wal_autocheckpoint = %d;"
                   "PRAGMA journal_size_limit = %d;"
                   "%s",
                   sync, hf_db_checkpoint_at(), HF_DB_WAL_LIMIT,
                   small ? "PRAGMA cache_size = 4;" : "");
    return sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
}

void hf_db_keep_few(struct hf_db *db)
{
    if (!small) /* failing, it keeps more */
        (void)hf_db_run(db, "PRAGMA cache_size = 32");
}

void hf_db_rest(struct hf_db *db)
{
    (void)sqlite3_db_release_memory(db->handle); /* always SQLITE_OK */
}

static void forget_statements(struct hf_db *db)
{
    while (db->kept_count > 0) /* repeats an old error */
        (void)sqlite3_finalize(db->kept[--db->kept_count].stmt);
}

void hf_db_shed(struct hf_db *db)
{
    forget_statements(db);
    (void)hf_db_run(db, "PRAGMA writable_schema = RESET"); /* failing: keeps */
    hf_db_rest(db);
}

void hf_db_forget(struct hf_db *db)
{
    forget_statements(db);
    hf_db_rest(db);
}

int hf_db_open(struct hf_db *db, const char *path, bool create,
               const char *sync, struct hf_why *why)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX |
                SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_NOFOLLOW |
                SQLITE_OPEN_EXRESCODE;
    int code;

    *db = (struct hf_db){.handle = NULL};
    if (create)
        flags |= SQLITE_OPEN_CREATE;
    errno = 0;
    code = sqlite3_open_v2(path, &db->handle, flags, NULL);
    if (!code) {
        hf_db_wait(db, 1000);
        code = harden(db);
    }
    if (!code)
        code = set_pragmas(db, sync);
    if (code) {
        int err = hf_db_error(db, code);

        (void)hf_explain(why, err, "%s: %s", path,
                         err == HF_EFULL ? hf_strerror(err)
                         : db->handle    ? sqlite3_errmsg(db->handle)
                                         : sqlite3_errstr(code));
        hf_db_close(db);
        return err;
    }
    return 0;
}

void hf_db_close(struct hf_db *db)
{
    if (!db->handle)
        return;
    forget_statements(db);
    (void)sqlite3_close(db->handle); /* no statement is left to refuse it */
    *db = (struct hf_db){.handle = NULL};
}

void hf_db_wait(struct hf_db *db, int64_t ms)
{
    if (ms < 0)
        ms = 0;
    /* Fails for a NULL handle only. */
    (void)sqlite3_busy_timeout(db->handle, ms > 3600000 ? 3600000 : (int)ms);
}

/* --- the log ------------------------------------------------------------- */

static int count_pages(void *ctx, sqlite3 *handle, const char *name, int pages)
{
    struct hf_db *db = ctx;

    (void)handle;
    (void)name; /* main is all there is */
    db->log_pages = pages;
    return SQLITE_OK;
}

void hf_db_own_checkpoints(struct hf_db *db)
{
    /* Takes the place of the hook that checkpoints. */
    (void)sqlite3_wal_hook(db->handle, count_pages, db);
}

int hf_db_checkpoint(struct hf_db *db, bool empty, int *out_log, int *out_done)
{
    int log = 0, done = 0;
    int code;

    errno = 0;
    code = sqlite3_wal_checkpoint_v2(db->handle, "main",
                                     empty ? SQLITE_CHECKPOINT_TRUNCATE
                                           : SQLITE_CHECKPOINT_PASSIVE,
                                     &log, &done);
    *out_log = log < 0 ? 0 : log;
    *out_done = done < 0 ? 0 : done;
    return hf_db_error(db, code);
}

/* --- errors -------------------------------------------------------------- */

/*
 * Only a sync that failed calls into doubt what was written before: the kernel
 * drops the pages and reports it once. A write that failed has kept nothing and
 * promised nothing: the transaction is undone, and the next may try.
 */
static int io_error(struct hf_db *db, int code)
{
    if (code == SQLITE_IOERR_FSYNC || code == SQLITE_IOERR_DIR_FSYNC) {
        db->sync_lost = true;
        return HF_EFAILED;
    }
    if (code == SQLITE_IOERR_NOMEM)
        return HF_ENOMEM;
    /* SQLite takes ENOSPC alone for full, and a quota for some I/O error;
     * sqlite3_system_errno says nothing after a commit. A wal-index that
     * cannot grow has no other reason. */
    if (code != SQLITE_IOERR_SHMSIZE && !hf_space_is_full(errno))
        return HF_ESTORE;
    db->full = true;
    return HF_EFULL;
}

int hf_db_error(struct hf_db *db, int code)
{
    switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return 0;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return HF_EBUSY;
    case SQLITE_NOMEM:
        return HF_ENOMEM;
    case SQLITE_TOOBIG:
        return HF_ELIMIT;
    case SQLITE_FULL:
        db->full = true;
        return HF_EFULL;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
        return io_error(db, code);
    case SQLITE_CONSTRAINT:
        (void)snprintf(db->refusal, sizeof(db->refusal), "%s",
                       sqlite3_errmsg(db->handle));
        return HF_EINVAL;
    default:
        return HF_ESTORE;
    }
}

/* --- statements ---------------------------------------------------------- */

int hf_db_run(struct hf_db *db, const char *sql)
{
    errno = 0;
    return hf_db_error(db, sqlite3_exec(db->handle, sql, NULL, NULL, NULL));
}

int hf_db_get(struct hf_db *db, const char *sql, sqlite3_stmt **out)
{
    sqlite3_stmt *stmt;
    unsigned i;
    int code;

    for (i = 0; i < db->kept_count; i++) {
        if (db->kept[i].sql == sql) {
            *out = db->kept[i].stmt;
            return 0;
        }
    }
    assert(db->kept_count < HF_DB_STATEMENTS);
    errno = 0;
    code = sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT,
                              &stmt, NULL);
    if (code)
        return hf_db_error(db, code);
    db->kept[db->kept_count].sql = sql;
    db->kept[db->kept_count].stmt = stmt;
    db->kept_count++;
    *out = stmt;
    return 0;
}

/* A bind fails only for a wrong index or a statement that was not reset, both
 * our mistakes, or for lack of memory, of which there is none to take: texts
 * are bound by reference. */
static void bound(int code)
{
    assert(code == SQLITE_OK);
    (void)code;
}

void hf_db_bind_text(sqlite3_stmt *stmt, int at, struct hf_str text)
{
    bound(sqlite3_bind_text64(stmt, at, text.at ? text.at : "", text.len,
                              SQLITE_STATIC, SQLITE_UTF8));
}

void hf_db_bind_text_or_null(sqlite3_stmt *stmt, int at, struct hf_str text)
{
    if (text.len > 0)
        hf_db_bind_text(stmt, at, text);
    else
        bound(sqlite3_bind_null(stmt, at));
}

void hf_db_bind_u64(sqlite3_stmt *stmt, int at, uint64_t number)
{
    sqlite3_int64 value =
        number > INT64_MAX ? INT64_MAX : (sqlite3_int64)number;

    bound(sqlite3_bind_int64(stmt, at, value));
}

void hf_db_done(sqlite3_stmt *stmt)
{
    (void)sqlite3_reset(stmt); /* repeats the error of the step */
    (void)sqlite3_clear_bindings(stmt);
}

int hf_db_step(struct hf_db *db, sqlite3_stmt *stmt, bool *out_row)
{
    int code, err;

    errno = 0;
    code = sqlite3_step(stmt);
    *out_row = code == SQLITE_ROW;
    if (*out_row)
        return 0;
    err = hf_db_error(db, code); /* before the reset, for its words */
    hf_db_done(stmt);
    return err;
}

int hf_db_finish(struct hf_db *db, sqlite3_stmt *stmt)
{
    bool row;
    int err;

    do {
        err = hf_db_step(db, stmt, &row);
    } while (!err && row);
    return err;
}

int hf_db_do(struct hf_db *db, const char *sql)
{
    sqlite3_stmt *stmt;
    int err;

    err = hf_db_get(db, sql, &stmt);
    if (err)
        return err;
    return hf_db_finish(db, stmt);
}

static const char rollback[] = "ROLLBACK";

int hf_db_begin(struct hf_db *db, bool immediate)
{
    sqlite3_stmt *ready;
    int err;

    err = hf_db_get(db, rollback, &ready);
    if (err)
        return err;
    return hf_db_do(db, immediate ? "BEGIN IMMEDIATE" : "BEGIN");
}

void hf_db_rollback(struct hf_db *db)
{
    if (sqlite3_get_autocommit(db->handle))
        return;
    (void)hf_db_do(db, rollback); /* seen below */
    if (!sqlite3_get_autocommit(db->handle))
        HF_LOG(HF_LOG_ERROR, "transaction_stays_open",
               hf_field("why", sqlite3_errmsg(db->handle)),
               hf_field("hint", "this process can do no more with a database "
                                "of the journal; end it"));
}

int hf_db_number(struct hf_db *db, const char *sql, int64_t *out)
{
    sqlite3_stmt *stmt;
    bool row;
    int err;

    err = hf_db_get(db, sql, &stmt);
    if (err)
        return err;
    err = hf_db_step(db, stmt, &row);
    if (err)
        return err;
    if (!row)
        return HF_ENOTFOUND;
    *out = sqlite3_column_int64(stmt, 0);
    return hf_db_finish(db, stmt);
}

struct hf_str hf_db_text(sqlite3_stmt *stmt, int column)
{
    const void *at = sqlite3_column_blob(stmt, column);

    /* In this order: the length is that of the bytes as they are stored. */
    return hf_str(at, (size_t)sqlite3_column_bytes(stmt, column));
}

uint64_t hf_db_u64(sqlite3_stmt *stmt, int column)
{
    sqlite3_int64 value = sqlite3_column_int64(stmt, column);

    return value < 0 ? 0 : (uint64_t)value;
}

struct hf_str hf_db_damage(struct hf_str answer)
{
    static const char heading[] = "*** in database main ***\n";
    const char *end;

    if (answer.len >= sizeof(heading) - 1 &&
        memcmp(answer.at, heading, sizeof(heading) - 1) == 0)
        answer = hf_str_from(answer, sizeof(heading) - 1);
    end = answer.len ? memchr(answer.at, '\n', answer.len) : NULL;
    if (end)
        answer.len = (size_t)(end - answer.at);
    return answer;
}

/* --- whose schema is it? ------------------------------------------------- */

/* One statement of our texts that makes or drops an object: it begins a line,
 * and its object's name ends at a blank, a bracket or a semicolon. */
struct mention {
    bool creates;
    const char *statement; /* to the end of the text */
    struct hf_str name;
};

static const char *after_word(const char *at, const char *word)
{
    size_t len = strlen(word);

    return strncmp(at, word, len) == 0 ? at + len : NULL;
}

static bool read_mention(const char *line, struct mention *out)
{
    static const char *const kinds[] = {"TABLE ", "INDEX ", "UNIQUE INDEX ",
                                        "TRIGGER ", "VIEW "};
    const char *kind = after_word(line, "CREATE ");
    size_t i;

    out->creates = kind != NULL;
    out->statement = line;
    if (!kind)
        kind = after_word(line, "DROP ");
    for (i = 0; kind && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        const char *name = after_word(kind, kinds[i]);

        if (!name)
            continue;
        out->name = hf_str(name, strcspn(name, " (;\n"));
        return true;
    }
    return false;
}

/* The next one at or after the line at `at`; where to go on, or NULL. */
static const char *next_mention(const char *at, struct mention *out)
{
    while (at && *at) {
        const char *end = strchr(at, '\n');
        bool found = read_mention(at, out);

        at = end ? end + 1 : at + strlen(at);
        if (found)
            return at;
    }
    return NULL;
}

/* The last word of all texts on each name, found once: a process of CGI does
 * this at every request. */
struct catalog {
    unsigned count;
    struct mention last[HF_DB_OBJECTS];
};

static struct mention *last_mention(struct catalog *catalog, struct hf_str name)
{
    unsigned i;

    for (i = 0; i < catalog->count; i++) {
        if (hf_str_eq(catalog->last[i].name, name))
            return &catalog->last[i];
    }
    return NULL;
}

static void read_texts(struct catalog *out, const char *const *texts,
                       unsigned count)
{
    struct mention mention, *before;
    unsigned i;

    out->count = 0;
    for (i = 0; i < count; i++) {
        const char *at = texts[i];

        while ((at = next_mention(at, &mention)) != NULL) {
            before = last_mention(out, mention.name);
            assert(before || out->count < HF_DB_OBJECTS);
            *(before ? before : &out->last[out->count++]) = mention;
        }
    }
}

/* Objects that there are once all texts have run. */
static unsigned count_objects(const struct catalog *catalog)
{
    unsigned i, objects = 0;

    for (i = 0; i < catalog->count; i++)
        objects += catalog->last[i].creates;
    return objects;
}

/* Is it an object of ours, word for word? */
static bool is_known(struct catalog *catalog, struct hf_str name,
                     struct hf_str sql)
{
    const struct mention *last = last_mention(catalog, name);

    return last && last->creates && sql.len > 0 &&
           strncmp(last->statement, sql.at, sql.len) == 0 &&
           last->statement[sql.len] == ';';
}

static int unknown_object(struct hf_why *why, struct hf_str type,
                          struct hf_str name)
{
    return hf_explain(why, HF_EINVAL,
                      "the %.*s \"%.*s\" in the database is not Holdfast's; "
                      "keep tables, views and triggers of your own in a "
                      "database of your own and drop it here",
                      HF_STR_ARG(type), HF_STR_ARG(name));
}

int hf_db_check_schema(struct hf_db *db, const char *const *texts,
                       unsigned count, struct hf_why *why)
{
    static const char each[] = "SELECT type, name, sql FROM sqlite_schema "
                               "WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";
    struct catalog catalog;
    unsigned found = 0;
    sqlite3_stmt *stmt;
    bool row;
    int err;

    read_texts(&catalog, texts, count);
    err = hf_db_get(db, each, &stmt);
    while (!err) {
        err = hf_db_step(db, stmt, &row);
        if (err || !row)
            break;
        if (!is_known(&catalog, hf_db_text(stmt, 1), hf_db_text(stmt, 2))) {
            err = unknown_object(why, hf_db_text(stmt, 0), hf_db_text(stmt, 1));
            hf_db_done(stmt);
            return err;
        }
        found++;
    }
    if (err)
        return hf_explain(why, err, "cannot read the database: %s",
                          sqlite3_errmsg(db->handle));
    if (found != count_objects(&catalog))
        return hf_explain(why, HF_EINVAL,
                          "tables or triggers of Holdfast are missing in the "
                          "database; restore it from a backup");
    return 0;
}

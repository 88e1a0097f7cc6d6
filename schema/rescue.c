#include "schema/rescue.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sys.h"
#include "schema/failed.h"
#include "schema/journal_impl.h"
#include "schema/migrate.h"

#define FILE_NEW    HF_FILE_JOURNAL ".rescue" /* + ".part", see fresh.h */
#define RUN_ROWS    1000u                     /* between two progress calls */
#define TRIES_LEAST 65536u                    /* ids tried one by one */
#define STEP_MAX    (UINT64_C(1) << 20)

struct rescue {
    const struct hf_dir *dir;
    const struct hf_rescue *wish;
    struct hf_rescue_report *report;
    struct hf_why *why;
    struct hf_db old;
    struct hf_fresh fresh;
    uint64_t known; /* highest id that anything knows of */
};

/* --- the old file -------------------------------------------------------- */

/* A file shorter than its header says is refused unless the schema is writable;
 * then it is read as long as it is. */
static int open_old(struct rescue *rescue)
{
    struct hf_db *db = &rescue->old;
    int err = hf_alone_read(db, rescue->dir, rescue->why);

    if (!err && hf_db_run(db, "PRAGMA writable_schema = ON"))
        err = hf_explain(rescue->why, HF_ESTORE, "%s/%s: %s",
                         rescue->dir->path, HF_FILE_JOURNAL,
                         sqlite3_errmsg(db->handle));
    return err;
}

/* Nothing wrong with it? Fills report->damage. */
static bool is_whole(struct rescue *rescue)
{
    char *out = rescue->report->damage;
    size_t cap = sizeof(rescue->report->damage);
    sqlite3_stmt *stmt;
    bool row = false;
    int err;

    err = hf_db_get(&rescue->old, "PRAGMA integrity_check(1)", &stmt);
    if (!err)
        err = hf_db_step(&rescue->old, stmt, &row);
    if (err || !row) {
        (void)snprintf(out, cap, "%s", sqlite3_errmsg(rescue->old.handle));
        return false;
    }
    (void)snprintf(out, cap, "%.*s",
                   HF_STR_ARG(hf_db_damage(hf_db_text(stmt, 0))));
    hf_db_done(stmt);
    return strcmp(out, "ok") == 0;
}

static void know_number(struct rescue *rescue, const char *sql)
{
    int64_t number = 0;

    if (hf_db_number(&rescue->old, sql, &number) == 0 && number > 0 &&
        (uint64_t)number > rescue->known)
        rescue->known = (uint64_t)number;
}

/* Each of these may be damaged, and the others not. */
static void know_ids(struct rescue *rescue)
{
    struct hf_head head = hf_history_head(rescue->dir);

    know_number(rescue, "SELECT seq FROM sqlite_sequence"
                        " WHERE name = 'messages'");
    know_number(rescue, "SELECT max(id) FROM messages");
    know_number(rescue, "SELECT max(through) FROM trimmed");
    know_number(rescue, "SELECT max(id) FROM frames");
    if (head.epoch && head.id > rescue->known && head.id < INT64_MAX / 2)
        rescue->known = head.id;
}

/* --- the new file -------------------------------------------------------- */

static int fail_new(struct rescue *rescue, int err)
{
    if (sqlite3_errcode(rescue->fresh.db.handle) == SQLITE_FULL)
        err = HF_EFULL;
    return hf_explain(rescue->why, err, "the new file cannot be written: %s",
                      sqlite3_errmsg(rescue->fresh.db.handle));
}

static int open_new(struct rescue *rescue)
{
    struct hf_fresh_owner owner = {rescue->dir->file_mode, (gid_t)-1};
    char path[PATH_MAX];
    struct stat st;
    int err;

    if (fstatat(rescue->dir->fd, HF_FILE_JOURNAL, &st, 0) < 0)
        return hf_explain(rescue->why, HF_EIO, "%s: %s", rescue->dir->path,
                          strerror(errno));
    if (owner.mode & S_IRGRP)
        owner.group = st.st_gid;
    err = hf_dir_file(rescue->dir, FILE_NEW, path, sizeof(path));
    if (!err)
        err = hf_fresh_open(&rescue->fresh, path, &owner, rescue->why);
    if (!err)
        err = hf_fresh_room(&rescue->fresh, (uint64_t)st.st_size, "free some",
                            rescue->why);
    return err;
}

/*
 * The tables of this version, without the one trigger that gives out ids: here
 * they are kept. Any payload that the old journal took is taken; the first
 * writer sets max_payload as it is configured.
 */
static int make_tables(struct rescue *rescue)
{
    struct hf_db *db = &rescue->fresh.db;
    int err = hf_db_run(db, "PRAGMA page_size = 4096; BEGIN IMMEDIATE;");

    for (unsigned i = 0; !err && i < HF_SCHEMA_VERSION; i++)
        err = hf_db_run(db, hf_schema_texts[i]);
    if (!err)
        err = hf_db_run(
            db, "CREATE TEMP TABLE put_aside AS SELECT sql FROM sqlite_schema"
                " WHERE name = 'messages_place';"
                "DROP TRIGGER messages_place;"
                "UPDATE meta SET value = 1 << 30 WHERE name = 'max_payload'");
    return err ? fail_new(rescue, err) : 0;
}

static int put_trigger_back(struct rescue *rescue)
{
    struct hf_db *db = &rescue->fresh.db;
    sqlite3_stmt *stmt;
    char *sql = NULL;
    bool row;
    int err;

    err = hf_db_get(db, "SELECT sql FROM temp.put_aside", &stmt);
    if (!err)
        err = hf_db_step(db, stmt, &row);
    if (!err && row) {
        sql = sqlite3_mprintf("%.*s", HF_STR_ARG(hf_db_text(stmt, 0)));
        hf_db_done(stmt);
    }
    if (!err && !sql)
        err = HF_ENOMEM;
    if (!err)
        err = hf_db_run(db, sql);
    sqlite3_free(sql);
    if (!err)
        err = hf_db_run(db, "DROP TABLE temp.put_aside");
    return err;
}

static int end_tables(struct rescue *rescue)
{
    struct hf_db *db = &rescue->fresh.db;
    sqlite3_stmt *stmt;
    int err;

    err = put_trigger_back(rescue);
    if (!err)
        err = hf_db_get(db,
                        "UPDATE sqlite_sequence SET seq = max(seq, ?1) + ?2"
                        " WHERE name = 'messages'",
                        &stmt);
    if (err)
        return fail_new(rescue, err);
    hf_db_bind_u64(stmt, 1, rescue->known);
    hf_db_bind_u64(stmt, 2, HF_HISTORY_LEAP);
    err = hf_db_finish(db, stmt);
    if (!err)
        err = hf_db_run(db, "COMMIT");
    return err ? fail_new(rescue, err) : 0;
}

/* --- copying rows -------------------------------------------------------- */

/* The row that `from` stands on into the new file, by a statement with as many
 * parameters. HF_EINVAL: it is refused. */
static int copy_row(struct rescue *rescue, sqlite3_stmt *from,
                    const char *insert)
{
    struct hf_db *db = &rescue->fresh.db;
    sqlite3_stmt *stmt;
    int err = hf_db_get(db, insert, &stmt);

    for (int i = 0; !err && i < sqlite3_column_count(from); i++)
        err = hf_db_error(
            db, sqlite3_bind_value(stmt, i + 1, sqlite3_column_value(from, i)));
    if (!err)
        err = hf_db_finish(db, stmt);
    if (!err && sqlite3_changes(db->handle) == 0)
        err = HF_EINVAL; /* the same key twice: the trigger passed it over */
    if (err && err != HF_EINVAL && err != HF_ELIMIT)
        return fail_new(rescue, err);
    return err ? HF_EINVAL : 0;
}

/* Rows from id `from` on; *next: behind the last one read. HF_ESTORE: the next
 * one cannot be read. *out_end: there are no more. */
static int copy_run(struct rescue *rescue, uint64_t from, uint64_t *next,
                    bool *out_end)
{
    sqlite3_stmt *stmt;
    bool row = true;
    int err;

    *next = from;
    *out_end = false;
    err = hf_db_get(&rescue->old,
                    "SELECT id, topic, event, payload, kind, at, publisher,"
                    " key, skip FROM messages WHERE id >= ?1 ORDER BY id",
                    &stmt);
    if (err)
        return err;
    hf_db_bind_u64(stmt, 1, from);
    for (unsigned i = 0; i < RUN_ROWS; i++) {
        err = hf_db_step(&rescue->old, stmt, &row);
        if (err)
            return err;
        if (!row) {
            *out_end = true;
            return 0;
        }
        if (hf_db_u64(stmt, 0) < *next) {
            /* A damaged page leads back. Behind rows that were taken it is
             * asked again from there; as the first it would be so for ever. */
            err = i == 0 ? HF_ESTORE : 0;
            break;
        }
        *next = hf_db_u64(stmt, 0) + 1;
        err = copy_row(rescue, stmt,
                       "INSERT INTO messages (id, topic, event, payload, kind,"
                       " at, publisher, key, skip)"
                       " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)");
        if (err && err != HF_EINVAL)
            break;
        rescue->report->messages += err == 0;
        rescue->report->refused += err != 0;
        err = 0;
    }
    hf_db_done(stmt);
    return err;
}

/* Can anything be read from here on? Then *out_id is its id, or 0: no more. */
static int look_at(struct rescue *rescue, uint64_t from, uint64_t *out_id)
{
    sqlite3_stmt *stmt;
    bool row;
    int err;

    *out_id = 0;
    err = hf_db_get(&rescue->old,
                    "SELECT id, topic, event, payload, kind, at, publisher,"
                    " key, skip FROM messages WHERE id >= ?1"
                    " ORDER BY id LIMIT 1",
                    &stmt);
    if (err)
        return err;
    hf_db_bind_u64(stmt, 1, from);
    err = hf_db_step(&rescue->old, stmt, &row);
    if (err || !row)
        return err;
    *out_id = hf_db_u64(stmt, 0);
    hf_db_done(stmt);
    return *out_id >= from ? 0 : HF_ESTORE;
}

static int report_progress(struct rescue *rescue, uint64_t at)
{
    if (rescue->wish->progress &&
        rescue->wish->progress(rescue->wish->ctx, at, rescue->known))
        return hf_explain(rescue->why, HF_ECLOSED, "stopped");
    return 0;
}

/*
 * From an id that cannot be read to the next that can: one by one, and after
 * very many with growing steps, going back over the last step when something is
 * there. *out_id 0: nothing more up to the last id known.
 */
static int find_readable(struct rescue *rescue, uint64_t bad, uint64_t *out_id)
{
    uint64_t at = bad + 1, step = 1, tries = 0;
    int err;

    while (at <= rescue->known) {
        err = look_at(rescue, at, out_id);
        if (err == HF_ENOMEM)
            return err;
        if (!err && step == 1)
            return 0;
        if (!err) {
            at -= step - 1;
            step = 1;
            tries = 0;
            continue;
        }
        if (++tries % TRIES_LEAST == 0) {
            step = step < STEP_MAX ? step * 2 : step;
            err = report_progress(rescue, at);
            if (err)
                return err;
        }
        at += step;
    }
    *out_id = 0;
    return 0;
}

static int copy_messages(struct rescue *rescue)
{
    uint64_t at = 1, readable;
    bool ended = false;
    int err = 0;

    while (!err && !ended) {
        err = copy_run(rescue, at, &at, &ended);
        if (err == HF_ESTORE && !rescue->why->text[0]) { /* the old file's */
            err = find_readable(rescue, at, &readable);
            if (err)
                break;
            ended = readable == 0;
            rescue->report->spots++;
            if (ended && rescue->known >= at)
                rescue->report->ids_lost += rescue->known - at + 1;
            else if (!ended)
                rescue->report->ids_lost += readable - at;
            at = readable;
        }
        if (!err)
            err = report_progress(rescue, at);
    }
    return err;
}

/* A small table as a whole; *out_damaged: not all of it could be read. */
static int copy_table(struct rescue *rescue, const char *select,
                      const char *insert, uint64_t *out_count,
                      bool *out_damaged)
{
    sqlite3_stmt *stmt;
    bool row;
    int err = hf_db_get(&rescue->old, select, &stmt);

    while (!err) {
        err = hf_db_step(&rescue->old, stmt, &row);
        if (err || !row)
            break;
        err = copy_row(rescue, stmt, insert);
        if (err == HF_EINVAL)
            *out_damaged = true;
        else if (err)
            hf_db_done(stmt);
        else
            ++*out_count;
        if (err == HF_EINVAL)
            err = 0;
    }
    if (err != HF_ESTORE)
        return err;
    /* Our own errors in the new file have filled *why. */
    if (rescue->why->text[0])
        return err;
    *out_damaged = true;
    return 0;
}

static int copy_all(struct rescue *rescue)
{
    struct hf_rescue_report *report = rescue->report;
    bool ignored = false;
    uint64_t redacted = 0;
    int err;

    err = make_tables(rescue);
    if (!err)
        err = copy_messages(rescue);
    if (!err)
        err = copy_table(rescue, "SELECT pattern, rights, echo FROM policies",
                         "INSERT INTO policies (pattern, rights, echo)"
                         " VALUES (?1, ?2, ?3)",
                         &report->policies, &report->policies_damaged);
    /* Version 1 has none; what is lost of it costs a repeat its answer. */
    if (!err)
        err = copy_table(rescue, "SELECT id, at FROM redacted",
                         "INSERT INTO redacted (id, at) VALUES (?1, ?2)",
                         &redacted, &ignored);
    if (!err)
        err = end_tables(rescue);
    return err;
}

/* --- all of it ----------------------------------------------------------- */

static int check_new(struct rescue *rescue)
{
    sqlite3_stmt *stmt;
    bool row = false, whole;
    int err;

    err = hf_db_get(&rescue->fresh.db, "PRAGMA integrity_check(1)", &stmt);
    if (!err)
        err = hf_db_step(&rescue->fresh.db, stmt, &row);
    if (err || !row)
        return fail_new(rescue, err ? err : HF_ESTORE);
    whole = hf_str_eq(hf_db_text(stmt, 0), HF_STR("ok"));
    hf_db_done(stmt);
    if (!whole)
        return hf_explain(rescue->why, HF_ESTORE,
                          "the new file came out damaged, too: this disk or "
                          "this memory cannot be trusted");
    return hf_db_check_schema(&rescue->fresh.db, hf_schema_texts,
                              HF_SCHEMA_VERSION, rescue->why);
}

static int refuse_unreadable(struct rescue *rescue)
{
    int64_t tables = 0;

    if (hf_db_number(&rescue->old,
                     "SELECT count(*) FROM sqlite_schema"
                     " WHERE name = 'messages'",
                     &tables) == 0 &&
        tables == 1)
        return 0;
    return hf_explain(rescue->why, HF_ESTORE,
                      "not even the list of tables of %s/%s can be read (%s); "
                      "put back a backup with: holdfast restore FILE",
                      rescue->dir->path, HF_FILE_JOURNAL,
                      sqlite3_errmsg(rescue->old.handle));
}

static int rescue_alone(struct rescue *rescue)
{
    struct hf_rescue_report *report = rescue->report;
    bool whole;
    int err;

    err = open_old(rescue);
    if (err)
        return err;
    whole = is_whole(rescue);
    report->needless =
        whole && !hf_failed(rescue->dir) && !rescue->wish->even_if_whole;
    if (report->needless)
        return 0;
    know_ids(rescue);
    err = refuse_unreadable(rescue);
    if (!err)
        err = open_new(rescue);
    if (!err)
        err = copy_all(rescue);
    if (!err)
        err = check_new(rescue);
    if (!err)
        err = hf_fresh_finish(&rescue->fresh, rescue->why);
    hf_db_close(&rescue->old); /* before its WAL gets another name */
    if (!err)
        err = hf_alone_replace(rescue->dir, &rescue->fresh, "damaged",
                               report->kept, rescue->why);
    if (!err && hf_failed_clear(rescue->dir))
        err = hf_explain(rescue->why, HF_EIO,
                         "the new journal is in place, but the file %s/%s "
                         "cannot be removed: %s",
                         rescue->dir->path, HF_FILE_FAILED, strerror(errno));
    return err;
}

int hf_rescue(const struct hf_dir *dir, const struct hf_rescue *wish,
              struct hf_rescue_report *report, struct hf_why *why)
{
    struct rescue rescue = {.dir = dir,
                            .wish = wish,
                            .report = report,
                            .why = why,
                            .fresh = {.fd = -1, .dir = -1}};
    struct hf_alone alone;
    int err;

    *report = (struct hf_rescue_report){.needless = false};
    why->text[0] = '\0';
    err = hf_alone_take(&alone, dir, why);
    if (err)
        return err;
    err = rescue_alone(&rescue);
    hf_db_close(&rescue.old);
    hf_fresh_drop(&rescue.fresh);
    hf_alone_end(&alone);
    if (err && !why->text[0])
        return hf_explain(why, err, "%s", hf_strerror(err));
    return err;
}

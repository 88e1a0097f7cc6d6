/*
 * inspect_db.c - the journal's database as it is, nothing repaired
 */
#include "schema/inspect_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/sys.h"
#include "schema/journal_impl.h"
#include "schema/migrate.h"
#include "schema/readable.h"

#define LINES_MAX      10   /* of what integrity_check finds */
#define NAMED_MAX      5u   /* ids of unreadable messages */
#define PAGE_ROWS      500u /* messages of one read transaction */
#define SCAN_MS        10000
#define FUTURE_MS      60000
#define PAGE_CHECK_OPS 1000000 /* of SQLite's virtual machine */

/* --- the library --------------------------------------------------------- */

/* sqlite.org: "the WAL-reset bug", 3.7.0 to 3.51.2, and who has the remedy. */
static bool has_wal_reset_bug(int version)
{
    return version >= 3007000 && version < 3051003 &&
           !(version >= 3050007 && version < 3051000) &&
           !(version >= 3044006 && version < 3045000);
}

static void inspect_library(struct hf_look *look)
{
    if (!has_wal_reset_bug(sqlite3_libversion_number())) {
        hf_found(look, HF_FINDING_OK, "sqlite", "%s", sqlite3_libversion());
        return;
    }
    hf_found(look, HF_FINDING_WARNING, "sqlite",
             "%s has the WAL-reset bug (unless your distribution has mended "
             "it): when two programs write the log back at the same moment, "
             "the journal can be damaged. It is rare, and Holdfast's own "
             "processes take turns; scripts use the SQLite of their language. "
             "Update to 3.51.3 or later (or 3.50.7, 3.44.6), theirs too, and "
             "keep backups",
             sqlite3_libversion());
}

/* --- identity ------------------------------------------------------------ */

static bool inspect_identity(struct hf_look *look, struct hf_db *db,
                             unsigned *out_version)
{
    int64_t application = 0, version = 0;
    int err = hf_db_number(db, "PRAGMA application_id", &application);

    if (!err)
        err = hf_db_number(db, "PRAGMA user_version", &version);
    if (err) {
        hf_found(look, HF_FINDING_PROBLEM, "journal",
                 "cannot be read: %s. Put back a backup with: holdfast restore "
                 "FILE, or save what can be read with: holdfast check --rescue",
                 sqlite3_errmsg(db->handle));
        return false;
    }
    if (application != HF_APPLICATION_ID) {
        hf_found(look, HF_FINDING_PROBLEM, "journal",
                 "%s is no Holdfast journal (application_id %" PRId64
                 "); put the right file back",
                 HF_FILE_JOURNAL, application);
        return false;
    }
    *out_version = version > 0 ? (unsigned)version : 0;
    if (version > (int64_t)HF_SCHEMA_VERSION || version < 1) {
        hf_found(look, HF_FINDING_PROBLEM, "journal",
                 "its tables have version %" PRId64
                 " and this program knows up to %u; install a newer Holdfast",
                 version, HF_SCHEMA_VERSION);
        return false;
    }
    if (version < (int64_t)HF_SCHEMA_VERSION)
        hf_found(look, HF_FINDING_WARNING, "journal",
                 "its tables have version %" PRId64
                 "; the next process that opens it keeps a copy and brings "
                 "them to version %u",
                 version, HF_SCHEMA_VERSION);
    else
        hf_found(look, HF_FINDING_OK, "journal",
                 "application_id and user_version are right (version %" PRId64
                 ")",
                 version);
    return true;
}

static void inspect_schema(struct hf_look *look, struct hf_db *db,
                           unsigned version)
{
    struct hf_why why = {""};

    if (hf_db_check_schema(db, hf_schema_texts, version, &why))
        hf_found(look, HF_FINDING_PROBLEM, "tables",
                 "%s. Nothing of ours opens it until then", why.text);
    else
        hf_found(look, HF_FINDING_OK, "tables",
                 "tables, indexes and triggers are ours, and all of them");
}

static void inspect_mode(struct hf_look *look, struct hf_db *db)
{
    sqlite3_stmt *stmt;
    bool row = false;
    int err = hf_db_get(db, "PRAGMA journal_mode", &stmt);

    if (!err)
        err = hf_db_step(db, stmt, &row);
    if (err || !row)
        return; /* what is wrong shows elsewhere */
    if (hf_str_eq(hf_db_text(stmt, 0), HF_STR("wal")))
        hf_found(look, HF_FINDING_OK, "mode", "write-ahead log");
    else
        hf_found(look, HF_FINDING_WARNING, "mode",
                 "journal_mode is %.*s: a program has changed it, or this is a "
                 "copy put back; the next process of ours sets WAL again",
                 HF_STR_ARG(hf_db_text(stmt, 0)));
    hf_db_done(stmt);
}

/* --- history ------------------------------------------------------------- */

struct history {
    char epoch[17];
    uint64_t sequence;
    bool has_sequence;
    uint64_t highest; /* id of a message */
    struct hf_head head;
};

static int read_history(struct hf_look *look, struct hf_db *db,
                        struct history *out)
{
    sqlite3_stmt *stmt;
    bool row;
    int err;

    err = hf_db_get(db,
                    "SELECT (SELECT value FROM meta WHERE name = 'epoch'),"
                    " (SELECT seq FROM sqlite_sequence"
                    "  WHERE name = 'messages'),"
                    " (SELECT max(id) FROM messages)",
                    &stmt);
    if (!err)
        err = hf_db_step(db, stmt, &row);
    if (err)
        return err;
    (void)snprintf(out->epoch, sizeof(out->epoch), "%.*s",
                   HF_STR_ARG(hf_db_text(stmt, 0)));
    out->sequence = hf_db_u64(stmt, 1);
    out->has_sequence = sqlite3_column_type(stmt, 1) == SQLITE_INTEGER;
    out->highest = hf_db_u64(stmt, 2);
    hf_db_done(stmt);
    out->head = hf_history_head(&look->dir);
    return 0;
}

static void inspect_history(struct hf_look *look, struct hf_db *db)
{
    struct history history = {.epoch = ""};
    uint64_t epoch = 0;

    if (read_history(look, db, &history)) {
        hf_found(look, HF_FINDING_PROBLEM, "history",
                 "epoch and sequence cannot be read: %s",
                 sqlite3_errmsg(db->handle));
        return;
    }
    (void)sscanf(history.epoch, "%16" SCNx64, &epoch); /* 0: there is none */
    if (!epoch)
        hf_found(look, HF_FINDING_OK, "history",
                 "no epoch yet, for it is new or was put back; the first "
                 "process begins one");
    else if (!history.has_sequence)
        hf_found(look, HF_FINDING_WARNING, "history",
                 "the row of messages in sqlite_sequence is missing, and "
                 "INSERTs fail; the next process of ours puts it back");
    else if (history.sequence < history.highest)
        hf_found(look, HF_FINDING_WARNING, "history",
                 "sqlite_sequence (%" PRIu64 ") is behind the newest message "
                 "(%" PRIu64 "); a program has changed it. The next process "
                 "of ours begins a new epoch, and clients start afresh",
                 history.sequence, history.highest);
    else if (history.head.epoch && (history.head.epoch != epoch ||
                                    history.head.id > history.sequence))
        hf_found(look, HF_FINDING_WARNING, "history",
                 "the file is older than what was seen of it, or another one; "
                 "the next process of ours begins a new epoch, and clients "
                 "start afresh");
    else
        hf_found(look, HF_FINDING_OK, "history", "epoch %s, sequence %" PRIu64,
                 history.epoch, history.sequence);
}

static void inspect_future(struct hf_look *look, struct hf_db *db)
{
    int64_t at = 0;

    if (hf_db_number(db, "SELECT at FROM messages ORDER BY id DESC LIMIT 1",
                     &at))
        return; /* there is none */
    if (at - FUTURE_MS > hf_wall_ms())
        hf_found(look, HF_FINDING_WARNING, "clock",
                 "the newest message is from %" PRId64 " s in the future: the "
                 "clock was set back, or a script wrote milliseconds wrongly. "
                 "Retention by age waits for the clock",
                 (at - hf_wall_ms()) / 1000);
}

/* --- the log ------------------------------------------------------------- */

static int64_t log_bytes(const struct hf_look *look)
{
    struct stat st;

    return fstatat(look->dir.fd, HF_FILE_JOURNAL "-wal", &st,
                   AT_SYMLINK_NOFOLLOW) < 0
               ? 0
               : (int64_t)st.st_size;
}

static void inspect_wal(struct hf_look *look)
{
    int64_t bytes = log_bytes(look);
    long long mib = (long long)bytes >> 20;

    if (bytes > look->settings.max_wal)
        hf_found(look, HF_FINDING_PROBLEM, "log",
                 "%lld MiB, above max_wal: publishing is refused, because a "
                 "program keeps a transaction open; `holdfast status` names "
                 "it, end it",
                 mib);
    else if (bytes > look->settings.max_wal / 2)
        hf_found(look, HF_FINDING_WARNING, "log",
                 "%lld MiB, more than half of max_wal: some program keeps a "
                 "transaction open, see `holdfast status`",
                 mib);
    else
        hf_found(look, HF_FINDING_OK, "log", "%lld MiB", mib);
}

/* --- pages and rows ------------------------------------------------------ */

/* The check is one long read transaction, and the log cannot begin anew
 * meanwhile: it ends before publishing would be refused. */
static int on_ops(void *ctx)
{
    const struct hf_look *look = ctx;
    int64_t ceiling = look->settings.max_wal - look->settings.max_wal / 4;

    return log_bytes(look) > ceiling ||
           (look->wish->progress &&
            look->wish->progress(look->wish->ctx, "pages"));
}

static void inspect_pages(struct hf_look *look, struct hf_db *db)
{
    sqlite3_stmt *stmt;
    bool row = true;
    bool bad = false;
    unsigned lines = 0;
    int err = hf_db_get(db,
                        look->wish->full ? "PRAGMA integrity_check(10)"
                                         : "PRAGMA quick_check(10)",
                        &stmt);

    sqlite3_progress_handler(db->handle, PAGE_CHECK_OPS, on_ops, look);
    while (!err && row && lines < LINES_MAX) {
        struct hf_str line;

        err = hf_db_step(db, stmt, &row);
        if (err || !row)
            break;
        line = hf_db_damage(hf_db_text(stmt, 0));
        if (lines++ == 0 && hf_str_eq(line, HF_STR("ok")))
            hf_found(look, HF_FINDING_OK, "pages", "whole%s",
                     look->wish->full ? ""
                                      : " (--full compares the indexes, too)");
        else {
            bad = true;
            hf_found(look, HF_FINDING_PROBLEM, "pages", "%.*s",
                     (int)(line.len > 400 ? 400 : line.len), line.at);
        }
    }
    if (!err && row)
        hf_db_done(stmt);
    sqlite3_progress_handler(db->handle, 0, NULL, NULL);
    if (err && sqlite3_errcode(db->handle) == SQLITE_INTERRUPT) {
        hf_found(look, HF_FINDING_WARNING, "pages",
                 "not all were looked at: stopped, or so much is published "
                 "that the log has grown; try again when less is");
        return;
    }
    if (err)
        hf_found(look, HF_FINDING_PROBLEM, "pages", "%s",
                 sqlite3_errmsg(db->handle));
    if (err || bad)
        hf_found(look, HF_FINDING_PROBLEM, "pages",
                 "the file is damaged. Stop everything, then save what can be "
                 "read with: holdfast check --rescue, or put back a backup "
                 "with: holdfast restore FILE");
}

struct scan {
    uint64_t after;
    uint64_t rows;
    uint64_t bad;
    char named[160];
};

static void judge_row(struct scan *scan, sqlite3_stmt *stmt)
{
    struct hf_row row = {
        .id = hf_db_u64(stmt, 0),
        .topic = hf_db_text(stmt, 1),
        .event = hf_db_text(stmt, 2),
        .payload = hf_db_text(stmt, 3),
        .kind = sqlite3_column_int(stmt, 4) == HF_KIND_BINARY ? HF_KIND_BINARY
                                                              : HF_KIND_JSON,
        .at_ms = sqlite3_column_int64(stmt, 5),
        .skip = hf_db_text(stmt, 6),
    };
    const char *reason = hf_row_unreadable(&row);
    size_t len = strlen(scan->named);

    scan->rows++;
    scan->after = row.id;
    if (!reason)
        return;
    if (scan->bad++ < NAMED_MAX)
        (void)snprintf(scan->named + len, sizeof(scan->named) - len,
                       "%s%" PRIu64 " (%s)", len ? ", " : "", row.id, reason);
}

/* One page in a read transaction of its own. */
static int scan_page(struct hf_db *db, struct scan *scan, bool *out_more)
{
    sqlite3_stmt *stmt;
    bool row;
    unsigned count = 0;
    int err = hf_db_get(db,
                        "SELECT id, topic, event, payload, kind, at, skip"
                        " FROM messages WHERE id > ?1 ORDER BY id LIMIT ?2",
                        &stmt);

    *out_more = false;
    if (err)
        return err;
    hf_db_bind_u64(stmt, 1, scan->after);
    hf_db_bind_u64(stmt, 2, PAGE_ROWS);
    for (;;) {
        err = hf_db_step(db, stmt, &row);
        if (err || !row)
            break;
        judge_row(scan, stmt);
        count++;
    }
    *out_more = !err && count == PAGE_ROWS;
    return err;
}

static void inspect_rows(struct hf_look *look, struct hf_db *db)
{
    int64_t deadline_ms = hf_boot_ms() + SCAN_MS;
    struct scan scan = {.after = 0};
    bool more = true, stopped = false;
    int err = 0;

    while (!err && more && !stopped) {
        err = scan_page(db, &scan, &more);
        stopped = more && ((!look->wish->full && hf_boot_ms() > deadline_ms) ||
                           (look->wish->progress &&
                            look->wish->progress(look->wish->ctx, "messages")));
    }
    if (err)
        hf_found(look, HF_FINDING_PROBLEM, "messages",
                 "after id %" PRIu64 " they cannot be read: %s", scan.after,
                 sqlite3_errmsg(db->handle));
    else if (scan.bad)
        hf_found(look, HF_FINDING_WARNING, "messages",
                 "%" PRIu64 " of %" PRIu64 " cannot be given to anybody and "
                 "are passed over: id %s%s; a program has written them "
                 "wrongly. To be rid of them: DELETE FROM messages WHERE id = "
                 "...",
                 scan.bad, scan.rows, scan.named,
                 scan.bad > NAMED_MAX ? ", ..." : "");
    else
        hf_found(look, HF_FINDING_OK, "messages", "%" PRIu64 " looked at%s",
                 scan.rows,
                 stopped ? ", not all of them (--full looks at all)" : "");
}

/* --- all of it ----------------------------------------------------------- */

static void inspect_open(struct hf_look *look, struct hf_db *db)
{
    unsigned version;

    hf_db_wait(db, 5000);
    if (!inspect_identity(look, db, &version))
        return;
    inspect_schema(look, db, version);
    inspect_mode(look, db);
    inspect_history(look, db);
    inspect_future(look, db);
    inspect_wal(look);
    inspect_pages(look, db);
    inspect_rows(look, db);
}

void hf_inspect_db(struct hf_look *look)
{
    struct hf_why why = {""};
    char path[PATH_MAX];
    struct hf_db db;
    int64_t pages;

    inspect_library(look);
    if (faccessat(look->dir.fd, HF_FILE_JOURNAL, F_OK, 0) < 0 ||
        hf_dir_file(&look->dir, HF_FILE_JOURNAL, path, sizeof(path)))
        return; /* said before */
    if (hf_db_open(&db, path, false, "FULL", &why)) {
        hf_found(look, HF_FINDING_PROBLEM, "journal",
                 "%s. Put back a backup with: holdfast restore FILE, or save "
                 "what can be read with: holdfast check --rescue",
                 why.text);
        return;
    }
    if (hf_db_number(&db, "PRAGMA freelist_count", &pages) == 0)
        look->free_pages = pages * HF_DB_PAGE;
    inspect_open(look, &db);
    hf_db_close(&db);
}

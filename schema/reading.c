/*
 * reading.c - what a connection to the journal sees
 */
#include "schema/journal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/sys.h"
#include "schema/journal_impl.h"
#include "schema/readable.h"

#define READER_REPAIR_MS 100   /* a loop does not wait longer for a lock */
#define WAL_INDEX_REGION 32768 /* bytes that SQLite maps at a time */

/* --- are these still the files? ------------------------------------------ */

static bool wal_is_ours(struct hf_journal *journal)
{
    struct stat st;

    if (fstatat(journal->dir.fd, HF_FILE_JOURNAL "-wal", &st,
                AT_SYMLINK_NOFOLLOW) < 0)
        return journal->wal == 0 || errno != ENOENT;
    journal->guard.wal_bytes = st.st_size;
    if (journal->wal == 0)
        journal->wal = st.st_ino;
    return journal->wal == st.st_ino;
}

/* For `holdfast status`, which opens the files that are there now. */
static void say_stranded(const struct hf_journal *journal)
{
    struct hf_stranded mine = {getpid(), hf_boot_ms()};
    int fd = hf_dir_open_file(&journal->dir, HF_FILE_WRITERS);

    if (fd < 0)
        return; /* the log has said it */
    (void)!pwrite(fd, &mine, sizeof(mine), HF_WRITERS_STRANDED);
    hf_close(&fd);
}

pid_t hf_journal_stranded(const struct hf_dir *dir)
{
    struct hf_stranded last = {0, 0};
    int fd = hf_dir_open_file(dir, HF_FILE_WRITERS);
    bool there;

    if (fd < 0)
        return 0;
    there =
        pread(fd, &last, sizeof(last), HF_WRITERS_STRANDED) == sizeof(last) &&
        last.pid > 0 && last.at_ms <= hf_boot_ms();
    hf_close(&fd);
    if (!there || (kill((pid_t)last.pid, 0) < 0 && errno == ESRCH))
        return 0;
    return (pid_t)last.pid;
}

int hf_journal_check_files(struct hf_journal *journal)
{
    int moved = 0;

    if (journal->lost)
        return HF_EREPLACED;
    (void)sqlite3_file_control(journal->db.handle, "main",
                               SQLITE_FCNTL_HAS_MOVED, &moved);
    if (!moved && wal_is_ours(journal))
        return 0;
    journal->lost = true;
    HF_LOG(HF_LOG_ERROR, "journal_replaced",
           hf_field("file", moved ? HF_FILE_JOURNAL : HF_FILE_JOURNAL "-wal"),
           hf_field("effect", "this process neither delivers nor publishes"),
           hf_field("hint", "somebody moved, replaced or deleted a file of the "
                            "journal while programs had it open; stop all of "
                            "them, scripts too, then start them again"));
    say_stranded(journal);
    return HF_EREPLACED;
}

/* --- reading ------------------------------------------------------------- */

/* What a look at the history said, put right if need be. */
static int repaired(struct hf_journal *journal, int err)
{
    if (err != HF_EAGAIN)
        return err;
    return hf_history_repair(journal, hf_boot_ms() + READER_REPAIR_MS);
}

/* The history as it is, repaired if need be. Outside of transactions. */
static int look(struct hf_journal *journal, uint64_t *out_head)
{
    int err = repaired(journal, hf_history_look(journal, NULL));

    if (!err && out_head)
        *out_head = journal->head_seen;
    return err;
}

/*
 * The wal-index as SQLite has it mapped already (its file format, section 2):
 * at its very beginning the header, which every commit changes. Reading it needs
 * no lock, for nothing of it is believed. False: it cannot be had.
 */
static bool read_stirring(const struct hf_journal *journal,
                          uint32_t out[HF_STIRRING])
{
    const volatile uint32_t *words;
    volatile void *at = NULL;
    sqlite3_file *file = NULL;
    unsigned i;

    if (sqlite3_file_control(journal->db.handle, "main",
                             SQLITE_FCNTL_FILE_POINTER, &file) ||
        !file || !file->pMethods || file->pMethods->iVersion < 2 ||
        file->pMethods->xShmMap(file, 0, WAL_INDEX_REGION, 0, &at) || !at)
        return false;
    words = at;
    for (i = 0; i < HF_STIRRING; i++)
        out[i] = __atomic_load_n(&words[i], __ATOMIC_RELAXED);
    return true;
}

bool hf_journal_stirred(struct hf_journal *journal)
{
    uint32_t now[HF_STIRRING];

    return !journal->stirring_known || !read_stirring(journal, now) ||
           memcmp(now, journal->stirring, sizeof(now)) != 0;
}

/* The first question where a snapshot needs what was shed, and would have to
 * read all of it for nothing. */
static int is_as_it_was(struct hf_journal *journal, bool *out)
{
    int64_t version = 0;
    int err;

    *out = false;
    if (!journal->shed || !journal->version_known)
        return 0;
    err = hf_journal_version(journal, &version);
    *out = !err && version == journal->data_version;
    return err;
}

/* On errors it is still new: the next call says so again. */
static int is_new(struct hf_journal *journal, bool *out)
{
    int64_t version = 0;
    int err = hf_db_number(&journal->db, "PRAGMA data_version", &version);

    if (err)
        return err;
    *out = !journal->version_known || version != journal->data_version;
    journal->data_version = version;
    journal->version_known = true;
    return 0;
}

static int snapshot_if_new(struct hf_journal *journal, bool *out)
{
    int err = hf_journal_snapshot(journal);

    if (err)
        return err;
    err = is_new(journal, out);
    if (err || !*out)
        hf_journal_snapshot_end(journal);
    return err;
}

int hf_journal_snapshot_if_new(struct hf_journal *journal, bool *out)
{
    uint32_t stirring[HF_STIRRING];
    bool stirring_known, same;
    int err;

    assert(journal->snapshots == 0);
    /* Before it reads: what is committed meanwhile has then stirred. */
    stirring_known = read_stirring(journal, stirring);
    journal->stirring_known = false;
    err = is_as_it_was(journal, &same);
    *out = false;
    if (!err && !same)
        err = snapshot_if_new(journal, out);
    if (err)
        return err;
    memcpy(journal->stirring, stirring, sizeof(stirring));
    journal->stirring_known = stirring_known;
    return 0;
}

int hf_journal_changed(struct hf_journal *journal, bool *out)
{
    int err;

    if (journal->snapshots > 0) {
        journal->stirring_known = false;
        return is_new(journal, out);
    }
    err = hf_journal_snapshot_if_new(journal, out);
    if (!err && *out)
        hf_journal_snapshot_end(journal);
    return err;
}

int hf_journal_version(struct hf_journal *journal, int64_t *out)
{
    int err;

    if (journal->lost)
        return HF_EREPLACED;
    err = hf_db_number(&journal->db, "PRAGMA data_version", out);
    return err ? hf_guard_locked_out(journal, err) : 0;
}

int hf_journal_snapshot(struct hf_journal *journal)
{
    int tries, err;

    if (journal->lost)
        return HF_EREPLACED;
    /* After some errors SQLite has ended it by itself; then begin anew. */
    if (journal->snapshots > 0 && !sqlite3_get_autocommit(journal->db.handle)) {
        journal->snapshots++;
        return 0;
    }
    journal->shed = false;
    for (tries = 0; tries < 2; tries++) {
        err = hf_db_begin(&journal->db, false);
        if (err)
            return err;
        /* The first read is what makes it a snapshot, and meets the locks. */
        err = hf_history_look(journal, NULL);
        if (!err) {
            journal->snapshots++;
            return 0;
        }
        hf_db_rollback(&journal->db); /* nothing was written */
        if (err != HF_EAGAIN)
            return hf_guard_locked_out(journal, err);
        err = look(journal, NULL);
        if (err)
            return err;
    }
    return HF_EBUSY; /* somebody keeps lowering the sequence */
}

void hf_journal_snapshot_end(struct hf_journal *journal)
{
    if (journal->snapshots > 0)
        journal->snapshots--;
    if (journal->snapshots == 0)
        hf_db_rollback(&journal->db); /* nothing was written */
}

bool hf_journal_in_snapshot(const struct hf_journal *journal)
{
    return journal->snapshots > 0 &&
           !sqlite3_get_autocommit(journal->db.handle);
}

int hf_journal_head(struct hf_journal *journal, uint64_t *out)
{
    static const char sequence[] =
        "SELECT seq FROM sqlite_sequence WHERE name = 'messages'";
    int64_t head;
    int err;

    if (sqlite3_get_autocommit(journal->db.handle))
        return look(journal, out);
    /* In a transaction: the begin has looked, and a draw of ours counts. */
    err = hf_db_number(&journal->db, sequence, &head);
    if (err)
        return err;
    *out = (uint64_t)head;
    return 0;
}

uint64_t hf_journal_unreadable(const struct hf_journal *journal)
{
    return journal->unreadable;
}

/* Reading rows: what is asked for, and how far we came. */
struct reading {
    struct hf_journal *journal;
    size_t max_bytes;
    size_t bytes;
    hf_row_fn each;
    void *ctx;
    uint64_t last;
    size_t count;
    bool only_topics; /* nobody is given the rest, so it is not looked at */
};

static void get_row(sqlite3_stmt *stmt, struct hf_row *row)
{
    row->id = hf_db_u64(stmt, 0);
    row->topic = hf_db_text(stmt, 1);
    row->event = hf_db_text(stmt, 2);
    row->payload = hf_db_text(stmt, 3);
    row->kind = (enum hf_kind)sqlite3_column_int(stmt, 4); /* or none of them */
    row->at_ms = sqlite3_column_int64(stmt, 5);
    row->skip = hf_db_text(stmt, 6);
}

/*
 * Every reader comes by here, so a row is named once by a process: how often
 * it is read depends on who asks for the past. The slots are few, and a row
 * that lost its slot to another one is named again.
 */
static void report_unreadable(struct hf_journal *journal,
                              const struct hf_row *row, const char *reason)
{
    uint64_t *named = &journal->named[row->id % HF_UNREADABLE_NAMED];

    if (*named == row->id)
        return;
    *named = row->id;
    journal->unreadable++;
    HF_LOG(HF_LOG_WARN, "message_unreadable",
           hf_field_i("id", (long long)row->id),
           hf_field_s("topic", row->topic), hf_field("reason", reason),
           hf_field_i("so_far", (long long)journal->unreadable),
           hf_field("hint", "a program wrote it past the rules; every reader "
                            "passes it over"));
}

static int take_row(struct reading *reading, sqlite3_stmt *stmt)
{
    struct hf_row row;
    const char *reason;
    int err = 0;

    get_row(stmt, &row);
    reason = reading->only_topics ? NULL : hf_row_unreadable(&row);
    if (!reason)
        err = reading->each(reading->ctx, &row);
    else
        report_unreadable(reading->journal, &row, reason);
    if (err)
        return err;
    reading->bytes += row.payload.len;
    reading->last = row.id;
    reading->count++;
    return 0;
}

/* Step through the rows of a bound statement; ends with it done. *out_more:
 * it was ended by the bytes. */
static int read_rows(struct hf_journal *journal, sqlite3_stmt *stmt,
                     struct reading *reading, bool *out_more)
{
    bool row;
    int err;

    *out_more = false;
    for (;;) {
        err = hf_db_step(&journal->db, stmt, &row);
        if (err || !row)
            return err;
        err = take_row(reading, stmt);
        *out_more = reading->bytes >= reading->max_bytes;
        if (err || *out_more) {
            hf_db_done(stmt);
            return err;
        }
    }
}

static int read_bound(struct hf_journal *journal, sqlite3_stmt *stmt,
                      struct reading *reading, size_t max, uint64_t *out_last,
                      bool *out_more)
{
    bool more;
    int err;

    err = read_rows(journal, stmt, reading, &more);
    *out_last = reading->last;
    *out_more = more || err || reading->count >= max;
    return err;
}

int hf_journal_read(struct hf_journal *journal, uint64_t after, size_t max,
                    size_t max_bytes, hf_row_fn each, void *ctx,
                    uint64_t *out_last, bool *out_more)
{
    struct reading reading = {.journal = journal,
                              .max_bytes = max_bytes,
                              .each = each,
                              .ctx = ctx,
                              .last = after};
    sqlite3_stmt *stmt;
    int err;

    err = hf_db_get(&journal->db,
                    "SELECT id, topic, event, payload, kind, at, skip"
                    " FROM messages WHERE id > ?1 ORDER BY id LIMIT ?2",
                    &stmt);
    if (err)
        return err;
    hf_db_bind_u64(stmt, 1, after);
    hf_db_bind_u64(stmt, 2, max);
    return read_bound(journal, stmt, &reading, max, out_last, out_more);
}

int hf_journal_read_topic(struct hf_journal *journal, struct hf_str topic,
                          uint64_t after, uint64_t through, size_t max,
                          size_t max_bytes, hf_row_fn each, void *ctx,
                          uint64_t *out_last, bool *out_more)
{
    struct reading reading = {.journal = journal,
                              .max_bytes = max_bytes,
                              .each = each,
                              .ctx = ctx,
                              .last = after};
    sqlite3_stmt *stmt;
    int err;

    err = hf_db_get(&journal->db,
                    "SELECT id, topic, event, payload, kind, at, skip"
                    " FROM messages WHERE topic = ?1 AND id > ?2 AND id <= ?3"
                    " ORDER BY id LIMIT ?4",
                    &stmt);
    if (err)
        return err;
    hf_db_bind_text(stmt, 1, topic);
    hf_db_bind_u64(stmt, 2, after);
    hf_db_bind_u64(stmt, 3, through);
    hf_db_bind_u64(stmt, 4, max);
    return read_bound(journal, stmt, &reading, max, out_last, out_more);
}

int hf_journal_read_back(struct hf_journal *journal, struct hf_str topic,
                         uint64_t through, size_t max, hf_row_fn each,
                         void *ctx)
{
    struct reading reading = {
        .journal = journal, .max_bytes = SIZE_MAX, .each = each, .ctx = ctx};
    sqlite3_stmt *stmt;
    bool more;
    int err;

    err = hf_db_get(&journal->db,
                    "SELECT id, topic, event, payload, kind, at, skip"
                    " FROM messages WHERE topic = ?1 AND id <= ?2"
                    " ORDER BY id DESC LIMIT ?3",
                    &stmt);
    if (err)
        return err;
    hf_db_bind_text(stmt, 1, topic);
    hf_db_bind_u64(stmt, 2, through);
    hf_db_bind_u64(stmt, 3, max);
    return read_rows(journal, stmt, &reading, &more);
}

int hf_journal_read_topics(struct hf_journal *journal, uint64_t after,
                           size_t max, hf_row_fn each, void *ctx,
                           uint64_t *out_last, bool *out_more)
{
    struct reading reading = {.journal = journal,
                              .max_bytes = SIZE_MAX,
                              .each = each,
                              .ctx = ctx,
                              .last = after,
                              .only_topics = true};
    sqlite3_stmt *stmt;
    int err;

    err = hf_db_get(&journal->db,
                    "SELECT id, topic, '', '', 0, 0, ''"
                    " FROM messages WHERE id > ?1 ORDER BY id LIMIT ?2",
                    &stmt);
    if (err)
        return err;
    hf_db_bind_u64(stmt, 1, after);
    hf_db_bind_u64(stmt, 2, max);
    return read_bound(journal, stmt, &reading, max, out_last, out_more);
}

int hf_journal_trimmed(struct hf_journal *journal, struct hf_str topic,
                       uint64_t *out_through)
{
    sqlite3_stmt *stmt;
    bool row;
    int err;

    err = hf_db_get(&journal->db,
                    "SELECT max(through) FROM trimmed WHERE topic IN ('', ?1)",
                    &stmt);
    if (err)
        return err;
    hf_db_bind_text(stmt, 1, topic);
    err = hf_db_step(&journal->db, stmt, &row);
    if (err)
        return err;
    *out_through = row ? hf_db_u64(stmt, 0) : 0; /* NULL is 0 */
    if (row)
        hf_db_done(stmt);
    return 0;
}

int hf_journal_trimmed_highest(struct hf_journal *journal,
                               uint64_t *out_through)
{
    sqlite3_stmt *stmt;
    bool row;
    int err;

    err = hf_db_get(&journal->db, "SELECT max(through) FROM trimmed", &stmt);
    if (!err)
        err = hf_db_step(&journal->db, stmt, &row);
    if (err)
        return err;
    *out_through = row ? hf_db_u64(stmt, 0) : 0; /* NULL is 0 */
    if (row)
        hf_db_done(stmt);
    return 0;
}

int hf_journal_before_last(struct hf_journal *journal, struct hf_str topic,
                           uint64_t count, uint64_t *out_before)
{
    sqlite3_stmt *stmt;
    bool row;
    int err;

    err = hf_db_get(&journal->db,
                    "SELECT id FROM messages WHERE topic = ?1"
                    " ORDER BY id DESC LIMIT 1 OFFSET ?2",
                    &stmt);
    if (err)
        return err;
    hf_db_bind_text(stmt, 1, topic);
    hf_db_bind_u64(stmt, 2, count);
    err = hf_db_step(&journal->db, stmt, &row);
    if (err)
        return err;
    *out_before = row ? hf_db_u64(stmt, 0) : 0;
    if (row)
        hf_db_done(stmt);
    return 0;
}

/* Rows passed over in one look, beyond those that are counted. */
#define PACE_OTHERS 1000u

/* after_ms is a second ago; clocks of one host differ by nothing. */
#define PACE_AHEAD_MS 2000

int hf_journal_pace(struct hf_journal *journal, struct hf_str topic,
                    unsigned count, int64_t after_ms, int64_t *out_ms)
{
    sqlite3_stmt *stmt;
    bool row;
    int err;

    *out_ms = 0;
    err = hf_db_get(&journal->db,
                    "SELECT at, event = 'presence_diff' FROM messages"
                    " WHERE topic = ?1 ORDER BY id DESC LIMIT ?2",
                    &stmt);
    if (err)
        return err;
    hf_db_bind_text(stmt, 1, topic);
    hf_db_bind_u64(stmt, 2, count + PACE_OTHERS);
    for (;;) {
        int64_t at;

        err = hf_db_step(&journal->db, stmt, &row);
        if (err || !row)
            return err;
        at = sqlite3_column_int64(stmt, 0);
        if (at <= after_ms)
            break;
        if (sqlite3_column_int(stmt, 1) || at > after_ms + PACE_AHEAD_MS)
            continue;
        if (--count == 0) {
            *out_ms = at;
            break;
        }
    }
    hf_db_done(stmt);
    return 0;
}

int hf_journal_redactions(struct hf_journal *journal, uint64_t *out)
{
    int64_t number = 0;
    int err;

    err = hf_db_number(&journal->db,
                       "SELECT value FROM meta WHERE name = 'redacted_rev'",
                       &number);
    if (err && err != HF_ENOTFOUND)
        return err;
    *out = (uint64_t)number;
    return 0;
}

int hf_journal_gap(struct hf_journal *journal, struct hf_str topic,
                   uint64_t after, bool *out)
{
    uint64_t through;
    int err;

    *out = false;
    /* The end of one index, which every reader keeps warm; a topic's own row
     * is anywhere, and with many topics a page of its own. */
    err = hf_journal_trimmed_highest(journal, &through);
    if (err || after >= through)
        return err;
    err = hf_journal_trimmed(journal, topic, &through);
    if (err)
        return err;
    *out = after < through;
    return 0;
}

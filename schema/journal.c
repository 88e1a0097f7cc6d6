#include "schema/journal.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/sys.h"
#include "schema/failed.h"
#include "schema/holders.h"
#include "schema/journal_impl.h"
#include "schema/migrate.h"
#include "schema/presences.h"

/* --- opening ------------------------------------------------------------- */

/* An older version is brought to ours. */
static int check_version(struct hf_journal *journal, int64_t version,
                         struct hf_why *why)
{
    if (version == HF_SCHEMA_VERSION)
        return 0;
    if (version > 0 && version < HF_SCHEMA_VERSION)
        return hf_migrate(journal, why);
    return hf_explain(why, HF_EINVAL,
                      "%s/%s has version %lld of the tables and this program "
                      "knows %u; install a newer Holdfast",
                      journal->dir.path, HF_FILE_JOURNAL, (long long)version,
                      HF_SCHEMA_VERSION);
}

static int check_identity(struct hf_journal *journal, int64_t *out_version,
                          struct hf_why *why)
{
    int64_t application = 0;
    int err;

    err = hf_db_number(&journal->db, "PRAGMA application_id", &application);
    if (!err)
        err = hf_db_number(&journal->db, "PRAGMA user_version", out_version);
    if (err)
        return hf_explain(why, err, "cannot read %s/%s: %s", journal->dir.path,
                          HF_FILE_JOURNAL, sqlite3_errmsg(journal->db.handle));
    if (application != HF_APPLICATION_ID)
        return hf_explain(why, HF_EINVAL, "%s/%s is not a Holdfast journal",
                          journal->dir.path, HF_FILE_JOURNAL);
    return 0;
}

/* A script may have said PRAGMA journal_mode=DELETE while none of ours was
 * there; it persists in the file. */
static int ensure_wal(struct hf_journal *journal, struct hf_why *why)
{
    sqlite3_stmt *stmt;
    bool row = false;
    bool wal;
    int err;

    err = hf_db_get(&journal->db, "PRAGMA journal_mode = WAL", &stmt);
    if (!err)
        err = hf_db_step(&journal->db, stmt, &row);
    if (err || !row)
        return hf_explain(why, err ? err : HF_ESTORE,
                          "cannot put the journal into WAL mode: %s",
                          sqlite3_errmsg(journal->db.handle));
    wal = hf_str_eq(hf_db_text(stmt, 0), HF_STR("wal"));
    hf_db_done(stmt);
    if (!wal)
        return hf_explain(why, HF_ESTORE,
                          "the journal cannot be put into WAL mode");
    return 0;
}

/* The triggers read the limit from the table meta, where holdfast.conf is the
 * master: the writer that opens last with another value sets it. */
static int tell_max_payload(struct hf_journal *journal)
{
    int64_t value = 0;
    int64_t wanted = (int64_t)journal->settings->max_payload;
    sqlite3_stmt *stmt;
    int err;

    err = hf_db_number(&journal->db,
                       "SELECT value FROM meta WHERE name = 'max_payload'",
                       &value);
    if (err != HF_ENOTFOUND && (err || value == wanted))
        return err;
    err = hf_journal_begin(journal);
    if (err)
        return err;
    err = hf_db_get(&journal->db,
                    "INSERT OR REPLACE INTO meta (name, value)"
                    " VALUES ('max_payload', ?1)",
                    &stmt);
    if (!err) {
        hf_db_bind_u64(stmt, 1, (uint64_t)wanted);
        err = hf_db_finish(&journal->db, stmt);
    }
    if (!err)
        return hf_journal_commit(journal);
    hf_journal_rollback(journal);
    return err;
}

/* A journal that cannot be written can still be read: then it is not a reason
 * to refuse, and the next to open the journal says it again. */
static bool is_for_writing_only(int err)
{
    return err == HF_EFAILED || err == HF_EBLOCKED || err == HF_EFULL;
}

static int look_over(struct hf_journal *journal, struct hf_why *why)
{
    int64_t version = 0;
    int err;

    err = check_identity(journal, &version, why);
    if (!err)
        err = ensure_wal(journal, why);
    if (!err)
        err = check_version(journal, version, why);
    if (!err)
        err = hf_db_check_schema(&journal->db, hf_schema_texts,
                                 HF_SCHEMA_VERSION, why);
    if (!err)
        err = hf_history_open(journal, why);
    if (err || journal->use == HF_JOURNAL_READ)
        return err;
    err = tell_max_payload(journal);
    if (err && !is_for_writing_only(err))
        return hf_explain(why, err, "cannot write to the journal: %s",
                          hf_strerror(err));
    /* Without bells others see a message half a second later. */
    if (hf_bell_open(&journal->dir, &journal->bell))
        journal->bell = NULL;
    return 0;
}

static int open_database(struct hf_journal *journal, const char *path,
                         struct hf_why *why)
{
    bool full = journal->settings->durability == HF_DURABILITY_FULL;
    const char *sync = full ? "FULL" : "NORMAL";
    char holders[160];
    int err;

#ifdef HF_BROKEN_NO_SYNC
    sync = "OFF";
#endif
    err = hf_db_open(&journal->db, path, false, sync, why);
    if (!err) {
        hf_db_own_checkpoints(&journal->db);
        if (journal->use == HF_JOURNAL_READ)
            hf_db_keep_few(&journal->db);
        return 0;
    }
    if (err == HF_EBUSY &&
        hf_holders(&journal->dir, HF_HOLD_EXCLUSIVE, holders, sizeof(holders)))
        return hf_explain(why, err,
                          "%s is locked by process %s, which uses PRAGMA "
                          "locking_mode = EXCLUSIVE or changes the journal "
                          "mode; nobody can read or publish until it ends",
                          path, holders);
    return err;
}

static int open_files(struct hf_journal *journal, const struct hf_dir *dir,
                      struct hf_why *why)
{
    char path[PATH_MAX];
    int err;

    err = hf_dir_copy(dir, &journal->dir);
    if (err)
        return hf_explain(why, err, "%s: %s", dir->path, strerror(errno));
    err = hf_dir_file(dir, HF_FILE_JOURNAL, path, sizeof(path));
    if (err)
        return hf_explain(why, err, "%s: the path is too long", dir->path);
    return open_database(journal, path, why);
}

int hf_journal_open(const struct hf_dir *dir,
                    const struct hf_settings *settings, enum hf_journal_use use,
                    struct hf_journal **out, struct hf_why *why)
{
    struct hf_journal *journal = calloc(1, sizeof(*journal));
    int err;

    if (!journal)
        return hf_explain(why, HF_ENOMEM, "%s", hf_strerror(HF_ENOMEM));
    journal->settings = settings;
    journal->use = use;
    journal->writers_fd = -1;
    journal->dir.fd = -1;
    err = open_files(journal, dir, why);
    if (!err)
        err = look_over(journal, why);
    /* Of what looking over has written outside of a transaction of ours. */
    hf_guard_settle(journal, "opening the journal");
    if (err) {
        hf_journal_close(journal);
        return err;
    }
    *out = journal;
    return 0;
}

void hf_journal_close(struct hf_journal *journal)
{
    if (!journal)
        return;
    if (journal->queued)
        hf_journal_rollback(journal);
    hf_bell_close(journal->bell);
    hf_db_close(&journal->db);
    hf_close(&journal->writers_fd);
    hf_dir_close(&journal->dir);
    free(journal);
}

void hf_journal_be_small(void)
{
    hf_db_be_small();
}

void hf_journal_rest(struct hf_journal *journal)
{
    hf_db_rest(&journal->db);
}

void hf_journal_shed(struct hf_journal *journal)
{
    int64_t version;

    assert(journal->snapshots == 0);
    hf_db_shed(&journal->db);
    (void)hf_journal_version(journal, &version); /* makes ready to be asked */
    journal->shed = true;
}

uint64_t hf_journal_epoch(const struct hf_journal *journal)
{
    return journal->epoch;
}

/* --- the writers' queue -------------------------------------------------- */

/* For `holdfast status`. Written when it changes only: each write to a file of
 * the directory costs the watcher a look. */
static void leave_pid(int fd)
{
    char mine[16], there[16] = "";
    int len = snprintf(mine, sizeof(mine), "%-10ld\n", (long)getpid());

    if (pread(fd, there, (size_t)len, 0) == len &&
        memcmp(mine, there, (size_t)len) == 0)
        return;
    if (pwrite(fd, mine, (size_t)len, 0) != len)
        return; /* a full disk: status names nobody, no harm else */
}

int hf_journal_queue(struct hf_journal *journal, int64_t deadline_ms)
{
    int err;

    if (journal->writers_fd < 0)
        journal->writers_fd = hf_dir_open_file(&journal->dir, HF_FILE_WRITERS);
    if (journal->writers_fd < 0) {
        journal->writers_fd = -1;
        return HF_EIO;
    }
    err = hf_lock_wait(journal->writers_fd, HF_WRITERS_QUEUE, 1, deadline_ms);
    if (err)
        return err;
    journal->queued = true;
    /* Here and not before: the wait may have been long, and what is learned of
     * the log holds as long as the queue is ours. */
    err = hf_journal_check_files(journal);
    if (err) {
        hf_journal_unlock(journal);
        return err;
    }
    leave_pid(journal->writers_fd);
    return 0;
}

static int begin_immediate(struct hf_journal *journal, int64_t deadline_ms)
{
    /* Foreign writers do not queue: for them the rest of the time. */
    hf_db_wait(&journal->db, deadline_ms - hf_boot_ms());
    return hf_db_begin(&journal->db, true);
}

int hf_journal_lock(struct hf_journal *journal, int64_t deadline_ms)
{
    int err;

    err = hf_journal_queue(journal, deadline_ms);
    if (!err)
        err = begin_immediate(journal, deadline_ms);
    if (err)
        hf_journal_unlock(journal);
    return err;
}

void hf_journal_unlock(struct hf_journal *journal)
{
    hf_db_rollback(&journal->db);
    hf_guard_settle(journal, "writing to the journal");
    if (journal->queued)
        hf_unlock(journal->writers_fd, HF_WRITERS_QUEUE, 1);
    journal->queued = false;
}

pid_t hf_journal_holder(const struct hf_dir *dir)
{
    char text[16] = "";
    long pid = 0;
    int fd = hf_dir_open_file(dir, HF_FILE_WRITERS);

    if (fd < 0)
        return 0;
    if (hf_locked(fd, HF_WRITERS_QUEUE, 1) &&
        pread(fd, text, sizeof(text) - 1, 0) > 0)
        pid = strtol(text, NULL, 10);
    hf_close(&fd);
    return (pid_t)pid;
}

/* --- transactions -------------------------------------------------------- */

static int begin_once(struct hf_journal *journal, bool upkeep,
                      int64_t deadline_ms)
{
    uint64_t head;
    int err;

    err = hf_journal_queue(journal, deadline_ms);
    if (!err)
        err = hf_guard_admit(journal, upkeep);
    if (!err)
        err = begin_immediate(journal, deadline_ms);
    if (!err)
        err = hf_history_look(journal, &head);
    if (err) {
        hf_journal_unlock(journal);
        return err;
    }
    journal->first = head + 1;
    journal->writing = true;
    journal->to_ring = (struct hf_bell_names){0};
    journal->presence_changed = false;
#ifdef HF_BROKEN_DIFF_LATER
    journal->presence_changed = true;
    return hf_presences_tell(journal);
#endif
    return 0;
}

static int begin_sound(struct hf_journal *journal, bool upkeep)
{
    int64_t deadline_ms = hf_boot_ms() + journal->settings->busy_ms;
    int err = 0;

    if (journal->lost)
        return HF_EREPLACED; /* for good, so without waiting */
    if (journal->owed && !hf_failed(&journal->dir))
        err = hf_history_repair(journal, deadline_ms);
    if (!err)
        err = begin_once(journal, upkeep, deadline_ms);
    if (err != HF_EAGAIN)
        return err;
    err = hf_history_repair(journal, deadline_ms);
    if (!err)
        err = begin_once(journal, upkeep, deadline_ms);
    return err == HF_EAGAIN ? HF_EBUSY : err;
}

int hf_journal_begin(struct hf_journal *journal)
{
    return hf_guard_report(journal, begin_sound(journal, false));
}

int hf_journal_begin_upkeep(struct hf_journal *journal)
{
    return begin_sound(journal, true);
}

static void ring(struct hf_journal *journal, uint64_t last)
{
    if (!journal->bell)
        return;
    if (journal->to_ring.buckets)
        hf_bell_ring(journal->bell, &journal->to_ring);
    if (last >= journal->first)
        hf_bell_rung(journal->bell, journal->first, last);
}

/* SQLite has rolled back by itself; after what? */
static int gave_up(const struct hf_journal *journal)
{
    return journal->db.sync_lost ? HF_EFAILED
           : journal->db.full    ? HF_EFULL
                                 : HF_ESTORE;
}

static int commit(struct hf_journal *journal, uint64_t *out_last)
{
    int err;

    if (!journal->writing || sqlite3_get_autocommit(journal->db.handle))
        return gave_up(journal);
#ifndef HF_BROKEN_DIFF_LATER /* for tests: rows and their diffs are one */
    err = hf_presences_tell(journal);
    if (err)
        return err;
#endif
    err = hf_journal_head(journal, out_last);
    if (err)
        return err;
#ifdef HF_BROKEN_RING_EARLY /* for tests: who is woken must find the rows */
    ring(journal, *out_last);
#endif
    return hf_db_do(&journal->db, "COMMIT");
}

int hf_journal_commit(struct hf_journal *journal)
{
    uint64_t last;
    int err;

    err = commit(journal, &last);
    if (err) {
        hf_journal_rollback(journal);
        return err;
    }
    journal->writing = false;
    journal->head_seen = last;
#ifndef HF_BROKEN_RING_EARLY
    ring(journal, last); /* it can be read; the rest is our own business */
#endif
    hf_history_save_head(journal);
    hf_guard_checkpoint(journal);
    hf_journal_unlock(journal);
    return 0;
}

void hf_journal_rollback(struct hf_journal *journal)
{
    hf_journal_unlock(journal);
    journal->writing = false;
}

static const char undo_part[] = "ROLLBACK TO part";
static const char end_part[] = "RELEASE part";

int hf_journal_part_begin(struct hf_journal *journal)
{
    sqlite3_stmt *ready;
    int err;

    if (!journal->writing || sqlite3_get_autocommit(journal->db.handle))
        return gave_up(journal);
    /* What undoes it first: with no memory to make it, a part that failed would
     * be committed with the others. */
    err = hf_db_get(&journal->db, undo_part, &ready);
    if (!err)
        err = hf_db_get(&journal->db, end_part, &ready);
    if (!err)
        err = hf_db_do(&journal->db, "SAVEPOINT part");
    return err;
}

int hf_journal_part_keep(struct hf_journal *journal)
{
    return hf_db_do(&journal->db, end_part);
}

void hf_journal_part_undo(struct hf_journal *journal)
{
    /* Fail only when SQLite has rolled back everything; commit sees that. */
    (void)hf_db_do(&journal->db, undo_part);
    (void)hf_db_do(&journal->db, end_part);
}

/* --- appending ----------------------------------------------------------- */

static void bind_payload(sqlite3_stmt *stmt, int at,
                         const struct hf_publish *publish)
{
    struct hf_str payload = publish->payload;

    if (publish->kind == HF_KIND_BINARY)
        (void)sqlite3_bind_blob64(stmt, at, payload.at ? payload.at : "",
                                  payload.len, SQLITE_STATIC);
    else
        hf_db_bind_text(stmt, at, payload);
}

/* Was the key used before? Then *out_id is the row's id, else 0. Of a row that
 * was redacted nobody knows the payload any more. */
static int find_key(struct hf_journal *journal,
                    const struct hf_publish *publish, uint64_t *out_id)
{
    sqlite3_stmt *stmt;
    bool row, same;
    int err;

    *out_id = 0;
    err = hf_db_get(&journal->db,
                    "SELECT id, topic = ?3 AND event = ?4 AND kind = ?6"
                    " AND (payload = ?5 OR EXISTS"
                    " (SELECT 1 FROM redacted WHERE id = messages.id))"
                    " FROM messages WHERE publisher = ?1 AND key = ?2",
                    &stmt);
    if (err)
        return err;
    hf_db_bind_text(stmt, 1, publish->publisher);
    hf_db_bind_text(stmt, 2, publish->key);
    hf_db_bind_text(stmt, 3, publish->topic);
    hf_db_bind_text(stmt, 4, publish->event);
    bind_payload(stmt, 5, publish);
    hf_db_bind_u64(stmt, 6, publish->kind);
    err = hf_db_step(&journal->db, stmt, &row);
    if (err || !row)
        return err;
    *out_id = hf_db_u64(stmt, 0);
    same = sqlite3_column_int(stmt, 1) == 1;
    hf_db_done(stmt);
    return same ? 0 : HF_ECONFLICT;
}

/* Is there what it comes after? Else HF_EAGAIN. */
static int find_after(struct hf_journal *journal,
                      const struct hf_publish *publish)
{
    sqlite3_stmt *stmt;
    bool row;
    int err = hf_db_get(&journal->db,
                        "SELECT 1 FROM messages"
                        " WHERE publisher = ?1 AND key = ?2",
                        &stmt);

    if (err)
        return err;
    hf_db_bind_text(stmt, 1, publish->publisher);
    hf_db_bind_text(stmt, 2, publish->after);
    err = hf_db_step(&journal->db, stmt, &row);
    if (err)
        return err;
    if (!row)
        return HF_EAGAIN;
    hf_db_done(stmt);
    return 0;
}

static int insert(struct hf_journal *journal, const struct hf_publish *publish,
                  uint64_t *out_id)
{
    sqlite3_stmt *stmt;
    int err;

    err = hf_db_get(&journal->db,
                    "INSERT INTO messages"
                    " (topic, event, payload, kind, publisher, key, skip)"
                    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                    &stmt);
    if (err)
        return err;
    hf_db_bind_text(stmt, 1, publish->topic);
    hf_db_bind_text(stmt, 2, publish->event);
    bind_payload(stmt, 3, publish);
    hf_db_bind_u64(stmt, 4, publish->kind);
    hf_db_bind_text_or_null(stmt, 5, publish->publisher);
    hf_db_bind_text_or_null(stmt, 6, publish->key);
    hf_db_bind_text_or_null(stmt, 7, publish->skip);
    err = hf_db_finish(&journal->db, stmt);
    if (!err)
        *out_id = (uint64_t)sqlite3_last_insert_rowid(journal->db.handle);
    return err;
}

int hf_journal_repeated(struct hf_journal *journal,
                        const struct hf_publish *publish, uint64_t *out_id)
{
    *out_id = 0;
    return publish->key.len > 0 ? find_key(journal, publish, out_id) : 0;
}

int hf_journal_append(struct hf_journal *journal,
                      const struct hf_publish *publish, uint64_t *out_id,
                      bool *out_repeated)
{
    uint64_t id = 0;
    bool repeated;
    int err = 0;

    if (publish->payload.len > journal->settings->max_payload)
        return HF_ELIMIT;
    if (publish->key.len > 0)
        err = find_key(journal, publish, &id);
    repeated = id > 0;
    if (err == 0 && !repeated && publish->after.len > 0)
        err = find_after(journal, publish);
    if (err)
        return err;
    if (!repeated) {
        err = insert(journal, publish, &id);
        if (err)
            return err;
        hf_journal_ring_later(journal, publish->topic);
    }
    *out_id = id;
    *out_repeated = repeated;
    return 0;
}

const char *hf_journal_refusal(const struct hf_journal *journal)
{
    return journal->db.refusal;
}

int hf_journal_draw(struct hf_journal *journal, uint64_t *out)
{
    int64_t id;
    int err;

    err = hf_db_number(&journal->db,
                       "UPDATE sqlite_sequence SET seq = seq + 1"
                       " WHERE name = 'messages' RETURNING seq",
                       &id);
    if (err)
        return err == HF_ENOTFOUND ? HF_ESTORE : err;
    *out = (uint64_t)id;
    return 0;
}

void hf_journal_ring_later(struct hf_journal *journal, struct hf_str name)
{
    hf_bell_names_add(&journal->to_ring, name);
}

void hf_journal_save_head(struct hf_journal *journal)
{
    if (!hf_history_head_due(journal) || journal->snapshots > 0)
        return; /* in a snapshot, which it would end: the next time */
    /* In the queue, and looking once more: a head of an epoch that has just
     * ended would end the new one at the next start. */
    if (hf_journal_queue(journal, hf_boot_ms()))
        return; /* who writes now saves it */
    if (hf_history_look(journal, NULL) == 0)
        hf_history_save_head(journal);
    hf_journal_unlock(journal);
}

#include "schema/live.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/sys.h"
#include "schema/journal_impl.h"
#include "schema/live_impl.h"
#include "schema/sql.h"

#define APPLICATION_ID 0x48464c31 /* "HFL1" */
#define SCHEMA_VERSION 4
#define WAIT_MS        1000 /* for other processes */
#define FILES_MAX      100u /* live-99.db: somebody damages them for sport */

/* --- opening ------------------------------------------------------------- */

static int file_name(unsigned number, char out[32])
{
    if (number == 0)
        return snprintf(out, 32, "%s", HF_FILE_LIVE);
    return snprintf(out, 32, "live-%u.db", number);
}

/*
 * A damaged file stays where it is, for others have it open, and the next
 * number is taken; the one with the greatest number counts. (Renaming would
 * leave two databases with one name for their WAL.)
 */
static unsigned newest(const struct hf_dir *dir)
{
    char name[32];
    unsigned number = 0;

    do {
        (void)file_name(number + 1, name);
    } while (faccessat(dir->fd, name, F_OK, 0) == 0 && ++number < FILES_MAX);
    return number;
}

static int fill(struct hf_db *db)
{
    int err;

    err = hf_db_run(db, "BEGIN IMMEDIATE");
    if (!err)
        err = hf_db_run(db, hf_sql_live);
    if (!err)
        return hf_db_run(db, "COMMIT");
    (void)hf_db_run(db, "ROLLBACK"); /* the first error counts */
    return err;
}

static int check_version(struct hf_db *db)
{
    int64_t application = 0, version = 0;
    int err;

    err = hf_db_number(db, "PRAGMA application_id", &application);
    if (!err)
        err = hf_db_number(db, "PRAGMA user_version", &version);
    if (err)
        return err;
    if (application == 0 && version == 0)
        return fill(db);
    return application == APPLICATION_ID && version == SCHEMA_VERSION
               ? 0
               : HF_ESTORE;
}

/* Times since another boot mean nothing. */
static int forget_other_boot(struct hf_db *db)
{
    char boot[40];
    sqlite3_stmt *stmt;
    bool row, same = false;
    int err;

    err = hf_boot_id(boot);
    if (!err)
        err = hf_db_get(db, "SELECT id FROM boot", &stmt);
    if (!err)
        err = hf_db_step(db, stmt, &row);
    if (err)
        return err;
    if (row) {
        same = hf_str_eq(hf_db_text(stmt, 0), hf_str_of(boot));
        hf_db_done(stmt);
    }
    if (same)
        return 0;
    err = hf_db_run(db, "DELETE FROM leases; DELETE FROM replies;"
                        "DELETE FROM owners;"
                        "UPDATE reaper SET due_ms = 0;"
                        "DELETE FROM boot;");
    if (!err)
        err = hf_db_get(db, "INSERT INTO boot (id) VALUES (?1)", &stmt);
    if (err)
        return err;
    hf_db_bind_text(stmt, 1, hf_str_of(boot));
    return hf_db_finish(db, stmt);
}

static int open_number(struct hf_live *live, const struct hf_dir *dir,
                       unsigned number, struct hf_why *why)
{
    char name[32], path[PATH_MAX];
    struct stat st;
    int err, fd;

    (void)file_name(number, name);
    err = hf_dir_file(dir, name, path, sizeof(path));
    if (err)
        return hf_explain(why, err, "%s: the path is too long", dir->path);
    fd = faccessat(dir->fd, name, F_OK, 0) == 0 ? -1
                                                : hf_dir_open_file(dir, name);
    hf_close(&fd); /* made with our mode; SQLite has not opened it yet */
    err = hf_db_open(&live->db, path, true, "OFF", why);
    if (err)
        return err;
    err = hf_db_run(&live->db, "PRAGMA journal_mode = WAL");
    hf_db_keep_few(&live->db);
    if (!err)
        err = check_version(&live->db);
    if (!err)
        err = forget_other_boot(&live->db);
    if (err) {
        (void)hf_explain(why, err, "%s: %s", path,
                         sqlite3_errmsg(live->db.handle));
        hf_db_close(&live->db);
        return err;
    }
    live->number = number;
    if (fstatat(dir->fd, name, &st, 0) == 0) {
        live->device = st.st_dev;
        live->inode = st.st_ino;
    }
    return 0;
}

static int open_newest(struct hf_live *live, const struct hf_dir *dir,
                       struct hf_why *why)
{
    unsigned number = newest(dir);
    int err;

    err = open_number(live, dir, number, why);
    if (err != HF_ESTORE || number + 1 >= FILES_MAX)
        return err;
    HF_LOG(HF_LOG_WARN, "live_damaged", hf_field_i("number", number),
           hf_field("why", why ? why->text : NULL),
           hf_field("hint", "the next file is taken; polls are asked again"));
    return open_number(live, dir, number + 1, why);
}

int hf_live_open(const struct hf_dir *dir, struct hf_live **out,
                 struct hf_why *why)
{
    struct hf_why here = {""};
    struct hf_live *live;
    int err, lock;

    /* All of it under a lock, so that nobody meets a half-made file. */
    lock = hf_dir_open_file(dir, HF_FILE_WRITERS);
    if (lock < 0)
        return hf_explain(why, HF_EIO, "%s/%s: %s", dir->path, HF_FILE_WRITERS,
                          strerror(errno));
    live = calloc(1, sizeof(*live));
    err = live ? hf_lock_wait(lock, HF_WRITERS_LIVE, 1, hf_boot_ms() + WAIT_MS)
               : HF_ENOMEM;
    if (err)
        (void)hf_explain(&here, err, "live.db: %s", hf_strerror(err));
    else
        err = open_newest(live, dir, &here);
    hf_close(&lock);
    if (err) {
        free(live);
        return hf_explain(why, err, "%s", here.text);
    }
    hf_db_wait(&live->db, WAIT_MS);
    *out = live;
    return 0;
}

void hf_live_close(struct hf_live *live)
{
    if (!live)
        return;
    hf_db_close(&live->db);
    free(live);
}

void hf_live_rest(struct hf_live *live)
{
    hf_db_forget(&live->db);
}

bool hf_live_moved(const struct hf_live *live, const struct hf_dir *dir)
{
    char name[32];
    struct stat st;

    (void)file_name(live->number, name);
    return newest(dir) != live->number || fstatat(dir->fd, name, &st, 0) != 0 ||
           st.st_dev != live->device || st.st_ino != live->inode;
}

/* --- leases -------------------------------------------------------------- */

int hf_live_one_number(struct hf_live *live, sqlite3_stmt *stmt, int64_t *out)
{
    bool row;
    int err;

    err = hf_db_step(&live->db, stmt, &row);
    if (err)
        return err;
    if (!row)
        return HF_ENOTFOUND;
    *out = sqlite3_column_int64(stmt, 0);
    return hf_db_finish(&live->db, stmt);
}

int hf_live_park(struct hf_live *live, struct hf_str session,
                 enum hf_live_stock stock, uint64_t *out_poll_no)
{
    sqlite3_stmt *stmt;
    int64_t poll_no = 0;
    int err;

    err = hf_db_get(&live->db,
                    "INSERT INTO leases"
                    " (session, seen_ms, parked_ms, stock, poll_no)"
                    " VALUES (?1, ?2, ?2, ?3, 1)"
                    " ON CONFLICT (session) DO UPDATE"
                    " SET seen_ms = excluded.seen_ms,"
                    " parked_ms = excluded.parked_ms, stock = excluded.stock,"
                    " poll_no = poll_no + 1 RETURNING poll_no",
                    &stmt);
    if (err)
        return err;
    hf_db_bind_text(stmt, 1, session);
    hf_live_bind_now(stmt, 2, 0);
    hf_db_bind_u64(stmt, 3, stock);
    err = hf_live_one_number(live, stmt, &poll_no);
    if (!err)
        *out_poll_no = (uint64_t)poll_no;
    return err;
}

int hf_live_newest(struct hf_live *live, struct hf_str session,
                   uint64_t *out_poll_no, uint32_t *out_reply_n)
{
    sqlite3_stmt *stmt;
    bool row;
    int err;

    err = hf_db_get(&live->db,
                    "SELECT poll_no, reply_n FROM leases WHERE session = ?1",
                    &stmt);
    if (err)
        return err;
    hf_db_bind_text(stmt, 1, session);
    err = hf_db_step(&live->db, stmt, &row);
    if (err)
        return err;
    *out_poll_no = row ? hf_db_u64(stmt, 0) : 0;
    *out_reply_n = row ? (uint32_t)hf_db_u64(stmt, 1) : 0;
    return row ? hf_db_finish(&live->db, stmt) : 0;
}

int hf_live_last_seen(struct hf_live *live, struct hf_str session,
                      int64_t *out_boot_ms)
{
    sqlite3_stmt *stmt;
    int err;

    err = hf_db_get(&live->db, "SELECT seen_ms FROM leases WHERE session = ?1",
                    &stmt);
    if (err)
        return err;
    hf_db_bind_text(stmt, 1, session);
    return hf_live_one_number(live, stmt, out_boot_ms);
}

int hf_live_seen(struct hf_live *live, struct hf_str session, int64_t lease_ms)
{
    int64_t seen_ms;
    int err;

    err = hf_live_last_seen(live, session, &seen_ms);
    if (!err && hf_boot_ms() - seen_ms < lease_ms / 3)
        return 0;
    if (err && err != HF_ENOTFOUND)
        return err;
    return hf_live_grant(live, session, 0);
}

int hf_live_grant(struct hf_live *live, struct hf_str name, int64_t used_ms)
{
    sqlite3_stmt *stmt;
    int err;

    err = hf_db_get(&live->db,
                    "INSERT INTO leases (session, seen_ms) VALUES (?1, ?2)"
                    " ON CONFLICT (session) DO UPDATE"
                    " SET seen_ms = excluded.seen_ms",
                    &stmt);
    if (err)
        return err;
    hf_db_bind_text(stmt, 1, name);
    hf_live_bind_now(stmt, 2, used_ms);
    return hf_db_finish(&live->db, stmt);
}

/* Looked at before it is written: mostly it is not due. */
int hf_live_reap(struct hf_live *live, int64_t lease_ms, bool *out_mine,
                 int64_t *out_due_ms)
{
    sqlite3_stmt *stmt;
    int64_t now = hf_boot_ms();
    int err;

    *out_mine = false;
    err = hf_db_number(&live->db, "SELECT due_ms FROM reaper", out_due_ms);
    if (err || (now < *out_due_ms && *out_due_ms <= now + lease_ms))
        return err;
    err = hf_db_get(&live->db,
                    "UPDATE reaper SET due_ms = ?1"
                    " WHERE due_ms <= ?2 OR due_ms > ?2 + ?3",
                    &stmt);
    if (err)
        return err;
    /* should we die of it another one tries so soon */
    *out_due_ms = now + lease_ms / 9;
    (void)sqlite3_bind_int64(stmt, 1, *out_due_ms);
    (void)sqlite3_bind_int64(stmt, 2, now);
    (void)sqlite3_bind_int64(stmt, 3, lease_ms);
    err = hf_db_finish(&live->db, stmt);
    if (!err)
        *out_mine = sqlite3_changes(live->db.handle) > 0;
    return err;
}

int hf_live_reap_next(struct hf_live *live, int64_t due_ms)
{
    sqlite3_stmt *stmt;
    int err;

    err = hf_db_get(&live->db, "UPDATE reaper SET due_ms = ?1", &stmt);
    if (err)
        return err;
    (void)sqlite3_bind_int64(stmt, 1, due_ms);
    return hf_db_finish(&live->db, stmt);
}

int hf_live_changed(struct hf_live *live, bool *out)
{
    int64_t version;
    int err;

    err = hf_db_number(&live->db, "PRAGMA data_version", &version);
    if (err)
        return err;
    *out = !live->version_known || version != live->data_version;
    live->data_version = version;
    live->version_known = true;
    return 0;
}

int hf_live_count(struct hf_live *live, int64_t lease_ms, uint64_t *out)
{
    sqlite3_stmt *stmt;
    int64_t count = 0;
    int err;

    err = hf_db_get(&live->db,
                    "SELECT count(*) FROM leases"
                    " WHERE seen_ms > ?1 AND substr(session, 1, 1) <> '@'",
                    &stmt);
    if (err)
        return err;
    hf_live_bind_now(stmt, 1, lease_ms);
    err = hf_live_one_number(live, stmt, &count);
    if (!err)
        *out = (uint64_t)count;
    return err;
}

/* --- replies ------------------------------------------------------------- */

/* Number it, and make sure that there is a lease which takes it along. */
static int next_reply(struct hf_live *live, struct hf_str session,
                      uint32_t after, int64_t *out_n)
{
    sqlite3_stmt *stmt;
    int err;

    err = hf_db_get(&live->db,
                    "INSERT INTO leases (session, seen_ms, reply_n)"
                    " VALUES (?1, ?2, ?3 + 1) ON CONFLICT (session) DO UPDATE"
                    " SET seen_ms = excluded.seen_ms,"
                    " reply_n = max(reply_n, ?3) + 1 RETURNING reply_n",
                    &stmt);
    if (err)
        return err;
    hf_db_bind_text(stmt, 1, session);
    hf_live_bind_now(stmt, 2, 0);
    hf_db_bind_u64(stmt, 3, after);
    return hf_live_one_number(live, stmt, out_n);
}

static int check_room(struct hf_live *live, struct hf_str session)
{
    sqlite3_stmt *stmt;
    int64_t count = 0;
    int err;

    err = hf_db_get(&live->db,
                    "SELECT count(*) FROM replies WHERE session = ?1", &stmt);
    if (err)
        return err;
    hf_db_bind_text(stmt, 1, session);
    err = hf_live_one_number(live, stmt, &count);
    if (err)
        return err;
    return count < (int64_t)HF_LIVE_REPLIES ? 0 : HF_ELIMIT;
}

static int insert_reply(struct hf_live *live, struct hf_str session,
                        uint32_t after, struct hf_str text)
{
    sqlite3_stmt *stmt;
    int64_t n;
    int err;

    err = check_room(live, session);
    if (!err)
        err = next_reply(live, session, after, &n);
    if (!err)
        err = hf_db_get(&live->db,
                        "INSERT INTO replies (session, n, text)"
                        " VALUES (?1, ?2, ?3)",
                        &stmt);
    if (err)
        return err;
    hf_db_bind_text(stmt, 1, session);
    hf_db_bind_u64(stmt, 2, (uint64_t)n);
    hf_db_bind_text(stmt, 3, text);
    return hf_db_finish(&live->db, stmt);
}

static int end_transaction(struct hf_live *live, int err)
{
    if (!err)
        err = hf_db_do(&live->db, "COMMIT");
    if (err)
        hf_db_rollback(&live->db);
    return err;
}

int hf_live_reply_add(struct hf_live *live, struct hf_str session,
                      uint32_t after, struct hf_str text)
{
    int err;

    err = hf_db_begin(&live->db, true);
    if (err)
        return err;
    return end_transaction(live, insert_reply(live, session, after, text));
}

int hf_live_replies_each(struct hf_live *live, struct hf_str session,
                         uint32_t after, hf_live_reply_fn each, void *ctx)
{
    sqlite3_stmt *stmt;
    bool row;
    int err;

    err = hf_db_get(&live->db,
                    "SELECT n, text FROM replies"
                    " WHERE session = ?1 AND n > ?2 ORDER BY n",
                    &stmt);
    if (err)
        return err;
    hf_db_bind_text(stmt, 1, session);
    hf_db_bind_u64(stmt, 2, after);
    for (;;) {
        err = hf_db_step(&live->db, stmt, &row);
        if (err || !row)
            return err;
        err = each(ctx, (uint32_t)hf_db_u64(stmt, 0), hf_db_text(stmt, 1));
        if (err) {
            hf_db_done(stmt);
            return err;
        }
    }
}

int hf_live_replies_drop(struct hf_live *live, struct hf_str session,
                         uint32_t through)
{
    sqlite3_stmt *stmt;
    int err;

    err = hf_db_get(
        &live->db, "DELETE FROM replies WHERE session = ?1 AND n <= ?2", &stmt);
    if (err)
        return err;
    hf_db_bind_text(stmt, 1, session);
    hf_db_bind_u64(stmt, 2, through);
    return hf_db_finish(&live->db, stmt);
}

/* --- owners --------------------------------------------------------------- */

static int insert_owner(struct hf_live *live, struct hf_str session,
                        const struct hf_session_owner *owner)
{
    sqlite3_stmt *stmt;
    int err = hf_live_seen(live, session, 0);

    if (err)
        return err;
    err = hf_db_get(&live->db,
                    "INSERT OR REPLACE INTO owners"
                    " (session, user, claims, expires, born, params)"
                    " VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                    &stmt);
    if (err)
        return err;
    hf_db_bind_text(stmt, 1, session);
    hf_db_bind_text(stmt, 2, owner->user);
    hf_db_bind_text(stmt, 3, owner->claims);
    (void)sqlite3_bind_int64(stmt, 4, owner->expires_ms);
    hf_db_bind_u64(stmt, 5, owner->born);
    hf_db_bind_text(stmt, 6, owner->params);
    return hf_db_finish(&live->db, stmt);
}

int hf_live_own(struct hf_live *live, struct hf_str session,
                const struct hf_session_owner *owner)
{
    int err;

    err = hf_db_begin(&live->db, true);
    if (err)
        return err;
    return end_transaction(live, insert_owner(live, session, owner));
}

int hf_live_owner(struct hf_live *live, struct hf_str session, hf_owner_fn each,
                  void *ctx)
{
    struct hf_session_owner owner;
    sqlite3_stmt *stmt;
    bool row;
    int err;

    err = hf_db_get(&live->db,
                    "SELECT user, claims, expires, born, params FROM owners"
                    " WHERE session = ?1",
                    &stmt);
    if (err)
        return err;
    hf_db_bind_text(stmt, 1, session);
    err = hf_db_step(&live->db, stmt, &row);
    if (err || !row)
        return err ? err : HF_ENOTFOUND;
    owner.user = hf_db_text(stmt, 0);
    owner.claims = hf_db_text(stmt, 1);
    owner.expires_ms = sqlite3_column_int64(stmt, 2);
    owner.born = hf_db_u64(stmt, 3);
    owner.params = hf_db_text(stmt, 4);
    err = each(ctx, &owner);
    hf_db_done(stmt);
    return err;
}

int hf_live_disown(struct hf_live *live, struct hf_str session)
{
    sqlite3_stmt *stmt;
    int err;

    err = hf_db_get(&live->db, "DELETE FROM owners WHERE session = ?1", &stmt);
    if (err)
        return err;
    hf_db_bind_text(stmt, 1, session);
    return hf_db_finish(&live->db, stmt);
}

/* --- rates ---------------------------------------------------------------- */

int hf_live_rates(struct hf_live *live, struct hf_str session,
                  struct hf_session_rates *out)
{
    sqlite3_stmt *stmt;
    bool row;
    int err;

    *out = (struct hf_session_rates){0, 0};
    err = hf_db_get(&live->db,
                    "SELECT push_due, join_due FROM leases WHERE session = ?1",
                    &stmt);
    if (err)
        return err;
    hf_db_bind_text(stmt, 1, session);
    err = hf_db_step(&live->db, stmt, &row);
    if (err || !row)
        return err;
    out->push_due_us = sqlite3_column_int64(stmt, 0);
    out->join_due_us = sqlite3_column_int64(stmt, 1);
    hf_db_done(stmt);
    return 0;
}

int hf_live_set_rates(struct hf_live *live, struct hf_str session,
                      const struct hf_session_rates *rates)
{
    sqlite3_stmt *stmt;
    int err;

    err = hf_db_get(&live->db,
                    "INSERT INTO leases (session, seen_ms, push_due, join_due)"
                    " VALUES (?1, ?2, ?3, ?4) ON CONFLICT (session) DO UPDATE"
                    " SET seen_ms = excluded.seen_ms,"
                    " push_due = excluded.push_due,"
                    " join_due = excluded.join_due",
                    &stmt);
    if (err)
        return err;
    hf_db_bind_text(stmt, 1, session);
    hf_live_bind_now(stmt, 2, 0);
    (void)sqlite3_bind_int64(stmt, 3, rates->push_due_us);
    (void)sqlite3_bind_int64(stmt, 4, rates->join_due_us);
    return hf_db_finish(&live->db, stmt);
}

/* --- forgetting ---------------------------------------------------------- */

static int forget(struct hf_live *live, const char *sql, int64_t older_than_ms,
                  size_t max)
{
    sqlite3_stmt *stmt;
    int err;

    err = hf_db_get(&live->db, sql, &stmt);
    if (err)
        return err;
    hf_live_bind_now(stmt, 1, older_than_ms);
    hf_db_bind_u64(stmt, 2, max);
    return hf_db_finish(&live->db, stmt);
}

int hf_live_expire(struct hf_live *live, int64_t older_than_ms, size_t max,
                   size_t *out_count)
{
    static const char replies[] =
        "DELETE FROM replies WHERE session IN (SELECT session FROM leases"
        " WHERE seen_ms < ?1 ORDER BY seen_ms, session LIMIT ?2)";
    static const char owners[] =
        "DELETE FROM owners WHERE session IN (SELECT session FROM leases"
        " WHERE seen_ms < ?1 ORDER BY seen_ms, session LIMIT ?2)";
    static const char leases[] =
        "DELETE FROM leases WHERE session IN (SELECT session FROM leases"
        " WHERE seen_ms < ?1 ORDER BY seen_ms, session LIMIT ?2)";
    size_t count = 0;
    int err;

    *out_count = 0;
    err = hf_db_begin(&live->db, true);
    if (err)
        return err;
    err = forget(live, replies, older_than_ms, max);
    if (!err)
        err = forget(live, owners, older_than_ms, max);
    if (!err)
        err = forget(live, leases, older_than_ms, max);
    if (!err)
        count = (size_t)sqlite3_changes(live->db.handle);
    err = end_transaction(live, err);
    if (!err)
        *out_count = count;
    return err;
}

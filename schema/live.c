#include "schema/live.h"

#include "schema/live_impl.h"

/* --- transactions -------------------------------------------------------- */

void hf_live_share(struct hf_live *live)
{
    live->shared = !live->together && hf_db_begin(&live->db, false) == 0;
}

void hf_live_share_end(struct hf_live *live)
{
    if (live->shared)
        hf_db_rollback(&live->db); /* nothing was written */
    live->shared = false;
}

int hf_live_together(struct hf_live *live)
{
    int err;

    hf_live_share_end(live);
    err = hf_db_begin(&live->db, true);
    live->together = !err;
    return err;
}

static int end_transaction(struct hf_live *live, int err)
{
    if (!err)
        err = hf_db_do(&live->db, "COMMIT");
    if (err)
        hf_db_rollback(&live->db);
    return err;
}

/* Some errors make SQLite undo all of it by itself; what was written after that
 * was written alone, but nobody can tell which. */
int hf_live_together_end(struct hf_live *live)
{
    bool lost = sqlite3_get_autocommit(live->db.handle) != 0;

    live->together = false;
    return lost ? HF_ESTORE : end_transaction(live, 0);
}

static const char undo_part[] = "ROLLBACK TO part";
static const char end_part[] = "RELEASE part";

int hf_live_part_begin(struct hf_live *live)
{
    sqlite3_stmt *ready;
    int err;

    hf_live_share_end(live);
    if (!live->together)
        return hf_db_begin(&live->db, true);
    /* What undoes it first (db.h). */
    err = hf_db_get(&live->db, undo_part, &ready);
    if (!err)
        err = hf_db_get(&live->db, end_part, &ready);
    return err ? err : hf_db_do(&live->db, "SAVEPOINT part");
}

int hf_live_part_end(struct hf_live *live, int err)
{
    if (!live->together)
        return end_transaction(live, err);
    if (err) /* failing, SQLite has undone everything, which the end sees */
        (void)hf_db_do(&live->db, undo_part);
    if (hf_db_do(&live->db, end_part))
        return err ? err : HF_ESTORE;
    return err;
}

/* --- statements ---------------------------------------------------------- */

int hf_live_reading(struct hf_live *live, struct hf_str session,
                    const char *sql, sqlite3_stmt **out)
{
    int err = hf_db_get(&live->db, sql, out);

    if (!err)
        hf_db_bind_text(*out, 1, session);
    return err;
}

int hf_live_writing(struct hf_live *live, struct hf_str session,
                    const char *sql, sqlite3_stmt **out)
{
    hf_live_share_end(live);
    return hf_live_reading(live, session, sql, out);
}

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

/* --- leases -------------------------------------------------------------- */

int hf_live_park(struct hf_live *live, struct hf_str session,
                 enum hf_live_stock stock, uint64_t shown,
                 uint64_t *out_poll_no)
{
    sqlite3_stmt *stmt;
    int64_t poll_no = 0;
    int err;

    err = hf_live_writing(
        live, session,
        "INSERT INTO leases"
        " (session, seen_ms, parked_ms, stock, poll_no, parked_by, shown)"
        " VALUES (?1, ?2, ?2, ?3, 1, ?4, ?5)"
        " ON CONFLICT (session) DO UPDATE"
        " SET seen_ms = excluded.seen_ms,"
        " parked_ms = excluded.parked_ms, stock = excluded.stock,"
        " parked_by = excluded.parked_by, shown = excluded.shown,"
        " poll_no = poll_no + 1 RETURNING poll_no",
        &stmt);
    if (err)
        return err;
    hf_live_bind_now(stmt, 2, 0);
    hf_db_bind_u64(stmt, 3, stock);
    (void)sqlite3_bind_int64(stmt, 4, live->self);
    hf_db_bind_u64(stmt, 5, shown);
    err = hf_live_one_number(live, stmt, &poll_no);
    if (!err)
        *out_poll_no = (uint64_t)poll_no;
    return err;
}

int hf_live_park_again(struct hf_live *live, struct hf_str session,
                       enum hf_live_stock stock, uint64_t *out_poll_no)
{
    sqlite3_stmt *stmt;
    int64_t poll_no = 0;
    int err;

    if (live->self == 0)
        return HF_ENOTFOUND;
    err = hf_live_reading(live, session,
                          "SELECT poll_no FROM leases WHERE session = ?1"
                          " AND parked_by = ?2 AND parked_ms > ?3"
                          " AND seen_ms >= parked_ms AND stock = ?4",
                          &stmt);
    if (err)
        return err;
    (void)sqlite3_bind_int64(stmt, 2, live->self);
    hf_live_bind_now(stmt, 3, HF_LIVE_PARKED_MS);
    hf_db_bind_u64(stmt, 4, stock);
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

    err = hf_live_reading(
        live, session, "SELECT poll_no, reply_n FROM leases WHERE session = ?1",
        &stmt);
    if (err)
        return err;
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

    err = hf_live_reading(
        live, session, "SELECT seen_ms FROM leases WHERE session = ?1", &stmt);
    if (err)
        return err;
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

    err =
        hf_live_writing(live, name,
                        "INSERT INTO leases (session, seen_ms) VALUES (?1, ?2)"
                        " ON CONFLICT (session) DO UPDATE"
                        " SET seen_ms = excluded.seen_ms",
                        &stmt);
    if (err)
        return err;
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
    hf_live_share_end(live);
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

    hf_live_share_end(live);
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
    err = hf_live_part_begin(live);
    if (err)
        return err;
    err = forget(live, replies, older_than_ms, max);
    if (!err)
        err = forget(live, owners, older_than_ms, max);
    if (!err)
        err = forget(live, leases, older_than_ms, max);
    if (!err)
        count = (size_t)sqlite3_changes(live->db.handle);
    err = hf_live_part_end(live, err);
    if (!err)
        *out_count = count;
    return err;
}

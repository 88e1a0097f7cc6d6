/*
 * live_kept.c - what live.db keeps for a session until the journal has it, or
 * the client
 */
#include "schema/live_impl.h"

/* --- replies ------------------------------------------------------------- */

/* Number it, and make sure that there is a lease which takes it along. */
static int next_reply(struct hf_live *live, struct hf_str session,
                      uint32_t after, int64_t *out_n)
{
    sqlite3_stmt *stmt;
    int err;

    err = hf_live_writing(
        live, session,
        "INSERT INTO leases (session, seen_ms, reply_n)"
        " VALUES (?1, ?2, ?3 + 1) ON CONFLICT (session) DO UPDATE"
        " SET seen_ms = excluded.seen_ms,"
        " reply_n = max(reply_n, ?3) + 1 RETURNING reply_n",
        &stmt);
    if (err)
        return err;
    hf_live_bind_now(stmt, 2, 0);
    hf_db_bind_u64(stmt, 3, after);
    return hf_live_one_number(live, stmt, out_n);
}

static int check_room(struct hf_live *live, struct hf_str session)
{
    sqlite3_stmt *stmt;
    int64_t count = 0;
    int err;

    err = hf_live_reading(live, session,
                          "SELECT count(*) FROM replies WHERE session = ?1",
                          &stmt);
    if (err)
        return err;
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
        err = hf_live_writing(live, session,
                              "INSERT INTO replies (session, n, text)"
                              " VALUES (?1, ?2, ?3)",
                              &stmt);
    if (err)
        return err;
    hf_db_bind_u64(stmt, 2, (uint64_t)n);
    hf_db_bind_text(stmt, 3, text);
    return hf_db_finish(&live->db, stmt);
}

int hf_live_reply_add(struct hf_live *live, struct hf_str session,
                      uint32_t after, struct hf_str text)
{
    int err;

    err = hf_live_part_begin(live);
    if (err)
        return err;
    return hf_live_part_end(live, insert_reply(live, session, after, text));
}

int hf_live_replies_each(struct hf_live *live, struct hf_str session,
                         uint32_t after, hf_live_reply_fn each, void *ctx)
{
    sqlite3_stmt *stmt;
    bool row;
    int err;

    err = hf_live_reading(live, session,
                          "SELECT n, text FROM replies"
                          " WHERE session = ?1 AND n > ?2 ORDER BY n",
                          &stmt);
    if (err)
        return err;
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

    err = hf_live_writing(live, session,
                          "DELETE FROM replies WHERE session = ?1 AND n <= ?2",
                          &stmt);
    if (err)
        return err;
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
    err = hf_live_writing(live, session,
                          "INSERT OR REPLACE INTO owners"
                          " (session, user, claims, expires, born, params)"
                          " VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                          &stmt);
    if (err)
        return err;
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

    err = hf_live_part_begin(live);
    if (err)
        return err;
    return hf_live_part_end(live, insert_owner(live, session, owner));
}

int hf_live_owner(struct hf_live *live, struct hf_str session, hf_owner_fn each,
                  void *ctx)
{
    struct hf_session_owner owner;
    sqlite3_stmt *stmt;
    bool row;
    int err;

    err =
        hf_live_reading(live, session,
                        "SELECT user, claims, expires, born, params FROM owners"
                        " WHERE session = ?1",
                        &stmt);
    if (err)
        return err;
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

    err = hf_live_writing(live, session,
                          "DELETE FROM owners WHERE session = ?1", &stmt);
    if (err)
        return err;
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
    err = hf_live_reading(
        live, session,
        "SELECT push_due, join_due FROM leases WHERE session = ?1", &stmt);
    if (err)
        return err;
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

    err = hf_live_writing(
        live, session,
        "INSERT INTO leases (session, seen_ms, push_due, join_due)"
        " VALUES (?1, ?2, ?3, ?4) ON CONFLICT (session) DO UPDATE"
        " SET seen_ms = excluded.seen_ms,"
        " push_due = excluded.push_due,"
        " join_due = excluded.join_due",
        &stmt);
    if (err)
        return err;
    hf_live_bind_now(stmt, 2, 0);
    (void)sqlite3_bind_int64(stmt, 3, rates->push_due_us);
    (void)sqlite3_bind_int64(stmt, 4, rates->join_due_us);
    return hf_db_finish(&live->db, stmt);
}

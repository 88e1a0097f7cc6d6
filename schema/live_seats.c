#include "schema/live_impl.h"

int hf_live_seat(struct hf_live *live, struct hf_str session,
                 struct hf_live_seat *out)
{
    sqlite3_stmt *stmt;
    bool row;
    int err;

    *out = (struct hf_live_seat){0};
    err = hf_live_reading(
        live, session,
        "SELECT seen_ms, parked_ms, active_ms, stock, shown FROM leases"
        " WHERE session = ?1",
        &stmt);
    if (err)
        return err;
    err = hf_db_step(&live->db, stmt, &row);
    if (err || !row)
        return err;
    out->seen_ms = sqlite3_column_int64(stmt, 0);
    out->parked_ms = sqlite3_column_int64(stmt, 1);
    out->active_ms = sqlite3_column_int64(stmt, 2);
    out->stock = (enum hf_live_stock)sqlite3_column_int(stmt, 3);
    out->shown = hf_db_u64(stmt, 4);
    return hf_db_finish(&live->db, stmt);
}

int hf_live_note_active(struct hf_live *live, struct hf_str session,
                        int64_t every_ms)
{
    struct hf_live_seat seat;
    int64_t now = hf_boot_ms();
    sqlite3_stmt *stmt;
    int err;

    err = hf_live_seat(live, session, &seat);
    if (err || (seat.active_ms > 0 && now - seat.active_ms < every_ms))
        return err;
    err = hf_live_writing(live, session,
                          "INSERT INTO leases (session, seen_ms, active_ms)"
                          " VALUES (?1, ?2, ?2) ON CONFLICT (session) DO UPDATE"
                          " SET active_ms = excluded.active_ms",
                          &stmt);
    if (err)
        return err;
    (void)sqlite3_bind_int64(stmt, 2, now);
    return hf_db_finish(&live->db, stmt);
}

int hf_live_count_stock(struct hf_live *live, int64_t joined_ms,
                        int64_t coming_ms, uint32_t *out_joined,
                        uint32_t *out_coming)
{
    int64_t longest = joined_ms > coming_ms ? joined_ms : coming_ms;
    sqlite3_stmt *stmt;
    bool row;
    int err;

    err = hf_db_get(&live->db,
                    "SELECT count(*) FILTER (WHERE stock = 2 AND seen_ms > ?1),"
                    " count(*) FILTER (WHERE stock = 1 AND seen_ms > ?2)"
                    " FROM leases WHERE stock > 0 AND seen_ms > ?3",
                    &stmt);
    if (err)
        return err;
    hf_live_bind_now(stmt, 1, joined_ms);
    hf_live_bind_now(stmt, 2, coming_ms);
    hf_live_bind_now(stmt, 3, longest);
    err = hf_db_step(&live->db, stmt, &row);
    if (err || !row)
        return err ? err : HF_ESTORE;
    *out_joined = (uint32_t)sqlite3_column_int64(stmt, 0);
    *out_coming = (uint32_t)sqlite3_column_int64(stmt, 1);
    return hf_db_finish(&live->db, stmt);
}

int hf_live_stock_ahead(struct hf_live *live, struct hf_str session,
                        int64_t active_ms, int64_t life_ms, uint32_t *out)
{
    sqlite3_stmt *stmt;
    int64_t count = 0;
    int err;

    err = hf_db_get(&live->db,
                    "SELECT count(*) FROM leases"
                    " WHERE stock > 0 AND stock = 2 AND seen_ms > ?1"
                    " AND (active_ms, session) > (?2, ?3)",
                    &stmt);
    if (err)
        return err;
    hf_live_bind_now(stmt, 1, life_ms);
    (void)sqlite3_bind_int64(stmt, 2, active_ms);
    hf_db_bind_text(stmt, 3, session);
    err = hf_live_one_number(live, stmt, &count);
    if (!err)
        *out = (uint32_t)count;
    return err;
}

int hf_live_stock_end(struct hf_live *live, struct hf_str session)
{
    sqlite3_stmt *stmt;
    int err;

    err = hf_live_writing(
        live, session, "UPDATE leases SET stock = 0 WHERE session = ?1", &stmt);
    if (err)
        return err;
    return hf_db_finish(&live->db, stmt);
}

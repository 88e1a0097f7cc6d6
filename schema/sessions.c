#include "schema/sessions.h"

#include "schema/bell.h"
#include "schema/journal_impl.h"
#include "schema/presences.h"

/* --- reading ------------------------------------------------------------- */

int hf_session_exists(struct hf_journal *journal, struct hf_str session,
                      bool *out)
{
    struct hf_db *db = hf_journal_db(journal);
    sqlite3_stmt *stmt;
    int err;

    err = hf_db_get(db, "SELECT 1 FROM sessions WHERE id = ?1", &stmt);
    if (err)
        return err;
    hf_db_bind_text(stmt, 1, session);
    err = hf_db_step(db, stmt, out);
    if (!err && *out)
        hf_db_done(stmt);
    return err;
}

int hf_session_owner(struct hf_journal *journal, struct hf_str session,
                     hf_owner_fn each, void *ctx, bool *out_exists)
{
    struct hf_db *db = hf_journal_db(journal);
    struct hf_session_owner owner;
    sqlite3_stmt *stmt;
    bool row;
    int err;

    err = hf_db_get(db,
                    "SELECT user, claims, expires, born, coalesce(params, '')"
                    " FROM sessions WHERE id = ?1",
                    &stmt);
    if (err)
        return err;
    hf_db_bind_text(stmt, 1, session);
    err = hf_db_step(db, stmt, &row);
    if (err)
        return err;
    if (out_exists)
        *out_exists = row;
    if (!row)
        return HF_ENOTFOUND;
    if (sqlite3_column_type(stmt, 1) == SQLITE_NULL) {
        hf_db_done(stmt);
        return HF_ENOTFOUND;
    }
    owner.user = hf_db_text(stmt, 0);
    owner.claims = hf_db_text(stmt, 1);
    owner.expires_ms = sqlite3_column_int64(stmt, 2);
    owner.born = hf_db_u64(stmt, 3);
    owner.params = hf_db_text(stmt, 4);
    err = each(ctx, &owner);
    hf_db_done(stmt);
    return err;
}

int hf_session_disconnected(struct hf_journal *journal, struct hf_str topic,
                            uint64_t after, bool *out)
{
    struct hf_db *db = hf_journal_db(journal);
    sqlite3_stmt *stmt;
    int err;

    err = hf_db_get(
        db, "SELECT 1 FROM disconnects WHERE topic = ?1 AND id > ?2", &stmt);
    if (err)
        return err;
    hf_db_bind_text(stmt, 1, topic);
    hf_db_bind_u64(stmt, 2, after);
    err = hf_db_step(db, stmt, out);
    if (!err && *out)
        hf_db_done(stmt);
    return err;
}

int hf_session_rates(struct hf_journal *journal, struct hf_str session,
                     struct hf_session_rates *out)
{
    struct hf_db *db = hf_journal_db(journal);
    sqlite3_stmt *stmt;
    bool row;
    int err;

    *out = (struct hf_session_rates){0, 0};
    err = hf_db_get(db, "SELECT push_due, join_due FROM sessions WHERE id = ?1",
                    &stmt);
    if (err)
        return err;
    hf_db_bind_text(stmt, 1, session);
    err = hf_db_step(db, stmt, &row);
    if (err || !row)
        return err;
    out->push_due_us = sqlite3_column_int64(stmt, 0);
    out->join_due_us = sqlite3_column_int64(stmt, 1);
    hf_db_done(stmt);
    return 0;
}

int hf_session_set_rates(struct hf_journal *journal, struct hf_str session,
                         const struct hf_session_rates *rates)
{
    struct hf_db *db = hf_journal_db(journal);
    sqlite3_stmt *stmt;
    int err;

    err = hf_db_get(db,
                    "UPDATE sessions SET push_due = ?2, join_due = ?3"
                    " WHERE id = ?1",
                    &stmt);
    if (err)
        return err;
    hf_db_bind_text(stmt, 1, session);
    hf_db_bind_u64(stmt, 2, (uint64_t)rates->push_due_us);
    hf_db_bind_u64(stmt, 3, (uint64_t)rates->join_due_us);
    return hf_db_finish(db, stmt);
}

static void get_membership(sqlite3_stmt *stmt, struct hf_membership *m)
{
    m->topic = hf_db_text(stmt, 0);
    m->join_ref = hf_db_text(stmt, 1);
    m->has_since = sqlite3_column_type(stmt, 2) != SQLITE_NULL;
    m->since = hf_db_u64(stmt, 2);
    m->joined = hf_db_u64(stmt, 3);
    m->ended = hf_db_u64(stmt, 4);
    m->has_replay = sqlite3_column_type(stmt, 5) != SQLITE_NULL;
    m->replay = hf_db_u64(stmt, 5);
    m->vsn = (unsigned)hf_db_u64(stmt, 6);
    m->presence = hf_db_text(stmt, 7);
}

int hf_memberships_each(struct hf_journal *journal, struct hf_str session,
                        hf_membership_fn each, void *ctx)
{
    struct hf_db *db = hf_journal_db(journal);
    struct hf_membership m;
    sqlite3_stmt *stmt;
    bool row;
    int err;

    err = hf_db_get(db,
                    "SELECT topic, join_ref, since, joined, ended, replay,"
                    " vsn, presence"
                    " FROM memberships WHERE session = ?1 ORDER BY joined",
                    &stmt);
    if (err)
        return err;
    hf_db_bind_text(stmt, 1, session);
    for (;;) {
        err = hf_db_step(db, stmt, &row);
        if (err || !row)
            return err;
        get_membership(stmt, &m);
        err = each(ctx, &m);
        if (err) {
            hf_db_done(stmt);
            return err;
        }
    }
}

int hf_frames_each(struct hf_journal *journal, struct hf_str session,
                   uint64_t after, size_t max, hf_frame_fn each, void *ctx)
{
    struct hf_db *db = hf_journal_db(journal);
    sqlite3_stmt *stmt;
    bool row;
    int err;

    err = hf_db_get(db,
                    "SELECT id, text FROM frames"
                    " WHERE session = ?1 AND id > ?2 ORDER BY id LIMIT ?3",
                    &stmt);
    if (err)
        return err;
    hf_db_bind_text(stmt, 1, session);
    hf_db_bind_u64(stmt, 2, after);
    hf_db_bind_u64(stmt, 3, max);
    for (;;) {
        err = hf_db_step(db, stmt, &row);
        if (err || !row)
            return err;
        err = each(ctx, hf_db_u64(stmt, 0), hf_db_text(stmt, 1));
        if (err) {
            hf_db_done(stmt);
            return err;
        }
    }
}

/* Step through rows (id, session) of a bound statement. */
static int each_owner(struct hf_db *db, sqlite3_stmt *stmt,
                      hf_frame_owner_fn each, void *ctx, uint64_t *out_last,
                      size_t *out_count)
{
    bool row;
    int err;

    for (;;) {
        err = hf_db_step(db, stmt, &row);
        if (err || !row)
            return err;
        err = each(ctx, hf_db_u64(stmt, 0), hf_db_text(stmt, 1));
        if (err) {
            hf_db_done(stmt);
            return err;
        }
        *out_last = hf_db_u64(stmt, 0);
        (*out_count)++;
    }
}

int hf_frames_highest(struct hf_journal *journal, uint64_t *out)
{
    int64_t highest = 0;
    int err = hf_db_number(hf_journal_db(journal),
                           "SELECT coalesce(max(id), 0) FROM frames", &highest);

    *out = err || highest < 0 ? 0 : (uint64_t)highest;
    return err;
}

int hf_frames_owners(struct hf_journal *journal, uint64_t after, size_t max,
                     hf_frame_owner_fn each, void *ctx, uint64_t *out_last,
                     bool *out_more)
{
    struct hf_db *db = hf_journal_db(journal);
    sqlite3_stmt *stmt;
    uint64_t last = after;
    size_t count = 0;
    int err;

    err = hf_db_get(db,
                    "SELECT id, session FROM frames"
                    " WHERE id > ?1 ORDER BY id LIMIT ?2",
                    &stmt);
    if (err)
        return err;
    hf_db_bind_u64(stmt, 1, after);
    hf_db_bind_u64(stmt, 2, max);
    err = each_owner(db, stmt, each, ctx, &last, &count);
    *out_last = last;
    *out_more = err || count >= max;
    return err;
}

/* A statement whose parameters are the session before, and how many. */
static int each_after(struct hf_journal *journal, const char *sql,
                      struct hf_str after, size_t max, hf_frame_owner_fn each,
                      void *ctx)
{
    struct hf_db *db = hf_journal_db(journal);
    sqlite3_stmt *stmt;
    uint64_t last;
    size_t count = 0;
    int err;

    err = hf_db_get(db, sql, &stmt);
    if (err)
        return err;
    hf_db_bind_text(stmt, 1, after);
    hf_db_bind_u64(stmt, 2, max);
    return each_owner(db, stmt, each, ctx, &last, &count);
}

int hf_sessions_each(struct hf_journal *journal, struct hf_str after,
                     size_t max, hf_frame_owner_fn each, void *ctx)
{
    return each_after(journal,
                      "SELECT 0, id FROM sessions"
                      " WHERE id > ?1 ORDER BY id LIMIT ?2",
                      after, max, each, ctx);
}

int hf_sessions_joined(struct hf_journal *journal, struct hf_str after,
                       size_t max, hf_frame_owner_fn each, void *ctx)
{
    return each_after(journal,
                      "SELECT DISTINCT 0, session FROM memberships"
                      " WHERE session > ?1 AND ended = 0"
                      " ORDER BY session LIMIT ?2",
                      after, max, each, ctx);
}

/* --- writing ------------------------------------------------------------- */

static void ring(struct hf_journal *journal, struct hf_str session)
{
    hf_journal_ring_later(journal, session);
}

int hf_session_add(struct hf_journal *journal, struct hf_str session)
{
    struct hf_db *db = hf_journal_db(journal);
    sqlite3_stmt *stmt;
    int err;

    err = hf_db_get(db,
                    "INSERT INTO sessions (id, at) VALUES (?1, CAST("
                    "(julianday('now') - 2440587.5) * 86400000 AS INTEGER))"
                    " ON CONFLICT (id) DO NOTHING",
                    &stmt);
    if (err)
        return err;
    hf_db_bind_text(stmt, 1, session);
    return hf_db_finish(db, stmt);
}

int hf_session_own(struct hf_journal *journal, struct hf_str session,
                   const struct hf_session_owner *owner)
{
    struct hf_db *db = hf_journal_db(journal);
    sqlite3_stmt *stmt;
    int err;

    err = hf_db_get(db,
                    "UPDATE sessions SET user = ?2, claims = ?3, expires = ?4,"
                    " born = ?5, params = ?6 WHERE id = ?1",
                    &stmt);
    if (err)
        return err;
    hf_db_bind_text(stmt, 1, session);
    hf_db_bind_text(stmt, 2, owner->user);
    hf_db_bind_text(stmt, 3, owner->claims);
    (void)sqlite3_bind_int64(stmt, 4, owner->expires_ms);
    hf_db_bind_u64(stmt, 5, owner->born);
    hf_db_bind_text(stmt, 6, owner->params);
    ring(journal, session);
    return hf_db_finish(db, stmt);
}

int hf_membership_add(struct hf_journal *journal, struct hf_str session,
                      const struct hf_membership *m)
{
    struct hf_db *db = hf_journal_db(journal);
    sqlite3_stmt *stmt;
    int err;

    err = hf_db_get(db,
                    "INSERT INTO memberships"
                    " (session, joined, topic, join_ref, since, ended, replay,"
                    " vsn, presence)"
                    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                    &stmt);
    if (err)
        return err;
    hf_db_bind_text(stmt, 1, session);
    hf_db_bind_u64(stmt, 2, m->joined);
    hf_db_bind_text(stmt, 3, m->topic);
    hf_db_bind_text(stmt, 4, m->join_ref);
    if (m->has_since) /* else NULL, as nothing is bound */
        hf_db_bind_u64(stmt, 5, m->since);
    hf_db_bind_u64(stmt, 6, m->ended);
    if (m->has_replay)
        hf_db_bind_u64(stmt, 7, m->replay);
    hf_db_bind_u64(stmt, 8, m->vsn ? m->vsn : 2);
    hf_db_bind_text_or_null(stmt, 9, m->presence);
    ring(journal, session);
    return hf_db_finish(db, stmt);
}

int hf_membership_end(struct hf_journal *journal, struct hf_str session,
                      uint64_t joined, uint64_t ended)
{
    struct hf_db *db = hf_journal_db(journal);
    sqlite3_stmt *stmt;
    int err;

    err = hf_db_get(db,
                    "UPDATE memberships SET ended = ?3"
                    " WHERE session = ?1 AND joined = ?2 AND ended = 0",
                    &stmt);
    if (err)
        return err;
    hf_db_bind_text(stmt, 1, session);
    hf_db_bind_u64(stmt, 2, joined);
    hf_db_bind_u64(stmt, 3, ended);
    ring(journal, session);
    err = hf_db_finish(db, stmt);
    return err ? err : hf_presence_leave(journal, session, joined);
}

int hf_frame_add(struct hf_journal *journal, struct hf_str session, uint64_t id,
                 struct hf_str text)
{
    struct hf_db *db = hf_journal_db(journal);
    sqlite3_stmt *stmt;
    int err;

    err = hf_db_get(db,
                    "INSERT INTO frames (id, session, text)"
                    " VALUES (?1, ?2, ?3)",
                    &stmt);
    if (err)
        return err;
    hf_db_bind_u64(stmt, 1, id);
    hf_db_bind_text(stmt, 2, session);
    hf_db_bind_text(stmt, 3, text);
    ring(journal, session);
    return hf_db_finish(db, stmt);
}

/* A statement whose parameters are a session and, perhaps, an id. */
static int with_session(struct hf_journal *journal, const char *sql,
                        struct hf_str session, const uint64_t *id)
{
    struct hf_db *db = hf_journal_db(journal);
    sqlite3_stmt *stmt;
    int err;

    err = hf_db_get(db, sql, &stmt);
    if (err)
        return err;
    hf_db_bind_text(stmt, 1, session);
    if (id)
        hf_db_bind_u64(stmt, 2, *id);
    return hf_db_finish(db, stmt);
}

int hf_session_acknowledged(struct hf_journal *journal, struct hf_str session,
                            uint64_t cursor)
{
    int err;

    err = with_session(journal,
                       "DELETE FROM frames WHERE session = ?1 AND id <= ?2",
                       session, &cursor);
    if (err)
        return err;
    return with_session(journal,
                        "DELETE FROM memberships WHERE session = ?1"
                        " AND ended > 0 AND ended <= ?2",
                        session, &cursor);
}

int hf_session_remove(struct hf_journal *journal, struct hf_str session)
{
    int err;

    err = with_session(journal, "DELETE FROM frames WHERE session = ?1",
                       session, NULL);
    if (!err)
        err =
            with_session(journal, "DELETE FROM memberships WHERE session = ?1",
                         session, NULL);
    if (!err)
        err = with_session(journal, "DELETE FROM sessions WHERE id = ?1",
                           session, NULL);
    if (!err)
        err = hf_presence_leave_all(journal, session);
    ring(journal, session);
    return err;
}

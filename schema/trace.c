#include "schema/trace.h"

#include <stdio.h>

#include "schema/journal_impl.h"

/* It is shown to people: what a program wrote must not move their cursor. */
static void keep(char *out, size_t cap, struct hf_str text)
{
    size_t i;

    (void)snprintf(out, cap, "%.*s", HF_STR_ARG(text));
    for (i = 0; out[i]; i++)
        if ((unsigned char)out[i] < 0x20 || out[i] == 0x7f)
            out[i] = '?';
}

static int message(struct hf_db *db, uint64_t id, struct hf_trace *out)
{
    sqlite3_stmt *stmt;
    bool row;
    int err;

    err = hf_db_get(db,
                    "SELECT topic, event, length(CAST(payload AS BLOB)), kind,"
                    " at, publisher, key, skip,"
                    " (SELECT at FROM redacted WHERE id = messages.id)"
                    " FROM messages WHERE id = ?1",
                    &stmt);
    if (err)
        return err;
    hf_db_bind_u64(stmt, 1, id);
    err = hf_db_step(db, stmt, &row);
    if (err || !row)
        return err ? err : HF_ENOTFOUND;
    out->is = HF_TRACE_MESSAGE;
    keep(out->topic, sizeof(out->topic), hf_db_text(stmt, 0));
    keep(out->event, sizeof(out->event), hf_db_text(stmt, 1));
    out->bytes = hf_db_u64(stmt, 2);
    out->binary = sqlite3_column_int(stmt, 3) == HF_KIND_BINARY;
    out->at_ms = sqlite3_column_int64(stmt, 4);
    keep(out->publisher, sizeof(out->publisher), hf_db_text(stmt, 5));
    keep(out->key, sizeof(out->key), hf_db_text(stmt, 6));
    keep(out->skip, sizeof(out->skip), hf_db_text(stmt, 7));
    out->redacted_ms = sqlite3_column_int64(stmt, 8);
    hf_db_done(stmt);
    return 0;
}

/* Two texts of the first row that has this id, if any does. */
static int look(struct hf_db *db, const char *sql, uint64_t id,
                enum hf_trace_is is, struct hf_trace *out)
{
    sqlite3_stmt *stmt;
    bool row;
    int err;

    err = hf_db_get(db, sql, &stmt);
    if (err)
        return err;
    hf_db_bind_u64(stmt, 1, id);
    err = hf_db_step(db, stmt, &row);
    if (err || !row)
        return err ? err : HF_ENOTFOUND;
    out->is = is;
    keep(out->session, sizeof(out->session), hf_db_text(stmt, 0));
    keep(out->topic, sizeof(out->topic), hf_db_text(stmt, 1));
    hf_db_done(stmt);
    return 0;
}

static int other_than_message(struct hf_db *db, uint64_t id,
                              struct hf_trace *out)
{
    int err;

    err = look(db, "SELECT session, topic FROM memberships WHERE joined = ?1",
               id, HF_TRACE_JOIN, out);
    if (err == HF_ENOTFOUND)
        err = look(db, "SELECT session, '' FROM frames WHERE id = ?1", id,
                   HF_TRACE_FRAME, out);
    if (err == HF_ENOTFOUND)
        err = look(db,
                   "SELECT '', topic FROM trimmed"
                   " WHERE through = ?1 AND topic <> ''",
                   id, HF_TRACE_DELETED, out);
    if (err != HF_ENOTFOUND)
        return err;
    out->is = id <= out->removed ? HF_TRACE_OLD : HF_TRACE_NONE;
    return 0;
}

static int trace_in_snapshot(struct hf_journal *journal, uint64_t id,
                             struct hf_trace *out)
{
    struct hf_db *db = hf_journal_db(journal);
    int err;

    err = hf_journal_head(journal, &out->head);
    if (!err)
        err = hf_journal_trimmed(journal, HF_STR(""), &out->removed);
    if (err)
        return err;
    if (id > out->head) {
        out->is = HF_TRACE_AHEAD;
        return 0;
    }
    err = message(db, id, out);
    return err == HF_ENOTFOUND ? other_than_message(db, id, out) : err;
}

int hf_trace_id(struct hf_journal *journal, uint64_t id, struct hf_trace *out)
{
    int err = hf_journal_snapshot(journal);

    if (err)
        return err;
    *out = (struct hf_trace){.is = HF_TRACE_NONE};
    err = trace_in_snapshot(journal, id, out);
    hf_journal_snapshot_end(journal);
    return err;
}

static int give(sqlite3_stmt *stmt, hf_trace_member_fn each, void *ctx)
{
    struct hf_membership m = {
        .topic = hf_db_text(stmt, 2),
        .join_ref = hf_db_text(stmt, 3),
        .has_since = sqlite3_column_type(stmt, 4) != SQLITE_NULL,
        .since = hf_db_u64(stmt, 4),
        .has_replay = sqlite3_column_type(stmt, 5) != SQLITE_NULL,
        .replay = hf_db_u64(stmt, 5),
        .joined = hf_db_u64(stmt, 6),
        .ended = hf_db_u64(stmt, 7),
        .presence = hf_db_text(stmt, 8),
    };

    return each(ctx, hf_db_text(stmt, 0), hf_db_text(stmt, 1), &m);
}

int hf_trace_members(struct hf_journal *journal, struct hf_str topic,
                     struct hf_str who, size_t max, hf_trace_member_fn each,
                     void *ctx)
{
    struct hf_db *db = hf_journal_db(journal);
    sqlite3_stmt *stmt;
    bool row;
    int err;

    err = hf_db_get(db,
                    "SELECT session, coalesce(user, ''), topic, join_ref,"
                    " since, replay, joined, ended, presence"
                    " FROM memberships LEFT JOIN sessions ON id = session"
                    " WHERE topic = ?1"
                    " AND (?2 = '' OR session = ?2 OR user = ?2)"
                    " ORDER BY joined LIMIT ?3",
                    &stmt);
    if (err)
        return err;
    hf_db_bind_text(stmt, 1, topic);
    hf_db_bind_text(stmt, 2, who);
    hf_db_bind_u64(stmt, 3, max);
    for (;;) {
        err = hf_db_step(db, stmt, &row);
        if (err || !row)
            return err;
        err = give(stmt, each, ctx);
        if (err) {
            hf_db_done(stmt);
            return err;
        }
    }
}

int hf_trace_session(struct hf_journal *journal, struct hf_str who,
                     char out[64])
{
    struct hf_db *db = hf_journal_db(journal);
    sqlite3_stmt *stmt;
    bool row;
    int err;

    err = hf_db_get(db,
                    "SELECT id FROM sessions WHERE id = ?1"
                    " OR (user = ?1 AND user <> '') LIMIT 1",
                    &stmt);
    if (err)
        return err;
    hf_db_bind_text(stmt, 1, who);
    err = hf_db_step(db, stmt, &row);
    if (err || !row)
        return err ? err : HF_ENOTFOUND;
    keep(out, 64, hf_db_text(stmt, 0));
    hf_db_done(stmt);
    return 0;
}

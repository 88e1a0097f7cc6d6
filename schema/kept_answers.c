#include "schema/kept_answers.h"

#include "base/clock.h"
#include "base/err.h"
#include "schema/journal_impl.h"

int hf_kept_answer(struct hf_journal *journal, const struct hf_kept_key *key,
                   struct hf_buf *out)
{
    struct hf_db *db = hf_journal_db(journal);
    sqlite3_stmt *stmt;
    bool row;
    int err = hf_db_get(db,
                        "SELECT digest, answer FROM hook_answers"
                        " WHERE publisher = ?1 AND key = ?2",
                        &stmt);

    if (err)
        return err;
    hf_db_bind_text(stmt, 1, key->publisher);
    hf_db_bind_text(stmt, 2, key->key);
    err = hf_db_step(db, stmt, &row);
    if (err || !row)
        return err ? err : HF_ENOTFOUND;
    err = hf_str_eq(hf_db_text(stmt, 0), key->digest)
              ? hf_buf_add_str(out, hf_db_text(stmt, 1))
              : HF_ECONFLICT;
    hf_db_done(stmt);
    return err;
}

/* A few at a time, and more than come. */
static int forget_old(struct hf_journal *journal, int64_t now_ms)
{
    struct hf_db *db = hf_journal_db(journal);
    sqlite3_stmt *stmt;
    int err = hf_db_get(db,
                        "DELETE FROM hook_answers WHERE (publisher, key) IN"
                        " (SELECT publisher, key FROM hook_answers"
                        "  WHERE at < ?1 ORDER BY at LIMIT 4)",
                        &stmt);

    if (err)
        return err;
    (void)sqlite3_bind_int64(stmt, 1, now_ms - journal->settings->retain_ms);
    return hf_db_finish(db, stmt);
}

int hf_kept_answer_add(struct hf_journal *journal,
                       const struct hf_kept_key *key, struct hf_str answer)
{
    struct hf_db *db = hf_journal_db(journal);
    int64_t now_ms = hf_wall_ms();
    sqlite3_stmt *stmt;
    int err = forget_old(journal, now_ms);

    if (err == 0)
        err = hf_db_get(db,
                        "INSERT INTO hook_answers"
                        " (publisher, key, digest, answer, at)"
                        " VALUES (?1, ?2, ?3, ?4, ?5)",
                        &stmt);
    if (err)
        return err;
    hf_db_bind_text(stmt, 1, key->publisher);
    hf_db_bind_text(stmt, 2, key->key);
    hf_db_bind_text(stmt, 3, key->digest);
    hf_db_bind_text(stmt, 4, answer);
    (void)sqlite3_bind_int64(stmt, 5, now_ms);
    return hf_db_finish(db, stmt);
}

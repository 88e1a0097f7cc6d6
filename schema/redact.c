#include "schema/redact.h"

#include <time.h>

#include "base/clock.h"
#include "schema/journal_impl.h"

#define ERASE_WAIT_MS  100 /* for readers, while other writers wait for us */
#define ERASE_PAUSE_MS 50  /* for the others */

/* Is there such a message, and was it redacted before? */
static int find(struct hf_journal *journal, uint64_t id, bool *out_already)
{
    sqlite3_stmt *stmt;
    bool row;
    int err;

    err = hf_db_get(&journal->db,
                    "SELECT topic, EXISTS"
                    " (SELECT 1 FROM redacted WHERE id = messages.id)"
                    " FROM messages WHERE id = ?1",
                    &stmt);
    if (err)
        return err;
    hf_db_bind_u64(stmt, 1, id);
    err = hf_db_step(&journal->db, stmt, &row);
    if (err)
        return err;
    if (!row)
        return HF_ENOTFOUND;
    /* Processes that have the message in memory wait for its topic. */
    hf_journal_ring_later(journal, hf_db_text(stmt, 0));
    *out_already = sqlite3_column_int(stmt, 1) == 1;
    hf_db_done(stmt);
    return 0;
}

static int empty(struct hf_journal *journal, uint64_t id)
{
    sqlite3_stmt *stmt;
    int err;

    err = hf_db_get(&journal->db,
                    "UPDATE messages SET payload ="
                    " CASE kind WHEN 1 THEN x'' ELSE '{}' END WHERE id = ?1",
                    &stmt);
    if (err)
        return err;
    hf_db_bind_u64(stmt, 1, id);
    return hf_db_finish(&journal->db, stmt);
}

static int take_away_once(struct hf_journal *journal, uint64_t id,
                          bool *out_already)
{
    int err;

    err = hf_journal_begin_upkeep(journal);
    if (err)
        return err;
    err = find(journal, id, out_already);
    if (!err && !*out_already)
        err = empty(journal, id);
    if (!err)
        return hf_journal_commit(journal);
    hf_journal_rollback(journal);
    return err;
}

static int take_away(struct hf_journal *journal, uint64_t id, bool *out_already)
{
    int err = take_away_once(journal, id, out_already);

    if (err == HF_EFULL) /* what room there was to make has been made */
        err = take_away_once(journal, id, out_already);
    return err;
}

/* In the writers' queue, so that no other process of ours checkpoints at the
 * same time (D5). HF_EBUSY: readers of the old state, or somebody writes. */
static int empty_log(struct hf_journal *journal, int64_t deadline_ms)
{
    int pages, done, err;

    err = hf_journal_queue(journal, deadline_ms);
    if (err)
        return err;
    hf_db_wait(&journal->db, ERASE_WAIT_MS);
    err = hf_db_checkpoint(&journal->db, true, &pages, &done);
    hf_journal_unlock(journal); /* and so a lost sync is settled */
    return err;
}

/*
 * The bytes are in older pages of the WAL, and in the journal itself until the
 * page without them is written back. Readers of the old state are waited for,
 * as long as a write may wait; and since waiting holds SQLite's write lock, in
 * short turns that let others publish in between.
 */
static int erase(struct hf_journal *journal, bool *out_erased)
{
    const struct timespec pause = {.tv_nsec = ERASE_PAUSE_MS * 1000000};
    int64_t deadline_ms = hf_boot_ms() + journal->settings->busy_ms;
    int err;

    for (;;) {
        err = empty_log(journal, deadline_ms);
        *out_erased = !err;
        /* A full disk is tried again, too: room may have been made. */
        if ((err != HF_EBUSY && err != HF_EFULL) || hf_boot_ms() >= deadline_ms)
            break;
        (void)nanosleep(&pause, NULL); /* cut short is fine */
    }
    return err == HF_EBUSY ? 0 : err;
}

int hf_journal_redact(struct hf_journal *journal, uint64_t id,
                      struct hf_redaction *out)
{
    int err;

    *out = (struct hf_redaction){.already = false};
    err = take_away(journal, id, &out->already);
    if (err)
        return err;
    out->taken = true;
    return erase(journal, &out->erased);
}

/*
 * history.c - which history is this, and is no id given twice? (D2)
 *
 *     what is found                         what is done
 *     the sequence row is missing           put back, above every id known,
 *                                           plus a leap; same epoch
 *     another boot than last time           a leap: rows that a foreign writer
 *                                           lost at a power cut had ids
 *     sequence below what was seen,         a new epoch: sessions and what was
 *     or `head` of another epoch, or        trimmed are forgotten, every cursor
 *     beyond reason                         is answered with "reset"
 *
 * All of it inside one IMMEDIATE transaction under the writers' queue, fully
 * synced; `head` is written before the commit. A kill in between leaves a
 * `head` of another epoch, which asks for a new epoch once more.
 */
#include "schema/journal_impl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"
#include "base/sys.h"
#include "schema/failed.h"
#include "schema/space.h"

#define HEAD_EVERY_MS    1000
#define SEQUENCE_MAX     (UINT64_C(1) << 62) /* beyond it ids would run out */
#define SYNCHRONOUS_FULL 2                   /* as PRAGMA synchronous has it */

struct state {
    uint64_t epoch; /* 0 = none */
    uint64_t sequence;
    bool has_sequence;
    bool same_boot;
    bool booted; /* it was open in this boot or another */
};

/* --- the file `head`: "<epoch in hex> <id>\n" ----------------------------- */

struct hf_head hf_history_head(const struct hf_dir *dir)
{
    struct hf_head head = {0, 0};
    char text[64];
    size_t len;

    if (hf_file_read(dir->fd, HF_FILE_HEAD, text, sizeof(text) - 1, &len))
        return head;
    text[len] = '\0';
    /* A file cut short by a power cut is as good as none. */
    if (!strchr(text, '\n') ||
        sscanf(text, "%16" SCNx64 " %20" SCNu64, &head.epoch, &head.id) != 2)
        head.epoch = 0;
    return head;
}

static int write_head(struct hf_journal *journal, uint64_t epoch, uint64_t id,
                      bool sync)
{
    char text[64];
    int len =
        snprintf(text, sizeof(text), "%016" PRIx64 " %" PRIu64 "\n", epoch, id);

    journal->head_saved_ms = hf_boot_ms();
    if (hf_file_replace(journal->dir.fd, HF_FILE_HEAD, journal->dir.file_mode,
                        hf_str(text, (size_t)len), sync) == 0)
        return 0;
    if (hf_space_is_full(errno)) {
        journal->db.full = true;
        return HF_EFULL;
    }
    if (!sync || errno != EIO)
        return HF_EIO;
    /* A sync, or a write on a disk that will fail the next sync. */
    journal->db.sync_lost = true;
    return HF_EFAILED;
}

bool hf_history_head_due(const struct hf_journal *journal)
{
    return journal->head_saved_ms == 0 ||
           hf_boot_ms() - journal->head_saved_ms >= HEAD_EVERY_MS;
}

void hf_history_save_head(struct hf_journal *journal)
{
    struct hf_head head;

    if (!hf_history_head_due(journal))
        return;
    journal->head_saved_ms = hf_boot_ms();
    head = hf_history_head(&journal->dir);
    if (head.epoch == journal->epoch && head.id >= journal->head_seen)
        return;
    /* A full disk: the file stays a second older, the next one is tried; and
     * the rows, which have found room, decide whether it is full. */
    if (write_head(journal, journal->epoch, journal->head_seen, false))
        journal->db.full = false;
}

/* --- looking -------------------------------------------------------------- */

static uint64_t parse_epoch(struct hf_str text)
{
    char copy[17];
    char *end;
    uint64_t epoch;

    if (text.len != 16)
        return 0;
    memcpy(copy, text.at, 16);
    copy[16] = '\0';
    epoch = strtoull(copy, &end, 16);
    return *end ? 0 : epoch;
}

static int read_state(struct hf_journal *journal, struct state *out)
{
    sqlite3_stmt *stmt;
    bool row;
    int err;

    err = hf_db_get(&journal->db,
                    "SELECT (SELECT value FROM meta WHERE name = 'epoch'),"
                    " (SELECT seq FROM sqlite_sequence"
                    "  WHERE name = 'messages')",
                    &stmt);
    if (err)
        return err;
    err = hf_db_step(&journal->db, stmt, &row);
    if (err)
        return err;
    *out = (struct state){.epoch = parse_epoch(hf_db_text(stmt, 0)),
                          .sequence = hf_db_u64(stmt, 1),
                          .has_sequence =
                              sqlite3_column_type(stmt, 1) == SQLITE_INTEGER};
    hf_db_done(stmt);
    return 0;
}

/* Without what only a start looks at: file `head` and boot. */
static bool is_sound(const struct hf_journal *journal,
                     const struct state *state)
{
    if (!state->epoch || !state->has_sequence || state->sequence > SEQUENCE_MAX)
        return false;
    return state->epoch != journal->epoch ||
           state->sequence >= journal->head_seen;
}

static void believe(struct hf_journal *journal, const struct state *state)
{
    journal->epoch = state->epoch;
    journal->head_seen = state->sequence;
}

int hf_history_look(struct hf_journal *journal, uint64_t *out_head)
{
    struct state state;
    int err;

    err = read_state(journal, &state);
    if (err)
        return err;
    if (!is_sound(journal, &state))
        return HF_EAGAIN;
    believe(journal, &state);
    if (out_head)
        *out_head = state.sequence;
    return 0;
}

/* --- repairing ------------------------------------------------------------ */

static int set_meta(struct hf_journal *journal, struct hf_str name,
                    struct hf_str value)
{
    sqlite3_stmt *stmt;
    int err;

    err = hf_db_get(&journal->db,
                    "INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)",
                    &stmt);
    if (err)
        return err;
    hf_db_bind_text(stmt, 1, name);
    hf_db_bind_text(stmt, 2, value);
    return hf_db_finish(&journal->db, stmt);
}

static int set_sequence(struct hf_journal *journal, uint64_t sequence)
{
    sqlite3_stmt *stmt;
    int err;

    /* sqlite_sequence has no key: two rows of one name would be possible. */
    err = hf_db_do(&journal->db,
                   "DELETE FROM sqlite_sequence WHERE name = 'messages'");
    if (!err)
        err = hf_db_get(&journal->db,
                        "INSERT INTO sqlite_sequence (name, seq)"
                        " VALUES ('messages', ?1)",
                        &stmt);
    if (err)
        return err;
    hf_db_bind_u64(stmt, 1, sequence);
    return hf_db_finish(&journal->db, stmt);
}

/* The greatest id that any table still knows. */
static int highest_known(struct hf_journal *journal, uint64_t *out)
{
    int64_t known;
    int err;

    err = hf_db_number(
        &journal->db,
        "SELECT max(coalesce((SELECT max(id) FROM messages), 0),"
        " coalesce((SELECT max(through) FROM trimmed), 0),"
        " coalesce((SELECT max(id) FROM frames), 0),"
        " coalesce((SELECT max(max(joined, ended)) FROM memberships), 0))",
        &known);
    if (err)
        return err;
    *out = known < 0 ? 0 : (uint64_t)known;
    return 0;
}

static int put_sequence_back(struct hf_journal *journal,
                             const struct hf_head *head, struct state *state)
{
    uint64_t known;
    int err;

    err = highest_known(journal, &known);
    if (err)
        return err;
    if (head->epoch == state->epoch && head->id > known)
        known = head->id;
    if (journal->epoch == state->epoch && journal->head_seen > known)
        known = journal->head_seen;
    state->sequence = known + HF_HISTORY_LEAP;
    state->has_sequence = true;
    HF_LOG(HF_LOG_WARN, "journal_sequence_restored",
           hf_field_i("sequence", (long long)state->sequence),
           hf_field("hint", "the row of messages in sqlite_sequence was "
                            "deleted; inserts failed until now"));
    return set_sequence(journal, state->sequence);
}

static int random_epoch(uint64_t *out)
{
    int err;

    do {
        err = hf_random(out, sizeof(*out));
    } while (!err && *out == 0);
    return err;
}

static int begin_epoch(struct hf_journal *journal, struct state *state)
{
    char text[17];
    uint64_t known;
    int err;

    err = hf_db_run(&journal->db, "DELETE FROM sessions;"
                                  "DELETE FROM memberships;"
                                  "DELETE FROM frames;"
                                  "DELETE FROM presences;"
                                  "DELETE FROM trimmed;");
    if (!err)
        err = highest_known(journal, &known);
    if (!err)
        err = random_epoch(&state->epoch);
    if (err)
        return err;
    if (!state->has_sequence || state->sequence < known ||
        state->sequence > SEQUENCE_MAX)
        state->sequence = known;
    (void)snprintf(text, sizeof(text), "%016" PRIx64, state->epoch);
    err = set_sequence(journal, state->sequence);
    if (!err)
        err = set_meta(journal, HF_STR("epoch"), hf_str_of(text));
    return err;
}

static int new_epoch(struct hf_journal *journal, struct state *state,
                     const char *reason)
{
    bool first = state->epoch == 0;
    int err = begin_epoch(journal, state);

    if (!err && !first)
        HF_LOG(HF_LOG_WARN, "journal_new_epoch", hf_field("reason", reason),
               hf_field_i("sequence", (long long)state->sequence));
    return err;
}

/* A sequence of 0 does not say that no id was given: all of them may be lost.
 * Only a journal that was open in no boot before has lost nothing. */
static int leap_for_boot(struct hf_journal *journal, const char *boot,
                         struct state *state)
{
    bool leap = state->booted || state->sequence > 0;
    int err;

#ifdef HF_BROKEN_IDS_REUSED /* for tests: what must never be left out */
    leap = false;
#endif
    if (leap) {
        state->sequence += HF_HISTORY_LEAP;
        err = set_sequence(journal, state->sequence);
        if (err)
            return err;
    }
    return set_meta(journal, HF_STR("boot"), hf_str_of(boot));
}

/* *out_before: it was open in some boot. */
static int read_boot(struct hf_journal *journal, const char *boot,
                     bool *out_same, bool *out_before)
{
    sqlite3_stmt *stmt;
    bool row;
    int err;

    *out_same = *out_before = false;
    err = hf_db_get(&journal->db, "SELECT value FROM meta WHERE name = 'boot'",
                    &stmt);
    if (!err)
        err = hf_db_step(&journal->db, stmt, &row);
    if (err || !row)
        return err;
    *out_same = hf_str_eq(hf_db_text(stmt, 0), hf_str_of(boot));
    *out_before = hf_db_text(stmt, 0).len > 0;
    hf_db_done(stmt);
    return 0;
}

/* Why this cannot be the history that was seen before; NULL: it can. */
static const char *broken_history(const struct hf_journal *journal,
                                  const struct hf_head *head,
                                  const struct state *state)
{
    if (!state->epoch)
        return "the journal is new";
    if (head->epoch && head->epoch != state->epoch)
        return "the file is of another history";
    if (state->sequence > SEQUENCE_MAX)
        return "sqlite_sequence was raised beyond reason";
#ifdef HF_BROKEN_IDS_REUSED /* for tests: what must never be left out */
    return NULL;
#endif
    if (head->epoch && state->sequence < head->id)
        return "the file is older than what was seen of it";
    if (journal->epoch == state->epoch && state->sequence < journal->head_seen)
        return "sqlite_sequence was lowered";
    return NULL;
}

/* Inside the transaction. *out_dirty: something was changed. */
static int put_right(struct hf_journal *journal, const char *boot,
                     struct state *state, bool *out_dirty)
{
    struct hf_head head = hf_history_head(&journal->dir);
    const char *broken;
    int err;

    *out_dirty = !state->has_sequence || !state->same_boot;
    if (!state->has_sequence && state->epoch) {
        err = put_sequence_back(journal, &head, state);
        if (err)
            return err;
    }
    if (!state->same_boot) {
        err = leap_for_boot(journal, boot, state);
        if (err)
            return err;
    }
    broken = broken_history(journal, &head, state);
    if (!broken)
        return 0;
    *out_dirty = true;
    return new_epoch(journal, state, broken);
}

static int repair_inside(struct hf_journal *journal)
{
    struct state state;
    char boot[40];
    bool dirty;
    int err;

    err = hf_boot_id(boot);
    if (!err)
        err = read_state(journal, &state);
    if (!err)
        err = read_boot(journal, boot, &state.same_boot, &state.booted);
    if (!err)
        err = put_right(journal, boot, &state, &dirty);
    if (!err && dirty)
        err = write_head(journal, state.epoch, state.sequence, true);
    if (!err)
        err = hf_db_do(&journal->db, "COMMIT");
    if (!err) {
        believe(journal, &state);
        journal->owed = false;
    }
    return err;
}

static int set_synchronous(struct hf_journal *journal, int64_t level)
{
    char sql[48];

    (void)snprintf(sql, sizeof(sql), "PRAGMA synchronous = %d", (int)level);
    return hf_db_run(&journal->db, sql);
}

/*
 * Synced whatever `durability` says: were the leap of this boot lost in a power
 * cut, the next boot would make the same leap again, to the same ids.
 */
int hf_history_repair(struct hf_journal *journal, int64_t deadline_ms)
{
    int64_t level;
    int err;

    err = hf_db_number(&journal->db, "PRAGMA synchronous", &level);
    if (!err && level < SYNCHRONOUS_FULL)
        err = set_synchronous(journal, SYNCHRONOUS_FULL);
    if (err)
        return err;
    err = hf_journal_lock(journal, deadline_ms);
    if (!err) {
        err = repair_inside(journal);
        hf_journal_unlock(journal);
    }
    /* Cannot fail outside of a transaction; if it did, more would be synced. */
    if (level < SYNCHRONOUS_FULL)
        (void)set_synchronous(journal, level);
    return err;
}

/* --- at open -------------------------------------------------------------- */

static int looks_sound(struct hf_journal *journal, bool *out)
{
    struct state state;
    struct hf_head head;
    char boot[40];
    int err;

    /* In this order, for the sequence only rises. Should others change the
     * epoch in between, the repair looks again under the lock. */
    head = hf_history_head(&journal->dir);
    err = hf_boot_id(boot);
    if (!err)
        err = read_state(journal, &state);
    if (!err)
        err = read_boot(journal, boot, &state.same_boot, &state.booted);
    if (err)
        return err;
    *out = is_sound(journal, &state) && state.same_boot &&
           !broken_history(journal, &head, &state);
    if (*out)
        believe(journal, &state);
    return 0;
}

/*
 * On a full disk, or one that lost a sync, nothing can be put right; but what
 * is there can be read. No process of ours publishes in this state, and the
 * first that may begin again does this first. `reason`: the error that was met,
 * and that it stays with when there is no epoch.
 */
static int owe(struct hf_journal *journal, int reason)
{
    struct state state;
    int err;

    err = read_state(journal, &state);
    if (err)
        return err;
    if (!state.epoch)
        return reason; /* no cursor could be told from another history's */
    believe(journal, &state);
    journal->owed = true;
    return 0;
}

/* SQLite's words, if it was SQLite that failed. */
static const char *words_for(const struct hf_journal *journal, int err)
{
    switch (sqlite3_errcode(journal->db.handle) & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return hf_strerror(err);
    default:
        return sqlite3_errmsg(journal->db.handle);
    }
}

int hf_history_open(struct hf_journal *journal, struct hf_why *why)
{
    int64_t deadline_ms = hf_boot_ms() + journal->settings->busy_ms;
    bool sound = false;
    char boot[40];
    int err;

    err = looks_sound(journal, &sound);
    if (!err && !sound)
        err = hf_history_repair(journal, deadline_ms);
    if (err == HF_EFULL) /* there may be room by now */
        err = hf_history_repair(journal, deadline_ms);
    if (err == HF_EFULL || (err && hf_failed(&journal->dir)))
        err = owe(journal, err);
    if (err == HF_EBUSY)
        return hf_explain(why, err,
                          "another program holds the journal's write lock");
    if (err && hf_boot_id(boot))
        return hf_explain(why, err,
                          "/proc is not there, and no process of ours can do "
                          "without: ask whoever made this jail or chroot");
    if (err)
        return hf_explain(why, err, "cannot look over the journal: %s",
                          words_for(journal, err));
    return 0;
}

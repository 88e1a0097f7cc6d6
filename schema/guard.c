/*
 * guard.c - may a transaction begin, and what its end asks for (D5)
 *
 *     refused as        from                          until
 *     HF_EFAILED        a sync of ours has failed     `holdfast check --rescue`
 *     HF_EBLOCKED       the log is above max_wal      the reader that pins it ends
 *     HF_EFULL          a write found no room, or     the ballast can be put back
 *                       hardly any is left            and there is some to spare
 *
 * All of it happens in the writers' queue, so that of our processes one at a
 * time looks, empties the log or puts the ballast back, and the flag is up
 * before the next one begins. Checkpoints of ours never meet each other, which
 * SQLite before 3.51.3 does not always survive.
 */
#include "schema/journal_impl.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "schema/failed.h"
#include "schema/holders.h"
#include "schema/space.h"

#define DRAIN_EVERY_MS 1000
#define DRAIN_WAIT_MS  100 /* for readers, while other writers wait for us */
#define ROOM_EVERY_MS  1000
#define REPEAT_LOG_MS  60000
#define FRAME_HEADER   24 /* bytes before each page in the log */
#define FILE_HEADER    32

/* --- what is said about it ----------------------------------------------- */

static void log_failed(const struct hf_journal *journal)
{
    char text[HF_FAILED_TEXT];

    (void)hf_failed_read(&journal->dir, text); /* empty: then without */
    HF_LOG(HF_LOG_ERROR, "journal_failed", hf_field("flag", text),
           hf_field("effect", "nothing is published on this host; reading "
                              "goes on"),
           hf_field("hint", "the disk has lost what was written to it: see to "
                            "it, then run 'holdfast check --rescue'"));
}

static void log_blocked(const struct hf_journal *journal)
{
    char readers[160];

    (void)hf_holders(&journal->dir, HF_HOLD_READ, readers, sizeof(readers));
    HF_LOG(HF_LOG_ERROR, "journal_blocked",
           hf_field_i("wal_bytes", journal->guard.wal_bytes),
           hf_field_i("max_wal", journal->settings->max_wal),
           hf_field("readers", readers[0] ? readers : NULL),
           hf_field("effect", "nothing is published; reading goes on"),
           hf_field("hint", "some program keeps a read transaction open, so "
                            "the log cannot be emptied; end it, and "
                            "publishing goes on"));
}

static void log_full(const struct hf_journal *journal)
{
    HF_LOG(HF_LOG_ERROR, "journal_full",
           hf_field("directory", journal->dir.path),
           hf_field_i("free_bytes", hf_space_free(&journal->dir)),
           hf_field_i("ballast_bytes", hf_space_ballast(&journal->dir)),
           hf_field("effect", "nothing is published; reading goes on"),
           hf_field("hint", "make room on the disk or in the quota, or keep "
                            "less ('retain'), and publishing goes on"));
}

int hf_guard_report(struct hf_journal *journal, int err)
{
    struct hf_guard *guard = &journal->guard;
    int64_t now_ms = hf_boot_ms();

    if (err == guard->refused &&
        (!err || now_ms - guard->refused_ms < REPEAT_LOG_MS))
        return err;
    switch (err) {
    case 0:
        HF_LOG(HF_LOG_WARN, "journal_writable",
               hf_field("was", hf_strerror(guard->refused)));
        break;
    case HF_EFAILED:
        log_failed(journal);
        break;
    case HF_EBLOCKED:
        log_blocked(journal);
        break;
    case HF_EFULL:
        log_full(journal);
        break;
    default: /* others are reported where they are met */
        return err;
    }
    guard->refused = err;
    guard->refused_ms = now_ms;
    return err;
}

int hf_guard_locked_out(struct hf_journal *journal, int err)
{
    int64_t now_ms = hf_boot_ms();
    char holders[160];

    if (err != HF_EBUSY || (journal->guard.locked_ms &&
                            now_ms - journal->guard.locked_ms < REPEAT_LOG_MS))
        return err;
    journal->guard.locked_ms = now_ms;
    (void)hf_holders(&journal->dir, HF_HOLD_EXCLUSIVE, holders,
                     sizeof(holders));
    HF_LOG(HF_LOG_ERROR, "journal_locked",
           hf_field("holder", holders[0] ? holders : NULL),
           hf_field("effect", "nobody else can read or publish"),
           hf_field("hint",
                    "a program uses PRAGMA locking_mode = EXCLUSIVE, or "
                    "repairs the journal; end it or take that out"));
    return err;
}

/* --- the log ------------------------------------------------------------- */

/* Bytes of the log in use. Its file may be longer: SQLite begins again at its
 * front and does not cut it. */
static int64_t log_bytes(int pages)
{
    return FILE_HEADER + (int64_t)pages * (HF_DB_PAGE + FRAME_HEADER);
}

static int empty_log(struct hf_journal *journal, int *out_pages)
{
    int done;

    hf_db_wait(&journal->db, DRAIN_WAIT_MS);
    return hf_db_checkpoint(&journal->db, true, out_pages, &done);
}

static bool drained_lately(const struct hf_drained *last)
{
    int64_t now_ms = hf_boot_ms();

    /* From another boot it may lie ahead. */
    return last->at_ms != 0 && last->at_ms <= now_ms &&
           now_ms - last->at_ms < DRAIN_EVERY_MS;
}

/*
 * The log is above its ceiling. While it is, nobody of ours commits, so nobody
 * would notice that the reader has gone: this looks, and when that was in vain
 * not again for a second, for all processes together, since it makes writers
 * wait. *out_bytes is what the log still holds.
 */
static int drain(struct hf_journal *journal, int64_t *out_bytes)
{
    struct hf_drained last = {0, 0, 0};
    int64_t now_bytes = journal->guard.wal_bytes;
    int pages, err;

    if (pread(journal->writers_fd, &last, sizeof(last), HF_WRITERS_DRAINED) !=
        sizeof(last))
        last.at_ms = 0;
    if (last.bytes > 0 && drained_lately(&last)) {
        *out_bytes = now_bytes > last.file ? now_bytes : last.bytes;
        return 0;
    }
    err = empty_log(journal, &pages);
    if (err && err != HF_EBUSY)
        return err;
    last.at_ms = hf_boot_ms();
    /* No pages: who holds the checkpoint lock has kept us from counting. */
    last.bytes = !err ? 0 : pages > 0 ? log_bytes(pages) : now_bytes;
    last.file = err ? now_bytes : 0;
    *out_bytes = last.bytes;
    if (pwrite(journal->writers_fd, &last, sizeof(last), HF_WRITERS_DRAINED) <
        0)
        return 0; /* the next one will try at once, no harm else */
    return 0;
}

static int check_log(struct hf_journal *journal, bool upkeep)
{
    /* Deleting makes the log longer, too, and frees nothing while it is
     * pinned; but a row may have to go for the law. */
    int64_t most = journal->settings->max_wal * (upkeep ? 2 : 1);
    int64_t bytes;
    int err;

    if (journal->guard.wal_bytes <= most)
        return 0;
    err = drain(journal, &bytes);
    if (err)
        return err;
    return bytes > most ? HF_EBLOCKED : 0;
}

static void log_checkpoint_error(int err)
{
    HF_LOG(HF_LOG_ERROR, "checkpoint_failed",
           hf_field("error", hf_strerror(err)),
           hf_field("effect", "the log grows until it works; nothing is lost"));
}

void hf_guard_checkpoint(struct hf_journal *journal)
{
    int pages, done;
    int err = 0;

    if (journal->guard.full) /* for upkeep: each step finds an empty log */
        err = empty_log(journal, &pages);
    else if (journal->db.log_pages >= hf_db_checkpoint_at())
        err = hf_db_checkpoint(&journal->db, false, &pages, &done);
#ifdef HF_BROKEN_CHECKPOINT_IGNORED /* for tests: as SQLite itself does */
    journal->db.sync_lost = false;
    err = 0;
#endif
    /* Lost syncs and full disks have words of their own. */
    if (err && err != HF_EBUSY && err != HF_EFAILED && err != HF_EFULL)
        log_checkpoint_error(err);
}

/* --- room ---------------------------------------------------------------- */

void hf_journal_space(struct hf_journal *journal, struct hf_space *out)
{
    int64_t pages = 0;

    (void)hf_db_number(&journal->db, "PRAGMA freelist_count", &pages);
    hf_space_look(&journal->dir, pages * HF_DB_PAGE, out);
}

/* The look itself; puts back the ballast, or makes it larger. */
static bool has_room(struct hf_journal *journal)
{
    struct hf_guard *guard = &journal->guard;
    struct hf_space space;
    int err;

    hf_journal_space(journal, &space);
    err = hf_space_keep_ballast(&journal->dir, &space);
    if (err == HF_EIO && !guard->no_ballast)
        HF_LOG(
            HF_LOG_WARN, "no_ballast", hf_field("why", strerror(errno)),
            hf_field("effect", "a full disk may not be reparable by itself"));
    guard->no_ballast = err == HF_EIO;
    return err != HF_EFULL;
}

/* Between two looks. That the ballast is missing is how the others say that the
 * disk is full; with a small one it must not go unnoticed that the file has used
 * up its free pages, or the room its last. */
static bool may_be_full(struct hf_journal *journal)
{
    struct hf_space space;

    if (journal->guard.no_ballast ||
        hf_space_ballast(&journal->dir) >= HF_SPACE_BALLAST)
        return false;
    hf_journal_space(journal, &space);
    return hf_space_judge(&space) != HF_SPACE_ENOUGH;
}

static int check_room(struct hf_journal *journal)
{
    struct hf_guard *guard = &journal->guard;
    int64_t now_ms = hf_boot_ms();
    bool lately =
        guard->room_ms != 0 && now_ms - guard->room_ms < ROOM_EVERY_MS;

    if (!lately || (!guard->full && may_be_full(journal))) {
        guard->room_ms = now_ms;
        guard->full = !has_room(journal);
    }
    return guard->full ? HF_EFULL : 0;
}

/* A write found no room. With the ballast's the log can be emptied, and what
 * it had taken is free as well. */
static void make_room(struct hf_journal *journal)
{
    int pages;

    hf_space_give_up_ballast(&journal->dir);
    (void)empty_log(journal, &pages); /* as far as readers and disk let */
    journal->db.full = false;
    journal->guard.room_ms = hf_boot_ms();
    journal->guard.full = !has_room(journal);
}

/* --- the whole ----------------------------------------------------------- */

int hf_guard_admit(struct hf_journal *journal, bool upkeep)
{
    int err;

    if (journal->guard.failed || hf_failed(&journal->dir))
        return HF_EFAILED;
    err = check_log(journal, upkeep);
    if (!err && !upkeep)
        err = check_room(journal);
    /* What was met while helping. */
    if (journal->db.sync_lost)
        return HF_EFAILED;
    return err;
}

static void raise_flag(struct hf_journal *journal, const char *while_doing)
{
    char what[120];

    (void)snprintf(what, sizeof(what), "a sync failed while %s", while_doing);
    journal->db.sync_lost = false;
    if (hf_failed_raise(&journal->dir, what) == 0)
        return;
    hf_space_give_up_ballast(&journal->dir); /* it may be for want of room */
    if (hf_failed_raise(&journal->dir, what) == 0)
        return;
    journal->guard.failed = true; /* this process at least */
    HF_LOG(HF_LOG_ERROR, "flag_not_raised", hf_field("why", strerror(errno)),
           hf_field("hint", "stop every process that publishes: the disk has "
                            "lost what was written to it"));
}

void hf_guard_settle(struct hf_journal *journal, const char *while_doing)
{
    if (journal->db.full && journal->queued)
        make_room(journal);
    if (!journal->db.sync_lost)
        return;
    raise_flag(journal, while_doing);
    (void)hf_guard_report(journal, HF_EFAILED);
}

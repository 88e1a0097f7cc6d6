#include "schema/retention.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/sys.h"
#include "schema/bell.h"
#include "schema/files.h"
#include "schema/journal_impl.h"
#include "schema/upkeep.h"

/* A time before this one is none: seconds where milliseconds are meant, or
 * nothing at all. And so is one further ahead than clocks differ. */
#define AT_MIN_MS   INT64_C(1000000000000) /* September 2001 */
#define AT_AHEAD_MS 60000

/* What a step reads, outside the write lock, before it knows what to remove. */
#define PLAN_US     5000
#define PLAN_TOPICS 256u

/* Rows of `trimmed` that one step removes. */
#define TIDY_ROWS 250

/* Beside its payload a message takes about so much: what frees itself with it
 * is guessed low, so that enough is removed and not a little too few. */
#define ROW_BYTES 24u

/* With a disk that is full there may be room for little only. */
#define SMALL_STEP 8u

/* The same news of the clock is logged so often by one connection. */
#define CLOCK_SAID_MS (60 * 60 * 1000)

enum verdict {
    OLD,    /* enough */
    YOUNG,  /* too young to go */
    UNKNOWN /* its time cannot be */
};

struct step {
    struct hf_journal *journal;
    struct hf_db *db;
    const struct hf_settings *settings;
    struct hf_retention_report *report;
    struct hf_upkeep upkeep;
    struct hf_upkeep seen; /* as it was before anything was planned */
    bool looked;           /* it is filled */
    size_t max_rows, max_bytes;

    /* What is judged by. */
    int64_t boot_ms;
    int64_t now_ms;     /* wall clock as it is believed */
    uint64_t kept;      /* up to this id older than keep_min, whatever `at` */
    uint64_t retained;  /* the same for retain; 0 while the clock has jumped */
    uint64_t newest;    /* id of the newest message, which stays */
    int64_t bytes_over; /* pages in use beyond retain_bytes, in bytes */

    /* The plan: either a cut through all topics or single ids. */
    uint64_t cut, cut_by_age;
    bool limited; /* it ends because a step is bounded */
    bool tidy;    /* `trimmed` has rows below the watermark */
    size_t ids_count, ids_bytes;
    uint64_t ids[HF_RETENTION_ROWS];

    /* Topics that this step has looked at, by hash. */
    uint64_t looked_at[PLAN_TOPICS];
    size_t looked_at_count;
    int64_t plan_until_us;
};

/* --- judging --------------------------------------------------------------- */

static enum verdict judge(const struct step *step, int64_t at_ms,
                          int64_t span_ms)
{
    if (at_ms < AT_MIN_MS || at_ms > step->now_ms + AT_AHEAD_MS)
        return UNKNOWN;
    return step->now_ms - at_ms >= span_ms ? OLD : YOUNG;
}

static enum verdict judge_for_min(const struct step *step, uint64_t id,
                                  int64_t at_ms)
{
    if (id <= step->kept)
        return OLD;
    return judge(step, at_ms, step->settings->keep_min_ms);
}

static enum verdict judge_for_age(const struct step *step, uint64_t id,
                                  int64_t at_ms)
{
    if (step->report->clock_jumped)
        return YOUNG;
    if (id <= step->retained)
        return OLD;
    return judge(step, at_ms, step->settings->retain_ms);
}

/* The oldest ids that may go: up to the last old one before a young one. */
struct prefix {
    uint64_t through;
    bool ended;
};

static void extend(struct prefix *prefix, uint64_t id, enum verdict verdict)
{
    if (prefix->ended)
        return;
    switch (verdict) {
    case OLD:
        prefix->through = id;
        return;
    case YOUNG:
        prefix->ended = true;
        return;
    case UNKNOWN: /* goes with those after it */
        return;
    }
}

/* --- reading --------------------------------------------------------------- */

static int read_newest(struct step *step)
{
    int64_t newest;
    int err = hf_db_number(step->db, "SELECT max(id) FROM messages", &newest);

    if (!err)
        step->newest = newest < 0 ? 0 : (uint64_t)newest; /* NULL is 0 */
    return err;
}

static int read_bytes_used(struct step *step, int64_t *out)
{
    int64_t pages = 0, unused = 0, page_size = 0;
    int err;

    err = hf_db_number(step->db, "PRAGMA page_count", &pages);
    if (!err)
        err = hf_db_number(step->db, "PRAGMA freelist_count", &unused);
    if (!err)
        err = hf_db_number(step->db, "PRAGMA page_size", &page_size);
    *out = (pages - unused) * page_size;
    return err;
}

static int read_watermark(struct step *step)
{
    int64_t through = 0;
    int err;

    err = hf_db_number(step->db, "SELECT through FROM trimmed WHERE topic = ''",
                       &through);
    if (err && err != HF_ENOTFOUND)
        return err;
    step->report->through = through < 0 ? 0 : (uint64_t)through;
    return 0;
}

static int look_for_tidying(struct step *step)
{
    sqlite3_stmt *stmt;
    int err;

    err = hf_db_get(step->db,
                    "SELECT 1 FROM trimmed WHERE through <= ?1 AND topic <> ''"
                    " ORDER BY through LIMIT 1",
                    &stmt);
    if (err)
        return err;
    hf_db_bind_u64(stmt, 1, step->report->through);
    err = hf_db_step(step->db, stmt, &step->tidy);
    if (!err && step->tidy)
        hf_db_done(stmt);
    return err;
}

/* --- the cut through all topics -------------------------------------------- */

/* Rows of a statement that gives id, at, payload. */
struct row {
    uint64_t id;
    int64_t at_ms;
    size_t bytes;
};

static struct row get_row(sqlite3_stmt *stmt)
{
    return (struct row){hf_db_u64(stmt, 0), sqlite3_column_int64(stmt, 1),
                        hf_db_text(stmt, 2).len + ROW_BYTES};
}

struct oldest {
    struct prefix by_age, by_bytes;
    size_t rows, bytes;
};

/* False: nothing more is to be learnt from further rows. */
static bool take_oldest(struct step *step, struct oldest *oldest,
                        const struct row *row)
{
    if (row->id >= step->newest)
        return false;
    extend(&oldest->by_age, row->id, judge_for_age(step, row->id, row->at_ms));
    if (step->bytes_over <= (int64_t)oldest->bytes)
        oldest->by_bytes.ended = true;
    extend(&oldest->by_bytes, row->id,
           judge_for_min(step, row->id, row->at_ms));
    if (oldest->by_age.ended && oldest->by_bytes.ended)
        return false;
    oldest->rows++;
    oldest->bytes += row->bytes;
    step->limited =
        oldest->rows >= step->max_rows || oldest->bytes >= step->max_bytes;
    return !step->limited;
}

static int scan_oldest(struct step *step, struct oldest *oldest)
{
    sqlite3_stmt *stmt;
    bool row, go_on = true;
    int err;

    err = hf_db_get(step->db,
                    "SELECT id, at, payload FROM messages ORDER BY id", &stmt);
    while (!err && go_on) {
        struct row got;

        err = hf_db_step(step->db, stmt, &row);
        if (err || !row)
            return err;
        got = get_row(stmt);
        go_on = take_oldest(step, oldest, &got);
        if (!go_on)
            hf_db_done(stmt);
    }
    return err;
}

static int plan_cut(struct step *step)
{
    struct oldest oldest = {.rows = 0};
    int err;

    err = scan_oldest(step, &oldest);
    if (err)
        return err;
    step->cut_by_age = oldest.by_age.through;
    step->cut = oldest.by_age.through > oldest.by_bytes.through
                    ? oldest.by_age.through
                    : oldest.by_bytes.through;
    /* Rows whose time cannot be may fill a step; there is no more to do then
     * until a mark vouches for them. */
    step->limited = step->limited && step->cut > 0;
    step->report->kept_by_min =
        step->bytes_over > 0 && oldest.by_bytes.through == 0;
    return 0;
}

/* --- too many of one topic -------------------------------------------------- */

static bool plan_is_full(const struct step *step)
{
    return step->ids_count >= step->max_rows ||
           step->ids_bytes >= step->max_bytes;
}

/* The highest id of the topic that is one too many; 0 = there is none. */
static int find_surplus(struct step *step, struct hf_str topic, uint64_t *out)
{
    sqlite3_stmt *stmt;
    bool row;
    int err;

    *out = 0;
    err = hf_db_get(step->db,
                    "SELECT id FROM messages WHERE topic = ?1"
                    " ORDER BY id DESC LIMIT 1 OFFSET ?2",
                    &stmt);
    if (err)
        return err;
    hf_db_bind_text(stmt, 1, topic);
    hf_db_bind_u64(stmt, 2, (uint64_t)step->settings->retain_count);
    err = hf_db_step(step->db, stmt, &row);
    if (err || !row)
        return err;
    *out = hf_db_u64(stmt, 0);
    hf_db_done(stmt);
    return 0;
}

/* Put the oldest of them into the plan, as many as fit. What lies beyond the
 * last old one is taken out again. */
static int take_surplus(struct step *step, sqlite3_stmt *stmt)
{
    struct prefix prefix = {0, false};
    size_t good = step->ids_count;
    bool row = true;
    int err = 0;

    while (!plan_is_full(step) && !prefix.ended) {
        struct row got;

        err = hf_db_step(step->db, stmt, &row);
        if (err || !row)
            break;
        got = get_row(stmt);
        extend(&prefix, got.id, judge_for_min(step, got.id, got.at_ms));
        step->ids[step->ids_count++] = got.id;
        step->ids_bytes += got.bytes;
        if (prefix.through == got.id)
            good = step->ids_count;
    }
    if (!err && row)
        hf_db_done(stmt);
    step->ids_count = good;
    return err;
}

static int plan_topic(struct step *step, struct hf_str topic)
{
    uint64_t surplus;
    sqlite3_stmt *stmt;
    int err;

    err = find_surplus(step, topic, &surplus);
    if (err || surplus == 0)
        return err;
    err = hf_db_get(step->db,
                    "SELECT id, at, payload FROM messages"
                    " WHERE topic = ?1 AND id <= ?2 ORDER BY id",
                    &stmt);
    if (err)
        return err;
    hf_db_bind_text(stmt, 1, topic);
    hf_db_bind_u64(stmt, 2, surplus);
    return take_surplus(step, stmt);
}

/* Topics may be visited again for nothing; the time is bounded all the same. */
static bool may_plan_on(const struct step *step)
{
    return !plan_is_full(step) && step->looked_at_count < PLAN_TOPICS &&
           hf_boot_us() < step->plan_until_us;
}

static bool was_looked_at(struct step *step, struct hf_str topic)
{
    uint64_t hash = hf_bell_hash(topic);
    size_t n;

    for (n = 0; n < step->looked_at_count; n++) {
        if (step->looked_at[n] == hash)
            return true;
    }
    step->looked_at[step->looked_at_count++] = hash;
    return false;
}

/* The next topic after the one where the sweep is; it moves there unless that
 * topic filled the plan. */
static int sweep_topic(struct step *step)
{
    struct hf_upkeep *upkeep = &step->upkeep;
    char name[HF_UPKEEP_TOPIC];
    struct hf_str topic;
    sqlite3_stmt *stmt;
    bool row;
    int err;

    err = hf_db_get(step->db,
                    "SELECT topic FROM messages WHERE topic > ?1"
                    " ORDER BY topic LIMIT 1",
                    &stmt);
    if (err)
        return err;
    hf_db_bind_text(stmt, 1, hf_str(upkeep->topic, upkeep->topic_len));
    err = hf_db_step(step->db, stmt, &row);
    if (err)
        return err;
    upkeep->sweeping = row;
    if (!row)
        return 0;
    topic = hf_db_text(stmt, 0);
    topic.len = topic.len < sizeof(name) ? topic.len : sizeof(name);
    memcpy(name, topic.at, topic.len);
    hf_db_done(stmt);
    topic.at = name;
    step->looked_at_count++; /* for its bound */
    err = plan_topic(step, topic);
    if (err || plan_is_full(step))
        return err;
    memcpy(upkeep->topic, name, topic.len);
    upkeep->topic_len = topic.len;
    return 0;
}

static int sweep(struct step *step)
{
    int err = 0;

    while (!err && step->upkeep.sweeping && may_plan_on(step))
        err = sweep_topic(step);
    step->limited = step->upkeep.sweeping;
    return err;
}

/* Topics of the messages that have become old enough to go since the last
 * time: by our marks, which need no `at`. */
static int follow(struct step *step)
{
    struct hf_upkeep *upkeep = &step->upkeep;
    sqlite3_stmt *stmt;
    bool row = true;
    int err;

    err = hf_db_get(step->db,
                    "SELECT id, topic FROM messages WHERE id > ?1 AND id <= ?2"
                    " ORDER BY id",
                    &stmt);
    if (err)
        return err;
    hf_db_bind_u64(stmt, 1, upkeep->counted);
    hf_db_bind_u64(stmt, 2, step->kept);
    while (!err && may_plan_on(step)) {
        err = hf_db_step(step->db, stmt, &row);
        if (err || !row)
            break;
        if (!was_looked_at(step, hf_db_text(stmt, 1)))
            err = plan_topic(step, hf_db_text(stmt, 1));
        if (!plan_is_full(step))
            upkeep->counted = hf_db_u64(stmt, 0);
    }
    step->limited = row;
    if (row)
        hf_db_done(stmt);
    return err;
}

static int plan_count(struct step *step)
{
    struct hf_upkeep *upkeep = &step->upkeep;
    int64_t count = step->settings->retain_count;

    if (upkeep->count != count) {
        upkeep->count = count;
        upkeep->counted = 0;
        upkeep->sweeping = false;
    }
    if (count <= 0)
        return 0;
    step->plan_until_us = hf_boot_us() + PLAN_US;
    if (upkeep->counted == 0 && !upkeep->sweeping) {
        /* What is too young now is met again by who follows from here on; as
         * long as no mark is ripe there is no such place, and all topics are
         * visited once more the next time. */
        upkeep->sweeping = true;
        upkeep->topic_len = 0;
        upkeep->counted = step->kept;
    }
    return upkeep->sweeping ? sweep(step) : follow(step);
}

/* --- carrying it out -------------------------------------------------------- */

static int with_id(struct step *step, const char *sql, uint64_t id,
                   uint64_t *out_changed)
{
    sqlite3_stmt *stmt;
    int err;

    err = hf_db_get(step->db, sql, &stmt);
    if (err)
        return err;
    hf_db_bind_u64(stmt, 1, id);
    err = hf_db_finish(step->db, stmt);
    if (!err && out_changed)
        *out_changed += (uint64_t)sqlite3_changes(step->db->handle);
    return err;
}

/* The watermark first: with it the trigger leaves no row per topic. */
static int cut_through(struct step *step)
{
    static const char raise[] =
        "INSERT INTO trimmed (topic, through) VALUES ('', ?1)"
        " ON CONFLICT (topic) DO UPDATE SET through = excluded.through"
        " WHERE excluded.through > through";
    static const char delete[] = "DELETE FROM messages WHERE id <= ?1";
    struct hf_retention_report *report = step->report;
    int err;

    err = with_id(step, raise, step->cut, NULL);
    if (!err)
        err = with_id(step, delete, step->cut_by_age, &report->by_age);
    if (!err)
        err = with_id(step, delete, step->cut, &report->by_bytes);
    if (!err && step->cut > report->through)
        report->through = step->cut;
    return err;
}

static int remove_ids(struct step *step)
{
    size_t n;
    int err = 0;

    for (n = 0; n < step->ids_count && !err; n++)
        err = with_id(step, "DELETE FROM messages WHERE id = ?1", step->ids[n],
                      &step->report->by_count);
    return err;
}

static int tidy_trimmed(struct step *step, bool *out_more)
{
    static const char delete[] =
        "DELETE FROM trimmed WHERE topic IN (SELECT topic FROM trimmed"
        " WHERE through <= ?1 AND topic <> '' ORDER BY through LIMIT ?2)";
    sqlite3_stmt *stmt;
    int err;

    err = hf_db_get(step->db, delete, &stmt);
    if (err)
        return err;
    hf_db_bind_u64(stmt, 1, step->report->through);
    hf_db_bind_u64(stmt, 2, TIDY_ROWS);
    err = hf_db_finish(step->db, stmt);
    *out_more = !err && sqlite3_changes(step->db->handle) >= TIDY_ROWS;
    return err;
}

static int carry_out_inside(struct step *step)
{
    bool more_to_tidy = false;
    int64_t used = 0;
    int err = 0;

    /* Ids of the plan mean other messages now? */
    if (hf_journal_epoch(step->journal) != step->upkeep.epoch)
        return HF_EAGAIN;
    if (step->cut > 0)
        err = cut_through(step);
    if (!err)
        err = remove_ids(step);
    if (!err)
        err = tidy_trimmed(step, &more_to_tidy);
    if (!err && step->report->by_bytes > 0)
        err = read_bytes_used(step, &used);
    step->report->more =
        step->limited || more_to_tidy || used > step->settings->retain_bytes;
    return err;
}

static int carry_out(struct step *step)
{
    int err;

    step->report->more = step->limited;
    if (step->cut == 0 && step->ids_count == 0 && !step->tidy)
        return 0;
    err = hf_journal_begin_upkeep(step->journal);
    if (err)
        return err;
    err = carry_out_inside(step);
    if (!err)
        return hf_journal_commit(step->journal);
    hf_journal_rollback(step->journal);
    return err;
}

/* --- a step ----------------------------------------------------------------- */

static void log_clock(enum hf_clock_news news, int64_t by_s)
{
    switch (news) {
    case HF_CLOCK_NO_NEWS:
        return;
    case HF_CLOCK_JUMPED:
        HF_LOG(HF_LOG_WARN, "clock_jumped", hf_field_i("by_s", by_s),
               hf_field("effect", "nothing is removed for its age until the "
                                  "clock is back or has been steady for an "
                                  "hour"));
        return;
    case HF_CLOCK_BACK:
        HF_LOG(HF_LOG_INFO, "clock_back",
               hf_field("effect", "messages are removed for their age again"));
        return;
    case HF_CLOCK_BELIEVED:
        HF_LOG(HF_LOG_WARN, "clock_believed", hf_field_i("by_s", by_s),
               hf_field("effect", "what is too old by it is removed"));
        return;
    }
}

/* True: the wall clock is as before. Steps whose `upkeep` cannot be written
 * meet the same news again and again. */
static bool look_at_clock(struct step *step)
{
    struct hf_journal *journal = step->journal;
    int64_t wall_ms = hf_wall_ms();
    int64_t by_ms = wall_ms - step->boot_ms - step->upkeep.offset_ms;
    enum hf_clock_news news;
    bool good = hf_upkeep_clock(&step->upkeep, step->boot_ms, wall_ms,
                                &step->now_ms, &news);

    if (news == HF_CLOCK_NO_NEWS ||
        (journal->clock_said == (int)news &&
         step->boot_ms - journal->clock_said_ms < CLOCK_SAID_MS))
        return good;
    journal->clock_said = (int)news;
    journal->clock_said_ms = step->boot_ms;
    log_clock(news, by_ms / 1000);
    return good;
}

/* The clock, the marks and the state of the journal. */
static int look_around(struct step *step)
{
    const struct hf_settings *settings = step->settings;
    struct hf_upkeep *upkeep = &step->upkeep;
    uint64_t head = 0;
    int err;

    hf_upkeep_read(&step->journal->dir, hf_journal_epoch(step->journal),
                   upkeep);
    step->boot_ms = hf_boot_ms();
    step->report->clock_jumped = !look_at_clock(step);
    err = hf_journal_head(step->journal, &head);
    if (!err)
        err = read_newest(step);
    if (!err)
        err = read_watermark(step);
    if (!err)
        err = read_bytes_used(step, &step->report->bytes_used);
    if (err)
        return err;
    step->bytes_over = step->report->bytes_used - settings->retain_bytes;
    hf_marks_note(&upkeep->kept, head, step->boot_ms, settings->keep_min_ms);
    hf_marks_note(&upkeep->retained, head, step->boot_ms, settings->retain_ms);
    step->kept = settings->keep_min_ms <= 0
                     ? head
                     : hf_marks_older(&upkeep->kept, step->boot_ms,
                                      settings->keep_min_ms);
    step->retained =
        hf_marks_older(&upkeep->retained, step->boot_ms, settings->retain_ms);
    step->seen = *upkeep;
    step->looked = true;
    return 0;
}

/* Reads only, in one snapshot. */
static int plan(struct step *step)
{
    int err;

    err = hf_journal_snapshot(step->journal);
    if (err)
        return err;
    err = look_around(step);
    if (!err)
        err = plan_cut(step);
    if (!err && step->cut == 0)
        err = plan_count(step);
    if (!err)
        err = look_for_tidying(step);
    hf_journal_snapshot_end(step->journal);
    return err;
}

static uint64_t removed(const struct hf_retention_report *report)
{
    return report->by_age + report->by_bytes + report->by_count;
}

/*
 * What was planned and not done is forgotten; clock and marks are true whatever
 * became of it. On a full disk they cannot be written either: then the next
 * step begins where this one has, and when nothing was removed, it would find
 * the same once more.
 */
static void write_down(struct step *step, int err)
{
    struct hf_retention_report *report = step->report;

    if (err) {
        if (step->looked) /* else there is nothing new */
            (void)hf_upkeep_write(&step->journal->dir, &step->seen);
        return;
    }
    if (!report->more)
        step->upkeep.idle_at_ms = step->boot_ms;
    if (hf_upkeep_write(&step->journal->dir, &step->upkeep) == 0)
        return;
    if (report->more && !step->tidy && removed(report) == 0) {
        report->more = false;
        report->adrift = true;
    }
}

/* By a clock that has jumped no file is old. */
static bool is_idle(const struct hf_retention_report *report)
{
    return !report->more && !report->clock_jumped && removed(report) == 0;
}

static int take_step(struct hf_journal *journal, unsigned part,
                     struct hf_retention_report *report)
{
    struct step step = {.journal = journal,
                        .db = hf_journal_db(journal),
                        .settings = journal->settings,
                        .report = report,
                        .max_rows = HF_RETENTION_ROWS / part,
                        .max_bytes = HF_RETENTION_BYTES / part};
    int err;

    *report = (struct hf_retention_report){.more = false};
    err = plan(&step);
    if (!err)
        err = carry_out(&step);
    write_down(&step, err);
    if (!err && is_idle(report))
        hf_files_sweep(&journal->dir);
    return err;
}

int hf_retention_step(struct hf_journal *journal,
                      struct hf_retention_report *report)
{
    int lock = hf_dir_open_file(&journal->dir, HF_FILE_WRITERS);
    int err;

    if (lock < 0)
        return HF_EIO;
    err = hf_lock_try(lock, HF_WRITERS_UPKEEP, 1);
    if (!err) {
        err = take_step(journal, 1, report);
        if (err == HF_EFULL) /* what room there was to make has been made */
            err = take_step(journal, SMALL_STEP, report);
    } else if (err == HF_EBUSY) {
        err = HF_EAGAIN;
    }
    hf_close(&lock); /* and so the lock */
    return err;
}

int64_t hf_retention_idle_ms(const struct hf_dir *dir)
{
    struct hf_upkeep upkeep;

    hf_upkeep_read(dir, 0, &upkeep);
    if (!upkeep.idle_at_ms)
        return INT64_MAX;
    return hf_boot_ms() - upkeep.idle_at_ms;
}

#include "schema/retention.h"

#include "schema_fixture.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "base/sys.h"
#include "schema/journal_impl.h"
#include "schema/sessions.h"
#include "schema/upkeep.h"

#define HOUR_MS INT64_C(3600000)
#define DAY_MS  (24 * HOUR_MS)

/* Rows of `topic`, `count` of them, of now minus age_ms. */
static void add(const char *topic, int count, int64_t age_ms)
{
    char sql[400];

    (void)snprintf(sql, sizeof(sql),
                   "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL"
                   " SELECT i + 1 FROM n WHERE i < %d)"
                   "INSERT INTO messages (topic, event, payload, at)"
                   " SELECT '%s', 'e', i, %" PRId64 " FROM n",
                   count, topic, hf_wall_ms() - age_ms);
    foreign_ok(sql);
}

static void add_at(const char *topic, int64_t at)
{
    char sql[200];

    (void)snprintf(sql, sizeof(sql),
                   "INSERT INTO messages (topic, event, payload, at)"
                   " VALUES ('%s', 'e', '1', %" PRId64 ")",
                   topic, at);
    foreign_ok(sql);
}

static struct hf_retention_report step(struct hf_journal *journal)
{
    struct hf_retention_report report;

    assert_int_equal(hf_retention_step(journal, &report), 0);
    return report;
}

/* Steps until there is nothing more to do; how many. */
static int all_steps(struct hf_journal *journal, uint64_t *out_removed)
{
    uint64_t removed = 0;
    int steps = 0;
    bool more = true;

    while (more && steps++ < 100000) {
        struct hf_retention_report r = step(journal);

        removed += r.by_age + r.by_bytes + r.by_count;
        more = r.more;
    }
    if (out_removed)
        *out_removed = removed;
    return steps;
}

static int64_t messages(void)
{
    return foreign_number("SELECT count(*) FROM messages");
}

static int64_t lowest(void)
{
    return foreign_number("SELECT min(id) FROM messages");
}

static void shift_hours(int64_t boot, int64_t wall)
{
    hf_clock_shift(boot * HOUR_MS, wall * HOUR_MS);
}

static int tear_down(void **state)
{
    hf_clock_shift(0, 0);
    return fixture_tear_down(state);
}

/* --- by age ---------------------------------------------------------------- */

static void what_is_too_old_goes_and_the_watermark_rises(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    struct hf_retention_report r;
    uint64_t through = 0;

    (void)state;
    add("a", 3, 2 * DAY_MS);
    add("b", 2, 25 * HOUR_MS);
    add("a", 4, HOUR_MS);
    r = step(w);
    assert_int_equal(r.by_age, 5);
    assert_int_equal(r.by_bytes + r.by_count, 0);
    assert_int_equal(r.through, 5);
    assert_false(r.more);
    assert_false(r.clock_jumped);
    assert_int_equal(lowest(), 6);
    assert_int_equal(foreign_number("SELECT count(*) FROM trimmed"), 1);
    assert_int_equal(
        foreign_number("SELECT through FROM trimmed WHERE topic = ''"), 5);
    assert_int_equal(hf_journal_trimmed(w, HF_STR("never"), &through), 0);
    assert_int_equal(through, 5);
    assert_int_equal(hf_journal_trimmed_highest(w, &through), 0);
    assert_int_equal(through, 5);
    assert_int_equal(publish(w, "c", "1"), 10);
    hf_journal_close(w);
}

static void an_empty_journal_has_nothing_to_do(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    struct hf_retention_report r = step(w);

    (void)state;
    assert_int_equal(r.by_age + r.by_bytes + r.by_count + r.through, 0);
    assert_false(r.more);
    assert_int_equal(foreign_number("SELECT count(*) FROM trimmed"), 0);
    hf_journal_close(w);
}

static void the_newest_message_stays(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);

    (void)state;
    add("a", 3, 2 * DAY_MS);
    assert_int_equal(step(w).by_age, 2);
    assert_int_equal(lowest(), 3);
    assert_int_equal(step(w).by_age, 0);
    hf_journal_close(w);
}

static void a_step_is_bounded_by_rows(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    struct hf_retention_report r;
    uint64_t removed;

    (void)state;
    add("a", 1000, 2 * DAY_MS);
    r = step(w);
    assert_int_equal(r.by_age, HF_RETENTION_ROWS);
    assert_true(r.more);
    assert_in_range(all_steps(w, &removed), 9, 10);
    assert_int_equal(removed, 999 - HF_RETENTION_ROWS);
    assert_int_equal(messages(), 1);
    hf_journal_close(w);
}

static void a_step_is_bounded_by_bytes(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    char sql[200];

    (void)state;
    (void)snprintf(sql, sizeof(sql),
                   "INSERT INTO messages (topic, event, payload, at)"
                   " VALUES ('a', 'e', printf('%%.*c', 60000, '1'), %" PRId64
                   ")",
                   hf_wall_ms() - 2 * DAY_MS);
    foreign_ok(sql);
    foreign_ok(sql);
    foreign_ok(sql);
    foreign_ok(sql);
    foreign_ok(sql);
    assert_int_equal(step(w).by_age, 2); /* the second passes 64 KiB */
    assert_int_equal(step(w).by_age, 2);
    assert_int_equal(step(w).by_age, 0);
    hf_journal_close(w);
}

static void a_wrong_time_blocks_nobody(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);

    (void)state;
    add_at("a", hf_wall_ms() + 365 * DAY_MS);
    add_at("a", INT64_MAX);
    add_at("a", -5);
    add_at("a", INT64_MIN);
    add_at("a", hf_wall_ms() / 1000);
    add("a", 2, 2 * DAY_MS);
    add("a", 2, HOUR_MS);
    assert_int_equal(step(w).by_age, 7);
    hf_journal_close(w);
}

static void a_wrong_time_takes_nobody_along(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);

    (void)state;
    add("a", 10, HOUR_MS);
    add("a", 100, 300 * DAY_MS);
    add_at("a", 0);
    add_at("a", hf_wall_ms() / 1000);
    add("a", 10, HOUR_MS);
    assert_int_equal(step(w).by_age, 0);
    assert_int_equal(messages(), 122);

    /* nor goes itself without anybody to vouch for it */
    foreign_ok("DELETE FROM messages WHERE id <= 110");
    assert_int_equal(step(w).by_age, 0);
    assert_int_equal(messages(), 12);
    hf_journal_close(w);
}

static void what_no_time_vouches_for_goes_by_our_own_watch(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    int64_t hour;
    uint64_t removed = 0;
    int i;

    (void)state;
    for (i = 0; i < 600; i++)
        add_at("a", hf_wall_ms() / 1000 + i);
    assert_int_equal(step(w).by_age, 0);
    for (hour = 1; hour <= 47; hour++) {
        shift_hours(hour, hour);
        (void)all_steps(w, &removed);
        assert_true(removed == 0 || hour >= 24);
        if (removed > 0)
            break;
    }
    assert_int_equal(removed, 599);
    hf_journal_close(w);
}

/* --- by size --------------------------------------------------------------- */

static int64_t bytes_used(void)
{
    return 4096 * (foreign_number("PRAGMA page_count") -
                   foreign_number("PRAGMA freelist_count"));
}

static void too_many_bytes_go_from_the_oldest_on(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    struct hf_retention_report r;
    uint64_t removed;

    (void)state;
    f.settings.retain_bytes = 1 << 20;
    add("a", 30000, HOUR_MS);
    add("b", 30000, HOUR_MS);
    assert_true(bytes_used() > 2 << 20);
    r = step(w);
    assert_int_equal(r.by_bytes, HF_RETENTION_ROWS);
    assert_true(r.bytes_used > 2 << 20);
    assert_int_equal(r.by_age, 0);
    assert_true(r.more);
    (void)all_steps(w, &removed);
    assert_true(bytes_used() <= 1 << 20);
    assert_true(bytes_used() > (1 << 20) - (1 << 18)); /* and no more */
    assert_int_equal(foreign_number("SELECT count(*) FROM trimmed"), 1);
    assert_int_equal(foreign_number("SELECT through FROM trimmed") + 1,
                     lowest());
    r = step(w);
    assert_int_equal(r.by_bytes, 0);
    assert_false(r.kept_by_min);
    hf_journal_close(w);
}

static void no_more_bytes_go_than_are_too_many(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    char sql[200];
    int i;

    (void)state;
    (void)snprintf(sql, sizeof(sql),
                   "INSERT INTO messages (topic, event, payload, at)"
                   " VALUES ('a', 'e', printf('%%.*c', 1000, '1'), %" PRId64
                   ")",
                   hf_wall_ms() - HOUR_MS);
    for (i = 0; i < 200; i++)
        foreign_ok(sql);
    f.settings.retain_bytes = bytes_used() - 2 * 4096;
    assert_in_range(step(w).by_bytes, 6, 9);
    hf_journal_close(w);
}

static void bytes_take_nothing_younger_than_keep_min(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    struct hf_retention_report r;

    (void)state;
    f.settings.retain_bytes = 1 << 20;
    add("a", 50, 11 * 60000);
    add("a", 30000, 9 * 60000);
    r = step(w);
    assert_int_equal(r.by_bytes, 50);
    r = step(w);
    assert_int_equal(r.by_bytes, 0);
    assert_true(r.kept_by_min);
    assert_false(r.more);
    hf_clock_shift(2 * 60000, 2 * 60000);
    assert_int_equal(step(w).by_bytes, HF_RETENTION_ROWS);
    hf_journal_close(w);
}

static void bytes_are_found_where_no_time_vouches(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    uint64_t removed = 0;
    int minute;

    (void)state;
    f.settings.retain_bytes = 1 << 20;
    add("a", 30000, 50 * 365 * DAY_MS);
    assert_true(step(w).kept_by_min);
    for (minute = 1; minute <= 21 && removed == 0; minute++) {
        hf_clock_shift(minute * 60000, minute * 60000);
        (void)all_steps(w, &removed);
        assert_true(removed == 0 || minute >= 10);
    }
    assert_true(removed > 0);
    assert_true(bytes_used() <= 1 << 20);
    hf_journal_close(w);
}

/* --- by count -------------------------------------------------------------- */

static int64_t of_topic(const char *topic)
{
    char sql[100];

    (void)snprintf(sql, sizeof(sql),
                   "SELECT count(*) FROM messages WHERE topic = '%s'", topic);
    return foreign_number(sql);
}

static void each_topic_keeps_its_newest(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    uint64_t removed, through = 0;

    (void)state;
    f.settings.retain_count = 3;
    f.settings.keep_min_ms = 0;
    add("a", 5, 0);
    add("b", 2, 0);
    add("c", 700, 0);
    add("a", 1, 0);
    (void)all_steps(w, &removed);
    assert_int_equal(removed, 3 + 697);
    assert_int_equal(of_topic("a"), 3);
    assert_int_equal(of_topic("b"), 2);
    assert_int_equal(of_topic("c"), 3);
    assert_int_equal(foreign_number("SELECT min(id) FROM messages"
                                    " WHERE topic = 'a'"),
                     4);
    assert_int_equal(hf_journal_trimmed(w, HF_STR("a"), &through), 0);
    assert_int_equal(through, 3);
    assert_int_equal(hf_journal_trimmed(w, HF_STR("b"), &through), 0);
    assert_int_equal(through, 0);
    /* and from then on those that got more */
    add("b", 3, 0);
    add("d", 9, 0);
    (void)all_steps(w, &removed);
    assert_int_equal(removed, 2 + 6);
    (void)all_steps(w, &removed);
    assert_int_equal(removed, 0);
    /* more than a step of one topic too */
    add("d", 3 * HF_RETENTION_ROWS, 0);
    add("e", 4, 0);
    (void)all_steps(w, &removed);
    assert_int_equal(removed, 3 * HF_RETENTION_ROWS + 1);
    hf_journal_close(w);
}

/* A poll token lives for a day; who ended it must be known for as long. */
static void a_disconnect_outlives_its_row_by_each_rule(void **state)
{
    static const char row[] =
        "INSERT INTO messages (topic, event, payload, at)"
        " VALUES ('user_socket:alice', 'disconnect', '{}', 1000000000001)";
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    uint64_t removed;
    bool known;
    int rule;

    (void)state;
    f.settings.keep_min_ms = 0;
    for (rule = 0; rule < 3; rule++) {
        uint64_t before = (uint64_t)foreign_number(
            "SELECT seq FROM sqlite_sequence WHERE name = 'messages'");

        foreign_ok(row);
        foreign_ok(row);
        f.settings.retain_count = rule == 2 ? 1 : 0;
        f.settings.retain_bytes = rule == 1 ? 1 : INT64_MAX;
        add("a", 2, rule == 0 ? 2 * DAY_MS : 0);
        (void)all_steps(w, &removed);
        assert_true(of_topic("user_socket:alice") < 2);
        assert_int_equal(hf_session_disconnected(w, HF_STR("user_socket:alice"),
                                                 before + 1, &known),
                         0);
        assert_true(known);
        assert_int_equal(hf_session_disconnected(w, HF_STR("user_socket:alice"),
                                                 before + 2, &known),
                         0);
        assert_false(known);
        foreign_ok("DELETE FROM messages");
    }
    hf_journal_close(w);
}

static void count_takes_nothing_younger_than_keep_min(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    uint64_t removed, sum = 0;
    int minute;

    (void)state;
    f.settings.retain_count = 3;
    add("a", 5, 11 * 60000);
    add("a", 5, 9 * 60000);
    (void)all_steps(w, &removed);
    assert_int_equal(removed, 5);
    /* a topic that nobody writes to any more is not forgotten */
    for (minute = 1; minute <= 22; minute++) {
        hf_clock_shift(minute * 60000, minute * 60000);
        (void)all_steps(w, &removed);
        sum += removed;
    }
    assert_int_equal(sum, 2);
    assert_int_equal(of_topic("a"), 3);
    /* nor one whose surplus came after all of them had been visited */
    add("b", 9, -22 * 60000);
    for (minute = 23; minute <= 45; minute++) {
        hf_clock_shift(minute * 60000, minute * 60000);
        (void)all_steps(w, NULL);
    }
    assert_int_equal(of_topic("b"), 3);
    hf_journal_close(w);
}

static void many_topics_are_visited_in_bounded_steps(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    uint64_t removed;

    (void)state;
    f.settings.retain_count = 1;
    f.settings.keep_min_ms = 0;
    foreign_ok("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL"
               " SELECT i + 1 FROM n WHERE i < 3000)"
               "INSERT INTO messages (topic, event, payload)"
               " SELECT 't' || (i % 1000), 'e', i FROM n");
    assert_true(all_steps(w, &removed) >= 8);
    assert_int_equal(removed, 2000);
    assert_int_equal(messages(), 1000);
    hf_journal_close(w);
}

static void a_smaller_count_is_applied_to_all(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);

    (void)state;
    f.settings.retain_count = 5;
    f.settings.keep_min_ms = 0;
    add("a", 9, 0);
    add("b", 9, 0);
    (void)all_steps(w, NULL);
    assert_int_equal(messages(), 10);
    f.settings.retain_count = 2;
    (void)all_steps(w, NULL);
    assert_int_equal(messages(), 4);
    f.settings.retain_count = 0;
    add("a", 9, 0);
    (void)all_steps(w, NULL);
    assert_int_equal(messages(), 13);
    hf_journal_close(w);
}

/* --- trimmed --------------------------------------------------------------- */

static void rows_below_the_watermark_are_tidied_away_in_steps(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);

    (void)state;
    foreign_ok("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL"
               " SELECT i + 1 FROM n WHERE i < 600)"
               "INSERT INTO messages (topic, event, payload, at)"
               " SELECT 't' || i, 'e', i, 1 FROM n");
    add("late", 5, 2 * DAY_MS);
    add("late", 5, 0);
    foreign_ok("DELETE FROM messages WHERE id <= 600");
    foreign_ok("DELETE FROM messages WHERE id = 607"); /* above the cut */
    assert_int_equal(foreign_number("SELECT count(*) FROM trimmed"), 601);
    assert_true(step(w).more);
    assert_int_equal(foreign_number("SELECT count(*) FROM trimmed"), 352);
    assert_true(step(w).more);
    assert_false(step(w).more);
    assert_int_equal(foreign_number("SELECT count(*) FROM trimmed"), 2);
    /* and below it a script's DELETE leaves none either */
    foreign_ok("UPDATE trimmed SET through = 608 WHERE topic = ''");
    foreign_ok("DELETE FROM messages WHERE id = 606");
    assert_int_equal(foreign_number("SELECT through FROM trimmed"
                                    " WHERE topic = 'late'"),
                     607);
    hf_journal_close(w);
}

/* --- the clock ------------------------------------------------------------- */

static void a_jumped_clock_removes_nothing(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    struct hf_retention_report r;

    (void)state;
    add("a", 5, HOUR_MS);
    add("a", 5, 0);
    assert_int_equal(step(w).by_age, 0);
    shift_hours(0, 48);
    r = step(w);
    assert_true(r.clock_jumped);
    assert_int_equal(r.by_age, 0);
    /* not even what was old by the old clock: a skip is a skip */
    f.settings.retain_ms = HOUR_MS / 2;
    assert_int_equal(step(w).by_age, 0);
    f.settings.retain_ms = DAY_MS;
    hf_clock_shift(HOUR_MS - 60000, 49 * HOUR_MS - 60000);
    assert_true(step(w).clock_jumped);
    shift_hours(0, 0); /* back */
    assert_false(step(w).clock_jumped);
    assert_int_equal(messages(), 10);
    hf_clock_shift(0, 59000); /* NTP may correct a little */
    assert_false(step(w).clock_jumped);
    hf_clock_shift(0, 118000);
    assert_false(step(w).clock_jumped);
    hf_clock_shift(0, -118000);
    assert_true(step(w).clock_jumped);
    hf_journal_close(w);
}

static void a_clock_set_right_is_believed_after_an_hour(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);

    (void)state;
    add("a", 5, HOUR_MS);
    assert_false(step(w).clock_jumped);
    shift_hours(0, 48);
    assert_true(step(w).clock_jumped);
    hf_clock_shift(HOUR_MS / 2, 80 * HOUR_MS); /* not steady: from here on */
    assert_true(step(w).clock_jumped);
    hf_clock_shift(HOUR_MS * 3 / 2 - 5000, 81 * HOUR_MS - 5000);
    assert_true(step(w).clock_jumped);
    hf_clock_shift(HOUR_MS * 3 / 2 + 5000, 81 * HOUR_MS + 5000);
    assert_int_equal(step(w).by_age, 4);
    hf_journal_close(w);
}

static void size_judges_by_the_old_clock_while_it_has_jumped(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    struct hf_retention_report r;

    (void)state;
    f.settings.retain_bytes = 1 << 20;
    add("a", 100, 11 * 60000);
    add("a", 30000, 60000);
    f.settings.retain_bytes = 1 << 30;
    assert_false(step(w).clock_jumped);
    f.settings.retain_bytes = 1 << 20;
    shift_hours(0, 48);
    r = step(w);
    assert_true(r.clock_jumped);
    assert_int_equal(r.by_bytes, 100);
    assert_int_equal(step(w).by_bytes, 0);
    hf_journal_close(w);
}

/* --- what steps know of each other ------------------------------------------ */

static void one_process_at_a_time(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    struct hf_retention_report r;
    int fd = hf_dir_open_file(&f.dir, HF_FILE_WRITERS);

    (void)state;
    assert_int_equal(hf_lock_try(fd, HF_WRITERS_UPKEEP, 1), 0);
    assert_int_equal(hf_retention_step(w, &r), HF_EAGAIN);
    hf_close(&fd);
    assert_int_equal(hf_retention_step(w, &r), 0);
    hf_journal_close(w);
}

static void when_there_was_nothing_to_do_is_known_to_all(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);

    (void)state;
    assert_true(hf_retention_idle_ms(&f.dir) == INT64_MAX);
    add("a", 400, 2 * DAY_MS);
    assert_true(step(w).more);
    assert_true(hf_retention_idle_ms(&f.dir) == INT64_MAX);
    (void)all_steps(w, NULL);
    assert_in_range(hf_retention_idle_ms(&f.dir), 0, 5000);
    hf_clock_shift(70000, 70000);
    assert_in_range(hf_retention_idle_ms(&f.dir), 70000, 75000);
    hf_journal_close(w);
}

/* A directory of that name, and nothing can be renamed over it. */
static void block_upkeep(void)
{
    (void)unlink(path_of(HF_FILE_UPKEEP)); /* it may not be there yet */
    assert_int_equal(mkdir(path_of(HF_FILE_UPKEEP), 0700), 0);
}

static void what_cannot_be_written_down_is_not_tried_for_ever(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    struct hf_retention_report r;
    uint64_t removed;

    (void)state;
    f.settings.retain_count = 1;
    f.settings.keep_min_ms = 0;
    foreign_ok("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL"
               " SELECT i + 1 FROM n WHERE i < 2000)"
               "INSERT INTO messages (topic, event, payload)"
               " SELECT printf('t%04d', i), 'e', i FROM n");
    add("t0000", 5, 0);
    block_upkeep();
    assert_in_range(all_steps(w, &removed), 1, 10);
    assert_int_equal(removed, 4); /* as far as one step sees */
    r = step(w);
    assert_false(r.more);
    assert_true(r.adrift);
    assert_int_equal(rmdir(path_of(HF_FILE_UPKEEP)), 0);
    r = step(w);
    assert_true(r.more);
    assert_false(r.adrift);
    hf_journal_close(w);
}

static void a_step_that_fails_remembers_the_clock(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    struct hf_retention_report r;
    struct hf_upkeep before, after;

    (void)state;
    f.settings.busy_ms = 50;
    f.settings.keep_min_ms = 0;
    (void)step(w);
    hf_upkeep_read(&f.dir, hf_journal_epoch(w), &before);
    assert_int_equal(before.other_at, 0);
    f.settings.retain_count = 1;
    add("a", 3, 0);
    shift_hours(0, 48);
    foreign_ok("BEGIN IMMEDIATE");
    assert_int_equal(hf_retention_step(w, &r), HF_EBUSY);
    hf_upkeep_read(&f.dir, hf_journal_epoch(w), &after);
    assert_int_not_equal(after.other_at, 0);
    assert_int_equal(after.count, before.count); /* nothing was counted */
    foreign_ok("COMMIT");
    hf_clock_shift(HOUR_MS + 5000, 49 * HOUR_MS + 5000);
    r = step(w); /* steady since the step that failed, and so believed */
    assert_false(r.clock_jumped);
    assert_int_equal(r.by_age, 2);
    hf_journal_close(w);
}

/* Standard error goes to a pipe; lines with these words until then. */
static int log_pipe[2], former_stderr;

static void log_catch(void)
{
    assert_int_equal(pipe(log_pipe), 0);
    former_stderr = dup(STDERR_FILENO);
    assert_true(dup2(log_pipe[1], STDERR_FILENO) >= 0);
    hf_log_open("test", HF_LOG_WARN, false);
}

static int log_release(const char *words)
{
    char text[16384];
    const char *at = text;
    ssize_t len;
    int count = 0;

    assert_true(dup2(former_stderr, STDERR_FILENO) >= 0);
    hf_close(&former_stderr);
    hf_close(&log_pipe[1]);
    len = read(log_pipe[0], text, sizeof(text) - 1);
    hf_close(&log_pipe[0]);
    text[len < 0 ? 0 : len] = '\0';
    for (; (at = strstr(at, words)) != NULL; at += strlen(words))
        count++;
    return count;
}

/* For files: no byte more. What is there can be read. */
static void let_files_grow(bool allowed)
{
    struct rlimit limit;

    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = allowed ? limit.rlim_max : 0;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void
a_jump_that_cannot_be_written_down_is_said_once_an_hour(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    struct hf_retention_report r;
    int i, jumped = 0;

    (void)state;
    add("a", 5, HOUR_MS);
    (void)step(w);
    log_catch();
    let_files_grow(false);
    for (i = 0; i < 5; i++) {
        hf_clock_shift(i * 1000, 48 * HOUR_MS + i * 1000);
        jumped += hf_retention_step(w, &r) == 0 && r.clock_jumped;
    }
    hf_clock_shift(2 * HOUR_MS, 50 * HOUR_MS);
    jumped += hf_retention_step(w, &r) == 0 && r.clock_jumped;
    let_files_grow(true);
    assert_int_equal(log_release("event=clock_jumped"), 2);
    assert_int_equal(jumped, 6);
    hf_journal_close(w);
}

static void make_old(const char *name, int64_t age_s)
{
    struct timespec times[2] = {{.tv_nsec = UTIME_NOW},
                                {.tv_sec = time(NULL) - age_s}};

    assert_int_equal(hf_file_replace(f.dir.fd, name, 0600, HF_STR("x"), false),
                     0);
    assert_int_equal(utimensat(f.dir.fd, name, times, 0), 0);
}

static void what_killed_processes_left_is_swept_away(void **state)
{
    static const char *const stay[] = {
        "head.0123456789abcdef.tmpx", "head.0123456789abcde.tmp",
        "secret.0123456789abcdef.tmp", "heads.0123456789abcdef.tmp",
        "head.0123456789ABCDEF.tmp"};
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    size_t i;

    (void)state;
    make_old("head.0123456789abcdef.tmp", 3700);
    make_old("upkeep.0123456789abcdef.tmp", 3700);
    make_old("upkeep.00000000000000ff.tmp", 3000);
    for (i = 0; i < sizeof(stay) / sizeof(stay[0]); i++)
        make_old(stay[i], 3700);
    (void)step(w);
    assert_int_equal(access(path_of("head.0123456789abcdef.tmp"), F_OK), -1);
    assert_int_equal(access(path_of("upkeep.0123456789abcdef.tmp"), F_OK), -1);
    assert_int_equal(access(path_of("upkeep.00000000000000ff.tmp"), F_OK), 0);
    for (i = 0; i < sizeof(stay) / sizeof(stay[0]); i++)
        assert_int_equal(access(path_of(stay[i]), F_OK), 0);
    hf_journal_close(w);
}

static void same_upkeep(const struct hf_upkeep *a, const struct hf_upkeep *b)
{
    assert_int_equal(a->idle_at_ms, b->idle_at_ms);
    assert_true(a->epoch == b->epoch);
    assert_int_equal(a->has_offset, b->has_offset);
    assert_int_equal(a->offset_ms, b->offset_ms);
    assert_int_equal(a->other_ms, b->other_ms);
    assert_int_equal(a->other_at, b->other_at);
    assert_memory_equal(&a->kept, &b->kept, sizeof(a->kept));
    assert_memory_equal(&a->retained, &b->retained, sizeof(a->retained));
    assert_int_equal(a->count, b->count);
    assert_true(a->counted == b->counted);
    assert_int_equal(a->sweeping, b->sweeping);
    assert_int_equal(a->topic_len, b->topic_len);
    assert_memory_equal(a->topic, b->topic, a->topic_len);
}

static void the_file_gives_back_what_was_put_in(void **state)
{
    struct hf_upkeep in = {.idle_at_ms = INT64_MAX,
                           .epoch = UINT64_MAX,
                           .has_offset = true,
                           .offset_ms = INT64_MIN,
                           .other_ms = -1,
                           .other_at = 7,
                           .kept = {{UINT64_MAX, 1}, {2, INT64_MAX}},
                           .retained = {{3, 4}, {5, 6}},
                           .count = INT64_MAX,
                           .counted = UINT64_MAX,
                           .sweeping = true,
                           .topic_len = HF_UPKEEP_TOPIC};
    struct hf_upkeep out;
    char text[1024], cut[1024];
    size_t len, n;

    (void)state;
    memset(in.topic, 'x', sizeof(in.topic));
    in.topic[0] = ' ';
    in.topic[7] = '\n';
    assert_int_equal(hf_upkeep_write(&f.dir, &in), 0);
    hf_upkeep_read(&f.dir, UINT64_MAX, &out);
    same_upkeep(&in, &out);

    /* another epoch: the clock is still the clock, ids mean nothing */
    hf_upkeep_read(&f.dir, 5, &out);
    assert_true(out.epoch == 5);
    assert_int_equal(out.offset_ms, INT64_MIN);
    assert_int_equal(out.kept.next.boot_ms, 0);
    assert_int_equal(out.counted, 0);
    assert_false(out.sweeping);

    /* cut short anywhere: afresh */
    assert_int_equal(
        hf_file_read(f.dir.fd, HF_FILE_UPKEEP, text, sizeof(text), &len), 0);
    for (n = 0; n < len; n++) {
        memcpy(cut, text, n);
        assert_int_equal(hf_file_replace(f.dir.fd, HF_FILE_UPKEEP, 0600,
                                         hf_str(cut, n), false),
                         0);
        hf_upkeep_read(&f.dir, UINT64_MAX, &out);
        if (out.has_offset) /* ended at the newline in the topic */
            assert_int_equal(out.topic_len, 7);
    }
}

int main(void)
{
#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, fixture_set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_is_too_old_goes_and_the_watermark_rises),
        TEST(an_empty_journal_has_nothing_to_do),
        TEST(the_newest_message_stays),
        TEST(a_step_is_bounded_by_rows),
        TEST(a_step_is_bounded_by_bytes),
        TEST(a_wrong_time_blocks_nobody),
        TEST(a_wrong_time_takes_nobody_along),
        TEST(what_no_time_vouches_for_goes_by_our_own_watch),
        TEST(too_many_bytes_go_from_the_oldest_on),
        TEST(no_more_bytes_go_than_are_too_many),
        TEST(bytes_take_nothing_younger_than_keep_min),
        TEST(bytes_are_found_where_no_time_vouches),
        TEST(each_topic_keeps_its_newest),
        TEST(a_disconnect_outlives_its_row_by_each_rule),
        TEST(count_takes_nothing_younger_than_keep_min),
        TEST(many_topics_are_visited_in_bounded_steps),
        TEST(a_smaller_count_is_applied_to_all),
        TEST(rows_below_the_watermark_are_tidied_away_in_steps),
        TEST(a_jumped_clock_removes_nothing),
        TEST(a_clock_set_right_is_believed_after_an_hour),
        TEST(size_judges_by_the_old_clock_while_it_has_jumped),
        TEST(one_process_at_a_time),
        TEST(when_there_was_nothing_to_do_is_known_to_all),
        TEST(what_cannot_be_written_down_is_not_tried_for_ever),
        TEST(a_step_that_fails_remembers_the_clock),
        TEST(a_jump_that_cannot_be_written_down_is_said_once_an_hour),
        TEST(what_killed_processes_left_is_swept_away),
        TEST(the_file_gives_back_what_was_put_in),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

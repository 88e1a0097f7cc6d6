#include "schema/live.h"

#include "schema_fixture.h"

#include <sys/stat.h>

#include "base/sys.h"

static struct hf_live *live;
static char seen[1024];

static struct hf_live *open_live(void)
{
    struct hf_live *out = NULL;
    struct hf_why why = {""};

    ok_or_why(hf_live_open(&f.dir, &out, &why), &why);
    return out;
}

static uint64_t park(const char *session)
{
    uint64_t poll_no = 0;

    assert_int_equal(
        hf_live_park(live, hf_str_of(session), HF_LIVE_OURS, 0, &poll_no), 0);
    return poll_no;
}

static uint64_t poll_no_of(struct hf_live *of, const char *session)
{
    uint64_t poll_no = 99;
    uint32_t reply_n = 99;

    assert_int_equal(hf_live_newest(of, hf_str_of(session), &poll_no, &reply_n),
                     0);
    return poll_no;
}

static int64_t last_seen(const char *session)
{
    int64_t seen_ms = -1;
    int err = hf_live_last_seen(live, hf_str_of(session), &seen_ms);

    assert_true(err == 0 || err == HF_ENOTFOUND);
    return seen_ms;
}

static void a_newer_poll_has_a_higher_number(void **state)
{
    struct hf_live *other = open_live();

    (void)state;
    assert_int_equal(poll_no_of(live, "s"), 0);
    assert_int_equal(park("s"), 1);
    assert_int_equal(park("s"), 2);
    assert_int_equal(park("t"), 1);
    assert_int_equal(poll_no_of(other, "s"), 2);
    hf_live_close(other);
}

static void what_a_session_may_do_is_known_to_others_and_forgotten(void **state)
{
    size_t expired;
    const struct hf_session_rates kept = {7, 1767225600000000};
    struct hf_session_rates rates = {1, 1};
    struct hf_live *other = open_live();

    (void)state;
    assert_int_equal(hf_live_rates(live, HF_STR("s"), &rates), 0);
    assert_true(rates.push_due_us == 0 && rates.join_due_us == 0);
    assert_int_equal(park("s"), 1);
    assert_int_equal(hf_live_set_rates(live, HF_STR("s"), &kept), 0);
    assert_int_equal(hf_live_set_rates(live, HF_STR("t"), &kept), 0);
    assert_int_equal(park("s"), 2);
    assert_int_equal(hf_live_rates(other, HF_STR("s"), &rates), 0);
    assert_memory_equal(&rates, &kept, sizeof(kept));
    assert_int_equal(hf_live_rates(other, HF_STR("t"), &rates), 0);
    assert_memory_equal(&rates, &kept, sizeof(kept));
    assert_int_equal(hf_live_expire(live, -1, 10, &expired), 0);
    assert_int_equal(hf_live_rates(other, HF_STR("t"), &rates), 0);
    assert_true(rates.join_due_us == 0);
    hf_live_close(other);
}

static void a_lease_is_renewed_when_a_third_is_used(void **state)
{
    int64_t first;

    (void)state;
    assert_int_equal(last_seen("s"), -1);
    assert_int_equal(hf_live_seen(live, HF_STR("s"), 3000), 0);
    first = last_seen("s");
    assert_true(llabs(first - hf_boot_ms()) < 1000);
    hf_clock_shift(900, 0);
    assert_int_equal(hf_live_seen(live, HF_STR("s"), 3000), 0);
    assert_int_equal(last_seen("s"), first);
    hf_clock_shift(1100, 0);
    assert_int_equal(hf_live_seen(live, HF_STR("s"), 3000), 0);
    assert_true(last_seen("s") >= first + 1000);
    assert_int_equal(poll_no_of(live, "s"), 0); /* no poll was parked */
    hf_clock_shift(0, 0);
}

static int note(void *ctx, uint32_t n, struct hf_str text)
{
    size_t len = strlen(seen);

    (void)ctx;
    (void)snprintf(seen + len, sizeof(seen) - len, "%u %.*s;", n,
                   HF_STR_ARG(text));
    return 0;
}

static const char *replies(const char *session, uint32_t after)
{
    seen[0] = '\0';
    assert_int_equal(
        hf_live_replies_each(live, hf_str_of(session), after, note, NULL), 0);
    return seen;
}

static void sessions_not_seen_are_counted_out_and_expire(void **state)
{
    uint64_t count = 0;
    size_t expired;

    (void)state;
    park("a");
    park("b");
    hf_clock_shift(10000, 0);
    park("c");
    assert_int_equal(hf_live_reply_add(live, HF_STR("a"), 0, HF_STR("x")), 0);
    assert_int_equal(hf_live_count(live, 5000, &count), 0);
    assert_int_equal(count, 2); /* a reply is a sign of life, too */
    assert_int_equal(hf_live_count(live, 60000, &count), 0);
    assert_int_equal(count, 3);
    hf_clock_shift(20000, 0);
    assert_int_equal(hf_live_expire(live, 15000, 10, &expired), 0);
    assert_int_equal(last_seen("b"), -1);
    assert_true(last_seen("a") > 0);
    hf_clock_shift(60000, 0);
    assert_int_equal(hf_live_expire(live, 1000, 1, &expired),
                     0); /* one at a time */
    assert_int_equal(expired, 1);
    assert_int_equal(hf_live_count(live, 600000, &count), 0);
    assert_int_equal(count, 1);
    assert_int_equal(hf_live_expire(live, 1000, 10, &expired), 0);
    assert_int_equal(hf_live_count(live, 600000, &count), 0);
    assert_int_equal(count, 0);
    assert_string_equal(replies("a", 0), "");
    hf_clock_shift(0, 0);
}

static void replies_wait_until_they_were_shown(void **state)
{
    (void)state;
    assert_int_equal(hf_live_reply_add(live, HF_STR("s"), 0, HF_STR("one")), 0);
    assert_int_equal(hf_live_reply_add(live, HF_STR("t"), 0, HF_STR("else")),
                     0);
    assert_int_equal(hf_live_reply_add(live, HF_STR("s"), 0, HF_STR("two")), 0);
    assert_string_equal(replies("s", 0), "1 one;2 two;");
    assert_string_equal(replies("s", 1), "2 two;");
    assert_int_equal(hf_live_replies_drop(live, HF_STR("s"), 2), 0);
    assert_string_equal(replies("s", 0), "");
    /* Numbers go on, or the client would think that it has seen this. */
    assert_int_equal(hf_live_reply_add(live, HF_STR("s"), 0, HF_STR("three")),
                     0);
    assert_string_equal(replies("s", 2), "3 three;");
    assert_string_equal(replies("t", 0), "1 else;");
    /* Nor are those given again that a lost file had given. */
    assert_int_equal(hf_live_reply_add(live, HF_STR("u"), 7, HF_STR("x")), 0);
    assert_int_equal(hf_live_reply_add(live, HF_STR("s"), 8, HF_STR("y")), 0);
    assert_int_equal(hf_live_reply_add(live, HF_STR("s"), 2, HF_STR("z")), 0);
    assert_string_equal(replies("u", 7), "8 x;");
    assert_string_equal(replies("s", 3), "9 y;10 z;");
}

static void replies_are_bounded(void **state)
{
    unsigned i;

    (void)state;
    for (i = 0; i < HF_LIVE_REPLIES; i++)
        assert_int_equal(hf_live_reply_add(live, HF_STR("s"), 0, HF_STR("x")),
                         0);
    assert_int_equal(hf_live_reply_add(live, HF_STR("s"), 0, HF_STR("x")),
                     HF_ELIMIT);
    assert_int_equal(hf_live_reply_add(live, HF_STR("t"), 0, HF_STR("x")), 0);
    assert_int_equal(hf_live_replies_drop(live, HF_STR("s"), 1), 0);
    assert_int_equal(hf_live_reply_add(live, HF_STR("s"), 0, HF_STR("x")), 0);
}

static void a_change_by_others_is_told_once(void **state)
{
    struct hf_live *other = open_live();
    bool changed = false;

    (void)state;
    assert_int_equal(hf_live_changed(other, &changed), 0);
    assert_true(changed);
    assert_int_equal(hf_live_changed(other, &changed), 0);
    assert_false(changed);
    park("s");
    assert_int_equal(hf_live_changed(other, &changed), 0);
    assert_true(changed);
    assert_int_equal(hf_live_changed(other, &changed), 0);
    assert_false(changed);
    hf_live_close(other);
}

/* Plain SQLite on the file. */
static void run_on(const char *name, const char *sql)
{
    sqlite3 *db = NULL;

    assert_int_equal(sqlite3_open(path_of(name), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void what_another_boot_left_is_forgotten(void **state)
{
    (void)state;
    park("s");
    assert_int_equal(hf_live_reply_add(live, HF_STR("s"), 0, HF_STR("x")), 0);
    hf_live_close(live);
    live = open_live();
    assert_int_equal(poll_no_of(live, "s"), 1); /* the same boot: kept */
    hf_live_close(live);
    run_on(HF_FILE_LIVE, "UPDATE boot SET id = 'another'");
    live = open_live();
    assert_int_equal(poll_no_of(live, "s"), 0);
    assert_string_equal(replies("s", 0), "");
    assert_int_equal(access(path_of("live-1.db"), F_OK), -1); /* in place */
}

static void overwrite(const char *name)
{
    FILE *file = fopen(path_of(name), "w");
    int i;

    assert_non_null(file);
    for (i = 0; i < 1000; i++)
        assert_true(fputs("not a database ", file) >= 0);
    assert_int_equal(fclose(file), 0);
    (void)snprintf(seen, sizeof(seen), "%s-wal", name);
    (void)unlink(path_of(seen));
}

static void a_damaged_file_is_left_and_the_next_name_taken(void **state)
{
    struct hf_live *other;
    struct stat st;

    (void)state;
    park("s");
    hf_live_close(live);
    overwrite(HF_FILE_LIVE);
    live = open_live();
    assert_int_equal(park("s"), 1);
    assert_int_equal(stat(path_of("live-1.db"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    other = open_live(); /* everybody finds the same */
    assert_int_equal(poll_no_of(other, "s"), 1);
    hf_live_close(other);
    hf_live_close(live);
    overwrite("live-1.db");
    live = open_live();
    assert_int_equal(park("s"), 1);
    assert_int_equal(access(path_of("live-2.db"), F_OK), 0);
}

/* What opening it says in the log. */
static const char *said_at_open(void)
{
    int ends[2], stderr_before = dup(STDERR_FILENO);
    ssize_t len;

    assert_true(stderr_before >= 0);
    assert_int_equal(pipe(ends), 0); /* holds a few lines */
    assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
    hf_log_open("test", HF_LOG_WARN, false);
    live = open_live();
    hf_log_open("test", HF_LOG_ERROR + 1, false);
    assert_true(dup2(stderr_before, STDERR_FILENO) >= 0);
    hf_close(&stderr_before);
    hf_close(&ends[1]);
    len = read(ends[0], seen, sizeof(seen) - 1);
    assert_true(len >= 0);
    seen[len] = '\0';
    hf_close(&ends[0]);
    return seen;
}

static void assert_put_aside(const char *sql, const char *why)
{
    hf_live_close(live);
    assert_int_equal(access(path_of("live-1.db"), F_OK), -1);
    run_on(HF_FILE_LIVE, sql);
    assert_non_null(strstr(said_at_open(), why));
    assert_int_equal(access(path_of("live-1.db"), F_OK), 0);
    assert_int_equal(park("s"), 1);
}

static void a_file_of_another_version_is_left_and_the_log_says_so(void **state)
{
    (void)state;
    park("s");
    assert_put_aside("PRAGMA user_version = 4", "/live.db: of version 4, not ");
}

static void
a_file_that_cannot_be_filled_is_left_and_the_log_says_so(void **state)
{
    (void)state;
    park("s");
    assert_put_aside("PRAGMA user_version = 0; PRAGMA application_id = 0",
                     "/live.db: table boot already exists");
}

#define CROWD  8
#define ROUNDS 20

/* When `gate` ends. 0: it has found the only file, and can write there. */
static int open_in_crowd(int gate)
{
    struct hf_live *mine;
    uint64_t poll_no;
    char nothing;
    int err;

    (void)!read(gate, &nothing, 1);
    if (hf_live_open(&f.dir, &mine, NULL))
        return 1;
    err = hf_live_park(mine, HF_STR("s"), HF_LIVE_OURS, 0, &poll_no);
    hf_live_close(mine);
    return err ? 2 : 0;
}

static void many_make_one_file_and_put_none_aside(void **state)
{
    int round, i, status;

    (void)state;
    for (round = 0; round < ROUNDS; round++) {
        int gate[2];

        hf_live_close(live);
        live = NULL;
        (void)unlink(path_of(HF_FILE_LIVE));
        (void)unlink(path_of(HF_FILE_LIVE "-wal"));
        (void)unlink(path_of(HF_FILE_LIVE "-shm"));
        assert_int_equal(pipe(gate), 0);
        for (i = 0; i < CROWD; i++) {
            pid_t child = fork();

            assert_true(child >= 0);
            if (child == 0) {
                hf_close(&gate[1]);
                _exit(open_in_crowd(gate[0]));
            }
        }
        hf_close(&gate[0]);
        hf_close(&gate[1]);
        for (i = 0; i < CROWD; i++) {
            assert_true(wait(&status) > 0);
            assert_int_equal(status, 0);
        }
        assert_int_equal(access(path_of("live-1.db"), F_OK), -1);
        live = open_live();
        assert_int_equal(poll_no_of(live, "s"), CROWD);
    }
}

static void a_deleted_file_is_made_again(void **state)
{
    (void)state;
    hf_live_close(live);
    assert_int_equal(unlink(path_of(HF_FILE_LIVE)), 0);
    (void)unlink(path_of(HF_FILE_LIVE "-wal"));
    (void)unlink(path_of(HF_FILE_LIVE "-shm"));
    live = open_live();
    assert_int_equal(park("s"), 1);
}

/* --- several at once -------------------------------------------------------- */

static void what_goes_together_is_seen_by_others_at_its_end(void **state)
{
    struct hf_live *other = open_live();

    (void)state;
    assert_int_equal(hf_live_together(live), 0);
    assert_int_equal(park("s"), 1);
    assert_int_equal(park("t"), 1);
    assert_int_equal(poll_no_of(live, "s"), 1);
    assert_int_equal(poll_no_of(other, "s"), 0);
    assert_int_equal(hf_live_together_end(live), 0);
    assert_int_equal(poll_no_of(other, "s"), 1);
    assert_int_equal(poll_no_of(other, "t"), 1);
    hf_live_close(other);
}

static int again(struct hf_live *of, enum hf_live_stock stock)
{
    uint64_t poll_no = 0;
    int err = hf_live_park_again(of, HF_STR("s"), stock, &poll_no);

    return err ? err : (int)poll_no;
}

static void who_comes_back_at_once_to_the_same_keeps_its_number(void **state)
{
    struct hf_live *other = open_live();
    uint64_t poll_no;

    (void)state;
    assert_int_equal(again(live, HF_LIVE_OURS), HF_ENOTFOUND);
    assert_int_equal(park("s"), 1);
    assert_int_equal(again(live, HF_LIVE_OURS), 1);
    assert_int_equal(again(live, HF_LIVE_STOCK), HF_ENOTFOUND);
    assert_int_equal(again(other, HF_LIVE_OURS), HF_ENOTFOUND);
    assert_int_equal(hf_live_park(other, HF_STR("s"), HF_LIVE_OURS, 0, &poll_no),
                     0);
    assert_int_equal(again(live, HF_LIVE_OURS), HF_ENOTFOUND);
    assert_int_equal(again(other, HF_LIVE_OURS), 2);
    assert_int_equal(hf_live_grant(live, HF_STR("s"), 5000), 0); /* a lease
                                                       that is set shorter */
    assert_int_equal(again(other, HF_LIVE_OURS), HF_ENOTFOUND);
    assert_int_equal(park("s"), 3);
    hf_clock_shift(HF_LIVE_PARKED_MS, 0);
    assert_int_equal(again(live, HF_LIVE_OURS), HF_ENOTFOUND);
    hf_clock_shift(0, 0);
    hf_live_close(other);
}

static void a_part_that_fails_takes_nothing_else_along(void **state)
{
    unsigned i;

    (void)state;
    assert_int_equal(hf_live_together(live), 0);
    assert_int_equal(park("s"), 1);
    for (i = 0; i < HF_LIVE_REPLIES; i++)
        assert_int_equal(hf_live_reply_add(live, HF_STR("s"), 0, HF_STR("x")),
                         0);
    assert_int_equal(hf_live_reply_add(live, HF_STR("s"), 0, HF_STR("x")),
                     HF_ELIMIT);
    assert_int_equal(park("t"), 1);
    assert_int_equal(hf_live_together_end(live), 0);
    assert_int_equal(poll_no_of(live, "s"), 1);
    assert_int_equal(poll_no_of(live, "t"), 1);
}

static void
what_is_shared_is_of_one_moment_until_something_is_written(void **state)
{
    struct hf_live *other = open_live();
    uint64_t poll_no;

    (void)state;
    assert_int_equal(park("s"), 1);
    hf_live_share(live);
    assert_int_equal(poll_no_of(live, "s"), 1);
    assert_int_equal(hf_live_park(other, HF_STR("s"), HF_LIVE_OURS, 0, &poll_no),
                     0);
    assert_int_equal(poll_no_of(live, "s"), 1);
    assert_int_equal(hf_live_grant(live, HF_STR("t"), 0), 0);
    assert_int_equal(poll_no_of(live, "s"), 2);
    assert_int_equal(last_seen("t") > 0, 1);
    hf_live_share_end(live);
    assert_true(last_seen("t") > 0);
    hf_live_close(other);
}

static int set_up(void **state)
{
    if (fixture_set_up(state))
        return -1;
    live = open_live();
    return 0;
}

static int tear_down(void **state)
{
    hf_live_close(live);
    return fixture_tear_down(state);
}

#define LIVE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LIVE_TEST(a_newer_poll_has_a_higher_number),
        LIVE_TEST(a_lease_is_renewed_when_a_third_is_used),
        LIVE_TEST(what_a_session_may_do_is_known_to_others_and_forgotten),
        LIVE_TEST(sessions_not_seen_are_counted_out_and_expire),
        LIVE_TEST(replies_wait_until_they_were_shown),
        LIVE_TEST(replies_are_bounded),
        LIVE_TEST(a_change_by_others_is_told_once),
        LIVE_TEST(what_another_boot_left_is_forgotten),
        LIVE_TEST(a_damaged_file_is_left_and_the_next_name_taken),
        LIVE_TEST(a_file_of_another_version_is_left_and_the_log_says_so),
        LIVE_TEST(a_file_that_cannot_be_filled_is_left_and_the_log_says_so),
        LIVE_TEST(many_make_one_file_and_put_none_aside),
        LIVE_TEST(a_deleted_file_is_made_again),
        LIVE_TEST(what_goes_together_is_seen_by_others_at_its_end),
        LIVE_TEST(a_part_that_fails_takes_nothing_else_along),
        LIVE_TEST(who_comes_back_at_once_to_the_same_keeps_its_number),
        LIVE_TEST(what_is_shared_is_of_one_moment_until_something_is_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

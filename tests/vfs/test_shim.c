#include "tests/vfs/shim.h"

#include "tests/unit/schema_fixture.h"

static struct shim_event last[SHIM_CALLS];
static unsigned told[SHIM_CALLS];

static void watch(const struct shim_event *event)
{
    last[event->call] = *event;
    told[event->call]++;
}

static int set_up(void **state)
{
    int err;

    shim_install();
    err = fixture_set_up(state);
    shim_reset();
    return err;
}

static int tear_down(void **state)
{
    shim_watch(NULL);
    shim_sync_for_real(true);
    shim_reset();
    return fixture_tear_down(state);
}

#define SHIM_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static int insert(void)
{
    return sqlite3_exec(foreign(),
                        "INSERT INTO messages (topic, event, payload)"
                        " VALUES ('a', 'b', '1')",
                        NULL, NULL, NULL);
}

static int extended(void)
{
    return sqlite3_extended_errcode(foreign());
}

static void a_commit_with_full_sync_writes_to_the_wal_and_syncs_it(void **state)
{
    (void)state;
    assert_int_equal(insert(), SQLITE_OK); /* opens the WAL */
    shim_reset();
    assert_int_equal(insert(), SQLITE_OK);
    assert_true(shim_count(SHIM_WRITE, SHIM_WAL) >= 4); /* headers and pages */
    assert_int_equal(shim_count(SHIM_SYNC, SHIM_WAL), 1);
    assert_int_equal(shim_count(SHIM_WRITE, SHIM_MAIN), 0);
    assert_int_equal(shim_count(SHIM_SYNC, SHIM_MAIN), 0);
    foreign_ok("PRAGMA synchronous = NORMAL");
    assert_int_equal(insert(), SQLITE_OK);
    assert_int_equal(shim_count(SHIM_SYNC, SHIM_ANY), 1);
    foreign_ok("PRAGMA wal_checkpoint");
    assert_true(shim_count(SHIM_WRITE, SHIM_MAIN) >= 2);
    assert_int_equal(shim_count(SHIM_SYNC, SHIM_WAL), 2);
    assert_int_equal(shim_count(SHIM_SYNC, SHIM_MAIN), 1);
    assert_int_equal(shim_failed(), 0);
}

static void our_own_connections_go_through_it(void **state)
{
    struct hf_journal *journal = open_journal(HF_JOURNAL_WRITE);

    (void)state;
    publish(journal, "a", "1"); /* begins the WAL */
    shim_reset();
    shim_only(HF_FILE_JOURNAL);
    publish(journal, "a", "1");
    assert_int_equal(shim_count(SHIM_SYNC, SHIM_WAL), 1);
    hf_journal_close(journal);
}

static void the_nth_call_fails_with_the_code_asked_for(void **state)
{
    (void)state;
    assert_int_equal(insert(), SQLITE_OK);
    shim_fail(SHIM_SYNC, SHIM_WAL, 2, SHIM_ONCE, SQLITE_IOERR_FSYNC);
    assert_int_equal(insert(), SQLITE_OK);
    assert_int_equal(insert(), SQLITE_IOERR);
    assert_int_equal(extended(), SQLITE_IOERR_FSYNC);
    assert_int_equal(shim_failed(), 1);
    assert_int_equal(insert(), SQLITE_OK);
    assert_int_equal(foreign_number("SELECT count(*) FROM messages"), 3);
}

static void a_fault_may_last_until_it_is_healed(void **state)
{
    unsigned i;

    (void)state;
    shim_fail(SHIM_WRITE, SHIM_WAL, 1, SHIM_FOREVER, SQLITE_IOERR_WRITE);
    for (i = 1; i <= 5; i++) {
        assert_int_equal(insert(), SQLITE_IOERR);
        assert_int_equal(extended(), SQLITE_IOERR_WRITE);
        assert_int_equal(shim_failed(), i);
    }
    shim_heal();
    assert_int_equal(insert(), SQLITE_OK);
    assert_int_equal(shim_failed(), 5);
}

static void a_kind_of_file_is_failed_alone(void **state)
{
    (void)state;
    shim_fail(SHIM_WRITE, SHIM_MAIN, 1, SHIM_FOREVER, SQLITE_IOERR_WRITE);
    assert_int_equal(insert(), SQLITE_OK); /* to the WAL only */
    assert_int_equal(shim_failed(), 0);
    foreign_run("PRAGMA wal_checkpoint");
    assert_int_equal(shim_failed(), 1);
}

static void a_database_of_another_name_is_left_alone(void **state)
{
    (void)state;
    shim_only(HF_FILE_LIVE);
    shim_fail(SHIM_WRITE, SHIM_ANY, 1, SHIM_FOREVER, SQLITE_IOERR_WRITE);
    assert_int_equal(insert(), SQLITE_OK);
    assert_int_equal(shim_count(SHIM_WRITE, SHIM_ANY), 0);
    shim_only(HF_FILE_JOURNAL);
    assert_int_equal(insert(), SQLITE_IOERR);
}

static void files_that_cannot_be_opened_read_or_mapped(void **state)
{
    (void)state;
    shim_fail(SHIM_OPEN, SHIM_MAIN, 1, SHIM_ONCE, SQLITE_CANTOPEN);
    assert_int_equal(sqlite3_open(path_of(HF_FILE_JOURNAL), &f.foreign),
                     SQLITE_CANTOPEN);
    foreign_close();
    /* The first one is at open already, for the page size. */
    shim_fail(SHIM_READ, SHIM_MAIN, 2, SHIM_ONCE, SQLITE_IOERR_READ);
    assert_int_equal(insert(), SQLITE_IOERR);
    assert_int_equal(extended(), SQLITE_IOERR_READ);
    foreign_close();
    shim_fail(SHIM_SHM_MAP, SHIM_ANY, 1, SHIM_ONCE, SQLITE_IOERR_SHMMAP);
    assert_int_equal(insert(), SQLITE_IOERR);
    assert_int_equal(extended(), SQLITE_IOERR_SHMMAP);
    assert_int_equal(insert(), SQLITE_OK);
    assert_int_equal(shim_failed(), 3);
}

static void a_full_disk_takes_again_what_was_made_room_for(void **state)
{
    FILE *ballast = fopen(path_of("ballast"), "w");

    (void)state;
    assert_non_null(ballast);
    assert_int_equal(ftruncate(fileno(ballast), 1 << 20), 0);
    assert_int_equal(fclose(ballast), 0);
    assert_int_equal(insert(), SQLITE_OK);
    shim_disk(f.path, shim_disk_used(f.path) + 3 * 4096);
    while (insert() == SQLITE_OK)
        assert_int_equal(shim_failed(), 0);
    assert_int_equal(extended(), SQLITE_FULL);
    assert_true(shim_failed() > 0);
    assert_int_equal(insert(), SQLITE_FULL);
    assert_int_equal(unlink(path_of("ballast")), 0);
    assert_int_equal(insert(), SQLITE_OK);
}

static void a_watcher_is_told_what_is_done_to_files(void **state)
{
    static const struct shim_event none;

    (void)state;
    memset(told, 0, sizeof(told));
    shim_watch(watch);
    shim_sync_for_real(false);
    assert_int_equal(insert(), SQLITE_OK);
    assert_int_equal(told[SHIM_OPEN], 2); /* main and WAL */
    assert_int_equal(last[SHIM_OPEN].file, SHIM_WAL);
    assert_int_equal(last[SHIM_WRITE].file, SHIM_WAL);
    assert_int_equal(last[SHIM_WRITE].inode, last[SHIM_OPEN].inode);
    assert_string_equal(last[SHIM_WRITE].path, path_of("journal.db-wal"));
    assert_true(told[SHIM_SYNC] > 0);
    assert_false(last[SHIM_SYNC].failed);
    last[SHIM_SYNC] = none;
    shim_fail(SHIM_SYNC, SHIM_ANY, 1, SHIM_ONCE, SQLITE_IOERR_FSYNC);
    assert_int_equal(insert(), SQLITE_IOERR);
    assert_true(last[SHIM_SYNC].failed);
    told[SHIM_DELETE] = 0;
    foreign_close(); /* the last one: the WAL goes */
    assert_true(told[SHIM_DELETE] > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SHIM_TEST(a_commit_with_full_sync_writes_to_the_wal_and_syncs_it),
        SHIM_TEST(our_own_connections_go_through_it),
        SHIM_TEST(the_nth_call_fails_with_the_code_asked_for),
        SHIM_TEST(a_fault_may_last_until_it_is_healed),
        SHIM_TEST(a_kind_of_file_is_failed_alone),
        SHIM_TEST(a_database_of_another_name_is_left_alone),
        SHIM_TEST(files_that_cannot_be_opened_read_or_mapped),
        SHIM_TEST(a_full_disk_takes_again_what_was_made_room_for),
        SHIM_TEST(a_watcher_is_told_what_is_done_to_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

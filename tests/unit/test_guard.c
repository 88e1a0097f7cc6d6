/* What guard.c refuses, and how it comes back: lost syncs, a log that somebody
 * pins, a disk without room. The disk's faults are real to SQLite (tests/vfs);
 * a disk that is really full is in test_space.c. */
#include "schema/journal_impl.h"

#include "schema_fixture.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "schema/failed.h"
#include "schema/holders.h"
#include "schema/space.h"
#include "tests/vfs/shim.h"

#define KIB 1024
#define MIB (1024 * KIB)

static int set_up(void **state)
{
    int err;

    shim_install();
    err = fixture_set_up(state);
    shim_reset();
    shim_only(HF_FILE_JOURNAL);
    return err;
}

static int tear_down(void **state)
{
    hf_clock_shift(0, 0);
    shim_reset();
    return fixture_tear_down(state);
}

#define GUARD_TEST(name)                                                       \
    cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* A payload of about so many bytes. */
static const char *payload_of(size_t len)
{
    static char text[70 * KIB];

    assert_true(len + 3 < sizeof(text));
    memset(text, 'x', len);
    text[0] = text[len - 1] = '"';
    text[len] = '\0';
    return text;
}

static int try_publish(struct hf_journal *journal, const char *payload)
{
    struct hf_publish message = {.topic = HF_STR("a"),
                                 .event = HF_STR("say"),
                                 .payload = hf_str_of(payload)};
    bool repeated;
    uint64_t id;
    int err;

    err = hf_journal_begin(journal);
    if (err)
        return err;
    err = hf_journal_append(journal, &message, &id, &repeated);
    if (err) {
        hf_journal_rollback(journal);
        return err;
    }
    return hf_journal_commit(journal);
}

/* As retention does. */
static int try_delete(struct hf_journal *journal, const char *sql)
{
    int err;

    err = hf_journal_begin_upkeep(journal);
    if (err)
        return err;
    err = hf_db_run(hf_journal_db(journal), sql);
    if (err) {
        hf_journal_rollback(journal);
        return err;
    }
    return hf_journal_commit(journal);
}

static int64_t size_of(const char *name)
{
    struct stat st;

    return stat(path_of(name), &st) == 0 ? st.st_size : -1;
}

static int64_t count_messages(void)
{
    return foreign_number("SELECT count(*) FROM messages");
}

/* Another program with a transaction open, until end_other. */
static FILE *other;

static void begin_other(const char *sql)
{
    char command[PATH_MAX + 32];
    int i;

    (void)snprintf(command, sizeof(command), "exec sqlite3 '%s' >/dev/null",
                   path_of(HF_FILE_JOURNAL));
    other = popen(command, "w");
    assert_non_null(other);
    assert_true(fprintf(other, "%s\n.shell touch '%s/ready'\n", sql, f.path) >
                0);
    assert_int_equal(fflush(other), 0);
    for (i = 0; i < 500 && access(path_of("ready"), F_OK); i++)
        (void)usleep(10000);
    assert_int_equal(unlink(path_of("ready")), 0);
}

static void end_other(void)
{
    assert_int_equal(pclose(other), 0);
}

/* --- lost syncs ---------------------------------------------------------- */

static void a_sync_lost_by_a_commit_stops_every_writer(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    struct hf_journal *same_host = open_journal(HF_JOURNAL_WRITE);
    struct hf_journal *r = open_journal(HF_JOURNAL_READ);
    struct hf_journal *restarted;
    char text[HF_FAILED_TEXT];
    bool changed;

    (void)state;
    publish(w, "a", "1");
    shim_fail(SHIM_SYNC, SHIM_WAL, 1, SHIM_ONCE, SQLITE_IOERR_FSYNC);
    assert_int_equal(try_publish(w, "2"), HF_EFAILED);
    assert_int_equal(shim_failed(), 1);
    assert_int_equal(hf_failed_read(&f.dir, text), 0);
    assert_non_null(strstr(text, "a sync failed"));

    /* The disk says that all is well again; nobody believes it. */
    assert_int_equal(try_publish(w, "3"), HF_EFAILED);
    assert_int_equal(try_publish(same_host, "3"), HF_EFAILED);
    assert_int_equal(try_delete(w, "DELETE FROM messages"), HF_EFAILED);
    restarted = open_journal(HF_JOURNAL_WRITE);
    assert_int_equal(try_publish(restarted, "3"), HF_EFAILED);

    assert_int_equal(hf_journal_changed(r, &changed), 0);
    assert_int_equal(head_of(r), 1);
    assert_int_equal(hf_journal_holder(&f.dir), 0);
    hf_journal_close(restarted);
    hf_journal_close(r);
    hf_journal_close(same_host);
    hf_journal_close(w);
}

static void a_sync_lost_by_a_checkpoint_is_noticed(void **state)
{
    static const unsigned files[] = {SHIM_MAIN, SHIM_WAL};
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    size_t i;

    (void)state;
    for (i = 0; i < 2; i++) {
        int err = 0, n;

        shim_reset();
        shim_only(HF_FILE_JOURNAL);
        /* Of the WAL the second: the first is the commit's own. */
        for (n = 0; n < 2000 && !err && !hf_failed(&f.dir); n++) {
            unsigned long nth = files[i] == SHIM_WAL ? 2 : 1;

            shim_heal();
            shim_fail(SHIM_SYNC, files[i], nth, SHIM_ONCE, SQLITE_IOERR_FSYNC);
            err = try_publish(w, payload_of(20 * KIB));
        }
        /* The commit stands, for its own sync was good. */
        assert_int_equal(err, 0);
        assert_true(hf_failed(&f.dir));
        assert_int_equal(shim_failed(), 1);
        assert_int_equal(try_publish(w, "1"), HF_EFAILED);
        assert_int_equal(hf_failed_clear(&f.dir), 0);
    }
    hf_journal_close(w);
}

static void a_write_that_fails_is_undone_and_no_more(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);

    (void)state;
    publish(w, "a", "1");
    errno = 0;
    shim_fail(SHIM_WRITE, SHIM_WAL, 2, SHIM_ONCE, SQLITE_IOERR_WRITE);
    assert_int_equal(try_publish(w, "2"), HF_ESTORE);
    assert_int_equal(shim_failed(), 1);
    assert_false(hf_failed(&f.dir));
    assert_int_equal(try_publish(w, "3"), 0);
    assert_int_equal(count_messages(), 2);
    hf_journal_close(w);
}

static void a_failed_journal_can_be_opened_after_a_reboot(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE), *r;

    (void)state;
    publish(w, "a", "1");
    hf_journal_close(w);
    foreign_ok("UPDATE meta SET value = 'another' WHERE name = 'boot'");
    foreign_close();
    assert_int_equal(hf_failed_raise(&f.dir, "for the test"), 0);
    shim_fail(SHIM_SYNC, SHIM_ANY, 1, SHIM_FOREVER, SQLITE_IOERR_FSYNC);
    f.settings.max_payload = 5000; /* to be told to the triggers */
    w = open_journal(HF_JOURNAL_WRITE);
    r = open_journal(HF_JOURNAL_READ);
    assert_int_equal(head_of(r), 1);
    assert_int_equal(try_publish(w, "2"), HF_EFAILED);

    /* What was owed is done before anything is published. */
    shim_heal();
    assert_int_equal(hf_failed_clear(&f.dir), 0);
    assert_int_equal(try_publish(w, "2"), 0);
    assert_int_equal(head_of(r), 1 + HF_HISTORY_LEAP + 1);
    hf_journal_close(r);
    hf_journal_close(w);
}

static void durability_says_how_often_is_synced(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    int i;

    (void)state;
    publish(w, "a", "1");
    shim_reset();
    for (i = 0; i < 40; i++)
        publish(w, "a", "1");
    assert_int_equal(shim_count(SHIM_SYNC, SHIM_ANY), 40);
    hf_journal_close(w);

    /* normal: the log before it is copied, the main file after, and the log's
     * new header; no more. */
    f.settings.durability = HF_DURABILITY_NORMAL;
    w = open_journal(HF_JOURNAL_WRITE);
    shim_reset();
    for (i = 0; i < 40; i++)
        publish(w, "a", "1");
    assert_int_equal(shim_count(SHIM_SYNC, SHIM_ANY), 0);
    for (i = 0; i < 300; i++)
        publish(w, "a", payload_of(8 * KIB));
    assert_in_range(shim_count(SHIM_SYNC, SHIM_MAIN), 1, 5);
    assert_in_range(shim_count(SHIM_SYNC, SHIM_WAL), 1, 10);
    hf_journal_close(w);
}

/* --- locked out ---------------------------------------------------------- */

static void an_exclusive_script_is_named_to_whoever_cannot_start(void **state)
{
    struct hf_journal *journal = NULL;
    struct hf_why why = {""};

    (void)state;
    foreign_close();
    begin_other("PRAGMA locking_mode = EXCLUSIVE;"
                "INSERT INTO messages (topic, event, payload)"
                " VALUES ('a', 'b', '1');");
    assert_int_equal(
        hf_journal_open(&f.dir, &f.settings, HF_JOURNAL_WRITE, &journal, &why),
        HF_EBUSY);
    assert_non_null(strstr(why.text, " sqlite3, which uses PRAGMA "
                                     "locking_mode = EXCLUSIVE"));
    end_other();
    journal = open_journal(HF_JOURNAL_WRITE);
    publish(journal, "a", "2");
    hf_journal_close(journal);
}

static void an_exclusive_script_cannot_lock_out_who_is_there(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    char command[PATH_MAX + 200];

    (void)state;
    publish(w, "a", "1");
    (void)snprintf(command, sizeof(command),
                   "sqlite3 '%s' \"PRAGMA locking_mode = EXCLUSIVE;"
                   "INSERT INTO messages (topic, event, payload)"
                   " VALUES ('a', 'b', '1');\" 2>&1 | grep -q 'is locked'",
                   path_of(HF_FILE_JOURNAL));
    assert_int_equal(system(command), 0);
    publish(w, "a", "2");
    assert_int_equal(count_messages(), 2);
    hf_journal_close(w);
}

/* --- checkpoints --------------------------------------------------------- */

static void the_log_is_emptied_at_five_hundred_pages(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    int64_t most = 0;
    int i;

    (void)state;
    for (i = 0; i < 600; i++) {
        assert_int_equal(try_publish(w, payload_of(8 * KIB)), 0);
        if (size_of(HF_FILE_JOURNAL "-wal") > most)
            most = size_of(HF_FILE_JOURNAL "-wal");
    }
    /* 600 rows of two pages and more: without, it would be 5 MB or more. */
    assert_in_range(most, 500 * 4096, 520 * 4120);
    assert_in_range(shim_count(SHIM_SYNC, SHIM_MAIN), 2, 20);
    hf_journal_close(w);
}

/* --- a pinned log -------------------------------------------------------- */

static void a_log_above_its_ceiling_refuses_and_recovers(void **state)
{
    struct hf_journal *w, *r, *second;
    char readers[160];
    int64_t size;
    bool changed;
    int err, i;

    (void)state;
    f.settings.max_wal = 4 * MIB;
    w = open_journal(HF_JOURNAL_WRITE);
    r = open_journal(HF_JOURNAL_READ);
    second = open_journal(HF_JOURNAL_WRITE);
    publish(w, "a", "1");
    begin_other("BEGIN; SELECT count(*) FROM messages;");

    for (err = 0, i = 0; !err && i < 500; i++)
        err = try_publish(w, payload_of(40 * KIB));
    assert_int_equal(err, HF_EBLOCKED);
    assert_int_equal(try_publish(second, "1"), HF_EBLOCKED);
    size = size_of(HF_FILE_JOURNAL "-wal");
    assert_in_range(size, 4 * MIB, 5 * MIB);
    assert_int_equal(hf_holders(&f.dir, HF_HOLD_READ, readers, sizeof(readers)),
                     1);
    assert_non_null(strstr(readers, " sqlite3"));

    /* Reading goes on, and deleting for the law. */
    assert_int_equal(hf_journal_changed(r, &changed), 0);
    assert_int_equal(head_of(r), i);
    assert_int_equal(try_delete(w, "DELETE FROM messages WHERE id = 2"), 0);

    /* Asked again and again it stays refused, at no great price. */
    for (i = 0; i < 100; i++)
        assert_int_equal(try_publish(w, "1"), HF_EBLOCKED);
    assert_in_range(size_of(HF_FILE_JOURNAL "-wal"), size, size + MIB);

    end_other();
    hf_clock_shift(1001, 0);
    assert_int_equal(try_publish(w, "\"back\""), 0);
    assert_int_equal(try_publish(second, "\"back\""), 0);
    assert_in_range(size_of(HF_FILE_JOURNAL "-wal"), 0, MIB);
    hf_journal_close(second);
    hf_journal_close(r);
    hf_journal_close(w);
}

static void a_long_file_with_little_in_it_blocks_nobody(void **state)
{
    struct hf_journal *w;
    int i;

    (void)state;
    f.settings.max_wal = 2 * MIB;
    w = open_journal(HF_JOURNAL_WRITE);
    foreign_ok("PRAGMA wal_autocheckpoint = 0");
    for (i = 0; i < 70; i++)
        foreign_ok("INSERT INTO messages (topic, event, payload) VALUES"
                   " ('a', 'b', '\"' || hex(zeroblob(30000)) || '\"')");
    assert_true(size_of(HF_FILE_JOURNAL "-wal") > 2 * MIB);
    assert_int_equal(try_publish(w, "1"), 0);
    assert_in_range(size_of(HF_FILE_JOURNAL "-wal"), 0, MIB);
    hf_journal_close(w);
}

/* Emptied more than once a second, when that is what it takes. */
static void
a_low_ceiling_refuses_nobody_while_the_log_can_be_emptied(void **state)
{
    struct hf_journal *w;
    int i;

    (void)state;
    f.settings.max_wal = 1 * MIB;
    w = open_journal(HF_JOURNAL_WRITE);
    hf_clock_shift(1001, 0);
    for (i = 0; i < 200; i++)
        assert_int_equal(try_publish(w, payload_of(40 * KIB)), 0);
    assert_in_range(size_of(HF_FILE_JOURNAL "-wal"), 0, 2 * MIB);
    hf_journal_close(w);
}

static void a_log_that_cannot_be_counted_is_not_taken_for_empty(void **state)
{
    struct hf_journal *w;
    int i;

    (void)state;
    f.settings.max_wal = 1 * MIB;
    w = open_journal(HF_JOURNAL_WRITE);
    publish(w, "a", "1");
    foreign_ok("PRAGMA wal_autocheckpoint = 0");
    for (i = 0; i < 30; i++)
        foreign_ok("INSERT INTO messages (topic, event, payload) VALUES"
                   " ('a', 'b', '\"' || hex(zeroblob(30000)) || '\"')");
    assert_true(size_of(HF_FILE_JOURNAL "-wal") > 1 * MIB);
    /* Another program is at a checkpoint. */
    shim_fail(SHIM_SHM_LOCK, SHIM_ANY, 1, SHIM_FOREVER, SQLITE_BUSY);
    assert_int_equal(try_publish(w, "1"), HF_EBLOCKED);
    shim_heal();
    hf_clock_shift(1001, 0);
    assert_int_equal(try_publish(w, "1"), 0);
    hf_journal_close(w);
}

static void deleting_is_let_in_to_twice_the_ceiling(void **state)
{
    struct hf_journal *w;
    int err, i;

    (void)state;
    f.settings.max_wal = 2 * MIB;
    w = open_journal(HF_JOURNAL_WRITE);
    publish(w, "a", "1");
    begin_other("BEGIN; SELECT count(*) FROM messages;");
    for (err = 0, i = 0; !err && i < 500; i++)
        err = try_publish(w, payload_of(40 * KIB));
    assert_int_equal(err, HF_EBLOCKED);
    for (err = 0, i = 0; !err && i < 2000; i++)
        err = try_delete(w, i % 2 ? "UPDATE meta SET value = 2 WHERE name='x'"
                                  : "INSERT OR REPLACE INTO meta VALUES"
                                    " ('x', zeroblob(60000))");
    assert_int_equal(err, HF_EBLOCKED);
    assert_in_range(size_of(HF_FILE_JOURNAL "-wal"), 4 * MIB, 5 * MIB);
    end_other();
    hf_journal_close(w);
}

/* --- no room ------------------------------------------------------------- */

static void a_full_quota_is_a_full_disk(void **state)
{
    struct rlimit before, little;
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    int err, i;

    (void)state;
    /* A file that may not grow gives EFBIG where a quota gives EDQUOT: for
     * SQLite either is some I/O error, and not "full". */
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    little = before;
    little.rlim_cur = 9 * MIB; /* the ballast with what is spare: 8 */
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
    begin_other("BEGIN; SELECT count(*) FROM messages;");
    for (err = 0, i = 0; !err && i < 500; i++)
        err = try_publish(w, payload_of(40 * KIB));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    end_other();
    assert_int_equal(err, HF_EFULL);
    assert_false(hf_failed(&f.dir));
    hf_clock_shift(1001, 0);
    assert_int_equal(try_publish(w, "\"back\""), 0);
    hf_journal_close(w);
}

static void a_missing_ballast_is_put_back(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);

    (void)state;
    publish(w, "a", "1");
    hf_space_give_up_ballast(&f.dir);
    publish(w, "a", "2"); /* at once: that is how others learn of it */
    assert_int_equal(hf_space_ballast(&f.dir), HF_SPACE_BALLAST);
    assert_int_equal(truncate(path_of(HF_FILE_BALLAST), 5000), 0);
    publish(w, "a", "3");
    assert_int_equal(hf_space_ballast(&f.dir), HF_SPACE_BALLAST);
    hf_journal_close(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        GUARD_TEST(a_sync_lost_by_a_commit_stops_every_writer),
        GUARD_TEST(a_sync_lost_by_a_checkpoint_is_noticed),
        GUARD_TEST(a_write_that_fails_is_undone_and_no_more),
        GUARD_TEST(a_failed_journal_can_be_opened_after_a_reboot),
        GUARD_TEST(durability_says_how_often_is_synced),
        GUARD_TEST(an_exclusive_script_is_named_to_whoever_cannot_start),
        GUARD_TEST(an_exclusive_script_cannot_lock_out_who_is_there),
        GUARD_TEST(the_log_is_emptied_at_five_hundred_pages),
        GUARD_TEST(a_log_above_its_ceiling_refuses_and_recovers),
        GUARD_TEST(a_long_file_with_little_in_it_blocks_nobody),
        GUARD_TEST(a_low_ceiling_refuses_nobody_while_the_log_can_be_emptied),
        GUARD_TEST(a_log_that_cannot_be_counted_is_not_taken_for_empty),
        GUARD_TEST(deleting_is_let_in_to_twice_the_ceiling),
        GUARD_TEST(a_full_quota_is_a_full_disk),
        GUARD_TEST(a_missing_ballast_is_put_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

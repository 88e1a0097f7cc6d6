#include "schema_fixture.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "schema/alone.h"
#include "schema/failed.h"
#include "schema/rescue.h"

static struct hf_why why;
static struct hf_rescue_report report;

static struct hf_rescue forced(void)
{
    return (struct hf_rescue){.settings = &f.settings, .even_if_whole = true};
}

static int run(const struct hf_rescue *wish)
{
    return hf_rescue(&f.dir, wish, &report, &why);
}

/* In a child, for a process that has the journal open cannot be alone. */
static int exit_code_of(int (*body)(void))
{
    pid_t child = fork();
    int status;

    if (child == 0)
        _exit(body());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void messages_ids_and_policies_come_along(void **state)
{
    struct hf_journal *journal = open_journal(HF_JOURNAL_WRITE);
    uint64_t epoch = hf_journal_epoch(journal);
    struct hf_rescue wish = forced();
    struct stat st;

    (void)state;
    publish(journal, "room", "1");
    publish(journal, "room", "2");
    publish(journal, "other", "3");
    hf_journal_close(journal);
    foreign_ok("DELETE FROM messages WHERE id = 2");
    foreign_ok("INSERT INTO policies (pattern, rights) VALUES ('r:*', 'join')");
    foreign_ok("UPDATE messages SET payload = '{}' WHERE id = 1");
    foreign_close();
    ok_or_why(run(&wish), &why);
    assert_false(report.needless);
    assert_int_equal(report.messages, 2);
    assert_int_equal(report.policies, 1);
    assert_int_equal(report.spots + report.refused + report.ids_lost, 0);
    assert_false(report.policies_damaged);
    assert_int_equal(stat(path_of(report.kept), &st), 0);

    journal = open_journal(HF_JOURNAL_WRITE);
    assert_true(hf_journal_epoch(journal) != epoch);
    assert_true(head_of(journal) >= 3 + (1 << 20));
    assert_int_equal(foreign_number("SELECT max(id) FROM messages"), 3);
    assert_int_equal(foreign_number("SELECT count(*) FROM redacted"), 1);
    /* The trigger that gives out ids is there again. */
    assert_string_equal(
        foreign_run("INSERT INTO messages (id, topic, event, payload)"
                    " VALUES (2, 'a', 'b', '1')"),
        "id: given by the journal; leave it out");
    hf_journal_close(journal);
}

static void a_whole_journal_is_left_alone(void **state)
{
    struct hf_rescue wish = {.settings = &f.settings};
    struct stat before, after;

    (void)state;
    assert_int_equal(stat(path_of(HF_FILE_JOURNAL), &before), 0);
    ok_or_why(run(&wish), &why);
    assert_true(report.needless);
    assert_int_equal(stat(path_of(HF_FILE_JOURNAL), &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
}

static void the_flag_of_a_lost_sync_is_reason_enough(void **state)
{
    struct hf_rescue wish = {.settings = &f.settings};

    (void)state;
    assert_int_equal(hf_failed_raise(&f.dir, "testing"), 0);
    ok_or_why(run(&wish), &why);
    assert_false(report.needless);
    assert_false(hf_failed(&f.dir));
}

static void garbage_is_not_carried_over(void **state)
{
    struct hf_rescue wish = forced();

    (void)state;
    foreign_ok("DROP TRIGGER messages_refuse; DROP TRIGGER messages_repeat;"
               "DROP INDEX messages_once;"
               "INSERT INTO messages (topic, event, payload) VALUES"
               " ('room', 'e', '1'), ('room', 'phx_join', '2'),"
               " ('', 'e', '3'), ('room', 'e', x'00');"
               "INSERT INTO messages (topic, event, payload, publisher, key)"
               " VALUES ('room', 'e', '5', 'p', 'k'),"
               " ('room', 'e', '5', 'p', 'k'), ('room', 'e', '7', 'p', 'k')");
    foreign_close();
    ok_or_why(run(&wish), &why);
    assert_int_equal(report.messages, 2);
    assert_int_equal(report.refused, 5);
    hf_journal_close(open_journal(HF_JOURNAL_WRITE)); /* all triggers */
    assert_int_equal(foreign_number("SELECT sum(id) FROM messages"), 1 + 5);
}

/* A leaf of the table, by its place: the page that holds it. */
static int64_t leaf_at(int fd, off_t root, unsigned at)
{
    unsigned char page[4096];
    size_t cell;

    assert_int_equal(pread(fd, page, sizeof(page), root), sizeof(page));
    assert_int_equal(page[0], 5); /* one level above the leaves */
    assert_true(at < (unsigned)(page[3] << 8 | page[4]));
    cell = (size_t)(page[12 + 2 * at] << 8 | page[13 + 2 * at]);
    return ((int64_t)page[cell] << 24 | page[cell + 1] << 16 |
            page[cell + 2] << 8 | page[cell + 3]) -
           1;
}

/* Two pages in a row hold ids of long ago: who seeks behind them is led back,
 * from the first row on. */
static void pages_that_lead_back_end_the_search(void **state)
{
    struct hf_rescue wish = forced();
    unsigned char page[4096];
    off_t root;
    int fd;

    (void)state;
    foreign_ok("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL"
               " SELECT i + 1 FROM n WHERE i < 1000)"
               "INSERT INTO messages (topic, event, payload)"
               " SELECT 'room', 'e', i FROM n;"
               "PRAGMA wal_checkpoint(TRUNCATE)");
    root = 4096 * (foreign_number("SELECT rootpage FROM sqlite_schema"
                                  " WHERE name = 'messages'") -
                   1);
    foreign_close();
    fd = open(path_of(HF_FILE_JOURNAL), O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, page, 4096, 4096 * leaf_at(fd, root, 0)), 4096);
    assert_int_equal(pwrite(fd, page, 4096, 4096 * leaf_at(fd, root, 3)), 4096);
    assert_int_equal(pwrite(fd, page, 4096, 4096 * leaf_at(fd, root, 4)), 4096);
    assert_int_equal(close(fd), 0);
    (void)alarm(60); /* and not for ever */
    ok_or_why(run(&wish), &why);
    (void)alarm(0);
    assert_int_equal(report.spots, 1);
    assert_int_equal(report.messages + report.ids_lost, 1000);
    assert_in_range(report.ids_lost, 50, 500);
    assert_int_equal(foreign_number("SELECT max(id) FROM messages"), 1000);
}

static int stop(void *ctx, uint64_t id, uint64_t last)
{
    (void)ctx;
    (void)id;
    (void)last;
    return 1;
}

static void stopped_it_changes_nothing(void **state)
{
    struct hf_rescue wish = forced();
    struct stat before, after;

    (void)state;
    assert_int_equal(hf_failed_raise(&f.dir, "testing"), 0);
    assert_int_equal(stat(path_of(HF_FILE_JOURNAL), &before), 0);
    wish.progress = stop;
    assert_int_equal(run(&wish), HF_ECLOSED);
    assert_int_equal(stat(path_of(HF_FILE_JOURNAL), &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    assert_true(hf_failed(&f.dir));
    assert_int_equal(access(path_of("journal.db.rescue.part"), F_OK), -1);
}

static int rescue_in_child(void)
{
    struct hf_rescue wish = forced();

    return -run(&wish);
}

static void who_has_it_open_is_not_disturbed(void **state)
{
    struct hf_journal *journal = open_journal(HF_JOURNAL_READ);
    struct hf_rescue wish = forced();
    char who[64];

    (void)state;
    assert_int_equal(exit_code_of(rescue_in_child), -HF_EBUSY);
    assert_int_equal(hf_alone_openers(&f.dir, who, sizeof(who)), 0);
    hf_journal_close(journal);
    assert_int_equal(exit_code_of(rescue_in_child), 0);
    ok_or_why(run(&wish), &why);
}

/* Nobody of them has a lock yet: they have only just opened it. */
static void a_descriptor_alone_counts(void **state)
{
    int fd = open(path_of(HF_FILE_JOURNAL), O_RDWR);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(exit_code_of(rescue_in_child), -HF_EBUSY);
    assert_int_equal(close(fd), 0);
}

static void while_alone_nobody_opens_it(void **state)
{
    struct hf_journal *journal = NULL;
    struct hf_alone alone;

    (void)state;
    ok_or_why(hf_alone_take(&alone, &f.dir, &why), &why);
    assert_int_not_equal(
        hf_journal_open(&f.dir, &f.settings, HF_JOURNAL_READ, &journal, &why),
        0);
    hf_alone_end(&alone);
    hf_journal_close(open_journal(HF_JOURNAL_READ));
}

/* As after a kill between the last two steps of hf_alone_replace: the log is
 * gone and the old file still stands there. */
static void killed_in_between_it_begins_a_new_epoch(void **state)
{
    struct hf_journal *journal = open_journal(HF_JOURNAL_WRITE);
    uint64_t epoch = hf_journal_epoch(journal);
    uint64_t last;

    (void)state;
    last = publish(journal, "room", "1");
    hf_journal_close(journal);
    assert_int_equal(unlink(path_of(HF_FILE_JOURNAL "-wal")), 0);
    assert_int_equal(unlink(path_of(HF_FILE_JOURNAL "-shm")), 0);
    journal = open_journal(HF_JOURNAL_WRITE);
    /* Never the same cursor for another message. */
    assert_true(hf_journal_epoch(journal) != epoch ||
                publish(journal, "room", "2") > last);
    hf_journal_close(journal);
}

static void a_replacement_that_fails_leaves_the_journal_whole(void **state)
{
    struct hf_fresh nothing = {.fd = -1, .dir = f.dir.fd, .part = "none.part"};
    struct hf_journal *journal = open_journal(HF_JOURNAL_WRITE);
    char kept[HF_ALONE_KEPT];

    (void)state;
    publish(journal, "room", "1");
    hf_journal_close(journal);
    assert_int_equal(access(path_of(HF_FILE_JOURNAL "-wal"), F_OK), 0);
    assert_int_equal(hf_alone_replace(&f.dir, &nothing, "test", kept, &why),
                     HF_EIO);
    assert_int_equal(access(path_of(HF_FILE_JOURNAL "-wal"), F_OK), 0);
    assert_int_equal(foreign_number("SELECT count(*) FROM messages"), 1);
}

/* Exits with SQLite's code of an INSERT that waits as long as PHP does. */
_Noreturn static void insert_late(void)
{
    sqlite3 *db = NULL;
    int code = sqlite3_open_v2(path_of(HF_FILE_JOURNAL), &db,
                               SQLITE_OPEN_READWRITE, NULL);

    if (!code)
        code = sqlite3_busy_timeout(db, 5000);
    if (!code)
        code = sqlite3_exec(db,
                            "INSERT INTO messages (topic, event, payload)"
                            " VALUES ('room', 'late', '1')",
                            NULL, NULL, NULL);
    _exit(code);
}

static void
who_waits_for_the_lock_does_not_write_beside_the_new_file(void **state)
{
    const struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};
    struct hf_journal *journal = open_journal(HF_JOURNAL_WRITE);
    struct hf_fresh fresh = {.fd = -1, .dir = f.dir.fd, .part = "new.part"};
    struct hf_alone alone;
    char kept[HF_ALONE_KEPT], who[256], sql[PATH_MAX + 32];
    int tries, status;
    pid_t late;

    (void)state;
    publish(journal, "room", "1");
    hf_journal_close(journal);
    (void)snprintf(sql, sizeof(sql), "VACUUM INTO '%s'", path_of("new.part"));
    foreign_ok(sql);
    foreign_close();
    ok_or_why(hf_alone_take(&alone, &f.dir, &why), &why);
    late = fork();
    if (late == 0) {
        hf_alone_end(&alone); /* the lock is the parent's alone */
        insert_late();
    }
    for (tries = 0; tries < 3000; tries++) {
        if (hf_alone_openers(&f.dir, who, sizeof(who)) > 0)
            break;
        (void)nanosleep(&pause, NULL);
    }
    assert_true(tries < 3000);
    assert_int_equal(hf_alone_replace(&f.dir, &fresh, "test", kept, &why), 0);
    hf_alone_end(&alone);
    assert_int_equal(waitpid(late, &status, 0), late);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), SQLITE_BUSY);
    assert_int_equal(
        foreign_number("SELECT count(*) FROM messages WHERE event = 'late'"),
        0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        FIXTURE_TEST(messages_ids_and_policies_come_along),
        FIXTURE_TEST(a_whole_journal_is_left_alone),
        FIXTURE_TEST(the_flag_of_a_lost_sync_is_reason_enough),
        FIXTURE_TEST(garbage_is_not_carried_over),
        FIXTURE_TEST(pages_that_lead_back_end_the_search),
        FIXTURE_TEST(stopped_it_changes_nothing),
        FIXTURE_TEST(who_has_it_open_is_not_disturbed),
        FIXTURE_TEST(a_descriptor_alone_counts),
        FIXTURE_TEST(while_alone_nobody_opens_it),
        FIXTURE_TEST(killed_in_between_it_begins_a_new_epoch),
        FIXTURE_TEST(who_waits_for_the_lock_does_not_write_beside_the_new_file),
        FIXTURE_TEST(a_replacement_that_fails_leaves_the_journal_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

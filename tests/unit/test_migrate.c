#include "schema/migrate.h"

#include "schema_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#include "base/sys.h"
#include "schema/sql.h"

#define BACKUP HF_FILE_JOURNAL ".v1-backup"
#define EPOCH  UINT64_C(0x0123456789abcdef)

/* --- a journal as version 1 made it -------------------------------------- */

static void run_in(sqlite3 *db, const char *sql)
{
    char *message = NULL;

    if (sqlite3_exec(db, sql, NULL, NULL, &message))
        fail_msg("%s: %s", sql, message);
}

static void remove_journal(void)
{
    foreign_close();
    (void)unlink(path_of(HF_FILE_JOURNAL));
    (void)unlink(path_of(HF_FILE_JOURNAL "-wal"));
    (void)unlink(path_of(HF_FILE_JOURNAL "-shm"));
    (void)unlink(path_of(HF_FILE_HEAD));
}

/* With `rows` messages, one of them with a key, one deleted, and a policy. */
static void make_version_1(int rows)
{
    char sql[400], boot[40];
    sqlite3 *db;

    remove_journal();
    assert_int_equal(hf_boot_id(boot), 0);
    assert_int_equal(sqlite3_open(path_of(HF_FILE_JOURNAL), &db), SQLITE_OK);
    run_in(db, "PRAGMA journal_mode = WAL");
    run_in(db, hf_sql_001_journal);
    run_in(db, "UPDATE meta SET value = '0123456789abcdef'"
               " WHERE name = 'epoch'");
    (void)snprintf(sql, sizeof(sql),
                   "UPDATE meta SET value = '%s' WHERE name = 'boot'", boot);
    run_in(db, sql);
    (void)snprintf(sql, sizeof(sql),
                   "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL"
                   " SELECT i + 1 FROM n WHERE i < %d)"
                   "INSERT INTO messages (topic, event, payload)"
                   " SELECT 'a', 'e', i FROM n",
                   rows);
    run_in(db, sql);
    run_in(db, "INSERT INTO messages (topic, event, payload, publisher, key)"
               " VALUES ('b', 'e', '\"text\"', 'me', 'k')");
    run_in(db, "DELETE FROM messages WHERE id = 2");
    run_in(db, "INSERT INTO policies (pattern, rights) VALUES ('a', 'join')");
    run_in(db, "INSERT INTO sessions (id, at) VALUES ('s', 1)");
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    assert_int_equal(chmod(path_of(HF_FILE_JOURNAL), 0600), 0);
}

static int64_t number_in(const char *name, const char *sql)
{
    sqlite3_stmt *stmt;
    sqlite3 *db;
    int64_t number;

    assert_int_equal(sqlite3_open(path_of(name), &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    number = sqlite3_column_int64(stmt, 0);
    assert_int_equal(sqlite3_finalize(stmt), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    return number;
}

static void not_opened(const char *words)
{
    struct hf_journal *journal = NULL;
    struct hf_why why = {""};

    assert_int_not_equal(
        hf_journal_open(&f.dir, &f.settings, HF_JOURNAL_WRITE, &journal, &why),
        0);
    if (!strstr(why.text, words))
        fail_msg("%s", why.text);
}

/* --- tests --------------------------------------------------------------- */

static void whoever_opens_first_migrates(enum hf_journal_use use)
{
    struct hf_journal *journal;

    make_version_1(10);
    journal = open_journal(use);
    assert_true(hf_journal_epoch(journal) == EPOCH);
    hf_journal_close(journal);
    assert_int_equal(foreign_number("PRAGMA user_version"), HF_SCHEMA_VERSION);
    assert_int_equal(foreign_number("SELECT count(*) FROM messages"), 10);
    assert_int_equal(foreign_number("SELECT count(*) FROM policies"), 1);
    assert_int_equal(foreign_number("SELECT count(*) FROM sessions"), 1);
    assert_int_equal(foreign_number("SELECT through FROM trimmed"), 2);
    foreign_ok("UPDATE messages SET payload = '{}' WHERE id = 11");
    foreign_ok("INSERT INTO messages (topic, event, payload, publisher, key)"
               " VALUES ('b', 'e', '\"text\"', 'me', 'k')");
    assert_int_equal(foreign_number("SELECT count(*) FROM messages"), 10);
}

static void a_writer_migrates_an_older_journal(void **state)
{
    (void)state;
    whoever_opens_first_migrates(HF_JOURNAL_WRITE);
}

static void a_reader_migrates_it_too(void **state)
{
    (void)state;
    whoever_opens_first_migrates(HF_JOURNAL_READ);
}

static void the_backup_is_the_old_version_and_begins_a_new_epoch(void **state)
{
    struct hf_journal *journal;
    struct stat st;

    (void)state;
    make_version_1(10);
    hf_journal_close(open_journal(HF_JOURNAL_WRITE));
    assert_int_equal(stat(path_of(BACKUP), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(number_in(BACKUP, "PRAGMA user_version"), 1);
    assert_int_equal(number_in(BACKUP, "SELECT count(*) FROM messages"), 10);
    assert_int_equal(
        number_in(BACKUP, "SELECT value = '' FROM meta WHERE name = 'epoch'"),
        1);

    /* the way back, which here leads forward again */
    remove_journal();
    assert_int_equal(renameat(f.dir.fd, BACKUP, f.dir.fd, HF_FILE_JOURNAL), 0);
    journal = open_journal(HF_JOURNAL_WRITE);
    assert_true(hf_journal_epoch(journal) != EPOCH);
    assert_int_equal(publish(journal, "a", "1"), 12);
    hf_journal_close(journal);
    assert_int_equal(number_in(BACKUP, "PRAGMA user_version"), 1);
}

static void a_migrated_journal_equals_a_new_one(void **state)
{
    static const char objects[] =
        "SELECT sum(length(name) * 31 + length(sql)) FROM sqlite_schema"
        " WHERE sql IS NOT NULL";
    int64_t made = foreign_number(objects);

    (void)state;
    make_version_1(3);
    hf_journal_close(open_journal(HF_JOURNAL_WRITE));
    assert_int_equal(foreign_number(objects), made);
}

static void foreign_objects_are_refused_before_anything_is_done(void **state)
{
    (void)state;
    make_version_1(3);
    foreign_ok("CREATE VIEW mine AS SELECT 1");
    not_opened("view \"mine\"");
    foreign_ok("DROP VIEW mine; DROP TRIGGER messages_deleted");
    not_opened("missing");
    assert_int_equal(foreign_number("PRAGMA user_version"), 1);
    assert_int_equal(faccessat(f.dir.fd, BACKUP, F_OK, 0), -1);
}

static void an_older_copy_of_a_backup_is_replaced_and_nothing_else(void **state)
{
    int fd;

    (void)state;
    make_version_1(3);
    fd = openat(f.dir.fd, BACKUP, O_WRONLY | O_CREAT, 0600);
    assert_int_equal(write(fd, "precious", 8), 8);
    assert_int_equal(close(fd), 0);
    not_opened(BACKUP);
    assert_int_equal(foreign_number("PRAGMA user_version"), 1);
    assert_int_equal(unlink(path_of(BACKUP)), 0);

    hf_journal_close(open_journal(HF_JOURNAL_WRITE));
    make_version_1(5);
    hf_journal_close(open_journal(HF_JOURNAL_WRITE));
    assert_int_equal(number_in(BACKUP, "SELECT count(*) FROM messages"), 5);
}

static void a_foreign_writer_that_stays_is_waited_for_and_named(void **state)
{
    (void)state;
    make_version_1(3);
    f.settings.busy_ms = 50;
    foreign_ok("BEGIN IMMEDIATE");
    not_opened("write lock");
    foreign_ok("ROLLBACK");
    assert_int_equal(foreign_number("PRAGMA user_version"), 1);
    hf_journal_close(open_journal(HF_JOURNAL_WRITE));
}

static void a_version_of_the_future_or_none_is_refused(void **state)
{
    (void)state;
    foreign_ok("PRAGMA user_version = 4");
    not_opened("install a newer Holdfast");
    foreign_ok("PRAGMA user_version = 0");
    not_opened("version 0");
    foreign_ok("PRAGMA user_version = -1");
    not_opened("version -1");
}

/* --- others at the same time, and kills ---------------------------------- */

static pid_t open_in_child(int delay_us)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        struct hf_journal *journal = NULL;
        struct hf_why why = {""};
        int err;

        (void)usleep((useconds_t)delay_us);
        err = hf_journal_open(&f.dir, &f.settings, HF_JOURNAL_WRITE, &journal,
                              &why);
        if (err)
            (void)fprintf(stderr, "child: %s\n", why.text);
        _exit(err ? 1 : 0); /* as a kill: nothing is closed */
    }
    return pid;
}

static int status_of(pid_t pid)
{
    int status = -1;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void of_several_that_start_at_once_one_migrates(void **state)
{
    pid_t children[4];
    int i;

    (void)state;
    make_version_1(2000);
    for (i = 0; i < 4; i++)
        children[i] = open_in_child(0);
    for (i = 0; i < 4; i++)
        assert_int_equal(status_of(children[i]), 0);
    assert_int_equal(foreign_number("PRAGMA user_version"), HF_SCHEMA_VERSION);
    assert_int_equal(foreign_number("SELECT count(*) FROM messages"), 2000);
    assert_int_equal(foreign_number("SELECT value FROM meta"
                                    " WHERE name = 'redacted_rev'"),
                     0);
}

/* Old or new, and whole; then opened again it is new. */
static void check_after_kill(void)
{
    int64_t version = number_in(HF_FILE_JOURNAL, "PRAGMA user_version");

    assert_true(version == 1 || version == HF_SCHEMA_VERSION);
    assert_int_equal(number_in(HF_FILE_JOURNAL,
                               "SELECT count(*) FROM sqlite_schema"
                               " WHERE name = 'redacted'"),
                     version == 1 ? 0 : 1);
    assert_int_equal(number_in(HF_FILE_JOURNAL,
                               "SELECT count(*) FROM pragma_integrity_check"
                               " WHERE integrity_check = 'ok'"),
                     1);
    hf_journal_close(open_journal(HF_JOURNAL_WRITE));
    assert_int_equal(
        number_in(HF_FILE_JOURNAL, "SELECT count(*) FROM messages"), 500);
    assert_int_equal(number_in(BACKUP, "PRAGMA user_version"), 1);
}

static void a_kill_leaves_either_version_whole(void **state)
{
    int round;

    (void)state;
    for (round = 0; round < 30; round++) {
        pid_t child;

        make_version_1(500);
        child = open_in_child(0);
        (void)usleep((useconds_t)(round * 700));
        (void)kill(child, SIGKILL);
        (void)status_of(child);
        check_after_kill();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(a_writer_migrates_an_older_journal),
        FIXTURE_TEST(a_reader_migrates_it_too),
        FIXTURE_TEST(the_backup_is_the_old_version_and_begins_a_new_epoch),
        FIXTURE_TEST(a_migrated_journal_equals_a_new_one),
        FIXTURE_TEST(foreign_objects_are_refused_before_anything_is_done),
        FIXTURE_TEST(an_older_copy_of_a_backup_is_replaced_and_nothing_else),
        FIXTURE_TEST(a_foreign_writer_that_stays_is_waited_for_and_named),
        FIXTURE_TEST(a_version_of_the_future_or_none_is_refused),
        FIXTURE_TEST(of_several_that_start_at_once_one_migrates),
        FIXTURE_TEST(a_kill_leaves_either_version_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "schema_fixture.h"

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "schema/backup.h"

#define COPY "copy.db"

static struct hf_why why;

static char copy_path[PATH_MAX];

static struct hf_backup to_copy(void)
{
    (void)snprintf(copy_path, sizeof(copy_path), "%s", path_of(COPY));
    return (struct hf_backup){.path = copy_path};
}

static bool is_there(const char *name)
{
    return access(path_of(name), F_OK) == 0;
}

/* A number of the copy, as another program sees it. */
static int64_t copy_number(const char *sql)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *stmt;
    int64_t number;

    assert_int_equal(sqlite3_open(path_of(COPY), &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    number = sqlite3_column_int64(stmt, 0);
    assert_int_equal(sqlite3_finalize(stmt), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    return number;
}

/* Enough pages for several steps. */
static void publish_much(struct hf_journal *journal)
{
    char payload[60000];

    memset(payload, '1', sizeof(payload) - 1);
    payload[sizeof(payload) - 1] = '\0';
    for (int i = 0; i < 60; i++)
        publish(journal, "room", payload);
}

static void a_copy_holds_what_was_published(void **state)
{
    struct hf_journal *journal = open_journal(HF_JOURNAL_WRITE);
    struct hf_backup backup = to_copy();
    struct stat st;

    (void)state;
    publish(journal, "room", "1");
    publish(journal, "room", "2");
    ok_or_why(hf_journal_backup(journal, &backup, &why), &why);
    assert_int_equal(copy_number("SELECT count(*) FROM messages"), 2);
    assert_int_equal(copy_number("SELECT seq FROM sqlite_sequence"), 2);
    assert_false(is_there(COPY ".part"));
    assert_false(is_there(COPY "-wal"));
    assert_int_equal(stat(path_of(COPY), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    hf_journal_close(journal);
}

struct beside {
    struct hf_journal *writer;
    int steps;
    int64_t last_done;
};

static int publish_beside(void *ctx, uint64_t done, uint64_t total)
{
    struct beside *beside = ctx;

    beside->steps++;
    assert_true((int64_t)done > beside->last_done); /* never begins again */
    assert_true(done <= total);
    beside->last_done = (int64_t)done;
    publish(beside->writer, "room", "\"later\"");
    return beside->steps > 1000;
}

static void it_ends_though_others_commit_between_its_steps(void **state)
{
    struct hf_journal *reader = open_journal(HF_JOURNAL_READ);
    struct beside beside = {.writer = open_journal(HF_JOURNAL_WRITE)};
    struct hf_backup backup = to_copy();

    (void)state;
    publish_much(beside.writer);
    backup.progress = publish_beside;
    backup.ctx = &beside;
    ok_or_why(hf_journal_backup(reader, &backup, &why), &why);
    assert_in_range(beside.steps, 2, 20);
    /* One state: none of what came later. */
    assert_int_equal(copy_number("SELECT count(*) FROM messages"), 60);
    assert_int_equal(head_of(reader), 60 + (uint64_t)beside.steps);
    hf_journal_close(reader);
    hf_journal_close(beside.writer);
}

static int stop_after_a_step(void *ctx, uint64_t done, uint64_t total)
{
    (void)ctx;
    (void)done;
    (void)total;
    return 1;
}

static void stopped_it_leaves_nothing(void **state)
{
    struct hf_journal *journal = open_journal(HF_JOURNAL_WRITE);
    struct hf_backup backup = to_copy();

    (void)state;
    publish_much(journal);
    backup.progress = stop_after_a_step;
    assert_int_equal(hf_journal_backup(journal, &backup, &why), HF_ECLOSED);
    assert_false(is_there(COPY));
    assert_false(is_there(COPY ".part"));
    publish(journal, "room", "1"); /* no snapshot stays open */
    hf_journal_close(journal);
}

static int publish_a_lot_beside(void *ctx, uint64_t done, uint64_t total)
{
    (void)done;
    (void)total;
    publish_much(((struct beside *)ctx)->writer);
    return 0;
}

static void it_gives_up_before_publishing_is_refused(void **state)
{
    struct hf_journal *reader;
    struct beside beside = {.writer = open_journal(HF_JOURNAL_WRITE)};
    struct hf_backup backup = to_copy();

    (void)state;
    for (int i = 0; i < 5; i++)
        publish_much(beside.writer);
    f.settings.max_wal = 16 << 20;
    reader = open_journal(HF_JOURNAL_READ);
    backup.progress = publish_a_lot_beside;
    backup.ctx = &beside;
    assert_int_equal(hf_journal_backup(reader, &backup, &why), HF_EBLOCKED);
    assert_non_null(strstr(why.text, "max_wal"));
    assert_false(is_there(COPY));
    hf_journal_close(reader);
    hf_journal_close(beside.writer);
}

static void an_older_copy_is_replaced_only_when_asked(void **state)
{
    struct hf_journal *journal = open_journal(HF_JOURNAL_WRITE);
    struct hf_backup backup = to_copy();

    (void)state;
    ok_or_why(hf_journal_backup(journal, &backup, &why), &why);
    publish(journal, "room", "1");
    assert_int_equal(hf_journal_backup(journal, &backup, &why), HF_EEXIST);
    assert_int_equal(copy_number("SELECT count(*) FROM messages"), 0);
    backup.replace = true;
    ok_or_why(hf_journal_backup(journal, &backup, &why), &why);
    assert_int_equal(copy_number("SELECT count(*) FROM messages"), 1);
    hf_journal_close(journal);
}

static void other_files_are_never_replaced(void **state)
{
    struct hf_journal *journal = open_journal(HF_JOURNAL_WRITE);
    struct hf_backup backup = {.replace = true};
    char path[PATH_MAX];

    (void)state;
    backup.path = path;
    (void)snprintf(path, sizeof(path), "%s", path_of(HF_FILE_SECRET));
    assert_int_equal(hf_journal_backup(journal, &backup, &why), HF_EEXIST);
    (void)snprintf(path, sizeof(path), "%s", path_of(HF_FILE_JOURNAL));
    assert_int_equal(hf_journal_backup(journal, &backup, &why), HF_EEXIST);
    (void)snprintf(path, sizeof(path), "%s", path_of(HF_FILE_LIVE));
    assert_int_equal(hf_journal_backup(journal, &backup, &why), HF_EEXIST);
    (void)snprintf(path, sizeof(path), "%s", path_of("missing/copy"));
    assert_int_equal(hf_journal_backup(journal, &backup, &why), HF_ENOTFOUND);
    publish(journal, "room", "1");
    hf_journal_close(journal);
}

static void what_a_killed_one_left_is_written_over(void **state)
{
    struct hf_journal *journal = open_journal(HF_JOURNAL_WRITE);
    struct hf_backup backup = to_copy();
    int fd = open(path_of(COPY ".part"), O_RDWR | O_CREAT, 0644);

    (void)state;
    assert_int_equal(write(fd, "rubbish", 7), 7);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_int_equal(hf_journal_backup(journal, &backup, &why), HF_EBUSY);
    assert_true(is_there(COPY ".part")); /* it is the other's */
    assert_int_equal(close(fd), 0);
    ok_or_why(hf_journal_backup(journal, &backup, &why), &why);
    assert_int_equal(copy_number("SELECT count(*) FROM messages"), 0);
    hf_journal_close(journal);
}

static void a_damaged_journal_is_not_copied(void **state)
{
    struct hf_journal *journal = open_journal(HF_JOURNAL_WRITE);
    struct hf_backup backup = to_copy();
    static const char rubbish[4096] = "rubbish";
    int fd;

    (void)state;
    publish_much(journal);
    foreign_ok("PRAGMA wal_checkpoint(TRUNCATE)");
    foreign_close();
    /* in the middle of the payloads */
    fd = open(path_of(HF_FILE_JOURNAL), O_WRONLY);
    assert_int_equal(pwrite(fd, rubbish, 4096, 4096 * 40L), 4096);
    hf_journal_close(journal); /* before the descriptor: it drops locks */
    assert_int_equal(close(fd), 0);
    journal = open_journal(HF_JOURNAL_READ);
    assert_int_equal(hf_journal_backup(journal, &backup, &why), HF_ESTORE);
    assert_false(is_there(COPY));
    hf_journal_close(journal);
}

static void put_back_it_begins_a_new_epoch(void **state)
{
    struct hf_journal *journal = open_journal(HF_JOURNAL_WRITE);
    struct hf_backup backup = to_copy();
    uint64_t epoch = hf_journal_epoch(journal);
    uint64_t id;

    (void)state;
    publish(journal, "room", "1");
    foreign_ok("INSERT INTO sessions (id, at) VALUES ('s', 1)");
    ok_or_why(hf_journal_backup(journal, &backup, &why), &why);
    assert_int_equal(copy_number("SELECT count(*) FROM sessions"), 0);
    publish(journal, "room", "2");
    hf_journal_close(journal);
    foreign_close();
    (void)unlink(path_of(HF_FILE_JOURNAL "-wal")); /* the last close may */
    (void)unlink(path_of(HF_FILE_JOURNAL "-shm")); /* have done so */
    assert_int_equal(rename(copy_path, path_of(HF_FILE_JOURNAL)), 0);

    journal = open_journal(HF_JOURNAL_WRITE);
    assert_true(hf_journal_epoch(journal) != epoch);
    assert_true(hf_journal_epoch(journal) != 0);
    id = publish(journal, "room", "3");
    assert_true(id > 1);
    assert_int_equal(foreign_number("SELECT count(*) FROM messages"), 2);
    hf_journal_close(journal);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        FIXTURE_TEST(a_copy_holds_what_was_published),
        FIXTURE_TEST(it_ends_though_others_commit_between_its_steps),
        FIXTURE_TEST(stopped_it_leaves_nothing),
        FIXTURE_TEST(it_gives_up_before_publishing_is_refused),
        FIXTURE_TEST(an_older_copy_is_replaced_only_when_asked),
        FIXTURE_TEST(other_files_are_never_replaced),
        FIXTURE_TEST(what_a_killed_one_left_is_written_over),
        FIXTURE_TEST(a_damaged_journal_is_not_copied),
        FIXTURE_TEST(put_back_it_begins_a_new_epoch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

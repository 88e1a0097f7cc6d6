#include "tests/vfs/disk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/vfs/shim.h"

static char parent[64], directory[80], image[80];
static int dir = -1;
static unsigned cuts;

static int set_up(void **state)
{
    const char *tmp = getenv("TMPDIR");

    (void)state;
    (void)snprintf(parent, sizeof(parent), "%.40s/hf-disk.XXXXXX",
                   tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(parent));
    (void)snprintf(directory, sizeof(directory), "%s/disk", parent);
    (void)snprintf(image, sizeof(image), "%s/image", parent);
    assert_int_equal(mkdir(directory, 0700), 0);
    dir = open(directory, O_RDONLY | O_DIRECTORY);
    assert_true(dir >= 0);
    cuts = 0;
    return 0;
}

static int tear_down(void **state)
{
    char command[128];

    (void)state;
    disk_end();
    shim_reset();
    (void)close(dir);
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", parent);
    return system(command);
}

#define DISK_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* --- a file, and what is left of it --------------------------------------- */

static int make(const char *name)
{
    int fd = openat(dir, name, O_RDWR | O_CREAT, 0600);

    assert_true(fd >= 0);
    return fd;
}

static void put(int fd, char what, size_t len, off_t at)
{
    char bytes[4096];

    memset(bytes, what, len);
    assert_int_equal(pwrite(fd, bytes, len, at), len);
}

static void count_cut(void *ctx)
{
    (void)ctx;
    cuts++;
}

/* The power fails now, that is before a change that comes now. */
static void cut(enum disk_fate fate, uint64_t seed)
{
    const struct disk_plan plan = {.moment = DISK_ANY,
                                   .nth = 1,
                                   .fate = fate,
                                   .seed = seed,
                                   .image = image,
                                   .made = count_cut};
    unsigned before = cuts;

    disk_plan(&plan);
    (void)close(make("beyond"));
    assert_int_equal(cuts, before + 1);
}

/* Its length, or -1: there is no such file. Zero beyond the end. */
static long left(const char *name, char out[8192])
{
    char path[PATH_MAX];
    FILE *file;
    long len;

    memset(out, 0, 8192);
    (void)snprintf(path, sizeof(path), "%s/%s", image, name);
    file = fopen(path, "r");
    if (!file)
        return -1;
    len = (long)fread(out, 1, 8192, file);
    (void)fclose(file);
    return len;
}

static void remove_image(void)
{
    char command[128];

    (void)snprintf(command, sizeof(command), "rm -rf '%s'", image);
    assert_int_equal(system(command), 0);
}

/* --- contents ------------------------------------------------------------- */

static void what_was_synced_stays_whatever_happens(void **state)
{
    char bytes[8192];
    unsigned fate;
    int fd;

    (void)state;
    disk_begin(directory);
    fd = make("a");
    put(fd, 'x', 3000, 0);
    assert_int_equal(fsync(fd), 0);
    assert_int_equal(fsync(dir), 0);
    for (fate = DISK_DROP; fate < DISK_FATES; fate++) {
        cut((enum disk_fate)fate, fate);
        assert_int_equal(left("a", bytes), 3000);
        assert_int_equal(bytes[0], 'x');
        assert_int_equal(bytes[2999], 'x');
        remove_image();
    }
    (void)close(fd);
}

static void what_was_there_at_the_beginning_was_synced(void **state)
{
    char bytes[8192];
    int fd = make("a");

    (void)state;
    put(fd, 'x', 10, 0);
    disk_begin(directory);
    cut(DISK_DROP, 1);
    assert_int_equal(left("a", bytes), 10);
    (void)close(fd);
}

static void what_was_not_synced_is_dropped_or_kept(void **state)
{
    char bytes[8192];
    int fd = make("a");

    (void)state;
    put(fd, 'x', 1000, 0);
    disk_begin(directory);
    put(fd, 'y', 1000, 500);
    assert_int_equal(ftruncate(fd, 1200), 0);
    cut(DISK_DROP, 1);
    assert_int_equal(left("a", bytes), 1000);
    assert_int_equal(bytes[999], 'x');
    remove_image();
    cut(DISK_KEEP, 1);
    assert_int_equal(left("a", bytes), 1200);
    assert_int_equal(bytes[499], 'x');
    assert_int_equal(bytes[500], 'y');
    (void)close(fd);
}

/* Of many cuts: does a later write survive an earlier one, is one torn? */
static void writes_are_reordered_and_torn(void **state)
{
    bool later_only = false, earlier_only = false, torn = false, both = false;
    char bytes[8192];
    uint64_t seed;
    size_t i;
    int fd = make("a");

    (void)state;
    put(fd, '.', 4096, 0);
    disk_begin(directory);
    put(fd, '1', 2048, 0);
    put(fd, '2', 2048, 2048);
    for (seed = 1; seed <= 60; seed++) {
        unsigned first = 0, second = 0;

        cut(DISK_MIXED, seed);
        assert_int_equal(left("a", bytes), 4096);
        for (i = 0; i < 4096; i += 512) {
            /* Sectors are whole. */
            assert_memory_equal(bytes + i, bytes + i + 1, 511);
            first += bytes[i] == '1';
            second += bytes[i] == '2';
        }
        later_only |= first == 0 && second == 4;
        earlier_only |= first == 4 && second == 0;
        both |= first == 4 && second == 4;
        torn |= first % 4 != 0 || second % 4 != 0;
        remove_image();
    }
    assert_true(later_only && earlier_only && torn && both);
    (void)close(fd);
}

static void a_prefix_keeps_nothing_after_what_it_drops(void **state)
{
    char bytes[8192];
    uint64_t seed;
    char c;
    int fd = make("a");

    (void)state;
    disk_begin(directory);
    for (c = 'a'; c < 'i'; c++)
        put(fd, c, 512, 512 * (c - 'a'));
    for (seed = 1; seed <= 20; seed++) {
        long i, len;

        cut(DISK_PREFIX, seed);
        len = left("a", bytes);
        assert_true(len % 512 == 0 && len <= 8 * 512);
        for (i = 0; i < len; i++)
            assert_int_equal(bytes[i], 'a' + i / 512);
        remove_image();
    }
    (void)close(fd);
}

static void a_sync_that_works_does_not_save_what_a_failed_one_lost(void **state)
{
    unsigned kept = 0, lost = 0, i;

    (void)state;
    for (i = 0; i < 20; i++) {
        sqlite3 *db;
        char path[PATH_MAX], bytes[8192];

        disk_begin(directory);
        (void)snprintf(path, sizeof(path), "%s/d%u", directory, i);
        assert_int_equal(sqlite3_open(path, &db), 0);
        assert_int_equal(
            sqlite3_exec(db, "PRAGMA journal_mode = OFF", NULL, NULL, NULL), 0);
        shim_fail(SHIM_SYNC, SHIM_MAIN, 1, SHIM_ONCE, SQLITE_IOERR_FSYNC);
        assert_int_not_equal(
            sqlite3_exec(db, "CREATE TABLE t (x)", NULL, NULL, NULL), 0);
        shim_heal();
        (void)sqlite3_exec(db, "PRAGMA user_version = 5", NULL, NULL, NULL);
        (void)sqlite3_close(db);
        assert_int_equal(fsync(dir), 0);
        cut(DISK_DROP, i + 1);
        (void)snprintf(path, sizeof(path), "d%u", i);
        (void)left(path, bytes);
        /* The second page was written by the first statement alone. */
        kept += bytes[4096] == 13;
        lost += bytes[4096] != 13;
        remove_image();
        disk_end();
        shim_reset();
    }
    assert_true(kept > 0 && lost > 0);
}

/* --- names ---------------------------------------------------------------- */

static void a_name_is_durable_once_the_directory_is_synced(void **state)
{
    char bytes[8192];
    int fd;

    (void)state;
    disk_begin(directory);
    fd = make("a");
    put(fd, 'x', 10, 0);
    assert_int_equal(fsync(fd), 0);
    cut(DISK_DROP, 1);
    assert_int_equal(left("a", bytes), -1);
    remove_image();
    assert_int_equal(fsync(dir), 0);
    cut(DISK_DROP, 1);
    assert_int_equal(left("a", bytes), 10);
    remove_image();
    assert_int_equal(unlinkat(dir, "a", 0), 0);
    cut(DISK_DROP, 1);
    assert_int_equal(left("a", bytes), 10);
    remove_image();
    cut(DISK_KEEP, 1);
    assert_int_equal(left("a", bytes), -1);
    (void)close(fd);
}

static void a_file_renamed_into_place_is_the_old_or_the_new(void **state)
{
    unsigned olds = 0, news = 0, empty = 0;
    char bytes[8192];
    uint64_t seed;
    int fd = make("head");

    (void)state;
    put(fd, 'o', 10, 0);
    (void)close(fd);
    disk_begin(directory);
    fd = make("head.tmp");
    put(fd, 'n', 10, 0);
    (void)close(fd);
    assert_int_equal(renameat(dir, "head.tmp", dir, "head"), 0);
    for (seed = 1; seed <= 40; seed++) {
        long len;

        cut(DISK_MIXED, seed);
        len = left("head", bytes);
        olds += len == 10 && bytes[0] == 'o';
        news += len == 10 && bytes[0] == 'n';
        empty += len == 0; /* it was renamed and never synced */
        remove_image();
    }
    assert_int_equal(olds + news + empty, 40);
    assert_true(olds > 0 && news > 0 && empty > 0);
}

static void a_link_and_its_other_name_are_one_file(void **state)
{
    char bytes[8192];
    int fd;

    (void)state;
    disk_begin(directory);
    fd = make("new");
    assert_int_equal(linkat(dir, "new", dir, "a", 0), 0);
    assert_int_equal(fsync(dir), 0);
    assert_int_equal(unlinkat(dir, "new", 0), 0);
    put(fd, 'x', 10, 0);
    assert_int_equal(fsync(fd), 0);
    cut(DISK_DROP, 1);
    assert_int_equal(left("a", bytes), 10);
    assert_int_equal(left("new", bytes), 10);
    (void)close(fd);
}

/* --- SQLite --------------------------------------------------------------- */

static void run(sqlite3 *db, const char *sql)
{
    char *words = NULL;

    if (sqlite3_exec(db, sql, NULL, NULL, &words))
        fail_msg("%s", words);
}

static int rows(void)
{
    sqlite3_stmt *stmt;
    char path[PATH_MAX];
    sqlite3 *db;
    int count;

    (void)snprintf(path, sizeof(path), "%s/db", image);
    assert_int_equal(sqlite3_open(path, &db), 0);
    assert_int_equal(
        sqlite3_prepare_v2(db, "SELECT count(*) FROM t", -1, &stmt, NULL), 0);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    count = sqlite3_column_int(stmt, 0);
    (void)sqlite3_finalize(stmt);
    (void)sqlite3_close(db);
    remove_image();
    return count;
}

static void a_commit_that_was_synced_survives_and_another_may_not(void **state)
{
    char path[PATH_MAX];
    sqlite3 *db;

    (void)state;
    disk_begin(directory);
    (void)snprintf(path, sizeof(path), "%s/db", directory);
    assert_int_equal(sqlite3_open(path, &db), 0);
    run(db, "PRAGMA journal_mode = WAL; CREATE TABLE t (x);"
            "INSERT INTO t VALUES (1)");
    assert_int_equal(fsync(dir), 0); /* SQLite does so for the WAL only */
    cut(DISK_DROP, 1);
    assert_int_equal(rows(), 1);
    run(db, "PRAGMA synchronous = OFF; INSERT INTO t VALUES (2)");
    cut(DISK_DROP, 1);
    assert_int_equal(rows(), 1);
    cut(DISK_KEEP, 1);
    assert_int_equal(rows(), 2);
    (void)sqlite3_close(db);
}

static void moments_are_told_apart(void **state)
{
    char path[PATH_MAX];
    sqlite3 *db;

    (void)state;
    disk_begin(directory);
    (void)snprintf(path, sizeof(path), "%s/db", directory);
    assert_int_equal(sqlite3_open(path, &db), 0);
    run(db, "PRAGMA journal_mode = WAL; CREATE TABLE t (x)");
    assert_int_equal(disk_count(DISK_WAL_RESTART), 1);
    assert_true(disk_count(DISK_WAL_WRITE) > 0);
    assert_true(disk_count(DISK_WAL_SYNC) > 0);
    run(db, "PRAGMA wal_checkpoint(TRUNCATE)");
    assert_true(disk_count(DISK_TRUNCATE) > 0);
    run(db, "INSERT INTO t VALUES (1)");
    assert_int_equal(disk_count(DISK_WAL_RESTART), 2);
    assert_true(disk_count(DISK_MAIN_WRITE) > 0);
    assert_true(disk_count(DISK_MAIN_SYNC) > 0);
    (void)sqlite3_close(db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DISK_TEST(what_was_synced_stays_whatever_happens),
        DISK_TEST(what_was_there_at_the_beginning_was_synced),
        DISK_TEST(what_was_not_synced_is_dropped_or_kept),
        DISK_TEST(writes_are_reordered_and_torn),
        DISK_TEST(a_prefix_keeps_nothing_after_what_it_drops),
        DISK_TEST(a_sync_that_works_does_not_save_what_a_failed_one_lost),
        DISK_TEST(a_name_is_durable_once_the_directory_is_synced),
        DISK_TEST(a_file_renamed_into_place_is_the_old_or_the_new),
        DISK_TEST(a_link_and_its_other_name_are_one_file),
        DISK_TEST(a_commit_that_was_synced_survives_and_another_may_not),
        DISK_TEST(moments_are_told_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

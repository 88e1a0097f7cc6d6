/*
 * A disk without room, twice: a real one, a small tmpfs in namespaces of our
 * own, where the kernel lets us; and always one that is simulated below SQLite
 * (tests/vfs) and below fallocate and fstatvfs.
 */
#include "schema/space.h"

#include "schema_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "schema/bell.h"
#include "schema/failed.h"
#include "schema/journal_impl.h"
#include "tests/vfs/shim.h"

#define KIB 1024
#define MIB (1024 * KIB)

#define DISK (32 * MIB) /* the real one */

static bool have_real;   /* the tmpfs could be mounted */
static bool real;        /* this test runs on it */
static int64_t capacity; /* of the simulated one; -1 = no limit */
static int refusal;      /* errno of fallocate, below a quota that statvfs does
                          * not know or without the call; 0: as it is */
static unsigned asked;   /* calls of fallocate */

int __real_fallocate(int fd, int mode, off_t offset, off_t len);
int __wrap_fallocate(int fd, int mode, off_t offset, off_t len);
int __real_fstatvfs(int fd, struct statvfs *out);
int __wrap_fstatvfs(int fd, struct statvfs *out);

int __wrap_fallocate(int fd, int mode, off_t offset, off_t len)
{
    struct stat st;

    asked++;
    if (refusal) {
        errno = refusal;
        return -1;
    }
    if (fstat(fd, &st) < 0)
        return -1;
    if (capacity >= 0 && shim_disk_used(f.path) - st.st_size + len > capacity) {
        errno = ENOSPC;
        return -1;
    }
    return __real_fallocate(fd, mode, offset, len);
}

int __wrap_fstatvfs(int fd, struct statvfs *out)
{
    int64_t used = capacity >= 0 ? shim_disk_used(f.path) : 0;
    int done = __real_fstatvfs(fd, out);

    if (done == 0 && capacity >= 0) {
        out->f_frsize = 4096;
        out->f_bavail =
            used < capacity ? (fsblkcnt_t)(capacity - used) / 4096 : 0;
    }
    return done;
}

/* --- disks --------------------------------------------------------------- */

static bool write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    if (!file)
        return false;
    (void)fputs(text, file);
    return fclose(file) == 0;
}

/* One thread as yet, as CLONE_NEWUSER wants it. */
static void mount_real(void)
{
    static char mounted[] = "/tmp/holdfast-disk.XXXXXX";
    char map[64], options[32];
    uid_t uid = geteuid();
    gid_t gid = getegid();

    if (!mkdtemp(mounted))
        return;
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0) {
        (void)write_text("/proc/self/setgroups", "deny");
        (void)snprintf(map, sizeof(map), "%u %u 1", uid, uid);
        (void)write_text("/proc/self/uid_map", map);
        (void)snprintf(map, sizeof(map), "%u %u 1", gid, gid);
        (void)write_text("/proc/self/gid_map", map);
        (void)snprintf(options, sizeof(options), "size=%d", DISK);
        have_real = mount("tmpfs", mounted, "tmpfs", 0, options) == 0;
    }
    if (have_real)
        (void)setenv("HF_TEST_DISK", mounted, 1);
    else
        (void)rmdir(mounted);
}

/* What else there is on the disk: all but so many bytes. */
static void leave_room(int64_t bytes)
{
    struct statvfs fs;
    char path[128];
    int64_t len;
    int fd;

    if (!real) {
        capacity = shim_disk_used(f.path) + bytes;
        shim_disk(f.path, capacity);
        return;
    }
    (void)snprintf(path, sizeof(path), "%s/filler", getenv("HF_TEST_DISK"));
    (void)unlink(path);
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(fstatvfs(fd, &fs), 0);
    len = (int64_t)(fs.f_bavail * fs.f_frsize) - bytes;
    if (len > 0)
        assert_int_equal(__real_fallocate(fd, 0, 0, len), 0);
    (void)close(fd);
}

/* Longer than anybody remembers what a look has found. */
static void a_second_later(void)
{
    static int64_t shift_ms;

    shift_ms += 1001;
    hf_clock_shift(shift_ms, 0);
}

static void make_room(void)
{
    capacity = -1;
    if (real)
        leave_room(DISK);
    else
        shim_disk(NULL, -1);
    a_second_later();
}

/* --- what is done on them ------------------------------------------------ */

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

static int delete_once(struct hf_journal *journal, int rows)
{
    char sql[160];
    int err;

    (void)snprintf(sql, sizeof(sql),
                   "DELETE FROM messages WHERE id IN (SELECT id FROM messages"
                   " ORDER BY id LIMIT %d)",
                   rows);
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

/* As journal.h says: HF_EFULL has made room for a second try. */
static int try_delete(struct hf_journal *journal, int rows)
{
    int err = delete_once(journal, rows);

    return err == HF_EFULL ? delete_once(journal, rows) : err;
}

static int64_t count_messages(void)
{
    return foreign_number("SELECT count(*) FROM messages");
}

static bool is_whole(void)
{
    return foreign_number("SELECT integrity_check = 'ok'"
                          " FROM pragma_integrity_check LIMIT 1") == 1;
}

/* Publish until it is refused; how many were taken. */
static int64_t publish_until_full(struct hf_journal *journal, size_t len)
{
    int64_t taken = 0;
    int err = 0;

    while (!err && taken < 3000) {
        err = try_publish(journal, payload_of(len));
        taken += !err;
    }
    assert_int_equal(err, HF_EFULL);
    return taken;
}

/* --- tests --------------------------------------------------------------- */

static void a_disk_that_fills_up_is_refused_before_it_is_full(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    struct hf_journal *r = open_journal(HF_JOURNAL_READ);
    int64_t taken;
    bool changed;

    (void)state;
    publish(w, "a", "1");
    leave_room(3 * MIB);
    a_second_later();
    assert_int_equal(try_publish(w, "2"), HF_EFULL);
    assert_true(hf_space_ballast(&f.dir) > 0); /* nothing went wrong yet */
    assert_int_equal(hf_journal_changed(r, &changed), 0);
    assert_int_equal(head_of(r), 1);
    make_room();
    assert_int_equal(try_publish(w, "2"), 0);
    taken = count_messages();
    assert_int_equal(taken, 2);
    hf_journal_close(r);
    hf_journal_close(w);
}

static void a_write_without_room_is_undone_and_reading_goes_on(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    struct hf_journal *r = open_journal(HF_JOURNAL_READ);
    struct hf_journal *second = open_journal(HF_JOURNAL_WRITE);
    int64_t taken;

    (void)state;
    publish(w, "a", "1");
    publish(second, "a", "2");
    leave_room(0); /* within the second in which nobody looks */
    taken = publish_until_full(w, 20 * KIB);
    assert_int_equal(hf_journal_holder(&f.dir), 0);
    assert_int_equal(count_messages(), 2 + taken);
    assert_int_equal(head_of(r), 2 + taken);
    assert_false(hf_failed(&f.dir));
    assert_int_equal(hf_space_ballast(&f.dir), 0);
    /* The others know at once. */
    assert_int_equal(try_publish(second, "3"), HF_EFULL);
    assert_true(is_whole());

    make_room();
    assert_int_equal(try_publish(second, "3"), 0);
    assert_int_equal(try_publish(w, "4"), 0);
    assert_true(hf_space_ballast(&f.dir) > 0);
    assert_int_equal(count_messages(), 4 + taken);
    hf_journal_close(second);
    hf_journal_close(r);
    hf_journal_close(w);
}

static void deleting_is_the_way_out(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    int64_t before;
    int i;

    (void)state;
    for (i = 0; i < 400; i++)
        publish(w, "a", payload_of(20 * KIB));
    leave_room(0);
    (void)publish_until_full(w, 20 * KIB);
    before = count_messages();
    /* Each step finds an empty log, so none but the first may fail. */
    assert_int_equal(try_delete(w, 2), 0);
    for (i = 1; i < 150; i++)
        assert_int_equal(delete_once(w, 2), 0);
    assert_int_equal(count_messages(), before - 300);

    /* Nothing but the deleting has made room: 6 MB of free pages. */
    a_second_later();
    assert_int_equal(try_publish(w, "\"back\""), 0);
    assert_true(is_whole());
    hf_journal_close(w);
}

static void with_a_small_ballast_each_step_finds_an_empty_log(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    int i;

    (void)state;
    for (i = 0; i < 500; i++)
        publish(w, "a", payload_of(20 * KIB));
    assert_int_equal(delete_once(w, 250), 0); /* free pages: it will not grow */
    hf_space_give_up_ballast(&f.dir);
    assert_int_equal(hf_space_make_ballast(&f.dir, HF_SPACE_LEAST, 0), 0);
    leave_room(0);
    /* As long as emptying the log is enough it goes on after each refusal. */
    for (i = 0; i < 100 && hf_journal_begin(w) == 0; i++) {
        hf_journal_rollback(w);
        (void)publish_until_full(w, 20 * KIB);
    }
    assert_true(i < 100);
    assert_int_equal(try_delete(w, 2), 0);
    for (i = 0; i < 80; i++)
        assert_int_equal(delete_once(w, 2), 0);
    assert_true(is_whole());
    hf_journal_close(w);
}

/* Held open: was it unlinked? */
static bool is_still_the_ballast(int fd)
{
    struct stat st;

    assert_int_equal(fstat(fd, &st), 0);
    return st.st_nlink == 1 && st.st_size == HF_SPACE_LEAST;
}

static void a_quota_leaves_the_small_ballast_where_it_is(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    int i, fd;

    (void)state;
    for (i = 0; i < 500; i++)
        publish(w, "a", payload_of(20 * KIB));
    assert_int_equal(delete_once(w, 400), 0); /* free pages */
    hf_space_give_up_ballast(&f.dir);
    assert_int_equal(hf_space_make_ballast(&f.dir, HF_SPACE_LEAST, 0), 0);
    fd = hf_dir_open_file(&f.dir, HF_FILE_BALLAST);
    assert_true(fd >= 0);

    refusal = EDQUOT;
    a_second_later();
    asked = 0;
    for (i = 0; i < 20; i++) {
        assert_int_equal(try_publish(w, "1"), 0);
        assert_true(is_still_the_ballast(fd));
    }
    assert_in_range(asked, 1, 2); /* for 4 MiB, for 2 MiB */
    /* Half of the free pages are used up: then a small one will not do. */
    assert_int_equal(publish_until_full(w, 60 * KIB) > 20, true);
    assert_true(is_still_the_ballast(fd));
    asked = 0;
    for (i = 0; i < 20; i++)
        assert_int_equal(try_publish(w, "1"), HF_EFULL);
    assert_int_equal(asked, 0);

    refusal = 0;
    a_second_later();
    assert_int_equal(try_publish(w, "1"), 0);
    assert_int_equal(hf_space_ballast(&f.dir), HF_SPACE_BALLAST);
    (void)close(fd);
    hf_journal_close(w);
}

static void
what_is_no_lack_of_room_stops_nobody_and_is_tried_again(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    int i;

    (void)state;
    hf_space_give_up_ballast(&f.dir);
    refusal = EMFILE;
    asked = 0;
    for (i = 0; i < 20; i++)
        assert_int_equal(try_publish(w, "1"), 0);
    assert_int_equal(asked, 1);
    refusal = 0;
    a_second_later();
    assert_int_equal(try_publish(w, "1"), 0);
    assert_int_equal(hf_space_ballast(&f.dir), HF_SPACE_BALLAST);
    hf_journal_close(w);
}

static void where_nothing_can_be_allocated_it_is_written(void **state)
{
    struct stat st;
    int fd;

    (void)state;
    refusal = EOPNOTSUPP;
    hf_space_give_up_ballast(&f.dir);
    assert_int_equal(
        hf_space_make_ballast(&f.dir, HF_SPACE_LEAST, HF_SPACE_STEADY), 0);
    assert_int_equal(
        hf_space_make_ballast(&f.dir, HF_SPACE_BALLAST, HF_SPACE_STEADY), 0);
    fd = hf_dir_open_file(&f.dir, HF_FILE_BALLAST);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_size, HF_SPACE_BALLAST);
    assert_true(st.st_blocks >= HF_SPACE_BALLAST / 512);
    (void)close(fd);
}

static enum hf_space_state judged(int64_t room, int64_t ballast,
                                  int64_t free_pages)
{
    struct hf_space space = {room, ballast, free_pages};

    return hf_space_judge(&space);
}

static void one_rule_says_who_is_let_in(void **state)
{
    (void)state;
    /* A file that grows. */
    assert_int_equal(judged(4 * MIB, 4 * MIB, 0), HF_SPACE_ENOUGH);
    assert_int_equal(judged(4 * MIB - 1, 4 * MIB, 0), HF_SPACE_FULL);
    assert_int_equal(judged(-1, 4 * MIB, 0), HF_SPACE_ENOUGH);
    assert_int_equal(judged(-1, 1 * MIB, 0), HF_SPACE_TRY);
    assert_int_equal(judged(7 * MIB, 1 * MIB, 0), HF_SPACE_TRY);
    assert_int_equal(judged(7 * MIB - 1, 1 * MIB, 0), HF_SPACE_FULL);
    assert_int_equal(judged(INT64_MAX, 1 * MIB, 0), HF_SPACE_TRY);
    /* And one with free pages of its own. */
    assert_int_equal(judged(MIB / 4, 1 * MIB, 4 * MIB), HF_SPACE_ENOUGH);
    assert_int_equal(judged(MIB / 4 - 1, 1 * MIB, 4 * MIB), HF_SPACE_FULL);
    assert_int_equal(judged(MIB / 4 - 1, 4 * MIB, 4 * MIB), HF_SPACE_FULL);
    assert_int_equal(judged(2 * MIB, 0, 4 * MIB), HF_SPACE_TRY);
    assert_int_equal(judged(1 * MIB, 0, 4 * MIB), HF_SPACE_FULL);
}

static void a_full_disk_is_no_reason_not_to_start(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE), *r;
    uint64_t head;

    (void)state;
    publish(w, "a", "1");
    foreign_ok("UPDATE meta SET value = 'another' WHERE name = 'boot'");
    leave_room(0);
    (void)publish_until_full(w, 20 * KIB);
    head = head_of(w);
    hf_journal_close(w);
    foreign_close();

    /* All closed: the index is made anew, and wants 32 KiB. */
    r = open_journal(HF_JOURNAL_READ);
    w = open_journal(HF_JOURNAL_WRITE);
    assert_true(head_of(r) == head || head_of(r) == head + HF_HISTORY_LEAP);
    assert_int_equal(try_publish(w, payload_of(60 * KIB)), HF_EFULL);
    assert_int_equal(try_delete(w, 2), 0);
    make_room();
    assert_int_equal(try_publish(w, "2"), 0);
    /* The leap of a new boot has been made before, at the latest now. */
    assert_true(head_of(r) == head + HF_HISTORY_LEAP + 1);
    hf_journal_close(r);
    hf_journal_close(w);
}

static void a_full_disk_kills_nobody_who_waits(void **state)
{
    struct hf_bell *bells[200];
    int i, fd;

    (void)state;
    assert_int_equal(hf_bell_open(&f.dir, &bells[0]), 0);
    leave_room(0);
    for (i = 1; i < 200; i++)
        assert_int_equal(hf_bell_open(&f.dir, &bells[i]), 0);
    for (i = 0; i < 200; i++) /* a store to each slot: no SIGBUS */
        assert_int_equal(hf_bell_claim(bells[i], &fd), 0);
    for (i = 0; i < 200; i++)
        hf_bell_close(bells[i]);
}

static int64_t blocks_of_bells(void)
{
    struct stat st;

    assert_int_equal(fstatat(f.dir.fd, HF_FILE_BELLS, &st, 0), 0);
    return st.st_blocks;
}

static void bells_are_never_a_file_with_holes(void **state)
{
    struct hf_bell *bell;
    int64_t whole;
    int fd;

    (void)state;
    assert_int_equal(hf_bell_open(&f.dir, &bell), 0);
    hf_bell_close(bell);
    whole = blocks_of_bells();
    assert_true(whole > 0);
    /* As cp --sparse leaves them; then on a disk that cannot allocate. */
    for (refusal = 0;; refusal = EOPNOTSUPP) {
        fd = hf_dir_open_file(&f.dir, HF_FILE_BELLS);
        assert_int_equal(ftruncate(fd, 0), 0);
        if (!refusal)
            assert_int_equal(ftruncate(fd, 64 + HF_BELL_SLOTS * 64), 0);
        (void)close(fd);
        assert_int_equal(blocks_of_bells(), 0);
        assert_int_equal(hf_bell_open(&f.dir, &bell), 0);
        assert_int_equal(blocks_of_bells(), whole);
        hf_bell_close(bell);
        if (refusal)
            break;
    }
}

static void init_says_how_much_it_needs(void **state)
{
    char path[128];
    struct hf_why why = {""};
    bool existed;

    (void)state;
    (void)snprintf(path, sizeof(path), "%s/other", f.path);
    leave_room(2 * MIB);
    assert_int_equal(hf_dir_init(path, NULL, &existed, &why), HF_EFULL);
    assert_non_null(strstr(why.text, "8 MiB are needed"));
}

/* --- the two of each ----------------------------------------------------- */

static int set_up(void **state, bool on_real)
{
    int err;

    real = on_real;
    capacity = -1;
    refusal = 0;
    if (real && !have_real) {
        (void)fprintf(stderr, "no tmpfs can be mounted here: only the "
                              "simulated disk is tested\n");
        return 0; /* the test says that it is skipped */
    }
    if (real)
        (void)setenv("TMPDIR", getenv("HF_TEST_DISK"), 1);
    err = fixture_set_up(state);
    (void)unsetenv("TMPDIR");
    shim_reset();
    return err;
}

static int set_up_real(void **state)
{
    return set_up(state, true);
}

static int set_up_simulated(void **state)
{
    return set_up(state, false);
}

static int tear_down(void **state)
{
    if (real && !have_real)
        return 0;
    refusal = 0;
    make_room();
    shim_reset();
    return fixture_tear_down(state);
}

#define BOTH(name)                                                             \
    {#name "_simulated", name, set_up_simulated, tear_down, NULL},             \
    {                                                                          \
#name "_real", name##_real, set_up_real, tear_down, NULL               \
    }

#define OR_SKIP(name)                                                          \
    static void name##_real(void **state)                                      \
    {                                                                          \
        if (!have_real)                                                        \
            skip();                                                            \
        name(state);                                                           \
    }

OR_SKIP(a_disk_that_fills_up_is_refused_before_it_is_full)
OR_SKIP(a_write_without_room_is_undone_and_reading_goes_on)
OR_SKIP(deleting_is_the_way_out)
OR_SKIP(with_a_small_ballast_each_step_finds_an_empty_log)
OR_SKIP(a_quota_leaves_the_small_ballast_where_it_is)
OR_SKIP(where_nothing_can_be_allocated_it_is_written)
OR_SKIP(bells_are_never_a_file_with_holes)
OR_SKIP(a_full_disk_is_no_reason_not_to_start)
OR_SKIP(a_full_disk_kills_nobody_who_waits)
OR_SKIP(init_says_how_much_it_needs)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(a_disk_that_fills_up_is_refused_before_it_is_full),
        BOTH(a_write_without_room_is_undone_and_reading_goes_on),
        BOTH(deleting_is_the_way_out),
        BOTH(with_a_small_ballast_each_step_finds_an_empty_log),
        BOTH(a_quota_leaves_the_small_ballast_where_it_is),
        BOTH(where_nothing_can_be_allocated_it_is_written),
        BOTH(bells_are_never_a_file_with_holes),
        cmocka_unit_test_setup_teardown(
            what_is_no_lack_of_room_stops_nobody_and_is_tried_again,
            set_up_simulated, tear_down),
        cmocka_unit_test(one_rule_says_who_is_let_in),
        BOTH(a_full_disk_is_no_reason_not_to_start),
        BOTH(a_full_disk_kills_nobody_who_waits),
        BOTH(init_says_how_much_it_needs),
    };

    mount_real();
    shim_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * What programs that know nothing of us may do to those who wait: each case of
 * the table in schema/wake.h, with real processes.
 */
#include "schema/wake.h"

#include "wake_fixture.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/sys.h"

/* A bound, and what a busy machine may add to it, ms. */
#define LATE 300
#define SOON (0 + LATE)

/* --- a foreign program: plain SQLite, told line by line what to do -------- */

struct program {
    pid_t pid;
    FILE *to;
    FILE *from;
};

static int be_program(const char *path)
{
    sqlite3 *db;
    char line[4096];

    (void)alarm(30);
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL))
        return 1;
    while (fgets(line, sizeof(line), stdin)) {
        char *words = NULL;

        (void)sqlite3_exec(db, line, NULL, NULL, &words);
        printf("%s\n", words ? words : "");
        (void)fflush(stdout);
        sqlite3_free(words);
    }
    return sqlite3_close(db);
}

static struct program program_start(void)
{
    struct program program;
    int to[2], from[2];

    assert_int_equal(pipe2(to, O_CLOEXEC) | pipe2(from, O_CLOEXEC), 0);
    program.pid = fork();
    assert_true(program.pid >= 0);
    if (program.pid == 0) {
        (void)dup2(to[0], STDIN_FILENO);
        (void)dup2(from[1], STDOUT_FILENO);
        (void)execl("/proc/self/exe", "test_foreign", "program",
                    path_of(HF_FILE_JOURNAL), (char *)NULL);
        _exit(1);
    }
    assert_int_equal(close(to[0]) | close(from[1]), 0);
    program.to = fdopen(to[1], "w");
    program.from = fdopen(from[0], "r");
    assert_true(program.to && program.from);
    return program;
}

/* Words of its error, or "". */
static const char *program_try(struct program *program, const char *sql)
{
    static char words[256];

    assert_true(fprintf(program->to, "%s\n", sql) > 0);
    assert_int_equal(fflush(program->to), 0);
    assert_non_null(fgets(words, sizeof(words), program->from));
    words[strcspn(words, "\n")] = '\0';
    return words;
}

static void program_do(struct program *program, const char *sql)
{
    assert_string_equal(program_try(program, sql), "");
}

/* Closes its connection and ends, or is killed. */
static void program_end(struct program *program, bool killed)
{
    int status;

    if (killed)
        assert_int_equal(kill(program->pid, SIGKILL), 0);
    assert_int_equal(fclose(program->to), 0);
    assert_int_equal(waitpid(program->pid, &status, 0), program->pid);
    assert_int_equal(fclose(program->from), 0);
    assert_int_equal(status, killed ? SIGKILL : 0);
}

#define INSERT                                                                 \
    "INSERT INTO messages (topic, event, payload) VALUES ('a', 'b', '1');"

/* --- the watcher dies ----------------------------------------------------- */

/* The watcher sees the commit, and is killed before it can tell. */
static void a_watcher_killed_before_it_rings_loses_nothing(void **state)
{
    struct report r;
    struct waiter a, b;
    int fd, round;

    (void)state;
    for (round = 0; round < 2; round++) {
        uint64_t head = (uint64_t)round * 2 + 1;
        pid_t pid = start_sleeper("x", "", &fd, &r);

        assert_true(r.watching);
        waiter_open(&a, "a");
        waiter_open(&b, "a");
        run_for(round * 70); /* wherever in their half second */
        assert_int_equal(kill(pid, SIGSTOP), 0);
        insert("a");
        reap(pid, fd);
        assert_in_range(time_until(&a, head), 0, HF_WAKE_BACKSTOP_MS + LATE);
        assert_in_range(time_until(&b, head), 0, HF_WAKE_BACKSTOP_MS + LATE);
        run_for(HF_WAKE_BACKSTOP_MS + 50);
        assert_int_equal(hf_wake_watching(a.wake) + hf_wake_watching(b.wake),
                         1);
        insert("a"); /* and from then on as fast as before */
        assert_in_range(time_until(&a, head + 1), 0, SOON);
        assert_in_range(time_until(&b, head + 1), 0, SOON);
        waiter_close(&a);
        waiter_close(&b);
    }
}

/* Commits go on while one watcher after the other is killed. */
static void a_stream_survives_its_watchers(void **state)
{
    struct report r;
    struct waiter waiter;
    int64_t worst = 0;
    uint64_t head = 0;
    int fd, round;

    (void)state;
    for (round = 0; round < 2; round++) {
        pid_t pid = start_sleeper("x", "", &fd, &r);
        int i;

        assert_true(r.watching);
        waiter_open(&waiter, "a");
        for (i = 0; i < 30; i++) {
            int64_t took;

            if (i == 15)
                reap(pid, fd);
            insert("a");
            took = time_until(&waiter, ++head);
            worst = took > worst ? took : worst;
        }
        waiter_close(&waiter);
    }
    assert_in_range(worst, 0, HF_WAKE_BACKSTOP_MS + LATE);
}

/* --- files come and go ---------------------------------------------------- */

static void a_wal_that_the_last_close_removed_is_made_anew(void **state)
{
    struct program program = program_start();
    struct waiter waiter;
    struct stat st;

    (void)state;
    waiter_open(&waiter, "a");
    program_do(&program, INSERT);
    (void)time_until(&waiter, 1);
    waiter_close(&waiter);
    program_do(&program, INSERT);
    program_end(&program, false); /* the last one */
    assert_int_equal(stat(path_of(HF_FILE_JOURNAL "-wal"), &st), -1);

    waiter_open(&waiter, "a");
    assert_int_equal(head_of(waiter.journal), 2);
    run_for(20);
    program = program_start();
    program_do(&program, INSERT);
    assert_in_range(time_until(&waiter, 3), 0, SOON);
    program_end(&program, false); /* not the last one now */
    assert_int_equal(stat(path_of(HF_FILE_JOURNAL "-wal"), &st), 0);
    insert("a");
    assert_in_range(time_until(&waiter, 4), 0, SOON);
    waiter_close(&waiter);
}

/* Standard error goes to a file from here on; the lines of the log so far. */
static int log_fd = -1, stderr_copy;

static void log_catch(void)
{
    char name[] = "/tmp/holdfast-log.XXXXXX";

    (void)fflush(stderr);
    stderr_copy = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
    log_fd = mkstemp(name);
    assert_true(log_fd >= 0 && unlink(name) == 0);
    assert_true(dup2(log_fd, STDERR_FILENO) >= 0);
    hf_log_open("test", HF_LOG_WARN, false);
}

static void log_release(void)
{
    (void)dup2(stderr_copy, STDERR_FILENO);
    hf_close(&stderr_copy);
    hf_close(&log_fd);
}

static bool log_has(const char *words)
{
    char text[8192];
    ssize_t len = pread(log_fd, text, sizeof(text) - 1, 0);

    text[len < 0 ? 0 : len] = '\0';
    return strstr(text, words) != NULL;
}

static bool said_within(const char *words, int64_t ms)
{
    int64_t end_ms = hf_boot_ms() + ms;

    while (!log_has(words) && hf_boot_ms() < end_ms)
        run_for(10);
    return log_has(words);
}

/* Nothing is read in files that are no longer ours: refused, with words; who
 * waits is called once, to say so. */
static void replaced_files_are_refused_with_words(void **state)
{
    const char *names[] = {HF_FILE_JOURNAL "-wal", HF_FILE_JOURNAL};
    char aside[PATH_MAX];
    unsigned i;

    (void)state;
    (void)snprintf(aside, sizeof(aside), "%s/aside", f.path);
    for (i = 0; i < 2; i++) {
        struct waiter waiter;
        unsigned calls;
        bool said;

        waiter_open(&waiter, "a");
        insert("a");
        (void)time_until(&waiter, i + 1);
        foreign_close();
        run_for(50);
        calls = waiter.calls;
        log_catch();
        assert_int_equal(rename(path_of(names[i]), aside), 0);
        said = said_within("event=journal_replaced", SOON);
        said &= log_has("start them again");
        run_for(HF_WAKE_BACKSTOP_MS);
        log_release();
        assert_true(said);
        assert_int_equal(waiter.calls, calls + 1);
        waiter_close(&waiter); /* all of them are stopped ... */
        assert_int_equal(rename(aside, path_of(names[i])), 0);
        waiter_open(&waiter, "a"); /* ... and started again */
        assert_int_equal(head_of(waiter.journal), i + 1);
        waiter_close(&waiter);
    }
}

static void another_file_renamed_into_place_is_refused_with_words(void **state)
{
    struct waiter waiter;
    char copy[PATH_MAX], command[3 * PATH_MAX];
    bool said;

    (void)state;
    waiter_open(&waiter, "a");
    insert("a");
    (void)time_until(&waiter, 1);
    foreign_close();
    (void)snprintf(copy, sizeof(copy), "%s/copy", f.path);
    (void)snprintf(command, sizeof(command), "cp '%s' '%s'",
                   path_of(HF_FILE_JOURNAL), copy);
    assert_int_equal(system(command), 0);
    log_catch();
    assert_int_equal(rename(copy, path_of(HF_FILE_JOURNAL)), 0);
    said = said_within("event=journal_replaced", SOON);
    log_release();
    assert_true(said);
    waiter_close(&waiter);
}

/* How the others learn of it: from the watcher, or by looking themselves. */
static void replaced_files_are_noticed_by_those_who_do_not_watch(void **state)
{
    char aside[PATH_MAX];
    struct report r;
    unsigned round;

    (void)state;
    (void)snprintf(aside, sizeof(aside), "%s/aside", f.path);
    for (round = 0; round < 2; round++) {
        bool watched = round == 0;
        struct waiter waiter;
        int64_t took_ms;
        int fd;
        pid_t pid = start_sleeper("x", "", &fd, &r);

        assert_true(r.watching);
        waiter_open(&waiter, "a");
        run_for(50);
        waiter.calls = 0;
        if (!watched)
            assert_int_equal(kill(pid, SIGSTOP), 0);
        assert_int_equal(rename(path_of(HF_FILE_JOURNAL), aside), 0);
        took_ms = hf_boot_ms();
        while (waiter.calls == 0 && hf_boot_ms() < took_ms + 5000)
            run_for(10);
        took_ms = hf_boot_ms() - took_ms;
        reap(pid, fd);
        assert_in_range(took_ms, 0,
                        watched ? SOON : HF_WAKE_THOROUGH_MS + LATE);
        waiter_close(&waiter);
        assert_int_equal(rename(aside, path_of(HF_FILE_JOURNAL)), 0);
    }
}

/* --- checkpoints ---------------------------------------------------------- */

static void a_checkpoint_is_no_message_and_hides_none(void **state)
{
    static const char *const modes[] = {"PASSIVE", "TRUNCATE"};
    struct program program = program_start();
    struct waiter watcher, other;
    uint64_t head = 0;
    unsigned i;

    (void)state;
    waiter_open(&watcher, "a");
    waiter_open(&other, "a");
    for (i = 0; i < 2; i++) {
        char sql[64], both[256];
        uint64_t rung;
        unsigned calls;

        (void)snprintf(sql, sizeof(sql), "PRAGMA wal_checkpoint(%s);",
                       modes[i]);
        program_do(&program, INSERT);
        (void)time_until(&watcher, ++head);
        (void)time_until(&other, head);
        run_for(600); /* the ladder ends: nothing but the checkpoint moves */
        calls = watcher.calls + other.calls;
        rung = hf_wake_counts(other.wake).rung;
        program_do(&program, sql);
        run_for(HF_WAKE_BACKSTOP_MS + 100);
        /* Each may see once that the WAL begins anew; nobody is rung. */
        assert_in_range(watcher.calls + other.calls, calls, calls + 2);
        assert_int_equal(hf_wake_counts(other.wake).rung, rung);

        (void)snprintf(both, sizeof(both), INSERT "%s" INSERT, sql);
        program_do(&program, both); /* one right behind the other */
        head += 2;
        assert_in_range(time_until(&watcher, head), 0, SOON);
        assert_in_range(time_until(&other, head), 0, SOON);
    }
    assert_in_range(hf_wake_counts(other.wake).needless, 0, 3);
    program_end(&program, false);
    waiter_close(&other);
    waiter_close(&watcher);
}

/* --- other modes ---------------------------------------------------------- */

static void delete_mode_is_set_back_and_cannot_come_while_we_wait(void **state)
{
    struct program program = program_start();
    struct waiter waiter;

    (void)state;
    program_do(&program, "PRAGMA journal_mode = DELETE;");
    program_do(&program, INSERT);
    waiter_open(&waiter, "a");
    assert_int_equal(head_of(waiter.journal), 1);
    run_for(20);
    program_do(&program, INSERT); /* its connection has followed */
    assert_in_range(time_until(&waiter, 2), 0, SOON);
    assert_string_equal(program_try(&program, "PRAGMA journal_mode = DELETE;"),
                        "database is locked");
    program_do(&program, INSERT);
    assert_in_range(time_until(&waiter, 3), 0, SOON);
    program_end(&program, false);
    waiter_close(&waiter);
}

static void
a_writer_in_delete_mode_makes_an_opener_wait_or_say_why(void **state)
{
    struct program program = program_start();
    struct hf_journal *journal = NULL;
    struct hf_why why = {""};
    struct waiter waiter;

    (void)state;
    program_do(&program, "PRAGMA journal_mode = DELETE;");
    program_do(&program, "BEGIN EXCLUSIVE;" INSERT);
    assert_int_equal(
        hf_journal_open(&f.dir, &f.settings, HF_JOURNAL_READ, &journal, &why),
        HF_EBUSY);
    assert_non_null(strstr(why.text, "lock"));
    program_do(&program, "COMMIT;");
    waiter_open(&waiter, "a");
    assert_int_equal(head_of(waiter.journal), 1);
    program_do(&program, INSERT);
    assert_in_range(time_until(&waiter, 2), 0, SOON);
    program_end(&program, false);
    waiter_close(&waiter);
}

/* Locks that a script keeps beyond its transaction. It cannot have them while
 * we are there; has it got them before, we cannot open until it ends. */
static void an_exclusive_locker_is_kept_out_or_waited_for(void **state)
{
    struct program early = program_start(), late = program_start();
    struct hf_journal *journal = NULL;
    struct hf_why why = {""};
    struct waiter waiter;

    (void)state;
    waiter_open(&waiter, "a");
    program_do(&late, "SELECT count(*) FROM messages;"); /* as one of us */
    program_do(&early, "PRAGMA locking_mode = EXCLUSIVE;");
    program_do(&late, "PRAGMA locking_mode = EXCLUSIVE;");
    assert_string_equal(program_try(&early, INSERT), "database is locked");
    assert_string_equal(program_try(&late, INSERT), "database is locked");
    insert("a"); /* everybody else goes on */
    assert_in_range(time_until(&waiter, 1), 0, SOON);
    waiter_close(&waiter);
    foreign_close();
    program_end(&late, false);

    program_do(&early, INSERT);
    assert_int_equal(
        hf_journal_open(&f.dir, &f.settings, HF_JOURNAL_READ, &journal, &why),
        HF_EBUSY);
    assert_non_null(strstr(why.text, "lock"));
    program_end(&early, true); /* killed: its locks go with it */
    waiter_open(&waiter, "a");
    assert_int_equal(head_of(waiter.journal), 2);
    insert("a");
    assert_in_range(time_until(&waiter, 3), 0, SOON);
    waiter_close(&waiter);
}

/* --- a transaction held open ---------------------------------------------- */

static int64_t cpu_us(void)
{
    struct rusage usage;

    assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
    return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
           usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
}

/* One second of waiting and how often that looked. */
static uint64_t looks_of_a_second(const struct waiter *waiter)
{
    uint64_t before = hf_wake_counts(waiter->wake).looks;

    run_for(1000);
    return hf_wake_counts(waiter->wake).looks - before;
}

/* Whether its pages are still in its memory or already in the WAL. */
static void hold_open(const char *begin, bool rolled_back)
{
    struct program program = program_start();
    struct waiter watcher, other;
    int64_t cpu;

    waiter_open(&watcher, "a");
    waiter_open(&other, "a");
    run_for(20);
    program_do(&program, begin);
    run_for(1100); /* the ladder of what it wrote ends */
    cpu = cpu_us();
    assert_in_range(looks_of_a_second(&watcher), 1, 4);
    assert_in_range(looks_of_a_second(&other), 1, 4);
    cpu = cpu_us() - cpu;
    assert_in_range(cpu, 0, 600000); /* of 2 s, in turns of 5 ms, sanitized */
    assert_int_equal(watcher.calls + other.calls, 0);
    if (rolled_back)
        program_do(&program, "ROLLBACK;" INSERT);
    else
        program_do(&program, "COMMIT;");
    assert_in_range(time_until(&watcher, 1), 0, SOON);
    assert_in_range(time_until(&other, 1), 0, SOON);
    program_end(&program, false);
    waiter_close(&other);
    waiter_close(&watcher);
}

static void an_open_transaction_is_waited_for_without_haste(void **state)
{
    (void)state;
    hold_open("BEGIN IMMEDIATE;" INSERT, false);
}

#define LARGE                                                                  \
    "INSERT INTO messages (topic, event, payload)"                             \
    " SELECT 'z', 'b', '\"' || hex(zeroblob(20000)) || '\"' FROM"              \
    " (VALUES (1), (2), (3), (4), (5), (6), (7), (8), (9), (10));"

static void an_open_transaction_that_writes_is_too(void **state)
{
    (void)state;
    /* A page cache of ten pages spills into the WAL at once. */
    hold_open("PRAGMA cache_size = 10; BEGIN IMMEDIATE;" LARGE INSERT, false);
}

static void an_open_transaction_may_be_rolled_back(void **state)
{
    (void)state;
    hold_open("PRAGMA cache_size = 10; BEGIN IMMEDIATE;" LARGE INSERT, true);
}

/* --- no slot, no inotify -------------------------------------------------- */

/* All slots are taken: the bytes are locked by somebody. */
static void without_a_slot_the_journal_is_polled(void **state)
{
    struct waiter watcher, waiter;
    int fd, i;

    (void)state;
    waiter_open(&watcher, "x"); /* it sees, but cannot ring */
    fd = hf_dir_open_file(&f.dir, HF_FILE_BELLS);
    assert_true(fd >= 0);
    assert_int_equal(hf_lock_try(fd, 1, HF_BELL_SLOTS - 1), 0);
    waiter_open(&waiter, "a");
    run_for(20);
    for (i = 1; i <= 3; i++) {
        insert("a");
        assert_in_range(time_until(&waiter, (uint64_t)i), 0,
                        HF_WAKE_BACKSTOP_BARE_MS + LATE);
    }
    assert_true(hf_wake_counts(waiter.wake).backstop >= 2);
    assert_int_equal(hf_wake_counts(waiter.wake).rung, 0);
    waiter_close(&waiter);
    hf_close(&fd);
    waiter_close(&watcher);
}

/* The kernel's limit, not ours, and for this process alone: taking all that the
 * user has would harm the tests beside this one. */
static bool limit_inotify(const char *instances)
{
    static bool apart;
    int fd;
    bool ok;

    apart = apart || unshare(CLONE_NEWUSER) == 0;
    fd = open("/proc/sys/user/max_inotify_instances", O_WRONLY | O_CLOEXEC);
    ok = apart && fd >= 0 &&
         write(fd, instances, strlen(instances)) == (ssize_t)strlen(instances);
    if (fd >= 0)
        (void)close(fd);
    return ok;
}

static void lift_limit(int signal)
{
    (void)signal;
    (void)limit_inotify("16");
}

static bool can_limit_inotify(void)
{
    int status = 1;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0)
        _exit(!(limit_inotify("0") && inotify_init1(IN_CLOEXEC) < 0 &&
                limit_inotify("1") && inotify_init1(IN_CLOEXEC) >= 0));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status == 0;
}

static void with_all_inotify_instances_taken_too(void **state)
{
    struct report r;
    int64_t start_ms;
    pid_t pid;
    int out;

    (void)state;
    if (!can_limit_inotify()) {
        print_message("no user namespace is allowed here\n");
        skip();
    }
    pid = start_sleeper("a", "limited", &out, &r);
    assert_false(r.watching);
    run_for(20);
    start_ms = hf_boot_ms();
    insert("a");
    assert_true(reports(out, 1, 2000, &r));
    assert_in_range(hf_boot_ms() - start_ms, 0,
                    HF_WAKE_BACKSTOP_BARE_MS + LATE);
    assert_false(r.watching);
    assert_int_equal(kill(pid, SIGUSR1), 0);
    run_for(HF_WAKE_BACKSTOP_BARE_MS + 100);
    insert("a");
    assert_true(reports(out, 2, 2000, &r));
    assert_true(r.watching); /* as soon as it can be had */
    reap(pid, out);
}

#define WAKE_TEST(name)                                                        \
    cmocka_unit_test_setup_teardown(name, wake_set_up, wake_tear_down)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        WAKE_TEST(a_watcher_killed_before_it_rings_loses_nothing),
        WAKE_TEST(a_stream_survives_its_watchers),
        WAKE_TEST(a_wal_that_the_last_close_removed_is_made_anew),
        WAKE_TEST(replaced_files_are_refused_with_words),
        WAKE_TEST(another_file_renamed_into_place_is_refused_with_words),
        WAKE_TEST(replaced_files_are_noticed_by_those_who_do_not_watch),
        WAKE_TEST(a_checkpoint_is_no_message_and_hides_none),
        WAKE_TEST(delete_mode_is_set_back_and_cannot_come_while_we_wait),
        WAKE_TEST(a_writer_in_delete_mode_makes_an_opener_wait_or_say_why),
        WAKE_TEST(an_exclusive_locker_is_kept_out_or_waited_for),
        WAKE_TEST(an_open_transaction_is_waited_for_without_haste),
        WAKE_TEST(an_open_transaction_that_writes_is_too),
        WAKE_TEST(an_open_transaction_may_be_rolled_back),
        WAKE_TEST(without_a_slot_the_journal_is_polled),
        WAKE_TEST(with_all_inotify_instances_taken_too),
    };

    if (argc == 3 && strcmp(argv[1], "program") == 0)
        return be_program(argv[2]);
    if (argc == 5 && strcmp(argv[1], "sleeper") == 0) {
        if (strcmp(argv[4], "limited") == 0 &&
            (signal(SIGUSR1, lift_limit) == SIG_ERR || !limit_inotify("0")))
            return 1;
        return be_sleeper(argv[2], argv[3]);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}

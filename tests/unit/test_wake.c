#include "schema/wake.h"

#include "wake_fixture.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "schema/sessions.h"

/* inotify as a test wants it: none to be had, or with no events. */
static bool no_inotify, blind;
int __real_inotify_init1(int flags);
int __wrap_inotify_init1(int flags);
int __real_inotify_add_watch(int fd, const char *path, uint32_t mask);
int __wrap_inotify_add_watch(int fd, const char *path, uint32_t mask);

int __wrap_inotify_init1(int flags)
{
    if (!no_inotify)
        return __real_inotify_init1(flags);
    errno = EMFILE;
    return -1;
}

int __wrap_inotify_add_watch(int fd, const char *path, uint32_t mask)
{
    return __real_inotify_add_watch(fd, path, blind ? IN_DELETE_SELF : mask);
}

/* A disk that takes its time: what SQLite does between writing a commit, which
 * raises the event, and showing it. */
#define SLOW_SYNC_US 5000
static _Atomic int slow_syncs;
int fdatasync(int fd);

int fdatasync(int fd)
{
    if (slow_syncs)
        (void)usleep(SLOW_SYNC_US);
    return (int)syscall(SYS_fdatasync, fd);
}

static void a_foreign_insert_reaches_watcher_and_waiter(void **state)
{
    struct waiter first, second;
    int64_t i, slow = 0;

    (void)state;
    waiter_open(&first, "a");
    waiter_open(&second, "a");
    assert_true(hf_wake_watching(first.wake));
    assert_false(hf_wake_watching(second.wake));
    run_for(20);
    for (i = 1; i <= 20; i++) {
        insert("a");
        slow += time_until(&first, (uint64_t)i) > 200;
        slow += time_until(&second, (uint64_t)i) > 200;
    }
    assert_in_range(slow, 0, 2); /* a busy machine may be late, once */
    assert_true(hf_wake_counts(first.wake).noticed >= 15);
    assert_true(hf_wake_counts(second.wake).rung >= 15);
    waiter_close(&second);
    waiter_close(&first);
}

static void others_are_rung_for_their_topics_only(void **state)
{
    struct waiter watcher, other;
    struct hf_bell *bell;

    (void)state;
    waiter_open(&watcher, "a");
    waiter_open(&other, "b");
    run_for(20);
    insert("a");
    (void)time_until(&watcher, 1);
    run_for(50);
    assert_int_equal(hf_wake_counts(other.wake).rung, 0);
    run_past_backstop();
    insert("b");
    (void)time_until(&other, 2);
    assert_int_equal(hf_wake_counts(other.wake).rung, 1);
    assert_int_equal(hf_bell_open(&f.dir, &bell), 0);
    assert_int_equal(hf_bell_rung_through(bell), 2);
    hf_bell_close(bell);
    waiter_close(&other);
    waiter_close(&watcher);
}

static void our_commits_ring_by_themselves(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    struct waiter watcher, other;

    (void)state;
    waiter_open(&watcher, "x");
    waiter_open(&other, "a");
    run_past_backstop();
    publish(w, "a", "1");
    (void)time_until(&other, 1);
    assert_int_equal(hf_wake_counts(other.wake).rung, 1);
    (void)time_until(&watcher, 1);
    run_for(50);
    /* The watcher saw that it was rung and did not do it again. */
    assert_int_equal(hf_wake_counts(other.wake).needless, 0);
    waiter_close(&other);
    waiter_close(&watcher);
    hf_journal_close(w);
}

static void a_frame_rings_its_session(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    struct waiter watcher, other;
    uint64_t id;

    (void)state;
    waiter_open(&watcher, "x");
    waiter_open(&other, "session");
    run_past_backstop();
    assert_int_equal(hf_journal_begin(w), 0);
    assert_int_equal(hf_journal_draw(w, &id), 0);
    assert_int_equal(hf_frame_add(w, HF_STR("session"), id, HF_STR("t")), 0);
    assert_int_equal(hf_journal_commit(w), 0);
    (void)time_until(&other, id);
    assert_int_equal(hf_wake_counts(other.wake).rung, 1);

    /* Killed before it rang: the same by hand, past our commit. */
    run_past_backstop();
    foreign_ok("BEGIN IMMEDIATE;"
               "UPDATE sqlite_sequence SET seq = seq + 1;"
               "INSERT INTO frames (id, session, text)"
               " SELECT seq, 'session', 't' FROM sqlite_sequence; COMMIT");
    (void)time_until(&other, id + 1);
    assert_int_equal(hf_wake_counts(other.wake).rung, 2);
    waiter_close(&other);
    waiter_close(&watcher);
    hf_journal_close(w);
}

static void without_events_the_backstop_finds_it(void **state)
{
    struct waiter waiter;
    int64_t took_ms;

    (void)state;
    blind = true;
    waiter_open(&waiter, "a");
    run_for(1000); /* the ladder of the election ends */
    insert("a");
    took_ms = time_until(&waiter, 1);
    blind = false;
    assert_in_range(took_ms, 0, HF_WAKE_BACKSTOP_MS + 200);
    assert_int_equal(hf_wake_counts(waiter.wake).backstop, 1);
    waiter_close(&waiter);
}

static void without_inotify_the_journal_is_polled(void **state)
{
    struct waiter waiter;
    int64_t shortest_ms = INT64_MAX, longest_ms = 0, took_ms;
    uint64_t head;

    (void)state;
    no_inotify = true;
    waiter_open(&waiter, "a");
    assert_false(hf_wake_watching(waiter.wake));
    run_for(20);
    insert("a");
    (void)time_until(&waiter, 1);
    /* Nobody watches, so it looks as often as one without a slot. Each insert
     * comes right after a look, for the longest wait; a busy machine makes one
     * or the other come late. */
    for (head = 2; head < 7; head++) {
        insert("a");
        took_ms = time_until(&waiter, head);
        shortest_ms = took_ms < shortest_ms ? took_ms : shortest_ms;
        longest_ms = took_ms > longest_ms ? took_ms : longest_ms;
    }
    assert_in_range(longest_ms, HF_WAKE_BACKSTOP_BARE_MS - 50, 2000);
    assert_in_range(shortest_ms, 0, HF_WAKE_BACKSTOP_BARE_MS + 150);
    no_inotify = false;
    run_for(600);
    assert_true(hf_wake_watching(waiter.wake)); /* as soon as it can be had */
    waiter_close(&waiter);
}

static void the_next_takes_over_when_the_watcher_goes(void **state)
{
    struct waiter first, second;

    (void)state;
    waiter_open(&first, "a");
    waiter_open(&second, "a");
    run_for(20);
    waiter_close(&first);
    run_for(50); /* a goodbye is rung: no need to wait for the backstop */
    assert_true(hf_wake_watching(second.wake));
    insert("a");
    assert_in_range(time_until(&second, 1), 0, 300);
    waiter_close(&second);
}

/* Another process that is the watcher; killed without a word. */
static pid_t fork_watcher(void)
{
    int ready[2];
    char byte = 0;
    pid_t pid;

    assert_int_equal(pipe(ready), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct waiter waiter;

        (void)alarm(20); /* should the test fail before it is killed */
        if (hf_loop_new(&loop))
            _exit(1);
        waiter_open(&waiter, "a");
        byte = hf_wake_watching(waiter.wake);
        (void)!write(ready[1], &byte, 1);
        (void)hf_loop_run(loop);
        _exit(0);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(byte, 1);
    assert_int_equal(close(ready[0]) | close(ready[1]), 0);
    return pid;
}

static void the_next_takes_over_when_the_watcher_is_killed(void **state)
{
    pid_t pid = fork_watcher();
    struct waiter waiter;
    uint64_t head;

    (void)state;
    waiter_open(&waiter, "a");
    assert_false(hf_wake_watching(waiter.wake));
    /* The other process may be kept from its work until the backstop. */
    for (head = 0; hf_wake_counts(waiter.wake).rung == 0;) {
        assert_in_range(++head, 1, 5);
        run_past_backstop();
        insert("a");
        (void)time_until(&waiter, head);
    }
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    insert("a");
    assert_in_range(time_until(&waiter, ++head), 0, HF_WAKE_BACKSTOP_MS + 200);
    run_for(HF_WAKE_BACKSTOP_MS + 100);
    assert_true(hf_wake_watching(waiter.wake));
    insert("a");
    assert_in_range(time_until(&waiter, ++head), 0, 300);
    waiter_close(&waiter);
}

/* --- plain CGI: rung by a word ------------------------------------------- */

static void a_sleeper_is_rung_and_watches_when_nobody_does(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    struct report r = {0};
    struct waiter watcher;
    int fd, slow = 0;
    uint64_t i;
    pid_t pid;

    (void)state;
    waiter_open(&watcher, "x");
    run_for(20);
    pid = start_sleeper("a", blind ? "blind" : "", &fd, &r);
    assert_false(r.watching);
    assert_int_equal(access(path_of("bell.2.1"), F_OK), -1); /* no file */
    for (i = 1; i <= 20; i += 2) {
        publish(w, "a", "1"); /* by its own publisher */
        slow += !reports(fd, i, 300, &r);
        insert("a"); /* by the watcher */
        slow += !reports(fd, i + 1, 300, &r);
    }
    assert_in_range(slow, 0, 2);
    assert_true(r.counts.rung >= 15);
    assert_in_range(r.counts.needless, 0, 3);

    waiter_close(&watcher); /* rings its successor */
    assert_true(reports(fd, 0, 300, &r));
    insert("a");
    assert_true(reports(fd, 21, 300, &r));
    assert_true(r.watching);
    assert_true(r.counts.noticed >= 1);
    /* With eyes it sleeps on descriptors, and is heard all the same. */
    waiter_open(&watcher, "x");
    hf_wake_ring(watcher.wake, HF_STR("a"));
    assert_true(reports(fd, 21, 200, &r));
    waiter_close(&watcher);
    reap(pid, fd);
    hf_journal_close(w);
}

static void a_sleeper_without_a_bell_looks_at_the_backstop(void **state)
{
    struct report r = {0};
    int64_t start_ms;
    int fd;
    pid_t pid;

    (void)state;
    blind = true;
    pid = start_sleeper("a", blind ? "blind" : "", &fd, &r);
    run_for(1000); /* the ladder of the election ends */
    start_ms = hf_boot_ms();
    insert("a");
    assert_true(reports(fd, 1, 2000, &r));
    blind = false;
    assert_in_range(hf_boot_ms() - start_ms, 0, HF_WAKE_BACKSTOP_MS + 200);
    reap(pid, fd);
}

static void who_does_not_wait_does_nothing(void **state)
{
    struct waiter waiter;
    struct hf_bell *bell;
    struct hf_bell_owner owner;

    (void)state;
    waiter_open(&waiter, NULL);
    assert_int_equal(hf_bell_open(&f.dir, &bell), 0);
    assert_int_equal(hf_bell_owners(bell, &owner, 1), 0);
    insert("a");
    run_for(600);
    assert_int_equal(waiter.calls, 0);
    hf_wake_add(waiter.wake, HF_STR("a"));
    assert_int_equal(hf_bell_owners(bell, &owner, 1), 1);
    assert_true(hf_wake_watching(waiter.wake));
    hf_wake_drop(waiter.wake, HF_STR("a"));
    insert("a"); /* nobody asks any more */
    run_for(HF_WAKE_BACKSTOP_MS + 100);
    assert_int_equal(hf_bell_owners(bell, &owner, 1), 0);
    assert_false(hf_wake_watching(waiter.wake));
    insert("a");
    run_for(600);
    assert_int_equal(waiter.calls, 0);
    hf_bell_close(bell);
    waiter_close(&waiter);
}

/* So that those who wait look one right behind the other. */
static void backstops_of_all_come_at_the_same_moment(void **state)
{
    struct waiter first, second;
    uint64_t looks[2];
    int i, apart = 0;

    (void)state;
    waiter_open(&first, "a");
    run_for(170);
    waiter_open(&second, "a");
    run_for(1000); /* the ladder of the election ends */
    for (i = 0; i < 100; i++) {
        looks[0] = hf_wake_counts(first.wake).looks;
        looks[1] = hf_wake_counts(second.wake).looks;
        run_for(10);
        looks[0] = hf_wake_counts(first.wake).looks - looks[0];
        looks[1] = hf_wake_counts(second.wake).looks - looks[1];
        apart += looks[0] != looks[1];
    }
    assert_in_range(apart, 0, 1); /* unless it was interrupted just then */
    waiter_close(&second);
    waiter_close(&first);
}

static void what_comes_after_listen_is_told(void **state)
{
    struct waiter waiter;

    (void)state;
    waiter_open(&waiter, NULL);
    insert("a");
    hf_wake_add(waiter.wake, HF_STR("a"));
    waiter.head = head_of(waiter.journal); /* as its header says */
    assert_int_equal(waiter.head, 1);
    insert("a"); /* before the loop has turned once */
    (void)time_until(&waiter, 2);
    waiter_close(&waiter);
}

/* `grown` may leave, and that is the end of it. */
static void leave(void *ctx)
{
    struct waiter *waiter = ctx;

    waiter->calls++;
    hf_wake_drop(waiter->wake, HF_STR("a"));
}

static void the_callback_may_stop_listening(void **state)
{
    struct waiter waiter = {.journal = open_journal(HF_JOURNAL_READ)};

    (void)state;
    assert_int_equal(
        hf_wake_new(loop, &f.dir, waiter.journal, leave, &waiter, &waiter.wake),
        0);
    hf_wake_add(waiter.wake, HF_STR("a"));
    run_for(20);
    insert("a");
    run_for(50);
    insert("a");
    run_for(600);
    assert_int_equal(waiter.calls, 1);
    waiter_close(&waiter);
}

static void rows_of_one_commit_do_not_hide_those_of_the_next(void **state)
{
    struct waiter waiter;
    unsigned i;
    uint64_t slow = 0;

    (void)state;
    waiter_open(&waiter, "a");
    run_for(20);
    for (i = 1; i <= 100; i++) { /* two close to each other */
        insert("a");
        insert("a");
        slow += time_until(&waiter, 2 * i) > 200;
    }
    assert_in_range(slow, 0, 5);
    assert_in_range(hf_wake_counts(waiter.wake).backstop, 0, 5);
    waiter_close(&waiter);
}

static void count_ring(void *ctx)
{
    struct waiter *waiter = ctx;

    waiter->head++;
}

static void a_bell_without_rows_is_told_to_who_asked(void **state)
{
    struct waiter ringer, asked, other;

    (void)state;
    waiter_open(&ringer, "a");
    waiter_open(&asked, "a");
    waiter_open(&other, "a");
    hf_wake_on_ring(asked.wake, count_ring);
    run_for(20);
    hf_wake_ring(ringer.wake, HF_STR("a"));
    run_for(50);
    assert_true(asked.head >= 1);
    assert_int_equal(hf_wake_counts(asked.wake).needless, 1);
    assert_int_equal(asked.calls, 0); /* nothing has grown */
    assert_int_equal(other.calls, 0);
    hf_wake_ring(ringer.wake, HF_STR("b"));
    run_for(50);
    assert_int_equal(hf_wake_counts(asked.wake).needless, 1);
    insert("a"); /* a bell that comes with rows may have been meant for both */
    (void)time_until(&other, 1);
    run_for(20);
    assert_int_equal(asked.calls, 1);
    assert_true(asked.head >= 2); /* `grown` set 1, and this came after */
    asked.head = 0;
    run_for(HF_WAKE_THOROUGH_MS + 100); /* and now and then the backstop */
    assert_in_range(asked.head, 1, 2);
    waiter_close(&other);
    waiter_close(&asked);
    waiter_close(&ringer);
}

static void *insert_one(void *arg)
{
    insert("a");
    return arg;
}

static void a_slow_sync_does_not_hide_a_commit(void **state)
{
    struct waiter waiter;
    pthread_t thread;
    unsigned i, late = 0;

    (void)state;
    waiter_open(&waiter, "a");
    (void)foreign(); /* opened here, used there */
    run_for(20);
    slow_syncs = 1;
    for (i = 1; i <= 5; i++) {
        assert_int_equal(pthread_create(&thread, NULL, insert_one, NULL), 0);
        late += time_until(&waiter, i) > 150;
        assert_int_equal(pthread_join(thread, NULL), 0);
    }
    slow_syncs = 0;
    assert_in_range(late, 0, 1); /* the backstop would be late each time */
    waiter_close(&waiter);
}

static void only_who_watches_sleeps_exactly(void **state)
{
    int slack = prctl(PR_GET_TIMERSLACK);
    struct waiter waiter;

    (void)state;
    assert_true(slack > 1);
    waiter_open(&waiter, "a");
    assert_true(hf_wake_watching(waiter.wake));
    assert_int_equal(prctl(PR_GET_TIMERSLACK), 1);
    waiter_close(&waiter);
    assert_int_equal(prctl(PR_GET_TIMERSLACK), slack);
}

static struct hf_journal *publisher;

static void *publish_one(void *arg)
{
    publish(publisher, "a", "1");
    return arg;
}

/* How often the watcher looked until it was told of one commit, and glanced. */
static struct hf_wake_counts looks_for(struct waiter *waiter,
                                       void *(*write_one)(void *))
{
    struct hf_wake_counts before = hf_wake_counts(waiter->wake);
    struct hf_wake_counts counts;
    uint64_t head = waiter->head;
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, write_one, NULL), 0);
    (void)time_until(waiter, head + 1);
    assert_int_equal(pthread_join(thread, NULL), 0);
    counts = hf_wake_counts(waiter->wake);
    counts.looks -= before.looks;
    counts.glances -= before.glances;
    return counts;
}

static void only_a_foreign_commit_is_looked_for_without_sleep(void **state)
{
    struct waiter waiter;
    struct hf_wake_counts ours, foreigns;
    uint64_t looks = 0, glances = 0;
    unsigned i;

    (void)state;
    publisher = open_journal(HF_JOURNAL_WRITE);
    waiter_open(&waiter, "a");
    (void)foreign();
    run_for(600); /* the ladder of the election ends */
    slow_syncs = 1;
    for (i = 0; i < 5; i++) {
        foreigns = looks_for(&waiter, insert_one);
        glances += foreigns.glances;
        run_for(50); /* the budget is enough for all of them */
        ours = looks_for(&waiter, publish_one);
        looks += ours.looks;
        assert_int_equal(ours.glances, 0);
        run_for(50);
    }
    slow_syncs = 0;
    /* Steps that double are ten to five milliseconds. */
    assert_in_range(looks, 5, 5 * 20);
    assert_in_range(glances, 5 * 100, UINT32_MAX); /* thousands, undisturbed */
    waiter_close(&waiter);
    hf_journal_close(publisher);
}

static int set_up(void **state)
{
    no_inotify = blind = false;
    return wake_set_up(state);
}

#define WAKE_TEST(name)                                                        \
    cmocka_unit_test_setup_teardown(name, set_up, wake_tear_down)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        WAKE_TEST(a_foreign_insert_reaches_watcher_and_waiter),
        WAKE_TEST(others_are_rung_for_their_topics_only),
        WAKE_TEST(our_commits_ring_by_themselves),
        WAKE_TEST(a_frame_rings_its_session),
        WAKE_TEST(without_events_the_backstop_finds_it),
        WAKE_TEST(without_inotify_the_journal_is_polled),
        WAKE_TEST(the_next_takes_over_when_the_watcher_goes),
        WAKE_TEST(the_next_takes_over_when_the_watcher_is_killed),
        WAKE_TEST(a_sleeper_is_rung_and_watches_when_nobody_does),
        WAKE_TEST(a_sleeper_without_a_bell_looks_at_the_backstop),
        WAKE_TEST(who_does_not_wait_does_nothing),
        WAKE_TEST(backstops_of_all_come_at_the_same_moment),
        WAKE_TEST(what_comes_after_listen_is_told),
        WAKE_TEST(the_callback_may_stop_listening),
        WAKE_TEST(rows_of_one_commit_do_not_hide_those_of_the_next),
        WAKE_TEST(a_bell_without_rows_is_told_to_who_asked),
        WAKE_TEST(a_slow_sync_does_not_hide_a_commit),
        WAKE_TEST(only_who_watches_sleeps_exactly),
        WAKE_TEST(only_a_foreign_commit_is_looked_for_without_sleep),
    };

    if (argc == 5 && strcmp(argv[1], "sleeper") == 0) {
        blind = argv[4][0] != '\0';
        return be_sleeper(argv[2], argv[3]);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}

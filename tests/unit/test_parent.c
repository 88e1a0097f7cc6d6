#include "sidecar/parent.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

#define QUIT_MS 300

/* Workers tell their process id through it; and what happens to them. */
static int told[2];

#define STOPPING -1 /* the parent */
#define HUNG_UP  -2 /* a worker was sent SIGHUP */
#define HURRIED  -3 /* SIGQUIT */
#define LOOKED   -4 /* the parent, now and then */

static int tell(void)
{
    pid_t self = getpid();

    return write(told[1], &self, sizeof(self)) == sizeof(self) ? 0 : 1;
}

static void say(pid_t what)
{
    (void)!write(told[1], &what, sizeof(what));
}

/* The process id of the next worker that starts; 0 when none does. */
static pid_t next_worker(int timeout_ms)
{
    struct pollfd poll_told = {.fd = told[0], .events = POLLIN};
    pid_t worker = 0;

    if (poll(&poll_told, 1, timeout_ms) == 1)
        assert_int_equal(read(told[0], &worker, sizeof(worker)),
                         sizeof(worker));
    return worker;
}

static void tell_stopping(void *ctx)
{
    (void)ctx;
    assert_int_equal(write(told[1], &(pid_t){STOPPING}, sizeof(pid_t)),
                     sizeof(pid_t));
}

/* What the next parent looks at now and then; NULL: nothing. */
static int64_t (*look)(void *ctx);

/* Started as a process of its own. */
static pid_t start_parents(int (*work)(void *ctx, unsigned worker),
                           unsigned workers, int64_t stop_ms)
{
    struct hf_parent_job job = {
        .workers = workers,
        .stop_ms = stop_ms,
        .quit_ms = QUIT_MS,
        .work = work,
        .stopping = tell_stopping,
        .look = look,
    };
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0)
        _exit(hf_parent_run(&job));
    return pid;
}

static pid_t start_parent(int (*work)(void *ctx, unsigned worker))
{
    return start_parents(work, 1, 15000);
}

static int exit_status(pid_t pid)
{
    int status = 0;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* Within five seconds. An orphan is ours to reap, see main; its process id is
 * not used again so soon. */
static bool is_gone(pid_t pid)
{
    int tries = 500;

    while (waitpid(pid, NULL, WNOHANG) != pid && kill(pid, 0) == 0 &&
           --tries > 0)
        usleep(10000);
    return tries > 0;
}

/* --- workers --------------------------------------------------------------- */

static int next_told(void)
{
    sigset_t set;
    int signal;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGHUP);
    (void)sigaddset(&set, SIGQUIT);
    (void)sigwait(&set, &signal);
    return signal;
}

static int serve_until_told(void *ctx, unsigned worker)
{
    int signal;

    (void)ctx;
    (void)worker;
    (void)tell();
    while ((signal = next_told()) == SIGHUP)
        say(HUNG_UP);
    return 0;
}

/* Takes its time: ends when it is to hurry. */
static int leave_slowly(void *ctx, unsigned worker)
{
    (void)ctx;
    (void)worker;
    (void)tell();
    while (next_told() != SIGQUIT)
        ; /* later */
    say(HURRIED);
    return 0;
}

static int never_end(void *ctx, unsigned worker)
{
    (void)ctx;
    (void)worker;
    (void)tell();
    while (next_told() > 0)
        ; /* never mind */
    return 0;
}

/* The second one dies young, the first one lives. */
static int fail_if_second(void *ctx, unsigned worker)
{
    return worker == 1 ? (void)tell(), 1 : serve_until_told(ctx, worker);
}

static int never_start_if_second(void *ctx, unsigned worker)
{
    return worker == 1 ? HF_WORKER_UNABLE : serve_until_told(ctx, worker);
}

static int never_start(void *ctx, unsigned worker)
{
    (void)ctx;
    (void)worker;
    (void)tell();
    return HF_WORKER_UNABLE;
}

static int fail_at_once(void *ctx, unsigned worker)
{
    (void)ctx;
    (void)worker;
    (void)tell();
    return 1;
}

/* --- tests ----------------------------------------------------------------- */

static void a_worker_that_was_killed_is_replaced_at_once(void **state)
{
    pid_t parent = start_parent(serve_until_told);
    pid_t first = next_worker(5000);
    int64_t killed_ms;
    pid_t second;

    (void)state;
    assert_true(first > 0);
    killed_ms = hf_boot_ms();
    assert_int_equal(kill(first, SIGKILL), 0);
    second = next_worker(5000);
    assert_true(second > 0 && second != first);
    assert_true(hf_boot_ms() - killed_ms < 1000);
    assert_int_equal(kill(parent, SIGTERM), 0);
    assert_int_equal(exit_status(parent), 0);
    assert_true(is_gone(second));
}

static void a_worker_that_was_asked_to_end_is_replaced(void **state)
{
    pid_t parent = start_parent(serve_until_told);
    pid_t first = next_worker(5000);

    (void)state;
    assert_int_equal(kill(first, SIGTERM), 0);
    assert_true(next_worker(5000) > 0);
    assert_int_equal(kill(parent, SIGINT), 0);
    assert_int_equal(exit_status(parent), 0);
}

static void a_worker_ends_when_its_parent_is_killed(void **state)
{
    pid_t parent = start_parent(serve_until_told);
    pid_t worker = next_worker(5000);

    (void)state;
    assert_int_equal(kill(parent, SIGKILL), 0);
    assert_int_equal(exit_status(parent), -SIGKILL);
    assert_true(is_gone(worker));
}

static void a_first_worker_that_cannot_start_is_not_replaced(void **state)
{
    pid_t parent = start_parent(never_start);

    (void)state;
    assert_true(next_worker(5000) > 0);
    assert_int_equal(exit_status(parent), 1);
    assert_int_equal(next_worker(0), STOPPING);
    assert_int_equal(next_worker(0), 0);
}

/* At 0, 0, 100, 300, 700, 1500 ms and so on; forks take time of their own. */
static void workers_that_die_young_follow_each_other_ever_slower(void **state)
{
    pid_t parent = start_parent(fail_at_once);
    int64_t end_ms = hf_boot_ms() + 1400;
    int64_t left_ms = 1400;
    int started = 0;

    (void)state;
    while (left_ms > 0 && next_worker((int)left_ms) > 0) {
        started++;
        left_ms = end_ms - hf_boot_ms();
    }
    assert_in_range(started, 3, 5);
    assert_int_equal(kill(parent, SIGTERM), 0); /* ends the pause, too */
    assert_int_equal(exit_status(parent), 0);
    assert_true(hf_boot_ms() - end_ms < 1000);
}

static void workers_are_replaced_each_for_itself(void **state)
{
    pid_t parent = start_parents(serve_until_told, 3, 15000);
    pid_t first[3], next;
    int i;

    (void)state;
    for (i = 0; i < 3; i++)
        assert_true((first[i] = next_worker(5000)) > 0);
    assert_int_equal(kill(first[1], SIGKILL), 0);
    next = next_worker(5000);
    assert_true(next > 0);
    assert_int_equal(next_worker(300), 0); /* the others live on */
    assert_int_equal(kill(first[0], 0), 0);
    assert_int_equal(kill(first[2], 0), 0);
    assert_int_equal(kill(parent, SIGTERM), 0);
    assert_int_equal(exit_status(parent), 0);
    assert_true(is_gone(first[0]) && is_gone(first[2]) && is_gone(next));
}

static void one_that_dies_young_does_not_slow_the_others(void **state)
{
    pid_t parent = start_parents(fail_if_second, 2, 15000);
    int64_t end_ms = hf_boot_ms() + 1400;
    int64_t left_ms = 1400;
    int started = 0;

    (void)state;
    while (left_ms > 0 && next_worker((int)left_ms) > 0) {
        started++;
        left_ms = end_ms - hf_boot_ms();
    }
    assert_in_range(started, 4, 6); /* one, and those in the other's place */
    assert_int_equal(kill(parent, SIGTERM), 0);
    assert_int_equal(exit_status(parent), 0);
}

static void if_one_of_several_cannot_start_all_end(void **state)
{
    pid_t parent = start_parents(never_start_if_second, 2, 15000);

    (void)state;
    assert_int_equal(exit_status(parent), 1);
}

static void a_hang_up_is_passed_on_to_all(void **state)
{
    pid_t parent = start_parents(serve_until_told, 2, 15000);

    (void)state;
    assert_true(next_worker(5000) > 0);
    assert_true(next_worker(5000) > 0);
    assert_int_equal(kill(parent, SIGHUP), 0);
    assert_int_equal(next_worker(5000), HUNG_UP);
    assert_int_equal(next_worker(5000), HUNG_UP);
    assert_int_equal(kill(parent, SIGTERM), 0);
    assert_int_equal(next_worker(5000), STOPPING);
    assert_int_equal(exit_status(parent), 0);
}

/* In the parent, of which each test has one of its own. */
static int64_t enough_at_the_third_look(void *ctx)
{
    static int looks;

    (void)ctx;
    say(LOOKED);
    return ++looks == 3 ? -1 : 20;
}

static void the_parent_ends_by_itself_when_it_has_seen_enough(void **state)
{
    pid_t parent;

    (void)state;
    look = enough_at_the_third_look;
    parent = start_parent(serve_until_told);
    look = NULL;
    /* The worker, which has its own pace, and three looks; then the end. */
    for (int looks = 0, left = 4; left > 0; left--) {
        looks += next_worker(5000) == LOOKED;
        assert_true(left > 1 || looks == 3);
    }
    assert_int_equal(next_worker(5000), STOPPING);
    assert_int_equal(exit_status(parent), 0);
}

static int64_t look_all_the_time(void *ctx)
{
    (void)ctx;
    return 1;
}

static void looking_keeps_no_worker_from_being_replaced(void **state)
{
    pid_t parent, first, second;

    (void)state;
    look = look_all_the_time;
    parent = start_parent(serve_until_told);
    look = NULL;
    first = next_worker(5000);
    assert_true(first > 0);
    assert_int_equal(kill(first, SIGKILL), 0);
    second = next_worker(5000);
    assert_true(second > 0 && second != first);
    assert_int_equal(kill(parent, SIGTERM), 0);
    assert_int_equal(exit_status(parent), 0);
}

static void told_twice_workers_are_to_hurry(void **state)
{
    static const int second[] = {SIGTERM, SIGINT, SIGQUIT};
    size_t i;

    (void)state;
    for (i = 0; i < 3; i++) {
        pid_t parent = start_parent(leave_slowly);

        assert_true(next_worker(5000) > 0);
        assert_int_equal(kill(parent, SIGTERM), 0);
        assert_int_equal(next_worker(5000), STOPPING);
        assert_int_equal(next_worker(300), 0);
        assert_int_equal(kill(parent, second[i]), 0);
        assert_int_equal(next_worker(5000), HURRIED);
        assert_int_equal(exit_status(parent), 0);
    }
}

/* As by timeout(1), or by Ctrl-C in a script that passes it on. */
static void told_twice_at_once_is_told_once(void **state)
{
    pid_t parent = start_parent(leave_slowly);

    (void)state;
    assert_true(next_worker(5000) > 0);
    assert_int_equal(kill(parent, SIGTERM), 0);
    assert_int_equal(next_worker(5000), STOPPING);
    assert_int_equal(kill(parent, SIGTERM), 0);
    assert_int_equal(next_worker(500), 0);
    assert_int_equal(kill(parent, SIGTERM), 0);
    assert_int_equal(next_worker(5000), HURRIED);
    assert_int_equal(exit_status(parent), 0);
}

static void told_to_quit_workers_hurry_at_once(void **state)
{
    pid_t parent = start_parent(leave_slowly);

    (void)state;
    assert_true(next_worker(5000) > 0);
    assert_int_equal(kill(parent, SIGQUIT), 0);
    assert_int_equal(next_worker(5000), STOPPING);
    assert_int_equal(next_worker(5000), HURRIED);
    assert_int_equal(exit_status(parent), 0);
}

static void those_who_take_too_long_are_to_hurry(void **state)
{
    pid_t parent = start_parents(leave_slowly, 1, 300);

    (void)state;
    assert_true(next_worker(5000) > 0);
    assert_int_equal(kill(parent, SIGTERM), 0);
    assert_int_equal(next_worker(5000), STOPPING);
    assert_int_equal(next_worker(5000), HURRIED);
    assert_int_equal(exit_status(parent), 0);
}

static void who_does_not_hurry_is_killed(void **state)
{
    int64_t began_ms = hf_boot_ms();
    pid_t parent = start_parents(never_end, 2, 100);
    pid_t first = next_worker(5000), second = next_worker(5000);

    (void)state;
    assert_true(first > 0 && second > 0);
    assert_int_equal(kill(parent, SIGTERM), 0);
    assert_int_equal(exit_status(parent), 0);
    assert_true(is_gone(first) && is_gone(second));
    assert_true(hf_boot_ms() - began_ms >= QUIT_MS);
}

static int make_pipe(void **state)
{
    (void)state;
    return pipe(told);
}

static int close_pipe(void **state)
{
    (void)state;
    close(told[0]);
    close(told[1]);
    return 0;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_pipe, close_pipe)
    const struct CMUnitTest tests[] = {
        TEST(a_worker_that_was_killed_is_replaced_at_once),
        TEST(a_worker_that_was_asked_to_end_is_replaced),
        TEST(a_worker_ends_when_its_parent_is_killed),
        TEST(a_first_worker_that_cannot_start_is_not_replaced),
        TEST(workers_that_die_young_follow_each_other_ever_slower),
        TEST(workers_are_replaced_each_for_itself),
        TEST(one_that_dies_young_does_not_slow_the_others),
        TEST(if_one_of_several_cannot_start_all_end),
        TEST(a_hang_up_is_passed_on_to_all),
        TEST(the_parent_ends_by_itself_when_it_has_seen_enough),
        TEST(looking_keeps_no_worker_from_being_replaced),
        TEST(told_twice_workers_are_to_hurry),
        TEST(told_twice_at_once_is_told_once),
        TEST(told_to_quit_workers_hurry_at_once),
        TEST(those_who_take_too_long_are_to_hurry),
        TEST(who_does_not_hurry_is_killed),
    };

    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    return cmocka_run_group_tests_name("parent", tests, NULL, NULL);
}

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

/* Workers tell their process id through it. */
static int told[2];

static int tell(void)
{
    pid_t self = getpid();

    return write(told[1], &self, sizeof(self)) == sizeof(self) ? 0 : 1;
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

/* Started as a process of its own. */
static pid_t start_parent(int (*work)(void *ctx))
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0)
        _exit(hf_parent_run(work, NULL));
    return pid;
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

static int serve_until_told(void *ctx)
{
    sigset_t set;
    int signal;

    (void)ctx;
    (void)tell();
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigwait(&set, &signal);
    return 0;
}

static int never_start(void *ctx)
{
    (void)ctx;
    (void)tell();
    return HF_WORKER_UNABLE;
}

static int fail_at_once(void *ctx)
{
    (void)ctx;
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
    };

    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    return cmocka_run_group_tests_name("parent", tests, NULL, NULL);
}

#include "base/passed.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"

static void say(pid_t pid, const char *count, const char *names)
{
    char number[16];

    (void)snprintf(number, sizeof(number), "%d", (int)pid);
    assert_int_equal(setenv("LISTEN_PID", number, 1), 0);
    assert_int_equal(setenv("LISTEN_FDS", count, 1), 0);
    assert_int_equal(names ? setenv("LISTEN_FDNAMES", names, 1)
                           : unsetenv("LISTEN_FDNAMES"),
                     0);
}

/* Puts it where the first one passed would be. */
static void pass(int fd)
{
    assert_true(fd >= 0);
    if (fd != HF_PASSED_FIRST) {
        assert_int_equal(dup2(fd, HF_PASSED_FIRST), HF_PASSED_FIRST);
        assert_int_equal(close(fd), 0);
    }
}

static void what_is_passed_to_us_is_counted_once(void **state)
{
    struct hf_passed passed;

    (void)state;
    say(getpid(), "2", NULL);
    assert_true(hf_passed_any());
    assert_true(hf_passed_any()); /* looking changes nothing */
    hf_passed_open(&passed);
    assert_int_equal(passed.count, 2);
    assert_null(passed.names);
    assert_false(hf_passed_is_named(&passed, 0, "tls"));
    hf_passed_release(&passed);
    assert_false(hf_passed_any()); /* nor by whom we start */
    hf_passed_open(&passed);
    assert_int_equal(passed.count, 0);
}

static void what_is_passed_to_others_is_not_ours(void **state)
{
    struct hf_passed passed;

    (void)state;
    say(getppid(), "1", "a");
    assert_false(hf_passed_any());
    hf_passed_open(&passed);
    assert_int_equal(passed.count, 0);
    assert_null(passed.names);
}

static void numbers_that_are_none_pass_nothing(void **state)
{
    static const char *const counts[] = {"", "0", "-1", "x", "1x", " "};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        say(getpid(), counts[i], NULL);
        assert_false(hf_passed_any());
    }
}

static void each_has_its_own_name(void **state)
{
    struct hf_passed passed;

    (void)state;
    say(getpid(), "3", "one:tls:three");
    hf_passed_open(&passed);
    assert_true(hf_passed_is_named(&passed, 0, "one"));
    assert_true(hf_passed_is_named(&passed, 1, "tls"));
    assert_true(hf_passed_is_named(&passed, 2, "three"));
    assert_false(hf_passed_is_named(&passed, 0, "on"));
    assert_false(hf_passed_is_named(&passed, 0, "tls"));
    assert_false(hf_passed_is_named(&passed, 1, "tlsx"));
    assert_false(hf_passed_is_named(&passed, 3, "three"));
    hf_passed_release(&passed);
}

static void a_listening_socket_becomes_ours(void **state)
{
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    (void)state;
    assert_int_equal(listen(fd, 1), -1); /* has no name yet */
    assert_int_equal(
        bind(fd, &(struct sockaddr){.sa_family = AF_UNIX}, sizeof(sa_family_t)),
        0);
    assert_int_equal(listen(fd, 1), 0);
    pass(fd);
    assert_int_equal(hf_passed_take(0), HF_PASSED_FIRST);
    assert_true(fcntl(HF_PASSED_FIRST, F_GETFL) & O_NONBLOCK);
    assert_int_equal(fcntl(HF_PASSED_FIRST, F_GETFD), FD_CLOEXEC);
}

static void anything_else_is_refused(void **state)
{
    (void)state;
    pass(open("/dev/null", O_RDONLY));
    assert_int_equal(hf_passed_take(0), HF_EINVAL);
    pass(socket(AF_UNIX, SOCK_STREAM, 0)); /* listens to nobody */
    assert_int_equal(hf_passed_take(0), HF_EINVAL);
    pass(socket(AF_UNIX, SOCK_DGRAM, 0));
    assert_int_equal(hf_passed_take(0), HF_EINVAL);
    assert_int_equal(hf_passed_take(900), HF_EINVAL); /* not open */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_passed_to_us_is_counted_once),
        cmocka_unit_test(what_is_passed_to_others_is_not_ours),
        cmocka_unit_test(numbers_that_are_none_pass_nothing),
        cmocka_unit_test(each_has_its_own_name),
        cmocka_unit_test(a_listening_socket_becomes_ours),
        cmocka_unit_test(anything_else_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

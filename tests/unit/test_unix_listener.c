#include "base/unix_listener.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <netinet/in.h>
#include <unistd.h>

#include "base/sys.h"

static char folder[64], path[96];

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof(folder), "/tmp/hf-listen.XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    (void)snprintf(path, sizeof(path), "%s/gateway.sock", folder);
    return 0;
}

static int tear_down(void **state)
{
    static const char *const names[] = {"", ".lock", ".new"};
    char name[128];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)snprintf(name, sizeof(name), "%s%s", path, names[i]);
        (void)unlink(name);
    }
    return rmdir(folder);
}

static bool connects(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int result;

    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    result = connect(fd, (struct sockaddr *)&address, sizeof(address));
    hf_close(&fd);
    return result == 0;
}

static bool exists(const char *suffix)
{
    char name[128];
    struct stat st;

    (void)snprintf(name, sizeof(name), "%s%s", path, suffix);
    return lstat(name, &st) == 0;
}

static void it_listens_for_owner_and_group(void **state)
{
    struct hf_unix_listener own;
    struct hf_why why = {{0}};
    struct stat st;
    mode_t before = umask(0);

    (void)state;
    assert_int_equal(
        hf_unix_listener_open(&own, path, 0660, 16, "gateway", &why), 0);
    assert_int_equal(umask(before), 0); /* put back */
    assert_true(connects());
    assert_int_equal(lstat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0660);
    assert_true(hf_is_unix_socket(own.fd));
    assert_true(fcntl(own.fd, F_GETFD) & FD_CLOEXEC);
    assert_false(exists(".new"));
    hf_unix_listener_close(&own);
    assert_false(exists(""));
}

static void two_cannot_have_the_same_path(void **state)
{
    struct hf_unix_listener first, second;
    struct hf_why why = {{0}};

    (void)state;
    assert_int_equal(
        hf_unix_listener_open(&first, path, 0660, 16, "gateway", &why), 0);
    assert_int_equal(
        hf_unix_listener_open(&second, path, 0660, 16, "gateway", &why),
        HF_EBUSY);
    assert_non_null(strstr(why.text, "another gateway"));
    assert_true(connects());
    hf_unix_listener_close(&first);
    assert_int_equal(
        hf_unix_listener_open(&first, path, 0660, 16, "gateway", &why), 0);
    hf_unix_listener_close(&first);
}

static void what_a_killed_process_left_is_replaced(void **state)
{
    struct hf_unix_listener own;
    struct hf_why why = {{0}};
    pid_t child = fork();
    int status;

    (void)state;
    if (child == 0) {
        if (hf_unix_listener_open(&own, path, 0660, 16, "gateway", &why) == 0)
            (void)kill(getpid(), SIGKILL);
        _exit(1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_true(exists(""));
    assert_false(connects());
    assert_int_equal(
        hf_unix_listener_open(&own, path, 0660, 16, "gateway", &why), 0);
    assert_true(connects());
    hf_unix_listener_close(&own);
}

/* The owner is killed; its worker, who has no lock, lives on for a while. */
static void a_killed_owners_worker_may_take_a_moment_to_end(void **state)
{
    struct hf_unix_listener own;
    struct hf_why why = {{0}};
    pid_t child = fork();
    int status;

    (void)state;
    if (child == 0) {
        if (hf_unix_listener_open(&own, path, 0660, 16, "gateway", &why))
            _exit(1);
        if (fork() == 0) {
            hf_close(&own.lock); /* before the owner goes, or it is held on */
            (void)kill(getppid(), SIGKILL);
            (void)usleep(400000);
            _exit(0);
        }
        for (;;)
            (void)pause();
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_true(connects());
    assert_int_equal(
        hf_unix_listener_open(&own, path, 0660, 16, "gateway", &why), 0);
    assert_true(connects());
    hf_unix_listener_close(&own);
}

static void somebody_elses_socket_is_left_alone(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct hf_why why = {{0}};
    struct hf_unix_listener own;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)state;
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 16), 0); /* nobody accepts here */
    assert_int_equal(
        hf_unix_listener_open(&own, path, 0660, 16, "gateway", &why), HF_EBUSY);
    assert_non_null(strstr(why.text, "another program"));
    assert_true(connects());
    hf_close(&fd);
}

static void a_file_is_left_alone(void **state)
{
    struct hf_why why = {{0}};
    struct hf_unix_listener own;
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

    (void)state;
    assert_true(fd >= 0);
    hf_close(&fd);
    assert_int_equal(
        hf_unix_listener_open(&own, path, 0660, 16, "gateway", &why),
        HF_EINVAL);
    assert_true(exists(""));
}

/* A newer one that took the path, by whatever means, keeps its socket. */
static void only_our_own_socket_is_removed(void **state)
{
    struct hf_unix_listener own;
    struct hf_why why = {{0}};
    int fd;

    (void)state;
    assert_int_equal(
        hf_unix_listener_open(&own, path, 0660, 16, "gateway", &why), 0);
    assert_int_equal(unlink(path), 0);
    fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    hf_close(&fd);
    hf_unix_listener_close(&own);
    assert_true(exists(""));
}

static void a_look_says_what_opening_would_meet(void **state)
{
    struct hf_unix_listener own;
    struct hf_why why = {{0}};
    char text[200];
    int fd;

    (void)state;
    assert_int_equal(hf_unix_listener_look(path, &why), 0);
    assert_false(exists(".lock"));
    assert_int_equal(
        hf_unix_listener_open(&own, path, 0660, 16, "gateway", &why), 0);
    assert_int_equal(hf_unix_listener_look(path, &why), HF_EBUSY);
    hf_close(&own.fd); /* as a killed process leaves it */
    assert_int_equal(hf_unix_listener_look(path, &why), 0);
    hf_unix_listener_close(&own);

    fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    hf_close(&fd);
    assert_int_equal(hf_unix_listener_look(path, &why), HF_EINVAL);
    assert_non_null(strstr(why.text, "is not a socket"));
    memset(text, 'x', sizeof(text));
    text[104] = '\0';
    assert_int_equal(hf_unix_listener_look(text, &why), HF_EINVAL);
    assert_non_null(strstr(why.text, "too long"));
    (void)snprintf(text, sizeof(text), "%s/none/gateway.sock", folder);
    assert_int_equal(hf_unix_listener_look(text, &why), HF_ENOTFOUND);
    assert_non_null(strstr(why.text, "none: No such file"));
}

static void a_path_that_cannot_be_is_explained(void **state)
{
    struct hf_why why = {{0}};
    struct hf_unix_listener own;
    char text[200];

    (void)state;
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    assert_int_equal(
        hf_unix_listener_open(&own, text, 0660, 16, "gateway", &why),
        HF_EINVAL);
    assert_non_null(strstr(why.text, "bytes"));
    text[104] = '\0'; /* fits, but not with its lock */
    assert_int_equal(
        hf_unix_listener_open(&own, text, 0660, 16, "gateway", &why),
        HF_EINVAL);
    assert_int_equal(hf_unix_listener_open(&own, "", 0660, 16, "gateway", &why),
                     HF_EINVAL);
    (void)snprintf(text, sizeof(text), "%s/none/gateway.sock", folder);
    assert_int_equal(
        hf_unix_listener_open(&own, text, 0660, 16, "gateway", &why), HF_EIO);
    assert_non_null(strstr(why.text, "No such file"));
}

static void a_tcp_socket_is_told_from_a_unix_one(void **state)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)state;
    assert_false(hf_is_unix_socket(fd));
    hf_close(&fd);
    assert_false(hf_is_unix_socket(-1));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_listens_for_owner_and_group),
        TEST(two_cannot_have_the_same_path),
        TEST(what_a_killed_process_left_is_replaced),
        TEST(a_killed_owners_worker_may_take_a_moment_to_end),
        TEST(somebody_elses_socket_is_left_alone),
        TEST(a_file_is_left_alone),
        TEST(only_our_own_socket_is_removed),
        TEST(a_look_says_what_opening_would_meet),
        TEST(a_path_that_cannot_be_is_explained),
        TEST(a_tcp_socket_is_told_from_a_unix_one),
    };

    return cmocka_run_group_tests_name("listen", tests, NULL, NULL);
}

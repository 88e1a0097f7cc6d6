#include "sidecar/listen.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static struct hf_dir dir;

/* An empty directory; hf_dir_open would want a journal in it. */
static int make_dir(void **state)
{
    (void)state;
    (void)strcpy(dir.path, "/tmp/hf-listen-XXXXXX");
    if (!mkdtemp(dir.path))
        return -1;
    dir.fd = open(dir.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    dir.file_mode = 0600;
    return dir.fd < 0 ? -1 : 0;
}

static int remove_dir(void **state)
{
    static const char *const names[] = {"s.sock", "s.sock.lock", "s.sock.new",
                                        "file", "file.lock"};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        (void)unlinkat(dir.fd, names[i], 0);
    (void)rmdir(dir.path);
    hf_dir_close(&dir);
    return 0;
}

/* 0 or -1 */
static int connect_unix(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    int result;

    assert_true(fd >= 0);
    assert_in_range(snprintf(address.sun_path, sizeof(address.sun_path),
                             "%s/%s", dir.path, name),
                    1, sizeof(address.sun_path) - 1);
    result = connect(fd, (struct sockaddr *)&address, sizeof(address));
    close(fd);
    return result;
}

static bool exists(const char *name)
{
    return faccessat(dir.fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void open_unix(struct hf_listener *listener)
{
    struct hf_why why = {.text = ""};

    if (hf_listener_open(listener, &dir, "unix:s.sock", &why))
        fail_msg("%s", why.text);
}

/* -------------------------------------------------------------------------- */

static void a_unix_socket_lies_in_the_directory_with_its_mode(void **state)
{
    static const mode_t modes[] = {0600, 0660};
    struct hf_listener listener;
    struct stat st;
    size_t i;

    (void)state;
    for (i = 0; i < 2; i++) {
        dir.file_mode = modes[i];
        open_unix(&listener);
        assert_true(listener.is_unix);
        assert_false(listener.loopback); /* the web server's names are ours */
        assert_string_equal(listener.address, "unix:s.sock");
        assert_int_equal(fstatat(dir.fd, "s.sock", &st, 0), 0);
        assert_true(S_ISSOCK(st.st_mode));
        assert_int_equal(st.st_mode & 0777, modes[i]);
        assert_int_equal(connect_unix("s.sock"), 0);
        assert_false(exists("s.sock.new"));
        hf_listener_close(&listener);
        assert_false(exists("s.sock"));
    }
}

static void a_second_one_is_refused_and_harms_nothing(void **state)
{
    struct hf_why why = {.text = ""};
    struct hf_listener first, second;

    (void)state;
    open_unix(&first);
    assert_int_equal(hf_listener_open(&second, &dir, "unix:s.sock", &why),
                     HF_EBUSY);
    assert_non_null(strstr(why.text, "another side-car"));
    assert_int_equal(second.fd, -1);
    assert_int_equal(second.own.lock, -1);
    assert_int_equal(connect_unix("s.sock"), 0);
    hf_listener_close(&first);
}

/* As after kill -9: the file is there, and nobody listens. */
static void what_a_killed_process_left_is_replaced(void **state)
{
    struct hf_listener listener;

    (void)state;
    open_unix(&listener);
    close(listener.fd);
    close(listener.own.lock);
    assert_true(exists("s.sock"));
    assert_int_equal(connect_unix("s.sock"), -1);
    open_unix(&listener);
    assert_int_equal(connect_unix("s.sock"), 0);
    hf_listener_close(&listener);
}

static void a_child_that_disowns_it_leaves_the_name_alone(void **state)
{
    struct hf_listener parents, childs;

    (void)state;
    open_unix(&parents);
    childs = parents;
    childs.fd = dup(parents.fd);
    childs.own.lock = dup(parents.own.lock);
    hf_listener_disown(&childs);
    hf_listener_close(&childs);
    assert_int_equal(connect_unix("s.sock"), 0);
    hf_listener_close(&parents);
}

static void a_file_of_that_name_is_left_alone(void **state)
{
    struct hf_why why = {.text = ""};
    struct hf_listener listener;
    int fd = openat(dir.fd, "file", O_CREAT | O_WRONLY, 0600);

    (void)state;
    assert_int_equal(write(fd, "x", 1), 1);
    close(fd);
    assert_int_equal(hf_listener_open(&listener, &dir, "unix:file", &why),
                     HF_EINVAL);
    assert_non_null(strstr(why.text, "not a socket"));
    assert_true(exists("file"));
}

static void a_free_port_is_found_and_named(void **state)
{
    static const char *const hosts[] = {"127.0.0.1", "[::1]"};
    struct hf_why why = {.text = ""};
    struct hf_listener listener;
    size_t i;

    (void)state;
    for (i = 0; i < 2; i++) {
        char address[32];
        size_t len = strlen(hosts[i]);

        (void)snprintf(address, sizeof(address), "%s:0", hosts[i]);
        if (hf_listener_open(&listener, &dir, address, &why)) {
            /* a host without IPv6 */
            assert_int_equal(i, 1);
            continue;
        }
        assert_true(listener.loopback);
        assert_memory_equal(listener.address, hosts[i], len);
        assert_true(atoi(listener.address + len + 1) > 0);
        hf_listener_close(&listener);
    }
}

static void only_loopback_is_called_so(void **state)
{
    struct hf_why why = {.text = ""};
    struct hf_listener listener;

    (void)state;
    assert_int_equal(hf_listener_open(&listener, &dir, "0.0.0.0:0", &why), 0);
    assert_false(listener.loopback);
    hf_listener_close(&listener);
    assert_int_equal(hf_listener_open(&listener, &dir, "127.9.9.9:0", &why), 0);
    assert_true(listener.loopback);
    hf_listener_close(&listener);
}

static void a_port_in_use_is_reported_after_a_while(void **state)
{
    struct hf_why why = {.text = ""};
    struct hf_listener first, second;

    (void)state;
    assert_int_equal(hf_listener_open(&first, &dir, "127.0.0.1:0", &why), 0);
    assert_int_equal(hf_listener_open(&second, &dir, first.address, &why),
                     HF_EBUSY);
    assert_non_null(strstr(why.text, "in use"));
    hf_listener_close(&first);
}

/* As by a worker whose parent was killed a moment ago. */
static void a_port_that_is_about_to_be_free_is_waited_for(void **state)
{
    struct hf_why why = {.text = ""};
    struct hf_listener first, second;
    pid_t holder;

    (void)state;
    assert_int_equal(hf_listener_open(&first, &dir, "127.0.0.1:0", &why), 0);
    holder = fork();
    assert_true(holder >= 0);
    if (holder == 0) {
        usleep(200000);
        _exit(0);
    }
    close(first.fd);
    if (hf_listener_open(&second, &dir, first.address, &why))
        fail_msg("%s", why.text);
    assert_string_equal(second.address, first.address);
    hf_listener_close(&second);
    assert_int_equal(waitpid(holder, NULL, 0), holder);
}

static void nonsense_is_refused_with_an_example(void **state)
{
    static const char *const bad[] = {
        "",           "unix:",         "unix:a/b",     "unix:../x",
        "unix:.",     "4000",          ":4000",        "127.0.0.1",
        "127.0.0.1:", "127.0.0.1:x",   "127.0.0.1:-1", "127.0.0.1:65536",
        "::1:4000",   "[::1]",         "[::1:4000",    "localhost:4000",
        "[x]:4000",   "127.0.0.1:1 2", "127.0.1:4000", "127.0.0.1:+1",
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct hf_why why = {.text = ""};
        struct hf_listener listener;

        if (hf_listener_open(&listener, &dir, bad[i], &why) != HF_EINVAL)
            fail_msg("\"%s\" was taken", bad[i]);
        assert_non_null(strstr(why.text, "sidecar.sock"));
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_dir, remove_dir)
    const struct CMUnitTest tests[] = {
        TEST(a_unix_socket_lies_in_the_directory_with_its_mode),
        TEST(a_second_one_is_refused_and_harms_nothing),
        TEST(what_a_killed_process_left_is_replaced),
        TEST(a_child_that_disowns_it_leaves_the_name_alone),
        TEST(a_file_of_that_name_is_left_alone),
        TEST(a_free_port_is_found_and_named),
        TEST(only_loopback_is_called_so),
        TEST(a_port_in_use_is_reported_after_a_while),
        TEST(a_port_that_is_about_to_be_free_is_waited_for),
        TEST(nonsense_is_refused_with_an_example),
    };

    return cmocka_run_group_tests_name("listen", tests, NULL, NULL);
}

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

/* The first of `all`, for one worker. */
static int open_at(struct hf_listeners *all, const char *address,
                   struct hf_why *why)
{
    *all = (struct hf_listeners){.count = 0};
    return hf_listeners_add(all, &dir, address, 1, why);
}

static void open_unix(struct hf_listeners *listener)
{
    struct hf_why why = {.text = ""};

    if (open_at(listener, "unix:s.sock", &why))
        fail_msg("%s", why.text);
}

/* -------------------------------------------------------------------------- */

static void a_unix_socket_lies_in_the_directory_with_its_mode(void **state)
{
    static const mode_t modes[] = {0600, 0660};
    struct hf_listeners listener;
    struct stat st;
    size_t i;

    (void)state;
    for (i = 0; i < 2; i++) {
        dir.file_mode = modes[i];
        open_unix(&listener);
        assert_true(listener.at[0].is_unix);
        assert_false(
            listener.at[0].loopback); /* the web server's names are ours */
        assert_string_equal(listener.at[0].address, "unix:s.sock");
        assert_int_equal(fstatat(dir.fd, "s.sock", &st, 0), 0);
        assert_true(S_ISSOCK(st.st_mode));
        assert_int_equal(st.st_mode & 0777, modes[i]);
        assert_int_equal(connect_unix("s.sock"), 0);
        assert_false(exists("s.sock.new"));
        hf_listeners_close(&listener);
        assert_false(exists("s.sock"));
    }
}

static void a_second_one_is_refused_and_harms_nothing(void **state)
{
    struct hf_why why = {.text = ""};
    struct hf_listeners first, second;

    (void)state;
    open_unix(&first);
    assert_int_equal(open_at(&second, "unix:s.sock", &why), HF_EBUSY);
    assert_non_null(strstr(why.text, "another side-car"));
    assert_int_equal(second.at[0].fd, -1);
    assert_int_equal(second.at[0].own.lock, -1);
    assert_int_equal(connect_unix("s.sock"), 0);
    hf_listeners_close(&first);
}

/* As after kill -9: the file is there, and nobody listens. */
static void what_a_killed_process_left_is_replaced(void **state)
{
    struct hf_listeners listener;

    (void)state;
    open_unix(&listener);
    close(listener.at[0].fd);
    close(listener.at[0].own.lock);
    assert_true(exists("s.sock"));
    assert_int_equal(connect_unix("s.sock"), -1);
    open_unix(&listener);
    assert_int_equal(connect_unix("s.sock"), 0);
    hf_listeners_close(&listener);
}

static void a_child_that_disowns_it_leaves_the_name_alone(void **state)
{
    struct hf_listeners parents, childs;

    (void)state;
    open_unix(&parents);
    childs = parents;
    childs.at[0].fd = dup(parents.at[0].fd);
    childs.at[0].own.lock = dup(parents.at[0].own.lock);
    hf_listeners_take(&childs, 0);
    hf_listeners_close(&childs);
    assert_int_equal(connect_unix("s.sock"), 0);
    hf_listeners_close(&parents);
}

static void a_file_of_that_name_is_left_alone(void **state)
{
    struct hf_why why = {.text = ""};
    struct hf_listeners listener;
    int fd = openat(dir.fd, "file", O_CREAT | O_WRONLY, 0600);

    (void)state;
    assert_int_equal(write(fd, "x", 1), 1);
    close(fd);
    assert_int_equal(open_at(&listener, "unix:file", &why), HF_EINVAL);
    assert_non_null(strstr(why.text, "not a socket"));
    assert_true(exists("file"));
}

static void a_free_port_is_found_and_named(void **state)
{
    static const char *const hosts[] = {"127.0.0.1", "[::1]"};
    struct hf_why why = {.text = ""};
    struct hf_listeners listener;
    size_t i;

    (void)state;
    for (i = 0; i < 2; i++) {
        char address[32];
        size_t len = strlen(hosts[i]);

        (void)snprintf(address, sizeof(address), "%s:0", hosts[i]);
        if (open_at(&listener, address, &why)) {
            /* a host without IPv6 */
            assert_int_equal(i, 1);
            continue;
        }
        assert_true(listener.at[0].loopback);
        assert_memory_equal(listener.at[0].address, hosts[i], len);
        assert_true(atoi(listener.at[0].address + len + 1) > 0);
        hf_listeners_close(&listener);
    }
}

static void only_loopback_is_called_so(void **state)
{
    struct hf_why why = {.text = ""};
    struct hf_listeners listener;

    (void)state;
    assert_int_equal(open_at(&listener, "0.0.0.0:0", &why), 0);
    assert_false(listener.at[0].loopback);
    hf_listeners_close(&listener);
    assert_int_equal(open_at(&listener, "127.9.9.9:0", &why), 0);
    assert_true(listener.at[0].loopback);
    hf_listeners_close(&listener);
}

static void a_port_in_use_is_reported_after_a_while(void **state)
{
    struct hf_why why = {.text = ""};
    struct hf_listeners first, second;

    (void)state;
    assert_int_equal(open_at(&first, "127.0.0.1:0", &why), 0);
    assert_int_equal(open_at(&second, first.at[0].address, &why), HF_EBUSY);
    assert_non_null(strstr(why.text, "in use"));
    hf_listeners_close(&first);
}

/* As by a worker whose parent was killed a moment ago. */
static void a_port_that_is_about_to_be_free_is_waited_for(void **state)
{
    struct hf_why why = {.text = ""};
    struct hf_listeners first, second;
    pid_t holder;

    (void)state;
    assert_int_equal(open_at(&first, "127.0.0.1:0", &why), 0);
    holder = fork();
    assert_true(holder >= 0);
    if (holder == 0) {
        usleep(200000);
        _exit(0);
    }
    close(first.at[0].fd);
    if (open_at(&second, first.at[0].address, &why))
        fail_msg("%s", why.text);
    assert_string_equal(second.at[0].address, first.at[0].address);
    hf_listeners_close(&second);
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
        struct hf_listeners listener;

        if (open_at(&listener, bad[i], &why) != HF_EINVAL)
            fail_msg("\"%s\" was taken", bad[i]);
        assert_non_null(strstr(why.text, "sidecar.sock"));
    }
}

/* --- several workers ------------------------------------------------------- */

/* 0 or -1; the connection stays open, in *out. */
static int connect_tcp(const char *address, int *out)
{
    struct sockaddr_in to = {.sin_family = AF_INET};

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons((in_port_t)atoi(strrchr(address, ':') + 1));
    *out = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(*out >= 0);
    return connect(*out, (struct sockaddr *)&to, sizeof(to));
}

static unsigned accept_all(int fd)
{
    unsigned count = 0;
    int client;

    while ((client = accept(fd, NULL, NULL)) >= 0) {
        close(client);
        count++;
    }
    return count;
}

/* Also in the backlog of one that has died: the parent holds it. */
static void each_worker_gets_its_share_of_a_port(void **state)
{
    enum { CLIENTS = 200, WORKERS = 4 };
    struct hf_listeners all = {.count = 0};
    struct hf_why why = {.text = ""};
    int client[CLIENTS];
    unsigned sum = 0, i;

    (void)state;
    assert_int_equal(hf_listeners_add(&all, &dir, "127.0.0.1:0", WORKERS, &why),
                     0);
    assert_int_equal(all.at[0].others_count, WORKERS - 1);
    for (i = 0; i < CLIENTS; i++)
        assert_int_equal(connect_tcp(all.at[0].address, &client[i]), 0);
    for (i = 0; i < WORKERS; i++) {
        struct hf_listeners child = all;
        unsigned got, k;

        /* as after a fork, where closing is for the child alone */
        child.at[0].fd = dup(all.at[0].fd);
        for (k = 0; k < WORKERS - 1; k++)
            child.at[0].others[k] = dup(all.at[0].others[k]);
        hf_listeners_take(&child, i);
        assert_int_equal(child.at[0].others_count, 0);
        got = accept_all(child.at[0].fd);
        assert_in_range(got, CLIENTS / WORKERS / 3, CLIENTS / WORKERS * 2);
        sum += got;
        hf_listeners_close(&child);
    }
    assert_int_equal(sum, CLIENTS);
    for (i = 0; i < CLIENTS; i++)
        close(client[i]);
    hf_listeners_close(&all);
}

/* Who shares a port could take clients away from another. */
static void a_shared_port_is_not_shared_with_others(void **state)
{
    struct hf_listeners first = {.count = 0}, second = {.count = 0};
    struct hf_why why = {.text = ""};

    (void)state;
    assert_int_equal(hf_listeners_add(&first, &dir, "127.0.0.1:0", 2, &why), 0);
    assert_int_equal(
        hf_listeners_add(&second, &dir, first.at[0].address, 2, &why),
        HF_EBUSY);
    assert_int_equal(second.count, 0);
    hf_listeners_close(&first);
    assert_int_equal(
        hf_listeners_add(&second, &dir, first.at[0].address, 2, &why), 0);
    hf_listeners_close(&second);
}

static void several_addresses_are_named_in_their_order(void **state)
{
    struct hf_listeners all = {.count = 0};
    struct hf_why why = {.text = ""};
    char names[600], expected[600];
    unsigned i;

    (void)state;
    for (i = 0; i < HF_LISTENERS; i++)
        assert_int_equal(hf_listeners_add(&all, &dir,
                                          i ? "127.0.0.1:0" : "unix:s.sock", 1,
                                          &why),
                         0);
    assert_int_equal(hf_listeners_add(&all, &dir, "127.0.0.1:0", 1, &why),
                     HF_ELIMIT);
    assert_non_null(strstr(why.text, "more than 8"));
    hf_listeners_name(&all, names, sizeof(names));
    (void)snprintf(expected, sizeof(expected), "unix:s.sock,%s,%s,",
                   all.at[1].address, all.at[2].address);
    assert_memory_equal(names, expected, strlen(expected));
    hf_listeners_name(&all, names, 8);
    assert_string_equal(names, "unix:s.");
    hf_listeners_close(&all);
    hf_listeners_close(&all); /* nothing more */
    assert_false(exists("s.sock"));
}

/* --- passed by a service manager ------------------------------------------- */

/* Run it in a process whose descriptors 3 and so on are these, as systemd would
 * start it; its exit status. */
static int with_passed(const int *fds, int count, int (*run)(void))
{
    pid_t pid = fork();
    int status = 0, i;

    assert_true(pid >= 0);
    if (pid == 0) {
        char number[16];

        for (i = 0; i < count; i++) /* out of the way */
            if (fcntl(fds[i], F_DUPFD, 100 + i) != 100 + i)
                _exit(99);
        for (i = 0; i < count; i++)
            if (dup2(100 + i, 3 + i) < 0)
                _exit(99);
        (void)snprintf(number, sizeof(number), "%d", (int)getpid());
        (void)setenv("LISTEN_PID", number, 1);
        (void)snprintf(number, sizeof(number), "%d", count);
        (void)setenv("LISTEN_FDS", number, 1);
        _exit(run());
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int take_two(void)
{
    struct hf_listeners all = {.count = 0};
    struct hf_why why = {.text = ""};
    const struct hf_listener *tcp = &all.at[0], *own = &all.at[1];

    if (hf_listeners_add_passed(&all, &why) || all.count != 2)
        return 1;
    if (tcp->fd != 3 || !tcp->passed || tcp->is_unix || !tcp->loopback ||
        strncmp(tcp->address, "127.0.0.1:", 10) != 0)
        return 2;
    if (own->fd != 4 || !own->passed || !own->is_unix || own->loopback ||
        !strstr(own->address, "/s.sock"))
        return 3;
    if (fcntl(3, F_GETFD) != FD_CLOEXEC || !(fcntl(4, F_GETFL) & O_NONBLOCK))
        return 4;
    if (getenv("LISTEN_FDS") || getenv("LISTEN_PID"))
        return 5;
    hf_listeners_take(&all, 7); /* shared: whatever its number */
    if (all.at[0].fd != 3 || all.at[1].fd != 4)
        return 6;
    hf_listeners_close(&all);
    return 0;
}

static int take_none(void)
{
    struct hf_listeners all = {.count = 0};
    struct hf_why why = {.text = ""};

    (void)setenv("LISTEN_PID", "1", 1); /* for somebody else */
    return hf_listeners_add_passed(&all, &why) || all.count != 0;
}

static int refuse_it(void)
{
    struct hf_listeners all = {.count = 0};
    struct hf_why why = {.text = ""};

    return hf_listeners_add_passed(&all, &why) != HF_EINVAL || all.count != 0 ||
           !strstr(why.text, "descriptor 3");
}

static void sockets_that_were_passed_are_taken_as_they_are(void **state)
{
    struct hf_listeners tcp, own;
    struct hf_why why = {.text = ""};
    int fds[2];

    (void)state;
    assert_int_equal(open_at(&tcp, "127.0.0.1:0", &why), 0);
    open_unix(&own);
    fds[0] = tcp.at[0].fd;
    fds[1] = own.at[0].fd;
    assert_int_equal(with_passed(fds, 2, take_two), 0);
    assert_true(exists("s.sock")); /* it is not ours to remove */
    assert_int_equal(with_passed(fds, 2, take_none), 0);
    hf_listeners_close(&tcp);
    hf_listeners_close(&own);
}

static void what_was_passed_and_does_not_listen_is_refused(void **state)
{
    int fds[] = {socket(AF_INET, SOCK_STREAM, 0),
                 socket(AF_INET, SOCK_DGRAM, 0), open("/dev/null", O_RDONLY)};
    size_t i;

    (void)state;
    for (i = 0; i < 3; i++) {
        assert_true(fds[i] >= 0);
        assert_int_equal(with_passed(&fds[i], 1, refuse_it), 0);
        close(fds[i]);
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
        TEST(each_worker_gets_its_share_of_a_port),
        TEST(a_shared_port_is_not_shared_with_others),
        TEST(several_addresses_are_named_in_their_order),
        TEST(sockets_that_were_passed_are_taken_as_they_are),
        TEST(what_was_passed_and_does_not_listen_is_refused),
    };

    return cmocka_run_group_tests_name("listen", tests, NULL, NULL);
}

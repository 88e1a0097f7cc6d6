#include "schema/bell.h"

#include "schema_fixture.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>

static struct hf_bell *open_bell(void)
{
    struct hf_bell *bell = NULL;

    assert_int_equal(hf_bell_open(&f.dir, &bell), 0);
    return bell;
}

/* A bell that listens; *out_fd is readable when it is rung. */
static struct hf_bell *listener(uint64_t buckets, int *out_fd)
{
    struct hf_bell *bell = open_bell();

    assert_int_equal(hf_bell_claim(bell, out_fd), 0);
    hf_bell_listen(bell, buckets);
    return bell;
}

static bool is_rung(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

    return poll(&poll_fd, 1, 0) == 1;
}

static void a_ring_wakes_who_listens_to_the_bucket(void **state)
{
    int fd_a, fd_b;
    struct hf_bell *a = listener(1 | 4, &fd_a), *b = listener(2, &fd_b);
    struct hf_bell *publisher = open_bell();

    (void)state;
    hf_bell_ring(publisher, 8);
    assert_false(is_rung(fd_a));
    assert_false(is_rung(fd_b));
    hf_bell_ring(publisher, 4);
    assert_true(is_rung(fd_a));
    assert_false(is_rung(fd_b));
    hf_bell_drain(a);
    assert_false(is_rung(fd_a));
    hf_bell_ring(a, UINT64_MAX); /* every other one */
    assert_false(is_rung(fd_a));
    assert_true(is_rung(fd_b));
    hf_bell_drain(b);
    hf_bell_listen(b, 0);
    hf_bell_ring(publisher, UINT64_MAX);
    assert_false(is_rung(fd_b));
    hf_bell_close(publisher);
    hf_bell_close(b);
    hf_bell_close(a);
}

static void many_rings_are_one_and_none_waits(void **state)
{
    int fd, i;
    struct hf_bell *bell = listener(1, &fd), *publisher = open_bell();

    (void)state;
    for (i = 0; i < 10000; i++)
        hf_bell_ring(publisher, 1);
    assert_true(is_rung(fd));
    hf_bell_drain(bell);
    assert_false(is_rung(fd));
    hf_bell_close(publisher);
    hf_bell_close(bell);
}

static void buckets_are_the_same_in_every_version(void **state)
{
    uint64_t all = 0;
    char name[32];
    int i;

    (void)state;
    assert_true(hf_bell_bucket(HF_STR("")) == UINT64_C(1) << 1);
    assert_true(hf_bell_bucket(HF_STR("a")) == UINT64_C(1) << 0);
    assert_true(hf_bell_bucket(HF_STR("room:1")) ==
                hf_bell_bucket(HF_STR("room:1")));
    for (i = 0; i < 1000; i++) {
        (void)snprintf(name, sizeof(name), "room:%d", i);
        all |= hf_bell_bucket(hf_str_of(name));
    }
    assert_true(all == UINT64_MAX); /* all 64 are in use */
}

static void slots_are_private_sockets_and_go_with_their_owner(void **state)
{
    struct stat st;
    int fd;
    struct hf_bell *bell = listener(1, &fd);

    (void)state;
    assert_int_equal(stat(path_of("bell.0"), &st), 0);
    assert_true(S_ISSOCK(st.st_mode));
    assert_int_equal(st.st_mode & 0777, 0600);
    hf_bell_disclaim(bell);
    assert_int_equal(stat(path_of("bell.0"), &st), -1);
    assert_int_equal(hf_bell_claim(bell, &fd), 0); /* again */
    assert_int_equal(stat(path_of("bell.0"), &st), 0);
    hf_bell_close(bell);
    assert_int_equal(stat(path_of("bell.0"), &st), -1);
}

static void each_slot_has_one_owner_until_all_are_taken(void **state)
{
    static struct hf_bell *bells[HF_BELL_SLOTS];
    struct hf_bell *late = open_bell();
    struct hf_bell_owner owners[HF_BELL_SLOTS];
    int fd = -1;
    unsigned i, max = 200; /* descriptors are limited: three each */

    (void)state;
    for (i = 0; i < max; i++)
        bells[i] = listener(1, &fd);
    assert_int_equal(hf_bell_owners(late, owners, HF_BELL_SLOTS), max);
    assert_int_equal(owners[max - 1].pid, getpid());
    assert_int_equal(owners[max - 1].buckets, 1);
    assert_int_equal(hf_bell_owners(late, owners, 3), 3);
    hf_bell_disclaim(bells[7]);
    assert_int_equal(hf_bell_owners(late, owners, HF_BELL_SLOTS), max - 1);
    assert_int_equal(hf_bell_claim(late, &fd), 0); /* the free one */
    assert_int_equal(access(path_of("bell.7"), F_OK), 0);
    for (i = 0; i < max; i++)
        hf_bell_close(bells[i]);
    hf_bell_close(late);
}

/* A process that takes a slot, listens and is killed. */
static void kill_a_listener(uint64_t buckets)
{
    int ready[2];
    char byte;
    pid_t pid;

    assert_int_equal(pipe(ready), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct hf_bell *bell;
        int fd;

        if (hf_bell_open(&f.dir, &bell) || hf_bell_claim(bell, &fd))
            _exit(1);
        hf_bell_listen(bell, buckets);
        (void)!write(ready[1], "x", 1);
        for (;;)
            (void)pause();
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(close(ready[0]) | close(ready[1]), 0);
}

static void a_killed_owner_leaves_a_slot_that_can_be_taken(void **state)
{
    struct hf_bell *publisher = open_bell();
    struct hf_bell_owner owner;
    struct hf_bell *next;
    int fd;

    (void)state;
    kill_a_listener(1);
    assert_int_equal(access(path_of("bell.0"), F_OK), 0); /* left behind */
    assert_int_equal(hf_bell_owners(publisher, &owner, 1), 0);
    assert_int_equal(hf_bell_open(&f.dir, &next), 0);
    assert_int_equal(hf_bell_claim(next, &fd),
                     0); /* and it wants nothing yet */
    assert_int_equal(hf_bell_owners(publisher, &owner, 1), 1);
    assert_int_equal(owner.buckets, 0);
    hf_bell_close(next);

    kill_a_listener(1);
    hf_bell_ring(publisher, 1); /* finds nobody, and that is no harm */
    next = listener(2, &fd);
    assert_int_equal(hf_bell_owners(publisher, &owner, 1), 1);
    assert_int_equal(owner.buckets, 2);
    hf_bell_ring(publisher, 1);
    assert_false(is_rung(fd)); /* the mask of the dead is gone */
    hf_bell_ring(publisher, 2);
    assert_true(is_rung(fd));
    hf_bell_close(next);
    hf_bell_close(publisher);
}

static void what_was_rung_counts_only_without_a_gap(void **state)
{
    struct hf_bell *bell = open_bell(), *other = open_bell();

    (void)state;
    hf_bell_set_rung(bell, 10);
    hf_bell_rung(other, 11, 13);
    assert_int_equal(hf_bell_rung_through(bell), 13);
    hf_bell_rung(other, 15, 16); /* 14 was not rung */
    assert_int_equal(hf_bell_rung_through(bell), 13);
    hf_bell_set_rung(bell, 16);
    hf_bell_rung(other, 17, 17);
    assert_int_equal(hf_bell_rung_through(bell), 17);
    hf_bell_close(other);
    hf_bell_close(bell);
}

static void a_long_directory_name_is_no_obstacle(void **state)
{
    char path[256];
    struct hf_why why = {""};
    struct hf_bell *bell = NULL, *publisher = NULL;
    bool existed;
    int fd;

    (void)state;
    (void)snprintf(path, sizeof(path), "%s/%0150d", f.path, 7);
    ok_or_why(hf_dir_init(path, NULL, &existed, &why), &why);
    hf_dir_close(&f.dir);
    ok_or_why(hf_dir_open(&f.dir, path, &why), &why);
    bell = listener(1, &fd);
    publisher = open_bell();
    hf_bell_ring(publisher, 1);
    assert_true(is_rung(fd));
    hf_bell_close(publisher);
    hf_bell_close(bell);
}

static void a_file_that_is_none_of_ours_is_refused(void **state)
{
    struct hf_bell *bell = NULL;
    int fd = open(path_of(HF_FILE_BELLS), O_WRONLY | O_TRUNC);

    (void)state;
    assert_int_equal(write(fd, "something else", 14), 14);
    assert_int_equal(close(fd), 0);
    assert_int_equal(hf_bell_open(&f.dir, &bell), HF_EIO);
    assert_null(bell);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(a_ring_wakes_who_listens_to_the_bucket),
        FIXTURE_TEST(many_rings_are_one_and_none_waits),
        FIXTURE_TEST(buckets_are_the_same_in_every_version),
        FIXTURE_TEST(slots_are_private_sockets_and_go_with_their_owner),
        FIXTURE_TEST(each_slot_has_one_owner_until_all_are_taken),
        FIXTURE_TEST(a_killed_owner_leaves_a_slot_that_can_be_taken),
        FIXTURE_TEST(what_was_rung_counts_only_without_a_gap),
        FIXTURE_TEST(a_long_directory_name_is_no_obstacle),
        FIXTURE_TEST(a_file_that_is_none_of_ours_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

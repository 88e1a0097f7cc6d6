#include "schema/bell.h"

#include "schema_fixture.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static struct hf_bell *open_bell(void)
{
    struct hf_bell *bell = NULL;

    assert_int_equal(hf_bell_open(&f.dir, &bell), 0);
    return bell;
}

/* "a b c" as a set. */
static struct hf_bell_names set_of(const char *words)
{
    struct hf_bell_names names = {0};

    while (*words) {
        size_t len = strcspn(words, " ");

        hf_bell_names_add(&names, hf_str(words, len));
        words += len + (words[len] == ' ');
    }
    return names;
}

static void listen_to(struct hf_bell *bell, const char *words)
{
    struct hf_bell_names names = set_of(words);

    hf_bell_listen(bell, &names);
}

static void ring(struct hf_bell *bell, const char *words)
{
    struct hf_bell_names names = set_of(words);

    hf_bell_ring(bell, &names);
}

static void ring_all(struct hf_bell *bell)
{
    struct hf_bell_names names = {0};

    hf_bell_names_all(&names);
    hf_bell_ring(bell, &names);
}

/* A bell that listens; *out_fd is readable when it is rung. */
static struct hf_bell *listener(const char *words, int *out_fd)
{
    struct hf_bell *bell = open_bell();

    assert_int_equal(hf_bell_claim(bell, out_fd), 0);
    listen_to(bell, words);
    return bell;
}

static bool is_rung(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

    return poll(&poll_fd, 1, 0) == 1;
}

/* Another name of the same bucket. */
static const char *neighbour_of(const char *name)
{
    static char other[32];
    unsigned bucket = hf_bell_bucket(hf_bell_hash(hf_str_of(name)));
    int i = 0;

    do {
        (void)snprintf(other, sizeof(other), "other:%d", i++);
    } while (hf_bell_bucket(hf_bell_hash(hf_str_of(other))) != bucket);
    return other;
}

static void a_ring_wakes_who_listens_to_the_name(void **state)
{
    int fd_a, fd_b;
    struct hf_bell *a = listener("a c", &fd_a), *b = listener("b", &fd_b);
    struct hf_bell *publisher = open_bell();

    (void)state;
    ring(publisher, "d");
    assert_false(is_rung(fd_a));
    assert_false(is_rung(fd_b));
    ring(publisher, "c");
    assert_true(is_rung(fd_a));
    assert_false(is_rung(fd_b));
    hf_bell_drain(a);
    assert_false(is_rung(fd_a));
    ring_all(a); /* every other one */
    assert_false(is_rung(fd_a));
    assert_true(is_rung(fd_b));
    hf_bell_drain(b);
    listen_to(b, "");
    ring_all(publisher);
    assert_false(is_rung(fd_b));
    hf_bell_close(publisher);
    hf_bell_close(b);
    hf_bell_close(a);
}

static void many_rings_are_one_and_none_waits(void **state)
{
    int fd, i;
    struct hf_bell *bell = listener("a", &fd), *publisher = open_bell();

    (void)state;
    for (i = 0; i < 10000; i++)
        ring(publisher, "a");
    assert_true(is_rung(fd));
    hf_bell_drain(bell);
    assert_false(is_rung(fd));
    hf_bell_close(publisher);
    hf_bell_close(bell);
}

static void hashes_are_the_same_in_every_version(void **state)
{
    uint64_t all = 0;
    char name[32];
    int i;

    (void)state;
    assert_true(hf_bell_hash(HF_STR("")) == UINT64_C(0xcbf29ce484222325));
    assert_true(hf_bell_hash(HF_STR("a")) == UINT64_C(0xaf63dc4c8601ec8c));
    assert_int_equal(hf_bell_bucket(hf_bell_hash(HF_STR(""))), 1);
    assert_int_equal(hf_bell_bucket(hf_bell_hash(HF_STR("a"))), 0);
    for (i = 0; i < 1000; i++) {
        (void)snprintf(name, sizeof(name), "room:%d", i);
        all |= UINT64_C(1) << hf_bell_bucket(hf_bell_hash(hf_str_of(name)));
    }
    assert_true(all == UINT64_MAX); /* all 64 are in use */
}

static void a_neighbour_in_the_bucket_wakes_nobody_with_few_names(void **state)
{
    int fd;
    struct hf_bell *bell = listener("a b c d e", &fd);
    struct hf_bell *publisher = open_bell();
    const char *names[] = {"a", "b", "c", "d", "e"};
    unsigned i;

    (void)state;
    for (i = 0; i < HF_BELL_SLOT_NAMES; i++) {
        ring(publisher, neighbour_of(names[i]));
        assert_false(is_rung(fd));
        ring(publisher, names[i]);
        assert_true(is_rung(fd));
        hf_bell_drain(bell);
    }
    hf_bell_close(publisher);
    hf_bell_close(bell);
}

static void with_many_names_the_bucket_decides(void **state)
{
    int fd;
    struct hf_bell *bell = listener("a b c d e f", &fd); /* one too many */
    struct hf_bell *publisher = open_bell();
    struct hf_bell_names names = {0};
    char name[32];
    int i;

    (void)state;
    ring(publisher, neighbour_of("f"));
    assert_true(is_rung(fd));
    hf_bell_drain(bell);
    listen_to(bell, "f"); /* and back */
    ring(publisher, neighbour_of("f"));
    assert_false(is_rung(fd));

    /* A transaction of many topics, ours the last of them. */
    for (i = 0; i < 200; i++) {
        (void)snprintf(name, sizeof(name), "room:%d", i);
        hf_bell_names_add(&names, hf_str_of(name));
    }
    assert_int_equal(names.count, HF_BELL_NAMES);
    assert_true(names.more);
    listen_to(bell, "room:199");
    hf_bell_ring(publisher, &names);
    assert_true(is_rung(fd));
    hf_bell_close(publisher);
    hf_bell_close(bell);
}

static void a_name_given_twice_takes_one_place(void **state)
{
    struct hf_bell_names names = {0};
    int i;

    (void)state;
    for (i = 0; i < 1000; i++)
        hf_bell_names_add(&names, i % 2 ? HF_STR("a") : HF_STR("b"));
    assert_int_equal(names.count, 2);
    assert_false(names.more);
}

/* A waiter that changes what else it waits for, all the time. */
static _Atomic bool changing;

static void *change_names(void *arg)
{
    struct hf_bell_names sets[] = {
        set_of("keep a b c d"), set_of("e f g h keep"),
        set_of("i keep j"),     set_of("k l m n o p q keep"),
        set_of("r s t keep u"), set_of("keep"),
        set_of("v w keep x y"), set_of("z keep"),
    };
    unsigned i;

    for (i = 0; changing; i++)
        hf_bell_listen(arg, &sets[i % 8]);
    return NULL;
}

static void a_name_that_stays_rings_while_others_change(void **state)
{
    int64_t end_ms = hf_boot_ms() + 2000;
    struct hf_bell *bell, *publisher = open_bell();
    struct hf_bell_names keep = set_of("keep");
    pthread_t thread;
    unsigned i, missed = 0;
    int fd;

    (void)state;
    bell = listener("keep", &fd);
    changing = true;
    assert_int_equal(pthread_create(&thread, NULL, change_names, bell), 0);
    for (i = 0; i < 200000 && !missed && hf_boot_ms() < end_ms; i++) {
        hf_bell_ring(publisher, &keep);
        missed += !is_rung(fd);
        hf_bell_drain(bell);
    }
    changing = false;
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(missed, 0);
    hf_bell_close(publisher);
    hf_bell_close(bell);
}

static void one_that_waits_can_be_rung(void **state)
{
    int fd_a, fd_b, fd_idle;
    struct hf_bell *idle = listener("", &fd_idle);
    struct hf_bell *a = listener("a", &fd_a), *b = listener("b", &fd_b);

    (void)state;
    assert_true(hf_bell_ring_one(a));
    assert_true(is_rung(fd_b));
    assert_false(is_rung(fd_a) || is_rung(fd_idle));
    hf_bell_close(b);
    assert_false(hf_bell_ring_one(a));
    hf_bell_close(a);
    hf_bell_close(idle);
}

static void slots_are_private_sockets_and_go_with_their_owner(void **state)
{
    struct stat st;
    int fd;
    struct hf_bell *bell = listener("a", &fd);

    (void)state;
    assert_int_equal(stat(path_of("bell.2.0"), &st), 0);
    assert_true(S_ISSOCK(st.st_mode));
    assert_int_equal(st.st_mode & 0777, 0600);
    hf_bell_disclaim(bell);
    assert_int_equal(stat(path_of("bell.2.0"), &st), -1);
    assert_int_equal(hf_bell_claim(bell, &fd), 0); /* again */
    assert_int_equal(stat(path_of("bell.2.0"), &st), 0);
    hf_bell_close(bell);
    assert_int_equal(stat(path_of("bell.2.0"), &st), -1);
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
        bells[i] = listener("a", &fd);
    assert_int_equal(hf_bell_owners(late, owners, HF_BELL_SLOTS), max);
    assert_int_equal(owners[max - 1].pid, getpid());
    assert_int_equal(owners[max - 1].buckets, 1);
    assert_int_equal(hf_bell_owners(late, owners, 3), 3);
    hf_bell_disclaim(bells[7]);
    assert_int_equal(hf_bell_owners(late, owners, HF_BELL_SLOTS), max - 1);
    assert_int_equal(hf_bell_claim(late, &fd), 0); /* the free one */
    assert_int_equal(access(path_of("bell.2.7"), F_OK), 0);
    for (i = 0; i < max; i++)
        hf_bell_close(bells[i]);
    hf_bell_close(late);
}

/* A process that takes a slot, listens and is killed. */
static void kill_a_listener(const char *words)
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
        listen_to(bell, words);
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
    kill_a_listener("a");
    assert_int_equal(access(path_of("bell.2.0"), F_OK), 0); /* left behind */
    assert_int_equal(hf_bell_owners(publisher, &owner, 1), 0);
    assert_int_equal(hf_bell_open(&f.dir, &next), 0);
    assert_int_equal(hf_bell_claim(next, &fd),
                     0); /* and it wants nothing yet */
    assert_int_equal(hf_bell_owners(publisher, &owner, 1), 1);
    assert_int_equal(owner.buckets, 0);
    hf_bell_close(next);

    kill_a_listener("a");
    ring(publisher, "a"); /* finds nobody, and that is no harm */
    next = listener("b", &fd);
    assert_int_equal(hf_bell_owners(publisher, &owner, 1), 1);
    assert_true(owner.buckets == set_of("b").buckets);
    ring(publisher, "a");
    assert_false(is_rung(fd)); /* the mask of the dead is gone */
    ring(publisher, "b");
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
    bell = listener("a", &fd);
    publisher = open_bell();
    ring(publisher, "a");
    assert_true(is_rung(fd));
    hf_bell_close(publisher);
    hf_bell_close(bell);
}

/* A waiter on a word, in a process of its own: tells how often it woke. */
static pid_t fork_sleeper(const char *words, int *out_fd)
{
    int told[2];
    pid_t pid;

    assert_int_equal(pipe(told), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct hf_bell *bell = open_bell();
        _Atomic uint32_t *word;
        uint32_t seen;

        if (hf_bell_claim_word(bell, &word))
            _exit(1);
        seen = *word;
        listen_to(bell, words);
        for (;;) {
            (void)!write(told[1], "x", 1);
            while (*word == seen)
                (void)syscall(SYS_futex, word, FUTEX_WAIT, seen, NULL, NULL, 0);
            seen = *word;
        }
    }
    assert_int_equal(close(told[1]), 0);
    *out_fd = told[0];
    return pid;
}

static void reap(pid_t pid, int fd)
{
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(close(fd), 0);
}

/* Did it tell something within this time? */
static bool tells(int fd, int ms)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    char byte;

    return poll(&poll_fd, 1, ms) == 1 && read(fd, &byte, 1) == 1;
}

static void a_sleeper_is_woken_by_its_word_and_leaves_no_file(void **state)
{
    struct hf_bell *publisher = open_bell();
    struct hf_bell_owner owner;
    int fd, i;
    pid_t pid = fork_sleeper("a", &fd);

    (void)state;
    assert_true(tells(fd, 2000)); /* it waits */
    assert_int_equal(access(path_of("bell.2.0"), F_OK), -1);
    ring(publisher, "b");
    assert_false(tells(fd, 50));
    for (i = 0; i < 100; i++) { /* asleep already, or just about to */
        ring(publisher, "a");
        assert_true(tells(fd, 2000));
    }
    assert_true(hf_bell_ring_one(publisher));
    assert_true(tells(fd, 2000));
    reap(pid, fd);
    assert_int_equal(hf_bell_owners(publisher, &owner, 1), 0);
    ring(publisher, "a"); /* finds nobody, and that is no harm */
    assert_false(hf_bell_ring_one(publisher));
    hf_bell_close(publisher);
}

static void a_sleeper_may_change_to_a_socket(void **state)
{
    struct hf_bell *bell = open_bell(), *publisher = open_bell();
    _Atomic uint32_t *word;
    uint32_t seen;
    int fd;

    (void)state;
    assert_int_equal(hf_bell_claim_word(bell, &word), 0);
    seen = *word;
    listen_to(bell, "a");
    ring(publisher, "a");
    assert_int_equal(*word, seen + 1);
    assert_int_equal(hf_bell_use_socket(bell, &fd), 0);
    ring(publisher, "a");
    assert_true(is_rung(fd));
    assert_int_equal(*word, seen + 1);
    hf_bell_disclaim(bell);
    assert_int_equal(access(path_of("bell.2.0"), F_OK), -1);

    /* A killed one left its file; who sleeps on a word takes it away. */
    kill_a_listener("a");
    assert_int_equal(access(path_of("bell.2.0"), F_OK), 0);
    assert_int_equal(hf_bell_claim_word(bell, &word), 0);
    assert_int_equal(access(path_of("bell.2.0"), F_OK), -1);
    hf_bell_close(publisher);
    hf_bell_close(bell);
}

/* Who goes leaves the watching to somebody who stays, if there is one. */
static void a_socket_is_rung_before_a_sleeper(void **state)
{
    struct hf_bell *publisher = open_bell();
    int sleeper_fd, fd;
    pid_t pid = fork_sleeper("a", &sleeper_fd);
    struct hf_bell *bell;

    (void)state;
    assert_true(tells(sleeper_fd, 2000));
    bell = listener("b", &fd); /* the slot after the sleeper's */
    assert_true(hf_bell_ring_one(publisher));
    assert_true(is_rung(fd));
    assert_false(tells(sleeper_fd, 50));
    reap(pid, sleeper_fd);
    hf_bell_close(bell);
    hf_bell_close(publisher);
}

static void put_in_bells(const char *bytes)
{
    int fd = open(path_of(HF_FILE_BELLS), O_WRONLY | O_TRUNC | O_CREAT, 0600);

    assert_int_equal(write(fd, bytes, strlen(bytes)), strlen(bytes));
    assert_int_equal(close(fd), 0);
}

/* Of another version of Holdfast, or damaged. */
static void a_file_that_is_none_of_ours_is_replaced(void **state)
{
    struct hf_bell *bell, *publisher;
    int fd;

    (void)state;
    put_in_bells("HfBells1 and what that version had in it");
    bell = listener("a", &fd);
    publisher = open_bell();
    ring(publisher, "a");
    assert_true(is_rung(fd));
    hf_bell_close(publisher);
    hf_bell_close(bell);
    put_in_bells("x"); /* cut short */
    hf_bell_close(open_bell());
}

/* Somebody replaces it between our opening and our lock. */
static void two_that_replace_it_agree_on_one(void **state)
{
    struct hf_bell *bell;
    pid_t pid;
    int i, fd, status;

    (void)state;
    for (i = 0; i < 20; i++) {
        put_in_bells("HfBells1");
        pid = fork();
        assert_true(pid >= 0);
        bell = listener("a", &fd);
        if (pid == 0) {
            for (int tries = 0; tries < 200 && !is_rung(fd); tries++) {
                ring(bell, "a");
                (void)usleep(10000);
            }
            ring(bell, "a");
            _exit(is_rung(fd) ? 0 : 1);
        }
        for (int tries = 0; tries < 200 && !is_rung(fd); tries++)
            (void)usleep(10000);
        assert_true(is_rung(fd));
        ring(bell, "a");
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        hf_bell_close(bell);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(a_ring_wakes_who_listens_to_the_name),
        FIXTURE_TEST(many_rings_are_one_and_none_waits),
        FIXTURE_TEST(hashes_are_the_same_in_every_version),
        FIXTURE_TEST(a_neighbour_in_the_bucket_wakes_nobody_with_few_names),
        FIXTURE_TEST(with_many_names_the_bucket_decides),
        FIXTURE_TEST(a_name_given_twice_takes_one_place),
        FIXTURE_TEST(a_name_that_stays_rings_while_others_change),
        FIXTURE_TEST(one_that_waits_can_be_rung),
        FIXTURE_TEST(slots_are_private_sockets_and_go_with_their_owner),
        FIXTURE_TEST(each_slot_has_one_owner_until_all_are_taken),
        FIXTURE_TEST(a_killed_owner_leaves_a_slot_that_can_be_taken),
        FIXTURE_TEST(what_was_rung_counts_only_without_a_gap),
        FIXTURE_TEST(a_long_directory_name_is_no_obstacle),
        FIXTURE_TEST(a_sleeper_is_woken_by_its_word_and_leaves_no_file),
        FIXTURE_TEST(a_sleeper_may_change_to_a_socket),
        FIXTURE_TEST(a_socket_is_rung_before_a_sleeper),
        FIXTURE_TEST(a_file_that_is_none_of_ours_is_replaced),
        FIXTURE_TEST(two_that_replace_it_agree_on_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

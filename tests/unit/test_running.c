#include "schema/running.h"

#include "schema_fixture.h"

#include <fcntl.h>
#include <signal.h>

#include "base/sys.h"

static pid_t workers[HF_WORKERS_MAX];
static unsigned count;

static void who_serves_is_told_and_who_left_is_not(void **state)
{
    const pid_t two[] = {111, 0, 4194304};
    struct hf_running running;

    (void)state;
    assert_int_equal(hf_running_read(&f.dir, workers, &count), 0);
    hf_running_open(&running, &f.dir);
    assert_int_equal(hf_running_read(&f.dir, workers, &count), getpid());
    assert_int_equal(count, 0);
    hf_running_tell(&running, two, 3);
    assert_int_equal(hf_running_read(&f.dir, workers, &count), getpid());
    assert_int_equal(count, 2);
    assert_int_equal(workers[0], 111);
    assert_int_equal(workers[1], 4194304);
    hf_running_tell(&running, two, 1); /* shorter than before */
    assert_int_equal(hf_running_read(&f.dir, workers, &count), getpid());
    assert_int_equal(count, 1);
    hf_running_close(&running);
    assert_int_equal(hf_running_read(&f.dir, workers, &count), 0);
    hf_running_tell(&running, two, 1); /* nothing */
    assert_int_equal(count, 0);
}

static void the_first_of_two_is_told(void **state)
{
    struct hf_running first, second;
    const pid_t worker = 7;

    (void)state;
    hf_running_open(&first, &f.dir);
    hf_running_tell(&first, &worker, 1);
    hf_running_open(&second, &f.dir);
    assert_int_equal(second.fd, -1);
    hf_running_tell(&second, NULL, 0);
    assert_int_equal(hf_running_read(&f.dir, workers, &count), getpid());
    assert_int_equal(count, 1);
    hf_running_close(&first);
    hf_running_open(&second, &f.dir);
    assert_int_equal(hf_running_read(&f.dir, workers, &count), getpid());
    assert_int_equal(count, 0); /* not the other one's */
    hf_running_close(&second);
}

static void as_many_as_there_may_be_find_room(void **state)
{
    pid_t all[HF_WORKERS_MAX];
    struct hf_running running;
    unsigned i;

    (void)state;
    for (i = 0; i < HF_WORKERS_MAX; i++)
        all[i] = INT32_MAX;
    hf_running_open(&running, &f.dir);
    hf_running_tell(&running, all, HF_WORKERS_MAX);
    assert_int_equal(hf_running_read(&f.dir, workers, &count), getpid());
    assert_int_equal(count, HF_WORKERS_MAX);
    assert_int_equal(workers[HF_WORKERS_MAX - 1], INT32_MAX);
    hf_running_close(&running);
}

/* Who begins to serve has the lock a moment before it has written. */
static void what_a_killed_one_left_is_nobodys(void **state)
{
    int fd = open(path_of(HF_FILE_RUNNING), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    (void)state;
    assert_int_equal(write(fd, "4711 4712\n", 10), 10);
    assert_int_equal(hf_lock_try(fd, 0, 1), 0);
    assert_int_equal(hf_running_read(&f.dir, workers, &count), 0);
    hf_close(&fd);
}

/* The workers of a killed parent may live a while longer. */
static void a_killed_parent_serves_no_more(void **state)
{
    int ready[2], status;
    pid_t parent, child = 0;

    (void)state;
    assert_int_equal(pipe(ready), 0);
    parent = fork();
    assert_true(parent >= 0);
    if (parent == 0) {
        struct hf_running running;

        hf_running_open(&running, &f.dir);
        child = fork();
        if (child == 0) {
            hf_running_close(&running);
            child = getpid();
            (void)!write(ready[1], &child, sizeof(child));
        }
        for (;;)
            (void)pause();
    }
    assert_int_equal(read(ready[0], &child, sizeof(child)), sizeof(child));
    assert_int_equal(hf_running_read(&f.dir, workers, &count), parent);
    (void)kill(parent, SIGKILL);
    assert_int_equal(waitpid(parent, &status, 0), parent);
    assert_int_equal(hf_running_read(&f.dir, workers, &count), 0);
    (void)kill(child, SIGKILL);
    close(ready[0]);
    close(ready[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(who_serves_is_told_and_who_left_is_not),
        FIXTURE_TEST(the_first_of_two_is_told),
        FIXTURE_TEST(as_many_as_there_may_be_find_room),
        FIXTURE_TEST(what_a_killed_one_left_is_nobodys),
        FIXTURE_TEST(a_killed_parent_serves_no_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "schema/holds.h"

#include "schema_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

static struct hf_holds *open_holds(void)
{
    struct hf_holds *holds = NULL;

    assert_int_equal(hf_holds_open(&f.dir, &holds), 0);
    return holds;
}

static uint32_t held(struct hf_holds *holds, enum hf_held kind)
{
    return hf_holds_sum(holds, 0).held[kind];
}

/* A process that holds so many and waits to be killed. */
static pid_t holder(unsigned count)
{
    int ready[2];
    pid_t pid;
    char byte;

    assert_int_equal(pipe(ready), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct hf_holds *holds = open_holds();

        while (count-- > 0)
            (void)hf_holds_add(holds, HF_HELD_FULL);
        (void)!write(ready[1], "!", 1);
        for (;;)
            (void)pause();
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    (void)close(ready[0]);
    (void)close(ready[1]);
    return pid;
}

static void end(pid_t pid)
{
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void all_processes_are_summed_by_kind(void **state)
{
    struct hf_holds *a = open_holds(), *b = open_holds();

    (void)state;
    assert_int_equal(hf_holds_add(a, HF_HELD_FULL), 0);
    assert_int_equal(hf_holds_add(a, HF_HELD_FULL), 0);
    assert_int_equal(hf_holds_add(b, HF_HELD_FULL), 0);
    assert_int_equal(hf_holds_add(b, HF_HELD_STOCK), 0);
    assert_int_equal(held(a, HF_HELD_FULL), 3);
    assert_int_equal(held(b, HF_HELD_FULL), 3);
    assert_int_equal(held(a, HF_HELD_STOCK), 1);
    assert_int_equal(held(a, HF_HELD_BRIEF), 0);
    hf_holds_drop(a, HF_HELD_FULL);
    assert_int_equal(held(b, HF_HELD_FULL), 2);
    hf_holds_close(a);
    assert_int_equal(held(b, HF_HELD_FULL), 1);
    hf_holds_close(b);
}

static void the_numbers_are_the_same_for_all_and_stay(void **state)
{
    struct hf_holds *a = open_holds(), *b = open_holds();

    (void)state;
    atomic_store(&hf_holds_budget(a)->now, 17);
    assert_int_equal(atomic_load(&hf_holds_budget(b)->now), 17);
    hf_holds_close(a);
    hf_holds_close(b);
    a = open_holds();
    assert_int_equal(atomic_load(&hf_holds_budget(a)->now), 17);
    hf_holds_close(a);
}

static void what_a_killed_process_held_vanishes(void **state)
{
    struct hf_holds *holds = open_holds();
    pid_t one = holder(3), other = holder(2);

    (void)state;
    assert_int_equal(hf_holds_add(holds, HF_HELD_FULL), 0);
    assert_int_equal(held(holds, HF_HELD_FULL), 6);
    assert_int_equal(hf_holds_bury(holds), 0); /* they live */
    assert_int_equal(held(holds, HF_HELD_FULL), 6);
    end(one);
    assert_int_equal(hf_holds_bury(holds), 1);
    assert_int_equal(held(holds, HF_HELD_FULL), 3);
    end(other);
    assert_int_equal(hf_holds_bury(holds), 1);
    assert_int_equal(hf_holds_bury(holds), 0);
    assert_int_equal(held(holds, HF_HELD_FULL), 1);
    hf_holds_close(holds);
}

static void slots_of_the_dead_are_taken_when_none_is_free(void **state)
{
    static struct hf_holds *all[HF_HOLDS_SLOTS];
    struct hf_holds *one_more;
    pid_t dead = holder(1);
    unsigned i;

    (void)state;
    for (i = 0; i < HF_HOLDS_SLOTS - 1; i++) {
        all[i] = open_holds();
        assert_int_equal(hf_holds_add(all[i], HF_HELD_FULL), 0);
    }
    one_more = open_holds();
    assert_int_equal(hf_holds_add(one_more, HF_HELD_FULL), HF_ELIMIT);
    end(dead);
    assert_int_equal(hf_holds_add(one_more, HF_HELD_FULL), 0);
    assert_int_equal(held(one_more, HF_HELD_FULL), HF_HOLDS_SLOTS);
    hf_holds_close(one_more);
    while (i-- > 0)
        hf_holds_close(all[i]);
}

static void processes_of_one_address_are_counted(void **state)
{
    struct hf_holds *a = open_holds(), *b = open_holds();

    (void)state;
    hf_holds_set_address(a, 7); /* holds nothing yet: nothing to say */
    assert_int_equal(hf_holds_sum(a, 7).of_address, 0);
    assert_int_equal(hf_holds_add(a, HF_HELD_FULL), 0);
    assert_int_equal(hf_holds_add(b, HF_HELD_FULL), 0);
    hf_holds_set_address(a, 7);
    hf_holds_set_address(b, 7);
    assert_int_equal(hf_holds_sum(a, 7).of_address, 2);
    assert_int_equal(hf_holds_sum(a, 8).of_address, 0);
    hf_holds_close(a);
    assert_int_equal(hf_holds_sum(b, 7).of_address, 1);
    hf_holds_close(b);
}

static void write_file(const void *bytes, size_t len)
{
    int fd = hf_dir_open_file(&f.dir, HF_FILE_HOLDS);

    assert_int_equal(ftruncate(fd, 0), 0);
    assert_int_equal(pwrite(fd, bytes, len, 0), len);
    (void)close(fd);
}

static void a_file_of_another_version_is_replaced(void **state)
{
    static const char other[] = "HfHHold9 and what that has";
    struct hf_holds *before = open_holds(), *holds;

    (void)state;
    assert_int_equal(hf_holds_add(before, HF_HELD_FULL), 0);
    assert_int_equal(unlinkat(f.dir.fd, HF_FILE_HOLDS, 0), 0);
    write_file(other, sizeof(other));
    holds = open_holds();
    assert_int_equal(held(holds, HF_HELD_FULL), 0);
    assert_int_equal(hf_holds_add(holds, HF_HELD_FULL), 0);
    hf_holds_close(holds);
    hf_holds_close(before);
}

static void any_bytes_in_the_file_are_survived(void **state)
{
    static unsigned char bytes[256 + 64 * HF_HOLDS_SLOTS];
    struct hf_holds *holds = open_holds();
    size_t i;

    (void)state;
    hf_holds_close(holds);
    for (i = 8; i < sizeof(bytes); i++)
        bytes[i] = (unsigned char)(i * 2654435761u >> 13);
    memcpy(bytes, "HfHHold1", 8);
    write_file(bytes, sizeof(bytes));
    holds = open_holds();
    (void)hf_holds_sum(holds, 1);
    (void)hf_holds_bury(holds); /* nobody owns any of it */
    assert_int_equal(held(holds, HF_HELD_FULL), 0);
    assert_int_equal(hf_holds_add(holds, HF_HELD_FULL), 0);
    assert_int_equal(held(holds, HF_HELD_FULL), 1);
    hf_holds_close(holds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(all_processes_are_summed_by_kind),
        FIXTURE_TEST(the_numbers_are_the_same_for_all_and_stay),
        FIXTURE_TEST(what_a_killed_process_held_vanishes),
        FIXTURE_TEST(slots_of_the_dead_are_taken_when_none_is_free),
        FIXTURE_TEST(processes_of_one_address_are_counted),
        FIXTURE_TEST(a_file_of_another_version_is_replaced),
        FIXTURE_TEST(any_bytes_in_the_file_are_survived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

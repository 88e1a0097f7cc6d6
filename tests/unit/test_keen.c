#include "schema/keen.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
/* after those it needs */
#include <cmocka.h>

#define LOOK_US 2  /* what one look takes */
#define WAKE_US 20 /* and to be woken */

/* A watcher in a time of its own. */
struct world {
    struct hf_keen keen;
    int64_t now_us;
    int64_t spent_us; /* looking without sleep */
    unsigned looks;   /* after a sleep */
};

/* One commit that is visible `took_us` after its event; how late is it seen? */
static int64_t watch(struct world *world, int64_t took_us)
{
    int64_t event_us = world->now_us;
    int64_t done_us = event_us + took_us;

    while (world->now_us < done_us) {
        int64_t step_us = hf_keen_step(&world->keen, event_us, world->now_us);

        if (step_us == 0) {
            world->now_us += LOOK_US;
            world->spent_us += LOOK_US;
        } else {
            world->now_us += step_us + WAKE_US;
            world->looks++;
        }
    }
    hf_keen_seen(&world->keen, event_us, world->now_us);
    return world->now_us - done_us;
}

static void rest(struct world *world, int64_t us)
{
    hf_keen_rest(&world->keen, world->now_us);
    world->now_us += us;
}

static void a_commit_that_takes_as_long_as_one_before_is_seen_at_once(void **s)
{
    struct world world = {.now_us = 1000000};
    unsigned i, late = 0;

    (void)s;
    for (i = 0; i < 400; i++) {
        /* A quiet disk and a busy one, a bit different each time. */
        int64_t took_us = i % 4 ? 280 + i % 60 : 3200 - i % 200;

        late += watch(&world, took_us) > LOOK_US;
        rest(&world, 30000);
    }
    assert_in_range(late, 0, 1); /* the first one may be new */
}

static void it_sleeps_when_no_commit_is_likely(void **state)
{
    struct world world = {.now_us = 1000000};
    int64_t spent_us;
    unsigned i;

    (void)state;
    for (i = 0; i < HF_KEEN_LAST; i++) {
        (void)watch(&world, 2000);
        rest(&world, 100000);
    }
    spent_us = world.spent_us;
    world.looks = 0;
    (void)watch(&world, 2000);
    /* Three quarters of the time, and what it takes to be woken. */
    assert_in_range(world.spent_us - spent_us, 500, 650);
    assert_in_range(world.looks, 5, 40);
}

static void between_its_times_it_looks_while_there_is_enough_to_spend(void **s)
{
    struct world world = {.now_us = 1000000};
    unsigned i;

    (void)s;
    for (i = 0; i < HF_KEEN_LAST; i++) { /* a quiet disk and a busy one */
        (void)watch(&world, i % 2 ? 300 : 4000);
        rest(&world, 200000);
    }
    assert_true(world.keen.saved_us > HF_KEEN_SAVED_US / 2);
    assert_in_range(watch(&world, 1500), 0, LOOK_US);

    for (i = 0; i < HF_KEEN_LAST; i++) { /* that one is forgotten */
        rest(&world, 200000);
        (void)watch(&world, i % 2 ? 300 : 4000);
    }
    world.keen.saved_us = HF_KEEN_SAVED_US / 2;
    world.keen.saved_at_us = world.now_us;
    assert_in_range(watch(&world, 1530), LOOK_US + 1,
                    HF_KEEN_STEP_US + WAKE_US);
}

static void a_time_that_is_new_is_learned(void **state)
{
    struct world world = {.now_us = 1000000};
    unsigned i;

    (void)state;
    for (i = 0; i < HF_KEEN_LAST; i++) {
        (void)watch(&world, 300);
        rest(&world, 100000);
    }
    /* As late as one sleep, and what it takes to be woken. */
    assert_in_range(watch(&world, 4000), 0, HF_KEEN_STEP_US + WAKE_US);
    rest(&world, 100000);
    assert_in_range(watch(&world, 4100), 0, LOOK_US);
    for (i = 0; i < HF_KEEN_LAST; i++) {
        rest(&world, 100000);
        (void)watch(&world, 300);
    }
    rest(&world, 100000);
    assert_in_range(watch(&world, 4060), LOOK_US + 1,
                    HF_KEEN_STEP_US + WAKE_US);
}

static void the_budget_is_a_tenth_of_the_time_and_is_spent(void **state)
{
    struct world world = {.now_us = 1000000};
    int64_t start_us = world.now_us;
    int64_t budget_us;
    unsigned i, late = 0;

    (void)state;
    for (i = 0; i < 2000; i++) { /* scripts that commit without a pause */
        late += watch(&world, 1000) > LOOK_US;
        rest(&world, 10);
    }
    /* Saved at most before, from the start on, and one look too many. */
    budget_us =
        HF_KEEN_SAVED_US + (world.now_us - start_us) / HF_KEEN_SHARE + 1000;
    assert_in_range(world.spent_us, budget_us * 8 / 10, budget_us);
    assert_true(late > 1000); /* for the rest it slept, a little late */

    rest(&world, HF_KEEN_SAVED_US * HF_KEEN_SHARE); /* and it saves again */
    assert_in_range(watch(&world, 1000), 0, LOOK_US);
}

static void a_spent_budget_makes_it_late_by_one_sleep_at_most(void **state)
{
    struct world world = {.now_us = 0}; /* nothing saved */
    unsigned i;

    (void)state;
    for (i = 0; i < 100; i++) {
        world.keen.saved_us = 0;
        world.keen.saved_at_us = world.now_us + 100000; /* nor earned */
        assert_in_range(watch(&world, 3000), 0, HF_KEEN_STEP_US + WAKE_US);
        assert_in_range(watch(&world, 20000), 0, 20000 / 32 + WAKE_US);
    }
}

static void long_syncs_are_slept_through(void **state)
{
    struct world world = {.now_us = 1000000};
    unsigned i;

    (void)state;
    for (i = 0; i < 100; i++) {
        (void)watch(&world, 30000);
        rest(&world, 500000);
        if (i == HF_KEEN_LAST)
            world.spent_us = 0;
    }
    assert_int_equal(world.spent_us, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            a_commit_that_takes_as_long_as_one_before_is_seen_at_once),
        cmocka_unit_test(it_sleeps_when_no_commit_is_likely),
        cmocka_unit_test(
            between_its_times_it_looks_while_there_is_enough_to_spend),
        cmocka_unit_test(a_time_that_is_new_is_learned),
        cmocka_unit_test(the_budget_is_a_tenth_of_the_time_and_is_spent),
        cmocka_unit_test(a_spent_budget_makes_it_late_by_one_sleep_at_most),
        cmocka_unit_test(long_syncs_are_slept_through),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "base/queue.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/err.h"

struct job {
    struct hf_queue_item item; /* first, so that an item is its job */
    unsigned n;
};

static bool is_readable(const struct hf_queue *queue)
{
    struct pollfd fd = {.fd = queue->fd, .events = POLLIN};

    return poll(&fd, 1, 0) == 1;
}

/* The numbers of the jobs, as digits. */
static unsigned digits(const struct hf_queue_item *item)
{
    unsigned all = 0;

    for (; item; item = item->next)
        all = all * 10 + ((const struct job *)(const void *)item)->n;
    return all;
}

static void items_come_out_in_the_order_they_went_in(void **state)
{
    struct job jobs[3] = {{.n = 1}, {.n = 2}, {.n = 3}};
    struct hf_queue queue;
    int round, i;

    (void)state;
    assert_int_equal(hf_queue_init(&queue, 0, 0), 0);
    for (round = 0; round < 2; round++) {
        assert_null(hf_queue_take(&queue, 0));
        for (i = 0; i < 3; i++)
            assert_int_equal(hf_queue_push(&queue, &jobs[i].item), 0);
        assert_int_equal(digits(hf_queue_take(&queue, 0)), 123);
    }
    hf_queue_release(&queue);
}

static void the_descriptor_is_readable_while_there_is_something(void **state)
{
    struct job jobs[2] = {{.n = 1}, {.n = 2}};
    struct hf_queue queue;

    (void)state;
    assert_int_equal(hf_queue_init(&queue, 0, 0), 0);
    assert_false(is_readable(&queue));
    assert_int_equal(hf_queue_push(&queue, &jobs[0].item), 0);
    assert_int_equal(hf_queue_push(&queue, &jobs[1].item), 0);
    assert_true(is_readable(&queue));
    assert_int_equal(digits(hf_queue_take(&queue, 1)), 1);
    assert_true(is_readable(&queue));
    assert_int_equal(digits(hf_queue_take(&queue, 1)), 2);
    assert_false(is_readable(&queue));
    hf_queue_release(&queue);
}

static void some_can_be_taken_and_others_added(void **state)
{
    struct job jobs[6] = {{.n = 1}, {.n = 2}, {.n = 3},
                          {.n = 4}, {.n = 5}, {.n = 6}};
    struct hf_queue queue;
    int i;

    (void)state;
    assert_int_equal(hf_queue_init(&queue, 0, 0), 0);
    for (i = 0; i < 5; i++)
        assert_int_equal(hf_queue_push(&queue, &jobs[i].item), 0);
    assert_int_equal(digits(hf_queue_take(&queue, 2)), 12);
    assert_int_equal(hf_queue_push(&queue, &jobs[5].item), 0);
    assert_int_equal(queue.count, 4);
    assert_int_equal(digits(hf_queue_take(&queue, 4)), 3456);
    assert_int_equal(queue.count, 0);
    hf_queue_release(&queue);
}

static void a_list_goes_in_whole_and_in_order(void **state)
{
    struct job jobs[5] = {{.n = 1}, {.n = 2}, {.n = 3}, {.n = 4}, {.n = 5}};
    struct hf_queue queue;

    (void)state;
    assert_int_equal(hf_queue_init(&queue, 0, 0), 0);
    hf_queue_push_all(&queue, NULL); /* of nothing: nothing */
    assert_false(is_readable(&queue));
    jobs[0].item.next = &jobs[1].item;
    hf_queue_push_all(&queue, &jobs[0].item);
    assert_true(is_readable(&queue));
    assert_int_equal(hf_queue_push(&queue, &jobs[2].item), 0);
    jobs[3].item.next = &jobs[4].item;
    hf_queue_push_all(&queue, &jobs[3].item);
    assert_int_equal(digits(hf_queue_take(&queue, 4)), 1234);
    assert_true(is_readable(&queue));
    assert_int_equal(digits(hf_queue_take(&queue, 4)), 5);
    assert_false(is_readable(&queue));
    hf_queue_release(&queue);
}

static void a_queue_full_by_count_refuses(void **state)
{
    struct job jobs[3] = {{.n = 1}, {.n = 2}, {.n = 3}};
    struct hf_queue queue;

    (void)state;
    assert_int_equal(hf_queue_init(&queue, 2, 0), 0);
    assert_int_equal(hf_queue_push(&queue, &jobs[0].item), 0);
    assert_int_equal(hf_queue_push(&queue, &jobs[1].item), 0);
    assert_int_equal(hf_queue_push(&queue, &jobs[2].item), HF_ELIMIT);
    assert_int_equal(digits(hf_queue_take(&queue, 1)), 1);
    assert_int_equal(hf_queue_push(&queue, &jobs[2].item), 0);
    assert_int_equal(digits(hf_queue_take(&queue, 0)), 23);
    hf_queue_release(&queue);
}

static void a_queue_full_by_cost_refuses(void **state)
{
    struct job jobs[3] = {
        {{.cost = 60}, 1}, {{.cost = 40}, 2}, {{.cost = 1}, 3}};
    struct hf_queue queue;

    (void)state;
    assert_int_equal(hf_queue_init(&queue, 0, 100), 0);
    assert_int_equal(hf_queue_push(&queue, &jobs[0].item), 0);
    assert_int_equal(hf_queue_push(&queue, &jobs[1].item), 0);
    assert_int_equal(hf_queue_push(&queue, &jobs[2].item), HF_ELIMIT);
    assert_int_equal(digits(hf_queue_take(&queue, 1)), 1);
    assert_int_equal(queue.cost, 40);
    assert_int_equal(hf_queue_push(&queue, &jobs[2].item), 0);
    assert_int_equal(digits(hf_queue_take(&queue, 0)), 23);
    assert_int_equal(queue.cost, 0);
    hf_queue_release(&queue);
}

static void one_item_past_the_bound_goes_into_an_empty_queue(void **state)
{
    struct job jobs[3] = {
        {{.cost = SIZE_MAX}, 1}, {{.cost = 0}, 2}, {{.cost = SIZE_MAX}, 3}};
    struct hf_queue queue;

    (void)state;
    assert_int_equal(hf_queue_init(&queue, 0, 100), 0);
    assert_int_equal(hf_queue_push(&queue, &jobs[0].item), 0);
    assert_int_equal(hf_queue_push(&queue, &jobs[1].item), HF_ELIMIT);
    assert_int_equal(digits(hf_queue_take(&queue, 0)), 1);
    assert_int_equal(hf_queue_push(&queue, &jobs[1].item), 0);
    assert_int_equal(hf_queue_push(&queue, &jobs[2].item), HF_ELIMIT);
    assert_int_equal(digits(hf_queue_take(&queue, 0)), 2);
    hf_queue_release(&queue);
}

static void a_closed_queue_takes_nothing_and_gives_the_rest(void **state)
{
    struct job jobs[2] = {{.n = 1}, {.n = 2}};
    struct hf_queue queue;

    (void)state;
    assert_int_equal(hf_queue_init(&queue, 0, 0), 0);
    assert_int_equal(hf_queue_push(&queue, &jobs[0].item), 0);
    hf_queue_close(&queue);
    hf_queue_close(&queue);
    assert_int_equal(hf_queue_push(&queue, &jobs[1].item), HF_ECLOSED);
    assert_true(hf_queue_wait(&queue));
    assert_int_equal(digits(hf_queue_take(&queue, 0)), 1);
    assert_false(is_readable(&queue)); /* a loop would spin on it */
    assert_false(hf_queue_wait(&queue));
    hf_queue_release(&queue);
}

static void a_close_makes_an_empty_queue_readable_once(void **state)
{
    struct hf_queue queue;

    (void)state;
    assert_int_equal(hf_queue_init(&queue, 0, 0), 0);
    hf_queue_close(&queue);
    assert_true(is_readable(&queue));
    assert_null(hf_queue_take(&queue, 0));
    assert_false(is_readable(&queue));
    hf_queue_release(&queue);
}

static void the_zeroed_struct_can_be_released(void **state)
{
    struct hf_queue queue = {0};

    (void)state;
    if (fcntl(0, F_GETFD) < 0)
        assert_int_equal(open("/dev/null", O_RDONLY), 0);
    hf_queue_release(&queue);
    assert_true(fcntl(0, F_GETFD) >= 0); /* 0 is nobody's eventfd */
    assert_int_equal(hf_queue_init(&queue, 0, 0), 0);
    hf_queue_release(&queue);
    hf_queue_release(&queue);
}

static void *close_soon(void *ctx)
{
    (void)usleep(30000);
    hf_queue_close(ctx);
    return NULL;
}

static void who_waits_is_woken_by_a_close(void **state)
{
    struct hf_queue queue;
    pthread_t thread;

    (void)state;
    assert_int_equal(hf_queue_init(&queue, 0, 0), 0);
    assert_int_equal(pthread_create(&thread, NULL, close_soon, &queue), 0);
    assert_false(hf_queue_wait(&queue));
    assert_int_equal(pthread_join(thread, NULL), 0);
    hf_queue_release(&queue);
}

#define PRODUCERS 3u
#define JOBS      5000u

struct producer {
    struct hf_queue *queue;
    struct job jobs[JOBS];
};

static void *produce(void *ctx)
{
    struct producer *producer = ctx;
    unsigned i;

    for (i = 0; i < JOBS; i++) {
        producer->jobs[i] = (struct job){{.cost = 1}, i};
        while (hf_queue_push(producer->queue, &producer->jobs[i].item) != 0)
            (void)usleep(50); /* full */
    }
    return NULL;
}

/* Whose job it is, by its address. */
static size_t producer_of(const struct producer *producers,
                          const struct hf_queue_item *item)
{
    return (size_t)((const char *)item - (const char *)producers) /
           sizeof(*producers);
}

static void nothing_is_lost_or_swapped_between_threads(void **state)
{
    struct producer *producers = calloc(PRODUCERS, sizeof(*producers));
    unsigned expected[PRODUCERS] = {0}, total = 0, i;
    pthread_t threads[PRODUCERS];
    struct hf_queue queue;

    (void)state;
    assert_non_null(producers);
    assert_int_equal(hf_queue_init(&queue, 100, 0), 0);
    for (i = 0; i < PRODUCERS; i++) {
        producers[i].queue = &queue;
        assert_int_equal(
            pthread_create(&threads[i], NULL, produce, &producers[i]), 0);
    }
    while (total < PRODUCERS * JOBS && hf_queue_wait(&queue)) {
        struct hf_queue_item *item = hf_queue_take(&queue, total % 7);

        for (; item; item = item->next, total++) {
            size_t who = producer_of(producers, item);

            assert_int_equal(((struct job *)(void *)item)->n, expected[who]);
            expected[who]++;
        }
    }
    for (i = 0; i < PRODUCERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(expected[i], JOBS);
    }
    assert_null(hf_queue_take(&queue, 0));
    hf_queue_release(&queue);
    free(producers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_come_out_in_the_order_they_went_in),
        cmocka_unit_test(the_descriptor_is_readable_while_there_is_something),
        cmocka_unit_test(some_can_be_taken_and_others_added),
        cmocka_unit_test(a_list_goes_in_whole_and_in_order),
        cmocka_unit_test(a_queue_full_by_count_refuses),
        cmocka_unit_test(a_queue_full_by_cost_refuses),
        cmocka_unit_test(one_item_past_the_bound_goes_into_an_empty_queue),
        cmocka_unit_test(a_closed_queue_takes_nothing_and_gives_the_rest),
        cmocka_unit_test(a_close_makes_an_empty_queue_readable_once),
        cmocka_unit_test(the_zeroed_struct_can_be_released),
        cmocka_unit_test(who_waits_is_woken_by_a_close),
        cmocka_unit_test(nothing_is_lost_or_swapped_between_threads),
    };

    return cmocka_run_group_tests_name("queue", tests, NULL, NULL);
}

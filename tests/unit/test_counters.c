#include "sidecar/counters.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct hf_counts sum_of(const struct hf_counters *counters)
{
    struct hf_counts sum;

    hf_counters_sum(counters, &sum);
    return sum;
}

/* A worker that has this to tell, and ends. */
static void in_a_worker(struct hf_counters *counters, size_t n,
                        void (*work)(void))
{
    pid_t pid = fork();
    int status = 1;

    assert_true(pid >= 0);
    if (pid == 0) {
        hf_counters_use(counters, n);
        work();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void work_a_little(void)
{
    hf_count(HF_COUNT_HANDSHAKES);
    hf_count_many(HF_COUNT_RECEIVED, 5);
    hf_count_now(HF_HAS_SOCKETS, 3);
    hf_count_now(HF_HAS_CURSOR, 70);
    hf_count_time(HF_TIMED_TURN, 200);
}

static void work_more(void)
{
    hf_count_many(HF_COUNT_RECEIVED, 6);
    hf_count_now(HF_HAS_SOCKETS, 4);
    hf_count_now(HF_HAS_CURSOR, 69);
    hf_count_time(HF_TIMED_TURN, 300);
    hf_count_time(HF_TIMED_TURN, 20000000);
}

static void nothing_is_needed_to_count_into_the_void(void **state)
{
    (void)state;
    hf_count(HF_COUNT_ACCEPTED);
    hf_count_close(1001, true);
    hf_count_now(HF_HAS_SOCKETS, 1);
    hf_count_time(HF_TIMED_DELAY, 1);
}

static void workers_are_added_up(void **state)
{
    struct hf_counters *counters = hf_counters_new(3);
    struct hf_counts sum;

    (void)state;
    assert_non_null(counters);
    assert_int_equal(hf_counters_workers(counters), 3);
    in_a_worker(counters, 0, work_a_little);
    in_a_worker(counters, 2, work_more);
    sum = sum_of(counters);
    assert_int_equal(sum.counter[HF_COUNT_HANDSHAKES], 1);
    assert_int_equal(sum.counter[HF_COUNT_RECEIVED], 11);
    assert_int_equal(sum.gauge[HF_HAS_SOCKETS], 7);
    assert_int_equal(hf_counters_least(counters, HF_HAS_CURSOR), 69);
    assert_int_equal(sum.timed[HF_TIMED_TURN].bucket[1], 1);
    assert_int_equal(sum.timed[HF_TIMED_TURN].bucket[2], 1);
    assert_int_equal(sum.timed[HF_TIMED_TURN].bucket[HF_HISTOGRAM_BUCKETS - 1],
                     1);
    assert_int_equal(sum.timed[HF_TIMED_TURN].sum_us, 20000500);
    hf_counters_free(counters);
}

static void what_a_dead_worker_had_goes_and_what_it_did_stays(void **state)
{
    struct hf_counters *counters = hf_counters_new(2);
    struct hf_counts sum;

    (void)state;
    assert_non_null(counters);
    in_a_worker(counters, 0, work_a_little);
    in_a_worker(counters, 1, work_more);
    hf_counters_ended(counters, 1, true);
    sum = sum_of(counters);
    assert_int_equal(sum.gauge[HF_HAS_SOCKETS], 3);
    assert_int_equal(hf_counters_least(counters, HF_HAS_CURSOR), 70);
    assert_int_equal(sum.counter[HF_COUNT_RECEIVED], 11);
    assert_int_equal(hf_counters_restarts(counters), 1);
    hf_counters_ended(counters, 0, false);
    assert_int_equal(hf_counters_restarts(counters), 1);
    assert_int_equal(hf_counters_least(counters, HF_HAS_CURSOR), 0);
    hf_counters_free(counters);
}

/* Sums that fell would look like a flood to whoever takes their rate. */
static void its_successor_counts_on_from_there(void **state)
{
    struct hf_counters *counters = hf_counters_new(1);
    struct hf_counts sum;

    (void)state;
    assert_non_null(counters);
    in_a_worker(counters, 0, work_more);
    in_a_worker(counters, 0, work_a_little); /* killed, and not yet reaped */
    sum = sum_of(counters);
    assert_int_equal(sum.counter[HF_COUNT_RECEIVED], 11);
    assert_int_equal(sum.gauge[HF_HAS_SOCKETS], 3);
    hf_counters_free(counters);
}

static void closes_are_told_apart(void **state)
{
    static const int codes[] = {1000, 1001, 1002, 1003, 1005, 1006, 1007, 1008,
                                1009, 1010, 1011, 1012, 1013, 3000, 2999};
    struct hf_counters *counters = hf_counters_new(1);
    struct hf_counts sum;
    size_t n;

    (void)state;
    assert_non_null(counters);
    hf_counters_use(counters, 0);
    for (n = 0; n < HF_CLOSE_KINDS; n++) {
        hf_count_close(codes[n], true);
        sum = sum_of(counters);
        assert_int_equal(sum.counter[HF_CLOSED_BY_US + n], 1);
        assert_int_equal(sum.counter[HF_CLOSED_BY_PEER + n], 0);
        hf_count_close(codes[n], false);
        sum = sum_of(counters);
        assert_int_equal(sum.counter[HF_CLOSED_BY_PEER + n], 1);
    }
    hf_count_close(4999, false);
    hf_count_close(5000, false);
    hf_count_close(-1, false);
    hf_count_close(0, false);
    sum = sum_of(counters);
    assert_int_equal(sum.counter[HF_CLOSED_BY_PEER + HF_CLOSE_KINDS - 2], 2);
    assert_int_equal(sum.counter[HF_CLOSED_BY_PEER + HF_CLOSE_KINDS - 1], 4);
    assert_string_equal(hf_close_kind_name(1), "1001");
    assert_string_equal(hf_close_kind_name(HF_CLOSE_KINDS - 1), "other");
    hf_counters_free(counters);
}

/* Two workers that write side by side are not to slow each other down. */
static void slots_share_no_cache_line(void **state)
{
    (void)state;
    assert_int_equal(sizeof(struct hf_counters_slot) % 64, 0);
    assert_int_equal(_Alignof(struct hf_counters_slot), 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_needed_to_count_into_the_void),
        cmocka_unit_test(workers_are_added_up),
        cmocka_unit_test(what_a_dead_worker_had_goes_and_what_it_did_stays),
        cmocka_unit_test(its_successor_counts_on_from_there),
        cmocka_unit_test(closes_are_told_apart),
        cmocka_unit_test(slots_share_no_cache_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

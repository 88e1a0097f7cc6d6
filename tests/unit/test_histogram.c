#include "base/histogram.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

static void bounds_rise(void **state)
{
    unsigned n;

    (void)state;
    for (n = 1; n < HF_HISTOGRAM_BOUNDS; n++)
        assert_true(hf_histogram_bounds_us[n - 1] < hf_histogram_bounds_us[n]);
}

static void a_bound_belongs_to_its_own_bucket(void **state)
{
    unsigned n;

    (void)state;
    for (n = 0; n < HF_HISTOGRAM_BOUNDS; n++) {
        assert_int_equal(hf_histogram_bucket(hf_histogram_bounds_us[n]), n);
        assert_int_equal(hf_histogram_bucket(hf_histogram_bounds_us[n] + 1),
                         n + 1);
    }
}

static void what_takes_longer_than_all_bounds_is_counted(void **state)
{
    (void)state;
    assert_int_equal(hf_histogram_bucket(INT64_MAX), HF_HISTOGRAM_BOUNDS);
}

static void less_than_nothing_counts_as_nothing(void **state)
{
    struct hf_histogram histogram = {.sum_us = 0};

    (void)state;
    hf_histogram_add(&histogram, -5, 2);
    hf_histogram_add(&histogram, INT64_MIN, 1);
    assert_int_equal(histogram.bucket[0], 3);
    assert_int_equal(histogram.sum_us, 0);
}

static void several_at_once_count_each(void **state)
{
    struct hf_histogram histogram = {.sum_us = 0};

    (void)state;
    hf_histogram_add(&histogram, 300, 4);
    hf_histogram_add(&histogram, 400, 1);
    assert_int_equal(histogram.bucket[2], 5);
    assert_int_equal(histogram.sum_us, 1600);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bounds_rise),
        cmocka_unit_test(a_bound_belongs_to_its_own_bucket),
        cmocka_unit_test(what_takes_longer_than_all_bounds_is_counted),
        cmocka_unit_test(less_than_nothing_counts_as_nothing),
        cmocka_unit_test(several_at_once_count_each),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

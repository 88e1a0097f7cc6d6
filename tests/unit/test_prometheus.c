#include "sidecar/prometheus.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

static struct hf_buf out;

static int set_up(void **state)
{
    (void)state;
    hf_buf_init(&out, 100000);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    hf_buf_release(&out);
    return 0;
}

static void wrote(const char *text)
{
    assert_int_equal(hf_buf_error(&out), 0);
    assert_int_equal(hf_buf_add_byte(&out, '\0'), 0);
    assert_string_equal(out.at, text);
    hf_buf_reset(&out);
}

static void a_family_says_what_it_is(void **state)
{
    (void)state;
    hf_prometheus_family(&out, "x_total", "counter", "All of them.");
    wrote("# HELP x_total All of them.\n# TYPE x_total counter\n");
}

static void a_help_text_stays_one_line(void **state)
{
    (void)state;
    hf_prometheus_family(&out, "x", "gauge", "a\\b\nc \"d\"");
    wrote("# HELP x a\\\\b\\nc \"d\"\n# TYPE x gauge\n");
}

static void numbers_are_whole(void **state)
{
    (void)state;
    hf_prometheus_number(&out, "x", NULL, 0);
    hf_prometheus_number(&out, "x", NULL, UINT64_MAX);
    wrote("x 0\nx 18446744073709551615\n");
}

static void labels_are_written_in_their_order(void **state)
{
    const struct hf_label none[HF_LABELS] = {{"a", NULL}};
    const struct hf_label one[HF_LABELS] = {{"a", "1"}};
    const struct hf_label second[HF_LABELS] = {{"a", NULL}, {"b", "2"}};
    const struct hf_label both[HF_LABELS] = {{"a", "1"}, {"b", ""}};

    (void)state;
    hf_prometheus_number(&out, "x", none, 1);
    hf_prometheus_number(&out, "x", one, 2);
    hf_prometheus_number(&out, "x", second, 3);
    hf_prometheus_number(&out, "x", both, 4);
    wrote("x 1\nx{a=\"1\"} 2\nx{b=\"2\"} 3\nx{a=\"1\",b=\"\"} 4\n");
}

static void a_label_may_be_any_text(void **state)
{
    const struct hf_label odd[HF_LABELS] = {{"a", "\\ \" \n } \xc3\xa4"}};

    (void)state;
    hf_prometheus_number(&out, "x", odd, 1);
    wrote("x{a=\"\\\\ \\\" \\n } \xc3\xa4\"} 1\n");
}

static void microseconds_are_written_as_seconds(void **state)
{
    static const struct {
        uint64_t us;
        const char *text;
    } cases[] = {
        {0, "x 0\n"},
        {1, "x 0.000001\n"},
        {100000, "x 0.1\n"},
        {2500, "x 0.0025\n"},
        {999999, "x 0.999999\n"},
        {1000000, "x 1\n"},
        {10000000, "x 10\n"},
        {1795410867776000, "x 1795410867.776\n"},
        {UINT64_MAX, "x 18446744073709.551615\n"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        hf_prometheus_seconds(&out, "x", NULL, cases[i].us);
        wrote(cases[i].text);
    }
}

static void a_histogram_counts_upwards(void **state)
{
    struct hf_histogram histogram = {.sum_us = 0};

    (void)state;
    hf_histogram_add(&histogram, 50, 2);
    hf_histogram_add(&histogram, 9999999, 3);
    hf_histogram_add(&histogram, 60000000, 1);
    hf_prometheus_histogram(&out, "x", "How long.", &histogram, 5000000);
    wrote("# HELP x How long.\n# TYPE x histogram\n"
          "x_bucket{le=\"5\"} 2\nx_bucket{le=\"10\"} 5\n"
          "x_bucket{le=\"+Inf\"} 6\nx_sum 90.000097\nx_count 6\n");
}

static void every_bound_is_there(void **state)
{
    const struct hf_histogram histogram = {.sum_us = 0};
    static const char *const bounds[] = {
        "0.0001", "0.00025", "0.0005", "0.001", "0.0025", "0.005",
        "0.01",   "0.025",   "0.05",   "0.1",   "0.25",   "0.5",
        "1",      "2.5",     "5",      "10",    "+Inf"};
    char text[40];
    const char *at;
    size_t i;

    (void)state;
    hf_prometheus_histogram(&out, "x", "How long.", &histogram, 0);
    assert_int_equal(hf_buf_add_byte(&out, '\0'), 0);
    at = out.at;
    for (i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++) {
        (void)snprintf(text, sizeof(text), "\nx_bucket{le=\"%s\"} 0\n",
                       bounds[i]);
        at = strstr(at, text);
        assert_non_null(at);
    }
}

static void what_does_not_fit_is_an_error(void **state)
{
    const struct hf_histogram histogram = {.sum_us = 0};

    (void)state;
    hf_buf_release(&out);
    hf_buf_init(&out, 100);
    hf_prometheus_histogram(&out, "x", "How long.", &histogram, 0);
    assert_int_not_equal(hf_buf_error(&out), 0);
    assert_true(out.len <= 100);
}

#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_family_says_what_it_is),
        T(a_help_text_stays_one_line),
        T(numbers_are_whole),
        T(labels_are_written_in_their_order),
        T(a_label_may_be_any_text),
        T(microseconds_are_written_as_seconds),
        T(a_histogram_counts_upwards),
        T(every_bound_is_there),
        T(what_does_not_fit_is_an_error),
    };

    return cmocka_run_group_tests_name("prometheus", tests, NULL, NULL);
}

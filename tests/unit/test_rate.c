/* How often: the bucket itself, and pushes and joins on a WebSocket. */
#include "channel/rate.h"

#include "channel/session_state.h"
#include "tests/unit/session_fixture.h"

#define MS 1000

static void a_burst_then_the_rate(void **state)
{
    struct hf_rate rate = {50, 4};
    int64_t due = 0, now = 1000000000;
    int n;

    (void)state;
    for (n = 0; n < 4; n++)
        assert_int_equal(hf_rate_take(rate, &due, now), 0);
    assert_int_equal(hf_rate_take(rate, &due, now), 20);
    assert_int_equal(hf_rate_take(rate, &due, now + 15 * MS), 5);
    assert_int_equal(hf_rate_take(rate, &due, now + 20 * MS), 0);
    assert_int_equal(hf_rate_take(rate, &due, now + 20 * MS), 20);
    now += 10000 * MS; /* full again, and no fuller */
    for (n = 0; n < 4; n++)
        assert_int_equal(hf_rate_take(rate, &due, now), 0);
    assert_true(hf_rate_take(rate, &due, now) > 0);
}

static void in_the_long_run_it_is_the_rate(void **state)
{
    struct hf_rate rate = {30, 10};
    int64_t due = 0, now = 5;
    int granted = 0, ms;

    (void)state;
    for (ms = 0; ms < 10000; ms++)
        granted += hf_rate_take(rate, &due, now + ms * MS) == 0;
    assert_true(granted >= 308 && granted <= 311);
}

static void a_clock_set_back_locks_nobody_out(void **state)
{
    struct hf_rate rate = {10, 2};
    int64_t due = 0, now = 1000000000;

    (void)state;
    assert_int_equal(hf_rate_take(rate, &due, now), 0);
    now -= 3600LL * 1000 * MS;
    assert_int_equal(hf_rate_take(rate, &due, now), 100);
    assert_int_equal(hf_rate_take(rate, &due, now + 100 * MS), 0);
}

static void zero_is_as_often_as_one_likes(void **state)
{
    int64_t due = 0;
    int n;

    (void)state;
    for (n = 0; n < 1000; n++)
        assert_int_equal(hf_rate_take((struct hf_rate){0, 1}, &due, 5), 0);
}

/* --- on a WebSocket ------------------------------------------------------ */

/* The clocks are right again. */
static int teardown_clocks(void **state)
{
    hf_clock_shift(0, 0);
    return teardown(state);
}

#define LIMITED "{\"reason\":\"rate_limited\",\"retry_ms\":"

static size_t count(const struct client *c, const char *part)
{
    size_t n, found = 0;

    for (n = 0; n < c->count; n++)
        found += strstr(c->got[n], part) != NULL;
    return found;
}

static void push_many(struct client *c, int n)
{
    char text[100];
    int i;

    for (i = 0; i < n; i++) {
        snprintf(text, sizeof(text), "[\"1\",\"p%d\",\"room:a\",\"e\",%d]", i,
                 i);
        say(c, text);
    }
}

static void pushes_beyond_the_rate_are_errors_in_their_order(void **state)
{
    size_t n, next = 0;
    char ref[20];

    (void)state;
    process.settings.push_rate = 10;
    process.settings.push_burst = 5;
    say(&a, JOIN("1"));
    say(&b, JOIN("1"));
    wait_for(&b, 1);
    push_many(&a, 8);
    wait_for(&a, 1 + 5 + 8);
    assert_int_equal(count(&a, "\"status\":\"ok\""), 1 + 5);
    assert_int_equal(count(&a, LIMITED), 3);
    for (n = 0; n < a.count; n++) {
        snprintf(ref, sizeof(ref), "\"p%zu\"", next);
        next += strstr(a.got[n], ref) != NULL;
    }
    assert_int_equal(next, 8);
    say(&b, "[\"1\",\"2\",\"room:a\",\"e\",9]"); /* others have their own */
    wait_for(&b, 1 + 5 + 2);
    assert_int_equal(count(&b, LIMITED), 0);
    hf_clock_shift(100, 100);
    say(&a, "[\"1\",\"9\",\"room:a\",\"e\",9]");
    wait_for(&a, 1 + 5 + 8 + 1 + 2);
    assert_int_equal(count(&a, LIMITED), 3);
}

static void refused_pushes_cost_nothing(void **state)
{
    (void)state;
    process.settings.push_rate = 1;
    process.settings.push_burst = 1;
    say(&a, JOIN("1"));
    say(&a, "[\"1\",\"2\",\"room:a\",\"phx_x\",{}]");
    say(&a, "[\"1\",\"3\",\"room:a\",\"e\",{}]");
    wait_for(&a, 4);
    assert_non_null(strstr(a.got[1], "event not allowed"));
    assert_int_equal(count(&a, LIMITED), 0);
}

static void joins_beyond_the_rate_are_errors(void **state)
{
    char text[100];
    int n;

    (void)state;
    process.settings.join_rate = 20;
    process.settings.max_channels = 15; /* all twice at once, when it comes back */
    for (n = 0; n < 32; n++) {
        snprintf(text, sizeof(text),
                 "[\"%d\",\"%d\",\"room:%d\",\"phx_join\",{}]", n, n, n % 15);
        say(&a, text);
    }
    assert_int_equal(count(&a, "\"status\":\"ok\""), 30);
    assert_int_equal(count(&a, LIMITED), 2);
    hf_clock_shift(50, 50);
    say(&a, "[\"99\",\"99\",\"room:5\",\"phx_join\",{}]");
    assert_int_equal(count(&a, LIMITED), 2);
}

static void a_topic_has_its_own_rate_for_all_together(void **state)
{
    struct hf_policy policy = {HF_STR("room:a"),
                               HF_RIGHT_JOIN | HF_RIGHT_PUBLISH, true, 3};

    (void)state;
    allow_policy(f.dir, &policy);
    say(&a, JOIN("1"));
    say(&b, JOIN("1"));
    publish("room:a", "1"); /* a script's counts, too, and is not refused */
    push_many(&a, 2);
    wait_for(&a, 1 + 1 + 4);
    say(&b, "[\"1\",\"2\",\"room:a\",\"e\",9]");
    wait_for(&b, 1 + 3 + 1);
    assert_int_equal(count(&b, LIMITED), 1);
    say(&b, "[\"1\",\"1\",\"room:b\",\"phx_join\",{}]");
    say(&b, "[\"1\",\"3\",\"room:b\",\"e\",9]"); /* another topic */
    wait_for(&b, 1 + 3 + 1 + 3);
    assert_int_equal(count(&b, LIMITED), 1);
    hf_clock_shift(0, 1001);
    say(&b, "[\"1\",\"4\",\"room:a\",\"e\",9]");
    wait_for(&b, 1 + 3 + 1 + 3 + 2);
    assert_int_equal(count(&b, LIMITED), 1);
}

static void a_repeat_is_answered_whatever_the_topics_rate(void **state)
{
    static const char keyed[] = "[\"1\",\"2\",\"room:a\",\"e\",1,"
                                "{\"key\":\"0123456789abcdefghijkl\"}]";
    struct hf_policy policy = {HF_STR("room:a"),
                               HF_RIGHT_JOIN | HF_RIGHT_PUBLISH, true, 1};

    (void)state;
    allow_policy(f.dir, &policy);
    say(&a, JOIN("1"));
    say(&a, keyed);
    wait_for(&a, 3);
    say(&a, keyed);
    wait_for(&a, 4);
    assert_string_equal(a.got[3], a.got[2]);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown_clocks)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_then_the_rate),
        cmocka_unit_test(in_the_long_run_it_is_the_rate),
        cmocka_unit_test(a_clock_set_back_locks_nobody_out),
        cmocka_unit_test(zero_is_as_often_as_one_likes),
        T(pushes_beyond_the_rate_are_errors_in_their_order),
        T(refused_pushes_cost_nothing),
        T(joins_beyond_the_rate_are_errors),
        T(a_topic_has_its_own_rate_for_all_together),
        T(a_repeat_is_answered_whatever_the_topics_rate),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

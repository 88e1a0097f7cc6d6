/* How often a long-poll session may push and join, whoever serves it. */
#include "channel/rate.h"

#include "tests/unit/longpoll_fixture.h"

#define LIMITED "\"reason\":\"rate_limited\",\"retry_ms\":"

static size_t count(const struct client *c, const char *part)
{
    size_t n, found = 0;

    for (n = 0; n < c->count; n++)
        found += strstr(c->got[n], part) != NULL;
    return found;
}

static void set_rates(size_t push_rate, size_t push_burst, size_t join_rate)
{
    int n;

    for (n = 0; n < 2; n++) {
        process[n].settings.push_rate = push_rate;
        process[n].settings.push_burst = push_burst;
        process[n].settings.join_rate = join_rate;
        process[n].settings.max_channels = 2;
    }
}

#define PUSH(ref) "[\"1\",\"" ref "\",\"room:a\",\"e\",1]"

static void pushes_are_counted_through_all_processes(void **state)
{
    (void)state;
    set_rates(5, 3, 0);
    say(&a, 0, JOIN("1") "\n" PUSH("2") "\n" PUSH("3"));
    say(&a, 1, PUSH("4") "\n" PUSH("5"));
    close_gate(0); /* and beyond their lives */
    open_gate(0);
    set_rates(5, 3, 0);
    say(&a, 0, PUSH("6"));
    poll_until(&a, 1 + 3 + 5);
    assert_int_equal(count(&a, LIMITED), 2);
    assert_non_null(strstr(a.got[7], "\"5\""));
    assert_non_null(strstr(a.got[8], "\"6\""));
    hf_clock_shift(200, 200);
    say(&a, 1, PUSH("7"));
    poll_until(&a, 1 + 3 + 5 + 2);
    assert_int_equal(count(&a, LIMITED), 2);
    say(&b, 0, JOIN("1") "\n" PUSH("2")); /* others have their own */
    poll_until(&b, 3);
    assert_int_equal(count(&b, LIMITED), 0);
}

static void without_a_join_nothing_is_pushed(void **state)
{
    (void)state;
    set_rates(5, 3, 0);
    say(&a, 0, PUSH("2") "\n" PUSH("3"));
    poll_until(&a, 2);
    assert_int_equal(count(&a, "unmatched topic"), 2);
}

static void joins_are_counted_through_all_processes(void **state)
{
    (void)state;
    set_rates(0, 1, 2);
    say(&a, 0, JOIN("1") "\n" JOIN("2") "\n" JOIN("3"));
    say(&a, 1, JOIN("4") "\n" JOIN("5"));
    poll_until(&a, 4 + 4 + 1); /* five answers, four closes */
    assert_int_equal(count(&a, LIMITED), 1);
    assert_non_null(strstr(a.got[7], "[\"5\",\"5\","));
    assert_non_null(strstr(a.got[8], "[\"4\",\"4\",\"room:a\",\"phx_close\""));
    hf_clock_shift(500, 500);
    say(&a, 0, JOIN("6"));
    poll_until(&a, 4 + 4 + 2);
    assert_string_equal(a.got[9], JOINED("6"));
}

#define REFUSED(ref) "[\"" ref "\",\"" ref "\",\"private:a\",\"phx_join\",{}]"

static void start(struct postal *postal, int n, const char *body)
{
    *postal = (struct postal){.post = {.answer = post_answered}};
    hf_post_start(gate[n], &postal->post, &hello, hf_str_of(a.token),
                  hf_str_of(body), true);
}

/* Without a row in the journal: it never joins. */
static void joins_that_are_refused_are_counted_too(void **state)
{
    (void)state;
    set_rates(0, 1, 2);
    say(&a, 0, REFUSED("1") "\n" REFUSED("2"));
    say(&a, 1, REFUSED("3") "\n" REFUSED("4") "\n" REFUSED("5"));
    say(&a, 0, REFUSED("6"));
    close_gate(0); /* and beyond their lives */
    open_gate(0);
    set_rates(0, 1, 2);
    say(&a, 0, REFUSED("7"));
    poll_until(&a, 7);
    assert_int_equal(count(&a, "\"unmatched topic\""), 4);
    assert_int_equal(count(&a, LIMITED), 3);
    say(&a, 0, JOIN("8")); /* what would be accepted waits as well */
    poll_until(&a, 8);
    assert_int_equal(count(&a, LIMITED), 4);
    hf_clock_shift(500, 500);
    say(&a, 1, JOIN("9") "\n" JOIN("10"));
    poll_until(&a, 10);
    assert_string_equal(a.got[8], JOINED("9"));
    assert_int_equal(count(&a, LIMITED), 5); /* the row goes on counting */
    say(&b, 0, JOIN("1"));                   /* others have their own */
    poll_until(&b, 1);
    assert_int_equal(count(&b, LIMITED), 0);
}

static void joins_under_way_together_are_counted_together(void **state)
{
    static struct postal posts[6];
    int n;

    (void)state;
    set_rates(0, 1, 2);
    for (n = 0; n < 6; n++)
        start(&posts[n], n & 1, REFUSED("1"));
    for (n = 0; n < 6; n++)
        assert_true(turn_until(f.loop, &posts[n].answered, 5000));
    poll_until(&a, 6);
    assert_int_equal(count(&a, "\"unmatched topic\""), 4);
    assert_int_equal(count(&a, LIMITED), 2);
}

static void a_topic_has_its_own_rate_for_all_together(void **state)
{
    struct hf_policy policy = {HF_STR("room:a"),
                               HF_RIGHT_JOIN | HF_RIGHT_PUBLISH, true, 2};

    (void)state;
    allow_policy(f.dir, &policy);
    say(&a, 0, JOIN("1") "\n" PUSH("2"));
    say(&b, 1, JOIN("1") "\n" PUSH("2") "\n" PUSH("3"));
    poll_until(&b, 1 + 1 + 2);
    assert_int_equal(count(&b, LIMITED), 1);
    policy.rate = 0; /* the table counts, at once */
    allow_policy(f.dir, &policy);
    say(&b, 0, PUSH("4"));
    poll_until(&b, 1 + 1 + 2 + 2);
    assert_int_equal(count(&b, LIMITED), 1);
}

static int teardown_clocks(void **state)
{
    hf_clock_shift(0, 0);
    return teardown(state);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown_clocks)
    const struct CMUnitTest tests[] = {
        T(pushes_are_counted_through_all_processes),
        T(without_a_join_nothing_is_pushed),
        T(joins_are_counted_through_all_processes),
        T(joins_that_are_refused_are_counted_too),
        T(joins_under_way_together_are_counted_together),
        T(a_topic_has_its_own_rate_for_all_together),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

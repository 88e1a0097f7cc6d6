#include "channel/events_query.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <cmocka.h>

static struct hf_events_query query;

static void good(const char *text)
{
    const char *refused = hf_events_query_read(hf_str_of(text), &query);

    if (refused)
        fail_msg("%s: %s", text, refused);
}

static void bad(const char *text, const char *reason)
{
    const char *refused = hf_events_query_read(hf_str_of(text), &query);

    if (!refused)
        fail_msg("%s was taken", text);
    assert_string_equal(refused, reason);
}

static void a_topic_is_enough(void **state)
{
    (void)state;
    good("topic=room%3A1");
    assert_int_equal(query.count, 1);
    assert_true(hf_str_eq(query.topics[0], HF_STR("room:1")));
    assert_true(query.resume.from_now);
    assert_int_equal(query.hold_ms, -1);
    assert_false(query.paced);
    bad("", "no topic");
    bad("since=", "no topic");
    bad("topic=", "invalid topic");
    bad("topic=%0a", "invalid topic");
    bad("topic=%", "invalid topic");
}

static void topics_may_be_several_and_each_counts_once(void **state)
{
    char text[600] = "";
    size_t n;

    (void)state;
    good("topic=a&topic=b&topic=a&topic=%61");
    assert_int_equal(query.count, 2);
    for (n = 0; n < HF_EVENTS_TOPICS; n++)
        sprintf(text + strlen(text), "topic=t%zu&", n);
    good(text);
    assert_int_equal(query.count, HF_EVENTS_TOPICS);
    strcat(text, "topic=t3");
    good(text);
    strcat(text, "&topic=more");
    bad(text, "too many topics");
}

static void since_is_a_cursor_or_nothing(void **state)
{
    char text[100] = "topic=a&last=3&since=";
    size_t len = strlen(text);

    (void)state;
    len += hf_cursor_format((struct hf_cursor){7, 42}, text + len);
    text[len] = '\0';
    good(text);
    assert_false(query.resume.from_now);
    assert_int_equal(query.resume.since.epoch, 7);
    assert_int_equal(query.resume.since.id, 42);
    assert_int_equal(query.resume.last, 0); /* beside a cursor for nothing */
    good("topic=a&since=");
    assert_true(query.resume.from_now);
    bad("topic=a&since=42", "invalid since");
    bad("topic=a&since=j:............................................0",
        "invalid since");
}

static void last_is_for_one_topic(void **state)
{
    (void)state;
    good("topic=a&last=20");
    assert_int_equal(query.resume.last, 20);
    good("topic=a&last=999999999");
    assert_int_equal(query.resume.last, HF_LAST_MAX);
    bad("topic=a&last=-1", "invalid last");
    bad("topic=a&last=", "invalid last");
    bad("topic=a&last=9999999999", "invalid last");
    bad("topic=a&topic=b&last=1", "invalid last");
}

static void hold_is_in_seconds(void **state)
{
    (void)state;
    good("topic=a&hold=0");
    assert_int_equal(query.hold_ms, 0);
    good("topic=a&hold=7&paced=1");
    assert_int_equal(query.hold_ms, 7000);
    assert_true(query.paced);
    good("topic=a&paced=yes");
    assert_false(query.paced);
    bad("topic=a&hold=1.5", "invalid hold");
    bad("topic=a&hold=5s", "invalid hold");
}

static void what_is_not_ours_is_passed_over(void **state)
{
    (void)state;
    good("&&x=%&access_token=eyJ.e30.x&topic=a&apikey=k&vsn=2.0.0&");
    assert_int_equal(query.count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_topic_is_enough),
        cmocka_unit_test(topics_may_be_several_and_each_counts_once),
        cmocka_unit_test(since_is_a_cursor_or_nothing),
        cmocka_unit_test(last_is_for_one_topic),
        cmocka_unit_test(hold_is_in_seconds),
        cmocka_unit_test(what_is_not_ours_is_passed_over),
    };

    return cmocka_run_group_tests_name("events_query", tests, NULL, NULL);
}

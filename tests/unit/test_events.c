#include "channel/events.h"

#include "channel/longpoll_state.h"
#include "tests/unit/plain_fixture.h"

static uint64_t publish(const char *topic, const char *payload)
{
    return fixture_publish(&process, topic, payload);
}

static void expect(const char *body, unsigned status, const char *reason)
{
    refused(body, &listening.reply, status, reason);
}

static void from_now_on_each_comes_once_and_in_order(void **state)
{
    char first[HF_CURSOR_MAX + 1], second[HF_CURSOR_MAX + 1];

    (void)state;
    (void)publish("room:a", "0");
    assert_int_equal(messages(get("topic=room:a&hold=0")), 0);
    (void)publish("room:a", "{\"n\": 1}");
    (void)publish("room:b", "2");
    (void)publish("room:a", "\"3\"");
    member(listening.reply.body, "cursor", first, sizeof(first));
    assert_int_equal(messages(go_on("topic=room:a", "")), 2);
    assert_int_equal(listening.reply.status, 200);
    has(listening.reply.body, "\"topic\":\"room:a\",\"event\":\"news\","
                              "\"payload\":{\"n\": 1},\"at\":");
    assert_null(strstr(listening.reply.body, "\"more\""));
    assert_int_equal(messages(go_on("topic=room:a", "&hold=0")), 0);
    member(listening.reply.body, "cursor", second, sizeof(second));
    assert_string_not_equal(first, second);
    assert_int_equal(messages(go_on("topic=room:a", "&hold=0")), 0);
}

static void what_comes_while_it_waits_is_answered_at_once(void **state)
{
    int64_t start = hf_boot_ms();

    (void)state;
    get_start(&listening, "topic=room:a");
    turn_for(f.loop, 50);
    assert_false(listening.reply.answered);
    assert_int_equal(hf_longpoll_parked(gate), 1);
    (void)publish("room:b", "1");
    turn_for(f.loop, 50);
    assert_false(listening.reply.answered);
    (void)publish("room:a", "2");
    assert_int_equal(messages(get_wait(&listening, 1500)), 1);
    assert_true(hf_boot_ms() - start < 1500);
    assert_int_equal(hf_longpoll_parked(gate), 0);
}

static void a_wait_in_vain_moves_the_cursor_all_the_same(void **state)
{
    char cursor[HF_CURSOR_MAX + 1];
    struct hf_cursor at;
    int64_t start = hf_boot_ms();
    uint64_t id;

    (void)state;
    get_start(&listening, "topic=room:a&hold=1");
    turn_for(f.loop, 50);
    id = publish("room:b", "1");
    assert_int_equal(messages(get_wait(&listening, 3000)), 0);
    assert_true(hf_boot_ms() - start >= 1000);
    member(listening.reply.body, "cursor", cursor, sizeof(cursor));
    assert_int_equal(hf_cursor_parse(hf_str_of(cursor), &at), 0);
    assert_int_equal(at.id, id);
}

static void several_topics_come_in_their_one_order(void **state)
{
    const char *at = NULL;
    size_t n;

    (void)state;
    (void)get("topic=room:a&hold=0");
    for (n = 0; n < 6; n++) {
        char payload[8];

        snprintf(payload, sizeof(payload), "%zu", n);
        (void)publish(n % 3 == 0   ? "room:a"
                      : n % 3 == 1 ? "room:b"
                                   : "room:c",
                      payload);
    }
    at = go_on("topic=room:c&topic=room:a&topic=room:c", "");
    assert_int_equal(messages(at), 4);
    for (n = 0; n < 6; n++) {
        char payload[20];

        snprintf(payload, sizeof(payload), "\"payload\":%zu,", n);
        if (n % 3 == 1)
            assert_null(strstr(at, payload));
        else
            assert_non_null(at = strstr(at, payload));
    }
}

enum { ROWS = HF_ANSWER_MESSAGES + 20 };

/* ROWS rows, in these topics by turns. */
static void fill(const char *even, const char *odd, const char *event)
{
    char sql[400];

    snprintf(sql, sizeof(sql),
             "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c "
             "WHERE n < %d) INSERT INTO messages(topic, event, payload) SELECT "
             "CASE n %% 2 WHEN 0 THEN '%s' ELSE '%s' END, '%s', n FROM c;",
             (int)ROWS, even, odd, event);
    fixture_sql(&f, sql);
}

/* All of them, from the cursor of the last answer on; how many pages? */
static size_t page_through(const char *topics)
{
    size_t n, got = 0, pages = 0;

    while (got < ROWS && pages++ < 10) {
        const char *body = go_on(topics, "&hold=0");

        for (n = messages(body); n > 0; n--) {
            char payload[24];

            snprintf(payload, sizeof(payload), "\"payload\":%zu,", ++got);
            has(body, payload);
        }
        assert_true(got == ROWS || strstr(body, "\"more\":true"));
    }
    assert_int_equal(got, ROWS);
    return pages;
}

static void pages_are_bounded_and_nothing_is_lost_between(void **state)
{
    (void)state;
    (void)get("topic=room:a&hold=0");
    fill("room:a", "room:b", "e");
    assert_int_equal(page_through("topic=room:a&topic=room:b"), 2);
    assert_int_equal(messages(go_on("topic=room:a", "&hold=0")), 0);
    fill("room:a", "room:a", "e");
    assert_int_equal(page_through("topic=room:a"), 2);
    fill("room:a", "room:a", "e");
    assert_int_equal(page_through("topic=room:b&topic=room:a"), 2);
}

static void pages_without_anything_to_tell_are_read_through(void **state)
{
    (void)state;
    (void)get("topic=room:a&hold=0");
    fill("room:a", "room:a", "presence_diff");
    fill("room:a", "room:a", "presence_diff");
    (void)publish("room:a", "1");
    assert_int_equal(messages(go_on("topic=room:a", "")), 1);
}

static void big_messages_come_one_after_the_other(void **state)
{
    char *payload = malloc(60002);
    size_t n, pages = 0, got = 0;

    (void)state;
    memset(payload, 'x', 60001);
    payload[0] = payload[60000] = '"';
    payload[60001] = '\0';
    (void)get("topic=room:a&hold=0");
    for (n = 0; n < 5; n++)
        (void)publish("room:a", payload);
    for (; got < 5 && pages < 9; pages++) {
        got += messages(go_on("topic=room:a", "&hold=0"));
        assert_true(strlen(listening.reply.body) <
                    HF_ANSWER_BYTES + 60001 + 200);
    }
    free(payload);
    assert_int_equal(got, 5);
    assert_int_equal(pages, 3);
}

static void the_newest_may_be_asked_for(void **state)
{
    const char *body;
    size_t n;

    (void)state;
    for (n = 1; n <= 5; n++) {
        char payload[8];

        snprintf(payload, sizeof(payload), "%zu", n);
        (void)publish("room:a", payload);
    }
    body = get("topic=room:a&last=2");
    assert_int_equal(messages(body), 2);
    has(body, "\"payload\":4,");
    has(body, "\"payload\":5,");
    assert_int_equal(messages(go_on("topic=room:a", "&last=5&hold=0")), 0);
}

static void a_message_is_one_line_whatever_its_payload(void **state)
{
    const char *at;
    size_t lines = 0;

    (void)state;
    (void)publish("room:a", "{\n  \"a\": \"x\\ny\",\r\n  \"b\": [\n1]}");
    at = get("topic=room:a&last=1");
    has(at, "{   \"a\": \"x\\ny\",    \"b\": [ 1]}");
    for (; *at; at++)
        lines += *at == '\n';
    assert_int_equal(lines, 3);
}

static void a_cursor_below_what_was_trimmed_is_a_gap(void **state)
{
    (void)state;
    (void)get("topic=room:a&hold=0");
    (void)publish("room:a", "1");
    (void)publish("room:a", "2");
    (void)publish("room:b", "3");
    fixture_sql(&f, "DELETE FROM messages WHERE payload = '1'");
    has(go_on("topic=room:b&topic=room:a", ""), "\"gap\":\"trimmed\"");
    assert_int_equal(listening.reply.status, 200);
    assert_int_equal(messages(listening.reply.body), 0);
    (void)publish("room:a", "4");
    assert_int_equal(messages(go_on("topic=room:a", "")), 1);
    assert_null(strstr(listening.reply.body, "gap"));
}

static void a_cursor_of_another_history_is_a_reset(void **state)
{
    char query[100] = "topic=room:a&since=";
    size_t len = strlen(query);
    struct hf_cursor cursor = {hf_journal_epoch(process.journal) + 1, 0};

    (void)state;
    query[len + hf_cursor_format(cursor, query + len)] = '\0';
    has(get(query), "\"gap\":\"reset\"");
    cursor = (struct hf_cursor){cursor.epoch - 1, 1000}; /* not yet */
    memset(query + len, 0, sizeof(query) - len);
    (void)hf_cursor_format(cursor, query + len);
    has(get(query), "\"gap\":\"reset\"");
    (void)publish("room:a", "1");
    assert_int_equal(messages(go_on("topic=room:a", "")), 1);
}

static void who_may_not_join_may_not_follow(void **state)
{
    (void)state;
    expect(get("topic=zoo"), 401, "unmatched topic");
    expect(get("topic=room:a&topic=user_socket:1"), 401, "unmatched topic");
    allow(f.dir, "write:*", HF_RIGHT_PUBLISH, true);
    expect(get("topic=write:1"), 401, "unauthorized");
    hello.authorization = HF_STR("Bearer x");
    expect(get("topic=room:a"), 401, "invalid token");
    hello.authorization = HF_STR("");
    hello.from.origin = HF_STR("http://evil.example");
    expect(get("topic=room:a"), 403, "refused");
    expect(get("vsn=9"), 403, "refused");
}

static void a_query_that_is_none_is_refused(void **state)
{
    (void)state;
    expect(get(""), 400, "no topic");
    expect(get("topic=room:a&since=5"), 400, "invalid since");
    expect(get("topic=room:a&hold=x"), 400, "invalid hold");
}

static void a_right_that_is_taken_ends_the_wait(void **state)
{
    (void)state;
    get_start(&listening, "topic=room:a");
    turn_for(f.loop, 50);
    allow(f.dir, "room:a", HF_RIGHT_PUBLISH, true);
    expect(get_wait(&listening, 1500), 401, "unauthorized");
    assert_int_equal(hf_longpoll_parked(gate), 0);
}

static void diffs_of_presence_are_for_who_may_know_it(void **state)
{
    (void)state;
    (void)get("topic=room:a&hold=0");
    fixture_sql(&f, "INSERT INTO messages(topic, event, payload) VALUES "
                    "('room:a', 'presence_diff', '{}'), "
                    "('room:a', 'e', '1'), ('room:a', 'presence_diff', '{}')");
    assert_int_equal(messages(go_on("topic=room:a", "&hold=0")), 1);
    assert_int_equal(messages(go_on("topic=room:a", "&hold=0")), 0);
    allow(f.dir, "room:a", HF_RIGHT_JOIN | HF_RIGHT_PRESENCE, true);
    fixture_sql(&f, "INSERT INTO messages(topic, event, payload) VALUES "
                    "('room:a', 'presence_diff', '{}')");
    assert_int_equal(messages(go_on("topic=room:a", "")), 1);
}

static void without_room_it_is_told_to_come_back(void **state)
{
    (void)state;
    process.settings.max_held = 0;
    expect(get("topic=room:a"), 503, "busy");
    assert_true(listening.reply.retry_s >= 1);
    assert_int_equal(messages(get("topic=room:a&hold=0")), 0);
}

static void when_we_leave_it_goes_on_elsewhere(void **state)
{
    (void)state;
    get_start(&listening, "topic=room:a");
    turn_for(f.loop, 20);
    hf_longpoll_release(gate);
    assert_true(listening.reply.answered);
    assert_int_equal(listening.reply.status, 200);
    (void)publish("room:a", "1");
    assert_int_equal(messages(go_on("topic=room:a", "")), 1);
}

static void a_client_that_hangs_up_is_forgotten(void **state)
{
    (void)state;
    get_start(&listening, "topic=room:a&topic=room:b");
    turn_for(f.loop, 20);
    hf_events_cancel(&listening.events);
    hf_events_cancel(&listening.events);
    assert_int_equal(hf_longpoll_parked(gate), 0);
    (void)publish("room:a", "1");
    turn_for(f.loop, 50);
    assert_false(listening.reply.answered);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(from_now_on_each_comes_once_and_in_order),
        TEST(what_comes_while_it_waits_is_answered_at_once),
        TEST(a_wait_in_vain_moves_the_cursor_all_the_same),
        TEST(several_topics_come_in_their_one_order),
        TEST(pages_are_bounded_and_nothing_is_lost_between),
        TEST(pages_without_anything_to_tell_are_read_through),
        TEST(big_messages_come_one_after_the_other),
        TEST(the_newest_may_be_asked_for),
        TEST(a_message_is_one_line_whatever_its_payload),
        TEST(a_cursor_below_what_was_trimmed_is_a_gap),
        TEST(a_cursor_of_another_history_is_a_reset),
        TEST(who_may_not_join_may_not_follow),
        TEST(a_query_that_is_none_is_refused),
        TEST(a_right_that_is_taken_ends_the_wait),
        TEST(diffs_of_presence_are_for_who_may_know_it),
        TEST(without_room_it_is_told_to_come_back),
        TEST(when_we_leave_it_goes_on_elsewhere),
        TEST(a_client_that_hangs_up_is_forgotten),
    };

    return cmocka_run_group_tests_name("events", tests, NULL, NULL);
}

#include "channel/publishing.h"

#include "base/jwt.h"
#include "schema/failed.h"
#include "tests/unit/plain_fixture.h"

#define KEY "0123456789abcdefghijkl"
#define SAY(topic, payload)                                                    \
    "{\"topic\":\"" topic "\",\"event\":\"say\",\"payload\":" payload "}"
#define ONCE(topic, payload, key)                                              \
    "{\"topic\":\"" topic "\",\"event\":\"say\",\"payload\":" payload          \
    ",\"key\":\"" key "\"}"

static void expect(const char *body, unsigned status, const char *reason)
{
    refused(body, &publishing.reply, status, reason);
}

static size_t rows(const char *topic)
{
    char query[100];

    snprintf(query, sizeof(query), "topic=%s&last=1000&hold=0", topic);
    return messages(get(query));
}

static void a_message_is_in_the_journal_when_it_is_answered(void **state)
{
    char cursor[HF_CURSOR_MAX + 1];
    struct hf_cursor at;
    uint64_t head;

    (void)state;
    member(post(SAY("room:a", "{\"n\": 1E2}")), "cursor", cursor,
           sizeof(cursor));
    assert_int_equal(publishing.reply.status, 200);
    assert_int_equal(hf_cursor_parse(hf_str_of(cursor), &at), 0);
    assert_int_equal(hf_journal_head(process.journal, &head), 0);
    assert_int_equal(at.id, head);
    has(get("topic=room%3Aa&last=1&hold=0"), "\"payload\":{\"n\": 1E2}");
    has(listening.reply.body, cursor);
}

static void lines_get_a_cursor_each_in_their_order(void **state)
{
    struct hf_json object, list, one;
    struct hf_json_walk walk;
    size_t count = 0;

    (void)state;
    post_as(SAY("room:a", "1") "\n\n" SAY("room:b", "2") "\r\n" SAY("room:a",
                                                                    "3") "\n",
            true);
    assert_int_equal(publishing.reply.status, 200);
    assert_int_equal(hf_json_read(hf_str_of(publishing.reply.body), 8, &object),
                     0);
    assert_true(hf_json_find(object, HF_STR("cursors"), &list));
    hf_json_walk(list, &walk);
    while (hf_json_element(&walk, &one))
        count++;
    assert_int_equal(count, 3);
    assert_int_equal(rows("room:a"), 2);
}

static void bytes_stay_bytes(void **state)
{
    (void)state;
    (void)post(SAY("room:a", "{\"_binary\":\"_wAB\"}"));
    assert_int_equal(publishing.reply.status, 200);
    has(get("topic=room:a&last=1&hold=0"),
        "\"payload\":{\"_binary\":\"/wAB\"}");
}

static void what_a_push_may_not_a_publish_may_not(void **state)
{
    (void)state;
    expect(post(SAY("zoo", "1")), 401, "unauthorized");
    expect(post(SAY("user_socket:1", "1")), 401, "unauthorized");
    allow(f.dir, "read:*", HF_RIGHT_JOIN, true);
    expect(post(SAY("read:1", "1")), 401, "unauthorized");
    expect(post("{\"topic\":\"room:a\",\"event\":\"phx_close\","
                "\"payload\":1}"),
           403, "event not allowed");
    expect(post("{\"topic\":\"room:a\",\"event\":\"presence_diff\","
                "\"payload\":1}"),
           403, "event not allowed");
    process.settings.max_payload = 10;
    expect(post(SAY("room:a", "\"0123456789\"")), 413, "payload too large");
    assert_int_equal(rows("room:a"), 0);
}

static void what_is_malformed_says_which_line(void **state)
{
    (void)state;
    expect(post("{"), 400, "malformed");
    expect(post_as(SAY("room:a", "1") "\n" SAY("room:a", "01"), true), 400,
           "malformed");
    has(publishing.reply.body, "\"line\":2");
    assert_int_equal(rows("room:a"), 0);
}

static void one_bad_line_and_nothing_is_published(void **state)
{
    (void)state;
    expect(post_as(SAY("room:a", "1") "\n\n" SAY("zoo", "2"), true), 401,
           "unauthorized");
    has(publishing.reply.body, "\"line\":3");
    (void)post(ONCE("room:a", "1", KEY));
    assert_int_equal(publishing.reply.status, 200);
    /* this one is found in the transaction */
    expect(post_as(SAY("room:a", "2") "\n" ONCE("room:a", "3", KEY), true), 409,
           "key_reused");
    has(publishing.reply.body, "\"line\":2");
    assert_int_equal(rows("room:a"), 1);
}

static void a_key_makes_it_once(void **state)
{
    char first[HF_CURSOR_MAX + 1], again[HF_CURSOR_MAX + 1];

    (void)state;
    member(post(ONCE("room:a", "1", KEY)), "cursor", first, sizeof(first));
    member(post(ONCE("room:a", "1", KEY)), "cursor", again, sizeof(again));
    assert_string_equal(first, again);
    assert_int_equal(rows("room:a"), 1);
    expect(post(ONCE("room:a", "2", KEY)), 409, "key_reused");
    expect(post(ONCE("room:a", "1", "short")), 400, "invalid key");
    /* without a name keys are of their topic */
    (void)post(ONCE("room:b", "1", KEY));
    assert_int_equal(publishing.reply.status, 200);
    assert_int_equal(rows("room:b"), 1);
}

static void with_a_token(char *header, size_t cap, const char *claims)
{
    const struct hf_jwks *keys = hf_keys_now(process.keys);
    struct hf_buf token;
    char text[300];

    hf_buf_init(&token, HF_JWT_MAX);
    snprintf(text, sizeof(text), "{\"exp\":%lld,%s}",
             (long long)hf_wall_ms() / 1000 + 60, claims);
    assert_int_equal(hf_jwt_make(&keys->keys[0], hf_str_of(text), &token), 0);
    snprintf(header, cap, "Bearer %.*s", HF_STR_ARG(hf_buf_str(&token)));
    hf_buf_release(&token);
    hello.authorization = hf_str_of(header);
}

static void a_token_says_who_and_what(void **state)
{
    char header[1000];

    (void)state;
    with_a_token(header, sizeof(header),
                 "\"sub\":\"ann\",\"topics\":{\"zoo\":[\"publish\"]}");
    (void)post(ONCE("zoo", "1", "k1")); /* her own: it may be short */
    assert_int_equal(publishing.reply.status, 200);
    expect(post(SAY("zap", "1")), 403, "unauthorized");
    hello.authorization = HF_STR("Bearer nonsense");
    expect(post(SAY("room:a", "1")), 401, "invalid token");
}

static void a_page_of_another_origin_is_refused(void **state)
{
    (void)state;
    hello.from.origin = HF_STR("http://evil.example");
    expect(post(SAY("room:a", "1")), 403, "refused");
}

static void pushes_are_counted_by_user_or_address(void **state)
{
    char header[1000];
    uint64_t sessions;
    size_t n;

    (void)state;
    process.settings.push_rate = 1;
    process.settings.push_burst = 5;
    for (n = 0; n < 5; n++) {
        (void)post(SAY("room:a", "1"));
        assert_int_equal(publishing.reply.status, 200);
    }
    expect(post(SAY("room:a", "1")), 429, "rate_limited");
    has(publishing.reply.body, "\"retry_ms\":");
    assert_int_equal(publishing.reply.retry_s, 1);
    expect(post(SAY("zoo", "1")), 401, "unauthorized"); /* does not count */
    hello.peer = HF_STR("192.0.2.8");
    expect(post_as(SAY("room:a", "1") "\n" SAY("room:a", "1") "\n" SAY(
                       "room:a",
                       "1") "\n" SAY("room:a",
                                     "1") "\n" SAY("room:a",
                                                   "1") "\n" SAY("room:a", "1"),
                   true),
           413, "too many lines");
    (void)post_as(
        SAY("room:a", "1") "\n" SAY("room:a", "1") "\n" SAY("room:a", "1"),
        true);
    assert_int_equal(publishing.reply.status, 200);
    expect(post_as(SAY("room:a", "1") "\n" SAY("room:a", "1") "\n" SAY("room:a",
                                                                       "1"),
                   true),
           429, "rate_limited");
    hello.peer = HF_STR("192.0.2.7"); /* whose bucket is empty */
    with_a_token(header, sizeof(header), "\"sub\":\"ann\"");
    (void)post(SAY("room:a", "1"));
    assert_int_equal(publishing.reply.status, 200);
    assert_int_equal(hf_live_count(process.live, 60000, &sessions), 0);
    assert_int_equal(sessions, 0); /* nobody has one */
}

static void a_topic_has_its_own_rate(void **state)
{
    const struct hf_policy policy = {HF_STR("slow"), HF_RIGHT_PUBLISH, true, 2};

    (void)state;
    allow_policy(f.dir, &policy);
    (void)post(SAY("slow", "1"));
    expect(post_as(SAY("slow", "2") "\n" SAY("slow", "3"), true), 429,
           "rate_limited");
    has(publishing.reply.body, "\"line\":2");
    (void)post(SAY("slow", "2"));
    assert_int_equal(publishing.reply.status, 200);
}

static void a_failed_journal_is_said_with_when_to_come_back(void **state)
{
    (void)state;
    assert_int_equal(hf_failed_raise(&process.dir, "a test"), 0);
    expect(post(SAY("room:a", "1")), 503, "journal_failed");
    assert_true(publishing.reply.retry_s > 0);
}

static void a_client_that_is_gone_has_published_all_the_same(void **state)
{
    struct publish_request gone = {.publishing = {.answer = published}};

    (void)state;
    hf_publishing_start(gate, &gone.publishing, &hello,
                        HF_STR(SAY("room:a", "1")), false);
    assert_false(gone.reply.answered);
    hf_publishing_forget(&gone.publishing);
    hf_publishing_forget(&gone.publishing);
    turn_for(f.loop, 100);
    assert_false(gone.reply.answered);
    assert_int_equal(rows("room:a"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_message_is_in_the_journal_when_it_is_answered),
        TEST(lines_get_a_cursor_each_in_their_order),
        TEST(bytes_stay_bytes),
        TEST(what_a_push_may_not_a_publish_may_not),
        TEST(what_is_malformed_says_which_line),
        TEST(one_bad_line_and_nothing_is_published),
        TEST(a_key_makes_it_once),
        TEST(a_token_says_who_and_what),
        TEST(a_page_of_another_origin_is_refused),
        TEST(pushes_are_counted_by_user_or_address),
        TEST(a_topic_has_its_own_rate),
        TEST(a_failed_journal_is_said_with_when_to_come_back),
        TEST(a_client_that_is_gone_has_published_all_the_same),
    };

    return cmocka_run_group_tests_name("publishing", tests, NULL, NULL);
}

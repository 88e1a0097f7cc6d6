#include "channel/once.h"

#include "channel/session_state.h"
#include "tests/unit/session_fixture.h"

#define TOPIC "\"room:a\""
#define LONG  "0123456789abcdefghijkl" /* 22 characters */

/* --- what a frame asks --------------------------------------------------- */

static const char *asked(const char *sixth, const char *user,
                         struct hf_once *once)
{
    struct hf_frame frame;
    char text[600];

    snprintf(text, sizeof(text), "[\"1\",\"2\"," TOPIC ",\"e\",{}%s]", sixth);
    assert_int_equal(hf_frame_decode(HF_VSN_2, hf_str_of(text), false, &frame), 0);
    return hf_once_of(&frame, hf_str_of(user), once);
}

static void is(struct hf_str value, const char *text)
{
    assert_true(hf_str_eq(value, hf_str_of(text)));
}

static void without_a_key_nothing_is_asked(void **state)
{
    static const char *const sixth[] = {"", ",{}", ",{\"other\":1}", ",\"key\"",
                                        ",[\"key\"]"};
    struct hf_once once;
    size_t n;

    (void)state;
    for (n = 0; n < sizeof(sixth) / sizeof(sixth[0]); n++) {
        assert_null(asked(sixth[n], "ann", &once));
        assert_int_equal(once.key.len, 0);
        assert_int_equal(once.publisher.len, 0);
    }
}

static void a_user_is_the_publisher_of_his_keys(void **state)
{
    struct hf_once once;

    (void)state;
    assert_null(asked(",{\"key\":\"\\u006b\"}", "ann", &once));
    is(once.key, "k");
    is(once.publisher, "ann");
}

static void a_push_says_behind_which_it_comes(void **state)
{
    struct hf_once once;

    (void)state;
    assert_null(asked(",{\"key\":\"k2\",\"after\":\"k1\"}", "ann", &once));
    is(once.key, "k2");
    is(once.after, "k1");
    is(once.publisher, "ann");
    assert_null(asked(",{\"key\":\"k2\"}", "ann", &once));
    is(once.after, "");
    assert_null(asked(",{\"after\":\"k1\"}", "ann", &once));
    is(once.after, "");
    assert_string_equal(
        asked(",{\"key\":\"k2\",\"after\":7}", "ann", &once), "invalid key");
    assert_string_equal(
        asked(",{\"key\":\"k2\",\"after\":\"\"}", "ann", &once),
        "invalid key");
}

static void without_a_name_a_key_is_long_and_counts_for_the_topic(void **state)
{
    struct hf_once once;

    (void)state;
    assert_null(asked(",{\"key\":\"" LONG "\"}", "", &once));
    is(once.key, LONG);
    is(once.publisher, "anonymous at room:a");
    assert_string_equal(
        asked(",{\"key\":\"0123456789abcdefghijk\"}", "", &once),
        "invalid key");
}

static void a_key_is_a_string_of_bounded_length(void **state)
{
    static const char *const bad[] = {
        "1", "null", "\"\"", "{}", "\"a\\nb\"", "\"\\u0000\"", "\"\\u007f\""};
    char longest[140], text[170];
    struct hf_once once;
    size_t n;

    (void)state;
    for (n = 0; n < sizeof(bad) / sizeof(bad[0]); n++) {
        snprintf(text, sizeof(text), ",{\"key\":%s}", bad[n]);
        assert_string_equal(asked(text, "ann", &once), "invalid key");
    }
    for (n = HF_KEY_MAX; n <= HF_KEY_MAX + 1; n++) {
        memset(longest, 'x', n);
        longest[n] = '\0';
        snprintf(text, sizeof(text), ",{\"key\":\"%s\"}", longest);
        assert_true((asked(text, "ann", &once) == NULL) == (n == HF_KEY_MAX));
    }
}

/* --- on a WebSocket ------------------------------------------------------ */

#define PUSH(ref, event, payload, key)                                         \
    "[\"1\",\"" ref "\"," TOPIC ",\"" event "\"," payload ",{\"key\":\"" key   \
    "\"}]"
#define ERROR(ref, reason)                                                     \
    "[\"1\",\"" ref "\"," TOPIC ",\"phx_reply\","                              \
    "{\"status\":\"error\",\"response\":{\"reason\":\"" reason "\"}}]"

static void got_cursor(struct client *c, size_t n, const char *ref, uint64_t id)
{
    char cursor[HF_CURSOR_MAX + 1], text[200];

    cursor_text(cursor, id);
    snprintf(text, sizeof(text),
             "[\"1\",\"%s\"," TOPIC ",\"phx_reply\","
             "{\"status\":\"ok\",\"response\":{\"cursor\":\"%s\"}}]",
             ref, cursor);
    got(c, n, text);
}

static void a_repeat_has_no_effect_and_gets_the_first_cursor(void **state)
{
    uint64_t head;

    (void)state;
    assert_int_equal(hf_journal_head(process.journal, &head), 0);
    say(&a, JOIN("1"));
    say(&b, JOIN("1"));
    say(&a, PUSH("2", "e", "7", LONG));
    got(&a, 1, "[null,null," TOPIC ",\"e\",7]");
    got_cursor(&a, 2, "2", head + 1);
    say(&a, PUSH("3", "e", "7", LONG));
    got_cursor(&a, 3, "3", head + 1);
    /* the same key from elsewhere: without a name, anybody's is the same */
    say(&b, PUSH("4", "e", "7", LONG));
    got_cursor(&b, 2, "4", head + 1);
    quiet(&a, 4);
    quiet(&b, 3);
}

static void a_repeat_on_a_new_connection_is_the_same(void **state)
{
    uint64_t head;

    (void)state;
    assert_int_equal(hf_journal_head(process.journal, &head), 0);
    say(&b, JOIN("1"));
    say(&a, JOIN("1"));
    say(&a, PUSH("2", "e", "7", LONG));
    close_client(&a); /* it does not know whether it was done */
    wait_for(&b, 2);
    open_client(&a);
    say(&a, JOIN("1"));
    say(&a, PUSH("2", "e", "7", LONG));
    got_cursor(&a, 1, "2", head + 1);
}

static void a_key_for_something_else_is_refused(void **state)
{
    (void)state;
    say(&a, JOIN("1"));
    say(&a, PUSH("2", "e", "7", LONG));
    wait_for(&a, 3);
    say(&a, PUSH("3", "f", "7", LONG));
    got(&a, 3, ERROR("3", "key_reused"));
    say(&a, PUSH("4", "e", "8", LONG));
    got(&a, 4, ERROR("4", "key_reused"));
    say(&a, PUSH("5", "e", "7", "short"));
    got(&a, 5, ERROR("5", "invalid key"));
    /* another topic, another key, as nobody has a name */
    say(&a, "[\"1\",\"1\",\"room:b\",\"phx_join\",{}]");
    say(&a, "[\"1\",\"6\",\"room:b\",\"e\",8,{\"key\":\"" LONG "\"}]");
    wait_for(&a, 9);
    assert_non_null(strstr(a.got[8], "\"ok\""));
    quiet(&a, 9);
}

static void the_right_is_asked_before_the_key(void **state)
{
    (void)state;
    allow(f.dir, "room:a", HF_RIGHT_JOIN | HF_RIGHT_PUBLISH, true);
    say(&a, JOIN("1"));
    say(&a, PUSH("2", "e", "7", LONG));
    wait_for(&a, 3);
    allow(f.dir, "room:a", HF_RIGHT_JOIN, true);
    turn_for(f.loop, 700);
    say(&a, PUSH("3", "e", "7", LONG));
    got(&a, 3, ERROR("3", "unauthorized"));
    say(&a, PUSH("4", "e", "8", LONG));
    got(&a, 4, ERROR("4", "unauthorized"));
}

static void a_user_has_his_keys_to_himself_on_every_topic(void **state)
{
    (void)state;
    a.session->client.user = HF_STR("ann");
    b.session->client.user = HF_STR("bob");
    say(&a, JOIN("1"));
    say(&b, JOIN("1"));
    wait_for(&a, 1);
    wait_for(&b, 1);
    say(&a, PUSH("2", "e", "1", "k"));
    wait_for(&a, 3);
    wait_for(&b, 2);
    say(&b, PUSH("2", "e", "2", "k"));
    wait_for(&b, 4);
    assert_non_null(strstr(b.got[3], "\"ok\""));
    say(&a, "[\"1\",\"1\",\"room:b\",\"phx_join\",{}]");
    say(&a, "[\"1\",\"6\",\"room:b\",\"e\",1,{\"key\":\"k\"}]");
    wait_for(&a, 6);
    assert_non_null(strstr(a.got[5], "key_reused"));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_key_nothing_is_asked),
        cmocka_unit_test(a_user_is_the_publisher_of_his_keys),
        cmocka_unit_test(a_push_says_behind_which_it_comes),
        cmocka_unit_test(without_a_name_a_key_is_long_and_counts_for_the_topic),
        cmocka_unit_test(a_key_is_a_string_of_bounded_length),
        T(a_repeat_has_no_effect_and_gets_the_first_cursor),
        T(a_repeat_on_a_new_connection_is_the_same),
        T(a_key_for_something_else_is_refused),
        T(the_right_is_asked_before_the_key),
        T(a_user_has_his_keys_to_himself_on_every_topic),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* A push with a key by long-poll, whichever of two processes serves it. */
#include "channel/once.h"

#include "tests/unit/longpoll_fixture.h"

#define KEY "0123456789abcdefghijkl"
#define PUSH(ref, payload)                                                     \
    "[\"1\",\"" ref "\",\"room:a\",\"e\"," payload ",{\"key\":\"" KEY "\"}]"
#define ERROR(ref, reason)                                                     \
    "[\"1\",\"" ref "\",\"room:a\",\"phx_reply\","                             \
    "{\"status\":\"error\",\"response\":{\"reason\":\"" reason "\"}}]"

static void got_cursor(struct client *c, size_t n, const char *ref, uint64_t id)
{
    char cursor[HF_CURSOR_MAX + 1], text[200];

    cursor_text(cursor, id);
    snprintf(text, sizeof(text),
             "[\"1\",\"%s\",\"room:a\",\"phx_reply\","
             "{\"status\":\"ok\",\"response\":{\"cursor\":\"%s\"}}]",
             ref, cursor);
    got(c, n, text);
}

static uint64_t newest(void)
{
    uint64_t before;

    assert_int_equal(hf_journal_before_last(process[0].journal,
                                            HF_STR("room:a"), 0, &before),
                     0);
    return before;
}

static void a_repeat_through_another_process_gets_the_first_cursor(void **state)
{
    uint64_t id;

    (void)state;
    say(&a, 0, JOIN("1"));
    say(&a, 0, PUSH("2", "7"));
    id = newest();
    say(&a, 1, PUSH("3", "7"));
    say(&b, 1,
        JOIN("1") "\n" PUSH("4", "7")); /* another session of the client */
    got(&a, 1, "[null,null,\"room:a\",\"e\",7]");
    got_cursor(&a, 2, "2", id);
    got_cursor(&a, 3, "3", id);
    got_cursor(&b, 1, "4", id);
    assert_int_equal(newest(), id);
    poll_once(&a, 0);
    assert_int_equal(a.count, 4);
}

static void twice_in_one_post_is_once(void **state)
{
    uint64_t id;

    (void)state;
    say(&a, 0, JOIN("1") "\n" PUSH("2", "7") "\n" PUSH("3", "7"));
    id = newest();
    got(&a, 1, "[null,null,\"room:a\",\"e\",7]");
    got_cursor(&a, 2, "2", id);
    got_cursor(&a, 3, "3", id);
}

static void
a_key_for_something_else_is_refused_and_the_rest_is_done(void **state)
{
    (void)state;
    say(&a, 0,
        JOIN("1") "\n" PUSH("2", "7") "\n" PUSH(
            "3", "8") "\n[\"1\",\"4\",\"room:a\",\"e\",9,{\"key\":7}]"
                      "\n[\"1\",\"5\",\"room:a\",\"e\",9]");
    poll_until(&a, 7);
    assert_string_equal(a.got[3], ERROR("3", "key_reused"));
    assert_string_equal(a.got[4], ERROR("4", "invalid key"));
    assert_string_equal(a.got[5], "[null,null,\"room:a\",\"e\",9]");
    assert_string_equal(a.got[6], OK("\"1\"", "5"));
}

static void the_right_is_asked_before_the_key(void **state)
{
    (void)state;
    say(&a, 0, JOIN("1") "\n" PUSH("2", "7"));
    allow(f.dir, "room:a", HF_RIGHT_JOIN, true);
    say(&a, 0, PUSH("3", "7") "\n" PUSH("4", "8"));
    got(&a, 3, ERROR("3", "unauthorized"));
    got(&a, 4, ERROR("4", "unauthorized"));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_repeat_through_another_process_gets_the_first_cursor),
        T(twice_in_one_post_is_once),
        T(a_key_for_something_else_is_refused_and_the_rest_is_done),
        T(the_right_is_asked_before_the_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

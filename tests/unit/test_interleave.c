/* What may happen between two steps of a long-poll session, in two processes:
 * each of these orders is one that decisions about sessions rule out to go
 * wrong, and is caught in tests/broken without its rule. */
#include "tests/unit/longpoll_fixture.h"

#include "schema/sessions.h"

static void threaded_gate(int n)
{
    fixture_open(&f, &process[n], true);
    assert_int_equal(hf_longpoll_open(&process[n], 2000, &gate[n]), 0);
}

static struct hf_journal *writing(void)
{
    struct hf_journal *journal;
    struct hf_why why = {""};

    if (hf_journal_open(&process[0].dir, &process[0].settings, HF_JOURNAL_WRITE,
                        &journal, &why))
        fixture_fail("lock", &why);
    assert_int_equal(hf_journal_begin(journal), 0);
    return journal;
}

static void post_start(struct postal *postal, int n, const char *token,
                       const char *body)
{
    *postal = (struct postal){.post = {.answer = post_answered}};
    hf_post_start(gate[n], &postal->post, &hello, hf_str_of(token),
                  hf_str_of(body), true);
}

static size_t count(const struct client *c, const char *part)
{
    size_t n, found = 0;

    for (n = 0; n < c->count; n++)
        found += strstr(c->got[n], part) != NULL;
    return found;
}

/* Both have been read when neither has been done. */
static void two_posts_at_once_are_done_one_after_the_other(void **state)
{
    struct hf_journal *lock;
    struct postal one, two;

    (void)state;
    close_gate(1);
    threaded_gate(1);
    lock = writing();
    post_start(&one, 0, a.token, JOIN("1"));
    post_start(&two, 1, a.token, JOIN("2"));
    turn_for(f.loop, 50);
    assert_false(one.answered || two.answered);
    hf_journal_rollback(lock);
    hf_journal_close(lock);
    assert_true(turn_until(f.loop, &one.answered, 5000));
    assert_true(turn_until(f.loop, &two.answered, 5000));
    assert_int_equal(one.status, 200);
    assert_int_equal(two.status, 200);
    publish("room:a", "7");
    poll_until(&a, 4);
    poll_once(&a, 1);
    assert_int_equal(count(&a, "phx_close"), 1); /* of the one that was first */
    assert_int_equal(count(&a, "news"), 1);
    assert_int_equal(a.count, 4);
}

static void join_since(int n, const char *ref, uint64_t id)
{
    char cursor[HF_CURSOR_MAX + 1], text[200];

    cursor_text(cursor, id);
    snprintf(text, sizeof(text),
             "[\"%s\",\"%s\",\"room:a\",\"phx_join\",{\"since\":\"%s\"}]", ref,
             ref, cursor);
    say(&a, n, text);
}

static void is_row(size_t n, const char *ref, uint64_t id)
{
    char cursor[HF_CURSOR_MAX + 1], text[100];

    cursor_text(cursor, id);
    snprintf(text, sizeof(text), "[\"%s\",\"%s\",\"room:a\",\"news\",", ref,
             cursor);
    got(&a, n, a.count > n ? a.got[n] : "");
    if (strncmp(a.got[n], text, strlen(text)) != 0)
        fail_msg("%s is not %s...", a.got[n], text);
}

static void
a_join_over_a_live_one_gets_its_own_rows_and_each_row_says_whose(void **state)
{
    uint64_t start = publish("room:a", "0"), one, two, three;

    (void)state;
    join_since(0, "1", start);
    one = publish("room:a", "1");
    poll_until(&a, 2);
    two = publish("room:a", "2");
    join_since(1, "2", start); /* it has not seen 1 and 2: so it says */
    three = publish("room:a", "3");
    poll_until(&a, 8);
    is_row(1, "1", one);
    is_row(2, "1", two);
    assert_non_null(strstr(a.got[3], "[\"2\",\"2\",\"room:a\",\"phx_reply\""));
    is_row(4, "2", one);
    is_row(5, "2", two);
    assert_non_null(strstr(a.got[6], "[\"1\",\"1\",\"room:a\",\"phx_close\""));
    is_row(7, "2", three);
    poll_once(&a, 0);
    assert_int_equal(a.count, 8);
}

static void a_join_in_the_middle_of_a_replay_begins_anew(void **state)
{
    enum { ROWS = 900 };
    uint64_t start = publish("room:a", "0"), live;
    size_t n, next = 0;
    bool mine = false;

    (void)state;
    fixture_sql(&f, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1"
                    " FROM n WHERE i < 900) INSERT INTO messages (topic, event,"
                    " payload) SELECT 'room:a', 'news', i FROM n");
    join_since(0, "1", start);
    poll_once(&a, 0);
    assert_true(a.count > 1 && a.count < ROWS);
    join_since(1, "2", start);
    live = publish("room:a", "901");
    poll_until(&a, 1 + ROWS + 1 + ROWS + 1 + 1);
    for (n = 0; n < a.count; n++) {
        if (strncmp(a.got[n], "[\"2\",\"2\"", 8) == 0) {
            mine = true; /* nothing of the new join before its reply */
            continue;
        }
        if (strncmp(a.got[n], "[\"2\",", 5) != 0)
            continue;
        assert_true(mine);
        is_row(n, "2", next < ROWS ? start + 1 + next : live);
        next++;
    }
    assert_int_equal(next, ROWS + 1);
    poll_once(&a, 1);
    assert_int_equal(a.count, 1 + ROWS + 1 + ROWS + 1 + 1);
}

/* What was published before the leave is not lost, though nobody had polled
 * when it was gone, and what came between is nobody's. */
static void a_leave_and_a_join_behind_a_polls_back_lose_nothing(void **state)
{
    uint64_t one, two, three;
    struct get get;

    (void)state;
    join_since(0, "1", publish("room:a", "0"));
    poll_until(&a, 1);
    one = publish("room:a", "1");
    say(&a, 1, "[\"1\",\"5\",\"room:a\",\"phx_leave\",{}]");
    two = publish("room:a", "2");
    say(&a, 0, "[\"3\",\"3\",\"room:a\",\"phx_join\",{\"since\":\"\"}]");
    three = publish("room:a", "3");
    get_start(&get, 1, a.token); /* an answer that gets lost */
    get_wait(&get, 1000);
    get_free(&get);
    poll_until(&a, 6);
    is_row(1, "1", one);
    assert_string_equal(a.got[2], OK("\"1\"", "5"));
    assert_non_null(strstr(a.got[3], "phx_close"));
    assert_non_null(strstr(a.got[4], "\"recovered\":false"));
    is_row(5, "3", three);
    poll_once(&a, 0);
    assert_int_equal(a.count, 6);
    assert_true(one < two && two < three);
}

/* A reply that nobody has polled for is not taken away by a further POST. */
static void a_post_takes_away_only_what_its_token_acknowledges(void **state)
{
    char first[HF_TOKEN_MAX + 1];

    (void)state;
    say(&a, 0, JOIN("1"));
    poll_until(&a, 1);
    snprintf(first, sizeof(first), "%s", a.token);
    say(&a, 0, "[\"1\",\"2\",\"room:a\",\"e\",2]");
    say(&a, 1, "[\"1\",\"3\",\"room:a\",\"e\",3]");
    poll_once(&a, 0);
    assert_int_equal(a.count, 5);
    assert_int_equal(
        post_to(1, first, "[\"1\",\"4\",\"room:a\",\"e\",4]", true), 200);
    poll_until(&a, 7);
    assert_string_equal(a.got[6], OK("\"1\"", "4"));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(two_posts_at_once_are_done_one_after_the_other),
        T(a_join_over_a_live_one_gets_its_own_rows_and_each_row_says_whose),
        T(a_join_in_the_middle_of_a_replay_begins_anew),
        T(a_leave_and_a_join_behind_a_polls_back_lose_nothing),
        T(a_post_takes_away_only_what_its_token_acknowledges),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

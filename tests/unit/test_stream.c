/*
 * test_stream.c - what a long-poll session is owed (D7): every row of its
 * intervals once, or {"status":500} and nothing else
 */
#include "channel/stream.h"

#include "tests/unit/longpoll_fixture.h"

#include "schema/journal_impl.h"

#define LEAVE(ref) "[\"1\",\"" ref "\",\"room:a\",\"phx_leave\",{}]"

/* At one of the statements of gateway 0 another program does something. */
static const char *meddle_at, *meddle_with;

static int on_statement(unsigned type, void *ctx, void *stmt, void *text)
{
    const char *sql = meddle_with;

    (void)type;
    (void)ctx;
    (void)stmt;
    if (!meddle_at || !strstr(text, meddle_at))
        return 0;
    meddle_at = meddle_with = NULL; /* once */
    fixture_sql(&f, sql);
    return 0;
}

static void meddle(const char *at, const char *with)
{
    assert_int_equal(sqlite3_trace_v2(process[0].journal->db.handle,
                                      SQLITE_TRACE_STMT, on_statement, NULL),
                     0);
    meddle_at = at;
    meddle_with = with;
}

/* The session is at its end, and nothing is given beside that. */
static void is_dead(int n, const char *token)
{
    struct get get;

    get_start(&get, n, token);
    get_wait(&get, 3000);
    assert_int_equal(get.status, 500);
    assert_int_equal(get.count, 0);
    assert_int_equal(get.token[0], '\0');
}

static void join_since(struct client *c, uint64_t id)
{
    char cursor[HF_CURSOR_MAX + 1], body[200];

    cursor_text(cursor, id);
    (void)snprintf(body, sizeof(body),
                   "[\"1\",\"1\",\"room:a\",\"phx_join\",{\"since\":\"%s\"}]",
                   cursor);
    say(c, 0, body);
}

/* --- gone ---------------------------------------------------------------- */

static void
rows_of_an_ended_interval_that_are_gone_end_the_session(void **state)
{
    char before[HF_TOKEN_MAX + 1];

    (void)state;
    say(&a, 0, JOIN("1"));
    got(&a, 0, JOINED("1"));
    (void)snprintf(before, sizeof(before), "%s", a.token);
    publish("room:a", "1");
    say(&a, 0, LEAVE("2"));
    fixture_sql(&f, "DELETE FROM messages");
    is_dead(0, before);
    is_dead(1, before);
}

static void a_replay_whose_rows_are_gone_ends_the_session(void **state)
{
    uint64_t first = publish("room:a", "0");

    (void)state;
    publish("room:a", "1");
    join_since(&a, first); /* "recovered": the rows were there */
    fixture_sql(&f, "DELETE FROM messages WHERE payload = '1'");
    is_dead(1, a.token);
}

static void a_replay_half_done_whose_rest_is_gone_ends_the_session(void **state)
{
    uint64_t first = publish("room:a", "0");

    (void)state;
    fixture_sql(&f, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL"
                    " SELECT i+1 FROM n WHERE i < 900)"
                    " INSERT INTO messages(topic,event,payload)"
                    " SELECT 'room:a','news',CAST(i AS TEXT) FROM n");
    join_since(&a, first);
    poll_once(&a, 0);
    assert_int_equal(a.count, HF_ANSWER_MESSAGES);
    fixture_sql(&f, "DELETE FROM messages WHERE payload = '700'");
    is_dead(0, a.token);
}

static void what_was_acknowledged_may_go(void **state)
{
    (void)state;
    say(&a, 0, JOIN("1"));
    publish("room:a", "1");
    got(&a, 1, "[null,null,\"room:a\",\"news\",1]");
    fixture_sql(&f, "DELETE FROM messages");
    publish("room:b", "1");
    fixture_sql(&f, "DELETE FROM messages"); /* another's */
    publish("room:a", "2");
    got(&a, 2, "[null,null,\"room:a\",\"news\",2]");
}

static void the_global_watermark_ends_what_must_read_below_it(void **state)
{
    (void)state;
    say(&a, 0, JOIN("1"));
    got(&a, 0, JOINED("1"));
    publish("room:b", "1");
    fixture_sql(&f, "INSERT OR REPLACE INTO trimmed(topic,through)"
                    " SELECT '', max(id) FROM messages");
    is_dead(0, a.token);
}

/* Who was parked when the rows came and went hears of it, too. */
static void a_parked_poll_learns_that_rows_are_gone(void **state)
{
    struct get get;

    (void)state;
    say(&a, 0, JOIN("1"));
    got(&a, 0, JOINED("1"));
    get_start(&get, 0, a.token);
    assert_false(get.answered);
    fixture_sql(&f, "INSERT INTO messages(topic,event,payload)"
                    " VALUES('room:a','news','1');"
                    "DELETE FROM messages");
    get_wait(&get, 3000);
    assert_int_equal(get.status, 500);
    assert_int_equal(get.count, 0);
}

/* --- another history ----------------------------------------------------- */

#define BEGIN_EPOCH                                                            \
    "UPDATE sqlite_sequence SET seq = seq - 1 WHERE name = 'messages'"

static void tokens_of_another_epoch_are_dead(void **state)
{
    struct get get;

    (void)state;
    say(&a, 0, JOIN("1"));
    got(&a, 0, JOINED("1"));
    get_start(&get, 0, a.token);
    assert_false(get.answered);
    fixture_sql(&f, BEGIN_EPOCH);
    get_wait(&get, 1500); /* long before its deadline */
    assert_int_equal(get.status, 500);
    is_dead(1, a.token);
    is_dead(0, b.token); /* which never joined */
    assert_int_equal(post_to(1, a.token, JOIN("2"), true), 500);
}

static void a_cursor_of_another_epoch_is_a_reset(void **state)
{
    (void)state;
    say(&a, 0,
        "[\"1\",\"1\",\"room:a\",\"phx_join\","
        "{\"since\":\"j:AAAAAAAAAAA.1\"}]");
    poll_until(&a, 1);
    assert_non_null(strstr(a.got[0], "\"recovered\":false,\"gap\":\"reset\""));
    join_since(&b, UINT64_C(1) << 40);
    poll_until(&b, 1);
    assert_non_null(strstr(b.got[0], "\"recovered\":false,\"gap\":\"reset\""));
}

static void a_cursor_below_what_was_deleted_is_a_gap(void **state)
{
    uint64_t first = publish("room:a", "0");

    (void)state;
    publish("room:a", "1");
    publish("room:a", "2");
    fixture_sql(&f, "DELETE FROM messages WHERE payload = '1'");
    join_since(&a, first);
    poll_until(&a, 1);
    poll_once(&a, 1);
    assert_int_equal(a.count, 1); /* never partial */
    assert_non_null(
        strstr(a.got[0], "\"recovered\":false,\"gap\":\"trimmed\""));
    join_since(&b, first + 1); /* the last that is gone, and it has it */
    poll_until(&b, 2);
    assert_non_null(strstr(b.got[0], "\"recovered\":true"));
    assert_non_null(strstr(b.got[1], "\"news\",2]"));
}

/* --- the head, and one snapshot ------------------------------------------ */

static void an_empty_answer_moves_to_the_head(void **state)
{
    (void)state;
    say(&a, 0, JOIN("1"));
    got(&a, 0, JOINED("1"));
    publish("room:b", "1");
    poll_once(&a, 0); /* nothing for it */
    assert_int_equal(a.count, 1);
    /* so what was passed may go, without a word */
    fixture_sql(&f, "INSERT OR REPLACE INTO trimmed(topic,through)"
                    " SELECT '', max(id) FROM messages");
    publish("room:a", "2");
    got(&a, 1, "[null,null,\"room:a\",\"news\",2]");
}

static void
what_goes_while_an_answer_is_read_is_in_it_all_the_same(void **state)
{
    (void)state;
    say(&a, 0, JOIN("1"));
    got(&a, 0, JOINED("1"));
    publish("room:a", "1");
    meddle("FROM messages WHERE topic = ", "DELETE FROM messages");
    poll_once(&a, 0);
    assert_null(meddle_at);
    assert_int_equal(a.count, 2);
    assert_string_equal(a.got[1], "[null,null,\"room:a\",\"news\",1]");
}

static void what_comes_while_an_answer_is_read_is_in_the_next_one(void **state)
{
    (void)state;
    say(&a, 0, JOIN("1"));
    say(&a, 0, "[\"2\",\"2\",\"room:b\",\"phx_join\",{}]");
    poll_until(&a, 2);
    publish("room:a", "1");
    meddle("FROM messages WHERE topic = ",
           "INSERT INTO messages(topic,event,payload)"
           " VALUES('room:a','news','2'),('room:b','news','3')");
    poll_once(&a, 0);
    assert_null(meddle_at);
    assert_int_equal(a.count, 3); /* not 3 before 2 */
    got(&a, 3, "[null,null,\"room:a\",\"news\",2]");
    got(&a, 4, "[null,null,\"room:b\",\"news\",3]");
}

/* Rows that the session itself sent with echo off, say. */
static void publish_not_for_it(unsigned count)
{
    char sql[400];

    (void)snprintf(sql, sizeof(sql),
                   "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL"
                   " SELECT i+1 FROM n WHERE i < %u)"
                   " INSERT INTO messages(topic,event,payload,skip)"
                   " SELECT 'room:a','news','0',(SELECT id FROM sessions)"
                   " FROM n",
                   count);
    fixture_sql(&f, sql);
}

static void pages_of_what_is_not_for_it_hold_nothing_up(void **state)
{
    int64_t start;

    (void)state;
    say(&a, 0, JOIN("1"));
    say(&a, 0, "[\"2\",\"2\",\"room:b\",\"phx_join\",{}]");
    poll_until(&a, 2);
    publish_not_for_it(2 * HF_ANSWER_MESSAGES + 200);
    publish("room:a", "1");
    publish("room:b", "2");
    start = hf_boot_ms();
    poll_once(&a, 0);
    assert_true(hf_boot_ms() - start < 1500); /* it may be held for 2 s */
    assert_true(a.count > 2);
    /* in the one order, though room:b was read to its end long before */
    got(&a, 2, "[null,null,\"room:a\",\"news\",1]");
    got(&a, 3, "[null,null,\"room:b\",\"news\",2]");
}

static void a_parked_poll_passes_what_is_not_for_it(void **state)
{
    struct get get;
    int64_t start;

    (void)state;
    say(&a, 0, JOIN("1"));
    got(&a, 0, JOINED("1"));
    get_start(&get, 0, a.token);
    turn_for(f.loop, 20);
    assert_false(get.answered);
    publish_not_for_it(2 * HF_ANSWER_MESSAGES + 200);
    publish("room:a", "1");
    start = hf_boot_ms();
    get_wait(&get, 3000);
    assert_true(hf_boot_ms() - start < 1500);
    assert_int_equal(get.count, 1);
    assert_string_equal(get.messages[0], "[null,null,\"room:a\",\"news\",1]");
    get_free(&get);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(rows_of_an_ended_interval_that_are_gone_end_the_session),
        T(a_replay_whose_rows_are_gone_ends_the_session),
        T(a_replay_half_done_whose_rest_is_gone_ends_the_session),
        T(what_was_acknowledged_may_go),
        T(the_global_watermark_ends_what_must_read_below_it),
        T(a_parked_poll_learns_that_rows_are_gone),
        T(tokens_of_another_epoch_are_dead),
        T(a_cursor_of_another_epoch_is_a_reset),
        T(a_cursor_below_what_was_deleted_is_a_gap),
        T(an_empty_answer_moves_to_the_head),
        T(what_goes_while_an_answer_is_read_is_in_it_all_the_same),
        T(what_comes_while_an_answer_is_read_is_in_the_next_one),
        T(pages_of_what_is_not_for_it_hold_nothing_up),
        T(a_parked_poll_passes_what_is_not_for_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

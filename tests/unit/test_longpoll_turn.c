/* The polls of one turn: looked at together, at its end. */
#include "channel/longpoll.h"

#include <sqlite3.h>

#include "channel/longpoll_state.h"
#include "schema/journal_impl.h"
#include "schema/live_impl.h"
#include "tests/unit/longpoll_fixture.h"

/* As a request comes: the turn goes on. */
static void comes(struct get *get, int n, const char *token)
{
    *get = (struct get){.poll = {.answer = poll_answered}};
    hf_poll_start(gate[n], &get->poll, &hello, hf_str_of(token));
    assert_false(get->answered);
}

static void turn_ends(int n)
{
    hf_longpoll_look_at_coming(gate[n]);
}

static void join(struct client *c)
{
    say(c, 0, JOIN("1"));
    got(c, 0, JOINED("1"));
}

/* --- how often the databases are asked ------------------------------------- */

static int begun;

static int count_begin(unsigned what, void *ctx, void *stmt, void *text)
{
    (void)what;
    (void)ctx;
    (void)text;
    begun += strncmp(sqlite3_sql(stmt), "BEGIN", 5) == 0;
    return 0;
}

static void trace(sqlite3 *db, bool on)
{
    assert_int_equal(sqlite3_trace_v2(db, on ? SQLITE_TRACE_STMT : 0,
                                      on ? count_begin : NULL, NULL),
                     0);
}

static void all_of_a_turn_share_a_snapshot_and_a_transaction(void **state)
{
    sqlite3 *journal = hf_journal_db(process[0].journal)->handle;
    static struct get one, two;

    (void)state;
    join(&a);
    join(&b);
    comes(&one, 0, a.token);
    comes(&two, 0, b.token);
    begun = 0;
    trace(journal, true);
    trace(process[0].live->db.handle, true);
    turn_ends(0);
    trace(journal, false);
    trace(process[0].live->db.handle, false);
    assert_int_equal(begun, 2);
    assert_int_equal(hf_longpoll_parked(gate[0]), 2);
    assert_true(sqlite3_get_autocommit(journal));
    assert_true(sqlite3_get_autocommit(process[0].live->db.handle));

    publish("room:a", "1"); /* what comes meanwhile is not missed */
    get_wait(&one, 1000);
    get_wait(&two, 1000);
    assert_int_equal(one.count, 1);
    assert_int_equal(two.count, 1);
    assert_string_equal(one.messages[0], two.messages[0]);
    get_free(&one);
    get_free(&two);
}

static void what_was_committed_while_they_were_looked_at_is_told(void **state)
{
    static struct get get;

    (void)state;
    join(&a);
    comes(&get, 0, a.token);
    hf_waiting_share(&gate[0]->waiting);
    publish("room:a", "1"); /* behind the snapshot */
    hf_waiting_share_end(&gate[0]->waiting);
    turn_ends(0);
    get_wait(&get, 1000);
    assert_int_equal(get.count, 1);
    get_free(&get);
}

/* --- who is skipped, who is told less -------------------------------------- */

static void rows_that_are_read_once_go_to_those_they_are_for(void **state)
{
    static struct get one, two;
    char sql[200];

    (void)state;
    join(&a);
    join(&b);
    comes(&one, 0, a.token);
    comes(&two, 0, b.token);
    turn_ends(0);
    (void)snprintf(sql, sizeof(sql),
                   "INSERT INTO messages (topic, event, payload, skip) VALUES"
                   " ('room:a', 'news', '1', NULL), ('room:a', 'news', '2',"
                   " '%.22s'), ('room:a', 'news', '3', NULL)",
                   one.poll.token.session);
    fixture_sql(&f, sql);
    get_wait(&one, 1000);
    get_wait(&two, 1000);
    assert_int_equal(one.count, 2);
    assert_string_equal(one.messages[0], "[null,null,\"room:a\",\"news\",1]");
    assert_string_equal(one.messages[1], "[null,null,\"room:a\",\"news\",3]");
    assert_int_equal(two.count, 3);
    assert_string_equal(two.messages[1], "[null,null,\"room:a\",\"news\",2]");
    get_free(&one);
    get_free(&two);
}

static void who_has_read_less_gets_more_of_the_same_topic(void **state)
{
    char before[HF_TOKEN_MAX + 1];
    static struct get one, two;

    (void)state;
    join(&a);
    join(&b);
    (void)snprintf(before, sizeof(before), "%s", b.token);
    publish("room:a", "1");
    poll_once(&a, 0);
    publish("room:a", "\"\\u0002\"");
    comes(&one, 0, a.token);
    comes(&two, 0, before);
    turn_ends(0);
    assert_int_equal(one.count, 1);
    assert_int_equal(two.count, 2);
    assert_string_equal(one.messages[0], two.messages[1]);
    get_free(&one);
    get_free(&two);
}

/* --- one session, twice ---------------------------------------------------- */

static void of_two_polls_of_a_session_in_a_turn_the_newer_is_held(void **state)
{
    static struct get older, newer;

    (void)state;
    join(&a);
    comes(&older, 0, a.token);
    comes(&newer, 0, a.token);
    turn_ends(0);
    assert_true(older.answered);
    assert_int_equal(older.status, 204);
    assert_false(newer.answered);
    publish("room:a", "1");
    get_wait(&newer, 1000);
    assert_int_equal(newer.count, 1);
    get_free(&newer);
}

static void who_hangs_up_before_the_turn_ends_is_forgotten(void **state)
{
    static struct get one, two;

    (void)state;
    join(&a);
    join(&b);
    comes(&one, 0, a.token);
    comes(&two, 0, b.token);
    hf_poll_cancel(&one.poll);
    turn_ends(0);
    assert_false(one.answered);
    assert_int_equal(hf_longpoll_parked(gate[0]), 1);
    hf_poll_cancel(&two.poll);
}

static void who_comes_while_we_stop_goes_on_elsewhere(void **state)
{
    static struct get get;

    (void)state;
    join(&a);
    comes(&get, 0, a.token);
    hf_longpoll_release(gate[0]);
    assert_true(get.answered);
    assert_int_equal(get.status, 204);
    assert_string_equal(get.token, a.token);
    turn_ends(0);
}

/* --- live.db fails ---------------------------------------------------------- */

static int refuse_commit(void *ctx)
{
    (void)ctx;
    return 1;
}

static void if_parking_is_not_kept_all_are_answered(void **state)
{
    sqlite3 *db = process[0].live->db.handle;
    static struct get one, two;

    (void)state;
    join(&a);
    join(&b);
    comes(&one, 0, a.token);
    comes(&two, 0, b.token);
    (void)sqlite3_commit_hook(db, refuse_commit, NULL);
    turn_ends(0);
    (void)sqlite3_commit_hook(db, NULL, NULL);
    assert_int_equal(one.status, 500);
    assert_int_equal(two.status, 500);
    assert_int_equal(hf_longpoll_parked(gate[0]), 0);

    comes(&one, 0, a.token); /* and the next ones are held again */
    turn_ends(0);
    assert_false(one.answered);
    hf_poll_cancel(&one.poll);
}

static void without_the_transaction_news_is_told_and_nobody_parked(void **state)
{
    static struct get one, two;

    (void)state;
    join(&a);
    join(&b);
    publish("room:a", "1");
    poll_once(&b, 0);
    comes(&one, 0, a.token);
    comes(&two, 0, b.token);
    assert_int_equal(hf_live_together(process[1].live), 0);
    turn_ends(0); /* waits for a second, once */
    assert_int_equal(hf_live_together_end(process[1].live), 0);
    assert_int_equal(one.status, 200);
    assert_int_equal(one.count, 1);
    assert_int_equal(two.status, 500);
    assert_int_equal(hf_longpoll_parked(gate[0]), 0);
    get_free(&one);
    get_free(&two);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(all_of_a_turn_share_a_snapshot_and_a_transaction),
        T(what_was_committed_while_they_were_looked_at_is_told),
        T(rows_that_are_read_once_go_to_those_they_are_for),
        T(who_has_read_less_gets_more_of_the_same_topic),
        T(of_two_polls_of_a_session_in_a_turn_the_newer_is_held),
        T(who_hangs_up_before_the_turn_ends_is_forgotten),
        T(who_comes_while_we_stop_goes_on_elsewhere),
        T(if_parking_is_not_kept_all_are_answered),
        T(without_the_transaction_news_is_told_and_nobody_parked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "channel/keeper.h"

#include "tests/unit/longpoll_fixture.h"

#include <inttypes.h>

/* The same for clients that poll; the second gateway is a plain CGI program. */

static void shift(int64_t ms)
{
    hf_clock_shift(ms, ms);
}

static int teardown_clock(void **state)
{
    int result = teardown(state);

    hf_clock_shift(0, 0);
    return result;
}

static void add_old(const char *topic, int count)
{
    char sql[300];

    snprintf(sql, sizeof(sql),
             "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
             " WHERE i < %d) INSERT INTO messages (topic, event, payload, at)"
             " SELECT '%s', 'news', i, %" PRId64 " FROM n",
             count, topic, hf_wall_ms() - 2 * 86400000);
    fixture_sql(&f, sql);
}

static int count_row(void *ctx, const struct hf_row *row)
{
    (void)row;
    ++*(uint64_t *)ctx;
    return 0;
}

static uint64_t count_rows(void)
{
    uint64_t last = 0, count = 0;
    bool more = true;

    while (more)
        assert_int_equal(hf_journal_read(process[0].journal, last, 1000,
                                         1 << 20, count_row, &count, &last,
                                         &more),
                         0);
    return count;
}

static void a_cursor_below_the_cut_ends_the_session(void **state)
{
    struct get get;
    int tries;

    (void)state;
    say(&a, 0, JOIN("1"));
    got(&a, 0, JOINED("1"));
    say(&b, 0, JOIN("1"));
    got(&b, 0, JOINED("1"));
    add_old("room:a", 300);
    publish("room:a", "1");
    poll_until(&b, 302); /* b has all of it */
    shift(HF_KEEPER_FIRST_MS + 100);
    for (tries = 0; tries < 50 && count_rows() > 1; tries++)
        turn_for(f.loop, 20);
    assert_int_equal(count_rows(), 1);
    get_start(&get, 1, a.token);
    get_wait(&get, 1000);
    assert_int_equal(get.status, 500);
    assert_int_equal(get.count, 0);
    publish("room:a", "2");
    got(&b, 302, "[null,null,\"room:a\",\"news\",2]");
}

static void a_late_look_is_made_by_plain_cgi(void **state)
{
    (void)state;
    shift(HF_KEEPER_FIRST_MS + 100);
    turn_for(f.loop, 100); /* the resident process has looked */
    close_gate(0);         /* and is gone */
    fixture_open(&f, &process[0], false);
    assert_int_equal(hf_longpoll_open(&process[0], 2000, &gate[0]), 0);
    add_old("room:a", 250);
    publish("room:a", "1");
    hf_longpoll_clean_up(gate[1]);
    assert_int_equal(count_rows(), 251);
    shift(HF_KEEPER_LATE_MS + HF_KEEPER_FIRST_MS + 1000);
    hf_longpoll_clean_up(gate[1]);
    assert_int_equal(count_rows(), 251 - HF_RETENTION_ROWS);
    hf_longpoll_clean_up(gate[1]);
    hf_longpoll_clean_up(gate[0]);
    assert_int_equal(count_rows(), 1);
    add_old("room:a", 600);
    publish("room:a", "1");
    hf_longpoll_clean_up(gate[1]); /* nothing was left: not late any more */
    assert_int_equal(count_rows(), 602);
}

static void a_policy_of_another_program_holds_within_a_second(void **state)
{
    struct get get;
    int64_t start;

    (void)state;
    say(&a, 0, JOIN("1"));
    got(&a, 0, JOINED("1"));

    /* not to push any more */
    fixture_sql(&f, "INSERT OR REPLACE INTO policies (pattern, rights)"
                    " VALUES ('room:*', 'join')");
    say(&a, 1, "[\"1\",\"2\",\"room:a\",\"shout\",{}]");
    got(&a, 1,
        "[\"1\",\"2\",\"room:a\",\"phx_reply\",{\"status\":\"error\","
        "\"response\":{\"reason\":\"unauthorized\"}}]");

    /* nor to be there: also in the middle of a poll */
    get_start(&get, 0, a.token);
    turn_for(f.loop, 100);
    assert_false(get.answered);
    start = hf_boot_ms();
    fixture_sql(&f, "DELETE FROM policies WHERE pattern = 'room:*'");
    get_wait(&get, 1500);
    assert_true(hf_boot_ms() - start < 1000);
    assert_int_equal(get.status, 500);
    assert_int_equal(get.count, 0);

    /* nor with a poll that comes later */
    get_start(&get, 1, a.token);
    get_wait(&get, 100);
    assert_int_equal(get.status, 500);

    /* and the new session is told */
    open_session(&a);
    forget(&a);
    say(&a, 0, JOIN("1"));
    got(&a, 0,
        "[null,\"1\",\"room:a\",\"phx_reply\",{\"status\":\"error\","
        "\"response\":{\"reason\":\"unmatched topic\"}}]");
}

static void
others_that_are_parked_hear_of_it_whoever_notices_first(void **state)
{
    struct get parked, other;

    (void)state;
    say(&a, 0, JOIN("1"));
    got(&a, 0, JOINED("1"));
    say(&b, 0, JOIN("1"));
    got(&b, 0, JOINED("1"));
    get_start(&parked, 0, a.token);
    turn_for(f.loop, 50);
    fixture_sql(&f, "DELETE FROM policies WHERE pattern = 'room:*'");
    get_start(&other, 0, b.token); /* before the loop has turned */
    assert_true(other.answered);
    assert_int_equal(other.status, 500);
    get_wait(&parked, 1000);
    assert_int_equal(parked.status, 500);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown_clock)
    const struct CMUnitTest tests[] = {
        T(a_cursor_below_the_cut_ends_the_session),
        T(a_late_look_is_made_by_plain_cgi),
        T(a_policy_of_another_program_holds_within_a_second),
        T(others_that_are_parked_hear_of_it_whoever_notices_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

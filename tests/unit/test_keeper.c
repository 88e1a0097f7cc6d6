#include "channel/keeper.h"

#include "tests/unit/session_fixture.h"

#include <inttypes.h>

#include "schema/redact.h"

/*
 * What changes below resident processes while they run: retention, payloads
 * taken away, policies; most of it by programs that know SQLite only.
 */

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

static int64_t count_rows(void)
{
    int64_t count = -1;
    char command[200];
    FILE *pipe;

    snprintf(command, sizeof(command),
             "sqlite3 '%s/journal.db' 'SELECT count(*) FROM messages'", f.dir);
    pipe = popen(command, "r");
    assert_non_null(pipe);
    assert_int_equal(fscanf(pipe, "%" SCNd64, &count), 1);
    assert_int_equal(pclose(pipe), 0);
    return count;
}

/* Rows of two days ago. */
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

/* --- the keeper ------------------------------------------------------------ */

static void a_resident_process_cuts_the_journal_back(void **state)
{
    int tries;

    (void)state;
    add_old("room:x", 700); /* several steps */
    turn_for(f.loop, 50);
    assert_int_equal(count_rows(), 700);
    shift(HF_KEEPER_FIRST_MS + 100);
    for (tries = 0; tries < 50 && count_rows() > 1; tries++)
        turn_for(f.loop, 20);
    assert_int_equal(count_rows(), 1);

    /* and again a minute later, not before */
    add_old("room:x", 3);
    publish("room:x", "1");
    shift(HF_KEEPER_FIRST_MS + HF_RETENTION_PASS_MS / 2);
    turn_for(f.loop, 50);
    assert_int_equal(count_rows(), 5);
    shift(HF_KEEPER_FIRST_MS + 2 * HF_RETENTION_PASS_MS);
    for (tries = 0; tries < 50 && count_rows() > 1; tries++)
        turn_for(f.loop, 20);
    assert_int_equal(count_rows(), 1);
}

static void nobody_looks_again_where_another_process_has_looked(void **state)
{
    struct hf_retention_report report;
    struct hf_journal *other;
    struct hf_why why = {""};
    int tries;

    (void)state;
    shift(HF_KEEPER_FIRST_MS - 1000);
    assert_int_equal(hf_journal_open(&process.dir, &process.settings,
                                     HF_JOURNAL_WRITE, &other, &why),
                     0);
    assert_int_equal(hf_retention_step(other, &report), 0);
    hf_journal_close(other);
    add_old("room:x", 3);
    shift(HF_KEEPER_FIRST_MS + 100);
    turn_for(f.loop, 100);
    assert_int_equal(count_rows(), 3);
    shift(HF_KEEPER_FIRST_MS + HF_RETENTION_PASS_MS + 100);
    for (tries = 0; tries < 50 && count_rows() > 1; tries++)
        turn_for(f.loop, 20);
    assert_int_equal(count_rows(), 1);
}

static void a_publish_meanwhile_does_not_wait_for_it(void **state)
{
    int64_t start;

    (void)state;
    say(&a, JOIN("1"));
    got(&a, 0, JOINED("1"));
    add_old("room:x", 5000);
    shift(HF_KEEPER_FIRST_MS + 100);
    turn_for(f.loop, 30);
    assert_true(count_rows() > 1);
    start = hf_boot_ms();
    say(&a, "[\"1\",\"2\",\"room:a\",\"shout\",1]");
    got(&a, 1, "[null,null,\"room:a\",\"shout\",1]");
    assert_true(hf_boot_ms() - start < 500);
}

/* Slow: its transport takes nothing. */
static void a_live_member_that_lags_behind_the_cut_is_told(void **state)
{
    int tries;

    (void)state;
    say(&a, JOIN("1"));
    got(&a, 0, JOINED("1"));
    add_old("room:a", 3 * HF_RING_ROWS);
    publish("room:a", "1");
    /* the hub reads all of it, and the ring keeps the newest part */
    turn_for(f.loop, 700);
    assert_true(a.woken);
    assert_int_equal(a.count, 1);
    shift(HF_KEEPER_FIRST_MS + 100);
    for (tries = 0; tries < 100 && count_rows() > 1; tries++)
        assert_int_equal(hf_loop_turn(f.loop, 20), 0);
    assert_int_equal(count_rows(), 1);
    turn_for(f.loop, 600);
    take_all(&a);
    got(&a, 1, "[\"1\",\"1\",\"room:a\",\"phx_error\",{\"reason\":\"gap\"}]");
    quiet(&a, 2);
    say(&a, JOIN("2"));
    got(&a, 2, JOINED("2"));
    publish("room:a", "2");
    got(&a, 3, "[null,null,\"room:a\",\"news\",2]");
}

static void who_keeps_up_notices_nothing(void **state)
{
    int tries, n;

    (void)state;
    say(&a, JOIN("1"));
    got(&a, 0, JOINED("1"));
    add_old("room:a", 1000);
    wait_for(&a, 1001);
    shift(HF_KEEPER_FIRST_MS + 100);
    for (tries = 0; tries < 100 && count_rows() > 1; tries++) {
        turn_for(f.loop, 20);
        take_all(&a);
    }
    for (n = 0; n < 20; n++)
        publish("room:a", "7");
    wait_for(&a, 1021);
    for (n = 0; n < 20; n++)
        got(&a, 1001 + (size_t)n, "[null,null,\"room:a\",\"news\",7]");
}

/* --- payloads taken away ---------------------------------------------------- */

static void a_ring_gives_out_no_payload_that_was_taken_away(void **state)
{
    uint64_t first, second;

    (void)state;
    first = publish("room:a", "1");
    say(&a, JOIN("1"));
    got(&a, 0, JOINED("1"));
    second = publish("room:a", "2");
    got(&a, 1, "[null,null,\"room:a\",\"news\",2]");
    publish("room:a", "3");
    got(&a, 2, "[null,null,\"room:a\",\"news\",3]");
    fixture_sql(&f, "UPDATE messages SET payload = '{}' WHERE payload = '2'");
    turn_for(f.loop, 800);
    join_since(&b, "7", first);
    wait_for(&b, 3);
    assert_non_null(strstr(b.got[1], "\"news\",{}]"));
    got_row(&b, 2, "7", second + 1, 3);
    publish("room:a", "4");
    got(&a, 3, "[null,null,\"room:a\",\"news\",4]");
    quiet(&a, 4);
}

static void a_redaction_is_noticed_by_a_join_at_once(void **state)
{
    struct hf_redaction redaction;
    struct hf_journal *journal;
    struct hf_why why = {""};
    uint64_t first = publish("room:a", "1"), id;

    (void)state;
    say(&a, JOIN("1"));
    got(&a, 0, JOINED("1"));
    id = publish("room:a", "2");
    got(&a, 1, "[null,null,\"room:a\",\"news\",2]");
    assert_int_equal(hf_journal_open(&process.dir, &process.settings,
                                     HF_JOURNAL_WRITE, &journal, &why),
                     0);
    assert_int_equal(hf_journal_redact(journal, id, &redaction), 0);
    assert_true(redaction.erased);
    hf_journal_close(journal);
    join_since(&b, "7", first); /* a join reads up to the head first */
    wait_for(&b, 2);
    assert_non_null(strstr(b.got[1], "\"news\",{}]"));
}

/* One look of the hub finds both: neither hides the other. */
static void a_payload_taken_away_hides_no_gap(void **state)
{
    (void)state;
    publish("room:a", "1");
    say(&a, JOIN("1"));
    got(&a, 0, JOINED("1"));
    fixture_sql(&f, "BEGIN; INSERT INTO messages (topic, event, payload)"
                    " VALUES ('room:a', 'news', '2'),"
                    "        ('room:a', 'news', '3');"
                    " DELETE FROM messages WHERE payload IN ('2', '3');"
                    " UPDATE messages SET payload = '{}' WHERE payload = '1';"
                    " COMMIT");
    got(&a, 1, "[\"1\",\"1\",\"room:a\",\"phx_error\",{\"reason\":\"gap\"}]");
    publish("room:a", "4");
    quiet(&a, 2);
}

/* --- policies --------------------------------------------------------------- */

static void a_policy_of_another_program_holds_within_a_second(void **state)
{
    int64_t start;

    (void)state;
    say(&a, JOIN("1"));
    got(&a, 0, JOINED("1"));
    say(&b, "[\"1\",\"1\",\"hall\",\"phx_join\",{}]");
    got(&b, 0,
        "[null,\"1\",\"hall\",\"phx_reply\",{\"status\":\"error\","
        "\"response\":{\"reason\":\"unmatched topic\"}}]");

    /* more than before: at once, for a join looks */
    fixture_sql(&f, "INSERT INTO policies (pattern, rights)"
                    " VALUES ('hall', 'join')");
    say(&b, "[\"2\",\"2\",\"hall\",\"phx_join\",{}]");
    got(&b, 1,
        "[\"2\",\"2\",\"hall\",\"phx_reply\","
        "{\"status\":\"ok\",\"response\":{}}]");

    /* not to push any more */
    fixture_sql(&f, "INSERT OR REPLACE INTO policies (pattern, rights)"
                    " VALUES ('room:*', 'join')");
    turn_for(f.loop, 900);
    say(&a, "[\"1\",\"2\",\"room:a\",\"shout\",{}]");
    got(&a, 1,
        "[\"1\",\"2\",\"room:a\",\"phx_reply\",{\"status\":\"error\","
        "\"response\":{\"reason\":\"unauthorized\"}}]");

    /* nor to be there */
    fixture_sql(&f, "DELETE FROM policies WHERE pattern = 'room:*'");
    start = hf_boot_ms();
    got(&a, 2,
        "[\"1\",\"1\",\"room:a\",\"phx_error\",{\"reason\":\"unauthorized\"}]");
    assert_true(hf_boot_ms() - start < 1000);
    fixture_sql(&f, "INSERT INTO messages (topic, event, payload)"
                    " VALUES ('hall', 'news', '1')");
    got(&b, 2, "[null,null,\"hall\",\"news\",1]");
    quiet(&a, 3);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown_clock)
    const struct CMUnitTest tests[] = {
        T(a_resident_process_cuts_the_journal_back),
        T(nobody_looks_again_where_another_process_has_looked),
        T(a_publish_meanwhile_does_not_wait_for_it),
        T(a_live_member_that_lags_behind_the_cut_is_told),
        T(who_keeps_up_notices_nothing),
        T(a_ring_gives_out_no_payload_that_was_taken_away),
        T(a_redaction_is_noticed_by_a_join_at_once),
        T(a_payload_taken_away_hides_no_gap),
        T(a_policy_of_another_program_holds_within_a_second),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "channel/hub.h"

#include "schema/failed.h"
#include "tests/unit/session_fixture.h"

/* What the hub counts for monitoring. */
static struct hf_hub_counts counts(void)
{
    return hf_hub_counts(hub);
}

static uint64_t timed(void)
{
    uint64_t all = 0;
    unsigned n;

    for (n = 0; n < HF_HISTOGRAM_BUCKETS; n++)
        all += counts().wakeup.bucket[n];
    return all;
}

static void joins_are_counted_by_how_they_end(void **state)
{
    (void)state;
    say(&a, JOIN("1"));
    say(&b, JOIN("1"));
    got(&b, 0, JOINED("1"));
    assert_int_equal(counts().joins, 2);
    assert_int_equal(counts().joins_refused, 0);
    say(&a, "[\"2\",\"2\",\"phoenix\",\"phx_join\",{}]");
    say(&a, "[\"3\",\"3\",\"holdfast:x\",\"phx_join\",{}]");
    wait_for(&a, 3);
    assert_int_equal(counts().joins, 2);
    assert_int_equal(counts().joins_refused, 2);
    assert_int_equal(counts().members, 2);
    say(&a, JOIN("9")); /* in place of its first */
    assert_int_equal(counts().joins, 3);
    assert_int_equal(counts().members, 2);
}

static void pushes_are_counted_by_whose_fault_it_is(void **state)
{
    (void)state;
    say(&a, JOIN("1"));
    say(&a, "[\"1\",\"2\",\"room:a\",\"new\",{}]");
    wait_for(&a, 3); /* the row and both replies */
    assert_int_equal(counts().pushes, 1);
    say(&a, "[\"1\",\"3\",\"room:a\",\"phx_mine\",{}]");
    wait_for(&a, 4);
    assert_int_equal(counts().pushes_refused, 1);
    assert_int_equal(hf_failed_raise(&process.dir, "a test"), 0);
    say(&a, "[\"1\",\"4\",\"room:a\",\"new\",{}]");
    wait_for(&a, 5);
    assert_non_null(strstr(a.got[4], "journal_failed"));
    assert_int_equal(counts().pushes, 1);
    assert_int_equal(counts().pushes_refused, 1);
    assert_int_equal(counts().pushes_failed, 1);
}

static void a_row_is_timed_from_its_insert_to_the_tail(void **state)
{
    (void)state;
    say(&a, JOIN("1"));
    publish("room:a", "1");
    got(&a, 1, "[null,null,\"room:a\",\"news\",1]");
    assert_int_equal(timed(), 1);
    assert_int_equal(counts().untimed, 0);
    publish("room:b", "2"); /* nobody waits for it */
    publish("room:a", "3");
    wait_for(&a, 3);
    assert_int_equal(timed(), 2);
}

#define AT_MS_AGO(ms)                                                          \
    "INSERT INTO messages(topic, event, payload, at) VALUES ('room:a', "       \
    "'news', '1', CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) " \
    "- " ms ")"

static void a_transaction_that_was_open_for_long_shows(void **state)
{
    unsigned bucket = hf_histogram_bucket(2500000 + 1);

    (void)state;
    say(&a, JOIN("1"));
    fixture_sql(&f, AT_MS_AGO("3000"));
    wait_for(&a, 2);
    assert_int_equal(counts().wakeup.bucket[bucket], 1);
    assert_true(counts().wakeup.sum_us >= 2990000);
}

static void what_no_clock_can_have_said_is_not_timed(void **state)
{
    (void)state;
    say(&a, JOIN("1"));
    fixture_sql(&f, AT_MS_AGO("3700000"));
    fixture_sql(&f, AT_MS_AGO("-60000"));
    fixture_sql(&f, "INSERT INTO messages(topic, event, payload, at) VALUES "
                    "('room:a', 'news', '1', -9223372036854775807)");
    fixture_sql(&f, "INSERT INTO messages(topic, event, payload, at) VALUES "
                    "('room:a', 'news', '1', 9223372036854775807)");
    wait_for(&a, 5);
    assert_int_equal(timed(), 0);
    assert_int_equal(counts().untimed, 4);
    assert_int_equal(counts().wakeup.sum_us, 0);
}

/* b's transport is full: it takes nothing while the ring turns over. */
static void fall_behind(void)
{
    char payload[20];
    unsigned n;

    say(&b, JOIN("1"));
    got(&b, 0, JOINED("1"));
    for (n = 0; n < 3 * HF_RING_ROWS; n++) {
        snprintf(payload, sizeof(payload), "%u", n);
        publish("room:a", payload);
        if (n % 16 == 0)
            assert_int_equal(hf_loop_turn(f.loop, 0), 0);
    }
    while (hub->counts.rows_read < 3 * HF_RING_ROWS)
        assert_int_equal(hf_loop_turn(f.loop, 10), 0);
}

static void take_one(void)
{
    struct hf_msg *msg;

    assert_int_equal(hf_session_take(b.session, &msg, 1, 65536), 1);
    hf_msg_unref(msg);
}

static void who_reads_from_the_journal_lags_until_it_has_caught_up(void **state)
{
    (void)state;
    fall_behind();
    take_one();
    assert_int_equal(counts().lagging, 1);
    b.woken = true;
    wait_for(&b, 3 * HF_RING_ROWS); /* and its reply, less the one */
    assert_int_equal(counts().lagging, 0);
    assert_true(counts().refilled > 0);
}

static void who_leaves_lags_no_more(void **state)
{
    (void)state;
    fall_behind();
    take_one();
    assert_int_equal(counts().lagging, 1);
    close_client(&b);
    assert_int_equal(counts().lagging, 0);
}

static void a_membership_that_lost_rows_is_counted(void **state)
{
    (void)state;
    fall_behind();
    fixture_sql(&f, "DELETE FROM messages WHERE payload = '1'");
    b.woken = true;
    wait_for(&b, 2);
    assert_non_null(strstr(b.got[1], "gap"));
    assert_int_equal(counts().gaps, 1);
    assert_int_equal(counts().lagging, 0);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(joins_are_counted_by_how_they_end),
        T(pushes_are_counted_by_whose_fault_it_is),
        T(a_row_is_timed_from_its_insert_to_the_tail),
        T(a_transaction_that_was_open_for_long_shows),
        T(what_no_clock_can_have_said_is_not_timed),
        T(who_reads_from_the_journal_lags_until_it_has_caught_up),
        T(who_leaves_lags_no_more),
        T(a_membership_that_lost_rows_is_counted),
    };

    return cmocka_run_group_tests_name("hub", tests, NULL, NULL);
}

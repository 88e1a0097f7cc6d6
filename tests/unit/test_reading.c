/*
 * test_reading.c - what a live member is owed (D7): every row once, in bounded
 * pages and at a constant cost, or a plain word that some are gone
 */
#include "channel/tail.h"

#include "tests/unit/session_fixture.h"

#include "schema/journal_impl.h"

#define GAP(ref)                                                               \
    "[\"" ref "\",\"" ref "\",\"room:a\",\"phx_error\",{\"reason\":\"gap\"}]"
#define RESET(ref)                                                             \
    "[\"" ref "\",\"" ref "\",\"room:a\",\"phx_error\",{\"reason\":\"reset\"}" \
    "]"

/* Statements that the loop's connection begins; at one of them something may
 * happen in another connection. */
static size_t statements;
static const char *meddle_at, *meddle_with;

static void meddle(void)
{
    const char *sql = meddle_with;

    meddle_at = meddle_with = NULL; /* once */
    fixture_sql(&f, sql);
}

static int on_statement(unsigned type, void *ctx, void *stmt, void *sql)
{
    (void)type;
    (void)ctx;
    (void)stmt;
    statements++;
    if (meddle_at && strstr(sql, meddle_at))
        meddle();
    return 0;
}

static void watch_statements(void)
{
    assert_int_equal(sqlite3_trace_v2(process.journal->db.handle,
                                      SQLITE_TRACE_STMT, on_statement, NULL),
                     0);
    statements = 0;
}

/* Insert `count` rows in one transaction, payloads 1, 2 and so on. */
static void publish_many(const char *topic, unsigned count)
{
    char sql[300];

    (void)snprintf(sql, sizeof(sql),
                   "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL"
                   " SELECT i+1 FROM n WHERE i < %u)"
                   " INSERT INTO messages(topic,event,payload)"
                   " SELECT '%s','news',CAST(i AS TEXT) FROM n",
                   count, topic);
    fixture_sql(&f, sql);
}

static uint64_t sequence(void)
{
    uint64_t head;

    assert_int_equal(hf_journal_head(process.journal, &head), 0);
    return head;
}

/* The hub has read all there is. */
static void settle(void)
{
    int64_t end = hf_boot_ms() + 5000;

    while (hub->cursor < sequence() && hf_boot_ms() < end) {
        assert_int_equal(hf_loop_turn(f.loop, 10), 0);
        take_all(&a);
        take_all(&b);
    }
    assert_int_equal(hub->cursor, sequence());
}

/* The client `a` has joined with `since`, and its transport takes nothing. */
static void sent_nothing_yet(uint64_t since)
{
    char cursor[HF_CURSOR_MAX + 1], text[200];

    cursor_text(cursor, since);
    (void)snprintf(text, sizeof(text),
                   "[\"7\",\"7\",\"room:a\",\"phx_join\","
                   "{\"since\":\"%s\"}]",
                   cursor);
    assert_int_equal(hf_session_receive(a.session, hf_str_of(text), false), 0);
    assert_true(a.woken);
}

/* --- the cost ------------------------------------------------------------ */

enum { CROWD = 1000 };

static struct client *crowd;

static void join_crowd(size_t count)
{
    size_t n;

    crowd = calloc(count, sizeof(*crowd));
    assert_non_null(crowd);
    for (n = 0; n < count; n++) {
        open_client(&crowd[n]);
        say(&crowd[n], JOIN("1"));
        assert_int_equal(crowd[n].count, 1);
    }
}

static void leave_crowd(size_t count)
{
    size_t n;

    for (n = 0; n < count; n++)
        close_client(&crowd[n]);
    free(crowd);
}

/* Statements from the publish until all have taken it. */
static size_t cost_of_one_message(size_t count)
{
    int64_t end = hf_boot_ms() + 5000;
    size_t n, taken = 0;

    settle();
    publish("room:a", "1");
    statements = 0;
    assert_int_equal(hf_tail_page(hub, &(bool){false}), 0);
    while (taken < count && hf_boot_ms() < end) {
        for (taken = 0, n = 0; n < count; n++) {
            take_all(&crowd[n]);
            taken += crowd[n].count == 2;
        }
    }
    assert_int_equal(taken, count);
    return statements;
}

static void a_message_to_a_thousand_costs_what_it_costs_to_one(void **state)
{
    size_t one, many;

    (void)state;
    watch_statements();
    join_crowd(1);
    one = cost_of_one_message(1);
    leave_crowd(1);
    join_crowd(CROWD);
    many = cost_of_one_message(CROWD);
    assert_int_equal(hf_hub_counts(hub).encoded, 2); /* once each time */
    leave_crowd(CROWD);
    assert_true(one > 0);
    assert_int_equal(one, many);
}

static void a_turn_reads_one_page_and_no_more(void **state)
{
    uint64_t before;

    (void)state;
    say(&a, JOIN("1"));
    settle();
    publish_many("room:a", 3 * HF_PAGE_ROWS);
    hf_hub_soon(hub);
    for (before = 0; before < 3; before++) {
        assert_int_equal(hf_loop_turn(f.loop, 0), 0);
        assert_true(hf_hub_counts(hub).rows_read <=
                    (before + 1) * HF_PAGE_ROWS);
    }
    wait_for(&a, 1 + 3 * HF_PAGE_ROWS);
}

/* The bytes of a page and of a ring are bounded alike. */
static void a_page_is_bounded_in_bytes_too(void **state)
{
    char sql[300];

    (void)state;
    say(&a, JOIN("1"));
    settle();
    (void)snprintf(sql, sizeof(sql),
                   "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL"
                   " SELECT i+1 FROM n WHERE i < 20)"
                   " INSERT INTO messages(topic,event,payload) SELECT"
                   " 'room:a','news','\\\"'||hex(zeroblob(25000))||'\\\"'"
                   " FROM n");
    fixture_sql(&f, sql);
    assert_int_equal(hf_tail_page(hub, &(bool){false}), 0);
    assert_true(hf_hub_counts(hub).rows_read >= 1);
    assert_true(hf_hub_counts(hub).rows_read <= HF_PAGE_BYTES / 50000 + 1);
    wait_for(&a, 21);
}

static void refills_share_a_bounded_turn(void **state)
{
    uint64_t first = publish("room:a", "0");
    enum { ROWS = 1800 };

    (void)state;
    publish_many("room:a", ROWS);
    join_since(&a, "7", first); /* each takes as much as it gets in a turn */
    join_since(&b, "7", first);
    assert_true(a.count + b.count <= HF_REFILL_TURN + 2); /* and two replies */
    assert_true(b.count < ROWS);
    wait_for(&a, ROWS + 1);
    wait_for(&b, ROWS + 1);
    quiet(&a, ROWS + 1);
    assert_int_equal(hf_hub_counts(hub).refilled, 2 * ROWS);
}

/* --- the head ------------------------------------------------------------ */

static void the_head_is_the_sequence_and_not_the_newest_row(void **state)
{
    char want[HF_CURSOR_MAX + 20], cursor[HF_CURSOR_MAX + 1];
    uint64_t id = publish("room:b", "1");

    (void)state;
    say(&b, "[\"1\",\"1\",\"room:b\",\"phx_join\",{}]"); /* the tail reads */
    /* what sessions do draws ids, too */
    fixture_sql(&f, "UPDATE sqlite_sequence SET seq = seq + 5"
                    " WHERE name = 'messages'");
    say(&a, "[\"1\",\"1\",\"room:a\",\"phx_join\",{\"since\":\"\"}]");
    wait_for(&a, 1);
    cursor_text(cursor, id + 5);
    (void)snprintf(want, sizeof(want), "\"cursor\":\"%s\"", cursor);
    assert_non_null(strstr(a.got[0], want));
    join_since(&b, "2", id + 5); /* not beyond the head */
    wait_for(&b, 2);
    assert_non_null(strstr(b.got[1], "\"recovered\":true"));
}

static void a_join_first_brings_the_hub_to_the_head(void **state)
{
    uint64_t id;

    (void)state;
    say(&b, JOIN("1"));
    settle();
    id = publish("room:a", "1"); /* the hub has not looked */
    join_since(&a, "7", id);
    wait_for(&a, 1);
    assert_non_null(strstr(a.got[0], "\"recovered\":true"));
    quiet(&a, 1); /* nothing at or below its cursor */
    got(&b, 1, "[null,null,\"room:a\",\"news\",1]");
}

static void a_join_where_nothing_was_written_asks_just_that(void **state)
{
    (void)state;
    watch_statements();
    say(&a, JOIN("1"));
    say(&b, JOIN("1"));
    settle();
    statements = 0;
    say(&a, JOIN("2"));
    say(&b, JOIN("2"));
    assert_int_equal(statements, 2);
    publish("room:b", "1");
    statements = 0;
    say(&a, JOIN("3"));
    assert_true(statements > 1);
}

static void a_join_far_from_the_hub_gets_nothing_older(void **state)
{
    (void)state;
    say(&b, "[\"1\",\"1\",\"room:b\",\"phx_join\",{}]");
    settle();
    publish_many("room:a", 3 * HF_PAGE_ROWS); /* more than a page behind */
    say(&a, JOIN("1"));
    publish("room:a", "777");
    got(&a, 1, "[null,null,\"room:a\",\"news\",777]");
    quiet(&a, 2);
}

static void a_refill_and_the_ring_meet_without_an_overlap(void **state)
{
    uint64_t first = publish("room:a", "0"), id;

    (void)state;
    id = publish("room:a", "1");
    sent_nothing_yet(first);
    publish("room:a", "2"); /* beyond the hub when the refill reads */
    take_all(&a);
    assert_int_equal(a.count, 2);
    got_row(&a, 1, "7", id, 1);
    got_row(&a, 2, "7", id + 1, 2);
    quiet(&a, 3);
}

static void a_refill_that_finds_nothing_has_caught_up(void **state)
{
    uint64_t first = publish("room:a", "0");

    (void)state;
    publish("room:b", "1");
    join_since(&a, "7", first);
    assert_int_equal(a.count, 1);
    assert_true(hub->refill_left >= HF_REFILL_TURN - HF_PAGE_ROWS); /* once */
    publish("room:a", "2");
    wait_for(&a, 2);
}

/* --- another history ----------------------------------------------------- */

#define BEGIN_EPOCH                                                            \
    "UPDATE sqlite_sequence SET seq = seq - 1 WHERE name = 'messages'"

static void a_new_epoch_ends_every_membership(void **state)
{
    (void)state;
    publish("room:b", "0");
    say(&a, JOIN("1"));
    say(&b, JOIN("5"));
    settle();
    fixture_sql(&f, "DELETE FROM messages;" BEGIN_EPOCH);
    got(&a, 1, RESET("1"));
    got(&b, 1, RESET("5"));
    quiet(&a, 2);
    assert_int_equal(hf_hub_counts(hub).members, 0);
    say(&a, JOIN("2"));
    got(&a, 2, JOINED("2"));
    publish("room:a", "1");
    got(&a, 3, "[null,null,\"room:a\",\"news\",1]");
}

static void a_refill_never_reads_in_another_history(void **state)
{
    uint64_t first = publish("room:a", "0");
    struct hf_msg *msgs[16];
    size_t n, i;

    (void)state;
    publish_many("room:a", 500);
    sent_nothing_yet(first);
    n = hf_session_take(a.session, msgs, 16, 65536); /* the replay begins */
    assert_int_equal(n, 16);
    for (i = 0; i < n; i++)
        hf_msg_unref(msgs[i]);
    fixture_sql(&f, BEGIN_EPOCH);
    /* what is taken next must not be of the new history */
    assert_int_equal(hf_session_take(a.session, msgs, 16, 65536), 0);
    a.woken = false;
    got(&a, 0, RESET("7"));
    quiet(&a, 1);
}

/* --- gaps ---------------------------------------------------------------- */

static void a_member_that_falls_behind_and_misses_rows_is_told(void **state)
{
    (void)state;
    say(&a, JOIN("1"));
    got(&a, 0, JOINED("1"));
    publish_many("room:a", 10);
    a.woken = true; /* it does not take what is there */
    while (hub->cursor < sequence()) {
        a.woken = false;
        assert_int_equal(hf_tail_page(hub, &(bool){false}), 0);
    }
    publish_many("room:a", 2 * HF_RING_ROWS); /* out of the ring */
    while (hub->cursor < sequence()) {
        a.woken = true;
        assert_int_equal(hf_tail_page(hub, &(bool){false}), 0);
    }
    fixture_sql(&f, "DELETE FROM messages WHERE id <= 20");
    got(&a, 1, GAP("1"));
    quiet(&a, 2);
}

static void rows_of_other_topics_that_are_gone_are_no_gap(void **state)
{
    (void)state;
    say(&a, JOIN("1"));
    settle();
    fixture_sql(&f, "INSERT INTO messages(topic,event,payload)"
                    " VALUES('room:b','news','1'),('room:a','news','2');"
                    "DELETE FROM messages WHERE topic = 'room:b'");
    got(&a, 1, "[null,null,\"room:a\",\"news\",2]");
    publish_many("room:b", 3);
    fixture_sql(&f, "DELETE FROM messages WHERE topic = 'room:b'");
    settle();
    quiet(&a, 2);
}

/* What is left at or below a gap would be a stream with a hole. */
static void rows_that_survive_below_a_gap_are_not_given(void **state)
{
    (void)state;
    say(&a, JOIN("1"));
    settle();
    fixture_sql(&f, "INSERT INTO messages(topic,event,payload)"
                    " VALUES('room:a','news','1'),('room:a','news','2');"
                    "DELETE FROM messages WHERE payload = '2'");
    got(&a, 1, GAP("1"));
    quiet(&a, 2);
}

/* The hub notices what it has not seen of room:b; room:a's ring stays. */
static void a_ring_keeps_its_rows_when_those_of_others_go(void **state)
{
    (void)state;
    say(&a, JOIN("1"));
    say(&b, "[\"1\",\"1\",\"room:b\",\"phx_join\",{}]");
    settle();
    publish("room:a", "1");
    a.woken = false;
    assert_int_equal(hf_tail_page(hub, &(bool){false}), 0);
    assert_true(a.woken); /* and it has not taken yet */
    fixture_sql(&f, "INSERT INTO messages(topic,event,payload)"
                    " VALUES('room:b','news','2');"
                    "DELETE FROM messages");
    assert_int_equal(hf_tail_page(hub, &(bool){false}), 0);
    take_all(&a);
    got(&a, 1, "[null,null,\"room:a\",\"news\",1]");
    wait_for(&b, 2);
    assert_non_null(strstr(b.got[1], "\"reason\":\"gap\""));
}

static void the_global_watermark_is_a_gap_in_every_topic(void **state)
{
    uint64_t first = publish("room:a", "0");

    (void)state;
    say(&a, JOIN("1"));
    settle();
    fixture_sql(&f, "INSERT INTO messages(topic,event,payload)"
                    " VALUES('room:b','news','1');"
                    "INSERT OR REPLACE INTO trimmed(topic,through)"
                    " SELECT '', max(id) FROM messages");
    got(&a, 1, GAP("1"));
    join_since(&b, "7", first);
    wait_for(&b, 1);
    assert_non_null(strstr(b.got[0], "\"gap\":\"trimmed\""));
}

/* Its own rows are old, but the hub has passed all that was deleted. */
static void a_member_that_has_caught_up_moves_with_the_hub(void **state)
{
    struct hf_topic *topic;

    (void)state;
    say(&a, JOIN("1"));
    settle();
    publish_many("room:b", 5);
    hf_hub_soon(hub);
    settle();
    fixture_sql(&f, "INSERT OR REPLACE INTO trimmed(topic,through)"
                    " SELECT '', max(id) FROM messages");
    topic = hf_hub_find(hub, HF_STR("room:a"));
    hf_ring_restart(&topic->ring, hub->cursor); /* as when out of memory */
    publish("room:a", "1");
    got(&a, 1, "[null,null,\"room:a\",\"news\",1]");
}

/* --- one snapshot -------------------------------------------------------- */

#define DELETE_ALL "DELETE FROM messages WHERE topic = 'room:a'"

static void what_goes_while_the_tail_reads_is_seen_all_the_same(void **state)
{
    (void)state;
    say(&a, JOIN("1"));
    settle();
    watch_statements();
    publish("room:a", "1");
    meddle_at = "FROM messages WHERE id > ";
    meddle_with = DELETE_ALL;
    got(&a, 1, "[null,null,\"room:a\",\"news\",1]");
    assert_null(meddle_at); /* it did go meanwhile */
    publish("room:a", "2");
    got(&a, 2, "[null,null,\"room:a\",\"news\",2]");
}

static void what_goes_while_a_refill_reads_is_seen_all_the_same(void **state)
{
    uint64_t first = publish("room:a", "0");

    (void)state;
    publish_many("room:a", 5);
    watch_statements();
    meddle_at = "FROM messages WHERE topic = ";
    meddle_with = DELETE_ALL;
    join_since(&a, "7", first);
    wait_for(&a, 6);
    assert_null(meddle_at);
    quiet(&a, 6);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_message_to_a_thousand_costs_what_it_costs_to_one),
        T(a_turn_reads_one_page_and_no_more),
        T(a_page_is_bounded_in_bytes_too),
        T(refills_share_a_bounded_turn),
        T(the_head_is_the_sequence_and_not_the_newest_row),
        T(a_join_first_brings_the_hub_to_the_head),
        T(a_join_where_nothing_was_written_asks_just_that),
        T(a_join_far_from_the_hub_gets_nothing_older),
        T(a_refill_and_the_ring_meet_without_an_overlap),
        T(a_refill_that_finds_nothing_has_caught_up),
        T(a_new_epoch_ends_every_membership),
        T(a_refill_never_reads_in_another_history),
        T(a_member_that_falls_behind_and_misses_rows_is_told),
        T(rows_of_other_topics_that_are_gone_are_no_gap),
        T(rows_that_survive_below_a_gap_are_not_given),
        T(a_ring_keeps_its_rows_when_those_of_others_go),
        T(the_global_watermark_is_a_gap_in_every_topic),
        T(a_member_that_has_caught_up_moves_with_the_hub),
        T(what_goes_while_the_tail_reads_is_seen_all_the_same),
        T(what_goes_while_a_refill_reads_is_seen_all_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

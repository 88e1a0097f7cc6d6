#include "channel/session.h"

#include "tests/unit/session_fixture.h"

#include <sqlite3.h>

#include "schema/failed.h"

static void
a_push_reaches_all_and_its_sender_sees_it_before_the_reply(void **state)
{
    (void)state;
    say(&a, JOIN("1"));
    say(&b, JOIN("5"));
    got(&a, 0, JOINED("1"));
    got(&b, 0, JOINED("5"));
    say(&a, "[\"1\",\"2\",\"room:a\",\"shout\",{\"n\": 12345678901234567890}]");
    got(&a, 1,
        "[null,null,\"room:a\",\"shout\",{\"n\": 12345678901234567890}]");
    got(&a, 2,
        "[\"1\",\"2\",\"room:a\",\"phx_reply\","
        "{\"status\":\"ok\",\"response\":{}}]");
    got(&b, 1,
        "[null,null,\"room:a\",\"shout\",{\"n\": 12345678901234567890}]");
    quiet(&b, 2);
}

static void many_pushes_keep_their_order_and_answers(void **state)
{
    char text[100];
    int n;

    (void)state;
    say(&a, JOIN("1"));
    for (n = 0; n < 300; n++) {
        snprintf(text, sizeof(text), "[\"1\",\"r%d\",\"room:a\",\"e\",%d]", n,
                 n);
        say(&a, text);
    }
    wait_for(&a, 601);
    int row = 0, reply = 0;
    for (size_t i = 1; i < a.count; i++) {
        int k;
        if (sscanf(a.got[i], "[null,null,\"room:a\",\"e\",%d]", &k) == 1) {
            assert_int_equal(k, row++);
        } else {
            assert_int_equal(sscanf(a.got[i], "[\"1\",\"r%d\"", &k), 1);
            assert_int_equal(k, reply++);
            assert_true(reply <= row); /* the broadcast came before */
        }
    }
    assert_int_equal(row, 300);
    assert_int_equal(reply, 300);
}

static void another_program_reaches_the_members(void **state)
{
    (void)state;
    say(&a, JOIN("1"));
    got(&a, 0, JOINED("1"));
    publish("room:b", "1");
    publish("room:a", "2");
    got(&a, 1, "[null,null,\"room:a\",\"news\",2]");
    quiet(&a, 2);
}

static void heartbeats_and_strangers_get_their_answers(void **state)
{
    (void)state;
    say(&a, "[null,\"9\",\"phoenix\",\"heartbeat\",{}]");
    got(&a, 0,
        "[null,\"9\",\"phoenix\",\"phx_reply\","
        "{\"status\":\"ok\",\"response\":{}}]");
    say(&a, "[\"1\",\"2\",\"room:a\",\"shout\",{}]");
    got(&a, 1,
        "[null,\"2\",\"room:a\",\"phx_reply\",{\"status\":\"error\","
        "\"response\":{\"reason\":\"unmatched topic\"}}]");
    say(&a, "[\"1\",\"3\",\"elsewhere\",\"phx_join\",{}]");
    got(&a, 2,
        "[null,\"3\",\"elsewhere\",\"phx_reply\",{\"status\":\"error\","
        "\"response\":{\"reason\":\"unmatched topic\"}}]");
    say(&a, "[\"1\",\"4\",\"room:a\",\"phx_leave\",{}]");
    got(&a, 3,
        "[\"1\",\"4\",\"room:a\",\"phx_reply\","
        "{\"status\":\"ok\",\"response\":{}}]");
    say(&a, "[null,\"5\",17,null,{}]");
    got(&a, 4,
        "[null,\"5\",17,\"phx_reply\",{\"status\":\"error\","
        "\"response\":{\"reason\":\"unmatched topic\"}}]");
}

static void a_second_join_is_answered_then_the_first_closed(void **state)
{
    (void)state;
    say(&a, JOIN("1"));
    say(&a, JOIN("2"));
    got(&a, 1, JOINED("2"));
    got(&a, 2, "[\"1\",\"1\",\"room:a\",\"phx_close\",{}]");
    say(&a, "[\"1\",\"3\",\"room:a\",\"shout\",{}]"); /* stale: silence */
    quiet(&a, 3);
    say(&a, JOIN("2")); /* the same again: no close, it would hit itself */
    got(&a, 3, JOINED("2"));
    quiet(&a, 4);
    publish("room:a", "1");
    got(&a, 4, "[null,null,\"room:a\",\"news\",1]"); /* once */
    quiet(&a, 5);
}

static void a_leave_waits_for_its_pushes_and_heartbeats_overtake(void **state)
{
    (void)state;
    say(&a, JOIN("1"));
    say(&b, JOIN("1"));
    got(&a, 0, JOINED("1"));
    say(&a, "[\"1\",\"2\",\"room:a\",\"shout\",{}]");
    say(&a, "[\"1\",\"3\",\"room:a\",\"phx_leave\",{}]");
    say(&a, "[\"1\",\"4\",\"room:a\",\"shout\",{}]");
    say(&a, "[null,\"5\",\"phoenix\",\"heartbeat\",{}]");
    got(&a, 1,
        "[null,\"5\",\"phoenix\",\"phx_reply\","
        "{\"status\":\"ok\",\"response\":{}}]");
    wait_for(&a, 5);
    /* the row may or may not come before the leave; the answers all do */
    size_t n = 2;
    if (strncmp(a.got[n], "[null,null", 10) == 0)
        n++;
    got(&a, n++,
        "[\"1\",\"2\",\"room:a\",\"phx_reply\","
        "{\"status\":\"ok\",\"response\":{}}]");
    got(&a, n++,
        "[\"1\",\"3\",\"room:a\",\"phx_reply\","
        "{\"status\":\"ok\",\"response\":{}}]");
    got(&a, n++, "[\"1\",\"1\",\"room:a\",\"phx_close\",{}]");
    got(&a, n++,
        "[null,\"4\",\"room:a\",\"phx_reply\",{\"status\":\"error\","
        "\"response\":{\"reason\":\"unmatched topic\"}}]");
    got(&b, 1, "[null,null,\"room:a\",\"shout\",{}]");
    quiet(&b, 2);
}

static void a_join_with_since_gets_what_it_missed_then_live(void **state)
{
    char want[300], cursor[HF_CURSOR_MAX + 1];
    uint64_t first = publish("room:a", "1"), id;

    (void)state;
    publish("room:b", "0");
    id = publish("room:a", "2");
    say(&b, JOIN("1")); /* the ring begins here; a refills from the journal */
    join_since(&a, "7", first);
    cursor_text(cursor, first);
    snprintf(want, sizeof(want),
             "[\"7\",\"7\",\"room:a\",\"phx_reply\",{\"status\":\"ok\","
             "\"response\":{\"cursor\":\"%s\",\"recovered\":true}}]",
             cursor);
    got(&a, 0, want);
    got_row(&a, 1, "7", id, 2);
    id = publish("room:a", "3");
    got_row(&a, 2, "7", id, 3);
    got(&b, 1, "[null,null,\"room:a\",\"news\",3]");
    quiet(&a, 3);
}

static void a_long_absence_is_replayed_in_pages_without_a_hole(void **state)
{
    uint64_t first = publish("room:a", "0"), ids[900];
    char payload[20];
    size_t n;

    (void)state;
    for (n = 1; n < 900; n++) {
        snprintf(payload, sizeof(payload), "%zu", n);
        ids[n] = publish("room:a", payload);
    }
    join_since(&a, "7", first);
    wait_for(&a, 900);
    for (n = 1; n < 900; n++)
        got_row(&a, n, "7", ids[n], n);
    quiet(&a, 900);
    assert_int_equal(hf_hub_counts(hub).refilled, 899);
}

/* --- many who come back at once */

#define HEARTBEAT "[null,\"9\",\"phoenix\",\"heartbeat\",{}]"
#define CROWD     6u
static struct client crowd[CROWD];

/* They join before any of them is served; the nth has seen all to seen[n]. */
static void come_back(const uint64_t *seen)
{
    char cursor[HF_CURSOR_MAX + 1], text[200];
    size_t n;

    for (n = 0; n < CROWD; n++) {
        open_client(&crowd[n]);
        cursor_text(cursor, seen[n]);
        snprintf(text, sizeof(text),
                 "[\"7\",\"7\",\"room:a\",\"phx_join\",{\"since\":\"%s\"}]",
                 cursor);
        assert_int_equal(
            hf_session_receive(crowd[n].session, hf_str_of(text), false), 0);
    }
}

static bool all_have(size_t count)
{
    size_t n;

    for (n = 0; n < CROWD; n++)
        if (crowd[n].count < count)
            return false;
    return true;
}

static void serve_crowd(size_t until)
{
    int64_t end = hf_boot_ms() + 5000;
    size_t n;

    while (!all_have(until) && hf_boot_ms() < end) {
        for (n = 0; n < CROWD; n++)
            take_all(&crowd[n]);
        assert_int_equal(hf_loop_turn(f.loop, 10), 0);
    }
    assert_true(all_have(until));
}

/* Rows `first` to `last` are the newest that it has, each once and in order;
 * row n has the payload n. */
static void has_rows(struct client *c, const uint64_t *ids, size_t first,
                     size_t last)
{
    size_t n;

    assert_int_equal(c->count, 1 + last - first + 1);
    for (n = first; n <= last; n++)
        got_row(c, 1 + n - first, "7", ids[n], n);
}

static void publish_rows(uint64_t *ids, size_t first, size_t last)
{
    char payload[20];
    size_t n;

    for (n = first; n <= last; n++) {
        snprintf(payload, sizeof(payload), "%zu", n);
        ids[n] = publish("room:a", payload);
    }
}

/* Whatever came of the test: the hub outlives no session. */
static int disperse(void **state)
{
    size_t n;

    for (n = 0; n < CROWD; n++)
        close_client(&crowd[n]);
    return teardown(state);
}

static void the_last_to_leave_a_topic_takes_its_rows_along(void **state)
{
    (void)state;
    say(&a, JOIN("1"));
    got(&a, 0, JOINED("1"));
    publish("room:a", "1");
    got(&a, 1, "[null,null,\"room:a\",\"news\",1]");
    assert_false(hf_list_empty(&hub->rings.held));
    say(&a, "[\"1\",\"2\",\"room:a\",\"phx_leave\",{}]");
    wait_for(&a, 4);
    assert_true(hf_list_empty(&hub->rings.held));
    assert_int_equal(hub->rings.bytes, 0);
}

static void many_who_come_back_are_read_to_once(void **state)
{
    uint64_t ids[102], seen[CROWD];
    size_t n;

    (void)state;
    publish_rows(ids, 0, 100);
    for (n = 0; n < CROWD; n++)
        seen[n] = ids[0];
    come_back(seen);
    serve_crowd(101);
    assert_int_equal(hf_hub_counts(hub).encoded, 100);
    assert_int_equal(hf_hub_counts(hub).refilled, 0);
    publish_rows(ids, 101, 101);
    serve_crowd(102);
    for (n = 0; n < CROWD; n++)
        has_rows(&crowd[n], ids, 1, 101);
}

static void many_who_come_back_from_different_places_miss_nothing(void **state)
{
    static const size_t at[CROWD] = {90, 40, 99, 0, 100, 40};
    uint64_t ids[102], seen[CROWD];
    unsigned turns = 500;
    size_t n;

    (void)state;
    publish_rows(ids, 0, 100);
    for (n = 0; n < CROWD; n++)
        seen[n] = ids[at[n]];
    come_back(seen);
    for (n = 0; n < 5; n++) {
        take_all(&crowd[n]);
        assert_int_equal(hf_loop_turn(f.loop, 10), 0);
    }
    publish_rows(ids, 101, 101);
    while (crowd[3].count < 102 && turns-- > 0) {
        for (n = 0; n < CROWD; n++)
            take_all(&crowd[n]);
        assert_int_equal(hf_loop_turn(f.loop, 10), 0);
    }
    serve_crowd(2);
    for (n = 0; n < CROWD; n++)
        has_rows(&crowd[n], ids, at[n] + 1, 101);
}

static void many_who_missed_more_than_a_ring_holds_get_all_of_it(void **state)
{
    enum { MISSED = 2 * HF_RING_ROWS + 60 };
    static uint64_t ids[MISSED + 21];
    uint64_t seen[CROWD];
    size_t n;

    (void)state;
    publish_rows(ids, 0, MISSED);
    for (n = 0; n < CROWD; n++)
        seen[n] = ids[0];
    come_back(seen);
    for (n = 1; n <= 20; n++) { /* live ones come in between */
        publish_rows(ids, MISSED + n, MISSED + n);
        take_all(&crowd[n % CROWD]);
        assert_int_equal(hf_loop_turn(f.loop, 10), 0);
    }
    serve_crowd(1 + MISSED + 20);
    for (n = 0; n < CROWD; n++)
        has_rows(&crowd[n], ids, 1, MISSED + 20);
    /* the last part of it was read once for all */
    assert_true(hf_hub_counts(hub).refilled < CROWD * (size_t)MISSED);
}

/* What was read for all of them and not kept counts, too. */
static void
those_who_come_back_read_no_more_in_a_turn_than_they_may(void **state)
{
    enum { MISSED = 2 * HF_RING_ROWS };
    static uint64_t ids[MISSED + 1];
    uint64_t seen[CROWD];
    size_t n;

    (void)state;
    publish_rows(ids, 0, MISSED);
    for (n = 0; n < CROWD; n++)
        seen[n] = ids[0];
    come_back(seen);
    hub->refill_left = HF_CROWD_ROWS + 10;
    for (n = 0; n < CROWD; n++) {
        take_all(&crowd[n]);
        assert_true(hub->refill_left <= HF_CROWD_ROWS + 10);
    }
    assert_int_equal(hub->refill_left, 0);
    assert_true(hf_hub_counts(hub).refilled <= 10);
    serve_crowd(1 + MISSED);
    for (n = 0; n < CROWD; n++)
        has_rows(&crowd[n], ids, 1, MISSED);
}

static void a_member_far_behind_loses_nothing(void **state)
{
    char payload[20];
    uint64_t n;

    (void)state;
    say(&a, JOIN("1"));
    say(&b, JOIN("1"));
    got(&a, 0, JOINED("1"));
    got(&b, 0, JOINED("1"));
    b.woken = true; /* b's transport is blocked: it does not take */
    for (n = 0; n < 3 * HF_RING_ROWS; n++) {
        snprintf(payload, sizeof(payload), "%u", (unsigned)n);
        publish("room:a", payload);
        if (n % 16 == 0) {
            struct client *only = &a;
            b.woken = false;
            assert_int_equal(hf_loop_turn(f.loop, 0), 0);
            take_all(only);
        }
    }
    for (int64_t end = hf_boot_ms() + 5000;
         a.count < 1 + 3 * HF_RING_ROWS && hf_boot_ms() < end;) {
        assert_int_equal(hf_loop_turn(f.loop, 10), 0);
        take_all(&a);
    }
    b.woken = true; /* now it drains */
    wait_for(&b, 1 + 3 * HF_RING_ROWS);
    for (n = 0; n < 3 * HF_RING_ROWS; n++) {
        snprintf(payload, sizeof(payload), "news\",%u]", (unsigned)n);
        assert_non_null(strstr(b.got[n + 1], payload));
        assert_string_equal(a.got[n + 1], b.got[n + 1]);
    }
    assert_true(hf_hub_counts(hub).refilled > 0);
}

static void an_unknown_epoch_or_a_future_cursor_is_a_reset(void **state)
{
    (void)state;
    say(&a, "[\"7\",\"7\",\"room:a\",\"phx_join\","
            "{\"since\":\"j:AAAAAAAAAAA.1\"}]");
    wait_for(&a, 1);
    assert_non_null(strstr(a.got[0], "\"recovered\":false,\"gap\":\"reset\""));
    join_since(&b, "1", 1u << 30);
    wait_for(&b, 1);
    assert_non_null(strstr(b.got[0], "\"recovered\":false,\"gap\":\"reset\""));
}

static void what_was_deleted_is_a_gap_never_silence(void **state)
{
    uint64_t first = publish("room:a", "1");

    (void)state;
    publish("room:a", "2");
    publish("room:a", "3");
    fixture_sql(&f, "DELETE FROM messages WHERE payload='2'");
    join_since(&a, "7", first);
    wait_for(&a, 1);
    assert_non_null(
        strstr(a.got[0], "\"recovered\":false,\"gap\":\"trimmed\""));
    quiet(&a, 1); /* never partial: 3 is not sent as if nothing were missing */
}

static void rows_deleted_before_they_were_read_end_the_membership(void **state)
{
    (void)state;
    say(&a, JOIN("1"));
    got(&a, 0, JOINED("1"));
    fixture_sql(&f, "INSERT INTO messages(topic,event,payload) "
                    "VALUES('room:a','news','1');"
                    "DELETE FROM messages");
    got(&a, 1, "[\"1\",\"1\",\"room:a\",\"phx_error\",{\"reason\":\"gap\"}]");
    quiet(&a, 2);
}

/* Borrowed until the next call. */
static const char *file_of(const char *name)
{
    static char path[160];

    snprintf(path, sizeof(path), "%s/%s", f.dir, name);
    return path;
}

#define HEARTBEAT "[null,\"9\",\"phoenix\",\"heartbeat\",{}]"
#define BEATEN                                                                 \
    "[null,\"9\",\"phoenix\",\"phx_reply\","                                   \
    "{\"status\":\"ok\",\"response\":{}}]"
#define REFUSED(ref, reason)                                                   \
    "[\"1\",\"" ref "\",\"room:a\",\"phx_reply\",{\"status\":\"error\","       \
    "\"response\":{\"reason\":\"" reason "\"}}]"

static void while_another_program_keeps_the_lock_only_pushes_wait(void **state)
{
    sqlite3 *other;

    (void)state;
    process.settings.busy_ms = 300;
    say(&a, JOIN("1"));
    got(&a, 0, JOINED("1"));
    assert_int_equal(sqlite3_open(file_of("journal.db"), &other), 0);
    assert_int_equal(sqlite3_exec(other,
                                  "BEGIN IMMEDIATE; INSERT INTO messages"
                                  " (topic, event, payload)"
                                  " VALUES ('room:a', 'news', '1')",
                                  NULL, NULL, NULL),
                     0);
    say(&a, "[\"1\",\"2\",\"room:a\",\"shout\",{}]");
    say(&b, JOIN("5")); /* needs no write */
    got(&b, 0, JOINED("5"));
    say(&a, HEARTBEAT);
    got(&a, 1, BEATEN);
    got(&a, 2, REFUSED("2", "busy"));
    quiet(&b, 1);
    assert_int_equal(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), 0);
    got(&b, 1, "[null,null,\"room:a\",\"news\",1]");
    got(&a, 3, "[null,null,\"room:a\",\"news\",1]");
    say(&a, "[\"1\",\"3\",\"room:a\",\"shout\",{}]");
    got(&b, 2, "[null,null,\"room:a\",\"shout\",{}]");
    assert_int_equal(sqlite3_close(other), 0);
}

static void a_failed_journal_is_still_read(void **state)
{
    (void)state;
    say(&a, JOIN("1"));
    got(&a, 0, JOINED("1"));
    assert_int_equal(hf_failed_raise(&process.dir, "for the test"), 0);
    say(&a, "[\"1\",\"2\",\"room:a\",\"shout\",{}]");
    got(&a, 1, REFUSED("2", "journal_failed"));
    fixture_sql(&f, "INSERT INTO messages(topic,event,payload) "
                    "VALUES('room:a','news','1')");
    got(&a, 2, "[null,null,\"room:a\",\"news\",1]");
    say(&b, JOIN("5"));
    got(&b, 0, JOINED("5"));
    say(&b, HEARTBEAT);
    got(&b, 1, BEATEN);
}

static void nobody_is_kept_waiting_for_a_journal_that_was_replaced(void **state)
{
    (void)state;
    say(&a, JOIN("1"));
    got(&a, 0, JOINED("1"));
    assert_int_equal(unlink(file_of("journal.db-wal")), 0);
    got(&a, 1,
        "[\"1\",\"1\",\"room:a\",\"phx_error\","
        "{\"reason\":\"journal_failed\"}]");
    say(&a, "[\"1\",\"2\",\"room:a\",\"phx_join\",{}]");
    got(&a, 2, REFUSED("2", "journal_failed"));
    say(&a, HEARTBEAT);
    got(&a, 3, BEATEN);
}

static void a_right_taken_away_ends_the_membership(void **state)
{
    (void)state;
    say(&a, JOIN("1"));
    got(&a, 0, JOINED("1"));
    allow(f.dir, "room:a", HF_RIGHT_PUBLISH, true);
    got(&a, 1,
        "[\"1\",\"1\",\"room:a\",\"phx_error\",{\"reason\":\"unauthorized\"}]");
    say(&a, JOIN("2"));
    got(&a, 2,
        "[\"2\",\"2\",\"room:a\",\"phx_reply\",{\"status\":\"error\","
        "\"response\":{\"reason\":\"unauthorized\"}}]");
}

static void without_echo_the_sender_gets_the_reply_alone(void **state)
{
    (void)state;
    allow(f.dir, "room:a", HF_RIGHT_JOIN | HF_RIGHT_PUBLISH, false);
    say(&a, JOIN("1"));
    say(&b, JOIN("1"));
    say(&a, "[\"1\",\"2\",\"room:a\",\"shout\",{}]");
    got(&b, 1, "[null,null,\"room:a\",\"shout\",{}]");
    got(&a, 1,
        "[\"1\",\"2\",\"room:a\",\"phx_reply\","
        "{\"status\":\"ok\",\"response\":{}}]");
    quiet(&a, 2);
}

static void refused_pushes_keep_their_place_among_the_answers(void **state)
{
    (void)state;
    say(&a, JOIN("1"));
    got(&a, 0, JOINED("1"));
    say(&a, "[\"1\",\"2\",\"room:a\",\"shout\",{}]");
    say(&a, "[\"1\",\"3\",\"room:a\",\"phx_close\",{}]");
    say(&a, "[\"1\",\"4\",\"room:a\",\"shout\",{}]");
    wait_for(&a, 6);
    const char *order[3];
    size_t n = 0;
    for (size_t i = 1; i < a.count; i++)
        if (strstr(a.got[i], "phx_reply"))
            order[n++] = a.got[i];
    assert_int_equal(n, 3);
    assert_non_null(strstr(order[0], "[\"1\",\"2\""));
    assert_string_equal(order[1],
                        "[\"1\",\"3\",\"room:a\",\"phx_reply\",{\"status\":"
                        "\"error\",\"response\":{\"reason\":\"event not "
                        "allowed\"}}]");
    assert_non_null(strstr(order[2], "[\"1\",\"4\""));
}

static void
a_client_that_leaves_in_mid_push_is_journaled_all_the_same(void **state)
{
    (void)state;
    say(&a, JOIN("1"));
    say(&b, JOIN("1"));
    got(&b, 0, JOINED("1"));
    say(&a, "[\"1\",\"2\",\"room:a\",\"shout\",{}]");
    close_client(&a);
    got(&b, 1, "[null,null,\"room:a\",\"shout\",{}]");
    open_client(&a);
}

static void malformed_frames_are_fatal_and_floods_are_bounded(void **state)
{
    static const char *bad[] = {"",          "x",   "{}",        "[]",
                                "[1,2,3,4]", "nul", "[1,2,3,4,5"};
    size_t n;
    int err = 0;

    (void)state;
    for (n = 0; n < sizeof(bad) / sizeof(bad[0]); n++)
        assert_int_equal(
            hf_session_receive(a.session, hf_str_of(bad[n]), false),
            HF_EMALFORMED);
    assert_int_equal(hf_session_receive(a.session, HF_STR("\0"), true),
                     HF_EMALFORMED);
    for (n = 0; n < HF_REPLIES_MAX + 1 && err == 0; n++)
        err = hf_session_receive(a.session, HF_STR(HEARTBEAT), false);
    assert_int_equal(err, HF_ELIMIT);
    assert_int_equal(n, HF_REPLIES_MAX + 1);
}

static void
who_has_many_replies_is_full_until_half_of_them_are_taken(void **state)
{
    struct hf_msg *msg;
    size_t n;

    (void)state;
    for (n = 0; n < HF_REPLIES_FULL; n++) {
        assert_false(hf_session_is_full(a.session));
        assert_int_equal(
            hf_session_receive(a.session, HF_STR(HEARTBEAT), false), 0);
    }
    for (; n >= HF_REPLIES_FULL / 2; n--) {
        assert_true(hf_session_is_full(a.session));
        assert_int_equal(hf_session_take(a.session, &msg, 1, 1), 1);
        hf_msg_unref(msg);
    }
    assert_false(hf_session_is_full(a.session));
}

static void replies_are_bounded_in_bytes_too(void **state)
{
    static char frame[100 * 1024];
    int n, err = 0;

    (void)state;
    memset(frame, 'x', sizeof(frame));
    memcpy(frame, "[null,\"1\",\"", 11);
    memcpy(frame + sizeof(frame) - 8, "\",\"e\",1]", 8);
    for (n = 0; n < 50 && err == 0; n++)
        err =
            hf_session_receive(a.session, hf_str(frame, sizeof(frame)), false);
    assert_int_equal(err, HF_ELIMIT);
    assert_true(n > 5);
}

static void nobody_joins_more_topics_than_allowed(void **state)
{
    char text[100];
    unsigned n;

    (void)state;
    for (n = 0; n <= 100; n++) {
        snprintf(text, sizeof(text),
                 "[\"%u\",\"%u\",\"room:%u\",\"phx_join\",{}]", n, n, n);
        say(&a, text);
    }
    wait_for(&a, 101);
    assert_non_null(strstr(a.got[99], "\"status\":\"ok\""));
    assert_string_equal(
        a.got[100], "[\"100\",\"100\",\"room:100\",\"phx_reply\",{\"status\":"
                    "\"error\",\"response\":{\"reason\":\"too many channels "
                    "joined\"}}]");
    assert_int_equal(hf_hub_counts(hub).members, 100);
    close_client(&a);
    assert_int_equal(hf_hub_counts(hub).members, 0);
    assert_int_equal(hf_hub_counts(hub).topics, 0);
    open_client(&a);
}

int main(void)
{
#define T(name)          cmocka_unit_test_setup_teardown(name, setup, teardown)
#define CROWD_TEST(name) cmocka_unit_test_setup_teardown(name, setup, disperse)
    const struct CMUnitTest tests[] = {
        T(a_push_reaches_all_and_its_sender_sees_it_before_the_reply),
        T(many_pushes_keep_their_order_and_answers),
        T(another_program_reaches_the_members),
        T(heartbeats_and_strangers_get_their_answers),
        T(a_second_join_is_answered_then_the_first_closed),
        T(a_leave_waits_for_its_pushes_and_heartbeats_overtake),
        T(a_join_with_since_gets_what_it_missed_then_live),
        T(a_long_absence_is_replayed_in_pages_without_a_hole),
        T(the_last_to_leave_a_topic_takes_its_rows_along),
        CROWD_TEST(many_who_come_back_are_read_to_once),
        CROWD_TEST(many_who_come_back_from_different_places_miss_nothing),
        CROWD_TEST(many_who_missed_more_than_a_ring_holds_get_all_of_it),
        CROWD_TEST(those_who_come_back_read_no_more_in_a_turn_than_they_may),
        T(a_member_far_behind_loses_nothing),
        T(an_unknown_epoch_or_a_future_cursor_is_a_reset),
        T(what_was_deleted_is_a_gap_never_silence),
        T(rows_deleted_before_they_were_read_end_the_membership),
        T(while_another_program_keeps_the_lock_only_pushes_wait),
        T(a_failed_journal_is_still_read),
        T(nobody_is_kept_waiting_for_a_journal_that_was_replaced),
        T(a_right_taken_away_ends_the_membership),
        T(without_echo_the_sender_gets_the_reply_alone),
        T(refused_pushes_keep_their_place_among_the_answers),
        T(a_client_that_leaves_in_mid_push_is_journaled_all_the_same),
        T(malformed_frames_are_fatal_and_floods_are_bounded),
        T(who_has_many_replies_is_full_until_half_of_them_are_taken),
        T(replies_are_bounded_in_bytes_too),
        T(nobody_joins_more_topics_than_allowed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

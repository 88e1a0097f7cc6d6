/* What a join gets of the past, and where a client stands: on a WebSocket. */
#include "channel/resume.h"

#include "tests/unit/session_fixture.h"

#define EPOCH UINT64_C(0x1122334455667788)

/* --- what a frame asks --------------------------------------------------- */

static struct hf_resume resume(const char *payload)
{
    struct hf_frame frame;
    char text[200];
    int n = snprintf(text, sizeof(text), "[\"1\",\"1\",\"a\",\"phx_join\",%s]",
                     payload);

    assert_int_equal(
        hf_frame_decode(HF_VSN_2, hf_str(text, (size_t)n), false, &frame), 0);
    return hf_resume_of(&frame);
}

static void since_is_a_cursor_or_from_now_or_not_asked(void **state)
{
    char cursor[HF_CURSOR_MAX], payload[100];
    size_t len = hf_cursor_format((struct hf_cursor){EPOCH, 42}, cursor);

    (void)state;
    assert_false(resume("{}").asked);
    assert_false(resume("null").asked);
    assert_false(resume("{\"since\":5}").asked);
    assert_true(resume("{\"since\":\"\"}").from_now);
    assert_string_equal(resume("{\"since\":\"42\"}").refused, "invalid since");
    snprintf(payload, sizeof(payload), "{\"since\":\"%.*s\"}", (int)len,
             cursor);
    assert_true(resume(payload).asked);
    assert_null(resume(payload).refused);
    assert_int_equal(resume(payload).since.id, 42);
    assert_true(resume(payload).since.epoch == EPOCH);
}

static void a_resume_goes_on_or_says_what_is_lost(void **state)
{
    struct hf_resume at5 = {.asked = true, .since = {EPOCH, 5}};
    struct hf_resume from_now = {.asked = true, .from_now = true};
    struct hf_start start;

    (void)state;
    start = hf_resume_start(&at5, EPOCH, 9, 0);
    assert_true(start.recovered);
    assert_null(start.gap);
    assert_int_equal(start.cursor, 5);
    /* the row at the cursor itself may go; it was received */
    assert_true(hf_resume_start(&at5, EPOCH, 9, 5).recovered);
    start = hf_resume_start(&at5, EPOCH, 9, 6);
    assert_string_equal(start.gap, "trimmed");
    assert_false(start.recovered);
    assert_int_equal(start.cursor, 9);
    assert_string_equal(hf_resume_start(&at5, EPOCH + 1, 9, 0).gap, "reset");
    assert_string_equal(hf_resume_start(&at5, EPOCH, 4, 0).gap, "reset");
    start = hf_resume_start(&from_now, EPOCH, 9, 99);
    assert_null(start.gap);
    assert_false(start.recovered);
    assert_int_equal(start.cursor, 9);
}

static void the_join_response_tells_where_the_stream_begins(void **state)
{
    struct hf_resume asked = {.asked = true};
    struct hf_start gap = {.cursor = 9, .gap = "trimmed"};
    struct hf_resume not_asked = {0};
    struct hf_buf out;

    (void)state;
    hf_buf_init(&out, 1000);
    assert_int_equal(hf_join_response(&out, &not_asked, &gap, EPOCH), 0);
    assert_true(hf_str_eq(hf_buf_str(&out), HF_STR("{}")));
    hf_buf_reset(&out);
    assert_int_equal(hf_join_response(&out, &asked, &gap, 0), 0);
    assert_true(hf_str_eq(hf_buf_str(&out),
                          HF_STR("{\"cursor\":\"j:AAAAAAAAAAA.9\","
                                 "\"recovered\":false,\"gap\":\"trimmed\"}")));
    hf_buf_release(&out);
}

static void last_counts_from_now_only_and_is_bounded(void **state)
{
    (void)state;
    assert_int_equal(resume("{\"since\":\"\"}").last, 0);
    assert_int_equal(resume("{\"since\":\"\",\"last\":null}").last, 0);
    assert_int_equal(resume("{\"since\":\"\",\"last\":7}").last, 7);
    assert_int_equal(resume("{\"since\":\"\",\"last\":99999}").last,
                     HF_LAST_MAX);
    assert_string_equal(resume("{\"since\":\"\",\"last\":-1}").refused,
                        "invalid last");
    assert_string_equal(resume("{\"since\":\"\",\"last\":\"7\"}").refused,
                        "invalid last");
    /* without since it is the application's own */
    assert_null(resume("{\"last\":\"7\"}").refused);
}

#define REPLAY(inside) "{\"config\":{\"broadcast\":{\"replay\":" inside "}}}"

static void a_replay_is_asked_as_supabase_does(void **state)
{
    struct hf_resume r =
        resume(REPLAY("{\"since\":1700000000000,\"limit\":3}"));

    (void)state;
    assert_true(r.replay && !r.asked && !r.refused);
    assert_true(r.from_ms == 1700000000000);
    assert_int_equal(r.limit, 3);
    r = resume(REPLAY("{}"));
    assert_true(r.replay && r.from_ms == 0);
    assert_int_equal(r.limit, HF_REPLAY_ROWS);
    assert_int_equal(resume(REPLAY("{\"limit\":1000}")).limit,
                     HF_REPLAY_ROWS_MAX);
    assert_string_equal(resume(REPLAY("{\"since\":\"x\"}")).refused,
                        "invalid replay");
    assert_false(resume(REPLAY("null")).replay);
    assert_false(resume("{\"since\":\"\",\"config\":{\"broadcast\":"
                        "{\"replay\":{}}}}")
                     .replay);
}

static void what_is_replayed_is_marked(void **state)
{
    static const char *const pairs[][2] = {
        {"{}", "{\"meta\":{\"replayed\":true,\"id\":\"j:AAAAAAAAAAA.7\"}}"},
        {" { \"a\" : 1 } ", "{ \"a\" : 1 ,\"meta\":{\"replayed\":true,"
                            "\"id\":\"j:AAAAAAAAAAA.7\"}}"},
    };
    struct hf_row row = {.id = 7, .event = HF_STR("broadcast")};
    struct hf_buf out;
    size_t n;

    (void)state;
    hf_buf_init(&out, 1000);
    for (n = 0; n < 2; n++) {
        row.payload = hf_str_of(pairs[n][0]);
        assert_true(hf_replayable(&row));
        hf_buf_reset(&out);
        assert_int_equal(hf_replayed_payload(&out, &row, 0), 0);
        assert_true(hf_str_eq(hf_buf_str(&out), hf_str_of(pairs[n][1])));
    }
    hf_buf_release(&out);
    row.payload = HF_STR("[1]");
    assert_false(hf_replayable(&row));
    row.payload = HF_STR("{}");
    row.event = HF_STR("news");
    assert_false(hf_replayable(&row));
}

/* --- last ---------------------------------------------------------------- */

static void join_with(struct client *c, const char *payload)
{
    char text[300];

    snprintf(text, sizeof(text), "[\"7\",\"7\",\"room:a\",\"phx_join\",%s]",
             payload);
    say(c, text);
}

static void got_joined(struct client *c, uint64_t cursor, const char *rest)
{
    char from[HF_CURSOR_MAX + 1], want[300];

    cursor_text(from, cursor);
    snprintf(want, sizeof(want),
             "[\"7\",\"7\",\"room:a\",\"phx_reply\",{\"status\":\"ok\","
             "\"response\":{\"cursor\":\"%s\",%s}}]",
             from, rest);
    got(c, 0, want);
}

static void a_join_from_now_may_have_the_newest_older_rows(void **state)
{
    uint64_t id[5];
    int n;

    (void)state;
    for (n = 0; n < 5; n++) {
        char payload[4] = {(char)('0' + n)};

        id[n] = publish("room:a", payload);
        publish("room:b", "0");
    }
    join_with(&a, "{\"since\":\"\",\"last\":2}");
    got_joined(&a, id[2], "\"recovered\":false");
    got_row(&a, 1, "7", id[3], 3);
    got_row(&a, 2, "7", id[4], 4);
    got_row(&a, 3, "7", publish("room:a", "5"), 5);
    join_with(&b, "{\"since\":\"\",\"last\":100}"); /* all there are */
    got_joined(&b, 0, "\"recovered\":false");
    wait_for(&b, 7);
    got_row(&b, 1, "7", id[0], 0);
}

static void
the_newest_older_rows_are_never_some_with_others_missing(void **state)
{
    uint64_t second, third;

    (void)state;
    publish("room:a", "1");
    second = publish("room:a", "2");
    third = publish("room:a", "3");
    fixture_sql(&f, "DELETE FROM messages WHERE payload='2'");
    join_with(&a, "{\"since\":\"\",\"last\":9}");
    got_joined(&a, second, "\"recovered\":false");
    got_row(&a, 1, "7", third, 3);
    quiet(&a, 2);
}

/* A cursor asks for all that was missed; after a gap nothing comes again. */
static void last_does_not_cut_what_was_missed(void **state)
{
    uint64_t first = publish("room:a", "1"), id[3];
    char cursor[HF_CURSOR_MAX + 1], payload[100];
    size_t n;

    (void)state;
    for (n = 0; n < 3; n++)
        id[n] = publish("room:a", "2");
    cursor_text(cursor, first);
    snprintf(payload, sizeof(payload), "{\"since\":\"%s\",\"last\":1}", cursor);
    join_with(&a, payload);
    got_joined(&a, first, "\"recovered\":true");
    for (n = 0; n < 3; n++)
        got_row(&a, 1 + n, "7", id[n], 2);
    fixture_sql(&f, "DELETE FROM messages WHERE payload='2' AND id < 3");
    join_with(&b, payload);
    wait_for(&b, 1);
    assert_non_null(strstr(b.got[0], "\"gap\":\"trimmed\""));
    quiet(&b, 1);
}

/* --- replay as Supabase has it ------------------------------------------- */

static uint64_t broadcast(const char *payload)
{
    char sql[300];
    uint64_t id;

    snprintf(sql, sizeof(sql),
             "INSERT INTO messages (topic, event, payload) VALUES"
             " ('room:a', 'broadcast', '%s')",
             payload);
    fixture_sql(&f, sql);
    assert_int_equal(hf_journal_head(process.journal, &id), 0);
    return id;
}

static void got_replayed(struct client *c, size_t n, uint64_t id,
                         const char *payload)
{
    char cursor[HF_CURSOR_MAX + 1], text[300];

    cursor_text(cursor, id);
    snprintf(text, sizeof(text),
             "[\"7\",\"%s\",\"room:a\",\"broadcast\",{%s\"meta\":"
             "{\"replayed\":true,\"id\":\"%s\"}}]",
             cursor, payload, cursor);
    got(c, n, text);
}

static void a_replay_follows_the_reply_and_live_rows_are_as_ever(void **state)
{
    uint64_t id[4];

    (void)state;
    id[0] = broadcast("{}");
    publish("room:a", "5");
    id[1] = broadcast("{}");
    id[2] = broadcast("{}");
    join_with(&a, REPLAY("{\"since\":1,\"limit\":2}"));
    got(&a, 0, JOINED("7"));
    got_replayed(&a, 1, id[1], "");
    got_replayed(&a, 2, id[2], "");
    id[3] = broadcast("{}");
    got(&a, 3, "[null,null,\"room:a\",\"broadcast\",{}]");
    join_with(&b, REPLAY("{\"since\":1}"));
    wait_for(&b, 5);
    got_replayed(&b, 1, id[0], "");
    got_replayed(&b, 4, id[3], "");
    quiet(&b, 5);
}

static void a_replay_holds_nothing_that_is_too_old(void **state)
{
    char payload[100];

    (void)state;
    (void)broadcast("{}");
    usleep(5000);
    snprintf(payload, sizeof(payload), REPLAY("{\"since\":%lld}"),
             (long long)hf_wall_ms());
    usleep(5000);
    uint64_t id = broadcast("{}");
    join_with(&a, payload);
    got(&a, 0, JOINED("7"));
    got_replayed(&a, 1, id, "");
    quiet(&a, 2);
}

/* --- heads --------------------------------------------------------------- */

#define ASK "[null,\"9\",\"phoenix\",\"heartbeat\",{\"heads\":true}]"

static void got_heads(struct client *c, size_t n, uint64_t id)
{
    char cursor[HF_CURSOR_MAX + 1], text[200];

    cursor_text(cursor, id);
    snprintf(text, sizeof(text),
             "[null,\"9\",\"phoenix\",\"phx_reply\",{\"status\":\"ok\","
             "\"response\":{\"heads\":{\"room:a\":\"%s\"}}}]",
             cursor);
    got(c, n, text);
}

static void heads_name_what_was_sent_and_nothing_else(void **state)
{
    uint64_t first = publish("room:a", "1"), id;

    (void)state;
    join_since(&a, "7", first);
    wait_for(&a, 1);
    say(&a, ASK);
    got_heads(&a, 1, first); /* where its stream began */
    id = publish("room:a", "2");
    publish("room:b", "0"); /* the hub goes on; the head of room:a does not */
    got_row(&a, 2, "7", id, 2);
    turn_for(f.loop, 600);
    say(&a, ASK);
    got_heads(&a, 3, id);
}

static void receive(struct client *c, const char *text)
{
    assert_int_equal(hf_session_receive(c->session, hf_str_of(text), false), 0);
}

static void heads_come_behind_what_they_name(void **state)
{
    uint64_t first = publish("room:a", "0"), id[60];
    char cursor[HF_CURSOR_MAX + 1], payload[20], text[200];
    struct hf_msg *msgs[10];
    size_t n;

    (void)state;
    for (n = 0; n < 60; n++) {
        snprintf(payload, sizeof(payload), "%zu", n);
        id[n] = publish("room:a", payload);
    }
    cursor_text(cursor, first);
    snprintf(text, sizeof(text),
             "[\"7\",\"7\",\"room:a\",\"phx_join\",{\"since\":\"%s\"}]",
             cursor);
    receive(&a, text);
    /* a slow transport: the reply and nine rows so far */
    assert_int_equal(hf_session_take(a.session, msgs, 10, 65536), 10);
    for (n = 0; n < 10; n++)
        hf_msg_unref(msgs[n]);
    receive(&a, ASK);
    take_all(&a);
    got_heads(&a, 0, id[8]);
    wait_for(&a, 52);
    got_row(&a, 51, "7", id[59], 59);
}

static void only_who_has_cursors_is_told_heads(void **state)
{
    (void)state;
    say(&a, JOIN("1"));
    say(&a, ASK);
    got(&a, 1,
        "[null,\"9\",\"phoenix\",\"phx_reply\",{\"status\":\"ok\","
        "\"response\":{\"heads\":{}}}]");
    say(&a, "[null,\"10\",\"phoenix\",\"heartbeat\",{\"heads\":1}]");
    got(&a, 2,
        "[null,\"10\",\"phoenix\",\"phx_reply\","
        "{\"status\":\"ok\",\"response\":{}}]");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(since_is_a_cursor_or_from_now_or_not_asked),
        cmocka_unit_test(a_resume_goes_on_or_says_what_is_lost),
        cmocka_unit_test(the_join_response_tells_where_the_stream_begins),
        cmocka_unit_test(last_counts_from_now_only_and_is_bounded),
        cmocka_unit_test(a_replay_is_asked_as_supabase_does),
        cmocka_unit_test(what_is_replayed_is_marked),
        T(a_join_from_now_may_have_the_newest_older_rows),
        T(the_newest_older_rows_are_never_some_with_others_missing),
        T(last_does_not_cut_what_was_missed),
        T(a_replay_follows_the_reply_and_live_rows_are_as_ever),
        T(a_replay_holds_nothing_that_is_too_old),
        T(heads_name_what_was_sent_and_nothing_else),
        T(heads_come_behind_what_they_name),
        T(only_who_has_cursors_is_told_heads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What a join gets of the past, and where a client stands: by long-poll,
 * whichever of two processes serves it. */
#include "channel/resume.h"

#include "tests/unit/longpoll_fixture.h"

static void join_with(struct client *c, int n, const char *ref,
                      const char *payload)
{
    char text[300];

    snprintf(text, sizeof(text), "[\"%s\",\"%s\",\"room:a\",\"phx_join\",%s]",
             ref, ref, payload);
    say(c, n, text);
}

static void got_row(struct client *c, size_t n, const char *ref, uint64_t id,
                    const char *payload)
{
    char cursor[HF_CURSOR_MAX + 1], text[200];

    cursor_text(cursor, id);
    snprintf(text, sizeof(text), "[\"%s\",\"%s\",\"room:a\",\"news\",%s]", ref,
             cursor, payload);
    got(c, n, text);
}

/* --- last ---------------------------------------------------------------- */

static void a_join_from_now_may_have_the_newest_older_rows(void **state)
{
    uint64_t id[4];
    char cursor[HF_CURSOR_MAX + 1];

    (void)state;
    id[0] = publish("room:a", "1");
    id[1] = publish("room:a", "2");
    id[2] = publish("room:a", "3");
    join_with(&a, 0, "7", "{\"since\":\"\",\"last\":2}");
    id[3] = publish("room:a", "4");
    poll_until(&a, 1);
    cursor_text(cursor, id[0]);
    assert_non_null(strstr(a.got[0], cursor));
    assert_non_null(strstr(a.got[0], "\"recovered\":false"));
    got_row(&a, 1, "7", id[1], "2");
    got_row(&a, 2, "7", id[2], "3");
    got_row(&a, 3, "7", id[3], "4");
    poll_once(&a, 1);
    assert_int_equal(a.count, 4);
}

/* --- replay as Supabase has it ------------------------------------------- */

#define REPLAY(inside) "{\"config\":{\"broadcast\":{\"replay\":" inside "}}}"

static uint64_t broadcast(const char *event)
{
    char sql[300];
    uint64_t id;

    snprintf(sql, sizeof(sql),
             "INSERT INTO messages (topic, event, payload) VALUES"
             " ('room:a', '%s', '{}')",
             event);
    fixture_sql(&f, sql);
    assert_int_equal(hf_journal_head(process[0].journal, &id), 0);
    return id;
}

static void got_replayed(struct client *c, size_t n, uint64_t id)
{
    char cursor[HF_CURSOR_MAX + 1], text[300];

    cursor_text(cursor, id);
    snprintf(text, sizeof(text),
             "[\"7\",\"%s\",\"room:a\",\"broadcast\",{\"meta\":"
             "{\"replayed\":true,\"id\":\"%s\"}}]",
             cursor, cursor);
    got(c, n, text);
}

static void a_replay_follows_the_reply_and_live_rows_are_as_ever(void **state)
{
    uint64_t id[3];
    struct get get;

    (void)state;
    (void)broadcast("broadcast");
    id[1] = broadcast("broadcast");
    (void)broadcast("other");
    id[2] = broadcast("broadcast");
    join_with(&a, 0, "7", REPLAY("{\"since\":1,\"limit\":2}"));
    (void)broadcast("broadcast");
    get_start(&get, 1, a.token); /* an answer that is lost is the same again */
    get_wait(&get, 1000);
    assert_int_equal(get.count, 4);
    get_free(&get);
    got(&a, 0, JOINED("7"));
    got_replayed(&a, 1, id[1]);
    got_replayed(&a, 2, id[2]);
    got(&a, 3, "[null,null,\"room:a\",\"broadcast\",{}]");
    poll_once(&a, 1);
    assert_int_equal(a.count, 4);
}

static void a_replay_goes_on_in_the_next_answer(void **state)
{
    uint64_t id[2];

    (void)state;
    id[0] = broadcast("broadcast");
    fixture_sql(&f, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1"
                    " FROM n WHERE i < 700) INSERT INTO messages (topic, event,"
                    " payload) SELECT 'room:a', 'other', i FROM n");
    id[1] = broadcast("broadcast");
    join_with(&a, 0, "7", REPLAY("{}"));
    got(&a, 0, JOINED("7"));
    got_replayed(&a, 1, id[0]);
    got_replayed(&a, 2, id[1]);
    poll_once(&a, 1);
    assert_int_equal(a.count, 3);
}

/* What is gone is not shown again; that ends nobody's session. */
static void a_replay_whose_rows_went_meanwhile_is_shorter(void **state)
{
    uint64_t id[2];

    (void)state;
    id[0] = broadcast("broadcast");
    id[1] = broadcast("broadcast");
    join_with(&a, 0, "7", REPLAY("{}"));
    fixture_sql(&f, "DELETE FROM messages WHERE id = (SELECT min(id) FROM"
                    " messages)");
    got(&a, 0, JOINED("7"));
    got_replayed(&a, 1, id[1]);
    poll_once(&a, 1);
    assert_int_equal(a.count, 2);
    assert_true(id[0] < id[1]);
}

/* --- heads --------------------------------------------------------------- */

#define ASK "[null,\"9\",\"phoenix\",\"heartbeat\",{\"heads\":true}]"

static void heads_are(const char *message, const char *room_a)
{
    char text[300];

    snprintf(text, sizeof(text),
             "[null,\"9\",\"phoenix\",\"phx_reply\",{\"status\":\"ok\","
             "\"response\":{\"heads\":{%s}}}]",
             room_a);
    assert_string_equal(message, text);
}

static void heads_at(const char *message, uint64_t id)
{
    char cursor[HF_CURSOR_MAX + 1], room_a[100];

    cursor_text(cursor, id);
    snprintf(room_a, sizeof(room_a), "\"room:a\":\"%s\"", cursor);
    heads_are(message, room_a);
}

static void heads_name_what_the_token_says_was_received(void **state)
{
    char first[HF_TOKEN_MAX + 1], cursor[HF_CURSOR_MAX + 1], payload[100];
    uint64_t start = publish("room:a", "1"), id;

    (void)state;
    say(&a, 0, ASK); /* before any join */
    poll_until(&a, 1);
    heads_are(a.got[0], "");
    cursor_text(cursor, start);
    snprintf(payload, sizeof(payload), "{\"since\":\"%s\"}", cursor);
    join_with(&a, 0, "7", payload);
    poll_until(&a, 2);
    snprintf(first, sizeof(first), "%s", a.token);
    id = publish("room:a", "2");
    publish("room:b", "0");
    got_row(&a, 2, "7", id, "2");
    /* an older token: all it says is that its own answer was received */
    assert_int_equal(post_to(1, first, ASK, true), 200);
    poll_until(&a, 4);
    heads_at(a.got[3], start);
    publish("room:b", "0");
    say(&a, 1, ASK);
    poll_until(&a, 5);
    heads_at(a.got[4], id);
}

static void heads_beside_other_messages_keep_their_place(void **state)
{
    uint64_t id;

    (void)state;
    join_with(&a, 0, "7", "{\"since\":\"\"}");
    poll_until(&a, 1);
    id = publish("room:a", "2");
    got_row(&a, 1, "7", id, "2");
    say(&a, 0, "[\"7\",\"8\",\"room:a\",\"say\",3]\n" ASK);
    poll_until(&a, 4);
    assert_non_null(strstr(a.got[2], "\"say\",3"));
    assert_non_null(strstr(a.got[3], "\"8\""));
    poll_until(&a, 5);
    heads_at(a.got[4], id); /* the push itself was not yet received */
}

static void in_the_middle_of_a_replay_heads_say_how_far_it_is(void **state)
{
    uint64_t start = publish("room:a", "0");
    char cursor[HF_CURSOR_MAX + 1], payload[100];
    struct hf_token token;
    size_t before;

    (void)state;
    fixture_sql(&f, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1"
                    " FROM n WHERE i < 900) INSERT INTO messages (topic, event,"
                    " payload) SELECT 'room:a', 'news', i FROM n");
    cursor_text(cursor, start);
    snprintf(payload, sizeof(payload), "{\"since\":\"%s\"}", cursor);
    join_with(&a, 0, "7", payload);
    poll_once(&a, 0);
    before = a.count;
    assert_true(before > 1 && before < 901);
    assert_int_equal(hf_token_parse(hf_str_of(a.token),
                                    &process[0].secret, &token),
                     0);
    assert_true(token.replay > 0);
    say(&a, 1, ASK);
    poll_once(&a, 1); /* it overtakes the rest of the replay */
    heads_at(a.got[before], token.replay_at);
    cursor_text(cursor, token.replay_at);
    assert_non_null(strstr(a.got[before - 1], cursor));
    poll_until(&a, 902);
}

static void heads_pass_over_what_is_not_for_this_session(void **state)
{
    uint64_t id;

    (void)state;
    allow(f.dir, "room:a", HF_RIGHT_JOIN | HF_RIGHT_PUBLISH, false);
    join_with(&a, 0, "7", "{\"since\":\"\"}");
    poll_until(&a, 1);
    id = publish("room:a", "2");
    say(&a, 0, "[\"7\",\"8\",\"room:a\",\"say\",3]"); /* no echo */
    got_row(&a, 1, "7", id, "2");
    poll_until(&a, 3);
    say(&a, 0, ASK);
    poll_until(&a, 4);
    heads_at(a.got[3], id);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_join_from_now_may_have_the_newest_older_rows),
        T(a_replay_follows_the_reply_and_live_rows_are_as_ever),
        T(a_replay_goes_on_in_the_next_answer),
        T(a_replay_whose_rows_went_meanwhile_is_shorter),
        T(heads_name_what_the_token_says_was_received),
        T(heads_beside_other_messages_keep_their_place),
        T(in_the_middle_of_a_replay_heads_say_how_far_it_is),
        T(heads_pass_over_what_is_not_for_this_session),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

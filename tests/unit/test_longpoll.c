#include "channel/longpoll.h"

#include "base/jwt.h"
#include "channel/longpoll_state.h"
#include "schema/failed.h"
#include "schema/journal_impl.h"
#include "tests/unit/longpoll_fixture.h"

#define HEARTBEAT(ref) "[null,\"" ref "\",\"phoenix\",\"heartbeat\",{}]"
#define BEAT(ref)                                                              \
    "[null,\"" ref "\",\"phoenix\",\"phx_reply\","                             \
    "{\"status\":\"ok\",\"response\":{}}]"

/* --- tests ------------------------------------------------------------- */

static void two_clients_talk_through_two_gateways(void **state)
{
    (void)state;
    say(&a, 0, JOIN("1"));
    say(&b, 1, JOIN("5"));
    got(&a, 0, JOINED("1"));
    got(&b, 0, JOINED("5"));
    say(&a, 1, "[\"1\",\"2\",\"room:a\",\"shout\",{\"n\": 1E2}]");
    got(&a, 1, "[null,null,\"room:a\",\"shout\",{\"n\": 1E2}]");
    got(&a, 2, OK("\"1\"", "2"));
    got(&b, 1, "[null,null,\"room:a\",\"shout\",{\"n\": 1E2}]");
    poll_once(&b, 0);
    assert_int_equal(b.count, 2);
}

static void a_parked_poll_is_answered_by_what_another_process_does(void **state)
{
    struct get get;
    int64_t start;

    (void)state;
    say(&a, 0, JOIN("1"));
    got(&a, 0, JOINED("1"));
    get_start(&get, 0, a.token);
    turn_for(f.loop, 50);
    assert_false(get.answered);
    assert_int_equal(hf_longpoll_parked(gate[0]), 1);
    start = hf_boot_ms();
    publish("room:a", "7");
    get_wait(&get, 1500);
    assert_true(hf_boot_ms() - start < 1500);
    assert_int_equal(get.status, 200);
    assert_string_equal(get.messages[0], "[null,null,\"room:a\",\"news\",7]");
    assert_int_equal(hf_longpoll_parked(gate[0]), 0);
    get_free(&get);
}

static void
a_join_by_post_reaches_the_poll_parked_in_another_process(void **state)
{
    static struct get get; /* its poll may still be parked when this fails */

    (void)state;
    say(&a, 0, JOIN("1"));
    got(&a, 0, JOINED("1"));
    get_start(&get, 0, a.token);
    turn_for(f.loop, 50);
    say(&a, 1, "[\"2\",\"2\",\"room:b\",\"phx_join\",{}]");
    get_wait(&get, 1500);
    assert_int_equal(get.count, 1);
    assert_non_null(strstr(get.messages[0], "room:b"));
    snprintf(a.token, sizeof(a.token), "%s", get.token);
    get_free(&get);
    publish("room:b", "1");
    got(&a, 1, "[null,null,\"room:b\",\"news\",1]");
}

static void the_same_token_gets_the_same_messages(void **state)
{
    struct get one, two, three;

    (void)state;
    say(&a, 0, JOIN("1"));
    publish("room:a", "1");
    publish("room:a", "2");
    get_start(&one, 0, a.token);
    get_wait(&one, 1000);
    get_start(&two, 1, a.token);
    get_wait(&two, 1000);
    assert_int_equal(one.count, 3);
    assert_int_equal(two.count, 3);
    publish("room:a", "3"); /* more behind them, in the same order */
    get_start(&three, 0, a.token);
    get_wait(&three, 1000);
    assert_int_equal(three.count, 4);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(one.messages[i], two.messages[i]);
        assert_string_equal(one.messages[i], three.messages[i]);
    }
    /* the answer that was not received is not acknowledged by a later push */
    say(&a, 1, "[\"1\",\"9\",\"room:a\",\"shout\",{}]");
    get_free(&three);
    get_start(&three, 0, a.token);
    get_wait(&three, 1000);
    assert_int_equal(three.count, 6);
    get_free(&one);
    get_free(&two);
    get_free(&three);
}

static void a_returning_token_acknowledges(void **state)
{
    (void)state;
    say(&a, 0, JOIN("1"));
    got(&a, 0, JOINED("1"));
    poll_once(&a, 0);
    assert_int_equal(a.count, 1);
    publish("room:a", "1");
    got(&a, 1, "[null,null,\"room:a\",\"news\",1]");
    poll_once(&a, 1);
    assert_int_equal(a.count, 2);
}

static void a_gateway_may_die_at_any_time(void **state)
{
    struct get get;

    (void)state;
    say(&a, 0, JOIN("1"));
    got(&a, 0, JOINED("1"));
    get_start(&get, 1, a.token);
    turn_for(f.loop, 20);
    hf_poll_cancel(&get.poll); /* dead with the poll in hand */
    close_gate(1);
    publish("room:a", "1");
    open_gate(1);
    got(&a, 1, "[null,null,\"room:a\",\"news\",1]");
}

static void a_newer_poll_releases_the_older_one(void **state)
{
    static struct get older, newer, other; /* may be parked at the end */

    (void)state;
    say(&a, 0, JOIN("1"));
    got(&a, 0, JOINED("1"));
    get_start(&older, 0, a.token);
    turn_for(f.loop, 20);
    get_start(&newer, 0, a.token);
    assert_true(older.answered); /* at once */
    assert_int_equal(older.status, 204);
    assert_string_equal(older.token, a.token); /* its own token */
    turn_for(f.loop, 20);
    get_start(&other, 1, a.token); /* in another process */
    get_wait(&newer, 1200);
    assert_int_equal(newer.status, 204);
    assert_string_equal(newer.token, a.token);
    publish("room:a", "1");
    get_wait(&other, 1500);
    assert_int_equal(other.count, 1);
    get_free(&other);
}

static void two_joins_in_one_batch_answer_both_and_close_the_first(void **state)
{
    (void)state;
    say(&a, 0, JOIN("1") "\n" JOIN("2") "\n");
    got(&a, 0, JOINED("1"));
    got(&a, 1, JOINED("2"));
    got(&a, 2, "[\"1\",\"1\",\"room:a\",\"phx_close\",{}]");
    publish("room:a", "1");
    got(&a, 3, "[null,null,\"room:a\",\"news\",1]");
    say(&a, 1, JOIN("2")); /* the same again: no close, it would hit itself */
    got(&a, 4, JOINED("2"));
    publish("room:a", "2");
    got(&a, 5, "[null,null,\"room:a\",\"news\",2]");
    poll_once(&a, 0);
    assert_int_equal(a.count, 6);
}

static void rows_after_a_leave_are_not_for_it_and_those_before_are(void **state)
{
    (void)state;
    say(&a, 0, JOIN("1"));
    publish("room:a", "1");
    say(&a, 1, "[\"1\",\"2\",\"room:a\",\"phx_leave\",{}]");
    publish("room:a", "2");
    say(&a, 0, JOIN("3"));
    publish("room:a", "3");
    got(&a, 0, JOINED("1"));
    got(&a, 1, "[null,null,\"room:a\",\"news\",1]");
    got(&a, 2, OK("\"1\"", "2"));
    got(&a, 3, "[\"1\",\"1\",\"room:a\",\"phx_close\",{}]");
    got(&a, 4, JOINED("3"));
    got(&a, 5, "[null,null,\"room:a\",\"news\",3]");
    poll_once(&a, 0);
    assert_int_equal(a.count, 6);
}

static void answers_come_before_any_join_and_stay_in_order(void **state)
{
    (void)state;
    say(&a, 0,
        "[null,\"1\",\"phoenix\",\"heartbeat\",{}]\n"
        "[\"1\",\"2\",\"room:a\",\"shout\",{}]\n"
        "[\"1\",\"3\",\"nowhere\",\"phx_join\",{}]");
    say(&a, 1, "[\"1\",\"4\",\"room:a\",\"phx_leave\",{}]\n" JOIN("5"));
    got(&a, 0,
        "[null,\"1\",\"phoenix\",\"phx_reply\","
        "{\"status\":\"ok\",\"response\":{}}]");
    got(&a, 1,
        "[null,\"2\",\"room:a\",\"phx_reply\",{\"status\":\"error\","
        "\"response\":{\"reason\":\"unmatched topic\"}}]");
    got(&a, 2,
        "[null,\"3\",\"nowhere\",\"phx_reply\",{\"status\":\"error\","
        "\"response\":{\"reason\":\"unmatched topic\"}}]");
    got(&a, 3, OK("\"1\"", "4"));
    got(&a, 4, JOINED("5"));
    poll_once(&a, 1);
    assert_int_equal(a.count, 5);
}

static void a_poll_parked_before_any_join_gets_the_reply(void **state)
{
    struct get get;

    (void)state;
    get_start(&get, 0, a.token);
    turn_for(f.loop, 20);
    assert_int_equal(
        post_to(1, a.token, "[null,\"1\",\"phoenix\",\"heartbeat\",{}]", false),
        200);
    get_wait(&get, 1500);
    assert_int_equal(get.count, 1);
    snprintf(a.token, sizeof(a.token), "%s", get.token);
    get_free(&get);
    poll_once(&a, 1);
    assert_int_equal(a.count, 0);
}

static void a_join_with_since_replays_in_pages_then_goes_live(void **state)
{
    enum { ROWS = 1300 };
    char cursor[HF_CURSOR_MAX + 1], body[200], payload[20];
    static uint64_t ids[ROWS];
    size_t n;

    (void)state;
    for (n = 0; n < ROWS; n++) {
        snprintf(payload, sizeof(payload), "%zu", n);
        ids[n] = publish(n % 3 ? "room:a" : "room:b", payload);
    }
    cursor_text(cursor, ids[0]);
    snprintf(body, sizeof(body),
             "[\"3\",\"3\",\"room:a\",\"phx_join\",{\"since\":\"%s\"}]",
             cursor);
    say(&a, 0, body);
    snprintf(payload, sizeof(payload), "%d", ROWS);
    uint64_t live = publish("room:a", payload);
    size_t want = 1 + (ROWS - 1) * 2 / 3 + 1;
    poll_until(&a, want);
    poll_once(&a, 0);
    assert_int_equal(a.count, want);
    assert_non_null(strstr(a.got[0], "\"recovered\":true"));
    size_t at = 1;
    for (n = 0; n <= ROWS; n++) {
        char text[200];

        if (n < ROWS && n % 3 == 0)
            continue;
        cursor_text(cursor, n == ROWS ? live : ids[n]);
        snprintf(text, sizeof(text), "[\"3\",\"%s\",\"room:a\",\"news\",%zu]",
                 cursor, n);
        assert_string_equal(a.got[at++], text);
    }
}

static void what_was_deleted_ends_the_session_never_silently(void **state)
{
    struct get get;

    (void)state;
    say(&a, 0, JOIN("1"));
    got(&a, 0, JOINED("1"));
    publish("room:a", "1");
    publish("room:a", "2");
    fixture_sql(&f, "DELETE FROM messages WHERE payload='1'");
    get_start(&get, 1, a.token);
    get_wait(&get, 1000);
    assert_int_equal(get.status, 500);
    assert_int_equal(get.count, 0);
}

static void forged_tokens_get_a_new_session_and_dead_ones_500(void **state)
{
    struct get get;
    char token[HF_TOKEN_MAX + 1];

    (void)state;
    snprintf(token, sizeof(token), "%s", a.token);
    token[strlen(token) - 1] ^= 1;
    get_start(&get, 0, token);
    get_wait(&get, 1000);
    assert_int_equal(get.status, 410);
    assert_string_not_equal(get.token, a.token);
    assert_int_equal(post_to(0, token, JOIN("1"), true), 410);
    assert_int_equal(post_to(0, "", JOIN("1"), true), 410);

    say(&a, 0, JOIN("1"));
    got(&a, 0, JOINED("1"));
    hf_clock_shift(0, 2 * 3600 * 1000); /* past revive */
    get_start(&get, 0, a.token);
    get_wait(&get, 1000);
    assert_int_equal(get.status, 500);
    assert_int_equal(post_to(0, a.token, JOIN("2"), true), 500);
    hf_clock_shift(0, 0);

    fixture_sql(&f,
                "DELETE FROM sessions"); /* its rows are gone: dead as well */
    get_start(&get, 0, a.token);
    get_wait(&get, 1000);
    assert_int_equal(get.status, 500);
    assert_int_equal(post_to(0, a.token, JOIN("2"), true), 500);
    assert_int_equal(post_to(0, a.token, HEARTBEAT("3"), true), 500);
}

static void a_malformed_line_undoes_the_whole_batch(void **state)
{
    (void)state;
    say(&a, 0, JOIN("1"));
    assert_int_equal(post_to(0, a.token,
                             "[\"1\",\"2\",\"room:a\",\"shout\",{}]\n[1,2]",
                             true),
                     400);
    assert_int_equal(post_to(0, a.token, "", false), 400);
    assert_int_equal(post_to(0, a.token, "{}", false), 400);
    assert_int_equal(post_to(0, a.token, "\n\r\n\n", true), 200); /* blank */
    say(&a, 0, "\n[\"1\",\"3\",\"room:a\",\"shout\",{}]\r\n\n");
    got(&a, 0, JOINED("1"));
    got(&a, 1, "[null,null,\"room:a\",\"shout\",{}]");
    got(&a, 2, OK("\"1\"", "3"));
    poll_once(&a, 0);
    assert_int_equal(a.count, 3);
}

static void more_lines_than_allowed_are_refused_whole(void **state)
{
    static char body[(HF_POST_LINES + 1) * 48];
    size_t n, at = 0;

    (void)state;
    for (n = 0; n <= HF_POST_LINES; n++)
        at += (size_t)sprintf(
            body + at, "[null,\"%zu\",\"phoenix\",\"heartbeat\",{}]\n", n);
    assert_int_equal(post_to(0, a.token, body, true), 413);
    say(&a, 0, JOIN("1"));
    at = 0;
    for (n = 0; n < 250; n++) /* a batch of 1.7 clients: none is dropped */
        at += (size_t)sprintf(body + at,
                              "[\"1\",\"%zu\",\"room:a\",\"e\",%zu]\n", n, n);
    body[at] = '\0';
    say(&a, 0, body);
    poll_until(&a, 501);
}

static void a_bad_version_or_origin_is_403(void **state)
{
    struct hf_hello bad = hello;
    struct get get = {.poll = {.answer = poll_answered}};
    struct postal postal = {.post = {.answer = post_answered}};

    (void)state;
    bad.query = HF_STR("vsn=3.0.0");
    hf_poll_start(gate[0], &get.poll, &bad, HF_STR(""));
    assert_int_equal(get.status, 403);
    bad = hello;
    bad.from.origin = HF_STR("http://evil.example");
    hf_post_start(gate[0], &postal.post, &bad, hf_str_of(a.token), HF_STR("[]"),
                  true);
    assert_int_equal(postal.status, 403);
}

static void
a_hold_ends_with_204_and_beyond_max_held_nobody_is_held(void **state)
{
    struct get get, more;
    int64_t start = hf_boot_ms();

    (void)state;
    say(&a, 0, JOIN("1"));
    say(&b, 0, JOIN("1"));
    got(&a, 0, JOINED("1"));
    got(&b, 0, JOINED("1"));
    process[0].settings.max_held = 1;
    start = hf_boot_ms();
    get_start(&get, 0, a.token);
    get_start(&more, 0, b.token);
    assert_true(more.answered);
    assert_int_equal(more.status, 500);
    get_wait(&get, 3000);
    assert_int_equal(get.status, 204);
    assert_true(hf_boot_ms() - start >= 1900);
    process[0].settings.max_held = 5000;
}

/* --- what a poll may cost in a turn ---------------------------------------- */

/* Rows that this session is not to get, in one transaction. */
static void publish_not_for(const struct client *c, size_t count)
{
    struct hf_publish p = {.topic = HF_STR("room:a"),
                           .event = HF_STR("news"),
                           .payload = HF_STR("0")};
    struct hf_journal *journal;
    struct hf_token token;
    struct hf_why why;
    bool repeated;
    uint64_t id;

    assert_int_equal(hf_longpoll_token(gate[0], hf_str_of(c->token), &token),
                     HF_TOKEN_GOOD);
    p.skip = hf_str(token.session, sizeof(token.session));
    assert_int_equal(hf_journal_open(&process[0].dir, &process[0].settings,
                                     HF_JOURNAL_WRITE, &journal, &why),
                     0);
    assert_int_equal(hf_journal_begin(journal), 0);
    while (count-- > 0)
        assert_int_equal(hf_journal_append(journal, &p, &id, &repeated), 0);
    assert_int_equal(hf_journal_commit(journal), 0);
    hf_journal_close(journal);
}

static void a_poll_reads_a_page_a_turn(void **state)
{
    uint64_t before, head;
    struct get get;
    int turns = 0;

    (void)state;
    say(&a, 0, JOIN("1"));
    got(&a, 0, JOINED("1"));
    publish_not_for(&a, 6 * HF_ANSWER_MESSAGES);
    assert_int_equal(hf_journal_head(process[0].journal, &head), 0);
    get_start(&get, 0, a.token);
    for (; turns < 100; turns++) {
        before = get.poll.token.cursor;
        if (before + HF_ANSWER_MESSAGES >= head)
            break;
        assert_int_equal(hf_loop_turn(f.loop, 0), 0);
        assert_true(get.poll.token.cursor <= before + HF_ANSWER_MESSAGES);
    }
    assert_in_range(turns, 4, 50);
    publish("room:a", "1");
    get_wait(&get, 1500);
    assert_int_equal(get.count, 1);
    get_free(&get);
}

static void without_room_to_be_held_a_poll_still_reads_on(void **state)
{
    int polls = 0;

    (void)state;
    say(&a, 0, JOIN("1"));
    got(&a, 0, JOINED("1"));
    publish_not_for(&a, 3 * HF_ANSWER_MESSAGES);
    publish("room:a", "1");
    process[0].settings.max_held = 0;
    while (a.count < 2 && polls++ < 8)
        poll_once(&a, 0); /* never 500 */
    assert_int_equal(a.count, 2);
    assert_string_equal(a.got[1], "[null,null,\"room:a\",\"news\",1]");
}

/* --- when the journal takes no writes -------------------------------------- */

static void publish_by_script(const char *payload)
{
    char sql[200];

    snprintf(sql, sizeof(sql),
             "INSERT INTO messages (topic, event, payload)"
             " VALUES ('room:a', 'news', '%s')",
             payload);
    fixture_sql(&f, sql);
}

static void who_only_reads_is_served_while_nothing_can_be_written(void **state)
{
    struct get get, again;

    (void)state;
    say(&a, 0, JOIN("1"));
    got(&a, 0, JOINED("1"));
    get_start(&get, 0, a.token);
    turn_for(f.loop, 20);
    assert_int_equal(hf_failed_raise(&process[0].dir, "tested"), 0);
    /* through another process than the one that holds the poll */
    assert_int_equal(
        post_to(1, a.token, HEARTBEAT("2") "\n" HEARTBEAT("3"), true), 200);
    get_wait(&get, 1500);
    assert_int_equal(get.count, 2);
    assert_string_equal(get.messages[0], BEAT("2"));
    assert_string_equal(get.messages[1], BEAT("3"));

    /* the answer was lost: the same again, and what came since */
    publish_by_script("7");
    get_start(&again, 1, a.token);
    get_wait(&again, 1500);
    assert_int_equal(again.count, 3);
    assert_string_equal(again.messages[0], BEAT("2"));
    assert_string_equal(again.messages[1], BEAT("3"));
    assert_string_equal(again.messages[2], "[null,null,\"room:a\",\"news\",7]");
    snprintf(a.token, sizeof(a.token), "%s", again.token);
    get_free(&get);
    get_free(&again);

    /* and on, once each */
    say(&a, 0, HEARTBEAT("4"));
    got(&a, 1, BEAT("4"));
    publish_by_script("8");
    got(&a, 2, "[null,null,\"room:a\",\"news\",8]");
    poll_once(&a, 0);
    assert_int_equal(a.count, 3);
    assert_int_equal(
        post_to(0, a.token, "[\"1\",\"5\",\"room:a\",\"shout\",1]", true), 500);
    assert_int_equal(hf_failed_clear(&process[0].dir), 0);
    say(&a, 0, "[\"1\",\"6\",\"room:a\",\"shout\",2]");
    got(&a, 4, OK("\"1\"", "6"));
}

static void a_heartbeat_is_answered_when_live_db_was_lost(void **state)
{
    char command[200];

    (void)state;
    say(&a, 0, JOIN("1"));
    got(&a, 0, JOINED("1"));
    say(&a, 0, HEARTBEAT("2"));
    got(&a, 1, BEAT("2"));
    snprintf(command, sizeof(command),
             "sqlite3 '%s/" HF_FILE_LIVE "' 'DELETE FROM leases;"
             " DELETE FROM replies'",
             f.dir);
    assert_int_equal(system(command), 0);
    say(&a, 0, HEARTBEAT("3"));
    got(&a, 2, BEAT("3"));
}

static void replaced_files_end_parked_polls_at_once(void **state)
{
    struct get get;
    char path[128];

    (void)state;
    say(&a, 0, JOIN("1"));
    got(&a, 0, JOINED("1"));
    get_start(&get, 0, a.token);
    turn_for(f.loop, 20);
    assert_false(get.answered);
    snprintf(path, sizeof(path), "%s/" HF_FILE_JOURNAL "-wal", f.dir);
    assert_int_equal(unlink(path), 0);
    get_wait(&get, 1200); /* it would be held for 2 s */
    assert_int_equal(get.status, 500);
    get_start(&get, 0, a.token);
    assert_int_equal(get.status, 500);
    assert_int_equal(post_to(0, a.token, HEARTBEAT("2"), true), 500);
}

static void a_shutdown_answers_every_parked_poll(void **state)
{
    struct get one, two;

    (void)state;
    say(&a, 0, JOIN("1"));
    got(&a, 0, JOINED("1"));
    get_start(&one, 0, a.token);
    get_start(&two, 0, b.token);
    hf_longpoll_release(gate[0]);
    assert_int_equal(one.status, 204);
    assert_int_equal(two.status, 204);
    assert_int_equal(hf_longpoll_parked(gate[0]), 0);
}

/* --- one answer, one transaction (D6) ---------------------------------- */

static int transactions;

/* A statement that begins outside of a transaction is one, or begins one. */
static int traced(unsigned what, void *ctx, void *stmt, void *text)
{
    (void)what;
    (void)stmt;
    (void)text;
    transactions += sqlite3_get_autocommit(ctx) != 0;
    return 0;
}

/* A token of ann for so long, until the next one. */
static void bear(int seconds)
{
    static char text[HF_JWT_MAX];
    const struct hf_jwks *keys = hf_keys_now(process[0].keys);
    char claims[100];
    struct hf_buf token;

    hf_buf_init(&token, sizeof(text));
    (void)snprintf(claims, sizeof(claims), "{\"sub\":\"ann\",\"exp\":%lld}",
                   (long long)(hf_wall_ms() / 1000 + seconds));
    assert_int_equal(hf_jwt_make(&keys->keys[0], hf_str_of(claims), &token), 0);
    memcpy(text, token.at, token.len);
    hello.auth_token = hf_str(text, token.len);
    hf_buf_release(&token);
}

static void an_answer_is_computed_in_one_transaction(void **state)
{
    sqlite3 *db = hf_journal_db(process[0].journal)->handle;

    (void)state;
    bear(300);
    open_session(&a);
    say(&a, 0, JOIN("1"));
    got(&a, 0, JOINED("1"));
    publish("room:a", "1");
    bear(600); /* and it brings a fresher one */
    assert_int_equal(sqlite3_trace_v2(db, SQLITE_TRACE_STMT, traced, db), 0);
    transactions = 0;
    poll_once(&a, 0);
    assert_int_equal(sqlite3_trace_v2(db, 0, NULL, NULL), 0);
    assert_int_equal(a.count, 2);
    assert_int_equal(transactions, 1);
    hello.auth_token = hf_str(NULL, 0);
}

/* --- a poll that is alone in its process --------------------------------- */

static void parked(struct get *get, int n)
{
    say(&a, n, JOIN("1"));
    got(&a, 0, JOINED("1"));
    get_start(get, n, a.token);
    assert_int_equal(hf_longpoll_parked(gate[n]), 1);
}

static void at_its_deadline_it_reads_only_if_anything_was_written(void **state)
{
    struct hf_journal *journal = process[1].journal;
    struct get get;

    (void)state;
    parked(&get, 1);
    assert_true(hf_poll_is_known(gate[1], &get.poll));
    hf_process_rest(&process[1]);
    assert_true(hf_poll_is_known(gate[1], &get.poll));
    assert_int_equal(hf_journal_db(journal)->kept_count, 1); /* the version's */
    get_wait(&get, 3000);
    assert_int_equal(get.status, 204);
    snprintf(a.token, sizeof(a.token), "%s", get.token);
    publish("room:a", "1");
    got(&a, 1, "[null,null,\"room:a\",\"news\",1]");
    get_free(&get);
}

static void what_was_written_makes_it_read_again(void **state)
{
    struct hf_str ref = HF_STR("9");
    struct get get;
    struct hf_token token;

    (void)state;
    parked(&get, 1);
    token = get.poll.token;
    assert_int_equal(
        hf_live_reply_add(process[0].live,
                          hf_str(token.session, sizeof(token.session)),
                          token.replies, ref),
        0);
    assert_false(hf_poll_is_known(gate[1], &get.poll));
    hf_poll_cancel(&get.poll);

    get_start(&get, 1, a.token); /* the reply */
    get_wait(&get, 1000);
    assert_int_equal(get.count, 1);
    snprintf(a.token, sizeof(a.token), "%s", get.token);
    get_free(&get);

    get_start(&get, 1, a.token);
    assert_true(hf_poll_is_known(gate[1], &get.poll));
    assert_false(hf_poll_is_known(gate[1], NULL));
    gate[1]->known.expires_ms = hf_wall_ms();
    assert_false(hf_poll_is_known(gate[1], &get.poll));
    hf_poll_cancel(&get.poll);

    get_start(&get, 1, a.token);
    assert_true(hf_poll_is_known(gate[1], &get.poll));
    publish_by_script("1"); /* in whatever topic */
    assert_false(hf_poll_is_known(gate[1], &get.poll));
    hf_poll_cancel(&get.poll);
    get_free(&get);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(two_clients_talk_through_two_gateways),
        T(a_parked_poll_is_answered_by_what_another_process_does),
        T(a_join_by_post_reaches_the_poll_parked_in_another_process),
        T(the_same_token_gets_the_same_messages),
        T(a_returning_token_acknowledges),
        T(a_gateway_may_die_at_any_time),
        T(a_newer_poll_releases_the_older_one),
        T(two_joins_in_one_batch_answer_both_and_close_the_first),
        T(rows_after_a_leave_are_not_for_it_and_those_before_are),
        T(answers_come_before_any_join_and_stay_in_order),
        T(a_poll_parked_before_any_join_gets_the_reply),
        T(a_join_with_since_replays_in_pages_then_goes_live),
        T(what_was_deleted_ends_the_session_never_silently),
        T(forged_tokens_get_a_new_session_and_dead_ones_500),
        T(a_malformed_line_undoes_the_whole_batch),
        T(more_lines_than_allowed_are_refused_whole),
        T(a_bad_version_or_origin_is_403),
        T(a_hold_ends_with_204_and_beyond_max_held_nobody_is_held),
        T(a_poll_reads_a_page_a_turn),
        T(without_room_to_be_held_a_poll_still_reads_on),
        T(who_only_reads_is_served_while_nothing_can_be_written),
        T(a_heartbeat_is_answered_when_live_db_was_lost),
        T(replaced_files_end_parked_polls_at_once),
        T(a_shutdown_answers_every_parked_poll),
        T(an_answer_is_computed_in_one_transaction),
        T(at_its_deadline_it_reads_only_if_anything_was_written),
        T(what_was_written_makes_it_read_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "channel/connecting.h"
#include "channel/longpoll.h"

#include "tests/unit/longpoll_fixture.h"

#include "tests/unit/hook_room.h"

static int begin(void **state)
{
    (void)state;
    hello.query = HF_STR("vsn=2.0.0&");
    fixture_begin(&f);
    allow(f.dir, "plain:*", HF_RIGHT_JOIN | HF_RIGHT_PUBLISH, true);
    room_open(f.dir, "join, push, leave", "1s");
    open_gate(0);
    open_gate(1);
    a = b = (struct client){0};
    open_session(&a);
    open_session(&b);
    return 0;
}

/* Who connects is ann, says the application after a while. */
static int begin_connect(void **state)
{
    (void)state;
    hello.query = HF_STR("vsn=2.0.0&");
    fixture_begin(&f);
    room_open(f.dir, "connect", "1s");
    open_gate(0);
    open_gate(1);
    a = b = (struct client){0};
    return 0;
}

static int end(void **state)
{
    (void)teardown(state);
    app_stop();
    return 0;
}

#define FRAME(j, r, t, e, p) "[\"" j "\",\"" r "\",\"" t "\",\"" e "\"," p "]"
#define REPLY(j, r, t, s, p)                                                   \
    "[\"" j "\",\"" r "\",\"" t "\",\"phx_reply\",{\"status\":\"" s            \
    "\",\"response\":" p "}]"
#define REASON(j, r, t, why) REPLY(j, r, t, "error", "{\"reason\":\"" why "\"}")
#define CLOSE(j, t)          "[\"" j "\",\"" j "\",\"" t "\",\"phx_close\",{}]"
#define SENT(j, t, e, p)     "[\"" j "\",null,\"" t "\",\"" e "\"," p "]"
#define ROW(t, e, p)         "[null,null,\"" t "\",\"" e "\"," p "]"
#define UNMATCHED(r)                                                           \
    "[null,\"" r "\",\"room:a\",\"phx_reply\",{\"status\":\"error\","          \
    "\"response\":{\"reason\":\"unmatched topic\"}}]"

static void join(struct client *c, int n, size_t at)
{
    say(c, n, FRAME("1", "1", "room:a", "phx_join", "{}"));
    got(c, at, REPLY("1", "1", "room:a", "ok", "{}"));
}

static void push(struct client *c, int n, const char *event,
                 const char *payload)
{
    char text[200];

    (void)snprintf(text, sizeof(text), "[\"1\",\"2\",\"room:a\",\"%s\",%s]",
                   event, payload);
    say(c, n, text);
}

/* Nothing more comes. */
static void quiet(struct client *c, size_t n)
{
    poll_once(c, 1);
    assert_int_equal(c->count, n);
}

static void the_application_lets_in_and_refuses(void **state)
{
    (void)state;
    say(&a, 0, FRAME("1", "1", "room:deny", "phx_join", "{}"));
    got(&a, 0, REASON("1", "1", "room:deny", "unauthorized"));
    say(&a, 1, FRAME("3", "3", "room:hello", "phx_join", "{\"p\": 1.0}"));
    got(&a, 1,
        REPLY("3", "3", "room:hello", "ok",
              "{\"hello\":\"world\",\"params\":{\"p\": 1.0}}"));
    say(&a, 1, FRAME("4", "4", "room:welcome", "phx_join", "{}"));
    got(&a, 2, REPLY("4", "4", "room:welcome", "ok", "{}"));
    got(&a, 3, SENT("4", "room:welcome", "welcome", "{\"a\":1}"));
    say(&a, 0, FRAME("5", "5", "room:loud", "phx_join", "[7]"));
    got(&a, 4, REPLY("5", "5", "room:loud", "ok", "{}"));
    got(&a, 5, ROW("room:loud", "joined", "[7]"));
    got(&a, 6, SENT("5", "room:loud", "welcome", "{\"a\":1}"));
    quiet(&a, 7);
}

static void rights_come_before_the_application(void **state)
{
    (void)state;
    say(&a, 0,
        FRAME("1", "1", "elsewhere", "phx_join",
              "{}") "\n" FRAME("2", "2", "plain:a", "phx_join", "{}"));
    poll_until(&a, 2);
    join(&a, 0, 2);
    push(&a, 1, "phx_odd", "1");
    got(&a, 3, REASON("1", "2", "room:a", "event not allowed"));
    assert_string_equal(room_log, "join room:a\n");
}

static void a_join_with_a_cursor_has_both_responses(void **state)
{
    static const char before[] =
        "[\"1\",\"1\",\"room:hello\",\"phx_reply\",{\"status\":\"ok\","
        "\"response\":{\"hello\":\"world\",\"params\":{\"since\":\"\"},"
        "\"cursor\":\"j:";

    (void)state;
    say(&a, 0, FRAME("1", "1", "room:hello", "phx_join", "{\"since\":\"\"}"));
    poll_until(&a, 1);
    assert_memory_equal(a.got[0], before, sizeof(before) - 1);
    assert_non_null(strstr(a.got[0], ",\"recovered\":false}}]"));
}

static void every_kind_of_answer_reaches_its_client(void **state)
{
    (void)state;
    join(&a, 0, 0);
    join(&b, 1, 0);
    push(&a, 0, "echo", "{\"n\": 12345678901234567890}");
    got(&a, 1,
        REPLY("1", "2", "room:a", "ok", "{\"n\": 12345678901234567890}"));
    push(&a, 1, "custom", "{}");
    got(&a, 2, REPLY("1", "2", "room:a", "maybe", "{\"a\":1}"));
    push(&a, 0, "noreply", "{}");
    push(&a, 1, "shout", "\"x\"");
    got(&a, 3, ROW("room:a", "shout", "\"x\""));
    got(&b, 1, ROW("room:a", "shout", "\"x\""));
    push(&a, 0, "shout_others", "2");
    got(&b, 2, ROW("room:a", "shout", "2"));
    got(&a, 4, REPLY("1", "2", "room:a", "ok", "{}"));
    push(&a, 1, "mixed", "5");
    got(&a, 5, SENT("1", "room:a", "p1", "1"));
    got(&a, 6, ROW("room:a", "b1", "2"));
    got(&a, 7, SENT("1", "room:a", "p2", "3"));
    got(&a, 8, REPLY("1", "2", "room:a", "ok", "{}"));
    got(&a, 9, ROW("room:a", "b2", "4"));
    got(&a, 10, SENT("1", "room:a", "p3", "5"));
    say(&a, 0, FRAME("1", "9", "room:a", "phx_leave", "{}"));
    got(&a, 11, REPLY("1", "9", "room:a", "ok", "{}"));
    got(&a, 12, CLOSE("1", "room:a"));
    got(&b, 5, ROW("room:a", "left", "{}"));
    quiet(&a, 13);
}

static void an_answer_may_end_the_channel(void **state)
{
    (void)state;
    join(&a, 0, 0);
    push(&a, 0, "stop", "{}");
    got(&a, 1, CLOSE("1", "room:a"));
    push(&a, 1, "echo", "{}");
    got(&a, 2, UNMATCHED("2"));
    join(&a, 0, 3);
    push(&a, 1, "crash", "{}");
    got(&a, 4,
        "[\"1\",\"1\",\"room:a\",\"phx_error\","
        "{\"reason\":\"channel_crash\"}]");
    join(&a, 1, 5);
    say(&a, 0,
        FRAME("1", "2", "room:a", "stop_reply",
              "7") "\n" FRAME("1", "3", "room:a", "echo", "8"));
    got(&a, 6, ROW("room:a", "bye", "7"));
    got(&a, 7, REPLY("1", "2", "room:a", "ok", "{\"bye\":true}"));
    got(&a, 8, CLOSE("1", "room:a"));
    got(&a, 9, UNMATCHED("3"));
    assert_null(strstr(room_log, "leave"));
}

static void a_failing_application_gives_clear_errors(void **state)
{
    (void)state;
    say(&a, 0, FRAME("1", "1", "room:crash", "phx_join", "{}"));
    got(&a, 0, REASON("1", "1", "room:crash", "join crashed"));
    join(&a, 1, 1);
    push(&a, 0, "500", "{}");
    got(&a, 2, REASON("1", "2", "room:a", "push crashed"));
    push(&a, 1, "illegal", "{}"); /* and nothing of it is done */
    got(&a, 3, REASON("1", "2", "room:a", "refused by the journal"));
    push(&a, 0, "never", "{}");
    got(&a, 4, REASON("1", "2", "room:a", "timeout"));
    push(&a, 1, "echo", "1"); /* the channel lives */
    got(&a, 5, REPLY("1", "2", "room:a", "ok", "1"));
    say(&a, 1, FRAME("9", "9", "room:never", "phx_join", "{}"));
    got(&a, 6, REASON("9", "9", "room:never", "timeout"));
    push(&a, 0, "absent", "{}"); /* the journal is well */
    got(&a, 7, REASON("1", "2", "room:a", "not present"));
    quiet(&a, 8);
}

static void who_is_always_refused_is_not_asked_about_for_ever(void **state)
{
    static const char again[] = FRAME("1", "1", "room:deny", "phx_join", "{}");
    int n;

    (void)state;
    for (n = 0; n < 2; n++) {
        process[n].settings.join_rate = 1;
        process[n].settings.max_channels = 1; /* twice that at once */
    }
    for (n = 0; n < 5; n++)
        say(&a, n & 1, again);
    poll_until(&a, 5);
    assert_string_equal(room_log, "join room:deny\njoin room:deny\n");
    for (n = 0; n < 2; n++)
        assert_non_null(strstr(a.got[n], "\"unauthorized\""));
    for (; n < 5; n++)
        assert_non_null(strstr(a.got[n], "\"rate_limited\",\"retry_ms\":"));
}

static void tokens_and_client_ids_are_not_passed_on(void **state)
{
    struct hf_client client = {.vsn = HF_VSN_2};
    struct hf_hello said = hello;

    (void)state;
    said.query = HF_STR("vsn=2.0.0&client_id=0123456789abcdefghijkl&name=ann"
                        "&token=t&apikey=k&access_token=x&_csrf_token=c");
    assert_int_equal(hf_connect_params(&process[0], &said, &client), 0);
    assert_true(
        hf_str_eq(hf_client_params(&client), HF_STR("{\"name\":\"ann\"}")));
    hf_client_release(&client);
}

static void a_batch_keeps_its_order(void **state)
{
    (void)state;
    say(&a, 0,
        FRAME("1", "1", "room:a", "phx_join", "{}") "\n" FRAME(
            "1", "2", "room:a", "slow",
            "1") "\n"
                 "[null,\"h\",\"phoenix\",\"heartbeat\",{}]\n" FRAME(
                     "1", "3", "room:a", "echo",
                     "2") "\n" FRAME("5", "5", "plain:a", "phx_join",
                                     "{}") "\n" FRAME("5", "6", "plain:a",
                                                      "hey",
                                                      "3") "\n" FRAME("1", "4",
                                                                      "room:a",
                                                                      "phx_"
                                                                      "leave",
                                                                      "{}") "\n" FRAME("8",
                                                                                       "8",
                                                                                       "room:a",
                                                                                       "phx_join",
                                                                                       "{}"));
    got(&a, 0, REPLY("1", "1", "room:a", "ok", "{}"));
    got(&a, 1, REPLY("1", "2", "room:a", "ok", "1"));
    got(&a, 2,
        "[null,\"h\",\"phoenix\",\"phx_reply\",{\"status\":\"ok\","
        "\"response\":{}}]");
    got(&a, 3, REPLY("1", "3", "room:a", "ok", "2"));
    got(&a, 4, REPLY("5", "5", "plain:a", "ok", "{}"));
    got(&a, 5, ROW("plain:a", "hey", "3"));
    got(&a, 6, REPLY("5", "6", "plain:a", "ok", "{}"));
    got(&a, 7, REPLY("1", "4", "room:a", "ok", "{}"));
    got(&a, 8, CLOSE("1", "room:a"));
    got(&a, 9, REPLY("8", "8", "room:a", "ok", "{}"));
}

/* --- two POSTs of one session ---------------------------------------------- */

static void start(struct postal *postal, int n, const struct client *c,
                  const char *body)
{
    *postal = (struct postal){.post = {.answer = post_answered}};
    hf_post_start(gate[n], &postal->post, &hello, hf_str_of(c->token),
                  hf_str_of(body), true);
}

static void told(const char *line)
{
    int64_t until = hf_boot_ms() + 5000;

    while (!strstr(room_log, line) && hf_boot_ms() < until)
        assert_int_equal(hf_loop_turn(f.loop, 10), 0);
    assert_non_null(strstr(room_log, line));
}

static void stay_in_order(int first, int second)
{
    static struct postal one, two, other;

    join(&a, 0, 0);
    join(&b, 0, 0);
    start(&one, first, &a, FRAME("1", "2", "room:a", "slow", "1"));
    told("push room:a slow\n");
    start(&two, second, &a, FRAME("1", "3", "room:a", "echo", "2"));
    start(&other, second, &b, FRAME("1", "2", "room:a", "echo", "3"));
    assert_true(turn_until(f.loop, &other.answered, 5000));
    assert_false(one.answered || two.answered); /* and harms nobody else */
    assert_true(turn_until(f.loop, &two.answered, 5000));
    assert_true(one.answered && one.status == 200 && two.status == 200);
    got(&a, 1, REPLY("1", "2", "room:a", "ok", "1"));
    got(&a, 2, REPLY("1", "3", "room:a", "ok", "2"));
}

static void two_posts_in_two_processes_stay_in_order(void **state)
{
    (void)state;
    stay_in_order(0, 1);
}

static void two_posts_in_one_process_stay_in_order(void **state)
{
    (void)state;
    stay_in_order(0, 0);
}

static void a_heartbeat_overtakes_a_slow_application(void **state)
{
    struct postal slow;

    (void)state;
    join(&a, 0, 0);
    start(&slow, 0, &a, FRAME("1", "2", "room:a", "slow", "1"));
    say(&a, 1, "[null,\"h\",\"phoenix\",\"heartbeat\",{}]");
    assert_false(slow.answered);
    got(&a, 1,
        "[null,\"h\",\"phoenix\",\"phx_reply\",{\"status\":\"ok\","
        "\"response\":{}}]");
    assert_true(turn_until(f.loop, &slow.answered, 5000));
}

static void a_post_whose_client_is_gone_is_done_all_the_same(void **state)
{
    struct postal gone;

    (void)state;
    join(&a, 0, 0);
    start(&gone, 0, &a,
          FRAME("1", "2", "room:a", "slow", "1") "\n" FRAME("1", "3", "room:a",
                                                            "shout", "2"));
    told("push room:a slow\n");
    hf_post_forget(&gone.post);
    got(&a, 1, REPLY("1", "2", "room:a", "ok", "1"));
    got(&a, 2, ROW("room:a", "shout", "2"));
}

static void whose_right_is_lost_meanwhile_is_refused(void **state)
{
    struct postal postal;

    (void)state;
    join(&a, 0, 0);
    start(&postal, 0, &a, FRAME("9", "9", "room:slow", "phx_join", "{}"));
    told("join room:slow\n");
    allow(f.dir, "room:slow", HF_RIGHT_PUBLISH, true);
    assert_true(turn_until(f.loop, &postal.answered, 5000));
    got(&a, 1, REASON("9", "9", "room:slow", "unauthorized"));
    start(&postal, 0, &a, FRAME("1", "2", "room:a", "slow", "1"));
    told("push room:a slow\n");
    allow(f.dir, "room:a", HF_RIGHT_JOIN, true);
    assert_true(turn_until(f.loop, &postal.answered, 5000));
    got(&a, 2, REASON("1", "2", "room:a", "unauthorized"));
}

#define KEYED(ref, e, p)                                                       \
    "[\"1\",\"" ref "\",\"room:a\",\"" e "\"," p                               \
    ",{\"key\":\"0123456789012345678901\"}]"

static void a_push_with_a_key_is_asked_about_once(void **state)
{
    (void)state;
    join(&a, 0, 0);
    say(&a, 0, KEYED("2", "shout_ack", "1"));
    got(&a, 1, ROW("room:a", "shout", "1"));
    got(&a, 2, REPLY("1", "2", "room:a", "ok", "{}"));
    say(&a, 1, KEYED("3", "shout_ack", "1"));
    got(&a, 3, REPLY("1", "3", "room:a", "ok", "{}"));
    say(&a, 0, KEYED("4", "shout_ack", "2"));
    got(&a, 4, REASON("1", "4", "room:a", "key_reused"));
    quiet(&a, 5);
    assert_string_equal(room_log, "join room:a\npush room:a shout_ack\n");
}

static void two_repeats_under_way_have_one_effect(void **state)
{
    struct postal one, two;

    (void)state;
    join(&a, 0, 0);
    join(&b, 0, 0);
    start(&one, 0, &a, KEYED("2", "slow_ack", "1"));
    start(&two, 1, &b, KEYED("2", "slow_ack", "1"));
    assert_true(turn_until(f.loop, &one.answered, 5000));
    assert_true(turn_until(f.loop, &two.answered, 5000));
    got(&a, 1, ROW("room:a", "shout", "1"));
    got(&a, 2, REPLY("1", "2", "room:a", "ok", "{}"));
    got(&b, 1, ROW("room:a", "shout", "1"));
    got(&b, 2, REPLY("1", "2", "room:a", "ok", "{}"));
    quiet(&a, 3);
}

static void topics_without_hooks_are_as_ever(void **state)
{
    (void)state;
    say(&a, 0,
        FRAME("1", "1", "plain:a", "phx_join",
              "{}") "\n" FRAME("1", "2", "plain:a", "echo", "1"));
    got(&a, 0, REPLY("1", "1", "plain:a", "ok", "{}"));
    got(&a, 1, ROW("plain:a", "echo", "1"));
    got(&a, 2, REPLY("1", "2", "plain:a", "ok", "{}"));
    assert_string_equal(room_log, "");
}

static void a_process_that_ends_answers_what_it_can(void **state)
{
    static struct postal one, two, three;

    (void)state;
    join(&a, 0, 0);
    start(&one, 0, &a,
          FRAME("1", "2", "room:a", "never", "1") "\n" FRAME("1", "3", "room:a",
                                                             "echo", "1"));
    told("push room:a never\n");
    start(&two, 0, &a, FRAME("1", "4", "room:a", "echo", "1"));
    start(&three, 1, &a, FRAME("1", "5", "room:a", "echo", "1"));
    close_gate(0);
    open_gate(0); /* a new one, for the teardown too */
    assert_true(one.answered && one.status == 500);
    assert_true(two.answered && two.status >= 500);
    assert_true(turn_until(f.loop, &three.answered, 5000));
    assert_int_equal(three.status, 200);
    got(&a, 1, REASON("1", "2", "room:a", "timeout"));
    got(&a, 2, REPLY("1", "5", "room:a", "ok", "1"));
}

static void a_disconnect_while_it_is_asked_about_is_for_it(void **state)
{
    static const char sql[] =
        "INSERT INTO messages (topic, event, payload) VALUES"
        " ('user_socket:ann', 'disconnect', '{}')";
    struct get get;
    bool never = false;

    (void)state;
    fixture_sql(&f, sql); /* before: for others */
    get_start(&get, 0, "");
    (void)turn_until(f.loop, &never, 50);
    assert_false(get.answered);
    fixture_sql(&f, sql);
    get_wait(&get, 1000);
    assert_int_equal(get.status, 410);
    snprintf(a.token, sizeof(a.token), "%s", get.token);
    get_start(&get, 1, a.token);
    get_wait(&get, 100);
    assert_int_equal(get.status, 500);
    open_session(&b); /* it is no ban */
    poll_once(&b, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_application_lets_in_and_refuses),
        TEST(rights_come_before_the_application),
        TEST(a_join_with_a_cursor_has_both_responses),
        TEST(every_kind_of_answer_reaches_its_client),
        TEST(an_answer_may_end_the_channel),
        TEST(a_failing_application_gives_clear_errors),
        TEST(who_is_always_refused_is_not_asked_about_for_ever),
        TEST(tokens_and_client_ids_are_not_passed_on),
        TEST(a_batch_keeps_its_order),
        TEST(two_posts_in_two_processes_stay_in_order),
        TEST(two_posts_in_one_process_stay_in_order),
        TEST(a_heartbeat_overtakes_a_slow_application),
        TEST(a_post_whose_client_is_gone_is_done_all_the_same),
        TEST(whose_right_is_lost_meanwhile_is_refused),
        TEST(a_push_with_a_key_is_asked_about_once),
        TEST(two_repeats_under_way_have_one_effect),
        TEST(topics_without_hooks_are_as_ever),
        TEST(a_process_that_ends_answers_what_it_can),
        cmocka_unit_test_setup_teardown(
            a_disconnect_while_it_is_asked_about_is_for_it, begin_connect, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

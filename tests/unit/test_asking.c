#include "channel/asking.h"

#include "channel/session_state.h"
#include "tests/unit/session_fixture.h"

#include "tests/unit/hook_room.h"

static int begin(void **state)
{
    (void)state;
    fixture_begin(&f);
    allow(f.dir, "plain:*", HF_RIGHT_JOIN | HF_RIGHT_PUBLISH, true);
    room_open(f.dir, "join, push, leave", "1s");
    fixture_open(&f, &process, true);
    assert_int_equal(hf_hub_open(&process, &hub), 0);
    open_client(&a);
    open_client(&b);
    return 0;
}

static int end(void **state)
{
    (void)state;
    close_client(&a);
    close_client(&b);
    hf_hub_close(hub);
    hf_process_close(&process);
    app_stop();
    fixture_end(&f);
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

static void join(struct client *c, size_t n)
{
    say(c, FRAME("1", "1", "room:a", "phx_join", "{}"));
    got(c, n, REPLY("1", "1", "room:a", "ok", "{}"));
}

static void push(struct client *c, const char *event, const char *payload)
{
    char text[200];

    (void)snprintf(text, sizeof(text), "[\"1\",\"2\",\"room:a\",\"%s\",%s]",
                   event, payload);
    say(c, text);
}

/* Turn until the application has been asked this. */
static void told(const char *line)
{
    int64_t until = hf_boot_ms() + 5000;

    while (!strstr(room_log, line) && hf_boot_ms() < until)
        assert_int_equal(hf_loop_turn(f.loop, 10), 0);
    if (!strstr(room_log, line))
        fail_msg("\"%s\" is not in:\n%s", line, room_log);
}

static void the_application_lets_in_and_refuses(void **state)
{
    (void)state;
    say(&a, FRAME("1", "1", "room:deny", "phx_join", "{}"));
    got(&a, 0, REASON("1", "1", "room:deny", "unauthorized"));
    say(&a, FRAME("1", "2", "room:deny", "echo", "{}"));
    got(&a, 1,
        "[null,\"2\",\"room:deny\",\"phx_reply\",{\"status\":\"error\","
        "\"response\":{\"reason\":\"unmatched topic\"}}]");
    say(&a, FRAME("3", "3", "room:hello", "phx_join", "{\"p\": 1.0}"));
    got(&a, 2,
        REPLY("3", "3", "room:hello", "ok",
              "{\"hello\":\"world\",\"params\":{\"p\": 1.0}}"));
    say(&a, FRAME("4", "4", "room:welcome", "phx_join", "{}"));
    got(&a, 3, REPLY("4", "4", "room:welcome", "ok", "{}"));
    got(&a, 4, SENT("4", "room:welcome", "welcome", "{\"a\":1}"));
    say(&a, FRAME("5", "5", "room:loud", "phx_join", "[7]"));
    got(&a, 5, REPLY("5", "5", "room:loud", "ok", "{}"));
    got(&a, 6, ROW("room:loud", "joined", "[7]"));
    got(&a, 7, SENT("5", "room:loud", "welcome", "{\"a\":1}"));
    quiet(&a, 8);
}

static void rights_come_before_the_application(void **state)
{
    (void)state;
    say(&a, FRAME("1", "1", "elsewhere", "phx_join", "{}"));
    say(&a, FRAME("2", "2", "plain:a", "phx_join", "{}"));
    wait_for(&a, 2);
    join(&a, 2);
    push(&a, "phx_odd", "1");
    got(&a, 3, REASON("1", "2", "room:a", "event not allowed"));
    assert_string_equal(room_log, "join room:a\n");
}

static void a_join_with_a_cursor_has_both_responses(void **state)
{
    char text[300], cursor[HF_CURSOR_MAX + 1];

    (void)state;
    say(&a, FRAME("1", "1", "room:hello", "phx_join", "{\"since\":\"\"}"));
    wait_for(&a, 1);
    cursor_text(cursor, hub->cursor);
    (void)snprintf(text, sizeof(text),
                   "[\"1\",\"1\",\"room:hello\",\"phx_reply\",{\"status\":"
                   "\"ok\",\"response\":{\"hello\":\"world\",\"params\":{"
                   "\"since\":\"\"},\"cursor\":\"%s\",\"recovered\":false}}]",
                   cursor);
    got(&a, 0, text);
}

static void every_kind_of_answer_reaches_its_client(void **state)
{
    (void)state;
    join(&a, 0);
    join(&b, 0);
    push(&a, "echo", "{\"n\": 12345678901234567890}");
    got(&a, 1,
        REPLY("1", "2", "room:a", "ok", "{\"n\": 12345678901234567890}"));
    push(&a, "custom", "{}");
    got(&a, 2, REPLY("1", "2", "room:a", "maybe", "{\"a\":1}"));
    push(&a, "noreply", "{}");
    push(&a, "shout", "\"x\"");
    got(&a, 3, ROW("room:a", "shout", "\"x\""));
    got(&b, 1, ROW("room:a", "shout", "\"x\""));
    push(&a, "shout_ack", "1");
    got(&a, 4, ROW("room:a", "shout", "1"));
    got(&a, 5, REPLY("1", "2", "room:a", "ok", "{}"));
    got(&b, 2, ROW("room:a", "shout", "1"));
    push(&a, "shout_others", "2");
    got(&b, 3, ROW("room:a", "shout", "2"));
    got(&a, 6, REPLY("1", "2", "room:a", "ok", "{}"));
    push(&a, "mixed", "5");
    got(&a, 7, SENT("1", "room:a", "p1", "1"));
    got(&a, 8, ROW("room:a", "b1", "2"));
    got(&a, 9, SENT("1", "room:a", "p2", "3"));
    got(&a, 10, REPLY("1", "2", "room:a", "ok", "{}"));
    got(&a, 11, ROW("room:a", "b2", "4"));
    got(&a, 12, SENT("1", "room:a", "p3", "5"));
    got(&b, 4, ROW("room:a", "b1", "2"));
    got(&b, 5, ROW("room:a", "b2", "4"));
    say(&b, FRAME("9", "9", "room:b", "phx_join", "{}"));
    got(&b, 6, REPLY("9", "9", "room:b", "ok", "{}"));
    push(&a, "elsewhere", "6");
    got(&b, 7, ROW("room:b", "shout", "6"));
    quiet(&a, 14);
    quiet(&b, 8);
}

static void an_answer_may_end_the_channel(void **state)
{
    (void)state;
    join(&a, 0);
    push(&a, "stop", "{}");
    got(&a, 1, CLOSE("1", "room:a"));
    push(&a, "echo", "{}");
    got(&a, 2,
        "[null,\"2\",\"room:a\",\"phx_reply\",{\"status\":\"error\","
        "\"response\":{\"reason\":\"unmatched topic\"}}]");
    join(&a, 3);
    push(&a, "crash", "{}");
    got(&a, 4,
        "[\"1\",\"1\",\"room:a\",\"phx_error\","
        "{\"reason\":\"channel_crash\"}]");
    join(&a, 5);
    push(&a, "stop_reply", "7");
    push(&a, "echo", "8"); /* waits until the end is told */
    got(&a, 6, ROW("room:a", "bye", "7"));
    got(&a, 7, REPLY("1", "2", "room:a", "ok", "{\"bye\":true}"));
    got(&a, 8, CLOSE("1", "room:a"));
    got(&a, 9,
        "[null,\"2\",\"room:a\",\"phx_reply\",{\"status\":\"error\","
        "\"response\":{\"reason\":\"unmatched topic\"}}]");
    quiet(&a, 10);
    assert_null(strstr(room_log, "leave"));
}

/* Turn, without taking anything, until the end of room:a waits to be taken. */
static void wait_for_end(const struct client *c)
{
    int64_t until = hf_boot_ms() + 5000;

    while (hf_boot_ms() < until) {
        struct hf_member *member = hf_member_find(c->session, HF_STR("room:a"));
        const struct hf_answer *answer = member->answers;

        while (answer && !answer->ends)
            answer = answer->next;
        if (answer)
            return;
        assert_int_equal(hf_loop_turn(f.loop, 10), 0);
    }
    fail_msg("the end has not come");
}

static void what_waits_for_an_end_goes_on_behind_the_tail(void **state)
{
    static const struct hf_str again =
        HF_STR_INIT(FRAME("5", "5", "room:a", "phx_join", "{}"));

    (void)state;
    join(&a, 0);
    assert_int_equal(
        hf_session_receive(a.session,
                           HF_STR(FRAME("1", "2", "room:a", "stop_reply", "7")),
                           false),
        0);
    wait_for_end(&a);
    assert_int_equal(hf_session_receive(a.session, again, false), 0);
    allow(f.dir, "room:*", HF_RIGHT_PUBLISH, true);
    assert_int_equal(hf_hub_catch_up(hub), 0); /* the tail ends the channel */
    wait_for(&a, 4);
    assert_string_equal(a.got[a.count - 1],
                        REASON("5", "5", "room:a", "unauthorized"));
    quiet(&a, a.count);
}

static void who_leaves_and_goes_leaves_once(void **state)
{
    const char *leave;

    (void)state;
    join(&a, 0);
    say(&a, FRAME("1", "2", "room:a", "phx_leave", "{}"));
    close_client(&a); /* before the application has answered */
    told("leave room:a");
    quiet(&b, 0);
    leave = strstr(room_log, "leave room:a");
    assert_null(strstr(leave + 1, "leave room:a"));
}

static void who_is_gone_tracks_nothing_and_the_rest_is_done(void **state)
{
    (void)state;
    join(&a, 0);
    join(&b, 0);
    push(&a, "here", "1");
    close_client(&a); /* before the application has answered */
    got(&b, 1, ROW("room:a", "shout", "1"));
}

static void a_failing_application_gives_clear_errors(void **state)
{
    (void)state;
    say(&a, FRAME("1", "1", "room:crash", "phx_join", "{}"));
    got(&a, 0, REASON("1", "1", "room:crash", "join crashed"));
    join(&a, 1);
    push(&a, "500", "{}");
    got(&a, 2, REASON("1", "2", "room:a", "push crashed"));
    push(&a, "junk", "{}");
    got(&a, 3, REASON("1", "2", "room:a", "push crashed"));
    push(&a, "illegal", "{}"); /* and nothing of it is done */
    got(&a, 4, REASON("1", "2", "room:a", "refused by the journal"));
    push(&a, "never", "{}");
    got(&a, 5, REASON("1", "2", "room:a", "timeout"));
    push(&a, "echo", "1"); /* the channel lives */
    got(&a, 6, REPLY("1", "2", "room:a", "ok", "1"));
    say(&a, FRAME("9", "9", "room:never", "phx_join", "{}"));
    got(&a, 7, REASON("9", "9", "room:never", "timeout"));
    push(&a, "absent", "{}"); /* the journal is well */
    got(&a, 8, REASON("1", "2", "room:a", "not present"));
    quiet(&a, 9);
}

static void a_slow_answer_holds_up_its_channel_alone(void **state)
{
    (void)state;
    join(&a, 0);
    say(&a, FRAME("5", "5", "room:b", "phx_join", "{}"));
    got(&a, 1, REPLY("5", "5", "room:b", "ok", "{}"));
    push(&a, "slow", "1");
    push(&a, "echo", "2");
    push(&a, "echo", "3");
    say(&a, "[null,\"h\",\"phoenix\",\"heartbeat\",{}]");
    say(&a, FRAME("5", "6", "room:b", "echo", "4"));
    say(&a, FRAME("1", "7", "room:a", "phx_leave", "{}"));
    say(&a, FRAME("8", "8", "room:a", "phx_join", "{}"));
    got(&a, 2,
        "[null,\"h\",\"phoenix\",\"phx_reply\",{\"status\":\"ok\","
        "\"response\":{}}]");
    got(&a, 3, REPLY("5", "6", "room:b", "ok", "4"));
    got(&a, 4, REPLY("1", "2", "room:a", "ok", "1"));
    got(&a, 5, REPLY("1", "2", "room:a", "ok", "2"));
    got(&a, 6, REPLY("1", "2", "room:a", "ok", "3"));
    got(&a, 7, REPLY("1", "7", "room:a", "ok", "{}"));
    got(&a, 8, CLOSE("1", "room:a"));
    got(&a, 9, REPLY("8", "8", "room:a", "ok", "{}"));
    assert_non_null(strstr(room_log, "push room:a echo\npush room:a echo\n"
                                     "leave room:a left\njoin room:a\n"));
}

static void joins_that_are_asked_about_count_as_joined(void **state)
{
    (void)state;
    process.settings.max_channels = 2;
    say(&a, FRAME("1", "1", "room:never", "phx_join", "{}"));
    say(&a, FRAME("2", "2", "room:slow", "phx_join", "{}"));
    say(&a, FRAME("3", "3", "room:a", "phx_join", "{}"));
    got(&a, 0, REASON("3", "3", "room:a", "too many channels joined"));
    got(&a, 1, REPLY("2", "2", "room:slow", "ok", "{}"));
    /* over a live one it is no further one */
    say(&a, FRAME("4", "4", "room:slow", "phx_join", "{}"));
    got(&a, 2, REPLY("4", "4", "room:slow", "ok", "{}"));
    got(&a, 3, CLOSE("2", "room:slow"));
    assert_null(strstr(room_log, "join room:a"));
}

static void a_push_behind_a_slow_join_waits_for_it(void **state)
{
    (void)state;
    say(&a, FRAME("1", "1", "room:slow", "phx_join", "{}"));
    say(&a, FRAME("1", "2", "room:slow", "echo", "2"));
    got(&a, 0, REPLY("1", "1", "room:slow", "ok", "{}"));
    got(&a, 1, REPLY("1", "2", "room:slow", "ok", "2"));
}

static void a_second_join_is_answered_before_the_first_is_closed(void **state)
{
    (void)state;
    join(&a, 0);
    say(&a, FRAME("2", "2", "room:a", "phx_join", "{}"));
    got(&a, 1, REPLY("2", "2", "room:a", "ok", "{}"));
    got(&a, 2, CLOSE("1", "room:a"));
    quiet(&a, 3);
}

static void many_pushes_keep_their_order(void **state)
{
    char text[200];
    int n;

    (void)state;
    join(&a, 0);
    for (n = 0; n < 100; n++) {
        (void)snprintf(text, sizeof(text),
                       "[\"1\",\"r%d\",\"room:a\",\"%s\",%d]", n,
                       n % 3 ? "shout_ack" : "echo", n);
        say(&a, text);
    }
    wait_for(&a, 1 + 100 + 66);
    for (n = 0; n < 100; n++) {
        static size_t at = 1;
        int k = -1;

        if (n % 3) {
            assert_int_equal(
                sscanf(a.got[at++], "[null,null,\"room:a\",\"shout\",%d]", &k),
                1);
            assert_int_equal(k, n);
        }
        assert_int_equal(sscanf(a.got[at++], "[\"1\",\"r%d\"", &k), 1);
        assert_int_equal(k, n);
    }
}

static void too_many_frames_behind_an_answer_end_the_client(void **state)
{
    const char *text = FRAME("1", "2", "room:a", "echo", "{}");
    int n, err = 0;

    (void)state;
    join(&a, 0);
    push(&a, "never", "{}");
    for (n = 0; n < 300 && err == 0; n++)
        err = hf_session_receive(a.session, hf_str_of(text), false);
    assert_int_equal(err, HF_ELIMIT);
    assert_int_equal(n, 257);
}

static void who_is_gone_is_known_to_have_left(void **state)
{
    (void)state;
    join(&a, 0);
    join(&b, 0);
    close_client(&b);
    got(&a, 1, ROW("room:a", "left", "{}"));
    told("leave room:a closed\n");
}

static void what_was_asked_goes_on_without_the_client(void **state)
{
    (void)state;
    join(&a, 0);
    join(&b, 0);
    push(&b, "slow", "1");
    say(&b, FRAME("5", "5", "room:slow", "phx_join", "{}"));
    push(&b, "shout", "2"); /* still waits: it is lost with its client */
    told("push room:a slow\n");
    told("join room:slow\n");
    close_client(&b);
    told("leave room:a closed\n");
    told("leave room:slow closed\n");
    got(&a, 1, ROW("room:a", "left", "{}"));
    assert_null(strstr(room_log, "shout"));
    /* the leave came behind the push, whose answer took its time */
    assert_true(strstr(room_log, "push room:a slow") <
                strstr(room_log, "leave room:a closed"));
}

static void whose_right_is_lost_meanwhile_is_refused(void **state)
{
    (void)state;
    say(&a, FRAME("1", "1", "room:slow", "phx_join", "{}"));
    told("join room:slow\n");
    allow(f.dir, "room:slow", HF_RIGHT_PUBLISH, true);
    got(&a, 0, REASON("1", "1", "room:slow", "unauthorized"));
    join(&a, 1);
    push(&a, "slow", "{}");
    told("push room:a slow\n");
    allow(f.dir, "room:a", HF_RIGHT_JOIN, true);
    got(&a, 2, REASON("1", "2", "room:a", "unauthorized"));
    push(&a, "echo", "{}");
    got(&a, 3, REASON("1", "2", "room:a", "unauthorized"));
    assert_null(strstr(room_log, "echo"));
}

#define KEYED(ref, e, p)                                                       \
    "[\"1\",\"" ref "\",\"room:a\",\"" e "\"," p                               \
    ",{\"key\":\"0123456789012345678901\"}]"

static void a_push_with_a_key_is_asked_about_once(void **state)
{
    (void)state;
    join(&a, 0);
    say(&a, KEYED("2", "shout_ack", "1"));
    got(&a, 1, ROW("room:a", "shout", "1"));
    got(&a, 2, REPLY("1", "2", "room:a", "ok", "{}"));
    say(&a, KEYED("3", "shout_ack", "1"));
    got(&a, 3, REPLY("1", "3", "room:a", "ok", "{}"));
    say(&a, KEYED("4", "shout_ack", "2"));
    got(&a, 4, REASON("1", "4", "room:a", "key_reused"));
    quiet(&a, 5);
    assert_string_equal(room_log, "join room:a\npush room:a shout_ack\n");
}

static void topics_without_hooks_are_as_ever(void **state)
{
    (void)state;
    say(&a, FRAME("1", "1", "plain:a", "phx_join", "{}"));
    got(&a, 0, REPLY("1", "1", "plain:a", "ok", "{}"));
    say(&a, FRAME("1", "2", "plain:a", "echo", "1"));
    got(&a, 1, ROW("plain:a", "echo", "1"));
    got(&a, 2, REPLY("1", "2", "plain:a", "ok", "{}"));
    assert_string_equal(room_log, "");
}

static void a_process_that_ends_leaves_nothing_behind(void **state)
{
    (void)state;
    join(&a, 0);
    push(&a, "never", "{}");
    push(&a, "echo", "{}");
    say(&a, FRAME("5", "5", "room:never", "phx_join", "{}"));
    told("push room:a never\n");
    /* teardown detaches, and closes: the sanitizer sees what is left */
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
        TEST(what_waits_for_an_end_goes_on_behind_the_tail),
        TEST(who_leaves_and_goes_leaves_once),
        TEST(who_is_gone_tracks_nothing_and_the_rest_is_done),
        TEST(a_failing_application_gives_clear_errors),
        TEST(a_slow_answer_holds_up_its_channel_alone),
        TEST(joins_that_are_asked_about_count_as_joined),
        TEST(a_push_behind_a_slow_join_waits_for_it),
        TEST(a_second_join_is_answered_before_the_first_is_closed),
        TEST(many_pushes_keep_their_order),
        TEST(too_many_frames_behind_an_answer_end_the_client),
        TEST(who_is_gone_is_known_to_have_left),
        TEST(what_was_asked_goes_on_without_the_client),
        TEST(whose_right_is_lost_meanwhile_is_refused),
        TEST(a_push_with_a_key_is_asked_about_once),
        TEST(topics_without_hooks_are_as_ever),
        TEST(a_process_that_ends_leaves_nothing_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

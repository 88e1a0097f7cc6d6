/*
 * Long-poll in version 1, and bytes on it: the vsn of each request decides.
 */
#include "channel/longpoll.h"

#include "tests/unit/longpoll_fixture.h"

#define OBJECT(event, payload, ref)                                            \
    "{\"topic\":\"room:a\",\"event\":\"" event "\",\"payload\":" payload       \
    ",\"ref\":" ref "}"
#define OK_OBJECT(ref)                                                         \
    OBJECT("phx_reply", "{\"status\":\"ok\",\"response\":{}}", ref)

static void speak(const char *query)
{
    hello.query = hf_str_of(query);
}

static void v1_objects_come_and_go(void **state)
{
    (void)state;
    speak("vsn=1.0.0");
    assert_int_equal(
        post_to(0, a.token, OBJECT("phx_join", "{}", "\"1\""), false), 200);
    got(&a, 0, OK_OBJECT("\"1\""));
    speak(""); /* which means the same */
    say(&a, 1,
        OBJECT("shout", "{ \"x\":1E2}", "\"2\"") "\n" OBJECT("phx_leave", "{}",
                                                             "3") "\n");
    got(&a, 1, OBJECT("shout", "{ \"x\":1E2}", "null"));
    got(&a, 2, OK_OBJECT("\"2\""));
    got(&a, 3, OK_OBJECT("3"));
    got(&a, 4, OBJECT("phx_close", "{}", "null"));
    poll_once(&a, 0);
    assert_int_equal(a.count, 5);
}

static void each_request_is_taken_by_its_own_vsn(void **state)
{
    (void)state;
    say(&a, 0, JOIN("1"));
    speak("vsn=1.0.0");
    assert_int_equal(post_to(0, a.token, JOIN("2"), true), 400);
    say(&a, 1, OBJECT("shout", "1", "\"2\""));
    speak("vsn=2.0.0");
    assert_int_equal(post_to(1, a.token, OBJECT("x", "1", "1"), true), 400);
    got(&a, 0, JOINED("1")); /* a frame is as its POST had it */
    got(&a, 1, "[null,null,\"room:a\",\"shout\",1]"); /* a row as the GET */
    got(&a, 2, OK_OBJECT("\"2\""));
    publish("room:a", "7");
    speak("vsn=1.0.0");
    got(&a, 3, OBJECT("news", "7", "null"));
}

static void bytes_go_up_as_base64_and_come_down_as_json(void **state)
{
    (void)state;
    say(&b, 0, JOIN("5"));
    /* recorded: binary-join, and a push "echo" of 00 01 02 ff */
    say(&a, 0,
        "AAEBBggxMXJvb206YXBoeF9qb2lueA==\nAAEBBgQxMnJvb206YWVjaG8AAQL/");
    got(&a, 0, JOINED("1"));
    got(&a, 1, "[null,null,\"room:a\",\"echo\",{\"_binary\":\"AAEC/w==\"}]");
    got(&a, 2, OK("\"1\"", "2"));
    speak("vsn=1.0.0");
    got(&b, 0, JOINED("5"));
    got(&b, 1, OBJECT("echo", "{\"_binary\":\"AAEC/w==\"}", "null"));
}

static void one_bad_frame_undoes_the_binary_ones_before(void **state)
{
    (void)state;
    assert_int_equal(
        post_to(0, a.token, "AAEBBggxMXJvb206YXBoeF9qb2lueA==\nAMgBAQEB", true),
        400);
    poll_once(&a, 0);
    assert_int_equal(a.count, 0);
}

static void replies_to_heartbeats_take_the_form_of_theirs(void **state)
{
    (void)state;
    speak("");
    assert_int_equal(post_to(0, a.token,
                             "{\"topic\":\"phoenix\",\"event\":\"heartbeat\","
                             "\"payload\":{},\"ref\":\"9\"}",
                             false),
                     200);
    got(&a, 0,
        "{\"topic\":\"phoenix\",\"event\":\"phx_reply\",\"payload\":"
        "{\"status\":\"ok\",\"response\":{}},\"ref\":\"9\"}");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(v1_objects_come_and_go),
        TEST(each_request_is_taken_by_its_own_vsn),
        TEST(bytes_go_up_as_base64_and_come_down_as_json),
        TEST(one_bad_frame_undoes_the_binary_ones_before),
        TEST(replies_to_heartbeats_take_the_form_of_theirs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

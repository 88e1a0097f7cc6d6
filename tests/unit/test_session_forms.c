/*
 * Clients of different forms on one topic: what one sends in its form, the
 * others receive in theirs.
 */
#include "channel/session.h"

#include "tests/unit/session_fixture.h"

#define V1_JOIN                                                                \
    "{\"topic\":\"room:a\",\"event\":\"phx_join\",\"payload\":{},"             \
    "\"ref\":\"1\"}"
#define V1_REPLY(ref)                                                          \
    "{\"topic\":\"room:a\",\"event\":\"phx_reply\",\"payload\":"               \
    "{\"status\":\"ok\",\"response\":{}},\"ref\":" ref "}"

static void a_v1_client_is_answered_in_objects(void **state)
{
    (void)state;
    close_client(&a);
    open_as(&a, HF_VSN_1);
    say(&a, "{\"topic\":\"phoenix\",\"event\":\"heartbeat\",\"payload\":{},"
            "\"ref\":\"9\"}");
    got(&a, 0,
        "{\"topic\":\"phoenix\",\"event\":\"phx_reply\",\"payload\":"
        "{\"status\":\"ok\",\"response\":{}},\"ref\":\"9\"}");
    say(&a, V1_JOIN);
    got(&a, 1, V1_REPLY("\"1\""));
    say(&a, "{\"topic\":\"room:a\",\"event\":\"shout\",\"payload\":{\"x\" :1},"
            "\"ref\":\"3\",\"join_ref\":\"17\"}");
    got(&a, 2,
        "{\"topic\":\"room:a\",\"event\":\"shout\",\"payload\":"
        "{\"x\" :1},\"ref\":null}");
    got(&a, 3, V1_REPLY("\"3\""));
    say(&a, "{\"topic\":\"room:a\",\"event\":\"phx_x\",\"payload\":{},"
            "\"ref\":4}");
    got(&a, 4,
        "{\"topic\":\"room:a\",\"event\":\"phx_reply\",\"payload\":"
        "{\"status\":\"error\",\"response\":"
        "{\"reason\":\"event not allowed\"}},\"ref\":4}");
    say(&a, "{\"topic\":\"room:a\",\"event\":\"phx_leave\",\"payload\":{},"
            "\"ref\":\"8\"}");
    got(&a, 5, V1_REPLY("\"8\""));
    got(&a, 6,
        "{\"topic\":\"room:a\",\"event\":\"phx_close\",\"payload\":{},"
        "\"ref\":null}"); /* recorded: v1-basics */
    quiet(&a, 7);
}

/* A close that names no join would hit whatever is joined (4.3, H). */
static void a_second_v1_join_closes_nothing_without_join_refs(void **state)
{
    (void)state;
    close_client(&a);
    open_as(&a, HF_VSN_1);
    say(&a, V1_JOIN);
    say(&a, V1_JOIN);
    got(&a, 1, V1_REPLY("\"1\""));
    quiet(&a, 2);
    say(&a, "{\"topic\":\"room:a\",\"event\":\"phx_join\",\"payload\":{},"
            "\"ref\":\"2\",\"join_ref\":\"2\"}");
    say(&a, "{\"topic\":\"room:a\",\"event\":\"phx_join\",\"payload\":{},"
            "\"ref\":\"3\",\"join_ref\":\"3\"}");
    got(&a, 5,
        "{\"topic\":\"room:a\",\"event\":\"phx_close\",\"payload\":{},"
        "\"ref\":\"2\"}");
    publish("room:a", "1");
    wait_for(&a, 7);
    quiet(&a, 7);
}

static void a_v1_client_resumes_by_the_ref_of_its_rows(void **state)
{
    char cursor[HF_CURSOR_MAX + 1], text[200];

    (void)state;
    close_client(&a);
    open_as(&a, HF_VSN_1);
    cursor_text(cursor, publish("room:a", "1"));
    snprintf(text, sizeof(text),
             "{\"topic\":\"room:a\",\"event\":\"phx_join\",\"payload\":"
             "{\"since\":\"%s\"},\"ref\":\"1\"}",
             cursor);
    cursor_text(cursor, publish("room:a", "2"));
    say(&a, text);
    wait_for(&a, 2);
    assert_non_null(strstr(a.got[0], "\"recovered\":true"));
    snprintf(text, sizeof(text),
             "{\"topic\":\"room:a\",\"event\":\"news\",\"payload\":2,"
             "\"ref\":\"%s\"}",
             cursor);
    assert_string_equal(a.got[1], text);
}

static void what_is_not_in_its_form_ends_a_client(void **state)
{
    struct hf_str binary = HF_STR("\x00\x00\x00\x01\x01te");

    (void)state;
    assert_int_equal(hf_session_receive(a.session, HF_STR(V1_JOIN), false),
                     HF_EMALFORMED);
    close_client(&a);
    open_as(&a, HF_VSN_1);
    assert_int_equal(hf_session_receive(a.session, HF_STR(JOIN("1")), false),
                     HF_EMALFORMED);
    assert_int_equal(hf_session_receive(a.session, binary, true),
                     HF_EMALFORMED);
    assert_int_equal(hf_session_receive(b.session, binary, false),
                     HF_EMALFORMED);
    assert_int_equal(hf_session_receive(b.session, binary, true), 0);
}

/* \"say\" ff 00 01, in the forms of everybody */
static void bytes_reach_everybody_in_the_form_each_takes(void **state)
{
    struct client v1, since, realtime;

    (void)state;
    open_as(&v1, HF_VSN_1);
    open_client(&since);
    open_client(&realtime);
    say(&v1, V1_JOIN);
    say(&since, "[\"4\",\"4\",\"room:a\",\"phx_join\",{\"since\":\"\"}]");
    say(&realtime, "[\"6\",\"6\",\"room:a\",\"phx_join\","
                   "{\"config\":{\"broadcast\":{\"self\":true}}}]");
    say(&b, JOIN("5"));
    say_binary(&a, HF_STR("\x00\x01\x01\x06\x08"
                          "31room:aphx_join")); /* recorded: binary-join */
    got(&a, 0,
        "[\"3\",\"1\",\"room:a\",\"phx_reply\","
        "{\"status\":\"ok\",\"response\":{}}]");
    say_binary(&a, HF_STR("\x00\x01\x01\x06\x03"
                          "32room:asay\xff\x00\x01"));
    got(&a, 1, "binary 020603726f6f6d3a61736179ff0001");
    got(&a, 2,
        "[\"3\",\"2\",\"room:a\",\"phx_reply\","
        "{\"status\":\"ok\",\"response\":{}}]");
    got(&b, 1, "binary 020603726f6f6d3a61736179ff0001");
    take_all(&v1);
    take_all(&since);
    take_all(&realtime);
    got(&v1, 1,
        "{\"topic\":\"room:a\",\"event\":\"say\",\"payload\":"
        "{\"_binary\":\"/wAB\"},\"ref\":null}");
    wait_for(&since, 2);
    assert_non_null(strstr(since.got[1], "[\"4\",\"j:"));
    assert_non_null(strstr(since.got[1], ",{\"_binary\":\"/wAB\"}]"));
    got(&realtime, 1, "binary 0406030000726f6f6d3a61736179ff0001");
    close_client(&v1);
    close_client(&since);
    close_client(&realtime);
}

static void realtime_js_broadcasts_to_all(void **state)
{
    (void)state;
    say(&a, "[\"6\",\"6\",\"room:a\",\"phx_join\","
            "{\"config\":{\"broadcast\":{\"self\":true}}}]");
    say(&b, JOIN("5"));
    got(&a, 0, JOINED("6"));
    say_binary(&a, HF_STR("\x03\x01\x01\x06\x05\x00\x01"
                          "68room:ashout{\"i\":1}"));
    got(&a, 1,
        "[null,null,\"room:a\",\"broadcast\",{\"type\":\"broadcast\","
        "\"event\":\"shout\",\"payload\":{\"i\":1}}]");
    got(&a, 2,
        "[\"6\",\"8\",\"room:a\",\"phx_reply\","
        "{\"status\":\"ok\",\"response\":{}}]");
    say_binary(&a, HF_STR("\x03\x00\x00\x06\x05\x00\x00"
                          "room:ashout\xff\x00\x01"));
    got(&a, 3, "binary 0406050000726f6f6d3a6173686f7574ff0001");
    got(&a, 4,
        "[\"6\",null,\"room:a\",\"phx_reply\","
        "{\"status\":\"ok\",\"response\":{}}]");
    got(&b, 2,
        "[null,null,\"room:a\",\"broadcast\",{\"type\":\"broadcast\","
        "\"event\":\"shout\",\"payload\":{\"_binary\":\"/wAB\"}}]");
}

/* Of five forms three differ, for JSON two. */
static void rows_are_encoded_once_for_each_form(void **state)
{
    struct client others[6];
    uint64_t before;
    size_t i;

    (void)state;
    for (i = 0; i < 6; i++) {
        open_as(&others[i], i < 2 ? HF_VSN_1 : HF_VSN_2);
        say(&others[i], i < 2   ? V1_JOIN
                        : i < 4 ? JOIN("7")
                                : "[\"6\",\"6\",\"room:a\",\"phx_join\","
                                  "{\"config\":{\"broadcast\":{}}}]");
        wait_for(&others[i], 1);
    }
    before = hub->counts.encoded;
    publish("room:a", "{}");
    for (i = 0; i < 6; i++) {
        int64_t end = hf_boot_ms() + 5000;

        while (others[i].count < 2 && hf_boot_ms() < end) {
            assert_int_equal(hf_loop_turn(f.loop, 10), 0);
            take_all(&others[i]);
        }
        assert_int_equal(others[i].count, 2);
    }
    assert_int_equal(hub->counts.encoded - before, 2);
    for (i = 0; i < 6; i++)
        close_client(&others[i]);
}

static void binary_frames_wait_behind_a_leave_like_others(void **state)
{
    (void)state;
    say(&a, JOIN("1"));
    say(&b, JOIN("1"));
    got(&a, 0, JOINED("1"));
    say(&a, "[\"1\",\"2\",\"room:a\",\"shout\",{}]");
    say(&a, "[\"1\",\"3\",\"room:a\",\"phx_leave\",{}]");
    say_binary(&a, HF_STR("\x00\x00\x01\x06\x08"
                          "4room:aphx_join"));
    say_binary(&a, HF_STR("\x00\x00\x01\x06\x03"
                          "5room:asay\x07"));
    got(&b, 1, "[null,null,\"room:a\",\"shout\",{}]");
    got(&b, 2, "binary 020603726f6f6d3a6173617907");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_v1_client_is_answered_in_objects),
        TEST(a_second_v1_join_closes_nothing_without_join_refs),
        TEST(a_v1_client_resumes_by_the_ref_of_its_rows),
        TEST(what_is_not_in_its_form_ends_a_client),
        TEST(bytes_reach_everybody_in_the_form_each_takes),
        TEST(realtime_js_broadcasts_to_all),
        TEST(rows_are_encoded_once_for_each_form),
        TEST(binary_frames_wait_behind_a_leave_like_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

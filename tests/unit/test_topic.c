#include "channel/topic.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static char many[HF_TOPIC_MAX + 1]; /* 'a' all over */

static void ordinary_topics_are_legal(void **state)
{
    static const struct hf_str topics[] = {
        HF_STR_INIT("a"),
        HF_STR_INIT("room:1"),
        HF_STR_INIT("room:"),
        HF_STR_INIT("room:*"),
        HF_STR_INIT("*"),
        HF_STR_INIT(" "),
        HF_STR_INIT("\xc3\xa4\xc3\xb6"),
        HF_STR_INIT("\xf0\x9f\x98\x80"),
        HF_STR_INIT("quote\"back\\slash"),
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(topics) / sizeof(topics[0]); i++)
        assert_true(hf_topic_legal(topics[i]));
}

static void what_the_journal_refuses_is_not_a_topic(void **state)
{
    static const struct hf_str topics[] = {
        HF_STR_INIT(""),
        HF_STR_INIT("a\nb"),
        HF_STR_INIT("\x1f"),
        HF_STR_INIT("a\x7f"),
        HF_STR_INIT("a\0b"),
        HF_STR_INIT("\xff"),
        HF_STR_INIT("cut \xc3"),
        HF_STR_INIT("\xed\xa0\x80"), /* half a surrogate pair */
        HF_STR_INIT("\xc0\xaf"),     /* overlong */
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(topics) / sizeof(topics[0]); i++)
        assert_false(hf_topic_legal(topics[i]));
}

static void topics_and_events_end_at_their_limit(void **state)
{
    (void)state;
    assert_true(hf_topic_legal(hf_str(many, HF_TOPIC_MAX)));
    assert_false(hf_topic_legal(hf_str(many, HF_TOPIC_MAX + 1)));
    assert_true(hf_event_pushable(hf_str(many, HF_EVENT_MAX)));
    assert_false(hf_event_pushable(hf_str(many, HF_EVENT_MAX + 1)));
}

static void our_own_topics_are_reserved(void **state)
{
    (void)state;
    assert_true(hf_topic_reserved(HF_STR("phoenix")));
    assert_true(hf_topic_reserved(HF_STR("user_socket:7")));
    assert_true(hf_topic_reserved(HF_STR("user_socket:")));
    assert_true(hf_topic_reserved(HF_STR("holdfast:x")));

    assert_false(hf_topic_reserved(HF_STR("phoenix:1")));
    assert_false(hf_topic_reserved(HF_STR("Phoenix")));
    assert_false(hf_topic_reserved(HF_STR("user_socket")));
    assert_false(hf_topic_reserved(HF_STR("my:holdfast:x")));
    assert_false(hf_topic_reserved(HF_STR("")));
}

static void clients_push_their_own_events_only(void **state)
{
    static const struct hf_str refused[] = {
        HF_STR_INIT(""),           HF_STR_INIT("phx_close"),
        HF_STR_INIT("phx_"),       HF_STR_INIT("chan_reply_1"),
        HF_STR_INIT("disconnect"), HF_STR_INIT("presence_diff"),
        HF_STR_INIT("a\tb"),       HF_STR_INIT("\xff"),
    };
    static const struct hf_str allowed[] = {
        HF_STR_INIT("say"),          HF_STR_INIT("phx"),
        HF_STR_INIT("xphx_close"),   HF_STR_INIT("disconnected"),
        HF_STR_INIT("presence"),     HF_STR_INIT("heartbeat"),
        HF_STR_INIT("chan_replies"), HF_STR_INIT("PHX_close"),
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        assert_false(hf_event_pushable(refused[i]));
    for (i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++)
        assert_true(hf_event_pushable(allowed[i]));
}

static void a_pattern_is_a_topic_or_a_prefix(void **state)
{
    static const struct {
        const char *pattern, *topic;
        bool matches;
    } rows[] = {
        {"room:a", "room:a", true},   {"room:a", "room:ab", false},
        {"room:a", "room:", false},   {"room:*", "room:", true},
        {"room:*", "room:a:b", true}, {"room:*", "room", false},
        {"room:*", "Room:a", false},  {"room:*", "room:*", true},
        {"*", "anything", true},      {"a*b", "a*b", true},
        {"a*b", "axb", false},        {"a**", "a*x", true},
        {"a**", "ax", false},         {"", "a", false},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(hf_pattern_matches(hf_str_of(rows[i].pattern),
                                            hf_str_of(rows[i].topic)),
                         rows[i].matches);
}

static void a_prefix_is_what_stands_before_the_star(void **state)
{
    struct hf_str prefix;

    (void)state;
    assert_true(hf_pattern_prefix(HF_STR("room:*"), &prefix));
    assert_true(hf_str_eq(prefix, HF_STR("room:")));
    assert_true(hf_pattern_prefix(HF_STR("*"), &prefix));
    assert_int_equal(prefix.len, 0);
    assert_false(hf_pattern_prefix(HF_STR("room:a"), &prefix));
    assert_false(hf_pattern_prefix(HF_STR("a*b"), &prefix));
    assert_false(hf_pattern_prefix(HF_STR(""), &prefix));
}

static void patterns_have_the_rules_of_topics(void **state)
{
    (void)state;
    assert_true(hf_pattern_legal(HF_STR("room:1")));
    assert_true(hf_pattern_legal(HF_STR("room:*")));
    assert_true(hf_pattern_legal(HF_STR("*")));
    assert_false(hf_pattern_legal(HF_STR("")));
    assert_false(hf_pattern_legal(HF_STR("a*b")));
    assert_false(hf_pattern_legal(HF_STR("*a")));
    assert_false(hf_pattern_legal(HF_STR("a**")));
    assert_false(hf_pattern_legal(HF_STR("\xff*")));
    assert_false(hf_pattern_legal(HF_STR("a\n*")));
    assert_false(hf_pattern_legal(hf_str(many, HF_TOPIC_MAX + 1)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ordinary_topics_are_legal),
        cmocka_unit_test(what_the_journal_refuses_is_not_a_topic),
        cmocka_unit_test(topics_and_events_end_at_their_limit),
        cmocka_unit_test(our_own_topics_are_reserved),
        cmocka_unit_test(clients_push_their_own_events_only),
        cmocka_unit_test(a_pattern_is_a_topic_or_a_prefix),
        cmocka_unit_test(a_prefix_is_what_stands_before_the_star),
        cmocka_unit_test(patterns_have_the_rules_of_topics),
    };

    memset(many, 'a', sizeof(many));
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "channel/hook_answer.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"

static struct hf_hook_answer *take(enum hf_hook_kind kind, const char *text)
{
    struct hf_hook_answer *answer = NULL;
    const char *why = "";
    int err = hf_hook_answer_decode(hf_str_of(text), kind, &answer, &why);

    if (err)
        fail_msg("%s: %s", text, why);
    return answer;
}

static void refused(enum hf_hook_kind kind, const char *text, const char *words)
{
    struct hf_hook_answer *answer = NULL;
    const char *why = "";

    if (hf_hook_answer_decode(hf_str_of(text), kind, &answer, &why) !=
        HF_EMALFORMED)
        fail_msg("taken: %s", text);
    if (!strstr(why, words))
        fail_msg("%s: \"%s\" instead of \"%s\"", text, why, words);
}

static void is(struct hf_str got, const char *want)
{
    if (!hf_str_eq(got, hf_str_of(want)))
        fail_msg("\"%.*s\" instead of \"%s\"", HF_STR_ARG(got), want);
}

static void an_empty_object_does_nothing(void **state)
{
    struct hf_hook_answer *answer = take(HF_HOOK_PUSH, " {} ");

    (void)state;
    assert_false(answer->replies);
    assert_int_equal(answer->count, 0);
    assert_false(hf_hook_answer_writes(answer));
    hf_hook_answer_free(answer);
}

static void everything_an_answer_can_say_is_understood(void **state)
{
    struct hf_hook_answer *answer = take(
        HF_HOOK_PUSH,
        "{\"response\":[1, 1.50],\"status\":\"m\\u0061ybe\",\"actions\":["
        "{\"do\":\"broadcast\",\"event\":\"a\\u0062c\",\"payload\":{\"x\": 1}},"
        "{\"do\":\"broadcast_others\",\"event\":\"e\",\"payload\":null,"
        "\"topic\":\"room:\\u00e9\"},{\"do\":\"reply\"},"
        "{\"do\":\"push\",\"event\":\"p\",\"payload\":{\"_binary\":\"AAEC/"
        "w==\"}},"
        "{\"do\":\"track\",\"key\":\"k\",\"meta\":{\"a\":1}},"
        "{\"do\":\"update\",\"key\":\"k\",\"meta\":2},"
        "{\"do\":\"untrack\",\"key\":\"k\"},{\"do\":\"stop\"}]}");
    const struct hf_hook_action *a = answer->actions;

    (void)state;
    assert_true(answer->replies);
    is(answer->status, "m\\u0061ybe");
    is(answer->response.text, "[1, 1.50]");
    assert_int_equal(answer->count, 6);
    assert_int_equal(answer->reply_at, 2);
    assert_true(answer->stop && !answer->crash);
    assert_int_equal(a[0].what, HF_HOOK_BROADCAST);
    is(a[0].topic, "");
    is(a[0].event, "abc");
    is(a[0].payload.text, "{\"x\": 1}");
    assert_int_equal(a[1].what, HF_HOOK_BROADCAST_OTHERS);
    is(a[1].topic, "room:\xc3\xa9");
    is(a[1].payload.text, "null");
    assert_int_equal(a[2].what, HF_HOOK_SEND);
    assert_true(a[2].payload.binary);
    assert_int_equal(a[2].payload.text.len, 4);
    assert_memory_equal(a[2].payload.text.at, "\0\1\2\xff", 4);
    assert_int_equal(a[3].what, HF_HOOK_TRACK);
    is(a[3].key, "k");
    is(a[3].meta, "{\"a\":1}");
    assert_int_equal(a[4].what, HF_HOOK_UPDATE);
    assert_int_equal(a[5].what, HF_HOOK_UNTRACK);
    assert_true(hf_hook_answer_writes(answer));
    hf_hook_answer_free(answer);
}

static void the_reply_goes_last_but_of_a_join_first(void **state)
{
    static const char text[] =
        "{\"status\":\"ok\",\"actions\":[{\"do\":\"push\",\"event\":\"e\","
        "\"payload\":{}}]}";
    struct hf_hook_answer *push = take(HF_HOOK_PUSH, text);
    struct hf_hook_answer *join = take(HF_HOOK_JOIN, text);

    (void)state;
    assert_int_equal(push->reply_at, 1);
    assert_int_equal(join->reply_at, 0);
    is(push->response.text, "{}");
    assert_false(hf_hook_answer_writes(push));
    hf_hook_answer_free(push);
    hf_hook_answer_free(join);
}

static void bytes_stand_in_an_object_of_their_own(void **state)
{
    struct hf_hook_answer *answer =
        take(HF_HOOK_PUSH, "{\"status\":\"ok\",\"response\":"
                           "{\"_binary\":\"\\/+8\"}}");

    (void)state;
    assert_true(answer->response.binary);
    assert_memory_equal(answer->response.text.at, "\xff\xef", 2);
    hf_hook_answer_free(answer);
    answer = take(HF_HOOK_PUSH, "{\"status\":\"ok\",\"response\":"
                                "{\"_binary\":\"AA==\",\"more\":1}}");
    assert_false(answer->response.binary);
    hf_hook_answer_free(answer);
    refused(HF_HOOK_PUSH,
            "{\"status\":\"ok\",\"response\":{\"_binary\":\"A*\"}}", "base64");
}

static void a_connect_has_an_id_and_no_actions(void **state)
{
    struct hf_hook_answer *answer =
        take(HF_HOOK_CONNECT, "{\"status\":\"ok\",\"id\":\"4\\u0032\"}");

    (void)state;
    assert_true(hf_hook_answer_ok(answer));
    is(answer->id, "42");
    hf_hook_answer_free(answer);
    refused(HF_HOOK_CONNECT, "{}", "status is missing");
    refused(HF_HOOK_CONNECT, "{\"status\":\"ok\",\"id\":\"\"}", "empty");
    refused(HF_HOOK_CONNECT, "{\"status\":\"ok\",\"id\":42}", "a string");
    refused(HF_HOOK_CONNECT, "{\"status\":\"ok\",\"actions\":[]}",
            "no channel");
    refused(HF_HOOK_PUSH, "{\"status\":\"ok\",\"id\":\"1\"}", "connect");
}

static void what_is_not_known_is_refused_with_a_reason(void **state)
{
    (void)state;
    refused(HF_HOOK_PUSH, "", "not JSON");
    refused(HF_HOOK_PUSH, "<html>", "not JSON");
    refused(HF_HOOK_PUSH, "[]", "not a JSON object");
    refused(HF_HOOK_PUSH, "{\"staus\":\"ok\"}", "not known");
    refused(HF_HOOK_PUSH, "{\"status\":\"ok\",\"status\":\"ok\"}", "twice");
    refused(HF_HOOK_PUSH, "{\"status\":1}", "status");
    refused(HF_HOOK_PUSH, "{\"status\":\"\"}", "status");
    refused(HF_HOOK_PUSH, "{\"response\":{}}", "no status");
    refused(HF_HOOK_JOIN, "{}", "status is missing");
    refused(HF_HOOK_JOIN, "{\"status\":\"ok\",\"response\":[]}", "object");
    refused(HF_HOOK_JOIN,
            "{\"status\":\"error\",\"actions\":[{\"do\":\"stop\"}]}",
            "refused");
}

#define ACTION(text) "{\"status\":\"ok\",\"actions\":[" text "]}"

static void actions_are_exactly_what_they_should_be(void **state)
{
    (void)state;
    refused(HF_HOOK_PUSH, "{\"actions\":{}}", "a list");
    refused(HF_HOOK_PUSH, ACTION("1"), "object");
    refused(HF_HOOK_PUSH, ACTION("{}"), "none that is known");
    refused(HF_HOOK_PUSH, ACTION("{\"do\":\"dance\"}"), "none that is known");
    refused(HF_HOOK_PUSH, ACTION("{\"do\":\"stop\",\"why\":1}"), "not known");
    refused(HF_HOOK_PUSH, ACTION("{\"do\":\"stop\",\"do\":\"stop\"}"), "twice");
    refused(HF_HOOK_PUSH, ACTION("{\"do\":\"stop\",\"event\":\"e\"}"),
            "too many");
    refused(HF_HOOK_PUSH, ACTION("{\"do\":\"push\",\"event\":\"e\"}"), "lacks");
    refused(HF_HOOK_PUSH,
            ACTION("{\"do\":\"push\",\"event\":1,\"payload\":{}}"), "string");
    refused(HF_HOOK_PUSH,
            ACTION("{\"do\":\"push\",\"event\":\"e\",\"payload\":{},"
                   "\"topic\":\"t\"}"),
            "too many");
    refused(HF_HOOK_PUSH, ACTION("{\"do\":\"stop\"},{\"do\":\"crash\"}"),
            "nothing comes behind");
    refused(HF_HOOK_PUSH, ACTION("{\"do\":\"reply\"},{\"do\":\"reply\"}"),
            "two actions");
    refused(HF_HOOK_PUSH, "{\"actions\":[{\"do\":\"reply\"}]}", "no status");
}

static void bounds_hold(void **state)
{
    static const char one[] = "{\"do\":\"untrack\",\"key\":\"k\"},";
    size_t len = HF_HOOK_ANSWER_MAX + 1, at, n;
    char *text = malloc(len + 1);
    char event[300];

    (void)state;
    assert_non_null(text);
    memset(text, ' ', len);
    text[len] = '\0';
    text[0] = '{';
    text[len - 1] = '}';
    refused(HF_HOOK_PUSH, text, "longer than 1 MiB");
    at = (size_t)sprintf(text, "{\"actions\":[");
    for (n = 0; n <= HF_HOOK_ACTIONS_MAX; n++)
        at += (size_t)sprintf(text + at, "%s", one);
    (void)sprintf(text + at - 1, "]}");
    refused(HF_HOOK_PUSH, text, "more than 256");
    at -= sizeof(one) - 1;
    (void)sprintf(text + at - 1, "]}");
    hf_hook_answer_free(take(HF_HOOK_PUSH, text));
    memset(event, 'e', 201);
    event[201] = '\0';
    (void)sprintf(text,
                  ACTION("{\"do\":\"push\",\"event\":\"%s\","
                         "\"payload\":{}}"),
                  event);
    refused(HF_HOOK_PUSH, text, "too long");
    (void)sprintf(text, "{\"status\":\"%.65s\"}", event);
    refused(HF_HOOK_PUSH, text, "64 bytes");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_object_does_nothing),
        cmocka_unit_test(everything_an_answer_can_say_is_understood),
        cmocka_unit_test(the_reply_goes_last_but_of_a_join_first),
        cmocka_unit_test(bytes_stand_in_an_object_of_their_own),
        cmocka_unit_test(a_connect_has_an_id_and_no_actions),
        cmocka_unit_test(what_is_not_known_is_refused_with_a_reason),
        cmocka_unit_test(actions_are_exactly_what_they_should_be),
        cmocka_unit_test(bounds_hold),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "channel/publication.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/err.h"

static struct hf_publications list;

static int read(const char *text, bool ndjson)
{
    hf_publications_release(&list);
    return hf_publications_decode(&list, hf_str_of(text), ndjson);
}

static void same(struct hf_str text, const char *expected)
{
    assert_int_equal(text.len, strlen(expected));
    assert_memory_equal(text.at, expected, text.len);
}

static void wrong(const char *text, const char *why)
{
    assert_int_equal(read(text, false), HF_EMALFORMED);
    assert_non_null(list.wrong);
    if (!strstr(list.wrong, why))
        fail_msg("%s: \"%s\" does not say \"%s\"", text, list.wrong, why);
}

static int tear_down(void **state)
{
    (void)state;
    hf_publications_release(&list);
    return 0;
}

static void an_object_is_the_push_it_stands_for(void **state)
{
    const struct hf_frame *frame;

    (void)state;
    assert_int_equal(read(" {\"event\":\"s\\u0061y\", \"topic\":\"room:\\/1\","
                          "\"payload\": {\"a\" : 1.0,\"a\":2 } }\n",
                          false),
                     0);
    assert_int_equal(list.count, 1);
    frame = &list.frames[0];
    same(frame->topic, "room:/1");
    same(frame->event, "say");
    same(frame->payload.raw, "{\"a\" : 1.0,\"a\":2 }");
    assert_int_equal(frame->kind, HF_KIND_JSON);
    assert_int_not_equal(frame->options.type, HF_JSON_OBJECT);
    same(frame->ref.raw, "null");
    same(frame->join_ref.raw, "null");
}

static void a_key_is_an_option_of_the_push(void **state)
{
    struct hf_json key;

    (void)state;
    assert_int_equal(read("{\"topic\":\"a\",\"event\":\"b\",\"payload\":null,"
                          "\"k\\u0065y\":\"k1\"}",
                          false),
                     0);
    assert_true(hf_json_find(list.frames[0].options, HF_STR("key"), &key));
    assert_true(hf_json_is(key, HF_STR("k1")));
}

static void binary_is_bytes(void **state)
{
    (void)state;
    assert_int_equal(read("{\"topic\":\"a\",\"event\":\"b\","
                          "\"payload\":{\"_binary\":\"\\/wAB\"}}",
                          false),
                     0);
    assert_int_equal(list.frames[0].kind, HF_KIND_BINARY);
    assert_int_equal(list.frames[0].payload.raw.len, 3);
    assert_memory_equal(list.frames[0].payload.raw.at, "\xff\x00\x01", 3);
    assert_int_equal(
        read("{\"topic\":\"a\",\"event\":\"b\",\"payload\":{\"_binary\":\"\"}}",
             false),
        0);
    assert_int_equal(list.frames[0].payload.raw.len, 0);
    /* with anything beside it, it is an object like any other */
    assert_int_equal(read("{\"topic\":\"a\",\"event\":\"b\","
                          "\"payload\":{\"_binary\":\"AA\",\"x\":1}}",
                          false),
                     0);
    assert_int_equal(list.frames[0].kind, HF_KIND_JSON);
    wrong("{\"topic\":\"a\",\"event\":\"b\",\"payload\":{\"_binary\":\"A\"}}",
          "base64");
}

static void what_is_wrong_is_said(void **state)
{
    char deep[200];

    (void)state;
    wrong("", "JSON");
    wrong("[]", "object");
    wrong("{}", "missing");
    wrong("{\"topic\":\"a\",\"event\":\"b\"}", "missing");
    wrong("{\"topic\":\"a\",\"event\":\"b\",\"payload\":1,\"kye\":\"k\"}",
          "none of");
    wrong("{\"topic\":\"a\",\"event\":\"b\",\"payload\":1,\"payload\":2}",
          "twice");
    wrong("{\"topic\":\"\",\"event\":\"b\",\"payload\":1}", "topic must");
    wrong("{\"topic\":7,\"event\":\"b\",\"payload\":1}", "topic must");
    wrong("{\"topic\":\"a\\n\",\"event\":\"b\",\"payload\":1}", "topic must");
    wrong("{\"topic\":\"a\",\"event\":\"\\u0000\",\"payload\":1}",
          "event must");
    wrong("{\"topic\":\"a\",\"event\":null,\"payload\":1}", "event must");
    wrong("{\"topic\":\"a\",\"event\":\"b\",\"payload\":1}{}", "JSON");
    memset(deep, '[', 100);
    deep[100] = '\0';
    wrong(deep, "deep");
}

#define ONE(n) "{\"topic\":\"t\",\"event\":\"e\",\"payload\":" n "}"

static void lines_are_one_each_and_blank_ones_count_as_lines(void **state)
{
    (void)state;
    assert_int_equal(read(ONE("1") "\r\n\n\r\n" ONE("2") "\n" ONE("3"), true),
                     0);
    assert_int_equal(list.count, 3);
    same(list.frames[1].payload.raw, "2");
    assert_int_equal(list.lines[0], 1);
    assert_int_equal(list.lines[1], 4);
    assert_int_equal(list.lines[2], 5);
    assert_int_equal(read(ONE("1") "\n\n{", true), HF_EMALFORMED);
    assert_int_equal(list.wrong_line, 3);
    assert_int_equal(read("\n\r\n", true), HF_EMALFORMED);
    assert_int_equal(read("", true), HF_EMALFORMED);
}

static void more_lines_than_a_post_may_have_are_refused(void **state)
{
    static char text[(sizeof(ONE("1")) + 1) * (HF_POST_LINES + 1)];
    size_t n;

    (void)state;
    for (n = 0; n < HF_POST_LINES; n++)
        strcat(text, ONE("1") "\n");
    assert_int_equal(read(text, true), 0);
    assert_int_equal(list.count, HF_POST_LINES);
    strcat(text, ONE("1"));
    assert_int_equal(read(text, true), HF_ELIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(an_object_is_the_push_it_stands_for,
                                  tear_down),
        cmocka_unit_test_teardown(a_key_is_an_option_of_the_push, tear_down),
        cmocka_unit_test_teardown(binary_is_bytes, tear_down),
        cmocka_unit_test_teardown(what_is_wrong_is_said, tear_down),
        cmocka_unit_test_teardown(
            lines_are_one_each_and_blank_ones_count_as_lines, tear_down),
        cmocka_unit_test_teardown(more_lines_than_a_post_may_have_are_refused,
                                  tear_down),
    };

    return cmocka_run_group_tests_name("publication", tests, NULL, NULL);
}

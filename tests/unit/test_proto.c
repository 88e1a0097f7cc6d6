#include "channel/proto.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/err.h"

static struct hf_frame frame;

static int decode(const char *text)
{
    return hf_frame_decode(HF_VSN_2, hf_str_of(text), false, &frame);
}

static void assert_str(struct hf_str got, const char *want)
{
    assert_int_equal(got.len, strlen(want));
    if (got.len > 0)
        assert_memory_equal(got.at, want, got.len);
}

/* --- decoding ------------------------------------------------------------ */

static void a_join_is_taken_apart(void **state)
{
    (void)state;
    assert_int_equal(
        decode("[\"3\",\"4\",\"room:a\",\"phx_join\",{\"since\":\"\"}]"), 0);
    assert_str(frame.join_ref.raw, "\"3\"");
    assert_str(frame.ref.raw, "\"4\"");
    assert_str(frame.topic, "room:a");
    assert_str(frame.raw_topic.raw, "\"room:a\"");
    assert_str(frame.event, "phx_join");
    assert_str(frame.payload.raw, "{\"since\":\"\"}");
    assert_int_equal(frame.payload.type, HF_JSON_OBJECT);
    assert_int_equal(frame.options.type, HF_JSON_NULL);
}

static void blanks_between_elements_are_no_part_of_them(void **state)
{
    (void)state;
    assert_int_equal(
        decode(" \t[ null ,\n\"1\"\r, \"t\" , \"e\" , { \"a\" : 1 } ] \n"), 0);
    assert_int_equal(frame.join_ref.type, HF_JSON_NULL);
    assert_str(frame.join_ref.raw, "null");
    assert_str(frame.ref.raw, "\"1\"");
    assert_str(frame.topic, "t");
    assert_str(frame.event, "e");
    assert_str(frame.payload.raw, "{ \"a\" : 1 }");
}

static void a_payload_is_any_value_and_kept_verbatim(void **state)
{
    static const char *const payloads[] = {
        "null",
        "true",
        "0",
        "-0",
        "1.0",
        "1E2",
        "123456789012345678901234567890",
        "1e-400",
        "\"text\"",
        "\"\\u00e4\\/\"",
        "[]",
        "{}",
        "[1,[2,[3]],{\"a\":[]}]",
        "{\"b\":1,\"a\":2,\"b\":3}",
        "{ \"blank\" :\t1 }",
        "\"],[\\\"\"",
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(payloads) / sizeof(payloads[0]); i++) {
        char text[128];

        (void)snprintf(text, sizeof(text), "[null,\"1\",\"t\",\"e\",%s]",
                       payloads[i]);
        assert_int_equal(decode(text), 0);
        assert_str(frame.payload.raw, payloads[i]);
    }
}

static void refs_are_any_value_and_not_looked_into(void **state)
{
    (void)state;
    assert_int_equal(decode("[1,2.50,\"t\",\"e\",{}]"), 0);
    assert_str(frame.join_ref.raw, "1");
    assert_str(frame.ref.raw, "2.50");
    assert_int_equal(decode("[{\"a\":[]},[null],\"t\",\"e\",{}]"), 0);
    assert_str(frame.join_ref.raw, "{\"a\":[]}");
    assert_str(frame.ref.raw, "[null]");
}

static void escapes_in_names_are_undone(void **state)
{
    (void)state;
    assert_int_equal(
        decode(
            "[null,\"1\",\"r\\u006fom\\/\\\"\",\"\\u00e4\\ud83d\\ude00\",0]"),
        0);
    assert_str(frame.topic, "room/\"");
    assert_str(frame.event, "\xc3\xa4\xf0\x9f\x98\x80");
    assert_str(frame.raw_topic.raw, "\"r\\u006fom\\/\\\"\"");

    assert_int_equal(decode("[null,\"1\",\"a\\u0000b\",\"e\",0]"), 0);
    assert_int_equal(frame.topic.len, 3);
    assert_memory_equal(frame.topic.at, "a\0b", 3);
}

static void names_without_escapes_are_not_copied(void **state)
{
    static const char text[] = "[null,\"1\",\"room:a\",\"say\",{}]";

    (void)state;
    assert_int_equal(decode(text), 0);
    assert_ptr_equal(frame.topic.at, text + 11);
    assert_ptr_equal(frame.event.at, text + 20);
}

static void a_name_that_is_no_string_is_empty_and_echoed_raw(void **state)
{
    (void)state;
    assert_int_equal(decode("[null,\"1\",7,null,{}]"), 0);
    assert_int_equal(frame.topic.len, 0);
    assert_int_equal(frame.event.len, 0);
    assert_str(frame.raw_topic.raw, "7");

    assert_int_equal(decode("[null,\"1\",[\"t\"],{\"e\":1},{}]"), 0);
    assert_int_equal(frame.topic.len, 0);
    assert_int_equal(frame.event.len, 0);
    assert_str(frame.raw_topic.raw, "[\"t\"]");
}

/* [null,"1","<n times unit>","e",{}] */
static int decode_topic(const char *unit, size_t n)
{
    static char text[8192];
    size_t len = 0, i;

    len += (size_t)sprintf(text, "[null,\"1\",\"");
    for (i = 0; i < n; i++)
        len += (size_t)sprintf(text + len, "%s", unit);
    len += (size_t)sprintf(text + len, "\",\"e\",{}]");
    return hf_frame_decode(HF_VSN_2, hf_str(text, len), false, &frame);
}

static void names_count_their_bytes_once_unescaped(void **state)
{
    (void)state;
    assert_int_equal(decode_topic("a", HF_TOPIC_MAX), 0);
    assert_int_equal(frame.topic.len, HF_TOPIC_MAX);
    assert_int_equal(decode_topic("a", HF_TOPIC_MAX + 1), 0);
    assert_int_equal(frame.topic.len, 0);
    assert_int_equal(frame.raw_topic.raw.len, HF_TOPIC_MAX + 3);

    assert_int_equal(decode_topic("\\u0061", HF_TOPIC_MAX), 0);
    assert_int_equal(frame.topic.len, HF_TOPIC_MAX);
    assert_int_equal(decode_topic("\\u0061", HF_TOPIC_MAX + 1), 0);
    assert_int_equal(frame.topic.len, 0);
    assert_str(frame.event, "e");

    assert_int_equal(decode_topic("\\u00e4", HF_TOPIC_MAX / 2), 0);
    assert_int_equal(frame.topic.len, HF_TOPIC_MAX);
}

static void elements_beyond_the_fifth_are_ignored(void **state)
{
    (void)state;
    assert_int_equal(decode("[null,\"1\",\"t\",\"e\",{},1,\"x\",{}]"), 0);
    assert_int_equal(frame.options.type, HF_JSON_NULL);
    assert_str(frame.payload.raw, "{}");
    assert_int_equal(decode("[null,\"1\",\"t\",\"e\",{},null]"), 0);
    assert_int_equal(frame.options.type, HF_JSON_NULL);
    assert_int_equal(decode("[null,\"1\",\"t\",\"e\",{},[{\"key\":\"k\"}]]"),
                     0);
    assert_int_equal(frame.options.type, HF_JSON_NULL);
    assert_str(frame.options.raw, "null");
}

static void a_sixth_element_that_is_an_object_is_the_options(void **state)
{
    (void)state;
    assert_int_equal(decode("[null,\"1\",\"t\",\"e\",{},{\"key\":\"k\"},7]"),
                     0);
    assert_int_equal(frame.options.type, HF_JSON_OBJECT);
    assert_str(frame.options.raw, "{\"key\":\"k\"}");
}

static void options_say_that_a_payload_stands_for_bytes(void **state)
{
    (void)state;
    assert_int_equal(decode("[null,\"1\",\"t\",\"e\",{\"_binary\":\"\\/wAB\"},"
                            "{\"key\":\"k\",\"bytes\":true}]"),
                     0);
    assert_int_equal(frame.kind, HF_KIND_BINARY);
    assert_int_equal(frame.payload.raw.len, 3);
    assert_memory_equal(frame.payload.raw.at, "\xff\0\1", 3);
    hf_frame_release(&frame);
    assert_int_equal(decode("[null,\"1\",\"t\",\"e\",{\"_binary\":\"\"},"
                            "{\"bytes\":true}]"),
                     0);
    assert_int_equal(frame.kind, HF_KIND_BINARY);
    assert_int_equal(frame.payload.raw.len, 0);
    hf_frame_release(&frame);
}

static void without_that_option_a_payload_is_what_it_is(void **state)
{
    static const struct hf_str options[] = {
        HF_STR_INIT(""), HF_STR_INIT(",{}"), HF_STR_INIT(",{\"bytes\":false}"),
        HF_STR_INIT(",{\"bytes\":1}"), HF_STR_INIT(",{\"bytes\":\"true\"}")};
    char text[128];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        (void)snprintf(text, sizeof(text),
                       "[null,\"1\",\"t\",\"e\",{\"_binary\":\"/wAB\"}%s]",
                       options[i].at);
        assert_int_equal(decode(text), 0);
        assert_int_equal(frame.kind, HF_KIND_JSON);
        assert_str(frame.payload.raw, "{\"_binary\":\"/wAB\"}");
    }
}

static void bytes_that_are_none_are_malformed(void **state)
{
    static const struct hf_str payloads[] = {
        HF_STR_INIT("{}"),
        HF_STR_INIT("null"),
        HF_STR_INIT("\"/wAB\""),
        HF_STR_INIT("{\"_binary\":7}"),
        HF_STR_INIT("{\"_binary\":\"/wABA\"}"),
        HF_STR_INIT("{\"_binary\":\"/w*B\"}"),
        HF_STR_INIT("{\"_binary\":\"/wAB\",\"more\":1}"),
        HF_STR_INIT("{\"binary\":\"/wAB\"}")};
    char text[128];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(payloads) / sizeof(payloads[0]); i++) {
        (void)snprintf(text, sizeof(text),
                       "[null,\"1\",\"t\",\"e\",%s,{\"bytes\":true}]",
                       payloads[i].at);
        assert_int_equal(decode(text), HF_EMALFORMED);
    }
}

static void what_is_no_frame_is_malformed(void **state)
{
    static const struct hf_str rows[] = {
        HF_STR_INIT(""),
        HF_STR_INIT(" "),
        HF_STR_INIT("null"),
        HF_STR_INIT("{}"),
        HF_STR_INIT("\"text\""),
        HF_STR_INIT("[]"),
        HF_STR_INIT("[null]"),
        HF_STR_INIT("[null,null,\"t\",\"e\"]"),
        HF_STR_INIT("{\"topic\":\"t\",\"event\":\"e\",\"payload\":{},\"ref\":"
                    "\"1\"}"),
        HF_STR_INIT("[null,\"1\",\"t\",\"e\",{}"),
        HF_STR_INIT("[null,\"1\",\"t\",\"e\",{}]]"),
        HF_STR_INIT("[null,\"1\",\"t\",\"e\",{}] []"),
        HF_STR_INIT("[null,\"1\",\"t\",\"e\",{},]"),
        HF_STR_INIT("[,\"1\",\"t\",\"e\",{}]"),
        HF_STR_INIT("[null,\"1\",\"t\",\"e\"{}]"),
        HF_STR_INIT("[null,\"1\",\"t\",\"e\",{a:1}]"),
        HF_STR_INIT("[null,\"1\",\"t\",\"e\",{\"a\":1,}]"),
        HF_STR_INIT("[null,\"1\",\"t\",\"e\",01]"),
        HF_STR_INIT("[null,\"1\",\"t\",\"e\",NaN]"),
        HF_STR_INIT("[null,\"1\",\"t\",\"e\",'x']"),
        HF_STR_INIT("[null,\"1\",\"t\\x\",\"e\",{}]"),
        HF_STR_INIT("[null,\"1\",\"t\n\",\"e\",{}]"),
        HF_STR_INIT("[null,\"1\",\"\\ud800\",\"e\",{}]"),
        HF_STR_INIT("[null,\"1\",\"\xff\",\"e\",{}]"),
        HF_STR_INIT("[null,\"1\",\"t\",\"e\",{}]\0"),
        HF_STR_INIT("\xef\xbb\xbf[null,\"1\",\"t\",\"e\",{}]"),
        HF_STR_INIT("\0\1\1\1\1"
                    "11te"),
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(hf_frame_decode(HF_VSN_2, rows[i], false, &frame),
                         HF_EMALFORMED);
}

static void a_frame_nested_too_deep_is_malformed(void **state)
{
    char text[4 * HF_JSON_DEPTH];
    unsigned extra;

    (void)state;
    for (extra = 0; extra < 2; extra++) {
        unsigned inside = HF_JSON_DEPTH - 1 + extra; /* the frame is one */
        size_t len = (size_t)sprintf(text, "[null,\"1\",\"t\",\"e\",");

        memset(text + len, '[', inside);
        memset(text + len + inside, ']', inside + 1);
        len += 2 * inside + 1;
        assert_int_equal(
            hf_frame_decode(HF_VSN_2, hf_str(text, len), false, &frame),
            extra == 0 ? 0 : HF_EMALFORMED);
    }
}

static void refs_end_at_their_limit(void **state)
{
    char text[4 * HF_REF_MAX];
    size_t digits;

    (void)state;
    for (digits = HF_REF_MAX; digits <= HF_REF_MAX + 1; digits++) {
        int want = digits == HF_REF_MAX ? 0 : HF_EMALFORMED;
        int len = sprintf(text, "[null,%0*d,\"t\",\"e\",{}]", (int)digits, 0);

        memset(text + 6, '1', digits);
        assert_int_equal(
            hf_frame_decode(HF_VSN_2, hf_str(text, (size_t)len), false, &frame),
            want);
        len = sprintf(text, "[%0*d,null,\"t\",\"e\",{}]", (int)digits, 0);
        memset(text + 1, '1', digits);
        assert_int_equal(
            hf_frame_decode(HF_VSN_2, hf_str(text, (size_t)len), false, &frame),
            want);
    }
}

/* --- V1 ------------------------------------------------------------------ */

static int decode_1(const char *text)
{
    return hf_frame_decode(HF_VSN_1, hf_str_of(text), false, &frame);
}

static void an_object_is_taken_apart(void **state)
{
    (void)state;
    assert_int_equal(decode_1("{\"topic\":\"room:a\",\"event\":\"phx_join\","
                              "\"payload\":{\"a\" : 1E2},\"ref\":\"1\","
                              "\"join_ref\":\"7\"}"),
                     0);
    assert_int_equal(frame.vsn, HF_VSN_1);
    assert_int_equal(frame.kind, HF_KIND_JSON);
    assert_str(frame.topic, "room:a");
    assert_str(frame.raw_topic.raw, "\"room:a\"");
    assert_str(frame.event, "phx_join");
    assert_str(frame.payload.raw, "{\"a\" : 1E2}");
    assert_str(frame.ref.raw, "\"1\"");
    assert_str(frame.join_ref.raw, "\"7\"");
    assert_int_equal(frame.options.type, HF_JSON_NULL);
}

static void an_object_needs_no_join_ref_and_may_hold_more(void **state)
{
    (void)state;
    assert_int_equal(decode_1(" { \"x\":[1] , \"ref\":null,\"payload\":[],"
                              "\"\\u0065vent\":\"a\\u00e4\",\"options\":{},"
                              "\"topic\":7,\"topics\":\"no\"} "),
                     0);
    assert_int_equal(frame.join_ref.type, HF_JSON_NULL);
    assert_str(frame.join_ref.raw, "null");
    assert_int_equal(frame.ref.type, HF_JSON_NULL);
    assert_str(frame.event, "a\xc3\xa4");
    assert_int_equal(frame.topic.len, 0);
    assert_str(frame.raw_topic.raw, "7");
    assert_str(frame.options.raw, "{}");
}

static void options_of_an_object_are_an_object(void **state)
{
    (void)state;
    assert_int_equal(decode_1("{\"topic\":\"a\",\"event\":\"e\",\"ref\":1,"
                              "\"payload\":1,\"options\":{\"key\":\"k\"}}"),
                     0);
    assert_str(frame.options.raw, "{\"key\":\"k\"}");
    assert_int_equal(decode_1("{\"topic\":\"a\",\"event\":\"e\",\"ref\":1,"
                              "\"payload\":1,\"options\":[1]}"),
                     0);
    assert_int_equal(frame.options.type, HF_JSON_NULL);
}

static void of_a_member_that_stands_twice_the_last_counts(void **state)
{
    (void)state;
    assert_int_equal(decode_1("{\"topic\":\"a\",\"event\":\"e\",\"ref\":1,"
                              "\"payload\":1,\"topic\":\"b\",\"payload\":2}"),
                     0);
    assert_str(frame.topic, "b");
    assert_str(frame.payload.raw, "2");
}

static void an_object_without_a_required_member_is_malformed(void **state)
{
    static const char *const texts[] = {
        "{\"event\":\"e\",\"payload\":{},\"ref\":\"1\"}",
        "{\"topic\":\"t\",\"payload\":{},\"ref\":\"1\"}",
        "{\"topic\":\"t\",\"event\":\"e\",\"ref\":\"1\"}",
        "{\"topic\":\"t\",\"event\":\"e\",\"payload\":{}}",
        "{\"Topic\":\"t\",\"event\":\"e\",\"payload\":{},\"ref\":\"1\"}",
        "{}",
        "",
        "null",
        "[null,\"1\",\"t\",\"e\",{}]",
        "{\"topic\":\"t\",\"event\":\"e\",\"payload\":{},\"ref\":\"1\"",
        "{\"topic\":\"t\",\"event\":\"e\",\"payload\":{},\"ref\":\"1\"}]",
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_int_equal(decode_1(texts[i]), HF_EMALFORMED);
}

static void v1_has_no_binary_frames(void **state)
{
    (void)state;
    assert_int_equal(hf_frame_decode(HF_VSN_1,
                                     HF_STR("\0\1\1\1\1"
                                            "11te"),
                                     true, &frame),
                     HF_EMALFORMED);
}

/* --- binary frames -------------------------------------------------------- */

static int decode_binary(struct hf_str bytes)
{
    return hf_frame_decode(HF_VSN_2, bytes, true, &frame);
}

static void assert_bytes(struct hf_str got, struct hf_str want)
{
    assert_true(hf_str_eq(got, want));
}

/* As recorded: binary-push-echo. */
static void a_binary_push_is_taken_apart(void **state)
{
    (void)state;
    assert_int_equal(decode_binary(HF_STR("\x00\x01\x01\x06\x04"
                                          "12room:aecho\x00\x01\x02\xff")),
                     0);
    assert_int_equal(frame.vsn, HF_VSN_2);
    assert_int_equal(frame.kind, HF_KIND_BINARY);
    assert_str(frame.join_ref.raw, "\"1\"");
    assert_int_equal(frame.join_ref.type, HF_JSON_STRING);
    assert_str(frame.ref.raw, "\"2\"");
    assert_str(frame.topic, "room:a");
    assert_str(frame.raw_topic.raw, "\"room:a\"");
    assert_str(frame.event, "echo");
    assert_int_equal(frame.payload.type, HF_JSON_NULL);
    assert_bytes(frame.payload.raw, HF_STR("\x00\x01\x02\xff"));
    assert_int_equal(frame.options.type, HF_JSON_NULL);
    hf_frame_release(&frame);
    assert_null(frame.made);
}

static void empty_binary_refs_are_null(void **state)
{
    (void)state;
    assert_int_equal(decode_binary(HF_STR("\x00\x00\x00\x01\x01te")), 0);
    assert_int_equal(frame.join_ref.type, HF_JSON_NULL);
    assert_str(frame.join_ref.raw, "null");
    assert_int_equal(frame.ref.type, HF_JSON_NULL);
    assert_str(frame.ref.raw, "null");
    assert_int_equal(frame.payload.raw.len, 0);
    hf_frame_release(&frame);
}

static void binary_names_are_quoted_where_json_asks_for_it(void **state)
{
    (void)state;
    assert_int_equal(decode_binary(HF_STR("\x00\x02\x01\x03\x02"
                                          "\"1\\t\"\n\xc3\xa4")),
                     0);
    assert_str(frame.join_ref.raw, "\"\\\"1\"");
    assert_str(frame.ref.raw, "\"\\\\\"");
    assert_str(frame.topic, "t\"\n");
    assert_str(frame.raw_topic.raw, "\"t\\\"\\n\"");
    assert_str(frame.event, "\xc3\xa4");
    hf_frame_release(&frame);
}

static void binary_names_have_the_limits_of_others(void **state)
{
    char bytes[5 + 4 * 255];
    size_t len;

    (void)state;
    memset(bytes, 'x', sizeof(bytes));
    memcpy(bytes, "\x00\x01\x01\xff\xc9", 5); /* 255 and 201 */
    len = 5 + 1 + 1 + 255 + 201;
    assert_int_equal(decode_binary(hf_str(bytes, len)), 0);
    assert_int_equal(frame.topic.len, 0); /* names nothing */
    assert_int_equal(frame.raw_topic.raw.len, 257);
    assert_int_equal(frame.event.len, 0);
    hf_frame_release(&frame);

    memcpy(bytes, "\x00\xfd\xfd\xc8\xc8", 5); /* 253, 253, 200, 200 */
    len = 5 + 253 + 253 + 200 + 200;
    assert_int_equal(decode_binary(hf_str(bytes, len)), 0);
    assert_int_equal(frame.ref.raw.len, HF_REF_MAX);
    assert_int_equal(frame.topic.len, HF_TOPIC_MAX);
    assert_int_equal(frame.event.len, HF_EVENT_MAX);
    hf_frame_release(&frame);

    bytes[1] = (char)254; /* with its quotes one too many */
    assert_int_equal(decode_binary(hf_str(bytes, len + 1)), HF_EMALFORMED);
    bytes[1] = 1;
    bytes[2] = (char)254;
    assert_int_equal(decode_binary(hf_str(bytes, len)), HF_EMALFORMED);
}

static void binary_that_is_no_frame_is_malformed(void **state)
{
    static const struct hf_str rows[] = {
        HF_STR_INIT(""),
        HF_STR_INIT("\0"),
        HF_STR_INIT("\0\0\0\0"),
        HF_STR_INIT("\0\xc8\1\1\1\1"), /* recorded: binary-malformed */
        HF_STR_INIT("\1\1\1\1\1"
                    "1234"), /* recorded: binary-wrong-kind */
        HF_STR_INIT("\0\1\1\1\1"
                    "11t"),
        HF_STR_INIT("\2\1\1te"),
        HF_STR_INIT("\4\1\1\0\0te"),
        HF_STR_INIT("\5\1\1\1\1\1\1\1"),
        HF_STR_INIT("\xff\1\1\1\1\1\1\1"),
        HF_STR_INIT("[null,\"1\",\"t\",\"e\",{}]"),
        /* a field that is not UTF-8, in each place */
        HF_STR_INIT("\0\1\1\1\1\xe4"
                    "1te"),
        HF_STR_INIT("\0\1\1\1\1"
                    "1\xe4te"),
        HF_STR_INIT("\0\1\1\1\1"
                    "11\xe4"
                    "e"),
        HF_STR_INIT("\0\1\1\1\1"
                    "11t\xe4"),
        /* a character cut by the end of its field */
        HF_STR_INIT("\0\1\1\1\1"
                    "11\xc3\xa4"),
        /* kind 3: too short; its encoding; its JSON; its metadata */
        HF_STR_INIT("\3\0\0\1\1"),
        HF_STR_INIT("\3\0\0\1\1\0"),
        HF_STR_INIT("\3\0\0\1\1\2\1te1"),
        HF_STR_INIT("\3\0\0\1\1\0\2te{}"),
        HF_STR_INIT("\3\0\0\1\1\0\1te{"),
        HF_STR_INIT("\3\0\0\1\1\0\1te"),
        HF_STR_INIT("\3\0\0\1\1\2\1te{]{}"),
        HF_STR_INIT("\3\0\0\1\1\2\0te{]\1"),
        HF_STR_INIT("\3\0\0\1\1\0\1t\xe4{}"),
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        /* of its own size, so that a sanitizer sees what is read past it */
        char *bytes = malloc(rows[i].len > 0 ? rows[i].len : 1);

        assert_non_null(bytes);
        memcpy(bytes, rows[i].at, rows[i].len);
        if (decode_binary(hf_str(bytes, rows[i].len)) != HF_EMALFORMED)
            fail_msg("row %zu", i);
        free(bytes);
    }
}

/* As recorded: realtime-js-v2. */
static void a_broadcast_of_realtime_js_is_the_text_it_stands_for(void **state)
{
    (void)state;
    assert_int_equal(decode_binary(HF_STR("\x03\x01\x01\x0a\x05\x00\x01"
                                          "68realtime:xshout{\"i\":1}")),
                     0);
    assert_int_equal(frame.kind, HF_KIND_JSON);
    assert_str(frame.join_ref.raw, "\"6\"");
    assert_str(frame.ref.raw, "\"8\"");
    assert_str(frame.topic, "realtime:x");
    assert_str(frame.raw_topic.raw, "\"realtime:x\"");
    assert_str(frame.event, "broadcast");
    assert_int_equal(frame.payload.type, HF_JSON_OBJECT);
    assert_str(frame.payload.raw, "{\"type\":\"broadcast\",\"event\":\"shout\","
                                  "\"payload\":{\"i\":1}}");
    hf_frame_release(&frame);

    assert_int_equal(decode_binary(HF_STR("\x03\x00\x00\x01\x03\x07\x01"
                                          "ta\"b{\"m\":1} [ 1E2 ]")),
                     0);
    assert_int_equal(frame.join_ref.type, HF_JSON_NULL);
    assert_str(frame.payload.raw,
               "{\"type\":\"broadcast\",\"event\":\"a\\\"b\","
               "\"payload\": [ 1E2 ],\"meta\":{\"m\":1}}");
    hf_frame_release(&frame);
}

static void its_raw_bytes_take_their_json_form(void **state)
{
    (void)state;
    assert_int_equal(decode_binary(HF_STR("\x03\x00\x00\x01\x01\x00\x00"
                                          "te\x00\x01\xff")),
                     0);
    assert_int_equal(frame.kind, HF_KIND_JSON);
    assert_str(frame.payload.raw, "{\"type\":\"broadcast\",\"event\":\"e\","
                                  "\"payload\":{\"_binary\":\"AAH/\"}}");
    hf_frame_release(&frame);
}

static void its_payload_is_nested_as_deep_as_in_text(void **state)
{
    char bytes[9 + 2 * HF_JSON_DEPTH];
    unsigned extra;

    (void)state;
    for (extra = 0; extra < 2; extra++) {
        unsigned depth = HF_JSON_DEPTH - 2 + extra;

        memcpy(bytes, "\x03\x00\x00\x01\x01\x00\x01te", 9);
        memset(bytes + 9, '[', depth);
        memset(bytes + 9 + depth, ']', depth);
        assert_int_equal(decode_binary(hf_str(bytes, 9 + 2 * depth)),
                         extra == 0 ? 0 : HF_EMALFORMED);
        hf_frame_release(&frame);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_join_is_taken_apart),
        cmocka_unit_test(blanks_between_elements_are_no_part_of_them),
        cmocka_unit_test(a_payload_is_any_value_and_kept_verbatim),
        cmocka_unit_test(refs_are_any_value_and_not_looked_into),
        cmocka_unit_test(escapes_in_names_are_undone),
        cmocka_unit_test(names_without_escapes_are_not_copied),
        cmocka_unit_test(a_name_that_is_no_string_is_empty_and_echoed_raw),
        cmocka_unit_test(names_count_their_bytes_once_unescaped),
        cmocka_unit_test(elements_beyond_the_fifth_are_ignored),
        cmocka_unit_test(a_sixth_element_that_is_an_object_is_the_options),
        cmocka_unit_test(options_say_that_a_payload_stands_for_bytes),
        cmocka_unit_test(without_that_option_a_payload_is_what_it_is),
        cmocka_unit_test(bytes_that_are_none_are_malformed),
        cmocka_unit_test(what_is_no_frame_is_malformed),
        cmocka_unit_test(a_frame_nested_too_deep_is_malformed),
        cmocka_unit_test(refs_end_at_their_limit),
        cmocka_unit_test(an_object_is_taken_apart),
        cmocka_unit_test(an_object_needs_no_join_ref_and_may_hold_more),
        cmocka_unit_test(options_of_an_object_are_an_object),
        cmocka_unit_test(of_a_member_that_stands_twice_the_last_counts),
        cmocka_unit_test(an_object_without_a_required_member_is_malformed),
        cmocka_unit_test(v1_has_no_binary_frames),
        cmocka_unit_test(a_binary_push_is_taken_apart),
        cmocka_unit_test(empty_binary_refs_are_null),
        cmocka_unit_test(binary_names_are_quoted_where_json_asks_for_it),
        cmocka_unit_test(binary_names_have_the_limits_of_others),
        cmocka_unit_test(binary_that_is_no_frame_is_malformed),
        cmocka_unit_test(a_broadcast_of_realtime_js_is_the_text_it_stands_for),
        cmocka_unit_test(its_raw_bytes_take_their_json_form),
        cmocka_unit_test(its_payload_is_nested_as_deep_as_in_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "channel/proto.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/err.h"

static struct hf_frame frame;

static int decode(const char *text)
{
    return hf_frame_decode(hf_str_of(text), &frame);
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
    assert_str(frame.raw_event.raw, "\"phx_join\"");
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
    assert_str(frame.raw_event.raw, "null");

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
    return hf_frame_decode(hf_str(text, len), &frame);
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
        assert_int_equal(hf_frame_decode(rows[i], &frame), HF_EMALFORMED);
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
        assert_int_equal(hf_frame_decode(hf_str(text, len), &frame),
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
        assert_int_equal(hf_frame_decode(hf_str(text, (size_t)len), &frame),
                         want);
        len = sprintf(text, "[%0*d,null,\"t\",\"e\",{}]", (int)digits, 0);
        memset(text + 1, '1', digits);
        assert_int_equal(hf_frame_decode(hf_str(text, (size_t)len), &frame),
                         want);
    }
}

/* --- encoding ------------------------------------------------------------ */

static void a_reply_is_what_phoenix_sends(void **state)
{
    struct hf_buf buf;

    (void)state;
    hf_buf_init(&buf, 1024);
    assert_int_equal(hf_encode_reply(&buf, HF_STR("\"1\""), HF_STR("\"2\""),
                                     HF_STR("\"room:a\""), "ok", HF_EMPTY),
                     0);
    assert_str(hf_buf_str(&buf), "[\"1\",\"2\",\"room:a\",\"phx_reply\","
                                 "{\"status\":\"ok\",\"response\":{}}]");

    hf_buf_reset(&buf);
    assert_int_equal(hf_encode_reply(&buf, HF_NULL, HF_STR("7"), HF_STR("9"),
                                     "error", HF_STR("{\"reason\":1}")),
                     0);
    assert_str(hf_buf_str(&buf),
               "[null,7,9,\"phx_reply\","
               "{\"status\":\"error\",\"response\":{\"reason\":1}}]");
    hf_buf_release(&buf);
}

static void a_push_quotes_its_names_and_keeps_its_payload(void **state)
{
    struct hf_buf buf;

    (void)state;
    hf_buf_init(&buf, 1024);
    assert_int_equal(hf_encode_push(&buf, HF_NULL, HF_STR("\"j:x.1\""),
                                    HF_STR("a\"\\/\n\xc3\xa4"), HF_STR("say"),
                                    HF_STR("{ \"n\" : 1.0 }")),
                     0);
    assert_str(hf_buf_str(&buf), "[null,\"j:x.1\",\"a\\\"\\\\/\\n\xc3\xa4\","
                                 "\"say\",{ \"n\" : 1.0 }]");
    hf_buf_release(&buf);
}

static void encoding_goes_on_where_the_buffer_ends(void **state)
{
    struct hf_buf buf;

    (void)state;
    hf_buf_init(&buf, 1024);
    assert_int_equal(hf_buf_add_byte(&buf, ','), 0);
    assert_int_equal(hf_encode_push(&buf, HF_STR("\"1\""), HF_STR("\"1\""),
                                    HF_STR("t"), HF_STR("phx_close"), HF_EMPTY),
                     0);
    assert_str(hf_buf_str(&buf), ",[\"1\",\"1\",\"t\",\"phx_close\",{}]");
    hf_buf_release(&buf);
}

/* A half frame among whole ones would break all that follow. */
static void a_frame_that_does_not_fit_leaves_nothing(void **state)
{
    struct hf_buf buf;
    size_t max, whole;

    (void)state;
    hf_buf_init(&buf, 1024);
    assert_int_equal(hf_encode_push(&buf, HF_NULL, HF_NULL, HF_STR("topic"),
                                    HF_STR("event"), HF_EMPTY),
                     0);
    whole = buf.len;
    hf_buf_release(&buf);

    for (max = 1; max <= whole; max++) {
        hf_buf_init(&buf, max + 1);
        assert_int_equal(hf_buf_add_byte(&buf, '#'), 0);
        assert_int_equal(hf_encode_push(&buf, HF_NULL, HF_NULL, HF_STR("topic"),
                                        HF_STR("event"), HF_EMPTY),
                         max == whole ? 0 : HF_ELIMIT);
        assert_int_equal(buf.len, max == whole ? whole + 1 : 1);
        hf_buf_release(&buf);
    }
    for (max = 0; max < 40; max++) {
        hf_buf_init(&buf, max);
        assert_int_equal(hf_encode_reply(&buf, HF_NULL, HF_NULL,
                                         HF_STR("\"topic\""), "ok", HF_EMPTY),
                         HF_ELIMIT);
        assert_int_equal(buf.len, 0);
        hf_buf_release(&buf);
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
        cmocka_unit_test(what_is_no_frame_is_malformed),
        cmocka_unit_test(a_frame_nested_too_deep_is_malformed),
        cmocka_unit_test(refs_end_at_their_limit),
        cmocka_unit_test(a_reply_is_what_phoenix_sends),
        cmocka_unit_test(a_push_quotes_its_names_and_keeps_its_payload),
        cmocka_unit_test(encoding_goes_on_where_the_buffer_ends),
        cmocka_unit_test(a_frame_that_does_not_fit_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

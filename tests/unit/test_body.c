#include "channel/body.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/err.h"

static struct hf_body body;
static char bytes[4096];

static int decode(enum hf_vsn vsn, const char *text, bool ndjson)
{
    hf_body_release(&body);
    (void)snprintf(bytes, sizeof(bytes), "%s", text);
    return hf_body_decode(&body, vsn, bytes, strlen(text), ndjson);
}

static int done(void **state)
{
    (void)state;
    hf_body_release(&body);
    return 0;
}

static void assert_event(size_t n, const char *want)
{
    assert_true(n < body.count);
    assert_true(hf_str_eq(body.frames[n].event, hf_str_of(want)));
}

#define LINE(event) "[null,\"1\",\"t\",\"" event "\",{}]"

static void lines_end_in_lf_or_crlf_and_blank_ones_are_passed_over(void **state)
{
    (void)state;
    assert_int_equal(
        decode(HF_VSN_2, "\n\r\n" LINE("a") "\r\n\n" LINE("b") "\n" LINE("c"),
               true),
        0);
    assert_int_equal(body.count, 3);
    assert_event(0, "a");
    assert_event(1, "b");
    assert_event(2, "c");
    assert_int_equal(decode(HF_VSN_2, "", true), 0);
    assert_int_equal(body.count, 0);
    assert_int_equal(decode(HF_VSN_2, "\n\n", true), 0);
    assert_int_equal(body.count, 0);
}

static void a_line_of_base64_is_a_binary_frame(void **state)
{
    (void)state;
    /* recorded: binary-join, binary-push-echo */
    assert_int_equal(
        decode(HF_VSN_2,
               LINE("a") "\nAAEBBggxMXJvb206YXBoeF9qb2lueA==\n"
                         "AAEBBgQxMnJvb206YWVjaG8AAQL/\r\n" LINE("b"),
               true),
        0);
    assert_int_equal(body.count, 4);
    assert_event(1, "phx_join");
    assert_int_equal(body.frames[1].kind, HF_KIND_BINARY);
    assert_true(hf_str_eq(body.frames[1].payload.raw, HF_STR("x")));
    assert_event(2, "echo");
    assert_true(hf_str_eq(body.frames[2].ref.raw, HF_STR("\"2\"")));
    assert_true(
        hf_str_eq(body.frames[2].payload.raw, HF_STR("\x00\x01\x02\xff")));
    assert_event(3, "b");
    assert_int_equal(body.frames[3].kind, HF_KIND_JSON);
}

static void either_alphabet_and_no_padding_will_do(void **state)
{
    (void)state;
    assert_int_equal(decode(HF_VSN_2, "AAEBBgQxMnJvb206YWVjaG8AAQL_", true), 0);
    assert_event(0, "echo");
    assert_int_equal(decode(HF_VSN_2, "AAEBBggxMXJvb206YXBoeF9qb2lueA", true),
                     0);
    assert_event(0, "phx_join");
}

static void v1_objects_may_come_in_lines(void **state)
{
    static const char object[] = "{\"topic\":\"t\",\"event\":\"e\","
                                 "\"payload\":{},\"ref\":\"1\"}";

    (void)state;
    assert_int_equal(decode(HF_VSN_1, object, true), 0);
    assert_event(0, "e");
    assert_int_equal(body.frames[0].vsn, HF_VSN_1);
    assert_int_equal(decode(HF_VSN_1, object, false), 0);
    assert_event(0, "e");
    assert_int_equal(decode(HF_VSN_2, object, true), HF_EMALFORMED);
    assert_int_equal(decode(HF_VSN_1, LINE("a"), true), HF_EMALFORMED);
    assert_int_equal(decode(HF_VSN_1, "AAEBBggxMXJvb206YXBoeF9qb2lueA==", true),
                     HF_EMALFORMED);
}

static void without_ndjson_all_of_it_is_one_text(void **state)
{
    (void)state;
    assert_int_equal(decode(HF_VSN_2, "\n" LINE("a") "\n", false), 0);
    assert_int_equal(body.count, 1);
    assert_int_equal(decode(HF_VSN_2, LINE("a") "\n" LINE("b"), false),
                     HF_EMALFORMED);
    assert_int_equal(
        decode(HF_VSN_2, "AAEBBggxMXJvb206YXBoeF9qb2lueA==", false),
        HF_EMALFORMED);
    assert_int_equal(decode(HF_VSN_2, "", false), HF_EMALFORMED);
}

static void one_bad_line_is_enough(void **state)
{
    static const char *const lines[] = {
        "garbage!",
        "AAEBBggxMXJvb206YXBoeF9qb2lueA=",   /* padding that is none */
        "AAEBBggxMXJvb206YXBoeF9qb2lueA==x", /* behind it */
        "AMgBAQEB",                          /* recorded: binary-malformed */
        "AQEBAQExMjM0",                      /* recorded: binary-wrong-kind */
        "true",
        "17",
        " ",
        "{}",
        "[]",
        "=",
    };
    char text[256];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        (void)snprintf(text, sizeof(text), "AAAAAQF0ZQ==\n%s\n" LINE("b"),
                       lines[i]);
        if (decode(HF_VSN_2, text, true) != HF_EMALFORMED)
            fail_msg("%s", lines[i]);
    }
}

static void lines_are_bounded(void **state)
{
    static const char line[] = LINE("a") "\n";
    size_t len = sizeof(line) - 1, n;
    char *many = malloc((HF_POST_LINES + 1) * len);

    (void)state;
    assert_non_null(many);
    for (n = 0; n <= HF_POST_LINES; n++)
        memcpy(many + n * len, line, len);
    assert_int_equal(
        hf_body_decode(&body, HF_VSN_2, many, HF_POST_LINES * len, true), 0);
    assert_int_equal(body.count, HF_POST_LINES);
    hf_body_release(&body);
    assert_int_equal(
        hf_body_decode(&body, HF_VSN_2, many, (HF_POST_LINES + 1) * len, true),
        HF_ELIMIT);
    free(many);
}

#define TEST(name) cmocka_unit_test_teardown(name, done)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(lines_end_in_lf_or_crlf_and_blank_ones_are_passed_over),
        TEST(a_line_of_base64_is_a_binary_frame),
        TEST(either_alphabet_and_no_padding_will_do),
        TEST(v1_objects_may_come_in_lines),
        TEST(without_ndjson_all_of_it_is_one_text),
        TEST(one_bad_line_is_enough),
        TEST(lines_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

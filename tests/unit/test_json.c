#include "base/json.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* From memory that ends with the text, so that a sanitizer sees any byte read
 * behind it. */
static int read_copy(struct hf_str text, unsigned max_depth)
{
    struct hf_json out;
    char *copy = malloc(text.len ? text.len : 1);
    int err;

    assert_non_null(copy);
    if (text.len > 0)
        memcpy(copy, text.at, text.len);
    err = hf_json_read(hf_str(copy, text.len), max_depth, &out);
    free(copy);
    return err;
}

static struct hf_json read_text(const char *text)
{
    struct hf_json out;

    if (hf_json_read(hf_str_of(text), 100, &out) != 0)
        fail_msg("refused: %s", text);
    return out;
}

static void assert_raw(struct hf_json value, enum hf_json_type type,
                       const char *raw)
{
    assert_int_equal(value.type, type);
    assert_int_equal(value.raw.len, strlen(raw));
    assert_memory_equal(value.raw.at, raw, value.raw.len);
}

/* --- verdicts ------------------------------------------------------------ */

static void what_rfc_8259_allows_is_read(void **state)
{
    static const struct hf_str good[] = {
        HF_STR_INIT("null"),
        HF_STR_INIT("true"),
        HF_STR_INIT("false"),
        HF_STR_INIT("0"),
        HF_STR_INIT("-0"),
        HF_STR_INIT("-1"),
        HF_STR_INIT("10"),
        HF_STR_INIT("0.0"),
        HF_STR_INIT("-0.10e+07"),
        HF_STR_INIT("1E5"),
        HF_STR_INIT("1e-5"),
        HF_STR_INIT("1e400"),
        HF_STR_INIT("123456789012345678901234567890"),
        HF_STR_INIT("\"\""),
        HF_STR_INIT("\"12345678\""),
        HF_STR_INIT("\"a\\\"b\\\\c\\/d\\b\\f\\n\\r\\t\\u0041\\uABcd\""),
        HF_STR_INIT("\"\\u0000\""),
        HF_STR_INIT("\"\\ud83d\\ude00\""),
        HF_STR_INIT("\"\\uDBFF\\uDFFF\""),
        HF_STR_INIT("\"\\uD7FF\\uE000\\uFFFF\""),
        HF_STR_INIT("\"\x7f\""),
        HF_STR_INIT("\"\xc2\x80 \xe2\x82\xac \xf0\x9f\x98\x80\""),
        HF_STR_INIT("\"\xef\xbb\xbf\""), /* U+FEFF inside is a character */
        HF_STR_INIT("\"\xe2\x80\xa8\xe2\x80\xa9\""),
        HF_STR_INIT("[]"),
        HF_STR_INIT("{}"),
        HF_STR_INIT(" \t\r\n[ \t\r\n] \t\r\n"),
        HF_STR_INIT("{ }"),
        HF_STR_INIT("[1,[2,[3]],{\"a\":[]}]"),
        HF_STR_INIT("{\"a\":1,\"a\":2,\"\":{}}"),
        HF_STR_INIT(" { \"a\" : [ 1 , \"x\" , null ] , \"b\" : true } "),
        HF_STR_INIT("[\"]\",\"}\",\"\\\"]\"]"),
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(good); i++) {
        if (read_copy(good[i], 10) != 0)
            fail_msg("refused: %.*s", HF_STR_ARG(good[i]));
    }
}

static void all_else_is_refused(void **state)
{
    static const struct hf_str bad[] = {
        /* nothing, or too much */
        HF_STR_INIT(""),
        HF_STR_INIT(" "),
        HF_STR_INIT("1 2"),
        HF_STR_INIT("[]x"),
        HF_STR_INIT("[],"),
        HF_STR_INIT("{}{}"),
        HF_STR_INIT("null\0"),
        HF_STR_INIT("1\0"),
        HF_STR_INIT("[1]\0"),
        HF_STR_INIT("\xef\xbb\xbf[]"),
        /* words */
        HF_STR_INIT("nul"),
        HF_STR_INIT("nulll"),
        HF_STR_INIT("True"),
        HF_STR_INIT("falsey"),
        HF_STR_INIT("tru"),
        HF_STR_INIT("NaN"),
        HF_STR_INIT("Infinity"),
        HF_STR_INIT("undefined"),
        HF_STR_INIT("[truefalse]"),
        /* numbers */
        HF_STR_INIT("-"),
        HF_STR_INIT("+1"),
        HF_STR_INIT("01"),
        HF_STR_INIT("-01"),
        HF_STR_INIT("00"),
        HF_STR_INIT(".5"),
        HF_STR_INIT("1."),
        HF_STR_INIT("1.e5"),
        HF_STR_INIT("1e"),
        HF_STR_INIT("1e+"),
        HF_STR_INIT("1e1.5"),
        HF_STR_INIT("1e5e5"),
        HF_STR_INIT("0x10"),
        HF_STR_INIT("-Infinity"),
        HF_STR_INIT("--1"),
        HF_STR_INIT("1_000"),
        HF_STR_INIT("\xef\xbc\x91"), /* FULLWIDTH DIGIT ONE */
        /* strings */
        HF_STR_INIT("\""),
        HF_STR_INIT("\"a"),
        HF_STR_INIT("a\""),
        HF_STR_INIT("'a'"),
        HF_STR_INIT("\"\\"),
        HF_STR_INIT("\"\\\""),
        HF_STR_INIT("\"\\a\""),
        HF_STR_INIT("\"\\x41\""),
        HF_STR_INIT("\"\\'\""),
        HF_STR_INIT("\"\\U0041\""),
        HF_STR_INIT("\"\\u\""),
        HF_STR_INIT("\"\\u004\""),
        HF_STR_INIT("\"\\u004g\""),
        HF_STR_INIT("\"\\u 041\""),
        HF_STR_INIT("\"\\u004"),
        HF_STR_INIT("\"\n\""),
        HF_STR_INIT("\"\t\""),
        HF_STR_INIT("\"\x1f\""),
        HF_STR_INIT("\"a\0b\""),
        HF_STR_INIT("\"1234567\n12345678\""),
        /* halves of characters */
        HF_STR_INIT("\"\\ud800\""),
        HF_STR_INIT("\"\\udbff\""),
        HF_STR_INIT("\"\\udc00\""),
        HF_STR_INIT("\"\\udfff\""),
        HF_STR_INIT("\"\\ud800x\""),
        HF_STR_INIT("\"\\ud800\\n\""),
        HF_STR_INIT("\"\\ud800\\u0041\""),
        HF_STR_INIT("\"\\ud800\\ud800\""),
        HF_STR_INIT("\"\\ud800\\ue000\""),
        HF_STR_INIT("\"\\ud800\\udbff\""),
        HF_STR_INIT("\"\\ude00\\ud83d\""),
        HF_STR_INIT("\"\\udc00\\udc00\""),
        HF_STR_INIT("\"\\ud800\\"),
        HF_STR_INIT("\"\\ud800\\udc0"),
        /* encoding */
        HF_STR_INIT("\"\xff\""),
        HF_STR_INIT("\"\x80\""),
        HF_STR_INIT("\"\xc0\x80\""),
        HF_STR_INIT("\"\xed\xa0\x80\""),
        HF_STR_INIT("\"\xf4\x90\x80\x80\""),
        HF_STR_INIT("\"\xe2\x82\""),
        HF_STR_INIT("\"\xc3"),
        HF_STR_INIT("\"12345678\xc3x\""),
        HF_STR_INIT("[\xa0]"),
        HF_STR_INIT("[\xc2\xa0]"), /* no blank in JSON */
        HF_STR_INIT("[\v]"),
        HF_STR_INIT("[\f]"),
        /* arrays and objects */
        HF_STR_INIT("["),
        HF_STR_INIT("]"),
        HF_STR_INIT("[1"),
        HF_STR_INIT("[1,"),
        HF_STR_INIT("[1,]"),
        HF_STR_INIT("[,1]"),
        HF_STR_INIT("[,]"),
        HF_STR_INIT("[1,,2]"),
        HF_STR_INIT("[1 2]"),
        HF_STR_INIT("[1}"),
        HF_STR_INIT("[}"),
        HF_STR_INIT("[[]"),
        HF_STR_INIT("[1:2]"),
        HF_STR_INIT("{"),
        HF_STR_INIT("}"),
        HF_STR_INIT("{]"),
        HF_STR_INIT("{\"a\""),
        HF_STR_INIT("{\"a\"}"),
        HF_STR_INIT("{\"a\":"),
        HF_STR_INIT("{\"a\":}"),
        HF_STR_INIT("{\"a\":1"),
        HF_STR_INIT("{\"a\":1,"),
        HF_STR_INIT("{\"a\":1,}"),
        HF_STR_INIT("{\"a\":1]"),
        HF_STR_INIT("{\"a\" 1}"),
        HF_STR_INIT("{\"a\":1 \"b\":2}"),
        HF_STR_INIT("{\"a\"::1}"),
        HF_STR_INIT("{\"a\",1}"),
        HF_STR_INIT("{a:1}"),
        HF_STR_INIT("{1:1}"),
        HF_STR_INIT("{null:1}"),
        HF_STR_INIT("{[]:1}"),
        HF_STR_INIT("{,}"),
        HF_STR_INIT("{\"a\":1,,\"b\":2}"),
        HF_STR_INIT("{\"a\":[}]"),
        HF_STR_INIT("// x\n1"),
        HF_STR_INIT("/**/1"),
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(bad); i++) {
        if (read_copy(bad[i], 10) != HF_EMALFORMED)
            fail_msg("not refused (%zu): %.*s", i, HF_STR_ARG(bad[i]));
    }
}

static void every_prefix_of_a_text_is_refused(void **state)
{
    struct hf_str text = HF_STR("{\"a\":[1,-2.5e3,true,null,\"x\\n\\ud83d"
                                "\\ude00\xe2\x82\xac\"],\"b\":{\"c\":false}}");
    size_t len;

    (void)state;
    assert_int_equal(read_copy(text, 10), 0);
    for (len = 0; len < text.len; len++)
        assert_int_equal(read_copy(hf_str(text.at, len), 10), HF_EMALFORMED);
}

/* Each byte at each place of a word of eight, for the fast path. */
static void every_byte_is_judged_alike_at_every_place(void **state)
{
    unsigned byte;
    size_t place;

    (void)state;
    for (byte = 0; byte < 256; byte++) {
        bool plain = byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';

        for (place = 1; place < 25; place++) {
            char text[] = "\"aaaaaaaaaaaaaaaaaaaaaaaa\"";

            text[place] = (char)byte;
            if ((read_copy(hf_str(text, sizeof(text) - 1), 1) == 0) != plain)
                fail_msg("byte %02x at %zu", byte, place);
        }
    }
}

/* --- depth --------------------------------------------------------------- */

static void depth_counts_nested_brackets(void **state)
{
    (void)state;
    assert_int_equal(read_copy(HF_STR("1"), 0), 0);
    assert_int_equal(read_copy(HF_STR("[]"), 0), HF_ELIMIT);
    assert_int_equal(read_copy(HF_STR("[1]"), 1), 0);
    assert_int_equal(read_copy(HF_STR("[[],[],{}]"), 1), HF_ELIMIT);
    assert_int_equal(read_copy(HF_STR("[[],[],{}]"), 2), 0);
    assert_int_equal(read_copy(HF_STR("{\"a\":{\"b\":[]}}"), 2), HF_ELIMIT);
    assert_int_equal(read_copy(HF_STR("{\"a\":{\"b\":[]}}"), 3), 0);
    assert_int_equal(read_copy(HF_STR("[[1],[[2]]]"), 2), HF_ELIMIT);
    assert_int_equal(read_copy(HF_STR("\"[[[\""), 0), 0);
}

static int read_nested(size_t depth, unsigned max_depth)
{
    char *text = malloc(depth * 2);
    int err;

    assert_non_null(text);
    memset(text, '[', depth);
    memset(text + depth, ']', depth);
    err = read_copy(hf_str(text, depth * 2), max_depth);
    free(text);
    return err;
}

static void depth_is_bounded_whatever_the_caller_asks_for(void **state)
{
    (void)state;
    assert_int_equal(read_nested(128, 128), 0);
    assert_int_equal(read_nested(129, 128), HF_ELIMIT);
    assert_int_equal(read_nested(1024, UINT_MAX), 0);
    assert_int_equal(read_nested(1025, UINT_MAX), HF_ELIMIT);
    assert_int_equal(read_nested(1000000, UINT_MAX), HF_ELIMIT);
}

static void a_fault_before_the_depth_is_passed_is_a_fault(void **state)
{
    (void)state;
    assert_int_equal(read_copy(HF_STR("[x,[[]]]"), 2), HF_EMALFORMED);
    assert_int_equal(read_copy(HF_STR("{\"a\":1,}[["), 1), HF_EMALFORMED);
}

/* --- slices -------------------------------------------------------------- */

static void a_value_is_its_exact_slice(void **state)
{
    (void)state;
    assert_raw(read_text(" 1e400 "), HF_JSON_NUMBER, "1e400");
    assert_raw(read_text("-0"), HF_JSON_NUMBER, "-0");
    assert_raw(read_text("\n\"a\\u0041\"\t"), HF_JSON_STRING, "\"a\\u0041\"");
    assert_raw(read_text(" null"), HF_JSON_NULL, "null");
    assert_raw(read_text("true "), HF_JSON_TRUE, "true");
    assert_raw(read_text("false"), HF_JSON_FALSE, "false");
    assert_raw(read_text(" [ 1 , 2 ] "), HF_JSON_ARRAY, "[ 1 , 2 ]");
    assert_raw(read_text("{ }"), HF_JSON_OBJECT, "{ }");
}

static void what_fails_leaves_the_out_value_alone(void **state)
{
    struct hf_json out = {HF_JSON_TRUE, {"x", 1}};

    (void)state;
    assert_int_equal(hf_json_read(HF_STR("[1,]"), 5, &out), HF_EMALFORMED);
    assert_int_equal(hf_json_read(HF_STR("[[]]"), 1, &out), HF_ELIMIT);
    assert_raw(out, HF_JSON_TRUE, "x");
}

static void an_array_is_walked_element_by_element(void **state)
{
    struct hf_json array =
        read_text("[1 ,\"a,]\\\\\" ,\"\\\\\\\"]\", [ 2,[] ],{\"x\":\"}\"},null,"
                  "-1.5e3,true]");
    struct hf_json_walk walk;
    struct hf_json each;

    (void)state;
    hf_json_walk(array, &walk);
    assert_true(hf_json_element(&walk, &each));
    assert_raw(each, HF_JSON_NUMBER, "1");
    assert_true(hf_json_element(&walk, &each));
    assert_raw(each, HF_JSON_STRING, "\"a,]\\\\\"");
    assert_true(hf_json_element(&walk, &each));
    assert_raw(each, HF_JSON_STRING, "\"\\\\\\\"]\"");
    assert_true(hf_json_element(&walk, &each));
    assert_raw(each, HF_JSON_ARRAY, "[ 2,[] ]");
    assert_true(hf_json_element(&walk, &each));
    assert_raw(each, HF_JSON_OBJECT, "{\"x\":\"}\"}");
    assert_true(hf_json_element(&walk, &each));
    assert_raw(each, HF_JSON_NULL, "null");
    assert_true(hf_json_element(&walk, &each));
    assert_raw(each, HF_JSON_NUMBER, "-1.5e3");
    assert_true(hf_json_element(&walk, &each));
    assert_raw(each, HF_JSON_TRUE, "true");
    assert_false(hf_json_element(&walk, &each));
    assert_false(hf_json_element(&walk, &each));
}

static void an_object_is_walked_member_by_member(void **state)
{
    struct hf_json object =
        read_text("{\"a\":1,\"b\\\"\" : [ {} ] ,\n\"\":\"\\\\\"}");
    struct hf_json_walk walk;
    struct hf_json name, value;

    (void)state;
    hf_json_walk(object, &walk);
    assert_true(hf_json_member(&walk, &name, &value));
    assert_raw(name, HF_JSON_STRING, "\"a\"");
    assert_raw(value, HF_JSON_NUMBER, "1");
    assert_true(hf_json_member(&walk, &name, &value));
    assert_raw(name, HF_JSON_STRING, "\"b\\\"\"");
    assert_raw(value, HF_JSON_ARRAY, "[ {} ]");
    assert_true(hf_json_member(&walk, &name, &value));
    assert_raw(name, HF_JSON_STRING, "\"\"");
    assert_raw(value, HF_JSON_STRING, "\"\\\\\"");
    assert_false(hf_json_member(&walk, &name, &value));
}

static void empty_ones_have_nothing_to_walk(void **state)
{
    struct hf_json_walk walk;
    struct hf_json name, value;

    (void)state;
    hf_json_walk(read_text("[ \n ]"), &walk);
    assert_false(hf_json_element(&walk, &value));
    hf_json_walk(read_text("[]"), &walk);
    assert_false(hf_json_element(&walk, &value));
    hf_json_walk(read_text("{ }"), &walk);
    assert_false(hf_json_member(&walk, &name, &value));
    hf_json_walk(read_text("{}"), &walk);
    assert_false(hf_json_member(&walk, &name, &value));
}

/* --- find ---------------------------------------------------------------- */

static void assert_finds(const char *object, struct hf_str name,
                         const char *raw)
{
    struct hf_json out;

    if (!hf_json_find(read_text(object), name, &out))
        fail_msg("not found in %s", object);
    assert_int_equal(out.raw.len, strlen(raw));
    assert_memory_equal(out.raw.at, raw, out.raw.len);
}

static void a_member_is_found_by_its_unescaped_name(void **state)
{
    (void)state;
    assert_finds("{\"a\":1,\"b\":2}", HF_STR("b"), "2");
    assert_finds("{\"\":1}", HF_STR(""), "1");
    assert_finds("{\"\\u0061b\":1}", HF_STR("ab"), "1");
    assert_finds("{\"a\\n\\\"b\":1}", HF_STR("a\n\"b"), "1");
    assert_finds("{\"\\u0000\":1}", HF_STR("\0"), "1");
    assert_finds("{\"\\u20ac\":1}", HF_STR("\xe2\x82\xac"), "1");
    assert_finds("{\"\\ud83d\\uDE00!\":1}", HF_STR("\xf0\x9f\x98\x80!"), "1");
    assert_finds("{\"\xc3\xa4\":1}", HF_STR("\xc3\xa4"), "1");
}

static void of_two_members_the_last_one_counts(void **state)
{
    (void)state;
    assert_finds("{\"a\":1,\"b\":2,\"\\u0061\":3}", HF_STR("a"), "3");
}

static void what_only_resembles_the_name_is_not_found(void **state)
{
    struct hf_json object = read_text(
        "{\"ab\":1,\"\":2,\"A\":3,\"a\\u0000\":4,\"x\":{\"a\":5},\"y\":\"a\"}");
    struct hf_json out = {HF_JSON_NULL, {NULL, 0}};

    (void)state;
    assert_false(hf_json_find(object, HF_STR("a"), &out));
    assert_false(hf_json_find(object, HF_STR("abc"), &out));
    assert_null(out.raw.at);
}

static void only_objects_have_members(void **state)
{
    struct hf_json out;

    (void)state;
    assert_false(hf_json_find(read_text("[\"a\",1]"), HF_STR("a"), &out));
    assert_false(hf_json_find(read_text("\"a\""), HF_STR("a"), &out));
    assert_false(hf_json_find(read_text("null"), HF_STR("a"), &out));
    assert_false(hf_json_find(read_text("{}"), HF_STR("a"), &out));
}

/* --- strings ------------------------------------------------------------- */

static void assert_unescapes(const char *text, struct hf_str expected)
{
    struct hf_json value = read_text(text);
    char out[64];
    size_t len = 99;

    assert_int_equal(hf_json_unescape(value, out, value.raw.len - 2, &len), 0);
    assert_int_equal(len, expected.len);
    assert_memory_equal(out, expected.at, len);
}

static void strings_are_unescaped(void **state)
{
    (void)state;
    assert_unescapes("\"\"", HF_STR(""));
    assert_unescapes("\"plain\"", HF_STR("plain"));
    assert_unescapes("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
                     HF_STR("\"\\/\b\f\n\r\t"));
    assert_unescapes("\"\\u0000\\u007f\"", HF_STR("\0\x7f"));
    assert_unescapes("\"\\u0080\\u07FF\"", HF_STR("\xc2\x80\xdf\xbf"));
    assert_unescapes("\"\\u0800\\uffff\"", HF_STR("\xe0\xa0\x80\xef\xbf\xbf"));
    assert_unescapes("\"\\uD800\\uDC00\"", HF_STR("\xf0\x90\x80\x80"));
    assert_unescapes("\"\\udbff\\udfffx\"", HF_STR("\xf4\x8f\xbf\xbfx"));
    assert_unescapes("\"a\\nb\xc3\xa4\"", HF_STR("a\nb\xc3\xa4"));
}

static void what_does_not_fit_is_not_unescaped(void **state)
{
    char out[4] = "___";
    size_t len = 99;

    (void)state;
    assert_int_equal(hf_json_unescape(read_text("\"abc\""), out, 3, &len), 0);
    assert_int_equal(len, 3);
    len = 99;
    assert_int_equal(hf_json_unescape(read_text("\"abcd\""), out, 3, &len),
                     HF_ELIMIT);
    assert_int_equal(hf_json_unescape(read_text("\"ab\\u20ac\""), out, 3, &len),
                     HF_ELIMIT);
    assert_int_equal(out[3], '\0');
    assert_int_equal(len, 99);
    assert_int_equal(hf_json_unescape(read_text("\"a\""), NULL, 0, &len),
                     HF_ELIMIT);
    assert_int_equal(hf_json_unescape(read_text("\"\""), NULL, 0, &len), 0);
    assert_int_equal(len, 0);
}

static void only_strings_are_unescaped(void **state)
{
    char out[8];
    size_t len;

    (void)state;
    assert_int_equal(hf_json_unescape(read_text("12"), out, 8, &len),
                     HF_EINVAL);
    assert_int_equal(hf_json_unescape(read_text("[\"\"]"), out, 8, &len),
                     HF_EINVAL);
}

static void integers_have_a_value_up_to_2_to_the_63(void **state)
{
    static const char *const bad[] = {
        "-1",   "-0",    "1.0", "1e3", "9223372036854775808",
        "null", "\"1\"", "[1]", "0.5", "92233720368547758070"};
    long long n = 99;
    size_t i;

    (void)state;
    assert_int_equal(hf_json_integer(read_text("0"), &n), 0);
    assert_true(n == 0);
    assert_int_equal(hf_json_integer(read_text("9007199254740993"), &n), 0);
    assert_true(n == 9007199254740993LL);
    assert_int_equal(hf_json_integer(read_text("9223372036854775807"), &n), 0);
    assert_true(n == LLONG_MAX);
    for (i = 0; i < COUNT(bad); i++) {
        if (hf_json_integer(read_text(bad[i]), &n) != HF_EINVAL)
            fail_msg("accepted: %s", bad[i]);
    }
    assert_true(n == LLONG_MAX);
}

/* --- writing ------------------------------------------------------------- */

static void quoting_escapes_what_it_must_and_nothing_else(void **state)
{
    struct hf_buf buf;
    struct hf_str expected =
        HF_STR("\"a/b<\\\"\\\\\\b\\t\\n\\f\\r\\u0000\\u001f\x7f\xc3\xa4"
               "\xe2\x80\xa8\"");

    (void)state;
    hf_buf_init(&buf, 1000);
    assert_int_equal(hf_json_quote(&buf, HF_STR("a/b<\"\\\b\t\n\f\r\0\x1f\x7f"
                                                "\xc3\xa4\xe2\x80\xa8")),
                     0);
    assert_true(hf_str_eq(hf_buf_str(&buf), expected));
    hf_buf_reset(&buf);
    assert_int_equal(hf_json_quote(&buf, hf_str(NULL, 0)), 0);
    assert_true(hf_str_eq(hf_buf_str(&buf), HF_STR("\"\"")));
    hf_buf_release(&buf);
}

static void what_is_quoted_reads_back_the_same(void **state)
{
    char bytes[128], back[128];
    struct hf_json value;
    struct hf_buf buf;
    size_t i, len;

    (void)state;
    for (i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)i;
    hf_buf_init(&buf, 1000);
    assert_int_equal(hf_json_quote(&buf, hf_str(bytes, sizeof(bytes))), 0);
    assert_int_equal(hf_json_read(hf_buf_str(&buf), 0, &value), 0);
    assert_int_equal(hf_json_unescape(value, back, sizeof(back), &len), 0);
    assert_int_equal(len, sizeof(bytes));
    assert_memory_equal(back, bytes, len);
    hf_buf_release(&buf);
}

static void a_quotation_that_does_not_fit_adds_nothing(void **state)
{
    struct hf_str text = HF_STR("ab\ncd"); /* "ab\\ncd" with quotes: 8 bytes */
    struct hf_buf buf;
    size_t max;

    (void)state;
    for (max = 1; max < 9; max++) {
        hf_buf_init(&buf, max);
        assert_int_equal(hf_buf_add_byte(&buf, '['), 0);
        assert_int_equal(hf_json_quote(&buf, text), HF_ELIMIT);
        assert_true(hf_str_eq(hf_buf_str(&buf), HF_STR("[")));
        assert_int_equal(hf_buf_error(&buf), HF_ELIMIT);
        hf_buf_release(&buf);
    }
    hf_buf_init(&buf, 8);
    assert_int_equal(hf_json_quote(&buf, text), 0);
    hf_buf_release(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_rfc_8259_allows_is_read),
        cmocka_unit_test(all_else_is_refused),
        cmocka_unit_test(every_prefix_of_a_text_is_refused),
        cmocka_unit_test(every_byte_is_judged_alike_at_every_place),
        cmocka_unit_test(depth_counts_nested_brackets),
        cmocka_unit_test(depth_is_bounded_whatever_the_caller_asks_for),
        cmocka_unit_test(a_fault_before_the_depth_is_passed_is_a_fault),
        cmocka_unit_test(a_value_is_its_exact_slice),
        cmocka_unit_test(what_fails_leaves_the_out_value_alone),
        cmocka_unit_test(an_array_is_walked_element_by_element),
        cmocka_unit_test(an_object_is_walked_member_by_member),
        cmocka_unit_test(empty_ones_have_nothing_to_walk),
        cmocka_unit_test(a_member_is_found_by_its_unescaped_name),
        cmocka_unit_test(of_two_members_the_last_one_counts),
        cmocka_unit_test(what_only_resembles_the_name_is_not_found),
        cmocka_unit_test(only_objects_have_members),
        cmocka_unit_test(strings_are_unescaped),
        cmocka_unit_test(what_does_not_fit_is_not_unescaped),
        cmocka_unit_test(only_strings_are_unescaped),
        cmocka_unit_test(integers_have_a_value_up_to_2_to_the_63),
        cmocka_unit_test(quoting_escapes_what_it_must_and_nothing_else),
        cmocka_unit_test(what_is_quoted_reads_back_the_same),
        cmocka_unit_test(a_quotation_that_does_not_fit_adds_nothing),
    };

    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}

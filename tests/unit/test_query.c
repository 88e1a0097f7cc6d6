#include "base/query.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/err.h"

static void expect_pair(struct hf_str *rest, const char *name,
                        const char *value)
{
    struct hf_str n, v;

    assert_true(hf_query_next(rest, &n, &v));
    assert_true(hf_str_eq(n, hf_str_of(name)));
    assert_true(hf_str_eq(v, hf_str_of(value)));
}

static void expect_end(struct hf_str *rest)
{
    struct hf_str n, v;

    assert_false(hf_query_next(rest, &n, &v));
    assert_false(hf_query_next(rest, &n, &v));
}

static void pairs_come_in_order_and_encoded(void **state)
{
    struct hf_str rest = HF_STR("a=1&b=%20+&c");

    (void)state;
    expect_pair(&rest, "a", "1");
    expect_pair(&rest, "b", "%20+");
    expect_pair(&rest, "c", "");
    expect_end(&rest);
}

static void empty_pairs_are_passed_over(void **state)
{
    struct hf_str rest = HF_STR("&&a=1&&&b=2&");

    (void)state;
    expect_pair(&rest, "a", "1");
    expect_pair(&rest, "b", "2");
    expect_end(&rest);
}

static void the_empty_query_has_no_pair(void **state)
{
    struct hf_str empty = HF_STR(""), none = {NULL, 0}, only = HF_STR("&&");

    (void)state;
    expect_end(&empty);
    expect_end(&none);
    expect_end(&only);
}

static void only_the_first_equals_sign_divides(void **state)
{
    struct hf_str rest = HF_STR("a=b=c&==&=x&d=");

    (void)state;
    expect_pair(&rest, "a", "b=c");
    expect_pair(&rest, "", "=");
    expect_pair(&rest, "", "x");
    expect_pair(&rest, "d", "");
    expect_end(&rest);
}

static void expect_decoded(struct hf_str text, struct hf_str expected)
{
    char out[64];
    size_t len = 99;

    assert_int_equal(hf_query_decode(text, out, sizeof(out), &len), 0);
    assert_int_equal(len, expected.len);
    assert_memory_equal(out, expected.at, len);
}

static void escapes_and_plus_are_decoded(void **state)
{
    (void)state;
    expect_decoded(HF_STR(""), HF_STR(""));
    expect_decoded(HF_STR("a+b%20c"), HF_STR("a b c"));
    expect_decoded(HF_STR("%2B%2b"), HF_STR("++"));
    expect_decoded(HF_STR("%00%ff%FF"), HF_STR("\0\xff\xff"));
    expect_decoded(HF_STR("%2520"), HF_STR("%20"));
    expect_decoded(HF_STR("\xc3\xa4"), HF_STR("\xc3\xa4"));
}

static void bad_escapes_are_refused(void **state)
{
    static const char *const bad[] = {"%",   "a%",  "%2",  "%%20",
                                      "%g0", "%0g", "% 1", "%+1"};
    char out[64];
    size_t i, len = 99;

    (void)state;
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(
            hf_query_decode(hf_str_of(bad[i]), out, sizeof(out), &len),
            HF_EMALFORMED);
    /* What stands behind the text is not a part of it. */
    assert_int_equal(hf_query_decode(hf_str("%2f", 2), out, 64, &len),
                     HF_EMALFORMED);
    assert_int_equal(len, 99);
}

static void what_does_not_fit_is_refused(void **state)
{
    char out[4] = "...";
    size_t len = 99;

    (void)state;
    assert_int_equal(hf_query_decode(HF_STR("%61bc"), out, 3, &len), 0);
    assert_int_equal(len, 3);
    assert_int_equal(hf_query_decode(HF_STR("abcd"), out, 3, &len), HF_ELIMIT);
    assert_int_equal(out[3], '\0');
    assert_int_equal(hf_query_decode(HF_STR("a"), NULL, 0, &len), HF_ELIMIT);
    assert_int_equal(hf_query_decode(HF_STR(""), NULL, 0, &len), 0);
    assert_int_equal(len, 0);
}

static int get(const char *query, const char *name, char out[16])
{
    size_t len;
    int err = hf_query_get(hf_str_of(query), hf_str_of(name), out, 15, &len);

    out[err ? 0 : len] = '\0';
    return err;
}

static void a_value_is_found_by_its_decoded_name(void **state)
{
    char out[16];

    (void)state;
    assert_int_equal(get("vsn=2.0.0&token=a%2Bb", "token", out), 0);
    assert_string_equal(out, "a+b");
    assert_int_equal(get("to%6ben=x", "token", out), 0);
    assert_string_equal(out, "x");
    assert_int_equal(get("a+b=1", "a b", out), 0);
    assert_string_equal(out, "1");
    assert_int_equal(get("token", "token", out), 0);
    assert_string_equal(out, "");
}

static void a_name_is_not_found_by_a_part_of_it(void **state)
{
    char out[16];

    (void)state;
    assert_int_equal(get("tokens=1&toke=2&Token=3", "token", out),
                     HF_ENOTFOUND);
    assert_int_equal(get("", "token", out), HF_ENOTFOUND);
    assert_int_equal(get("a=token", "token", out), HF_ENOTFOUND);
}

static void of_two_values_the_last_one_counts(void **state)
{
    char out[16];

    (void)state;
    assert_int_equal(get("a=%&a=1&b=2&a=3", "a", out), 0);
    assert_string_equal(out, "3");
    assert_int_equal(get("a=1&a=%", "a", out), HF_EMALFORMED);
}

static void a_bad_escape_elsewhere_does_not_matter(void **state)
{
    char out[16];

    (void)state;
    assert_int_equal(get("%=1&x=%zz&a=2&a%=3", "a", out), 0);
    assert_string_equal(out, "2");
}

static void a_value_too_long_is_refused(void **state)
{
    char out[16];

    (void)state;
    assert_int_equal(get("a=123456789012345", "a", out), 0);
    assert_int_equal(get("a=1234567890123456", "a", out), HF_ELIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_come_in_order_and_encoded),
        cmocka_unit_test(empty_pairs_are_passed_over),
        cmocka_unit_test(the_empty_query_has_no_pair),
        cmocka_unit_test(only_the_first_equals_sign_divides),
        cmocka_unit_test(escapes_and_plus_are_decoded),
        cmocka_unit_test(bad_escapes_are_refused),
        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(a_value_is_found_by_its_decoded_name),
        cmocka_unit_test(a_name_is_not_found_by_a_part_of_it),
        cmocka_unit_test(of_two_values_the_last_one_counts),
        cmocka_unit_test(a_bad_escape_elsewhere_does_not_matter),
        cmocka_unit_test(a_value_too_long_is_refused),
    };

    return cmocka_run_group_tests_name("query", tests, NULL, NULL);
}

#include "gateway/fcgi_record.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>

#include "base/err.h"
#include "tests/unit/fcgi_bytes.h"

static struct hf_buf bytes, params;

static int set_up(void **state)
{
    (void)state;
    hf_buf_init(&bytes, 1u << 20);
    hf_buf_init(&params, 1u << 20);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    hf_buf_release(&bytes);
    hf_buf_release(&params);
    return 0;
}

/* --- reading ------------------------------------------------------------- */

/* All of `bytes` in one piece; it must be used up. */
static int walk_all(struct hf_fcgi_walk *walk)
{
    size_t used = 0;
    int seen;

    *walk = (struct hf_fcgi_walk){0};
    seen = hf_fcgi_walk(walk, hf_buf_str(&bytes), &used);
    if (seen >= 0)
        assert_int_equal(used, bytes.len);
    return seen;
}

static void expect_wrong(const char *why)
{
    struct hf_fcgi_walk walk;

    assert_int_equal(walk_all(&walk), HF_EMALFORMED);
    assert_string_equal(walk.wrong, why);
}

static void add_usual_params(void)
{
    char long_value[300];

    memset(long_value, 'x', sizeof(long_value));
    add_param(&params, "REQUEST_METHOD", HF_STR("POST"));
    add_param(&params, "HTTP_COOKIE", hf_str(long_value, sizeof(long_value)));
    add_param(&params, "EMPTY", HF_STR(""));
}

static void a_whole_request_is_seen(void **state)
{
    struct hf_fcgi_walk walk;

    (void)state;
    add_usual_params();
    add_request(&bytes, 0x1234, true, hf_buf_str(&params), HF_STR("hello"));
    assert_int_equal(walk_all(&walk), HF_FCGI_REQUEST);
    assert_int_equal(walk.id, 0x1234);
    assert_true(walk.keep);
    assert_false(walk.params_large);
    assert_int_equal(walk.params, params.len);
    assert_int_equal(walk.body, 5);
}

static void it_is_not_kept_unless_the_server_says_so(void **state)
{
    struct hf_fcgi_walk walk;

    (void)state;
    add_request(&bytes, 1, false, hf_buf_str(&params), HF_STR(""));
    assert_int_equal(walk_all(&walk), HF_FCGI_REQUEST);
    assert_false(walk.keep);
}

static void padding_is_passed_over(void **state)
{
    struct hf_fcgi_walk walk;

    (void)state;
    add_usual_params();
    add_begin(&bytes, 1, 1, false);
    add_padded(&bytes, FCGI_PARAMS, 1, hf_buf_str(&params), 255);
    add_record(&bytes, FCGI_PARAMS, 1, HF_STR(""));
    add_padded(&bytes, FCGI_STDIN, 1, HF_STR("abc"), 5);
    add_padded(&bytes, FCGI_STDIN, 1, HF_STR(""), 1);
    assert_int_equal(walk_all(&walk), HF_FCGI_REQUEST);
    assert_int_equal(walk.params, params.len);
    assert_int_equal(walk.body, 3);
}

static void byte_by_byte_it_ends_at_the_same_byte(void **state)
{
    struct hf_fcgi_walk walk = {0};
    size_t i, used, end;

    (void)state;
    add_usual_params();
    add_begin(&bytes, 1, 1, false);
    add_stream(&bytes, FCGI_PARAMS, 1, hf_buf_str(&params), 3);
    add_stream(&bytes, FCGI_STDIN, 1, HF_STR("hello"), 2);
    end = bytes.len;
    add_bytes(&bytes, HF_STR("behind it"));
    for (i = 0; i + 1 < end; i++) {
        assert_int_equal(hf_fcgi_walk(&walk, hf_str(bytes.at + i, 1), &used),
                         HF_FCGI_MORE);
        assert_int_equal(used, 1);
    }
    assert_int_equal(
        hf_fcgi_walk(&walk, hf_str(bytes.at + i, bytes.len - i), &used),
        HF_FCGI_REQUEST);
    assert_int_equal(used, 1);
    assert_int_equal(walk.params, params.len);
    assert_int_equal(walk.body, 5);
}

static void what_follows_is_not_used(void **state)
{
    struct hf_fcgi_walk walk = {0};
    size_t used, end;

    (void)state;
    add_request(&bytes, 1, true, hf_buf_str(&params), HF_STR(""));
    end = bytes.len;
    add_request(&bytes, 2, true, hf_buf_str(&params), HF_STR(""));
    assert_int_equal(hf_fcgi_walk(&walk, hf_buf_str(&bytes), &used),
                     HF_FCGI_REQUEST);
    assert_int_equal(used, end);
}

static void the_abort_of_a_request_is_seen(void **state)
{
    struct hf_fcgi_walk walk;

    (void)state;
    add_begin(&bytes, 7, 1, true);
    add_record(&bytes, FCGI_PARAMS, 7, HF_STR("\1\1ab"));
    add_record(&bytes, FCGI_ABORT_REQUEST, 7, HF_STR(""));
    assert_int_equal(walk_all(&walk), HF_FCGI_ABORT);
    assert_true(hf_fcgi_is_abort(hf_str(bytes.at + bytes.len - 8, 8), 7));
    assert_false(hf_fcgi_is_abort(hf_str(bytes.at + bytes.len - 8, 8), 8));
    assert_false(hf_fcgi_is_abort(hf_str(bytes.at + bytes.len - 8, 7), 7));
    assert_false(hf_fcgi_is_abort(hf_buf_str(&bytes), 7));
}

static void management_records_come_before_a_request(void **state)
{
    struct hf_fcgi_walk walk = {0};
    size_t used, end;

    (void)state;
    add_padded(&bytes, FCGI_GET_VALUES, 0, HF_STR("\1\0a"), 5);
    end = bytes.len;
    add_request(&bytes, 1, true, hf_buf_str(&params), HF_STR(""));
    assert_int_equal(hf_fcgi_walk(&walk, hf_buf_str(&bytes), &used),
                     HF_FCGI_MANAGEMENT);
    assert_int_equal(used, end);
    assert_int_equal(
        hf_fcgi_walk(&walk, hf_str_from(hf_buf_str(&bytes), end), &used),
        HF_FCGI_REQUEST);
}

/* --- parameters ---------------------------------------------------------- */

/* One parameter whose lengths are given as four bytes each. */
static void add_claim(uint32_t name_len, uint32_t value_len)
{
    const char claim[8] = {
        (char)(name_len >> 24 | 0x80),  (char)(name_len >> 16),
        (char)(name_len >> 8),          (char)name_len,
        (char)(value_len >> 24 | 0x80), (char)(value_len >> 16),
        (char)(value_len >> 8),         (char)value_len};

    add_bytes(&params, hf_str(claim, sizeof(claim)));
}

static bool claim_is_large(uint32_t name_len, uint32_t value_len)
{
    struct hf_fcgi_walk walk;

    hf_buf_reset(&bytes);
    hf_buf_reset(&params);
    add_claim(name_len, value_len);
    add_begin(&bytes, 1, 1, false);
    add_record(&bytes, FCGI_PARAMS, 1, hf_buf_str(&params));
    assert_int_equal(walk_all(&walk), HF_FCGI_MORE);
    return walk.params_large;
}

static void lengths_are_judged_by_their_sum(void **state)
{
    const uint32_t half = HF_FCGI_PARAMS_MAX / 2;

    (void)state;
    assert_false(claim_is_large(half, half));
    assert_false(claim_is_large(0, HF_FCGI_PARAMS_MAX));
    assert_true(claim_is_large(half, half + 1));
    assert_true(claim_is_large(HF_FCGI_PARAMS_MAX + 1, 0));
    /* CVE-2025-23016, and what is left of it in Debian 12 */
    assert_true(claim_is_large(0x7fffffff, 0x7fffffff));
    assert_true(claim_is_large(0x40000000, 0x3ffffffe));
    assert_true(claim_is_large(0x7fffffff, 0));
    assert_true(claim_is_large(0, 0x7fffffff));
}

static void the_end_of_a_large_request_is_found(void **state)
{
    static char value[HF_FCGI_PARAMS_MAX];
    struct hf_fcgi_walk walk;

    (void)state;
    add_param(&params, "A", hf_str(value, sizeof(value) / 2));
    add_param(&params, "B", hf_str(value, sizeof(value) / 2));
    add_request(&bytes, 1, false, hf_buf_str(&params), HF_STR("x"));
    assert_int_equal(walk_all(&walk), HF_FCGI_REQUEST);
    assert_true(walk.params_large);
    assert_int_equal(walk.body, 1);
}

static void parameters_up_to_the_limit_are_passed(void **state)
{
    static char value[HF_FCGI_PARAMS_MAX];
    struct hf_fcgi_walk walk;

    (void)state;
    add_param(&params, "A", hf_str(value, sizeof(value) - 6));
    assert_int_equal(params.len, HF_FCGI_PARAMS_MAX);
    add_request(&bytes, 1, false, hf_buf_str(&params), HF_STR(""));
    assert_int_equal(walk_all(&walk), HF_FCGI_REQUEST);
    assert_false(walk.params_large);
}

static void parameters_cut_short_are_refused(void **state)
{
    size_t len, whole;

    (void)state;
    add_param(&params, "AB", HF_STR("cd"));
    add_claim(1, 2);
    add_bytes(&params, HF_STR("xyz"));
    whole = 6; /* behind the first parameter it may end as well */
    for (len = 1; len < params.len; len++) {
        hf_buf_reset(&bytes);
        add_request(&bytes, 1, false, hf_str(params.at, len), HF_STR(""));
        if (len == whole) {
            struct hf_fcgi_walk walk;

            assert_int_equal(walk_all(&walk), HF_FCGI_REQUEST);
        } else {
            expect_wrong("parameters cut short");
        }
    }
}

/* --- what is refused ----------------------------------------------------- */

static void another_version_is_refused(void **state)
{
    (void)state;
    add_begin(&bytes, 1, 1, false);
    bytes.at[0] = 2;
    expect_wrong("version");
}

static void another_role_is_refused(void **state)
{
    int role;

    (void)state;
    for (role = 0; role < 5; role++) {
        if (role == 1)
            continue;
        hf_buf_reset(&bytes);
        add_begin(&bytes, 1, role, false);
        expect_wrong("role");
    }
}

static void a_begin_of_another_length_is_refused(void **state)
{
    (void)state;
    add_record(&bytes, FCGI_BEGIN_REQUEST, 1, HF_STR("\0\1\0\0\0\0\0"));
    expect_wrong("length of begin");
    hf_buf_reset(&bytes);
    add_record(&bytes, FCGI_BEGIN_REQUEST, 1, HF_STR("\0\1\0\0\0\0\0\0\0"));
    expect_wrong("length of begin");
}

static void a_second_request_is_refused(void **state)
{
    (void)state;
    add_begin(&bytes, 1, 1, false);
    add_begin(&bytes, 2, 1, false);
    expect_wrong("a second request");

    hf_buf_reset(&bytes);
    add_begin(&bytes, 1, 1, false);
    add_record(&bytes, FCGI_PARAMS, 1, HF_STR(""));
    add_record(&bytes, FCGI_STDIN, 257, HF_STR("x"));
    expect_wrong("a second request");

    hf_buf_reset(&bytes);
    add_begin(&bytes, 1, 1, false);
    add_record(&bytes, FCGI_GET_VALUES, 0, HF_STR(""));
    expect_wrong("a second request");
}

static void records_in_another_order_are_refused(void **state)
{
    (void)state;
    add_record(&bytes, FCGI_PARAMS, 1, HF_STR(""));
    expect_wrong("no request begun");

    hf_buf_reset(&bytes);
    add_record(&bytes, FCGI_ABORT_REQUEST, 1, HF_STR(""));
    expect_wrong("no request begun");

    hf_buf_reset(&bytes);
    add_begin(&bytes, 1, 1, false);
    add_record(&bytes, FCGI_STDIN, 1, HF_STR(""));
    expect_wrong("order of records");

    hf_buf_reset(&bytes);
    add_begin(&bytes, 1, 1, false);
    add_begin(&bytes, 1, 1, false);
    expect_wrong("order of records");

    hf_buf_reset(&bytes);
    add_begin(&bytes, 1, 1, false);
    add_record(&bytes, FCGI_PARAMS, 1, HF_STR(""));
    add_record(&bytes, FCGI_PARAMS, 1, HF_STR(""));
    expect_wrong("order of records");
}

static void padding_that_libfcgi_trips_over_is_refused(void **state)
{
    (void)state;
    add_begin(&bytes, 1, 1, false);
    add_padded(&bytes, FCGI_PARAMS, 1, HF_STR(""), 8);
    expect_wrong("padding behind the end of parameters");

    hf_buf_reset(&bytes);
    add_padded(&bytes, FCGI_BEGIN_REQUEST, 1, HF_STR("\0\1\0\0\0\0\0\0"), 1);
    expect_wrong("length of begin");
}

static void a_long_management_record_is_refused(void **state)
{
    static char content[HF_FCGI_MANAGEMENT_MAX + 1];
    struct hf_fcgi_walk walk;

    (void)state;
    add_record(&bytes, 99, 0, hf_str(content, HF_FCGI_MANAGEMENT_MAX));
    assert_int_equal(walk_all(&walk), HF_FCGI_MANAGEMENT);
    hf_buf_reset(&bytes);
    add_record(&bytes, 99, 0, hf_str(content, HF_FCGI_MANAGEMENT_MAX + 1));
    expect_wrong("management record too long");
}

/* --- answering ----------------------------------------------------------- */

static void expect_bytes(const struct hf_buf *expected)
{
    assert_int_equal(bytes.len, expected->len);
    assert_memory_equal(bytes.at, expected->at, expected->len);
}

static void an_answer_is_its_output_and_an_end(void **state)
{
    struct hf_buf *expected = &params;

    (void)state;
    assert_int_equal(
        hf_fcgi_answer(&bytes, 0x0102, HF_STR("head"), HF_STR("body")), 0);
    add_record(expected, FCGI_STDOUT, 0x0102, HF_STR("head"));
    add_record(expected, FCGI_STDOUT, 0x0102, HF_STR("body"));
    add_record(expected, FCGI_STDOUT, 0x0102, HF_STR(""));
    add_record(expected, FCGI_END_REQUEST, 0x0102, HF_STR("\0\0\0\0\0\0\0\0"));
    expect_bytes(expected);
}

static void a_long_answer_takes_several_records(void **state)
{
    static char body[200000];
    struct hf_str left;
    size_t at, total = 0;

    (void)state;
    for (at = 0; at < sizeof(body); at++)
        body[at] = (char)(at * 7 % 251);
    assert_int_equal(
        hf_fcgi_answer(&bytes, 1, HF_STR(""), hf_str(body, sizeof(body))), 0);
    left = hf_buf_str(&bytes);
    while (total < sizeof(body)) {
        const unsigned char *header = (const unsigned char *)left.at;
        size_t len = (size_t)header[4] << 8 | header[5];

        assert_int_equal(header[1], FCGI_STDOUT);
        assert_true(len > 0 && len <= sizeof(body) - total);
        assert_memory_equal(left.at + 8, body + total, len);
        total += len;
        left = hf_str_from(left, 8 + len);
    }
    assert_int_equal(left.len, 24); /* empty output, end */
}

static void an_answer_that_does_not_fit_is_an_error(void **state)
{
    struct hf_buf small;

    (void)state;
    hf_buf_init(&small, 40);
    assert_int_equal(hf_fcgi_answer(&small, 1, HF_STR("head"), HF_STR("b")),
                     HF_ELIMIT);
    hf_buf_release(&small);
}

static void a_request_can_end_without_an_answer(void **state)
{
    (void)state;
    assert_int_equal(hf_fcgi_end(&bytes, 3), 0);
    add_record(&params, FCGI_END_REQUEST, 3, HF_STR("\0\0\0\0\0\0\0\0"));
    expect_bytes(&params);
}

static void values_asked_for_are_answered(void **state)
{
    struct hf_buf asked;

    (void)state;
    hf_buf_init(&asked, 1000);
    add_record(&asked, FCGI_GET_VALUES, 0,
               HF_STR("\x0e\0"
                      "FCGI_MAX_CONNS"
                      "\x0f\0"
                      "FCGI_MPXS_CONNS"));
    assert_int_equal(hf_fcgi_management(&bytes, hf_buf_str(&asked)), 0);
    add_record(&params, FCGI_GET_VALUES_RESULT, 0,
               HF_STR("\x0f\1"
                      "FCGI_MPXS_CONNS"
                      "0"));
    expect_bytes(&params);

    hf_buf_reset(&asked);
    hf_buf_reset(&bytes);
    hf_buf_reset(&params);
    add_record(&asked, FCGI_GET_VALUES, 0,
               HF_STR("\x0e\0"
                      "FCGI_MAX_CONNS"));
    assert_int_equal(hf_fcgi_management(&bytes, hf_buf_str(&asked)), 0);
    add_record(&params, FCGI_GET_VALUES_RESULT, 0, HF_STR(""));
    expect_bytes(&params);
    hf_buf_release(&asked);
}

/* In memory of exactly their length, for the sanitizer to guard. */
static void values_cut_short_are_not_read_past(void **state)
{
    static const struct hf_str cuts[] = {
        HF_STR_INIT("\x0f"),           HF_STR_INIT("\x0f\0FCGI"),
        HF_STR_INIT("\x8f\0\0"),       HF_STR_INIT("\xff\xff\xff\xff\1x"),
        HF_STR_INIT("\1\xff\xff\xff"), HF_STR_INIT("\1\1x"),
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
        struct hf_buf asked;
        char *exact = malloc(8 + cuts[i].len);

        assert_non_null(exact);
        hf_buf_init(&asked, 1000);
        add_record(&asked, FCGI_GET_VALUES, 0, cuts[i]);
        memcpy(exact, asked.at, asked.len);
        hf_buf_reset(&bytes);
        assert_int_equal(hf_fcgi_management(&bytes, hf_str(exact, asked.len)),
                         0);
        assert_int_equal(bytes.len, 8);
        hf_buf_release(&asked);
        free(exact);
    }
}

static void an_unknown_management_record_is_answered_so(void **state)
{
    struct hf_buf asked;

    (void)state;
    hf_buf_init(&asked, 1000);
    add_record(&asked, 77, 0, HF_STR("whatever"));
    assert_int_equal(hf_fcgi_management(&bytes, hf_buf_str(&asked)), 0);
    add_record(&params, FCGI_UNKNOWN_TYPE, 0, HF_STR("\x4d\0\0\0\0\0\0\0"));
    expect_bytes(&params);
    hf_buf_release(&asked);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_whole_request_is_seen),
        TEST(it_is_not_kept_unless_the_server_says_so),
        TEST(padding_is_passed_over),
        TEST(byte_by_byte_it_ends_at_the_same_byte),
        TEST(what_follows_is_not_used),
        TEST(the_abort_of_a_request_is_seen),
        TEST(management_records_come_before_a_request),
        TEST(lengths_are_judged_by_their_sum),
        TEST(the_end_of_a_large_request_is_found),
        TEST(parameters_up_to_the_limit_are_passed),
        TEST(parameters_cut_short_are_refused),
        TEST(another_version_is_refused),
        TEST(another_role_is_refused),
        TEST(a_begin_of_another_length_is_refused),
        TEST(a_second_request_is_refused),
        TEST(records_in_another_order_are_refused),
        TEST(padding_that_libfcgi_trips_over_is_refused),
        TEST(a_long_management_record_is_refused),
        TEST(an_answer_is_its_output_and_an_end),
        TEST(a_long_answer_takes_several_records),
        TEST(an_answer_that_does_not_fit_is_an_error),
        TEST(a_request_can_end_without_an_answer),
        TEST(values_asked_for_are_answered),
        TEST(values_cut_short_are_not_read_past),
        TEST(an_unknown_management_record_is_answered_so),
    };

    return cmocka_run_group_tests_name("fcgi_record", tests, NULL, NULL);
}

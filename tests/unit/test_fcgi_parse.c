/* What hf_fcgi_parse takes for granted about libfcgi: should a new version of
 * it behave otherwise, these tests say so. */
#include "gateway/fcgi_parse.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "gateway/fcgi_record.h"
#include "tests/unit/fcgi_bytes.h"

#define BODY_MAX 8000000u /* the default of settings.max_body */

static struct hf_fcgi_parser parser;
static struct hf_buf bytes, params;

static int set_up(void **state)
{
    (void)state;
    hf_buf_init(&bytes, 16u << 20);
    hf_buf_init(&params, 1u << 20);
    return hf_fcgi_parser_open(&parser);
}

static int tear_down(void **state)
{
    (void)state;
    hf_fcgi_parser_close(&parser);
    hf_buf_release(&bytes);
    hf_buf_release(&params);
    return 0;
}

static int count_descriptors(void)
{
    int fd, count = 0;

    for (fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static const char *value_of(const struct hf_fcgi_parsed *parsed,
                            const char *name)
{
    char *const *env;

    for (env = parsed->env; *env; env++) {
        size_t len = strlen(name);

        if (strncmp(*env, name, len) == 0 && (*env)[len] == '=')
            return *env + len + 1;
    }
    return NULL;
}

/* As the gateway does it: what hf_fcgi_walk passes is parsed. */
static int parse(struct hf_fcgi_parsed *out)
{
    struct hf_fcgi_walk walk = {0};
    size_t used;

    assert_int_equal(hf_fcgi_walk(&walk, hf_buf_str(&bytes), &used),
                     HF_FCGI_REQUEST);
    assert_int_equal(used, bytes.len);
    return hf_fcgi_parse(&parser, hf_buf_str(&bytes), walk.body, out);
}

static void parameters_and_body_are_read(void **state)
{
    struct hf_fcgi_parsed parsed;

    (void)state;
    add_param(&params, "REQUEST_METHOD", HF_STR("POST"));
    add_param(&params, "EMPTY", HF_STR(""));
    add_param(&params, "CONTENT_LENGTH", HF_STR("5"));
    add_request(&bytes, 1, false, hf_buf_str(&params), HF_STR("hello"));
    assert_int_equal(parse(&parsed), 0);
    hf_buf_reset(&bytes); /* no longer needed */
    memset(bytes.at, 0, bytes.cap);
    assert_string_equal(value_of(&parsed, "REQUEST_METHOD"), "POST");
    assert_string_equal(value_of(&parsed, "EMPTY"), "");
    assert_null(value_of(&parsed, "ABSENT"));
    assert_int_equal(parsed.body.len, 5);
    assert_memory_equal(parsed.body.at, "hello", 5);
    hf_fcgi_parsed_release(&parsed);
    hf_fcgi_parsed_release(&parsed); /* does nothing */
}

static void a_keeping_server_makes_no_difference(void **state)
{
    struct hf_fcgi_parsed parsed;

    (void)state;
    add_param(&params, "A", HF_STR("b"));
    add_request(&bytes, 300, true, hf_buf_str(&params), HF_STR(""));
    assert_int_equal(parse(&parsed), 0);
    assert_string_equal(value_of(&parsed, "A"), "b");
    assert_int_equal(parsed.body.len, 0);
    hf_fcgi_parsed_release(&parsed);
}

static void the_largest_parameters_are_read(void **state)
{
    static char value[HF_FCGI_PARAMS_MAX - 6];
    struct hf_fcgi_parsed parsed;

    (void)state;
    memset(value, 'v', sizeof(value));
    add_param(&params, "A", hf_str(value, sizeof(value)));
    add_request(&bytes, 1, false, hf_buf_str(&params), HF_STR(""));
    assert_int_equal(parse(&parsed), 0);
    assert_int_equal(strlen(value_of(&parsed, "A")), sizeof(value));
    hf_fcgi_parsed_release(&parsed);
}

static void expect_body(char *body, size_t len, size_t chunk)
{
    struct hf_fcgi_parsed parsed;
    int64_t start = hf_boot_ms();

    hf_buf_reset(&bytes);
    add_begin(&bytes, 1, 1, false);
    add_stream(&bytes, FCGI_PARAMS, 1, hf_buf_str(&params), 1000);
    add_stream(&bytes, FCGI_STDIN, 1, hf_str(body, len), chunk);
    assert_int_equal(parse(&parsed), 0);
    assert_int_equal(parsed.body.len, len);
    assert_memory_equal(parsed.body.at, body, len);
    hf_fcgi_parsed_release(&parsed);
    /* On a socket libfcgi would wait 2 s at the end. */
    assert_true(hf_boot_ms() - start < 1500);
}

static void bodies_of_any_size_are_read(void **state)
{
    /* Around libfcgi's buffer of 8192, and what a record can hold. */
    static const size_t lens[] = {1,     8183,     8184,    8191,  8192,
                                  8193,  16384,    65534,   65535, 65536,
                                  99999, 1u << 20, BODY_MAX};
    char *body = malloc(BODY_MAX);
    size_t i;

    (void)state;
    assert_non_null(body);
    for (i = 0; i < BODY_MAX; i++)
        body[i] = (char)(i * 2654435761u >> 24);
    add_param(&params, "REQUEST_METHOD", HF_STR("POST"));
    for (i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        expect_body(body, lens[i], 65535);
        expect_body(body, lens[i], 8000);
    }
    free(body);
}

static void one_request_after_another_leaves_no_descriptor(void **state)
{
    int before = count_descriptors();
    int i;

    (void)state;
    add_param(&params, "A", HF_STR("b"));
    add_request(&bytes, 1, false, hf_buf_str(&params), HF_STR("x"));
    for (i = 0; i < 100; i++) {
        struct hf_fcgi_parsed parsed;

        assert_int_equal(parse(&parsed), 0);
        hf_fcgi_parsed_release(&parsed);
    }
    assert_int_equal(count_descriptors(), before);
}

static void memory_of_a_large_request_is_given_back(void **state)
{
    struct hf_fcgi_parsed parsed;
    static char body[100000];

    (void)state;
    add_request(&bytes, 1, false, hf_buf_str(&params),
                hf_str(body, sizeof(body)));
    assert_int_equal(parse(&parsed), 0);
    assert_in_range(lseek(parser.file, 0, SEEK_END), 0, 65536);
    hf_fcgi_parsed_release(&parsed);
}

static void behind_a_short_request_nothing_is_left_of_a_long_one(void **state)
{
    struct hf_fcgi_parsed parsed;
    static char body[5000];

    (void)state;
    add_request(&bytes, 1, false, hf_buf_str(&params),
                hf_str(body, sizeof(body)));
    assert_int_equal(parse(&parsed), 0);
    hf_fcgi_parsed_release(&parsed);

    hf_buf_reset(&bytes);
    add_request(&bytes, 1, false, hf_buf_str(&params), HF_STR("x"));
    assert_int_equal(parse(&parsed), 0);
    assert_int_equal(lseek(parser.file, 0, SEEK_END), bytes.len);
    hf_fcgi_parsed_release(&parsed);
}

/* Cannot happen behind hf_fcgi_walk; but if it does, it is an error and not a
 * wait for a connection that never comes. */
static void what_libfcgi_does_not_like_is_an_error(void **state)
{
    struct hf_fcgi_parsed parsed = {0};
    int before = count_descriptors();
    size_t len;

    (void)state;
    add_param(&params, "A", HF_STR("b"));
    add_request(&bytes, 1, false, hf_buf_str(&params), HF_STR("x"));
    for (len = 0; len < bytes.len; len++) {
        /* Of the last record, the empty STDIN, the header is enough. */
        assert_int_equal(
            hf_fcgi_parse(&parser, hf_str(bytes.at, len), 1, &parsed),
            HF_EMALFORMED);
    }
    assert_int_equal(hf_fcgi_parse(&parser, hf_buf_str(&bytes), 0, &parsed),
                     HF_EMALFORMED);
    assert_int_equal(hf_fcgi_parse(&parser, hf_buf_str(&bytes), 2, &parsed),
                     HF_EMALFORMED);
    assert_null(parsed.env);
    assert_int_equal(count_descriptors(), before);
    assert_int_equal(parse(&parsed), 0); /* none the worse for it */
    hf_fcgi_parsed_release(&parsed);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(parameters_and_body_are_read),
        TEST(a_keeping_server_makes_no_difference),
        TEST(the_largest_parameters_are_read),
        TEST(bodies_of_any_size_are_read),
        TEST(one_request_after_another_leaves_no_descriptor),
        TEST(memory_of_a_large_request_is_given_back),
        TEST(behind_a_short_request_nothing_is_left_of_a_long_one),
        TEST(what_libfcgi_does_not_like_is_an_error),
    };

    return cmocka_run_group_tests_name("fcgi_parse", tests, NULL, NULL);
}

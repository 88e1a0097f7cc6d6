#include "gateway/request.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/err.h"

#define READ(out, body, ...)                                                   \
    hf_request_read((out), (char *[]){__VA_ARGS__, NULL}, (body))

static char method[] = "REQUEST_METHOD=POST";

static void expect(struct hf_str value, const char *text)
{
    assert_int_equal(value.len, strlen(text));
    assert_memory_equal(value.at, text, value.len);
}

static void each_variable_has_its_place(void **state)
{
    struct hf_request request;

    (void)state;
    READ(&request, HF_STR("body"), method, (char[]){"SCRIPT_NAME=/socket"},
         (char[]){"PATH_INFO=/longpoll"},
         (char[]){"REQUEST_URI=/socket/longpoll?a=b"},
         (char[]){"QUERY_STRING=a=b"}, (char[]){"CONTENT_TYPE=text/plain"},
         (char[]){"CONTENT_LENGTH=4"},
         (char[]){"HTTP_X_PHOENIX_LONGPOLL_TOKEN=T"},
         (char[]){"HTTP_ACCESS_CONTROL_REQUEST_HEADERS=x-a"},
         (char[]){"HTTP_ORIGIN=http://a"}, (char[]){"HTTP_HOST=a:1"},
         (char[]){"HTTP_SEC_FETCH_SITE=same-origin"},
         (char[]){"REQUEST_SCHEME=http"}, (char[]){"REMOTE_ADDR=192.0.2.1"},
         (char[]){"OTHER=ignored"});
    expect(request.method, "POST");
    expect(request.script_name, "/socket");
    expect(request.path_info, "/longpoll");
    expect(request.request_uri, "/socket/longpoll?a=b");
    expect(request.hello.query, "a=b");
    expect(request.content_type, "text/plain");
    expect(request.content_length, "4");
    expect(request.token_header, "T");
    expect(request.allow_headers, "x-a");
    expect(request.hello.from.origin, "http://a");
    expect(request.hello.from.host, "a:1");
    expect(request.hello.from.sec_fetch_site, "same-origin");
    expect(request.hello.from.scheme, "http");
    expect(request.hello.peer, "192.0.2.1");
    expect(request.body, "body");
    assert_false(request.hello.from.loopback_listener);
}

/* Apache, where a .htaccess rewrites. */
static void what_redirects_renamed_is_found_again(void **state)
{
    struct hf_request request;

    (void)state;
    READ(&request, HF_STR(""), (char[]){"HTTP_AUTHORIZATION="},
         (char[]){"REDIRECT_HTTP_AUTHORIZATION=Bearer a"},
         (char[]){"REDIRECT_REDIRECT_HOLDFAST_DIR=/j"},
         (char[]){"REDIRECT_QUERY_STRING=a=b"});
    expect(request.hello.authorization, "Bearer a");
    expect(request.directory, "/j");
    expect(request.hello.query, ""); /* of another request, perhaps */

    READ(&request, HF_STR(""), (char[]){"REDIRECT_HTTP_AUTHORIZATION=Bearer a"},
         (char[]){"HTTP_AUTHORIZATION=Bearer b"},
         (char[]){"REDIRECT_HOLDFAST_DIR=/a"}, (char[]){"HOLDFAST_DIR=/b"});
    expect(request.hello.authorization, "Bearer b");
    expect(request.directory, "/b");
}

/* A header "Holdfast-Dir", or "Redirect-Holdfast-Dir". */
static void a_client_cannot_name_the_directory(void **state)
{
    struct hf_request request;

    (void)state;
    READ(&request, HF_STR(""), (char[]){"HTTP_HOLDFAST_DIR=/tmp/theirs"},
         (char[]){"HTTP_REDIRECT_HOLDFAST_DIR=/tmp/theirs"},
         (char[]){"REDIRECT_HTTP_HOLDFAST_DIR=/tmp/theirs"});
    expect(request.directory, "");
}

static void https_is_on_or_not(void **state)
{
    struct hf_request request;

    (void)state;
    READ(&request, HF_STR(""), (char[]){"HTTPS=on"});
    expect(request.hello.from.scheme, "https");
    READ(&request, HF_STR(""), (char[]){"HTTPS=off"},
         (char[]){"REQUEST_SCHEME=http"});
    expect(request.hello.from.scheme, "http");
    READ(&request, HF_STR(""), (char[]){"HTTPS=1"});
    expect(request.hello.from.scheme, "https");
    READ(&request, HF_STR(""), (char[]){"HTTPS=0"});
    expect(request.hello.from.scheme, "");
    READ(&request, HF_STR(""), (char[]){"REQUEST_SCHEME=https"});
    expect(request.hello.from.scheme, "https");
}

static void what_is_not_given_is_empty(void **state)
{
    struct hf_request request;

    (void)state;
    hf_request_read(&request, (char *[]){NULL}, hf_str(NULL, 0));
    assert_int_equal(request.method.len, 0);
    assert_int_equal(request.hello.query.len, 0);
    assert_int_equal(request.hello.from.origin.len, 0);
}

static void of_two_values_the_first_counts(void **state)
{
    struct hf_request request;

    (void)state;
    READ(&request, hf_str(NULL, 0), method, (char[]){"REQUEST_METHOD=GET"});
    expect(request.method, "POST");
    READ(&request, hf_str(NULL, 0), (char[]){"REQUEST_METHOD="}, method);
    expect(request.method, "");
}

static void a_line_without_equals_is_passed_over(void **state)
{
    struct hf_request request;

    (void)state;
    READ(&request, hf_str(NULL, 0), (char[]){"REQUEST_METHOD"},
         (char[]){"REQUEST_METHODX=GET"}, (char[]){"=GET"});
    expect(request.method, "");
}

/* --- token --------------------------------------------------------------- */

static void expect_token(const char *header, const char *query,
                         const char *token)
{
    struct hf_request request = {.token_header = hf_str_of(header),
                                 .hello.query = hf_str_of(query)};
    char memory[HF_TOKEN_MAX];

    expect(hf_request_token(&request, memory), token);
}

static void the_token_is_in_the_header_or_the_query(void **state)
{
    (void)state;
    expect_token("", "", "");
    expect_token("", "vsn=2.0.0&", "");
    expect_token("", "vsn=2.0.0&token=T1", "T1");
    expect_token("", "vsn=2.0.0&token=", "");
    expect_token("", "token=a%2Db", "a-b");
    expect_token("", "token=a&token=b", "b");
    expect_token("H", "vsn=2.0.0&token=T1", "H");
    expect_token("H", "", "H");
}

static void what_cannot_be_a_token_is_none(void **state)
{
    char query[HF_TOKEN_MAX + 16] = "token=";

    (void)state;
    expect_token("", "token=%zz", "");
    memset(query + 6, 'x', HF_TOKEN_MAX);
    expect_token("", query, query + 6);
    query[6 + HF_TOKEN_MAX] = 'x';
    expect_token("", query, "");
}

/* --- body ---------------------------------------------------------------- */

static bool ndjson(const char *type)
{
    struct hf_request request = {.content_type = hf_str_of(type)};

    return hf_request_ndjson(&request);
}

static void ndjson_may_have_parameters(void **state)
{
    (void)state;
    assert_true(ndjson("application/x-ndjson"));
    assert_true(ndjson("application/x-ndjson; charset=utf-8"));
    assert_true(ndjson("application/x-ndjson ;charset=utf-8"));
    assert_true(ndjson("Application/X-NDJSON"));
    assert_false(ndjson("application/x-ndjsonx"));
    assert_false(ndjson("application/x-ndjso"));
    assert_false(ndjson("application/json"));
    assert_false(ndjson(""));
}

static bool whole(const char *length, struct hf_str body)
{
    struct hf_request request = {.content_length = hf_str_of(length),
                                 .body = body};

    return hf_request_whole(&request);
}

static void a_body_cut_short_is_noticed(void **state)
{
    (void)state;
    assert_true(whole("4", HF_STR("body")));
    assert_true(whole("04", HF_STR("body")));
    assert_true(whole("", HF_STR("body")));
    assert_true(whole("0", HF_STR("")));
    assert_false(whole("5", HF_STR("body")));
    assert_false(whole("3", HF_STR("body")));
    assert_false(whole("4x", HF_STR("body")));
    assert_false(whole("-4", HF_STR("body")));
    assert_false(whole(" 4", HF_STR("body")));
}

static void expect_number(const char *text, size_t max, int err, size_t number)
{
    size_t out = 99;

    assert_int_equal(hf_request_number(hf_str_of(text), max, &out), err);
    assert_int_equal(out, err ? 99 : number);
}

static void numbers_are_digits_up_to_a_limit(void **state)
{
    (void)state;
    expect_number("0", 10, 0, 0);
    expect_number("10", 10, 0, 10);
    expect_number("00010", 10, 0, 10);
    expect_number("11", 10, HF_ELIMIT, 0);
    expect_number("100", 10, HF_ELIMIT, 0);
    expect_number("18446744073709551615", SIZE_MAX, 0, SIZE_MAX);
    expect_number("18446744073709551616", SIZE_MAX, HF_ELIMIT, 0);
    expect_number("99999999999999999999999", SIZE_MAX, HF_ELIMIT, 0);
    expect_number("", 10, HF_EMALFORMED, 0);
    expect_number("1a", 10, HF_EMALFORMED, 0);
    expect_number("999a", 10, HF_EMALFORMED, 0);
    expect_number("+1", 10, HF_EMALFORMED, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_variable_has_its_place),
        cmocka_unit_test(what_redirects_renamed_is_found_again),
        cmocka_unit_test(a_client_cannot_name_the_directory),
        cmocka_unit_test(https_is_on_or_not),
        cmocka_unit_test(what_is_not_given_is_empty),
        cmocka_unit_test(of_two_values_the_first_counts),
        cmocka_unit_test(a_line_without_equals_is_passed_over),
        cmocka_unit_test(the_token_is_in_the_header_or_the_query),
        cmocka_unit_test(what_cannot_be_a_token_is_none),
        cmocka_unit_test(ndjson_may_have_parameters),
        cmocka_unit_test(a_body_cut_short_is_noticed),
        cmocka_unit_test(numbers_are_digits_up_to_a_limit),
    };

    return cmocka_run_group_tests_name("request", tests, NULL, NULL);
}

#include "gateway/respond.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>

/* The line stands in the head, which ends as a head does. */
static void expect_line(const struct hf_head *head, const char *line)
{
    char text[sizeof(head->text) + 1];
    char wanted[sizeof(text)];

    memcpy(text, head->text, head->len);
    text[head->len] = '\0';
    (void)snprintf(wanted, sizeof(wanted), "%s\r\n", line);
    if (!strstr(text, wanted))
        fail_msg("\"%s\" is missing in:\n%s", line, text);
    assert_true(head->len > 4);
    assert_memory_equal(head->text + head->len - 4, "\r\n\r\n", 4);
}

static void json_has_the_headers_of_the_protocol(void **state)
{
    struct hf_head head;

    (void)state;
    hf_head_json(&head, 200, 14);
    assert_true(
        hf_str_starts(hf_head_str(&head), HF_STR("Status: 200 OK\r\n")));
    expect_line(&head, "Content-Type: application/json; charset=utf-8");
    expect_line(&head, "Access-Control-Allow-Origin: *");
    expect_line(&head, "Cache-Control: no-store");
    expect_line(&head, "X-Content-Type-Options: nosniff");
    expect_line(&head, "Content-Length: 14");
}

static void errors_have_them_too(void **state)
{
    static const struct {
        unsigned status;
        const char *line;
    } errors[] = {
        {413, "Status: 413 Content Too Large"},
        {431, "Status: 431 Request Header Fields Too Large"},
        {500, "Status: 500 Internal Server Error"},
        {503, "Status: 503 Service Unavailable"},
    };
    struct hf_head head;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        hf_head_json(&head, errors[i].status, 1);
        expect_line(&head, errors[i].line);
        expect_line(&head, "Access-Control-Allow-Origin: *");
    }
}

static void other_answers_are_plain_text(void **state)
{
    struct hf_head head;

    (void)state;
    hf_head_text(&head, 404, 11);
    expect_line(&head, "Status: 404 Not Found");
    expect_line(&head, "Content-Type: text/plain; charset=utf-8");
    expect_line(&head, "X-Content-Type-Options: nosniff");
    expect_line(&head, "Content-Length: 11");
    hf_head_text(&head, 400, 0);
    expect_line(&head, "Status: 400 Bad Request");
    expect_line(&head, "Content-Length: 0");
}

static void expect_echo(const char *asked, const char *line)
{
    struct hf_head head;

    hf_head_preflight(&head, hf_str_of(asked));
    expect_line(&head, "Status: 200 OK");
    expect_line(&head, "Access-Control-Allow-Origin: *");
    expect_line(&head, "Access-Control-Allow-Methods: GET, POST, OPTIONS");
    expect_line(&head, "Access-Control-Max-Age: 3600");
    expect_line(&head, "Content-Length: 0");
    expect_line(&head, line);
}

static void a_preflight_gets_back_what_it_asked_for(void **state)
{
    (void)state;
    expect_echo(
        "content-type,x-phoenix-authtoken",
        "Access-Control-Allow-Headers: content-type,x-phoenix-authtoken");
    expect_echo("A, b!#$%&'*+-.^_`|~09",
                "Access-Control-Allow-Headers: A, b!#$%&'*+-.^_`|~09");
    expect_echo("", "Access-Control-Allow-Headers: ");
    expect_echo(NULL, "Access-Control-Allow-Headers: ");
}

static void but_only_names(void **state)
{
    static const char *const bad[] = {
        "a\r\nSet-Cookie: x", "a: b", "a;b", "a\"b", "a(b)", "\x7f",
        "\xc3\xa4",           "a/b"};
    char long_list[HF_ALLOW_HEADERS_MAX + 2];
    char wanted[HF_ALLOW_HEADERS_MAX + 64];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        expect_echo(bad[i], "Access-Control-Allow-Headers: ");

    memset(long_list, 'a', sizeof(long_list));
    long_list[HF_ALLOW_HEADERS_MAX] = '\0';
    (void)snprintf(wanted, sizeof(wanted), "Access-Control-Allow-Headers: %s",
                   long_list);
    expect_echo(long_list, wanted);
    long_list[HF_ALLOW_HEADERS_MAX] = 'a';
    long_list[HF_ALLOW_HEADERS_MAX + 1] = '\0';
    expect_echo(long_list, "Access-Control-Allow-Headers: ");
}

/* With a key in its address it must not get about. */
static void a_page_is_for_its_own_site_only(void **state)
{
    struct hf_head head;

    (void)state;
    hf_head_page(&head, 404, HF_STR("default-src 'none'"), 3);
    assert_true(
        hf_str_starts(hf_head_str(&head), HF_STR("Status: 404 Not Found\r\n")));
    expect_line(&head, "Content-Type: text/html; charset=utf-8");
    expect_line(&head, "Content-Security-Policy: default-src 'none'");
    expect_line(&head, "Referrer-Policy: strict-origin");
    expect_line(&head, "X-Frame-Options: DENY");
    expect_line(&head, "Cache-Control: no-store");
    expect_line(&head, "X-Content-Type-Options: nosniff");
    expect_line(&head, "Content-Length: 3");
    assert_null(memmem(head.text, head.len, "Access-Control", 14));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_has_the_headers_of_the_protocol),
        cmocka_unit_test(errors_have_them_too),
        cmocka_unit_test(other_answers_are_plain_text),
        cmocka_unit_test(a_preflight_gets_back_what_it_asked_for),
        cmocka_unit_test(but_only_names),
        cmocka_unit_test(a_page_is_for_its_own_site_only),
    };

    return cmocka_run_group_tests_name("respond", tests, NULL, NULL);
}

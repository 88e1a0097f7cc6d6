#include "channel/connect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/err.h"
#include "base/log.h"

static struct hf_settings settings;
static struct hf_client client;

static struct hf_hello hello_of(const char *query)
{
    return (struct hf_hello){
        .query = hf_str_of(query),
        .from = {.host = HF_STR("example.com")},
        .peer = HF_STR("192.0.2.1"),
    };
}

static int connect_with(const char *query)
{
    struct hf_hello hello = hello_of(query);

    return hf_connect_check(&settings, &hello, &client);
}

static int quiet(void **state)
{
    (void)state;
    memset(&settings, 0, sizeof(settings));
    hf_log_open("test", HF_LOG_ERROR, false);
    return 0;
}

/* What one refused connect writes to the log, terminated. */
static void log_of(const struct hf_hello *hello, char *out, size_t cap)
{
    FILE *file = tmpfile();
    int kept = dup(STDERR_FILENO);
    size_t len;

    assert_non_null(file);
    assert_true(kept >= 0);
    (void)fflush(stderr);
    assert_true(dup2(fileno(file), STDERR_FILENO) >= 0);
    hf_log_open("test", HF_LOG_INFO, false);
    assert_int_equal(hf_connect_check(&settings, hello, &client), HF_EDENIED);
    assert_true(dup2(kept, STDERR_FILENO) >= 0);
    (void)close(kept);

    rewind(file);
    len = fread(out, 1, cap - 1, file);
    out[len] = '\0';
    (void)fclose(file);
}

static void version_1_0_is_served_and_meant_by_none(void **state)
{
    static const char *const queries[] = {
        "",          "&",         "token=x",
        "vsn=1.0.0", "vsn=1.0.5", "vsn=2.0.0&vsn=1.0.0",
        "VSN=2.0.0",
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
        client.vsn = HF_VSN_2;
        if (connect_with(queries[i]) != 0 || client.vsn != HF_VSN_1)
            fail_msg("%s", queries[i]);
    }
}

static void version_2_0_is_served(void **state)
{
    static const char *const queries[] = {
        "vsn=2.0.0",
        "vsn=2.0.0&", /* what the stock client sends before it has a token */
        "a=b&vsn=2.0.0&token=x",
        "vsn=2.0.7",
        "vsn=2.0.10",
        "vsn=2%2E0.0",
        "v%73n=2.0.0",
        "&&vsn=2.0.0&&",
        "vsn=1.0.0&vsn=2.0.0", /* the last one counts */
        "vsn=2.0.0&%zz=1&x=%", /* others may be odd */
        "vsn=2.0.0&vsnx=1&a_very_long_parameter_name_of_a_user=1",
        "o[vsn]=7&vsn=2.0.0",
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
        client.vsn = HF_VSN_1;
        if (connect_with(queries[i]) != 0 || client.vsn != HF_VSN_2)
            fail_msg("%s", queries[i]);
    }
}

static void other_versions_are_refused(void **state)
{
    static const char *const queries[] = {
        "vsn",
        "vsn=",
        "vsn=1",
        "vsn=1.0",
        "vsn=1.0.01",
        "vsn=1.1.0",
        "vsn=2",
        "vsn=2.0",
        "vsn=2.0.",
        "vsn=2.0.x",
        "vsn=2.0.00",
        "vsn=2.0.01",
        "vsn=2.0.0.0",
        "vsn=2.0.-1",
        "vsn=+2.0.0",
        "vsn=2.0.0+",
        "vsn=2.0.0%00",
        "vsn=2.0.00000000000000000000000000000000000",
        "vsn=2.0.99999999999999999999999999999999999",
        "vsn=02.0.0",
        "vsn=2.1.0",
        "vsn=3.0.0",
        "vsn=garbage",
        "vsn=%zz",
        "vsn[]=2.0.0",
        "vsn%5B%5D=2.0.0",
        "vsn=2.0.0&vsn[]=2.0.0",
        "vsn[a]=2.0.0",
        "vsn=2.0.0&vsn=%zz",
        "vsn=2.0.0&vsn=",
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
        if (connect_with(queries[i]) != HF_EDENIED)
            fail_msg("%s", queries[i]);
    }
}

static void a_host_that_is_not_ours_is_refused(void **state)
{
    struct hf_hello hello = hello_of("vsn=2.0.0");

    (void)state;
    hello.from.loopback_listener = true;
    assert_int_equal(hf_connect_check(&settings, &hello, &client), HF_EDENIED);
    hello.from.host = HF_STR("localhost");
    assert_int_equal(hf_connect_check(&settings, &hello, &client), 0);
    /* The page of a name that was pointed at us: same host, yet not ours. */
    hello.from.host = HF_STR("evil.com");
    hello.from.origin = HF_STR("http://evil.com");
    assert_int_equal(hf_connect_check(&settings, &hello, &client), HF_EDENIED);
}

static void a_foreign_page_is_refused(void **state)
{
    struct hf_hello hello = hello_of("vsn=2.0.0");

    (void)state;
    hello.from.origin = HF_STR("https://evil.com");
    assert_int_equal(hf_connect_check(&settings, &hello, &client), HF_EDENIED);
    hello.from.origin = HF_STR("https://example.com");
    assert_int_equal(hf_connect_check(&settings, &hello, &client), 0);
}

static void a_refusal_tells_the_operator_what_to_do(void **state)
{
    struct hf_hello hello = hello_of("token=secret&vsn=3.0.0");
    char text[2048];

    (void)state;
    log_of(&hello, text, sizeof(text));
    assert_non_null(strstr(text, "reason=version"));
    assert_non_null(strstr(text, "vsn=2.0.0"));
    assert_non_null(strstr(text, "192.0.2.1"));
    assert_null(strstr(text, "secret")); /* a query may hold tokens */

    hello = hello_of("vsn=2.0.0");
    hello.from.origin = HF_STR("https://shop.example");
    log_of(&hello, text, sizeof(text));
    assert_non_null(strstr(text, "reason=origin"));
    assert_non_null(strstr(text, "https://shop.example"));
    assert_non_null(strstr(text, "origins in holdfast.conf"));

    hello = hello_of("vsn=2.0.0");
    hello.from.loopback_listener = true;
    log_of(&hello, text, sizeof(text));
    assert_non_null(strstr(text, "reason=host"));
    assert_non_null(strstr(text, "hosts in holdfast.conf"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(version_1_0_is_served_and_meant_by_none, quiet),
        cmocka_unit_test_setup(version_2_0_is_served, quiet),
        cmocka_unit_test_setup(other_versions_are_refused, quiet),
        cmocka_unit_test_setup(a_host_that_is_not_ours_is_refused, quiet),
        cmocka_unit_test_setup(a_foreign_page_is_refused, quiet),
        cmocka_unit_test_setup(a_refusal_tells_the_operator_what_to_do, quiet),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

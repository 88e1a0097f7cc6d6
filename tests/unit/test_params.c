#include "base/params.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/err.h"

static const char *const ours[] = {"vsn", "token", NULL};

static void becomes(const char *query, const char *json)
{
    struct hf_buf out;

    hf_buf_init(&out, 65536);
    assert_int_equal(hf_params_json(hf_str_of(query), ours, &out), 0);
    if (!hf_str_eq(hf_buf_str(&out), hf_str_of(json)))
        fail_msg("%s: %.*s instead of %s", query, (int)out.len, out.at, json);
    hf_buf_release(&out);
}

static void refused(const char *query, int err)
{
    struct hf_buf out;

    hf_buf_init(&out, 65536);
    assert_int_equal(hf_params_json(hf_str_of(query), ours, &out), err);
    hf_buf_release(&out);
}

static void names_nest_as_in_plug(void **state)
{
    (void)state;
    becomes("a=1&b%5Bc%5D=2&l%5B%5D=x&l%5B%5D=y&a=3&s=a+b%2Bc&u=%E2%98%83&"
            "vsn=2.0.0",
            "{\"a\":\"3\",\"b\":{\"c\":\"2\"},\"l\":[\"x\",\"y\"],"
            "\"s\":\"a b+c\",\"u\":\"\xe2\x98\x83\"}");
    becomes("", "{}");
    becomes("&&vsn=2.0.0&", "{}");
    becomes("l[0]=x&l[1]=y", "{\"l\":{\"0\":\"x\",\"1\":\"y\"}}");
    becomes("a[b][c]=1&a[b][d]=2&a[e]=3",
            "{\"a\":{\"b\":{\"c\":\"1\",\"d\":\"2\"},\"e\":\"3\"}}");
    becomes("a[][b]=1&a[][b]=2", "{\"a\":[{\"b\":\"1\"},{\"b\":\"2\"}]}");
    becomes("token[a]=1&token=2&x", "{\"x\":\"\"}");
}

static void of_two_the_last_counts_whatever_they_are(void **state)
{
    (void)state;
    becomes("a=1&a[b]=2", "{\"a\":{\"b\":\"2\"}}");
    becomes("a[b]=2&a=1", "{\"a\":\"1\"}");
    becomes("a[]=1&a[b]=2", "{\"a\":{\"b\":\"2\"}}");
    becomes("a[b]=1&a[]=2", "{\"a\":[\"2\"]}");
}

static void odd_names_are_names(void **state)
{
    (void)state;
    becomes("a[=1", "{\"a[\":\"1\"}");
    becomes("a]=1", "{\"a]\":\"1\"}");
    becomes("[a]=1", "{\"[a]\":\"1\"}");
    becomes("=1", "{\"\":\"1\"}");
    becomes("%22=%0a", "{\"\\\"\":\"\\n\"}");
}

static void bounds_hold(void **state)
{
    char query[16000];
    size_t at = 0, i;

    (void)state;
    refused("a=%zz", HF_EMALFORMED);
    refused("a=%ff", HF_EMALFORMED);
    refused("a[a][a][a][a][a][a][a][a][a]=1", HF_ELIMIT);
    for (i = 0; i < 200; i++)
        at += (size_t)sprintf(query + at, "a%zu=1&", i);
    refused(query, HF_ELIMIT);
    memset(query, 'a', 9000);
    query[9000] = '\0';
    refused(query, HF_ELIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_nest_as_in_plug),
        cmocka_unit_test(of_two_the_last_counts_whatever_they_are),
        cmocka_unit_test(odd_names_are_names),
        cmocka_unit_test(bounds_hold),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

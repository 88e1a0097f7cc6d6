#include "gateway/route.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <cmocka.h>

static enum hf_route go(const char *mount, const char *script, const char *info,
                        const char *uri)
{
    struct hf_request request = {.method = HF_STR("GET"),
                                 .script_name = hf_str_of(script),
                                 .path_info = hf_str_of(info),
                                 .request_uri = hf_str_of(uri)};

    return hf_route(hf_str_of(mount), &request);
}

#define YES(...) assert_int_equal(go(__VA_ARGS__), HF_ROUTE_POLL)
#define NO(...)  assert_int_equal(go(__VA_ARGS__), HF_ROUTE_NOWHERE)

static void the_path_may_be_split_anywhere(void **state)
{
    (void)state;
    YES("/socket", "/socket", "/longpoll", NULL);
    YES("/socket", "/socket/longpoll", "", NULL);
    YES("/socket", "/socket/longpoll", NULL, NULL);
    YES("/socket", "", "/socket/longpoll", NULL);
    YES("/socket", NULL, "/socket/longpoll", NULL);
    YES("/a/b", "/a", "/b/longpoll", NULL);
    NO("/socket", "/socket", "", NULL);
    NO("/socket", "/socket/", "longpol", NULL);
    NO("/socket", "/other/longpoll", "", NULL);
    NO("/socket", "/socket/longpoll", "/x", NULL);
    NO("/socket", "/socket/longpoll/", "", NULL);
    NO("/socket", "", "", NULL);
    NO("/socket", NULL, NULL, NULL);
}

static void who_wants_a_websocket_is_known(void **state)
{
    (void)state;
    assert_int_equal(go("/socket", "/socket/websocket", "", NULL),
                     HF_ROUTE_WEBSOCKET);
    assert_int_equal(go("/socket", "/cgi-bin/holdfast.cgi", "/websocket", NULL),
                     HF_ROUTE_WEBSOCKET);
}

static void the_uri_alone_is_enough(void **state)
{
    (void)state;
    YES("/socket", "", "", "/socket/longpoll");
    YES("/socket", "/x.fcgi", "", "/socket/longpoll?vsn=2.0.0&");
    YES("/socket", "", "", "/socket/longpoll?");
    YES("/socket", "", "", "http://example.com/socket/longpoll?a=/b");
    NO("/socket", "", "", "/socket/longpoll/x?vsn=2.0.0");
    NO("/socket", "", "", "/x?/socket/longpoll");
    NO("/socket", "", "", "http://example.com");
    NO("/socket", "", "", "http:/socket/longpoll");
    NO("/socket", "", "", "http://");
    NO("/socket", "", "", "/x://y/socket/longpoll");
    NO("/socket", "", "", "*");
    NO("/socket", "", "", "?");
}

static void a_script_of_any_name_is_a_mount(void **state)
{
    (void)state;
    YES("/socket", "/cgi-bin/holdfast", "/longpoll",
        "/cgi-bin/holdfast/longpoll");
    NO("/socket", "/cgi-bin/holdfast", "/longpoll/", NULL);
    NO("/socket", "/cgi-bin/holdfast", "/other", NULL);
    NO("/socket", "/cgi-bin/holdfast", "", NULL);
}

static void the_method_decides_what_it_is(void **state)
{
    static const struct {
        const char *method;
        enum hf_route route;
    } methods[] = {
        {"GET", HF_ROUTE_POLL},          {"POST", HF_ROUTE_PUSH},
        {"OPTIONS", HF_ROUTE_PREFLIGHT}, {"HEAD", HF_ROUTE_METHOD},
        {"PUT", HF_ROUTE_METHOD},        {"DELETE", HF_ROUTE_METHOD},
        {"get", HF_ROUTE_METHOD},        {"", HF_ROUTE_METHOD},
        {"GETT", HF_ROUTE_METHOD},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        struct hf_request request = {.method = hf_str_of(methods[i].method),
                                     .path_info = HF_STR("/longpoll")};

        assert_int_equal(hf_route(HF_STR("/socket"), &request),
                         methods[i].route);
        request.path_info = HF_STR("/elsewhere");
        assert_int_equal(hf_route(HF_STR("/socket"), &request),
                         HF_ROUTE_NOWHERE);
    }
}

static void plain_http_has_paths_of_its_own(void **state)
{
    static const struct {
        const char *method, *path;
        enum hf_route route;
    } asked[] = {
        {"POST", "/publish", HF_ROUTE_PUBLISH},
        {"OPTIONS", "/publish", HF_ROUTE_PREFLIGHT},
        {"GET", "/publish", HF_ROUTE_PUBLISH_METHOD},
        {"PUT", "/publish", HF_ROUTE_PUBLISH_METHOD},
        {"GET", "/events", HF_ROUTE_EVENTS},
        {"OPTIONS", "/events", HF_ROUTE_PREFLIGHT},
        {"POST", "/events", HF_ROUTE_EVENTS_METHOD},
        {"HEAD", "/events", HF_ROUTE_EVENTS_METHOD},
        {"GET", "/events/", HF_ROUTE_NOWHERE},
        {"POST", "/publish/x", HF_ROUTE_NOWHERE},
        {"POST", "/publis", HF_ROUTE_NOWHERE},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
        struct hf_request request = {.method = hf_str_of(asked[i].method),
                                     .path_info = hf_str_of(asked[i].path)};
        char uri[64];

        assert_int_equal(hf_route(HF_STR("/socket"), &request), asked[i].route);
        request.path_info = HF_STR("");
        (void)snprintf(uri, sizeof(uri), "/socket%s?topic=a", asked[i].path);
        request.request_uri = hf_str_of(uri);
        assert_int_equal(hf_route(HF_STR("/socket"), &request), asked[i].route);
    }
}

static void the_pages_of_the_owner_take_any_method(void **state)
{
    (void)state;
    assert_int_equal(go("/socket", "/x.cgi", "/setup", NULL), HF_ROUTE_SETUP);
    assert_int_equal(go("/socket", "/socket/setup", "", NULL), HF_ROUTE_SETUP);
    assert_int_equal(go("/socket", "", "", "/socket/setup?k=1"),
                     HF_ROUTE_SETUP);
    NO("/socket", "/x.cgi", "/setup/", NULL);
    NO("/socket", "/x.cgi", "/setup/doctor", NULL);
    NO("/socket", "/x.cgi", "/other/setup", NULL);
}

/* Of a request to the doctor: what is behind the word. */
static void expect_rest(const char *script, const char *info, const char *uri,
                        const char *rest)
{
    struct hf_request request = {.method = HF_STR("PUT"),
                                 .script_name = hf_str_of(script),
                                 .path_info = hf_str_of(info),
                                 .request_uri = hf_str_of(uri)};
    struct hf_str found = hf_route_rest(HF_STR("/socket"), &request);

    assert_int_equal(hf_route(HF_STR("/socket"), &request), HF_ROUTE_DOCTOR);
    assert_int_equal(found.len, strlen(rest));
    assert_memory_equal(found.at ? found.at : "", rest, found.len);
}

static void the_doctor_has_pages_below_it(void **state)
{
    (void)state;
    expect_rest("/x.cgi", "/doctor", NULL, "");
    expect_rest("/x.cgi", "/doctor/", NULL, "/");
    expect_rest("/x.cgi", "/doctor/hold/5", NULL, "/hold/5");
    expect_rest("/socket", "/doctor/hold", NULL, "/hold");
    expect_rest("/socket/doctor/hold", "", NULL, "/hold");
    expect_rest("/socket/doctor", "/hold", NULL, "/hold");
    expect_rest("", "", "/socket/doctor/hold?s=1", "/hold");
    NO("/socket", "/x.cgi", "/doctors", NULL);
    NO("/socket", "/x.cgi", "/doc", NULL);
    NO("/socket", "/x.cgi", "/a/doctor", NULL);
}

static void expect_socket(enum hf_route route, const char *uri,
                          const char *socket)
{
    struct hf_request request = {.script_name = HF_STR("/script"),
                                 .request_uri = hf_str_of(uri)};
    struct hf_str found = hf_route_socket(&request, route);

    assert_int_equal(found.len, strlen(socket));
    assert_memory_equal(found.at ? found.at : "", socket, found.len);
}

static void the_socket_is_what_the_address_has_before_the_page(void **state)
{
    (void)state;
    expect_socket(HF_ROUTE_SETUP, "/a%20b/x.cgi/setup?k=1", "/a%20b/x.cgi");
    expect_socket(HF_ROUTE_SETUP, "/setup", "");
    expect_socket(HF_ROUTE_SETUP, "/x.cgi/other", "/script");
    expect_socket(HF_ROUTE_SETUP, NULL, "/script");
    expect_socket(HF_ROUTE_SETUP, "//evil.example/x.cgi/setup", "/script");
    expect_socket(HF_ROUTE_DOCTOR, "/x.cgi/doctor", "/x.cgi");
    expect_socket(HF_ROUTE_DOCTOR, "/x.cgi/doctor/hold?a=/doctor", "/x.cgi");
    expect_socket(HF_ROUTE_DOCTOR, "/x.cgi/doctors", "/script");
    expect_socket(HF_ROUTE_DOCTOR, "/doc", "/script");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_path_may_be_split_anywhere),
        cmocka_unit_test(who_wants_a_websocket_is_known),
        cmocka_unit_test(the_uri_alone_is_enough),
        cmocka_unit_test(a_script_of_any_name_is_a_mount),
        cmocka_unit_test(the_method_decides_what_it_is),
        cmocka_unit_test(plain_http_has_paths_of_its_own),
        cmocka_unit_test(the_pages_of_the_owner_take_any_method),
        cmocka_unit_test(the_doctor_has_pages_below_it),
        cmocka_unit_test(the_socket_is_what_the_address_has_before_the_page),
    };

    return cmocka_run_group_tests_name("route", tests, NULL, NULL);
}

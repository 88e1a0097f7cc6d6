#include "sidecar/handshake.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>

#define KEY "dGhlIHNhbXBsZSBub25jZQ==" /* of RFC 6455 section 1.3 */

/* "Name: value" lines, as a client would send them. */
static struct hf_handshake fed(const char *lines)
{
    struct hf_handshake h = {.hosts = 0};

    while (*lines) {
        size_t line = strcspn(lines, "\n");
        size_t name = strcspn(lines, ":");

        hf_handshake_header(&h, hf_str(lines, name),
                            hf_str(lines + name + 1, line - name - 1));
        lines += line + (lines[line] == '\n');
    }
    return h;
}

#define GOOD                                                                   \
    "Host: a.example\nUpgrade: websocket\nConnection: Upgrade\n"               \
    "Sec-WebSocket-Version: 13\nSec-WebSocket-Key: " KEY "\n"

struct sample {
    const char *lines;
    int status;
    const char *names; /* found in the text */
};

static void a_handshake_is_accepted_with_the_answer_of_the_rfc(void **state)
{
    struct hf_handshake h = fed(GOOD);
    char accept[HF_ACCEPT_LEN + 1];

    (void)state;
    assert_int_equal(hf_handshake_request(&h, HF_STR("GET")).status, 0);
    assert_int_equal(hf_handshake_upgrade(&h, HF_STR("HTTP/1.1")).status, 0);
    assert_int_equal(hf_handshake_accept(&h, accept), 0);
    assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

static void only_get_may_ask(void **state)
{
    static const char *const methods[] = {"POST", "HEAD", "OPTIONS",
                                          "get",  "GETX", ""};
    struct hf_handshake h = fed(GOOD);
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        struct hf_refusal r = hf_handshake_request(&h, hf_str_of(methods[i]));

        assert_int_equal(r.status, 400);
        assert_string_equal(r.text, "");
    }
}

static void headers_that_must_be_alone_are_refused_twice(void **state)
{
    static const struct sample samples[] = {
        {"", 400, "Host"},
        {"Host: a\nHost: a\n", 400, "Host"},
        {"Host: a\nOrigin: http://a\norigin: http://a\n", 400, "Origin"},
        {"Host: a\nSec-Fetch-Site: none\nSec-Fetch-Site: none\n", 400,
         "Sec-Fetch-Site"},
        {"HOST: a\nOrigin: http://a\nSec-Fetch-Site: none\n", 0, ""},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        struct hf_handshake h = fed(samples[i].lines);
        struct hf_refusal r = hf_handshake_request(&h, HF_STR("GET"));

        assert_int_equal(r.status, samples[i].status);
        assert_non_null(strstr(r.text, samples[i].names));
    }
}

/* Upgrade, Connection, version, key; the rest is fine. */
static void an_upgrade_needs_each_of_its_headers(void **state)
{
#define UPGRADE    "Upgrade: websocket\n"
#define CONNECTION "Connection: upgrade\n"
#define VERSION    "Sec-WebSocket-Version: 13\n"
#define KEYLINE    "Sec-WebSocket-Key: " KEY "\n"
    static const struct sample samples[] = {
        {UPGRADE CONNECTION VERSION KEYLINE, 0, ""},
        {"upgrade:WEBSOCKET\nCONNECTION:UPGRADE\n" VERSION KEYLINE, 0, ""},
        {"Upgrade: h2c, websocket\nConnection: keep-alive , Upgrade\n" VERSION
             KEYLINE,
         0, ""},
        {"Upgrade: h2c\nUpgrade: websocket\nConnection: keep-alive\n"
         "Connection:\tUpgrade\t\n" VERSION KEYLINE,
         0, ""},
        {"Connection: Upgrade,\n" UPGRADE VERSION KEYLINE "Content-Length: 0\n",
         0, ""},
        {UPGRADE VERSION KEYLINE, 400, "Connection"},
        {UPGRADE "Connection: close\n" VERSION KEYLINE, 400, "Connection"},
        {UPGRADE "Connection: upgraded\n" VERSION KEYLINE, 400, "Connection"},
        {UPGRADE "Connection: up, grade\n" VERSION KEYLINE, 400, "Connection"},
        {UPGRADE "Connection:\n" VERSION KEYLINE, 400, "Connection"},
        {CONNECTION VERSION KEYLINE, 400, "Upgrade"},
        {"Upgrade: websocket2\n" CONNECTION VERSION KEYLINE, 400, "Upgrade"},
        {"Upgrade: web socket\n" CONNECTION VERSION KEYLINE, 400, "Upgrade"},
        {UPGRADE CONNECTION KEYLINE, 400, "Version"},
        {UPGRADE CONNECTION "Sec-WebSocket-Version: 12\n" KEYLINE, 400,
         "Version"},
        {UPGRADE CONNECTION "Sec-WebSocket-Version: 130\n" KEYLINE, 400,
         "Version"},
        {UPGRADE CONNECTION "Sec-WebSocket-Version: 13, 8\n" KEYLINE, 400,
         "Version"},
        {UPGRADE CONNECTION VERSION VERSION KEYLINE, 400, "Version"},
        {UPGRADE CONNECTION VERSION, 400, "Key"},
        {UPGRADE CONNECTION VERSION KEYLINE KEYLINE, 400, "Key"},
        {UPGRADE CONNECTION VERSION "Sec-WebSocket-Key:\n", 400, "Key"},
        {UPGRADE CONNECTION VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub24=\n",
         400, "Key"}, /* 14 bytes */
        {UPGRADE CONNECTION VERSION
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZWE=\n",
         400, "Key"}, /* 17 bytes */
        {UPGRADE CONNECTION VERSION
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZWFi\n",
         400, "Key"}, /* 18 bytes, as long as a key */
        {UPGRADE CONNECTION VERSION
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j!Q==\n",
         400, "Key"},
        {UPGRADE CONNECTION VERSION
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j_Q==\n",
         400, "Key"},
        {UPGRADE CONNECTION VERSION KEYLINE "Content-Length: 5\n", 400, "body"},
        {UPGRADE CONNECTION VERSION KEYLINE "Transfer-Encoding: chunked\n", 400,
         "body"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        struct hf_handshake h = fed(samples[i].lines);
        struct hf_refusal r = hf_handshake_upgrade(&h, HF_STR("HTTP/1.1"));

        if (r.status != samples[i].status || !strstr(r.text, samples[i].names))
            fail_msg("%zu: %d %s for\n%s", i, r.status, r.text,
                     samples[i].lines);
    }
}

static void no_other_version_of_http_is_upgraded(void **state)
{
    static const char *const versions[] = {"HTTP/1.0", "HTTP/1.2", "HTTP/2.0",
                                           "HTTP/1.10", ""};
    struct hf_handshake h = fed(GOOD);
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(versions) / sizeof(versions[0]); i++)
        assert_int_equal(
            hf_handshake_upgrade(&h, hf_str_of(versions[i])).status, 400);
}

static void the_subprotocol_is_seen_in_any_list_but_spelt_exactly(void **state)
{
    (void)state;
    assert_true(fed("Sec-WebSocket-Protocol: phoenix\n").phoenix);
    assert_true(fed("Sec-WebSocket-Protocol: x, phoenix\n").phoenix);
    assert_true(fed("Sec-WebSocket-Protocol: phoenix, "
                    "base64url.bearer.phx.abc\n")
                    .phoenix);
    assert_true(fed("Sec-WebSocket-Protocol: x\n"
                    "Sec-WebSocket-Protocol: phoenix\n")
                    .phoenix);
    assert_false(fed("Sec-WebSocket-Protocol: Phoenix\n").phoenix);
    assert_false(fed("Sec-WebSocket-Protocol: phoenix2\n").phoenix);
    assert_false(fed("").phoenix);
}

static bool foreign(const char *headers)
{
    struct hf_handshake h = fed(headers);

    return hf_handshake_foreign(&h);
}

static void
other_subprotocols_alone_are_foreign_and_a_token_is_none(void **state)
{
    (void)state;
    assert_true(foreign("Sec-WebSocket-Protocol: x\n"));
    assert_true(foreign("Sec-WebSocket-Protocol: Phoenix, y\n"));
    assert_true(foreign("Sec-WebSocket-Protocol: "
                        "base64url.bearer.phx.abc, x\n"));
    assert_false(foreign("Sec-WebSocket-Protocol: x, phoenix\n"));
    assert_false(foreign("Sec-WebSocket-Protocol: x\n"
                         "Sec-WebSocket-Protocol: phoenix\n"));
    assert_false(foreign("Sec-WebSocket-Protocol: "
                         "base64url.bearer.phx.abc\n"));
    assert_false(foreign("Sec-WebSocket-Protocol: ,\n"));
    assert_false(foreign(""));
}

static void a_value_is_compared_to_its_end_and_not_to_a_nul(void **state)
{
    struct hf_handshake h = {.hosts = 0};

    (void)state;
    hf_handshake_header(&h, HF_STR("Upgrade"), HF_STR("websocket\0x"));
    hf_handshake_header(&h, HF_STR("Connection"), HF_STR("upgrade\0"));
    hf_handshake_header(&h, HF_STR("Sec-WebSocket-Version"), HF_STR("13\0"));
    assert_false(h.upgrade_websocket);
    assert_false(h.connection_upgrade);
    assert_false(h.version_13);
}

static void
the_last_lines_of_forwarded_for_are_kept_in_their_order(void **state)
{
    static const char *const lines[] = {"a", "b", " c ", "d", "e"};
    struct hf_handshake h = {.hosts = 0};
    size_t i;

    (void)state;
    for (i = 0; i < 2; i++)
        hf_handshake_header(&h, HF_STR("x-forwarded-for"), hf_str_of(lines[i]));
    assert_int_equal(h.forwarded_for[0].len, 0);
    assert_true(hf_str_eq(h.forwarded_for[2], HF_STR("a")));
    assert_true(hf_str_eq(h.forwarded_for[3], HF_STR("b")));
    for (; i < 5; i++)
        hf_handshake_header(&h, HF_STR("X-Forwarded-For"), hf_str_of(lines[i]));
    assert_true(hf_str_eq(h.forwarded_for[0], HF_STR("b")));
    assert_true(hf_str_eq(h.forwarded_for[1], HF_STR("c")));
    assert_true(hf_str_eq(h.forwarded_for[3], HF_STR("e")));
}

static void a_proxy_says_so_once(void **state)
{
    struct hf_handshake h = {.hosts = 0};

    (void)state;
    hf_handshake_header(&h, HF_STR("X-Holdfast-Proxy"), HF_STR("s"));
    assert_int_equal(h.proxies, 1);
    assert_true(hf_str_eq(h.proxy, HF_STR("s")));
    hf_handshake_header(&h, HF_STR("X-Holdfast-Proxy"), HF_STR("t"));
    assert_int_equal(h.proxies, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_handshake_is_accepted_with_the_answer_of_the_rfc),
        cmocka_unit_test(only_get_may_ask),
        cmocka_unit_test(headers_that_must_be_alone_are_refused_twice),
        cmocka_unit_test(an_upgrade_needs_each_of_its_headers),
        cmocka_unit_test(no_other_version_of_http_is_upgraded),
        cmocka_unit_test(the_subprotocol_is_seen_in_any_list_but_spelt_exactly),
        cmocka_unit_test(
            other_subprotocols_alone_are_foreign_and_a_token_is_none),
        cmocka_unit_test(a_value_is_compared_to_its_end_and_not_to_a_nul),
        cmocka_unit_test(
            the_last_lines_of_forwarded_for_are_kept_in_their_order),
        cmocka_unit_test(a_proxy_says_so_once),
    };

    return cmocka_run_group_tests_name("handshake", tests, NULL, NULL);
}

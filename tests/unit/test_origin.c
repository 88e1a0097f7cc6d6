#include "channel/origin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/err.h"

static struct hf_settings settings;

static int forget_settings(void **state)
{
    (void)state;
    memset(&settings, 0, sizeof(settings));
    return 0;
}

static void add(char list[][HF_SETTINGS_TEXT], size_t *count, const char *text)
{
    (void)snprintf(list[*count], HF_SETTINGS_TEXT, "%s", text);
    *count += 1;
}

static bool allowed(const char *origin, const char *host)
{
    struct hf_origin_request request = {
        .origin = hf_str_of(origin),
        .host = hf_str_of(host),
    };
    int err = hf_origin_check(&settings, &request);

    assert_true(err == 0 || err == HF_EDENIED);
    return err == 0;
}

/* --- the origin of a request --------------------------------------------- */

static void a_page_of_the_same_host_may_connect(void **state)
{
    static const char *const rows[][2] = {
        {"http://example.com", "example.com"},
        {"https://example.com", "example.com"},
        {"https://example.com", "example.com:8443"},
        {"http://example.com:8080", "example.com"},
        {"HTTPS://EXAMPLE.com", "Example.COM"},
        {"http://127.0.0.1:8080", "127.0.0.1:8080"},
        {"http://localhost", "localhost:4000"},
        {"http://[::1]:4000", "[::1]:4000"},
        {"http://[2001:DB8::1]", "[2001:db8::1]"},
        {"http://my_box", "my_box"},
        {"chrome-extension://abcdef", "abcdef"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_true(allowed(rows[i][0], rows[i][1]));
}

static void a_page_of_another_host_may_not(void **state)
{
    static const char *const rows[][2] = {
        {"http://evil.com", "example.com"},
        {"http://example.com.evil.com", "example.com"},
        {"http://evil-example.com", "example.com"},
        {"http://sub.example.com", "example.com"},
        {"http://example.com", "sub.example.com"},
        {"http://example.co", "example.com"},
        {"http://example.com", ""},
        {"http://[::2]", "[::1]"},
        {"http://[::1", "[::1]"},
        {"http://*", "*"},
        {"http://*.example.com", "*.example.com"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_false(allowed(rows[i][0], rows[i][1]));
}

static void what_is_no_origin_is_denied(void **state)
{
    static const char *const rows[] = {
        "null",
        "example.com",
        "//example.com",
        "://example.com",
        "http://",
        "http:///",
        "http:example.com",
        "http://example.com/",
        "http://example.com/path",
        "http://example.com?",
        "http://example.com#",
        "http://user@example.com",
        "http://evil.com@example.com",
        "http://example.com:x",
        "http://example.com:80:80",
        "http://example.com:123456",
        "http://example.com evil.com",
        "http://example.com http://example.com",
        "http://example.com\\evil.com",
        "1http://example.com",
        "h ttp://example.com",
        "http://ex%61mple.com",
        "http://[example.com]",
        " http://example.com",
        "http://example.com ",
        "http://example.com\t",
        "http://\xc3\xa4.example.com",
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (allowed(rows[i], "example.com"))
            fail_msg("%s", rows[i]);
    }
    /* An empty port is none, RFC 3986 section 3.2.3. */
    assert_true(allowed("http://example.com:", "example.com"));
}

static void programs_without_origin_may_connect(void **state)
{
    (void)state;
    assert_true(allowed("", "example.com"));
    assert_true(allowed("", ""));
}

static void a_cross_site_request_needs_an_allowed_origin(void **state)
{
    static const struct {
        const char *site;
        int want;
    } rows[] = {
        {"cross-site", HF_EDENIED},
        {"Cross-Site", HF_EDENIED},
        {"same-site", 0},
        {"same-origin", 0},
        {"none", 0},
        {"", 0},
    };
    struct hf_origin_request request = {.host = HF_STR("example.com")};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        request.sec_fetch_site = hf_str_of(rows[i].site);
        assert_int_equal(hf_origin_check(&settings, &request), rows[i].want);
    }

    request.sec_fetch_site = HF_STR("cross-site");
    request.origin = HF_STR("https://app.example.org");
    assert_int_equal(hf_origin_check(&settings, &request), HF_EDENIED);
    add(settings.origins, &settings.origins_count, "app.example.org");
    assert_int_equal(hf_origin_check(&settings, &request), 0);
}

static void a_list_names_other_pages(void **state)
{
    static const struct {
        const char *entry, *origin;
        bool want;
    } rows[] = {
        {"a.org", "http://a.org", true},
        {"a.org", "https://a.org:444", true},
        {"a.org", "https://A.ORG", true},
        {"A.org", "https://a.org", true},
        {"a.org", "https://b.a.org", false},
        {"a.org", "https://xa.org", false},
        {"https://a.org", "https://a.org", true},
        {"HTTPS://a.org", "https://a.org", true},
        {"https://a.org", "http://a.org", false},
        {"https://a.org", "https://a.org:444", true},
        {"//a.org", "http://a.org", false},
        {"a.org:444", "https://a.org:444", true},
        {"a.org:444", "https://a.org", false},
        {"a.org:443", "https://a.org", true},
        {"a.org:80", "http://a.org", true},
        {"a.org:80", "https://a.org", false},
        {"http://a.org:8080", "http://a.org:8080", true},
        {"http://a.org:8080", "http://a.org:8081", false},
        {"*.a.org", "https://a.org", true},
        {"*.a.org", "https://b.a.org", true},
        {"*.a.org", "https://c.b.a.org", true},
        {"*.A.org", "https://b.a.ORG", true},
        {"*.a.org", "https://ba.org", false},
        {"*.a.org", "https://.a.org", false},
        {"*.a.org", "https://b.a.org.evil.com", false},
        {"https://*.a.org", "http://b.a.org", false},
        {"*.a.org:444", "https://b.a.org:444", true},
        {"*.a.org:444", "https://b.a.org", false},
        {"*.", "https://a.org", false},
        {"*.org", "https://a.org", true},
        {"[::1]", "http://[::1]:4000", true},
        {"[::1]:4000", "http://[::1]", false},
        {"http://[::1]:4000", "http://[::1]:4000", true},
        {"", "https://a.org", false},
        {"null", "null", false},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        settings.origins_count = 0;
        add(settings.origins, &settings.origins_count, "first.example");
        add(settings.origins, &settings.origins_count, rows[i].entry);
        if (allowed(rows[i].origin, "example.com") != rows[i].want)
            fail_msg("%s with %s", rows[i].entry, rows[i].origin);
        assert_true(allowed("http://first.example", "example.com"));
        assert_true(allowed("http://example.com", "example.com"));
    }
}

static void a_star_lets_everybody_in(void **state)
{
    struct hf_origin_request request = {.sec_fetch_site = HF_STR("cross-site")};

    (void)state;
    add(settings.origins, &settings.origins_count, "*");
    assert_true(allowed("https://anything.example", "example.com"));
    assert_true(allowed("null", "example.com"));
    /* Without an Origin nobody can be let in by it. */
    assert_int_equal(hf_origin_check(&settings, &request), HF_EDENIED);
}

static void same_as_request_compares_scheme_and_port_too(void **state)
{
    static const struct {
        const char *origin, *host, *scheme;
        bool want;
    } rows[] = {
        {"http://a.org", "a.org", "http", true},
        {"https://a.org", "a.org", "https", true},
        {"https://a.org", "a.org", "HTTPS", true},
        {"https://a.org:443", "a.org", "https", true},
        {"https://a.org", "a.org:443", "https", true},
        {"http://a.org:8080", "a.org:8080", "http", true},
        {"https://a.org", "a.org", "http", false},
        {"http://a.org", "a.org", "https", false},
        {"http://a.org:8080", "a.org", "http", false},
        {"http://a.org", "a.org:8080", "http", false},
        {"http://a.org:8081", "a.org:8080", "http", false},
        {"http://b.org", "a.org", "http", false},
        /* where the scheme is not known the port is all there is */
        {"https://a.org", "a.org", "", true},
        {"http://a.org", "a.org", "quic", true},
        {"https://a.org:8443", "a.org", "", false},
        {"http://a.org", "a.org:443", "", false},
        {"https://a.org", "a.org:443", "", true},
        {"null", "a.org", "http", false},
    };
    size_t i;

    (void)state;
    add(settings.origins, &settings.origins_count, "same-as-request");
    add(settings.origins, &settings.origins_count, "https://c.org");
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct hf_origin_request request = {
            .origin = hf_str_of(rows[i].origin),
            .host = hf_str_of(rows[i].host),
            .scheme = hf_str_of(rows[i].scheme),
        };

        if ((hf_origin_check(&settings, &request) == 0) != rows[i].want)
            fail_msg("%s to %s by %s", rows[i].origin, rows[i].host,
                     rows[i].scheme);
    }
    assert_true(allowed("https://c.org", "a.org")); /* others may be listed */
    assert_false(allowed("http://same-as-request", "a.org"));
}

static void off_lets_in_whatever_comes(void **state)
{
    struct hf_origin_request request = {.sec_fetch_site = HF_STR("cross-site")};

    (void)state;
    add(settings.origins, &settings.origins_count, "off");
    assert_true(allowed("https://anything.example", "example.com"));
    assert_true(allowed("null", "example.com"));
    assert_true(allowed("garbage", ""));
    assert_int_equal(hf_origin_check(&settings, &request), 0);
}

/* --- our own names ------------------------------------------------------- */

static bool ours(const char *host, bool loopback)
{
    struct hf_origin_request request = {
        .host = hf_str_of(host),
        .loopback_listener = loopback,
    };

    return hf_host_ours(&settings, &request);
}

static void a_loopback_listener_takes_loopback_names(void **state)
{
    static const char *const names[] = {
        "localhost",      "LOCALHOST:8080", "127.0.0.1",
        "127.0.0.1:4000", "127.1.2.3",      "127.255.255.254:1",
        "[::1]",          "[::1]:4000",     "[0:0:0:0:0:0:0:1]",
    };
    static const char *const others[] = {
        "",
        "example.com",
        "example.com:8080",
        "128.0.0.1",
        "127.0.0.1.evil.com",
        "127.0.0",
        "127.0.0.256",
        "127.0.0.1 ",
        "127.0.0.1:x",
        "localhost.evil.com",
        "evil.localhost.com",
        "[::2]",
        "::1",
        "[::1",
        "[::1]x",
        "[127.0.0.1]",
        "user@localhost",
        "localhost/",
        "0.0.0.0",
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_true(ours(names[i], true));
    for (i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (ours(others[i], true))
            fail_msg("%s", others[i]);
        assert_true(ours(others[i], false));
    }
}

static void with_hosts_given_only_these_are_ours(void **state)
{
    size_t loopback;

    (void)state;
    add(settings.hosts, &settings.hosts_count, "example.com");
    add(settings.hosts, &settings.hosts_count, "Other.example:8080");
    add(settings.hosts, &settings.hosts_count, "[2001:db8::1]");
    for (loopback = 0; loopback < 2; loopback++) {
        assert_true(ours("example.com", loopback));
        assert_true(ours("EXAMPLE.com:443", loopback));
        assert_true(ours("other.EXAMPLE", loopback));
        assert_true(ours("other.example:9", loopback));
        assert_true(ours("[2001:DB8::1]:80", loopback));
        assert_false(ours("sub.example.com", loopback));
        assert_false(ours("example.com.evil.com", loopback));
        assert_false(ours("example.com@evil.com", loopback));
        assert_false(ours("localhost", loopback));
        assert_false(ours("", loopback));
    }
}

#define TEST(name) cmocka_unit_test_setup(name, forget_settings)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_page_of_the_same_host_may_connect),
        TEST(a_page_of_another_host_may_not),
        TEST(what_is_no_origin_is_denied),
        TEST(programs_without_origin_may_connect),
        TEST(a_cross_site_request_needs_an_allowed_origin),
        TEST(a_list_names_other_pages),
        TEST(a_star_lets_everybody_in),
        TEST(same_as_request_compares_scheme_and_port_too),
        TEST(off_lets_in_whatever_comes),
        TEST(a_loopback_listener_takes_loopback_names),
        TEST(with_hosts_given_only_these_are_ours),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

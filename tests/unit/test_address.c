/* Addresses as they come from accept, from headers, and as they are written. */
#include "base/address.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <sys/un.h>

static struct hf_address at(const char *text)
{
    return hf_address_read(hf_str_of(text));
}

static void is_read_as(const char *text, const char *written)
{
    struct hf_address address = at(text);
    char out[HF_ADDRESS_TEXT];

    hf_address_write(&address, out);
    if (strcmp(out, written) != 0)
        fail_msg("%s is read as \"%s\"", text, out);
    assert_int_equal(address.known, written[0] != '\0');
}

static void addresses_are_read_with_and_without_a_port(void **state)
{
    (void)state;
    is_read_as("192.0.2.1", "192.0.2.1");
    is_read_as("192.0.2.1:80", "192.0.2.1");
    is_read_as("2001:db8::1", "2001:db8::1");
    is_read_as("2001:DB8:0:0::1", "2001:db8::1");
    is_read_as("[2001:db8::1]", "2001:db8::1");
    is_read_as("[2001:db8::1]:443", "2001:db8::1");
    is_read_as("::ffff:192.0.2.1", "192.0.2.1");
    is_read_as("[::ffff:c000:201]:1", "192.0.2.1");
    is_read_as("::1", "::1");
}

static void what_is_no_address_is_not_known(void **state)
{
    (void)state;
    is_read_as("", "");
    is_read_as("unknown", "");
    is_read_as("_hidden", "");
    is_read_as("192.0.2", "");
    is_read_as("192.0.2.256", "");
    is_read_as("192.0.2.1 ", "");
    is_read_as("[", "");
    is_read_as("[]", "");
    is_read_as("[2001:db8::1", "");
    is_read_as(":", "");
    is_read_as("fe80::1%eth0", "");
    is_read_as("1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa", "");
}

static void a_peer_is_what_accept_says(void **state)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    char out[HF_ADDRESS_TEXT];
    struct hf_address address;

    (void)state;
    assert_int_equal(inet_pton(AF_INET, "198.51.100.7", &v4.sin_addr), 1);
    address = hf_address_of((struct sockaddr *)&v4);
    hf_address_write(&address, out);
    assert_string_equal(out, "198.51.100.7");
    assert_int_equal(inet_pton(AF_INET6, "::ffff:198.51.100.7", &v6.sin6_addr),
                     1);
    address = hf_address_of((struct sockaddr *)&v6);
    hf_address_write(&address, out);
    assert_string_equal(out, "198.51.100.7");
    address = hf_address_of((struct sockaddr *)&un);
    assert_false(address.known);
}

static bool is_loopback(const char *text)
{
    struct hf_address address = at(text);

    return hf_address_is_loopback(&address);
}

static void loopback_is_a_whole_network_of_ipv4(void **state)
{
    (void)state;
    assert_true(is_loopback("127.0.0.1"));
    assert_true(is_loopback("127.255.0.9"));
    assert_true(is_loopback("::ffff:127.0.0.1"));
    assert_true(is_loopback("::1"));
    assert_false(is_loopback("::2"));
    assert_false(is_loopback("128.0.0.1"));
    assert_false(is_loopback("::"));
    assert_false(is_loopback("nobody"));
}

static void same_site(const char *one, const char *other, bool same)
{
    struct hf_address a = at(one), b = at(other);

    a = hf_address_site(&a);
    b = hf_address_site(&b);
    assert_int_equal(memcmp(&a, &b, sizeof(a)) == 0, same);
}

static void a_site_is_an_address_of_ipv4_and_a_64_of_ipv6(void **state)
{
    (void)state;
    same_site("192.0.2.1", "192.0.2.1", true);
    same_site("192.0.2.1", "192.0.2.2", false);
    same_site("2001:db8:1:2::1", "2001:db8:1:2:ffff::", true);
    same_site("2001:db8:1:2::1", "2001:db8:1:3::1", false);
}

static bool has(const char *network, const char *address)
{
    struct hf_network parsed;
    struct hf_address one = at(address);

    assert_true(hf_network_read(hf_str_of(network), &parsed));
    return hf_network_has(&parsed, &one);
}

static void a_network_has_what_begins_with_its_bits(void **state)
{
    (void)state;
    assert_true(has("192.0.2.0/24", "192.0.2.255"));
    assert_false(has("192.0.2.0/24", "192.0.3.0"));
    assert_true(has("192.0.2.77/24", "192.0.2.1")); /* bits beyond: ignored */
    assert_true(has("10.0.0.0/8", "10.9.8.7"));
    assert_true(has("10.32.0.0/11", "10.63.255.255"));
    assert_false(has("10.32.0.0/11", "10.64.0.0"));
    assert_true(has("0.0.0.0/0", "203.0.113.9"));
    assert_false(has("0.0.0.0/0", "2001:db8::1"));
    assert_true(has("192.0.2.1", "192.0.2.1"));
    assert_false(has("192.0.2.1", "192.0.2.0"));
    assert_true(has("2001:db8::/32", "2001:db8:ffff::1"));
    assert_false(has("2001:db8::/32", "2001:db9::"));
    assert_true(has("::/0", "2001:db9::"));
    assert_false(has("::/0", "nobody"));
}

static void what_is_no_network_is_refused(void **state)
{
    static const char *const bad[] = {
        "",   "example.com", "10.0.0.0/",      "10.0.0.0/33", "10.0.0.0/-1",
        "/8", "10.0.0.0/8x", "2001:db8::/129", "10/8",        "10.0.0.0/0008",
    };
    struct hf_network network;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (hf_network_read(hf_str_of(bad[i]), &network))
            fail_msg("%s was taken", bad[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_read_with_and_without_a_port),
        cmocka_unit_test(what_is_no_address_is_not_known),
        cmocka_unit_test(a_peer_is_what_accept_says),
        cmocka_unit_test(loopback_is_a_whole_network_of_ipv4),
        cmocka_unit_test(a_site_is_an_address_of_ipv4_and_a_64_of_ipv6),
        cmocka_unit_test(a_network_has_what_begins_with_its_bits),
        cmocka_unit_test(what_is_no_network_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What one address may have, told by counting; time is shifted. */
#include "sidecar/visitors.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "sidecar/limits.h"

static struct hf_visitors visitors;
static struct hf_visitor *last; /* that came */
static int64_t retry_ms;

static int tear_down(void **state)
{
    (void)state;
    hf_visitors_release(&visitors);
    return 0;
}

static void pass_ms(int64_t ms)
{
    static int64_t shifted_ms;

    shifted_ms += ms;
    hf_clock_shift(shifted_ms, shifted_ms);
}

static enum hf_welcome come(const char *text)
{
    struct hf_address address = hf_address_read(hf_str_of(text));

    return hf_visitors_enter(&visitors, &address, &last, &retry_ms);
}

/* Comes, and its handshake is done. */
static struct hf_visitor *settle(const char *text)
{
    assert_int_equal(come(text), HF_WELCOME);
    assert_non_null(last);
    hf_visitor_upgraded(last);
    return last;
}

static void an_address_has_so_many_and_others_as_many(void **state)
{
    struct hf_visitor *mine, *theirs;
    int i;

    (void)state;
    hf_visitors_init(&visitors, 3, 0);
    for (i = 0; i < 3; i++)
        mine = settle("192.0.2.1");
    assert_int_equal(come("192.0.2.1"), HF_TOO_MANY);
    assert_null(last);
    assert_int_equal(retry_ms, 5000);
    theirs = settle("192.0.2.2");
    hf_visitor_left(mine, true);
    assert_ptr_equal(settle("192.0.2.1"), mine);
    assert_int_equal(come("192.0.2.1"), HF_TOO_MANY);
    for (i = 0; i < 3; i++)
        hf_visitor_left(mine, true);
    hf_visitor_left(theirs, true);
}

static void handshakes_count_and_are_fewer(void **state)
{
    struct hf_visitor *mine = NULL;
    unsigned i;

    (void)state;
    hf_visitors_init(&visitors, 0, 0);
    for (i = 0; i < HF_ADDRESS_HANDSHAKES; i++) {
        assert_int_equal(come("192.0.2.1"), HF_WELCOME);
        mine = last;
    }
    assert_int_equal(come("192.0.2.1"), HF_TOO_MANY);
    hf_visitor_upgraded(mine);
    assert_int_equal(come("192.0.2.1"), HF_WELCOME);
    assert_int_equal(come("192.0.2.1"), HF_TOO_MANY);
    for (i = 0; i < HF_ADDRESS_HANDSHAKES; i++)
        hf_visitor_left(mine, false);
    hf_visitor_left(mine, true);
}

static void a_burst_and_then_so_many_a_second(void **state)
{
    int i;

    (void)state;
    hf_visitors_init(&visitors, 5, 2);
    for (i = 0; i < 5; i++)
        hf_visitor_left(settle("192.0.2.1"), true);
    assert_int_equal(come("192.0.2.1"), HF_TOO_OFTEN);
    assert_true(retry_ms > 400 && retry_ms <= 500);
    assert_int_equal(come("192.0.2.2"), HF_WELCOME);
    hf_visitor_left(last, false);
    pass_ms(500);
    hf_visitor_left(settle("192.0.2.1"), true);
    assert_int_equal(come("192.0.2.1"), HF_TOO_OFTEN);
}

static void who_was_refused_has_used_up_nothing(void **state)
{
    struct hf_visitor *mine;
    int i;

    (void)state;
    hf_visitors_init(&visitors, 1, 1);
    mine = settle("192.0.2.1");
    pass_ms(1000);
    for (i = 0; i < 100; i++)
        assert_int_equal(come("192.0.2.1"), HF_TOO_MANY);
    hf_visitor_left(mine, true);
    hf_visitor_left(settle("192.0.2.1"), true);
    for (i = 0; i < 100; i++)
        assert_int_equal(come("192.0.2.1"), HF_TOO_OFTEN);
    pass_ms(1000);
    hf_visitor_left(settle("192.0.2.1"), true);
}

static void what_a_proxy_brings_is_not_its_own(void **state)
{
    struct hf_visitor *proxy = NULL;
    int i;

    (void)state;
    hf_visitors_init(&visitors, 3, 1);
    for (i = 0; i < 9; i++) {
        char address[32];

        (void)snprintf(address, sizeof(address), "198.51.100.%d", i / 3);
        assert_int_equal(come("192.0.2.1"), HF_WELCOME);
        proxy = last;
        assert_int_equal(come(address), HF_WELCOME);
        hf_visitor_undo(proxy);
        hf_visitor_upgraded(last);
        hf_visitor_left(last, true);
    }
    assert_int_equal(come("198.51.100.0"), HF_TOO_OFTEN);
    for (i = 0; i < 3; i++) /* its whole burst is there */
        assert_ptr_equal(settle("192.0.2.1"), proxy);
    assert_int_equal(come("192.0.2.1"), HF_TOO_MANY);
    for (i = 0; i < 3; i++)
        hf_visitor_left(proxy, true);
}

static void the_64_of_a_customer_counts_as_one(void **state)
{
    struct hf_visitor *mine;

    (void)state;
    hf_visitors_init(&visitors, 1, 0);
    mine = settle("2001:db8:1:2::1");
    assert_int_equal(come("2001:db8:1:2:3::4"), HF_TOO_MANY);
    assert_int_equal(come("2001:db8:1:3::1"), HF_WELCOME);
    hf_visitor_left(last, false);
    hf_visitor_left(mine, true);
}

static void loopback_and_unix_sockets_are_exempt(void **state)
{
    static const char *const exempt[] = {"127.0.0.1", "::1", "127.3.2.1", ""};
    int i;

    (void)state;
    hf_visitors_init(&visitors, 1, 1);
    for (i = 0; i < 400; i++) {
        assert_int_equal(come(exempt[i % 4]), HF_WELCOME);
        assert_null(last);
        hf_visitor_upgraded(last);
        hf_visitor_undo(last);
    }
    assert_int_equal(visitors.away_count, 0);
}

static void who_is_away_is_remembered_no_longer_than_it_matters(void **state)
{
    int i;

    (void)state;
    hf_visitors_init(&visitors, 10, 1);
    hf_visitor_left(settle("192.0.2.1"), true);
    assert_int_equal(visitors.away_count, 1);
    pass_ms(1001);
    hf_visitor_left(settle("192.0.2.2"), true);
    assert_int_equal(visitors.away_count, 1);
    assert_int_equal(visitors.all.count, 1);
    for (i = 0; i < 2 * (int)HF_ADDRESSES_AWAY; i++) {
        char address[32];

        (void)snprintf(address, sizeof(address), "10.%d.%d.1", i / 256,
                       i % 256);
        hf_visitor_left(settle(address), true);
    }
    assert_true(visitors.away_count <= HF_ADDRESSES_AWAY + 1);
    assert_int_equal(visitors.all.count, visitors.away_count);
}

static void who_has_connections_is_never_forgotten(void **state)
{
    struct hf_visitor **all;
    int i, count = 2 * (int)HF_ADDRESSES_AWAY;

    (void)state;
    all = calloc((size_t)count, sizeof(*all));
    assert_non_null(all);
    hf_visitors_init(&visitors, 1, 1);
    for (i = 0; i < count; i++) {
        char address[32];

        (void)snprintf(address, sizeof(address), "10.%d.%d.1", i / 256,
                       i % 256);
        all[i] = settle(address);
    }
    assert_int_equal(come("10.0.0.1"), HF_TOO_MANY);
    assert_int_equal(visitors.all.count, count);
    for (i = 0; i < count; i++)
        hf_visitor_left(all[i], true);
    assert_true(visitors.away_count <= HF_ADDRESSES_AWAY + 1);
    free(all);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(an_address_has_so_many_and_others_as_many),
        TEST(handshakes_count_and_are_fewer),
        TEST(a_burst_and_then_so_many_a_second),
        TEST(who_was_refused_has_used_up_nothing),
        TEST(what_a_proxy_brings_is_not_its_own),
        TEST(the_64_of_a_customer_counts_as_one),
        TEST(loopback_and_unix_sockets_are_exempt),
        TEST(who_is_away_is_remembered_no_longer_than_it_matters),
        TEST(who_has_connections_is_never_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "sidecar/tend.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/sys.h"
#include "sidecar/limits.h"

/* --- being ready ---------------------------------------------------------- */

static struct fixture {
    struct hf_tend tend;
    struct hf_listeners listeners;
    struct hf_counters *counters;
    int manager; /* what the service manager reads */
} f;

static int set_up(void **state)
{
    char name[64];

    (void)state;
    f = (struct fixture){.counters = hf_counters_new(2)};
    assert_non_null(f.counters);
    f.listeners.count = 1;
    (void)snprintf(f.listeners.at[0].address, sizeof(f.listeners.at[0].address),
                   "unix:sidecar.sock");
    f.tend.counters = f.counters;
    f.tend.listeners = &f.listeners;
    (void)snprintf(name, sizeof(name), "@hf-tend-%ld", (long)getpid());
    assert_true(hf_notify_address(&f.tend.notify, name));
    f.manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(f.manager,
                          (const struct sockaddr *)&f.tend.notify.address,
                          f.tend.notify.len),
                     0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    hf_close(&f.manager);
    hf_counters_free(f.counters);
    return 0;
}

/* The next word to the manager; NULL: there is none. */
static const char *heard(void)
{
    static char text[640];
    ssize_t len = recv(f.manager, text, sizeof(text) - 1, 0);

    if (len < 0)
        return NULL;
    text[len] = '\0';
    return text;
}

/* Worker n serves now, or does not. */
static void serves(size_t n, bool it_does)
{
    hf_counters_use(f.counters, n);
    hf_count_now(HF_HAS_SERVING, it_does);
}

static void we_are_ready_when_all_workers_serve(void **state)
{
    (void)state;
    assert_int_equal(hf_tend_look(&f.tend), HF_TEND_START_MS);
    serves(1, true);
    assert_int_equal(hf_tend_look(&f.tend), HF_TEND_START_MS);
    assert_null(heard());
    serves(0, true);
    assert_true(hf_tend_look(&f.tend) > HF_TEND_START_MS);
    assert_string_equal(heard(), "READY=1\nSTATUS=serving unix:sidecar.sock");

    serves(0, false); /* it has died, and another takes its place */
    (void)hf_tend_look(&f.tend);
    serves(0, true);
    (void)hf_tend_look(&f.tend);
    assert_null(heard());
}

static void who_waits_for_our_end_is_told_that_it_has_begun(void **state)
{
    (void)state;
    hf_tend_stopping(&f.tend);
    assert_non_null(strstr(heard(), "STOPPING=1"));
}

/* -------------------------------------------------------------------------- */

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(we_are_ready_when_all_workers_serve,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            who_waits_for_our_end_is_told_that_it_has_begun, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

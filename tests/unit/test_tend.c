#include "sidecar/tend.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/sys.h"
#include "schema/starts.h"
#include "sidecar/limits.h"

#define IDLE_MS  600000
#define SLACK_MS 30000 /* of real time, whatever this machine does meanwhile */

static struct fixture {
    struct hf_tend tend;
    struct hf_dir dir;
    struct hf_listeners listeners;
    struct hf_counters *counters;
    int manager;      /* what the service manager reads */
    int64_t later_ms; /* so much time has passed */
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
    f.tend.dir = &f.dir;
    f.tend.idle_exit_ms = IDLE_MS;
    (void)snprintf(f.dir.path, sizeof(f.dir.path), "/tmp/hf-tend.XXXXXX");
    assert_non_null(mkdtemp(f.dir.path));
    f.dir.fd = open(f.dir.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    f.dir.file_mode = 0600;
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
    hf_clock_shift(0, 0);
    hf_close(&f.manager);
    hf_counters_free(f.counters);
    (void)unlinkat(f.dir.fd, HF_FILE_STARTS, 0);
    (void)unlinkat(f.dir.fd, HF_FILE_LOG, 0);
    (void)unlinkat(f.dir.fd, HF_FILE_OLD_LOG, 0);
    hf_close(&f.dir.fd);
    return rmdir(f.dir.path);
}

/* --- being ready ---------------------------------------------------------- */

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

/* --- being needed --------------------------------------------------------- */

/* As a gateway starts it. */
static void begin_on_demand(void)
{
    struct hf_starts starts;
    int lock;

    assert_int_equal(hf_starts_lock(&f.dir, 0, &lock, &starts), 0);
    hf_starts_begin(&starts, hf_boot_ms());
    assert_int_equal(hf_starts_write(lock, &starts), 0);
    hf_starts_unlock(&lock);
    f.tend.notify.len = 0;
    f.tend.on_demand = true;
    hf_tend_begin(&f.tend);
}

static bool ends_after(int64_t ms)
{
    f.later_ms += ms;
    hf_clock_shift(f.later_ms, 0);
    return hf_tend_look(&f.tend) < 0;
}

static void open_websockets(int64_t count)
{
    hf_counters_use(f.counters, 1);
    if (count > 0)
        hf_count_many(HF_COUNT_HANDSHAKES, (uint64_t)count);
    hf_count_now(HF_HAS_SOCKETS, count > 0 ? (uint64_t)count : 0);
}

static struct hf_starts known(void)
{
    struct hf_starts starts;

    hf_starts_read(&f.dir, &starts);
    return starts;
}

static void nobody_came_it_ends_and_says_that_it_was_in_vain(void **state)
{
    (void)state;
    begin_on_demand();
    assert_false(ends_after(0));
    assert_false(ends_after(IDLE_MS - SLACK_MS));
    assert_int_equal(known().deaths, 1);
    assert_true(ends_after(SLACK_MS));
    assert_int_equal(known().deaths, 0);
    assert_int_equal(known().vain, 1);
    assert_false(
        hf_starts_may(&(struct hf_starts){known().next_ms, 0, 0, false},
                      hf_boot_ms() + HF_STARTS_VAIN_MS - SLACK_MS));
}

static void while_a_websocket_is_open_it_stays(void **state)
{
    (void)state;
    begin_on_demand();
    open_websockets(1);
    assert_false(ends_after(10 * IDLE_MS));
    open_websockets(0); /* seen to be open a moment ago */
    assert_false(ends_after(SLACK_MS));
    assert_false(ends_after(IDLE_MS - 2 * SLACK_MS));
    assert_true(ends_after(SLACK_MS));
    assert_int_equal(known().vain, 0);
    assert_true(hf_starts_may(&(struct hf_starts){known().next_ms, 0, 0, false},
                              hf_boot_ms()));
}

/* It came and went between two looks. */
static void a_short_websocket_counts(void **state)
{
    (void)state;
    begin_on_demand();
    assert_false(ends_after(IDLE_MS - SLACK_MS));
    open_websockets(1);
    open_websockets(0);
    assert_false(ends_after(2 * SLACK_MS));
    assert_false(ends_after(IDLE_MS - SLACK_MS));
    assert_true(ends_after(SLACK_MS));
    assert_int_equal(known().vain, 0);
}

static void
it_is_of_use_when_it_has_lived_a_minute_and_had_a_websocket(void **state)
{
    (void)state;
    begin_on_demand();
    open_websockets(1);
    assert_false(ends_after(HF_STARTS_PROVEN_MS - SLACK_MS));
    assert_int_equal(known().deaths, 1); /* it may still be what kills it */
    assert_false(ends_after(SLACK_MS));
    assert_int_equal(known().deaths, 0);
}

static void one_that_was_not_started_on_demand_stays(void **state)
{
    (void)state;
    begin_on_demand();
    f.tend.on_demand = false;
    assert_false(ends_after(1000LL * IDLE_MS));
    assert_int_equal(known().deaths, 1);
}

/* --- the log -------------------------------------------------------------- */

static int64_t size_of(const char *name)
{
    struct stat st;

    return fstatat(f.dir.fd, name, &st, 0) == 0 ? st.st_size : -1;
}

static void the_log_in_the_directory_is_kept_short(void **state)
{
    int before = dup(STDERR_FILENO);
    int log = openat(f.dir.fd, HF_FILE_LOG,
                     O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);

    (void)state;
    assert_true(before >= 0 && log >= 0);
    assert_true(dup2(log, STDERR_FILENO) >= 0);
    hf_tend_begin(&f.tend);
    f.tend.notify.len = 0;
    assert_int_equal(write(log, "first\n", 6), 6);
    (void)hf_tend_look(&f.tend);
    assert_int_equal(size_of(HF_FILE_LOG), 6);
    assert_int_equal(ftruncate(log, HF_TEND_LOG_BYTES), 0);
    (void)hf_tend_look(&f.tend);
    assert_int_equal(write(log, "next\n", 5),
                     5); /* a worker's, which appends */
    assert_true(dup2(before, STDERR_FILENO) >= 0);
    assert_int_equal(size_of(HF_FILE_LOG), 5);
    assert_int_equal(size_of(HF_FILE_OLD_LOG), HF_TEND_LOG_BYTES);
    hf_close(&before);
    hf_close(&log);
}

/* A terminal, a pipe, a file of the service manager. */
static void another_log_is_left_alone(void **state)
{
    (void)state;
    hf_tend_begin(&f.tend);
    assert_false(f.tend.logs);
}

/* -------------------------------------------------------------------------- */

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(we_are_ready_when_all_workers_serve),
        TEST(who_waits_for_our_end_is_told_that_it_has_begun),
        TEST(nobody_came_it_ends_and_says_that_it_was_in_vain),
        TEST(while_a_websocket_is_open_it_stays),
        TEST(a_short_websocket_counts),
        TEST(it_is_of_use_when_it_has_lived_a_minute_and_had_a_websocket),
        TEST(one_that_was_not_started_on_demand_stays),
        TEST(the_log_in_the_directory_is_kept_short),
        TEST(another_log_is_left_alone),
    };

    hf_log_open("test", HF_LOG_ERROR, false);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

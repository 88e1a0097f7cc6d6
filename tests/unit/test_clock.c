#include "base/clock.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <time.h>

static int64_t now_ms(clockid_t clock)
{
    struct timespec now;

    assert_int_equal(clock_gettime(clock, &now), 0);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void assert_between(int64_t low, int64_t value, int64_t high)
{
    assert_true(low <= value);
    assert_true(value <= high);
}

static void the_clocks_are_boottime_and_realtime(void **state)
{
    int64_t before, value;

    (void)state;
    before = now_ms(CLOCK_BOOTTIME);
    value = hf_boot_ms();
    assert_between(before, value, now_ms(CLOCK_BOOTTIME));
    before = now_ms(CLOCK_BOOTTIME);
    value = hf_boot_us();
    assert_between(before, value / 1000, now_ms(CLOCK_BOOTTIME));
    before = now_ms(CLOCK_REALTIME);
    value = hf_wall_ms();
    assert_between(before, value, now_ms(CLOCK_REALTIME));
}

static void each_can_be_shifted_and_put_back(void **state)
{
    int64_t boot = hf_boot_ms(), wall = hf_wall_ms();

    (void)state;
    hf_clock_shift(3600000, -86400000);
    assert_between(boot + 3600000, hf_boot_ms(), boot + 3660000);
    assert_between(boot + 3600000, hf_boot_us() / 1000, boot + 3660000);
    assert_between(wall - 86400000, hf_wall_ms(), wall - 86340000);
    hf_clock_shift(0, 0);
    assert_between(boot, hf_boot_ms(), boot + 60000);
    assert_between(wall, hf_wall_ms(), wall + 60000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_clocks_are_boottime_and_realtime),
        cmocka_unit_test(each_can_be_shifted_and_put_back),
    };

    return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}

#include "base/clock.h"

#include <stdatomic.h>
#include <time.h>

/* Atomic because the writer thread reads the clocks too. */
static _Atomic int64_t boot_shift_ms;
static _Atomic int64_t wall_shift_ms;

static int64_t now_us(clockid_t clock)
{
    struct timespec now = {0, 0};

    /* Fails for unknown clocks only, and both of ours are as old as 2.6.39. */
    (void)clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t hf_boot_ms(void)
{
    return hf_boot_us() / 1000;
}

int64_t hf_boot_us(void)
{
    return now_us(CLOCK_BOOTTIME) +
           atomic_load_explicit(&boot_shift_ms, memory_order_relaxed) * 1000;
}

int64_t hf_wall_ms(void)
{
    return now_us(CLOCK_REALTIME) / 1000 +
           atomic_load_explicit(&wall_shift_ms, memory_order_relaxed);
}

void hf_clock_shift(int64_t boot_ms, int64_t wall_ms)
{
    atomic_store_explicit(&boot_shift_ms, boot_ms, memory_order_relaxed);
    atomic_store_explicit(&wall_shift_ms, wall_ms, memory_order_relaxed);
}

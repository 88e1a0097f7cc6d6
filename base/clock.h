/*
 * clock.h - the two clocks; tests may set both
 */
#ifndef HF_BASE_CLOCK_H
#define HF_BASE_CLOCK_H

#include <stdint.h>

/* Since boot, sleep included (CLOCK_BOOTTIME): for deadlines and leases. It is
 * the same for every process of the host. */
int64_t hf_boot_ms(void);
int64_t hf_boot_us(void);
/* Since 1970 (CLOCK_REALTIME): for people, tokens and message times. */
int64_t hf_wall_ms(void);

/* Add these to the real clocks from now on. For tests only. */
void hf_clock_shift(int64_t boot_ms, int64_t wall_ms);

#endif

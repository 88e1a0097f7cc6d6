#include "sidecar/meter.h"

#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/sys.h"
#include "sidecar/counters.h"
#include "sidecar/limits.h"

/* --- the hub ---------------------------------------------------------------- */

static void bring_wakeups(const struct hf_histogram *now,
                          const struct hf_histogram *before)
{
    unsigned n;

    for (n = 0; n < HF_HISTOGRAM_BUCKETS; n++)
        hf_counters_raise(&hf_counting->timed[HF_TIMED_WAKEUP].bucket[n],
                          now->bucket[n] - before->bucket[n]);
    hf_counters_raise(&hf_counting->timed[HF_TIMED_WAKEUP].sum_us,
                      now->sum_us - before->sum_us);
}

static void bring_hub(struct hf_meter *meter)
{
    const struct hf_hub_counts now = hf_hub_counts(meter->hub);
    const struct hf_hub_counts *before = &meter->before;

    hf_count_now(HF_HAS_MEMBERS, now.members);
    hf_count_now(HF_HAS_LAGGING, now.lagging);
    hf_count_now(HF_HAS_TOPICS, now.topics);
    hf_count_many(HF_COUNT_JOINS, now.joins - before->joins);
    hf_count_many(HF_COUNT_JOINS_REFUSED,
                  now.joins_refused - before->joins_refused);
    hf_count_many(HF_COUNT_PUSHES, now.pushes - before->pushes);
    hf_count_many(HF_COUNT_PUSHES_REFUSED,
                  now.pushes_refused - before->pushes_refused);
    hf_count_many(HF_COUNT_PUSHES_FAILED,
                  now.pushes_failed - before->pushes_failed);
    hf_count_many(HF_COUNT_ROWS_READ, now.rows_read - before->rows_read);
    hf_count_many(HF_COUNT_ENCODED, now.encoded - before->encoded);
    hf_count_many(HF_COUNT_DELIVERED, now.delivered - before->delivered);
    hf_count_many(HF_COUNT_REFILLED, now.refilled - before->refilled);
    hf_count_many(HF_COUNT_GAPS, now.gaps - before->gaps);
    hf_count_many(HF_COUNT_UNTIMED_ROWS, now.untimed - before->untimed);
    bring_wakeups(&now.wakeup, &before->wakeup);
    meter->before = now;
}

/* --- the kernel ------------------------------------------------------------- */

static uint64_t us_of(struct timeval time)
{
    return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_usec;
}

static void bring_cpu(struct hf_meter *meter)
{
    struct rusage usage;
    uint64_t now;

    if (getrusage(RUSAGE_SELF, &usage) < 0)
        return;
    now = us_of(usage.ru_utime) + us_of(usage.ru_stime);
    /* the kernel divides the time between the two anew each time it is asked */
    if (now <= meter->cpu_us)
        return;
    hf_count_many(HF_COUNT_CPU_US, now - meter->cpu_us);
    meter->cpu_us = now;
}

static void bring_resident(const struct hf_meter *meter)
{
    char text[128];
    unsigned long long pages;
    ssize_t len =
        meter->statm < 0 ? -1 : pread(meter->statm, text, sizeof(text) - 1, 0);

    if (len <= 0)
        return;
    text[len] = '\0';
    if (sscanf(text, "%*s %llu", &pages) == 1)
        hf_count_now(HF_HAS_RESIDENT, pages * (uint64_t)sysconf(_SC_PAGESIZE));
}

/* What is in use is what tells a leak from a heap with holes. To find it out the
 * C library walks through the holes, so it is not asked every time. */
static void bring_heap(struct hf_meter *meter)
{
#ifdef HAVE_MALLINFO2
    struct mallinfo2 heap;

    if (meter->heap_in-- > 0)
        return;
    meter->heap_in = HF_HEAP_TICKS - 1;
    heap = mallinfo2();
    hf_count_now(HF_HAS_HEAP, heap.uordblks + heap.hblkhd);
#else
    (void)meter;
#endif
}

/* ---------------------------------------------------------------------------- */

static void on_turn(void *ctx, int64_t us)
{
    const struct hf_meter *meter = ctx;
    const struct hf_hub *hub = meter->hub;

    hf_count_time(HF_TIMED_TURN, us);
    /* With nobody joined it does not read on, and nobody minds. */
    hf_count_now(HF_HAS_CURSOR, hub->counts.topics > 0 ? hub->cursor + 1 : 0);
}

static int arm(struct hf_meter *meter)
{
    meter->due_us = hf_boot_us() + HF_TICK_MS * 1000;
    return hf_loop_arm(meter->loop, &meter->timer, HF_TICK_MS * 1000);
}

static void on_timer(struct hf_timer *timer)
{
    struct hf_meter *meter = HF_ITEM(timer, struct hf_meter, timer);

    hf_count_time(HF_TIMED_DELAY, hf_boot_us() - meter->due_us);
    hf_meter_read(meter);
    bring_heap(meter);
    (void)arm(meter); /* room for it was made when it was armed first */
}

void hf_meter_read(struct hf_meter *meter)
{
    bring_hub(meter);
    bring_cpu(meter);
    bring_resident(meter);
}

int hf_meter_start(struct hf_meter *meter, struct hf_loop *loop,
                   const struct hf_hub *hub)
{
    int err;

    *meter = (struct hf_meter){.loop = loop, .hub = hub};
    meter->timer.fire = on_timer;
    err = arm(meter);
    if (err) {
        meter->loop = NULL;
        return err;
    }
    meter->statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    hf_loop_measure(loop, on_turn, meter);
    hf_meter_read(meter);
    return 0;
}

void hf_meter_stop(struct hf_meter *meter)
{
    if (!meter->loop)
        return;
    hf_meter_read(meter);
    hf_loop_measure(meter->loop, NULL, NULL);
    hf_loop_disarm(meter->loop, &meter->timer);
    hf_close(&meter->statm);
    meter->loop = NULL;
}

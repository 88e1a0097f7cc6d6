#include "sidecar/counters.h"

#include <sys/mman.h>

#include "base/clock.h"

struct hf_counters {
    size_t workers;
    int64_t since_ms;
    _Atomic uint64_t restarts; /* the parent alone writes it */
    struct hf_counters_slot slot[];
};

static struct hf_counters_slot nobodys;
struct hf_counters_slot *hf_counting = &nobodys;

/* --- closes --------------------------------------------------------------- */

static const struct {
    int code;
    const char *name;
} close_kinds[] = {
    {1000, "1000"}, {1001, "1001"},      {1002, "1002"}, {1003, "1003"},
    {1005, "1005"}, {1006, "1006"},      {1007, "1007"}, {1008, "1008"},
    {1009, "1009"}, {1010, "1010"},      {1011, "1011"}, {1012, "1012"},
    {1013, "1013"}, {3000, "3000-4999"}, {0, "other"},
};

_Static_assert(sizeof(close_kinds) / sizeof(close_kinds[0]) == HF_CLOSE_KINDS,
               "a counter for each");

static unsigned close_kind(int code)
{
    unsigned n = 0;

    if (code >= 3000 && code <= 4999)
        code = 3000;
    while (n < HF_CLOSE_KINDS - 1 && close_kinds[n].code != code)
        n++;
    return n;
}

const char *hf_close_kind_name(size_t kind)
{
    return close_kinds[kind].name;
}

void hf_count_close(int code, bool by_us)
{
    unsigned kind = close_kind(code);
    unsigned first = by_us ? HF_CLOSED_BY_US : HF_CLOSED_BY_PEER;

    hf_count_many((enum hf_counter)(first + kind), 1);
}

void hf_count_time(enum hf_timed which, int64_t us)
{
    hf_counters_raise(
        &hf_counting->timed[which].bucket[hf_histogram_bucket(us)], 1);
    if (us > 0)
        hf_counters_raise(&hf_counting->timed[which].sum_us, (uint64_t)us);
}

/* --- slots ---------------------------------------------------------------- */

static size_t size_for(size_t workers)
{
    return sizeof(struct hf_counters) +
           workers * sizeof(struct hf_counters_slot);
}

struct hf_counters *hf_counters_new(size_t workers)
{
    struct hf_counters *counters =
        mmap(NULL, size_for(workers), PROT_READ | PROT_WRITE,
             MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (counters == MAP_FAILED)
        return NULL;
    counters->workers = workers;
    counters->since_ms = hf_wall_ms();
    return counters;
}

void hf_counters_free(struct hf_counters *counters)
{
    if (!counters)
        return;
    hf_counting = &nobodys;
    (void)munmap(counters, size_for(counters->workers)); /* ours: works */
}

static void forget_gauges(struct hf_counters_slot *slot)
{
    size_t i;

    for (i = 0; i < HF_GAUGES; i++)
        atomic_store_explicit(&slot->gauge[i], 0, memory_order_relaxed);
}

void hf_counters_use(struct hf_counters *counters, size_t n)
{
    hf_counting = &counters->slot[n];
    forget_gauges(hf_counting);
}

void hf_counters_ended(struct hf_counters *counters, size_t n, bool again)
{
    forget_gauges(&counters->slot[n]);
    if (again)
        hf_counters_raise(&counters->restarts, 1);
}

size_t hf_counters_workers(const struct hf_counters *counters)
{
    return counters->workers;
}

uint64_t hf_counters_restarts(const struct hf_counters *counters)
{
    return atomic_load_explicit(&counters->restarts, memory_order_relaxed);
}

int64_t hf_counters_since_ms(const struct hf_counters *counters)
{
    return counters->since_ms;
}

/* --- reading -------------------------------------------------------------- */

static void add_all(uint64_t *to, const _Atomic uint64_t *from, size_t count)
{
    size_t i;

    for (i = 0; i < count; i++)
        to[i] += atomic_load_explicit(&from[i], memory_order_relaxed);
}

static void add_slot(struct hf_counts *to, const struct hf_counters_slot *from)
{
    size_t i;

    add_all(to->counter, from->counter, HF_COUNTERS);
    add_all(to->gauge, from->gauge, HF_GAUGES);
    for (i = 0; i < HF_TIMED; i++) {
        add_all(to->timed[i].bucket, from->timed[i].bucket,
                HF_HISTOGRAM_BUCKETS);
        add_all(&to->timed[i].sum_us, &from->timed[i].sum_us, 1);
    }
}

void hf_counters_sum(const struct hf_counters *counters, struct hf_counts *out)
{
    size_t n;

    *out = (struct hf_counts){.counter = {0}};
    for (n = 0; n < counters->workers; n++)
        add_slot(out, &counters->slot[n]);
}

uint64_t hf_counters_least(const struct hf_counters *counters,
                           enum hf_gauge which)
{
    uint64_t least = 0;
    size_t n;

    for (n = 0; n < counters->workers; n++) {
        uint64_t has = atomic_load_explicit(&counters->slot[n].gauge[which],
                                            memory_order_relaxed);

        if (has > 0 && (least == 0 || has < least))
            least = has;
    }
    return least;
}

/*
 * counters.h - what the side-car's workers have done, and have, for monitoring
 *
 * The parent maps one piece of memory before the first fork, with a slot for
 * each worker. A worker alone writes its slot, on its loop's thread, with plain
 * loads and stores of its own cache lines; whoever is asked for the figures
 * adds all slots up. A worker that takes the place of a dead one counts on where
 * that one stopped, so sums never fall.
 *
 * Nothing may depend on them: they are for people. Whoever refuses or closes
 * something counts it where it is done, with one call:
 *
 *     hf_count(HF_REFUSED_ORIGIN);
 *     hf_count_close(HF_WS_AWAY, true);
 *
 * Like the log they are there without being handed around. Before
 * hf_counters_use, in tests too, they go to a slot that nobody reads.
 */
#ifndef HF_SIDECAR_COUNTERS_H
#define HF_SIDECAR_COUNTERS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/histogram.h"

/* Close codes with a counter of their own: those of RFC 6455 that go over the
 * wire, HF_CLOSE_NONE and HF_CLOSE_LOST, 3000 to 4999 together, and the rest. */
#define HF_CLOSE_KINDS 15u

/* What only grows. metrics.c has the name of each. */
enum hf_counter {
    /* connections and handshakes */
    HF_COUNT_ACCEPTED,   /* connections accepted, whatever became of them */
    HF_COUNT_HANDSHAKES, /* WebSockets opened: answered with 101 */
    HF_COUNT_TLS,        /* TLS handshakes completed */

    /* connections and handshakes refused, by reason */
    HF_REFUSED_PATH,        /* 404: no such path */
    HF_REFUSED_REQUEST,     /* 400: no handshake, or bad parameters */
    HF_REFUSED_SUBPROTOCOL, /* 403: offers others than ours */
    HF_REFUSED_ORIGIN,      /* 403: version, host name or origin */
    HF_REFUSED_TOKEN,       /* 403: a bad token */
    HF_REFUSED_APPLICATION, /* 403: the application said no */
    HF_REFUSED_FAILED,      /* 500: it could not be found out */
    HF_REFUSED_FULL,        /* 503: max_sockets, or no descriptor left */
    HF_REFUSED_ADDRESS,     /* too many sockets of one address */
    HF_REFUSED_RATE,        /* one address connects too often */
    HF_REFUSED_SLOW,        /* cut: no whole request within `handshake` */
    HF_REFUSED_TLS,         /* the TLS handshake failed, or was none */
    HF_REFUSED_LEAVING,     /* came while we leave */

    /* messages; bytes are those of frames, on the wire before TLS */
    HF_COUNT_RECEIVED,
    HF_COUNT_RECEIVED_BYTES,
    HF_COUNT_SENT, /* rows, replies and all else but control frames */
    HF_COUNT_SENT_BYTES,
    HF_COUNT_PINGS, /* sent by us */

    /* of the hub (channel/hub.h) */
    HF_COUNT_JOINS,
    HF_COUNT_JOINS_REFUSED,
    HF_COUNT_PUSHES,
    HF_COUNT_PUSHES_REFUSED,
    HF_COUNT_PUSHES_FAILED,
    HF_COUNT_ROWS_READ,
    HF_COUNT_ENCODED,
    HF_COUNT_DELIVERED,
    HF_COUNT_REFILLED,
    HF_COUNT_GAPS,         /* memberships ended because rows were gone */
    HF_COUNT_UNTIMED_ROWS, /* left out of HF_TIMED_WAKEUP */

    HF_COUNT_CPU_US, /* processor time of the workers, microseconds */

    /* Do not count these by name: hf_count_close. */
    HF_CLOSED_BY_US,
    HF_CLOSED_BY_PEER = HF_CLOSED_BY_US + HF_CLOSE_KINDS,
    HF_COUNTERS = HF_CLOSED_BY_PEER + HF_CLOSE_KINDS,
};

/* What a worker has at this moment; nothing once it has ended. */
enum hf_gauge {
    HF_HAS_SERVING,     /* 1 while it takes connections, else 0 */
    HF_HAS_SOCKETS,     /* upgraded, TLS included */
    HF_HAS_TLS_SOCKETS, /* of these */
    HF_HAS_BLOCKED,     /* and of these, the kernel takes no more of them */
    HF_HAS_HANDSHAKES,  /* under way */
    HF_HAS_ROOM,        /* sockets that it may have, in all */
    HF_HAS_MEMBERS,     /* joined topics, of all its sockets */
    HF_HAS_LAGGING,     /* of these, those that read from the journal */
    HF_HAS_TOPICS,
    HF_HAS_CURSOR, /* one more than the id its hub has read to; 0: no members */
    HF_HAS_RESIDENT, /* bytes of memory */
    HF_HAS_HEAP,     /* bytes of it that malloc has given out; 0: not known */
    HF_GAUGES,
};

/* How long something took. */
enum hf_timed {
    HF_TIMED_WAKEUP, /* from a row's `at` to its being read by the tail */
    HF_TIMED_TURN,   /* a turn of the loop, waiting not included */
    HF_TIMED_DELAY,  /* how late a timer of the loop fired */
    HF_TIMED,
};

/* A copy of one slot, or the sum of all. */
struct hf_counts {
    uint64_t counter[HF_COUNTERS];
    uint64_t gauge[HF_GAUGES];
    struct hf_histogram timed[HF_TIMED];
};

/* --- counting: on the loop's thread of a worker --------------------------- */

/* What hf_counts has, so that others can read it meanwhile. */
struct hf_counters_slot {
    _Alignas(64) _Atomic uint64_t counter[HF_COUNTERS];
    _Atomic uint64_t gauge[HF_GAUGES];
    struct {
        _Atomic uint64_t bucket[HF_HISTOGRAM_BUCKETS];
        _Atomic uint64_t sum_us;
    } timed[HF_TIMED];
};

extern struct hf_counters_slot *hf_counting; /* this process's */

/* One writer, so that no locked instruction is needed. */
static inline void hf_counters_raise(_Atomic uint64_t *at, uint64_t by)
{
    uint64_t now = atomic_load_explicit(at, memory_order_relaxed);

    atomic_store_explicit(at, now + by, memory_order_relaxed);
}

static inline void hf_count_many(enum hf_counter which, uint64_t times)
{
    hf_counters_raise(&hf_counting->counter[which], times);
}

static inline void hf_count(enum hf_counter which)
{
    hf_count_many(which, 1);
}

/* There is one more now, or one less. */
static inline void hf_count_more(enum hf_gauge which)
{
    hf_counters_raise(&hf_counting->gauge[which], 1);
}

static inline void hf_count_less(enum hf_gauge which)
{
    hf_counters_raise(&hf_counting->gauge[which], UINT64_MAX);
}

/* There are so many now. */
static inline void hf_count_now(enum hf_gauge which, uint64_t now)
{
    atomic_store_explicit(&hf_counting->gauge[which], now,
                          memory_order_relaxed);
}

/* A socket ends. Once for each: with the code of the first close frame, and who
 * sent it. NONE: the frame named no code; LOST, the peer's: there was no
 * frame. */
#define HF_CLOSE_NONE 1005
#define HF_CLOSE_LOST 1006
void hf_count_close(int code, bool by_us);

void hf_count_time(enum hf_timed which, int64_t us);

/* --- the slots of all workers --------------------------------------------- */

struct hf_counters;

/* In the parent, before the first fork; `workers` is at least 1. NULL when out
 * of memory. */
struct hf_counters *hf_counters_new(size_t workers);
void hf_counters_free(struct hf_counters *counters); /* NULL: nothing */

/* In a worker: from here on what this process counts is worker n's, n from 0.
 * What its predecessor had is had no more. */
void hf_counters_use(struct hf_counters *counters, size_t n);

/* In the parent: worker n has ended. In place of one that was not to end
 * another is started (`again`): a restart. */
void hf_counters_ended(struct hf_counters *counters, size_t n, bool again);

size_t hf_counters_workers(const struct hf_counters *counters);
uint64_t hf_counters_restarts(const struct hf_counters *counters);
int64_t hf_counters_since_ms(const struct hf_counters *counters); /* wall */

/* All workers together; of those that died, too, what they counted. */
void hf_counters_sum(const struct hf_counters *counters, struct hf_counts *out);
/* The least among the workers that have it, 0 when none has. */
uint64_t hf_counters_least(const struct hf_counters *counters,
                           enum hf_gauge which);

/* The code that close counter `kind` is of, for its label: "1001", "1005"
 * (none given), "1006" (lost), "3000-4999", "other". */
const char *hf_close_kind_name(size_t kind);

#endif

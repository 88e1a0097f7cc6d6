/*
 * waiting.h - requests that wait for something to come, all of one process
 *
 * A waiter is embedded in a request that is held open: the poll of a session
 * (longpoll.c). It says which topics it waits for and until when; the journal
 * is looked at once for all of them when it has grown, and those that something
 * came for are told at the end of the turn, at most HF_WAITING_TURN of them, so
 * that accepting goes on meanwhile. What came each reads for itself.
 *
 *               park                       something came
 *     away -----------> WAITING <--------------------------> DIRTY
 *       ^                  |         told: it goes on           |
 *       +------------------+------------------------------------+
 *                    leave: answered, or its client is gone
 *
 * Telling is by `came`; a waiter that finds nothing calls hf_waiting_go_on and
 * is WAITING again, one that does calls hf_waiting_leave and answers. Both are
 * lists, and a waiter is in one of them. All of it is on the loop's thread.
 */
#ifndef HF_CHANNEL_WAITING_H
#define HF_CHANNEL_WAITING_H

#include "base/map.h"
#include "channel/process.h"

/* Waiters told in one turn. */
#define HF_WAITING_TURN 256u

struct hf_waiter;

/* What is the same for all waiters of a kind. But for `came` each must end with
 * hf_waiting_leave; `came` so, or with hf_waiting_go_on. */
struct hf_waiter_kind {
    /* Something may have come for it, or its rights have changed. */
    void (*came)(struct hf_waiter *waiter);
    void (*deadline)(struct hf_waiter *waiter);
    /* We stop: end with nothing, so that it goes on elsewhere. */
    void (*release)(struct hf_waiter *waiter);
    /* The journal can be read no more in this process. */
    void (*fail)(struct hf_waiter *waiter);
    /* Frames of this session, too, are for it; NULL for a kind without. Must
     * not change, nor move, while it waits. */
    struct hf_str (*session)(struct hf_waiter *waiter);
};

/* One waiter in the list of one topic. */
struct hf_wait {
    struct hf_waiter *waiter;
    struct hf_wait_topic *topic; /* NULL: not in use */
    struct hf_list in_topic;
};

/* Zeroed before its first use, but for `kind`. */
struct hf_waiter {
    const struct hf_waiter_kind *kind;
    /* private */
    struct hf_waiting *waiting; /* not NULL while parked */
    struct hf_list node;        /* in `waiters` or in `dirty` */
    struct hf_timer deadline;
    struct hf_wait first; /* most wait for one topic, */
    struct hf_wait *more; /* some for many: NULL or an array */
    uint32_t more_count;
    bool dirty;
};

struct hf_waiting {
    struct hf_wake *wake; /* may be rung, and listened to, by its owner */
    /* private */
    struct hf_process *process;
    void (*rung)(struct hf_waiting *waiting);
    uint64_t epoch;
    uint64_t cursor;        /* waiters were told of everything up to here */
    struct hf_map topics;   /* name -> struct hf_wait_topic */
    struct hf_map sessions; /* id -> struct hf_waiter */
    struct hf_list waiters;
    struct hf_list dirty;
    size_t count, dirty_count;
    bool grown;   /* the journal is ahead of cursor */
    uint64_t snapshots; /* that were shared, so far */
    bool sharing;       /* in one of them */
    bool again;         /* somebody began to wait in it */
    struct hf_turn turn;
};

/* `rung` as in wake.h: somebody rang this process for a reason that may not be
 * in the journal. `process` is borrowed. 0; HF_ENOMEM, HF_EIO. */
int hf_waiting_open(struct hf_waiting *waiting, struct hf_process *process,
                    void (*rung)(struct hf_waiting *waiting));
/* Nobody waits any more. Accepts the zeroed struct. */
void hf_waiting_close(struct hf_waiting *waiting);

/* What a waiter has read, and waits for beyond it. */
struct hf_wait_for {
    /* The names of its topics: start with *at = 0; false at the end; the same
     * again when asked again. Borrowed until the next call. */
    bool (*next)(const void *ctx, size_t *at, struct hf_str *out);
    const void *ctx;
    uint64_t head; /* of the journal, in the snapshot that was read */
    bool more;     /* it has more to read at once: tell it in the next turn */
};

/* Wait, at most so long (ms). Waiting for no topic is allowed. 0 or HF_ENOMEM:
 * not parked. */
int hf_waiting_park(struct hf_waiting *waiting, struct hf_waiter *waiter,
                    const struct hf_wait_for *what, int64_t hold_ms);
/* From `came`: nothing was there for it. What it waits for may have changed all
 * the same. 0; HF_ENOMEM: it must leave. */
int hf_waiting_go_on(struct hf_waiter *waiter, const struct hf_wait_for *what);
/* It waits no more. Does nothing when not parked. */
void hf_waiting_leave(struct hf_waiter *waiter);

/*
 * What is read for several waiters in one turn is read in one snapshot of the
 * journal, between these. Whoever begins to wait in it is looked after when it
 * has ended. Failing, each reads for itself. Not nested.
 */
void hf_waiting_share(struct hf_waiting *waiting);
void hf_waiting_share_end(struct hf_waiting *waiting);
/* Which of them is open: what was read while this was the same number need not
 * be read again. 0: none is. */
uint64_t hf_waiting_snapshot(const struct hf_waiting *waiting);

/* The waiter of this session, or NULL. */
struct hf_waiter *hf_waiting_of(const struct hf_waiting *waiting,
                                struct hf_str session);

/* Have it told, at the end of this turn. */
void hf_waiting_tell(struct hf_waiter *waiter);
/* All: something that may concern every one of them. */
void hf_waiting_tell_all(struct hf_waiting *waiting);
/* The journal has grown by our own doing: look at the end of this turn. */
void hf_waiting_soon(struct hf_waiting *waiting);

/* Call `each` for those of a kind; it may have the waiter leave, or told. */
void hf_waiting_each(struct hf_waiting *waiting,
                     const struct hf_waiter_kind *kind,
                     void (*each)(struct hf_waiter *waiter));

/* All of them end with `release`. */
void hf_waiting_release(struct hf_waiting *waiting);

#endif

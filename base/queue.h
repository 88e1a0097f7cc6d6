/*
 * queue.h - hand-over between two threads: a lock and an eventfd
 *
 * The only lock of ours. Items are intrusive and belong to the queue while
 * they are in it. Bounded by count and by cost: a full queue refuses, it never
 * waits. Any thread may push; one takes.
 */
#ifndef HF_BASE_QUEUE_H
#define HF_BASE_QUEUE_H

#include <pthread.h>
#include <stdint.h>

#include "base/str.h"

struct hf_queue_item {
    struct hf_queue_item *next;
    size_t cost; /* whatever the bound counts: bytes */
};

struct hf_queue {
    pthread_mutex_t lock;
    struct hf_queue_item *first;
    struct hf_queue_item **last;
    size_t count, max_count;
    size_t cost, max_cost;
    int fd;      /* eventfd: readable while there is something to take */
    bool closed;
};

/* 0 or HF_EIO. A bound of 0 means none. */
int hf_queue_init(struct hf_queue *queue, size_t max_count, size_t max_cost);
void hf_queue_release(struct hf_queue *queue); /* must be empty */

/* 0; HF_ELIMIT: full; HF_ECLOSED: after close. On error the item stays the
 * caller's. One item larger than max_cost is taken when the queue is empty. */
int hf_queue_push(struct hf_queue *queue, struct hf_queue_item *item);
/* A whole list at once, linked by next, into a queue without bounds that
 * nobody closes: one lock, and the taker wakes once. */
void hf_queue_push_all(struct hf_queue *queue, struct hf_queue_item *first);
/* Nothing more goes in; what is inside can still be taken. Wakes the taker. */
void hf_queue_close(struct hf_queue *queue);

/* Everything, or at most max_count items (0 = all), oldest first, linked by
 * next; NULL when empty. Never waits. */
struct hf_queue_item *hf_queue_take(struct hf_queue *queue, size_t max_count);
/* Wait until there is something (true) or the queue is closed and empty. */
bool hf_queue_wait(struct hf_queue *queue);

#endif

/*
 * flow.h - bytes on their way in one direction, some of them delayed
 *
 * They leave in the order in which they came, whatever delay each was given:
 * bytes that are due earlier than those before them wait for these.
 */
#ifndef MIDDLEBOX_FLOW_H
#define MIDDLEBOX_FLOW_H

#include <stdint.h>

#include "base/buf.h"

#define FLOW_MARKS 64u

struct flow {
    struct hf_buf bytes;
    /* Runs of bytes that are due together, oldest first: a ring. */
    struct {
        size_t len;
        int64_t due_ms;
    } marks[FLOW_MARKS];
    size_t first;
    size_t count;
};

void flow_init(struct flow *flow, size_t max);
void flow_release(struct flow *flow);

/* How many bytes flow_add will take. */
size_t flow_room(const struct flow *flow);

/* They may leave from due_ms on. 0, HF_ENOMEM, HF_ELIMIT. */
int flow_add(struct flow *flow, struct hf_str bytes, int64_t due_ms);

/* What may leave now; drop from it what has left. */
struct hf_str flow_due(const struct flow *flow, int64_t now_ms);
void flow_drop(struct flow *flow, size_t len);

/* When the oldest byte may leave; there is one. */
int64_t flow_next_ms(const struct flow *flow);

static inline bool flow_empty(const struct flow *flow)
{
    return flow->count == 0;
}

#endif

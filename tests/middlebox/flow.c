#include "tests/middlebox/flow.h"

#include <assert.h>

#include "base/err.h"

void flow_init(struct flow *flow, size_t max)
{
    *flow = (struct flow){.count = 0};
    hf_buf_init(&flow->bytes, max);
}

void flow_release(struct flow *flow)
{
    hf_buf_release(&flow->bytes);
}

static size_t slot(const struct flow *flow, size_t i)
{
    return (flow->first + i) % FLOW_MARKS;
}

/* A new delay needs a mark, and it is not known here whether it is a new one. */
size_t flow_room(const struct flow *flow)
{
    return flow->count == FLOW_MARKS ? 0 : flow->bytes.max - flow->bytes.len;
}

int flow_add(struct flow *flow, struct hf_str bytes, int64_t due_ms)
{
    size_t last = slot(flow, flow->count - 1);
    bool joins = flow->count > 0 && due_ms <= flow->marks[last].due_ms;
    int err;

    if (bytes.len == 0)
        return 0;
    if (!joins && flow->count == FLOW_MARKS)
        return HF_ELIMIT;
    err = hf_buf_add_str(&flow->bytes, bytes);
    if (err)
        return err;
    if (!joins) {
        last = slot(flow, flow->count++);
        flow->marks[last].len = 0;
        flow->marks[last].due_ms = due_ms;
    }
    flow->marks[last].len += bytes.len;
    return 0;
}

struct hf_str flow_due(const struct flow *flow, int64_t now_ms)
{
    size_t len = 0;

    for (size_t i = 0; i < flow->count; i++) {
        if (flow->marks[slot(flow, i)].due_ms > now_ms)
            break;
        len += flow->marks[slot(flow, i)].len;
    }
    return hf_str(flow->bytes.at, len);
}

void flow_drop(struct flow *flow, size_t len)
{
    hf_buf_drop(&flow->bytes, len);
    while (len > 0) {
        size_t taken = flow->marks[flow->first].len;

        assert(flow->count > 0);
        if (taken > len)
            taken = len;
        flow->marks[flow->first].len -= taken;
        len -= taken;
        if (flow->marks[flow->first].len == 0) {
            flow->first = slot(flow, 1);
            flow->count--;
        }
    }
}

int64_t flow_next_ms(const struct flow *flow)
{
    assert(flow->count > 0);
    return flow->marks[flow->first].due_ms;
}

/*
 * drain.h - say goodbye to all clients, one after the other
 *
 * A restart must not make all of them return in one moment. So the goodbyes
 * (1012, P-6.8) are spread over the setting `drain`, or over less where there
 * are few; whoever waits for its own is served as ever. Each says when to come
 * back: when all have been told and a successor had time to start, and then in
 * the order in which they went, spread over as long again.
 *
 *     told       |--1--2--3--4--5--6--|
 *     returns                          ..start..|--1--2--3--4--5--6--|
 */
#ifndef HF_SIDECAR_DRAIN_H
#define HF_SIDECAR_DRAIN_H

#include "sidecar/ws_conn.h"

struct hf_drain {
    struct hf_conns *conns; /* borrowed */
    int64_t end_ms;         /* hf_boot_ms: when all have been told */
    int64_t spread_ms;      /* how long that takes in all */
    size_t told;
};

/* Begin, for those who are there; it takes drain_ms or less. */
void hf_drain_begin(struct hf_drain *drain, struct hf_conns *conns,
                    int64_t drain_ms);

/* Call every HF_DRAIN_STEP_MS: goodbye to those whose turn it is. */
void hf_drain_step(struct hf_drain *drain);

/* Goodbye to all who are left, now. */
void hf_drain_hurry(struct hf_drain *drain);

/* The same in figures, for the two above and their test. How many of `open`
 * sockets to tell in a step when there are left_ms to the end. */
size_t hf_drain_share(size_t open, int64_t left_ms);
/* When the one after `told` others, with `open` left, itself among them, is to
 * come back, in ms. */
int64_t hf_drain_return_ms(const struct hf_drain *drain, size_t open,
                           int64_t left_ms);

#endif

/*
 * events.h - GET <mount>/events: following topics without a session (D22)
 *
 *     200 {"cursor":C,"messages":[       or with "gap":"trimmed"|"reset"
 *         {...},                         each on a line of its own, so that
 *         {...}                          a shell can read them
 *         ]}
 *
 * A pure function of the journal, the cursor and what the client may: nothing
 * is kept between two requests, so any process answers, and a repeated cursor
 * gets the same again. Rows after the cursor come in pages (page.h; then "more"
 * is true), in the journal's order over all topics asked for. `cursor` is where
 * to go on: the last row's, or the head of what was read. A gap is told as to a
 * join (D7): then nothing is sent, and the cursor is the head.
 *
 * With nothing to tell the request waits like a poll (waiting.h). The right to
 * join is asked for every topic each time something is read.
 */
#ifndef HF_CHANNEL_EVENTS_H
#define HF_CHANNEL_EVENTS_H

#include "channel/events_query.h"
#include "channel/longpoll.h"
#include "channel/page.h"
#include "channel/plain.h"

struct hf_following;

/* Small: one of these is kept for each request that waits. */
struct hf_events {
    /* Exactly once, unless cancelled; may come before start returns. */
    void (*answer)(struct hf_events *events,
                   const struct hf_plain_answer *answer);
    /* private */
    struct hf_longpoll *longpoll;
    struct hf_waiter waiter; /* parked: for its topics */
    struct hf_hold hold;     /* while parked */
    struct hf_following *following;
};

/* All is borrowed for the call only. */
void hf_events_start(struct hf_longpoll *longpoll, struct hf_events *events,
                     const struct hf_hello *hello);
/* The client hung up: no answer, and nothing is lost. */
void hf_events_cancel(struct hf_events *events);

#endif

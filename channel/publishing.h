/*
 * publishing.h - POST <mount>/publish: messages without a session (D22)
 *
 * What is published is judged as a push is: rights, reserved topics and events,
 * key, rate, in the same words. All messages of a body are one transaction: a
 * refusal of any is the answer, names its line, and nothing was published; so
 * whoever repeats a body repeats all of it, and nobody has to find out which
 * half went through.
 *
 *     200 {"cursor":C}         one message
 *     200 {"cursors":[C,...]}  lines, in their order
 *
 * There is no connection to count by, so who is counted (push_rate) is the
 * token's user, on all his devices together, or else the address. Where an
 * application decides what pushes do it is not asked, and such a topic refused:
 * its answers are about a member of a channel.
 */
#ifndef HF_CHANNEL_PUBLISHING_H
#define HF_CHANNEL_PUBLISHING_H

#include "channel/longpoll.h"
#include "channel/plain.h"

struct hf_publishing_work;

struct hf_publishing {
    /* Exactly once; may come before start returns. */
    void (*answer)(struct hf_publishing *publishing,
                   const struct hf_plain_answer *answer);
    struct hf_publishing_work *work; /* private: under way, or NULL */
};

/* All is borrowed for the call only. */
void hf_publishing_start(struct hf_longpoll *longpoll,
                         struct hf_publishing *publishing,
                         const struct hf_hello *hello, struct hf_str body,
                         bool ndjson);
/* The transport is gone before the answer: let it happen unseen. */
void hf_publishing_forget(struct hf_publishing *publishing);

#endif

/*
 * plain.h - plain HTTP, for curl, devices and other machines (D22)
 *
 * What the two requests of it share: who asks, and how they are answered. A
 * publish is publishing.h, a listener events.h. Here the HTTP status says how
 * it went, and the body of a refusal is
 *
 *     {"error":{"reason":"rate_limited","message":"...","retry_ms":40}}
 *
 * with the reasons that a push or a join of a channel gets (P-4.4, P-3.3), and
 * a sentence for the person who reads it.
 */
#ifndef HF_CHANNEL_PLAIN_H
#define HF_CHANNEL_PLAIN_H

#include "channel/connect.h"
#include "channel/process.h"

struct hf_plain_answer {
    unsigned status;    /* of HTTP */
    unsigned retry_s;   /* Retry-After; 0 = not said */
    struct hf_str body; /* JSON; borrowed */
};

/* Why not. `reason` NULL: there is nothing against it. */
struct hf_plain_refusal {
    const char *reason;  /* one of those in plain.c */
    const char *message; /* NULL: the usual one for this reason */
    size_t line;         /* of the body, from 1; 0 = not of one line */
    int64_t retry_ms;    /* 0 = not known */
    bool nobody;         /* the client gave no token, which might help */
};

#define HF_PLAIN_REFUSAL_MAX 512u

/* `room` holds the body. */
struct hf_plain_answer hf_plain_refuse(const struct hf_plain_refusal *refusal,
                                       char room[HF_PLAIN_REFUSAL_MAX]);

/*
 * The checks of every connection, in their order (connect.h). Fills the client,
 * whose references are the caller's to release whatever it says. Where the
 * application is asked who connects there is nobody to ask about one request,
 * and it is refused.
 */
struct hf_plain_refusal hf_plain_connect(const struct hf_process *process,
                                         const struct hf_hello *hello,
                                         struct hf_client *client);

/* Also from hf_journal_snapshot, hf_journal_append or the commit. */
struct hf_plain_refusal hf_plain_failure(int err);

#endif

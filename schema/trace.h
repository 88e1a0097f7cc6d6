/*
 * trace.h - what the journal says of one id, for `holdfast explain`
 *
 * An id is a message's, or was drawn for what a long-poll session did (D6), or
 * was never anything that is still known.
 */
#ifndef HF_SCHEMA_TRACE_H
#define HF_SCHEMA_TRACE_H

#include "schema/journal.h"
#include "schema/sessions.h"

enum hf_trace_is {
    HF_TRACE_AHEAD,   /* beyond the head: not given yet */
    HF_TRACE_MESSAGE, /* it is there */
    HF_TRACE_DELETED, /* was the newest message of `topic` that was deleted */
    HF_TRACE_FRAME,   /* a reply to, or the end of a channel of, `session` */
    HF_TRACE_JOIN,    /* of `session` to `topic` */
    HF_TRACE_OLD,     /* at or below what was removed of all topics */
    HF_TRACE_NONE,    /* no message is known of this id */
};

/* Texts are cut to their bounds, which the journal keeps, and terminated. */
struct hf_trace {
    enum hf_trace_is is;
    uint64_t head;
    uint64_t removed; /* through which all topics were trimmed; 0: never */
    char topic[201];
    char session[64]; /* of HF_TRACE_FRAME, HF_TRACE_JOIN */
    /* of HF_TRACE_MESSAGE */
    char event[201];
    char publisher[256];
    char key[129];
    char skip[129];
    bool binary;
    uint64_t bytes;      /* of its payload */
    int64_t at_ms;       /* as the publisher has it */
    int64_t redacted_ms; /* its payload was taken away; 0: no */
};

/* 0; HF_ESTORE, HF_EBUSY. */
int hf_trace_id(struct hf_journal *journal, uint64_t id, struct hf_trace *out);

/* Each session and membership of a topic, ended ones too, of whom anything is
 * kept: of the sessions of this id or user, or, when `who` is empty, of all;
 * at most `max`. Borrowed; other than 0 stops. */
typedef int (*hf_trace_member_fn)(void *ctx, struct hf_str session,
                                  struct hf_str user,
                                  const struct hf_membership *m);
int hf_trace_members(struct hf_journal *journal, struct hf_str topic,
                     struct hf_str who, size_t max, hf_trace_member_fn each,
                     void *ctx);

/* Is there a session of this id, or a user's? Its first id, at most 63 bytes and
 * a NUL; HF_ENOTFOUND: none that has joined anything. */
int hf_trace_session(struct hf_journal *journal, struct hf_str who,
                     char out[64]);

#endif

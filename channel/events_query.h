/*
 * events_query.h - what GET <mount>/events asks, from its query (D22)
 *
 *     topic=T            once for each topic, HF_EVENTS_TOPICS at most
 *     since=C            after this cursor; empty or absent: from now
 *     last=N             from now, but for the newest N there are; one topic
 *     hold=SECONDS       wait at most so long; 0: do not wait
 *     paced=1            a client that heeds what it is told about pace (D14)
 *
 * Of one that stands twice, `topic` excepted, the last counts; others are not
 * ours to judge.
 */
#ifndef HF_CHANNEL_EVENTS_QUERY_H
#define HF_CHANNEL_EVENTS_QUERY_H

#include "channel/limits.h"
#include "channel/resume.h"

#define HF_EVENTS_TOPICS 16u

/* Do not copy: the topics point into it. */
struct hf_events_query {
    size_t count; /* of topics; each of them once */
    struct hf_str topics[HF_EVENTS_TOPICS];
    struct hf_resume resume; /* as a join that asks to resume */
    int64_t hold_ms;         /* -1: not said */
    bool paced;
    char names[HF_EVENTS_TOPICS * HF_TOPIC_MAX];
};

/* NULL, or the reason for the refusal (plain.h). */
const char *hf_events_query_read(struct hf_str query,
                                 struct hf_events_query *out);

#endif

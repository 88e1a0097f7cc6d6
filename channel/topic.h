/*
 * topic.h - names of topics and events, and patterns over them
 */
#ifndef HF_CHANNEL_TOPIC_H
#define HF_CHANNEL_TOPIC_H

#include "base/str.h"
#include "channel/limits.h"

/* 1 .. HF_TOPIC_MAX bytes of UTF-8 without control characters? */
bool hf_topic_legal(struct hf_str topic);

/* A topic no client may join or push to, whatever its rights: "phoenix",
 * "user_socket:*", "holdfast:*" (D9). */
bool hf_topic_reserved(struct hf_str topic);

/* 1 .. HF_EVENT_MAX bytes, otherwise as a topic? The journal refuses some of
 * these too: those of the protocol. */
bool hf_event_legal(struct hf_str event);

/* May a client push this event (D9)? Legal, and none of phx_*, chan_reply_*,
 * presence_*, disconnect. */
bool hf_event_pushable(struct hf_str event);

/* Does the pattern, an exact topic or a prefix with one trailing '*', match?
 * Bytes are compared. */
bool hf_pattern_matches(struct hf_str pattern, struct hf_str topic);

/* Is the pattern a prefix and '*'? Then what stands before the '*'. */
bool hf_pattern_prefix(struct hf_str pattern, struct hf_str *out_prefix);

/* A legal pattern: a topic without '*', or a prefix and '*', "*" alone too. The
 * table `policies` takes no others. */
bool hf_pattern_legal(struct hf_str pattern);

#endif

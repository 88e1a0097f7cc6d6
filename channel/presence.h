/*
 * presence.h - what clients say of presence, for both transports (D11)
 *
 * Without a hook a client tracks itself, where it has the right `presence`:
 *
 *     phx_join  {"presence": {"key": K, "meta": {...}}}       at once
 *     presence  {"type": "presence", "event": "track", "payload": {...}}
 *     presence  {"type": "presence", "event": "untrack"}      as realtime-js
 *
 * Its key is its user; of an anonymous one what its join says, also as
 * {"config": {"presence": {"key": K}}}; else one that is made up for it. The
 * rules stand here; tracker.c (WebSocket) and post_frames.c carry them out.
 *
 * Who is present, the owner, is the connection, or the page behind it when it
 * gives a client_id: then what it tracks by another connection takes over.
 */
#ifndef HF_CHANNEL_PRESENCE_H
#define HF_CHANNEL_PRESENCE_H

#include "channel/proto.h"
#include "channel/rights.h"
#include "schema/presences.h"

/* Connect parameter client_id: shorter ones can be guessed by others. */
#define HF_CLIENT_ID_MIN 22u
#define HF_CLIENT_ID_MAX 128u

/* The owner that a client_id stands for, 22 characters; false when the query has
 * none, or not of that length: then the connection is. */
bool hf_presence_owner(struct hf_str query, char out[HF_OWNER_LEN]);

/* Whose presence a client's is; `session` is its connection's id. */
struct hf_str hf_presence_owner_of(const struct hf_client *client,
                                   struct hf_str session);

/* What a join says of presence. Do not copy: it points into itself. */
struct hf_presence_join {
    const char *refused; /* NULL, or the reason for an error reply */
    bool allowed;        /* has the right: the state and diffs are for it */
    struct hf_str key;   /* when allowed, else empty */
    struct hf_str meta;  /* to be tracked at once; empty: nothing */
    char bytes[HF_PRESENCE_KEY];
};
void hf_presence_of_join(const struct hf_frame *frame,
                         const struct hf_client *client, struct hf_str owner,
                         struct hf_grant grant, struct hf_presence_join *out);

/* What a push says of presence. */
struct hf_presence_push {
    const char *refused; /* the reason for an error reply */
    bool tracks;         /* else untracks */
    struct hf_str meta;
};
/* False: it is a push like any other. */
bool hf_presence_of_push(const struct hf_frame *frame, struct hf_grant grant,
                         struct hf_presence_push *out);

/* The words for an error of hf_presence_track; NULL for errors that are not the
 * client's. */
const char *hf_presence_reason(int err);

/* Is this row not for a member who was told the state at `told` (UINT64_MAX: is
 * told nothing of presence)? */
static inline bool hf_presence_known(const struct hf_row *row, uint64_t told)
{
    return row->id <= told && hf_str_eq(row->event, HF_STR("presence_diff"));
}

#endif

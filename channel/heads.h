/*
 * heads.h - where each channel of a client stands, told in a heartbeat (D8)
 *
 *     -> [null,"5","phoenix","heartbeat",{"heads":true}]
 *     <- ... {"status":"ok","response":{"heads":{"room:1":"j:mYcp-eDbWX4.43"}}}
 *
 * Per topic joined with `since` the cursor of the newest row the client has been
 * sent, or where its stream began when there was none. The answer comes behind
 * what it names: a client that has not seen it has lost something.
 */
#ifndef HF_CHANNEL_HEADS_H
#define HF_CHANNEL_HEADS_H

#include "channel/cursor.h"
#include "channel/proto.h"
#include "channel/token.h"
#include "schema/journal.h"

/* Does this heartbeat ask? */
bool hf_heads_asked(const struct hf_frame *heartbeat);

/* The response object, in parts. */
int hf_heads_begin(struct hf_buf *out);
int hf_heads_add(struct hf_buf *out, struct hf_str topic,
                 struct hf_cursor cursor);
int hf_heads_end(struct hf_buf *out);

/* All of it for a long-poll session, at the place in its stream that this token
 * acknowledges: what lies before it the client has. A topic whose newest rows
 * are all not for it is left out. */
int hf_heads_read(struct hf_buf *out, struct hf_journal *journal,
                  const struct hf_token *token);

#endif

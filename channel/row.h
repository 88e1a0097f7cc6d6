/*
 * row.h - a row of the journal as the message a member receives
 *
 * To a membership that asked for cursors (joined with `since`) a row carries
 * the membership's join_ref and, in ref, its cursor; to all others both are
 * null, as Phoenix sends a broadcast (D8). Replayed or live makes no
 * difference. A binary payload takes its JSON form {"_binary":"<base64>"}.
 */
#ifndef HF_CHANNEL_ROW_H
#define HF_CHANNEL_ROW_H

#include "base/buf.h"
#include "channel/msg.h"
#include "schema/journal.h"

/* join_ref is JSON text, or empty for a membership without cursors. Errors as
 * hf_buf_add. */
int hf_encode_row(struct hf_buf *out, const struct hf_row *row, uint64_t epoch,
                  struct hf_str join_ref);

/* The same as a message with one reference; NULL when out of memory. */
struct hf_msg *hf_row_msg(const struct hf_row *row, uint64_t epoch,
                          struct hf_str join_ref);

#endif

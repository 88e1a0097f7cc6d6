/*
 * row.h - a row of the journal as the message a member receives
 *
 * To a membership that asked for cursors (joined with `since`) a row carries
 * the membership's join_ref and, in ref, its cursor; to all others both are
 * null, as Phoenix sends a broadcast (D8). Replayed or live makes no
 * difference. How it is written, and when as a binary frame, is the receiver's
 * form (encode.h).
 *
 * For HF_FORM_REALTIME a row "broadcast" {"type":"broadcast","event":E,
 * "payload":{"_binary":"<base64>"}} is the broadcast of raw bytes that the
 * client of that name would have sent (proto_binary.c), and is given back to it
 * as such.
 */
#ifndef HF_CHANNEL_ROW_H
#define HF_CHANNEL_ROW_H

#include "channel/encode.h"

/* As text, appended. join_ref is JSON text, or empty for a membership without
 * cursors. Errors as hf_buf_add. */
int hf_encode_row(struct hf_buf *out, const struct hf_row *row, uint64_t epoch,
                  enum hf_vsn vsn, struct hf_str join_ref);

/* For a WebSocket: a message with one reference; NULL when out of memory. */
struct hf_msg *hf_row_msg(const struct hf_row *row, uint64_t epoch,
                          enum hf_form form, struct hf_str join_ref);

/*
 * Members of which one encoding of this row does for all have the same form and
 * join_ref once they went through here: most rows are the same text for most
 * members, whatever else they could take.
 */
void hf_row_same(const struct hf_row *row, enum hf_form *form,
                 struct hf_str *join_ref);

#endif

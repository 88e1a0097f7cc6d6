/*
 * query.h - the query of a URL (WHATWG URL, application/x-www-form-urlencoded)
 */
#ifndef HF_BASE_QUERY_H
#define HF_BASE_QUERY_H

#include "base/str.h"

/*
 * Next pair of `*rest`, both still encoded; empty pairs ("a=1&&b=2", a final
 * ampersand) are passed over. False at the end.
 */
bool hf_query_next(struct hf_str *rest, struct hf_str *out_name,
                   struct hf_str *out_value);

/* Undo %XX and '+'. HF_EMALFORMED for a bad escape, HF_ELIMIT past cap. */
int hf_query_decode(struct hf_str text, char *out, size_t cap,
                    size_t *out_len);

/*
 * The decoded value of the last pair called `name` (compared after decoding).
 * 0; HF_ENOTFOUND; HF_EMALFORMED; HF_ELIMIT when longer than cap.
 */
int hf_query_get(struct hf_str query, struct hf_str name, char *out,
                 size_t cap, size_t *out_len);

#endif

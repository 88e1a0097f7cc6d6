/*
 * json.h - strict JSON in one pass: slices in, no tree, nothing allocated
 *
 * Strict means RFC 8259, UTF-8 checked (RFC 3629), no lone surrogate escapes,
 * and a bounded depth. A value is the exact slice of the text it was read
 * from, so it can be passed on verbatim (numbers of any size, key order and
 * escapes survive). Every slice handed out has been checked once; the
 * functions that walk a slice rely on it.
 */
#ifndef HF_BASE_JSON_H
#define HF_BASE_JSON_H

#include "base/buf.h"
#include "base/str.h"

enum hf_json_type {
    HF_JSON_NULL,
    HF_JSON_FALSE,
    HF_JSON_TRUE,
    HF_JSON_NUMBER,
    HF_JSON_STRING,
    HF_JSON_ARRAY,
    HF_JSON_OBJECT,
};

struct hf_json {
    enum hf_json_type type;
    struct hf_str raw; /* with quotes or brackets, without blanks around */
};

/*
 * Read `text`, which must be exactly one JSON value with optional blanks
 * around it. `max_depth` counts nested arrays and objects: 1 allows [1]; more
 * than 1,024 is taken as 1,024.
 * 0; HF_EMALFORMED; HF_ELIMIT where the depth is passed (what follows that
 * bracket is not looked at).
 */
int hf_json_read(struct hf_str text, unsigned max_depth, struct hf_json *out);

/* Walk the elements of an array or the members of an object. */
struct hf_json_walk {
    const char *at;
    const char *end;
};

/* Start; `value` is an array or object. */
void hf_json_walk(struct hf_json value, struct hf_json_walk *walk);
/* Next element of an array; false at the end. */
bool hf_json_element(struct hf_json_walk *walk, struct hf_json *out);
/* Next member of an object; name is a string slice with its quotes. */
bool hf_json_member(struct hf_json_walk *walk, struct hf_json *out_name,
                    struct hf_json *out_value);

/*
 * Find a member by its unescaped name. Where a name stands twice the last one
 * counts, as in JavaScript. False when absent or `object` is no object.
 */
bool hf_json_find(struct hf_json object, struct hf_str name,
                  struct hf_json *out);

/* Does this JSON string stand for these bytes? False for other values. */
bool hf_json_is(struct hf_json value, struct hf_str bytes);
/* Has no object in `value`, itself included, two members of the same (unescaped)
 * name? Where it matters who reads: two readers may take different ones. 0;
 * HF_EMALFORMED; HF_ENOMEM. */
int hf_json_unique(struct hf_json value);

/*
 * The bytes a JSON string stands for. Writes at most cap bytes to out and sets
 * *out_len; HF_ELIMIT when it does not fit, HF_EINVAL when value is no string.
 * The text never grows, so raw.len - 2 bytes always suffice.
 */
int hf_json_unescape(struct hf_json value, char *out, size_t cap,
                     size_t *out_len);

/* A non-negative decimal integer up to 2^63-1 without fraction or exponent?
 * Then its value; otherwise HF_EINVAL. */
int hf_json_integer(struct hf_json value, long long *out);

/*
 * Append `bytes` (valid UTF-8) as a JSON string with quotes. Escapes what RFC
 * 8259 section 7 asks for and nothing else. Errors as hf_buf_add.
 */
int hf_json_quote(struct hf_buf *buf, struct hf_str bytes);

/* The same where there is room already: how much it needs, and the writing of
 * it, which returns where it ends. */
size_t hf_json_quoted_len(struct hf_str bytes);
char *hf_json_quote_to(char *at, struct hf_str bytes);

#endif

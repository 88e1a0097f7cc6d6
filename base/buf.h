/*
 * buf.h - a growing byte buffer whose maximum is given when it is made
 *
 * Holds no memory until the first byte. A failed add leaves the contents as
 * they were, so one check at the end of a series is enough only when the
 * caller looks at every result; `failed` therefore remembers the first error,
 * and hf_buf_error() reports it.
 */
#ifndef HF_BASE_BUF_H
#define HF_BASE_BUF_H

#include "base/str.h"

struct hf_buf {
    char *at;
    size_t len;
    size_t cap;
    size_t max;  /* bytes; never holds more */
    int failed;  /* first error of an add since init or reset; 0 = none */
};

void hf_buf_init(struct hf_buf *buf, size_t max);
/* Accepts the zeroed struct. The maximum stays. */
void hf_buf_release(struct hf_buf *buf);
/* Empty it and forget the error; memory is kept for reuse. */
void hf_buf_reset(struct hf_buf *buf);

/* All adds: 0, HF_ENOMEM, or HF_ELIMIT (would pass max; nothing added). */
int hf_buf_add(struct hf_buf *buf, const void *bytes, size_t len);
int hf_buf_add_str(struct hf_buf *buf, struct hf_str s);
int hf_buf_add_byte(struct hf_buf *buf, char byte);
int hf_buf_add_u64(struct hf_buf *buf, unsigned long long n); /* decimal */
int hf_buf_addf(struct hf_buf *buf, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Make room for `len` more bytes and return where they go, or NULL (see
 * `failed`). Write them, then hf_buf_grown(). */
char *hf_buf_room(struct hf_buf *buf, size_t len);
void hf_buf_grown(struct hf_buf *buf, size_t len);

/* Drop the first n bytes; n is at most len. */
void hf_buf_drop(struct hf_buf *buf, size_t n);

/* The contents, borrowed until the next change. */
static inline struct hf_str hf_buf_str(const struct hf_buf *buf)
{
    return hf_str(buf->at, buf->len);
}

static inline int hf_buf_error(const struct hf_buf *buf)
{
    return buf->failed;
}

#endif

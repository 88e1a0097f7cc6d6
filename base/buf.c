#include "base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"

#define FIRST_CAP 64u /* bytes; most small texts fit without a second step */

static int fail(struct hf_buf *buf, int err)
{
    if (!buf->failed)
        buf->failed = err;
    return err;
}

/* Memory for `need` bytes in all, doubling so that adding stays linear. */
static int grow_to(struct hf_buf *buf, size_t need)
{
    size_t cap = buf->cap ? buf->cap : FIRST_CAP;
    char *at;

    if (need <= buf->cap)
        return 0;
    while (cap < need)
        cap = cap > SIZE_MAX / 2 ? need : cap * 2;
    /* The last step goes to the maximum and not past it. */
    if (cap > buf->max && need <= buf->max)
        cap = buf->max;
    at = realloc(buf->at, cap);
    if (!at)
        return HF_ENOMEM;
    buf->at = at;
    buf->cap = cap;
    return 0;
}

/* Room for len more bytes of content, and one for a terminator if asked. */
static int reserve(struct hf_buf *buf, size_t len, size_t terminator)
{
    int err;

    if (len > buf->max - buf->len)
        return fail(buf, HF_ELIMIT);
    if (len > SIZE_MAX - buf->len - 1)
        return fail(buf, HF_ENOMEM);
    err = grow_to(buf, buf->len + len + terminator);
    if (err)
        return fail(buf, err);
    return 0;
}

void hf_buf_init(struct hf_buf *buf, size_t max)
{
    *buf = (struct hf_buf){.max = max};
}

void hf_buf_release(struct hf_buf *buf)
{
    free(buf->at);
    *buf = (struct hf_buf){.max = buf->max};
}

void hf_buf_reset(struct hf_buf *buf)
{
    buf->len = 0;
    buf->failed = 0;
}

int hf_buf_add(struct hf_buf *buf, const void *bytes, size_t len)
{
    int err;

    if (len == 0)
        return 0;
    err = reserve(buf, len, 0);
    if (err)
        return err;
    memcpy(buf->at + buf->len, bytes, len);
    buf->len += len;
    return 0;
}

int hf_buf_add_str(struct hf_buf *buf, struct hf_str s)
{
    return hf_buf_add(buf, s.at, s.len);
}

int hf_buf_add_byte(struct hf_buf *buf, char byte)
{
    return hf_buf_add(buf, &byte, 1);
}

int hf_buf_add_u64(struct hf_buf *buf, unsigned long long n)
{
    char digits[3 * sizeof(n)];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    return hf_buf_add(buf, digits + at, sizeof(digits) - at);
}

int hf_buf_addf(struct hf_buf *buf, const char *format, ...)
{
    va_list args;
    int len, err;

    va_start(args, format);
    len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len < 0)
        return fail(buf, HF_ENOMEM);

    /* vsnprintf terminates; that byte may lie past max, where no content is. */
    err = reserve(buf, (size_t)len, 1);
    if (err)
        return err;
    va_start(args, format);
    (void)vsnprintf(buf->at + buf->len, (size_t)len + 1, format, args);
    va_end(args);
    buf->len += (size_t)len;
    return 0;
}

char *hf_buf_room(struct hf_buf *buf, size_t len)
{
    /* One byte even when none is asked for, so that NULL always is failure. */
    if (reserve(buf, len, len == 0 ? 1 : 0))
        return NULL;
    return buf->at + buf->len;
}

void hf_buf_grown(struct hf_buf *buf, size_t len)
{
    assert(len <= buf->cap - buf->len && len <= buf->max - buf->len);
    buf->len += len;
}

void hf_buf_drop(struct hf_buf *buf, size_t n)
{
    assert(n <= buf->len);
    buf->len -= n;
    if (buf->len > 0 && n > 0)
        memmove(buf->at, buf->at + n, buf->len);
}

/*
 * fcgi_bytes.h - what a web server sends, made by hand; for tests
 *
 * Written from the specification and not from our code, so that both are not
 * wrong in the same way.
 */
#ifndef HF_TESTS_FCGI_BYTES_H
#define HF_TESTS_FCGI_BYTES_H

#include "base/buf.h"

enum {
    FCGI_BEGIN_REQUEST = 1,
    FCGI_ABORT_REQUEST,
    FCGI_END_REQUEST,
    FCGI_PARAMS,
    FCGI_STDIN,
    FCGI_STDOUT,
    FCGI_GET_VALUES = 9,
    FCGI_GET_VALUES_RESULT,
    FCGI_UNKNOWN_TYPE
};

static inline void add_bytes(struct hf_buf *out, struct hf_str bytes)
{
    (void)hf_buf_add_str(out, bytes); /* tests look at what comes out */
}

static inline void add_padded(struct hf_buf *out, int type, unsigned id,
                              struct hf_str content, unsigned padding)
{
    static const char zeros[255];
    const char header[8] = {1,
                            (char)type,
                            (char)(id >> 8),
                            (char)id,
                            (char)(content.len >> 8),
                            (char)content.len,
                            (char)padding,
                            0};

    add_bytes(out, hf_str(header, sizeof(header)));
    add_bytes(out, content);
    add_bytes(out, hf_str(zeros, padding));
}

static inline void add_record(struct hf_buf *out, int type, unsigned id,
                              struct hf_str content)
{
    add_padded(out, type, id, content, 0);
}

static inline void add_begin(struct hf_buf *out, unsigned id, int role,
                             bool keep)
{
    const char body[8] = {0, (char)role, (char)keep};

    add_record(out, FCGI_BEGIN_REQUEST, id, hf_str(body, sizeof(body)));
}

/* In the short form below 128, as servers do. */
static inline void add_length(struct hf_buf *out, size_t len)
{
    const char bytes[4] = {(char)(len >> 24 | 0x80), (char)(len >> 16),
                           (char)(len >> 8), (char)len};

    add_bytes(out, len < 128 ? hf_str(bytes + 3, 1) : hf_str(bytes, 4));
}

static inline void add_param(struct hf_buf *out, const char *name,
                             struct hf_str value)
{
    add_length(out, strlen(name));
    add_length(out, value.len);
    add_bytes(out, hf_str_of(name));
    add_bytes(out, value);
}

/* A stream of these bytes in records of at most `chunk`, and its end. */
static inline void add_stream(struct hf_buf *out, int type, unsigned id,
                              struct hf_str bytes, size_t chunk)
{
    while (bytes.len > 0) {
        size_t n = bytes.len < chunk ? bytes.len : chunk;

        add_record(out, type, id, hf_str(bytes.at, n));
        bytes = hf_str_from(bytes, n);
    }
    add_record(out, type, id, hf_str(NULL, 0));
}

/* One request, whole, with these parameters (as add_param wrote them). */
static inline void add_request(struct hf_buf *out, unsigned id, bool keep,
                               struct hf_str params, struct hf_str body)
{
    add_begin(out, id, 1, keep);
    add_stream(out, FCGI_PARAMS, id, params, 32768);
    add_stream(out, FCGI_STDIN, id, body, 65535);
}

#endif

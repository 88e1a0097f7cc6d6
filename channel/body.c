#include "channel/body.h"

#include <stdlib.h>

#include "base/crypto.h"
#include "base/err.h"

struct line {
    char *at;
    size_t len;
};

/* The next line without its LF or CRLF, if it is not blank. */
static bool next_line(struct line *rest, struct line *out)
{
    while (rest->len > 0) {
        const char *end = memchr(rest->at, '\n', rest->len);
        size_t len = end ? (size_t)(end - rest->at) : rest->len;
        size_t used = end ? len + 1 : len;

        *out = (struct line){rest->at, len};
        rest->at += used;
        rest->len -= used;
        if (out->len > 0 && out->at[out->len - 1] == '\r')
            out->len--;
        if (out->len > 0)
            return true;
    }
    return false;
}

/* No text begins like that: a message is an array or an object. */
static bool begins_base64(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c >= '0' && c <= '9') || c == '+' || c == '/' || c == '-' ||
           c == '_';
}

static int decode_line(enum hf_vsn vsn, struct line line, struct hf_frame *out)
{
    bool binary = begins_base64(line.at[0]);
    size_t len;

    if (binary) {
        /* in place: what is written never catches up with what is read */
        if (hf_base64_decode(hf_str(line.at, line.len),
                             (unsigned char *)line.at, &len))
            return HF_EMALFORMED;
        line.len = len;
    }
    return hf_frame_decode(vsn, hf_str(line.at, line.len), binary, out);
}

static int make_room(struct hf_body *out, size_t frames)
{
    /* a decoder fills what it is given: no need to clear it */
    out->frames = frames > 0 ? malloc(frames * sizeof(*out->frames)) : NULL;
    return frames > 0 && !out->frames ? HF_ENOMEM : 0;
}

static int decode_lines(struct hf_body *out, enum hf_vsn vsn, struct line body)
{
    struct line rest = body, line;
    size_t lines = 0;
    int err;

    while (next_line(&rest, &line))
        lines++;
    if (lines > HF_POST_LINES)
        return HF_ELIMIT;
    err = make_room(out, lines);
    for (rest = body; err == 0 && next_line(&rest, &line);) {
        err = decode_line(vsn, line, &out->frames[out->count]);
        if (err == 0)
            out->count++;
    }
    return err;
}

int hf_body_decode(struct hf_body *out, enum hf_vsn vsn, char *bytes,
                   size_t len, bool ndjson)
{
    int err;

    *out = (struct hf_body){0};
    if (ndjson)
        return decode_lines(out, vsn, (struct line){bytes, len});
    err = make_room(out, 1);
    if (err == 0)
        err = hf_frame_decode(vsn, hf_str(bytes, len), false, &out->frames[0]);
    if (err == 0)
        out->count = 1;
    return err;
}

void hf_body_release(struct hf_body *body)
{
    size_t n;

    for (n = 0; n < body->count; n++)
        hf_frame_release(&body->frames[n]);
    free(body->frames);
    *body = (struct hf_body){0};
}

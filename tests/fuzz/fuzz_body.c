/*
 * fuzz_body.c - any bytes as the body of a POST
 *
 * The first byte says the version, '1' or '2'; the rest comes as lines, and as
 * one text. Lines must be the frames that they are one by one.
 */
#include "tests/fuzz/frames.h"

#include <string.h>

#include "base/crypto.h"
#include "base/err.h"
#include "channel/body.h"

static bool next_line(struct hf_str *rest, struct hf_str *out)
{
    const char *end;

    if (rest->len == 0)
        return false;
    end = memchr(rest->at, '\n', rest->len);
    *out = hf_str(rest->at, end ? (size_t)(end - rest->at) : rest->len);
    *rest = hf_str_from(*rest, out->len + (end ? 1 : 0));
    if (out->len > 0 && out->at[out->len - 1] == '\r')
        out->len--;
    return true;
}

/* The line on its own; text is told from base64 by where neither can be. */
static int decode_alone(enum hf_vsn vsn, struct hf_str line,
                        unsigned char *room, struct hf_frame *out)
{
    bool binary = !strchr("[{ \t\r\n", line.at[0]);
    size_t len;

    if (!binary)
        return hf_frame_decode(vsn, line, false, out);
    if (hf_base64_decode(line, room, &len))
        return HF_EMALFORMED;
    return hf_frame_decode(vsn, hf_str((const char *)room, len), true, out);
}

static void check_lines(enum hf_vsn vsn, struct hf_str text, char *copy)
{
    unsigned char *room = malloc(text.len + 3);
    struct hf_body body;
    struct hf_str line, rest = text;
    size_t n = 0;
    int err, expected = 0;

    CHECK(room);
    err = hf_body_decode(&body, vsn, copy, text.len, true);
    while (expected == 0 && next_line(&rest, &line)) {
        struct hf_frame alone;

        if (line.len == 0)
            continue;
        if (!memchr(line.at, '\0', 1)) /* strchr() finds a NUL everywhere */
            expected = decode_alone(vsn, line, room, &alone);
        else
            expected = HF_EMALFORMED;
        if (expected)
            break;
        CHECK(n < body.count);
        check_same(&body.frames[n], &alone);
        check_limits(&body.frames[n]);
        hf_frame_release(&alone);
        n++;
    }
    CHECK(err == expected || err == HF_ELIMIT);
    CHECK(err || n == body.count);
    hf_body_release(&body);
    free(room);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum hf_vsn vsn;
    struct hf_frame frame;
    struct hf_body body;
    struct hf_str text;
    char *copy;
    int err;

    if (size == 0)
        return 0;
    vsn = data[0] == '1' ? HF_VSN_1 : HF_VSN_2;
    text = hf_str((const char *)data + 1, size - 1);
    copy = malloc(size);
    CHECK(copy);
    memcpy(copy, data + 1, size - 1);
    err = hf_body_decode(&body, vsn, copy, text.len, false);
    CHECK(err == hf_frame_decode(vsn, text, false, &frame));
    if (err == 0) {
        CHECK(body.count == 1);
        check_same(&body.frames[0], &frame);
        hf_frame_release(&frame);
    }
    hf_body_release(&body);
    check_lines(vsn, text, copy);
    free(copy);
    return 0;
}

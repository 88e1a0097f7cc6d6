#include "sidecar/ws_frame.h"

#include <assert.h>

enum stage { FIRST, SECOND, LENGTH, MASK, PAYLOAD };

#define FINAL    0x80u /* first byte */
#define RESERVED 0x70u
#define MASKED   0x80u /* second byte */

static bool is_control(unsigned opcode)
{
    return (opcode & 0x8u) != 0;
}

/* --- the header, byte by byte, so that it may be cut anywhere ------------ */

static int first_byte(struct hf_ws_decoder *d, unsigned byte)
{
    unsigned opcode = byte & 0x0Fu;
    bool final = (byte & FINAL) != 0;

    if (byte & RESERVED)
        return HF_WS_PROTOCOL; /* we agreed to no extension */
    if (is_control(opcode)) {
        if (opcode > HF_WS_PONG || !final)
            return HF_WS_PROTOCOL;
    } else {
        if (opcode > HF_WS_BINARY)
            return HF_WS_PROTOCOL;
        /* A continuation needs a message under way, a start needs none. */
        if ((opcode == HF_WS_CONTINUATION) != (d->message != 0))
            return HF_WS_PROTOCOL;
        if (opcode != HF_WS_CONTINUATION)
            d->message = (uint8_t)opcode;
    }
    d->opcode = (uint8_t)opcode;
    d->final = final;
    d->fresh = true;
    d->stage = SECOND;
    return 0;
}

/* The length is known: judge it before a byte of the payload is taken. */
static int length_known(struct hf_ws_decoder *d, size_t max_message)
{
    if (!is_control(d->opcode) && d->left > max_message - d->message_len)
        return HF_WS_TOO_BIG;
    d->stage = MASK;
    d->need = 4;
    return 0;
}

static int second_byte(struct hf_ws_decoder *d, size_t max_message,
                       unsigned byte)
{
    unsigned len = byte & 0x7Fu;

    if (!(byte & MASKED))
        return HF_WS_PROTOCOL;
    if (is_control(d->opcode) && len > HF_WS_CONTROL_MAX)
        return HF_WS_PROTOCOL;
    if (len < 126) {
        d->left = len;
        return length_known(d, max_message);
    }
    d->left = 0;
    d->wide = len == 127;
    d->need = d->wide ? 8 : 2;
    d->stage = LENGTH;
    return 0;
}

/* Network order; the shortest form is a must (section 5.2). */
static int length_byte(struct hf_ws_decoder *d, size_t max_message,
                       unsigned byte)
{
    if (d->wide && d->need == 8 && (byte & 0x80u))
        return HF_WS_PROTOCOL;
    d->left = d->left << 8 | byte;
    if (--d->need > 0)
        return 0;
    if (d->left < (d->wide ? 0x10000u : 126u))
        return HF_WS_PROTOCOL;
    return length_known(d, max_message);
}

static void mask_byte(struct hf_ws_decoder *d, unsigned byte)
{
    d->mask[4 - d->need] = (uint8_t)byte;
    if (--d->need == 0)
        d->stage = PAYLOAD;
}

static int head_byte(struct hf_ws_decoder *d, size_t max_message, unsigned byte)
{
    assert(d->stage != PAYLOAD);
    switch ((enum stage)d->stage) {
    case FIRST:
        return first_byte(d, byte);
    case SECOND:
        return second_byte(d, max_message, byte);
    case LENGTH:
        return length_byte(d, max_message, byte);
    case MASK:
        mask_byte(d, byte);
        break;
    case PAYLOAD:
        break;
    }
    return 0;
}

/* --- the payload --------------------------------------------------------- */

/* Eight bytes at a time; afterwards mask[0] is for the byte that follows. */
static void unmask(char *at, size_t len, uint8_t mask[4])
{
    uint8_t turned[4];
    uint64_t word, wide;
    size_t i;

    memcpy(&wide, mask, 4);
    memcpy((char *)&wide + 4, mask, 4);
    for (i = 0; len - i >= sizeof(word); i += sizeof(word)) {
        memcpy(&word, at + i, sizeof(word));
        word ^= wide;
        memcpy(at + i, &word, sizeof(word));
    }
    for (; i < len; i++)
        at[i] = (char)((uint8_t)at[i] ^ mask[i % 4]);
    for (i = 0; i < 4; i++)
        turned[i] = mask[(len + i) % 4];
    memcpy(mask, turned, 4);
}

/* Part of a message: count it and, if it is text, check it. */
static int message_bytes(struct hf_ws_decoder *d, struct hf_str bytes)
{
    d->message_len += bytes.len;
    if (d->message != HF_WS_TEXT)
        return 0;
    if (!hf_utf8_feed(&d->text, bytes))
        return HF_WS_BAD_TEXT;
    if (d->left == 0 && d->final && !hf_utf8_done(&d->text))
        return HF_WS_BAD_TEXT;
    return 0;
}

static int payload(struct hf_ws_decoder *d, char *at, size_t len,
                   size_t *out_used, struct hf_ws_piece *out)
{
    bool control = is_control(d->opcode);
    size_t n = d->left < len ? (size_t)d->left : len;
    int code;

    unmask(at, n, d->mask);
    d->left -= n;
    if (!control) {
        code = message_bytes(d, hf_str(at, n));
        if (code)
            return code;
    }
    out->kind = (enum hf_ws_opcode)(control ? d->opcode : d->message);
    out->bytes = hf_str(at, n);
    out->starts = d->fresh && d->opcode != HF_WS_CONTINUATION;
    out->ends_frame = d->left == 0;
    out->ends = out->ends_frame && d->final;
    *out_used += n;

    d->fresh = false;
    if (out->ends_frame)
        d->stage = FIRST;
    if (out->ends && !control) {
        d->message = 0;
        d->message_len = 0;
    }
    return 0;
}

int hf_ws_decode(struct hf_ws_decoder *d, size_t max_message, char *bytes,
                 size_t len, size_t *out_used, struct hf_ws_piece *out)
{
    size_t used = 0;
    int code;

    *out = (struct hf_ws_piece){.kind = HF_WS_CONTINUATION};
    while (d->stage != PAYLOAD && used < len) {
        code = head_byte(d, max_message, (uint8_t)bytes[used++]);
        if (code)
            return code;
    }
    /* An empty payload is complete as soon as its header is. */
    if (d->stage == PAYLOAD && (used < len || d->left == 0)) {
        code = payload(d, bytes + used, len - used, &used, out);
        if (code)
            return code;
    }
    *out_used = used;
    return 0;
}

/* --- close --------------------------------------------------------------- */

/* May a peer send it (section 7.4 and the IANA registry)? */
static bool is_status(int code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}

int hf_ws_read_close(struct hf_str body, int *out_code)
{
    int code;

    if (body.len == 0) {
        *out_code = HF_WS_NO_STATUS;
        return 0;
    }
    if (body.len == 1)
        return HF_WS_PROTOCOL;
    code = (uint8_t)body.at[0] << 8 | (uint8_t)body.at[1];
    if (!is_status(code))
        return HF_WS_PROTOCOL;
    if (!hf_utf8_valid(hf_str_from(body, 2)))
        return HF_WS_BAD_TEXT;
    *out_code = code;
    return 0;
}

/* --- encoding ------------------------------------------------------------ */

size_t hf_ws_head(char *end, enum hf_ws_opcode opcode, size_t len)
{
    size_t width = len < 126 ? 0 : len < 0x10000 ? 2 : 8;
    uint64_t rest = len;
    size_t i;

    for (i = 1; i <= width; i++) {
        end[-(ptrdiff_t)i] = (char)(rest & 0xFFu);
        rest >>= 8;
    }
    end -= width;
    end[-1] = (char)(width == 0 ? len : width == 2 ? 126 : 127);
    end[-2] = (char)(FINAL | (unsigned)opcode);
    return width + 2;
}

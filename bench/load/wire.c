#include "bench/load/wire.h"

#include <stdlib.h>

/* RFC 6455 section 1.3: this key has that answer. One key for all saves the
 * hash, and a proxy that answered from a cache would be seen by what follows. */
#define KEY    "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

int hf_wire_request(struct hf_buf *out, struct hf_str extra)
{
    (void)hf_buf_add_str(
        out, HF_STR("GET /socket/websocket?vsn=2.0.0 HTTP/1.1\r\n"
                    "Host: localhost\r\nConnection: Upgrade\r\n"
                    "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                    "Sec-WebSocket-Key: " KEY "\r\n"));
    (void)hf_buf_add_str(out, extra);
    (void)hf_buf_add_str(out, HF_STR("\r\n"));
    return hf_buf_error(out);
}

int hf_wire_frame(struct hf_buf *out, unsigned opcode, struct hf_str payload)
{
    static const unsigned char mask[4] = {0x37, 0xfa, 0x21, 0x3d};
    char *at;
    size_t i;

    (void)hf_buf_add_byte(out, (char)(0x80u | opcode));
    if (payload.len < 126) {
        (void)hf_buf_add_byte(out, (char)(0x80u | payload.len));
    } else { /* none of ours has 64 kB */
        (void)hf_buf_add_byte(out, (char)(0x80u | 126u));
        (void)hf_buf_add_byte(out, (char)(payload.len >> 8));
        (void)hf_buf_add_byte(out, (char)payload.len);
    }
    (void)hf_buf_add(out, mask, sizeof(mask));
    at = hf_buf_room(out, payload.len);
    if (!at)
        return hf_buf_error(out);
    for (i = 0; i < payload.len; i++)
        at[i] = (char)((unsigned char)payload.at[i] ^ mask[i % 4]);
    hf_buf_grown(out, payload.len);
    return 0;
}

ssize_t hf_wire_answer(struct hf_str bytes, int *out_status)
{
    const char *end = memmem(bytes.at, bytes.len, "\r\n\r\n", 4);
    size_t len;

    *out_status = 0;
    if (!end)
        return bytes.len > 8192 ? -1 : 0;
    len = (size_t)(end - bytes.at) + 4;
    if (len > 12 && memcmp(bytes.at, "HTTP/1.1 ", 9) == 0)
        *out_status = atoi(bytes.at + 9);
    if (*out_status != 101 || !memmem(bytes.at, len, ACCEPT, strlen(ACCEPT)))
        return -1;
    return (ssize_t)len;
}

ssize_t hf_wire_unframe(struct hf_str bytes, struct hf_wire_piece *out)
{
    const unsigned char *at = (const unsigned char *)bytes.at;
    size_t head = 2, len, i;

    if (bytes.len < 2)
        return 0;
    if (!(at[0] & 0x80) || (at[0] & 0x70) || (at[1] & 0x80))
        return -1;
    len = at[1];
    if (len >= 126) {
        head = len == 126 ? 4 : 10;
        if (bytes.len < head)
            return 0;
        for (len = 0, i = 2; i < head; i++)
            len = len << 8 | at[i];
    }
    if (len > (64u << 20))
        return -1;
    if (bytes.len - head < len)
        return 0;
    out->opcode = at[0] & 0x0fu;
    out->payload = hf_str(bytes.at + head, len);
    return (ssize_t)(head + len);
}

/* A string without escapes, or null; and the comma behind it. */
static bool element(const char **at, const char *end, struct hf_str *out)
{
    const char *quote;

    *out = HF_STR("");
    if (end - *at >= 5 && memcmp(*at, "null,", 5) == 0) {
        *at += 5;
        return true;
    }
    if (*at == end || **at != '"')
        return false;
    quote = memchr(*at + 1, '"', (size_t)(end - *at - 1));
    if (!quote || quote + 1 == end || quote[1] != ',')
        return false;
    *out = hf_str(*at + 1, (size_t)(quote - *at - 1));
    *at = quote + 2;
    return true;
}

bool hf_wire_message(struct hf_str text, struct hf_wire_message *out)
{
    const char *at = text.at + 1;
    const char *end;

    if (text.len < 2 || text.at[0] != '[' || text.at[text.len - 1] != ']')
        return false;
    end = text.at + text.len - 1;
    if (!element(&at, end, &out->join_ref) || !element(&at, end, &out->ref) ||
        !element(&at, end, &out->topic) || !element(&at, end, &out->event))
        return false;
    out->payload = hf_str(at, (size_t)(end - at));
    return true;
}

uint64_t hf_wire_number(struct hf_str text, const char *name)
{
    size_t len = strlen(name);
    const char *end = text.at + text.len;
    const char *at = memmem(text.at, text.len, name, len);
    uint64_t number = 0;

    for (at = at ? at + len : end; at < end && *at >= '0' && *at <= '9'; at++)
        number = number * 10 + (uint64_t)(*at - '0');
    return number;
}

struct hf_str hf_wire_string(struct hf_str text, const char *name)
{
    size_t len = strlen(name);
    const char *at = memmem(text.at, text.len, name, len);
    const char *quote;

    if (!at)
        return HF_STR("");
    at += len;
    if (at == text.at + text.len || *at++ != '"')
        return HF_STR("");
    quote = memchr(at, '"', (size_t)(text.at + text.len - at));
    return quote ? hf_str(at, (size_t)(quote - at)) : HF_STR("");
}

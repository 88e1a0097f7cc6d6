/*
 * fuzz_utf8.c - whole, in pieces and byte by byte the verdict is the same, and
 * it is that of a decoder that does the arithmetic instead of knowing bounds
 */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "base/utf8.h"

/* How many bytes a first byte announces; 0: it is none. */
static size_t announced(uint8_t first)
{
    if (first < 0x80)
        return 1;
    if (first >> 5 == 0x06)
        return 2;
    if (first >> 4 == 0x0E)
        return 3;
    if (first >> 3 == 0x1E)
        return 4;
    return 0;
}

static bool is_shortest_form(uint32_t point, size_t len)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};

    return len == 1 || point >= least[len];
}

/* The length of the character at the start, or 0. */
static size_t decode(const uint8_t *at, size_t left)
{
    size_t len = announced(at[0]), i;
    uint32_t point;

    if (len == 0 || len > left)
        return 0;
    if (len == 1)
        return 1;
    point = at[0] & (0x7Fu >> len);
    for (i = 1; i < len; i++) {
        if (at[i] >> 6 != 0x02)
            return 0;
        point = point << 6 | (at[i] & 0x3Fu);
    }
    if (!is_shortest_form(point, len) || point > 0x10FFFF ||
        (point >= 0xD800 && point <= 0xDFFF))
        return 0;
    return len;
}

/* Up to where the text is valid. */
static size_t valid_prefix(const uint8_t *data, size_t size)
{
    size_t i = 0, len;

    while (i < size && (len = decode(data + i, size - i)) > 0)
        i += len;
    return i;
}

/* Could anything put behind these bytes make one character of them? */
static bool can_be_completed(const uint8_t *at, size_t left)
{
    static const uint8_t tails[] = {0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF};
    uint8_t text[4];
    size_t a, b, c;

    if (left > 3 || announced(at[0]) <= left)
        return false;
    for (a = 0; a < sizeof(tails); a++) {
        for (b = 0; b < sizeof(tails); b++) {
            for (c = 0; c < sizeof(tails); c++) {
                uint8_t rest[3] = {tails[a], tails[b], tails[c]};

                memcpy(text, at, left);
                memcpy(text + left, rest, 4 - left);
                if (decode(text, 4) > left)
                    return true;
            }
        }
    }
    return false;
}

static bool feed_in_pieces(struct hf_utf8 *state, struct hf_str text,
                           size_t piece)
{
    while (text.len > 0) {
        size_t len = piece < text.len ? piece : text.len;

        if (!hf_utf8_feed(state, hf_str(text.at, len)))
            return false;
        text = hf_str_from(text, len);
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_str text = hf_str((const char *)data, size);
    size_t prefix = valid_prefix(data, size), piece;
    bool valid = prefix == size;
    bool open = !valid && can_be_completed(data + prefix, size - prefix);

    CHECK(hf_utf8_valid(text) == valid);
    for (piece = 1; piece < 12; piece++) {
        struct hf_utf8 state = {0};
        bool fed = feed_in_pieces(&state, text, piece);

        CHECK(fed == (valid || open));
        CHECK(!fed || hf_utf8_done(&state) == valid);
    }
    return 0;
}

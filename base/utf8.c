#include "base/utf8.h"

#define HIGH_BITS UINT64_C(0x8080808080808080)

/* Most text is ASCII: pass it by eight bytes at a time. */
static size_t ascii_prefix(const char *at, size_t len)
{
    size_t i = 0;
    uint64_t word;

    for (; len - i >= sizeof(word); i += sizeof(word)) {
        memcpy(&word, at + i, sizeof(word));
        if (word & HIGH_BITS)
            break;
    }
    while (i < len && (unsigned char)at[i] < 0x80)
        i++;
    return i;
}

/*
 * RFC 3629 section 4. The first continuation byte is the only one with bounds
 * of its own: they keep out overlong forms, surrogates, and all past U+10FFFF.
 */
static bool lead(struct hf_utf8 *state, unsigned char byte)
{
    state->lower = 0x80;
    state->upper = 0xBF;
    if (byte >= 0xC2 && byte <= 0xDF) {
        state->need = 1;
    } else if (byte >= 0xE0 && byte <= 0xEF) {
        state->need = 2;
        if (byte == 0xE0)
            state->lower = 0xA0;
        else if (byte == 0xED)
            state->upper = 0x9F;
    } else if (byte >= 0xF0 && byte <= 0xF4) {
        state->need = 3;
        if (byte == 0xF0)
            state->lower = 0x90;
        else if (byte == 0xF4)
            state->upper = 0x8F;
    } else {
        return false;
    }
    return true;
}

bool hf_utf8_feed(struct hf_utf8 *state, struct hf_str piece)
{
    size_t i = 0;

    while (i < piece.len) {
        unsigned char byte = (unsigned char)piece.at[i];

        if (state->need > 0) {
            if (byte < state->lower || byte > state->upper)
                return false;
            state->need--;
            state->lower = 0x80;
            state->upper = 0xBF;
            i++;
        } else if (byte < 0x80) {
            i += ascii_prefix(piece.at + i, piece.len - i);
        } else {
            if (!lead(state, byte))
                return false;
            i++;
        }
    }
    return true;
}

bool hf_utf8_valid(struct hf_str text)
{
    struct hf_utf8 state = {0, 0, 0};

    return hf_utf8_feed(&state, text) && hf_utf8_done(&state);
}

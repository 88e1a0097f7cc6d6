#include "channel/cursor.h"

#include "base/crypto.h"
#include "base/err.h"

#define EPOCH_CHARS 11u /* 64 bits, 6 each; the last one has 2 to spare */

static const char prefix[] = {'j', ':'};

_Static_assert(sizeof(prefix) + EPOCH_CHARS + 1 + 20 <= HF_CURSOR_MAX,
               "the longest cursor fits");

static size_t format_decimal(uint64_t n, char *out)
{
    char digits[20];
    size_t len = 0, i;

    do {
        digits[len++] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    for (i = 0; i < len; i++)
        out[i] = digits[len - 1 - i];
    return len;
}

/* No sign, no leading zero, no overflow. */
static bool parse_decimal(struct hf_str text, uint64_t *out)
{
    uint64_t n = 0;
    size_t i;

    if (text.len == 0 || (text.at[0] == '0' && text.len > 1))
        return false;
    for (i = 0; i < text.len; i++) {
        unsigned digit = (unsigned char)text.at[i] - (unsigned)'0';

        if (digit > 9 || n > (UINT64_MAX - digit) / 10)
            return false;
        n = n * 10 + digit;
    }
    *out = n;
    return true;
}

static size_t format_epoch(uint64_t epoch, char *out)
{
    char bytes[8];
    size_t i;

    for (i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)(epoch >> (56 - 8 * i));
    return hf_base64url(hf_str(bytes, sizeof(bytes)), out);
}

static bool parse_epoch(struct hf_str text, uint64_t *out)
{
    unsigned char bytes[EPOCH_CHARS / 4 * 3 + 3];
    char again[EPOCH_CHARS];
    uint64_t epoch = 0;
    size_t len, i;

    if (hf_base64_decode(text, bytes, &len) || len != 8)
        return false;
    for (i = 0; i < len; i++)
        epoch = epoch << 8 | bytes[i];

    /* The decoder takes either alphabet, and spare bits that are not zero: of
     * the texts that stand for this epoch only our own is accepted. */
    if (!hf_str_eq(text, hf_str(again, format_epoch(epoch, again))))
        return false;
    *out = epoch;
    return true;
}

size_t hf_cursor_format(struct hf_cursor cursor, char out[HF_CURSOR_MAX])
{
    size_t len = sizeof(prefix);

    memcpy(out, prefix, sizeof(prefix));
    len += format_epoch(cursor.epoch, out + len);
    out[len++] = '.';
    return len + format_decimal(cursor.id, out + len);
}

int hf_cursor_parse(struct hf_str text, struct hf_cursor *out)
{
    struct hf_cursor cursor;

    if (!hf_str_starts(text, hf_str(prefix, sizeof(prefix))))
        return HF_EMALFORMED;
    text = hf_str_from(text, sizeof(prefix));

    if (text.len <= EPOCH_CHARS || text.at[EPOCH_CHARS] != '.' ||
        !parse_epoch(hf_str(text.at, EPOCH_CHARS), &cursor.epoch) ||
        !parse_decimal(hf_str_from(text, EPOCH_CHARS + 1), &cursor.id))
        return HF_EMALFORMED;

    *out = cursor;
    return 0;
}

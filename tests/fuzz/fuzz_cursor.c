/*
 * fuzz_cursor.c - any bytes as a cursor, and any cursor as text
 *
 * A text that is taken must be the one that would be written.
 */
#include "tests/fuzz/fuzz.h"

#include "channel/cursor.h"

static void check_round_trip(struct hf_cursor cursor)
{
    char text[HF_CURSOR_MAX];
    struct hf_cursor again;
    size_t len = hf_cursor_format(cursor, text);

    CHECK(len <= HF_CURSOR_MAX);
    CHECK(!hf_cursor_parse(hf_str(text, len), &again));
    CHECK(again.epoch == cursor.epoch && again.id == cursor.id);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_str text = hf_str((const char *)data, size);
    char again[HF_CURSOR_MAX];
    struct hf_cursor cursor;

    if (!hf_cursor_parse(text, &cursor))
        CHECK(hf_str_eq(text, hf_str(again, hf_cursor_format(cursor, again))));

    if (size == sizeof(cursor)) {
        memcpy(&cursor, data, sizeof(cursor));
        check_round_trip(cursor);
    }
    return 0;
}

/*
 * fuzz_query.c - the query of a URL, against a second reading of it
 *
 * An input is a name to ask for, a line end, and the query.
 */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "base/err.h"
#include "base/query.h"

#define MAX_TEXT 4096u

/* Undo %XX and '+' with the C library's ideas of hexadecimal. */
static bool decode(struct hf_str text, char *out, size_t *out_len)
{
    size_t i, len = 0;

    for (i = 0; i < text.len; i++) {
        char c = text.at[i];

        if (c == '%') {
            char hex[3] = {0};
            char *end;

            if (text.len - i < 3)
                return false;
            memcpy(hex, text.at + i + 1, 2);
            if (strspn(hex, "0123456789abcdefABCDEF") != 2)
                return false;
            c = (char)strtoul(hex, &end, 16);
            i += 2;
        } else if (c == '+') {
            c = ' ';
        }
        out[len++] = c;
    }
    *out_len = len;
    return true;
}

static void check_decode(struct hf_str text)
{
    static char expected[MAX_TEXT], out[MAX_TEXT];
    size_t expected_len = 0, len = SIZE_MAX;
    bool good = decode(text, expected, &expected_len);
    int err = hf_query_decode(text, out, sizeof(out), &len);

    CHECK((err == 0) == good);
    if (!good) {
        CHECK(err == HF_EMALFORMED && len == SIZE_MAX);
        return;
    }
    CHECK(len == expected_len && memcmp(out, expected, len) == 0);
    CHECK(hf_query_decode(text, out, len, &len) == 0);
    CHECK(len == 0 || hf_query_decode(text, out, len - 1, &len) == HF_ELIMIT);
}

/* Where the first `c` is from `i` on, or the end. */
static size_t find(struct hf_str text, size_t i, char c)
{
    while (i < text.len && text.at[i] != c)
        i++;
    return i;
}

/* The pairs as cut by hand must be the pairs we are given; the value of the
 * last one called `name`, if any, is put into *out_value. */
static bool check_pairs(struct hf_str query, struct hf_str name,
                        struct hf_str *out_value)
{
    static char decoded[MAX_TEXT];
    struct hf_str rest = query, got_name, got_value;
    size_t start, stop;
    bool found = false;

    for (start = 0; start < query.len; start = stop + 1) {
        struct hf_str pair;
        size_t equals, len;

        stop = find(query, start, '&');
        if (stop == start)
            continue;
        pair = hf_str(query.at + start, stop - start);
        equals = find(pair, 0, '=');
        CHECK(hf_query_next(&rest, &got_name, &got_value));
        CHECK(hf_str_eq(got_name, hf_str(pair.at, equals)));
        CHECK(got_name.len + (equals < pair.len) + got_value.len == pair.len);
        CHECK(got_value.len == 0 || got_value.at == pair.at + equals + 1);
        check_decode(got_name);
        check_decode(got_value);
        if (decode(got_name, decoded, &len) &&
            hf_str_eq(hf_str(decoded, len), name)) {
            *out_value = got_value;
            found = true;
        }
    }
    CHECK(!hf_query_next(&rest, &got_name, &got_value));
    return found;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char expected[MAX_TEXT], out[MAX_TEXT];
    struct hf_str all = hf_str((const char *)data, size);
    size_t name_len = find(all, 0, '\n'), expected_len, len;
    struct hf_str name, query, value = {NULL, 0};
    int err;

    if (size > MAX_TEXT || name_len == size)
        return 0;
    name = hf_str(all.at, name_len);
    query = hf_str_from(all, name_len + 1);
    err = hf_query_get(query, name, out, sizeof(out), &len);
    if (!check_pairs(query, name, &value)) {
        CHECK(err == HF_ENOTFOUND);
    } else if (!decode(value, expected, &expected_len)) {
        CHECK(err == HF_EMALFORMED);
    } else {
        CHECK(err == 0 && len == expected_len);
        CHECK(memcmp(out, expected, len) == 0);
    }
    return 0;
}

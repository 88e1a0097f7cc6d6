/*
 * fuzz_json.c - our scanner against jansson, a strict one by other people
 *
 * The verdicts must agree but for what jansson cannot do or takes differently:
 *
 *   - numbers beyond a double or 64 bits: RFC 8259 allows them, jansson not
 *   - "\u0000" in a name: legal, jansson refuses it
 *   - a NUL byte after a number: jansson takes it for the end of the number,
 *     we refuse NUL everywhere
 *   - depth: jansson goes down to 2,048
 *
 * Of what both accept, every value found by walking must be the one in
 * jansson's tree, and its slice must read as the same value by itself.
 */
#include "tests/fuzz/fuzz.h"

#include <jansson.h>
#include <string.h>

#include "base/err.h"
#include "base/json.h"

#define MAX_DEPTH 12u

static void compare(struct hf_json value, const json_t *expected);

static bool same_slice(struct hf_json a, struct hf_json b)
{
    return a.type == b.type && a.raw.at == b.raw.at && a.raw.len == b.raw.len;
}

/* A slice is a text by itself: nothing missing, nothing around it. */
static void check_slice(struct hf_json value)
{
    struct hf_json again;

    CHECK(value.raw.len > 0);
    CHECK(hf_json_read(value.raw, MAX_DEPTH, &again) == 0);
    CHECK(same_slice(value, again));
}

static void check_string(struct hf_json value, const char *expected,
                         size_t expected_len)
{
    size_t cap = value.raw.len - 2, len, back_len;
    char *bytes = malloc(cap + 1), *back = malloc(cap + 1);
    struct hf_json again;
    struct hf_buf buf;

    CHECK(bytes && back);
    CHECK(value.type == HF_JSON_STRING);
    CHECK(hf_json_unescape(value, bytes, cap, &len) == 0);
    CHECK(len == expected_len && memcmp(bytes, expected, len) == 0);
    CHECK(len == 0 ||
          hf_json_unescape(value, back, len - 1, &back_len) == HF_ELIMIT);

    /* Written and read again it is the same. */
    hf_buf_init(&buf, 6 * len + 2);
    CHECK(hf_json_quote(&buf, hf_str(bytes, len)) == 0);
    CHECK(hf_json_read(hf_buf_str(&buf), 0, &again) == 0);
    CHECK(hf_json_unescape(again, back, len, &back_len) == 0);
    CHECK(back_len == len && memcmp(back, bytes, len) == 0);
    hf_buf_release(&buf);
    free(bytes);
    free(back);
}

static void check_number(struct hf_json value, const json_t *expected)
{
    char text[5000];
    long long n;
    bool plain;

    CHECK(value.type == HF_JSON_NUMBER && value.raw.len < sizeof(text));
    memcpy(text, value.raw.at, value.raw.len);
    text[value.raw.len] = '\0';
    plain = strspn(text, "0123456789") == value.raw.len;
    CHECK((hf_json_integer(value, &n) == 0) == plain);
    if (json_is_integer(expected)) {
        CHECK(strtoll(text, NULL, 10) == json_integer_value(expected));
        CHECK(!plain || n == json_integer_value(expected));
    } else {
        CHECK(!plain);
        CHECK(!(strtod(text, NULL) < json_real_value(expected)) &&
              !(strtod(text, NULL) > json_real_value(expected)));
    }
}

static void check_array(struct hf_json value, const json_t *expected)
{
    struct hf_json_walk walk;
    struct hf_json element;
    size_t count = 0;

    CHECK(value.type == HF_JSON_ARRAY);
    hf_json_walk(value, &walk);
    while (hf_json_element(&walk, &element)) {
        CHECK(count < json_array_size(expected));
        compare(element, json_array_get(expected, count));
        count++;
    }
    CHECK(count == json_array_size(expected));
}

/* Walking gives every member, also those of a name that comes again; the last
 * one of a name is what finding it gives, and what jansson keeps. */
static void check_object(struct hf_json value, json_t *expected)
{
    struct hf_json_walk walk;
    struct hf_json name, member, found;
    size_t count = 0;
    const char *key;
    json_t *each;

    CHECK(value.type == HF_JSON_OBJECT);
    hf_json_walk(value, &walk);
    while (hf_json_member(&walk, &name, &member)) {
        char bytes[5000];
        size_t len;

        check_slice(name);
        check_slice(member);
        CHECK(hf_json_unescape(name, bytes, sizeof(bytes) - 1, &len) == 0);
        CHECK(hf_json_find(value, hf_str(bytes, len), &found));
        bytes[len] = '\0';
        CHECK(json_object_get(expected, bytes));
        check_string(name, bytes, len);
        count += same_slice(member, found);
    }
    CHECK(count == json_object_size(expected));
    json_object_foreach(expected, key, each)
    {
        CHECK(hf_json_find(value, hf_str_of(key), &found));
        compare(found, each);
    }
}

static void compare(struct hf_json value, const json_t *expected)
{
    check_slice(value);
    switch (json_typeof(expected)) {
    case JSON_NULL:
        CHECK(value.type == HF_JSON_NULL);
        break;
    case JSON_FALSE:
        CHECK(value.type == HF_JSON_FALSE);
        break;
    case JSON_TRUE:
        CHECK(value.type == HF_JSON_TRUE);
        break;
    case JSON_INTEGER:
    case JSON_REAL:
        check_number(value, expected);
        break;
    case JSON_STRING:
        check_string(value, json_string_value(expected),
                     json_string_length(expected));
        break;
    case JSON_ARRAY:
        check_array(value, expected);
        break;
    case JSON_OBJECT:
        /* json_object_foreach is a macro that casts nothing away but const */
        check_object(value, json_incref((json_t *)(uintptr_t)expected));
        json_decref((json_t *)(uintptr_t)expected);
        break;
    }
}

static unsigned depth_of(json_t *value)
{
    unsigned deepest = 0;
    const char *key;
    json_t *each;
    size_t i;

    if (json_is_array(value)) {
        json_array_foreach(value, i, each)
        {
            unsigned depth = depth_of(each);

            deepest = depth > deepest ? depth : deepest;
        }
        return deepest + 1;
    }
    if (json_is_object(value)) {
        json_object_foreach(value, key, each)
        {
            unsigned depth = depth_of(each);

            deepest = depth > deepest ? depth : deepest;
        }
        return deepest + 1;
    }
    return 0;
}

/* jansson refused. May we have accepted all the same? */
static bool is_known_refusal(const json_error_t *error)
{
    switch (json_error_code(error)) {
    case json_error_numeric_overflow:
    case json_error_null_byte_in_key:
        return true;
    default:
        return false;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_str text = hf_str((const char *)data, size);
    struct hf_json value;
    json_error_t error;
    json_t *expected;
    int err;

    if (size > 4096)
        return 0;
    err = hf_json_read(text, MAX_DEPTH, &value);
    CHECK(err == 0 || err == HF_EMALFORMED || err == HF_ELIMIT);
    if (size > 0 && memchr(data, '\0', size)) {
        CHECK(err != 0);
        return 0;
    }
    expected =
        json_loadb(text.at, text.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    if (!expected) {
        CHECK(err != 0 || is_known_refusal(&error));
        if (err == 0)
            check_slice(value);
        return 0;
    }
    CHECK(err == (depth_of(expected) > MAX_DEPTH ? HF_ELIMIT : 0));
    if (err == 0)
        compare(value, expected);
    json_decref(expected);
    return 0;
}

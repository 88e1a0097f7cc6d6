#include "base/query.h"

#include "base/err.h"

/* Up to the first `sep`; the separator and what follows stay in *rest. */
static struct hf_str cut(struct hf_str *rest, char sep)
{
    const char *stop = rest->len > 0 ? memchr(rest->at, sep, rest->len) : NULL;
    struct hf_str head = *rest;

    if (stop)
        head.len = (size_t)(stop - rest->at);
    *rest = hf_str_from(*rest, head.len);
    return head;
}

static void skip_one(struct hf_str *rest)
{
    if (rest->len > 0)
        *rest = hf_str_from(*rest, 1);
}

bool hf_query_next(struct hf_str *rest, struct hf_str *out_name,
                   struct hf_str *out_value)
{
    struct hf_str pair;

    do {
        if (rest->len == 0)
            return false;
        pair = cut(rest, '&');
        skip_one(rest);
    } while (pair.len == 0);

    *out_name = cut(&pair, '=');
    skip_one(&pair);
    *out_value = pair;
    return true;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* The byte text starts with, decoded, and how many bytes it took; 0 = bad. */
static size_t decode_one(struct hf_str text, char *out)
{
    int high, low;

    if (text.at[0] == '+') {
        *out = ' ';
        return 1;
    }
    if (text.at[0] != '%') {
        *out = text.at[0];
        return 1;
    }
    if (text.len < 3)
        return 0;
    high = hex_value(text.at[1]);
    low = hex_value(text.at[2]);
    if (high < 0 || low < 0)
        return 0;
    *out = (char)(unsigned char)(high << 4 | low);
    return 3;
}

int hf_query_decode(struct hf_str text, char *out, size_t cap, size_t *out_len)
{
    size_t len = 0;

    while (text.len > 0) {
        char byte;
        size_t took = decode_one(text, &byte);

        if (took == 0)
            return HF_EMALFORMED;
        if (len == cap)
            return HF_ELIMIT;
        out[len++] = byte;
        text = hf_str_from(text, took);
    }
    *out_len = len;
    return 0;
}

/* A name with a bad escape is no name anybody can ask for. */
static bool decodes_to(struct hf_str text, struct hf_str name)
{
    while (text.len > 0) {
        char byte;
        size_t took = decode_one(text, &byte);

        if (took == 0 || name.len == 0 || name.at[0] != byte)
            return false;
        text = hf_str_from(text, took);
        name = hf_str_from(name, 1);
    }
    return name.len == 0;
}

int hf_query_get(struct hf_str query, struct hf_str name, char *out, size_t cap,
                 size_t *out_len)
{
    struct hf_str each_name, each_value, value = {NULL, 0};
    bool found = false;

    while (hf_query_next(&query, &each_name, &each_value)) {
        if (decodes_to(each_name, name)) {
            value = each_value;
            found = true;
        }
    }
    if (!found)
        return HF_ENOTFOUND;
    return hf_query_decode(value, out, cap, out_len);
}

#include "base/json.h"

#include <assert.h>
#include <limits.h>
#include <stdint.h>

#include "base/err.h"
#include "base/utf8.h"

/*
 * Reading checks the text once from left to right. It does not recurse: what
 * is open is a stack of '[' and '{', so the deepest text costs MAX_DEPTH bytes.
 * All later functions walk text that was checked, and need not look again.
 */

#define MAX_DEPTH 1024u /* the greatest max_depth; more is taken as this */

struct scan {
    const char *at;
    const char *end;
    unsigned depth;
    unsigned max_depth;
    char open[MAX_DEPTH];
};

/* --- bytes --------------------------------------------------------------- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static const char *skip_blanks(const char *at, const char *end)
{
    while (at < end && is_blank(*at))
        at++;
    return at;
}

static int hex_value(char c)
{
    if (is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* The number of four hexadecimal digits, or -1. */
static int hex4(const char *at, const char *end)
{
    int unit = 0;
    int i;

    if (end - at < 4)
        return -1;
    for (i = 0; i < 4; i++) {
        int value = hex_value(at[i]);

        if (value < 0)
            return -1;
        unit = unit << 4 | value;
    }
    return unit;
}

/* --- scanning: each returns what follows, or NULL ------------------------ */

#define ONES  UINT64_C(0x0101010101010101)
#define HIGHS UINT64_C(0x8080808080808080)

/* Bit 7 of a byte is set where it was 0 (and perhaps in bytes above that
 * one, which does not matter to who only asks whether there is any). */
static uint64_t zero_bytes(uint64_t word)
{
    return (word - ONES) & ~word & HIGHS;
}

/* Past the characters that stand for themselves and are ASCII, eight bytes at
 * a time: most of most texts. */
static const char *skip_plain(const char *at, const char *end)
{
    uint64_t word;

    for (; (size_t)(end - at) >= sizeof(word); at += sizeof(word)) {
        memcpy(&word, at, sizeof(word));
        /* Below 0x20, from 0x80 on, a quote, a backslash. */
        if (((word - ONES * 0x20) | word | zero_bytes(word ^ ONES * '"') |
             zero_bytes(word ^ ONES * '\\')) &
            HIGHS)
            break;
    }
    while (at < end && (unsigned char)*at >= 0x20 &&
           (unsigned char)*at < 0x80 && *at != '"' && *at != '\\')
        at++;
    return at;
}

/* A run of bytes from 0x80 on is valid or not by itself: no character of
 * several bytes has one below. */
static const char *scan_non_ascii(const char *at, const char *end)
{
    const char *start = at;

    while (at < end && (unsigned char)*at >= 0x80)
        at++;
    return hf_utf8_valid(hf_str(start, (size_t)(at - start))) ? at : NULL;
}

static const char *scan_unicode_escape(const char *at, const char *end)
{
    int unit = hex4(at, end);

    if (unit < 0)
        return NULL;
    at += 4;
    if (unit < 0xD800 || unit > 0xDFFF)
        return at;

    /* Half a character stands for no character: it must be the first half
     * and the second one must follow. */
    if (unit > 0xDBFF || end - at < 6 || at[0] != '\\' || at[1] != 'u')
        return NULL;
    unit = hex4(at + 2, end);
    return unit >= 0xDC00 && unit <= 0xDFFF ? at + 6 : NULL;
}

/* `at` is behind the backslash. */
static const char *scan_escape(const char *at, const char *end)
{
    if (at == end)
        return NULL;
    switch (*at) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        return at + 1;
    case 'u':
        return scan_unicode_escape(at + 1, end);
    default:
        return NULL;
    }
}

/* `at` is behind the opening quote. */
static const char *scan_string(const char *at, const char *end)
{
    while (at) {
        at = skip_plain(at, end);
        if (at == end)
            return NULL;
        if (*at == '"')
            return at + 1;
        if (*at == '\\')
            at = scan_escape(at + 1, end);
        else if ((unsigned char)*at >= 0x80)
            at = scan_non_ascii(at, end);
        else
            return NULL; /* a control character */
    }
    return NULL;
}

/* One digit or more. */
static const char *scan_digits(const char *at, const char *end)
{
    const char *start = at;

    while (at < end && is_digit(*at))
        at++;
    return at > start ? at : NULL;
}

static const char *scan_number(const char *at, const char *end)
{
    if (at < end && *at == '-')
        at++;
    if (at < end && *at == '0')
        at++; /* nothing may follow a leading zero */
    else
        at = scan_digits(at, end);
    if (at && at < end && *at == '.')
        at = scan_digits(at + 1, end);
    if (at && at < end && (*at == 'e' || *at == 'E')) {
        at++;
        if (at < end && (*at == '+' || *at == '-'))
            at++;
        at = scan_digits(at, end);
    }
    return at;
}

static const char *scan_word(const char *at, const char *end,
                             struct hf_str word)
{
    return hf_str_starts(hf_str(at, (size_t)(end - at)), word) ? at + word.len
                                                               : NULL;
}

static const char *scan_scalar(const char *at, const char *end)
{
    switch (*at) {
    case '"':
        return scan_string(at + 1, end);
    case 't':
        return scan_word(at, end, HF_STR("true"));
    case 'f':
        return scan_word(at, end, HF_STR("false"));
    case 'n':
        return scan_word(at, end, HF_STR("null"));
    default:
        return scan_number(at, end);
    }
}

/* --- reading a whole text ------------------------------------------------ */

static bool next_is(struct scan *s, char c)
{
    s->at = skip_blanks(s->at, s->end);
    return s->at < s->end && *s->at == c;
}

/* The name of a member and its colon. */
static int read_name(struct scan *s)
{
    if (!next_is(s, '"'))
        return HF_EMALFORMED;
    s->at = scan_string(s->at + 1, s->end);
    if (!s->at || !next_is(s, ':'))
        return HF_EMALFORMED;
    s->at++;
    return 0;
}

/*
 * From where a value is due to the end of the first complete one: a scalar, or
 * an empty array or object. What was opened on the way is on the stack.
 */
static int read_value(struct scan *s)
{
    int err;

    for (;;) {
        char c;

        s->at = skip_blanks(s->at, s->end);
        if (s->at == s->end)
            return HF_EMALFORMED;
        c = *s->at;
        if (c != '[' && c != '{') {
            s->at = scan_scalar(s->at, s->end);
            return s->at ? 0 : HF_EMALFORMED;
        }

        if (s->depth == s->max_depth)
            return HF_ELIMIT;
        s->at++;
        if (next_is(s, c == '[' ? ']' : '}')) {
            s->at++;
            return 0;
        }
        s->open[s->depth++] = c;
        if (c == '{') {
            err = read_name(s);
            if (err)
                return err;
        }
    }
}

/* Behind a complete value: close what ends here, until another value is due or
 * the outermost one is complete. */
static int read_ends(struct scan *s)
{
    while (s->depth > 0) {
        char open = s->open[s->depth - 1];

        if (next_is(s, ',')) {
            s->at++;
            return open == '{' ? read_name(s) : 0;
        }
        if (!next_is(s, open == '[' ? ']' : '}'))
            return HF_EMALFORMED;
        s->at++;
        s->depth--;
    }
    return 0;
}

static enum hf_json_type type_of(char first)
{
    switch (first) {
    case '{':
        return HF_JSON_OBJECT;
    case '[':
        return HF_JSON_ARRAY;
    case '"':
        return HF_JSON_STRING;
    case 't':
        return HF_JSON_TRUE;
    case 'f':
        return HF_JSON_FALSE;
    case 'n':
        return HF_JSON_NULL;
    default:
        return HF_JSON_NUMBER;
    }
}

static struct hf_json slice(const char *start, const char *end)
{
    return (struct hf_json){type_of(*start),
                            hf_str(start, (size_t)(end - start))};
}

int hf_json_read(struct hf_str text, unsigned max_depth, struct hf_json *out)
{
    struct scan s; /* `open` is written before it is read */
    const char *start;
    int err;

    if (text.len == 0)
        return HF_EMALFORMED;
    s.end = text.at + text.len;
    s.at = start = skip_blanks(text.at, s.end);
    s.depth = 0;
    s.max_depth = max_depth < MAX_DEPTH ? max_depth : MAX_DEPTH;

    do {
        err = read_value(&s);
        if (!err)
            err = read_ends(&s);
        if (err)
            return err;
    } while (s.depth > 0);

    if (skip_blanks(s.at, s.end) != s.end)
        return HF_EMALFORMED;
    *out = slice(start, s.at);
    return 0;
}

/* --- walking what was checked -------------------------------------------- */

/* Do the backslashes before this quote make it a part of the string? */
static bool is_escaped(const char *first, const char *quote)
{
    size_t count = 0;

    while (quote > first && *--quote == '\\')
        count++;
    return count % 2 == 1;
}

/* Behind the string that opens at `at`. */
static const char *pass_string(const char *at, const char *end)
{
    const char *first = at + 1;

    do {
        at = memchr(at + 1, '"', (size_t)(end - at - 1));
    } while (is_escaped(first, at));
    return at + 1;
}

/* Behind the value that starts at `at`; inside brackets only strings can hold
 * bytes that look like brackets. */
static const char *pass_value(const char *at, const char *end)
{
    size_t depth = 0;

    do {
        switch (*at) {
        case '"':
            at = pass_string(at, end);
            break;
        case '[':
        case '{':
            depth++;
            at++;
            break;
        case ']':
        case '}':
            depth--;
            at++;
            break;
        default:
            at++;
            if (depth > 0)
                break;
            /* A bare number or word ends where something else begins. */
            while (at < end && !is_blank(*at) && *at != ',' && *at != ']' &&
                   *at != '}')
                at++;
        }
    } while (depth > 0);
    return at;
}

void hf_json_walk(struct hf_json value, struct hf_json_walk *walk)
{
    assert(value.type == HF_JSON_ARRAY || value.type == HF_JSON_OBJECT);
    walk->at = value.raw.at + 1;
    walk->end = value.raw.at + value.raw.len - 1;
}

/* The value at walk->at; afterwards walk->at is behind it. */
static struct hf_json take_value(struct hf_json_walk *walk)
{
    const char *start = walk->at;

    walk->at = pass_value(start, walk->end);
    return slice(start, walk->at);
}

static void skip_separator(struct hf_json_walk *walk, char separator)
{
    walk->at = skip_blanks(walk->at, walk->end);
    if (walk->at < walk->end && *walk->at == separator)
        walk->at = skip_blanks(walk->at + 1, walk->end);
}

bool hf_json_element(struct hf_json_walk *walk, struct hf_json *out)
{
    skip_separator(walk, ',');
    if (walk->at == walk->end)
        return false;
    *out = take_value(walk);
    return true;
}

bool hf_json_member(struct hf_json_walk *walk, struct hf_json *out_name,
                    struct hf_json *out_value)
{
    struct hf_json name;

    if (!hf_json_element(walk, &name))
        return false;
    *out_name = name;
    skip_separator(walk, ':');
    *out_value = take_value(walk);
    return true;
}

/* --- strings ------------------------------------------------------------- */

/* The code point of the \u escape whose digits are at *at. */
static unsigned long take_unicode(const char **at, const char *end)
{
    unsigned long unit = (unsigned long)hex4(*at, end);
    unsigned long low;

    *at += 4;
    if (unit < 0xD800 || unit > 0xDFFF)
        return unit;
    low = (unsigned long)hex4(*at + 2, end);
    *at += 6;
    return 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
}

static size_t encode_utf8(unsigned long point, char out[4])
{
    if (point < 0x80) {
        out[0] = (char)point;
        return 1;
    }
    if (point < 0x800) {
        out[0] = (char)(0xC0 | point >> 6);
        out[1] = (char)(0x80 | (point & 0x3F));
        return 2;
    }
    if (point < 0x10000) {
        out[0] = (char)(0xE0 | point >> 12);
        out[1] = (char)(0x80 | (point >> 6 & 0x3F));
        out[2] = (char)(0x80 | (point & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | point >> 18);
    out[1] = (char)(0x80 | (point >> 12 & 0x3F));
    out[2] = (char)(0x80 | (point >> 6 & 0x3F));
    out[3] = (char)(0x80 | (point & 0x3F));
    return 4;
}

/* The bytes of the escape at *at, which is at its backslash. */
static size_t take_escape(const char **at, const char *end, char out[4])
{
    char c = (*at)[1];

    *at += 2;
    switch (c) {
    case 'u':
        return encode_utf8(take_unicode(at, end), out);
    case 'b':
        out[0] = '\b';
        return 1;
    case 'f':
        out[0] = '\f';
        return 1;
    case 'n':
        out[0] = '\n';
        return 1;
    case 'r':
        out[0] = '\r';
        return 1;
    case 't':
        out[0] = '\t';
        return 1;
    default: /* quote, backslash, slash */
        out[0] = c;
        return 1;
    }
}

/*
 * The next piece of the string's content: a run without escapes, which points
 * into the text, or one character that was escaped, in `one`. False at the end.
 */
static bool next_piece(const char **at, const char *end, char one[4],
                       struct hf_str *out)
{
    const char *stop;

    if (*at == end)
        return false;
    if (**at == '\\') {
        size_t len = take_escape(at, end, one);

        *out = hf_str(one, len);
        return true;
    }
    stop = memchr(*at, '\\', (size_t)(end - *at));
    if (!stop)
        stop = end;
    *out = hf_str(*at, (size_t)(stop - *at));
    *at = stop;
    return true;
}

static bool stands_for(struct hf_str raw, struct hf_str bytes)
{
    const char *at = raw.at + 1;
    const char *end = raw.at + raw.len - 1;
    struct hf_str piece;
    char one[4];

    while (next_piece(&at, end, one, &piece)) {
        if (!hf_str_starts(bytes, piece))
            return false;
        bytes = hf_str_from(bytes, piece.len);
    }
    return bytes.len == 0;
}

bool hf_json_is(struct hf_json value, struct hf_str bytes)
{
    return value.type == HF_JSON_STRING && stands_for(value.raw, bytes);
}

bool hf_json_find(struct hf_json object, struct hf_str name,
                  struct hf_json *out)
{
    struct hf_json_walk walk;
    struct hf_json each_name, each_value;
    bool found = false;

    if (object.type != HF_JSON_OBJECT)
        return false;
    hf_json_walk(object, &walk);
    while (hf_json_member(&walk, &each_name, &each_value)) {
        if (stands_for(each_name.raw, name)) {
            *out = each_value;
            found = true;
        }
    }
    return found;
}

int hf_json_unescape(struct hf_json value, char *out, size_t cap,
                     size_t *out_len)
{
    const char *at, *end;
    struct hf_str piece;
    char one[4];
    size_t len = 0;

    if (value.type != HF_JSON_STRING)
        return HF_EINVAL;
    at = value.raw.at + 1;
    end = value.raw.at + value.raw.len - 1;
    while (next_piece(&at, end, one, &piece)) {
        if (piece.len > cap - len)
            return HF_ELIMIT;
        memcpy(out + len, piece.at, piece.len);
        len += piece.len;
    }
    *out_len = len;
    return 0;
}

int hf_json_integer(struct hf_json value, long long *out)
{
    long long n = 0;
    size_t i;

    if (value.type != HF_JSON_NUMBER)
        return HF_EINVAL;
    for (i = 0; i < value.raw.len; i++) {
        int digit = value.raw.at[i] - '0';

        if (digit < 0 || digit > 9 || n > (LLONG_MAX - digit) / 10)
            return HF_EINVAL;
        n = n * 10 + digit;
    }
    *out = n;
    return 0;
}

/* The escape of a byte that cannot stand for itself. */
static size_t escape(unsigned char byte, char out[6])
{
    static const char digits[] = "0123456789abcdef";
    static const char shorts[] = "\"\"\\\\\bb\ff\nn\rr\tt"; /* byte, letter */
    size_t i;

    out[0] = '\\';
    for (i = 0; i < sizeof(shorts) - 1; i += 2) {
        if ((unsigned char)shorts[i] == byte) {
            out[1] = shorts[i + 1];
            return 2;
        }
    }
    out[1] = 'u';
    out[2] = out[3] = '0';
    out[4] = digits[byte >> 4];
    out[5] = digits[byte & 15];
    return 6;
}

static bool stands_for_itself(unsigned char byte)
{
    return byte >= 0x20 && byte != '"' && byte != '\\';
}

static int quote(struct hf_buf *buf, struct hf_str bytes)
{
    size_t from = 0, i;
    char text[6];
    int err;

    err = hf_buf_add_byte(buf, '"');
    for (i = 0; !err && i < bytes.len; i++) {
        unsigned char byte = (unsigned char)bytes.at[i];

        if (stands_for_itself(byte))
            continue;
        err = hf_buf_add(buf, bytes.at + from, i - from);
        if (!err)
            err = hf_buf_add(buf, text, escape(byte, text));
        from = i + 1;
    }
    if (!err && from < bytes.len)
        err = hf_buf_add(buf, bytes.at + from, bytes.len - from);
    if (!err)
        err = hf_buf_add_byte(buf, '"');
    return err;
}

int hf_json_quote(struct hf_buf *buf, struct hf_str bytes)
{
    size_t before = buf->len;
    int err = quote(buf, bytes);

    if (err)
        buf->len = before; /* a failed add adds nothing */
    return err;
}

size_t hf_json_quoted_len(struct hf_str bytes)
{
    size_t len = bytes.len + 2, i;
    char text[6];

    for (i = 0; i < bytes.len; i++) {
        unsigned char byte = (unsigned char)bytes.at[i];

        if (!stands_for_itself(byte))
            len += escape(byte, text) - 1;
    }
    return len;
}

char *hf_json_quote_to(char *at, struct hf_str bytes)
{
    size_t i;

    *at++ = '"';
    for (i = 0; i < bytes.len; i++) {
        unsigned char byte = (unsigned char)bytes.at[i];

        if (stands_for_itself(byte))
            *at++ = (char)byte;
        else
            at += escape(byte, at);
    }
    *at++ = '"';
    return at;
}

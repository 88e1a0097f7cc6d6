/*
 * str.h - a borrowed run of bytes: pointer and length
 *
 * Owns nothing and is passed by value. May hold any byte, NUL included; it is
 * not terminated. `at` may be NULL only when `len` is 0.
 */
#ifndef HF_BASE_STR_H
#define HF_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct hf_str {
    const char *at;
    size_t len;
};

/* For string literals only; HF_STR_INIT inside static initializers. */
#define HF_STR_INIT(literal)                                                   \
    {                                                                          \
        ("" literal), sizeof(literal) - 1                                      \
    }
#define HF_STR(literal) ((struct hf_str)HF_STR_INIT(literal))

/* For printf's "%.*s". */
#define HF_STR_ARG(s) (int)(s).len, (s).at

static inline struct hf_str hf_str(const char *at, size_t len)
{
    return (struct hf_str){at, len};
}

/* From a terminated string; NULL gives the empty run. */
static inline struct hf_str hf_str_of(const char *text)
{
    return (struct hf_str){text, text ? strlen(text) : 0};
}

static inline bool hf_str_eq(struct hf_str a, struct hf_str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

static inline bool hf_str_starts(struct hf_str s, struct hf_str prefix)
{
    return s.len >= prefix.len && hf_str_eq(hf_str(s.at, prefix.len), prefix);
}

/* Without the first n bytes; n is at most s.len. */
static inline struct hf_str hf_str_from(struct hf_str s, size_t n)
{
    return (struct hf_str){s.len == n ? NULL : s.at + n, s.len - n};
}

/* Without blanks and tabs at both ends, as around a field of HTTP. */
static inline struct hf_str hf_str_trim(struct hf_str s)
{
    while (s.len > 0 && (s.at[0] == ' ' || s.at[0] == '\t'))
        s = hf_str_from(s, 1);
    while (s.len > 0 && (s.at[s.len - 1] == ' ' || s.at[s.len - 1] == '\t'))
        s.len--;
    return s;
}

#endif

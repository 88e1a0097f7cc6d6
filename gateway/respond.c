#include "gateway/respond.h"

#include <assert.h>
#include <stdio.h>

/* Every answer: caches keep none, browsers guess no type (D21). */
#define PRIVATE                                                                \
    "Cache-Control: no-store\r\n"                                              \
    "X-Content-Type-Options: nosniff\r\n"
/* Those of the protocol may be read by any site: origin.h has judged it. */
#define COMMON PRIVATE "Access-Control-Allow-Origin: *\r\n"

static const char *reason(unsigned status)
{
    switch (status) {
    case 200:
        return "OK";
    case 400:
        return "Bad Request";
    case 401:
        return "Unauthorized";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 409:
        return "Conflict";
    case 413:
        return "Content Too Large";
    case 429:
        return "Too Many Requests";
    case 431:
        return "Request Header Fields Too Large";
    case 503:
        return "Service Unavailable";
    default:
        return "Internal Server Error";
    }
}

static void set(struct hf_head *head, int len)
{
    assert(len > 0 && (size_t)len < sizeof(head->text));
    head->len = (size_t)len;
}

static void put(struct hf_head *head, struct hf_str text)
{
    assert(text.len <= sizeof(head->text) - head->len);
    memcpy(head->text + head->len, text.at, text.len);
    head->len += text.len;
}

static void put_number(struct hf_head *head, size_t number)
{
    char digits[3 * sizeof(number)];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    put(head, hf_str(digits + at, sizeof(digits) - at));
}

/* Piece by piece, for printf takes twice as long as all else here, and this is
 * the head of every poll. */
static void put_head(struct hf_head *head, unsigned status, struct hf_str type,
                     size_t len)
{
    head->len = 0;
    put(head, HF_STR("Status: "));
    put_number(head, status);
    put(head, HF_STR(" "));
    put(head, hf_str_of(reason(status)));
    put(head, HF_STR("\r\n" COMMON "Content-Type: "));
    put(head, type);
    put(head, HF_STR("\r\nContent-Length: "));
    put_number(head, len);
    put(head, HF_STR("\r\n\r\n"));
}

void hf_head_json(struct hf_head *head, unsigned status, size_t len)
{
    put_head(head, status, HF_STR("application/json; charset=utf-8"), len);
}

void hf_head_add(struct hf_head *head, const char *name, const char *value)
{
    size_t end = head->len - 2; /* before the blank line */
    int len = snprintf(head->text + end, sizeof(head->text) - end,
                       "%s: %s\r\n\r\n", name, value);

    assert(len > 0 && (size_t)len < sizeof(head->text) - end);
    head->len = end + (size_t)len;
}

void hf_head_text(struct hf_head *head, unsigned status, size_t len)
{
    put_head(head, status, HF_STR("text/plain; charset=utf-8"), len);
}

void hf_head_private_json(struct hf_head *head, unsigned status, size_t len)
{
    set(head, snprintf(head->text, sizeof(head->text),
                       "Status: %u %s\r\n" PRIVATE
                       "Cross-Origin-Resource-Policy: same-origin\r\n"
                       "Content-Type: application/json; charset=utf-8\r\n"
                       "Content-Length: %zu\r\n\r\n",
                       status, reason(status), len));
}

void hf_head_page(struct hf_head *head, unsigned status, struct hf_str policy,
                  size_t len)
{
    set(head,
        snprintf(head->text, sizeof(head->text),
                 "Status: %u %s\r\n" PRIVATE "Content-Security-Policy: %.*s\r\n"
                 "Referrer-Policy: strict-origin\r\n"
                 "X-Frame-Options: DENY\r\n"
                 "Cross-Origin-Resource-Policy: same-origin\r\n"
                 "Content-Type: text/html; charset=utf-8\r\n"
                 "Content-Length: %zu\r\n\r\n",
                 status, reason(status), HF_STR_ARG(policy), len));
}

/* Names of header fields (RFC 9110 section 5.6.2) with commas and blanks. */
static bool is_names(struct hf_str text)
{
    static const char others[] = "!#$%&'*+-.^_`|~, \t";
    size_t i;

    for (i = 0; i < text.len; i++) {
        char c = text.at[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
              (c >= '0' && c <= '9')) &&
            !memchr(others, c, sizeof(others) - 1))
            return false;
    }
    return text.len <= HF_ALLOW_HEADERS_MAX;
}

void hf_head_preflight(struct hf_head *head, struct hf_str asked)
{
    if (!is_names(asked))
        asked = HF_STR("");
    /* Some servers take an answer without a type for a mistake. */
    set(head, snprintf(head->text, sizeof(head->text),
                       "Status: 200 OK\r\n" COMMON
                       "Access-Control-Allow-Headers: %.*s\r\n"
                       "Access-Control-Allow-Methods: GET, POST, OPTIONS\r\n"
                       "Access-Control-Max-Age: 3600\r\n"
                       "Content-Type: text/plain; charset=utf-8\r\n"
                       "Content-Length: 0\r\n\r\n",
                       HF_STR_ARG(asked)));
}

#include "channel/origin.h"

#include <arpa/inet.h>

#include "base/err.h"

/* "[scheme://]host[:port]" in pieces, all borrowed. */
struct place {
    struct hf_str scheme; /* empty = none */
    struct hf_str host;   /* an IPv6 literal with its brackets */
    struct hf_str port;   /* digits; empty = none */
};

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool same_name(struct hf_str a, struct hf_str b)
{
    size_t i;

    if (a.len != b.len)
        return false;
    for (i = 0; i < a.len; i++) {
        if (lower(a.at[i]) != lower(b.at[i]))
            return false;
    }
    return true;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return lower(c) >= 'a' && lower(c) <= 'z';
}

/* --- taking a place apart ------------------------------------------------ */

/* RFC 3986 section 3.1. */
static bool is_scheme(struct hf_str text)
{
    size_t i;

    if (text.len == 0 || !is_letter(text.at[0]))
        return false;
    for (i = 1; i < text.len; i++) {
        char c = text.at[i];

        if (!is_letter(c) && !is_digit(c) && c != '+' && c != '-' && c != '.')
            return false;
    }
    return true;
}

/* What browsers send after IDNA. '_' is in use; '*' begins a list entry. */
static bool is_host_name(struct hf_str text)
{
    size_t i;

    for (i = 0; i < text.len; i++) {
        char c = text.at[i];

        if (!is_letter(c) && !is_digit(c) && c != '-' && c != '.' && c != '_' &&
            !(c == '*' && i == 0))
            return false;
    }
    return text.len > 0;
}

/* The address between the brackets; only an IPv6 one has any. */
static bool parse_ipv6(struct hf_str host, struct in6_addr *out)
{
    char text[INET6_ADDRSTRLEN];

    if (host.len < 2 || host.at[0] != '[' || host.at[host.len - 1] != ']' ||
        host.len - 2 >= sizeof(text))
        return false;
    memcpy(text, host.at + 1, host.len - 2);
    text[host.len - 2] = '\0';
    return inet_pton(AF_INET6, text, out) == 1;
}

static bool is_host(struct hf_str text)
{
    struct in6_addr ignored;

    return is_host_name(text) || parse_ipv6(text, &ignored);
}

static bool is_port(struct hf_str text)
{
    size_t i;

    for (i = 0; i < text.len; i++) {
        if (!is_digit(text.at[i]))
            return false;
    }
    return text.len <= 5;
}

/* Where the host ends: at the colon of the port, but not inside brackets. */
static size_t host_len(struct hf_str text)
{
    const char *colon;
    size_t from = 0;

    if (text.len > 0 && text.at[0] == '[') {
        const char *bracket = memchr(text.at, ']', text.len);

        from = bracket ? (size_t)(bracket - text.at) : 0;
    }
    colon = text.len > 0 ? memchr(text.at + from, ':', text.len - from) : NULL;
    return colon ? (size_t)(colon - text.at) : text.len;
}

static bool split_host(struct hf_str text, struct place *out)
{
    size_t len = host_len(text);

    out->host = hf_str(text.at, len);
    out->port = len < text.len ? hf_str_from(text, len + 1) : hf_str(NULL, 0);
    return is_host(out->host) && is_port(out->port);
}

static bool split_origin(struct hf_str text, struct place *out)
{
    const char *mark =
        text.len > 0 ? memmem(text.at, text.len, "://", 3) : NULL;

    out->scheme = hf_str(NULL, 0);
    if (mark) {
        out->scheme = hf_str(text.at, (size_t)(mark - text.at));
        if (!is_scheme(out->scheme))
            return false;
        text = hf_str_from(text, out->scheme.len + 3);
    }
    return split_host(text, out);
}

/* --- comparing ----------------------------------------------------------- */

/* "*.example.com" stands for example.com and all below it. */
static bool host_matches(struct hf_str entry, struct hf_str host)
{
    struct hf_str base;

    if (!hf_str_starts(entry, HF_STR("*.")))
        return same_name(entry, host);
    base = hf_str_from(entry, 2);
    if (same_name(base, host))
        return true;
    /* The dot before it must be there: not "badexample.com". */
    return host.len > base.len + 1 &&
           same_name(hf_str_from(entry, 1),
                     hf_str_from(host, host.len - base.len - 1));
}

/* The port a browser leaves out of an Origin. */
static struct hf_str effective_port(const struct place *place)
{
    if (place->port.len > 0)
        return place->port;
    if (same_name(place->scheme, HF_STR("https")))
        return HF_STR("443");
    if (same_name(place->scheme, HF_STR("http")))
        return HF_STR("80");
    return place->port;
}

/* What the entry leaves out matches anything (2.3). */
static bool place_matches(const struct place *entry, const struct place *origin)
{
    return host_matches(entry->host, origin->host) &&
           (entry->scheme.len == 0 ||
            same_name(entry->scheme, origin->scheme)) &&
           (entry->port.len == 0 ||
            hf_str_eq(entry->port, effective_port(origin)));
}

/* What says how to compare, and is no host of that name. */
static bool is_word(const char *entry)
{
    return strcmp(entry, "same-as-request") == 0 || strcmp(entry, "off") == 0;
}

static bool listed(const struct hf_settings *settings,
                   const struct place *origin)
{
    size_t i;

    for (i = 0; i < settings->origins_count; i++) {
        struct place entry;

        if (!is_word(settings->origins[i]) &&
            split_origin(hf_str_of(settings->origins[i]), &entry) &&
            place_matches(&entry, origin))
            return true;
    }
    return false;
}

static bool says(const struct hf_settings *settings, const char *word)
{
    size_t i;

    for (i = 0; i < settings->origins_count; i++) {
        if (strcmp(settings->origins[i], word) == 0)
            return true;
    }
    return false;
}

static bool is_web(struct hf_str scheme)
{
    return same_name(scheme, HF_STR("http")) ||
           same_name(scheme, HF_STR("https"));
}

/* Where the request came to, as far as it is known. A proxy that ends TLS and
 * does not say so leaves the scheme open; the port then is that of the Origin's
 * scheme, if Host names none. */
static bool is_own(const struct hf_settings *settings,
                   const struct hf_origin_request *request,
                   const struct place *origin)
{
    struct place own;

    if (!split_host(request->host, &own) || !same_name(origin->host, own.host))
        return false;
    if (!says(settings, "same-as-request"))
        return true;
    own.scheme = is_web(request->scheme) ? request->scheme : origin->scheme;
    return same_name(origin->scheme, own.scheme) &&
           hf_str_eq(effective_port(origin), effective_port(&own));
}

int hf_origin_check(const struct hf_settings *settings,
                    const struct hf_origin_request *request)
{
    struct place origin;

    if (says(settings, "off"))
        return 0;
    /* Browsers leave Origin out of same-origin GETs, and of the cross-site
     * ones that a page makes without wanting the answer; these name
     * themselves. Other clients send neither header. */
    if (request->origin.len == 0)
        return same_name(request->sec_fetch_site, HF_STR("cross-site"))
                   ? HF_EDENIED
                   : 0;
    if (says(settings, "*"))
        return 0;

    /* "null" has no scheme: a sandboxed frame or a file, anybody's. */
    if (!split_origin(request->origin, &origin) || origin.scheme.len == 0 ||
        origin.host.at[0] == '*')
        return HF_EDENIED;
    if (is_own(settings, request, &origin))
        return 0;
    return listed(settings, &origin) ? 0 : HF_EDENIED;
}

/* --- our own names ------------------------------------------------------- */

static bool is_loopback(struct hf_str host)
{
    char text[INET_ADDRSTRLEN];
    struct in_addr v4;
    struct in6_addr v6;

    if (same_name(host, HF_STR("localhost")))
        return true;
    if (parse_ipv6(host, &v6))
        return IN6_IS_ADDR_LOOPBACK(&v6);
    if (host.len >= sizeof(text))
        return false;
    memcpy(text, host.at, host.len);
    text[host.len] = '\0';
    return inet_pton(AF_INET, text, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127;
}

bool hf_host_ours(const struct hf_settings *settings,
                  const struct hf_origin_request *request)
{
    struct place asked, entry;
    size_t i;

    if (settings->hosts_count == 0 && !request->loopback_listener)
        return true;
    /* A name that leads here but is not ours is somebody else's page, whose
     * DNS was pointed at us: same host by its own account (D21). */
    if (!split_host(request->host, &asked))
        return false;
    if (settings->hosts_count == 0)
        return is_loopback(asked.host);

    for (i = 0; i < settings->hosts_count; i++) {
        if (split_host(hf_str_of(settings->hosts[i]), &entry) &&
            same_name(entry.host, asked.host))
            return true;
    }
    return false;
}

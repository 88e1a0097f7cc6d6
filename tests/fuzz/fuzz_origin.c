/*
 * fuzz_origin.c - any bytes as Origin, Host and entries of the two lists
 *
 * Five lines: Origin, Host, Sec-Fetch-Site, an entry of `origins`, one of
 * `hosts`. Whoever is let in without a list comes from a page of that host by
 * the plainest reading of its name, and a list lets more in, never less, but
 * for same-as-request. The scheme of the request goes by the length of it all.
 */
#include "tests/fuzz/fuzz.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "channel/origin.h"

static struct hf_settings settings; /* large; emptied for each input */

static struct hf_str take_line(struct hf_str *rest)
{
    const char *stop = rest->len > 0 ? memchr(rest->at, '\n', rest->len) : NULL;
    struct hf_str line = *rest;

    if (stop)
        line.len = (size_t)(stop - rest->at);
    *rest = hf_str_from(*rest, stop ? line.len + 1 : line.len);
    return line;
}

static void set_entry(char out[HF_SETTINGS_TEXT], struct hf_str text)
{
    size_t len = text.len < HF_SETTINGS_TEXT ? text.len : HF_SETTINGS_TEXT - 1;

    if (len > 0)
        memcpy(out, text.at, len);
    out[len] = '\0';
}

/* The default policy, written another way. */
static bool plainly_same_host(struct hf_str origin, struct hf_str host)
{
    const char *mark = memmem(origin.at, origin.len, "://", 3);
    struct hf_str rest;

    if (!mark)
        return false;
    while (host.len > 0 && isdigit((unsigned char)host.at[host.len - 1]) &&
           memchr(host.at, ':', host.len))
        host.len--; /* the port, or a part of an address without brackets */
    if (host.len > 0 && host.at[host.len - 1] == ':')
        host.len--;
    rest = hf_str_from(origin, (size_t)(mark - origin.at) + 3);
    return rest.len >= host.len && host.len > 0 &&
           strncasecmp(rest.at, host.at, host.len) == 0 &&
           (rest.len == host.len || rest.at[host.len] == ':');
}

static int check_with(size_t origins, const struct hf_origin_request *request)
{
    settings.origins_count = origins;
    return hf_origin_check(&settings, request);
}

/* Neither check looks at the case of a letter. */
static void check_case(const struct hf_origin_request *request, int verdict,
                       bool ours)
{
    struct hf_origin_request loud = *request;
    char *origin = malloc(request->origin.len + 1);
    char *host = malloc(request->host.len + 1);
    size_t i;

    CHECK(origin && host);
    for (i = 0; i < request->origin.len; i++)
        origin[i] = (char)toupper((unsigned char)request->origin.at[i]);
    for (i = 0; i < request->host.len; i++)
        host[i] = (char)toupper((unsigned char)request->host.at[i]);
    loud.origin = hf_str(origin, request->origin.len);
    loud.host = hf_str(host, request->host.len);
    CHECK(hf_origin_check(&settings, &loud) == verdict);
    CHECK(hf_host_ours(&settings, &loud) == ours);
    free(origin);
    free(host);
}

/* The one word that lets less in. */
static bool is_stricter(const char *entry)
{
    return strcmp(entry, "same-as-request") == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_str rest = hf_str((const char *)data, size);
    struct hf_origin_request request = {0};
    int without, with;
    bool ours;

    request.origin = take_line(&rest);
    request.host = take_line(&rest);
    request.sec_fetch_site = take_line(&rest);
    set_entry(settings.origins[0], take_line(&rest));
    settings.hosts_count = rest.len > 0 ? 1 : 0;
    set_entry(settings.hosts[0], take_line(&rest));
    request.loopback_listener = size & 1;
    request.scheme = size & 2 ? HF_STR("https") : HF_STR("");

    without = check_with(0, &request);
    if (!without && request.origin.len > 0)
        CHECK(plainly_same_host(request.origin, request.host));
    with = check_with(1, &request);
    CHECK(without || !with || is_stricter(settings.origins[0]));

    ours = hf_host_ours(&settings, &request);
    if (request.host.len == 0)
        CHECK(!ours ||
              (settings.hosts_count == 0 && !request.loopback_listener));
    check_case(&request, with, ours);
    return 0;
}

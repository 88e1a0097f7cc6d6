#include "gateway/request.h"

#include <stdint.h>
#include <strings.h>

#include "base/err.h"
#include "base/query.h"

#define AT(member) offsetof(struct hf_request, member)

static const struct {
    struct hf_str name;
    size_t at;       /* of a struct hf_str */
    bool redirected; /* REDIRECT_name says it, too */
} variables[] = {
    {HF_STR_INIT("REQUEST_METHOD"), AT(method), false},
    {HF_STR_INIT("SCRIPT_NAME"), AT(script_name), false},
    {HF_STR_INIT("PATH_INFO"), AT(path_info), false},
    {HF_STR_INIT("REQUEST_URI"), AT(request_uri), false},
    {HF_STR_INIT("CONTENT_TYPE"), AT(content_type), false},
    {HF_STR_INIT("CONTENT_LENGTH"), AT(content_length), false},
    {HF_STR_INIT("HTTP_TRANSFER_ENCODING"), AT(transfer_encoding), false},
    {HF_STR_INIT("HTTP_X_PHOENIX_LONGPOLL_TOKEN"), AT(token_header), false},
    {HF_STR_INIT("HTTP_X_PHOENIX_AUTHTOKEN"), AT(hello.auth_token), false},
    {HF_STR_INIT("HTTP_AUTHORIZATION"), AT(hello.authorization), true},
    {HF_STR_INIT("HTTP_ACCESS_CONTROL_REQUEST_HEADERS"), AT(allow_headers),
     false},
    {HF_STR_INIT("QUERY_STRING"), AT(hello.query), false},
    {HF_STR_INIT("HTTP_ORIGIN"), AT(hello.from.origin), false},
    {HF_STR_INIT("HTTP_HOST"), AT(hello.from.host), false},
    {HF_STR_INIT("HTTP_SEC_FETCH_SITE"), AT(hello.from.sec_fetch_site), false},
    {HF_STR_INIT("REQUEST_SCHEME"), AT(hello.from.scheme), false},
    {HF_STR_INIT("HTTPS"), AT(https), false},
    {HF_STR_INIT("REMOTE_ADDR"), AT(hello.peer), false},
    {HF_STR_INIT("HOLDFAST_DIR"), AT(directory), true},
    {HF_STR_INIT("SCRIPT_FILENAME"), AT(script), false},
    {HF_STR_INIT("SERVER_SOFTWARE"), AT(software), false},
    {HF_STR_INIT("DOCUMENT_ROOT"), AT(root), false},
    {HF_STR_INIT("CONTEXT_DOCUMENT_ROOT"), AT(context_root), false},
};

#define VARIABLES (sizeof(variables) / sizeof(variables[0]))

static struct hf_str *member(struct hf_request *request, size_t i)
{
    return (struct hf_str *)(void *)((char *)request + variables[i].at);
}

static void set(struct hf_request *request, struct hf_str name,
                const char *value)
{
    size_t i;

    for (i = 0; i < VARIABLES; i++)
        if (hf_str_eq(name, variables[i].name)) {
            if (!member(request, i)->at)
                *member(request, i) = hf_str_of(value);
            return;
        }
}

/* What is not there, or empty, as it was before the redirects. */
static void fill_in(struct hf_request *out, struct hf_request *redirected)
{
    size_t i;

    for (i = 0; i < VARIABLES; i++)
        if (variables[i].redirected && member(out, i)->len == 0)
            *member(out, i) = *member(redirected, i);
}

static bool is_https(struct hf_str value)
{
    return hf_str_eq(value, HF_STR("1")) ||
           (value.len == 2 && strncasecmp(value.at, "on", 2) == 0);
}

void hf_request_read(struct hf_request *out, char *const *env,
                     struct hf_str body)
{
    static const struct hf_str redirect = HF_STR_INIT("REDIRECT_");
    struct hf_request redirected = {.body = {NULL, 0}};

    *out = (struct hf_request){.body = body};
    for (; *env; env++) {
        const char *equals = strchr(*env, '=');
        struct hf_request *where = out;
        struct hf_str name;

        if (!equals)
            continue;
        name = hf_str(*env, (size_t)(equals - *env));
        while (hf_str_starts(name, redirect)) {
            name = hf_str_from(name, redirect.len);
            where = &redirected;
        }
        set(where, name, equals + 1);
    }
    fill_in(out, &redirected);
    /* not in RFC 3875 either, but one of the two comes from every server */
    if (is_https(out->https))
        out->hello.from.scheme = HF_STR("https");
    /* The web server is who is asked for by name, not we: which names it
     * serves is in its configuration, and in `hosts` if given. */
    out->hello.from.loopback_listener = false;
}

struct hf_str hf_request_token(const struct hf_request *request,
                               char memory[HF_TOKEN_MAX])
{
    size_t len = 0;

    if (request->token_header.len > 0)
        return request->token_header;
    if (hf_query_get(request->hello.query, HF_STR("token"), memory,
                     HF_TOKEN_MAX, &len))
        return hf_str(NULL, 0);
    return hf_str(memory, len);
}

bool hf_request_ndjson(const struct hf_request *request)
{
    static const struct hf_str ndjson = HF_STR_INIT("application/x-ndjson");
    struct hf_str type = request->content_type;

    if (type.len < ndjson.len ||
        strncasecmp(type.at, ndjson.at, ndjson.len) != 0)
        return false;
    type = hf_str_from(type, ndjson.len);
    return type.len == 0 || type.at[0] == ';' || type.at[0] == ' ' ||
           type.at[0] == '\t';
}

int hf_request_number(struct hf_str text, size_t max, size_t *out)
{
    size_t number = 0;
    size_t i;

    if (text.len == 0)
        return HF_EMALFORMED;
    for (i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return HF_EMALFORMED;
    }
    for (i = 0; i < text.len; i++) {
        size_t digit = (size_t)(text.at[i] - '0');

        if (number > max / 10 || digit > max - number * 10)
            return HF_ELIMIT;
        number = number * 10 + digit;
    }
    *out = number;
    return 0;
}

bool hf_request_whole(const struct hf_request *request)
{
    size_t expected;

    /* Absent or empty when there is no body, or when it came in chunks. */
    if (request->content_length.len == 0)
        return true;
    return !hf_request_number(request->content_length, SIZE_MAX, &expected) &&
           expected == request->body.len;
}

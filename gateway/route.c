#include "gateway/route.h"

/* What is served below the mount, and by which method. */
static const struct place {
    struct hf_str path;
    enum hf_route get, post, other;
} places[] = {
    {HF_STR_INIT("/longpoll"), HF_ROUTE_POLL, HF_ROUTE_PUSH, HF_ROUTE_METHOD},
    {HF_STR_INIT("/publish"), HF_ROUTE_PUBLISH_METHOD, HF_ROUTE_PUBLISH,
     HF_ROUTE_PUBLISH_METHOD},
    {HF_STR_INIT("/events"), HF_ROUTE_EVENTS, HF_ROUTE_EVENTS_METHOD,
     HF_ROUTE_EVENTS_METHOD},
    {HF_STR_INIT("/websocket"), HF_ROUTE_WEBSOCKET, HF_ROUTE_NOWHERE,
     HF_ROUTE_NOWHERE},
};

static const struct hf_str setup = HF_STR_INIT("/setup");
static const struct hf_str doctor = HF_STR_INIT("/doctor");

/* Two runs that are one path. */
struct path {
    struct hf_str first;
    struct hf_str second;
};

static char byte_at(const struct path *path, size_t i)
{
    if (i < path->first.len)
        return path->first.at[i];
    return path->second.at[i - path->first.len];
}

static bool same(const struct path *a, const struct path *b)
{
    size_t len = a->first.len + a->second.len;
    size_t i;

    if (b->first.len + b->second.len != len)
        return false;
    for (i = 0; i < len; i++) {
        if (byte_at(a, i) != byte_at(b, i))
            return false;
    }
    return true;
}

/* Without scheme and host, which a client may give (RFC 9112 section 3.2.2),
 * and without the query. */
static struct hf_str uri_path(struct hf_str uri)
{
    const char *end = uri.len > 0 ? memchr(uri.at, '?', uri.len) : NULL;
    const char *slash;

    if (end)
        uri.len = (size_t)(end - uri.at);
    if (uri.len == 0 || uri.at[0] == '/')
        return uri;
    slash = memmem(uri.at, uri.len, "://", 3);
    if (!slash)
        return uri;
    uri = hf_str_from(uri, (size_t)(slash - uri.at) + 3);
    slash = uri.len > 0 ? memchr(uri.at, '/', uri.len) : NULL;
    return slash ? hf_str_from(uri, (size_t)(slash - uri.at)) : hf_str(NULL, 0);
}

static bool is_at(struct hf_str mount, struct hf_str place,
                  const struct hf_request *request)
{
    struct path ours = {mount, place};
    struct path named = {request->script_name, request->path_info};
    struct path asked = {uri_path(request->request_uri), hf_str(NULL, 0)};

    return hf_str_eq(request->path_info, place) || same(&named, &ours) ||
           same(&asked, &ours);
}

static enum hf_route by_method(const struct place *place, struct hf_str method)
{
    if (hf_str_eq(method, HF_STR("GET")))
        return place->get;
    if (hf_str_eq(method, HF_STR("POST")))
        return place->post;
    if (hf_str_eq(method, HF_STR("OPTIONS")))
        return HF_ROUTE_PREFLIGHT;
    return place->other;
}

/* --- what has more below it ---------------------------------------------- */

static size_t length(const struct path *path)
{
    return path->first.len + path->second.len;
}

/* Behind the first `len` bytes; of two runs only if that is within one. */
static bool cut(const struct path *path, size_t len, struct hf_str *out)
{
    if (len >= path->first.len)
        *out = hf_str_from(path->second, len - path->first.len);
    else if (path->second.len == 0)
        *out = hf_str_from(path->first, len);
    else
        return false;
    return out->len == 0 || out->at[0] == '/';
}

static bool begins(const struct path *path, const struct path *with,
                   struct hf_str *out_rest)
{
    size_t i;

    if (length(path) < length(with))
        return false;
    for (i = 0; i < length(with); i++) {
        if (byte_at(path, i) != byte_at(with, i))
            return false;
    }
    return cut(path, length(with), out_rest);
}

static bool is_below(struct hf_str mount, struct hf_str place,
                     const struct hf_request *request, struct hf_str *out_rest)
{
    struct path ours = {mount, place};
    struct path alone = {place, hf_str(NULL, 0)};
    struct path info = {request->path_info, hf_str(NULL, 0)};
    struct path named = {request->script_name, request->path_info};
    struct path asked = {uri_path(request->request_uri), hf_str(NULL, 0)};

    return begins(&info, &alone, out_rest) || begins(&named, &ours, out_rest) ||
           begins(&asked, &ours, out_rest);
}

/* ------------------------------------------------------------------------- */

enum hf_route hf_route(struct hf_str mount, const struct hf_request *request)
{
    struct hf_str rest;
    size_t i;

    for (i = 0; i < sizeof(places) / sizeof(places[0]); i++)
        if (is_at(mount, places[i].path, request))
            return by_method(&places[i], request->method);
    if (is_at(mount, setup, request))
        return HF_ROUTE_SETUP;
    if (is_below(mount, doctor, request, &rest))
        return HF_ROUTE_DOCTOR;
    return HF_ROUTE_NOWHERE;
}

struct hf_str hf_route_rest(struct hf_str mount,
                            const struct hf_request *request)
{
    struct hf_str rest = {NULL, 0};

    (void)is_below(mount, doctor, request, &rest); /* or it is empty */
    return rest;
}

/* How much of the path is behind its last "/doctor". */
static size_t tail_of(struct hf_str path)
{
    size_t end;

    for (end = path.len; end >= doctor.len; end--) {
        const char *at = path.at + end - doctor.len;

        if (memcmp(at, doctor.at, doctor.len) == 0 &&
            (end == path.len || path.at[end] == '/'))
            return path.len - end;
    }
    return 0;
}

struct hf_str hf_route_socket(const struct hf_request *request,
                              enum hf_route route)
{
    struct hf_str path = uri_path(request->request_uri);
    struct hf_str place = route == HF_ROUTE_SETUP ? setup : doctor;
    size_t end = path.len;

    if (route == HF_ROUTE_DOCTOR)
        end -= tail_of(path);
    /* "//host/..." would be an address of another site */
    if (end >= place.len && (path.len < 2 || path.at[1] != '/') &&
        hf_str_eq(hf_str(path.at + end - place.len, place.len), place))
        return hf_str(path.at, end - place.len);
    return request->script_name;
}

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

enum hf_route hf_route(struct hf_str mount, const struct hf_request *request)
{
    size_t i;

    for (i = 0; i < sizeof(places) / sizeof(places[0]); i++)
        if (is_at(mount, places[i].path, request))
            return by_method(&places[i], request->method);
    return HF_ROUTE_NOWHERE;
}

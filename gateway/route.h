/*
 * route.h - which request of the protocol is this? (specification section 2)
 *
 * Web servers disagree about how they split a path, so what counts is whether
 * any of these is ours: SCRIPT_NAME and PATH_INFO together, the path of
 * REQUEST_URI, or PATH_INFO alone. The last makes a CGI script of any name a
 * mount: /cgi-bin/holdfast/longpoll. The same for the two paths of plain HTTP,
 * publish and events (D22).
 */
#ifndef HF_GATEWAY_ROUTE_H
#define HF_GATEWAY_ROUTE_H

#include "gateway/request.h"

enum hf_route {
    HF_ROUTE_POLL,           /* GET longpoll */
    HF_ROUTE_PUSH,           /* POST longpoll */
    HF_ROUTE_PUBLISH,        /* POST publish */
    HF_ROUTE_EVENTS,         /* GET events */
    HF_ROUTE_PREFLIGHT,      /* OPTIONS of any of them */
    HF_ROUTE_METHOD,         /* longpoll, but with no method of ours */
    HF_ROUTE_PUBLISH_METHOD, /* publish, likewise */
    HF_ROUTE_EVENTS_METHOD,  /* events, likewise */
    HF_ROUTE_WEBSOCKET, /* GET websocket: the web server knows no side-car */
    HF_ROUTE_NOWHERE,   /* another path */
};

/* `mount` as in the settings: "/socket". */
enum hf_route hf_route(struct hf_str mount, const struct hf_request *request);

#endif

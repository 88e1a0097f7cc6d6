/*
 * route.h - which request of the protocol is this? (specification section 2)
 *
 * Web servers disagree about how they split a path, so what counts is whether
 * any of these is ours: SCRIPT_NAME and PATH_INFO together, the path of
 * REQUEST_URI, or PATH_INFO alone. The last makes a CGI script of any name a
 * mount: /cgi-bin/holdfast/longpoll. The same for the two paths of plain HTTP,
 * publish and events (D22), and for the pages of the owner: setup, and doctor
 * with all that is below it.
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
    HF_ROUTE_SETUP,     /* setup, any method (visit.h) */
    HF_ROUTE_DOCTOR,    /* doctor and doctor/..., any method */
    HF_ROUTE_NOWHERE,   /* another path */
};

/* `mount` as in the settings: "/socket". */
enum hf_route hf_route(struct hf_str mount, const struct hf_request *request);

/* What is behind "doctor" in the path of a request to HF_ROUTE_DOCTOR: empty, or
 * it begins with a slash. */
struct hf_str hf_route_rest(struct hf_str mount,
                            const struct hf_request *request);

/* The path of the socket of which `route`, one of the last two, is a page: what
 * clients are given, as it stands in the address. */
struct hf_str hf_route_socket(const struct hf_request *request,
                              enum hf_route route);

#endif

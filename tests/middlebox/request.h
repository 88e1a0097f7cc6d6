/*
 * request.h - what becomes of a request, by the rule for its kind
 */
#ifndef MIDDLEBOX_REQUEST_H
#define MIDDLEBOX_REQUEST_H

#include "tests/middlebox/visit.h"

/* What the client says: its request first, then what a WebSocket has. Nobody
 * wants a second request on the same connection: the answer says so. */
void request_take(struct visit *v, struct hf_str bytes);

/* The server cannot be reached. */
void request_bad_gateway(struct visit *v);

#endif

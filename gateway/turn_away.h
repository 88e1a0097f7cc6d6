/*
 * turn_away.h - plain CGI: whom there is no room for, before anything is opened
 */
#ifndef HF_GATEWAY_TURN_AWAY_H
#define HF_GATEWAY_TURN_AWAY_H

#include "gateway/request.h"

/*
 * Is this a new client that can only be refused (channel/holding.h)? Those come
 * again every five seconds, hundreds of them perhaps, so neither the journal
 * nor live.db is opened to say so. `dir` is the journal directory; what is
 * wrong with it whoever opens the rest will say.
 */
bool hf_turn_away(const char *dir, const struct hf_request *request);

#endif

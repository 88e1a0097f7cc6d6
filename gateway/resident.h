/*
 * resident.h - the gateway that stays: FastCGI, many requests
 *
 *     start --> listening --first request--> serving --signal--> leaving
 *
 * With --dir, or HOLDFAST_DIR in the environment, the journal is opened at
 * start, so that what is wrong there is said at once. Without, the web server
 * may still name it with the requests, and the first one decides (place.h);
 * where that fails the request gets 500, and a later one tries again.
 *
 * One process serves one journal. A request whose parameter HOLDFAST_DIR names
 * another is refused: the visitors of two sites must never meet in one.
 *
 * The first request also tells how we are served (enum hf_served): a process
 * that was started on descriptor 0 by Apache can only be mod_fcgid's.
 */
#ifndef HF_GATEWAY_RESIDENT_H
#define HF_GATEWAY_RESIDENT_H

#include "base/err.h"
#include "gateway/options.h"

/* After the journal could not be opened: not again before. */
#define HF_RESIDENT_RETRY_MS 2000

/* Serve until asked to leave. 0, or an error with *why filled. */
int hf_resident_run(const struct hf_options *options, struct hf_why *why);

#endif

/*
 * cgi.h - one request from the environment and standard input, one answer
 *
 * For hosts that offer nothing but CGI. The process opens what it needs,
 * answers and exits; a poll is held in it (settings.cgi_hold_ms), and it may
 * be killed at any time. Asked to end (signals.h) it answers first. One alarm
 * bounds each stage, so nothing a server or client does keeps the process
 * longer.
 */
#ifndef HF_GATEWAY_CGI_H
#define HF_GATEWAY_CGI_H

#include <stdbool.h>

/* Seconds for reading the request; as many again for answering it, beside the
 * time a poll is held. */
#define HF_CGI_SECONDS 30u

/* Were we started by a CGI server? */
bool hf_cgi_asked(void);

/*
 * Servers hand a query without '=' to the program as arguments (RFC 3875
 * section 4.4), which then come from anybody. Ours always has one, so such a
 * request is not served: true if this one is of that kind and was answered.
 */
bool hf_cgi_refused_arguments(void);

/* Serve the request. `dir` is the value of --dir, or NULL: then the request's
 * variables say where the journal is, or place.h finds it. Returns the exit
 * code. */
int hf_cgi_serve(const char *dir);

#endif

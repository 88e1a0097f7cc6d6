/*
 * fcgi_parse.h - from the bytes of one whole request to its parameters and body
 *
 * libfcgi parses, but never from a socket: it reads a file in memory that
 * holds exactly one request which hf_fcgi_walk has passed. So it cannot block
 * (on a socket it would, for ever if a peer falls silent), cannot be fed what
 * it does not survive, and nobody has to wait for its 2 s drain at the end of
 * a request. The socket stays non-blocking and ours.
 *
 * Setting `ipcFd` and `keepConnection` of an FCGX_Request before FCGX_Accept_r
 * relies on how libfcgi behaves, the same from 2.4.0 to 2.4.7, not on what it
 * promises: tests/unit/test_fcgi_parse.c would notice a change.
 */
#ifndef HF_GATEWAY_FCGI_PARSE_H
#define HF_GATEWAY_FCGI_PARSE_H

#include "base/str.h"

struct FCGX_Request;

/* One per process, used for one request after the other. */
struct hf_fcgi_parser {
    int file;   /* -1 = not open */
    size_t len; /* bytes in it */
};

struct hf_fcgi_parsed {
    char *const *env; /* "NAME=value", NULL at the end */
    struct hf_str body;
    struct FCGX_Request *request; /* private */
    char *body_memory;            /* private */
};

/* Initializes libfcgi too, which sets handlers of SIGTERM, SIGUSR1 and SIGPIPE
 * where there are none: set yours afterwards. 0, HF_ENOMEM, HF_EIO. */
int hf_fcgi_parser_open(struct hf_fcgi_parser *parser);
void hf_fcgi_parser_close(struct hf_fcgi_parser *parser);

/*
 * Parse `bytes`, one request as hf_fcgi_walk saw it, with `body_len` bytes of
 * STDIN. *out is valid until hf_fcgi_parsed_release, and no longer needs
 * `bytes`. 0; HF_EMALFORMED when libfcgi disagrees with hf_fcgi_walk; HF_EIO,
 * HF_ENOMEM.
 */
int hf_fcgi_parse(struct hf_fcgi_parser *parser, struct hf_str bytes,
                  size_t body_len, struct hf_fcgi_parsed *out);
/* Accepts the zeroed struct. */
void hf_fcgi_parsed_release(struct hf_fcgi_parsed *parsed);

#endif

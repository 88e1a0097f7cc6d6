/*
 * request.h - one HTTP request as the gateway sees it
 *
 * FastCGI and CGI bring the same variables (RFC 3875 section 4.1), so there is
 * one reader of them. Everything is borrowed from the environment and the body
 * given; a variable that is not there is the empty run.
 */
#ifndef HF_GATEWAY_REQUEST_H
#define HF_GATEWAY_REQUEST_H

#include "channel/connect.h"
#include "channel/limits.h"

struct hf_request {
    struct hf_str method;
    struct hf_str script_name;
    struct hf_str path_info;
    struct hf_str request_uri; /* not in RFC 3875, but every server sends it */
    struct hf_str content_type;
    struct hf_str content_length;
    struct hf_str transfer_encoding; /* "chunked": no length is known */
    struct hf_str token_header;      /* X-Phoenix-Longpoll-Token */
    struct hf_str allow_headers;     /* Access-Control-Request-Headers */
    struct hf_str https;             /* "on" or "1" behind TLS */
    struct hf_str directory;    /* HOLDFAST_DIR, the web server's own word */
    struct hf_str script;       /* SCRIPT_FILENAME */
    struct hf_str software;     /* SERVER_SOFTWARE: "Apache/2.4 ..." */
    struct hf_str root;         /* DOCUMENT_ROOT */
    struct hf_str context_root; /* Apache's, where it is another one */
    struct hf_hello hello;
    struct hf_str body;
};

/*
 * `env` holds "NAME=value" and NULL at the end; of a name given twice the
 * first counts. Each value is terminated where it stands.
 *
 * Apache keeps Authorization from programs unless a RewriteRule puts it into a
 * variable, and where a .htaccess rewrites, variables arrive as REDIRECT_name
 * (or with more of them, one for each time). A client cannot make either: what
 * it sends is called HTTP_name.
 */
void hf_request_read(struct hf_request *out, char *const *env,
                     struct hf_str body);

/*
 * The poll token: of the header, else of the query (6.3). Empty when there is
 * none, or none that could be a token; `memory` is for the decoded query.
 */
struct hf_str hf_request_token(const struct hf_request *request,
                               char memory[HF_TOKEN_MAX]);

/* Does the content type say ndjson, with parameters or without? */
bool hf_request_ndjson(const struct hf_request *request);

/* Is the body as long as CONTENT_LENGTH says? A server that lost its client
 * half-way may end the body early, and half a batch must not count. */
bool hf_request_whole(const struct hf_request *request);

/* Decimal digits and nothing else, at most `max`. 0; HF_EMALFORMED; HF_ELIMIT.
 * For CONTENT_LENGTH. */
int hf_request_number(struct hf_str text, size_t max, size_t *out);

#endif

/*
 * respond.h - the head of each answer (RFC 3875 section 6, specification 6)
 *
 * Both ends, FastCGI and CGI, send an answer as a head of this form and a body.
 * No client of Phoenix reads the HTTP status: what counts is the body, and for
 * a GET a JSON body without a status the client knows (200, 204, 403, 410,
 * 500) stops it for good (6.6). So what is not an answer of the protocol is
 * never JSON, and what may answer a GET says 500. Over plain HTTP (D22) it is
 * the HTTP status that counts.
 */
#ifndef HF_GATEWAY_RESPOND_H
#define HF_GATEWAY_RESPOND_H

#include "base/str.h"

/* A longer list of names in a preflight is answered as if it were empty. */
#define HF_ALLOW_HEADERS_MAX 512u

struct hf_head {
    char text[HF_ALLOW_HEADERS_MAX + 512];
    size_t len;
};

static inline struct hf_str hf_head_str(const struct hf_head *head)
{
    return hf_str(head->text, head->len);
}

/* Before a JSON body of `len` bytes. `status` is that of HTTP. */
void hf_head_json(struct hf_head *head, unsigned status, size_t len);

/* One more header field, whose name and value are our own words. */
void hf_head_add(struct hf_head *head, const char *name, const char *value);

/* The same for what only pages of this site may read. */
void hf_head_private_json(struct hf_head *head, unsigned status, size_t len);

/* Before `len` bytes of plain text; 0 for an empty body. */
void hf_head_text(struct hf_head *head, unsigned status, size_t len);

/* Before a page of HTML. Other sites may neither read nor frame it, and of its
 * address, which may hold a key, only this site hears (a page that sent none
 * at all would post its forms with the origin "null"). `policy` is what the
 * page may load and run, for Content-Security-Policy. */
void hf_head_page(struct hf_head *head, unsigned status, struct hf_str policy,
                  size_t len);

/* For an allowed preflight, whose body is empty. `asked` is the value of
 * Access-Control-Request-Headers; it is given back if it is a list of names
 * and nothing else. */
void hf_head_preflight(struct hf_head *head, struct hf_str asked);

#endif

/*
 * head.h - as much of HTTP as the middlebox must understand
 *
 * Requests are read whole, their body too. Each goes to the server on a
 * connection of its own, which ends with the answer, so nobody needs to know
 * how long an answer is; only where its head ends.
 */
#ifndef MIDDLEBOX_HEAD_H
#define MIDDLEBOX_HEAD_H

#include "base/buf.h"
#include "tests/middlebox/rules.h"

#define HEAD_MAX 16384u  /* bytes, of a request */
#define BODY_MAX 524288u /* bytes, of a request */

struct head {
    enum kind kind;
    size_t len;  /* bytes, with the empty line */
    size_t body; /* bytes, that follow */
};

/* 0; HF_EAGAIN: it goes on; HF_EMALFORMED; HF_ELIMIT: head or body is too long.
 * A body in chunks is HF_EMALFORMED, no browser sends it unless asked to. */
int head_read(struct hf_str bytes, struct head *out);

/*
 * Write the head as it is to be passed on: as it came where `upgrade`, else
 * without Upgrade and with "Connection: close", as HTTP/1.0 where `http10`.
 * 0 or an error of the buffer.
 */
int head_pass(struct hf_buf *out, struct hf_str head, bool upgrade,
              bool http10);

/* An answer, as it comes. Zeroed to begin with. */
struct answer {
    char line[13];   /* its begin: "HTTP/1.1 101 " */
    size_t line_len; /* bytes of it there are */
    unsigned ending; /* bytes of the CR LF CR LF that have come */
    bool done;       /* the head is over */
};

/* How many of these bytes belong to the head. */
size_t answer_take(struct answer *answer, struct hf_str bytes);

/* Once it is done: is there a WebSocket from here on? */
bool answer_is_upgrade(const struct answer *answer);

#endif

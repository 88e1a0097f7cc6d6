/*
 * fcgi.h - the FastCGI end: connections of a web server, in one loop
 *
 * A connection is non-blocking and never touched by libfcgi. Its bytes are
 * read into a bounded buffer until a request is whole (fcgi_record.h), parsed
 * (fcgi_parse.h) and started (serve.h); then the buffer is freed, and a poll
 * that is held costs its connection's struct and a descriptor.
 *
 *     accept --> READING --whole--> WAITING --reply--> SENDING --all, keep--+
 *                  ^  |                |                  |                 |
 *                  |  |                +--hung up--+      +--all------+     |
 *                  |  +--deadline, bad records-----+------------------+->closed
 *                  +--------------------------------------------------------+
 *
 *     READING  30 s for a whole request from accept or, on a kept connection,
 *              from its first byte. What is too large is read to its end
 *              without being kept, for web servers read no answer while they
 *              send, and then answered with 413
 *     WAITING  bounded by who answers: hold, writer's deadline
 *     SENDING  30 s without progress
 *
 * Everything a peer can fill is bounded: connections by descriptors (beyond,
 * they wait in the backlog), requests being read and answers being sent by
 * 64 MiB each. Who is over the first gets 503; over the second the connection
 * is closed, which loses nothing, as the client asks again.
 */
#ifndef HF_GATEWAY_FCGI_H
#define HF_GATEWAY_FCGI_H

#include "base/loop.h"
#include "gateway/serve.h"

/* From accept, or the first byte on a kept connection, to a whole request. */
#define HF_FCGI_READ_MS INT64_C(30000)
/* A kept connection without a request: longer than nginx keeps one (60 s), so
 * that it is not we who close it while a request is on its way. */
#define HF_FCGI_IDLE_MS INT64_C(90000)
/* Sending an answer without progress. */
#define HF_FCGI_SEND_MS INT64_C(30000)
/* Bytes of all requests being read, and of all answers being sent. */
#define HF_FCGI_RECEIVING_MAX ((size_t)64 << 20)
#define HF_FCGI_SENDING_MAX   ((size_t)64 << 20)
/* Bytes of a refused request that are read for the sake of its end. */
#define HF_FCGI_DRAIN_MAX ((size_t)64 << 20)
/* No accept for so long after descriptors or memory ran out. */
#define HF_FCGI_PAUSE_MS INT64_C(200)

struct hf_fcgi;

/*
 * Serve `listener`, a listening socket, which becomes ours; at most max_conns
 * connections at once. `loop` and `gateway` are borrowed. 0, HF_ENOMEM, HF_EIO.
 */
int hf_fcgi_open(struct hf_loop *loop, struct hf_gateway *gateway, int listener,
                 size_t max_conns, struct hf_fcgi **out);
/* Closes what is open, without answers. Accepts NULL. */
void hf_fcgi_close(struct hf_fcgi *fcgi);

/* Accept nothing more and close connections once they are answered; the caller
 * then turns the loop until no connection is left, or its patience is over. */
void hf_fcgi_stop(struct hf_fcgi *fcgi);

struct hf_fcgi_counts {
    size_t conns;     /* open */
    size_t receiving; /* bytes of memory for requests being read */
    size_t sending;   /* bytes of memory for answers being sent */
};
struct hf_fcgi_counts hf_fcgi_counts(const struct hf_fcgi *fcgi);

#endif

/*
 * visit.h - one request through the middlebox, and the WebSocket it may become
 *
 *     READING --whole request--> PASSING --either end closes--> ENDING --> gone
 *        |                                                        ^
 *        +--answered by us----------------------------------------+
 *        +--hang------> HELD (until the client goes)
 *        +--reset-----> gone
 *
 *     READING  the request is collected; there is no connection to the server
 *     PASSING  both connections are there; bytes flow as the rule has it
 *     HELD     what the client says is thrown away
 *     ENDING   all has been sent to the client, whose end is waited for shortly
 *
 * A silent direction is a black hole: neither bytes nor the end of the stream
 * come out of it. So a silent visit may lack one of its ends for long; nobody
 * tells the other. It is given up when nothing has moved for VISIT_IDLE_MS.
 */
#ifndef MIDDLEBOX_VISIT_H
#define MIDDLEBOX_VISIT_H

#include <sys/socket.h>

#include "base/list.h"
#include "base/loop.h"
#include "tests/middlebox/flow.h"
#include "tests/middlebox/head.h"

#define VISITS_MAX     1024u
#define VISIT_IDLE_MS  600000
#define VISIT_FLOW_MAX (HEAD_MAX + BODY_MAX + 4096u) /* bytes, each way */

struct middlebox {
    struct hf_loop *loop;
    struct sockaddr_storage server; /* where requests go */
    socklen_t server_len;
    struct rules rules;
    struct hf_list visits;
    unsigned visit_count;
    unsigned long seen[KINDS]; /* requests since the start */
};

/* Take over a client's connection, or close it when there are too many. */
void visit_begin(struct middlebox *box, int fd);

/* The rules have changed: what concerns visits that are there. */
void visits_heed_rules(struct middlebox *box);

/* These kinds of visits are reset, now. */
void visits_drop(struct middlebox *box, unsigned kinds);

/* A change of address: whoever is connected is silent from now on, both ways,
 * and nobody is told. */
void visits_move(struct middlebox *box);

/* The end of the program. */
void visits_free(struct middlebox *box);

#endif

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

#include "tests/middlebox/flow.h"
#include "tests/middlebox/head.h"
#include "tests/middlebox/visits.h"

#define VISIT_IDLE_MS  600000
#define VISIT_FLOW_MAX (HEAD_MAX + BODY_MAX + 4096u) /* bytes, each way */
#define VISIT_READ_MAX 16384u                        /* bytes, at once */

enum visit_state { READING, PASSING, HELD, ENDING };
enum way { UP, DOWN, WAYS }; /* from the client, from the server */

/* One of the two connections: its bytes come in by `way`. */
struct end {
    struct hf_watch watch; /* fd is -1 when it is gone */
    uint32_t events;       /* asked for */
    bool watched;
    bool finished; /* it will send no more */
    struct visit *visit;
    enum way way;
};

struct visit {
    struct middlebox *box;
    struct hf_list node;
    enum visit_state state;
    enum kind kind;
    struct rule rule;
    struct end ends[WAYS]; /* ends[UP] is the client */
    struct flow flows[WAYS];
    bool silent[WAYS];
    struct hf_buf request;
    struct answer answer;
    bool upgraded;          /* a WebSocket is open */
    size_t left;            /* bytes that may still come down (truncate) */
    struct hf_timer due;    /* delayed bytes may leave */
    struct hf_timer limit;  /* idle, or waited for the end long enough */
    struct hf_timer cutter; /* MODE_CUT */
    bool over;              /* the next settle frees it */
};

/* Without either end. NULL: there are too many, or no memory. */
struct visit *visit_new(struct middlebox *box);
void visit_free(struct visit *v);

/* Both connections are reset; visit_settle() does the rest. */
void visit_reset(struct visit *v);

/* Close one of the two. */
void end_close(struct end *end, bool reset);

/* Bytes go on by `way`, delayed if that is the rule, or nowhere. */
void visit_pass_on(struct visit *v, enum way way, struct hf_str bytes);

/* This rule now is that of an open WebSocket. */
void visit_heed(struct visit *v, const struct rule *rule);

/* After whatever happened: write, end, and say what is waited for next. The
 * visit may be gone afterwards. */
void visit_settle(struct visit *v);

#endif

/*
 * fcgi_conn.h - one connection of a web server; for fcgi.c only
 */
#ifndef HF_GATEWAY_FCGI_CONN_H
#define HF_GATEWAY_FCGI_CONN_H

#include "base/buf.h"
#include "gateway/fcgi.h"
#include "gateway/fcgi_parse.h"
#include "gateway/fcgi_record.h"

/* Read at once, into memory that all connections share. */
#define HF_FCGI_CHUNK ((size_t)64 << 10)

struct hf_fcgi {
    struct hf_loop *loop;
    struct hf_gateway *gateway;
    struct hf_fcgi_parser parser;
    struct hf_watch listener;
    struct hf_timer accept_again;
    bool listening; /* the listener is watched */
    bool short_of;  /* descriptors or memory: said so in the log */
    struct hf_list conns;
    struct hf_list fresh; /* those that are not watched yet, instead */
    struct hf_turn watch_fresh;
    struct hf_buf out;    /* scratch: an answer on its way to the socket */
    struct hf_list closed; /* freed at the end of the turn: callbacks that
                              closed them may still be running */
    struct hf_turn bury;
    size_t max_conns;
    struct hf_fcgi_counts counts;
    char chunk[HF_FCGI_CHUNK];
};

enum hf_conn_state {
    HF_CONN_READING,
    HF_CONN_WAITING,
    HF_CONN_SENDING,
    HF_CONN_CLOSED,
};

/* Why a request will not be served, though its end must be found first. */
enum hf_refusal {
    HF_REFUSE_NOT,
    HF_REFUSE_BODY,   /* over settings.max_body */
    HF_REFUSE_PARAMS, /* over HF_FCGI_PARAMS_MAX */
    HF_REFUSE_BUSY,   /* no memory for it */
};

/* Kept small: most of them are held polls, which have a deadline of their own
 * and no bytes. */
struct hf_conn {
    struct hf_fcgi *fcgi;
    struct hf_list node;
    struct hf_watch watch;
    uint32_t events; /* watched for */
    uint16_t id;     /* of the request under way */
    uint8_t state;   /* enum hf_conn_state */
    uint8_t refusal; /* enum hf_refusal */
    bool keep;       /* after this request the connection stays open */
    bool idle;       /* kept, and nothing of another request is here yet */
    bool watched;    /* by the loop; not before the end of its first turn */
    union {
        struct { /* READING, SENDING */
            struct hf_timer timer;
            struct hf_buf bytes; /* of the request; the answer */
            size_t done;         /* bytes thrown away; sent */
            struct hf_fcgi_walk walk;
        };
        struct hf_exchange exchange; /* WAITING */
    };
};

/* Takes over the descriptor, which is non-blocking, even on failure. It is in
 * fcgi->fresh until hf_conn_watch, at the end of the turn: most requests are
 * here already, and one that is answered in its first turn is never watched. */
void hf_conn_open(struct hf_fcgi *fcgi, int fd);
void hf_conn_watch(struct hf_conn *conn);
void hf_conn_close(struct hf_conn *conn);

/* In fcgi.c: a connection is closed and will be freed at the end of the turn. */
void hf_fcgi_conn_closed(struct hf_fcgi *fcgi, struct hf_conn *conn);

#endif

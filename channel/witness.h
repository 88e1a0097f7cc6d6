/*
 * witness.h - what the running processes know of one message's way
 *
 * The question and the answers of `holdfast explain` (schema/inquiry.h carries
 * them), as lines of text, for a process may be of another version than who
 * asks. A worker of the side-car tells of its members of the topic, a resident
 * gateway of its polls. What they do not know they do not say.
 */
#ifndef HF_CHANNEL_WITNESS_H
#define HF_CHANNEL_WITNESS_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/buf.h"
#include "channel/identity.h"
#include "channel/limits.h"

struct hf_hub;
struct hf_longpoll;

/* Members and sessions that one process tells of one by one; all are counted. */
#define HF_WITNESS_MEMBERS 200u

struct hf_witness_question {
    uint64_t epoch, id;
    struct hf_str topic;
    struct hf_str skip; /* of the row: who is left out */
    bool diff;          /* the row is a presence_diff */
    struct hf_str who; /* of the side-car only this session or user, or empty */
};

/* Begin the text of a question; then a line for each long-poll session of whom
 * a gateway is to tell (HF_WITNESS_MEMBERS at most). Errors stay in `out`. */
void hf_witness_ask(struct hf_buf *out, const struct hf_witness_question *q);
void hf_witness_ask_session(struct hf_buf *out, struct hf_str session);

/* --- who is asked: a process has one of the two */

void hf_witness_sockets(struct hf_hub *hub);
void hf_witness_polls(struct hf_longpoll *longpoll);

/* --- what is heard; texts are borrowed */

/* A member of the topic on a WebSocket. */
struct hf_witness_socket {
    struct hf_str session;
    struct hf_str user;     /* or empty */
    struct hf_str join_ref; /* JSON text */
    uint64_t began;         /* rows at or below were before its time */
    uint64_t live;          /* rows above came while it was joined */
    uint64_t cursor;        /* rows at or below were sent, or are not for it */
    bool may_join;          /* as the rights are now */
    bool left_out;          /* the row is not for this session */
    bool lagging;           /* it reads from the journal, being behind */
    bool held;              /* rows wait for the state of presence */
    bool link_known;        /* the next two are */
    uint64_t unsent;  /* bytes not taken by its machine or the web server */
    int64_t quiet_ms; /* nothing was heard of it for so long */
    int64_t read_ms;  /* wall clock when the process read the row; 0: unknown */
};
/* Connected, and not a member of the topic; only when it was asked for by name. */
struct hf_witness_elsewhere {
    struct hf_str session, user;
    unsigned topics;
    bool may_join;
};
struct hf_witness_totals {
    uint64_t members; /* of the topic, in this process */
    uint64_t due;     /* of these, the row is for them */
    uint64_t passed;  /* of these, it was handed to their transport */
};
/* A long-poll session. Ids are 0 and times 0 where nothing is known. */
struct hf_witness_poll {
    struct hf_str session;
    bool held;                  /* a poll of it is held open now */
    uint64_t cursor;            /* with which it came last */
    uint64_t replay, replay_at; /* as in its token */
    int64_t came_ms;            /* and when */
    int64_t sent_ms;            /* when an answer first led past the row */
    int64_t shown_ms;           /* when it first came from beyond the row */
};

struct hf_witness_heard {
    /* What kind of process it is: "side-car", "gateway". */
    void (*process)(void *ctx, struct hf_str kind);
    void (*socket)(void *ctx, const struct hf_witness_socket *socket);
    void (*elsewhere)(void *ctx, const struct hf_witness_elsewhere *there);
    void (*totals)(void *ctx, const struct hf_witness_totals *totals);
    void (*poll)(void *ctx, const struct hf_witness_poll *poll);
    void *ctx;
};

/* Take one answer apart. 0; HF_EMALFORMED: what came is not understood, at least
 * in part (another version); HF_ENOTFOUND: it has not seen the history of this
 * epoch yet; HF_EAGAIN: it has served nobody so far, so knows nothing. */
int hf_witness_read(struct hf_str answer, uint64_t epoch,
                    const struct hf_witness_heard *heard);

/* --- another question: how is it with you? (`holdfast status`) */

#define HF_WITNESS_STATE "state 1\n"

struct hf_witness_state {
    struct hf_str kind;    /* "side-car", "gateway" */
    struct hf_str version; /* of the program that runs, which may be an older one
                              than what is installed */
    uint64_t sockets, members, lagging; /* of a worker of the side-car */
    uint64_t held;                      /* polls, of a gateway */
};
/* 0, HF_EAGAIN and HF_EMALFORMED as above; borrowed from the answer. */
int hf_witness_read_state(struct hf_str answer, struct hf_witness_state *out);

#endif

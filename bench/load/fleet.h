/*
 * fleet.h - thousands of clients of one server, in one epoll loop
 *
 * Client i joins `each` of `topics` topics, "room:N" with N = i * each, and so
 * on, modulo `topics`. Every message of a topic carries a number, which rises by
 * one, and when it was published:
 *
 *     event "m", payload {"n":17,"t":123456789,"p":"xxxx"}      t: CLOCK_MONOTONIC, ns
 *
 * So each membership knows which number comes next, whoever publishes, and what
 * is lost, comes twice or out of order is seen at once. A client that comes back
 * says `since`, and the numbers go on where they were.
 *
 *     AWAY --> COMING ------> JOINING -----> JOINED --> LEAVING --> AWAY
 *               connect, TLS,   phx_join of     goodbye, until
 *               handshake       every topic     the server's end
 *
 * From any state a client is AWAY when its connection has ended. A topic's first
 * client is its publisher.
 */
#ifndef HF_BENCH_FLEET_H
#define HF_BENCH_FLEET_H

#include "base/buf.h"
#include "bench/load/times.h"
#include "bench/load/stream.h"

#define HF_FLEET_CURSOR 40u
#define HF_FLEET_INPUT  (256u * 1024u) /* bytes read at once */
#define HF_NS_PER_MS    1000000ll
#define HF_NS_PER_S     1000000000ll

enum hf_client_state {
    HF_CLIENT_AWAY,
    HF_CLIENT_COMING,
    HF_CLIENT_JOINING,
    HF_CLIENT_JOINED,
    HF_CLIENT_LEAVING,
};

/* What is counted; hf_tally_names has a word for each. */
enum hf_tally {
    HF_TALLY_ROWS,     /* deliveries */
    HF_TALLY_REPLAYED, /* of them published before the client's join */
    HF_TALLY_BYTES,    /* read, all of it */
    HF_TALLY_LOST,     /* numbers left out */
    HF_TALLY_AGAIN,    /* numbers that came twice, or too late */
    HF_TALLY_BAD,      /* what the protocol does not allow */
    HF_TALLY_PUSHES,
    HF_TALLY_PUSHES_OK,
    HF_TALLY_PUSHES_REFUSED,
    HF_TALLY_SKIPPED, /* pushes left out: the publisher was not there */
    HF_TALLY_JOINS,   /* of a topic, answered ok */
    HF_TALLY_JOINS_REFUSED,
    HF_TALLY_GAPS,        /* came back, and the server could not go on there */
    HF_TALLY_ENDED,       /* phx_error, phx_close */
    HF_TALLY_OPENED,      /* connections begun */
    HF_TALLY_UNCONNECTED, /* of them refused or broken before the 101 */
    HF_TALLY_REFUSED,     /* of them answered with another status */
    HF_TALLY_TIMED_OUT,   /* not joined within HF_FLEET_PATIENCE */
    HF_TALLY_DROPPED,     /* ended by the server without a close frame */
    HF_TALLY_CLOSED_1001,
    HF_TALLY_CLOSED_1008,
    HF_TALLY_CLOSED_1012,
    HF_TALLY_CLOSED_1013,
    HF_TALLY_CLOSED_OTHER,
    HF_TALLY_BEATS,
    HF_TALLY_BEATS_LATE,   /* unanswered when the next was due */
    HF_TALLY_CHURNED,      /* connections that we ended while others went on */
    HF_TALLY_STRAYS,       /* half-open ones and broken handshakes begun */
    HF_TALLY_STRAYS_ENDED, /* of them ended by the server */
    HF_TALLY_STRAYS_KEPT,  /* of them not ended within HF_STRAY_NS */
    HF_TALLYS,
};
extern const char *const hf_tally_names[HF_TALLYS];

/* From the connection's begin until all is joined. */
#define HF_FLEET_PATIENCE (60 * HF_NS_PER_S)

struct hf_member {
    uint32_t topic;
    uint32_t last; /* number of the newest row */
    bool strict;   /* `last` is known: the next one is last + 1 */
    bool joined;
    uint8_t cursor_len;
    char cursor[HF_FLEET_CURSOR];
};

struct hf_client {
    struct hf_stream stream; /* fd -1 when AWAY */
    uint32_t number;
    uint8_t state;
    bool polls_out; /* its epoll mask has EPOLLOUT */
    bool wanted;    /* AWAY: to come back once due_ns has passed */
    uint16_t joined;
    int32_t back_ms;  /* LEAVING: to come back within it; -1: to stay away */
    int64_t began_ns; /* of this connection */
    int64_t up_ns;    /* all is joined */
    int64_t beat_ns;  /* a heartbeat was sent and is not answered; 0: none */
    int64_t due_ns;
    struct hf_buf in;  /* a frame that is not whole yet */
    struct hf_buf out; /* what the socket did not take */
};

struct hf_topic {
    uint32_t newest; /* number pushed by us, or seen */
    uint32_t joined; /* members */
};

struct hf_fleet_options {
    struct hf_stream_to to;
    struct hf_str headers; /* further lines of the request, with their ends */
    unsigned clients, topics, each;
    unsigned first;   /* number of the first topic */
    unsigned from;    /* messages of a topic begin behind this number */
    unsigned window;  /* handshakes under way at once */
    unsigned payload; /* bytes */
    unsigned beat_s;  /* a heartbeat so often; 0: never */
    bool tls;
    bool stock;      /* joins without `since` */
    int64_t back_ms; /* who is dropped comes back within it; -1: stays away */
};

struct hf_stray; /* churn.c */

struct hf_fleet {
    struct hf_fleet_options options;
    struct hf_client *clients;
    struct hf_member *members; /* `each` of client 0, of client 1, ... */
    struct hf_topic *topics;
    int epoll;
    char *input;    /* HF_FLEET_INPUT */
    int64_t now_ns; /* of this turn */
    /* how many clients are in each state */
    unsigned in_state[HF_CLIENT_LEAVING + 1];
    unsigned unwanted; /* AWAY, and to stay */
    unsigned scan;     /* where the search for the next to connect goes on */
    unsigned beat;     /* whose heartbeat is next */
    int64_t beat_due_ns;
    double push_rate, churn_rate; /* a second */
    int64_t push_due_ns, churn_due_ns;
    unsigned push_topic;
    struct hf_stray *strays;
    unsigned strays_count;
    uint64_t random;
    /* Memberships that have not reached number `goal` yet, if it is not 0. */
    uint32_t goal;
    unsigned goal_left;
    int64_t goal_ns; /* since when */
    uint64_t counts[HF_TALLYS];
    struct hf_times latency; /* published -> delivered, ns */
    struct hf_times ack;     /* pushed -> reply */
    struct hf_times beats;   /* heartbeat -> reply */
    struct hf_times up;      /* connect -> all joined */
    struct hf_times reached; /* the goal was set -> its number came */
};

int64_t hf_now_ns(void);

/* 0 or -1 with a line on stderr. */
int hf_fleet_open(struct hf_fleet *fleet,
                  const struct hf_fleet_options *options);
void hf_fleet_close(struct hf_fleet *fleet);

/* All who are AWAY, up to client `count`, are to come. */
void hf_fleet_want(struct hf_fleet *fleet, unsigned count);

/* Until `done` says so or the time is over; false for the latter. `done` may be
 * NULL. */
bool hf_fleet_run(struct hf_fleet *fleet, int64_t until_ns,
                  bool (*done)(const struct hf_fleet *fleet));

/* Messages a second over all topics in turn; connections ended a second. */
void hf_fleet_push_rate(struct hf_fleet *fleet, double rate);
void hf_fleet_churn_rate(struct hf_fleet *fleet, double rate);

/* Publish the next message of a topic, if its publisher is there. */
bool hf_fleet_push(struct hf_fleet *fleet, unsigned topic);

/* From now on measure when each membership reaches number `goal`. */
void hf_fleet_aim(struct hf_fleet *fleet, uint32_t goal);

/* Memberships that are joined and have not the newest message of their topic. */
unsigned hf_fleet_behind(const struct hf_fleet *fleet);

/* --- one client (client.c) ------------------------------------------------- */

static inline struct hf_member *hf_members_of(const struct hf_fleet *fleet,
                                              const struct hf_client *client)
{
    return fleet->members + (size_t)client->number * fleet->options.each;
}

/* AWAY -> COMING. False: the kernel has no room now; try later. */
bool hf_client_open(struct hf_fleet *fleet, struct hf_client *client);
void hf_client_on_event(struct hf_fleet *fleet, struct hf_client *client);
void hf_client_beat(struct hf_fleet *fleet, struct hf_client *client);
/* Queue and write a text message. */
void hf_client_say(struct hf_fleet *fleet, struct hf_client *client,
                   struct hf_str text);
/* -> LEAVING: say goodbye, wait for the server's end. `back_ms`: to come back
 * within it; -1: to stay away. */
void hf_client_leave(struct hf_fleet *fleet, struct hf_client *client,
                     int32_t back_ms);
/* -> AWAY at once, with FIN or with RST. */
void hf_client_cut(struct hf_fleet *fleet, struct hf_client *client, bool reset,
                   int64_t back_ms);
/* The same, but the stream lives on without it. */
struct hf_stream hf_client_abandon(struct hf_fleet *fleet,
                                   struct hf_client *client, int64_t back_ms);
/* Forget where it was: it comes back as a new one. */
void hf_client_forget(struct hf_fleet *fleet, struct hf_client *client);

/* --- coming and going (churn.c) -------------------------------------------- */

/* End one connection, in one of the ways in which clients go. */
void hf_churn(struct hf_fleet *fleet);
/* Does this event belong to a stray? Then it is dealt with. */
bool hf_stray_on_event(struct hf_fleet *fleet, void *which);
/* Every tick. */
void hf_strays_tick(struct hf_fleet *fleet);
void hf_strays_close(struct hf_fleet *fleet);

/* A random number below `below`. */
unsigned hf_fleet_random(struct hf_fleet *fleet, unsigned below);

#endif

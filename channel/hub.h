/*
 * hub.h - topics and members of one process that holds connections
 *
 * The hub's cursor is how far this process has read the journal. The tail
 * (tail.c) reads on from there, puts each row once into the ring of its topic,
 * and marks the topic's members as ready; a member is a cursor into that ring
 * (session.h). Used on the loop's thread only.
 */
#ifndef HF_CHANNEL_HUB_H
#define HF_CHANNEL_HUB_H

#include "base/histogram.h"
#include "base/map.h"
#include "channel/process.h"
#include "channel/rings.h"

/* For monitoring, status, logs and tests. */
struct hf_hub_counts {
    size_t sessions;
    size_t members;
    size_t lagging; /* of these, they read from the journal at present */
    size_t topics;
    uint64_t joins; /* and those that were answered with an error */
    uint64_t joins_refused;
    uint64_t pushes;         /* journaled, those that a hook decides left out */
    uint64_t pushes_refused; /* for what they are, or too many */
    uint64_t pushes_failed;  /* the journal did not take them */
    uint64_t rows_read;      /* by the tail, of joined topics */
    uint64_t encoded;        /* messages encoded: rows times variants */
    uint64_t delivered;      /* rows taken by transports */
    uint64_t refilled;       /* of these, read again from the journal */
    uint64_t gaps;           /* memberships ended as rows were gone */
    /* From a row's `at` to the snapshot in which the tail read it, by the wall
     * clock, to the millisecond: of rows_read, less `untimed`, whose `at` lies
     * ahead, or so far back that it was not set when they were written. */
    struct hf_histogram wakeup;
    uint64_t untimed;
};

/* When rows were read, for people (witness.h). */
#define HF_HUB_PAGES 512u
struct hf_hub_page {
    uint64_t through; /* up to this id, from the page before; 0: none */
    int64_t read_ms;  /* wall clock */
};

struct hf_hub {
    struct hf_process *process; /* borrowed */
    struct hf_wake *wake;
    uint64_t epoch;
    uint64_t cursor;      /* rows at or below are in the rings, or were */
    int64_t read_version; /* hf_journal_version before it was read to its
                              * end; -1 = none */
    int64_t read_ms;      /* hf_wall_ms of the page being read */
    uint64_t redactions;  /* hf_journal_redactions when rings were filled */
    struct hf_tracker *tracker; /* presence */
    struct hf_map topics;       /* name -> struct hf_topic */
    struct hf_map users;        /* topic -> struct hf_user (user.h) */
    struct hf_rings rings;
    bool behind;             /* the tail stopped before the end */
    bool flood;              /* and the last page was full */
    int64_t page_ms;         /* hf_boot_ms, when that was read */
    bool (*busy)(void *ctx); /* hf_hub_heed; or NULL */
    void *busy_ctx;
    bool reading;       /* by the tail, at this moment */
    size_t refill_left; /* rows that refills may still read this turn */
    struct hf_hub_page
        pages[HF_HUB_PAGES]; /* the newest; oldest at page_next */
    unsigned page_next;
    struct hf_list deferred; /* sessions that wait for the next turn's share */
    struct hf_timer retry;   /* of a page that could not be read */
    int64_t logged_ms;       /* hf_boot_ms when that was said; 0 = never */
    struct hf_turn turn;
    struct hf_hub_counts counts;
};

/* A topic somebody of this process has joined; made and freed with its
 * members. */
struct hf_topic {
    struct hf_hub *hub;
    struct hf_list members; /* struct hf_member.in_topic */
    struct hf_ring ring;
    struct hf_list in_rings; /* hub->rings.held */
    uint64_t page;           /* see there */
    uint64_t too_far;        /* see hf_rings_reach_back */
    size_t len;
    char name[];
};

static inline struct hf_str hf_topic_name(const struct hf_topic *topic)
{
    return hf_str(topic->name, topic->len);
}

/* `process` is borrowed, and threaded. 0, HF_ENOMEM, HF_EIO, HF_ESTORE. */
int hf_hub_open(struct hf_process *process, struct hf_hub **out);
/* All sessions must be detached. NULL: nothing. */
void hf_hub_close(struct hf_hub *hub);

/* Does the transport still hold what it has not had the time to take? While it
 * does, and there are more rows than one page holds, the next page waits, if not
 * for long: else the rings would lose rows before their members have seen them,
 * and each member would read them from the journal by itself. */
void hf_hub_heed(struct hf_hub *hub, bool (*busy)(void *ctx), void *ctx);

struct hf_hub_counts hf_hub_counts(const struct hf_hub *hub);

/* When was this id read, by the wall clock? 0: not known any more, or it came
 * while nobody was joined. */
int64_t hf_hub_read_at(const struct hf_hub *hub, uint64_t id);

/* --- for session.c ----------------------------------------------------- */

/* The topic of that name, NULL when nobody here has joined it. */
struct hf_topic *hf_hub_find(const struct hf_hub *hub, struct hf_str name);
/* Found or made, for a member to enter. 0, HF_ENOMEM. */
int hf_hub_enter(struct hf_hub *hub, struct hf_str name, struct hf_topic **out);
/* A member has left; the last one takes the topic with it. */
void hf_hub_left(struct hf_topic *topic);

/* Bring the hub up to the head of the journal, now (D7: before a join is
 * answered). 0, HF_ESTORE, HF_EBUSY. */
int hf_hub_catch_up(struct hf_hub *hub);
/* The journal has grown: read on at the end of this turn. */
void hf_hub_soon(struct hf_hub *hub);

#endif

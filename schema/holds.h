/*
 * holds.h - how many polls the account holds, whatever process holds them (D14)
 *
 * `holds` is one mapped file. It has a slot for each process that holds polls,
 * owned through an OFD lock on the slot's byte, so that what a killed process
 * held is not counted for ever; and the numbers of the budget, which
 * channel/holding.h decides about. Everything here is a handful of loads and
 * stores: a plain CGI process maps the file, counts itself and is done.
 *
 * To be counted comes before being allowed: who wants to hold adds itself, then
 * sums, and takes itself out again if that is too much. So two processes may
 * both be turned away at the last place, but never both get it.
 */
#ifndef HF_SCHEMA_HOLDS_H
#define HF_SCHEMA_HOLDS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "schema/dir.h"

#define HF_HOLDS_SLOTS 1024u

/* What is held: by what it is counted. */
enum hf_held {
    HF_HELD_FULL,  /* from the budget */
    HF_HELD_BRIEF, /* a second or two, from the tenth beside it */
    HF_HELD_STOCK, /* by a stock client, whose session is counted instead */
    HF_HELD_KINDS,
};

/* The numbers that all processes share. Zero in a new file; a damaged file may
 * hold anything, so whoever reads one bounds it. Times are hf_boot_ms: one in
 * the future is of another boot, and means long ago. */
struct hf_budget {
    _Atomic uint32_t first; /* the value it began with; 0: never begun */
    _Atomic uint32_t now;
    _Atomic uint32_t ceiling;
    _Atomic uint32_t stock;        /* live stock sessions that have joined */
    _Atomic uint32_t stock_coming; /* and that have not, yet */
    _Atomic uint32_t reports;      /* refusals that were reported, ever */
    _Atomic uint32_t report_status;
    _Atomic uint32_t turned_away; /* stock clients, since it was logged */
    _Atomic int64_t grown_ms;     /* when it grew last */
    _Atomic int64_t halved_ms;    /* and was halved */
    _Atomic int64_t report_ms;    /* the last refusal that was reported */
    _Atomic int64_t relaxed_ms;   /* the ceiling was raised */
    _Atomic int64_t witness_ms;   /* somebody came who would have told */
    _Atomic int64_t counted_ms;   /* the two numbers of stock sessions */
    _Atomic int64_t buried_ms;    /* killed processes were looked for */
    _Atomic int64_t logged_ms;    /* turned_away */
    _Atomic int64_t free_us;      /* the next poll that may be asked for */
};

struct hf_holds;

/* Map the file, creating it if need be (mapped.h). 0, HF_ENOMEM, HF_EIO. */
int hf_holds_open(const struct hf_dir *dir, struct hf_holds **out);
/* Nothing of ours is counted any more. NULL: nothing. */
void hf_holds_close(struct hf_holds *holds);

/* One more, or one less, in our slot, which the first one takes. 0; HF_ELIMIT:
 * no slot is free; HF_EIO. Less never fails. */
int hf_holds_add(struct hf_holds *holds, enum hf_held kind);
void hf_holds_drop(struct hf_holds *holds, enum hf_held kind);
/* All of ours are for this client address, as a hash; 0: for several. */
void hf_holds_set_address(struct hf_holds *holds, uint64_t address);

/* Of all processes. */
struct hf_holds_sum {
    uint32_t held[HF_HELD_KINDS];
    uint32_t of_address; /* processes of that address that hold something */
};
struct hf_holds_sum hf_holds_sum(const struct hf_holds *holds,
                                 uint64_t address);
/* Empty the slots of those that were killed: some system calls for each slot in
 * use, so for when it matters. Returns how many there were. */
unsigned hf_holds_bury(struct hf_holds *holds);

struct hf_budget *hf_holds_budget(struct hf_holds *holds);

#endif

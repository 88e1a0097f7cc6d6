/*
 * bell.h - waking those who wait for the journal, in whatever process (D4)
 *
 * `bells` is one mapped file of slots; each process that waits owns one through
 * an OFD lock on the slot's byte, so that the kernel frees it when the process
 * dies. A slot says what its owner waits for and how to wake it. A bell carries
 * no data and may be lost: everybody who waits also looks every half second
 * (wake.h), and correctness rests on that alone.
 *
 *     waiter     listen, then read the journal, then sleep
 *     publisher  commit, then read the slots, then ring
 *
 * What is waited for and what is published are names: of topics, sessions and
 * users. A slot holds a mask of 64 buckets by hash, which is quick to compare,
 * and up to HF_BELL_SLOT_NAMES hashes, so that a waiter with few names (one
 * poll of one browser) is woken for its own only. With more names than fit the
 * mask alone decides; such a waiter serves many, and a look too many costs it
 * microseconds.
 */
#ifndef HF_SCHEMA_BELL_H
#define HF_SCHEMA_BELL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/str.h"
#include "schema/dir.h"

#define HF_BELL_SLOTS      1024u
#define HF_BELL_SLOT_NAMES 5u
#define HF_BELL_NAMES      64u

/* A set of names, by their hashes. Empty when zeroed. Beyond HF_BELL_NAMES it
 * knows their buckets only, and may mean more than was put in. */
struct hf_bell_names {
    uint64_t buckets; /* bit n: some name has bucket n */
    uint32_t count;   /* in `hashes` */
    bool more;        /* there are names that are not in `hashes` */
    uint64_t hashes[HF_BELL_NAMES];
};

/* FNV-1a of 64 bits, the same in every version: processes of two may share a
 * file. */
uint64_t hf_bell_hash(struct hf_str name);
/* 0 .. 63: the bucket of a hash. */
unsigned hf_bell_bucket(uint64_t hash);
void hf_bell_names_add(struct hf_bell_names *names, struct hf_str name);
/* Every name there is. */
void hf_bell_names_all(struct hf_bell_names *names);

struct hf_bell;

/* Map the file, creating it if need be. One of another version of Holdfast, or
 * damaged, is replaced, with a line in the log: whoever has the old one mapped
 * no longer rings us, nor we them, until it is restarted. 0, HF_ENOMEM,
 * HF_EIO. */
int hf_bell_open(const struct hf_dir *dir, struct hf_bell **out);
void hf_bell_close(struct hf_bell *bell);

/*
 * Take a slot; two kinds of waiters. One with a loop of descriptors has a
 * datagram socket in the directory: *out_fd is readable when rung. One that
 * waits for nothing else sleeps on a word in the slot (futex), which is changed
 * when rung: no file, and ringing costs half. 0; HF_ELIMIT: none free (wait by
 * looking alone); HF_EIO.
 */
int hf_bell_claim(struct hf_bell *bell, int *out_fd);
int hf_bell_claim_word(struct hf_bell *bell, _Atomic uint32_t **out_word);
/* From now on the slot with a word is rung by a socket; the word may change
 * once more. 0, HF_EIO: as it was. */
int hf_bell_use_socket(struct hf_bell *bell, int *out_fd);
void hf_bell_disclaim(struct hf_bell *bell);
/* The number of our slot; HF_BELL_SLOTS: none. */
unsigned hf_bell_slot(const struct hf_bell *bell);
/* The names that wake us. Visible to others when it returns; until then those
 * that are in the former set too still do. */
void hf_bell_listen(struct hf_bell *bell, const struct hf_bell_names *names);
/* Swallow pending rings of the socket. */
void hf_bell_drain(struct hf_bell *bell);

/* Wake every other slot that listens to one of these. */
void hf_bell_ring(struct hf_bell *bell, const struct hf_bell_names *names);
/* Wake one other process that waits, whatever for; one with a socket rather
 * than one without. False: there is none. */
bool hf_bell_ring_one(struct hf_bell *bell);

/* Does no other slot listen to anything? Who begins to after this reads the
 * journal itself. One whose owner was killed may still seem to. */
bool hf_bell_alone(struct hf_bell *bell);

/* Rows (first .. last) of one transaction of ours have been rung, so that the
 * watcher need not do it again; counts only if nothing before is missing. */
void hf_bell_rung(struct hf_bell *bell, uint64_t first, uint64_t last);
uint64_t hf_bell_rung_through(struct hf_bell *bell);
void hf_bell_set_rung(struct hf_bell *bell, uint64_t through);

/* Did a watcher say that it watches, and has not taken it back? A killed one
 * takes nothing back. */
bool hf_bell_watched(struct hf_bell *bell);
void hf_bell_set_watched(struct hf_bell *bell, bool watched);

/* For `holdfast status`: slots in use. */
struct hf_bell_owner {
    pid_t pid;
    uint64_t buckets;
};
size_t hf_bell_owners(struct hf_bell *bell, struct hf_bell_owner *out,
                      size_t max);

#endif

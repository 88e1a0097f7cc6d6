/*
 * bell.h - waking those who wait for the journal, in whatever process (D4)
 *
 * `bells` is one mapped file of slots; each process that waits owns one through
 * an OFD lock on the slot's byte, so that the kernel frees it when the process
 * dies. A slot says for which buckets (64, by hash of a topic, a session or a
 * user) its owner wants to be woken, and how: by a datagram to the socket
 * bell.N in the directory. A bell carries no data and may be lost: everybody
 * who waits also looks every half second (wake.h), and correctness rests on
 * that alone.
 *
 *     waiter     mask, then read the journal, then sleep
 *     publisher  commit, then read the masks, then ring
 */
#ifndef HF_SCHEMA_BELL_H
#define HF_SCHEMA_BELL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/str.h"
#include "schema/dir.h"

#define HF_BELL_SLOTS 1024u

struct hf_bell;

/* Map the file, creating it if need be. 0, HF_ENOMEM, HF_EIO. */
int hf_bell_open(const struct hf_dir *dir, struct hf_bell **out);
void hf_bell_close(struct hf_bell *bell);

/* The one bucket of a name, as a mask with one bit set. The hash is FNV-1a of
 * 64 bits, the same in every version, for processes of two may share a file. */
uint64_t hf_bell_bucket(struct hf_str name);

/* Take a slot with a datagram socket; *out_fd is readable when rung. 0;
 * HF_ELIMIT: none free (wait by looking alone); HF_EIO. */
int hf_bell_claim(struct hf_bell *bell, int *out_fd);
void hf_bell_disclaim(struct hf_bell *bell);
/* Buckets that wake us; 0 = none. Visible to others when it returns. */
void hf_bell_listen(struct hf_bell *bell, uint64_t buckets);
/* Swallow pending rings. */
void hf_bell_drain(struct hf_bell *bell);

/* Wake every other slot that listens to one of these buckets. */
void hf_bell_ring(struct hf_bell *bell, uint64_t buckets);

/* Rows (first .. last) of one transaction of ours have been rung, so that the
 * watcher need not do it again; counts only if nothing before is missing. */
void hf_bell_rung(struct hf_bell *bell, uint64_t first, uint64_t last);
uint64_t hf_bell_rung_through(struct hf_bell *bell);
void hf_bell_set_rung(struct hf_bell *bell, uint64_t through);

/* For `holdfast status`: slots in use. */
struct hf_bell_owner {
    pid_t pid;
    uint64_t buckets;
};
size_t hf_bell_owners(struct hf_bell *bell, struct hf_bell_owner *out,
                      size_t max);

#endif

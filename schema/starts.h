/*
 * starts.h - may a side-car be started now? What all processes agree on
 *
 * Gateways, a line of the crontab and people start the side-car; a small file,
 * with a lock, keeps them from doing so twice at once, too often, or against
 * what somebody has said.
 *
 *     a start     another one not before 10 s, 20 s, 40 s ... 1 h, as if it had
 *                 died; so what dies again and again is left alone ever longer
 *     proven      it has lived a minute and had a WebSocket: all is forgotten
 *     in vain     it has ended by itself and nobody had come: not before 10 min,
 *                 20 min, 40 min ... 24 h, for the web server does not seem to
 *                 let WebSockets through
 *     stopped     by hand (`holdfast sidecar stop`): until it is started by hand
 *
 * Pauses end with a boot of the machine; stopped stays stopped. Whether one runs
 * is not in it: that is what running.h says, by a lock that no crash leaves.
 */
#ifndef HF_SCHEMA_STARTS_H
#define HF_SCHEMA_STARTS_H

#include <stdbool.h>
#include <stdint.h>

#include "schema/dir.h"

/* After a start, ms. More than a side-car needs until it is seen to run. */
#define HF_STARTS_LEAST_MS   10000
#define HF_STARTS_LONGEST_MS (3600 * 1000LL)

/* After one that was in vain, ms. */
#define HF_STARTS_VAIN_MS         (600 * 1000LL)
#define HF_STARTS_VAIN_LONGEST_MS (24 * 3600 * 1000LL)

/* What lived so long, ms, did not die of being started. */
#define HF_STARTS_PROVEN_MS 60000

struct hf_starts {
    int64_t next_ms; /* hf_boot_ms: not by itself before */
    unsigned deaths; /* starts, since one was proven or in vain */
    unsigned vain;   /* in a row, since one was proven */
    bool stopped;    /* by hand */
};

/* --- the rules: no file, no clock ----------------------------------------- */

/* May one be started that nobody has asked for by hand? */
bool hf_starts_may(const struct hf_starts *starts, int64_t now_ms);
/* One is started now. */
void hf_starts_begin(struct hf_starts *starts, int64_t now_ms);
void hf_starts_proven(struct hf_starts *starts);
void hf_starts_in_vain(struct hf_starts *starts, int64_t now_ms);

/* --- the file ------------------------------------------------------------- */

/* What is known; all zero when nothing is. Takes no lock. */
void hf_starts_read(const struct hf_dir *dir, struct hf_starts *out);

/*
 * The same, and until hf_starts_unlock nobody else starts one or changes it;
 * waits for up to wait_ms. *out_fd is the lock. 0; HF_EBUSY: somebody is at it;
 * HF_EIO. With wait_ms > 0 on the main thread only (hf_lock_wait).
 */
int hf_starts_lock(const struct hf_dir *dir, int64_t wait_ms, int *out_fd,
                   struct hf_starts *out);
/* 0 or HF_EIO: then nothing is to be started, or nobody would know. */
int hf_starts_write(int fd, const struct hf_starts *starts);
void hf_starts_unlock(int *fd);

#endif

/*
 * live.h - what is not history: leases of polls, replies that change nothing
 *
 * live.db (D20): SQLite, synchronous=OFF. Emptied in place when its boot id is
 * not the current one; when damaged it is put aside and made anew. Losing it
 * costs a lease, never a message. Times are hf_boot_ms. One connection per
 * thread; waits at most a second for another process, then HF_EBUSY.
 *
 * A lease is held by a session or, with a name that begins with '@', by another
 * holder of presences (leases.h).
 */
#ifndef HF_SCHEMA_LIVE_H
#define HF_SCHEMA_LIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "schema/dir.h"
#include "schema/sessions.h"

struct hf_live;

int hf_live_open(const struct hf_dir *dir, struct hf_live **out,
                 struct hf_why *why);
void hf_live_close(struct hf_live *live);
void hf_live_rest(struct hf_live *live); /* as hf_journal_shed, but for
                                           what is known of the tables */
/* Was our file removed, or put aside by another process? Then what we write
 * there nobody reads: open it anew. */
bool hf_live_moved(const struct hf_live *live, const struct hf_dir *dir);

/*
 * Much that is asked and written at once, in one transaction: what many polls
 * need that come in one turn. Nobody else writes meanwhile, so be quick, and do
 * not wait. None of it counts before the end has returned 0; on another result
 * nothing of it was written. 0, HF_EBUSY: it has not begun, all is as ever.
 */
int hf_live_together(struct hf_live *live);
int hf_live_together_end(struct hf_live *live);
/* Much that is asked at once, of one moment; nobody is kept from writing. What
 * is written meanwhile is written at once and alone, and what is asked after
 * that, too. Cannot fail; at worst each asks for itself. */
void hf_live_share(struct hf_live *live);
void hf_live_share_end(struct hf_live *live);

/* What a session counts as among those who hold requests open (D14). */
enum hf_live_stock {
    HF_LIVE_OURS,         /* each of its requests for itself */
    HF_LIVE_STOCK_COMING, /* of a stock client, has joined nothing */
    HF_LIVE_STOCK,        /* the same, has joined: as one, while it lives */
};

/* A poll of this session is parked now: renews its lease and returns the new
 * highest poll number, which ends every older poll. `shown`: an id up to which
 * its token says that it has everything, kept for people alone. */
int hf_live_park(struct hf_live *live, struct hf_str session,
                 enum hf_live_stock stock, uint64_t shown,
                 uint64_t *out_poll_no);
/*
 * The same, where a poll of the session was parked over this connection less
 * than HF_LIVE_PARKED_MS ago, by nobody else since, and has ended: there is no
 * older one elsewhere to be ended, and its lease is as good as new, so that
 * nothing need be written and its number serves again. HF_ENOTFOUND: park it.
 */
#define HF_LIVE_PARKED_MS 1000
int hf_live_park_again(struct hf_live *live, struct hf_str session,
                       enum hf_live_stock stock, uint64_t *out_poll_no);
/* The highest numbers given to a poll and to a reply of the session; 0 when
 * unknown. */
int hf_live_newest(struct hf_live *live, struct hf_str session,
                   uint64_t *out_poll_no, uint32_t *out_reply_n);
/* Renew the lease if a third of `lease_ms` is used. */
int hf_live_seen(struct hf_live *live, struct hf_str session, int64_t lease_ms);
/* When was it seen last? HF_ENOTFOUND when unknown. */
int hf_live_last_seen(struct hf_live *live, struct hf_str session,
                      int64_t *out_boot_ms);
/* Begin a lease, or set it, as if `used_ms` of it were over. */
int hf_live_grant(struct hf_live *live, struct hf_str name, int64_t used_ms);
/*
 * Who looks after expired leases now? Whoever asks first when it is due:
 * *out_mine. *out_due_ms: when to ask again; who got it moves that by
 * hf_live_reap_next, to at most a lease from now, so that no lease that begins
 * later can end before it.
 */
int hf_live_reap(struct hf_live *live, int64_t lease_ms, bool *out_mine,
                 int64_t *out_due_ms);
int hf_live_reap_next(struct hf_live *live, int64_t due_ms);
/* Has anybody else changed live.db since the last call? */
int hf_live_changed(struct hf_live *live, bool *out);

/*
 * Replies to a client that has joined nothing yet, and those to heartbeats, wait
 * here, numbered upwards per session; at most HF_LIVE_REPLIES of them
 * (HF_ELIMIT). `after`: the number the client has shown that it has; what is
 * added is above it, also when the numbers before were lost.
 */
#define HF_LIVE_REPLIES 128u
typedef int (*hf_live_reply_fn)(void *ctx, uint32_t n, struct hf_str text);
int hf_live_reply_add(struct hf_live *live, struct hf_str session,
                      uint32_t after, struct hf_str text);
int hf_live_replies_each(struct hf_live *live, struct hf_str session,
                         uint32_t after, hf_live_reply_fn each, void *ctx);
/* The client has shown that it has those up to n. */
int hf_live_replies_drop(struct hf_live *live, struct hf_str session,
                         uint32_t through);

/*
 * Whose a session is, kept here until it has rows in the journal: then disown,
 * for an owner may be some KiB. Writing it renews the session's lease. Reading:
 * one call at most, HF_ENOTFOUND when nothing is known.
 */
int hf_live_own(struct hf_live *live, struct hf_str session,
                const struct hf_session_owner *owner);
int hf_live_owner(struct hf_live *live, struct hf_str session, hf_owner_fn each,
                  void *ctx);
int hf_live_disown(struct hf_live *live, struct hf_str session);

/*
 * How often a session may push and join, kept here until it has a row in the
 * journal. Zeros when nothing is known. Writing it renews the session's lease.
 */
int hf_live_rates(struct hf_live *live, struct hf_str session,
                  struct hf_session_rates *out);
int hf_live_set_rates(struct hf_live *live, struct hf_str session,
                      const struct hf_session_rates *rates);

/* --- live_seats.c: who holds requests open, and who sends something */

/* Times are hf_boot_ms, 0: never. All 0 when nothing is known of the session. */
struct hf_live_seat {
    int64_t seen_ms, parked_ms, active_ms;
    uint64_t shown; /* 0: it was never parked */
    enum hf_live_stock stock;
};
int hf_live_seat(struct hf_live *live, struct hf_str session,
                 struct hf_live_seat *out);
/* It sends something; written once in `every_ms`. */
int hf_live_note_active(struct hf_live *live, struct hf_str session,
                        int64_t every_ms);
/* Stock sessions seen within these times. */
int hf_live_count_stock(struct hf_live *live, int64_t joined_ms,
                        int64_t coming_ms, uint32_t *out_joined,
                        uint32_t *out_coming);
/* How many joined ones, seen within life_ms, were active after this one? Of the
 * same moment those of the greater names. */
int hf_live_stock_ahead(struct hf_live *live, struct hf_str session,
                        int64_t active_ms, int64_t life_ms, uint32_t *out);
/* It counts as nothing any more. */
int hf_live_stock_end(struct hf_live *live, struct hf_str session);

/* Forget sessions not seen for so long, at most max at a time: *out_count, 0 on
 * errors. */
int hf_live_expire(struct hf_live *live, int64_t older_than_ms, size_t max,
                   size_t *out_count);

/* Sessions seen within the last lease_ms, for status. */
int hf_live_count(struct hf_live *live, int64_t lease_ms, uint64_t *out);

#endif

/*
 * holding.h - who may hold a request open: the budget of the account (D14)
 *
 * On a shared host the requests that may be open at once are few, often twenty
 * for a whole account, and a poll that is held takes one of them from the site.
 * So all processes of the account share a budget (schema/holds.h), and find out
 * how large it may be:
 *
 *     first value   by how we are started, or the setting held_first
 *     grows         by one (a request per process) or a quarter (resident), at
 *                   most every 5 s, when somebody finds no room and a client
 *                   that would have told of a refusal came since; but not
 *                   beyond the first value behind Apache, which refuses nobody
 *                   and lets the whole site wait instead
 *     halves        when a client tells that the web server refused it; and
 *                   what lies above three quarters of where it was is not
 *                   tried again for ten minutes
 *
 *     0 ........... budget - budget/4 ........... budget .... + tenth
 *     anybody, stock sessions too   | the active | brief: who has joined nothing
 *
 * A client of ours (paced=1) without room is answered at once and told when to
 * come back; all of them together come evenly, short_polls a second. A stock
 * client cannot be told, so its session counts as one hold for as long as it
 * lives: held or refused, nothing between.
 *
 * What they can do who lie: one that says paced and never waits gets an empty
 * answer once a second, then {"status":500}. One that tells of refusals there
 * are none of keeps the budget at a quarter of its first value, when polls come
 * as short_polls says. An address holds max_held_per_address at most, of each
 * resident process.
 *
 * Time comes from outside (hf_boot_ms), so that a test can let hours pass.
 */
#ifndef HF_CHANNEL_HOLDING_H
#define HF_CHANNEL_HOLDING_H

#include "base/map.h"
#include "channel/process.h"
#include "schema/holds.h"

struct hf_holding {
    struct hf_holds *holds;
    const struct hf_settings *settings;
    enum hf_served served;
    struct hf_map addresses; /* -> struct hf_holding_address */
};

/* `settings` is borrowed. 0, HF_ENOMEM, HF_EIO. */
int hf_holding_open(struct hf_holding *holding, const struct hf_dir *dir,
                    const struct hf_settings *settings, enum hf_served served);
void hf_holding_close(struct hf_holding *holding); /* accepts the zeroed one */

/* --- admitting ------------------------------------------------------------ */

enum hf_asker_kind {
    HF_ASKER_PACED,  /* a session of a client that waits next_ms */
    HF_ASKER_STOCK,  /* a session that is counted (below) */
    HF_ASKER_READER, /* no session: GET events */
};

struct hf_asker {
    enum hf_asker_kind kind;
    bool joined;          /* a reader counts as joined */
    bool active;          /* sent something within HF_ACTIVE_MS */
    bool replaces;        /* an older poll of its session is held and ends now */
    bool empty;           /* its last answer was one of HF_LATER, ... */
    int64_t since_ms;     /* ... so long ago */
    struct hf_str address; /* REMOTE_ADDR; loopback and empty are anybody's */
};

enum hf_verdict {
    HF_HOLD,    /* at most *out_ms; then hf_holding_release */
    HF_LATER,   /* answer now; it is to come back in *out_ms */
    HF_REFUSED, /* answer {"status":500} */
};

/* What is held, to be given back. Zeroed: nothing. */
struct hf_hold {
    bool taken;
    enum hf_held kind;
    struct hf_holding_address *address;
};

/* For whoever has nothing to be told now; news is never a matter of budget. */
enum hf_verdict hf_holding_admit(struct hf_holding *holding,
                                 const struct hf_asker *asker, int64_t now_ms,
                                 struct hf_hold *hold, int64_t *out_ms);
/* Accepts nothing. */
void hf_holding_release(struct hf_holding *holding, struct hf_hold *hold);

/* 0: there is room; else when a client of ours that is answered now had better
 * come back, ms. Takes that moment. */
int64_t hf_holding_pause(struct hf_holding *holding, bool active,
                         int64_t now_ms);

/* --- stock sessions, which count as long as they live --------------------- */

enum hf_stock {
    HF_STOCK_COMES,  /* a new one, that will join something */
    HF_STOCK_JOINED, /* one of those has */
    HF_STOCK_BACK,   /* one that was not seen for a while, or never before */
};

/* May there be one more? Counts it. */
bool hf_holding_stock_enters(struct hf_holding *holding, enum hf_stock how,
                             bool active, int64_t now_ms);
/* The same, looking only; true also when it is time to count them. */
bool hf_holding_stock_may_come(struct hf_holding *holding, int64_t now_ms);
/* The budget has shrunk: only so many may go on, the most recently active ones
 * (*out_max). False: all may. */
bool hf_holding_stock_excess(struct hf_holding *holding, uint32_t *out_max);
void hf_holding_stock_left(struct hf_holding *holding);
/* Is it time to count who lives (live.db)? True for one of those who ask. */
bool hf_holding_count_due(struct hf_holding *holding, int64_t now_ms);
void hf_holding_counted(struct hf_holding *holding, uint32_t joined,
                        uint32_t coming);
/* One was refused: for the log. */
void hf_holding_turned_away(struct hf_holding *holding, int64_t now_ms);

/* --- what clients tell ---------------------------------------------------- */

/* One of ours came, and nothing had been refused to it. */
void hf_holding_witness(struct hf_holding *holding, int64_t now_ms);
/* The web server had refused it, with this HTTP status. */
void hf_holding_reported(struct hf_holding *holding, unsigned status,
                         int64_t now_ms);

/* Is half of the budget in use, or all that this address may hold? Then it is
 * worth knowing who is active. */
bool hf_holding_tight(struct hf_holding *holding, struct hf_str address);
/* Does this address hold all that it may? */
bool hf_holding_address_full(const struct hf_holding *holding,
                             struct hf_str address);
/* Holds beyond the budget, after it has shrunk. */
uint32_t hf_holding_excess(struct hf_holding *holding);
uint32_t hf_holding_budget(struct hf_holding *holding);

#endif

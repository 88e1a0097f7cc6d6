#include "channel/holding.h"

#include <stdlib.h>

#include "base/log.h"
#include "channel/limits.h"
#include "schema/bell.h"

/* First values (D14, measured/gateway.md): shared hosts allow as few as twenty
 * requests at once, a default Apache has 150 threads. */
#define FIRST_CGI    8u
#define FIRST_FCGID  4u
#define FIRST_APACHE 100u
#define FIRST_NGINX  300u

#define STEP_MS    5000 /* between two changes of a kind */
#define RELAX_MS   (10 * 60 * 1000)
#define BURY_MS    1000
#define COUNT_MS   1000
#define LOG_MS     (60 * 1000)
#define BUDGET_MIN 2u

struct hf_holding_address {
    uint32_t held;
    size_t len;
    char text[];
};

int hf_holding_open(struct hf_holding *h, const struct hf_dir *dir,
                    const struct hf_settings *settings, enum hf_served served)
{
    *h = (struct hf_holding){.settings = settings, .served = served};
    return hf_holds_open(dir, &h->holds);
}

void hf_holding_close(struct hf_holding *h)
{
    struct hf_holding_address *address;
    size_t at = 0;

    while ((address = hf_map_next(&h->addresses, &at)) != NULL)
        free(address);
    hf_map_release(&h->addresses);
    hf_holds_close(h->holds);
    h->holds = NULL;
}

/* --- the numbers ---------------------------------------------------------- */

static bool one_per_process(const struct hf_holding *h)
{
    return h->served == HF_SERVED_CGI || h->served == HF_SERVED_FCGID;
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static uint32_t greatest(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

/* Never more than this. Apache refuses nobody: with all its threads taken the
 * whole site waits; nginx without connections resets whoever comes, of the site
 * too. No client can tell of either, so what lies beyond the first value is not
 * tried there. */
static uint32_t most_of(const struct hf_holding *h)
{
    const struct hf_settings *settings = h->settings;
    uint32_t most = (uint32_t)settings->max_held;
    uint32_t first = (uint32_t)settings->held_first;

    switch (h->served) {
    case HF_SERVED_CGI:
    case HF_SERVED_FCGID:
        return (uint32_t)settings->cgi_max_held;
    case HF_SERVED_RESIDENT_APACHE:
        return least(first > 0 ? first : FIRST_APACHE, most);
    case HF_SERVED_RESIDENT_NGINX:
        return least(first > 0 ? first : FIRST_NGINX, most);
    case HF_SERVED_RESIDENT:
        break;
    }
    return most;
}

static uint32_t first_of(const struct hf_holding *h)
{
    uint32_t most = most_of(h);

    if (h->settings->held_first > 0)
        return least((uint32_t)h->settings->held_first, most);
    switch (h->served) {
    case HF_SERVED_RESIDENT:
    case HF_SERVED_RESIDENT_APACHE:
    case HF_SERVED_RESIDENT_NGINX:
        return most;
    case HF_SERVED_FCGID:
        return least(FIRST_FCGID, most);
    case HF_SERVED_CGI:
        return least(FIRST_CGI, most);
    }
    return most; /* not reached: the switch has every host */
}

static uint32_t floor_of(const struct hf_holding *h)
{
    return least(greatest(BUDGET_MIN, first_of(h) / 4), most_of(h));
}

/* Counts of stock sessions go up and down by themselves, and another process
 * may have set them meanwhile: what would be below zero is huge. */
static uint32_t count_of(_Atomic uint32_t *count)
{
    uint32_t n = atomic_load(count);

    return n > UINT32_MAX / 2 ? 0 : n;
}

/* Another first value is another set-up: what was learnt in the former one does
 * not count, unless that is still at work. */
static struct hf_budget *budget_of(struct hf_holding *h)
{
    struct hf_budget *budget = hf_holds_budget(h->holds);
    uint32_t first = first_of(h), before = atomic_load(&budget->first);

    if (before == first ||
        (before != 0 && hf_holds_sum(h->holds, 0).held[HF_HELD_FULL] > 0))
        return budget;
    atomic_store(&budget->now, first);
    atomic_store(&budget->ceiling, UINT32_MAX);
    atomic_store(&budget->first, first);
    return budget;
}

uint32_t hf_holding_budget(struct hf_holding *h)
{
    uint32_t now = atomic_load(&budget_of(h)->now);

    return least(greatest(now, floor_of(h)), most_of(h));
}

/* A quarter is for those who have sent something lately; of a large budget no
 * more than so many, who are not active all at once. */
#define ACTIVE_MOST 1250u

static uint32_t share(uint32_t budget, bool active)
{
    return active ? budget : budget - least(budget / 4, ACTIVE_MOST);
}

static uint32_t tenth(uint32_t budget)
{
    return budget == 0 ? 0 : greatest(1, budget / 10);
}

/* A time of another boot may lie ahead. */
static bool is_over(int64_t then_ms, int64_t for_ms, int64_t now_ms)
{
    return then_ms > now_ms || now_ms - then_ms >= for_ms;
}

/* Is it so long ago? Then it is now, and the caller's to do. */
static bool is_due(_Atomic int64_t *last_ms, int64_t for_ms, int64_t now_ms)
{
    int64_t last = atomic_load(last_ms);

    return (last == 0 || is_over(last, for_ms, now_ms)) &&
           atomic_compare_exchange_strong(last_ms, &last, now_ms);
}

/* --- growing and shrinking ------------------------------------------------ */

static uint32_t step_up(const struct hf_holding *h, uint32_t n)
{
    return n + (one_per_process(h) ? 1 : greatest(1, n / 4));
}

static uint32_t ceiling_of(struct hf_holding *h, struct hf_budget *budget,
                           int64_t now_ms)
{
    uint32_t ceiling = least(atomic_load(&budget->ceiling), most_of(h));

    if (ceiling == most_of(h) ||
        !is_over(atomic_load(&budget->report_ms), RELAX_MS, now_ms) ||
        !is_due(&budget->relaxed_ms, RELAX_MS, now_ms))
        return ceiling;
    ceiling = least(step_up(h, ceiling), most_of(h));
    atomic_store(&budget->ceiling, ceiling);
    return ceiling;
}

/* Somebody found no room: is there reason to believe that there is more? */
static bool grow(struct hf_holding *h, int64_t now_ms)
{
    struct hf_budget *budget = budget_of(h);
    uint32_t now = hf_holding_budget(h), ceiling;
    int64_t grown = atomic_load(&budget->grown_ms);
    int64_t halved = atomic_load(&budget->halved_ms);
    int64_t witness = atomic_load(&budget->witness_ms);

    if (now >= most_of(h) || !is_over(halved, STEP_MS, now_ms) ||
        witness > now_ms || (witness <= grown && grown <= now_ms) ||
        (witness <= halved && halved <= now_ms))
        return false;
    ceiling = ceiling_of(h, budget, now_ms);
    if (now >= ceiling || !is_due(&budget->grown_ms, STEP_MS, now_ms))
        return false;
    atomic_store(&budget->now, least(step_up(h, now), ceiling));
    return true;
}

void hf_holding_witness(struct hf_holding *h, int64_t now_ms)
{
    _Atomic int64_t *witness = &hf_holds_budget(h->holds)->witness_ms;

    if (atomic_load(witness) != now_ms)
        atomic_store(witness, now_ms);
}

void hf_holding_reported(struct hf_holding *h, unsigned status, int64_t now_ms)
{
    struct hf_budget *budget = budget_of(h);
    uint32_t from = hf_holding_budget(h), to;

    atomic_fetch_add(&budget->reports, 1);
    atomic_store(&budget->report_status, status);
    atomic_store(&budget->report_ms, now_ms);
    to = greatest(from / 2, floor_of(h));
#ifdef HF_BROKEN_NO_HALVING
    to = from;
#endif
    if (!is_due(&budget->halved_ms, STEP_MS, now_ms))
        return;
    atomic_store(&budget->ceiling, greatest(from - from / 4, to));
    atomic_store(&budget->now, to);
    HF_LOG(HF_LOG_WARN, "holds_halved", hf_field_i("status", status),
           hf_field_i("from", from), hf_field_i("to", to),
           hf_field("hint", "the web server refused a request: too many were "
                            "open at once. Should it go on, raise the "
                            "server's limits or set held_first and max_held "
                            "(as CGI cgi_max_held) in holdfast.conf below "
                            "what it allows"));
}

/* --- addresses ------------------------------------------------------------ */

/* A proxy on this machine speaks for everybody. */
static bool is_anybody(struct hf_str address)
{
    static const struct hf_str mapped = HF_STR_INIT("::ffff:");

    if (address.len >= mapped.len &&
        memcmp(address.at, mapped.at, mapped.len) == 0)
        address = hf_str_from(address, mapped.len);
    return address.len == 0 || hf_str_eq(address, HF_STR("::1")) ||
           hf_str_eq(address, HF_STR("unix:")) ||
           (address.len >= 4 && memcmp(address.at, "127.", 4) == 0);
}

static uint64_t hash_of(struct hf_str address)
{
    return hf_bell_hash(address) | 1; /* 0 is nobody's */
}

static struct hf_holding_address *address_for(struct hf_holding *h,
                                              struct hf_str text)
{
    struct hf_holding_address *address = hf_map_get(&h->addresses, text);

    if (address)
        return address;
    address = malloc(sizeof(*address) + text.len);
    if (!address)
        return NULL;
    address->held = 0;
    address->len = text.len;
    memcpy(address->text, text.at, text.len);
    if (hf_map_put(&h->addresses, hf_str(address->text, text.len), address)) {
        free(address);
        return NULL;
    }
    return address;
}

static void leave_address(struct hf_holding *h,
                          struct hf_holding_address *address)
{
    if (!address || --address->held > 0)
        return;
    (void)hf_map_remove(&h->addresses, hf_str(address->text, address->len));
    free(address);
}

bool hf_holding_address_full(const struct hf_holding *h, struct hf_str text)
{
    size_t max = h->settings->max_held_per_address;
    const struct hf_holding_address *address;

    if (max == 0 || is_anybody(text))
        return false;
    if (one_per_process(h))
        return hf_holds_sum(h->holds, hash_of(text)).of_address >= max;
    address = hf_map_get(&h->addresses, text);
    return address && address->held >= max;
}

/* One more of it, in this process; where a process holds one only, the slots
 * know. */
static bool enter_address(struct hf_holding *h, struct hf_str text,
                          struct hf_hold *hold)
{
    size_t max = h->settings->max_held_per_address;
    struct hf_holding_address *address;
    uint64_t hash;

    if (max == 0 || is_anybody(text))
        return true;
    if (one_per_process(h)) {
        hash = hash_of(text);
        hf_holds_set_address(h->holds, hash);
        return hf_holds_sum(h->holds, hash).of_address <= max;
    }
    address = address_for(h, text);
    if (!address)
        return false;
    address->held++;
    hold->address = address;
    return address->held <= max;
}

/* --- taking --------------------------------------------------------------- */

static void put_back(struct hf_holding *h, struct hf_hold *hold)
{
    hf_holds_drop(h->holds, hold->kind);
    if (one_per_process(h))
        hf_holds_set_address(h->holds, 0);
    leave_address(h, hold->address);
    *hold = (struct hf_hold){0};
}

static uint32_t in_use(struct hf_holding *h, enum hf_held kind)
{
    struct hf_budget *budget = hf_holds_budget(h->holds);
    struct hf_holds_sum sum = hf_holds_sum(h->holds, 0);

    switch (kind) {
    case HF_HELD_FULL:
        return sum.held[kind] + count_of(&budget->stock);
    case HF_HELD_BRIEF:
        return sum.held[kind];
    case HF_HELD_STOCK: /* its session is what is counted */
    case HF_HELD_KINDS:
        break;
    }
    return 0;
}

/* So many of the kind at most, this one too. */
static bool take(struct hf_holding *h, enum hf_held kind, uint32_t max,
                 struct hf_str address, struct hf_hold *hold)
{
    *hold = (struct hf_hold){0};
    if (hf_holds_add(h->holds, kind))
        return false;
    *hold = (struct hf_hold){.taken = true, .kind = kind};
    if (in_use(h, kind) <= max && enter_address(h, address, hold))
        return true;
    put_back(h, hold);
    return false;
}

/* What changes when somebody is to be turned away: is it worth another try? */
static bool find_room(struct hf_holding *h, int64_t now_ms)
{
    struct hf_budget *budget = hf_holds_budget(h->holds);
    bool found = is_due(&budget->buried_ms, BURY_MS, now_ms) &&
                 hf_holds_bury(h->holds) > 0;

    return grow(h, now_ms) || found;
}

static bool take_full(struct hf_holding *h, const struct hf_asker *w,
                      struct hf_hold *hold)
{
    uint32_t max = share(hf_holding_budget(h), w->active);

    return take(h, HF_HELD_FULL, max + (w->replaces && max > 0), w->address,
                hold);
}

static bool take_brief(struct hf_holding *h, const struct hf_asker *w,
                       struct hf_hold *hold)
{
    return take(h, HF_HELD_BRIEF, tenth(hf_holding_budget(h)), w->address,
                hold);
}

void hf_holding_release(struct hf_holding *h, struct hf_hold *hold)
{
    if (hold->taken)
        put_back(h, hold);
}

/* --- the schedule --------------------------------------------------------- */

/* A lease must outlive it. */
static int64_t longest_pause_ms(const struct hf_holding *h)
{
    int64_t ms = h->settings->lease_ms / 3 * 2;

    return ms < HF_NEXT_MS_MAX ? ms : HF_NEXT_MS_MAX;
}

/* Short polls take requests too: where refusals have made the budget less than
 * it began with, they come as much less often. */
static int64_t step_of(struct hf_holding *h)
{
    int64_t step_us = 1000000 / (int64_t)h->settings->short_polls;
    uint32_t first = first_of(h), now = hf_holding_budget(h);

    return now > 0 && now < first ? step_us * first / now : step_us;
}

/* The next moment that is nobody's. When there is none within the longest
 * pause, spread over its end. */
static int64_t next_moment(struct hf_holding *h, int64_t now_ms)
{
    _Atomic int64_t *next_us = &hf_holds_budget(h->holds)->free_us;
    int64_t now_us = now_ms * 1000, longest_us = longest_pause_ms(h) * 1000;
    int64_t step_us = step_of(h);
    int64_t first_us = now_us + HF_EMPTY_SPACING_MS * 1000;
    int64_t next = atomic_load(next_us), at_us;

    do {
        at_us =
            next > now_us + 2 * longest_us || next < first_us ? first_us : next;
        if (at_us > now_us + longest_us) {
            at_us =
                now_us + longest_us -
                (int64_t)((uint64_t)now_us * 7919 % (uint64_t)longest_us) / 4;
            break;
        }
    } while (!atomic_compare_exchange_weak(next_us, &next, at_us + step_us));
    return (at_us - now_us + 999) / 1000;
}

int64_t hf_holding_pause(struct hf_holding *h, bool active, int64_t now_ms)
{
    if (in_use(h, HF_HELD_FULL) < share(hf_holding_budget(h), active))
        return 0;
    return next_moment(h, now_ms);
}

/* --- admitting ------------------------------------------------------------ */

/* A stock client's request: its session was let in, so it is held. */
static enum hf_verdict admit_stock(struct hf_holding *h,
                                   const struct hf_asker *w,
                                   struct hf_hold *hold, int64_t *out_ms)
{
    if (!take(h, HF_HELD_STOCK, 0, w->address, hold))
        return HF_REFUSED;
    *out_ms = w->joined ? HF_HOLD_STOCK_MS : HF_HOLD_UNJOINED_MS;
    return HF_HOLD;
}

/* No room. Whoever comes sooner than it was told, with nothing to be told, is
 * slowed down as long as a few are held for it; else only who has just sent
 * something had a reason to come. */
static enum hf_verdict put_off(struct hf_holding *h, const struct hf_asker *w,
                               int64_t now_ms, struct hf_hold *hold,
                               int64_t *out_ms)
{
    if (w->empty && w->since_ms < HF_EMPTY_SPACING_MS) {
        if (take_brief(h, w, hold)) {
            *out_ms = HF_EMPTY_SPACING_MS - w->since_ms;
            return HF_HOLD;
        }
        if (!w->active)
            return HF_REFUSED;
    }
    *out_ms = next_moment(h, now_ms);
    return HF_LATER;
}

enum hf_verdict hf_holding_admit(struct hf_holding *h, const struct hf_asker *w,
                                 int64_t now_ms, struct hf_hold *hold,
                                 int64_t *out_ms)
{
    if (w->kind == HF_ASKER_STOCK)
        return admit_stock(h, w, hold, out_ms);
    if (!w->joined && w->kind == HF_ASKER_PACED) {
        *out_ms = HF_HOLD_UNJOINED_MS;
        return take_brief(h, w, hold) ||
                       (find_room(h, now_ms) && take_brief(h, w, hold))
                   ? HF_HOLD
                   : put_off(h, w, now_ms, hold, out_ms);
    }
    *out_ms = w->kind == HF_ASKER_PACED ? HF_HOLD_PACED_MS : INT64_MAX;
    return take_full(h, w, hold) ||
                   (find_room(h, now_ms) && take_full(h, w, hold))
               ? HF_HOLD
               : put_off(h, w, now_ms, hold, out_ms);
}

/* --- stock sessions ------------------------------------------------------- */

/* One that comes will need a place as soon as it has joined. */
static bool stock_fits(struct hf_holding *h, enum hf_stock how, bool active)
{
    struct hf_budget *budget = budget_of(h);
    uint32_t max = share(hf_holding_budget(h), false);
    uint32_t stock = count_of(&budget->stock), coming = 0;

    if (how == HF_STOCK_COMES)
        coming = count_of(&budget->stock_coming);
    return stock + coming < max && in_use(h, HF_HELD_FULL) + coming <
                                       share(hf_holding_budget(h), active);
}

bool hf_holding_stock_enters(struct hf_holding *h, enum hf_stock how,
                             bool active, int64_t now_ms)
{
    struct hf_budget *budget = budget_of(h);

    if (!stock_fits(h, how, active) &&
        !(find_room(h, now_ms) && stock_fits(h, how, active)))
        return false;
    if (how == HF_STOCK_COMES)
        atomic_fetch_add(&budget->stock_coming, 1);
    else
        atomic_fetch_add(&budget->stock, 1);
    if (how == HF_STOCK_JOINED)
        atomic_fetch_sub(&budget->stock_coming, 1);
    return true;
}

bool hf_holding_stock_may_come(struct hf_holding *h, int64_t now_ms)
{
    int64_t counted = atomic_load(&hf_holds_budget(h->holds)->counted_ms);

    return counted == 0 || is_over(counted, COUNT_MS, now_ms) ||
           stock_fits(h, HF_STOCK_COMES, false);
}

bool hf_holding_stock_excess(struct hf_holding *h, uint32_t *out_max)
{
    *out_max = share(hf_holding_budget(h), false);
    return count_of(&hf_holds_budget(h->holds)->stock) > *out_max;
}

void hf_holding_stock_left(struct hf_holding *h)
{
    atomic_fetch_sub(&hf_holds_budget(h->holds)->stock, 1);
}

bool hf_holding_count_due(struct hf_holding *h, int64_t now_ms)
{
    return is_due(&hf_holds_budget(h->holds)->counted_ms, COUNT_MS, now_ms);
}

void hf_holding_counted(struct hf_holding *h, uint32_t joined, uint32_t coming)
{
    struct hf_budget *budget = hf_holds_budget(h->holds);

    atomic_store(&budget->stock, joined);
    atomic_store(&budget->stock_coming, coming);
}

void hf_holding_turned_away(struct hf_holding *h, int64_t now_ms)
{
    struct hf_budget *budget = hf_holds_budget(h->holds);
    uint32_t count;

    atomic_fetch_add(&budget->turned_away, 1);
    if (!is_due(&budget->logged_ms, LOG_MS, now_ms))
        return;
    count = atomic_exchange(&budget->turned_away, 0);
    HF_LOG(HF_LOG_WARN, "stock_clients_refused", hf_field_i("count", count),
           hf_field_i("budget", hf_holding_budget(h)),
           hf_field("hint", "clients that cannot wait need a held request "
                            "each, and no more may be held; they try again "
                            "every 5 s. holdfast.js needs none"));
}

/* --- for the transport ---------------------------------------------------- */

bool hf_holding_tight(struct hf_holding *h, struct hf_str address)
{
    return in_use(h, HF_HELD_FULL) >= (hf_holding_budget(h) + 1) / 2 ||
           hf_holding_address_full(h, address);
}

uint32_t hf_holding_excess(struct hf_holding *h)
{
    uint32_t used = in_use(h, HF_HELD_FULL), budget = hf_holding_budget(h);

    return used > budget ? used - budget : 0;
}

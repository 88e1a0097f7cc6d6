/*
 * longpoll_hold.c - a GET that there is nothing for: may it wait? (holding.h)
 *
 * What the policy wants to know of a session stands in its token and in
 * live.db: when it was answered last, when it sent something, and of a stock
 * client's session whether it is one of those that count.
 */
#include "channel/longpoll_state.h"

#include "base/clock.h"
#include "base/query.h"
#include "schema/bell.h"

static struct hf_str session_of(const struct hf_poll *poll)
{
    return hf_str(poll->token.session, sizeof(poll->token.session));
}

/* --- what the client says of itself --------------------------------------- */

/* A parameter's number; 0 when there is none. */
static unsigned number_of(struct hf_str query, struct hf_str name)
{
    char text[4];
    unsigned number = 0;
    size_t len = 0, i;

    if (hf_query_get(query, name, text, sizeof(text), &len))
        return 0;
    for (i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return 0;
        number = 10 * number + (unsigned)(text[i] - '0');
    }
    return number;
}

bool hf_poll_is_paced(struct hf_str query)
{
    return number_of(query, HF_STR("paced")) == 1;
}

void hf_poll_read(struct hf_poll *poll, const struct hf_hello *hello)
{
    unsigned refused;

    poll->paced = hf_poll_is_paced(hello->query);
    if (!poll->paced)
        return;
    refused = number_of(hello->query, HF_STR("refused"));
    if (refused == 500 || refused == 503 || refused == 508)
        poll->refused = (uint16_t)refused;
}

/* --- what it tells of others ---------------------------------------------- */

/* Whoever holds beyond the budget now ends, those of ours that wait longest
 * first: they come back when there is room. */
static void shrink(struct hf_longpoll *lp)
{
    lp->excess = hf_holding_excess(&lp->holding);
    if (lp->excess > 0)
        hf_longpoll_shrink(lp);
}

void hf_poll_hear(struct hf_longpoll *lp, struct hf_poll *poll, bool joined)
{
    if (!poll->paced)
        return;
    if (poll->refused == 0) {
        hf_holding_witness(&lp->holding, hf_boot_ms());
        return;
    }
    if (!joined) /* anybody may have such a token: once it has */
        return;
    hf_holding_reported(&lp->holding, poll->refused, hf_boot_ms());
    poll->refused = 0;
    shrink(lp);
}

/* --- stock sessions ------------------------------------------------------- */

/* Counted once a second, by whoever comes by then. */
static void count_stock(struct hf_longpoll *lp)
{
    uint32_t joined, coming;

    if (hf_holding_count_due(&lp->holding, hf_boot_ms()) &&
        hf_live_count_stock(lp->process->live, HF_STOCK_LIFE_MS,
                            HF_STOCK_COMING_MS, &joined, &coming) == 0)
        hf_holding_counted(&lp->holding, joined, coming);
}

/* Where its address has no place left its first poll would be refused, but stock
 * clients take a new session for a success: they would not wait 5 s then, but
 * join again at once, and again. */
bool hf_poll_may_begin(struct hf_longpoll *lp, const struct hf_poll *poll,
                       struct hf_str address)
{
    int64_t now = hf_boot_ms();

    if (poll->paced)
        return true;
    count_stock(lp);
    if (!hf_holding_address_full(&lp->holding, address) &&
        hf_holding_stock_enters(&lp->holding, HF_STOCK_COMES, false, now))
        return true;
    hf_holding_turned_away(&lp->holding, now);
    return false;
}

static bool is_coming(const struct hf_poll *poll,
                      const struct hf_live_seat *seat, int64_t now)
{
    int64_t age = hf_wall_ms() - poll->token.birth_ms;

    return (age >= 0 && age < HF_STOCK_COMING_MS) ||
           (seat->stock == HF_LIVE_STOCK_COMING &&
            now - seat->seen_ms < HF_STOCK_COMING_MS);
}

/* Beyond what is left of the budget, counted from the most recently active? */
static bool is_left_over(struct hf_longpoll *lp, const struct hf_poll *poll,
                         const struct hf_live_seat *seat)
{
    uint32_t max, ahead = 0;

    return hf_holding_stock_excess(&lp->holding, &max) &&
           hf_live_stock_ahead(lp->process->live, session_of(poll),
                               seat->active_ms, HF_STOCK_LIFE_MS,
                               &ahead) == 0 &&
           ahead >= max;
}

static bool stock_goes_on(struct hf_longpoll *lp, const struct hf_poll *poll,
                          const struct hf_live_seat *seat, bool joined,
                          bool active, int64_t now)
{
    bool coming = is_coming(poll, seat, now);

    if (!joined)
        return coming || hf_holding_stock_enters(&lp->holding, HF_STOCK_COMES,
                                                 false, now);
    if (seat->stock != HF_LIVE_STOCK || now - seat->seen_ms >= HF_STOCK_LIFE_MS)
        return hf_holding_stock_enters(&lp->holding,
                                       coming ? HF_STOCK_JOINED : HF_STOCK_BACK,
                                       active, now);
    if (!is_left_over(lp, poll, seat))
        return true;
    if (hf_live_stock_end(lp->process->live, session_of(poll)) == 0)
        hf_holding_stock_left(&lp->holding);
    return false;
}

/* --- what is known of it ---------------------------------------------------- */

void hf_poll_remember(struct hf_longpoll *lp, const struct hf_poll *poll)
{
    const struct hf_identity *identity = lp->client.identity;
    struct hf_known known = {
        .poll = poll, .expires_ms = identity ? identity->expires_ms : HF_NEVER};

    lp->known.poll = NULL;
    if (!lp->process->threaded && lp->stream.next.joined &&
        hf_journal_version(lp->process->journal, &known.version) == 0)
        lp->known = known;
}

/* Rights, identity and frames of who has joined are in the journal; in live.db
 * are only replies. Mostly nothing has come, and to read all of it for that is a
 * tenth of what such a poll costs. */
bool hf_poll_is_known(struct hf_longpoll *lp, const struct hf_poll *poll)
{
    uint64_t newest = 0;
    uint32_t reply_n = 0;
    int64_t version;

    return lp->known.poll == poll && lp->stream.count == 0 &&
           !lp->stream.more && hf_wall_ms() < lp->known.expires_ms &&
           hf_journal_version(lp->process->journal, &version) == 0 &&
           version == lp->known.version &&
           hf_live_newest(lp->process->live, session_of(poll), &newest,
                          &reply_n) == 0 &&
           reply_n <= poll->token.replies;
}

/* --- any GET -------------------------------------------------------------- */

static bool was_active(const struct hf_live_seat *seat, int64_t now)
{
    return seat->active_ms > 0 && now - seat->active_ms < HF_ACTIVE_MS;
}

/* Since the answer that its token came with; a setting that was changed since
 * may make it anything. */
static int64_t since_ms(const struct hf_longpoll *lp,
                        const struct hf_poll *poll)
{
    int64_t since = hf_wall_ms() -
                    (poll->token.expiry_ms - lp->process->settings.revive_ms);

    return since >= 0 ? since : INT64_MAX / 2;
}

/* The token was not renewed since a poll with it was parked: that one is still
 * held, in another process, and ends when this one is parked; or its answer was
 * lost. To a millisecond, for these are two clocks. */
static bool replaces(const struct hf_longpoll *lp,
                     const struct hf_live_seat *seat, int64_t since,
                     int64_t now)
{
    return seat->parked_ms > 0 && seat->parked_ms >= now - since - 1 &&
           now < seat->parked_ms + lp->hold_ms;
}

enum hf_verdict hf_poll_admit(struct hf_longpoll *lp, struct hf_poll *poll,
                              struct hf_str address, bool joined,
                              int64_t *out_ms)
{
    int64_t now = hf_boot_ms(), since = since_ms(lp, poll);
    struct hf_asker asker = {
        .kind = poll->paced ? HF_ASKER_PACED : HF_ASKER_STOCK,
        .joined = joined,
        .empty = poll->token.empty,
        .since_ms = since,
        .address = address,
    };
    struct hf_live_seat seat = {0};
    enum hf_verdict verdict = HF_REFUSED;

    count_stock(lp);
    if (!poll->paced || hf_holding_tight(&lp->holding, address)) {
        (void)hf_live_seat(lp->process->live, session_of(poll), &seat);
        asker.active = was_active(&seat, now);
        asker.replaces = replaces(lp, &seat, since, now);
    }
    if (poll->paced ||
        stock_goes_on(lp, poll, &seat, joined, asker.active, now))
        verdict =
            hf_holding_admit(&lp->holding, &asker, now, &poll->hold, out_ms);
    if (verdict == HF_REFUSED && !poll->paced)
        hf_holding_turned_away(&lp->holding, now);
    return verdict;
}

enum hf_live_stock hf_poll_stock(const struct hf_poll *poll, bool joined)
{
    if (poll->paced)
        return HF_LIVE_OURS;
    return joined ? HF_LIVE_STOCK : HF_LIVE_STOCK_COMING;
}

/* --- answering ------------------------------------------------------------ */

/* Its lease is to outlive the pause, and a third of it is left for coming back.
 * A stock session must be seen more often to count as alive. */
void hf_poll_seen(struct hf_longpoll *lp, const struct hf_poll *poll,
                  int64_t next_ms)
{
    int64_t lease = lp->process->settings.lease_ms;
    int64_t left = lease / 3 * 2 - next_ms;
    int64_t often = left < lease / 3 ? left : lease / 3;

    if (!poll->paced && often > HF_STOCK_LIFE_MS / 3)
        often = HF_STOCK_LIFE_MS / 3;
    (void)hf_live_seen(lp->process->live, session_of(poll),
                       3 * (often > 0 ? often : 0));
}

int64_t hf_poll_pause(struct hf_longpoll *lp, const struct hf_poll *poll)
{
    struct hf_live_seat seat;
    int64_t now = hf_boot_ms();

    if (!poll->paced || !hf_holding_tight(&lp->holding, hf_str(NULL, 0)))
        return 0;
    (void)hf_live_seat(lp->process->live, session_of(poll), &seat);
    return hf_holding_pause(&lp->holding, was_active(&seat, now), now);
}

int64_t hf_poll_scatter(const struct hf_poll *poll)
{
    if (!poll->paced)
        return 0;
    return 1 + (int64_t)(hf_bell_hash(session_of(poll)) % HF_SCATTER_MS);
}

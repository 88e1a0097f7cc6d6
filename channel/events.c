#include "channel/events.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "channel/dispatch.h"
#include "channel/longpoll_state.h"

/* Who asks for what; from the first reading to the answer. */
struct hf_following {
    struct hf_client client;
    struct hf_resume resume; /* what is still to be read */
    size_t count;
    struct hf_page_topic topics[]; /* their names are behind them */
};

static struct hf_events *events_of(struct hf_waiter *waiter)
{
    return HF_ITEM(waiter, struct hf_events, waiter);
}

/* --- answers --------------------------------------------------------------- */

static void end(struct hf_events *events)
{
    struct hf_following *following = events->following;

    if (events->waiter.waiting)
        hf_holding_release(&events->longpoll->holding, &events->hold);
    hf_waiting_leave(&events->waiter);
    events->following = NULL;
    if (following)
        hf_client_release(&following->client);
    free(following);
}

static void refuse(struct hf_events *events,
                   const struct hf_plain_refusal *refusal)
{
    char room[HF_PLAIN_REFUSAL_MAX];
    struct hf_plain_answer answer = hf_plain_refuse(refusal, room);

    end(events);
    events->answer(events, &answer);
}

static void refuse_for(struct hf_events *events, const char *reason)
{
    const struct hf_following *following = events->following;
    const struct hf_plain_refusal refusal = {
        .reason = reason, .nobody = following && !following->client.identity};

    refuse(events, &refusal);
}

/* `gap` NULL: there is none. `page` NULL: nothing came. */
static void tell(struct hf_events *events, const char *gap,
                 const struct hf_page *page)
{
    struct hf_plain_answer answer = {.status = 200};
    char cursor[HF_CURSOR_MAX];
    size_t len = hf_cursor_format(events->following->resume.since, cursor);
    struct hf_buf body;

    end(events);
    hf_buf_init(&body, SIZE_MAX / 2); /* bounded by the page */
    (void)hf_buf_addf(&body, "{\"cursor\":\"%.*s\",", (int)len, cursor);
    if (gap)
        (void)hf_buf_addf(&body, "\"gap\":\"%s\",", gap);
    if (page && page->more)
        (void)hf_buf_add_str(&body, HF_STR("\"more\":true,"));
    (void)hf_buf_add_str(&body, HF_STR("\"messages\":[\n"));
    if (page)
        (void)hf_buf_add_str(&body, hf_buf_str(&page->messages));
    (void)hf_buf_add_str(&body, page && page->count > 0 ? HF_STR("\n]}\n")
                                                        : HF_STR("]}\n"));
    answer.body = hf_buf_str(&body);
    if (hf_buf_error(&body)) {
        refuse_for(events, "busy");
    } else {
        events->answer(events, &answer);
    }
    hf_buf_release(&body);
}

/* --- reading --------------------------------------------------------------- */

/* What may it, at this moment? NULL, or the reason. */
static const char *check_rights(const struct hf_process *process,
                                struct hf_following *following)
{
    size_t n;

    for (n = 0; n < following->count; n++) {
        struct hf_page_topic *topic = &following->topics[n];
        struct hf_grant grant =
            hf_rights_of(process->rights, &following->client, topic->name);

        if (!grant.known)
            return "unmatched topic";
        if (!(grant.rights & HF_RIGHT_JOIN))
            return "unauthorized";
        if (hf_hooks_want(process->hooks, HF_HOOK_JOIN, topic->name))
            return "application";
        topic->presence = (grant.rights & HF_RIGHT_PRESENCE) != 0;
    }
    return NULL;
}

/* Where to begin, for all topics; *out_gap as in D7. */
static int locate(const struct hf_following *following,
                  struct hf_journal *journal, uint64_t epoch, uint64_t head,
                  uint64_t *out_from, const char **out_gap)
{
    struct hf_start start;
    size_t n;
    int err = 0;

    *out_gap = NULL;
    for (n = 0; n < following->count && err == 0 && !*out_gap; n++) {
        err = hf_resume_locate(&following->resume, journal,
                               following->topics[n].name, epoch, head, &start);
        if (err == 0) {
            *out_from = start.cursor;
            *out_gap = start.gap;
        }
    }
    return err;
}

struct outcome {
    const char *refused;
    const char *gap;
    uint64_t head;
    struct hf_page page;
};

static int read_in_snapshot(struct hf_events *events, struct outcome *out)
{
    struct hf_longpoll *lp = events->longpoll;
    struct hf_following *following = events->following;
    struct hf_journal *journal = lp->process->journal;
    uint64_t epoch = hf_journal_epoch(journal), from = 0;
    bool changed = false;
    int err = hf_journal_head(journal, &out->head);

    if (err == 0)
        err = hf_rights_refresh(lp->process->rights, journal, &changed);
    if (changed) /* whoever notices it first tells the others */
        hf_waiting_tell_all(&lp->waiting);
    if (err)
        return err;
    out->refused = check_rights(lp->process, following);
    if (out->refused)
        return 0;
    err = locate(following, journal, epoch, out->head, &from, &out->gap);
    if (err == 0 && !out->gap)
        err = hf_page_read(&out->page, journal, following->topics,
                           following->count, from, out->head);
    if (err)
        return err;
    following->resume = (struct hf_resume){
        .asked = true, .since = {epoch, out->gap ? out->head : out->page.upto}};
    return 0;
}

/* All of one moment. */
static int read_all(struct hf_events *events, struct outcome *out)
{
    struct hf_journal *journal = events->longpoll->process->journal;
    int err = hf_journal_snapshot(journal);

    *out = (struct outcome){.refused = NULL};
    if (err)
        return err;
    err = read_in_snapshot(events, out);
    hf_journal_snapshot_end(journal);
    return err;
}

static bool next_topic(const void *ctx, size_t *at, struct hf_str *out)
{
    const struct hf_following *following = ctx;

    if (*at == following->count)
        return false;
    *out = following->topics[(*at)++].name;
    return true;
}

/* True: answered. Else *out_what is what it waits for. */
static bool answer_if_any(struct hf_events *events, bool now,
                          struct hf_wait_for *out_what)
{
    struct outcome outcome;
    int err = read_all(events, &outcome);
    bool answered = true;

    if (err) {
        struct hf_plain_refusal refusal = hf_plain_failure(err);

        refuse(events, &refusal);
    } else if (outcome.refused) {
        refuse_for(events, outcome.refused);
    } else if (outcome.gap || outcome.page.count > 0 || now) {
        tell(events, outcome.gap, &outcome.page);
    } else {
        answered = false;
        *out_what = (struct hf_wait_for){next_topic, events->following,
                                         outcome.head, outcome.page.more};
    }
    hf_page_release(&outcome.page);
    return answered;
}

/* --- waiting --------------------------------------------------------------- */

static void came(struct hf_waiter *waiter)
{
    struct hf_wait_for what;

    if (!answer_if_any(events_of(waiter), false, &what) &&
        hf_waiting_go_on(waiter, &what))
        refuse_for(events_of(waiter), "busy");
}

static void deadline(struct hf_waiter *waiter)
{
    struct hf_wait_for what;

    (void)answer_if_any(events_of(waiter), true, &what);
}

/* It comes back with the place it has reached. */
static void release(struct hf_waiter *waiter)
{
    tell(events_of(waiter), NULL, NULL);
}

static void fail(struct hf_waiter *waiter)
{
    refuse_for(events_of(waiter), "journal_failed");
}

static const struct hf_waiter_kind kind = {
    .came = came, .deadline = deadline, .release = release, .fail = fail};

/* Not beyond the end of its token: the next request is then refused. */
static int64_t hold_of(const struct hf_events *events,
                       const struct hf_events_query *query)
{
    const struct hf_identity *identity = events->following->client.identity;
    int64_t hold = events->longpoll->hold_ms;
    int64_t left;

    if (!query->paced && hold > HF_HOLD_STOCK_MS)
        hold = HF_HOLD_STOCK_MS;
    if (hold < HF_EMPTY_SPACING_MS)
        hold = HF_EMPTY_SPACING_MS;
    if (query->hold_ms >= 0 && query->hold_ms < hold)
        hold = query->hold_ms;
    if (!identity || identity->expires_ms == HF_NEVER)
        return hold;
    left = identity->expires_ms - hf_wall_ms() + 1; /* rounded up */
    return left < hold ? left : hold;
}

/* The one place where a request of this kind is let in to wait. 0; HF_ELIMIT:
 * there is no room for so long; HF_ENOMEM. */
static int admit(struct hf_events *events, const struct hf_wait_for *what,
                 struct hf_str address, int64_t hold_ms, int64_t *out_retry_ms)
{
    struct hf_longpoll *lp = events->longpoll;
    const struct hf_asker asker = {
        .kind = HF_ASKER_READER, .joined = true, .address = address};
    int64_t ms;
    int err;

    if (hf_holding_admit(&lp->holding, &asker, hf_boot_ms(), &events->hold,
                         &ms) != HF_HOLD) {
        *out_retry_ms = ms;
        return HF_ELIMIT;
    }
    events->waiter.kind = &kind;
    err = hf_waiting_park(&lp->waiting, &events->waiter, what, hold_ms);
    if (err)
        hf_holding_release(&lp->holding, &events->hold);
    return err;
}

/* --- start ----------------------------------------------------------------- */

/* Takes the client's references over. */
static struct hf_following *following_new(const struct hf_events_query *query,
                                          struct hf_client *client)
{
    size_t n, len = query->count * sizeof(struct hf_page_topic);
    struct hf_following *following;
    char *at;

    for (n = 0; n < query->count; n++)
        len += query->topics[n].len;
    following = calloc(1, sizeof(*following) + len);
    if (!following)
        return NULL;
    at = (char *)&following->topics[query->count];
    for (n = 0; n < query->count; n++) {
        struct hf_str name = query->topics[n];

        memcpy(at, name.at, name.len);
        following->topics[n].name = hf_str(at, name.len);
        at += name.len;
    }
    following->count = query->count;
    following->resume = query->resume;
    following->client = *client;
    *client = (struct hf_client){.vsn = HF_VSN_2};
    return following;
}

static void begin(struct hf_events *events, const struct hf_events_query *query,
                  struct hf_str address)
{
    int64_t hold_ms = hold_of(events, query);
    struct hf_wait_for what;
    struct hf_plain_refusal refusal = {.reason = "busy"};
    int64_t retry_ms = 5000;
    int err;

    if (answer_if_any(events, hold_ms <= 0, &what))
        return;
    err = admit(events, &what, address, hold_ms, &retry_ms);
    if (err == 0)
        return;
    refusal.message = err == HF_ELIMIT ? "no room to wait here; hold=0 asks "
                                         "without waiting"
                                       : NULL;
    refusal.retry_ms = retry_ms;
    refuse(events, &refusal);
}

void hf_events_start(struct hf_longpoll *lp, struct hf_events *events,
                     const struct hf_hello *hello)
{
    struct hf_events_query query;
    struct hf_client client;
    struct hf_plain_refusal refusal =
        hf_plain_connect(lp->process, hello, &client);

    events->longpoll = lp;
    if (!refusal.reason)
        refusal.reason = hf_events_query_read(hello->query, &query);
    if (!refusal.reason) {
        events->following = following_new(&query, &client);
        refusal.reason = events->following ? NULL : "busy";
    }
    hf_client_release(&client);
    if (refusal.reason)
        refuse(events, &refusal);
    else
        begin(events, &query, hello->peer);
}

void hf_events_cancel(struct hf_events *events)
{
    end(events);
}

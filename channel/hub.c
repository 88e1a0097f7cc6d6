#include "channel/hub.h"

#include <assert.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "channel/session.h"
#include "channel/tail.h"
#include "channel/tracker.h"
#include "channel/witness.h"

#define RETRY_US      500000 /* as often as everybody looks anyway (D4) */
#define REPEAT_LOG_MS 60000

/* --- topics ------------------------------------------------------------ */

struct hf_topic *hf_hub_find(const struct hf_hub *hub, struct hf_str name)
{
    return hf_map_get(&hub->topics, name);
}

int hf_hub_enter(struct hf_hub *hub, struct hf_str name, struct hf_topic **out)
{
    struct hf_topic *topic = hf_hub_find(hub, name);

    if (topic) {
        *out = topic;
        return 0;
    }
    topic = calloc(1, sizeof(*topic) + name.len);
    if (!topic)
        return HF_ENOMEM;
    topic->hub = hub;
    hf_list_init(&topic->members);
    topic->len = name.len;
    memcpy(topic->name, name.at, name.len);
    hf_ring_init(&topic->ring, hub->cursor);
    if (hf_map_put(&hub->topics, hf_topic_name(topic), topic)) {
        free(topic);
        return HF_ENOMEM;
    }
    hub->counts.topics++;
    hf_wake_add(hub->wake, name);
    /* what was committed since we caught up rang no bell of ours */
    hf_hub_soon(hub);
    *out = topic;
    return 0;
}

void hf_hub_left(struct hf_topic *topic)
{
    struct hf_hub *hub = topic->hub;

    if (!hf_list_empty(&topic->members))
        return;
    (void)hf_map_remove(&hub->topics, hf_topic_name(topic));
    hub->counts.topics--;
    hf_wake_drop(hub->wake, hf_topic_name(topic));
    hf_rings_restart(topic, 0);
    hf_ring_release(&topic->ring);
    free(topic);
}

/* --- turns ------------------------------------------------------------- */

void hf_hub_soon(struct hf_hub *hub)
{
    hub->behind = true;
    hf_loop_at_turn_end(hub->process->loop, &hub->turn);
}

/* Of a failure that lasts every join and every retry has its part. */
static void complain(struct hf_hub *hub, int err)
{
    int64_t now_ms = hf_boot_ms();

    if (err == HF_EREPLACED) /* the journal has said it */
        return;
    if (hub->logged_ms && now_ms - hub->logged_ms < REPEAT_LOG_MS)
        return;
    hub->logged_ms = now_ms;
    HF_LOG(HF_LOG_WARN, "tail_failed", hf_field("why", hf_strerror(err)),
           hf_field("effect", "joins are refused, messages wait"),
           hf_field("next", "trying again twice a second"));
}

static int read_to_head(struct hf_hub *hub)
{
    bool more = true;
    int64_t version;
    int err;

    /* with nobody joined or known there is nothing to feed, so there is no need
     * to read what lies between */
    if (hub->counts.topics == 0 && hub->users.count == 0)
        return hf_tail_skip_to_head(hub);
    /* many join at once after a restart, and mostly nothing was written in
     * between; asked before the pages, so that it is never too new for them */
    err = hf_journal_version(hub->process->journal, &version);
    if (err == 0 && version == hub->read_version)
        return 0;
    while (more && err == 0)
        err = hf_tail_page(hub, &more);
    hub->read_version = err ? -1 : version;
    return err;
}

int hf_hub_catch_up(struct hf_hub *hub)
{
    int err = read_to_head(hub);

    if (err)
        complain(hub, err);
    return err;
}

static void on_retry(struct hf_timer *timer)
{
    hf_hub_soon(HF_ITEM(timer, struct hf_hub, retry));
}

/* The wake-up has told of these rows and will not do so again. */
static void try_again(struct hf_hub *hub, int err)
{
    if (err == HF_EREPLACED) /* for good */
        return;
    complain(hub, err);
    if (hf_loop_arm(hub->process->loop, &hub->retry, RETRY_US))
        hf_hub_soon(hub); /* no memory for a timer: at once, then */
}

static void read_page(struct hf_hub *hub)
{
    bool more = false;
    int err;

    hub->behind = false;
    hub->page_ms = hf_boot_ms();
    err = hf_tail_page(hub, &more);
    hub->flood = more;
    if (err == HF_EREPLACED)
        err = hf_tail_end(hub); /* the journal has said why */
    if (err)
        try_again(hub, err);
    else if (more)
        hf_hub_soon(hub);
}

static bool may_read(const struct hf_hub *hub)
{
    return !hub->flood || !hub->busy || !hub->busy(hub->busy_ctx) ||
           hf_boot_ms() - hub->page_ms >= HF_FLOOD_WAIT_MS;
}

/* One page a turn, so that what was read is flushed before more comes (D1). */
static void end_of_turn(struct hf_turn *turn)
{
    struct hf_hub *hub = HF_ITEM(turn, struct hf_hub, turn);

    hub->refill_left = HF_REFILL_TURN;
    hf_session_undefer(&hub->deferred);
    if (!hub->behind)
        return;
    if (may_read(hub))
        read_page(hub);
    else
        hf_hub_soon(hub);
}

/* At once, in the snapshot that has found it; unless pages are read one after
 * the other anyway. */
static void grown(void *ctx)
{
    struct hf_hub *hub = ctx;

    if (!hub->behind)
        read_page(hub);
}

/* --- life -------------------------------------------------------------- */

int hf_hub_open(struct hf_process *process, struct hf_hub **out)
{
    struct hf_hub *hub = calloc(1, sizeof(*hub));
    int err;

    if (!hub)
        return HF_ENOMEM;
    hub->process = process;
    hub->read_version = -1;
    hub->refill_left = HF_REFILL_TURN;
    hub->turn.end = end_of_turn;
    hub->retry.fire = on_retry;
    hf_list_init(&hub->deferred);
    hf_rings_init(&hub->rings);
    err = hf_wake_new(process->loop, &process->dir, process->journal, grown,
                      hub, &hub->wake);
    if (err == 0)
        err = hf_tail_skip_to_head(hub);
    if (err == 0)
        err = hf_tracker_open(hub, &hub->tracker);
    if (err) {
        hf_hub_close(hub);
        return err;
    }
    hf_witness_sockets(hub);
    *out = hub;
    return 0;
}

void hf_hub_close(struct hf_hub *hub)
{
    if (!hub)
        return;
    assert(hub->counts.sessions == 0);
    hf_inquiry_answer(hub->process->inquiry, NULL, NULL);
    hf_tracker_finish(hub->tracker);
    hf_process_finish_writes(hub->process); /* pushes under way refer to us */
    hf_tracker_close(hub->tracker);
    hf_loop_cancel_turn(&hub->turn);
    hf_loop_disarm(hub->process->loop, &hub->retry);
    hf_rings_release(hub);
    if (hub->wake)
        hf_wake_free(hub->wake);
    hf_map_release(&hub->topics);
    hf_map_release(&hub->users);
    free(hub);
}

void hf_hub_heed(struct hf_hub *hub, bool (*busy)(void *ctx), void *ctx)
{
    hub->busy = busy;
    hub->busy_ctx = ctx;
}

struct hf_hub_counts hf_hub_counts(const struct hf_hub *hub)
{
    return hub->counts;
}

/* The page that reaches it; of the oldest one nobody knows where it begins. */
int64_t hf_hub_read_at(const struct hf_hub *hub, uint64_t id)
{
    uint64_t before = hub->pages[hub->page_next].through;
    unsigned i;

    for (i = 1; i < HF_HUB_PAGES; i++) {
        const struct hf_hub_page *page =
            &hub->pages[(hub->page_next + i) % HF_HUB_PAGES];

        if (before < id && id <= page->through)
            return page->read_ms;
        before = page->through;
    }
    return 0;
}

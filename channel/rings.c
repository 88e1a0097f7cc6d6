#include "channel/rings.h"

#include "base/err.h"
#include "channel/session.h"

static void quiet(struct hf_timer *timer);

void hf_rings_init(struct hf_rings *rings)
{
    *rings = (struct hf_rings){.page = 1, .timer = {.fire = quiet}};
    hf_list_init(&rings->held);
}

void hf_rings_release(struct hf_hub *hub)
{
    hf_loop_disarm(hub->process->loop, &hub->rings.timer);
}

static struct hf_topic *oldest(const struct hf_rings *rings)
{
    struct hf_list *node = hf_list_first(&rings->held);

    return node ? HF_ITEM(node, struct hf_topic, in_rings) : NULL;
}

/* Without memory for a timer they let go when a later one is armed. */
static void look_later(struct hf_hub *hub)
{
    hub->rings.quiet = hub->rings.page;
    (void)hf_loop_arm(hub->process->loop, &hub->rings.timer,
                      HF_RING_QUIET_MS * 1000);
}

void hf_rings_restart(struct hf_topic *topic, uint64_t low)
{
    topic->hub->rings.bytes -= topic->ring.bytes;
    hf_list_remove(&topic->in_rings);
    hf_ring_restart(&topic->ring, low);
}

static void quiet(struct hf_timer *timer)
{
    struct hf_rings *rings = HF_ITEM(timer, struct hf_rings, timer);
    struct hf_hub *hub = HF_ITEM(rings, struct hf_hub, rings);
    struct hf_topic *topic;

    while ((topic = oldest(rings)) && topic->page <= rings->quiet)
        hf_rings_restart(topic, hub->cursor);
    if (topic)
        look_later(hub);
}

/* The newest of those held, as of this page. */
static void hold(struct hf_topic *topic, uint64_t page)
{
    struct hf_rings *rings = &topic->hub->rings;

    hf_list_remove(&topic->in_rings);
    hf_list_append(&rings->held, &topic->in_rings);
    topic->page = page;
    if (!hf_timer_armed(&rings->timer))
        look_later(topic->hub);
}

void hf_rings_put(struct hf_topic *topic, const struct hf_row *row)
{
    struct hf_rings *rings = &topic->hub->rings;

    rings->bytes -= topic->ring.bytes;
    hf_ring_push(&topic->ring, row);
    rings->bytes += topic->ring.bytes;
    /* Even when it could not be kept, for its members are to be told. */
    hold(topic, rings->page);
}

/* --- going back ------------------------------------------------------------- */

static bool is_crowd(const struct hf_topic *topic)
{
    const struct hf_list *node = topic->members.next;
    unsigned left = HF_CROWD;

    for (; left > 0 && node != &topic->members; node = node->next)
        left--;
    return left == 0;
}

static int keep(void *ctx, const struct hf_row *row)
{
    hf_ring_push(ctx, row);
    return 0;
}

/* All rows of the topic in (ring->low, the hub's cursor], if they are few. */
static int read_back(struct hf_topic *topic, struct hf_ring *ring)
{
    struct hf_hub *hub = topic->hub;
    uint64_t after = ring->low, last;
    bool more;
    int err = hf_journal_read_topic(hub->process->journal, hf_topic_name(topic),
                                    after, hub->cursor, HF_CROWD_ROWS,
                                    HF_RING_BYTES, keep, ring, &last, &more);

    if (err)
        return err;
    hub->refill_left -=
        ring->count < hub->refill_left ? ring->count : hub->refill_left;
    if (!more && ring->low == after)
        return 0;
    topic->too_far = last;
    return HF_ENOTFOUND;
}

int hf_rings_reach_back(struct hf_topic *topic, uint64_t after)
{
    struct hf_rings *rings = &topic->hub->rings;
    struct hf_ring ring;
    int err;

    if (after < topic->too_far || rings->bytes > HF_RINGS_BYTES / 2 ||
        !is_crowd(topic))
        return HF_ENOTFOUND;
    hf_ring_init(&ring, after);
    err = read_back(topic, &ring);
    if (err) {
        hf_ring_release(&ring);
        return err;
    }
    hf_rings_restart(topic, after);
    topic->ring = ring;
    rings->bytes += ring.bytes;
    /* Nobody is to be told: who needs these rows is reading. */
    hold(topic, rings->page - 1);
    return 0;
}

static void tell(const struct hf_topic *topic)
{
    struct hf_list *node, *tmp;

    HF_LIST_EACH(node, tmp, &topic->members)
    hf_member_ready(HF_ITEM(node, struct hf_member, in_topic));
}

/* Those of this page are the last ones of the list. */
void hf_rings_tell(struct hf_hub *hub)
{
    struct hf_rings *rings = &hub->rings;
    struct hf_list *node = &rings->held;

    while (node->prev != &rings->held &&
           HF_ITEM(node->prev, struct hf_topic, in_rings)->page == rings->page)
        node = node->prev;
    for (; node != &rings->held; node = node->next)
        tell(HF_ITEM(node, struct hf_topic, in_rings));
    rings->page++;
}

void hf_rings_bound(struct hf_hub *hub)
{
    struct hf_topic *topic;

    while (hub->rings.bytes > HF_RINGS_BYTES && (topic = oldest(&hub->rings)))
        hf_rings_restart(topic, hub->cursor);
}

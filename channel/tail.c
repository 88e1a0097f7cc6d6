#include "channel/tail.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "channel/session_state.h"
#include "channel/user.h"

/* --- what ends memberships --------------------------------------------- */

static void expel_topic(struct hf_topic *topic, const char *reason)
{
    /* the last member takes the topic with it, so keep it alive by a guest */
    struct hf_list guest, *node;

    hf_list_append(&topic->members, &guest);
    while ((node = topic->members.next) != &guest)
        hf_member_expel(HF_ITEM(node, struct hf_member, in_topic), reason);
    hf_list_remove(&guest);
    hf_hub_left(topic);
}

/* Topics may vanish while they are visited: visit a copy of the list. */
static int each_topic(struct hf_hub *hub,
                      void (*visit)(struct hf_topic *topic, void *ctx),
                      void *ctx)
{
    size_t count = 0, at = 0, n;
    struct hf_topic *topic, **all;

    if (hub->counts.topics == 0)
        return 0;
    all = malloc(hub->counts.topics * sizeof(struct hf_topic *));
    if (!all)
        return HF_ENOMEM;
    while ((topic = hf_map_next(&hub->topics, &at)) != NULL)
        all[count++] = topic;
    for (n = 0; n < count; n++)
        visit(all[n], ctx);
    free(all);
    return 0;
}

static void epoch_changed(struct hf_topic *topic, void *ctx)
{
    (void)ctx;
    expel_topic(topic, "reset");
}

static bool may_join(const struct hf_rights *rights,
                     const struct hf_client *client,
                     const struct hf_topic *topic)
{
    return hf_rights_of(rights, client, hf_topic_name(topic)).rights &
           HF_RIGHT_JOIN;
}

/* What everybody may, all members may; else each is looked at. */
static void check_right(struct hf_topic *topic, void *ctx)
{
    const struct hf_rights *rights = ctx;
    struct hf_list guest, *node, *next;

    if (may_join(rights, NULL, topic))
        return;
    hf_list_append(&topic->members, &guest);
    for (node = topic->members.next; node != &guest; node = next) {
        struct hf_member *member = HF_ITEM(node, struct hf_member, in_topic);

        next = node->next;
        if (!may_join(rights, &member->session->client, topic))
            hf_member_expel(member, "unauthorized");
    }
    hf_list_remove(&guest);
    hf_hub_left(topic);
}

static void replaced(struct hf_topic *topic, void *ctx)
{
    (void)ctx;
    expel_topic(topic, "journal_failed");
}

int hf_tail_end(struct hf_hub *hub)
{
    int err;

    hub->reading = true;
    err = each_topic(hub, replaced, NULL);
    hub->reading = false;
    return err;
}

struct trim_check {
    struct hf_hub *hub;
    int err;
};

/* Rows above the hub's cursor are gone before the hub saw them: members at the
 * hub must read, and will find the gap, in the journal. */
static void check_trimmed(struct hf_topic *topic, void *ctx)
{
    struct trim_check *check = ctx;
    struct hf_list *node, *tmp;
    uint64_t through;
    int err = hf_journal_trimmed(check->hub->process->journal,
                                 hf_topic_name(topic), &through);

    if (err)
        check->err = err;
    if (err || through <= check->hub->cursor)
        return;
    hf_rings_restart(topic, through);
    HF_LIST_EACH(node, tmp, &topic->members)
    hf_member_ready(HF_ITEM(node, struct hf_member, in_topic));
}

static int notice_trimmed(struct hf_hub *hub)
{
    struct trim_check check = {hub, 0};
    uint64_t highest;
    int err;

    /* mostly the only look */
    err = hf_journal_trimmed_highest(hub->process->journal, &highest);
    if (err || highest <= hub->cursor)
        return err;
#ifdef HF_BROKEN_TRIM_UNSEEN
    return 0;
#endif
    err = each_topic(hub, check_trimmed, &check);
    return err ? err : check.err;
}

static void forget_ring(struct hf_topic *topic, void *ctx)
{
    const struct hf_hub *hub = ctx;

    hf_rings_restart(topic, hub->cursor);
}

/* Somebody has taken a payload away, and a ring may hold it: from here on all
 * that lies behind the hub is read from the journal. */
static int notice_redactions(struct hf_hub *hub)
{
    uint64_t redactions = hub->redactions;
    int err = hf_journal_redactions(hub->process->journal, &redactions);

    if (err || redactions == hub->redactions)
        return err;
    err = each_topic(hub, forget_ring, hub);
    if (err == 0)
        hub->redactions = redactions;
    return err;
}

static void note_page(struct hf_hub *hub, uint64_t through, int64_t read_ms)
{
    hub->pages[hub->page_next] = (struct hf_hub_page){through, read_ms};
    hub->page_next = (hub->page_next + 1) % HF_HUB_PAGES;
}

/* The rows up to here were not read, or not in this history. */
static void note_start(struct hf_hub *hub)
{
    memset(hub->pages, 0, sizeof(hub->pages));
    note_page(hub, hub->cursor, 0);
}

static int notice_epoch(struct hf_hub *hub, uint64_t head)
{
    uint64_t epoch = hf_journal_epoch(hub->process->journal);

    if (epoch == hub->epoch)
        return 0;
    HF_LOG(HF_LOG_WARN, "epoch_changed",
           hf_field("effect", "every member joins again"));
    hub->epoch = epoch;
    hub->cursor = head; /* ids of another epoch mean nothing here */
    note_start(hub);
    return each_topic(hub, epoch_changed, NULL);
}

static int notice_rights(struct hf_hub *hub)
{
    struct hf_process *process = hub->process;
    bool changed = false;
    int err;

    err = hf_rights_refresh(process->rights, process->journal, &changed);
    if (err || !changed)
        return err;
    return each_topic(hub, check_right, process->rights);
}

/* --- rows -------------------------------------------------------------- */

/* For people, so it must not claim what nobody knows: a program may write any
 * `at`, and clocks are set. */
static void time_row(struct hf_hub *hub, const struct hf_row *row)
{
    /* one ahead: the two are cut to milliseconds apart from each other */
    if (row->at_ms > hub->read_ms + 1 ||
        row->at_ms < hub->read_ms - HF_WAKEUP_MAX_MS)
        hub->counts.untimed++;
    else
        hf_histogram_add(&hub->counts.wakeup,
                         (hub->read_ms - row->at_ms) * 1000, 1);
}

static int take_row(void *ctx, const struct hf_row *row)
{
    struct hf_hub *hub = ctx;
    struct hf_topic *topic = hf_hub_find(hub, row->topic);

    if (hub->users.count > 0 && hf_str_eq(row->event, HF_STR("disconnect")))
        hf_user_disconnect(hub, row->topic);
    if (!topic || row->id <= topic->ring.low)
        return 0;
    hub->counts.rows_read++;
    time_row(hub, row);
    hf_rings_put(topic, row);
    return 0;
}

static int page_in_snapshot(struct hf_hub *hub, bool *out_more)
{
    struct hf_journal *journal = hub->process->journal;
    uint64_t last, head;
    int err;

    err = hf_journal_head(journal, &head);
    if (err == 0)
        err = notice_epoch(hub, head);
    if (err == 0)
        err = notice_redactions(hub);
    if (err == 0) /* behind what restarts rings at the hub: it raises them */
        err = notice_trimmed(hub);
    if (err == 0)
        err = notice_rights(hub);
    if (err)
        return err;
    last = hub->cursor; /* an epoch that began has moved it */
    err = hf_journal_read(journal, hub->cursor, HF_PAGE_ROWS, HF_PAGE_BYTES,
                          take_row, hub, &last, out_more);
    hf_rings_tell(
        hub); /* before the cursor moves: who was caught up is there */
    /* The end of the rows is the head: ids are also drawn for other things.
     * A page that broke off counts as far as it came: its rows are taken. */
    if (!err && !*out_more)
        last = head;
    if (last > hub->cursor)
        note_page(hub, last, hub->read_ms);
    hub->cursor = last;
    hf_rings_bound(hub);
    return err;
}

int hf_tail_page(struct hf_hub *hub, bool *out_more)
{
    struct hf_journal *journal = hub->process->journal;
    int err;

    err = hf_journal_snapshot(journal);
    if (err)
        return err;
    hub->reading = true;
    hub->read_ms = hf_wall_ms();
    err = page_in_snapshot(hub, out_more);
    hub->reading = false;
    hf_journal_snapshot_end(journal);
    return err;
}

int hf_tail_skip_to_head(struct hf_hub *hub)
{
    struct hf_journal *journal = hub->process->journal;
    int err;

    err = hf_journal_snapshot(journal);
    if (err)
        return err;
    err = hf_journal_head(journal, &hub->cursor);
    note_start(hub);
    if (err == 0) {
        hub->epoch = hf_journal_epoch(journal);
        err = hf_rights_refresh(hub->process->rights, journal, NULL);
    }
    if (err == 0) /* there is no ring yet */
        err = hf_journal_redactions(journal, &hub->redactions);
    hf_journal_snapshot_end(journal);
    return err;
}

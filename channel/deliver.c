#include "channel/session_state.h"

#include <stdlib.h>

#include "base/err.h"
#include "channel/row.h"
#include "channel/tracker.h"

/* --- taking ------------------------------------------------------------ */

struct batch {
    struct hf_msg **msgs;
    size_t count, max;
    size_t bytes, max_bytes;
};

static bool has_room(const struct batch *batch)
{
    return batch->count < batch->max &&
           (batch->count == 0 || batch->bytes < batch->max_bytes);
}

static void put_msg(struct batch *batch, struct hf_msg *msg)
{
    batch->msgs[batch->count++] = msg;
    batch->bytes += msg->len;
}

static void take_answer(struct hf_session *session, struct hf_answer **queue,
                        struct hf_answer ***end, struct batch *batch)
{
    struct hf_answer *answer = *queue;

    *queue = answer->next;
    if (!*queue)
        *end = queue;
    put_msg(batch, answer->msg);
    session->waiting--;
    session->waiting_bytes -= answer->msg->len;
    free(answer);
}

/* True: the membership has ended with one of them. */
static bool take_due_answers(struct hf_member *member, struct batch *batch)
{
    while (member->answers && member->answers->msg &&
           member->answers->after <= member->cursor && has_room(batch)) {
        struct hf_asking *ends = member->answers->ends;

        take_answer(member->session, &member->answers, &member->answers_end,
                    batch);
        if (!ends)
            continue;
        hf_asking_ended(ends, member);
        return true;
    }
    return false;
}

static bool for_this(const struct hf_session *session, struct hf_str skip)
{
    return skip.len == 0 || !session->named ||
           !hf_str_eq(skip, hf_str(session->id, sizeof(session->id)));
}

static struct hf_str row_join_ref(const struct hf_member *member)
{
    return member->with_cursors ? hf_member_join_ref(member) : HF_STR("");
}

/* --- from the journal, beyond the ring */

struct refill {
    struct hf_member *member;
    struct batch *batch;
};

static int refill_row(void *ctx, const struct hf_row *row)
{
    const struct refill *refill = ctx;
    struct hf_session *session = refill->member->session;
    struct hf_msg *msg;

    if (!for_this(session, row->skip) ||
        hf_presence_known(row, refill->member->told))
        return 0;
    msg = hf_row_msg(row, session->hub->epoch, hf_member_form(refill->member),
                     row_join_ref(refill->member));
    if (!msg)
        return HF_ENOMEM;
    put_msg(refill->batch, msg);
    refill->member->sent = row->id;
    session->hub->counts.encoded++;
    session->hub->counts.refilled++;
    session->hub->counts.delivered++;
    return 0;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* One page in one snapshot, or into the ring. HF_EGAP: rows it must see are
 * gone. */
static int refill_page(struct hf_member *member, struct batch *batch)
{
    struct hf_hub *hub = member->topic->hub;
    struct hf_journal *journal = hub->process->journal;
    struct hf_str topic = hf_topic_name(member->topic);
    struct refill refill = {member, batch};
    uint64_t last;
    bool gap, more;
    size_t max;
    int err;

    err = hf_journal_gap(journal, topic, member->cursor, &gap);
    if (err)
        return err;
#ifndef HF_BROKEN_NO_WATERMARK
    if (gap)
        return HF_EGAP;
#endif
    err = hf_rings_reach_back(member->topic, member->cursor);
    if (err != HF_ENOTFOUND)
        return err; /* or the ring has them now */
    max =
        least(least(HF_PAGE_ROWS, hub->refill_left), batch->max - batch->count);
    if (max == 0) /* looking was all that was left of this turn */
        return HF_EAGAIN;
    err = hf_journal_read_topic(journal, topic, member->cursor, hub->cursor,
                                max, batch->max_bytes, refill_row, &refill,
                                &last, &more);
    if (err)
        return err;
    hub->refill_left -= max;
    member->cursor = more ? last : hub->cursor;
    return 0;
}

static int refill(struct hf_member *member, struct batch *batch)
{
    struct hf_hub *hub = member->topic->hub;
    struct hf_journal *journal = hub->process->journal;
    int err = hf_journal_snapshot(journal);

    if (err)
        return err;
    if (hf_journal_epoch(journal) == hub->epoch) {
        err = refill_page(member, batch);
    } else {
        /* Cursors mean nothing in this history; the tail tells everybody. */
        hf_hub_soon(hub);
        err = HF_EAGAIN;
    }
    hf_journal_snapshot_end(journal);
    return err;
}

/* --- one member's turn */

static int take_ring_row(struct hf_member *member, struct hf_ring_row *row,
                         struct batch *batch)
{
    struct hf_hub *hub = member->topic->hub;
    struct hf_msg *msg;

    if (for_this(member->session, hf_ring_row_skip(row)) &&
        !hf_ring_row_known(row, member->told)) {
        msg = hf_ring_row_msg(row, hub->epoch, hf_member_form(member),
                              row_join_ref(member), &hub->counts.encoded);
        if (!msg)
            return HF_ENOMEM;
        put_msg(batch, msg);
        member->sent = hf_ring_row_id(row);
        hub->counts.delivered++;
    }
    member->cursor = hf_ring_row_id(row);
    return 0;
}

/* Who is there, before any row (presence.h). */
static int take_state(struct hf_member *member, struct batch *batch)
{
    struct hf_msg *msg;
    int err = hf_tracker_state(member, &msg);

    if (err == 0)
        put_msg(batch, msg);
    return err;
}

/* For people who watch; nothing depends on it. */
static void note_lagging(struct hf_member *member, bool lagging)
{
    struct hf_hub_counts *counts = &member->topic->hub->counts;

    if (member->lagging == lagging)
        return;
    member->lagging = lagging;
    counts->lagging += lagging ? 1u : (size_t)-1;
}

/* Rows and answers until the batch is full (0), the member has caught up
 * or is held (HF_ENOTFOUND) or is no more (HF_ECLOSED), or something stops it (other
 * errors). */
static int feed(struct hf_member *member, struct batch *batch)
{
    const struct hf_topic *topic = member->topic;
    struct hf_ring_row *row;
    int err;

    for (;;) {
        if (take_due_answers(member, batch))
            return HF_ECLOSED;
        if (!has_room(batch))
            return 0;
        if (member->owed) {
            err = take_state(member, batch);
            if (err)
                return err;
            continue;
        }
        if (member->held || member->cursor >= topic->hub->cursor) {
            note_lagging(member, false);
            return HF_ENOTFOUND;
        }
        note_lagging(member, member->cursor < topic->ring.low);
        if (member->lagging) {
            if (topic->hub->refill_left == 0)
                return HF_EAGAIN;
            err = refill(member, batch);
        } else if ((row = hf_ring_after(&topic->ring, member->cursor))) {
            err = take_ring_row(member, row, batch);
        } else {
            member->cursor = topic->hub->cursor;
            err = 0;
        }
        if (err)
            return err;
    }
}

static void defer(struct hf_session *session)
{
    struct hf_hub *hub = session->hub;

    session->woken = false;
    if (!hf_list_linked(&session->deferred))
        hf_list_append(&hub->deferred, &session->deferred);
    hf_loop_at_turn_end(hub->process->loop, &hub->turn);
}

/* False: the session can do no more in this turn. */
static bool take_turn(struct hf_session *session, struct hf_member *member,
                      struct batch *batch)
{
    switch (feed(member, batch)) {
    case 0: /* others first, then it goes on */
        hf_list_remove(&member->ready);
        hf_list_append(&session->ready, &member->ready);
        return true;
    case HF_ENOTFOUND:
        hf_list_remove(&member->ready);
        return true;
    case HF_ECLOSED:
        return true;
    case HF_EAGAIN:
    case HF_EBUSY:
        defer(session);
        return false;
    case HF_EGAP:
        session->hub->counts.gaps++;
        hf_member_expel(member, "gap");
        return true;
    default:
        hf_session_fail(session, HF_CLOSE_FAULT);
        return false;
    }
}

void hf_session_expect(struct hf_session *session)
{
    struct hf_list *node = hf_list_first(&session->ready);

    if (!node)
        return;
    __builtin_prefetch(HF_ITEM(node, struct hf_member, ready));
    __builtin_prefetch(&HF_ITEM(node, struct hf_member, ready)->told);
}

size_t hf_session_take(struct hf_session *session, struct hf_msg **out,
                       size_t max, size_t max_bytes)
{
    struct batch batch = {out, 0, max, 0, max_bytes};
    struct hf_list *node;

    for (;;) {
        while (session->replies && has_room(&batch))
            take_answer(session, &session->replies, &session->replies_end,
                        &batch);
        node = hf_list_first(&session->ready);
        if (!node || !has_room(&batch) || session->closing)
            break;
        if (!take_turn(session, HF_ITEM(node, struct hf_member, ready), &batch))
            return batch.count;
    }
    if (!session->replies && session->ending)
        hf_session_fail(session, session->ending);
    if (!session->replies && hf_list_empty(&session->ready))
        session->woken = false;
    return batch.count;
}

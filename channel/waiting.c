#include "channel/waiting.h"

#include <assert.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/log.h"
#include "channel/limits.h"
#include "schema/sessions.h"

/* A topic that somebody waits for. */
struct hf_wait_topic {
    struct hf_list waits;
    size_t len;
    char name[];
};

/* --- topics -------------------------------------------------------------- */

static struct hf_str name_of(const struct hf_wait_topic *topic)
{
    return hf_str(topic->name, topic->len);
}

static struct hf_wait_topic *topic_for(struct hf_waiting *waiting,
                                       struct hf_str name)
{
    struct hf_wait_topic *topic = hf_map_get(&waiting->topics, name);

    if (topic)
        return topic;
    topic = calloc(1, sizeof(*topic) + name.len);
    if (!topic)
        return NULL;
    hf_list_init(&topic->waits);
    topic->len = name.len;
    memcpy(topic->name, name.at, name.len);
    if (hf_map_put(&waiting->topics, name_of(topic), topic)) {
        free(topic);
        return NULL;
    }
    hf_wake_add(waiting->wake, name);
    return topic;
}

static void drop_topic(struct hf_waiting *waiting, struct hf_wait *wait)
{
    struct hf_wait_topic *topic = wait->topic;

    if (!topic)
        return;
    wait->topic = NULL;
    hf_list_remove(&wait->in_topic);
    if (!hf_list_empty(&topic->waits))
        return;
    (void)hf_map_remove(&waiting->topics, name_of(topic));
    hf_wake_drop(waiting->wake, name_of(topic));
    free(topic);
}

/* The waiter's place for its n-th topic. */
static struct hf_wait *wait_at(struct hf_waiter *waiter, size_t n)
{
    return n == 0 ? &waiter->first : &waiter->more[n - 1];
}

static void drop_topics(struct hf_waiting *waiting, struct hf_waiter *waiter)
{
    uint32_t n;

    drop_topic(waiting, &waiter->first);
    for (n = 0; n < waiter->more_count; n++)
        drop_topic(waiting, &waiter->more[n]);
    free(waiter->more);
    waiter->more = NULL;
    waiter->more_count = 0;
}

static size_t count_topics(const struct hf_wait_for *what)
{
    struct hf_str name;
    size_t at = 0, count = 0;

    while (what->next(what->ctx, &at, &name))
        count++;
    return count;
}

static int wait_for(struct hf_waiting *waiting, struct hf_waiter *waiter,
                    struct hf_wait *wait, struct hf_str name)
{
    struct hf_wait_topic *topic = topic_for(waiting, name);

    if (!topic)
        return HF_ENOMEM;
    wait->waiter = waiter;
    wait->topic = topic;
    hf_list_append(&topic->waits, &wait->in_topic);
    return 0;
}

/* Of a waiter that waits for none. 0 or HF_ENOMEM: none still. */
static int add_topics(struct hf_waiting *waiting, struct hf_waiter *waiter,
                      const struct hf_wait_for *what)
{
    size_t count = count_topics(what), at = 0, n = 0;
    struct hf_str name;
    int err = 0;

    if (count > 1) {
        waiter->more = calloc(count - 1, sizeof(*waiter->more));
        if (!waiter->more)
            return HF_ENOMEM;
        waiter->more_count = (uint32_t)(count - 1);
    }
    while (err == 0 && n < count && what->next(what->ctx, &at, &name))
        err = wait_for(waiting, waiter, wait_at(waiter, n++), name);
    if (err)
        drop_topics(waiting, waiter);
    return err;
}

static bool same_topics(struct hf_waiter *waiter,
                        const struct hf_wait_for *what)
{
    size_t count = waiter->first.topic ? 1u + waiter->more_count : 0;
    struct hf_str name;
    size_t at = 0, n;

    for (n = 0; n < count; n++) {
        if (!what->next(what->ctx, &at, &name) ||
            !hf_str_eq(name, name_of(wait_at(waiter, n)->topic)))
            return false;
    }
    return !what->next(what->ctx, &at, &name);
}

/* Another node in the place of this one in the same list. */
static void move_wait(struct hf_wait *to, struct hf_wait *from)
{
    *to = (struct hf_wait){.waiter = from->waiter, .topic = from->topic};
    if (from->topic)
        hf_list_append(&from->in_topic, &to->in_topic);
    hf_list_remove(&from->in_topic);
    from->topic = NULL;
}

/* The former topics go last, so that those which stay are heard all the time. */
static int change_topics(struct hf_waiting *waiting, struct hf_waiter *waiter,
                         const struct hf_wait_for *what)
{
    struct hf_waiter former = {.more = waiter->more,
                               .more_count = waiter->more_count};
    int err;

    move_wait(&former.first, &waiter->first);
    waiter->more = NULL;
    waiter->more_count = 0;
    err = add_topics(waiting, waiter, what);
    drop_topics(waiting, &former);
    return err;
}

/* --- waiting ------------------------------------------------------------- */

static struct hf_str session_of(struct hf_waiter *waiter)
{
    return waiter->kind->session ? waiter->kind->session(waiter)
                                 : hf_str(NULL, 0);
}

static void make_clean(struct hf_waiter *waiter)
{
    struct hf_waiting *waiting = waiter->waiting;

    hf_list_remove(&waiter->node);
    if (waiter->dirty)
        waiting->dirty_count--;
    waiter->dirty = false;
}

/* What was committed between reading and listening rang no bell of ours; and
 * a page may have held nothing but what is not for this waiter. */
static void look_again(struct hf_waiter *waiter, const struct hf_wait_for *what)
{
    struct hf_waiting *waiting = waiter->waiting;
    uint64_t head;

    if (what->more)
        hf_waiting_tell(waiter);
    if (waiting->sharing) /* the head in its snapshot is that of before */
        waiting->again = true;
    else if (hf_journal_head(waiting->process->journal, &head) == 0 &&
             head > what->head)
        hf_waiting_soon(waiting);
}

static void deadline(struct hf_timer *timer)
{
    struct hf_waiter *waiter = HF_ITEM(timer, struct hf_waiter, deadline);

    waiter->kind->deadline(waiter);
}

int hf_waiting_park(struct hf_waiting *waiting, struct hf_waiter *waiter,
                    const struct hf_wait_for *what, int64_t hold_ms)
{
    struct hf_loop *loop = waiting->process->loop;
    struct hf_str session = session_of(waiter);
    int err;

    assert(!waiter->waiting);
    if (waiting->count == 0) {
        waiting->cursor = what->head; /* nobody waited for what lies before */
        waiting->epoch = hf_journal_epoch(waiting->process->journal);
    }
    err = add_topics(waiting, waiter, what);
    if (err)
        return err;
    if (session.len > 0)
        err = hf_map_put(&waiting->sessions, session, waiter);
    waiter->deadline.fire = deadline;
    if (err == 0)
        err = hf_loop_arm(loop, &waiter->deadline, hold_ms * 1000);
    if (err) {
        (void)hf_map_remove(&waiting->sessions, session);
        drop_topics(waiting, waiter);
        return err;
    }
    waiter->waiting = waiting;
    hf_list_append(&waiting->waiters, &waiter->node);
    if (session.len > 0)
        hf_wake_add(waiting->wake, session);
    waiting->count++;
    look_again(waiter, what);
    return 0;
}

int hf_waiting_go_on(struct hf_waiter *waiter, const struct hf_wait_for *what)
{
    if (!same_topics(waiter, what)) {
        int err = change_topics(waiter->waiting, waiter, what);

        if (err)
            return err;
    }
    look_again(waiter, what);
    return 0;
}

void hf_waiting_leave(struct hf_waiter *waiter)
{
    struct hf_waiting *waiting = waiter->waiting;
    struct hf_str session;

    if (!waiting)
        return;
    session = session_of(waiter);
    drop_topics(waiting, waiter);
    if (session.len > 0)
        hf_wake_drop(waiting->wake, session);
    if (hf_waiting_of(waiting, session) == waiter)
        (void)hf_map_remove(&waiting->sessions, session);
    make_clean(waiter);
    hf_loop_disarm(waiting->process->loop, &waiter->deadline);
    waiting->count--;
    waiter->waiting = NULL;
}

struct hf_waiter *hf_waiting_of(const struct hf_waiting *waiting,
                                struct hf_str session)
{
    return session.len > 0 ? hf_map_get(&waiting->sessions, session) : NULL;
}

/* --- reading for several -------------------------------------------------- */

void hf_waiting_share(struct hf_waiting *waiting)
{
    assert(!waiting->sharing);
    hf_wake_start(waiting->wake); /* it writes, which would end the snapshot */
    waiting->sharing = hf_journal_snapshot(waiting->process->journal) == 0;
    waiting->snapshots++;
}

void hf_waiting_share_end(struct hf_waiting *waiting)
{
    if (waiting->sharing)
        hf_journal_snapshot_end(waiting->process->journal);
    waiting->sharing = false;
    if (waiting->again)
        hf_waiting_soon(waiting);
    waiting->again = false;
}

uint64_t hf_waiting_snapshot(const struct hf_waiting *waiting)
{
    return waiting->sharing && hf_journal_in_snapshot(waiting->process->journal)
               ? waiting->snapshots
               : 0;
}

/* --- telling ------------------------------------------------------------- */

void hf_waiting_tell(struct hf_waiter *waiter)
{
    struct hf_waiting *waiting = waiter->waiting;

    if (!waiter->dirty) {
        hf_list_remove(&waiter->node);
        hf_list_append(&waiting->dirty, &waiter->node);
        waiter->dirty = true;
        waiting->dirty_count++;
    }
    hf_loop_at_turn_end(waiting->process->loop, &waiting->turn);
}

void hf_waiting_tell_all(struct hf_waiting *waiting)
{
    struct hf_list *node;

    while ((node = hf_list_first(&waiting->waiters)) != NULL)
        hf_waiting_tell(HF_ITEM(node, struct hf_waiter, node));
}

/* Those that have more to read come behind the end of the list as it is now,
 * so that each reads a page a turn. */
static void tell_each(struct hf_waiting *waiting)
{
    size_t left = waiting->dirty_count < HF_WAITING_TURN ? waiting->dirty_count
                                                         : HF_WAITING_TURN;
    struct hf_list *node;

    while (left-- > 0 && (node = hf_list_first(&waiting->dirty)) != NULL) {
        struct hf_waiter *waiter = HF_ITEM(node, struct hf_waiter, node);

        make_clean(waiter);
        hf_list_append(&waiting->waiters, &waiter->node);
        waiter->kind->came(waiter);
    }
}

/* One row is read by all who wait for it. */
static void tell_dirty(struct hf_waiting *waiting)
{
    struct hf_live *live = waiting->process->live;

    if (hf_list_empty(&waiting->dirty))
        return;
    hf_waiting_share(waiting);
    hf_live_share(live);
    tell_each(waiting);
    hf_live_share_end(live);
    hf_waiting_share_end(waiting);
    if (!hf_list_empty(&waiting->dirty))
        hf_loop_at_turn_end(waiting->process->loop, &waiting->turn);
}

/* --- what came ----------------------------------------------------------- */

static int row_came(void *ctx, const struct hf_row *row)
{
    const struct hf_waiting *waiting = ctx;
    struct hf_wait_topic *topic = hf_map_get(&waiting->topics, row->topic);
    struct hf_list *node, *tmp;

    if (!topic)
        return 0;
    HF_LIST_EACH(node, tmp, &topic->waits)
    hf_waiting_tell(HF_ITEM(node, struct hf_wait, in_topic)->waiter);
    return 0;
}

static int frame_came(void *ctx, uint64_t id, struct hf_str session)
{
    struct hf_waiter *waiter = hf_waiting_of(ctx, session);

    (void)id;
#ifndef HF_BROKEN_NO_SESSION_BELL
    if (waiter)
        hf_waiting_tell(waiter);
#endif
    return 0;
}

static int look_in_snapshot(struct hf_waiting *waiting)
{
    struct hf_journal *journal = waiting->process->journal;
    uint64_t head, at = waiting->cursor;
    bool more = true, changed = false;
    int err = hf_journal_head(journal, &head);

    if (err == 0 && hf_journal_epoch(journal) != waiting->epoch) {
        waiting->epoch = hf_journal_epoch(journal);
        waiting->cursor = head;
        hf_waiting_tell_all(waiting);
        return 0;
    }
    if (err == 0)
        err = hf_rights_refresh(waiting->process->rights, journal, &changed);
    if (err == 0 && changed)
        hf_waiting_tell_all(waiting); /* each looks at what it may */
    while (err == 0 && more)
        err = hf_journal_read_topics(journal, at, HF_PAGE_ROWS, row_came,
                                     waiting, &at, &more);
    for (at = waiting->cursor, more = true; err == 0 && more;)
        err = hf_frames_owners(journal, at, HF_PAGE_ROWS, frame_came, waiting,
                               &at, &more);
    if (err == 0)
        waiting->cursor = head;
    return err;
}

static struct hf_waiter *any(const struct hf_waiting *waiting)
{
    struct hf_list *node = hf_list_first(&waiting->waiters);

    if (!node)
        node = hf_list_first(&waiting->dirty);
    return node ? HF_ITEM(node, struct hf_waiter, node) : NULL;
}

/* The journal's files were replaced below this process, which can read no more
 * of it. */
static void fail_all(struct hf_waiting *waiting)
{
    struct hf_waiter *waiter;

    while ((waiter = any(waiting)) != NULL)
        waiter->kind->fail(waiter);
}

static void look(struct hf_waiting *waiting)
{
    struct hf_journal *journal = waiting->process->journal;
    int err = hf_journal_snapshot(journal);

    if (err == 0) {
        err = look_in_snapshot(waiting);
        hf_journal_snapshot_end(journal);
    }
    if (err == HF_EREPLACED) /* the journal has said why */
        fail_all(waiting);
    else if (err)
        HF_LOG(HF_LOG_WARN, "tail_failed", hf_field("why", hf_strerror(err)),
               hf_field("next", "polls look again at their deadline"));
}

static void end_of_turn(struct hf_turn *turn)
{
    struct hf_waiting *waiting = HF_ITEM(turn, struct hf_waiting, turn);

    if (waiting->grown && waiting->count > 0)
        look(waiting);
    waiting->grown = false;
    tell_dirty(waiting);
}

void hf_waiting_soon(struct hf_waiting *waiting)
{
    waiting->grown = true;
    hf_loop_at_turn_end(waiting->process->loop, &waiting->turn);
}

static void grown(void *ctx)
{
    hf_waiting_soon(ctx);
}

static void rung(void *ctx)
{
    struct hf_waiting *waiting = ctx;

    waiting->rung(waiting);
}

/* --- all ----------------------------------------------------------------- */

static void each_in(struct hf_list *list, const struct hf_waiter_kind *kind,
                    void (*each)(struct hf_waiter *waiter))
{
    struct hf_list *node, *tmp;

    HF_LIST_EACH(node, tmp, list)
    {
        struct hf_waiter *waiter = HF_ITEM(node, struct hf_waiter, node);

        if (waiter->kind == kind)
            each(waiter);
    }
}

void hf_waiting_each(struct hf_waiting *waiting,
                     const struct hf_waiter_kind *kind,
                     void (*each)(struct hf_waiter *waiter))
{
    each_in(&waiting->dirty, kind, each); /* first: the others may join them */
    each_in(&waiting->waiters, kind, each);
}

void hf_waiting_release(struct hf_waiting *waiting)
{
    struct hf_waiter *waiter;

    while ((waiter = any(waiting)) != NULL)
        waiter->kind->release(waiter);
}

int hf_waiting_open(struct hf_waiting *waiting, struct hf_process *process,
                    void (*on_ring)(struct hf_waiting *waiting))
{
    int err;

    *waiting = (struct hf_waiting){
        .process = process, .rung = on_ring, .turn.end = end_of_turn};
    hf_list_init(&waiting->waiters);
    hf_list_init(&waiting->dirty);
    err = hf_wake_new(process->loop, &process->dir, process->journal, grown,
                      waiting, &waiting->wake);
    if (err)
        return err;
    hf_wake_on_ring(waiting->wake, rung);
    if (!process->threaded)
        hf_wake_without_descriptors(waiting->wake);
    return 0;
}

void hf_waiting_close(struct hf_waiting *waiting)
{
    assert(waiting->count == 0);
    hf_loop_cancel_turn(&waiting->turn);
    if (waiting->wake)
        hf_wake_free(waiting->wake);
    hf_map_release(&waiting->topics);
    hf_map_release(&waiting->sessions);
    waiting->wake = NULL;
}

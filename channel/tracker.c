#include "channel/tracker.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "channel/session_state.h"
#include "channel/token.h"

#define OPS_MAX  10000u /* that wait; beyond, joins that track are refused */
#define OPS_JOB  512u   /* in one job */
#define RETRY_MS 1000

enum what { TRACK, LEAVE, ENTRUST };

/* One thing to be done, with the texts it needs. */
struct hf_tracker_op {
    struct hf_tracker_op *next;
    enum what what;
    struct hf_member
        *member; /* TRACK: told when it fails; NULL: it has ended */
    struct hf_hold hold;
    struct hf_str topic, key, meta; /* in bytes */
    int err;
    char bytes[];
};

struct list {
    struct hf_tracker_op *first, **end;
    size_t count;
};

struct hf_tracker {
    struct hf_hub *hub;
    struct list waiting;
    struct list under_way; /* the job's */
    struct hf_job job;
    bool writing;     /* the job is the writer's */
    bool failing;     /* it failed; again by timer */
    struct list last; /* of the last job, behind that one */
    struct hf_job last_job;
    int64_t last_end_ms; /* when it gives up */
    struct hf_turn turn;
    struct hf_timer retry, renew;
    uint64_t members; /* numbers given */
    size_t tracking;  /* members that are present */
    char lease[HF_OWNER_LEN + 1];
    int64_t seen_ms; /* hf_boot_ms of its last renewal; 0 = there is none */
    /* the state last read, good for this turn */
    struct hf_buf state;
    uint64_t state_at;
    size_t state_topic_len; /* 0 = none */
    char state_topic[HF_TOPIC_MAX];
};

/* --- lists ------------------------------------------------------------------ */

static void list_init(struct list *list)
{
    *list = (struct list){.first = NULL};
    list->end = &list->first;
}

static void list_add(struct list *list, struct hf_tracker_op *op)
{
    op->next = NULL;
    *list->end = op;
    list->end = &op->next;
    list->count++;
}

static struct hf_tracker_op *list_take(struct list *list)
{
    struct hf_tracker_op *op = list->first;

    if (!op)
        return NULL;
    list->first = op->next;
    if (!list->first)
        list->end = &list->first;
    list->count--;
    return op;
}

/* Put `front` before `list`; it is empty afterwards. */
static void list_put_back(struct list *list, struct list *front)
{
    if (!front->first)
        return;
    *front->end = list->first;
    if (!list->first)
        list->end = front->end;
    list->first = front->first;
    list->count += front->count;
    list_init(front);
}

static void list_free(struct list *list)
{
    struct hf_tracker_op *op;

    while ((op = list_take(list)) != NULL) {
        if (op->member)
            op->member->asked = NULL;
        free(op);
    }
}

/* --- the lease --------------------------------------------------------------- */

static int64_t lease_ms(const struct hf_tracker *t)
{
    return t->hub->process->settings.lease_ms;
}

static void arm_renewal(struct hf_tracker *t, int64_t ms)
{
    (void)hf_loop_arm(t->hub->process->loop, &t->renew, ms * 1000);
}

/* Renew it. A live.db that does not take it is no harm for a while: a lease
 * that is not known there begins when it is missed. */
static int renew(struct hf_tracker *t)
{
    int err = hf_live_grant(t->hub->process->live,
                            hf_str(t->lease, sizeof(t->lease)), 0);

    if (err == 0)
        t->seen_ms = hf_boot_ms();
    arm_renewal(t, err ? RETRY_MS : lease_ms(t) / 3);
    return err;
}

static int begin_lease(struct hf_tracker *t)
{
    char name[HF_OWNER_LEN];
    int err = hf_token_new_session(name);

    if (err)
        return err;
    t->lease[0] = '@';
    memcpy(t->lease + 1, name, sizeof(name));
    t->seen_ms = hf_boot_ms();
    (void)renew(t);
    return 0;
}

static bool is_over(const struct hf_tracker *t)
{
    return !t->seen_ms || hf_boot_ms() - t->seen_ms >= lease_ms(t);
}

static struct hf_member *any_present(const struct hf_hub *hub)
{
    struct hf_topic *topic;
    size_t at = 0;

    while ((topic = hf_map_next(&hub->topics, &at)) != NULL) {
        struct hf_list *node, *tmp;

        HF_LIST_EACH(node, tmp, &topic->members)
        {
            struct hf_member *member =
                HF_ITEM(node, struct hf_member, in_topic);

            if (member->present)
                return member;
        }
    }
    return NULL;
}

/* Others may have been told that they left. */
static void lose_lease(struct hf_tracker *t)
{
    struct hf_member *member;

    HF_LOG(HF_LOG_WARN, "presence_lease_over",
           hf_field_i("members", (long long)t->tracking),
           hf_field("effect", "they join again"));
    t->seen_ms = 0;
    while (t->tracking > 0 && (member = any_present(t->hub)) != NULL)
        hf_member_expel(member, HF_LEASE_REASON);
}

static void on_renew(struct hf_timer *timer)
{
    struct hf_tracker *t = HF_ITEM(timer, struct hf_tracker, renew);

    if (t->tracking == 0 && !t->waiting.first && !t->writing) {
        t->seen_ms = 0; /* until somebody is present again */
        return;
    }
    hf_leases_follow(t->hub->process);
    if (is_over(t))
        lose_lease(t);
    else
        (void)renew(t);
}

/* --- the job ------------------------------------------------------------------ */

static int do_op(struct hf_tracker_op *op, struct hf_journal *journal)
{
    struct hf_holder holder = hf_holder_of(&op->hold);

    switch (op->what) {
    case TRACK:
        return hf_presence_track(journal, &holder, op->topic, op->key, op->meta,
                                 HF_TRACK);
    case LEAVE:
        return hf_presence_leave(journal, holder.session, holder.member);
    case ENTRUST:
        return hf_presence_entrust(journal, holder.session, holder.lease);
    }
    return 0;
}

/* At most OPS_JOB of them, from *op to where *op is then. What a client got wrong
 * is its own; the rest goes on. */
static int do_some(struct hf_tracker_op **op, struct hf_journal *journal)
{
    size_t n;

    for (n = 0; *op && n < OPS_JOB; n++, *op = (*op)->next) {
        (*op)->err = do_op(*op, journal);
        if ((*op)->err && !hf_presence_reason((*op)->err))
            return (*op)->err;
    }
    return 0;
}

/* Writer thread. */
static int run(struct hf_job *job, struct hf_journal *journal)
{
    struct hf_tracker *t = HF_ITEM(job, struct hf_tracker, job);
    struct hf_tracker_op *op = t->under_way.first;

    return do_some(&op, journal);
}

static void finish_op(struct hf_tracker_op *op)
{
    struct hf_member *member = op->member;

    if (member)
        member->asked = NULL;
    if (member && op->err)
        hf_member_expel(member, hf_presence_reason(op->err));
    free(op);
}

static void submit(struct hf_tracker *t);

static void done(struct hf_job *job, int err)
{
    struct hf_tracker *t = HF_ITEM(job, struct hf_tracker, job);
    struct hf_tracker_op *op;

    t->writing = false;
    if (err) {
        list_put_back(&t->waiting, &t->under_way);
        t->failing = true;
        (void)hf_loop_arm(t->hub->process->loop, &t->retry, RETRY_MS * 1000);
        return;
    }
    while ((op = list_take(&t->under_way)) != NULL)
        finish_op(op);
    hf_hub_soon(t->hub); /* nobody rings us for our own rows */
    if (t->waiting.first)
        submit(t);
}

static void submit(struct hf_tracker *t)
{
    struct hf_writer *writer = t->hub->process->writer;

    if (t->writing || t->failing || !writer)
        return;
    while (t->waiting.first && t->under_way.count < OPS_JOB)
        list_add(&t->under_way, list_take(&t->waiting));
    if (!t->under_way.first)
        return;
    t->job = (struct hf_job){.run = run,
                             .done = done,
                             .item.cost = t->under_way.count *
                                          (sizeof(struct hf_tracker_op) + 512)};
    t->writing = true;
    if (hf_writer_submit(writer, &t->job))
        done(&t->job, HF_EBUSY); /* its queue is full */
}

static void on_retry(struct hf_timer *timer)
{
    struct hf_tracker *t = HF_ITEM(timer, struct hf_tracker, retry);

    t->failing = false;
    submit(t);
}

static void on_turn_end(struct hf_turn *turn)
{
    struct hf_tracker *t = HF_ITEM(turn, struct hf_tracker, turn);

    submit(t);
    hf_buf_release(&t->state);
    t->state_topic_len = 0;
}

static void at_turn_end(struct hf_tracker *t)
{
    hf_loop_at_turn_end(t->hub->process->loop, &t->turn);
}

/* --- what sockets do ------------------------------------------------------------ */

static void fill_hold(const struct hf_tracker *t, struct hf_member *member,
                      struct hf_hold *out)
{
    struct hf_session *session = member->session;
    struct hf_str id = hf_session_id(session);
    struct hf_str owner = hf_presence_owner_of(&session->client, id);

    *out = (struct hf_hold){.member = member->number};
    memcpy(out->owner, owner.at, owner.len);
    memcpy(out->session, id.at, id.len);
    memcpy(out->lease, t->lease, sizeof(t->lease));
}

/* From now on its end has to be told. */
static void make_present(struct hf_tracker *t, struct hf_member *member)
{
    if (member->present)
        return;
    member->present = true;
    member->session->present++;
    t->tracking++;
}

static void make_absent(struct hf_tracker *t, struct hf_member *member)
{
    member->present = false;
    member->session->present--;
    t->tracking--;
}

static int hold(struct hf_tracker *t, struct hf_member *member,
                struct hf_hold *out)
{
    int err = is_over(t) ? begin_lease(t) : 0;

    if (!err && hf_session_id(member->session).len != HF_OWNER_LEN)
        err = HF_EIO; /* no random bytes for a name */
    if (err)
        return err;
    fill_hold(t, member, out);
    make_present(t, member);
    return 0;
}

static struct hf_str put(char **at, struct hf_str s)
{
    struct hf_str copy = {*at, s.len};

    if (s.len > 0)
        memcpy(*at, s.at, s.len);
    *at += s.len;
    return copy;
}

static struct hf_tracker_op *op_new(enum what what, struct hf_str topic,
                                    struct hf_str key, struct hf_str meta)
{
    struct hf_tracker_op *op =
        calloc(1, sizeof(*op) + topic.len + key.len + meta.len);
    char *at;

    if (!op)
        return NULL;
    op->what = what;
    at = op->bytes;
    op->topic = put(&at, topic);
    op->key = put(&at, key);
    op->meta = put(&at, meta);
    return op;
}

const char *hf_tracker_refused(struct hf_tracker *t,
                               const struct hf_frame *frame,
                               struct hf_str owner,
                               const struct hf_presence_join *presence)
{
    int err;

    if (presence->refused || presence->meta.len == 0)
        return presence->refused;
    if (t->waiting.count >= OPS_MAX)
        return "busy";
    err = hf_presence_room(t->hub->process->journal, owner, frame->topic,
                           presence->key, presence->meta);
    return err ? (hf_presence_reason(err) ? hf_presence_reason(err) : "busy")
               : NULL;
}

int hf_tracker_joined(struct hf_member *member, struct hf_str meta)
{
    struct hf_tracker *t = member->topic->hub->tracker;
    struct hf_tracker_op *op;
    int err;

    member->number = ++t->members;
    member->told = member->key_len > 0 ? 0 : UINT64_MAX;
    member->owed = member->key_len > 0;
    if (meta.len == 0)
        return 0;
    op = op_new(TRACK, hf_topic_name(member->topic), hf_member_key(member),
                meta);
    if (!op)
        return HF_ENOMEM;
    err = hold(t, member, &op->hold);
    if (err) {
        free(op);
        return err;
    }
    op->member = member;
    member->asked = op;
    list_add(&t->waiting, op);
    at_turn_end(t);
    return 0;
}

void hf_tracker_left(struct hf_member *member)
{
    struct hf_tracker *t = member->topic->hub->tracker;
    struct hf_tracker_op *op = member->asked;

    if (op)
        op->member = NULL;
    member->asked = NULL;
    if (!member->present)
        return;
    make_absent(t, member);
    op = op_new(LEAVE, HF_STR(""), HF_STR(""), HF_STR(""));
    if (!op) /* it stays until this worker's lease ends */
        return;
    fill_hold(t, member, &op->hold);
    list_add(&t->waiting, op);
    at_turn_end(t);
}

void hf_tracker_gone(struct hf_session *session)
{
    struct hf_tracker *t = session->hub->tracker;
    struct hf_list *node, *tmp;
    struct hf_tracker_op *op = NULL;

    if (!session->client.owned || session->given_up)
        return;
    HF_LIST_EACH(node, tmp, &session->members)
    {
        struct hf_member *member = HF_ITEM(node, struct hf_member, in_session);

        if (!member->present)
            continue;
        if (!op)
            op = op_new(ENTRUST, HF_STR(""), HF_STR(""), HF_STR(""));
        if (!op)
            return;
        fill_hold(t, member, &op->hold);
        make_absent(t, member); /* its end is told by the lease */
    }
    if (!op)
        return;
    op->hold.lease[0] = '@';
    memcpy(op->hold.lease + 1, op->hold.session, sizeof(op->hold.session));
    (void)hf_live_grant(t->hub->process->live,
                        hf_str(op->hold.lease, sizeof(op->hold.lease)),
                        lease_ms(t) / 3 * 2);
    list_add(&t->waiting, op);
    at_turn_end(t);
}

int hf_tracker_hold(struct hf_member *member, struct hf_hold *out)
{
    struct hf_tracker *t = member->topic->hub->tracker;

    submit(t); /* the writer keeps the order */
    if (t->failing || t->waiting.first)
        return HF_EBUSY;
    return hold(t, member, out);
}

/* --- the state -------------------------------------------------------------------- */

static int read_state(struct hf_tracker *t, struct hf_str topic)
{
    struct hf_journal *journal = t->hub->process->journal;
    uint64_t head;
    int err = hf_journal_head(journal, &head);

    if (err)
        return err;
    if (hf_journal_epoch(journal) != t->hub->epoch) {
        hf_hub_soon(t->hub); /* which tells everybody */
        return HF_EAGAIN;
    }
    if (t->state_at == head &&
        hf_str_eq(topic, hf_str(t->state_topic, t->state_topic_len)))
        return 0;
    t->state_topic_len = 0;
    hf_buf_release(&t->state);
    hf_buf_init(&t->state, HF_PRESENCE_STATE_MAX);
    err = hf_presence_state(journal, topic, &t->state);
    if (err)
        return err;
    t->state_at = head;
    memcpy(t->state_topic, topic.at, topic.len);
    t->state_topic_len = topic.len;
    at_turn_end(t);
    return 0;
}

int hf_tracker_state(struct hf_member *member, struct hf_msg **out)
{
    struct hf_tracker *t = member->topic->hub->tracker;
    struct hf_journal *journal = t->hub->process->journal;
    int err = hf_journal_snapshot(journal);

    if (err)
        return err;
    err = read_state(t, hf_topic_name(member->topic));
    hf_journal_snapshot_end(journal);
    if (err)
        return err;
    *out = hf_msg_push(member, HF_STR("presence_state"), HF_KIND_JSON,
                       hf_buf_str(&t->state));
    if (!*out)
        return HF_ENOMEM;
    member->owed = false;
    member->told = t->state_at;
    return 0;
}

/* --- life --------------------------------------------------------------------------- */

int hf_tracker_open(struct hf_hub *hub, struct hf_tracker **out)
{
    struct hf_tracker *t = calloc(1, sizeof(*t));

    if (!t)
        return HF_ENOMEM;
    t->hub = hub;
    list_init(&t->waiting);
    list_init(&t->under_way);
    list_init(&t->last);
    t->turn.end = on_turn_end;
    t->retry.fire = on_retry;
    t->renew.fire = on_renew;
    *out = t;
    return 0;
}

/* --- the end ------------------------------------------------------------------------ */

/* One transaction; *op stays where it is if it fails. */
static int write_some(struct hf_tracker_op **op, struct hf_journal *journal)
{
    struct hf_tracker_op *next = *op;
    int err = hf_journal_begin(journal);

    if (err)
        return err;
    err = do_some(&next, journal);
    if (err)
        hf_journal_rollback(journal);
    else
        err = hf_journal_commit(journal);
    if (err == 0)
        *op = next;
    return err;
}

static int write_all(const struct hf_tracker *t, struct hf_tracker_op *op,
                     struct hf_journal *journal)
{
    int err = 0;

    while (op && err == 0)
        err = hf_boot_ms() < t->last_end_ms ? write_some(&op, journal)
                                            : HF_ECLOSED;
    return err;
}

/* Writer thread, behind the job under way, which is done again if it failed. */
static int run_last(struct hf_job *job, struct hf_journal *journal)
{
    struct hf_tracker *t = HF_ITEM(job, struct hf_tracker, last_job);
    int err = 0;

    if (t->under_way.first && t->job.err)
        err = write_all(t, t->under_way.first, journal);
    return err ? err : write_all(t, t->last.first, journal);
}

static void last_done(struct hf_job *job, int err)
{
    struct hf_tracker *t = HF_ITEM(job, struct hf_tracker, last_job);

    if (err)
        HF_LOG(HF_LOG_WARN, "presence_not_ended",
               hf_field_i("operations", (long long)t->last.count),
               hf_field("why", hf_strerror(err)),
               hf_field("effect", "some are there until the lease ends"));
}

/* All that waits, as one job with transactions of its own: nobody could submit
 * the next one when this is done. Its cost is none, for it takes no more room
 * than it did while it waited, and must not be refused for want of it. */
void hf_tracker_finish(struct hf_tracker *t)
{
    struct hf_writer *writer = t ? t->hub->process->writer : NULL;

    if (!writer || (!t->waiting.first && !t->writing))
        return;
    hf_loop_disarm(t->hub->process->loop, &t->retry);
    list_put_back(&t->last, &t->waiting);
    t->last_end_ms = hf_boot_ms() + t->hub->process->settings.busy_ms;
    t->last_job =
        (struct hf_job){.run = run_last, .done = last_done, .alone = true};
    if (hf_writer_submit(writer, &t->last_job))
        last_done(&t->last_job, HF_EBUSY);
}

void hf_tracker_close(struct hf_tracker *t)
{
    if (!t)
        return;
    hf_loop_cancel_turn(&t->turn);
    hf_loop_disarm(t->hub->process->loop, &t->retry);
    hf_loop_disarm(t->hub->process->loop, &t->renew);
    list_free(&t->waiting);
    list_free(&t->under_way);
    list_free(&t->last);
    hf_buf_release(&t->state);
    free(t);
}

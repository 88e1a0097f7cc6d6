#include "channel/session_state.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "channel/once.h"
#include "channel/tracker.h"

/* A push on its way through the writer. */
struct hf_push {
    struct hf_job job;
    struct hf_session *session; /* NULL: the client is gone */
    struct hf_member *member;   /* NULL: its membership has ended */
    struct hf_answer *answer;   /* its place in the member's order */
    struct hf_push *next;       /* among orphans */
    struct hf_hub *hub;
    struct hf_publish publish;
    unsigned rate;      /* of its topic */
    int64_t retry_ms;   /* it has had enough: when to try again; else 0 */
    uint64_t epoch, id; /* of its row, or of the one it repeats */
    enum { MESSAGE, TRACKS, UNTRACKS } what;
    struct hf_hold hold; /* of presence, under publish.key */
    enum hf_vsn vsn;
    struct hf_str join_ref, ref, raw_topic;
    char bytes[];
};

static struct hf_str put(char **at, struct hf_str s)
{
    struct hf_str copy = {*at, s.len};

    if (s.len > 0)
        memcpy(*at, s.at, s.len);
    *at += s.len;
    return copy;
}

static struct hf_push *push_new(struct hf_member *member,
                                const struct hf_frame *frame,
                                const struct hf_once *once,
                                struct hf_str payload, struct hf_str skip)
{
    struct hf_str join_ref = hf_member_join_ref(member);
    size_t len = frame->topic.len + frame->event.len + payload.len +
                 once->publisher.len + once->key.len + once->after.len +
                 skip.len + join_ref.len + frame->ref.raw.len +
                 frame->raw_topic.raw.len;
    struct hf_push *push = calloc(1, sizeof(*push) + len);
    char *at;

    if (!push)
        return NULL;
    at = push->bytes;
    push->publish.topic = put(&at, frame->topic);
    push->publish.event = put(&at, frame->event);
    push->publish.payload = put(&at, payload);
    push->publish.publisher = put(&at, once->publisher);
    push->publish.key = put(&at, once->key);
    push->publish.after = put(&at, once->after);
    push->publish.kind = frame->kind;
    push->publish.skip = put(&at, skip);
    push->vsn = frame->vsn;
    push->join_ref = put(&at, join_ref);
    push->ref = put(&at, frame->ref.raw);
    push->raw_topic = put(&at, frame->raw_topic.raw);
    push->job.item.cost = sizeof(*push) + len;
    push->member = member;
    push->session = member->session;
    push->hub = member->session->hub;
    return push;
}

static int run_presence(struct hf_push *push, struct hf_journal *journal)
{
    struct hf_holder holder = hf_holder_of(&push->hold);
    const struct hf_publish *p = &push->publish;

    if (push->what == UNTRACKS)
        return hf_presence_untrack(journal, holder.owner, p->topic, p->key);
    return hf_presence_track(journal, &holder, p->topic, p->key, p->payload,
                             HF_TRACK);
}

/* Writer thread. */
static int push_run(struct hf_job *job, struct hf_journal *journal)
{
    struct hf_push *push = HF_ITEM(job, struct hf_push, job);
    bool repeated;
    int err;

    push->id = 0; /* a part may be run twice */
    push->epoch = hf_journal_epoch(journal);
    if (push->what != MESSAGE)
        return run_presence(push, journal);
    err =
        hf_topic_limited(journal, &push->publish, push->rate, &push->retry_ms);
    if (err || push->retry_ms > 0)
        return err;
    return hf_journal_append(journal, &push->publish, &push->id, &repeated);
}

static struct hf_msg *push_ok(const struct hf_push *push,
                              const struct hf_frame *frame)
{
    struct hf_cursor cursor = {push->epoch, push->id};
    struct hf_msg *msg = NULL;
    struct hf_buf response;

    if (push->publish.key.len == 0 || push->what != MESSAGE)
        return hf_msg_ok(frame, push->join_ref, HF_EMPTY);
    hf_buf_init(&response, 64); /* a cursor and its name */
    if (hf_push_response(&response, cursor) == 0)
        msg = hf_msg_ok(frame, push->join_ref, hf_buf_str(&response));
    hf_buf_release(&response);
    return msg;
}

static struct hf_msg *push_reply(const struct hf_push *push, int err)
{
    struct hf_frame frame = {.vsn = push->vsn,
                             .ref.raw = push->ref,
                             .raw_topic.raw = push->raw_topic};

    if (err && push->what != MESSAGE && hf_presence_reason(err))
        return hf_msg_refusal(&frame, push->join_ref, hf_presence_reason(err));
    if (err)
        return hf_msg_refusal(&frame, push->join_ref, hf_publish_reason(err));
    if (push->retry_ms > 0)
        return hf_msg_limited(&frame, push->join_ref, push->retry_ms);
    return push_ok(push, &frame);
}

void hf_push_orphan(struct hf_push *push)
{
    struct hf_session *session = push->session;

    push->member = NULL;
    push->answer = NULL;
    push->next = session->orphans;
    session->orphans = push;
}

void hf_push_abandon(struct hf_session *session)
{
    struct hf_push *push;

    for (push = session->orphans; push; push = push->next)
        push->session = NULL;
    session->orphans = NULL;
}

static void forget_orphan(struct hf_session *session,
                          const struct hf_push *push)
{
    struct hf_push **at = &session->orphans;

    while (*at && *at != push)
        at = &(*at)->next;
    if (*at)
        *at = push->next;
}

/* The push is journaled, or refused; only now anybody is told (G1). */
static void settle(struct hf_push *push, int err)
{
    struct hf_session *session = push->session;
    struct hf_member *member = push->member;
    struct hf_answer *answer = push->answer;
    struct hf_msg *msg = push_reply(push, err);

    if (!member) {
        forget_orphan(session, push);
        hf_reply(session, msg);
        hf_session_unstall(session); /* a leave may wait for it */
        return;
    }
    member->in_flight--;
    answer->push = NULL;
    answer->after = err ? 0 : push->id;
    answer->msg = msg;
    if (msg)
        session->waiting_bytes += msg->len;
    else
        hf_session_fail(session, HF_CLOSE_FAULT);
    hf_member_ready(member);
    if (member->in_flight == 0)
        hf_session_unstall(session);
}

/* For monitoring: is it the client's to do better, or ours? */
static void count(const struct hf_push *push, int err)
{
    struct hf_hub_counts *counts = &push->hub->counts;

    if (push->retry_ms > 0 || err == HF_EINVAL || err == HF_ECONFLICT ||
        err == HF_ELIMIT || err == HF_EDENIED || err == HF_EAGAIN)
        counts->pushes_refused++;
    else if (err)
        counts->pushes_failed++;
    else
        counts->pushes++;
}

static void push_done(struct hf_job *job, int err)
{
    struct hf_push *push = HF_ITEM(job, struct hf_push, job);

    if (err == 0)
        hf_hub_soon(push->hub); /* nobody rings us for our own row */
    else if (err == HF_ESTORE || err == HF_EIO)
        HF_LOG(HF_LOG_ERROR, "publish_failed",
               hf_field_s("topic", push->publish.topic),
               hf_field("why", hf_strerror(err)),
               hf_field("next", "see 'holdfast status'; the sender was told"));
    count(push, err);
    if (push->session)
        settle(push, err);
    free(push);
}

/* To the writer, with a place for its answer. */
static int hand_over(struct hf_member *member, const struct hf_frame *frame,
                     struct hf_push *push)
{
    struct hf_session *session = member->session;
    int err;

    push->answer = calloc(1, sizeof(*push->answer));
    if (!push->answer) {
        free(push);
        return HF_ENOMEM;
    }
    push->job.run = push_run;
    push->job.done = push_done;
    err = hf_writer_submit(session->hub->process->writer, &push->job);
    if (err) {
        session->hub->counts.pushes_failed++;
        free(push->answer);
        free(push);
        hf_reply_in_order(member,
                          hf_msg_refusal(frame, hf_member_join_ref(member),
                                         "busy")); /* the queue is full */
        return 0;
    }
    push->answer->push = push;
    hf_answer_append(&member->answers_end, push->answer);
    session->waiting++;
    member->in_flight++;
#ifdef HF_BROKEN_ACK_BEFORE_COMMIT
    hf_reply(session, hf_msg_ok(frame, hf_member_join_ref(member), HF_EMPTY));
#endif
    return 0;
}

static int submit(struct hf_member *member, const struct hf_frame *frame,
                  const struct hf_once *once, struct hf_grant grant)
{
    struct hf_session *session = member->session;
    struct hf_push *push =
        push_new(member, frame, once, frame->payload.raw,
                 grant.echo && !member->without_self ? HF_STR("")
                                                     : hf_session_id(session));

    if (!push)
        return HF_ENOMEM;
    push->rate = grant.rate;
    return hand_over(member, frame, push);
}
/* The application says what comes of it. */
static int ask(struct hf_member *member, const struct hf_frame *frame)
{
    int err = hf_ask(member->session, HF_HOOK_PUSH, frame);

    if (err == HF_ELIMIT || err == HF_ECONFLICT) {
        hf_reply_in_order(
            member, hf_msg_refusal(frame, hf_member_join_ref(member),
                                   err == HF_ELIMIT ? "busy" : "key_reused"));
        return 0;
    }
    return err;
}

/* As a push whose key is that of the presence, and its payload the meta. */
static int submit_presence(struct hf_member *member,
                           const struct hf_frame *frame,
                           const struct hf_presence_push *presence)
{
    struct hf_once once = {.key = hf_member_key(member)};
    struct hf_push *push =
        push_new(member, frame, &once, presence->meta, HF_STR(""));

    if (!push)
        return HF_ENOMEM;
    push->what = presence->tracks ? TRACKS : UNTRACKS;
    if (once.key.len > 0 && hf_tracker_hold(member, &push->hold) == 0)
        return hand_over(member, frame, push);
    free(push);
    hf_reply_in_order(
        member, hf_msg_refusal(frame, hf_member_join_ref(member),
                               once.key.len > 0 ? "busy" : "unauthorized"));
    return 0;
}

int hf_push_start(struct hf_member *member, const struct hf_frame *frame)
{
    struct hf_session *session = member->session;
    const struct hf_process *process = session->hub->process;
    struct hf_str join_ref = hf_member_join_ref(member);
    struct hf_grant grant =
        hf_rights_of(process->rights, &session->client, frame->topic);
    struct hf_once once;
    int64_t retry_ms;
    struct hf_presence_push presence;
    bool is_presence = hf_presence_of_push(frame, grant, &presence);
    const char *refusal =
        is_presence
            ? presence.refused
            : hf_push_refused(frame, grant, process->settings.max_payload);

    /* rights first: a key tells nobody what is in a topic */
    if (!refusal && !is_presence)
        refusal = hf_once_of(frame, session->client.user, &once);
    if (refusal) {
        session->hub->counts.pushes_refused++;
        hf_reply_in_order(member, hf_msg_refusal(frame, join_ref, refusal));
        return 0;
    }
    retry_ms = hf_rate_take(hf_push_rate(&process->settings),
                            &session->push_due_us, hf_boot_us());
    if (retry_ms > 0) {
        session->hub->counts.pushes_refused++;
        hf_reply_in_order(member, hf_msg_limited(frame, join_ref, retry_ms));
        return 0;
    }
    if (hf_asking_wanted(session, HF_HOOK_PUSH, frame->topic))
        return ask(member, frame);
    if (is_presence)
        return submit_presence(member, frame, &presence);
    return submit(member, frame, &once, grant);
}

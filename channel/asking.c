#include "channel/asking.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/log.h"
#include "channel/hook_effects.h"
#include "channel/hook_once.h"
#include "channel/session_state.h"
#include "channel/tracker.h"

struct hf_asking {
    struct hf_hook_call call;
    struct hf_job job;
    struct hf_list node;        /* in session->asking */
    struct hf_session *session; /* NULL: the client is gone */
    struct hf_hub *hub;
    enum hf_hook_kind kind;
    const char *reason;     /* of a leave */
    struct hf_asking *then; /* the leave of a member that was lost meanwhile */
    struct hf_hook_answer *answer;
    struct hf_hook_answer *kept; /* of its key: told instead */
    struct hf_once once;
    uint64_t *after; /* of each action, and of the end: the row before it */
    struct hf_client client; /* loop's thread */
    struct hf_str session_id;
    struct hf_hold hold; /* of presence */
    bool holds;
    struct hf_frame frame; /* slices of bytes */
    char bytes[];
};

static void answered(struct hf_hook_call *call, enum hf_hook_result result,
                     struct hf_hook_answer *answer);
static void settle(struct hf_asking *asking, int err);

/* --- a frame that is kept -------------------------------------------------- */

static void keep(struct hf_str *slice, char **at)
{
    if (slice->len > 0)
        memcpy(*at, slice->at, slice->len);
    slice->at = slice->at ? *at : NULL;
    *at += slice->len;
}

static size_t frame_bytes(const struct hf_frame *frame)
{
    return frame->join_ref.raw.len + frame->ref.raw.len +
           frame->raw_topic.raw.len + frame->payload.raw.len +
           frame->options.raw.len + frame->topic.len + frame->event.len;
}

static void keep_frame(struct hf_frame *frame, char **at)
{
    frame->made = NULL;
    keep(&frame->join_ref.raw, at);
    keep(&frame->ref.raw, at);
    keep(&frame->raw_topic.raw, at);
    keep(&frame->payload.raw, at);
    keep(&frame->options.raw, at);
    keep(&frame->topic, at);
    keep(&frame->event, at);
}

static struct hf_asking *asking_new(struct hf_hub *hub, struct hf_str id,
                                    const struct hf_client *client,
                                    enum hf_hook_kind kind,
                                    const struct hf_frame *frame,
                                    const char *reason)
{
    size_t len = frame_bytes(frame) + id.len;
    struct hf_asking *asking = calloc(1, sizeof(*asking) + len);
    char *at;

    if (!asking)
        return NULL;
    at = asking->bytes;
    asking->call.answered = answered;
    asking->job.item.cost = sizeof(*asking) + len;
    asking->hub = hub;
    asking->kind = kind;
    asking->reason = reason;
    asking->session_id = id;
    keep(&asking->session_id, &at);
    asking->client = hf_client_copy(client);
    asking->frame = *frame;
    keep_frame(&asking->frame, &at);
    return asking;
}

static void asking_free(struct hf_asking *asking)
{
    hf_hook_answer_free(asking->answer);
    hf_hook_answer_free(asking->kept);
    hf_client_release(&asking->client);
    free(asking->after);
    free(asking);
}

/* --- asking ------------------------------------------------------------------ */

static struct hf_asking *find(const struct hf_session *session,
                              struct hf_str topic)
{
    struct hf_list *node, *tmp;

    HF_LIST_EACH(node, tmp, &session->asking)
    {
        struct hf_asking *asking = HF_ITEM(node, struct hf_asking, node);

        if (hf_str_eq(asking->frame.topic, topic))
            return asking;
    }
    return NULL;
}

bool hf_asking_about(const struct hf_session *session, struct hf_str topic)
{
#ifdef HF_BROKEN_ASKING_OVERTAKEN
    return false; /* for tests: what this module must never do */
#endif
    return find(session, topic) != NULL;
}

size_t hf_asking_joins(const struct hf_session *session)
{
    struct hf_list *node, *tmp;
    size_t count = 0;

    HF_LIST_EACH(node, tmp, &session->asking)
    {
        struct hf_asking *asking = HF_ITEM(node, struct hf_asking, node);

        count += asking->kind == HF_HOOK_JOIN &&
                 !hf_member_find(session, asking->frame.topic);
    }
    return count;
}

static int call_hook(struct hf_asking *asking)
{
    const struct hf_frame *frame = &asking->frame;
    struct hf_hook_request request = {
        .kind = asking->kind,
        .session = asking->session_id,
        .user = asking->client.user,
        .topics = hf_client_topics(&asking->client),
        .params = hf_client_params(&asking->client),
        .transport = "websocket",
        .topic = frame->topic,
        .event = asking->kind == HF_HOOK_PUSH ? frame->event : HF_STR(""),
        .payload = {frame->payload.raw, frame->kind == HF_KIND_BINARY},
        .join_ref = frame->join_ref.raw,
        .ref = frame->ref.raw,
        .key = asking->once.key,
        .reason = asking->reason,
    };

    return hf_hooks_call(asking->hub->process->hooks, &asking->call, &request);
}

bool hf_asking_wanted(const struct hf_session *session, enum hf_hook_kind kind,
                      struct hf_str topic)
{
    return hf_hooks_want(session->hub->process->hooks, kind, topic);
}

int hf_ask(struct hf_session *session, enum hf_hook_kind kind,
           const struct hf_frame *frame)
{
    struct hf_asking *asking =
        asking_new(session->hub, hf_session_id(session), &session->client, kind,
                   frame, kind == HF_HOOK_LEAVE ? "left" : NULL);
    int err;

    if (!asking)
        return HF_ENOMEM;
    if (kind == HF_HOOK_PUSH) /* it was judged before */
        (void)hf_once_of(&asking->frame, asking->client.user, &asking->once);
    err = hf_hook_once_find(session->hub->process->journal, &asking->frame,
                            &asking->once, &asking->kept);
    if (err)
        err = err == HF_ECONFLICT ? err : call_hook(asking);
    if (err) {
        asking_free(asking);
        return err;
    }
    asking->session = session;
    hf_list_append(&session->asking, &asking->node);
    if (asking->kept) /* it was answered before */
        settle(asking, 0);
    return 0;
}

/* --- who was lost -------------------------------------------------------------- */

static void call_lost(struct hf_asking *leave)
{
    int err = call_hook(leave);

    if (err == 0)
        return;
    HF_LOG(HF_LOG_WARN, "leave_not_told",
           hf_field_s("topic", leave->frame.topic),
           hf_field("why", err == HF_ELIMIT ? "too many calls of hooks wait"
                                            : hf_strerror(err)));
    asking_free(leave);
}

/* A leave that nobody waits for; behind what is under way for its topic. */
void hf_asking_lost(const struct hf_member *member, const char *reason)
{
    struct hf_session *session = member->session;
    struct hf_str topic = hf_topic_name(member->topic);
    struct hf_frame frame = {.topic = topic,
                             .join_ref.raw = hf_member_join_ref(member)};
    struct hf_asking *before = find(session, topic);
    struct hf_asking *leave;

    if (!hf_asking_wanted(session, HF_HOOK_LEAVE, topic) ||
        (before && before->kind == HF_HOOK_LEAVE)) /* it is being told */
        return;
    leave = asking_new(session->hub, hf_session_id(session), &session->client,
                       HF_HOOK_LEAVE, &frame, reason);
    if (!leave)
        return; /* as when this process were killed */
    if (before && !before->then)
        before->then = leave;
    else
        call_lost(leave);
}

/* The application let somebody in who was gone by then: tell it so. */
static void leave_unjoined(const struct hf_asking *join)
{
    struct hf_frame frame = {.topic = join->frame.topic,
                             .join_ref.raw = join->frame.join_ref.raw};
    struct hf_asking *leave;

    if (!hf_hooks_want(join->hub->process->hooks, HF_HOOK_LEAVE, frame.topic))
        return;
    leave = asking_new(join->hub, join->session_id, &join->client,
                       HF_HOOK_LEAVE, &frame, "closed");
    if (leave)
        call_lost(leave);
}

void hf_asking_abandon(struct hf_session *session)
{
    struct hf_list *node;

    while ((node = hf_list_first(&session->asking)) != NULL) {
        hf_list_remove(node);
        HF_ITEM(node, struct hf_asking, node)->session = NULL;
    }
}

/* --- the end of it --------------------------------------------------------------- */

/* The topic's frames go on. */
static void finish(struct hf_asking *asking)
{
    struct hf_session *session = asking->session;
    struct hf_asking *then = asking->then;

    hf_list_remove(&asking->node);
    asking_free(asking);
    if (then)
        call_lost(then);
    if (session)
        hf_session_unstall(session);
}

void hf_asking_ended(struct hf_asking *asking, struct hf_member *member)
{
    if (member)
        hf_member_remove(member);
    finish(asking);
}

/* --- telling the client ------------------------------------------------------------ */

static enum hf_kind kind_of(const struct hf_hook_payload *payload)
{
    return payload->binary ? HF_KIND_BINARY : HF_KIND_JSON;
}

static const struct hf_hook_answer *told(const struct hf_asking *asking)
{
    return asking->kept ? asking->kept : asking->answer;
}

static struct hf_msg *reply_msg(const struct hf_asking *asking,
                                const struct hf_member *member)
{
    const struct hf_hook_answer *answer = told(asking);

    return hf_msg_reply(member, &asking->frame, answer->status,
                        kind_of(&answer->response), answer->response.text);
}

static struct hf_msg *send_msg(const struct hf_hook_action *action,
                               const struct hf_member *member)
{
    return hf_msg_push(member, action->event, kind_of(&action->payload),
                       action->payload.text);
}

/* The channel ends when its client has been sent all that comes before. */
static void end_channel(struct hf_asking *asking, struct hf_member *member,
                        uint64_t after)
{
    struct hf_msg *msg = asking->answer->crash
                             ? hf_msg_phx_error(member, "channel_crash")
                             : hf_msg_close(member);

    if (!hf_reply_after(member, msg, after, asking))
        hf_asking_ended(asking, member);
}

/* Messages to the sender, each behind the rows that come before it. */
static void tell(struct hf_asking *asking, struct hf_member *member)
{
    const struct hf_hook_answer *answer = told(asking);
    bool replies = answer->replies && asking->kind == HF_HOOK_PUSH;
    size_t i;

    for (i = 0; i <= answer->count; i++) {
        uint64_t after = asking->after ? asking->after[i] : 0;

        if (replies && i == answer->reply_at)
            (void)hf_reply_after(member, reply_msg(asking, member), after,
                                 NULL);
        if (i < answer->count && answer->actions[i].what == HF_HOOK_SEND)
            (void)hf_reply_after(member, send_msg(&answer->actions[i], member),
                                 after, NULL);
    }
    if (answer->stop || answer->crash)
        end_channel(asking, member, asking->after ? asking->after[i - 1] : 0);
    else
        finish(asking);
}

/* --- after the writer --------------------------------------------------------------- */

static void log_refused(const struct hf_asking *asking, int err)
{
    HF_LOG(HF_LOG_WARN, "hook_refused",
           hf_field("hook", hf_hook_name(asking->kind)),
           hf_field_s("topic", asking->frame.topic),
           hf_field("why", hf_publish_reason(err)),
           hf_field("effect", "nothing of its answer was done"));
}

/* The push has come to nothing: say why. */
static void refuse_push(struct hf_asking *asking, struct hf_member *member,
                        const char *reason)
{
    hf_reply_in_order(
        member,
        hf_msg_refusal(&asking->frame, hf_member_join_ref(member), reason));
    finish(asking);
}

static void settle_leave(struct hf_asking *asking, struct hf_member *member)
{
    hf_member_left(member, &asking->frame);
    finish(asking);
}

static void settle(struct hf_asking *asking, int err)
{
    struct hf_member *member =
        asking->session ? hf_member_find(asking->session, asking->frame.topic)
                        : NULL;

    if (err)
        log_refused(asking, err);
    if (member && member->held)
        hf_member_unhold(member); /* its rows come when we have returned */
    if (!member) {
        finish(asking);
        return;
    }
    switch (asking->kind) {
    case HF_HOOK_PUSH:
        if (err)
            refuse_push(asking, member, hf_publish_reason(err));
        else
            tell(asking, member);
        return;
    case HF_HOOK_JOIN:
        if (err == 0) {
            tell(asking, member);
            return;
        }
        /* it was let in, and then not all of it could be done: again */
        hf_member_expel(member, hf_publish_reason(err));
        finish(asking);
        return;
    case HF_HOOK_LEAVE:
        settle_leave(asking, member);
        return;
    case HF_HOOK_CONNECT:
        return;
    }
}

/* Writer thread. */
static int write_run(struct hf_job *job, struct hf_journal *journal)
{
    struct hf_asking *asking = HF_ITEM(job, struct hf_asking, job);
    const struct hf_hook_answer *answer = asking->answer;
    struct hf_holder holder = hf_holder_of(&asking->hold);
    struct hf_hook_from from = {asking->frame.topic, asking->session_id,
                                asking->holds ? &holder : NULL,
                                asking->kind == HF_HOOK_LEAVE};
    uint64_t last = 0;
    size_t i;
    int err;

    hf_hook_answer_free(asking->kept); /* of a batch that was undone */
    asking->kept = NULL;
    err = hf_hook_once_keep(journal, &asking->frame, &asking->once, answer,
                            &asking->kept);
    if (err || asking->kept)
        return err;
    for (i = 0; i < answer->count; i++) {
        asking->after[i] = last;
        err = hf_hook_write(journal, &answer->actions[i], &from, &last);
        if (err)
            return err;
    }
    asking->after[i] = last;
    return 0;
}

static void write_done(struct hf_job *job, int err)
{
    struct hf_asking *asking = HF_ITEM(job, struct hf_asking, job);

    if (err == 0)
        hf_hub_soon(asking->hub); /* nobody rings us for our own rows */
    settle(asking, err);
}

/* Is anything for the sender alone to stand before a row? Rows find their way
 * by themselves, as soon as they are committed. */
static bool orders_rows(const struct hf_hook_answer *answer)
{
    size_t i;

    if (answer->reply_at < answer->count)
        return true;
    for (i = 0; i < answer->count; i++)
        if (answer->actions[i].what == HF_HOOK_SEND)
            return true;
    return false;
}

/* Is anything said of presence? */
static bool tracks(const struct hf_hook_answer *answer)
{
    size_t i;

    for (i = 0; i < answer->count; i++)
        if (answer->actions[i].what == HF_HOOK_TRACK ||
            answer->actions[i].what == HF_HOOK_UPDATE ||
            answer->actions[i].what == HF_HOOK_UNTRACK)
            return true;
    return false;
}

static int submit(struct hf_asking *asking)
{
    struct hf_member *member =
        asking->session ? hf_member_find(asking->session, asking->frame.topic)
                        : NULL;
    int err;

    asking->after = calloc(asking->answer->count + 1, sizeof(*asking->after));
    if (!asking->after)
        return HF_ENOMEM;
    if (member && tracks(asking->answer)) {
        err = hf_tracker_hold(member, &asking->hold);
        if (err)
            return err;
        asking->holds = true;
    }
    asking->job.run = write_run;
    asking->job.done = write_done;
    err = hf_writer_submit(asking->hub->process->writer, &asking->job);
    if (err == 0 && member && orders_rows(asking->answer))
        hf_member_hold(member);
    return err;
}

/* What the answer wants done, then whom to tell. */
static void carry_out(struct hf_asking *asking)
{
    if (!hf_hook_answer_writes(asking->answer) && asking->once.key.len == 0)
        settle(asking, 0);
    else if (submit(asking))
        settle(asking, HF_EBUSY); /* the queue is full */
}

/* --- the answer ---------------------------------------------------------------------- */

static void push_answered(struct hf_asking *asking, const char *reason)
{
    struct hf_session *session = asking->session;
    const struct hf_process *process = asking->hub->process;
    struct hf_member *member =
        session ? hf_member_find(session, asking->frame.topic) : NULL;

    if (!reason && member) /* the rights may be others by now */
        reason = hf_push_refused(&asking->frame,
                                 hf_rights_of(process->rights, &session->client,
                                              asking->frame.topic),
                                 process->settings.max_payload);
    if (!reason)
        carry_out(asking);
    else if (member)
        refuse_push(asking, member, reason);
    else
        finish(asking);
}

static void join_answered(struct hf_asking *asking, const char *reason)
{
    struct hf_session *session = asking->session;
    struct hf_member *member;
    int err;

    if (!session) {
        if (!reason && hf_hook_answer_ok(asking->answer))
            leave_unjoined(asking);
        finish(asking);
        return;
    }
    err = hf_member_join_asked(session, &asking->frame, reason, asking->answer,
                               &member);
    if (err)
        hf_session_fail(session, HF_CLOSE_FAULT);
    if (member && asking->answer)
        carry_out(asking);
    else
        finish(asking);
}

static void answered(struct hf_hook_call *call, enum hf_hook_result result,
                     struct hf_hook_answer *answer)
{
    struct hf_asking *asking = HF_ITEM(call, struct hf_asking, call);
    const char *reason = hf_hook_reason(asking->kind, result);

    asking->answer = answer;
    switch (asking->kind) {
    case HF_HOOK_PUSH:
        push_answered(asking, reason);
        return;
    case HF_HOOK_JOIN:
        join_answered(asking, reason);
        return;
    case HF_HOOK_LEAVE: /* who leaves is not held back */
        if (answer)
            carry_out(asking);
        else
            settle(asking, 0);
        return;
    case HF_HOOK_CONNECT:
        return;
    }
}

#include "channel/post_state.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "channel/hook_effects.h"
#include "channel/hook_once.h"
#include "channel/once.h"

/*
 * A POST whose frames are asked of the application, stage by stage:
 *
 *     lock --> next --+--> frames that ask nothing -------> transaction --+
 *               ^     +--> one that does: judge --> (application) ---+    |
 *               |                          transaction <-------------+    |
 *               +---------------------------------------------------------+
 *
 * The session's lock is held from the first to the last, so no other POST of
 * it comes between; each stage is one transaction, in which memberships and
 * rights are judged again. What was done stays done when a later stage fails.
 */

static void answered(struct hf_hook_call *call, enum hf_hook_result result,
                     struct hf_hook_answer *answer);

/* --- what would be asked --------------------------------------------------- */

static enum hf_hook_kind kind_of(const struct hf_frame *frame)
{
    if (hf_str_eq(frame->event, HF_STR("phx_join")))
        return HF_HOOK_JOIN;
    if (hf_str_eq(frame->event, HF_STR("phx_leave")))
        return HF_HOOK_LEAVE;
    return HF_HOOK_PUSH;
}

static bool may_ask(const struct hf_post_work *work,
                    const struct hf_frame *frame)
{
    return !hf_renewal_asked(frame) &&
           hf_hooks_want(work->longpoll->process->hooks, kind_of(frame),
                         frame->topic);
}

/* The live membership of a frame's topic, by the loop's connection. */
struct look {
    struct hf_str topic;
    size_t count; /* of all topics */
    bool found;
    size_t join_ref_len;
    char join_ref[HF_REF_MAX + 1];
};

static int look_at(void *ctx, const struct hf_membership *m)
{
    struct look *look = ctx;

    if (m->ended)
        return 0;
    look->count++;
    if (!hf_str_eq(m->topic, look->topic) || m->join_ref.len > HF_REF_MAX)
        return 0;
    look->found = true;
    look->join_ref_len = m->join_ref.len;
    memcpy(look->join_ref, m->join_ref.at, m->join_ref.len);
    return 0;
}

static bool join_allowed(const struct hf_post_work *work,
                         const struct hf_frame *frame, const struct look *look)
{
    const struct hf_process *process = work->longpoll->process;
    struct hf_client client = hf_post_client_with(work, frame);
    bool null_ref;

    return !hf_join_refused(
        frame, hf_rights_of(process->rights, &client, frame->topic),
        look->count - (look->found ? 1u : 0u), process->settings.max_channels,
        &null_ref);
}

static bool push_allowed(const struct hf_post_work *work,
                         const struct hf_frame *frame)
{
    const struct hf_process *process = work->longpoll->process;
    struct hf_once once;

    return !hf_push_refused(
               frame, hf_rights_of(process->rights, &work->came, frame->topic),
               process->settings.max_payload) &&
           !hf_once_of(frame, work->came.user, &once);
}

/* Would it be told to come later? Then it is not asked. */
static bool is_limited(const struct hf_post_work *work,
                       const struct hf_frame *frame)
{
    const struct hf_process *process = work->longpoll->process;
    bool join = kind_of(frame) == HF_HOOK_JOIN;
    struct hf_session_rates rates = {0, 0};

    if (kind_of(frame) == HF_HOOK_LEAVE)
        return false;
    if (hf_post_rates_now(work, &rates))
        return true; /* the transaction will say */
    return hf_rate_take(join ? hf_join_rate(&process->settings)
                             : hf_push_rate(&process->settings),
                        join ? &rates.join_due_us : &rates.push_due_us,
                        hf_wall_ms() * 1000) > 0;
}

/* Is there a question, as far as can be seen before the transaction? */
static bool is_question(const struct hf_post_work *work,
                        const struct hf_frame *frame)
{
    struct look look = {.topic = frame->topic};
    struct hf_str joined = {NULL, 0};

    if (is_limited(work, frame) ||
        hf_memberships_each(work->longpoll->process->journal,
                            hf_post_session(work), look_at, &look))
        return false; /* the transaction will say */
    if (look.found)
        joined = hf_str(look.join_ref, look.join_ref_len);
    switch (hf_dispatch(frame, joined)) {
    case HF_ACTION_HEARTBEAT:
    case HF_ACTION_UNMATCHED:
    case HF_ACTION_LEAVE_UNJOINED:
    case HF_ACTION_DROP:
        return false;
    case HF_ACTION_JOIN:
    case HF_ACTION_JOIN_AGAIN:
        return join_allowed(work, frame, &look);
    case HF_ACTION_LEAVE:
        return true;
    case HF_ACTION_PUSH:
        return push_allowed(work, frame);
    }
    return false;
}

/* --- stages ------------------------------------------------------------------ */

static void submit(struct hf_post_work *work, size_t upto)
{
    work->upto = upto;
    hf_post_count_joins(work);
    if (hf_writer_submit(work->longpoll->process->writer, &work->job))
        hf_post_finish(work, HF_EBUSY);
}

static int call_hook(struct hf_post_work *work, const struct hf_frame *frame)
{
    struct hf_client client = hf_post_client_with(work, frame);
    struct hf_once once = {.key = {NULL, 0}};
    enum hf_hook_kind kind = kind_of(frame);
    struct hf_hook_request request = {
        .kind = kind,
        .session = hf_post_session(work),
        .user = client.user,
        .topics = hf_client_topics(&client),
        .params = hf_client_params(&client),
        .transport = "longpoll",
        .topic = frame->topic,
        .event = kind == HF_HOOK_PUSH ? frame->event : HF_STR(""),
        .payload = {frame->payload.raw, frame->kind == HF_KIND_BINARY},
        .join_ref = frame->join_ref.raw,
        .ref = frame->ref.raw,
        .reason = kind == HF_HOOK_LEAVE ? "left" : NULL,
    };

    if (kind == HF_HOOK_PUSH && !hf_once_of(frame, work->came.user, &once))
        request.key = once.key;
    work->call.answered = answered;
    return hf_hooks_call(work->longpoll->process->hooks, &work->call, &request);
}

/* A push with a key that was answered before. 0; HF_ENOTFOUND; HF_ECONFLICT. */
static int find_kept(struct hf_post_work *work, const struct hf_frame *frame)
{
    struct hf_once once;

    if (kind_of(frame) != HF_HOOK_PUSH ||
        hf_once_of(frame, work->came.user, &once))
        return HF_ENOTFOUND;
    return hf_hook_once_find(work->longpoll->process->journal, frame, &once,
                             &work->answer);
}

/* One frame that may be a question. */
static void ask(struct hf_post_work *work)
{
    const struct hf_frame *frame = &work->body.frames[work->at];
    int err = 0;

    work->wanted = true;
    work->asked = is_question(work, frame);
    if (work->asked)
        err = find_kept(work, frame);
    if (work->answer || err == HF_ECONFLICT) {
        work->reason = work->answer ? NULL : "key_reused";
        submit(work, work->at + 1);
        return;
    }
    err = 0;
    if (work->asked)
        err = hf_boot_ms() < work->hooks_end_ms ? call_hook(work, frame)
                                                : HF_ELIMIT;
    if (work->asked && err == 0)
        return;
    if (err)
        work->reason = "busy"; /* it was not asked */
    submit(work, work->at + 1);
}

static void answered(struct hf_hook_call *call, enum hf_hook_result result,
                     struct hf_hook_answer *answer)
{
    struct hf_post_work *work = HF_ITEM(call, struct hf_post_work, call);

    work->answer = answer;
    work->reason =
        hf_hook_reason(kind_of(&work->body.frames[work->at]), result);
    submit(work, work->at + 1);
}

static void next(struct hf_post_work *work)
{
    size_t k = work->at;

    if (!work->longpoll->process->hooks) { /* we are shutting down */
        hf_post_finish(work, HF_ECLOSED);
        return;
    }
    while (k < work->body.count && !may_ask(work, &work->body.frames[k]))
        k++;
    if (k > work->at)
        submit(work, k);
    else if (k < work->body.count)
        ask(work);
    else
        hf_post_finish(work, 0);
}

static void on_turn(struct hf_turn *turn)
{
    next(HF_ITEM(turn, struct hf_post_work, turn));
}

static void on_lock(struct hf_session_lock *lock, int err)
{
    struct hf_post_work *work = HF_ITEM(lock, struct hf_post_work, lock);

    if (err)
        hf_post_finish(work, err);
    else
        next(work);
}

static void forget_answer(struct hf_post_work *work)
{
    hf_hook_answer_free(work->answer);
    work->answer = NULL;
    work->reason = NULL;
    work->wanted = work->asked = false;
}

bool hf_post_asks(const struct hf_post_work *work)
{
    size_t n;

    if (!work->longpoll->process->hooks)
        return false;
    /* those that ask nothing keep their order with those of other POSTs */
    for (n = 0; n < work->body.count; n++)
        if (hf_hooks_want(work->longpoll->process->hooks, HF_HOOK_JOIN,
                          work->body.frames[n].topic) ||
            hf_hooks_want(work->longpoll->process->hooks, HF_HOOK_PUSH,
                          work->body.frames[n].topic) ||
            hf_hooks_want(work->longpoll->process->hooks, HF_HOOK_LEAVE,
                          work->body.frames[n].topic))
            return true;
    return false;
}

void hf_post_begin(struct hf_post_work *work)
{
    int err;

    work->staged = true;
    hf_list_append(&work->longpoll->staged, &work->in_staged);
    work->turn.end = on_turn;
    work->lock.taken = on_lock;
    work->hooks_end_ms = hf_boot_ms() + HF_POST_HOOKS_MS;
    err = hf_session_lock_take(work->longpoll->locks, &work->lock,
                               hf_post_session(work), HF_POST_WAIT_MS);
    if (err == 0)
        next(work);
    else if (err != HF_EAGAIN)
        hf_post_finish(work, err);
}

/* The journal takes none of what the application wants: then that is what the
 * client is told. */
static void refuse(struct hf_post_work *work)
{
    const char *reason = hf_publish_reason(work->refused);

    HF_LOG(
        HF_LOG_WARN, "hook_refused",
        hf_field("hook", hf_hook_name(kind_of(&work->body.frames[work->at]))),
        hf_field_s("topic", work->body.frames[work->at].topic),
        hf_field("why", reason),
        hf_field("effect", "nothing of its answer was done"));
    hf_hook_answer_free(work->answer);
    work->answer = NULL;
    work->reason = reason;
    submit(work, work->at + 1);
}

bool hf_post_stage_done(struct hf_post_work *work, int err)
{
    if (work->refused && work->answer) {
        refuse(work);
        return true;
    }
    if (err)
        return false;
    forget_answer(work);
    hf_post_renewed(work);
    work->at = work->upto;
    if (work->at == work->body.count)
        return false;
    hf_loop_at_turn_end(work->longpoll->process->loop, &work->turn);
    return true;
}

void hf_post_end(struct hf_post_work *work)
{
    if (!work->staged)
        return;
    forget_answer(work);
    hf_hook_forget(&work->call);
    hf_loop_cancel_turn(&work->turn);
    hf_session_lock_drop(&work->lock);
    hf_list_remove(&work->in_staged);
}

void hf_post_close_all(struct hf_longpoll *lp)
{
    struct hf_list *node;

    while ((node = hf_list_first(&lp->staged)) != NULL)
        hf_post_finish(HF_ITEM(node, struct hf_post_work, in_staged),
                       HF_ECLOSED);
}

/* --- inside the transaction --------------------------------------------------- */

int hf_post_answer_reply(struct hf_post_work *work,
                         const struct hf_frame *frame, struct hf_str join_ref)
{
    const struct hf_hook_answer *answer = work->answer;
    struct hf_parts parts;

    hf_parts_reply(&parts, hf_form_of(work->client.vsn), join_ref,
                   frame->ref.raw, frame->raw_topic.raw, answer->status,
                   answer->response.binary ? HF_KIND_BINARY : HF_KIND_JSON,
                   answer->response.text);
    hf_buf_reset(&work->text);
    (void)hf_parts_add(&work->text, &parts);
    return hf_post_add_frame(work);
}

static int send(struct hf_post_work *work, const struct hf_joined *j,
                const struct hf_hook_action *action)
{
    struct hf_parts parts;

    hf_parts_push(&parts, hf_form_of(work->client.vsn), j->join_ref, HF_NULL,
                  j->topic, action->event,
                  action->payload.binary ? HF_KIND_BINARY : HF_KIND_JSON,
                  action->payload.text);
    hf_buf_reset(&work->text);
    (void)hf_parts_add(&work->text, &parts);
    return hf_post_add_frame(work);
}

static int act(struct hf_post_work *work, const struct hf_frame *frame,
               const struct hf_joined *j, const struct hf_hook_action *action)
{
    struct hf_holder holder = hf_post_holder(work, j->at);
    struct hf_hook_from from = {frame->topic, hf_post_session(work), &holder,
                                kind_of(frame) == HF_HOOK_LEAVE};
    uint64_t id;
    int err;

    if (action->what == HF_HOOK_SEND)
        return from.leaving ? 0 : send(work, j, action);
    err = hf_hook_write(work->journal, action, &from, &id);
    if (err == HF_EINVAL || err == HF_ELIMIT || err == HF_ENOTFOUND)
        work->refused = err;
    return err;
}

int hf_post_answer(struct hf_post_work *work, const struct hf_frame *frame,
                   const struct hf_joined *j)
{
    const struct hf_hook_answer *answer = work->answer;
    bool replies = answer->replies && kind_of(frame) == HF_HOOK_PUSH;
    int err = 0;
    size_t i;

    for (i = 0; i <= answer->count && err == 0; i++) {
        if (replies && i == answer->reply_at)
            err = hf_post_answer_reply(work, frame, j->join_ref);
        if (err == 0 && i < answer->count)
            err = act(work, frame, j, &answer->actions[i]);
    }
    return err;
}

#include "channel/losses.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "channel/hook_effects.h"
#include "channel/process.h"
#include "schema/sessions.h"

void hf_losses_init(struct hf_losses *losses)
{
    *losses = (struct hf_losses){.telling = false};
    hf_list_init(&losses->waiting);
}

/* --- finding ----------------------------------------------------------------- */

static bool asked_about(const struct hf_process *process, struct hf_str topic)
{
    return hf_hooks_want(process->hooks, HF_HOOK_JOIN, topic) ||
           hf_hooks_want(process->hooks, HF_HOOK_PUSH, topic) ||
           hf_hooks_want(process->hooks, HF_HOOK_LEAVE, topic);
}

bool hf_losses_wanted(const struct hf_process *process)
{
    return process->hooks != NULL;
}

struct finding {
    struct hf_process *process;
    struct hf_str session;
    uint64_t through;
    struct hf_list *list;
    size_t *count;
    const struct hf_membership *m; /* at this moment */
};

static struct hf_str keep(struct hf_str text, char **at)
{
    struct hf_str kept = hf_str(*at, text.len);

    if (text.len > 0)
        memcpy(*at, text.at, text.len);
    *at += text.len;
    return kept;
}

static int add(void *ctx, const struct hf_session_owner *owner)
{
    struct finding *f = ctx;
    const struct hf_membership *m = f->m;
    size_t len = f->session.len + m->topic.len + m->join_ref.len +
                 owner->user.len + owner->claims.len + owner->params.len;
    struct hf_loss *loss = calloc(1, sizeof(*loss) + len);
    char *at;

    if (!loss)
        return HF_ENOMEM;
    at = loss->bytes;
    loss->process = f->process;
    loss->joined = m->joined;
    loss->session = keep(f->session, &at);
    loss->topic = keep(m->topic, &at);
    loss->join_ref = keep(m->join_ref, &at);
    loss->user = keep(owner->user, &at);
    loss->topics = keep(owner->claims, &at);
    loss->params = keep(owner->params, &at);
    loss->job.item.cost = sizeof(*loss) + len;
    hf_list_append(f->list, &loss->node);
    (*f->count)++;
    return 0;
}

static int look_at(void *ctx, const struct hf_membership *m)
{
    static const struct hf_session_owner nobody = {.user = {NULL, 0}};
    struct finding *f = ctx;
    int err;

    if (m->ended || m->joined > f->through ||
        !asked_about(f->process, m->topic))
        return 0;
    if (*f->count == HF_LOSSES_ONCE)
        return HF_ELIMIT;
    f->m = m;
    err = hf_session_owner(f->process->journal, f->session, add, f, NULL);
    return err == HF_ENOTFOUND ? add(f, &nobody) : err;
}

int hf_losses_find(struct hf_process *process, struct hf_str session,
                   uint64_t through, struct hf_list *list, size_t *count)
{
    struct finding f = {process, session, through, list, count, NULL};

    return hf_memberships_each(process->journal, session, look_at, &f);
}

static void loss_free(struct hf_loss *loss)
{
    hf_list_remove(&loss->node);
    hf_hook_answer_free(loss->answer);
    free(loss);
}

void hf_losses_free(struct hf_list *list)
{
    struct hf_list *node;

    while ((node = hf_list_first(list)) != NULL)
        loss_free(HF_ITEM(node, struct hf_loss, node));
}

/* --- telling ------------------------------------------------------------------- */

static void tell_next(struct hf_process *process);

static void enqueue(struct hf_loss *loss)
{
    struct hf_losses *losses = &loss->process->losses;

    losses->count++;
    losses->bytes += loss->job.item.cost;
    hf_list_remove(&loss->node);
    hf_list_append(&losses->waiting, &loss->node);
}

/* It was told, or cannot be. */
static void dequeue(struct hf_loss *loss)
{
    struct hf_losses *losses = &loss->process->losses;

    losses->count--;
    losses->bytes -= loss->job.item.cost;
    loss_free(loss);
}

static bool has_room(const struct hf_losses *losses, const struct hf_loss *loss)
{
    return losses->count < HF_LOSSES_WAITING &&
           losses->bytes + loss->job.item.cost <= HF_LOSSES_BYTES;
}

static void note_untold(struct hf_losses *losses, int why)
{
    losses->untold++;
    losses->untold_why = why;
}

void hf_losses_report(struct hf_process *process)
{
    struct hf_losses *losses = &process->losses;

    if (losses->untold == 0)
        return;
    HF_LOG(HF_LOG_WARN, "leave_not_told",
           hf_field_i("channels", (long long)losses->untold),
           hf_field("why", losses->untold_why == HF_ELIMIT
                               ? "too many calls of hooks wait"
                               : hf_strerror(losses->untold_why)));
    losses->untold = 0;
}

static void told(struct hf_loss *loss)
{
    struct hf_process *process = loss->process;

    process->losses.telling = false;
    dequeue(loss);
    tell_next(process);
}

/* Writer thread. */
static int write_run(struct hf_job *job, struct hf_journal *journal)
{
    struct hf_loss *loss = HF_ITEM(job, struct hf_loss, job);
    struct hf_hook_from from = {loss->topic, loss->session, NULL, true};
    uint64_t id;
    size_t i;
    int err = 0;

    for (i = 0; i < loss->answer->count && err == 0; i++)
        err = hf_hook_write(journal, &loss->answer->actions[i], &from, &id);
    return err;
}

static void write_done(struct hf_job *job, int err)
{
    struct hf_loss *loss = HF_ITEM(job, struct hf_loss, job);

    if (err)
        HF_LOG(HF_LOG_WARN, "hook_refused", hf_field("hook", "leave"),
               hf_field_s("topic", loss->topic),
               hf_field("why", hf_strerror(err)),
               hf_field("effect", "nothing of its answer was done"));
    told(loss);
}

static void answered(struct hf_hook_call *call, enum hf_hook_result result,
                     struct hf_hook_answer *answer)
{
    struct hf_loss *loss = HF_ITEM(call, struct hf_loss, call);
    int err;

    (void)result; /* hooks.c has logged what went wrong */
    loss->answer = answer;
    if (!answer || !hf_hook_answer_writes(answer)) {
        told(loss);
        return;
    }
    loss->job.run = write_run;
    loss->job.done = write_done;
    err = hf_writer_submit(loss->process->writer, &loss->job);
    if (err)
        write_done(&loss->job, err);
}

struct again {
    struct hf_str topic;
    bool joined;
};

static int look_again(void *ctx, const struct hf_membership *m)
{
    struct again *again = ctx;

    again->joined |= !m->ended && hf_str_eq(m->topic, again->topic);
    return 0;
}

/* Its client came back and has joined again: of that the application knows. */
static bool joined_again(const struct hf_loss *loss)
{
    struct again again = {loss->topic, false};

    return hf_memberships_each(loss->process->journal, loss->session,
                               look_again, &again) == 0 &&
           again.joined;
}

static int call_hook(struct hf_loss *loss)
{
    struct hf_hook_request request = {
        .kind = HF_HOOK_LEAVE,
        .session = loss->session,
        .user = loss->user,
        .topics = loss->topics,
        .params = loss->params,
        .transport = "longpoll",
        .topic = loss->topic,
        .event = HF_STR(""),
        .join_ref = loss->join_ref,
        .reason = HF_LOSS_REASON,
    };

    if (hf_boot_ms() - loss->ended_ms > loss->process->settings.lease_ms)
        return HF_ELIMIT;
    loss->call.answered = answered;
    return hf_hooks_call(loss->process->hooks, &loss->call, &request);
}

/* One at a time: many who are lost at once, as when a line fails, leave room
 * for those who are there. */
static void tell_next(struct hf_process *process)
{
    struct hf_losses *losses = &process->losses;
    struct hf_list *node;

    while (!losses->telling &&
           (node = hf_list_first(&losses->waiting)) != NULL) {
        struct hf_loss *loss = HF_ITEM(node, struct hf_loss, node);
        int err = 0;

        if (!joined_again(loss)) {
            err = call_hook(loss);
            losses->telling = err == 0;
        }
        if (losses->telling)
            return;
        if (err)
            note_untold(losses, err);
        dequeue(loss);
    }
}

void hf_losses_tell(struct hf_process *process, struct hf_list *list)
{
    struct hf_list *node;

    while ((node = hf_list_first(list)) != NULL) {
        struct hf_loss *loss = HF_ITEM(node, struct hf_loss, node);

        if (!loss->ended || !process->threaded ||
            !hf_hooks_want(process->hooks, HF_HOOK_LEAVE, loss->topic)) {
            loss_free(loss);
        } else if (!has_room(&process->losses, loss)) {
            note_untold(&process->losses, HF_ELIMIT);
            loss_free(loss);
        } else {
            loss->ended_ms = hf_boot_ms();
            enqueue(loss);
        }
    }
    tell_next(process);
}

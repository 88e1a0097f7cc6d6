#include "channel/leases.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "channel/dispatch.h"
#include "channel/process.h"
#include "schema/presences.h"
#include "schema/sessions.h"

#define PAGE_LEASES 256u /* looked at in one turn of the loop */
#define PAGES_ONCE  16u  /* of a plain CGI request */
#define RETRY_MS    1000 /* when the judgement could not be carried out */

/* --- a judgement, carried out on the writer's thread ------------------------ */

struct judgement {
    struct hf_job job;
    struct hf_process *process;
    uint64_t through;      /* head of the journal when it was made */
    struct hf_list losses; /* of struct hf_loss */
    size_t losses_count;
    size_t count;
    struct {
        uint8_t len;
        char name[HF_LEASE_NAME];
    } leases[PAGE_LEASES];
};

/* A long-poll channel, and why it ends. */
struct channel {
    struct hf_journal *journal;
    const char *reason;
    struct hf_str topic, session;
    uint64_t member;
    bool found;
    struct hf_buf error; /* its phx_error */
};

static int find_channel(void *ctx, const struct hf_membership *m)
{
    struct channel *channel = ctx;

    if (m->joined != channel->member || m->ended ||
        !hf_str_eq(m->topic, channel->topic))
        return 0;
    channel->found = true;
    return hf_encode_error(&channel->error,
                           m->vsn == HF_VSN_1 ? HF_VSN_1 : HF_VSN_2,
                           m->join_ref, m->topic, channel->reason);
}

static int write_end(struct channel *channel)
{
    uint64_t id;
    int err = hf_journal_draw(channel->journal, &id);

    if (err == 0)
        err = hf_membership_end(channel->journal, channel->session,
                                channel->member, id);
    if (err == 0)
        err = hf_frame_add(channel->journal, channel->session, id,
                           hf_buf_str(&channel->error));
    return err;
}

/* If it is still live: channel->found. */
static int end_channel(struct channel *channel)
{
    int err;

    hf_buf_init(&channel->error, 4096); /* a topic, a join_ref, a word */
    err = hf_memberships_each(channel->journal, channel->session, find_channel,
                              channel);
    if (err == 0 && channel->found)
        err = write_end(channel);
    hf_buf_release(&channel->error);
    return err;
}

static int reaped(void *ctx, struct hf_str topic, struct hf_str session,
                  uint64_t member)
{
    struct channel channel = {.journal = ctx,
                              .reason = HF_LEASE_REASON,
                              .topic = topic,
                              .session = session,
                              .member = member};

    return end_channel(&channel);
}

static int end_loss(struct hf_journal *journal, struct hf_loss *loss)
{
    struct channel channel = {.journal = journal,
                              .reason = HF_LOSS_REASON,
                              .topic = loss->topic,
                              .session = loss->session,
                              .member = loss->joined};
    int err = end_channel(&channel);

    loss->ended = channel.found;
    return err;
}

static int carry_out(struct hf_job *job, struct hf_journal *journal)
{
    struct judgement *j = HF_ITEM(job, struct judgement, job);
    struct hf_list *node, *tmp;
    size_t n;
    int err = 0;

    HF_LIST_EACH(node, tmp, &j->losses)
    {
        err = end_loss(journal, HF_ITEM(node, struct hf_loss, node));
        if (err)
            return err;
    }
    for (n = 0; n < j->count && err == 0; n++)
        err = hf_presence_reap(journal,
                               hf_str(j->leases[n].name, j->leases[n].len),
                               j->through, reaped, journal);
    return err;
}

static void judgement_free(struct judgement *j)
{
    if (j)
        hf_losses_free(&j->losses);
    free(j);
}

/* What could not be carried out is judged again. */
static void again_soon(struct hf_process *process)
{
    struct hf_leases *leases = &process->leases;

    (void)hf_live_reap_next(process->live, hf_boot_ms() + RETRY_MS);
    if (leases->process)
        (void)hf_loop_arm(process->loop, &leases->timer, RETRY_MS * 1000);
}

static void carried_out(struct hf_job *job, int err)
{
    struct judgement *j = HF_ITEM(job, struct judgement, job);

    if (err) {
        again_soon(j->process);
    } else {
        HF_LOG(HF_LOG_DEBUG, "leases_expired",
               hf_field_i("of_presences", (long long)j->count),
               hf_field_i("channels", (long long)j->losses_count));
        hf_losses_tell(j->process, &j->losses);
    }
    judgement_free(j);
}

/* --- judging ----------------------------------------------------------------- */

struct page {
    struct hf_leases *leases; /* where the pass is */
    struct hf_process *process;
    struct judgement *judgement;
    size_t count;
};

/* The pass is here. */
static void note(struct page *page, struct hf_str name)
{
    struct hf_leases *leases = page->leases;

    page->count++;
    leases->after_len = name.len <= HF_LEASE_NAME ? name.len : HF_LEASE_NAME;
    memcpy(leases->after, name.at, leases->after_len);
}

static void look_again_at(struct hf_leases *leases, int64_t ms)
{
    if (ms < leases->earliest_ms)
        leases->earliest_ms = ms;
}

/* When is this lease over, at the moment of the pass? *out_end_ms. */
static int find_end(const struct page *page, struct hf_str name,
                    int64_t *out_end_ms)
{
    struct hf_live *live = page->process->live;
    int64_t seen_ms;
    int err = hf_live_last_seen(live, name, &seen_ms);

    if (err == HF_ENOTFOUND) {
        err = hf_live_grant(live, name, 0);
        seen_ms = page->leases->began_ms;
    }
    if (err == 0)
        *out_end_ms = seen_ms + page->process->settings.lease_ms;
    return err;
}

/* A session that has joined something. */
static int judge_session(void *ctx, uint64_t id, struct hf_str name)
{
    struct page *page = ctx;
    struct hf_leases *leases = page->leases;
    struct judgement *j = page->judgement;
    int64_t end_ms, soon_ms;
    int err;

    (void)id;
    note(page, name);
    if (name.len != HF_SESSION_ID_LEN)
        return 0; /* not one of ours */
    err = find_end(page, name, &end_ms);
    if (err)
        return err;
    if (leases->began_ms < end_ms) {
        soon_ms = leases->began_ms + page->process->settings.lease_ms / 9;
        look_again_at(leases, end_ms > soon_ms ? end_ms : soon_ms);
        return 0;
    }
    err = hf_losses_find(page->process, name, j->through, &j->losses,
                         &j->losses_count);
    if (err != HF_ELIMIT)
        return err;
    look_again_at(leases, leases->began_ms + RETRY_MS); /* for the rest */
    return 0;
}

/* What something present depends on. */
static int judge(void *ctx, struct hf_str name)
{
    struct page *page = ctx;
    struct hf_leases *leases = page->leases;
    struct judgement *j = page->judgement;
    int64_t end_ms;
    int err;

    note(page, name);
    if (name.len > HF_LEASE_NAME)
        return 0; /* not one of ours */
    err = find_end(page, name, &end_ms);
    if (err)
        return err;
    if (leases->began_ms < end_ms) {
        look_again_at(leases, end_ms);
        return 0;
    }
#ifdef HF_BROKEN_LEASE_ENDLESS /* for tests: a ghost must be noticed */
    return 0;
#endif
    memcpy(j->leases[j->count].name, name.at, name.len);
    j->leases[j->count++].len = (uint8_t)name.len;
    return 0;
}

static int look_at_page(struct page *page)
{
    struct hf_leases *leases = page->leases;
    struct hf_journal *journal = page->process->journal;
    struct hf_str after = hf_str(leases->after, leases->after_len);

    if (leases->stage == HF_LEASES_SESSIONS)
        return hf_sessions_joined(journal, after, PAGE_LEASES, judge_session,
                                  page);
    return hf_presences_leases(journal, after, PAGE_LEASES, judge, page);
}

/* Where to go on. 0: the pass is at its end; HF_EAGAIN. */
static int turn_page(struct hf_leases *leases, size_t count)
{
    if (count == PAGE_LEASES)
        return HF_EAGAIN;
    leases->after_len = 0;
    if (leases->stage == HF_LEASES_SESSIONS) {
        leases->stage = HF_LEASES_PRESENCES;
        return HF_EAGAIN;
    }
    leases->stage = HF_LEASES_REST;
    return 0;
}

static size_t bytes_of(struct hf_list *losses)
{
    struct hf_list *node, *tmp;
    size_t bytes = 0;

    HF_LIST_EACH(node, tmp, losses)
    bytes += HF_ITEM(node, struct hf_loss, node)->job.item.cost;
    return bytes;
}

/* One page. 0; HF_EAGAIN: there are more. */
static int judge_page(struct hf_leases *leases, struct hf_process *process)
{
    struct judgement *j = calloc(1, sizeof(*j));
    struct page page = {leases, process, j, 0};
    int err;

    if (!j)
        return HF_ENOMEM;
    j->job = (struct hf_job){
        .run = carry_out, .done = carried_out, .item = {.cost = sizeof(*j)}};
    j->process = process;
    hf_list_init(&j->losses);
    /* The head first: whatever is tracked from now on lies above it. */
    err = hf_journal_head(process->journal, &j->through);
    if (err == 0)
        err = look_at_page(&page);
    if (err == 0 && j->count + j->losses_count > 0) {
        j->job.item.cost += bytes_of(&j->losses);
        err = hf_writer_submit(process->writer, &j->job);
        if (err == 0)
            j = NULL; /* carried_out frees it */
    }
    judgement_free(j);
    return err ? err : turn_page(leases, page.count);
}

static void begin_pass(struct hf_leases *leases,
                       const struct hf_process *process)
{
    leases->stage =
        hf_losses_wanted(process) ? HF_LEASES_SESSIONS : HF_LEASES_PRESENCES;
    leases->after_len = 0;
    leases->began_ms = hf_boot_ms();
    leases->earliest_ms = leases->began_ms + process->settings.lease_ms;
}

/* --- by timer ---------------------------------------------------------------- */

static void rest(struct hf_leases *leases, int64_t until_ms)
{
    int64_t ms = until_ms - hf_boot_ms();

    /* a little late rather than early, when nothing could be done yet */
    (void)hf_loop_arm(leases->process->loop, &leases->timer,
                      (ms < 0 ? 1 : ms + 1) * 1000);
}

static void go_on(struct hf_leases *leases)
{
    struct hf_process *process = leases->process;
    int err = judge_page(leases, process);

    if (err == HF_EAGAIN) {
        (void)hf_loop_arm(process->loop, &leases->timer, 0);
        return;
    }
    leases->stage = HF_LEASES_REST;
    if (err) {
        again_soon(process);
        return;
    }
    (void)hf_live_reap_next(process->live, leases->earliest_ms);
    rest(leases, leases->earliest_ms);
}

static void fire(struct hf_timer *timer)
{
    struct hf_leases *leases = HF_ITEM(timer, struct hf_leases, timer);
    struct hf_process *process = leases->process;
    int64_t lease_ms = process->settings.lease_ms;
    int64_t due_ms;
    bool mine;

    if (!process->writer)
        return; /* we are leaving */
    if (leases->stage != HF_LEASES_REST) {
        go_on(leases);
        return;
    }
    hf_leases_follow(process);
    hf_losses_report(process);
    if (hf_live_reap(process->live, lease_ms, &mine, &due_ms)) {
        rest(leases, hf_boot_ms() + lease_ms / 9);
    } else if (mine) {
        begin_pass(leases, process);
        go_on(leases);
    } else {
        rest(leases, due_ms);
    }
}

void hf_leases_start(struct hf_leases *leases, struct hf_process *process)
{
    *leases = (struct hf_leases){.process = process, .timer = {.fire = fire}};
    rest(leases, 0);
}

void hf_leases_stop(struct hf_leases *leases)
{
    if (!leases->process)
        return;
    hf_loop_disarm(leases->process->loop, &leases->timer);
    hf_losses_report(leases->process);
    leases->process = NULL;
}

/* --- plain CGI ----------------------------------------------------------------- */

void hf_leases_look(struct hf_process *process)
{
    struct hf_leases leases = {.process = NULL};
    int64_t lease_ms = process->settings.lease_ms;
    int64_t due_ms;
    unsigned pages = 0;
    bool mine;
    int err = HF_EAGAIN;

    if (!process->writer ||
        hf_live_reap(process->live, lease_ms, &mine, &due_ms) || !mine)
        return;
    begin_pass(&leases, process);
    while (err == HF_EAGAIN && pages++ < PAGES_ONCE)
        err = judge_page(&leases, process);
    if (err == 0)
        (void)hf_live_reap_next(process->live, leases.earliest_ms);
    /* else the next request tries again, soon */
}

/* --- live.db -------------------------------------------------------------------- */

void hf_leases_follow(struct hf_process *process)
{
    struct hf_why why = {""};
    struct hf_live *live;

    if (!hf_live_moved(process->live, &process->dir))
        return;
    if (hf_live_open(&process->dir, &live, &why)) {
        HF_LOG(HF_LOG_WARN, "live_lost", hf_field("why", why.text));
        return;
    }
    HF_LOG(HF_LOG_WARN, "live_lost",
           hf_field("effect", "leases begin anew; polls are asked again"));
    hf_live_close(process->live);
    process->live = live;
}

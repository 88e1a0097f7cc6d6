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
    uint64_t through; /* head of the journal when it was made */
    size_t count;
    struct {
        uint8_t len;
        char name[HF_LEASE_NAME];
    } leases[PAGE_LEASES];
};

/* The long-poll channel that held a presence. */
struct channel {
    struct hf_journal *journal;
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
                           m->join_ref, m->topic, HF_LEASE_REASON);
}

static int end_channel(struct channel *channel)
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

static int reaped(void *ctx, struct hf_str topic, struct hf_str session,
                  uint64_t member)
{
    struct channel channel = {ctx, topic, session, member, false, {0}};
    int err;

    hf_buf_init(&channel.error, 4096); /* a topic, a join_ref, a word */
    err = hf_memberships_each(channel.journal, session, find_channel, &channel);
    if (err == 0 && channel.found)
        err = end_channel(&channel);
    hf_buf_release(&channel.error);
    return err;
}

static int carry_out(struct hf_job *job, struct hf_journal *journal)
{
    struct judgement *j = HF_ITEM(job, struct judgement, job);
    size_t n;
    int err = 0;

    for (n = 0; n < j->count && err == 0; n++)
        err = hf_presence_reap(journal,
                               hf_str(j->leases[n].name, j->leases[n].len),
                               j->through, reaped, journal);
    return err;
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

    if (err)
        again_soon(j->process);
    else
        HF_LOG(HF_LOG_DEBUG, "presences_expired",
               hf_field_i("leases", (long long)j->count));
    free(j);
}

/* --- judging ----------------------------------------------------------------- */

struct page {
    struct hf_leases *leases; /* where the pass is */
    struct hf_process *process;
    struct judgement *judgement;
    size_t count;
};

static int judge(void *ctx, struct hf_str name)
{
    struct page *page = ctx;
    struct hf_leases *leases = page->leases;
    struct judgement *j = page->judgement;
    struct hf_live *live = page->process->live;
    int64_t lease_ms = page->process->settings.lease_ms;
    int64_t seen_ms, now_ms = hf_boot_ms();
    int err;

    page->count++;
    leases->after_len = name.len <= HF_LEASE_NAME ? name.len : HF_LEASE_NAME;
    memcpy(leases->after, name.at, leases->after_len);
    if (name.len > HF_LEASE_NAME)
        return 0; /* not one of ours */
    err = hf_live_last_seen(live, name, &seen_ms);
    if (err == HF_ENOTFOUND) {
        err = hf_live_grant(live, name, 0);
        seen_ms = now_ms;
    }
    if (err)
        return err;
    if (now_ms - seen_ms < lease_ms) {
        if (seen_ms + lease_ms < leases->earliest_ms)
            leases->earliest_ms = seen_ms + lease_ms;
        return 0;
    }
#ifdef HF_BROKEN_LEASE_ENDLESS /* for tests: a ghost must be noticed */
    return 0;
#endif
    memcpy(j->leases[j->count].name, name.at, name.len);
    j->leases[j->count++].len = (uint8_t)name.len;
    return 0;
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
    /* The head first: whatever is tracked from now on lies above it. */
    err = hf_journal_head(process->journal, &j->through);
    if (err == 0)
        err = hf_presences_leases(process->journal,
                                  hf_str(leases->after, leases->after_len),
                                  PAGE_LEASES, judge, &page);
    if (err == 0 && j->count > 0) {
        err = hf_writer_submit(process->writer, &j->job);
        if (err == 0)
            j = NULL; /* carried_out frees it */
    }
    free(j);
    return err ? err : page.count == PAGE_LEASES ? HF_EAGAIN : 0;
}

static void begin_pass(struct hf_leases *leases, int64_t lease_ms)
{
    leases->after_len = 0;
    leases->earliest_ms = hf_boot_ms() + lease_ms;
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
    leases->after_len = 0;
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
    if (leases->after_len > 0) {
        go_on(leases);
        return;
    }
    hf_leases_follow(process);
    if (hf_live_reap(process->live, lease_ms, &mine, &due_ms)) {
        rest(leases, hf_boot_ms() + lease_ms / 9);
    } else if (mine) {
        begin_pass(leases, lease_ms);
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
    begin_pass(&leases, lease_ms);
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

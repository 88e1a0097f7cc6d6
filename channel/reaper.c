/*
 * reaper.c - removes long-poll sessions that nobody polls any more
 *
 * A token dies `revive` after its last answer, so rows of a session that was
 * not seen for longer serve nobody. Every resident gateway makes the pass, a page
 * of sessions a minute, and plain CGI when no resident process has cleaned up for
 * long; when a session was seen last stands in live.db. After a reboot nothing
 * stands there, and every session counts as seen when the first pass meets it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "channel/longpoll_state.h"
#include "schema/sessions.h"

#define PASS_MS   60000
#define PASS_ROWS 256u

/* Past `revive`, for answers still on their way. */
#define MARGIN_MS 60000

struct burial {
    struct hf_job job;
    size_t count;
    char sessions[PASS_ROWS][HF_SESSION_ID_LEN];
};

static int bury(struct hf_job *job, struct hf_journal *journal)
{
    struct burial *burial = HF_ITEM(job, struct burial, job);
    size_t n;
    int err = 0;

    for (n = 0; n < burial->count && err == 0; n++)
        err = hf_session_remove(journal,
                                hf_str(burial->sessions[n], HF_SESSION_ID_LEN));
    return err;
}

static void buried(struct hf_job *job, int err)
{
    struct burial *burial = HF_ITEM(job, struct burial, job);

    if (err == 0)
        HF_LOG(HF_LOG_DEBUG, "sessions_removed",
               hf_field_i("count", (long long)burial->count));
    free(burial); /* on an error the next pass tries again */
}

struct pass {
    struct hf_longpoll *longpoll;
    struct burial *burial;
    size_t looked_at;
};

static int judge(void *ctx, uint64_t id, struct hf_str session)
{
    struct pass *pass = ctx;
    struct hf_longpoll *lp = pass->longpoll;
    int64_t limit = lp->process->settings.revive_ms + MARGIN_MS;
    int64_t seen;
    int err = hf_live_last_seen(lp->process->live, session, &seen);

    (void)id;
    if (session.len != HF_SESSION_ID_LEN)
        return 0; /* not one of ours */
    pass->looked_at++;
    memcpy(lp->reaped_to, session.at, session.len);
    lp->reaped_to_len = session.len;
    if (err == HF_ENOTFOUND)
        return hf_live_seen(lp->process->live, session, 0);
    if (err || hf_boot_ms() - seen <= limit ||
        hf_map_get(&lp->sessions, session))
        return err;
    memcpy(pass->burial->sessions[pass->burial->count++], session.at,
           session.len);
    return 0;
}

static void make_pass(struct hf_longpoll *lp)
{
    struct pass pass = {lp, calloc(1, sizeof(struct burial)), 0};
    int err;

    if (!pass.burial)
        return;
    err = hf_sessions_each(lp->process->journal,
                           hf_str(lp->reaped_to, lp->reaped_to_len), PASS_ROWS,
                           judge, &pass);
    if (pass.looked_at < PASS_ROWS)
        lp->reaped_to_len = 0; /* the end: from the start the next time */
    pass.burial->job.run = bury;
    pass.burial->job.done = buried;
    pass.burial->job.item.cost = sizeof(struct burial);
    if (err || pass.burial->count == 0 ||
        hf_writer_submit(lp->process->writer, &pass.burial->job))
        free(pass.burial);
    (void)hf_live_expire(lp->process->live,
                         lp->process->settings.revive_ms + 2 * MARGIN_MS,
                         PASS_ROWS);
}

/* Nobody remembers where the last pass stopped, so it begins anywhere. */
void hf_longpoll_clean_up(struct hf_longpoll *lp)
{
    hf_leases_look(lp->process);
    if (!hf_keeper_is_late(lp->process))
        return;
    if (hf_token_new_session(lp->reaped_to) == 0)
        lp->reaped_to_len = sizeof(lp->reaped_to);
    make_pass(lp);
    hf_keeper_step(lp->process);
}

static void fire(struct hf_timer *timer)
{
    struct hf_longpoll *lp = HF_ITEM(timer, struct hf_longpoll, reaper);

    make_pass(lp);
    (void)hf_loop_arm(lp->process->loop, timer, PASS_MS * 1000);
}

void hf_reaper_start(struct hf_longpoll *lp)
{
    lp->reaper.fire = fire;
    (void)hf_loop_arm(lp->process->loop, &lp->reaper, PASS_MS * 1000);
}

void hf_reaper_stop(struct hf_longpoll *lp)
{
    hf_loop_disarm(lp->process->loop, &lp->reaper);
}

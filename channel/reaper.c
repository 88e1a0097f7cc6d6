/*
 * reaper.c - removes long-poll sessions that nobody polls any more
 *
 * A token dies `revive` after its last answer, so rows of a session that was
 * not seen for longer serve nobody. Every resident gateway makes a pass a minute,
 * page by page, and plain CGI some pages when no resident process has cleaned up
 * for long; when a session was seen last stands in live.db. After a reboot nothing
 * stands there, and every session counts as seen when the first pass meets it.
 *
 * With each page as many leases of live.db are forgotten, which most sessions of
 * a crowd that only connects have alone. Whoever may connect may do so often, so
 * this goes on as long as pages are full: 2560 sessions a second and process,
 * more than one makes.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "channel/longpoll_state.h"
#include "schema/sessions.h"

#define PASS_MS    60000
#define PAUSE_MS   100 /* while there is more */
#define PAGE_ROWS  256u
#define PAGES_ONCE 16u /* of a plain CGI request */

/* Past `revive`, for answers still on their way; and how much later, at least
 * as long as a pass takes, its lease is forgotten: who has none counts as seen. */
#define MARGIN_MS 60000
#define LEASES_MS (4 * 60000)

struct burial {
    struct hf_job job;
    struct hf_longpoll *longpoll;
    size_t count;
    char sessions[PAGE_ROWS][HF_SESSION_ID_LEN];
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
    burial->longpoll->burying = false;
    free(burial); /* on an error the next pass tries again */
}

struct page {
    struct hf_longpoll *longpoll;
    struct burial *burial;
    size_t looked_at;
};

static int judge(void *ctx, uint64_t id, struct hf_str session)
{
    struct page *page = ctx;
    struct hf_longpoll *lp = page->longpoll;
    int64_t limit = lp->process->settings.revive_ms + MARGIN_MS;
    int64_t seen;
    int err = hf_live_last_seen(lp->process->live, session, &seen);

    (void)id;
    if (session.len != HF_SESSION_ID_LEN)
        return 0; /* not one of ours */
    page->looked_at++;
    memcpy(lp->reaped_to, session.at, session.len);
    lp->reaped_to_len = session.len;
    if (err == HF_ENOTFOUND)
        return hf_live_seen(lp->process->live, session, 0);
    if (err || hf_boot_ms() - seen <= limit ||
        hf_waiting_of(&lp->waiting, session))
        return err;
    memcpy(page->burial->sessions[page->burial->count++], session.at,
           session.len);
    return 0;
}

static void submit(struct hf_longpoll *lp, struct burial *burial)
{
    burial->longpoll = lp;
    burial->job.run = bury;
    burial->job.done = buried;
    burial->job.item.cost = sizeof(*burial);
    lp->burying = true;
    if (hf_writer_submit(lp->process->writer, &burial->job))
        buried(&burial->job, HF_EBUSY);
}

/* A page of the sessions in the journal. True: there are more. */
static bool look_at_sessions(struct hf_longpoll *lp)
{
    struct page page = {lp, NULL, 0};
    int err;

    if (lp->burying)
        return true; /* the writer has not done with the one before */
    page.burial = calloc(1, sizeof(*page.burial));
    if (!page.burial)
        return false;
    err = hf_sessions_each(lp->process->journal,
                           hf_str(lp->reaped_to, lp->reaped_to_len), PAGE_ROWS,
                           judge, &page);
    if (page.looked_at < PAGE_ROWS)
        lp->reaped_to_len = 0; /* the end: from the start the next time */
    if (err || page.burial->count == 0)
        free(page.burial);
    else
        submit(lp, page.burial);
    return err == 0 && page.looked_at == PAGE_ROWS;
}

/* A page of either kind. True: there are more. */
static bool turn_page(struct hf_longpoll *lp)
{
    bool more = look_at_sessions(lp);
    size_t expired;

    (void)hf_live_expire(lp->process->live,
                         lp->process->settings.revive_ms + MARGIN_MS +
                             LEASES_MS,
                         PAGE_ROWS, &expired);
    return more || expired == PAGE_ROWS;
}

/* Nobody remembers where the last pass stopped, so it begins anywhere. */
void hf_longpoll_clean_up(struct hf_longpoll *lp)
{
    unsigned pages = 0;

    hf_leases_look(lp->process);
    if (!hf_keeper_is_late(lp->process))
        return;
    if (hf_token_new_session(lp->reaped_to) == 0)
        lp->reaped_to_len = sizeof(lp->reaped_to);
    while (turn_page(lp) && ++pages < PAGES_ONCE)
        continue;
    hf_keeper_step(lp->process);
}

static void fire(struct hf_timer *timer)
{
    struct hf_longpoll *lp = HF_ITEM(timer, struct hf_longpoll, reaper);
    bool more = turn_page(lp);

    (void)hf_loop_arm(lp->process->loop, timer,
                      (more ? PAUSE_MS : PASS_MS) * 1000);
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

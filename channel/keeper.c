#include "channel/keeper.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "channel/process.h"

/* What is wrong with retention is said so often. */
#define COMPLAIN_EVERY_MS (60 * 60 * 1000)

/* --- a step, as a job of the writer ---------------------------------------- */

static int run(struct hf_job *job, struct hf_journal *journal)
{
    struct hf_keeper *keeper = HF_ITEM(job, struct hf_keeper, job);

    return hf_retention_step(journal, &keeper->report);
}

static bool may_complain(struct hf_keeper *keeper)
{
    int64_t now_ms = hf_boot_ms();

    if (keeper->complained_ms &&
        now_ms - keeper->complained_ms < COMPLAIN_EVERY_MS)
        return false;
    keeper->complained_ms = now_ms;
    return true;
}

static void tell(struct hf_keeper *keeper, int err)
{
    const struct hf_retention_report *report = &keeper->report;

    /* Others at it, or at the write lock, is no trouble. */
    if (err && err != HF_EAGAIN && err != HF_EBUSY && err != HF_ECLOSED &&
        may_complain(keeper))
        HF_LOG(HF_LOG_WARN, "retention_failed",
               hf_field("error", hf_strerror(err)),
               hf_field("effect", "old messages stay; tried again every "
                                  "minute"));
    if (err)
        return;
    keeper->removed += report->by_age + report->by_bytes + report->by_count;
    if (report->kept_by_min && may_complain(keeper))
        HF_LOG(HF_LOG_WARN, "retain_bytes_exceeded",
               hf_field_i("bytes", (long long)report->bytes_used),
               hf_field("hint", "all messages are younger than keep_min; "
                                "raise retain_bytes, or publish less"));
    if (report->more || keeper->removed == 0)
        return;
    HF_LOG(HF_LOG_DEBUG, "messages_removed",
           hf_field_i("count", (long long)keeper->removed),
           hf_field_i("through", (long long)report->through));
    keeper->removed = 0;
}

static void rest(struct hf_keeper *keeper, int64_t ms)
{
    /* Without memory for a timer others do it, or nobody until a restart. */
    (void)hf_loop_arm(keeper->process->loop, &keeper->timer, ms * 1000);
}

static void done(struct hf_job *job, int err)
{
    struct hf_keeper *keeper = HF_ITEM(job, struct hf_keeper, job);

    tell(keeper, err);
    rest(keeper, !err && keeper->report.more ? HF_RETENTION_PAUSE_MS
                                             : HF_RETENTION_PASS_MS);
}

/* --- when ------------------------------------------------------------------ */

static void fire(struct hf_timer *timer)
{
    struct hf_keeper *keeper = HF_ITEM(timer, struct hf_keeper, timer);
    struct hf_process *process = keeper->process;
    int64_t idle_ms;

    if (!process->writer)
        return; /* we are leaving */
    idle_ms = hf_retention_idle_ms(&process->dir);
    if (idle_ms < HF_RETENTION_PASS_MS)
        rest(keeper, HF_RETENTION_PASS_MS - (idle_ms > 0 ? idle_ms : 0));
    else if (hf_writer_submit(process->writer, &keeper->job))
        rest(keeper, HF_RETENTION_PASS_MS); /* busy with publishing */
}

void hf_keeper_start(struct hf_keeper *keeper, struct hf_process *process)
{
    *keeper = (struct hf_keeper){
        .process = process,
        .timer = {.fire = fire},
        .job = {.alone = true,
                .run = run,
                .done = done,
                .item = {.cost = sizeof(*keeper)}},
    };
    rest(keeper, HF_KEEPER_FIRST_MS);
}

void hf_keeper_stop(struct hf_keeper *keeper)
{
    if (!keeper->process)
        return;
    hf_loop_disarm(keeper->process->loop, &keeper->timer);
    keeper->process = NULL;
}

/* --- plain CGI ------------------------------------------------------------- */

static void done_once(struct hf_job *job, int err)
{
    tell(HF_ITEM(job, struct hf_keeper, job), err);
}

bool hf_keeper_is_late(const struct hf_process *process)
{
    return hf_retention_idle_ms(&process->dir) >= HF_KEEPER_LATE_MS;
}

void hf_keeper_step(struct hf_process *process)
{
    struct hf_keeper keeper = {
        .process = process,
        .job = {.alone = true, .run = run, .done = done_once},
    };

    if (process->writer)
        (void)hf_writer_submit(process->writer, &keeper.job); /* runs it here */
}

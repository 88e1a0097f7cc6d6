#include "channel/ondemand.h"

#include "base/clock.h"
#include "base/log.h"
#include "channel/launch.h"
#include "schema/running.h"
#include "schema/starts.h"

static bool runs(const struct hf_dir *dir)
{
    pid_t workers[HF_WORKERS_MAX];
    unsigned count;

    return hf_running_read(dir, workers, &count) > 0;
}

/* With the lock held, and what is known written down already: whatever happens
 * now, the next one does not come too soon. */
static void start(const struct hf_dir *dir, const struct hf_settings *settings)
{
    struct hf_launch launch = {.dir = dir, .on_demand = true};
    struct hf_why why = {.text = ""};
    int err = hf_launch_find(settings, launch.program, &why);

    if (!err)
        err = hf_launch(&launch, NULL, &why);
    if (err)
        HF_LOG(HF_LOG_ERROR, "sidecar_not_started", hf_field("why", why.text),
               hf_field("effect", "clients go on by long-poll"));
    else
        HF_LOG(HF_LOG_INFO, "sidecar_started",
               hf_field("program", launch.program),
               hf_field("log", HF_FILE_LOG));
}

void hf_ondemand_wanted(struct hf_ondemand *ondemand, const struct hf_dir *dir,
                        const struct hf_settings *settings)
{
    int64_t now_ms = hf_boot_ms();
    struct hf_starts starts;
    int lock;

    if (settings->start != HF_START_ON_DEMAND || now_ms < ondemand->look_ms)
        return;
    ondemand->look_ms = now_ms + HF_ONDEMAND_LOOK_MS;
    if (runs(dir) || hf_starts_lock(dir, 0, &lock, &starts))
        return;
    /* Once more: whoever had the lock before us may have started one. */
    if (hf_starts_may(&starts, now_ms) && !runs(dir)) {
        hf_starts_begin(&starts, now_ms);
        if (hf_starts_write(lock, &starts) == 0)
            start(dir, settings);
    }
    hf_starts_unlock(&lock);
}

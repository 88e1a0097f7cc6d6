#include "sidecar/tend.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/sys.h"
#include "schema/starts.h"
#include "sidecar/limits.h"

/* --- being ready ---------------------------------------------------------- */

/* One that died meanwhile is being replaced, and is waited for. */
static bool all_serve(const struct hf_tend *tend,
                      const struct hf_counts *counts)
{
    return counts->gauge[HF_HAS_SERVING] == hf_counters_workers(tend->counters);
}

static void tell_ready(struct hf_tend *tend)
{
    char addresses[512], state[sizeof(addresses) + 64];

    hf_listeners_name(tend->listeners, addresses, sizeof(addresses));
    (void)snprintf(state, sizeof(state), "READY=1\nSTATUS=serving %s",
                   addresses);
    hf_notify(&tend->notify, state);
    tend->told = true;
}

/* --- being needed --------------------------------------------------------- */

/* That nobody can be told is no harm: then the next one starts when the pause
 * is over that this start has made. */
static void leave_word(const struct hf_tend *tend, bool of_use)
{
    struct hf_starts starts;
    int lock;

    if (hf_starts_lock(tend->dir, HF_TEND_LOCK_MS, &lock, &starts))
        return;
    if (of_use)
        hf_starts_proven(&starts);
    else
        hf_starts_in_vain(&starts, hf_boot_ms());
    (void)hf_starts_write(lock, &starts);
    hf_starts_unlock(&lock);
}

static void prove(struct hf_tend *tend)
{
    if (tend->proven)
        return;
    leave_word(tend, true);
    tend->proven = true;
}

static void end_unneeded(struct hf_tend *tend)
{
    HF_LOG(HF_LOG_INFO, "not_needed", hf_field_i("idle_ms", tend->idle_exit_ms),
           hf_field_i("websockets", (long long)tend->opened),
           hf_field("next", "a gateway starts another one when somebody could "
                            "use it"));
    if (tend->opened > 0)
        prove(tend);
    else
        leave_word(tend, false);
}

/* Does anybody need us, or did a moment ago? */
static bool is_needed(struct hf_tend *tend, const struct hf_counts *counts)
{
    uint64_t opened = counts->counter[HF_COUNT_HANDSHAKES];
    int64_t now_ms = hf_boot_ms();

    if (counts->gauge[HF_HAS_SOCKETS] > 0 || opened != tend->opened)
        tend->needed_ms = now_ms;
    tend->opened = opened;
    if (opened > 0 && now_ms - tend->started_ms >= HF_STARTS_PROVEN_MS)
        prove(tend);
    return now_ms - tend->needed_ms < tend->idle_exit_ms;
}

/* --- the log -------------------------------------------------------------- */

static bool is_our_log(const struct hf_dir *dir, int fd)
{
    struct stat named, open;

    return fstatat(dir->fd, HF_FILE_LOG, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           fstat(fd, &open) == 0 && S_ISREG(open.st_mode) &&
           named.st_dev == open.st_dev && named.st_ino == open.st_ino;
}

/* The workers have the file open, too, so it is emptied and not moved; what one
 * of them writes at this moment may be lost. */
static void keep_log_short(const struct hf_dir *dir, int fd)
{
    struct stat st;
    int from, to;

    if (fstat(fd, &st) < 0 || st.st_size < HF_TEND_LOG_BYTES)
        return;
    from = openat(dir->fd, HF_FILE_LOG, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    to = openat(dir->fd, HF_FILE_OLD_LOG,
                O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
                dir->file_mode);
    if (from >= 0 && to >= 0)
        (void)!sendfile(to, from, NULL, (size_t)st.st_size);
    hf_close(&from);
    hf_close(&to);
    (void)!ftruncate(fd, 0);
}

/* -------------------------------------------------------------------------- */

void hf_tend_begin(struct hf_tend *tend)
{
    tend->started_ms = tend->needed_ms = hf_boot_ms();
    tend->logs = is_our_log(tend->dir, STDERR_FILENO);
}

int64_t hf_tend_look(struct hf_tend *tend)
{
    struct hf_counts counts;

    hf_counters_sum(tend->counters, &counts);
    if (tend->logs)
        keep_log_short(tend->dir, STDERR_FILENO);
    if (tend->on_demand && !is_needed(tend, &counts)) {
        end_unneeded(tend);
        return -1;
    }
    if (!tend->told && hf_notify_wanted(&tend->notify)) {
        if (!all_serve(tend, &counts))
            return HF_TEND_START_MS;
        tell_ready(tend);
    }
    return tend->on_demand || tend->logs ? HF_TEND_MS : HF_TEND_REST_MS;
}

void hf_tend_stopping(const struct hf_tend *tend)
{
    hf_notify(&tend->notify,
              "STOPPING=1\nSTATUS=saying goodbye to its clients");
}

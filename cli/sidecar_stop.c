#include "cli/sidecar.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"
#include "base/sys.h"
#include "schema/running.h"
#include "schema/starts.h"

/* Beside `drain`, ms: what it gives its workers, and some for a busy machine. */
#define STOP_MS 30000

/* How often it is looked whether it has ended, ms. */
#define LOOK_MS 20

/* For whoever is starting one at this moment, ms: it serves soon, or fails. */
#define LOCK_MS 35000

pid_t hf_sidecar_runs(const struct hf_cli *cli)
{
    pid_t workers[HF_WORKERS_MAX];
    unsigned count;

    return hf_running_read(&cli->dir, workers, &count);
}

/* Its environment as it was given; what we start ourselves has no path there. */
bool hf_sidecar_is_managed(pid_t pid)
{
    static const char managed[] = "NOTIFY_SOCKET=/";
    char path[32], text[65536];
    ssize_t len;
    int fd;

    (void)snprintf(path, sizeof(path), "/proc/%ld/environ", (long)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    len = fd >= 0 ? read(fd, text, sizeof(text)) : 0;
    hf_close(&fd);
    return len > 0 && memmem(text, (size_t)len, managed, sizeof(managed) - 1);
}

static int keep_stopped(const struct hf_cli *cli)
{
    struct hf_starts starts;
    int lock, err;

    err = hf_starts_lock(&cli->dir, LOCK_MS, &lock, &starts);
    if (!err) {
        starts.stopped = true;
        err = hf_starts_write(lock, &starts);
        hf_starts_unlock(&lock);
    }
    return err ? hf_cli_fail(cli, "cannot write %s/" HF_FILE_STARTS ": %s",
                             cli->dir.path, hf_strerror(err))
               : HF_EXIT_OK;
}

/* Whoever started it may not have asked yet how it ended. */
static bool is_alive(pid_t pid)
{
    char path[32], text[1024] = "";
    const char *state;
    size_t len = 0;

    if (kill(pid, 0) < 0)
        return errno == EPERM;
    (void)snprintf(path, sizeof(path), "/proc/%ld/stat", (long)pid);
    if (hf_file_read(AT_FDCWD, path, text, sizeof(text) - 1, &len))
        return true;
    state = strrchr(text, ')');
    return !state || strncmp(state, ") Z", 3) != 0;
}

/* Until `pid` is no more; another one may serve. */
static bool has_ended(const struct hf_cli *cli, pid_t pid)
{
    const struct timespec pause = {.tv_nsec = LOOK_MS * 1000000L};
    int64_t end_ms = hf_boot_ms() + cli->settings.drain_ms + STOP_MS;

    /* The lock goes early, when it serves nobody new; the process later. */
    while (hf_sidecar_runs(cli) == pid || is_alive(pid)) {
        if (hf_boot_ms() >= end_ms)
            return false;
        (void)nanosleep(&pause, NULL);
    }
    return true;
}

static int refuse_managed(const struct hf_cli *cli, pid_t pid)
{
    if (pid && hf_sidecar_is_managed(pid))
        return hf_cli_fail(cli,
                           "process %ld was started by a service manager, "
                           "which would start it again: systemctl stop "
                           "holdfast-sidecar, or the like",
                           (long)pid);
    return HF_EXIT_OK;
}

static int end(const struct hf_cli *cli, pid_t pid)
{
    if (kill(pid, SIGTERM) < 0 && errno != ESRCH)
        return hf_cli_fail(cli,
                           "process %ld cannot be told to end: %s. It is "
                           "another account's: do it as that one",
                           (long)pid, strerror(errno));
    if (!has_ended(cli, pid))
        return hf_cli_fail(cli,
                           "process %ld has been told to end and has not "
                           "yet: see its log; kill -9 %ld loses nothing",
                           (long)pid, (long)pid);
    return HF_EXIT_OK;
}

int hf_sidecar_stop(struct hf_cli *cli, bool for_good)
{
    pid_t pid = hf_sidecar_runs(cli);
    int exit_code = refuse_managed(cli, pid);

    if (exit_code == HF_EXIT_OK && for_good)
        exit_code = keep_stopped(cli);
    pid = hf_sidecar_runs(cli); /* whoever was starting one has done so */
    if (exit_code == HF_EXIT_OK && pid)
        exit_code = end(cli, pid);
    if (exit_code || !for_good)
        return exit_code;
    if (pid)
        printf("the side-car has ended: process %ld\n", (long)pid);
    else
        printf("the side-car does not run, and is not started by itself\n");
    return hf_cli_flush(cli);
}

#include "sidecar/parent.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "sidecar/limits.h"

struct parent {
    sigset_t signals;   /* all that we wait for */
    pid_t worker;       /* 0 = none */
    int64_t started_ms; /* the worker */
    int64_t pause_ms;   /* before the next one; 0 = at once */
    bool first;         /* no worker has been running yet */
    bool unable;        /* the first one could not start */
};

/* --- one worker ----------------------------------------------------------- */

/* In the child. Should the parent have gone before prctl, nobody tells us. */
static void live_with(pid_t parent)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM); /* a valid signal: works */
    if (getppid() != parent)
        (void)raise(SIGTERM); /* blocked, so it waits to be read */
}

static void start_worker(struct parent *p, int (*work)(void *ctx), void *ctx)
{
    pid_t self = getpid();
    pid_t pid = fork();

    if (pid == 0) {
        live_with(self);
        exit(work(ctx));
    }
    p->started_ms = hf_boot_ms();
    p->worker = pid > 0 ? pid : 0;
    if (pid < 0)
        HF_LOG(HF_LOG_ERROR, "fork_failed",
               hf_field("reason", strerror(errno)));
    else
        HF_LOG(HF_LOG_INFO, "worker_started", hf_field_i("worker", pid));
}

static void log_end(pid_t worker, int status)
{
    if (WIFSIGNALED(status))
        HF_LOG(HF_LOG_ERROR, "worker_killed", hf_field_i("worker", worker),
               hf_field_i("signal", WTERMSIG(status)));
    else
        HF_LOG(WEXITSTATUS(status) ? HF_LOG_ERROR : HF_LOG_INFO, "worker_ended",
               hf_field_i("worker", worker),
               hf_field_i("status", WEXITSTATUS(status)));
}

/* Has it ended? */
static bool reap(struct parent *p)
{
    int status = 0;

    if (p->worker == 0 || waitpid(p->worker, &status, WNOHANG) != p->worker)
        return p->worker == 0;
    log_end(p->worker, status);
    p->worker = 0;
    p->unable = p->first && WIFEXITED(status) &&
                WEXITSTATUS(status) == HF_WORKER_UNABLE;
    return true;
}

/* --- waiting -------------------------------------------------------------- */

/* A signal, or 0 after timeout_ms (-1 = never). */
static int next_signal(const struct parent *p, int64_t timeout_ms)
{
    struct timespec timeout = {.tv_sec = (time_t)(timeout_ms / 1000),
                               .tv_nsec = (long)(timeout_ms % 1000) * 1000000};
    int signal;

    do {
        signal =
            sigtimedwait(&p->signals, NULL, timeout_ms < 0 ? NULL : &timeout);
    } while (signal < 0 && errno == EINTR);
    return signal < 0 ? 0 : signal;
}

static bool says_stop(int signal)
{
    return signal == SIGTERM || signal == SIGINT;
}

/* False when told to stop. */
static bool wait_for_end(struct parent *p)
{
    while (!reap(p)) {
        if (says_stop(next_signal(p, -1)))
            return false;
    }
    return true;
}

/* Before the next worker, if this one died young. False when told to stop. */
static bool rest(struct parent *p)
{
    int64_t now_ms = hf_boot_ms();
    int64_t end_ms;

    if (now_ms - p->started_ms >= HF_WORKER_YOUNG_MS)
        p->pause_ms = 0;
    end_ms = now_ms + p->pause_ms;
    for (; now_ms < end_ms; now_ms = hf_boot_ms()) {
        if (says_stop(next_signal(p, end_ms - now_ms)))
            return false;
    }
    p->pause_ms = p->pause_ms ? p->pause_ms * 2 : HF_RESTART_MS;
    if (p->pause_ms > HF_RESTART_LONGEST_MS)
        p->pause_ms = HF_RESTART_LONGEST_MS;
    return true;
}

static void stop_worker(struct parent *p)
{
    int64_t end_ms = hf_boot_ms() + HF_WORKER_STOP_MS;
    int64_t left_ms = HF_WORKER_STOP_MS;

    if (p->worker)
        (void)kill(p->worker, SIGTERM);
    while (!reap(p) && left_ms > 0) {
        (void)next_signal(p, left_ms); /* its end, or we are told again */
        left_ms = end_ms - hf_boot_ms();
    }
    if (!p->worker)
        return;
    HF_LOG(HF_LOG_ERROR, "worker_does_not_end",
           hf_field_i("worker", p->worker));
    (void)kill(p->worker, SIGKILL);
    (void)waitpid(p->worker, NULL, 0);
}

int hf_parent_run(int (*work)(void *ctx), void *ctx)
{
    struct parent p = {.first = true};
    bool go_on;

    (void)sigemptyset(&p.signals);
    (void)sigaddset(&p.signals, SIGTERM);
    (void)sigaddset(&p.signals, SIGINT);
    (void)sigaddset(&p.signals, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &p.signals, NULL); /* valid: works */

    do {
        start_worker(&p, work, ctx);
        go_on = wait_for_end(&p);
        if (p.unable)
            return 1;
        p.first = false;
    } while (go_on && rest(&p));
    stop_worker(&p);
    return 0;
}

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
#include "schema/settings.h"
#include "sidecar/limits.h"

#define NEVER INT64_MAX

/* The place of one worker. */
struct place {
    pid_t pid;          /* 0 = none runs */
    int64_t started_ms; /* the one that runs */
    int64_t start_ms;   /* none runs: when the next one is due */
    int64_t pause_ms;   /* before the one after that; 0 = at once */
    bool proven;        /* one has been running here */
};

struct parent {
    const struct hf_parent_job *job;
    sigset_t signals; /* all that we wait for */
    bool stopping;
    bool unable; /* one could not start, and shall not be tried again */
    int64_t look_ms; /* hf_boot_ms: the next look */
    struct place places[HF_WORKERS_MAX];
};

static struct place *end_of(struct parent *p)
{
    return p->places + p->job->workers;
}

static void tell_changed(struct parent *p)
{
    pid_t pids[HF_WORKERS_MAX];
    unsigned i;

    if (!p->job->changed)
        return;
    for (i = 0; i < p->job->workers; i++)
        pids[i] = p->places[i].pid;
    p->job->changed(p->job->ctx, pids, p->job->workers);
}

/* --- start ---------------------------------------------------------------- */

/* In the child. Should the parent have gone before prctl, nobody tells us. */
static void live_with(pid_t parent)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM); /* a valid signal: works */
    if (getppid() != parent)
        (void)raise(SIGTERM); /* blocked, so it waits to be read */
}

/* When the one after this is due, should it die young. */
static void lengthen_pause(struct place *place)
{
    place->pause_ms = place->pause_ms ? place->pause_ms * 2 : HF_RESTART_MS;
    if (place->pause_ms > HF_RESTART_LONGEST_MS)
        place->pause_ms = HF_RESTART_LONGEST_MS;
}

static void start(struct parent *p, struct place *place)
{
    unsigned worker = (unsigned)(place - p->places);
    pid_t self = getpid();
    pid_t pid = fork();

    if (pid == 0) {
        live_with(self);
        exit(p->job->work(p->job->ctx, worker));
    }
    place->started_ms = hf_boot_ms();
    if (pid < 0) {
        HF_LOG(HF_LOG_ERROR, "fork_failed", hf_field("why", strerror(errno)),
               hf_field("effect", "a worker is missing"),
               hf_field("next", "trying again"));
        lengthen_pause(place);
        place->start_ms = place->started_ms + place->pause_ms;
        return;
    }
    place->pid = pid;
    HF_LOG(HF_LOG_INFO, "worker_started", hf_field_i("worker", pid));
    tell_changed(p);
}

/* Start whoever is due. When the next one is: its time, or NEVER. */
static int64_t start_due(struct parent *p)
{
    int64_t next_ms = NEVER;
    struct place *place;

    for (place = p->places; place < end_of(p); place++) {
        if (!place->pid && place->start_ms <= hf_boot_ms())
            start(p, place);
        if (!place->pid && place->start_ms < next_ms)
            next_ms = place->start_ms;
    }
    return next_ms;
}

/* --- end ------------------------------------------------------------------ */

static void log_end(pid_t worker, int status)
{
    if (WIFSIGNALED(status))
        HF_LOG(HF_LOG_ERROR, "worker_killed", hf_field_i("worker", worker),
               hf_field_i("signal", WTERMSIG(status)),
               hf_field("why", strsignal(WTERMSIG(status))),
               hf_field("effect", "its clients connect again, nothing is lost "
                                  "of what was acknowledged"));
    else
        HF_LOG(WEXITSTATUS(status) ? HF_LOG_ERROR : HF_LOG_INFO, "worker_ended",
               hf_field_i("worker", worker),
               hf_field_i("status", WEXITSTATUS(status)));
}

static void ended(struct parent *p, struct place *place, int status)
{
    int64_t now_ms = hf_boot_ms();
    bool unable = WIFEXITED(status) && WEXITSTATUS(status) == HF_WORKER_UNABLE;

    log_end(place->pid, status);
    place->pid = 0;
    if (unable && !place->proven)
        p->unable = true;
    place->proven = true;
    if (now_ms - place->started_ms >= HF_WORKER_YOUNG_MS)
        place->pause_ms = 0;
    place->start_ms = now_ms + place->pause_ms;
    lengthen_pause(place);
    if (p->job->counters)
        hf_counters_ended(p->job->counters, (size_t)(place - p->places),
                          !p->stopping);
    tell_changed(p);
}

/* How many still run. */
static unsigned reap(struct parent *p)
{
    unsigned running = 0;
    struct place *place;
    int status;

    for (place = p->places; place < end_of(p); place++) {
        if (place->pid && waitpid(place->pid, &status, WNOHANG) == place->pid)
            ended(p, place, status);
        running += place->pid != 0;
    }
    return running;
}

static void tell_all(struct parent *p, int signal)
{
    struct place *place;

    for (place = p->places; place < end_of(p); place++)
        if (place->pid)
            (void)kill(place->pid, signal);
}

/* --- waiting -------------------------------------------------------------- */

/* A signal; or 0 when until_ms has come. */
static int next_signal(const struct parent *p, int64_t until_ms)
{
    struct timespec timeout = {.tv_sec = 0};
    int64_t left_ms;
    int signal;

    do {
        left_ms = until_ms == NEVER ? 0 : until_ms - hf_boot_ms();
        if (left_ms < 0)
            left_ms = 0;
        timeout.tv_sec = (time_t)(left_ms / 1000);
        timeout.tv_nsec = (long)(left_ms % 1000) * 1000000;
        signal = sigtimedwait(&p->signals, NULL,
                              until_ms == NEVER ? NULL : &timeout);
    } while (signal < 0 && errno == EINTR);
    return signal < 0 ? 0 : signal;
}

/* Look if it is time. When it is again; or -1: it is time to end. */
static int64_t look(struct parent *p)
{
    int64_t next_ms;

    if (!p->job->look)
        return NEVER;
    if (hf_boot_ms() >= p->look_ms) {
        next_ms = p->job->look(p->job->ctx);
        if (next_ms < 0)
            return -1;
        p->look_ms = hf_boot_ms() + next_ms;
    }
    return p->look_ms;
}

/* Until one of the signals that end us, which is returned; 0: one cannot start.
 */
static int keep_running(struct parent *p)
{
    int64_t start_ms, look_ms;
    int signal;

    for (;;) {
        (void)reap(p);
        if (p->unable)
            return 0;
        start_ms = start_due(p);
        look_ms = look(p);
        if (look_ms < 0)
            return SIGTERM;
        signal = next_signal(p, start_ms < look_ms ? start_ms : look_ms);
        if (signal == SIGHUP)
            tell_all(p, SIGHUP);
        else if (signal != 0 && signal != SIGCHLD)
            return signal;
    }
}

static bool says_hurry(int told, int64_t since_ms)
{
    return told == SIGQUIT || ((told == SIGTERM || told == SIGINT) &&
                               hf_boot_ms() - since_ms >= HF_TOLD_TWICE_MS);
}

/* Wait for all, told to end by `signal`; true when all have ended by until_ms
 * and we were not told to hurry. */
static bool wait_for_all(struct parent *p, int signal, int64_t until_ms)
{
    int64_t since_ms = hf_boot_ms();

    tell_all(p, signal);
    while (reap(p) > 0) {
        int told = next_signal(p, until_ms);

        if (hf_boot_ms() >= until_ms)
            return false;
        if (signal == SIGTERM && says_hurry(told, since_ms))
            return false;
    }
    return true;
}

static void kill_all(struct parent *p)
{
    struct place *place;

    for (place = p->places; place < end_of(p); place++)
        if (place->pid)
            HF_LOG(HF_LOG_ERROR, "worker_does_not_end",
                   hf_field_i("worker", place->pid),
                   hf_field("next", "it is killed; what was acknowledged is "
                                    "in the journal"));
    (void)wait_for_all(p, SIGKILL, NEVER);
}

static void stop(struct parent *p, int signal)
{
    int64_t stop_ms = p->job->stop_ms;

    p->stopping = true;
    if (p->job->stopping)
        p->job->stopping(p->job->ctx);
    if (signal == SIGQUIT || !wait_for_all(p, SIGTERM, hf_boot_ms() + stop_ms))
        if (!wait_for_all(p, SIGQUIT, hf_boot_ms() + p->job->quit_ms))
            kill_all(p);
}

/* -------------------------------------------------------------------------- */

int hf_parent_run(const struct hf_parent_job *job)
{
    struct parent p = {.job = job};
    int signal;

    (void)sigemptyset(&p.signals);
    (void)sigaddset(&p.signals, SIGTERM);
    (void)sigaddset(&p.signals, SIGINT);
    (void)sigaddset(&p.signals, SIGQUIT);
    (void)sigaddset(&p.signals, SIGHUP);
    (void)sigaddset(&p.signals, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &p.signals, NULL); /* valid: works */

    signal = keep_running(&p);
    stop(&p, signal ? signal : SIGTERM);
    return p.unable ? 1 : 0;
}

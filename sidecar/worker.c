#include "sidecar/worker.h"

#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"
#include "base/sys.h"
#include "channel/hub.h"
#include "channel/process.h"
#include "sidecar/drain.h"
#include "sidecar/echo.h"
#include "sidecar/http.h"
#include "sidecar/meter.h"
#include "sidecar/monitor.h"
#include "sidecar/parent.h"
#include "sidecar/upgrade.h"
#include "sidecar/ws_conn.h"

struct worker {
    struct hf_loop *loop;
    struct hf_listeners *listeners;
    struct hf_process process;
    struct hf_hub *hub;
    struct hf_door door;
    struct hf_conns conns;
    struct hf_conns echo;  /* zeroed where there is none */
    const char *echo_path; /* NULL = none */
    struct hf_tls *tls;    /* NULL = no listener speaks it */
    bool keep;             /* sockets stay libmicrohttpd's, see upgrade.h */
    struct hf_http *http;  /* NULL when the last handshake is over */
    struct hf_meter meter;
    struct hf_monitor *monitor; /* NULL = none */
    struct hf_watch signals;
    struct hf_timer tick;
    bool leaving;
    struct hf_drain drain;       /* from here on: once we leave */
    struct hf_timer leave;       /* the next step */
    int64_t handshakes_until_ms; /* hf_boot_ms */
    int64_t leave_by_ms;
};

/* --- while it serves ------------------------------------------------------ */

static void on_tick(struct hf_timer *timer)
{
    struct worker *w = HF_ITEM(timer, struct worker, tick);

    if (w->http)
        hf_http_tick(w->http);
    hf_conns_tick(&w->conns);
    if (w->echo_path)
        hf_conns_tick(&w->echo);
    /* Room for it was made when it was armed first. */
    (void)hf_loop_arm(w->loop, &w->tick, w->conns.tick_ms * 1000);
}

/* --- leaving -------------------------------------------------------------- */

static size_t sockets(const struct worker *w)
{
    return w->conns.count + w->echo.count;
}

static void end_handshakes(struct worker *w)
{
    if (w->keep && sockets(w) > 0)
        return;
    if (w->http && (hf_http_shaking(w->http) == 0 ||
                    hf_boot_ms() >= w->handshakes_until_ms)) {
        hf_http_close(w->http);
        w->http = NULL;
    }
}

static void on_leave(struct hf_timer *timer)
{
    struct worker *w = HF_ITEM(timer, struct worker, leave);

    end_handshakes(w);
    hf_drain_step(&w->drain);
    if ((!w->http && sockets(w) == 0) || hf_boot_ms() >= w->leave_by_ms ||
        hf_loop_arm(w->loop, &w->leave, HF_DRAIN_STEP_MS * 1000))
        hf_loop_stop(w->loop);
}

/* Our copies of the listeners go; whoever connects now waits for the next
 * worker, where somebody holds them for it, or else is refused. */
static void begin_to_leave(struct worker *w)
{
    int64_t now_ms = hf_boot_ms();

    if (w->leaving)
        return;
    w->leaving = true;
    hf_http_leave(w->http);
    hf_listeners_close(w->listeners);
    hf_drain_begin(&w->drain, &w->conns, w->process.settings.drain_ms);
    HF_LOG(HF_LOG_INFO, "leaving",
           hf_field_i("sockets", (long long)w->conns.count),
           hf_field_i("drain_ms", w->drain.spread_ms));
    hf_count_now(HF_HAS_SERVING, 0);
    hf_monitor_leave(w->monitor);
    while (w->echo_path &&
           hf_conns_goodbye_one(&w->echo, HF_WS_RESTART, HF_STR("")))
        ; /* the next one */
    w->handshakes_until_ms = now_ms + HF_LEAVE_HANDSHAKES_MS;
    if (w->handshakes_until_ms < w->drain.end_ms)
        w->handshakes_until_ms = w->drain.end_ms;
    w->leave_by_ms = w->handshakes_until_ms + HF_CLOSING_MS;
    on_leave(&w->leave);
}

/* What is written in this turn reaches whoever reads; nobody is waited for. */
static void leave_at_once(struct worker *w)
{
    begin_to_leave(w);
    hf_drain_hurry(&w->drain);
    w->leave_by_ms = hf_boot_ms();
}

/* --- certificate ---------------------------------------------------------- */

#define DAY_MS (24 * 3600 * 1000LL)

static void log_certificate(const struct worker *w, const char *event)
{
    int64_t days = (hf_tls_expires_ms(w->tls) - hf_wall_ms()) / DAY_MS;

    HF_LOG(days < HF_CERTIFICATE_WARN_DAYS ? HF_LOG_WARN : HF_LOG_INFO, event,
           hf_field("certificate", w->process.settings.certificate),
           hf_field_i("days_left", days));
}

/* Clients that are here keep the one that they know. */
static void read_certificate_anew(struct worker *w)
{
    struct hf_why why = {.text = ""};

    if (!w->tls)
        return;
    if (hf_tls_reload(w->tls, &why))
        HF_LOG(HF_LOG_ERROR, "certificate_kept", hf_field("reason", why.text),
               hf_field("hint", "the former one stays in use"));
    else
        log_certificate(w, "certificate_renewed");
}

static int open_tls(struct worker *w, const char *dir, struct hf_why *why)
{
    int err;

    if (!hf_listeners_need_tls(w->listeners))
        return 0;
    err = hf_tls_of_settings(&w->process.settings, dir, &w->tls, why);
    if (!err)
        log_certificate(w, "certificate");
    return err;
}

/* --- signals -------------------------------------------------------------- */

static void on_signal(struct hf_watch *watch, uint32_t events)
{
    struct worker *w = HF_ITEM(watch, struct worker, signals);
    struct signalfd_siginfo info;

    (void)events;
    while (read(watch->fd, &info, sizeof(info)) == sizeof(info)) {
        if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
            begin_to_leave(w);
        else if (info.ssi_signo == SIGQUIT)
            leave_at_once(w);
        else if (info.ssi_signo == SIGHUP)
            read_certificate_anew(w);
    }
}

/* --- start and end -------------------------------------------------------- */

static int take_signals(struct worker *w)
{
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGQUIT);
    (void)sigaddset(&set, SIGHUP);
    (void)signal(SIGPIPE, SIG_IGN); /* OpenSSL writes without MSG_NOSIGNAL */
    (void)signal(SIGXFSZ, SIG_IGN); /* like a full disk (space.h) */
    w->signals = (struct hf_watch){
        .fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC),
        .ready = on_signal,
    };
    if (w->signals.fd < 0)
        return HF_EIO;
    return hf_loop_watch(w->loop, &w->signals, EPOLLIN);
}

static int start_tick(struct worker *w)
{
    w->tick.fire = on_tick;
    w->leave.fire = on_leave;
    return hf_loop_arm(w->loop, &w->tick, w->conns.tick_ms * 1000);
}

static int open_http(struct worker *w, struct hf_why *why)
{
    struct hf_http_options options = {
        .loop = w->loop,
        .settings = &w->process.settings,
        .process = &w->process,
        .conns = &w->conns,
        .echo = w->echo_path ? &w->echo : NULL,
        .echo_path = w->echo_path,
        .door = &w->door,
        .tls = w->tls,
        .keep = w->keep,
        .listeners = w->listeners->at,
        .listener_count = w->listeners->count,
        .max_fds = hf_raise_fd_limit(),
    };

    hf_door_init(&w->door, &w->process.settings);
    return hf_http_open(&options, &w->http, why);
}

static int open_monitor(struct worker *w, const struct hf_worker_job *job,
                        struct hf_why *why)
{
    struct hf_monitor_options options = {
        .loop = w->loop,
        .listener = job->monitor->at,
        .counters = job->counters,
        .process = &w->process,
        .meter = &w->meter,
    };

    return job->monitor->count ? hf_monitor_open(&options, &w->monitor, why)
                               : 0;
}

/* For steps that do not say why themselves. */
static int step(int err, const char *what, struct hf_why *why)
{
    return err ? hf_explain(why, err, "cannot %s: %s", what, hf_strerror(err))
               : 0;
}

/* How are sockets to be had from this libmicrohttpd? */
static int choose_upgrade(struct worker *w, struct hf_why *why)
{
    int err = hf_upgrade_selftest(why);

    w->keep = err == HF_EINVAL || getenv("HOLDFAST_TEST_KEEP");
    if (w->keep)
        HF_LOG(HF_LOG_WARN, "sockets_kept", hf_field("reason", why->text),
               hf_field("hint", "each WebSocket costs 22 KB more than with "
                                "libmicrohttpd 0.9.71 to 1.0.1"));
    return err == HF_EINVAL ? 0 : err;
}

static int open_all(struct worker *w, const struct hf_worker_job *job,
                    struct hf_why *why)
{
    int err;

    err = choose_upgrade(w, why);
    if (err)
        return err;
    err = hf_sha1_prepare(why); /* for handshakes */
    if (err)
        return err;
    err = step(hf_loop_new(&w->loop), "make the event loop", why);
    if (err)
        return err;
    err = step(take_signals(w), "read signals", why);
    if (err)
        return err;
    err = hf_process_open(&w->process, w->loop, job->dir, true, why);
    if (err)
        return err;
    err = step(hf_hub_open(&w->process, &w->hub), "read the journal", why);
    if (err)
        return err;
    err = step(hf_conns_init(&w->conns, w->loop, w->hub, &w->process.settings),
               "prepare for sockets", why);
    if (err)
        return err;
    if (w->echo_path)
        err = step(hf_echo_init(&w->echo, w->loop, &w->process.settings),
                   "prepare for an echo", why);
    if (err)
        return err;
    err = step(start_tick(w), "arm a timer", why);
    if (err)
        return err;
    err = step(hf_meter_start(&w->meter, w->loop, w->hub), "arm a timer", why);
    if (err)
        return err;
    err = open_monitor(w, job, why);
    if (err)
        return err;
    err = open_tls(w, job->dir, why);
    if (err)
        return err;
    return open_http(w, why);
}

/* Accepts what open_all has left half done. */
static void close_all(struct worker *w)
{
    hf_monitor_close(w->monitor);
    hf_conns_release(&w->conns);
    hf_conns_release(&w->echo);
    hf_http_close(w->http); /* it may have to close their sockets */
    hf_tls_close(w->tls);
    hf_door_release(&w->door);
    hf_meter_stop(&w->meter);
    hf_hub_close(w->hub);
    hf_process_close(&w->process);
    hf_close(&w->signals.fd);
    hf_loop_free(w->loop);
}

static void log_serving(const struct worker *w, const struct hf_worker_job *job)
{
    char addresses[512];

    hf_listeners_name(w->listeners, addresses, sizeof(addresses));
    HF_LOG(HF_LOG_INFO, "serving", hf_field("address", addresses),
           hf_field("dir", job->dir),
           hf_field("monitor",
                    job->monitor->count ? job->monitor->at[0].address : NULL));
}

int hf_worker_run(void *ctx, unsigned worker)
{
    const struct hf_worker_job *job = ctx;
    struct worker w = {.listeners = job->listeners,
                       .echo_path = job->echo,
                       .signals = {.fd = -1}};
    struct hf_why why = {.text = ""};
    int err;

    hf_listeners_take(job->listeners, worker);
    hf_running_close(job->running);
    hf_listeners_take(job->monitor, worker);
    hf_counters_use(job->counters, worker);
    err = open_all(&w, job, &why);
    if (err) {
        HF_LOG(HF_LOG_ERROR, "cannot_start", hf_field("reason", why.text));
        close_all(&w);
        return HF_WORKER_UNABLE;
    }
    hf_count_now(HF_HAS_SERVING, 1);
    log_serving(&w, job);
    err = hf_loop_run(w.loop);
    if (err)
        HF_LOG(HF_LOG_ERROR, "loop_failed",
               hf_field("why", hf_strerror(err)),
               hf_field("next", "another worker takes its place"));
    close_all(&w);
    return err ? 1 : 0;
}

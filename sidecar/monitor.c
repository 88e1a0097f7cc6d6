#include "sidecar/monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "channel/origin.h"
#include "schema/holds.h"
#include "schema/space.h"
#include "sidecar/accept.h"
#include "sidecar/limits.h"
#include "sidecar/metrics.h"
#include "sidecar/prometheus.h"
#include "sidecar/ready.h"

/* Beyond HF_MONITOR_CALLERS there are, for a moment, those of one turn that the
 * library has not closed yet. */
#define CALLERS (HF_MONITOR_CALLERS * 2 + HF_ACCEPT_BATCH)

/* Why it is not ready, in words. */
#define REASONS_MAX 4096u

struct caller {
    int fd;     /* the library's; -1: nobody */
    bool taken; /* by the library, which will say when it has gone */
    bool cut;
    int64_t since_ms;
};

struct hf_monitor {
    struct hf_monitor_options with;
    struct hf_accept accept;
    struct MHD_Daemon *daemon;
    struct hf_watch library; /* its epoll descriptor */
    struct hf_timer timer;   /* once a second */
    struct hf_holds *holds;  /* NULL: not to be had */
    bool leaving;
    size_t count;
    struct caller callers[CALLERS];
};

/* --- what is told ------------------------------------------------------------ */

static int64_t size_of(const struct hf_dir *dir, const char *name)
{
    struct stat st;

    return fstatat(dir->fd, name, &st, 0) < 0 ? -1 : (int64_t)st.st_size;
}

static bool is_ready(struct hf_monitor *monitor, struct hf_buf *reasons)
{
    hf_ready_reasons(monitor->with.process, monitor->with.counters,
                     monitor->leaving, reasons);
    return reasons->len == 0 && hf_buf_error(reasons) == 0;
}

static void add_polls(struct hf_holds *holds, struct hf_metrics *metrics)
{
    struct hf_holds_sum sum;
    unsigned kind;

    if (!holds)
        return;
    (void)hf_holds_bury(holds); /* what the killed held is held no more */
    sum = hf_holds_sum(holds, 0);
    metrics->polls_known = true;
    metrics->polls_max = atomic_load(&hf_holds_budget(holds)->now);
    for (kind = 0; kind < HF_HELD_KINDS; kind++)
        metrics->polls += sum.held[kind];
}

static void tell_metrics(struct hf_monitor *monitor, struct hf_buf *out)
{
    struct hf_process *process = monitor->with.process;
    struct hf_metrics metrics = {
        .counters = monitor->with.counters,
        .journal_bytes = size_of(&process->dir, HF_FILE_JOURNAL),
        .wal_bytes = size_of(&process->dir, HF_FILE_JOURNAL "-wal"),
        .max_wal = process->settings.max_wal,
        .disk_free = hf_space_free(&process->dir),
        .http_version = MHD_get_version(),
    };
    struct hf_buf reasons;

    hf_meter_read(monitor->with.meter);
    hf_buf_init(&reasons, REASONS_MAX);
    metrics.ready = is_ready(monitor, &reasons);
    hf_buf_release(&reasons);
    metrics.head_known = hf_ready_head(process, &metrics.head) == 0;
    add_polls(monitor->holds, &metrics);
    hf_metrics_write(&metrics, out);
}

/* --- answering --------------------------------------------------------------- */

#define PLAIN "text/plain; charset=utf-8"

/* Takes the bytes over. A header that is missing for want of memory harms
 * nobody. */
static enum MHD_Result answer(struct MHD_Connection *connection,
                              unsigned status, const char *type,
                              struct hf_buf *body)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(
        body->len, body->at, MHD_RESPMEM_MUST_FREE);
    enum MHD_Result result;

    if (!response) {
        hf_buf_release(body);
        return MHD_NO; /* out of memory: the library closes */
    }
    *body = (struct hf_buf){.at = NULL};
    (void)MHD_add_response_header(response, "Content-Type", type);
    (void)MHD_add_response_header(response, "Cache-Control", "no-store");
    (void)MHD_add_response_header(response, "X-Content-Type-Options",
                                  "nosniff");
    /* the deadline is for a whole connection */
    (void)MHD_add_response_header(response, "Connection", "close");
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        (void)MHD_add_response_header(response, "Allow", "GET, HEAD");
    result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result answer_text(struct MHD_Connection *connection,
                                   unsigned status, const char *text)
{
    struct hf_buf body;

    hf_buf_init(&body, strlen(text));
    (void)hf_buf_add_str(&body, hf_str_of(text)); /* else it is empty */
    return answer(connection, status, PLAIN, &body);
}

static enum MHD_Result answer_ready(struct hf_monitor *monitor,
                                    struct MHD_Connection *connection)
{
    struct hf_buf reasons;

    hf_buf_init(&reasons, REASONS_MAX);
    if (!is_ready(monitor, &reasons))
        return answer(connection, MHD_HTTP_SERVICE_UNAVAILABLE, PLAIN,
                      &reasons);
    hf_buf_release(&reasons);
    return answer_text(connection, MHD_HTTP_OK, "ready\n");
}

static enum MHD_Result answer_metrics(struct hf_monitor *monitor,
                                      struct MHD_Connection *connection)
{
    struct hf_buf body;

    hf_buf_init(&body, HF_METRICS_MAX);
    tell_metrics(monitor, &body);
    if (hf_buf_error(&body) == 0)
        return answer(connection, MHD_HTTP_OK, HF_PROMETHEUS_TYPE, &body);
    hf_buf_release(&body); /* half of it would look like figures gone */
    return answer_text(connection, MHD_HTTP_INTERNAL_SERVER_ERROR,
                       "out of memory\n");
}

/* A page somewhere must not read this through a name of its own for our address
 * (DNS rebinding), and every browser sends a Host. */
static bool is_for_us(const struct hf_monitor *monitor,
                      struct MHD_Connection *connection)
{
    static const struct hf_settings none; /* then loopback names alone do */
    const char *host = MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
                                                   MHD_HTTP_HEADER_HOST);
    const struct hf_origin_request request = {
        .host = host ? hf_str_of(host) : HF_STR(""),
        .loopback_listener = true,
    };

    return monitor->with.listener->is_unix || !host ||
           hf_host_ours(&none, &request);
}

/* Called when the headers are complete; nobody waits for a body. */
static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection,
                                  const char *url, const char *method,
                                  const char *version, const char *body,
                                  size_t *body_len, void **request)
{
    struct hf_monitor *monitor = cls;

    (void)version;
    (void)body;
    (void)body_len;
    (void)request;
    if (!is_for_us(monitor, connection))
        return answer_text(connection, MHD_HTTP_FORBIDDEN,
                           "ask for it by a loopback name\n");
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 &&
        strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        return answer_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED,
                           "GET and HEAD are all there is\n");
    if (strcmp(url, "/metrics") == 0)
        return answer_metrics(monitor, connection);
    if (strcmp(url, "/healthz/ready") == 0)
        return answer_ready(monitor, connection);
    if (strcmp(url, "/healthz") == 0)
        return answer_text(connection, MHD_HTTP_OK, "live\n");
    return answer_text(connection, MHD_HTTP_NOT_FOUND,
                       "there are /metrics, /healthz and /healthz/ready\n");
}

/* --- who asks ---------------------------------------------------------------- */

static struct caller *find(struct hf_monitor *monitor, int fd)
{
    size_t i;

    for (i = 0; i < CALLERS; i++)
        if (monitor->callers[i].fd == fd)
            return &monitor->callers[i];
    return NULL;
}

static void forget(struct hf_monitor *monitor, struct caller *caller)
{
    caller->fd = -1;
    monitor->count--;
}

/* The library sees the end of the stream and cleans up. */
static void cut(struct caller *caller)
{
    if (!caller->cut)
        (void)shutdown(caller->fd, SHUT_RDWR);
    caller->cut = true;
}

static void cut_oldest(struct hf_monitor *monitor)
{
    struct caller *oldest = NULL;
    size_t i;

    for (i = 0; i < CALLERS; i++) {
        struct caller *caller = &monitor->callers[i];

        if (caller->fd < 0 || caller->cut)
            continue;
        if (!oldest || caller->since_ms < oldest->since_ms)
            oldest = caller;
    }
    if (oldest)
        cut(oldest);
}

static void on_connection(void *cls, struct MHD_Connection *connection,
                          void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct hf_monitor *monitor = cls;

    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        struct caller *caller =
            find(monitor, MHD_get_connection_info(
                              connection, MHD_CONNECTION_INFO_CONNECTION_FD)
                              ->connect_fd);

        *context = caller;
        if (caller)
            caller->taken = true;
    } else if (*context) {
        forget(monitor, *context);
    }
}

/* --- running libmicrohttpd ------------------------------------------------------ */

/* What the library was given and dropped without a word. */
static void forget_lost(struct hf_monitor *monitor)
{
    size_t i;

    for (i = 0; i < CALLERS; i++)
        if (monitor->callers[i].fd >= 0 && !monitor->callers[i].taken)
            forget(monitor, &monitor->callers[i]);
}

static void run(struct hf_monitor *monitor)
{
    (void)MHD_run(monitor->daemon); /* fails in other modes only */
    forget_lost(monitor);
    hf_accept_update(&monitor->accept);
}

static void on_library(struct hf_watch *watch, uint32_t events)
{
    (void)events;
    run(HF_ITEM(watch, struct hf_monitor, library));
}

static void on_timer(struct hf_timer *timer)
{
    struct hf_monitor *monitor = HF_ITEM(timer, struct hf_monitor, timer);
    int64_t cut_ms = hf_boot_ms() - HF_MONITOR_MS;
    size_t i;

    for (i = 0; i < CALLERS; i++)
        if (monitor->callers[i].fd >= 0 &&
            monitor->callers[i].since_ms <= cut_ms)
            cut(&monitor->callers[i]);
    hf_accept_tick(&monitor->accept);
    run(monitor);
    /* Room for it was made when it was armed first. */
    (void)hf_loop_arm(monitor->with.loop, &monitor->timer, HF_TICK_MS * 1000);
}

static bool has_room(struct hf_accept *accept)
{
    const struct hf_monitor *monitor =
        HF_ITEM(accept, struct hf_monitor, accept);

    return monitor->count < CALLERS - HF_ACCEPT_BATCH;
}

static void came(struct hf_accept *accept, const struct hf_guest *guest)
{
    struct hf_monitor *monitor = HF_ITEM(accept, struct hf_monitor, accept);
    struct caller *caller = find(monitor, -1); /* has_room has seen to it */

    *caller = (struct caller){.fd = guest->fd, .since_ms = hf_boot_ms()};
    monitor->count++;
    /* Closed by the library, if it does not take it, too. */
    (void)MHD_add_connection(monitor->daemon, guest->fd,
                             (const struct sockaddr *)&guest->address,
                             guest->address_len);
    if (monitor->count > HF_MONITOR_CALLERS)
        cut_oldest(monitor);
}

static void came_all(struct hf_accept *accept)
{
    run(HF_ITEM(accept, struct hf_monitor, accept));
}

/* --- start and end ---------------------------------------------------------------- */

static int start_library(struct hf_monitor *monitor)
{
    const union MHD_DaemonInfo *info;

    monitor->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET, 0, NULL, NULL, on_request,
        monitor, MHD_OPTION_NOTIFY_CONNECTION, on_connection, monitor,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)CALLERS,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HF_MONITOR_BYTES,
        /* ours comes first; this one begins anew with every byte */
        MHD_OPTION_CONNECTION_TIMEOUT, HF_MONITOR_MS / 1000u + 2,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
    if (!monitor->daemon)
        return HF_EIO;
    info = MHD_get_daemon_info(monitor->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    if (!info)
        return HF_EIO;
    monitor->library =
        (struct hf_watch){.fd = info->epoll_fd, .ready = on_library};
    return hf_loop_watch(monitor->with.loop, &monitor->library, EPOLLIN);
}

static int open_all(struct hf_monitor *monitor, struct hf_why *why)
{
    int err = start_library(monitor);

    if (err)
        return hf_explain(why, err, "libmicrohttpd does not start: %s",
                          strerror(errno));
    err = hf_accept_open(&monitor->accept, monitor->with.listener, 1);
    if (err == 0)
        err =
            hf_loop_arm(monitor->with.loop, &monitor->timer, HF_TICK_MS * 1000);
    if (err)
        return hf_explain(why, err, "out of memory");
    hf_accept_update(&monitor->accept);
    return 0;
}

int hf_monitor_open(const struct hf_monitor_options *options,
                    struct hf_monitor **out, struct hf_why *why)
{
    struct hf_monitor *monitor = calloc(1, sizeof(*monitor));
    size_t i;
    int err;

    if (!monitor)
        return hf_explain(why, HF_ENOMEM, "out of memory");
    monitor->with = *options;
    monitor->accept = (struct hf_accept){.loop = options->loop,
                                         .has_room = has_room,
                                         .came = came,
                                         .came_all = came_all};
    monitor->timer.fire = on_timer;
    for (i = 0; i < CALLERS; i++)
        monitor->callers[i].fd = -1;
    err = open_all(monitor, why);
    if (err) {
        hf_monitor_close(monitor);
        return err;
    }
    /* Without it there are no polls to tell of. */
    if (hf_holds_open(&options->process->dir, &monitor->holds))
        monitor->holds = NULL;
    *out = monitor;
    return 0;
}

void hf_monitor_close(struct hf_monitor *monitor)
{
    if (!monitor)
        return;
    hf_accept_close(&monitor->accept);
    hf_loop_disarm(monitor->with.loop, &monitor->timer);
    if (monitor->daemon) {
        hf_loop_unwatch(monitor->with.loop, &monitor->library);
        MHD_stop_daemon(monitor->daemon);
    }
    hf_holds_close(monitor->holds);
    free(monitor);
}

void hf_monitor_leave(struct hf_monitor *monitor)
{
    if (monitor)
        monitor->leaving = true;
}

#include "gateway/resident.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/notify.h"
#include "base/passed.h"
#include "base/sys.h"
#include "base/unix_listener.h"
#include "gateway/fcgi.h"
#include "gateway/signals.h"
#include "schema/place.h"

/* Descriptors that are not connections: databases, locks, bells, the log. */
#define OWN_DESCRIPTORS ((size_t)64)

/* Connections that may wait to be accepted. With a short backlog web servers
 * answer bursts with 500 or 502 at once. */
#define BACKLOG 1024

struct resident {
    struct hf_gateway gateway;
    const struct hf_options *options;
    struct hf_signals signals;
    struct hf_notify notify; /* who wants to know when we can be used */
    struct hf_loop *loop;
    struct hf_process process;
    struct hf_settings defaults; /* until the process is open */
    bool open;                   /* the process is */
    bool spawned;                /* by a web server, on descriptor 0 */
    int64_t again_ms;            /* no try before this */
    size_t max_conns;
    char ours[PATH_MAX]; /* HOLDFAST_DIR of a request that meant our journal */
};

/* --- opening ------------------------------------------------------------- */

/* Polls that are held must leave descriptors for those who push. A push takes
 * one for milliseconds, with hooks for seconds at worst, and who finds none
 * waits in the backlog: as many as fit there are enough, however many may be
 * open. */
static void fit_held(struct hf_settings *settings, size_t max_conns)
{
    size_t quarter = max_conns / 4;
    size_t most = max_conns - (quarter < BACKLOG ? quarter : BACKLOG);

    if (settings->max_held <= most)
        return;
    HF_LOG(HF_LOG_WARN, "max_held_lowered",
           hf_field_i("from", (long long)settings->max_held),
           hf_field_i("to", (long long)most),
           hf_field("hint", "raise the limit of open files (ulimit -n)"));
    settings->max_held = most;
}

static int open_process(struct resident *r, const struct hf_place_hints *hints,
                        struct hf_why *why)
{
    struct hf_place place;
    int err;

    err = hf_place_find(hints, &place, why);
    if (!err)
        err = hf_process_open(&r->process, r->loop, place.dir, true, why);
    if (err)
        return err;
    r->open = true;
    r->gateway.settings = &r->process.settings;
    r->gateway.dir = &r->process.dir;
    fit_held(&r->process.settings, r->max_conns);
    HF_LOG(HF_LOG_INFO, "started", hf_field("dir", r->process.dir.path),
           hf_field("said_by", place.said_by),
           hf_field_i("max_held", (long long)r->process.settings.max_held));
    return 0;
}

/* What a request names with no slash in front would depend on where we were
 * started. */
static int check_parameter(struct hf_str directory, struct hf_why *why)
{
    if (directory.len == 0 || directory.at[0] == '/' || directory.at[0] == '~')
        return 0;
    return hf_explain(why, HF_EINVAL,
                      "the parameter " HF_PLACE_VARIABLE
                      " of the request is %s: give the whole path",
                      directory.at);
}

static int open_for(struct resident *r, const struct hf_request *request)
{
    struct hf_place_hints hints = {
        .option = r->options->dir,
        .variable = request->directory.at,
        .script = request->script.at,
        .program = hf_place_program(),
    };
    struct hf_why why = {""};
    int err;

    if (hf_boot_ms() < r->again_ms)
        return HF_EBUSY;
    err = check_parameter(request->directory, &why);
    if (!err)
        err = open_process(r, &hints, &why);
    if (!err)
        return 0;
    HF_LOG(HF_LOG_ERROR, "not_ready",
           hf_field("error", why.text[0] ? why.text : hf_strerror(err)));
    r->again_ms = hf_boot_ms() + HF_RESIDENT_RETRY_MS;
    return err;
}

/* --- each request -------------------------------------------------------- */

/* By another name, perhaps, but the same directory? */
static bool is_ours(const struct resident *r, const char *directory)
{
    char path[PATH_MAX];
    struct stat theirs, own;

    return !hf_place_expand(directory, path, sizeof(path), NULL) &&
           stat(path, &theirs) == 0 && fstat(r->process.dir.fd, &own) == 0 &&
           theirs.st_dev == own.st_dev && theirs.st_ino == own.st_ino;
}

static int check_directory(struct resident *r, struct hf_str directory)
{
    if (directory.len == 0 || hf_str_eq(directory, hf_str_of(r->ours)))
        return 0;
    if (directory.len < sizeof(r->ours) && is_ours(r, directory.at)) {
        memcpy(r->ours, directory.at, directory.len + 1);
        return 0;
    }
    HF_LOG(HF_LOG_ERROR, "other_directory", hf_field_s("asked", directory),
           hf_field("dir", r->process.dir.path),
           hf_field("hint", "one gateway process serves one journal: start "
                            "another one, on another socket"));
    return HF_EINVAL;
}

static enum hf_served served_by(const struct resident *r,
                                struct hf_str software)
{
    bool apache = hf_str_starts(software, HF_STR("Apache"));

    switch (r->process.settings.mode) {
    case HF_MODE_FCGID:
        return HF_SERVED_FCGID;
    case HF_MODE_AUTO:
        /* mod_proxy_fcgi, its other way to FastCGI, never starts processes. */
        if (apache && r->spawned)
            return HF_SERVED_FCGID;
        break;
    case HF_MODE_RESIDENT:
        break;
    }
    if (hf_str_starts(software, HF_STR("nginx")))
        return HF_SERVED_RESIDENT_NGINX;
    return apache ? HF_SERVED_RESIDENT_APACHE : HF_SERVED_RESIDENT;
}

static int start_longpoll(struct resident *r, const struct hf_request *request)
{
    static const char *const names[] = {"resident", "resident_apache",
                                        "resident_nginx", "fcgid", "cgi"};
    const struct hf_settings *settings = &r->process.settings;
    enum hf_served served = served_by(r, request->software);
    int err;

    r->process.served = served;
    err = hf_longpoll_open(&r->process,
                           served == HF_SERVED_FCGID ? settings->cgi_hold_ms
                                                     : settings->hold_ms,
                           &r->gateway.longpoll);
    if (err)
        HF_LOG(HF_LOG_ERROR, "not_ready", hf_field("error", hf_strerror(err)));
    else
        HF_LOG(HF_LOG_INFO, "served", hf_field("as", names[served]),
               hf_field_s("by", request->software));
    return err;
}

static int admit(struct hf_gateway *gateway, const struct hf_request *request)
{
    struct resident *r = HF_ITEM(gateway, struct resident, gateway);
    int err = 0;

    if (!r->open)
        err = open_for(r, request);
    if (!err)
        err = check_directory(r, request->directory);
    if (!err && !gateway->longpoll)
        err = start_longpoll(r, request);
    return err;
}

/* --- from start to end --------------------------------------------------- */

static void asked_to_leave(struct hf_signals *signals)
{
    hf_loop_stop(signals->loop);
}

static void leave(struct resident *r, struct hf_fcgi *fcgi)
{
    int64_t end_ms = hf_boot_ms() + HF_LEAVE_MS;
    int64_t left_ms = HF_LEAVE_MS;

    r->gateway.leaving = true;
    hf_fcgi_stop(fcgi);
    if (r->gateway.longpoll)
        hf_longpoll_release(r->gateway.longpoll);
    while (hf_fcgi_counts(fcgi).conns > 0 && left_ms > 0) {
        if (hf_loop_turn(r->loop, (int)left_ms))
            return;
        left_ms = end_ms - hf_boot_ms();
    }
}

/* The journal is not open yet: what would it be, as things stand? */
static void say_what_is_waited_for(void)
{
    struct hf_place_hints hints = {.program = hf_place_program()};
    struct hf_place place;
    struct hf_why why = {""};

    if (hf_place_find(&hints, &place, &why))
        HF_LOG(HF_LOG_WARN, "waiting",
               hf_field("for", "a request with the parameter " //
                        HF_PLACE_VARIABLE),
               hf_field("hint", why.text));
    else
        HF_LOG(HF_LOG_INFO, "waiting", hf_field("for", "the first request"),
               hf_field("dir", place.dir), hf_field("said_by", place.said_by));
}

static int open_at_start(struct resident *r, struct hf_why *why)
{
    struct hf_place_hints hints = {
        .option = r->options->dir,
        .variable = getenv(HF_PLACE_VARIABLE),
    };

    hf_settings_default(&r->defaults);
    /* Of the first request, which is whole before the setting is known; then it
     * is measured by that (serve.c). */
    r->defaults.max_body = HF_BODY_LIMIT;
    r->gateway.settings = &r->defaults;
    if ((hints.option && *hints.option) || (hints.variable && *hints.variable))
        return open_process(r, &hints, why);
    say_what_is_waited_for();
    return 0;
}

/* By a service manager, which keeps it while we are restarted. */
static int take_passed(struct hf_unix_listener *own, struct hf_why *why)
{
    struct hf_passed passed;
    long count;

    hf_passed_open(&passed);
    count = passed.count;
    hf_passed_release(&passed);
    own->fd = count == 1 ? hf_passed_take(0) : -1;
    if (own->fd >= 0 && hf_is_unix_socket(own->fd))
        return 0;
    return hf_explain(why, HF_EINVAL,
                      "who started us passes %ld sockets: one is needed, a "
                      "listening Unix socket, which nobody else can reach",
                      count);
}

static int take_standard_input(struct hf_unix_listener *own, struct hf_why *why)
{
    if (!hf_is_unix_socket(STDIN_FILENO))
        return hf_explain(why, HF_EINVAL,
                          "the web server listens on a TCP port for us, which "
                          "others can reach too: give it a Unix socket");
    /* A copy: descriptor 0 is not to be closed and taken by another file. */
    own->fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    return own->fd < 0 ? hf_explain(why, HF_EIO, "cannot copy descriptor 0: %s",
                                    strerror(errno))
                       : 0;
}

static int open_listener(struct resident *r, struct hf_unix_listener *own,
                         struct hf_why *why)
{
    *own = (struct hf_unix_listener){.fd = -1, .lock = -1};
    if (hf_passed_any())
        return take_passed(own, why);
    if (r->options->socket)
        return hf_unix_listener_open(own, r->options->socket, 0660, BACKLOG,
                                     "gateway", why);
    r->spawned = true;
    return take_standard_input(own, why);
}

static int serve(struct resident *r, int *listener)
{
    struct hf_fcgi *fcgi = NULL;
    int fd = *listener;
    int err;

    *listener = -1; /* given away */
    err = hf_fcgi_open(r->loop, &r->gateway, fd, r->max_conns, &fcgi);
    if (err)
        return err;
    hf_notify(&r->notify, "READY=1");
    err = hf_loop_run(r->loop);
    hf_notify(&r->notify, "STOPPING=1");
    leave(r, fcgi);
    hf_fcgi_close(fcgi);
    hf_longpoll_close(r->gateway.longpoll);
    return err;
}

static int run(struct resident *r, struct hf_why *why)
{
    size_t descriptors = hf_raise_fd_limit();
    struct hf_unix_listener own;
    int err;

    r->max_conns = descriptors > 2 * OWN_DESCRIPTORS
                       ? descriptors - OWN_DESCRIPTORS
                       : OWN_DESCRIPTORS;
    err = open_listener(r, &own, why);
    if (err)
        return err;
    err = open_at_start(r, why);
    if (!err)
        err = serve(r, &own.fd);
    if (r->open)
        hf_process_close(&r->process);
    hf_unix_listener_close(&own);
    return err;
}

int hf_resident_run(const struct hf_options *options, struct hf_why *why)
{
    struct resident *r = calloc(1, sizeof(*r));
    int err;

    if (!r)
        return HF_ENOMEM;
    hf_notify_open(&r->notify);
    r->options = options;
    r->gateway.admit = admit;
    r->gateway.dir_option = options->dir;
    r->gateway.served_by = "FastCGI";
    r->gateway.resident = true;
    r->gateway.on_socket = options->socket != NULL;
    r->signals.asked_to_leave = asked_to_leave;
    err = hf_loop_new(&r->loop);
    r->gateway.loop = r->loop;
    if (!err) {
        err = hf_signals_take(&r->signals, r->loop);
        if (!err)
            err = run(r, why);
        hf_signals_release(&r->signals);
        hf_loop_free(r->loop);
    }
    free(r);
    return err;
}

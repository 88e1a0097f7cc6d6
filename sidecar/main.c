/*
 * holdfast-sidecar - WebSockets for web pages
 *
 * This process reads the settings, opens the listening sockets and keeps
 * workers running, see parent.h; they do the rest, see worker.h.
 */
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/script.h"
#include "base/standalone.h"
#include "base/sys.h"
#include "channel/check_config.h"
#include "schema/place.h"
#include "schema/running.h"
#include "schema/settings.h"
#include "sidecar/counters.h"
#include "sidecar/limits.h"
#include "sidecar/listen.h"
#include "sidecar/parent.h"
#include "sidecar/tend.h"
#include "sidecar/tls.h"
#include "sidecar/worker.h"

struct options {
    const char *dir; /* NULL = not said */
    const char *listen[HF_LISTENERS];
    size_t listen_count; /* 0 = as in holdfast.conf */
    const char *echo;    /* path; NULL = there is none */
    bool on_demand;
    bool check; /* --check-config */
};

static const char usage_text[] =
    "usage: holdfast-sidecar [--dir DIR] [--listen ADDRESS]... [--echo PATH]\n"
    "                        [--on-demand]\n"
    "       holdfast-sidecar --check-config [--dir DIR] [--listen ADDRESS]...\n"
    "\n"
    "WebSockets for web pages, from the journal in DIR. Stays in the\n"
    "foreground; SIGTERM or Ctrl-C ends it after a goodbye to all clients, a\n"
    "second one at once.\n"
    "\n"
    "  --dir DIR         the journal directory; else $HOLDFAST_DIR, else\n"
    "                    ~/holdfast\n"
    "  --listen ADDRESS  unix:NAME, 127.0.0.1:PORT or [::1]:PORT instead of\n"
    "                    what holdfast.conf says; up to 8 times\n"
    "  --echo PATH       also send back whatever comes to PATH: for tests of\n"
    "                    conformance, on this host only\n"
    "  --on-demand       end by itself after the setting idle_exit without a\n"
    "                    WebSocket; gateways start it so\n"
    "  --check-config    say whether it would work, and what to do if not\n"
    "  --version         print the version and exit\n"
    "  --help            print this and exit\n";

/* Returns an exit code, or -1 to go on. */
static int read_options(struct options *out, int argc, char **argv)
{
    static const struct option known[] = {
        {"dir", required_argument, NULL, 'd'},
        {"listen", required_argument, NULL, 'l'},
        {"echo", required_argument, NULL, 'e'},
        {"on-demand", no_argument, NULL, 'o'},
        {"check-config", no_argument, NULL, 'c'},
        {"version", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int c;

    *out = (struct options){.dir = NULL};
    while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (c) {
        case 'd':
            out->dir = optarg;
            break;
        case 'l':
            if (out->listen_count == HF_LISTENERS) {
                fprintf(stderr,
                        "holdfast-sidecar: --listen: more than %u times\n",
                        HF_LISTENERS);
                return 2;
            }
            out->listen[out->listen_count++] = optarg;
            break;
        case 'e':
            out->echo = optarg;
            break;
        case 'o':
            out->on_demand = true;
            break;
        case 'c':
            out->check = true;
            break;
        case 'v':
            puts("holdfast-sidecar " PACKAGE_VERSION);
            return 0;
        case 'h':
            fputs(usage_text, stdout);
            return 0;
        default:
            fputs(usage_text, stderr);
            return 2;
        }
    }
    if (optind == argc)
        return -1;
    fprintf(stderr, "holdfast-sidecar: unexpected argument: %s\n%s",
            argv[optind], usage_text);
    return 2;
}

static int complain(const char *why)
{
    fprintf(stderr, "holdfast-sidecar: %s\n", why);
    return 1;
}

/* --- serving -------------------------------------------------------------- */

struct server {
    struct hf_worker_job job;
    struct hf_listeners listeners;
    struct hf_listeners monitor; /* one, which all workers share, or none */
    struct hf_running running;
    struct hf_tend tend;
};

/* The nth address to listen on; NULL: there are no more. */
static const char *address_of(const struct options *options,
                              const struct hf_settings *settings, size_t n)
{
    if (options->listen_count > 0)
        return n < options->listen_count ? options->listen[n] : NULL;
    return n < settings->listen_count ? settings->listen[n] : NULL;
}

/* What we were passed by who started us, or else what we are told to open. */
static int open_listeners(struct server *server, const struct options *options,
                          const struct hf_dir *dir,
                          const struct hf_settings *settings,
                          struct hf_why *why)
{
    struct hf_listeners *all = &server->listeners;
    const char *address;
    size_t n;
    int err;

    err = hf_listeners_add_passed(all, why);
    if (err || all->count > 0)
        return err;
    for (n = 0; (address = address_of(options, settings, n)); n++) {
        err = hf_listeners_add(all, dir, address, (unsigned)settings->workers,
                               why);
        if (err)
            return err;
    }
    for (n = 0; n < settings->listen_tls_count; n++) {
        err = hf_listeners_add_tls(all, dir, settings->listen_tls[n],
                                   (unsigned)settings->workers, why);
        if (err)
            return err;
    }
    return all->count > 0 ? 0
                          : hf_explain(why, HF_EINVAL,
                                       "there is no address to listen on: see "
                                       "listen in " HF_FILE_SETTINGS);
}

/* An echo costs what its clients send: 16 MiB at once. A Unix socket is for a
 * web server, which lets in anybody. */
static int refuse_echo(const char *path, const struct hf_listeners *all,
                       struct hf_why *why)
{
    size_t i;

    if (path[0] != '/')
        return hf_explain(why, HF_EINVAL, "--echo: a path begins with '/'");
    for (i = 0; i < all->count; i++)
        if (!all->at[i].loopback)
            return hf_explain(
                why, HF_EINVAL,
                "--echo is for tests on this host and %s may be reached "
                "from elsewhere: use --listen 127.0.0.1:PORT",
                all->at[i].address);
    return 0;
}

/* Whoever reaches it can read how much is going on, and nobody is asked who
 * they are: so nobody reaches it from elsewhere. */
static int open_monitor(struct hf_listeners *monitor, const struct hf_dir *dir,
                        const struct hf_settings *settings, struct hf_why *why)
{
    int err;

    if (!settings->monitor[0])
        return 0;
    err = hf_listeners_add(monitor, dir, settings->monitor, 1, why);
    if (err || monitor->at[0].is_unix || monitor->at[0].loopback)
        return err;
    return hf_explain(why, HF_EINVAL,
                      "monitor = %s may be reached from elsewhere: use "
                      "unix:monitor.sock or 127.0.0.1:9464, and let a web "
                      "server that asks for a password or ssh pass it on",
                      settings->monitor);
}

/* The monitor's stays open until the last worker has ended. */
static void stopping(void *ctx)
{
    struct server *server = HF_ITEM(ctx, struct server, job);

    hf_tend_stopping(&server->tend);
    hf_listeners_close(&server->listeners);
    hf_running_close(&server->running); /* another one may begin to serve */
}

static void changed(void *ctx, const pid_t *workers, unsigned count)
{
    struct server *server = HF_ITEM(ctx, struct server, job);

    hf_running_tell(&server->running, workers, count);
}

static int64_t look(void *ctx)
{
    return hf_tend_look(&HF_ITEM(ctx, struct server, job)->tend);
}

static int run_workers(struct server *server, const struct hf_dir *dir,
                       const struct hf_settings *settings, struct hf_why *why)
{
    struct hf_parent_job parent = {
        .workers = (unsigned)settings->workers,
        .stop_ms = settings->drain_ms + HF_WORKER_STOP_MS,
        .quit_ms = HF_WORKER_QUIT_MS,
        .work = hf_worker_run,
        .stopping = stopping,
        .changed = changed,
        .look = look,
        .ctx = &server->job,
    };
    int code;

    server->job.counters = hf_counters_new(settings->workers);
    if (!server->job.counters) {
        (void)hf_explain(why, HF_ENOMEM, "out of memory");
        return 1;
    }
    parent.counters = server->job.counters;
    server->tend.dir = dir;
    server->tend.counters = server->job.counters;
    server->tend.listeners = &server->listeners;
    server->tend.idle_exit_ms = settings->idle_exit_ms;
    hf_tend_begin(&server->tend);
    hf_running_open(&server->running, dir);
    code = hf_parent_run(&parent);
    hf_counters_free(server->job.counters);
    return code;
}

static int serve(const struct options *options, const struct hf_dir *dir,
                 struct hf_why *why)
{
    struct server server = {.job = {.dir = dir->path,
                                    .listeners = &server.listeners,
                                    .running = &server.running,
                                    .monitor = &server.monitor,
                                    .echo = options->echo},
                            .tend = {.on_demand = options->on_demand}};
    struct hf_settings settings;
    int code = 1;

    hf_notify_open(&server.tend.notify);
    if (hf_settings_read(dir, &settings, why))
        return 1;
    hf_log_open("sidecar", (enum hf_log_level)settings.log_level,
                settings.log_syslog);
    (void)hf_raise_fd_limit(); /* each worker has sockets to listen on */
    if (!open_listeners(&server, options, dir, &settings, why) &&
        !open_monitor(&server.monitor, dir, &settings, why) &&
        !(options->echo && refuse_echo(options->echo, &server.listeners, why)))
        code = run_workers(&server, dir, &settings, why);
    hf_listeners_close(&server.listeners);
    hf_listeners_close(&server.monitor);
    return code;
}

/* --- checking ------------------------------------------------------------- */

struct checking {
    struct hf_config_check check;
    const struct options *options;
};

static void check_tls(struct hf_config_check *check, const struct hf_dir *dir,
                      const struct hf_settings *settings)
{
    struct hf_why why = {.text = ""};
    struct hf_tls *tls;
    int64_t days;

    if (settings->listen_tls_count == 0)
        return;
    if (hf_tls_of_settings(settings, dir->path, &tls, &why)) {
        hf_config_found(check, HF_FINDING_PROBLEM, "tls", "%s", why.text);
        return;
    }
    days = (hf_tls_expires_ms(tls) - hf_wall_ms()) / (24 * 3600 * 1000LL);
    hf_config_found(check,
                    days < HF_CERTIFICATE_WARN_DAYS ? HF_FINDING_WARNING
                                                    : HF_FINDING_OK,
                    "tls", "%s is valid for %lld days", settings->certificate,
                    (long long)days);
    hf_tls_close(tls);
}

static void check_more(struct hf_config_check *check, const struct hf_dir *dir,
                       const struct hf_settings *settings)
{
    const struct checking *checking = HF_ITEM(check, struct checking, check);
    const char *address;
    char path[PATH_MAX];
    size_t n;

    check_tls(check, dir, settings);
    for (n = 0; (address = address_of(checking->options, settings, n)); n++) {
        if (strncmp(address, "unix:", 5) != 0)
            hf_config_found(check, HF_FINDING_OK, "socket",
                            "%s is listened on (it was not tried)", address);
        else if (hf_dir_file(dir, address + 5, path, sizeof(path)) == 0)
            hf_config_check_socket(check, "side-car", path);
    }
}

static struct hf_place_hints hints_of(const struct options *options)
{
    return (struct hf_place_hints){
        .option = options->dir,
        .variable = getenv(HF_PLACE_VARIABLE),
    };
}

static int check_config(const struct options *options)
{
    struct checking checking = {
        .check = {.hints = hints_of(options), .more = check_more},
        .options = options,
    };

    return hf_config_check_run(&checking.check);
}

static int open_dir(struct hf_dir *dir, const struct options *options,
                    struct hf_why *why)
{
    struct hf_place_hints hints = hints_of(options);
    struct hf_place place;
    int err;

    err = hf_place_find(&hints, &place, why);
    return err ? err : hf_dir_open(dir, place.dir, why);
}

int main(int argc, char **argv)
{
    struct hf_why why = {.text = ""};
    struct options options;
    struct hf_dir dir;
    int code;

    if (hf_script_refused())
        return 1;
    hf_fill_standard_fds();
    hf_standalone_begin();
    code = read_options(&options, argc, argv);
    if (code >= 0)
        return code;
    if (options.check)
        return check_config(&options);
    if (open_dir(&dir, &options, &why))
        return complain(why.text);
    code = serve(&options, &dir, &why);
    hf_dir_close(&dir);
    return why.text[0] ? complain(why.text) : code;
}

/*
 * holdfast-gateway - long-poll for a web server, by FastCGI or CGI
 *
 * Which of the two it is shows in how we were started: with a listening socket
 * as descriptor 0 (lighttpd's bin-path, spawn-fcgi), with --socket, or with a
 * request in the environment.
 */
#include <errno.h>
#include <fcgiapp.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/sys.h"
#include "base/unix_listener.h"
#include "gateway/cgi.h"
#include "gateway/fcgi.h"

/* From a signal to the exit: for answers that are not out yet. */
#define LEAVE_MS 5000

/* Descriptors that are not connections: databases, locks, bells, the log. */
#define OWN_DESCRIPTORS ((size_t)64)

struct options {
    const char *dir;    /* NULL = not said */
    const char *socket; /* NULL = descriptor 0, or CGI */
};

static const char usage_text[] =
    "usage: holdfast-gateway [--dir DIR] [--socket PATH]\n"
    "\n"
    "Long-poll for web pages, started by a web server (FastCGI or CGI) or by\n"
    "hand with --socket.\n"
    "\n"
    "  --dir DIR      the journal directory; else $HOLDFAST_DIR\n"
    "  --socket PATH  listen on this Unix socket for FastCGI\n"
    "  --version      print the version and exit\n"
    "  --help         print this and exit\n";

/* Connections that may wait to be accepted. With a short backlog web servers
 * answer bursts with 500 or 502 at once. */
#define BACKLOG 1024

/* --- start --------------------------------------------------------------- */

/* Returns an exit code, or -1 to go on. */
static int read_options(struct options *out, int argc, char **argv)
{
    static const struct option known[] = {
        {"dir", required_argument, NULL, 'd'},
        {"socket", required_argument, NULL, 's'},
        {"version", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int c;

    *out = (struct options){.dir = getenv("HOLDFAST_DIR")};
    while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (c) {
        case 'd':
            out->dir = optarg;
            break;
        case 's':
            out->socket = optarg;
            break;
        case 'v':
            puts("holdfast-gateway " PACKAGE_VERSION);
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
    fprintf(stderr, "holdfast-gateway: unexpected argument: %s\n%s",
            argv[optind], usage_text);
    return 2;
}

static int complain(const char *why)
{
    fprintf(stderr, "holdfast-gateway: %s\n", why);
    return 1;
}

/* --- signals ------------------------------------------------------------- */

struct signals {
    struct hf_watch watch;
    struct hf_loop *loop;
};

static void signalled(struct hf_watch *watch, uint32_t events)
{
    struct signals *signals = HF_ITEM(watch, struct signals, watch);
    struct signalfd_siginfo info;

    (void)events;
    if (read(watch->fd, &info, sizeof(info)) != sizeof(info))
        return;
    HF_LOG(HF_LOG_INFO, "leaving", hf_field_i("signal", info.ssi_signo));
    hf_loop_stop(signals->loop);
}

/* In all threads, so before the first is started; and after libfcgi has set
 * its own handlers, which a blocked signal never reaches. */
static int take_signals(struct signals *signals, struct hf_loop *loop)
{
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGUSR1); /* FastCGI's soft stop */
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN); /* like a full disk (space.h) */
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return HF_EIO;
    signals->loop = loop;
    signals->watch.ready = signalled;
    signals->watch.fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (signals->watch.fd < 0)
        return HF_EIO;
    return hf_loop_watch(loop, &signals->watch, EPOLLIN);
}

/* --- FastCGI ------------------------------------------------------------- */

/* Polls that are held must leave descriptors for those who push. */
static void fit_held(struct hf_settings *settings, size_t max_conns)
{
    size_t most = max_conns - max_conns / 4;

    if (settings->max_held <= most)
        return;
    HF_LOG(HF_LOG_WARN, "max_held_lowered",
           hf_field_i("from", (long long)settings->max_held),
           hf_field_i("to", (long long)most),
           hf_field("hint", "raise the limit of open files (ulimit -n)"));
    settings->max_held = most;
}

static void leave(struct hf_loop *loop, struct hf_gateway *gateway,
                  struct hf_fcgi *fcgi)
{
    int64_t end_ms = hf_boot_ms() + LEAVE_MS;
    int64_t left_ms = LEAVE_MS;

    gateway->leaving = true;
    hf_fcgi_stop(fcgi);
    hf_longpoll_release(gateway->longpoll);
    while (hf_fcgi_counts(fcgi).conns > 0 && left_ms > 0) {
        if (hf_loop_turn(loop, (int)left_ms))
            return;
        left_ms = end_ms - hf_boot_ms();
    }
}

static int run(struct hf_process *process, int *listener, size_t max_conns)
{
    struct hf_gateway gateway = {.settings = &process->settings};
    struct hf_fcgi *fcgi = NULL;
    int fd = *listener;
    int err;

    err =
        hf_longpoll_open(process, process->settings.hold_ms, &gateway.longpoll);
    if (err)
        return err;
    *listener = -1; /* given away */
    err = hf_fcgi_open(process->loop, &gateway, fd, max_conns, &fcgi);
    if (!err) {
        HF_LOG(HF_LOG_INFO, "started", hf_field("dir", process->dir.path),
               hf_field_i("max_held", (long long)process->settings.max_held));
        err = hf_loop_run(process->loop);
        leave(process->loop, &gateway, fcgi);
        hf_fcgi_close(fcgi);
    }
    hf_longpoll_close(gateway.longpoll);
    return err;
}

static int open_listener(const struct options *options,
                         struct hf_unix_listener *own, struct hf_why *why)
{
    if (options->socket)
        return hf_unix_listener_open(own, options->socket, 0660, BACKLOG,
                                     "gateway", why);
    *own = (struct hf_unix_listener){.fd = -1, .lock = -1};
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

static int serve_fastcgi(const struct options *options, struct hf_loop *loop,
                         struct hf_why *why)
{
    size_t descriptors = hf_raise_fd_limit();
    size_t max_conns = descriptors > 2 * OWN_DESCRIPTORS
                           ? descriptors - OWN_DESCRIPTORS
                           : OWN_DESCRIPTORS;
    struct hf_process process;
    struct hf_unix_listener own;
    int err;

    err = open_listener(options, &own, why);
    if (err)
        return err;
    err = hf_process_open(&process, loop, options->dir, true, why);
    if (!err) {
        fit_held(&process.settings, max_conns);
        err = run(&process, &own.fd, max_conns);
        hf_process_close(&process);
    }
    hf_unix_listener_close(&own);
    return err;
}

static int fastcgi(const struct options *options)
{
    struct signals signals = {0};
    struct hf_why why = {{0}};
    struct hf_loop *loop;
    int err;

    if (!options->dir)
        return complain("no journal directory: give --dir DIR or set "
                        "HOLDFAST_DIR (`holdfast init DIR` makes one)");
    err = hf_loop_new(&loop);
    if (err)
        return complain(hf_strerror(err));
    err = take_signals(&signals, loop);
    if (!err)
        err = serve_fastcgi(options, loop, &why);
    hf_loop_unwatch(loop, &signals.watch);
    hf_close(&signals.watch.fd);
    hf_loop_free(loop);
    return err ? complain(why.text[0] ? why.text : hf_strerror(err)) : 0;
}

int main(int argc, char **argv)
{
    struct options options;
    int code;

    hf_fill_standard_fds();
    if (hf_cgi_refused_arguments())
        return 0;
    code = read_options(&options, argc, argv);
    if (code >= 0)
        return code;
    if (FCGX_Init() != 0)
        return complain("libfcgi does not start");
    if (options.socket || !FCGX_IsCGI())
        return fastcgi(&options);
    if (hf_cgi_asked())
        return hf_cgi_serve(options.dir);
    fputs("holdfast-gateway: a web server starts me, or you with --socket\n",
          stderr);
    fputs(usage_text, stderr);
    return 2;
}

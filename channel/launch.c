#include "channel/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/notify.h"
#include "base/str.h"
#include "base/sys.h"
#include "schema/place.h"

/* From fork to exec, ms: whoever waits for longer has a disk that hangs. */
#define EXEC_MS 1000

/* --- which program -------------------------------------------------------- */

/* The folder of our own program, links resolved. */
static int beside_us(char out[PATH_MAX], struct hf_why *why)
{
    const size_t name = sizeof("/" HF_LAUNCH_NAME);
    ssize_t len = readlink("/proc/self/exe", out, PATH_MAX - 1);
    char *slash;

    if (len <= 0)
        return hf_explain(why, HF_ENOTFOUND,
                          "it is not known where this program is (no /proc): "
                          "name the side-car in " HF_FILE_SETTINGS
                          ", [sidecar] program = /path/of/" HF_LAUNCH_NAME);
    out[len] = '\0';
    slash = strrchr(out, '/');
    if (!slash || (size_t)(slash - out) + name > PATH_MAX)
        return hf_explain(why, HF_ENOTFOUND, "the path is too long: %s", out);
    memcpy(slash, "/" HF_LAUNCH_NAME, name);
    return 0;
}

static int check_program(const char *path, struct hf_why *why)
{
    struct stat st;

    if (path[0] != '/')
        return hf_explain(
            why, HF_EINVAL,
            "program = %s in " HF_FILE_SETTINGS ": give the whole path", path);
    if (stat(path, &st) < 0)
        return hf_explain(
            why, errno == EACCES ? HF_EDENIED : HF_ENOTFOUND,
            "%s: %s. Put the program there, or name it in " HF_FILE_SETTINGS
            ", [sidecar] program",
            path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return hf_explain(why, HF_EINVAL, "%s: not a program", path);
    if (st.st_uid != geteuid() && st.st_uid != 0)
        return hf_explain(
            why, HF_EDENIED,
            "%s: belongs to uid %lu, who is neither this "
            "account nor root: copy it, and name the copy in " HF_FILE_SETTINGS,
            path, (unsigned long)st.st_uid);
    if (st.st_mode & (S_IWGRP | S_IWOTH))
        return hf_explain(why, HF_EDENIED,
                          "%s: others may change it (mode %03o): chmod go-w %s",
                          path, (unsigned)(st.st_mode & 0777), path);
    if (access(path, X_OK) < 0)
        return hf_explain(why, HF_EDENIED,
                          "%s cannot be executed (mode %03o): chmod 755 %s",
                          path, (unsigned)(st.st_mode & 0777), path);
    return 0;
}

int hf_launch_find(const struct hf_settings *settings, char out[PATH_MAX],
                   struct hf_why *why)
{
    int err = settings->program[0]
                  ? hf_place_expand(settings->program, out, PATH_MAX, why)
                  : beside_us(out, why);

    return err ? err : check_program(out, why);
}

/* --- what it gets --------------------------------------------------------- */

/* Names of files, of languages, of the time zone, of proxies to the application
 * (hooks); and what a build with sanitizers needs. HTTP_PROXY would be a header
 * of the visitor. */
static const char *const kept[] = {
    "PATH",
    "HOME",
    "TMPDIR",
    "TZ",
    "LANG",
    "LC_ALL",
    "LC_MESSAGES",
    "LD_LIBRARY_PATH",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "OPENSSL_CONF",
    "OPENSSL_MODULES",
    "https_proxy",
    "http_proxy",
    "no_proxy",
    "all_proxy",
    "ASAN_OPTIONS",
    "UBSAN_OPTIONS",
    "LSAN_OPTIONS",
    "TSAN_OPTIONS",
    "HOLDFAST_ALLOW_NETWORK_FS",
};

#define KEPT (sizeof(kept) / sizeof(kept[0]))

struct environment {
    char *at[KEPT + 2];
    char notify[sizeof(HF_NOTIFY_VARIABLE "=") +
                sizeof(((struct sockaddr_un *)0)->sun_path)];
};

/* The variable of that name as it stands in the environment. */
static char *variable(const char *name)
{
    size_t len = strlen(name);
    char **at;

    for (at = environ; *at; at++)
        if (strncmp(*at, name, len) == 0 && (*at)[len] == '=')
            return *at;
    return NULL;
}

static void make_environment(struct environment *out, const char *notify)
{
    size_t count = 0, i;

    for (i = 0; i < KEPT; i++) {
        out->at[count] = variable(kept[i]);
        count += out->at[count] != NULL;
    }
    if (notify) {
        (void)snprintf(out->notify, sizeof(out->notify),
                       HF_NOTIFY_VARIABLE "=%s", notify);
        out->at[count++] = out->notify;
    }
    out->at[count] = NULL;
}

/* --- in the child: what a signal handler may do and nothing else ---------- */

struct child {
    const char *program;
    char *const *argv;
    char *const *env;
    int log;  /* in place of the two outputs */
    int tell; /* errno of a failure goes there */
    bool orphan;
};

static void set_signals_back(void)
{
    struct sigaction standard = {.sa_handler = SIG_DFL};
    sigset_t none;
    int number;

    for (number = 1; number < NSIG; number++)
        (void)sigaction(number, &standard, NULL); /* not all may be: no harm */
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static void close_from(unsigned first)
{
    struct rlimit limit = {.rlim_cur = 1024};
    unsigned fd;

#ifdef SYS_close_range
    if (syscall(SYS_close_range, first, UINT32_MAX, 0) == 0)
        return;
#endif
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur > 65536)
        limit.rlim_cur = 65536; /* what we got is among the first */
    for (fd = first; fd < limit.rlim_cur; fd++)
        (void)close((int)fd);
}

/* 0, 1, 2 and 3, where a failure is told; nothing else. */
static bool set_descriptors(const struct child *child)
{
    int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
    int log = fcntl(child->log, F_DUPFD_CLOEXEC, 4);
    int tell = fcntl(child->tell, F_DUPFD_CLOEXEC, 4);

    if (nowhere < 0 || log < 0 || tell < 0 || dup2(nowhere, 0) < 0 ||
        dup2(log, 1) < 0 || dup2(log, 2) < 0 || dup3(tell, 3, O_CLOEXEC) < 0)
        return false;
    close_from(4);
    return true;
}

_Noreturn static void become(const struct child *child)
{
    int tell = child->tell;
    int failure;

    (void)setsid(); /* Ctrl-C and hang-ups of a terminal are not for it */
    if (child->orphan) {
        pid_t pid = fork();

        if (pid > 0)
            _exit(0);
        if (pid < 0)
            goto failed;
    }
    set_signals_back();
    if (!set_descriptors(child))
        goto failed;
    tell = 3;
    if (chdir("/") == 0) /* it is not to keep a disk from being unmounted */
        (void)execve(child->program, child->argv, child->env);
failed:
    failure = errno;
    (void)!write(tell, &failure, sizeof(failure));
    _exit(127);
}

/* --- in the parent -------------------------------------------------------- */

/* What the child tells before it becomes the program; 0: it has become it, or
 * takes its time. */
static int failure_told(int fd)
{
    struct pollfd told = {.fd = fd, .events = POLLIN};
    int failure = 0;

    if (poll(&told, 1, EXEC_MS) == 1 &&
        read(fd, &failure, sizeof(failure)) != sizeof(failure))
        return 0;
    return failure;
}

static pid_t start(struct child *child)
{
    sigset_t all, before;
    pid_t pid;

    /* No handler of ours is to run in the child. */
    (void)sigfillset(&all);
    (void)sigprocmask(SIG_BLOCK, &all, &before);
    pid = fork();
    if (pid == 0)
        become(child);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    return pid;
}

static int cannot(struct hf_why *why, const char *what, const char *object,
                  int error)
{
    return hf_explain(why, HF_EIO, "cannot %s %s: %s", what, object,
                      strerror(error));
}

static int start_with(const struct hf_launch *launch, struct child *child,
                      pid_t *out_pid, struct hf_why *why)
{
    int told[2];
    int failure = 0;
    pid_t pid;

    if (pipe2(told, O_CLOEXEC) < 0)
        return cannot(why, "make", "a pipe", errno);
    child->tell = told[1];
    child->orphan = !out_pid;
    pid = start(child);
    if (pid < 0)
        failure = errno;
    hf_close(&told[1]);
    if (pid >= 0) {
        failure = failure_told(told[0]);
        if (!out_pid || failure)
            (void)waitpid(pid, NULL, 0); /* it ends at once */
    }
    hf_close(&told[0]);
    if (failure)
        return cannot(why, pid < 0 ? "make a process for" : "execute",
                      launch->program, failure);
    if (out_pid)
        *out_pid = pid;
    return 0;
}

int hf_launch(const struct hf_launch *launch, pid_t *out_pid,
              struct hf_why *why)
{
    char name[] = HF_LAUNCH_NAME, option[] = "--dir", demand[] = "--on-demand";
    char dir[PATH_MAX];
    char *argv[] = {name, option, dir, launch->on_demand ? demand : NULL, NULL};
    struct environment environment;
    struct child child = {.program = launch->program, .argv = argv};
    int err;

    memcpy(dir, launch->dir->path, sizeof(dir));
    make_environment(&environment, launch->notify);
    child.env = environment.at;
    child.log = openat(launch->dir->fd, HF_FILE_LOG,
                       O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW |
                           O_NONBLOCK,
                       launch->dir->file_mode);
    if (child.log < 0)
        return cannot(why, "open", HF_FILE_LOG " in the directory", errno);
    err = start_with(launch, &child, out_pid, why);
    hf_close(&child.log);
    return err;
}

#include "cli/sidecar.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/notify.h"
#include "base/str.h"
#include "base/sys.h"
#include "channel/launch.h"
#include "schema/starts.h"

/* Until it serves, ms: of which it needs a few, and a machine that is busy, or a
 * journal that is large, some more. */
#define SERVE_MS 30000

/* How often it is looked whether it has died, ms. */
#define LOOK_MS 50

/* For whoever is starting one at this moment, ms. */
#define LOCK_MS 2000

/* Of what it has said, bytes shown. */
#define SHOWN_MAX 4096

/* Whatever it makes must belong to the account that serves. */
static int check_account(const struct hf_cli *cli)
{
    const struct passwd *owner;
    struct stat st;

    if (geteuid() != 0 || fstat(cli->dir.fd, &st) < 0 || st.st_uid == 0)
        return HF_EXIT_OK;
    owner = getpwuid(st.st_uid);
    return hf_cli_fail(
        cli,
        "%s belongs to %s, and a side-car that root starts would "
        "make files there that %s cannot use: sudo -u %s "
        "holdfast --dir %s sidecar start",
        cli->dir.path, owner ? owner->pw_name : "another account",
        owner ? owner->pw_name : "that", owner ? owner->pw_name : "NAME",
        cli->dir.path);
}

/* --- waiting -------------------------------------------------------------- */

enum outcome { SERVES, DIED, SILENT };

/* Where it tells that it serves; its name is the kernel's choice. Returns the
 * socket, or -1. */
static int open_notify(char *out_name, size_t cap)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t len = sizeof(address.sun_family); /* autobind, unix(7) */
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -1;
    if (bind(fd, (const struct sockaddr *)&address, len) == 0) {
        len = sizeof(address);
        if (getsockname(fd, (struct sockaddr *)&address, &len) == 0) {
            (void)snprintf(out_name, cap, "@%.*s",
                           (int)(len - offsetof(struct sockaddr_un, sun_path)) -
                               1,
                           address.sun_path + 1);
            return fd;
        }
    }
    hf_close(&fd);
    return -1;
}

static bool is_ready(int fd)
{
    char text[1024];
    ssize_t len;

    while ((len = recv(fd, text, sizeof(text), 0)) > 0)
        if (memmem(text, (size_t)len, "READY=1", 7))
            return true;
    return false;
}

static enum outcome wait_for(int fd, pid_t pid)
{
    struct pollfd told = {.fd = fd, .events = POLLIN};
    int64_t end_ms = hf_boot_ms() + SERVE_MS;
    bool died;

    do {
        (void)poll(&told, 1, LOOK_MS);
        died = waitpid(pid, NULL, WNOHANG) == pid; /* and then its last word */
        if (is_ready(fd))
            return SERVES;
    } while (!died && hf_boot_ms() < end_ms);
    return died ? DIED : SILENT;
}

/* --- what it has said ----------------------------------------------------- */

static off_t log_end(const struct hf_cli *cli)
{
    struct stat st;

    return fstatat(cli->dir.fd, HF_FILE_LOG, &st, AT_SYMLINK_NOFOLLOW) == 0
               ? st.st_size
               : 0;
}

/* The end of its log, from `from` on. */
static void show_log(const struct hf_cli *cli, off_t from)
{
    int fd =
        openat(cli->dir.fd, HF_FILE_LOG, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    char text[SHOWN_MAX];
    ssize_t len;

    if (log_end(cli) > from + SHOWN_MAX)
        from = log_end(cli) - SHOWN_MAX;
    len = fd >= 0 ? pread(fd, text, sizeof(text), from) : -1;
    if (len > 0)
        (void)fwrite(text, 1, (size_t)len, stderr);
    hf_close(&fd);
}

/* --- starting ------------------------------------------------------------- */

static int judge(const struct hf_cli *cli, enum outcome outcome, pid_t pid,
                 off_t log_from, bool by_cron)
{
    switch (outcome) {
    case SERVES:
        if (by_cron)
            return HF_EXIT_OK;
        printf("the side-car serves: process %ld\n", (long)pid);
        return hf_cli_flush(cli);
    case DIED:
        show_log(cli, log_from);
        return hf_cli_fail(cli,
                           "it could not start, and said why (above, and "
                           "in %s/" HF_FILE_LOG "); clients go on by "
                           "long-poll",
                           cli->dir.path);
    case SILENT:
        break;
    }
    return hf_cli_fail(cli,
                       "process %ld does not serve after %d s; it goes on "
                       "trying, see %s/" HF_FILE_LOG,
                       (long)pid, SERVE_MS / 1000, cli->dir.path);
}

static int launch(struct hf_cli *cli, bool by_cron)
{
    struct hf_launch launch = {.dir = &cli->dir};
    char name[sizeof(((struct sockaddr_un *)0)->sun_path) + 1];
    off_t log_from = log_end(cli);
    struct hf_why why = {""};
    enum outcome outcome;
    int notify, err;
    pid_t pid = 0;

    err = hf_launch_find(&cli->settings, launch.program, &why);
    if (err)
        return hf_cli_fail(cli, "%s", why.text);
    notify = open_notify(name, sizeof(name));
    if (notify < 0)
        return hf_cli_fail(cli, "cannot make a socket: %s", strerror(errno));
    launch.notify = name;
    err = hf_launch(&launch, &pid, &why);
    outcome = err ? DIED : wait_for(notify, pid);
    hf_close(&notify);
    return err ? hf_cli_fail(cli, "%s", why.text)
               : judge(cli, outcome, pid, log_from, by_cron);
}

/* With the lock held, so that nobody else starts one until it serves. */
static int start(struct hf_cli *cli, bool by_cron, int lock,
                 struct hf_starts *starts)
{
    int64_t now_ms = hf_boot_ms();

    if (by_cron && !hf_starts_may(starts, now_ms))
        return HF_EXIT_OK;
    if (!by_cron)
        *starts = (struct hf_starts){0};
    if (hf_sidecar_runs(cli)) /* since a moment ago */
        return HF_EXIT_OK;
    hf_starts_begin(starts, now_ms);
    if (hf_starts_write(lock, starts))
        return hf_cli_fail(cli, "cannot write %s/" HF_FILE_STARTS ": %s",
                           cli->dir.path, strerror(errno));
    return launch(cli, by_cron);
}

int hf_sidecar_start(struct hf_cli *cli, bool by_cron)
{
    pid_t pid = hf_sidecar_runs(cli);
    struct hf_starts starts;
    int exit_code, lock, err;

    if (pid && by_cron)
        return HF_EXIT_OK;
    if (pid) {
        printf("the side-car runs already: process %ld\n", (long)pid);
        return hf_cli_flush(cli);
    }
    if (check_account(cli))
        return HF_EXIT_FAILED;
    err = hf_starts_lock(&cli->dir, by_cron ? 0 : LOCK_MS, &lock, &starts);
    if (err == HF_EBUSY && by_cron)
        return HF_EXIT_OK;
    if (err == HF_EBUSY)
        return hf_cli_fail(cli, "another program is starting it at this "
                                "moment: see holdfast sidecar status");
    if (err)
        return hf_cli_fail(cli, "cannot open %s/" HF_FILE_STARTS ": %s",
                           cli->dir.path, strerror(errno));
    exit_code = start(cli, by_cron, lock, &starts);
    hf_starts_unlock(&lock);
    return exit_code;
}

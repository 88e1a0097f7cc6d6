#include "schema/survivor.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/sys.h"

#define BEAT_MS 1000
#define LINE    128u

/* Killed this close to its end counts as ended. */
#define END_SLACK_MS INT64_C(5000)

struct line {
    char who[16];
    char boot[40];
    int64_t started_ms, last_ms; /* hf_boot_ms */
};

static void write_line(int fd, const struct line *line)
{
    char text[LINE + 1];
    ssize_t wrote;

    (void)snprintf(text, sizeof(text),
                   "%-15s %-39s %20" PRId64 " %20" PRId64 "\n", line->who,
                   line->boot, line->started_ms, line->last_ms);
    wrote = pwrite(fd, text, strlen(text), 0);
    (void)wrote; /* a full disk: it then seems to have ended here */
}

static bool read_line(int fd, struct line *out)
{
    char text[LINE + 1] = "";
    ssize_t n = pread(fd, text, LINE, 0);

    return n > 0 && sscanf(text, "%15s %39s %" SCNd64 " %" SCNd64, out->who,
                           out->boot, &out->started_ms, &out->last_ms) == 4;
}

void hf_survivor_look(const struct hf_dir *dir, struct hf_survivor *out)
{
    struct line line;
    char boot[40] = "";
    int fd = openat(dir->fd, HF_FILE_SURVIVOR, O_RDWR | O_CLOEXEC | O_NOFOLLOW);

    *out = (struct hf_survivor){.state = HF_SURVIVAL_UNKNOWN};
    if (fd < 0)
        return;
    if (read_line(fd, &line) && hf_boot_id(boot) == 0 &&
        strcmp(line.boot, boot) == 0) {
        (void)snprintf(out->who, sizeof(out->who), "%s", line.who);
        out->lived_ms = line.last_ms - line.started_ms;
        out->ago_ms = hf_boot_ms() - line.started_ms;
        out->state = hf_locked(fd, 0, 1) ? HF_SURVIVAL_LIVES
                     : out->lived_ms >= HF_SURVIVOR_MS - END_SLACK_MS
                         ? HF_SURVIVAL_ENDED
                         : HF_SURVIVAL_KILLED;
    }
    hf_close(&fd);
}

/* --- the process --------------------------------------------------------- */

/* Nothing of whoever started us is held: a web server would wait for its
 * pipes, a shell for its terminal. */
static void let_go_of_all_but(int fd)
{
    struct rlimit limit = {.rlim_cur = 1024};
    int most;

    (void)getrlimit(RLIMIT_NOFILE, &limit); /* else as many as is usual */
    most = limit.rlim_cur > 65536 ? 65536 : (int)limit.rlim_cur;
    for (int i = 0; i < most; i++)
        if (i != fd)
            (void)close(i);
    (void)setsid();
    (void)!chdir("/");
}

/* Whoever removes the directory wants nothing of it to stay. */
static bool is_there(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && st.st_nlink > 0;
}

_Noreturn static void live(int fd, struct line *line)
{
    struct timespec beat = {.tv_sec = BEAT_MS / 1000};

    (void)signal(SIGHUP, SIG_IGN);
    (void)signal(SIGPIPE, SIG_IGN);
    let_go_of_all_but(fd);
    while (line->last_ms - line->started_ms < HF_SURVIVOR_MS && is_there(fd)) {
        (void)nanosleep(&beat, NULL); /* cut short is fine */
        line->last_ms = hf_boot_ms();
        write_line(fd, line);
    }
    _exit(0);
}

/* Twice, so that it is nobody's child. */
static int start(int fd, struct line *line)
{
    pid_t child = fork(), grandchild;
    int status = 1;

    if (child == 0) {
        grandchild = fork();
        if (grandchild == 0)
            live(fd, line);
        _exit(grandchild < 0);
    }
    if (child < 0)
        return HF_EIO;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return HF_EIO;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    errno = EAGAIN;
    return HF_EIO;
}

int hf_survivor_start(const struct hf_dir *dir, const char *who)
{
    struct line line = {.started_ms = hf_boot_ms()};
    int fd = hf_dir_open_file(dir, HF_FILE_SURVIVOR);
    int err;

    if (fd < 0)
        return HF_EIO;
    err = hf_lock_try(fd, 0, 1); /* the lock goes with the descriptor */
    if (!err)
        err = hf_boot_id(line.boot);
    if (!err) {
        (void)snprintf(line.who, sizeof(line.who), "%s", who);
        line.last_ms = line.started_ms;
        write_line(fd, &line);
        err = start(fd, &line);
    }
    hf_close(&fd);
    return err == HF_EBUSY ? 0 : err;
}

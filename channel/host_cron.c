/*
 * host_cron.c - may this account have a crontab, and does anybody read it?
 */
#include "channel/host.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/sys.h"

#define WORDS 200u /* bytes of what crontab says that are kept */

/* Some gateways are started without a PATH. */
#define USUAL_PATH "/usr/local/bin:/usr/bin:/bin"

extern char **environ;

/* Start `crontab -l`, with its words going to `out`. */
static pid_t start(int out)
{
    char name[] = "crontab", option[] = "-l";
    char *const args[] = {name, option, NULL};
    posix_spawn_file_actions_t files;
    pid_t child = -1;
    int err;

    if (posix_spawn_file_actions_init(&files))
        return -1;
    err = posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    if (!err)
        err = posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY,
                                               0);
    if (!err)
        err = posix_spawn_file_actions_adddup2(&files, out, 2);
    if (!getenv("PATH"))
        (void)setenv("PATH", USUAL_PATH, 0); /* without it: not found */
    if (!err)
        err = posix_spawnp(&child, name, &files, NULL, args, environ);
    (void)posix_spawn_file_actions_destroy(&files);
    errno = err;
    return err ? -1 : child;
}

/* Everything up to the end of its words, or the deadline; its exit code, -1
 * when it had to be ended. */
static int follow(pid_t child, int in, char words[WORDS])
{
    int64_t deadline_ms = hf_boot_ms() + HF_HOST_CRON_MS;
    struct pollfd ready = {.fd = in, .events = POLLIN};
    size_t len = 0;
    int status = 0;

    for (;;) {
        int64_t left = deadline_ms - hf_boot_ms();
        char rest[64];
        ssize_t n;

        if (left <= 0 || poll(&ready, 1, (int)left) <= 0) {
            (void)kill(child, SIGKILL); /* it is ours, and not waited for */
            (void)waitpid(child, &status, 0);
            return -1;
        }
        n = len < WORDS - 1 ? read(in, words + len, WORDS - 1 - len)
                            : read(in, rest, sizeof(rest));
        if (n <= 0)
            break;
        if (len < WORDS - 1)
            len += (size_t)n;
    }
    words[len] = '\0';
    words[strcspn(words, "\n")] = '\0';
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Does a process look like cron's? -1: those of others are hidden from us. */
static int somebody_reads(void)
{
    static const char *const names[] = {"cron", "crond", "fcron", "dcron",
                                        "systemd-cron"};
    DIR *list = opendir("/proc");
    const struct dirent *entry;
    bool sees_others = false;
    int found = 0;

    while (list && !found && (entry = readdir(list))) {
        long pid = strtol(entry->d_name, NULL, 10);
        char name[17];

        if (pid <= 0)
            continue;
        hf_process_name((pid_t)pid, name);
        sees_others = sees_others || (pid == 1 && name[0]);
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
            found = found || strcmp(name, names[i]) == 0;
    }
    if (list)
        (void)closedir(list); /* read only */
    return found ? 1 : sees_others ? 0 : -1;
}

static void tell_allowed(struct hf_report *report)
{
    switch (somebody_reads()) {
    case 1:
        hf_report_fact(report, "cron",
                       "this account may have a crontab, and "
                       "cron runs");
        return;
    case 0:
        hf_report_trouble(report, "cron", "no-cron",
                          "crontab is there, but no cron runs");
        return;
    default:
        hf_report_fact(report, "cron",
                       "this account may have a crontab "
                       "(whether cron runs is hidden)");
    }
}

void hf_host_look_cron(struct hf_report *report)
{
    char words[WORDS] = "";
    int pipes[2];
    pid_t child;
    int code;

    if (pipe2(pipes, O_CLOEXEC) < 0)
        return;
    child = start(pipes[1]);
    hf_close(&pipes[1]);
    if (child < 0) {
        hf_report_trouble(report, "cron", "no-cron", "crontab: %s",
                          strerror(errno));
    } else {
        code = follow(child, pipes[0], words);
        /* who has none yet is told so, with 1 */
        if (code == 0 || (code == 1 && strstr(words, "no crontab")))
            tell_allowed(report);
        else
            hf_report_trouble(report, "cron", "no-cron", "crontab says: %s",
                              words[0] ? words : "nothing");
    }
    hf_close(&pipes[0]);
}

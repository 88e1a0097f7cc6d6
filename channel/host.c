#include "channel/host.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/sys.h"
#include "schema/place.h"
#include "schema/survivor.h"

#define NO_LIMIT      INT64_MAX
#define FEW_PROCESSES 40 /* left to the account: cgi_max_held wants as many */
#define FEW_FILES     512
#define LITTLE_MEMORY (INT64_C(64) << 20)
#define FEW_INODES    1000
#define SURVIVES_MS   INT64_C(30000) /* who lived so long is let live */

/* --- limits -------------------------------------------------------------- */

/* A number in a file of the kernel; NO_LIMIT for "max", or no such file. */
static int64_t number_in(const char *path)
{
    char text[64] = "";
    size_t len = 0;
    char *end;
    long long number;

    if (hf_file_read(AT_FDCWD, path, text, sizeof(text) - 1, &len))
        return NO_LIMIT;
    text[len] = '\0';
    errno = 0;
    number = strtoll(text, &end, 10);
    return end == text || errno ? NO_LIMIT : number;
}

/* What the group of processes we are in may have, by control groups version 2;
 * the older ones show their limits elsewhere, and those are not asked. */
static int64_t group_limit(const char *name)
{
    char text[512] = "", path[1024];
    size_t len = 0;
    char *group, *end;

    if (hf_file_read(AT_FDCWD, "/proc/self/cgroup", text, sizeof(text) - 1,
                     &len))
        return NO_LIMIT;
    text[len] = '\0';
    group = strstr(text, "0::/");
    if (!group)
        return NO_LIMIT;
    group += 3;
    end = strchr(group, '\n');
    if (end)
        *end = '\0';
    (void)snprintf(path, sizeof(path), "/sys/fs/cgroup%s/%s", group, name);
    return number_in(path);
}

static int64_t resource_limit(unsigned which, bool hard)
{
    struct rlimit limit;

    if (getrlimit(which, &limit) < 0)
        return NO_LIMIT;
    if (hard)
        limit.rlim_cur = limit.rlim_max;
    return limit.rlim_cur == RLIM_INFINITY ? NO_LIMIT : (int64_t)limit.rlim_cur;
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Tasks of our account, threads and all, as the limit counts them; -1: other
 * people's processes are hidden, and perhaps ours as well. */
static int64_t tasks(void)
{
    DIR *list = opendir("/proc");
    const struct dirent *entry;
    int64_t count = 0;

    if (!list)
        return -1;
    while ((entry = readdir(list))) {
        char path[NAME_MAX + 16];
        struct stat st;

        if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
            continue;
        (void)snprintf(path, sizeof(path), "%s/task", entry->d_name);
        if (fstatat(dirfd(list), path, &st, 0) == 0 && st.st_uid == geteuid())
            count += st.st_nlink > 2 ? (int64_t)st.st_nlink - 2 : 1;
    }
    (void)closedir(list); /* read only */
    return count > 0 ? count : -1;
}

static void look_processes(struct hf_report *report,
                           const struct hf_settings *settings)
{
    /* root is not bound by the first */
    int64_t own = geteuid() ? resource_limit(RLIMIT_NPROC, false) : NO_LIMIT;
    int64_t limit = smaller(own, group_limit("pids.max"));
    int64_t used = tasks();
    int64_t left = used < 0 ? limit : limit - used;
    long long held;

    if (limit == NO_LIMIT) {
        hf_report_fact(report, "processes", "no limit of processes is set");
        return;
    }
    if (left >= FEW_PROCESSES) {
        hf_report_fact(report, "processes",
                       "%" PRId64 " may run, %" PRId64 " do", limit,
                       used < 0 ? 0 : used);
        return;
    }
    hf_report_trouble(report, "processes", "process-limit",
                      "%" PRId64 " may run, %" PRId64 " do", limit,
                      used < 0 ? 0 : used);
    held = left > 3 ? left / 2 : 1;
    if (held < (long long)settings->cgi_max_held)
        hf_report_change(report, settings, "gateway", "cgi_max_held", held, "",
                         "process-limit");
}

static void look_memory(struct hf_report *report)
{
    int64_t limit =
        smaller(resource_limit(RLIMIT_AS, false), group_limit("memory.max"));

    if (limit == NO_LIMIT)
        hf_report_fact(report, "memory", "no limit is set");
    else if (limit >= LITTLE_MEMORY)
        hf_report_fact(report, "memory", "at most %" PRId64 " MiB",
                       limit >> 20);
    else
        hf_report_trouble(report, "memory", "memory-limit",
                          "at most %" PRId64 " MiB", limit >> 20);
}

void hf_host_look_limits(struct hf_report *report,
                         const struct hf_settings *settings)
{
    int64_t files = resource_limit(RLIMIT_NOFILE, true);
    struct utsname system;
    struct timex clock = {.modes = 0};

    if (uname(&system) == 0)
        hf_report_fact(report, "system", "%s %s, %s", system.sysname,
                       system.release, system.machine);
    look_processes(report, settings);
    look_memory(report);
    if (files < FEW_FILES)
        hf_report_trouble(report, "open-files", "open-files",
                          "%" PRId64 " at most", files);
    else if (files == NO_LIMIT)
        hf_report_fact(report, "open-files", "no limit is set");
    else
        hf_report_fact(report, "open-files", "%" PRId64 " at most", files);
    if (adjtimex(&clock) >= 0)
        hf_report_fact(report, "clock",
                       clock.status & STA_UNSYNC
                           ? "nothing on this machine says that it is kept "
                             "right (the machine below may do so)"
                           : "kept right by a time server");
}

/* --- files --------------------------------------------------------------- */

static void look_home(struct hf_report *report)
{
    struct statvfs fs;
    char home[PATH_MAX];

    if (hf_place_expand("~/", home, sizeof(home), NULL) ||
        statvfs(home, &fs) < 0)
        hf_report_fact(report, "home", "the account has none");
    else if (fs.f_flag & ST_NOEXEC)
        hf_report_trouble(report, "home", "noexec", "%s is mounted noexec",
                          home);
    else
        hf_report_fact(report, "home", "programs may be started from %s", home);
}

void hf_host_look_files(struct hf_report *report, const struct hf_dir *dir)
{
    struct statvfs fs;

    look_home(report);
    if (fstatvfs(dir->fd, &fs) < 0)
        return; /* what is wrong with it was said by the inspection */
    if (fs.f_flag & ST_RDONLY)
        hf_report_trouble(report, "directory", "read-only",
                          "%s is on a file system that is mounted read-only",
                          dir->path);
    if (fs.f_files > 0 && fs.f_favail < FEW_INODES)
        hf_report_trouble(report, "space", "no-inodes", "%llu are left",
                          (unsigned long long)fs.f_favail);
}

/* --- background ---------------------------------------------------------- */

static void tell_survivor(struct hf_report *report,
                          const struct hf_survivor *survivor)
{
    long long lived = survivor->lived_ms / 1000;
    long long ago = survivor->ago_ms / 1000;

    switch (survivor->state) {
    case HF_SURVIVAL_UNKNOWN:
        return;
    case HF_SURVIVAL_LIVES:
        hf_report_fact(report, "background",
                       "one that was started %lld s ago (%s) lives%s", ago,
                       survivor->who,
                       survivor->ago_ms < SURVIVES_MS
                           ? "; look again later, after you have logged out"
                           : "");
        return;
    case HF_SURVIVAL_ENDED:
        hf_report_fact(report, "background",
                       "one that was started %lld min ago (%s) lived its ten "
                       "minutes",
                       ago / 60, survivor->who);
        return;
    case HF_SURVIVAL_KILLED:
        hf_report_trouble(report, "background", "background-killed",
                          "one that was started %lld s ago (%s) was ended "
                          "after %lld s",
                          ago, survivor->who, lived);
        return;
    }
}

void hf_host_look_survivor(struct hf_report *report, const struct hf_dir *dir,
                           const char *who, bool start)
{
    struct hf_survivor survivor;

    hf_survivor_look(dir, &survivor);
    tell_survivor(report, &survivor);
    if (!start || survivor.state == HF_SURVIVAL_LIVES)
        return;
    if (hf_survivor_start(dir, who))
        hf_report_trouble(report, "background", "background-killed",
                          "none could be started: %s", strerror(errno));
    else if (survivor.state == HF_SURVIVAL_UNKNOWN)
        hf_report_fact(report, "background",
                       "one was started to see how long it lives, for ten "
                       "minutes at most; look again later");
}

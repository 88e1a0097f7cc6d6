/*
 * cgi - what one CGI process costs
 *
 *     cgi cpu COUNT AT_ONCE PROGRAM [ARGUMENT...]
 *     cgi pss COUNT MS PROGRAM [ARGUMENT...]
 *
 * Starts PROGRAM as a web server does, COUNT times, with the environment that
 * we have and a line of standard input as its QUERY_STRING, in turns; their
 * output goes to /dev/null. `cpu` has AT_ONCE of them at a time, and prints
 * what the kernel says each took, user and system together, from fork to exit.
 * `pss` starts all of them, waits MS until they hold, and prints what they
 * share and what not, from smaps_rollup; then they end by themselves.
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MOST      10000
#define MOST_LINE 600

static char (*queries)[MOST_LINE];
static size_t query_count;
static posix_spawn_file_actions_t actions;

static _Noreturn void die(const char *what)
{
    (void)fprintf(stderr, "cgi: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void read_queries(void)
{
    queries = calloc(MOST, MOST_LINE);
    if (!queries)
        die("memory");
    while (query_count < MOST &&
           fgets(queries[query_count], MOST_LINE, stdin)) {
        queries[query_count][strcspn(queries[query_count], "\n")] = '\0';
        query_count++;
    }
}

static pid_t start(char **argv, size_t n)
{
    pid_t pid;

    if (query_count > 0 &&
        setenv("QUERY_STRING", queries[n % query_count], 1) != 0)
        die("setenv");
    /* vfork and exec: the copy of this process is not their cost */
    errno = posix_spawn(&pid, argv[0], &actions, NULL, argv, environ);
    if (errno)
        die(argv[0]);
    return pid;
}

/* The processor time of the next one to end, in us. */
static double end_one(void)
{
    struct rusage usage;
    int status;

    if (wait4(-1, &status, 0, &usage) < 0)
        die("wait4");
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        (void)fprintf(stderr, "cgi: one ended with status %#x\n", status);
        exit(1);
    }
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void cpu(char **argv, size_t count, size_t at_once)
{
    double *us = calloc(count, sizeof(*us));
    double sum = 0;
    size_t begun = 0, ended = 0;

    if (!us)
        die("memory");
    while (ended < count) {
        if (begun < count && begun - ended < at_once) {
            (void)start(argv, begun++);
            continue;
        }
        sum += us[ended++] = end_one();
    }
    qsort(us, count, sizeof(*us), compare);
    printf("mean %.2f ms, p50 %.2f, p90 %.2f, least %.2f\n",
           sum / (double)count / 1000, us[count / 2] / 1000,
           us[count * 9 / 10] / 1000, us[0] / 1000);
    free(us);
}

/* Adds the line of that name, in kB. */
static void add_kb(const char *text, const char *name, double *sum)
{
    const char *at = strstr(text, name);

    if (at)
        *sum += strtod(at + strlen(name), NULL);
}

static void pss(char **argv, size_t count, unsigned ms)
{
    pid_t *pids = calloc(count, sizeof(*pids));
    struct timespec pause = {ms / 1000, (long)(ms % 1000) * 1000000};
    double rss = 0, shared = 0, own = 0;
    size_t n;

    if (!pids)
        die("memory");
    for (n = 0; n < count; n++)
        pids[n] = start(argv, n);
    (void)nanosleep(&pause, NULL);
    for (n = 0; n < count; n++) {
        char path[64], text[4096];
        ssize_t len;
        int fd;

        (void)snprintf(path, sizeof(path), "/proc/%ld/smaps_rollup",
                       (long)pids[n]);
        fd = open(path, O_RDONLY);
        len = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
        if (len <= 0)
            die("one is gone already");
        (void)close(fd);
        text[len] = '\0';
        add_kb(text, "\nRss:", &rss);
        add_kb(text, "\nPss:", &shared);
        add_kb(text, "\nPrivate_Clean:", &own);
        add_kb(text, "\nPrivate_Dirty:", &own);
    }
    for (n = 0; n < count; n++)
        (void)end_one();
    printf("Pss %.0f kB each, of it private %.0f kB; Rss %.0f kB\n",
           shared / (double)count, own / (double)count, rss / (double)count);
    free(pids);
}

int main(int argc, char **argv)
{
    size_t count = argc > 4 ? strtoul(argv[2], NULL, 10) : 0;

    if (count == 0 || count > MOST) {
        (void)fputs("usage: cgi cpu COUNT AT_ONCE PROGRAM...\n"
                    "       cgi pss COUNT MS PROGRAM...\n",
                    stderr);
        return 2;
    }
    read_queries();
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY,
                                           0);
    (void)posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY,
                                           0);
    if (strcmp(argv[1], "cpu") == 0)
        cpu(argv + 4, count, strtoul(argv[3], NULL, 10));
    else
        pss(argv + 4, count, (unsigned)strtoul(argv[3], NULL, 10));
    return 0;
}

/*
 * faults - each call of the append and tail paths fails once
 *
 *     faults [SHARE [SEED [CLASS [FIRST [LAST]]]]]
 *
 * SHARE: a class has a SHAREth of its calls failed, at least four; 1: all, but
 * of the classes with a weight only a part (below). Default 400. With FIRST
 * exactly these calls of the class instead, to look at what was found.
 *
 * The story (faults_story.c) is told once to count the calls of each class, and
 * then again for a call of a class that fails, each time in a new process on a
 * copy of the same directory. Whatever fails must say so, nothing may be
 * acknowledged that is not there nor be there twice, no memory may be lost, and
 * trying again must help. Run it with the sanitizers. A class of which no call
 * could be failed proves nothing, and fails.
 */
#include "tests/crash/faults.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "tests/vfs/calls.h"
#include "tests/vfs/shim.h"

struct class
{
    const char *name;
    bool ours; /* else a call of the shim */
    unsigned call;
    unsigned files;
    int code;
    unsigned weight; /* only each so-manieth of its calls: there are so many */
    bool may_be_empty; /* the story need not come to such a call */
};

static const struct class classes[] = {
    {"our memory", true, CALLS_MEMORY, 0, 0, 1, false},
    {"SQLite's memory", true, CALLS_SQLITE_MEMORY, 0, 0, 16, false},
    {"our open", true, CALLS_OPEN, 0, 0, 1, false},
    {"our read", true, CALLS_READ, 0, 0, 1, false},
    {"our write", true, CALLS_WRITE, 0, 0, 1, false},
    {"our fsync", true, CALLS_FSYNC, 0, 0, 1, false},
    {"our rename", true, CALLS_RENAME, 0, 0, 1, false},
    /* the ballast is there: without a full disk it is not made again */
    {"our ftruncate", true, CALLS_TRUNCATE, 0, 0, 1, true},
    {"our stat", true, CALLS_STAT, 0, 0, 1, false},
    {"our lock", true, CALLS_LOCK, 0, 0, 1, false},
    {"our mmap", true, CALLS_MAP, 0, 0, 1, false},
    {"our descriptor", true, CALLS_DESCRIPTOR, 0, 0, 1, false},
    {"our epoll_ctl", true, CALLS_EPOLL, 0, 0, 1, false},
    {"our thread", true, CALLS_THREAD, 0, 0, 1, false},
    {"open of a database", false, SHIM_OPEN, SHIM_ANY, SQLITE_CANTOPEN, 1,
     false},
    {"read", false, SHIM_READ, SHIM_ANY, SQLITE_IOERR_READ, 1, false},
    {"write to the WAL", false, SHIM_WRITE, SHIM_WAL, SQLITE_IOERR_WRITE, 1,
     false},
    {"room in the WAL", false, SHIM_WRITE, SHIM_WAL, SQLITE_FULL, 1, false},
    {"write to the main file", false, SHIM_WRITE, SHIM_MAIN, SQLITE_IOERR_WRITE,
     1, false},
    {"room in the main file", false, SHIM_WRITE, SHIM_MAIN, SQLITE_FULL, 1,
     false},
    {"sync of the WAL", false, SHIM_SYNC, SHIM_WAL, SQLITE_IOERR_FSYNC, 1,
     false},
    {"sync of the main file", false, SHIM_SYNC, SHIM_MAIN, SQLITE_IOERR_FSYNC,
     1, false},
    {"truncation", false, SHIM_TRUNCATE, SHIM_ANY, SQLITE_IOERR_TRUNCATE, 1,
     false},
    {"length", false, SHIM_SIZE, SHIM_ANY, SQLITE_IOERR_FSTAT, 1, false},
    {"file lock", false, SHIM_LOCK, SHIM_ANY, SQLITE_IOERR_LOCK, 1, false},
    {"wal-index", false, SHIM_SHM_MAP, SHIM_ANY, SQLITE_IOERR_SHMMAP, 1, false},
    {"lock of the wal-index", false, SHIM_SHM_LOCK, SHIM_ANY,
     SQLITE_IOERR_SHMLOCK, 4, false},
    /* the log stays when the journal is closed */
    {"deletion", false, SHIM_DELETE, SHIM_ANY, SQLITE_IOERR_DELETE, 1, true},
    {"looking for a file", false, SHIM_ACCESS, SHIM_ANY, SQLITE_IOERR_ACCESS, 1,
     false},
};

#define CLASSES (sizeof(classes) / sizeof(classes[0]))

static struct shared {
    unsigned long counts[CLASSES];
    bool struck;
} * shared;

static const struct class *failing; /* in the process of the story */
static unsigned long failing_at;
static char parent[64], fresh[80], copy[80], errors[80];
static unsigned tests, failed;

/* --- the story, in a process of its own ----------------------------------- */

int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

void fault_bad(const char *format, ...)
{
    va_list words;

    calls_on(false);
    shim_heal();
    (void)fprintf(stderr, "broken: ");
    va_start(words, format);
    (void)vfprintf(stderr, format, words);
    va_end(words);
    (void)fprintf(stderr, "\n");
    (void)fflush(NULL);
    _exit(1);
}

bool fault_struck(void)
{
    return calls_failed() || shim_failed() > 0;
}

bool fault_was_sync(void)
{
    return failing && !failing->ours && failing->call == SHIM_SYNC &&
           failing->files == SHIM_WAL && shim_failed() > 0;
}

static unsigned long count_of(const struct class *class)
{
    return class->ours ? calls_count((enum calls) class->call)
                       : shim_count((enum shim_call) class->call, class->files);
}

static _Noreturn void tell_story(void)
{
    size_t i;

    if (!freopen(errors, "w", stderr))
        _exit(1);
    (void)alarm(100);
    calls_install();
    shim_install();
    shim_sync_for_real(false);
    if (failing && failing->ours)
        calls_fail((enum calls)failing->call, failing_at);
    else if (failing)
        shim_fail((enum shim_call)failing->call, failing->files, failing_at,
                  SHIM_ONCE, failing->code);
    calls_on(true);
    story_tell(copy);
    calls_on(false);
    shim_heal();
    shared->struck = fault_struck();
    for (i = 0; i < CLASSES && !failing; i++)
        shared->counts[i] = count_of(&classes[i]);
    story_check(copy);
    if (__lsan_do_recoverable_leak_check && __lsan_do_recoverable_leak_check())
        fault_bad("memory is lost");
    _exit(0);
}

/* --- the driver ----------------------------------------------------------- */

static _Noreturn void die(const char *what)
{
    printf("Bail out! %s\n", what);
    (void)fflush(stdout);
    _exit(1);
}

static void command(const char *line)
{
    if (system(line))
        die(line);
}

/* The directory as it was before the first story. */
static void copy_fresh(void)
{
    char line[512];

    (void)snprintf(line, sizeof(line), "rm -rf '%s' && cp -r '%s' '%s'", copy,
                   fresh, copy);
    command(line);
}

static int in_a_process(void (*run)(void))
{
    pid_t pid;
    int status;

    (void)fflush(stdout);
    pid = fork();
    if (pid == 0) {
        run();
        _exit(0);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        die("fork");
    return status;
}

static void prepare(void)
{
    story_prepare(fresh);
}

static void run_story(void)
{
    tell_story();
}

static void show_errors(void)
{
    char line[200];
    FILE *file = fopen(errors, "r");
    unsigned lines = 0;

    while (file && lines++ < 40 && fgets(line, sizeof(line), file))
        printf("#   %s%s", line, strchr(line, '\n') ? "" : "\n");
    if (file)
        (void)fclose(file);
}

static bool tell(const struct class *class, unsigned long at)
{
    int status;

    failing = class;
    failing_at = at;
    shared->struck = false;
    copy_fresh();
    status = in_a_process(run_story);
    if (status == 0)
        return true;
    printf("# %s, call %lu: %s %d\n", class ? class->name : "no fault", at,
           WIFSIGNALED(status) ? "signal" : "exit",
           WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    show_errors();
    return false;
}

__attribute__((format(printf, 2, 3))) static void test(bool passed,
                                                       const char *format, ...)
{
    va_list words;

    printf("%sok %u - ", passed ? "" : "not ", ++tests);
    va_start(words, format);
    (void)vprintf(format, words);
    va_end(words);
    printf("\n");
    failed += !passed;
}

/* Which calls of a class: a share of them, or those from `first` to `last`. */
struct pick {
    unsigned long share;
    uint64_t random;
    unsigned long first, last; /* 0 = none are named */
};

static void fail_class(size_t i, const struct pick *pick)
{
    const struct class *class = &classes[i];
    unsigned long step = pick->share * class->weight;
    unsigned long last = pick->first ? pick->last : shared->counts[i];
    unsigned long told = 0, struck = 0, bad = 0, at;

    if (pick->share > 1 && step > shared->counts[i] / 4)
        step = shared->counts[i] / 4;
    if (step == 0 || pick->first)
        step = 1;
    at = pick->first ? pick->first : 1 + pick->random % step;
    for (; at <= last; at += step) {
        told++;
        bad += !tell(class, at);
        struck += shared->struck;
    }
    /* How many calls there are depends on time: those picked may lie beyond
     * the last of a quicker telling. */
    for (at = shared->counts[i] / 2; at > 0 && struck == 0; at /= 2) {
        told++;
        bad += !tell(class, at);
        struck += shared->struck;
    }
    test(bad == 0 && (struck > 0 || class->may_be_empty),
         "%s: %lu calls, %lu failed one at a time, %lu struck", class->name,
         shared->counts[i], told, struck);
}

static bool is_class(const char *name)
{
    size_t i;

    for (i = 0; i < CLASSES; i++)
        if (strcmp(name, classes[i].name) == 0)
            return true;
    return false;
}

int main(int argc, char **argv)
{
    struct pick pick = {.share = argc > 1 ? strtoul(argv[1], NULL, 10) : 400};
    const char *tmp = getenv("TMPDIR");
    const char *only = argc > 3 ? argv[3] : NULL;
    char line[128];
    size_t i;

    if (only && !is_class(only))
        die("there is no such class");
    if (hf_random(&pick.random, sizeof(pick.random)))
        die("random");
    pick.random &= UINT32_MAX;
    if (pick.share == 0)
        pick.share = 1;
    if (argc > 2)
        pick.random = strtoull(argv[2], NULL, 10);
    if (argc > 4)
        pick.first = pick.last = strtoul(argv[4], NULL, 10);
    if (argc > 5)
        pick.last = strtoul(argv[5], NULL, 10);
    printf("# seed %" PRIu64 "\n", pick.random);
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    (void)snprintf(parent, sizeof(parent), "%.30s/holdfast-faults.XXXXXX",
                   tmp ? tmp : "/tmp");
    if (shared == MAP_FAILED || !mkdtemp(parent))
        die("memory or directory");
    (void)snprintf(fresh, sizeof(fresh), "%s/fresh", parent);
    (void)snprintf(copy, sizeof(copy), "%s/copy", parent);
    (void)snprintf(errors, sizeof(errors), "%s/errors", parent);
    if (in_a_process(prepare))
        die("prepare");
    (void)snprintf(line, sizeof(line), "rm -f '%s'/*-shm", fresh);
    command(line);
    test(tell(NULL, 0), "the story is told without a fault");
    for (i = 0; i < CLASSES; i++)
        if (!only || strcmp(only, classes[i].name) == 0)
            fail_class(i, &pick);
    printf("1..%u\n", tests);
    (void)snprintf(line, sizeof(line), "rm -rf '%s'", parent);
    command(line);
    return failed > 0;
}

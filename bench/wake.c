/*
 * wake - time from the commit of a foreign INSERT to a process that waits
 *
 *     wake [COUNT] [PAUSE_US]      default 1000 5000
 *
 * A PHP script without any knowledge of Holdfast inserts COUNT rows, one
 * transaction each, with its defaults (synchronous = FULL), and notes when each
 * commit returned. Two processes wait: one is the watcher, the other is rung by
 * it. Needs php with SQLite3.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "schema/wake.h"

#define MAX_ROWS 100000u
#define READERS  2

struct shared {
    _Atomic unsigned ready;
    struct hf_wake_counts counts[READERS];
    int64_t seen_ns[READERS][MAX_ROWS + 1]; /* by id */
};

static struct shared *shared;
static struct hf_journal *journal;
static uint64_t cursor;
static int64_t *seen_ns;

static int64_t now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* as PHP's hrtime() */
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int note(void *ctx, const struct hf_row *row)
{
    (void)ctx;
    if (row->id <= MAX_ROWS)
        seen_ns[row->id] = now_ns();
    return 0;
}

static void grown(void *ctx)
{
    bool more = true;

    (void)ctx;
    while (more && !hf_journal_read(journal, cursor, 1000, 1 << 20, note, NULL,
                                    &cursor, &more))
        continue;
}

static _Noreturn void die(const char *what, const struct hf_why *why)
{
    (void)fprintf(stderr, "wake: %s: %s\n", what, why ? why->text : "failed");
    exit(1);
}

static void read_on(const char *path, unsigned number, uint64_t count)
{
    struct hf_settings settings;
    struct hf_why why = {""};
    struct hf_loop *loop;
    struct hf_wake *wake;
    struct hf_dir dir;
    int64_t end_ns = now_ns() + 120LL * 1000000000;

    seen_ns = shared->seen_ns[number];
    hf_settings_default(&settings);
    if (hf_dir_open(&dir, path, &why) ||
        hf_journal_open(&dir, &settings, HF_JOURNAL_READ, &journal, &why) ||
        hf_loop_new(&loop) ||
        hf_wake_new(loop, &dir, journal, grown, NULL, &wake))
        die("reader", &why);
    hf_wake_add(wake, HF_STR("bench"));
    shared->ready++;
    while (cursor < count && now_ns() < end_ns)
        (void)hf_loop_turn(loop, 500);
    shared->counts[number] = hf_wake_counts(wake);
    hf_wake_free(wake);
    _exit(0);
}

static void start_reader(const char *path, unsigned number, uint64_t count)
{
    pid_t pid = fork();

    if (pid < 0)
        die("fork", NULL);
    if (pid == 0)
        read_on(path, number, count);
    while (shared->ready < number + 1)
        (void)usleep(1000);
}

static const char script[] =
    "$db = new SQLite3($argv[1]); $db->busyTimeout(5000);"
    "$s = $db->prepare(\"INSERT INTO messages (topic, event, payload)"
    " VALUES ('bench', 'e', ?)\");"
    "for ($i = 1; $i <= $argv[2]; $i++) {"
    " $s->bindValue(1, json_encode(['n' => $i, 't' => str_repeat('x', 80)]));"
    " $s->execute(); $t = hrtime(true); $s->reset();"
    " fprintf(STDOUT, \"%d\\n\", $t); usleep((int)$argv[3]); }";

static void run_php(const char *path, uint64_t count, const char *pause,
                    int64_t *commit_ns)
{
    char file[PATH_MAX], command[PATH_MAX + 2048];
    FILE *php;
    uint64_t i;

    (void)snprintf(file, sizeof(file), "%s/" HF_FILE_JOURNAL, path);
    if (setenv("HF_BENCH_SCRIPT", script, 1))
        die("setenv", NULL);
    (void)snprintf(command, sizeof(command),
                   "php -r \"$HF_BENCH_SCRIPT\" -- '%s' %" PRIu64 " %s", file,
                   count, pause);
    php = popen(command, "r");
    if (!php)
        die("php", NULL);
    for (i = 1; i <= count; i++) {
        if (fscanf(php, "%" SCNd64, &commit_ns[i]) != 1)
            die("php wrote less than it should", NULL);
    }
    (void)pclose(php);
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static void report(unsigned number, uint64_t count, const int64_t *commit_ns)
{
    static int64_t us[MAX_ROWS + 1];
    const struct hf_wake_counts *counts = &shared->counts[number];
    uint64_t i;

    for (i = 1; i <= count; i++)
        us[i - 1] = (shared->seen_ns[number][i] - commit_ns[i]) / 1000;
    qsort(us, count, sizeof(us[0]), by_value);
    printf("%-8s n %" PRIu64 "  p50 %" PRId64 " us  p99 %" PRId64
           " us  max %" PRId64 " us  (noticed %" PRIu64 ", rung %" PRIu64
           ", backstop %" PRIu64 ", needless %" PRIu64 ")\n",
           number == 0 ? "watcher" : "rung", count, us[count / 2],
           us[count * 99 / 100], us[count - 1], counts->noticed, counts->rung,
           counts->backstop, counts->needless);
}

int main(int argc, char **argv)
{
    static int64_t commit_ns[MAX_ROWS + 1];
    char path[] = "/tmp/holdfast-bench.XXXXXX", command[64];
    uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000;
    struct hf_why why = {""};
    bool existed;
    unsigned i;

    if (count < 1 || count > MAX_ROWS || !mkdtemp(path))
        die("COUNT or temporary directory", NULL);
    if (hf_dir_init(path, NULL, &existed, &why))
        die("init", &why);
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        die("memory", NULL);
    for (i = 0; i < READERS; i++)
        start_reader(path, i, count);
    run_php(path, count, argc > 2 ? argv[2] : "5000", commit_ns);
    while (wait(NULL) > 0)
        continue;
    for (i = 0; i < READERS; i++)
        report(i, count, commit_ns);
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", path);
    return system(command);
}

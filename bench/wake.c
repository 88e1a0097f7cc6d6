/*
 * wake - time from the commit of a foreign INSERT to a process that waits
 *
 *     wake [COUNT] [PAUSE_US]      default 2000 5000
 *
 * A PHP script without any knowledge of Holdfast inserts COUNT rows, one
 * transaction each, with its defaults (synchronous = FULL), and notes when each
 * commit returned. First one process waits and, as the only one, watches; then
 * a second one that it rings waits too. Beside them the floor, a process that
 * does nothing but ask for data_version. They take turns, a block of rows each,
 * and whose turn it is not is stopped (SIGSTOP), for the floor takes a whole
 * core; the watcher goes on while the second has its turn. Needs php with
 * SQLite3.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "schema/wake.h"

#define MAX_ROWS 100000u
#define BLOCK    50u
#define READERS  3u

enum reader { WATCHER, RUNG, SPINNER };

struct shared {
    _Atomic bool ready[READERS];
    struct hf_wake_counts counts[READERS];
    int64_t seen_ns[READERS][MAX_ROWS + 1]; /* by id */
};

static struct shared *shared;
static pid_t pids[READERS];
static char *journal_path; /* the file */
static struct hf_journal *journal;
static uint64_t cursor;
static int64_t *seen_ns;

static int64_t now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* as PHP's hrtime() */
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static _Noreturn void die(const char *what, const struct hf_why *why)
{
    (void)fprintf(stderr, "wake: %s: %s\n", what, why ? why->text : "failed");
    exit(1);
}

/* --- the readers --------------------------------------------------------- */

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

static void wait_for_rows(const char *path, unsigned number, uint64_t count)
{
    struct hf_settings settings;
    struct hf_why why = {""};
    struct hf_loop *loop;
    struct hf_wake *wake;
    struct hf_dir dir;

    hf_settings_default(&settings);
    if (hf_dir_open(&dir, path, &why) ||
        hf_journal_open(&dir, &settings, HF_JOURNAL_READ, &journal, &why) ||
        hf_loop_new(&loop) ||
        hf_wake_new(loop, &dir, journal, grown, NULL, &wake))
        die("reader", &why);
    hf_wake_add(wake, HF_STR("bench"));
    shared->ready[number] = true;
    while (cursor < count)
        (void)hf_loop_turn(loop, 500); /* the alarm bounds it */
    shared->counts[number] = hf_wake_counts(wake);
    hf_wake_free(wake);
}

static sqlite3_stmt *prepare(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *stmt;

    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL))
        die("spinner", NULL);
    return stmt;
}

static void spin_for_rows(uint64_t count)
{
    sqlite3_int64 version = 0, now;
    sqlite3_stmt *ask, *rows;
    sqlite3 *db;

    if (sqlite3_open(journal_path, &db))
        die("spinner", NULL);
    ask = prepare(db, "PRAGMA data_version");
    rows = prepare(db, "SELECT id, topic, event, payload, kind, at, skip"
                       " FROM messages WHERE id > ?");
    shared->ready[SPINNER] = true;
    while (cursor < count) {
        (void)sqlite3_step(ask);
        now = sqlite3_column_int64(ask, 0);
        (void)sqlite3_reset(ask);
        if (now == version)
            continue;
        version = now;
        (void)sqlite3_bind_int64(rows, 1, (sqlite3_int64)cursor);
        while (sqlite3_step(rows) == SQLITE_ROW) {
            cursor = (uint64_t)sqlite3_column_int64(rows, 0);
            seen_ns[cursor <= MAX_ROWS ? cursor : 0] = now_ns();
        }
        (void)sqlite3_reset(rows);
    }
}

static void start_reader(const char *path, unsigned number, uint64_t count)
{
    pids[number] = fork();
    if (pids[number] < 0)
        die("fork", NULL);
    if (pids[number] == 0) {
        (void)alarm(600);
        seen_ns = shared->seen_ns[number];
        if (number == SPINNER)
            spin_for_rows(count);
        else
            wait_for_rows(path, number, count);
        _exit(0);
    }
    while (!shared->ready[number])
        (void)usleep(1000);
}

/* --- the writer ---------------------------------------------------------- */

static const char script[] =
    "$db = new SQLite3($argv[1]); $db->busyTimeout(5000);"
    "$s = $db->prepare(\"INSERT INTO messages (topic, event, payload)"
    " VALUES ('bench', 'e', ?)\");"
    "while (($n = (int)fgets(STDIN)) > 0) { $t = [];"
    " for ($i = 1; $i <= $n; $i++) {"
    "  $s->bindValue(1, json_encode(['n' => $i, 't' => str_repeat('x', 80)]));"
    "  $s->execute(); $t[] = hrtime(true); $s->reset();"
    "  usleep((int)$argv[2]); }"
    " echo implode(\"\\n\", $t), \"\\n\"; }";

static void start_php(const char *pause, FILE **to, FILE **from)
{
    int in[2], out[2];
    pid_t pid;

    if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC) || (pid = fork()) < 0)
        die("php", NULL);
    if (pid == 0) {
        (void)dup2(in[0], STDIN_FILENO);
        (void)dup2(out[1], STDOUT_FILENO);
        (void)execlp("php", "php", "-r", script, "--", journal_path, pause,
                     (char *)NULL);
        _exit(1);
    }
    (void)close(in[0]);
    (void)close(out[1]);
    *to = fdopen(in[1], "w");
    *from = fdopen(out[0], "r");
    if (!*to || !*from)
        die("php", NULL);
}

/* Only they run; the one that is rung needs the watcher. */
static void let_run(enum reader turn)
{
    unsigned i;

    for (i = 0; i < READERS; i++) {
        bool runs = i == turn || (turn == RUNG && i == WATCHER);

        if (pids[i])
            (void)kill(pids[i], runs ? SIGCONT : SIGSTOP);
    }
    (void)usleep(100000); /* what lay behind is read */
}

/* Whose turn row `id` of `count` is. */
static enum reader turn_of(uint64_t id, uint64_t count)
{
    if ((id - 1) / BLOCK % 2)
        return SPINNER;
    return id <= count / 2 ? WATCHER : RUNG;
}

static void write_rows(const char *path, uint64_t count, const char *pause,
                       int64_t *commit_ns)
{
    FILE *to, *from;
    uint64_t at = 1, i;

    start_php(pause, &to, &from);
    for (; at <= count; at += BLOCK) {
        if (turn_of(at, count) == RUNG && !pids[RUNG])
            start_reader(path, RUNG, count);
        let_run(turn_of(at, count));
        (void)fprintf(to, "%u\n", BLOCK);
        (void)fflush(to);
        for (i = at; i < at + BLOCK; i++) {
            if (fscanf(from, "%" SCNd64, &commit_ns[i]) != 1)
                die("php wrote less than it should", NULL);
        }
    }
    (void)fclose(to);
    (void)fclose(from);
    for (i = 0; i < READERS; i++)
        (void)kill(pids[i], SIGCONT);
}

/* --- figures ------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

struct quantiles {
    double p50, p99, max; /* us */
    uint64_t n;
};

/* Of the rows first .. last that were this reader's turn. */
static struct quantiles measure(enum reader number, uint64_t first,
                                uint64_t last, uint64_t count,
                                const int64_t *commit_ns)
{
    static int64_t ns[MAX_ROWS + 1];
    uint64_t i, n = 0;

    for (i = first; i <= last; i++) {
        if (turn_of(i, count) == number)
            ns[n++] = shared->seen_ns[number][i] - commit_ns[i];
    }
    qsort(ns, n, sizeof(ns[0]), by_value);
    return (struct quantiles){(double)ns[n / 2] / 1000,
                              (double)ns[n * 99 / 100] / 1000,
                              (double)ns[n - 1] / 1000, n};
}

static void print(const char *name, struct quantiles q, struct quantiles floor)
{
    printf("%-8s n %" PRIu64 "  p50 %.0f us (%.1f)  p99 %.0f us (%.1f)"
           "  max %.0f us\n",
           name, q.n, q.p50, q.p50 / floor.p50, q.p99, q.p99 / floor.p99,
           q.max);
}

static void print_counts(const char *name, struct hf_wake_counts counts)
{
    printf("%-8s noticed %" PRIu64 ", rung %" PRIu64 ", backstop %" PRIu64
           ", needless %" PRIu64 ", looks %" PRIu64 "\n",
           name, counts.noticed, counts.rung, counts.backstop, counts.needless,
           counts.looks);
}

static void report(uint64_t count, const int64_t *commit_ns)
{
    static const char *const names[] = {"watcher", "rung"};
    uint64_t half = count / 2;
    unsigned i;

    for (i = WATCHER; i <= RUNG; i++) {
        uint64_t first = i == WATCHER ? 1 : half + 1;
        struct quantiles floor =
            measure(SPINNER, first, first + half - 1, count, commit_ns);

        print(
            names[i],
            measure((enum reader)i, first, first + half - 1, count, commit_ns),
            floor);
        print("spinner", floor, floor);
    }
    for (i = WATCHER; i <= RUNG; i++)
        print_counts(names[i], shared->counts[i]);
}

int main(int argc, char **argv)
{
    static int64_t commit_ns[MAX_ROWS + 1];
    char path[] = "/tmp/holdfast-bench.XXXXXX", command[64], file[64];
    uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 2000;
    struct hf_why why = {""};
    bool existed;

    count -= count % (4 * BLOCK); /* as many turns for each */
    if (count < 1 || count > MAX_ROWS || !mkdtemp(path))
        die("COUNT or temporary directory", NULL);
    if (hf_dir_init(path, NULL, &existed, &why))
        die("init", &why);
    (void)snprintf(file, sizeof(file), "%s/" HF_FILE_JOURNAL, path);
    journal_path = file;
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        die("memory", NULL);
    start_reader(path, WATCHER, count);
    start_reader(path, SPINNER, count);
    write_rows(path, count, argc > 2 ? argv[2] : "5000", commit_ns);
    while (wait(NULL) > 0)
        continue;
    report(count, commit_ns);
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", path);
    return system(command);
}

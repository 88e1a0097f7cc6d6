/*
 * steady - does the journal stay as large as what it keeps?
 *
 *     steady [MINUTES [PER_SECOND]]    default 90 simulated minutes, 1000
 *
 * One publisher, PER_SECOND messages a second of 100 to 200 bytes on 1,000
 * topics, one hour kept. The clock is simulated: each message is given its `at`
 * and both clocks are shifted along, so that the run takes a few minutes. What
 * is written is not: every row, every commit (50 ms of messages, full sync) and
 * every step of retention is as it would be. A pass begins once a minute as the
 * keeper's does, and has three steps every 50 ms; the keeper comes to as many.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "schema/journal_impl.h"
#include "schema/retention.h"

#define TICK_MS   50
#define STEPS     3 /* in one tick */
#define HOUR_MS   (60 * 60 * 1000)
#define REPORT_MS (10 * 60 * 1000)
#define TIMES_MAX 20000u

static char path[] = "/tmp/holdfast-steady.XXXXXX";
static struct hf_dir dir;
static struct hf_settings settings;
static struct hf_journal *journal;

/* Times of one kind within one interval, in us. */
struct times {
    size_t count;
    int64_t us[TIMES_MAX];
};

static struct times commits, steps;
static int64_t wal_max;
static uint64_t removed;

static void must(int err, const struct hf_why *why)
{
    if (!err)
        return;
    fprintf(stderr, "steady: %s: %s\n", hf_strerror(err), why ? why->text : "");
    exit(1);
}

/* --- the clock ------------------------------------------------------------- */

static int64_t real_start_us, wall_start_ms;

static int64_t real_us(void)
{
    struct timespec now;

    if (clock_gettime(CLOCK_MONOTONIC, &now))
        abort();
    return now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000;
}

/* From now on it is `ms` after the start, and goes on from there. */
static void set_clock(int64_t ms)
{
    int64_t shift = ms - (real_us() - real_start_us) / 1000;

    hf_clock_shift(shift, shift);
}

/* --- figures --------------------------------------------------------------- */

static void add_time(struct times *times, int64_t us)
{
    if (times->count < TIMES_MAX)
        times->us[times->count++] = us;
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static double quantile_ms(struct times *times, double q)
{
    size_t at = (size_t)(q * (double)(times->count - 1));

    return times->count ? (double)times->us[at] / 1000 : 0;
}

static int64_t size_of(const char *name)
{
    char file[PATH_MAX];
    struct stat st;

    if (hf_dir_file(&dir, name, file, sizeof(file)) || stat(file, &st) < 0)
        return 0;
    return (int64_t)st.st_size;
}

static int64_t number(const char *sql)
{
    int64_t out = 0;

    must(hf_db_number(&journal->db, sql, &out), NULL);
    return out;
}

static void report(int64_t ms)
{
    qsort(commits.us, commits.count, sizeof(int64_t), by_size);
    qsort(steps.us, steps.count, sizeof(int64_t), by_size);
    printf("| %lld | %.1f | %lld | %lld | %.1f | %llu | %zu |"
           " %.1f / %.1f / %.1f | %.2f / %.1f / %.1f |\n",
           (long long)(ms / 60000),
           (double)size_of(HF_FILE_JOURNAL) / (1 << 20),
           (long long)number("PRAGMA freelist_count"),
           (long long)number("SELECT max(id) - min(id) + 1 FROM messages"),
           (double)wal_max / (1 << 20), (unsigned long long)removed,
           steps.count, quantile_ms(&steps, 0.5), quantile_ms(&steps, 0.99),
           quantile_ms(&steps, 1), quantile_ms(&commits, 0.5),
           quantile_ms(&commits, 0.99), quantile_ms(&commits, 1));
    fflush(stdout);
    steps.count = commits.count = 0;
    wal_max = 0;
    removed = 0;
}

/* --- work ------------------------------------------------------------------ */

static void insert(int64_t at_ms)
{
    char topic[16], payload[256];
    sqlite3_stmt *stmt;
    int len = 100 + rand() % 101;

    snprintf(topic, sizeof(topic), "room:%d", rand() % 1000);
    memset(payload, 'x', sizeof(payload));
    payload[0] = payload[len - 1] = '"';
    must(hf_db_get(&journal->db,
                   "INSERT INTO messages (topic, event, payload, at)"
                   " VALUES (?1, 'new_msg', ?2, ?3)",
                   &stmt),
         NULL);
    hf_db_bind_text(stmt, 1, hf_str_of(topic));
    hf_db_bind_text(stmt, 2, hf_str(payload, (size_t)len));
    hf_db_bind_u64(stmt, 3, (uint64_t)at_ms);
    must(hf_db_finish(&journal->db, stmt), NULL);
}

static void publish(int64_t ms, int count)
{
    int64_t start_us = real_us();
    int i;

    must(hf_journal_begin(journal), NULL);
    for (i = 0; i < count; i++)
        insert(wall_start_ms + ms);
    must(hf_journal_commit(journal), NULL);
    add_time(&commits, real_us() - start_us);
}

static bool step(void)
{
    struct hf_retention_report result;
    int64_t start_us = real_us();

    must(hf_retention_step(journal, &result), NULL);
    add_time(&steps, real_us() - start_us);
    removed += result.by_age;
    return result.more;
}

/* When to come again, ms. */
static int64_t take_steps(void)
{
    int n;

    for (n = 0; n < STEPS; n++) {
        if (!step())
            return HF_RETENTION_PASS_MS;
    }
    return TICK_MS;
}

static void run(int64_t minutes, int per_second)
{
    int64_t ms, due_ms = HF_RETENTION_PASS_MS, wal;

    for (ms = TICK_MS; ms <= minutes * 60000; ms += TICK_MS) {
        set_clock(ms);
        publish(ms, per_second * TICK_MS / 1000);
        if (ms >= due_ms)
            due_ms = ms + take_steps();
        wal = size_of(HF_FILE_JOURNAL "-wal");
        wal_max = wal > wal_max ? wal : wal_max;
        if (ms % REPORT_MS == 0)
            report(ms);
    }
}

static void open_all(void)
{
    struct hf_why why = {""};
    bool existed;

    if (!mkdtemp(path))
        abort();
    must(hf_dir_init(path, NULL, &existed, &why), &why);
    must(hf_dir_open(&dir, path, &why), &why);
    hf_settings_default(&settings);
    settings.retain_ms = HOUR_MS;
    settings.retain_bytes = INT64_C(64) << 30;
    must(hf_journal_open(&dir, &settings, HF_JOURNAL_WRITE, &journal, &why),
         &why);
}

int main(int argc, char **argv)
{
    int64_t minutes = argc > 1 ? atoll(argv[1]) : 90;
    int per_second = argc > 2 ? atoi(argv[2]) : 1000;
    char command[64];

    open_all();
    real_start_us = real_us();
    wall_start_ms = hf_wall_ms();
    printf("%d messages/s, one hour kept, simulated clock\n\n", per_second);
    printf(
        "| minute | file MiB | free pages | messages | WAL max MiB | removed "
        "| steps | step ms p50 / p99 / max | commit ms p50 / p99 / max |\n"
        "|---|---|---|---|---|---|---|---|---|\n");
    run(minutes, per_second);
    printf("\n%.0f s of real time\n",
           (double)(real_us() - real_start_us) / 1000000);
    hf_journal_close(journal);
    hf_dir_close(&dir);
    snprintf(command, sizeof(command), "rm -rf '%s'", path);
    return system(command) == 0 ? 0 : 1;
}

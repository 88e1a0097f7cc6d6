/*
 * ingest - durable publishes a second, beside a bare group-committing loop
 *
 *     ingest [-d DIR] [-m MESSAGES] [-n PAIRS] [-o] [PUBLISHERS]
 *                                        default /tmp 100000 5 64
 *
 * Ours: PUBLISHERS, each with one publish outstanding, through the writer's
 * thread and the loop, as a gateway does it without the wire: queue, batch,
 * writers' lock, commit with full sync, bells, completion. The sizes of the
 * batches that came about are noted.
 *
 * Bare: one thread, the same connection settings, the same schema with its
 * triggers, the same rows; BEGIN IMMEDIATE, a bound INSERT for each row,
 * COMMIT, with the sizes that were noted. It locks nothing, hands over
 * nothing, wakes nobody and acknowledges nothing: what the disk and SQLite
 * cost by themselves.
 *
 * The two take turns, each on a fresh file. The ratio is that of the whole
 * times; the pairs' own ratios show how far the machine's noise goes.
 * -o runs ours alone, for strace -f -c to count the system calls of a batch.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "schema/journal_impl.h"
#include "schema/writer.h"

#define MAX_PUBLISHERS 1000u
#define MAX_MESSAGES   1000000u
#define MAX_PAIRS      50u
#define PAYLOAD        100

static const char *parent = "/tmp";
static size_t messages = 100000, publishers = 64;
static bool only_ours;

static struct push {
    struct hf_job job;
    struct hf_publish message;
    char topic[16];
    char payload[PAYLOAD + 1];
    int64_t sent_us;
} pushes[MAX_PUBLISHERS];

static struct hf_loop *loop;
static struct hf_writer *writer;
static size_t sent, acknowledged;
static int64_t waited_us[MAX_MESSAGES];

/* Written by the writer's thread while it runs, read afterwards. */
static uint32_t batches[MAX_MESSAGES];
static size_t batch_count;
static uint64_t batch_first;

static void give_up(const char *what, int err)
{
    (void)fprintf(stderr, "ingest: %s: %s\n", what, hf_strerror(err));
    exit(1);
}

/* --- ours --------------------------------------------------------------- */

static int run(struct hf_job *job, struct hf_journal *journal)
{
    struct push *push = HF_ITEM(job, struct push, job);
    uint64_t id;
    bool repeated;

    if (journal->first != batch_first) {
        batch_first = journal->first;
        batches[batch_count++] = 0;
    }
    batches[batch_count - 1]++;
    return hf_journal_append(journal, &push->message, &id, &repeated);
}

static void send(struct push *push)
{
    int err;

    push->sent_us = hf_boot_us();
    sent++;
    err = hf_writer_submit(writer, &push->job);
    if (err)
        give_up("submit", err);
}

static void done(struct hf_job *job, int err)
{
    struct push *push = HF_ITEM(job, struct push, job);

    if (err)
        give_up("publish", err);
    waited_us[acknowledged++] = hf_boot_us() - push->sent_us;
    if (sent < messages)
        send(push);
}

static int64_t publish_all(const struct hf_dir *dir)
{
    struct hf_settings settings;
    struct hf_why why = {""};
    int64_t start_us;
    size_t i;
    int err;

    hf_settings_default(&settings);
    if (hf_writer_open(loop, dir, &settings, &writer, &why))
        give_up(why.text, HF_ESTORE);
    sent = acknowledged = batch_count = 0;
    batch_first = 0;
    start_us = hf_boot_us();
    for (i = 0; i < publishers; i++)
        send(&pushes[i]);
    while (acknowledged < messages) {
        err = hf_loop_turn(loop, 1000);
        if (err)
            give_up("loop", err);
    }
    start_us = hf_boot_us() - start_us;
    hf_writer_close(writer);
    return start_us;
}

/* --- bare --------------------------------------------------------------- */

static void insert(struct hf_db *db, const struct hf_publish *message)
{
    sqlite3_stmt *stmt;
    int err;

    err = hf_db_get(db,
                    "INSERT INTO messages"
                    " (topic, event, payload, kind, publisher, key, skip)"
                    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                    &stmt);
    if (err)
        give_up("prepare", err);
    hf_db_bind_text(stmt, 1, message->topic);
    hf_db_bind_text(stmt, 2, message->event);
    hf_db_bind_text(stmt, 3, message->payload);
    hf_db_bind_u64(stmt, 4, message->kind);
    err = hf_db_finish(db, stmt);
    if (err)
        give_up("insert", err);
}

static int64_t insert_all(const struct hf_dir *dir)
{
    struct hf_why why = {""};
    char path[PATH_MAX];
    int64_t start_us;
    struct hf_db db;
    size_t batch, n = 0;
    uint32_t i;

    if (hf_dir_file(dir, HF_FILE_JOURNAL, path, sizeof(path)) ||
        hf_db_open(&db, path, false, "FULL", &why) ||
        hf_db_run(&db, "PRAGMA wal_autocheckpoint = 500"))
        give_up(why.text, HF_ESTORE);
    start_us = hf_boot_us();
    for (batch = 0; batch < batch_count; batch++) {
        if (hf_db_do(&db, "BEGIN IMMEDIATE"))
            give_up("begin", HF_ESTORE);
        for (i = 0; i < batches[batch]; i++)
            insert(&db, &pushes[n++ % publishers].message);
        if (hf_db_do(&db, "COMMIT"))
            give_up("commit", HF_ESTORE);
    }
    start_us = hf_boot_us() - start_us;
    hf_db_close(&db);
    return start_us;
}

/* --- both in turns ------------------------------------------------------ */

static int64_t on_fresh_file(int64_t (*measure)(const struct hf_dir *dir))
{
    char path[PATH_MAX], command[PATH_MAX + 16];
    struct hf_why why = {""};
    struct hf_dir dir;
    int64_t took_us;
    bool existed;

    (void)snprintf(path, sizeof(path), "%.200s/hf-ingest.XXXXXX", parent);
    if (!mkdtemp(path) || hf_dir_init(path, NULL, &existed, &why) ||
        hf_dir_open(&dir, path, &why))
        give_up(why.text, HF_EIO);
    took_us = measure(&dir);
    hf_dir_close(&dir);
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", path);
    if (system(command) != 0)
        (void)fprintf(stderr, "ingest: %s is left behind\n", path);
    if (!only_ours)
        sync(); /* what one left to write is not the next one's load */
    return took_us;
}

static int by_time(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static double a_second(size_t count, int64_t us)
{
    return us > 0 ? (double)count * 1e6 / (double)us : 0;
}

static void measure_pairs(size_t pairs)
{
    int64_t ours_us = 0, bare_us = 0;
    size_t pair;

    puts("| pair | ours, messages/s | bare | ratio | batches | their sizes:"
         " p10, p50, p90, max | acknowledged after p50, p99 |");
    puts("|---|---|---|---|---|---|---|");
    for (pair = 1; pair <= pairs; pair++) {
        int64_t ours = on_fresh_file(publish_all);
        int64_t bare = only_ours ? 0 : on_fresh_file(insert_all);

        ours_us += ours;
        bare_us += bare;
        qsort(waited_us, messages, sizeof(waited_us[0]), by_time);
        qsort(batches, batch_count, sizeof(batches[0]), by_size);
        printf("| %zu | %.0f | %.0f | %.2f | %zu | %u, %u, %u, %u |"
               " %.2f ms, %.2f ms |\n",
               pair, a_second(messages, ours), a_second(messages, bare),
               (double)bare / (double)ours, batch_count,
               batches[batch_count / 10], batches[batch_count / 2],
               batches[batch_count * 9 / 10], batches[batch_count - 1],
               (double)waited_us[messages / 2] / 1000,
               (double)waited_us[messages * 99 / 100] / 1000);
        (void)fflush(stdout);
    }
    printf("| **all** | %.0f | %.0f | **%.2f** | | | |\n",
           a_second(messages * pairs, ours_us),
           a_second(messages * pairs, bare_us),
           (double)bare_us / (double)ours_us);
}

static void prepare(void)
{
    size_t i;

    for (i = 0; i < publishers; i++) {
        struct push *push = &pushes[i];

        push->job = (struct hf_job){
            .item = {.cost = PAYLOAD}, .run = run, .done = done};
        (void)snprintf(push->topic, sizeof(push->topic), "room:%zu", i);
        (void)snprintf(push->payload, sizeof(push->payload),
                       "{\"body\":\"%0*zu\"}", PAYLOAD - 11, i);
        push->message =
            (struct hf_publish){.topic = hf_str_of(push->topic),
                                .event = HF_STR("new_msg"),
                                .payload = hf_str_of(push->payload)};
    }
}

int main(int argc, char **argv)
{
    size_t pairs = 5;
    int option;

    while ((option = getopt(argc, argv, "d:m:n:o")) != -1) {
        if (option == 'd')
            parent = optarg;
        else if (option == 'm')
            messages = strtoul(optarg, NULL, 10);
        else if (option == 'n')
            pairs = strtoul(optarg, NULL, 10);
        else if (option == 'o')
            only_ours = true;
        else
            return 2;
    }
    if (optind < argc)
        publishers = strtoul(argv[optind], NULL, 10);
    if (publishers < 1 || publishers > MAX_PUBLISHERS || pairs > MAX_PAIRS ||
        messages < publishers || messages > MAX_MESSAGES) {
        (void)fprintf(stderr, "ingest: at most %u publishers, %u messages\n",
                      MAX_PUBLISHERS, MAX_MESSAGES);
        return 2;
    }
    prepare();
    if (hf_loop_new(&loop))
        return 1;
    measure_pairs(pairs);
    hf_loop_free(loop);
    return 0;
}

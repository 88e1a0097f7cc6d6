/*
 * writer - how many messages a second the writer thread commits, with full sync
 *
 *     writer [SECONDS]      default 2
 *
 * Keeps 1, 10, 100, 1000 jobs under way and counts what is acknowledged. The
 * time of one commit is that of the disk; the rest is what sharing it gives.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "schema/writer.h"

#define MAX_JOBS 1000u

static struct hf_loop *loop;
static struct hf_writer *writer;
static size_t acknowledged;
static bool stopping;

struct push {
    struct hf_job job;
    char payload[128];
    char topic[16];
    int64_t sent_us;
};

static struct push pushes[MAX_JOBS];
static int64_t waited_us[200000];

static int run(struct hf_job *job, struct hf_journal *journal)
{
    struct push *push = HF_ITEM(job, struct push, job);
    struct hf_publish message = {.topic = hf_str_of(push->topic),
                                 .event = HF_STR("new_msg"),
                                 .payload = hf_str_of(push->payload)};
    uint64_t id;
    bool repeated;

    return hf_journal_append(journal, &message, &id, &repeated);
}

static void send(struct push *push)
{
    push->sent_us = hf_boot_us();
    if (hf_writer_submit(writer, &push->job))
        abort();
}

static void done(struct hf_job *job, int err)
{
    struct push *push = HF_ITEM(job, struct push, job);

    if (err)
        abort();
    waited_us[acknowledged % 200000] = hf_boot_us() - push->sent_us;
    acknowledged++;
    if (!stopping)
        send(push);
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static void measure(size_t under_way, int64_t seconds)
{
    int64_t start_us = hf_boot_us(), took_us;
    size_t i, n, count;

    acknowledged = 0;
    stopping = false;
    for (i = 0; i < under_way; i++)
        send(&pushes[i]);
    while (hf_boot_us() - start_us < seconds * 1000000)
        (void)hf_loop_turn(loop, 100);
    took_us = hf_boot_us() - start_us;
    count = acknowledged;
    stopping = true;
    while (acknowledged < count + under_way)
        (void)hf_loop_turn(loop, 100);
    n = count < 200000 ? count : 200000;
    qsort(waited_us, n, sizeof(waited_us[0]), by_value);
    printf("%5zu under way: %7.0f messages/s, acknowledged after p50 %lld us, "
           "p99 %lld us\n",
           under_way, (double)count * 1e6 / (double)took_us,
           (long long)waited_us[n / 2], (long long)waited_us[n * 99 / 100]);
}

int main(int argc, char **argv)
{
    char path[] = "/tmp/holdfast-bench.XXXXXX", command[64];
    int64_t seconds = argc > 1 ? strtol(argv[1], NULL, 10) : 2;
    struct hf_settings settings;
    struct hf_why why = {""};
    struct hf_dir dir;
    bool existed;
    size_t i;

    hf_settings_default(&settings);
    if (!mkdtemp(path) || hf_dir_init(path, NULL, &existed, &why) ||
        hf_dir_open(&dir, path, &why) || hf_loop_new(&loop) ||
        hf_writer_open(loop, &dir, &settings, &writer, &why)) {
        (void)fprintf(stderr, "writer: %s\n", why.text);
        return 1;
    }
    for (i = 0; i < MAX_JOBS; i++) {
        pushes[i].job =
            (struct hf_job){.item = {.cost = 100}, .run = run, .done = done};
        (void)snprintf(pushes[i].topic, sizeof(pushes[i].topic), "room:%zu", i);
        (void)snprintf(pushes[i].payload, sizeof(pushes[i].payload),
                       "{\"body\":\"%080zu\"}", i);
    }
    for (i = 1; i <= MAX_JOBS; i *= 10)
        measure(i, seconds);
    hf_writer_close(writer);
    hf_loop_free(loop);
    hf_dir_close(&dir);
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", path);
    return system(command);
}

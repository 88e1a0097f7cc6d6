/*
 * follow - print the rows of a topic as they arrive, and what woke us
 *
 *     follow DIR TOPIC COUNT SECONDS
 *
 * Says "ready", then a line "event payload" for each row, and after COUNT rows
 * or SECONDS a last line: "noticed N rung N backstop N".
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "schema/wake.h"

static struct hf_journal *journal;
static struct hf_str topic;
static uint64_t cursor;
static long left;

static int print_row(void *ctx, const struct hf_row *row)
{
    (void)ctx;
    printf("%.*s %.*s\n", HF_STR_ARG(row->event), HF_STR_ARG(row->payload));
    left--;
    return 0;
}

static void grown(void *ctx)
{
    bool more = true;

    (void)ctx;
    while (more) {
        if (hf_journal_read_topic(journal, topic, cursor, INT64_MAX, 100,
                                  1 << 20, print_row, NULL, &cursor, &more))
            exit(1);
    }
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    struct hf_settings settings;
    struct hf_why why = {"?"};
    struct hf_wake_counts counts;
    struct hf_loop *loop;
    struct hf_wake *wake;
    struct hf_dir dir;
    int64_t end_ms;

    if (argc != 5)
        return 2;
    topic = hf_str_of(argv[2]);
    left = strtol(argv[3], NULL, 10);
    end_ms = hf_boot_ms() + 1000 * strtol(argv[4], NULL, 10);
    if (hf_dir_open(&dir, argv[1], &why) ||
        hf_settings_read(&dir, &settings, &why) ||
        hf_journal_open(&dir, &settings, HF_JOURNAL_READ, &journal, &why) ||
        hf_loop_new(&loop) ||
        hf_wake_new(loop, &dir, journal, grown, NULL, &wake)) {
        (void)fprintf(stderr, "follow: %s\n", why.text);
        return 1;
    }
    hf_wake_add(wake, topic);
    puts("ready");
    grown(NULL); /* what was there before */
    while (left > 0 && hf_boot_ms() < end_ms)
        (void)hf_loop_turn(loop, 100);
    counts = hf_wake_counts(wake);
    printf("noticed %" PRIu64 " rung %" PRIu64 " backstop %" PRIu64 "\n",
           counts.noticed, counts.rung, counts.backstop);
    hf_wake_free(wake);
    hf_journal_close(journal);
    hf_loop_free(loop);
    hf_dir_close(&dir);
    return 0;
}

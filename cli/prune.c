/*
 * holdfast prune - run retention to its end now
 */
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "cli/terminal.h"
#include "schema/retention.h"

static const char help[] =
    "Usage: holdfast prune\n"
    "\n"
    "Remove what holdfast.conf says is not kept any longer (retain,\n"
    "retain_bytes, retain_count), now and to the end, in small steps that let\n"
    "others write in between. Holdfast's processes do the same by themselves\n"
    "once a minute; this is for a host where none runs, or after settings "
    "have\n"
    "changed. Prints what was removed and why it stopped. The file keeps its\n"
    "size: the room is used again.\n";

#define OTHER_WAIT_MS 30000 /* for a process that is at it now */
#define OTHER_LOOK_MS 50

static void sleep_ms(long ms)
{
    struct timespec pause = {.tv_sec = ms / 1000,
                             .tv_nsec = ms % 1000 * 1000000};

    (void)nanosleep(&pause, NULL); /* cut short is fine */
}

/* A step; while another process takes one, wait for our turn. */
static int step(struct hf_cli *cli, struct hf_retention_report *report)
{
    int64_t deadline_ms = hf_boot_ms() + OTHER_WAIT_MS;
    int err;

    while ((err = hf_retention_step(cli->journal, report)) == HF_EAGAIN &&
           hf_boot_ms() < deadline_ms && !hf_interrupted())
        sleep_ms(OTHER_LOOK_MS);
    return err;
}

static uint64_t removed(const struct hf_retention_report *report)
{
    return report->by_age + report->by_bytes + report->by_count;
}

static void add(struct hf_retention_report *total,
                const struct hf_retention_report *report)
{
    struct hf_retention_report sum = *report;

    sum.by_age += total->by_age;
    sum.by_bytes += total->by_bytes;
    sum.by_count += total->by_count;
    *total = sum;
}

static int prune(struct hf_cli *cli, struct hf_retention_report *total)
{
    struct hf_retention_report report;
    struct hf_progress progress;
    uint64_t head = 0;
    int err = hf_journal_head(cli->journal, &head);

    hf_catch_signals();
    hf_progress_start(&progress);
    /* Not for ever, should others publish faster than this removes. */
    while (!err && total->more && removed(total) <= head && !hf_interrupted()) {
        err = step(cli, &report);
        if (err)
            break;
        add(total, &report);
        hf_progress_say(&progress, "%llu removed",
                        (unsigned long long)removed(total));
        if (report.more)
            sleep_ms(HF_RETENTION_PAUSE_MS); /* others want to write, too */
    }
    hf_progress_end(&progress);
    return err;
}

static void print_report(const struct hf_cli *cli,
                         const struct hf_retention_report *total)
{
    printf(
        "removed %llu: %llu by age, %llu by size, %llu by count\n",
        (unsigned long long)(total->by_age + total->by_bytes + total->by_count),
        (unsigned long long)total->by_age, (unsigned long long)total->by_bytes,
        (unsigned long long)total->by_count);
    if (total->clock_jumped)
        printf("nothing went by age: the wall clock has jumped. Age counts "
               "again when it is back, or has run steadily for an hour\n");
    if (total->kept_by_min)
        printf("%lld MiB are kept, more than retain_bytes, for everything left "
               "is younger than keep_min (%lld s)\n",
               (long long)total->bytes_used >> 20,
               (long long)cli->settings.keep_min_ms / 1000);
    if (!total->more && !total->adrift && !total->clock_jumped &&
        !total->kept_by_min)
        puts("nothing more to remove");
}

static int run_prune(struct hf_cli *cli)
{
    struct hf_retention_report total = {.more = true};
    struct hf_why why = {""};
    int exit_code;
    int err = prune(cli, &total);

    print_report(cli, &total);
    exit_code = hf_cli_flush(cli);
    if (err == HF_EAGAIN)
        return hf_cli_fail(cli, "another process removes messages now, and has "
                                "been at it for long; it is safe to try again");
    if (err) {
        hf_cli_explain(cli, err, &why);
        return hf_cli_fail(cli, "not to the end: %s", why.text);
    }
    if (total.adrift)
        return hf_cli_fail(cli,
                           "not to the end: how far it is cannot be written "
                           "to %s/%s; make room on the disk",
                           cli->dir.path, HF_FILE_UPKEEP);
    if (total.more)
        return hf_cli_fail(cli,
                           "stopped before the end; what was removed is gone");
    return exit_code;
}

static int run(struct hf_cli *cli, int argc, char **argv)
{
    static const struct option options[] = {HF_CLI_OPTIONS};
    int exit_code = HF_EXIT_OK;

    if (hf_cli_option(cli, argc, argv, ":h", options, &exit_code) < 0)
        return exit_code;
    if (optind < argc)
        return hf_cli_usage(cli, "prune takes no operand");
    exit_code = hf_cli_open(cli, HF_JOURNAL_WRITE);
    if (!exit_code)
        exit_code = run_prune(cli);
    hf_cli_close(cli);
    return exit_code;
}

const struct hf_command hf_command_prune = {
    "prune",
    "remove now what is not to be kept any longer",
    help,
    run,
};

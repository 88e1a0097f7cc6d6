/*
 * holdfast check - is everything as it should be; and saving what can be read
 */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/terminal.h"
#include "schema/inspect.h"
#include "schema/rescue.h"

static const char help[] =
    "Usage: holdfast check [--full]\n"
    "       holdfast check --rescue [--force]\n"
    "\n"
    "Look the journal directory over: modes, locks, file system, room, "
    "settings,\n"
    "the SQLite library, and the journal itself. Prints one finding a line: "
    "ok,\n"
    "warning or problem, what was looked at, what is so, and what to do. "
    "Changes\n"
    "nothing, and may run beside everything else. Exit code 1: there is a "
    "problem.\n"
    "\n"
    "  --full     compare the indexes with the tables and read every message,\n"
    "             however long that takes\n"
    "  --rescue   when the journal is damaged, or its disk has lost what was\n"
    "             written: copy what can be read to a new file and put it in\n"
    "             place. Nothing may have the journal open meanwhile. The old\n"
    "             file is kept as journal.db.damaged-TIME; ids stay, clients\n"
    "             start afresh\n"
    "  --force    with --rescue: though nothing is wrong\n";

/* --- looking ------------------------------------------------------------- */

struct check {
    struct hf_progress progress;
    unsigned warnings;
    unsigned problems;
};

static void print_finding(void *ctx, const struct hf_finding *finding)
{
    static const char *const levels[] = {"ok", "warning", "problem"};
    struct check *check = ctx;

    hf_progress_end(&check->progress);
    check->warnings += finding->level == HF_FINDING_WARNING;
    check->problems += finding->level == HF_FINDING_PROBLEM;
    printf("%-8s %-11s %s\n", levels[finding->level], finding->subject,
           finding->text);
    (void)fflush(stdout); /* in order; what went wrong is said at the end */
}

static int on_check(void *ctx, const char *what)
{
    struct check *check = ctx;

    hf_progress_say(&check->progress, "looking at %s, %lld s", what,
                    (long long)hf_progress_ms(&check->progress) / 1000);
    return hf_interrupted();
}

static int run_check(struct hf_cli *cli, bool full)
{
    struct check check = {.warnings = 0};
    struct hf_inspection inspection = {
        .full = full,
        .found = print_finding,
        .progress = on_check,
        .ctx = &check,
    };
    int exit_code;

    if (hf_cli_find(cli))
        return HF_EXIT_FAILED;
    hf_catch_signals();
    hf_progress_start(&check.progress);
    (void)hf_inspect(cli->place.dir, &inspection);
    hf_progress_end(&check.progress);
    exit_code = hf_cli_flush(cli);
    if (hf_interrupted())
        return hf_cli_fail(cli, "stopped before the end");
    return check.problems ? HF_EXIT_FAILED : exit_code;
}

/* --- rescuing ------------------------------------------------------------ */

static int on_rescue(void *ctx, uint64_t id, uint64_t last)
{
    hf_progress_say(ctx, "id %llu of %llu", (unsigned long long)id,
                    (unsigned long long)last);
    return hf_interrupted();
}

static void print_rescued(const struct hf_cli *cli,
                          const struct hf_rescue_report *report)
{
    printf("damage     %s\n", strcmp(report->damage, "ok") == 0
                                  ? "none in the pages"
                                  : report->damage);
    printf("messages   %llu saved\n", (unsigned long long)report->messages);
    if (report->spots)
        printf("lost       %llu ids in %llu places that cannot be read: at "
               "most so many messages\n",
               (unsigned long long)report->ids_lost,
               (unsigned long long)report->spots);
    if (report->refused)
        printf("refused    %llu rows that are no messages\n",
               (unsigned long long)report->refused);
    printf("policies   %llu saved%s\n", (unsigned long long)report->policies,
           report->policies_damaged
               ? "; some are lost, set them again with: holdfast allow"
               : "");
    printf("old file   %s/%s\n", cli->dir.path, report->kept);
}

/* Open it as every process does: begins the new epoch, and proves that it can
 * be. */
static int open_rescued(struct hf_cli *cli)
{
    struct hf_why why = {""};
    uint64_t head;
    int err;

    err = hf_journal_open(&cli->dir, &cli->settings, HF_JOURNAL_WRITE,
                          &cli->journal, &why);
    if (!err)
        err = hf_journal_head(cli->journal, &head);
    if (err)
        return hf_cli_fail(cli, "the new journal cannot be opened: %s",
                           why.text[0] ? why.text : hf_strerror(err));
    fputs("head       ", stdout);
    hf_cli_print_cursor(cli, head);
    return hf_cli_flush(cli);
}

static int rescue(struct hf_cli *cli, bool force)
{
    struct hf_rescue_report report;
    struct hf_progress progress;
    struct hf_rescue wish = {.settings = &cli->settings,
                             .even_if_whole = force,
                             .progress = on_rescue,
                             .ctx = &progress};
    struct hf_why why = {""};
    int err;

    hf_catch_signals();
    hf_progress_start(&progress);
    err = hf_rescue(&cli->dir, &wish, &report, &why);
    hf_progress_end(&progress);
    if (err)
        return hf_cli_fail(cli, "%s", why.text);
    if (report.needless) {
        puts("nothing to rescue: the journal is whole and no sync has failed "
             "(--force does it all the same)");
        return hf_cli_flush(cli);
    }
    print_rescued(cli, &report);
    return open_rescued(cli);
}

static int run_rescue(struct hf_cli *cli, bool force)
{
    /* Not hf_cli_open: the journal itself may not let itself be opened. */
    int exit_code = hf_cli_open_dir(cli);

    if (!exit_code)
        exit_code = rescue(cli, force);
    hf_cli_close(cli);
    return exit_code;
}

static int run(struct hf_cli *cli, int argc, char **argv)
{
    static const struct option options[] = {
        {"full", no_argument, NULL, 'f'},
        {"rescue", no_argument, NULL, 'r'},
        {"force", no_argument, NULL, 'F'},
        HF_CLI_OPTIONS,
    };
    bool full = false, wants_rescue = false, force = false;
    int exit_code = HF_EXIT_OK;
    int option;

    while ((option = hf_cli_option(cli, argc, argv, ":h", options,
                                   &exit_code)) > 0) {
        full = full || option == 'f';
        wants_rescue = wants_rescue || option == 'r';
        force = force || option == 'F';
    }
    if (option < 0)
        return exit_code;
    if (optind < argc)
        return hf_cli_usage(cli, "check takes no operand");
    if (force && !wants_rescue)
        return hf_cli_usage(cli, "--force goes with --rescue");
    return wants_rescue ? run_rescue(cli, force) : run_check(cli, full);
}

const struct hf_command hf_command_check = {
    "check",
    "look everything over, and rescue what is damaged",
    help,
    run,
};

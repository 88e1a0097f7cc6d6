/*
 * holdfast move - a journal goes to another directory, or another host
 */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/terminal.h"
#include "schema/move.h"

static const char help[] =
    "Usage: holdfast move TO\n"
    "\n"
    "Move the journal, with its settings, keys and secrets, to the directory\n"
    "TO, which is made. Everything that has it open must be stopped before:\n"
    "gateway, side-car, scripts; it says which processes still do. The "
    "journal\n"
    "is looked over on the way.\n"
    "\n"
    "Its history goes on there: cursors, keys, sessions and tokens stay good,\n"
    "and clients that come back miss nothing. TO may be carried to another\n"
    "host, whole, before anything has opened it there.\n"
    "\n"
    "Here nothing can be published any more. The old journal is kept as\n"
    "journal.db.moved-TIME, for the case that TO is lost on the way.\n"
    "\n"
    "  --quick     look it over without comparing its indexes\n";

static int on_step(void *ctx, uint64_t done, uint64_t total)
{
    hf_progress_say(ctx, "%llu of %llu MiB", (unsigned long long)(done >> 20),
                    (unsigned long long)(total >> 20));
    return hf_interrupted();
}

/* What can be made anew is, so that it need not be done on a host where there is
 * no shell; and it proves that the new directory can be opened. */
static int print_moved(struct hf_cli *cli, const char *path, const char *kept)
{
    struct hf_why why = {""};
    uint64_t head;
    bool existed;
    int err;

    printf("old file   %s/%s\n", cli->dir.path, kept);
    hf_dir_close(&cli->dir);
    err = hf_dir_init(path, NULL, &existed, &why);
    if (!err)
        err = hf_dir_open(&cli->dir, path, &why);
    if (!err)
        err = hf_journal_open(&cli->dir, &cli->settings, HF_JOURNAL_READ,
                              &cli->journal, &why);
    if (!err)
        err = hf_journal_head(cli->journal, &head);
    if (err)
        return hf_cli_fail(cli, "it is moved, but cannot be opened in %s: %s",
                           path, why.text[0] ? why.text : hf_strerror(err));
    printf("new place  %s\nhead       ", cli->dir.path);
    hf_cli_print_cursor(cli, head);
    return hf_cli_flush(cli);
}

static int move(struct hf_cli *cli, const char *path, bool quick)
{
    struct hf_progress progress;
    struct hf_backup backup = {
        .quick = quick, .progress = on_step, .ctx = &progress};
    char kept[HF_ALONE_KEPT];
    struct hf_why why = {""};
    int err;

    if (hf_cli_open_dir(cli))
        return HF_EXIT_FAILED;
    hf_catch_signals();
    hf_progress_start(&progress);
    err = hf_move(&cli->dir, path, &backup, kept, &why);
    hf_progress_end(&progress);
    if (err)
        return hf_cli_fail(cli, "%s", why.text);
    return print_moved(cli, path, kept);
}

static int run(struct hf_cli *cli, int argc, char **argv)
{
    static const struct option options[] = {
        {"quick", no_argument, NULL, 'q'},
        HF_CLI_OPTIONS,
    };
    int exit_code = HF_EXIT_OK;
    bool quick = false;
    int option;

    while ((option =
                hf_cli_option(cli, argc, argv, ":h", options, &exit_code)) > 0)
        quick = true;
    if (option < 0)
        return exit_code;
    if (argc - optind != 1 || !*argv[optind])
        return hf_cli_usage(cli, "say TO which directory");
    exit_code = move(cli, argv[optind], quick);
    hf_cli_close(cli);
    return exit_code;
}

const struct hf_command hf_command_move = {
    "move",
    "take the journal to another directory or host",
    help,
    run,
};

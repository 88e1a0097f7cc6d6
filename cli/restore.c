/*
 * holdfast restore - put a copy of the journal in its place
 */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/terminal.h"
#include "schema/backup.h"

static const char help[] =
    "Usage: holdfast restore FILE\n"
    "\n"
    "Put FILE, made by `holdfast backup`, in place of the journal. Everything\n"
    "that has the journal open must be stopped before and stay so meanwhile:\n"
    "gateway, side-car, scripts; it says which processes still do. FILE is\n"
    "looked over first and stays as it is. The old journal is kept as\n"
    "journal.db.before-TIME.\n"
    "\n"
    "A new history begins: browsers are told so and load afresh, and cursors\n"
    "of the old one are answered with a reset.\n"
    "\n"
    "Where the directory is lost too: holdfast init DIR, then restore.\n";

static int on_step(void *ctx, uint64_t done, uint64_t total)
{
    hf_progress_say(ctx, "%llu of %llu MiB", (unsigned long long)(done >> 20),
                    (unsigned long long)(total >> 20));
    return hf_interrupted();
}

/* Open it as every process does: begins the new epoch, migrates an older one,
 * and proves that it can be. */
static int open_restored(struct hf_cli *cli, const char *kept)
{
    struct hf_why why = {""};
    uint64_t head;
    int err;

    err = hf_journal_open(&cli->dir, &cli->settings, HF_JOURNAL_WRITE,
                          &cli->journal, &why);
    if (!err)
        err = hf_journal_head(cli->journal, &head);
    if (err)
        return hf_cli_fail(cli, "it is put back, but cannot be opened: %s",
                           why.text[0] ? why.text : hf_strerror(err));
    printf("old file   %s/%s\n", cli->dir.path, kept);
    fputs("head       ", stdout);
    hf_cli_print_cursor(cli, head);
    return hf_cli_flush(cli);
}

static int restore(struct hf_cli *cli, const char *path)
{
    struct hf_progress progress;
    struct hf_backup backup = {
        .path = path, .progress = on_step, .ctx = &progress};
    char kept[HF_ALONE_KEPT];
    struct hf_why why = {""};
    int err;

    if (hf_cli_open_dir(cli))
        return HF_EXIT_FAILED;
    hf_catch_signals();
    hf_progress_start(&progress);
    err = hf_backup_restore(&cli->dir, &backup, kept, &why);
    hf_progress_end(&progress);
    if (err)
        return hf_cli_fail(cli, "%s", why.text);
    return open_restored(cli, kept);
}

static int run(struct hf_cli *cli, int argc, char **argv)
{
    static const struct option options[] = {HF_CLI_OPTIONS};
    int exit_code = HF_EXIT_OK;

    if (hf_cli_option(cli, argc, argv, ":h", options, &exit_code) < 0)
        return exit_code;
    if (argc - optind != 1 || !*argv[optind])
        return hf_cli_usage(cli, "say which FILE to put back");
    exit_code = restore(cli, argv[optind]);
    hf_cli_close(cli);
    return exit_code;
}

const struct hf_command hf_command_restore = {
    "restore",
    "put a copy of the journal in its place",
    help,
    run,
};

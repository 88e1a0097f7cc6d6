/*
 * holdfast backup - copy the journal while it is in use
 */
#include "schema/backup.h"

#include <stdio.h>

#include "cli/cli.h"
#include "cli/terminal.h"

static const char help[] =
    "Usage: holdfast backup [--replace] [--quick] FILE\n"
    "\n"
    "Copy the journal to FILE while it is in use, as it is at this moment.\n"
    "Nobody has to wait meanwhile. FILE is there, whole, looked over and on\n"
    "disk, when the command ends with exit code 0; else nothing has changed.\n"
    "\n"
    "FILE holds every message and must be kept as private as the journal. It\n"
    "begins a new history where it is put back (holdfast restore): browsers\n"
    "are told so and load afresh. The other files of the directory are not in\n"
    "it: holdfast.conf and the secret change rarely, copy them with cp.\n"
    "\n"
    "  --replace   replace an older copy of that name\n"
    "  --quick     look the copy over without comparing its indexes\n"
    "\n"
    "A plain cp of journal.db is no backup: it misses what is in the\n"
    "write-ahead log, and may be torn.\n";

static int on_step(void *ctx, uint64_t done, uint64_t total)
{
    struct hf_progress *progress = ctx;

    hf_progress_say(progress, "%llu of %llu MiB",
                    (unsigned long long)(done >> 20),
                    (unsigned long long)(total >> 20));
    return hf_interrupted();
}

static int make_backup(struct hf_cli *cli, struct hf_backup *backup)
{
    struct hf_progress progress;
    struct hf_why why = {""};
    int err;

    hf_progress_start(&progress);
    hf_catch_signals();
    backup->progress = on_step;
    backup->ctx = &progress;
    err = hf_journal_backup(cli->journal, backup, &why);
    hf_progress_end(&progress);
    if (err == HF_EEXIST && !backup->replace)
        return hf_cli_fail(cli, "%s; --replace replaces an older copy",
                           why.text);
    if (err == HF_ESTORE)
        return hf_cli_fail(cli,
                           "nothing was written, for the journal could not be "
                           "copied: %s. More about that: holdfast check",
                           why.text);
    if (err)
        return hf_cli_fail(cli, "nothing was written: %s", why.text);
    printf("%s\n", backup->path);
    return hf_cli_flush(cli);
}

static int run(struct hf_cli *cli, int argc, char **argv)
{
    static const struct option options[] = {
        {"replace", no_argument, NULL, 'r'},
        {"quick", no_argument, NULL, 'q'},
        HF_CLI_OPTIONS,
    };
    struct hf_backup backup = {.path = NULL};
    int exit_code = HF_EXIT_OK;
    int option;

    while ((option = hf_cli_option(cli, argc, argv, ":h", options,
                                   &exit_code)) > 0) {
        if (option == 'r')
            backup.replace = true;
        else
            backup.quick = true;
    }
    if (option < 0)
        return exit_code;
    if (argc - optind != 1 || !*argv[optind])
        return hf_cli_usage(cli, "say one FILE to write to");
    backup.path = argv[optind];

    exit_code = hf_cli_open(cli, HF_JOURNAL_READ);
    if (!exit_code)
        exit_code = make_backup(cli, &backup);
    hf_cli_close(cli);
    return exit_code;
}

const struct hf_command hf_command_backup = {
    "backup",
    "copy the journal while it is in use",
    help,
    run,
};

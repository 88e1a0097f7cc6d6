/*
 * holdfast redact - take away a payload for good
 */
#include <stdio.h>

#include "channel/cursor.h"
#include "cli/cli.h"
#include "schema/redact.h"

static const char help[] =
    "Usage: holdfast redact CURSOR\n"
    "\n"
    "Take away the payload of the message with this cursor, for good: it\n"
    "becomes {} (no bytes, if it was binary). Topic, event, time, key and\n"
    "cursor stay, so that nothing moves. The old bytes are erased from the\n"
    "journal and its write-ahead log. Asks nothing.\n"
    "\n"
    "What cannot be taken back: browsers and programs that have received it\n"
    "keep it, and so do backups and old files kept beside the journal\n"
    "(journal.db.*).\n";

static int say_result(struct hf_cli *cli, const char *cursor,
                      const struct hf_redaction *redaction)
{
    int exit_code;

    printf(
        "%s %s\n",
        redaction->already ? "was taken away before:" : "taken away:", cursor);
    exit_code = hf_cli_flush(cli);
    fputs("Who has received it keeps it, and so do backups and files "
          "journal.db.* kept beside the journal.\n",
          stderr);
    if (redaction->erased)
        return exit_code;
    return hf_cli_fail(cli,
                       "nobody is given the payload any more, but its bytes "
                       "are still in a file: some program keeps a transaction "
                       "open (see `holdfast status`). When it has ended, run "
                       "this again");
}

static int redact(struct hf_cli *cli, const char *text,
                  const struct hf_cursor *cursor)
{
    struct hf_redaction redaction = {.already = false};
    struct hf_why why = {""};
    int err;

    if (cursor->epoch != hf_journal_epoch(cli->journal))
        return hf_cli_fail(cli,
                           "%s is not from the journal in %s: another "
                           "directory, or the journal was replaced, and with "
                           "it the numbers. Find the message with: holdfast "
                           "history TOPIC",
                           text, cli->dir.path);
    err = hf_journal_redact(cli->journal, cursor->id, &redaction);
    if (!err)
        return say_result(cli, text, &redaction);
    if (err == HF_ENOTFOUND)
        return hf_cli_fail(cli,
                           "there is no message with the cursor %s: it was "
                           "removed, or the number was not a message's",
                           text);
    hf_cli_explain(cli, err, &why);
    if (redaction.taken)
        return hf_cli_fail(cli,
                           "nobody is given the payload of %s any more, but "
                           "its bytes may still be in a file: %s. Run this "
                           "again",
                           text, why.text);
    return hf_cli_fail(cli, "nothing was taken away: %s", why.text);
}

static int run(struct hf_cli *cli, int argc, char **argv)
{
    static const struct option options[] = {HF_CLI_OPTIONS};
    struct hf_cursor cursor;
    int exit_code = HF_EXIT_OK;

    if (hf_cli_option(cli, argc, argv, ":h", options, &exit_code) < 0)
        return exit_code;
    if (argc - optind != 1)
        return hf_cli_usage(cli, "say one CURSOR");
    if (hf_cursor_parse(hf_str_of(argv[optind]), &cursor))
        return hf_cli_usage(cli,
                            "'%s' is no cursor; `history` and `tail` print it",
                            argv[optind]);
    exit_code = hf_cli_open(cli, HF_JOURNAL_WRITE);
    if (!exit_code)
        exit_code = redact(cli, argv[optind], &cursor);
    hf_cli_close(cli);
    return exit_code;
}

const struct hf_command hf_command_redact = {
    "redact",
    "take away a payload for good",
    help,
    run,
};

#include "cli/cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "channel/cursor.h"

static void __attribute__((format(printf, 2, 0)))
say(const struct hf_cli *cli, const char *format, va_list args)
{
    fputs("holdfast", stderr);
    if (cli->command)
        fprintf(stderr, " %s", cli->command->name);
    fputs(": ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
}

int hf_cli_fail(const struct hf_cli *cli, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say(cli, format, args);
    va_end(args);
    return HF_EXIT_FAILED;
}

int hf_cli_usage(const struct hf_cli *cli, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say(cli, format, args);
    va_end(args);
    fprintf(stderr, "Try: holdfast %s%s--help\n",
            cli->command ? cli->command->name : "", cli->command ? " " : "");
    return HF_EXIT_USAGE;
}

int hf_cli_flush(const struct hf_cli *cli)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return HF_EXIT_OK;
    return hf_cli_fail(cli, "cannot write to standard output: %s",
                       strerror(errno));
}

/* What getopt found wrong; it puts back where the argument stood. */
static int refuse_option(const struct hf_cli *cli, int found, char **argv)
{
    if (found == ':')
        return hf_cli_usage(cli, "option '%s' needs a value", argv[optind - 1]);
    if (optopt > 0 && optopt < 128 && argv[optind - 1][1] != '-')
        return hf_cli_usage(cli, "there is no option '-%c'", optopt);
    return hf_cli_usage(cli, "there is no such option '%s'", argv[optind - 1]);
}

int hf_cli_option(struct hf_cli *cli, int argc, char **argv,
                  const char *one_letter, const struct option *options,
                  int *out_exit)
{
    int found;

    opterr = 0;
    while ((found = getopt_long(argc, argv, one_letter, options, NULL)) ==
           'd') {
        if (!*optarg) {
            *out_exit =
                hf_cli_usage(cli, "--dir needs the name of a directory");
            return -1;
        }
        cli->dir_given = optarg;
    }
    if (found == -1)
        return 0;
    if (found == '?' || found == ':') {
        *out_exit = refuse_option(cli, found, argv);
        return -1;
    }
    if (found == 'h' && cli->command) {
        fputs(cli->command->help, stdout);
        *out_exit = hf_cli_flush(cli);
        return -1;
    }
    return found;
}

int hf_cli_find(struct hf_cli *cli)
{
    struct hf_place_hints hints = {
        .option = cli->dir_given,
        .variable = getenv(HF_PLACE_VARIABLE),
        .here = true,
    };
    struct hf_why why = {""};

    if (hf_place_find(&hints, &cli->place, &why))
        return hf_cli_fail(cli, "%s", why.text);
    return HF_EXIT_OK;
}

static int say_why(const struct hf_cli *cli, int err, const struct hf_why *why)
{
    return hf_cli_fail(cli, "%s", why->text[0] ? why->text : hf_strerror(err));
}

int hf_cli_open_dir(struct hf_cli *cli)
{
    struct hf_why why = {""};
    int err;

    if (hf_cli_find(cli))
        return HF_EXIT_FAILED;
    err = hf_dir_open(&cli->dir, cli->place.dir, &why);
    if (!err)
        err = hf_settings_read(&cli->dir, &cli->settings, &why);
    return err ? say_why(cli, err, &why) : HF_EXIT_OK;
}

int hf_cli_open(struct hf_cli *cli, enum hf_journal_use use)
{
    struct hf_why why = {""};
    int err;

    if (hf_cli_open_dir(cli))
        return HF_EXIT_FAILED;
    err = hf_journal_open(&cli->dir, &cli->settings, use, &cli->journal, &why);
    return err ? say_why(cli, err, &why) : HF_EXIT_OK;
}

void hf_cli_close(struct hf_cli *cli)
{
    hf_journal_close(cli->journal);
    cli->journal = NULL;
    hf_dir_close(&cli->dir);
}

int hf_cli_explain(const struct hf_cli *cli, int err, struct hf_why *why)
{
    const char *refusal;

    switch (err) {
    case HF_EINVAL:
        refusal = hf_journal_refusal(cli->journal);
        return hf_explain(why, err, "the journal refuses it: %s",
                          refusal ? refusal : hf_strerror(err));
    case HF_ELIMIT:
        return hf_explain(why, err,
                          "the payload is larger than %zu bytes; the limit is "
                          "max_payload in %s/" HF_FILE_SETTINGS,
                          cli->settings.max_payload, cli->dir.path);
    case HF_ECONFLICT:
        return hf_explain(why, err,
                          "this publisher has used the key before, with "
                          "another topic, event or payload; use a new key for "
                          "a new message");
    case HF_EBUSY:
        return hf_explain(why, err,
                          "another program has held the journal's write lock "
                          "for more than %lld ms; it is safe to try again",
                          (long long)cli->settings.busy_ms);
    case HF_EFAILED:
        return hf_explain(
            why, err,
            "the disk has lost what was written to it (see %s/" HF_FILE_FAILED
            "), so nothing is published any "
            "more; see to the disk, then run: holdfast check "
            "--rescue",
            cli->dir.path);
    case HF_EBLOCKED:
        return hf_explain(why, err,
                          "%s/" HF_FILE_JOURNAL
                          "-wal is above max_wal, because some program keeps "
                          "a transaction open; 'holdfast status' names it. "
                          "When it ends, publishing goes on",
                          cli->dir.path);
    case HF_EFULL:
        return hf_explain(why, err,
                          "no room is left for %s; make room on the disk or "
                          "in the quota, and publishing goes on",
                          cli->dir.path);
    case HF_EREPLACED:
        return hf_explain(why, err,
                          "a file of the journal in %s was moved, replaced or "
                          "deleted while programs had it open; stop all of "
                          "them, scripts too, then start them again",
                          cli->dir.path);
    case HF_ESTORE:
        return hf_explain(why, err,
                          "the database %s/" HF_FILE_JOURNAL
                          " cannot be read or written; is the disk "
                          "read-only, or damaged?",
                          cli->dir.path);
    default:
        return hf_explain(why, err, "%s", hf_strerror(err));
    }
}

int hf_cli_append(struct hf_cli *cli, const struct hf_publish *publish,
                  uint64_t *out_id, bool *out_repeated, struct hf_why *why)
{
    int err;

    err = hf_journal_part_begin(cli->journal);
    if (err)
        return hf_cli_explain(cli, err, why);
    err = hf_journal_append(cli->journal, publish, out_id, out_repeated);
    if (err)
        goto undo;
    err = hf_journal_part_keep(cli->journal);
    if (err)
        goto undo;
    return 0;

undo:
    /* before the undo, which may forget the journal's own words */
    err = hf_cli_explain(cli, err, why);
    hf_journal_part_undo(cli->journal);
    return err;
}

void hf_cli_print_cursor(const struct hf_cli *cli, uint64_t id)
{
    char text[HF_CURSOR_MAX];
    struct hf_cursor cursor = {hf_journal_epoch(cli->journal), id};

    printf("%.*s\n", (int)hf_cursor_format(cursor, text), text);
}

/*
 * cli.h - what the subcommands of `holdfast` share
 *
 * A subcommand parses its own arguments, works on the journal directly and
 * returns an exit code. What it prints for people goes to standard error and
 * says what happened, why, and what to do next; standard output carries
 * results only, so that it can be piped.
 */
#ifndef HF_CLI_CLI_H
#define HF_CLI_CLI_H

#include <getopt.h>

#include "schema/journal.h"
#include "schema/place.h"

enum hf_exit {
    HF_EXIT_OK = 0,
    HF_EXIT_FAILED = 1, /* asked for something that did not work out */
    HF_EXIT_USAGE = 2,  /* did not understand what was asked for */
};

struct hf_cli {
    const struct hf_command *command; /* the one that runs; NULL before */
    const char *dir_given;            /* --dir; else NULL */
    struct hf_place place;            /* hf_cli_find found it there */
    struct hf_dir dir;
    struct hf_settings settings;
    struct hf_journal *journal;
};

struct hf_command {
    const char *name;
    const char *summary; /* one line for `holdfast --help` */
    const char *help;    /* all of `holdfast NAME --help` */
    int (*run)(struct hf_cli *cli, int argc, char **argv); /* enum hf_exit */
};

extern const struct hf_command hf_command_init;
extern const struct hf_command hf_command_allow;
extern const struct hf_command hf_command_publish;
extern const struct hf_command hf_command_tail;
extern const struct hf_command hf_command_history;
extern const struct hf_command hf_command_status;
extern const struct hf_command hf_command_explain;
extern const struct hf_command hf_command_prune;
extern const struct hf_command hf_command_redact;
extern const struct hf_command hf_command_backup;
extern const struct hf_command hf_command_restore;
extern const struct hf_command hf_command_move;
extern const struct hf_command hf_command_check;
extern const struct hf_command hf_command_doctor;
extern const struct hf_command hf_command_token;
extern const struct hf_command hf_command_disconnect;
extern const struct hf_command hf_command_sidecar;

/* --- arguments ----------------------------------------------------------- */

/* The options every command takes: end a command's own list with this. */
#define HF_CLI_OPTIONS                                                         \
    {"dir", required_argument, NULL, 'd'}, {"help", no_argument, NULL, 'h'},   \
    {                                                                          \
        NULL, 0, NULL, 0                                                       \
    }

/*
 * The next option of the command, its value in optarg; --dir and --help are
 * dealt with here. 0: no more, operands begin at argv[optind]. -1: stop and
 * return *out_exit, everything has been said. `one_letter` lists short forms
 * as for getopt; options may stand between operands, until "--".
 */
int hf_cli_option(struct hf_cli *cli, int argc, char **argv,
                  const char *one_letter, const struct option *options,
                  int *out_exit);

/* --- words --------------------------------------------------------------- */

/* "holdfast publish: ..." on standard error; returns HF_EXIT_FAILED. */
int hf_cli_fail(const struct hf_cli *cli, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The same with a hint at --help; returns HF_EXIT_USAGE. */
int hf_cli_usage(const struct hf_cli *cli, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Flush standard output. A full disk or a closed pipe is a failure. */
int hf_cli_flush(const struct hf_cli *cli);

/* --- the journal --------------------------------------------------------- */

/* Which directory is meant: --dir, HOLDFAST_DIR, the current one, ~/holdfast.
 * Fills cli->place, or says why not. An exit code. */
int hf_cli_find(struct hf_cli *cli);

/* Open directory and settings, without the journal; says why not. An exit code.
 * Close in any case. */
int hf_cli_open_dir(struct hf_cli *cli);

/* Open directory, settings and journal; says why not. An exit code. Close in
 * any case. */
int hf_cli_open(struct hf_cli *cli, enum hf_journal_use use);
void hf_cli_close(struct hf_cli *cli);

/* A sentence about an error of journal.h, with what to do next; *why is
 * filled and err returned. */
int hf_cli_explain(const struct hf_cli *cli, int err, struct hf_why *why);

/* Append in the open transaction, as a part of its own; *out_repeated as
 * hf_journal_append has it. Fills *why. */
int hf_cli_append(struct hf_cli *cli, const struct hf_publish *publish,
                  uint64_t *out_id, bool *out_repeated, struct hf_why *why);

/* Print the cursor of a row of this journal and a line end. */
void hf_cli_print_cursor(const struct hf_cli *cli, uint64_t id);

#endif

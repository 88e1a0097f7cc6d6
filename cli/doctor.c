/*
 * holdfast doctor - what this host can do, and what to do about the rest
 */
#include "channel/doctor.h"

#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"

static const char help[] =
    "Usage: holdfast doctor [--json] [--apply] [--no-background]\n"
    "\n"
    "Look the journal directory and the host over, and say what works, what "
    "does\n"
    "not, and what to do: file system and locks, limits of the account, clock, "
    "cron,\n"
    "whether background processes live, SQLite. Run it as the account that "
    "serves.\n"
    "Each trouble has a name, under which docs/TROUBLES.md tells more.\n"
    "\n"
    "Prints one finding after the other: ok, note, warning or problem. Exit "
    "code 1:\n"
    "there is a problem. The journal is not changed; a background process is "
    "left\n"
    "behind that does nothing for ten minutes, and the next run tells what "
    "became\n"
    "of it.\n"
    "\n"
    "  --json           the same for programs\n"
    "  --apply          write the recommended settings into holdfast.conf; the "
    "file\n"
    "                   as it was is kept as holdfast.conf.before\n"
    "  --no-background  leave no process behind\n";

struct wish {
    bool json;
    bool apply;
    bool no_background;
};

static int print(struct hf_cli *cli, const struct hf_report *report, bool json)
{
    static const char *const verdicts[] = {
        "All is well.", "It can serve; see the warnings.",
        "It cannot serve like this; see the problems."};
    struct hf_buf text;
    int err;

    if (!json) {
        hf_report_print(report);
        printf("\n%s\n", verdicts[report->worst]);
        return hf_cli_flush(cli);
    }
    hf_buf_init(&text, HF_REPORT_MAX);
    err = hf_report_json(report, &text);
    if (!err)
        printf("%.*s\n", HF_STR_ARG(hf_buf_str(&text)));
    hf_buf_release(&text);
    return err ? hf_cli_fail(cli, "%s", hf_strerror(err)) : hf_cli_flush(cli);
}

static int apply(struct hf_cli *cli, const struct hf_report *report,
                 const struct hf_doctor_seen *seen)
{
    struct hf_why why = {""};
    int err;

    if (report->changes_count == 0) {
        fputs("holdfast doctor: nothing to change\n", stderr);
        return HF_EXIT_OK;
    }
    err = hf_dir_open(&cli->dir, seen->place.dir, &why);
    if (!err)
        err = hf_settings_change(&cli->dir, report->changes,
                                 report->changes_count, &why);
    if (err)
        return hf_cli_fail(cli, "nothing was changed: %s", why.text);
    fprintf(stderr,
            "holdfast doctor: changed %s/" HF_FILE_SETTINGS
            " (as it was: " HF_FILE_SETTINGS_BEFORE
            "); restart the programs that stay\n",
            cli->dir.path);
    return HF_EXIT_OK;
}

static int examine(struct hf_cli *cli, const struct wish *wish,
                   struct hf_report *report, struct hf_doctor_seen *seen)
{
    struct hf_doctor doctor = {
        .hints = {.option = cli->dir_given,
                  .variable = getenv(HF_PLACE_VARIABLE),
                  .here = true},
        .who = "shell",
        .leave_none = wish->no_background,
    };
    int exit_code;

    hf_doctor_look(&doctor, report, seen);
    exit_code = print(cli, report, wish->json);
    if (!exit_code && wish->apply)
        exit_code = apply(cli, report, seen);
    if (report->worst == HF_FINDING_PROBLEM)
        exit_code = HF_EXIT_FAILED;
    return exit_code;
}

static int run_doctor(struct hf_cli *cli, const struct wish *wish)
{
    struct hf_report *report = calloc(1, sizeof(*report));
    struct hf_doctor_seen *seen = calloc(1, sizeof(*seen));
    int exit_code;

    if (report && seen)
        exit_code = examine(cli, wish, report, seen);
    else
        exit_code = hf_cli_fail(cli, "%s", hf_strerror(HF_ENOMEM));
    if (report)
        hf_report_release(report);
    free(report);
    free(seen);
    return exit_code;
}

static int run(struct hf_cli *cli, int argc, char **argv)
{
    static const struct option options[] = {
        {"json", no_argument, NULL, 'j'},
        {"apply", no_argument, NULL, 'a'},
        {"no-background", no_argument, NULL, 'b'},
        HF_CLI_OPTIONS,
    };
    struct wish wish = {.json = false};
    int exit_code = HF_EXIT_OK;
    int option;

    while ((option = hf_cli_option(cli, argc, argv, ":h", options,
                                   &exit_code)) > 0) {
        wish.json = wish.json || option == 'j';
        wish.apply = wish.apply || option == 'a';
        wish.no_background = wish.no_background || option == 'b';
    }
    if (option < 0)
        return exit_code;
    if (optind < argc)
        return hf_cli_usage(cli, "doctor takes no operand");
    exit_code = run_doctor(cli, &wish);
    hf_cli_close(cli);
    return exit_code;
}

const struct hf_command hf_command_doctor = {
    "doctor",
    "look the host over, and say what to do",
    help,
    run,
};

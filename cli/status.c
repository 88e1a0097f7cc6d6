/*
 * holdfast status - what the journal holds and who waits for it
 */
#include <stdio.h>

#include "channel/cursor.h"
#include "cli/cli.h"
#include "schema/bell.h"
#include "schema/live.h"
#include "schema/policies.h"

static const char help[] =
    "Usage: holdfast status\n"
    "\n"
    "Print what the journal holds and who waits for it, one fact a line: a "
    "name,\n"
    "blanks, a value.\n"
    "\n"
    "  journal      the file\n"
    "  head         the cursor of the end: everything published is before it\n"
    "  durability   as in holdfast.conf\n"
    "  writing      the process of ours that holds the write lock, or no\n"
    "  waiting      processes that wait for messages: how many, and their ids\n"
    "  sessions     long-poll sessions seen in the last 45 s\n"
    "  policy       one line each: pattern, rights, echo\n";

#define SEEN_MS 45000 /* a lease (guarantee G7) */

static int print_head(struct hf_cli *cli)
{
    uint64_t head;
    int err = hf_journal_head(cli->journal, &head);

    if (err)
        return err;
    printf("journal      %s/" HF_FILE_JOURNAL "\nhead         ", cli->dir.path);
    hf_cli_print_cursor(cli, head);
    printf("durability   %s\n",
           cli->settings.durability == HF_DURABILITY_FULL ? "full" : "normal");
    return 0;
}

static void print_writing(const struct hf_cli *cli)
{
    pid_t holder = hf_journal_holder(&cli->dir);

    if (holder)
        printf("writing      process %ld\n", (long)holder);
    else
        printf("writing      no\n");
}

static int print_waiting(const struct hf_cli *cli)
{
    struct hf_bell_owner owners[HF_BELL_SLOTS];
    struct hf_bell *bell;
    size_t count;
    int err = hf_bell_open(&cli->dir, &bell);

    if (err)
        return err;
    count = hf_bell_owners(bell, owners, HF_BELL_SLOTS);
    hf_bell_close(bell);
    printf("waiting      %zu", count);
    for (size_t i = 0; i < count; i++)
        printf("%s%lld",
               i            ? ", "
               : count == 1 ? " process: "
                            : " processes: ",
               (long long)owners[i].pid);
    putchar('\n');
    return 0;
}

static int print_sessions(const struct hf_cli *cli, struct hf_why *why)
{
    struct hf_live *live;
    uint64_t count;
    int err = hf_live_open(&cli->dir, &live, why);

    if (err)
        return err;
    err = hf_live_count(live, SEEN_MS, &count);
    hf_live_close(live);
    if (err)
        return err;
    printf("sessions     %llu\n", (unsigned long long)count);
    return 0;
}

static int print_policy(void *ctx, const struct hf_policy *policy)
{
    char rights[32];

    (void)ctx;
    hf_rights_format(policy->rights, rights);
    printf("policy       %.*s  %s  echo %s\n", HF_STR_ARG(policy->pattern),
           rights, policy->echo ? "on" : "off");
    return 0;
}

static int print_status(struct hf_cli *cli)
{
    struct hf_why why = {""};
    int err;

    err = print_head(cli);
    if (!err) {
        print_writing(cli);
        err = print_waiting(cli);
    }
    if (!err)
        err = print_sessions(cli, &why);
    if (!err)
        err = hf_policies_each(cli->journal, print_policy, NULL);
    if (!err)
        return hf_cli_flush(cli);

    (void)hf_cli_flush(cli); /* what we know, before what went wrong */
    if (!why.text[0])
        hf_cli_explain(cli, err, &why);
    return hf_cli_fail(cli, "%s", why.text);
}

static int run(struct hf_cli *cli, int argc, char **argv)
{
    static const struct option options[] = {HF_CLI_OPTIONS};
    int exit_code = HF_EXIT_OK;

    if (hf_cli_option(cli, argc, argv, ":h", options, &exit_code) < 0)
        return exit_code;
    if (optind < argc)
        return hf_cli_usage(cli, "status takes no operand");

    exit_code = hf_cli_open(cli, HF_JOURNAL_READ);
    if (!exit_code)
        exit_code = print_status(cli);
    hf_cli_close(cli);
    return exit_code;
}

const struct hf_command hf_command_status = {
    "status",
    "print what the journal holds and who waits for it",
    help,
    run,
};

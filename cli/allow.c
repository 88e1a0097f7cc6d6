/*
 * holdfast allow - what visitors without a token may do on a topic
 */
#include <stdlib.h>
#include <string.h>

#include "channel/topic.h"
#include "cli/cli.h"
#include "schema/policies.h"

static const char help[] =
    "Usage: holdfast allow [--echo on|off] [--rate N] PATTERN RIGHTS\n"
    "\n"
    "Set what anonymous visitors may do on topics that match PATTERN: a "
    "topic,\n"
    "or a prefix with one '*' at its end. The most specific pattern counts. A\n"
    "change holds within a second, on open connections too. Without any "
    "policy\n"
    "nobody may do anything.\n"
    "\n"
    "RIGHTS is a comma list of\n"
    "  join       receive what is published there\n"
    "  publish    push messages to the topic's other members\n"
    "  presence   be listed as present\n"
    "or the word none, which removes the policy of exactly this PATTERN.\n"
    "\n"
    "  --echo on|off   does who pushes a message receive it too? Default: on\n"
    "  --rate N        messages per second on each topic, of all its members\n"
    "                  together, 1 to 1000. Default: 0, any number\n"
    "\n"
    "Example: holdfast allow 'room:*' join,publish\n";

static int parse_echo(struct hf_cli *cli, const char *word, bool *out)
{
    *out = strcmp(word, "on") == 0;
    if (*out || strcmp(word, "off") == 0)
        return HF_EXIT_OK;
    return hf_cli_usage(cli, "--echo is on or off, not '%s'", word);
}

static int parse_rate(struct hf_cli *cli, const char *word, unsigned *out)
{
    size_t digits = strspn(word, "0123456789");

    if (digits == 0 || digits > 4 || word[digits])
        return hf_cli_usage(cli, "--rate is a number, not '%s'", word);
    *out = (unsigned)strtoul(word, NULL, 10);
    if (*out > HF_TOPIC_RATE_MAX)
        return hf_cli_usage(cli, "--rate is at most %u", HF_TOPIC_RATE_MAX);
    return HF_EXIT_OK;
}

static int parse_operands(struct hf_cli *cli, int count, char **words,
                          struct hf_policy *policy)
{
    if (count != 2)
        return hf_cli_usage(cli, "say PATTERN and RIGHTS");
    policy->pattern = hf_str_of(words[0]);
    if (!hf_pattern_legal(policy->pattern))
        return hf_cli_usage(cli,
                            "'%s' is no pattern: that is a topic of at most "
                            "%u bytes, or a prefix and one '*' at its end",
                            words[0], HF_TOPIC_MAX);
    if (hf_rights_parse(hf_str_of(words[1]), &policy->rights))
        return hf_cli_usage(cli,
                            "'%s' is no list of rights: use join, publish and "
                            "presence with commas between, or none",
                            words[1]);
    return HF_EXIT_OK;
}

static int set_policy(struct hf_cli *cli, const struct hf_policy *policy)
{
    struct hf_why why = {""};
    int err;

    err = hf_journal_begin(cli->journal);
    if (err)
        goto fail;
    err = hf_policy_set(cli->journal, policy);
    if (err)
        goto rollback;
    err = hf_journal_commit(cli->journal);
    if (err)
        goto fail;
    return HF_EXIT_OK;

rollback:
    err = hf_cli_explain(cli, err, &why);
    hf_journal_rollback(cli->journal);
fail:
    if (!why.text[0])
        hf_cli_explain(cli, err, &why);
    return hf_cli_fail(cli, "nothing was changed: %s", why.text);
}

static int run(struct hf_cli *cli, int argc, char **argv)
{
    static const struct option options[] = {
        {"echo", required_argument, NULL, 'e'},
        {"rate", required_argument, NULL, 'r'},
        HF_CLI_OPTIONS,
    };
    struct hf_policy policy = {.echo = true};
    int exit_code = HF_EXIT_OK;
    int option;

    while ((option = hf_cli_option(cli, argc, argv, ":h", options,
                                   &exit_code)) > 0) {
        exit_code = option == 'e' ? parse_echo(cli, optarg, &policy.echo)
                                  : parse_rate(cli, optarg, &policy.rate);
        if (exit_code)
            return exit_code;
    }
    if (option < 0)
        return exit_code;
    exit_code = parse_operands(cli, argc - optind, argv + optind, &policy);
    if (exit_code)
        return exit_code;

    exit_code = hf_cli_open(cli, HF_JOURNAL_WRITE);
    if (!exit_code)
        exit_code = set_policy(cli, &policy);
    hf_cli_close(cli);
    return exit_code;
}

const struct hf_command hf_command_allow = {
    "allow",
    "set what anonymous visitors may do on a topic",
    help,
    run,
};

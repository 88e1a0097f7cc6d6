/*
 * holdfast publish - append messages to the journal
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/sys.h"
#include "channel/topic.h"
#include "cli/lines.h"

static const char help[] =
    "Usage: holdfast publish [OPTIONS] TOPIC EVENT PAYLOAD\n"
    "       holdfast publish [--publisher NAME] [-]\n"
    "       holdfast publish [--publisher NAME] --batch [FILE]\n"
    "\n"
    "Publish a message and print its cursor, once it is safely in the "
    "journal.\n"
    "PAYLOAD is JSON: '{\"text\":\"hello\"}', or '\"hello\"' with its quotes.\n"
    "\n"
    "The second form reads messages from standard input, one JSON object a\n"
    "line, with the members topic, event, payload and, if wanted, key and\n"
    "publisher. It prints one cursor per line. At the first line that cannot "
    "be\n"
    "published it stops and names it; lines before it stay published.\n"
    "\n"
    "The third form does the same with a file, or standard input, that holds "
    "many:\n"
    "while it works it shows on a terminal how far it is, at the end it says "
    "how\n"
    "many it published, and it prints the last one's cursor only.\n"
    "\n"
    "  --key KEY          publishing again with the same key and publisher "
    "adds\n"
    "                     nothing and prints the first one's cursor; not for\n"
    "                     lines, where each has its own\n"
    "  --publisher NAME   who the key is unique for\n"
    "  --batch            publish many messages\n"
    "\n"
    "An operand that begins with '-' goes after '--'.\n";

static int check_payload(struct hf_cli *cli, const char *text,
                         struct hf_str *out)
{
    struct hf_json json;
    int err = hf_json_read(hf_str_of(text), HF_JSON_DEPTH, &json);

    if (err == HF_ELIMIT)
        return hf_cli_usage(cli,
                            "PAYLOAD has more than %u arrays and objects "
                            "inside each other",
                            HF_JSON_DEPTH);
    if (err)
        return hf_cli_usage(cli, "PAYLOAD is not JSON in UTF-8; a string needs "
                                 "its quotes: '\"hello\"'");
    *out = json.raw;
    return HF_EXIT_OK;
}

/* SQLite takes any bytes as text, but whoever reads passes a row over whose
 * names are not UTF-8: its publisher would never know. */
static int check_names(struct hf_cli *cli, const struct hf_publish *publish)
{
    if (!hf_topic_legal(publish->topic))
        return hf_cli_usage(cli,
                            "'%.*s' is no topic: 1 to %u bytes of UTF-8 "
                            "without control characters",
                            HF_STR_ARG(publish->topic), HF_TOPIC_MAX);
    if (!hf_event_legal(publish->event))
        return hf_cli_usage(cli,
                            "'%.*s' is no event: 1 to %u bytes of UTF-8 "
                            "without control characters",
                            HF_STR_ARG(publish->event), HF_EVENT_MAX);
    return HF_EXIT_OK;
}

static int publish_one(struct hf_cli *cli, const struct hf_publish *publish)
{
    struct hf_why why = {""};
    uint64_t id = 0;
    bool repeated;
    int err;

    err = hf_journal_begin(cli->journal);
    if (err)
        goto fail;
    err = hf_cli_append(cli, publish, &id, &repeated, &why);
    if (err)
        goto rollback;
    err = hf_journal_commit(cli->journal);
    if (err)
        goto fail;
    hf_cli_print_cursor(cli, id);
    return hf_cli_flush(cli);

rollback:
    hf_journal_rollback(cli->journal);
fail:
    if (!why.text[0])
        hf_cli_explain(cli, err, &why);
    return hf_cli_fail(cli, "nothing was published: %s", why.text);
}

static int run_one(struct hf_cli *cli, struct hf_publish *publish,
                   char **operands)
{
    int exit_code;

    publish->topic = hf_str_of(operands[0]);
    publish->event = hf_str_of(operands[1]);
    exit_code = check_names(cli, publish);
    if (!exit_code)
        exit_code = check_payload(cli, operands[2], &publish->payload);
    if (exit_code)
        return exit_code;
    if (publish->key.len && !publish->publisher.len)
        return hf_cli_usage(cli, "--key needs --publisher, for a key is unique "
                                 "for its publisher");

    exit_code = hf_cli_open(cli, HF_JOURNAL_WRITE);
    if (!exit_code)
        exit_code = publish_one(cli, publish);
    hf_cli_close(cli);
    return exit_code;
}

static int run_lines(struct hf_cli *cli, const struct hf_publish *publish,
                     const struct hf_lines *lines)
{
    int exit_code;

    if (publish->key.len)
        return hf_cli_usage(cli, "--key is for one message; in lines, with "
                                 "--batch or without, each has its own as the "
                                 "member key");
    exit_code = hf_cli_open(cli, HF_JOURNAL_WRITE);
    if (!exit_code) {
        if (isatty(lines->fd))
            fputs("Reading messages, one JSON object a line; end with "
                  "Ctrl-D.\n",
                  stderr);
        exit_code = hf_lines_publish(cli, lines);
    }
    hf_cli_close(cli);
    return exit_code;
}

/* `name` NULL or "-": standard input. */
static int run_input(struct hf_cli *cli, const struct hf_publish *publish,
                     const char *name, bool batch)
{
    struct hf_lines lines = {.publisher = publish->publisher,
                             .fd = STDIN_FILENO,
                             .name = "standard input",
                             .batch = batch};
    int exit_code;

    if (name && strcmp(name, "-") != 0) {
        lines.name = name;
        lines.fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    }
    if (lines.fd < 0)
        return hf_cli_fail(cli, "%s: %s", name, strerror(errno));
    exit_code = run_lines(cli, publish, &lines);
    if (lines.fd != STDIN_FILENO)
        hf_close(&lines.fd);
    return exit_code;
}

static int parse(struct hf_cli *cli, int argc, char **argv,
                 struct hf_publish *publish, bool *batch, int *out_exit)
{
    static const struct option options[] = {
        {"key", required_argument, NULL, 'k'},
        {"publisher", required_argument, NULL, 'p'},
        {"batch", no_argument, NULL, 'b'},
        HF_CLI_OPTIONS,
    };
    int option;

    while ((option = hf_cli_option(cli, argc, argv, ":h", options, out_exit)) >
           0) {
        if (option == 'b') {
            *batch = true;
        } else if (!*optarg) {
            *out_exit = hf_cli_usage(cli, "--key and --publisher are not to be "
                                          "empty");
            return -1;
        } else if (option == 'k') {
            publish->key = hf_str_of(optarg);
        } else {
            publish->publisher = hf_str_of(optarg);
        }
    }
    return option;
}

static int run(struct hf_cli *cli, int argc, char **argv)
{
    struct hf_publish publish = {.kind = HF_KIND_JSON};
    bool batch = false;
    int exit_code = HF_EXIT_OK;
    int operands;

    if (parse(cli, argc, argv, &publish, &batch, &exit_code) < 0)
        return exit_code;
    operands = argc - optind;
    if (batch && operands > 1)
        return hf_cli_usage(cli, "--batch reads one FILE, or standard input");
    if (batch || operands == 0 ||
        (operands == 1 && strcmp(argv[optind], "-") == 0))
        return run_input(cli, &publish, operands ? argv[optind] : NULL, batch);
    if (operands != 3)
        return hf_cli_usage(cli, "say TOPIC, EVENT and PAYLOAD, or nothing to "
                                 "read lines from standard input");
    return run_one(cli, &publish, argv + optind);
}

const struct hf_command hf_command_publish = {
    "publish",
    "append messages to a topic",
    help,
    run,
};

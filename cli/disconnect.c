/*
 * holdfast disconnect - end the connections of a user
 */
#include <string.h>

#include "channel/identity.h"
#include "cli/cli.h"

static const char help[] =
    "Usage: holdfast disconnect USER\n"
    "\n"
    "End all connections of this user at once, on every transport and in "
    "every\n"
    "process: WebSockets are closed with 1001, held polls are answered\n"
    "{\"status\":500}, and poll tokens born before are no longer taken. USER "
    "is\n"
    "the `sub` of its tokens, or the id the application gave it.\n"
    "\n"
    "It is no ban: who has a valid token may connect again. To keep somebody\n"
    "out, first stop giving out tokens, then disconnect; a token that is out "
    "is\n"
    "good until its end.\n"
    "\n"
    "Prints the cursor of the row that says so. Any program can write it:\n"
    "  INSERT INTO messages (topic, event, payload)\n"
    "  VALUES ('user_socket:USER', 'disconnect', '{}')\n";

static int disconnect(struct hf_cli *cli, struct hf_str user)
{
    char room[HF_USER_TOPIC_MAX];
    struct hf_publish publish = {.topic = hf_user_topic(user, room),
                                 .event = HF_STR("disconnect"),
                                 .payload = HF_STR("{}")};
    struct hf_why why = {""};
    bool repeated;
    uint64_t id;
    int err;

    err = hf_journal_begin(cli->journal);
    if (err)
        return hf_cli_fail(cli, "%s: nobody was disconnected",
                           (hf_cli_explain(cli, err, &why), why.text));
    err = hf_cli_append(cli, &publish, &id, &repeated, &why);
    if (err) {
        hf_journal_rollback(cli->journal);
        return hf_cli_fail(cli, "nobody was disconnected: %s", why.text);
    }
    err = hf_journal_commit(cli->journal);
    if (err)
        return hf_cli_fail(cli, "%s: perhaps nobody was disconnected",
                           (hf_cli_explain(cli, err, &why), why.text));
    hf_cli_print_cursor(cli, id);
    return hf_cli_flush(cli);
}

static int run(struct hf_cli *cli, int argc, char **argv)
{
    static const struct option options[] = {HF_CLI_OPTIONS};
    int exit_code = HF_EXIT_OK;
    struct hf_str user;

    if (hf_cli_option(cli, argc, argv, ":h", options, &exit_code) < 0)
        return exit_code;
    if (argc - optind != 1)
        return hf_cli_usage(cli, "say one USER");
    user = hf_str_of(argv[optind]);
    if (user.len == 0 || user.len > HF_USER_MAX)
        return hf_cli_usage(cli, "USER has 1 to %u bytes", HF_USER_MAX);
    exit_code = hf_cli_open(cli, HF_JOURNAL_WRITE);
    if (!exit_code)
        exit_code = disconnect(cli, user);
    hf_cli_close(cli);
    return exit_code;
}

const struct hf_command hf_command_disconnect = {
    "disconnect",
    "end the connections of a user",
    help,
    run,
};

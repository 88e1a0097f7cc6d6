/*
 * holdfast - look after a journal from the command line
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/script.h"
#include "base/standalone.h"
#include "cli/cli.h"

static const struct hf_command *const commands[] = {
    &hf_command_init,       &hf_command_allow,   &hf_command_publish,
    &hf_command_tail,       &hf_command_history, &hf_command_status,
    &hf_command_prune,      &hf_command_redact,  &hf_command_backup,
    &hf_command_restore,    &hf_command_check,   &hf_command_token,
    &hf_command_disconnect, &hf_command_doctor,  &hf_command_explain,
    &hf_command_sidecar,    &hf_command_move,
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static int print_help(const struct hf_cli *cli)
{
    puts("Usage: holdfast [--dir DIR] COMMAND [ARGUMENTS]\n"
         "\n"
         "Look after the journal of a Holdfast server, and publish to it.\n"
         "\n"
         "Commands:");
    for (size_t i = 0; i < COMMANDS; i++)
        printf("  %-10s  %s\n", commands[i]->name, commands[i]->summary);
    puts("\n"
         "Options:\n"
         "  --dir DIR   the journal directory; else the environment variable\n"
         "              HOLDFAST_DIR, else the current directory if it holds a\n"
         "              journal, else ~/holdfast\n"
         "  --help      this text; after a command, help about it\n"
         "  --version   print the version\n"
         "\n"
         "Exit code: 0 done, 1 it did not work, 2 the command line is wrong.");
    return hf_cli_flush(cli);
}

static int print_version(const struct hf_cli *cli)
{
    puts("holdfast " PACKAGE_VERSION);
    return hf_cli_flush(cli);
}

static const struct hf_command *find_command(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

static int run_command(struct hf_cli *cli, int argc, char **argv)
{
    const struct hf_command *command = find_command(argv[0]);

    if (!command)
        return hf_cli_usage(cli, "there is no command '%s'", argv[0]);
    cli->command = command;
    optind = 0; /* glibc: forget the scan of the global options */
    return command->run(cli, argc, argv);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"version", no_argument, NULL, 'V'},
        HF_CLI_OPTIONS,
    };
    struct hf_cli cli = {.dir = {.fd = -1}};
    int exit_code = HF_EXIT_OK;
    int option;

    if (hf_script_refused())
        return HF_EXIT_FAILED;
    hf_standalone_begin();
    (void)signal(SIGXFSZ, SIG_IGN); /* like a full disk (space.h) */
    hf_log_open("holdfast", HF_LOG_WARN, false);

    /* '+': options after the command's name are the command's */
    option = hf_cli_option(&cli, argc, argv, "+:h", options, &exit_code);
    if (option < 0)
        return exit_code;
    if (option == 'h')
        return print_help(&cli);
    if (option == 'V')
        return print_version(&cli);
    if (optind == argc)
        return hf_cli_usage(&cli, "say which command to run");
    return run_command(&cli, argc - optind, argv + optind);
}

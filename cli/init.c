/*
 * holdfast init - make a journal directory
 */
#include <stdio.h>

#include "cli/cli.h"

static const char help[] =
    "Usage: holdfast init [--group GROUP] DIR\n"
    "\n"
    "Make the journal directory DIR, whose parent must exist: the journal, "
    "the\n"
    "secret that signs poll tokens, and a commented holdfast.conf. In a\n"
    "directory that is whole nothing is changed; what is missing beside a "
    "good\n"
    "journal is put back.\n"
    "\n"
    "  --group GROUP   let members of GROUP publish and serve: directory 2770\n"
    "                  and files 0660 instead of 0700 and 0600. Whoever is in\n"
    "                  the group can read and write every message.\n";

static int run(struct hf_cli *cli, int argc, char **argv)
{
    static const struct option options[] = {
        {"group", required_argument, NULL, 'g'},
        HF_CLI_OPTIONS,
    };
    const char *group = NULL;
    const char *path;
    struct hf_why why = {""};
    bool existed = false;
    int exit_code = HF_EXIT_OK;
    int option;
    int err;

    while ((option =
                hf_cli_option(cli, argc, argv, ":h", options, &exit_code)) > 0)
        group = optarg;
    if (option < 0)
        return exit_code;
    if (argc - optind > 1)
        return hf_cli_usage(cli, "one directory at a time");
    path = optind < argc ? argv[optind] : cli->dir_given;
    if (!path || !*path)
        return hf_cli_usage(cli, "say which directory to make");

    err = hf_dir_init(path, group, &existed, &why);
    if (err)
        return hf_cli_fail(cli, "%s",
                           why.text[0] ? why.text : hf_strerror(err));
    printf("%s %s\n", existed ? "nothing to do in" : "made", path);
    return hf_cli_flush(cli);
}

const struct hf_command hf_command_init = {
    "init",
    "make a journal directory",
    help,
    run,
};

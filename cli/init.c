/*
 * holdfast init - make a journal directory
 */
#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"

static const char help[] =
    "Usage: holdfast init [--group GROUP] [DIR]\n"
    "\n"
    "Make the journal directory DIR, whose parent must exist: the journal, "
    "the\n"
    "secret that signs poll tokens, and a commented holdfast.conf. In a\n"
    "directory that is whole nothing is changed; what is missing beside a "
    "good\n"
    "journal is put back. Without DIR it is --dir, HOLDFAST_DIR, or\n"
    "~/holdfast, where gateway, side-car and this program look for it.\n"
    "\n"
    "  --group GROUP   let members of GROUP publish and serve: directory 2770\n"
    "                  and files 0660 instead of 0700 and 0600. Whoever is in\n"
    "                  the group can read and write every message.\n";

/* Not by hf_place_find: what it finds is there already. */
static int where(const char *said, char *out, size_t cap, struct hf_why *why)
{
    if (!said || !*said)
        said = getenv(HF_PLACE_VARIABLE);
    return said && *said ? hf_place_expand(said, out, cap, why)
                         : hf_place_home(out, cap, why);
}

static int run(struct hf_cli *cli, int argc, char **argv)
{
    static const struct option options[] = {
        {"group", required_argument, NULL, 'g'},
        HF_CLI_OPTIONS,
    };
    const char *group = NULL;
    char path[PATH_MAX];
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
    if (optind < argc && !*argv[optind])
        return hf_cli_usage(cli, "say which directory to make");
    if (where(optind < argc ? argv[optind] : cli->dir_given, path, sizeof(path),
              &why))
        return hf_cli_fail(cli, "%s", why.text);
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

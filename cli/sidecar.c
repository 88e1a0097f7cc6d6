/*
 * holdfast sidecar - start and stop the side-car without a service manager
 */
#include "cli/sidecar.h"

#include <stdio.h>
#include <string.h>

static const char help[] =
    "Usage: holdfast sidecar start [--cron]\n"
    "       holdfast sidecar stop | restart | status | cron\n"
    "\n"
    "Start and stop the side-car, which serves WebSockets, where no service\n"
    "manager does. Nothing is lost while it is away: clients go on by\n"
    "long-poll.\n"
    "\n"
    "  start     start it unless it runs, and wait until it serves\n"
    "  stop      end it, and have nobody start it again but `start`\n"
    "  restart   end it and start it again, after an upgrade for instance;\n"
    "            clients come back by themselves\n"
    "  status    print whether it runs, and whether it would be started by\n"
    "            itself. Exit code 0 if it runs, else 1\n"
    "  cron      print a line for crontab(5) that starts it again when it has\n"
    "            died and after a boot:\n"
    "                (crontab -l; holdfast sidecar cron) | crontab -\n"
    "\n"
    "Options:\n"
    "  --cron    for that line: say nothing unless it fails, leave what was\n"
    "            stopped by `stop`, and try ever less often what dies again\n"
    "            and again\n";

static int restart(struct hf_cli *cli)
{
    int exit_code = hf_sidecar_stop(cli, false);

    return exit_code ? exit_code : hf_sidecar_start(cli, false);
}

static int stop(struct hf_cli *cli)
{
    return hf_sidecar_stop(cli, true);
}

static int start(struct hf_cli *cli)
{
    return hf_sidecar_start(cli, false);
}

static int start_by_cron(struct hf_cli *cli)
{
    return hf_sidecar_start(cli, true);
}

static const struct action {
    const char *name;
    int (*act)(struct hf_cli *cli);
} actions[] = {
    {"start", start},          {"stop", stop},
    {"restart", restart},      {"status", hf_sidecar_status},
    {"cron", hf_sidecar_cron},
};

static const struct action *find(const char *name)
{
    size_t i;

    for (i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
        if (strcmp(actions[i].name, name) == 0)
            return &actions[i];
    return NULL;
}

static int run(struct hf_cli *cli, int argc, char **argv)
{
    static const struct option options[] = {
        {"cron", no_argument, NULL, 'c'},
        HF_CLI_OPTIONS,
    };
    const struct action *action;
    bool by_cron = false;
    int exit_code = HF_EXIT_OK;
    int option;

    while ((option =
                hf_cli_option(cli, argc, argv, ":h", options, &exit_code)) > 0)
        by_cron = true;
    if (option < 0)
        return exit_code;
    if (argc - optind != 1)
        return hf_cli_usage(cli, "say one of start, stop, restart, status and "
                                 "cron");
    action = find(argv[optind]);
    if (!action)
        return hf_cli_usage(cli,
                            "there is no '%s': start, stop, restart, "
                            "status or cron",
                            argv[optind]);
    if (by_cron && action->act != start)
        return hf_cli_usage(cli, "--cron is for start");
    exit_code = hf_cli_open_dir(cli);
    if (!exit_code)
        exit_code = by_cron ? start_by_cron(cli) : action->act(cli);
    hf_cli_close(cli);
    return exit_code;
}

const struct hf_command hf_command_sidecar = {
    "sidecar",
    "start and stop the side-car, which serves WebSockets",
    help,
    run,
};

/*
 * holdfast doctor - what this host can do, and what to do about the rest
 */
#include "channel/doctor.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/conf.h"
#include "channel/ownership.h"
#include "cli/cli.h"
#include "cli/front.h"

static const char help[] =
    "Usage: holdfast doctor [--json] [--apply] [--no-background]\n"
    "       holdfast doctor [--json] [--apply] [--parallel N] [--insecure] "
    "URL\n"
    "       holdfast doctor --page [URL]\n"
    "\n"
    "Say what works here, what does not, and what to do. Without a URL: the "
    "journal\n"
    "directory and the host, that is file system and locks, limits of the "
    "account,\n"
    "clock, cron, whether background processes live, SQLite. Run it as the "
    "account\n"
    "that serves.\n"
    "\n"
    "With the URL of the socket, https://example.com/socket: the same as the "
    "web\n"
    "server's account sees it, and what is between a browser and the gateway: "
    "how\n"
    "long a request may last, headers, WebSockets, and so on; it takes 40 s. "
    "The\n"
    "gateway is shown that you are its owner by the journal directory, or by a "
    "key\n"
    "in the URL of its page.\n"
    "\n"
    "Each trouble has a name, under which docs/TROUBLES.md tells more. Exit "
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
    "  --no-background  leave no process behind\n"
    "  --parallel N     ask N requests at once, to find how many the host "
    "allows;\n"
    "                   visitors may have to wait meanwhile\n"
    "  --hold TIME      how long a request is tried to last; 37s\n"
    "  --insecure       take any certificate\n"
    "  --page           print the address of the same as a page, for an hour\n";

struct wish {
    bool json;
    bool apply;
    bool no_background;
    bool page;
    bool insecure;
    unsigned parallel;
    long long hold_ms;
    const char *url;
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

/* --- from outside -------------------------------------------------------- */

/* A new key, which the gateway of this journal directory will know. */
static int make_key(struct hf_cli *cli, char key[HF_OWNERSHIP_KEY + 1])
{
    int err;

    if (hf_cli_open_dir(cli))
        return HF_EXIT_FAILED;
    err = hf_ownership_make(key);
    if (!err)
        err = hf_ownership_keep(&cli->dir, hf_str_of(key));
    return err ? hf_cli_fail(cli, "the key cannot be kept in %s: %s",
                             cli->dir.path, hf_strerror(err))
               : HF_EXIT_OK;
}

static int print_page(struct hf_cli *cli, const struct wish *wish)
{
    struct hf_front_wish front = {.socket = ""};
    char key[HF_OWNERSHIP_KEY + 1];
    int exit_code = make_key(cli, key);

    if (exit_code)
        return exit_code;
    if (wish->url && hf_front_read_url(&front, wish->url))
        printf("%s/doctor?k=%s\n", front.socket, key);
    else
        printf("%s/doctor?k=%s\n", cli->settings.mount, key);
    return hf_cli_flush(cli);
}

static void progress(const char *what)
{
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "%s ...\n", what);
}

static int ask_front(struct hf_cli *cli, const struct wish *wish,
                     struct hf_report *report)
{
    struct hf_front_wish front = {
        .hold_ms = wish->hold_ms ? wish->hold_ms : HF_FRONT_HOLD_MS,
        .parallel = wish->parallel,
        .insecure = wish->insecure,
        .apply = wish->apply,
        .progress = progress,
    };
    struct hf_why why = {""};
    int exit_code = HF_EXIT_OK;
    int err;

    if (!hf_front_read_url(&front, wish->url))
        return hf_cli_usage(cli, "%s is not like https://example.com/socket",
                            wish->url);
    if (!front.key[0])
        exit_code = make_key(cli, front.key);
    if (exit_code)
        return exit_code;
    err = hf_front_ask(&front, report, &why);
    if (err)
        return hf_cli_fail(cli, "%s",
                           why.text[0] ? why.text : hf_strerror(err));
    exit_code = print(cli, report, wish->json);
    return report->worst == HF_FINDING_PROBLEM ? HF_EXIT_FAILED : exit_code;
}

static int run_doctor(struct hf_cli *cli, const struct wish *wish)
{
    struct hf_report *report = calloc(1, sizeof(*report));
    struct hf_doctor_seen *seen = calloc(1, sizeof(*seen));
    int exit_code;

    if (report && seen)
        exit_code = wish->url ? ask_front(cli, wish, report)
                              : examine(cli, wish, report, seen);
    else
        exit_code = hf_cli_fail(cli, "%s", hf_strerror(HF_ENOMEM));
    if (report)
        hf_report_release(report);
    free(report);
    free(seen);
    return exit_code;
}

/* 0, or an exit code after a word about it. */
static int take_option(struct hf_cli *cli, struct wish *wish, int option)
{
    char *end;

    wish->json = wish->json || option == 'j';
    wish->apply = wish->apply || option == 'a';
    wish->no_background = wish->no_background || option == 'b';
    wish->page = wish->page || option == 'P';
    wish->insecure = wish->insecure || option == 'i';
    if (option == 'n') {
        unsigned long count = strtoul(optarg, &end, 10);

        if (*end || count < 2 || count > 300)
            return hf_cli_usage(cli, "--parallel takes a number from 2 to 300");
        wish->parallel = (unsigned)count;
    }
    if (option == 't' && (!hf_conf_duration_ms(optarg, &wish->hold_ms) ||
                          wish->hold_ms < 1000 || wish->hold_ms > 120000))
        return hf_cli_usage(cli, "--hold takes a time from 1s to 120s");
    return HF_EXIT_OK;
}

static int run(struct hf_cli *cli, int argc, char **argv)
{
    static const struct option options[] = {
        {"json", no_argument, NULL, 'j'},
        {"apply", no_argument, NULL, 'a'},
        {"no-background", no_argument, NULL, 'b'},
        {"page", no_argument, NULL, 'P'},
        {"insecure", no_argument, NULL, 'i'},
        {"parallel", required_argument, NULL, 'n'},
        {"hold", required_argument, NULL, 't'},
        HF_CLI_OPTIONS,
    };
    struct wish wish = {.json = false};
    int exit_code = HF_EXIT_OK;
    int option;

    while ((option = hf_cli_option(cli, argc, argv, ":h", options,
                                   &exit_code)) > 0) {
        exit_code = take_option(cli, &wish, option);
        if (exit_code)
            return exit_code;
    }
    if (option < 0)
        return exit_code;
    if (optind < argc)
        wish.url = argv[optind++];
    if (optind < argc)
        return hf_cli_usage(cli, "doctor takes one URL");
    exit_code = wish.page ? print_page(cli, &wish) : run_doctor(cli, &wish);
    hf_cli_close(cli);
    return exit_code;
}

const struct hf_command hf_command_doctor = {
    "doctor",
    "look the host over, and say what to do",
    help,
    run,
};

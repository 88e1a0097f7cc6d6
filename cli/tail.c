/*
 * holdfast tail - print a topic's messages, and wait for more
 */
#include "base/loop.h"
#include "cli/lines.h"
#include "cli/pages.h"
#include "cli/terminal.h"
#include "schema/wake.h"

static const char help[] =
    "Usage: holdfast tail [--since CURSOR] [--once] TOPIC\n"
    "\n"
    "Print the messages of TOPIC as they are published, one JSON object a "
    "line:\n"
    "cursor, at (milliseconds since 1970), topic, event and payload. Ctrl-C "
    "ends\n"
    "it. Lines can be piped into `holdfast publish`.\n"
    "\n"
    "  --since CURSOR   begin after this cursor, the one of the last line "
    "that\n"
    "                   was dealt with; the word start means everything kept,\n"
    "                   now means only what is published from now on "
    "(default)\n"
    "  -n, --once       print what is there and stop; begins at start unless\n"
    "                   --since says otherwise\n"
    "\n"
    "When messages after CURSOR are no longer kept, it says so and ends with\n"
    "exit code 1, and so does --once when it is interrupted before the end:\n"
    "nothing is ever left out silently.\n";

/* Rows are gathered first, so that no read transaction stays open while whoever
 * reads our output takes its time. A page of them, escaped, is far smaller. */
#define GATHER_MAX_BYTES (64u * 1024u * 1024u)

/* A signal that comes just before the loop waits is seen after so long. */
#define TURN_MAX_MS 500

struct tail {
    struct hf_cli *cli;
    struct hf_pages pages;
    struct hf_buf lines; /* gathered, to print */
    bool grown;          /* since we read last */
    bool once;           /* an end is asked for: to stop before it is failing */
    int exit_code;       /* meaningful once `ended` */
    bool ended;
};

static void end(struct tail *tail, int exit_code)
{
    tail->ended = true;
    tail->exit_code = exit_code;
}

static void end_with_error(struct tail *tail, int err)
{
    end(tail, hf_pages_fail(&tail->pages, err));
}

/* --- printing ------------------------------------------------------------ */

static int gather_row(void *ctx, const struct hf_row *row)
{
    struct tail *tail = ctx;

    return hf_line_encode(&tail->lines, tail->pages.epoch, row);
}

static bool print_page(struct tail *tail)
{
    bool more = false;
    int err = hf_pages_next(&tail->pages, gather_row, tail, &more);

    if (!err)
        err = hf_pages_print(&tail->lines);
    if (!err && more && hf_interrupted())
        err = HF_ECLOSED;
    if (err == HF_ECLOSED && !tail->once)
        end(tail, HF_EXIT_OK); /* as whoever follows is to end */
    else if (err)
        end_with_error(tail, err);
    return more && !tail->ended;
}

static void print_new(struct tail *tail)
{
    while (print_page(tail))
        continue;
}

/* --- following ----------------------------------------------------------- */

/* Printed later: here a read transaction is open. */
static void on_growth(void *ctx)
{
    struct tail *tail = ctx;

    tail->grown = true;
}

static int follow_with(struct tail *tail, struct hf_loop *loop)
{
    struct hf_wake *wake;
    int err;

    err = hf_wake_new(loop, &tail->cli->dir, tail->cli->journal, on_growth,
                      tail, &wake);
    if (err)
        return err;
    hf_wake_add(wake, tail->pages.topic);
    tail->grown = true; /* by what came before we listened */
    while (!err && !tail->ended && !hf_interrupted()) {
        if (tail->grown) {
            tail->grown = false;
            print_new(tail);
        } else {
            err = hf_loop_turn(loop, TURN_MAX_MS);
        }
    }
    hf_wake_free(wake);
    return err;
}

static void follow(struct tail *tail)
{
    struct hf_loop *loop;
    int err = hf_loop_new(&loop);

    if (!err) {
        err = follow_with(tail, loop);
        hf_loop_free(loop);
    }
    if (err && !tail->ended)
        end_with_error(tail, err);
}

static int run_tail(struct hf_cli *cli, const char *topic, const char *since,
                    bool once)
{
    struct tail tail = {.cli = cli, .once = once};
    int err = hf_pages_begin(&tail.pages, cli, hf_str_of(topic), since, 0);

    hf_buf_init(&tail.lines, GATHER_MAX_BYTES);
    hf_catch_signals();
    if (err)
        end_with_error(&tail, err);
    else if (once)
        print_new(&tail);
    else
        follow(&tail);
    hf_buf_release(&tail.lines);
    return tail.exit_code;
}

static int run(struct hf_cli *cli, int argc, char **argv)
{
    static const struct option options[] = {
        {"since", required_argument, NULL, 's'},
        {"once", no_argument, NULL, 'n'},
        HF_CLI_OPTIONS,
    };
    const char *since = NULL;
    bool once = false;
    int exit_code = HF_EXIT_OK;
    int option;

    while ((option = hf_cli_option(cli, argc, argv, ":hn", options,
                                   &exit_code)) > 0) {
        if (option == 'n')
            once = true;
        else
            since = optarg;
    }
    if (option < 0)
        return exit_code;
    if (!since)
        since = once ? "start" : "now";
    if (!hf_pages_is_place(since))
        return hf_cli_usage(cli,
                            "'%s' is no cursor; --since takes one as "
                            "`publish` and `tail` print it, or start, or now",
                            since);
    exit_code = hf_pages_check_topic(cli, argc, argv);
    if (exit_code)
        return exit_code;

    exit_code = hf_cli_open(cli, HF_JOURNAL_READ);
    if (!exit_code)
        exit_code = run_tail(cli, argv[optind], since, once);
    hf_cli_close(cli);
    return exit_code;
}

const struct hf_command hf_command_tail = {
    "tail",
    "print a topic's messages, and wait for more",
    help,
    run,
};

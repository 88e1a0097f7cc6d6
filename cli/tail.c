/*
 * holdfast tail - print a topic's messages, and wait for more
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/loop.h"
#include "channel/cursor.h"
#include "channel/topic.h"
#include "cli/lines.h"
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
    "exit code 1: nothing is ever left out silently.\n";

/* Rows are gathered first, so that no read transaction stays open while whoever
 * reads our output takes its time. A page of them, escaped, is far smaller. */
#define GATHER_MAX_BYTES (64u * 1024u * 1024u)

/* A signal that comes just before the loop waits is seen after so long. */
#define TURN_MAX_MS 500

struct tail {
    struct hf_cli *cli;
    struct hf_str topic;
    uint64_t after;      /* everything up to here is printed */
    uint64_t epoch;      /* of `after` */
    struct hf_buf lines; /* gathered, to print */
    int exit_code;       /* meaningful once `ended` */
    bool ended;
};

static volatile sig_atomic_t interrupted;

static void on_signal(int signal_number)
{
    (void)signal_number;
    interrupted = 1;
}

/* Without SA_RESTART: a write that waits for our reader is to end too. */
static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
}

static void end(struct tail *tail, int exit_code)
{
    tail->ended = true;
    tail->exit_code = exit_code;
}

static void end_with_error(struct tail *tail, int err)
{
    struct hf_why why = {""};

    hf_cli_explain(tail->cli, err, &why);
    end(tail, hf_cli_fail(tail->cli, "%s", why.text));
}

static void end_with_gap(struct tail *tail)
{
    end(tail, hf_cli_fail(tail->cli,
                          "messages after this cursor are no longer kept "
                          "(retain in %s/" HF_FILE_SETTINGS
                          "); what is still there: --since start",
                          tail->cli->dir.path));
}

static void end_with_reset(struct tail *tail)
{
    end(tail, hf_cli_fail(tail->cli,
                          "this cursor is not from the journal in %s: another "
                          "directory, or the journal was replaced. What is "
                          "there now: --since start",
                          tail->cli->dir.path));
}

/* --- printing ------------------------------------------------------------ */

static void print_gathered(struct tail *tail)
{
    size_t done = 0;

    while (done < tail->lines.len && !interrupted) {
        ssize_t wrote =
            write(STDOUT_FILENO, tail->lines.at + done, tail->lines.len - done);

        if (wrote < 0 && errno != EINTR) {
            end(tail,
                hf_cli_fail(tail->cli, "cannot write to standard output: %s",
                            strerror(errno)));
            return;
        }
        done += wrote > 0 ? (size_t)wrote : 0;
    }
    hf_buf_reset(&tail->lines);
}

static int gather_row(void *ctx, const struct hf_row *row)
{
    struct tail *tail = ctx;

    return hf_line_encode(&tail->lines, tail->epoch, row);
}

/* One page in one snapshot, so that a gap cannot open between the look and the
 * reading. HF_EGAP, HF_ECONFLICT: not the journal of our cursor. */
static int gather_page(struct tail *tail, bool *out_more)
{
    struct hf_journal *journal = tail->cli->journal;
    uint64_t head;
    uint64_t last;
    uint64_t trimmed;
    int err;

    err = hf_journal_head(journal, &head);
    if (err)
        return err;
    if (hf_journal_epoch(journal) != tail->epoch || head < tail->after)
        return HF_ECONFLICT;
    err = hf_journal_trimmed(journal, tail->topic, &trimmed);
    if (err)
        return err;
    if (trimmed > tail->after)
        return HF_EGAP;
    err = hf_journal_read_topic(journal, tail->topic, tail->after, head,
                                HF_PAGE_ROWS, HF_PAGE_BYTES, gather_row, tail,
                                &last, out_more);
    if (err)
        return err;
    /* Caught up: nothing of ours up to the head, trimmed later or not. */
    tail->after = *out_more ? last : head;
    return 0;
}

static bool print_page(struct tail *tail)
{
    bool more = false;
    int err = hf_journal_snapshot(tail->cli->journal);

    if (!err) {
        err = gather_page(tail, &more);
        hf_journal_snapshot_end(tail->cli->journal);
    }
    if (err == HF_EGAP)
        end_with_gap(tail);
    else if (err == HF_ECONFLICT)
        end_with_reset(tail);
    else if (err)
        end_with_error(tail, err);
    else
        print_gathered(tail);
    return more && !tail->ended && !interrupted;
}

static void print_new(struct tail *tail)
{
    while (print_page(tail))
        continue;
}

/* --- where to begin ------------------------------------------------------ */

static int find_place(struct tail *tail, const char *since)
{
    struct hf_journal *journal = tail->cli->journal;
    struct hf_cursor cursor;

    tail->epoch = hf_journal_epoch(journal);
    if (strcmp(since, "start") == 0)
        return hf_journal_trimmed(journal, tail->topic, &tail->after);
    if (strcmp(since, "now") == 0)
        return hf_journal_head(journal, &tail->after);
    if (hf_cursor_parse(hf_str_of(since), &cursor))
        return HF_EMALFORMED;   /* is_place has looked: not reached */
    tail->epoch = cursor.epoch; /* judged with the first page */
    tail->after = cursor.id;
    return 0;
}

static bool is_place(const char *since)
{
    struct hf_cursor cursor;

    return strcmp(since, "start") == 0 || strcmp(since, "now") == 0 ||
           hf_cursor_parse(hf_str_of(since), &cursor) == 0;
}

/* --- following ----------------------------------------------------------- */

static void on_growth(void *ctx)
{
    print_new(ctx);
}

static int follow_with(struct tail *tail, struct hf_loop *loop)
{
    struct hf_wake *wake;
    int err;

    err = hf_wake_new(loop, &tail->cli->dir, tail->cli->journal, on_growth,
                      tail, &wake);
    if (err)
        return err;
    hf_wake_add(wake, tail->topic);
    print_new(tail); /* what came before we listened */
    while (!err && !tail->ended && !interrupted)
        err = hf_loop_turn(loop, TURN_MAX_MS);
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
    struct tail tail = {.cli = cli, .topic = hf_str_of(topic)};
    int err = find_place(&tail, since);

    hf_buf_init(&tail.lines, GATHER_MAX_BYTES);
    catch_signals();
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
    if (!is_place(since))
        return hf_cli_usage(cli,
                            "'%s' is no cursor; --since takes one as "
                            "`publish` and `tail` print it, or start, or now",
                            since);
    if (argc - optind != 1)
        return hf_cli_usage(cli, "say one TOPIC");
    if (!hf_topic_legal(hf_str_of(argv[optind])))
        return hf_cli_usage(cli,
                            "'%s' is no topic: 1 to %u bytes of UTF-8 "
                            "without control characters",
                            argv[optind], HF_TOPIC_MAX);

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

/*
 * holdfast history - print what a topic has had, for people
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "channel/cursor.h"
#include "cli/lines.h"
#include "cli/pages.h"
#include "cli/terminal.h"

static const char help[] =
    "Usage: holdfast history [--since CURSOR] [--last N] [--json] TOPIC\n"
    "\n"
    "Print the messages of TOPIC that are kept, oldest first: time, event,\n"
    "payload and cursor, cut to the width of the terminal. Where it prints to\n"
    "a pipe or file nothing is cut.\n"
    "\n"
    "  --since CURSOR   only those after this cursor; the word start means\n"
    "                   everything kept, which is the default\n"
    "  -n, --last N     only the newest N of them\n"
    "  --json           one JSON object a line, as `holdfast tail` prints\n"
    "\n"
    "When messages after CURSOR are no longer kept, or it belongs to another\n"
    "journal, or when it is interrupted, it says so and ends with exit code "
    "1.\n";

#define GATHER_MAX_BYTES (64u * 1024u * 1024u) /* as tail */
#define EVENT_COLUMNS    14u
#define PAYLOAD_LEAST    10u /* columns, on however narrow a terminal */

struct history {
    struct hf_pages pages;
    struct hf_buf lines;
    bool json;
    size_t columns;        /* of the terminal; 0 = none, nothing is cut */
    size_t cursor_columns; /* the longest cursor's */
};

/* --- one line for people -------------------------------------------------- */

static void add_time(struct hf_buf *buf, int64_t at_ms)
{
    time_t seconds = (time_t)(at_ms / 1000);
    struct tm local;
    char text[64];

    /* A script may have written any number. */
    if (at_ms < 0 || !localtime_r(&seconds, &local) ||
        strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &local) != 19)
        (void)snprintf(text, sizeof(text), "%-19s", "?");
    hf_buf_addf(buf, "%s", text);
}

static void add_blanks(struct hf_buf *buf, size_t count)
{
    while (count-- > 0)
        hf_buf_add_byte(buf, ' ');
}

/* Text in a column of its own, and two blanks. */
static void add_column(struct history *history, struct hf_str text,
                       size_t columns)
{
    size_t used;

    if (history->columns == 0)
        columns = SIZE_MAX;
    used = hf_terminal_add(&history->lines, text, columns);
    if (history->columns)
        add_blanks(&history->lines, columns - used);
    hf_buf_add_str(&history->lines, HF_STR("  "));
}

static size_t payload_columns(const struct history *history)
{
    size_t others = 19 + 2 + EVENT_COLUMNS + 2 + 2 + history->cursor_columns;

    return history->columns > others + PAYLOAD_LEAST ? history->columns - others
                                                     : PAYLOAD_LEAST;
}

static int add_for_people(struct history *history, const struct hf_row *row)
{
    struct hf_buf *lines = &history->lines;
    char cursor[HF_CURSOR_MAX];
    char binary[48];
    size_t len = hf_cursor_format(
        (struct hf_cursor){history->pages.epoch, row->id}, cursor);
    struct hf_str payload = row->payload;

    if (row->kind == HF_KIND_BINARY) {
        (void)snprintf(binary, sizeof(binary), "(%zu bytes)", row->payload.len);
        payload = hf_str_of(binary);
    }
    add_time(lines, row->at_ms);
    hf_buf_add_str(lines, HF_STR("  "));
    add_column(history, row->event, EVENT_COLUMNS);
    add_column(history, payload, payload_columns(history));
    hf_buf_add(lines, cursor, len);
    hf_buf_add_byte(lines, '\n');
    return hf_buf_error(lines);
}

static void add_heading(struct history *history)
{
    hf_buf_addf(&history->lines, "%-19s  ", "time");
    add_column(history, HF_STR("event"), EVENT_COLUMNS);
    add_column(history, HF_STR("payload"), payload_columns(history));
    hf_buf_add_str(&history->lines, HF_STR("cursor\n"));
}

/* --- all of it ------------------------------------------------------------ */

static int gather_row(void *ctx, const struct hf_row *row)
{
    struct history *history = ctx;

    if (history->json)
        return hf_line_encode(&history->lines, history->pages.epoch, row);
    return add_for_people(history, row);
}

static int print_pages(struct history *history)
{
    bool more = true;
    int err = 0;

    while (more && !err) {
        err = hf_pages_next(&history->pages, gather_row, history, &more);
        if (!err)
            err = hf_pages_print(&history->lines);
        if (!err && more && hf_interrupted())
            err = HF_ECLOSED;
    }
    return err;
}

static int print_history(struct hf_cli *cli, struct history *history,
                         const char *topic, const char *since, uint64_t last)
{
    char cursor[HF_CURSOR_MAX];
    uint64_t head = 0;
    int err;

    hf_catch_signals();
    hf_buf_init(&history->lines, GATHER_MAX_BYTES);
    err = hf_pages_begin(&history->pages, cli, hf_str_of(topic), since, last);
    if (!err)
        err = hf_journal_head(cli->journal, &head);
    history->pages.through = head; /* what comes later is tail's */
    history->columns = hf_terminal_columns();
    history->cursor_columns = hf_cursor_format(
        (struct hf_cursor){history->pages.epoch, head}, cursor);
    if (!err && history->columns && !history->json)
        add_heading(history);
    if (!err)
        err = print_pages(history);
    hf_buf_release(&history->lines);
    return err ? hf_pages_fail(&history->pages, err) : HF_EXIT_OK;
}

/* A number from 1 on; 0 when it is none. */
static uint64_t parse_count(const char *text)
{
    char *end;
    unsigned long long count;

    if (*text < '0' || *text > '9')
        return 0;
    errno = 0;
    count = strtoull(text, &end, 10);
    return errno || *end || count > INT64_MAX ? 0 : count;
}

static int run(struct hf_cli *cli, int argc, char **argv)
{
    static const struct option options[] = {
        {"since", required_argument, NULL, 's'},
        {"last", required_argument, NULL, 'n'},
        {"json", no_argument, NULL, 'j'},
        HF_CLI_OPTIONS,
    };
    struct history history = {.json = false};
    const char *since = "start";
    uint64_t last = 0;
    int exit_code = HF_EXIT_OK;
    int option;

    while ((option = hf_cli_option(cli, argc, argv, ":hn:", options,
                                   &exit_code)) > 0) {
        if (option == 'j')
            history.json = true;
        else if (option == 's')
            since = optarg;
        else if ((last = parse_count(optarg)) == 0)
            return hf_cli_usage(cli, "--last takes a number from 1 on");
    }
    if (option < 0)
        return exit_code;
    if (!hf_pages_is_place(since) || strcmp(since, "now") == 0)
        return hf_cli_usage(cli,
                            "'%s' is no cursor; --since takes one as "
                            "`publish` and `tail` print it, or start",
                            since);
    exit_code = hf_pages_check_topic(cli, argc, argv);
    if (exit_code)
        return exit_code;

    exit_code = hf_cli_open(cli, HF_JOURNAL_READ);
    if (!exit_code)
        exit_code = print_history(cli, &history, argv[optind], since, last);
    hf_cli_close(cli);
    return exit_code;
}

const struct hf_command hf_command_history = {
    "history",
    "print what a topic has had, for people",
    help,
    run,
};

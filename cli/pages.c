#include "cli/pages.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "channel/cursor.h"
#include "channel/limits.h"
#include "channel/topic.h"
#include "cli/terminal.h"

int hf_pages_check_topic(const struct hf_cli *cli, int argc, char **argv)
{
    if (argc - optind != 1)
        return hf_cli_usage(cli, "say one TOPIC");
    if (!hf_topic_legal(hf_str_of(argv[optind])))
        return hf_cli_usage(cli,
                            "'%s' is no topic: 1 to %u bytes of UTF-8 "
                            "without control characters",
                            argv[optind], HF_TOPIC_MAX);
    return HF_EXIT_OK;
}

bool hf_pages_is_place(const char *since)
{
    struct hf_cursor cursor;

    return strcmp(since, "start") == 0 || strcmp(since, "now") == 0 ||
           hf_cursor_parse(hf_str_of(since), &cursor) == 0;
}

static int find_place(struct hf_pages *pages, const char *since)
{
    struct hf_journal *journal = pages->cli->journal;
    struct hf_cursor cursor;

    pages->epoch = hf_journal_epoch(journal);
    if (strcmp(since, "start") == 0)
        return hf_journal_trimmed(journal, pages->topic, &pages->after);
    if (strcmp(since, "now") == 0)
        return hf_journal_head(journal, &pages->after);
    if (hf_cursor_parse(hf_str_of(since), &cursor))
        return HF_EMALFORMED;    /* is_place has looked: not reached */
    pages->epoch = cursor.epoch; /* judged with the first page */
    pages->after = cursor.id;
    return 0;
}

/* A gap, or another journal? Inside a snapshot. */
static int judge(const struct hf_pages *pages, uint64_t *out_head)
{
    struct hf_journal *journal = pages->cli->journal;
    uint64_t trimmed;
    int err;

    err = hf_journal_head(journal, out_head);
    if (err)
        return err;
    if (hf_journal_epoch(journal) != pages->epoch || *out_head < pages->after)
        return HF_ECONFLICT;
    err = hf_journal_trimmed(journal, pages->topic, &trimmed);
    if (err)
        return err;
    return trimmed > pages->after ? HF_EGAP : 0;
}

/* Move to where only the newest `last` follow, unless we are there. What is
 * passed over that way was not asked for, so it is judged before. */
static int skip_to_last(struct hf_pages *pages, uint64_t last)
{
    struct hf_journal *journal = pages->cli->journal;
    uint64_t head, before = 0;
    int err = hf_journal_snapshot(journal);

    if (err)
        return err;
    err = judge(pages, &head);
    if (!err)
        err = hf_journal_before_last(journal, pages->topic, last, &before);
    hf_journal_snapshot_end(journal);
    if (!err && before > pages->after)
        pages->after = before;
    return err;
}

int hf_pages_begin(struct hf_pages *pages, struct hf_cli *cli,
                   struct hf_str topic, const char *since, uint64_t last)
{
    int err;

    *pages =
        (struct hf_pages){.cli = cli, .topic = topic, .through = UINT64_MAX};
    err = find_place(pages, since);
    if (!err && last > 0)
        err = skip_to_last(pages, last);
    return err;
}

static int read_page(struct hf_pages *pages, hf_row_fn each, void *ctx,
                     bool *out_more)
{
    uint64_t head, last, through;
    int err;

    err = judge(pages, &head);
    if (err)
        return err;
    through = pages->through < head ? pages->through : head;
    err = hf_journal_read_topic(pages->cli->journal, pages->topic, pages->after,
                                through, HF_PAGE_ROWS, HF_PAGE_BYTES, each, ctx,
                                &last, out_more);
    if (err)
        return err;
    /* Caught up: nothing of ours up to the head, trimmed later or not. */
    pages->after = *out_more ? last : through;
    return 0;
}

int hf_pages_next(struct hf_pages *pages, hf_row_fn each, void *ctx,
                  bool *out_more)
{
    int err = hf_journal_snapshot(pages->cli->journal);

    *out_more = false;
    if (err)
        return err;
    err = read_page(pages, each, ctx, out_more);
    hf_journal_snapshot_end(pages->cli->journal);
    return err;
}

int hf_pages_print(struct hf_buf *lines)
{
    size_t done = 0;

    while (done < lines->len && !hf_interrupted()) {
        ssize_t wrote =
            write(STDOUT_FILENO, lines->at + done, lines->len - done);

        if (wrote < 0 && errno != EINTR)
            return HF_EIO;
        done += wrote > 0 ? (size_t)wrote : 0;
    }
    if (done < lines->len)
        return HF_ECLOSED;
    hf_buf_reset(lines);
    return 0;
}

int hf_pages_fail(const struct hf_pages *pages, int err)
{
    const struct hf_cli *cli = pages->cli;
    struct hf_why why = {""};

    if (err == HF_EGAP)
        return hf_cli_fail(cli,
                           "messages after this cursor are no longer kept "
                           "(retain in %s/" HF_FILE_SETTINGS
                           "); what is still there: --since start",
                           cli->dir.path);
    if (err == HF_ECONFLICT)
        return hf_cli_fail(cli,
                           "this cursor is not from the journal in %s: another "
                           "directory, or the journal was replaced. What is "
                           "there now: --since start",
                           cli->dir.path);
    if (err == HF_ECLOSED)
        return hf_cli_fail(cli, "stopped before the end");
    if (err == HF_EIO)
        return hf_cli_fail(cli, "cannot write to standard output: %s",
                           strerror(errno));
    hf_cli_explain(cli, err, &why);
    return hf_cli_fail(cli, "%s", why.text);
}

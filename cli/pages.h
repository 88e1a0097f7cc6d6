/*
 * pages.h - a topic's messages after a cursor, a page at a time
 *
 * Each page is read in a snapshot of its own, so that none stays open while
 * whoever reads our output takes its time; head, epoch and what was trimmed are
 * looked at in the same snapshot, so that nothing can be left out in between
 * (D7). The lines of a page are gathered by the caller's callback and printed
 * after it.
 */
#ifndef HF_CLI_PAGES_H
#define HF_CLI_PAGES_H

#include "base/buf.h"
#include "cli/cli.h"

struct hf_pages {
    struct hf_cli *cli;
    struct hf_str topic;
    uint64_t after;   /* everything up to here was read */
    uint64_t epoch;   /* of `after` */
    uint64_t through; /* the last row asked for; UINT64_MAX at first */
};

/* Where --since says: start, now, or a cursor; `last` other than 0: at most the
 * newest `last` messages after that. 0 or an error of journal.h. */
int hf_pages_begin(struct hf_pages *pages, struct hf_cli *cli,
                   struct hf_str topic, const char *since, uint64_t last);

/* Is the only operand, argv[optind], a topic? Else says so; an exit code. */
int hf_pages_check_topic(const struct hf_cli *cli, int argc, char **argv);

/* Is this something for --since? */
bool hf_pages_is_place(const char *since);

/*
 * The next page, and whether there is more at once. HF_EGAP: rows after `after`
 * are no longer kept; HF_ECONFLICT: the journal is not the one of our cursor;
 * else of journal.h, or what `each` returns.
 */
int hf_pages_next(struct hf_pages *pages, hf_row_fn each, void *ctx,
                  bool *out_more);

/*
 * Print what was gathered, and empty it; past stdio, which would write at the
 * exit what an interrupt was to end. HF_ECLOSED: interrupted before the end of
 * it; HF_EIO: it cannot be written, errno says why.
 */
int hf_pages_print(struct hf_buf *lines);

/* Say what such an error of either means; HF_EXIT_FAILED. */
int hf_pages_fail(const struct hf_pages *pages, int err);

#endif

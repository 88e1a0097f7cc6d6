/*
 * lines.h - messages as lines of JSON (NDJSON), as `publish` reads and `tail`
 * writes them
 *
 *     {"topic":"room:1","event":"say","payload":{"text":"hi"},"key":"k1"}
 *
 * Members may stand in any order. "payload" is any JSON value and is kept as
 * it is written; "key" and "publisher" are optional; "cursor" and "at" are
 * what `tail` prints beside them and are passed over, so that the one can be
 * piped into the other. Any other member is refused: a misspelt key would
 * silently lose its meaning.
 */
#ifndef HF_CLI_LINES_H
#define HF_CLI_LINES_H

#include "base/json.h"
#include "channel/limits.h"
#include "cli/cli.h"

#define HF_LINE_KEY_MAX       128u /* bytes, as in the journal's CHECK */
#define HF_LINE_PUBLISHER_MAX 255u

/* Room of a line beside its payload: names, escapes at their longest. */
#define HF_LINE_EXTRA_BYTES 8192u

struct hf_line {
    struct hf_publish publish; /* borrows from the text and from below */
    char topic[HF_TOPIC_MAX];
    char event[HF_EVENT_MAX];
    char key[HF_LINE_KEY_MAX];
    char publisher[HF_LINE_PUBLISHER_MAX];
};

/* 0, or HF_EMALFORMED with *why filled. Do not copy the struct: it points into
 * itself. */
int hf_line_decode(struct hf_str text, struct hf_line *out, struct hf_why *why);

/* Append one row of the journal with this epoch as a line. The payload's line
 * breaks, which JSON has between tokens only, become blanks; binary payloads
 * stand in base64 as "binary". Errors as hf_buf_add. */
int hf_line_encode(struct hf_buf *buf, uint64_t epoch,
                   const struct hf_row *row);

/* What `publish` reads its lines from, and what it says meanwhile. */
struct hf_lines {
    struct hf_str publisher; /* for lines that name none; or empty */
    int fd;
    const char *name; /* of the file, for messages: "standard input" */
    bool batch;       /* no cursor for each, but progress and a summary */
};

/*
 * Publish what is read, a line at a time, in groups: a group is what has
 * arrived, so that nobody's message waits for the next one. Prints one cursor
 * per line once it is committed; a batch only the last one's. Stops at the
 * first line that fails and names it; those before it stay published. An exit
 * code.
 */
int hf_lines_publish(struct hf_cli *cli, const struct hf_lines *lines);

#endif

/*
 * terminal.h - a progress line, text that may be shown, and Ctrl-C
 */
#ifndef HF_CLI_TERMINAL_H
#define HF_CLI_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/*
 * A line that is rewritten in place: shown when standard error is a terminal,
 * at most ten times a second; nothing at all when it is a pipe or a file, for
 * nobody watches those.
 */

struct hf_progress {
    bool shown;         /* standard error is a terminal */
    bool dirty;         /* a line stands there now */
    int64_t started_ms; /* hf_boot_ms */
    int64_t said_ms;    /* of the last line; 0 = none */
};

void hf_progress_start(struct hf_progress *progress);
/* Passed over when it is too soon for another. */
void hf_progress_say(struct hf_progress *progress, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Wipe the line, so that what is said next stands alone. */
void hf_progress_end(struct hf_progress *progress);
/* Since the start; at least 1. */
int64_t hf_progress_ms(const struct hf_progress *progress);

/* Columns of the terminal that standard output is; 0 = it is none. */
size_t hf_terminal_columns(void);

/*
 * Append `text`, UTF-8, cut to so many columns with an ellipsis at the end, or
 * whole for SIZE_MAX. Whatever could move the cursor, hide or reorder text
 * becomes a blank or a question mark: what somebody published must not play
 * tricks on who looks at it. Returns the columns it takes. Errors as hf_buf_add.
 */
size_t hf_terminal_add(struct hf_buf *buf, struct hf_str text, size_t columns);

/*
 * From now on SIGINT, SIGTERM and SIGHUP only set a flag, so that what was
 * begun is ended in order. Without SA_RESTART: a write or read that waits ends
 * too. A second one ends the process at once.
 */
void hf_catch_signals(void);
bool hf_interrupted(void);

#endif

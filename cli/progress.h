/*
 * progress.h - a line on the terminal that is rewritten in place, and Ctrl-C
 *
 * Shown when standard error is a terminal, at most ten times a second; nothing
 * at all when it is a pipe or a file, for nobody watches those.
 */
#ifndef HF_CLI_PROGRESS_H
#define HF_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

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

/*
 * From now on SIGINT, SIGTERM and SIGHUP only set a flag, so that what was
 * begun is ended in order. Without SA_RESTART: a write or read that waits ends
 * too. A second one ends the process at once.
 */
void hf_catch_signals(void);
bool hf_interrupted(void);

#endif

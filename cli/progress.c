#include "cli/progress.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"

#define EVERY_MS 100

static volatile sig_atomic_t interrupted;

static void on_signal(int signal_number)
{
    (void)signal_number;
    interrupted = 1;
}

void hf_catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal,
                               .sa_flags = (int)SA_RESETHAND};

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
}

bool hf_interrupted(void)
{
    return interrupted != 0;
}

void hf_progress_start(struct hf_progress *progress)
{
    *progress = (struct hf_progress){.shown = isatty(STDERR_FILENO) == 1,
                                     .started_ms = hf_boot_ms()};
}

int64_t hf_progress_ms(const struct hf_progress *progress)
{
    int64_t ms = hf_boot_ms() - progress->started_ms;

    return ms > 0 ? ms : 1;
}

void hf_progress_say(struct hf_progress *progress, const char *format, ...)
{
    int64_t now = hf_boot_ms();
    va_list args;

    if (!progress->shown || now - progress->said_ms < EVERY_MS)
        return;
    progress->said_ms = now;
    progress->dirty = true;
    fputc('\r', stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputs("\033[K", stderr); /* what the last line had beyond it */
}

void hf_progress_end(struct hf_progress *progress)
{
    if (progress->dirty)
        fputs("\r\033[K", stderr);
    progress->dirty = false;
}

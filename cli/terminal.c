#include "cli/terminal.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
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

/* --- text for people ------------------------------------------------------ */

size_t hf_terminal_columns(void)
{
    struct winsize size;

    if (!isatty(STDOUT_FILENO))
        return 0;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
        return 80;
    return size.ws_col;
}

struct range {
    uint32_t first, last;
};

static bool within(uint32_t c, const struct range *ranges, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (c >= ranges[i].first && c <= ranges[i].last)
            return true;
    return false;
}

#define WITHIN(c, ranges) within(c, ranges, sizeof(ranges) / sizeof(*(ranges)))

/* Control characters and what turns the direction of text around. */
static bool plays_tricks(uint32_t c)
{
    static const struct range bad[] = {
        {0x00, 0x1f},     {0x7f, 0x9f},       {0x61c, 0x61c},
        {0x200e, 0x200f}, {0x2028, 0x202e},   {0x2066, 0x2069},
        {0xfff9, 0xfffb}, {0xe0000, 0xe007f},
    };

    return WITHIN(c, bad);
}

/* Columns of a character, near enough to cut a line by. */
static size_t columns_of(uint32_t c)
{
    static const struct range none[] = {
        {0x300, 0x36f}, {0x200b, 0x200d}, {0x20d0, 0x20ff}, {0xfe00, 0xfe0f}};
    static const struct range two[] = {
        {0x1100, 0x115f},   {0x2e80, 0xa4cf},   {0xac00, 0xd7a3},
        {0xf900, 0xfaff},   {0xfe30, 0xfe6f},   {0xff00, 0xff60},
        {0xffe0, 0xffe6},   {0x1f300, 0x1f64f}, {0x1f900, 0x1faff},
        {0x20000, 0x3fffd},
    };

    if (WITHIN(c, none))
        return 0;
    return WITHIN(c, two) ? 2 : 1;
}

/* One character of text that is UTF-8; returns its bytes, at most len. */
static size_t decode(const char *at, size_t len, uint32_t *out)
{
    unsigned char first = (unsigned char)*at;
    size_t size = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    uint32_t c = size == 1 ? first : first & (0xffu >> (size + 1));

    if (size > len) /* not UTF-8 after all */
        size = len;
    for (size_t i = 1; i < size; i++)
        c = c << 6 | ((unsigned char)at[i] & 0x3fu);
    *out = c;
    return size;
}

/* How many bytes of it fit into so many columns? */
static size_t fitting(struct hf_str text, size_t columns, size_t *out_used)
{
    size_t at = 0, used = 0;

    while (at < text.len) {
        uint32_t c;
        size_t size = decode(text.at + at, text.len - at, &c);
        size_t width = plays_tricks(c) ? 1 : columns_of(c);

        if (width > columns - used)
            break;
        used += width;
        at += size;
    }
    *out_used = used;
    return at;
}

static void add_safe(struct hf_buf *buf, struct hf_str text)
{
    size_t at = 0;

    while (at < text.len) {
        uint32_t c;
        size_t size = decode(text.at + at, text.len - at, &c);

        if (c == '\n' || c == '\r' || c == '\t')
            hf_buf_add_byte(buf, ' ');
        else if (plays_tricks(c))
            hf_buf_add_byte(buf, '?');
        else
            hf_buf_add(buf, text.at + at, size);
        at += size;
    }
}

size_t hf_terminal_add(struct hf_buf *buf, struct hf_str text, size_t columns)
{
    size_t used;
    size_t fits = fitting(text, columns, &used);

    if (fits == text.len) {
        add_safe(buf, text);
        return used;
    }
    if (columns == 0)
        return 0;
    fits = fitting(text, columns - 1, &used);
    add_safe(buf, hf_str(text.at, fits));
    hf_buf_add_str(buf, HF_STR("\u2026"));
    return used + 1;
}

#include "base/log.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/utf8.h"

#define MAX_VALUE 1000u /* bytes of a value before escaping */

/*
 * POSIX keeps a write to a pipe in one piece up to PIPE_BUF bytes, and under
 * a service manager standard error is a pipe: so no line is longer.
 */
#define MAX_LINE ((size_t)PIPE_BUF)

static const char cut_mark[] = " cut=yes\n"; /* fields were left out */

static struct {
    const char *program;
    enum hf_log_level level;
    bool syslog;
} config = {.program = NULL, .level = HF_LOG_INFO, .syslog = false};

struct line {
    size_t len;
    size_t max;
    bool full;
    char text[MAX_LINE];
};

static const char *level_name(enum hf_log_level level)
{
    switch (level) {
    case HF_LOG_DEBUG:
        return "debug";
    case HF_LOG_INFO:
        return "info";
    case HF_LOG_WARN:
        return "warn";
    case HF_LOG_ERROR:
        return "error";
    }
    return "error";
}

static int level_of_syslog(enum hf_log_level level)
{
    switch (level) {
    case HF_LOG_DEBUG:
        return LOG_DEBUG;
    case HF_LOG_INFO:
        return LOG_INFO;
    case HF_LOG_WARN:
        return LOG_WARNING;
    case HF_LOG_ERROR:
        return LOG_ERR;
    }
    return LOG_ERR;
}

/* --- building a line ----------------------------------------------------- */

static void add(struct line *line, const char *bytes, size_t len)
{
    if (len > line->max - line->len) {
        line->full = true;
        return;
    }
    memcpy(line->text + line->len, bytes, len);
    line->len += len;
}

static void add_text(struct line *line, const char *text)
{
    add(line, text, strlen(text));
}

static void add_number(struct line *line, long long number)
{
    char digits[24];
    int len = snprintf(digits, sizeof(digits), "%lld", number);

    add(line, digits, (size_t)len);
}

static bool is_bare(struct hf_str value)
{
    size_t i;

    for (i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.at[i];

        if (c <= ' ' || c >= 0x7f || c == '"' || c == '=' || c == '\\')
            return false;
    }
    return value.len > 0;
}

/* One byte of a quoted value; `text`: from 0x80 on it is part of a character
 * that may be shown. */
static void add_quoted_byte(struct line *line, unsigned char c, bool text)
{
    char escape[5];

    if (c == '"' || c == '\\') {
        escape[0] = '\\';
        escape[1] = (char)c;
        add(line, escape, 2);
    } else if (c == '\n') {
        add(line, "\\n", 2);
    } else if (c == '\r') {
        add(line, "\\r", 2);
    } else if (c == '\t') {
        add(line, "\\t", 2);
    } else if (c < ' ' || c == 0x7f || (c >= 0x80 && !text)) {
        (void)snprintf(escape, sizeof(escape), "\\x%02x", (unsigned)c);
        add(line, escape, 4);
    } else {
        escape[0] = (char)c;
        add(line, escape, 1);
    }
}

/* U+0080 to U+009F: control characters which terminals obey. */
static bool is_c1(struct hf_str value, size_t i)
{
    return i + 1 < value.len && (unsigned char)value.at[i] == 0xC2 &&
           (unsigned char)value.at[i + 1] < 0xA0;
}

/* The longest part of MAX_VALUE bytes at most, not ending inside a character
 * of UTF-8. */
static struct hf_str cut(struct hf_str value)
{
    size_t len = MAX_VALUE;

    while (len > MAX_VALUE - 4 && ((unsigned char)value.at[len] & 0xC0) == 0x80)
        len--;
    return hf_str(value.at, len);
}

static void add_value(struct line *line, struct hf_str value)
{
    bool is_cut = value.len > MAX_VALUE;
    bool text;
    size_t i;

    if (is_cut)
        value = cut(value);
    else if (is_bare(value)) {
        add(line, value.at, value.len);
        return;
    }
    text = hf_utf8_valid(value);
    add_text(line, "\"");
    for (i = 0; i < value.len; i++) {
        bool c1 = text && is_c1(value, i);

        add_quoted_byte(line, (unsigned char)value.at[i], text && !c1);
        if (c1)
            add_quoted_byte(line, (unsigned char)value.at[++i], false);
    }
    add_text(line, is_cut ? "...\"" : "\"");
}

/* All of it or nothing. */
static void add_field(struct line *line, const struct hf_field *field)
{
    size_t before = line->len;

    add_text(line, " ");
    add_text(line, field->key);
    add_text(line, "=");
    if (field->text.at)
        add_value(line, field->text);
    else
        add_number(line, field->number);
    if (line->full)
        line->len = before;
}

static void add_time(struct line *line)
{
    int64_t ms = hf_wall_ms();
    time_t seconds = (time_t)(ms / 1000);
    struct tm utc;
    char text[64];
    size_t len;

    if (!gmtime_r(&seconds, &utc))
        return;
    add_text(line, "ts=");
    len = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
    add(line, text, len);
    (void)snprintf(text, sizeof(text), ".%03dZ ", (int)(ms % 1000));
    add_text(line, text);
}

static void build(struct line *line, enum hf_log_level level, const char *event,
                  unsigned left_out, const struct hf_field *fields,
                  size_t count)
{
    size_t i;

    line->len = 0;
    line->max = sizeof(line->text) - (sizeof(cut_mark) - 1);
    line->full = false;
    if (!config.syslog)
        add_time(line);
    add_text(line, "level=");
    add_text(line, level_name(level));
    add_text(line, " event=");
    add_text(line, event);
    add_text(line, " pid=");
    add_number(line, getpid());
    if (config.program && !config.syslog) {
        add_text(line, " program=");
        add_text(line, config.program);
    }
    if (left_out > 0) {
        add_text(line, " left_out=");
        add_number(line, left_out);
    }
    for (i = 0; i < count && !line->full; i++)
        add_field(line, &fields[i]);
    line->max = sizeof(line->text);
    add_text(line, line->full ? cut_mark : "\n");
}

/* --- sending it ---------------------------------------------------------- */

/* One write. What is lost when it fails has no better place to go. */
static void write_line(const struct line *line)
{
    ssize_t wrote;

    do {
        wrote = write(STDERR_FILENO, line->text, line->len);
    } while (wrote < 0 && errno == EINTR);
}

void hf_log_open(const char *program, enum hf_log_level level, bool syslog)
{
    config.program = program;
    config.level = level;
    config.syslog = syslog;
    if (syslog)
        openlog(program, LOG_PID, LOG_DAEMON);
}

/*
 * Lines of one event in the current second. Few events come often, so a slot
 * is found by its name and shared when two fall together; per thread, so that
 * nothing is locked.
 */
struct rate {
    char event[32];
    int64_t second;
    int64_t minute;
    unsigned lines;     /* in this second */
    unsigned of_minute; /* and in this minute, those of debug left out */
    unsigned left_out;  /* since the last one that was written */
};

static struct rate *rate_of(const char *event)
{
    static _Thread_local struct rate rates[64];
    size_t hash = 5381, n;

    for (n = 0; event[n] != '\0'; n++)
        hash = hash * 33 + (unsigned char)event[n];
    return &rates[hash % 64];
}

static void begin_anew(struct rate *rate, int64_t second)
{
    if (rate->second != second)
        rate->lines = 0;
    rate->second = second;
    if (rate->minute != second / 60)
        rate->of_minute = 0;
    rate->minute = second / 60;
}

/* May this line be written? *out_left_out: lines of the event that were not,
 * since the last one that was. Who asked for debug wants them. */
static bool within_rate(enum hf_log_level level, const char *event,
                        unsigned *out_left_out)
{
    struct rate *rate = rate_of(event);

    if (strncmp(rate->event, event, sizeof(rate->event) - 1) != 0) {
        *rate = (struct rate){.second = 0};
        (void)snprintf(rate->event, sizeof(rate->event), "%s", event);
    }
    begin_anew(rate, hf_boot_ms() / 1000);
    if (rate->lines >= HF_LOG_PER_SECOND ||
        (level > HF_LOG_DEBUG && rate->of_minute >= HF_LOG_PER_MINUTE)) {
        rate->left_out++;
        return false;
    }
    rate->lines++;
    if (level > HF_LOG_DEBUG)
        rate->of_minute++;
    *out_left_out = rate->left_out;
    rate->left_out = 0;
    return true;
}

void hf_log(enum hf_log_level level, const char *event,
            const struct hf_field *fields, size_t count)
{
    int saved = errno; /* callers log, then look at errno */
    struct line line;
    unsigned left_out;

    if (level < config.level || !within_rate(level, event, &left_out))
        return;
    build(&line, level, event, left_out, fields, count);
    if (config.syslog)
        syslog(level_of_syslog(level), "%.*s", (int)(line.len - 1), line.text);
    else
        write_line(&line);
    errno = saved;
}

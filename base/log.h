/*
 * log.h - one logfmt line per event, to standard error or syslog
 *
 *     HF_LOG(HF_LOG_WARN, "journal_busy", hf_field_i("waited_ms", ms),
 *            hf_field("hint", "another program holds the write lock"));
 *
 * gives
 *
 *     ts=2026-05-01T10:00:00.123Z level=warn event=journal_busy pid=7 ...
 *
 * Of one event at most HF_LOG_PER_SECOND lines a second and thread are written,
 * and, but for those of debug, HF_LOG_PER_MINUTE a minute, so that a flood from
 * outside cannot fill a disk; the next line says how many were not: left_out=N.
 * Values are quoted where needed and control bytes escaped; a value is cut at
 * 1,000 bytes. A line leaves in one write, so lines of several processes do
 * not mix. Tokens and payloads never belong in a field.
 */
#ifndef HF_BASE_LOG_H
#define HF_BASE_LOG_H

#include <stdint.h>

#include "base/str.h"

#define HF_LOG_PER_SECOND 20u
#define HF_LOG_PER_MINUTE 100u

enum hf_log_level { HF_LOG_DEBUG, HF_LOG_INFO, HF_LOG_WARN, HF_LOG_ERROR };

struct hf_field {
    const char *key;
    struct hf_str text; /* at == NULL: the number counts */
    long long number;
};

static inline struct hf_field hf_field(const char *key, const char *text)
{
    return (struct hf_field){key, hf_str_of(text ? text : "-"), 0};
}

static inline struct hf_field hf_field_s(const char *key, struct hf_str text)
{
    return (struct hf_field){key, text.at ? text : HF_STR(""), 0};
}

static inline struct hf_field hf_field_i(const char *key, long long number)
{
    return (struct hf_field){key, {NULL, 0}, number};
}

/* Who speaks ("gateway", "sidecar") and from which level on. `syslog` true
 * sends lines there instead of standard error. Before: info, stderr. */
void hf_log_open(const char *program, enum hf_log_level level, bool syslog);

void hf_log(enum hf_log_level level, const char *event,
            const struct hf_field *fields, size_t count);

#define HF_LOG(level, event, ...)                                              \
    hf_log((level), (event), (const struct hf_field[]){__VA_ARGS__},           \
           sizeof((const struct hf_field[]){__VA_ARGS__}) /                    \
               sizeof(struct hf_field))

#endif

/*
 * report.h - what a doctor has found: findings, and settings it would change
 *
 * Bounded: beyond HF_REPORT_ITEMS the last one says that there is more. As text
 * it is for people, one finding a line, and below each that is more than "ok"
 * why it matters and what to do; as JSON it is for the page and for scripts:
 *
 *     {"holdfast": "0.1.0", "verdict": "warning",
 *      "findings": [{"level": "warning", "id": "front-end-timeout",
 *                    "subject": "front", "text": "...", "why": "...",
 *                    "do": "...", "link": "docs/TROUBLES.md#front-end-timeout"}],
 *      "changes": [{"section": "gateway", "name": "hold", "now": "25s",
 *                   "to": "8s", "for": "front-end-timeout"}]}
 *
 * `level` is ok, note, warning or problem; id, why, do and link are not there
 * for ok. Names are kept from version to version, and new ones may come.
 */
#ifndef HF_CHANNEL_REPORT_H
#define HF_CHANNEL_REPORT_H

#include "base/buf.h"
#include "channel/findings.h"
#include "schema/settings_change.h"

#define HF_REPORT_ITEMS 120u
#define HF_REPORT_TEXT  1000u               /* bytes of one text, cut beyond */
#define HF_REPORT_MAX   ((size_t)256 << 10) /* bytes of the JSON */

struct hf_report_item {
    const struct hf_finding_kind *kind; /* NULL: all is well */
    enum hf_finding_level level;
    char subject[24];
    char *text;
};

struct hf_report {
    struct hf_report_item items[HF_REPORT_ITEMS];
    size_t count;
    enum hf_finding_level worst;
    struct hf_settings_change changes[HF_SETTINGS_CHANGES];
    size_t changes_count;
};

/* Zeroed is empty. */
void hf_report_release(struct hf_report *report);

/* What schema/inspect.h or check_config.h found. */
void hf_report_add(struct hf_report *report, enum hf_finding_level level,
                   const char *subject, const char *text);
/* All is well with `subject`. */
void hf_report_fact(struct hf_report *report, const char *subject,
                    const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* A trouble of the table, by its id; the level is the table's. `format`: what
 * was seen, put behind what the table says. */
void hf_report_trouble(struct hf_report *report, const char *subject,
                       const char *id, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
bool hf_report_has(const struct hf_report *report, const char *id);

/* holdfast.conf had better say `name = value`, because of that finding. Of two
 * for one setting the smaller value counts when both are numbers. No change,
 * no entry: `settings` are those in force. */
void hf_report_change(struct hf_report *report,
                      const struct hf_settings *settings, const char *section,
                      const char *name, long long value, const char *unit,
                      const char *id);

void hf_report_print(const struct hf_report *report);
/* Add what the JSON of another report says; unknown ids and changes of unknown
 * settings are left out. 0, HF_EMALFORMED. */
int hf_report_read(struct hf_report *report, struct hf_str json);
/* 0, HF_ENOMEM, HF_ELIMIT. `out` has a maximum of HF_REPORT_MAX at least. */
int hf_report_json(const struct hf_report *report, struct hf_buf *out);

#endif

/*
 * setting.h - one setting of holdfast.conf: its text and its value
 *
 * For settings.c, which has the table of them. What is wrong with a value is
 * told with the range, in the unit it is written in, and with an example.
 */
#ifndef HF_SCHEMA_SETTING_H
#define HF_SCHEMA_SETTING_H

#include "schema/settings.h"

enum hf_setting_type {
    HF_SETTING_SIZE,     /* size_t: a number, or bytes */
    HF_SETTING_SIZE64,   /* int64_t: the same */
    HF_SETTING_DURATION, /* int64_t: milliseconds */
    HF_SETTING_TEXT,     /* char[HF_SETTINGS_TEXT] */
    HF_SETTING_SECRET,   /* the same, but never shown */
    HF_SETTING_LIST,     /* char[HF_SETTINGS_LIST][HF_SETTINGS_TEXT], a count */
    HF_SETTING_WORD,     /* an enum, or an int: one of `words` */
    HF_SETTING_FLAG,     /* bool */
};

struct hf_setting {
    const char *section;
    const char *name;
    enum hf_setting_type type;
    size_t at;                /* offset in struct hf_settings */
    size_t count_at;          /* of the count of a LIST */
    long long min, max;       /* of a number; min 1 of a TEXT: not empty */
    const char *const *words; /* of a WORD: NULL at the end */
};

/* The text of any value, terminator included. */
#define HF_SETTING_VALUE (HF_SETTINGS_LIST * (HF_SETTINGS_TEXT + 1))

/* A list: empty it, for the file to say what is in it. Else: nothing. */
void hf_setting_clear(const struct hf_setting *setting,
                      struct hf_settings *settings);

/* Set it to what `value` says, or add that to a list. 0; HF_EINVAL with *why:
 * `defaults` serve as examples. */
int hf_setting_read(const struct hf_setting *setting,
                    struct hf_settings *settings, const char *value,
                    const struct hf_settings *defaults, struct hf_why *why);

/* Its value as it would be written, in the greatest unit that fits; "" for what
 * is empty. */
void hf_setting_print(const struct hf_setting *setting,
                      const struct hf_settings *settings,
                      char out[HF_SETTING_VALUE]);

#endif

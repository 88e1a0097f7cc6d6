/*
 * settings_change.h - change lines of holdfast.conf, and keep all others
 *
 * A file that people edit is edited as they would: a line in force is replaced,
 * else one that shows the default is followed by the new one, else the line
 * goes to the end of its section, which is made if need be. The result is read
 * as any program would read it before it is put in place, and the file as it
 * was is kept beside it. Where holdfast.conf is a link, the file it leads to is
 * changed.
 */
#ifndef HF_SCHEMA_SETTINGS_CHANGE_H
#define HF_SCHEMA_SETTINGS_CHANGE_H

#include "base/buf.h"
#include "schema/settings.h"

#define HF_SETTINGS_CHANGES  8u
#define HF_SETTINGS_FILE_MAX 65536u /* bytes, as base/conf.c reads them */

/* The file as it was before hf_settings_change. */
#define HF_FILE_SETTINGS_BEFORE "holdfast.conf.before"

struct hf_settings_change {
    const char *section;
    const char *name;
    char value[32];
    char now[32];        /* what is in force, for people */
    const char *because; /* id of a finding; not used here */
};

/* The text with the changes, appended to `out`. 0, HF_ENOMEM, HF_ELIMIT. */
int hf_settings_change_text(struct hf_str text,
                            const struct hf_settings_change *changes,
                            size_t count, struct hf_buf *out);

/* Change the file of the directory. 0; HF_EINVAL: what would come out is no
 * configuration, *why says why, and nothing was changed; HF_EIO. */
int hf_settings_change(const struct hf_dir *dir,
                       const struct hf_settings_change *changes, size_t count,
                       struct hf_why *why);

#endif

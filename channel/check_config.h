/*
 * check_config.h - would it work, and if not, what is to be done?
 *
 * --check-config of gateway and side-car: finds the directory as the program
 * itself would, looks it over (schema/inspect.h), and goes on to what only the
 * programs know: the account, the settings in force, the application, the
 * socket. Each finding is one line on standard output, in plain words; nothing
 * is changed, and others may serve from the directory meanwhile.
 */
#ifndef HF_CHANNEL_CHECK_CONFIG_H
#define HF_CHANNEL_CHECK_CONFIG_H

#include "schema/dir.h"
#include "schema/inspect.h"
#include "schema/place.h"
#include "schema/settings.h"

struct hf_config_check {
    struct hf_place_hints hints;
    /* What the program adds, once directory and settings are known; NULL:
     * nothing. Both are borrowed. */
    void (*more)(struct hf_config_check *check, const struct hf_dir *dir,
                 const struct hf_settings *settings);
    /* Takes the findings instead of standard output (doctor.h); NULL: it is
     * printed what was found, and at the end what follows from it. */
    void (*found)(struct hf_config_check *check, enum hf_finding_level level,
                  const char *subject, const char *text);
    /* private */
    unsigned warnings, problems;
};

/* With one thread, and no database open. Returns the exit code: 0, or 1 if
 * there is a problem. */
int hf_config_check_run(struct hf_config_check *check);

/* For `more`: print a finding, about `subject` in one word. */
void hf_config_found(struct hf_config_check *check, enum hf_finding_level level,
                     const char *subject, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* For `more`: could `who` listen on the Unix socket `path`, or does it? */
void hf_config_check_socket(struct hf_config_check *check, const char *who,
                            const char *path);

#endif

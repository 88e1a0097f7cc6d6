#include "channel/check_config.h"

#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/unix_listener.h"
#include "channel/hooks.h"
#include "schema/policies.h"

/* --- words --------------------------------------------------------------- */

static void print(struct hf_config_check *check, enum hf_finding_level level,
                  const char *subject, const char *text)
{
    static const char *const levels[] = {"ok", "warning", "problem"};

    check->warnings += level == HF_FINDING_WARNING;
    check->problems += level == HF_FINDING_PROBLEM;
    if (check->found) {
        check->found(check, level, subject, text);
        return;
    }
    printf("%-8s %-11s %s\n", levels[level], subject, text);
    (void)fflush(stdout); /* in order with what goes to standard error */
}

void hf_config_found(struct hf_config_check *check, enum hf_finding_level level,
                     const char *subject, const char *format, ...)
{
    char text[2 * PATH_MAX];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    print(check, level, subject, text);
}

static void pass_on(void *ctx, const struct hf_finding *finding)
{
    print(ctx, finding->level, finding->subject, finding->text);
}

/* --- the account --------------------------------------------------------- */

static void check_account(struct hf_config_check *check)
{
    const struct passwd *account = getpwuid(geteuid());

    if (geteuid() == 0)
        hf_config_found(check, HF_FINDING_WARNING, "account",
                        "root, who may do everything: run this as the account "
                        "that serves (sudo -u NAME), or it misses what that "
                        "may not");
    else
        hf_config_found(check, HF_FINDING_OK, "account",
                        "%s, uid %lu: the web server must start the program "
                        "as this account, too",
                        account ? account->pw_name : "without a name",
                        (unsigned long)geteuid());
}

/* --- the settings -------------------------------------------------------- */

struct listing {
    struct hf_config_check *check;
    unsigned changed;
};

static void list_changed(void *ctx, const char *section, const char *name,
                         const char *value, const char *standard)
{
    struct listing *listing = ctx;

    if (strcmp(value, standard) == 0)
        return;
    listing->changed++;
    hf_config_found(listing->check, HF_FINDING_OK, "settings",
                    "[%s] %s = %s (default: %s)", section, name, value,
                    *standard ? standard : "none");
}

static void check_settings(struct hf_config_check *check,
                           const struct hf_settings *settings)
{
    struct listing listing = {.check = check};

    hf_settings_each(settings, list_changed, &listing);
    if (listing.changed == 0)
        hf_config_found(check, HF_FINDING_OK, "settings",
                        "all have their defaults");
}

/* --- who may do what ----------------------------------------------------- */

static int count(void *ctx, const struct hf_policy *policy)
{
    unsigned *policies = ctx;

    (void)policy;
    ++*policies;
    return 0;
}

/* That it cannot be opened was said by the inspection. */
static void check_policies(struct hf_config_check *check,
                           const struct hf_dir *dir,
                           const struct hf_settings *settings)
{
    struct hf_journal *journal;
    unsigned policies = 0;

    if (hf_journal_open(dir, settings, HF_JOURNAL_READ, &journal, NULL))
        return;
    if (hf_policies_each(journal, count, &policies) == 0 && policies > 0)
        hf_config_found(check, HF_FINDING_OK, "policies",
                        "%u say what visitors without a token may do",
                        policies);
    else
        hf_config_found(check, HF_FINDING_WARNING, "policies",
                        "none: visitors without a token may do nothing. To "
                        "open rooms to everybody: holdfast --dir %s allow "
                        "'room:*' join,publish",
                        dir->path);
    hf_journal_close(journal);
}

/* --- the application ----------------------------------------------------- */

static void check_hooks(struct hf_config_check *check, const struct hf_dir *dir,
                        const struct hf_settings *settings)
{
    struct hf_hooks *hooks = NULL;
    struct hf_loop *loop = NULL;
    struct hf_why why = {""};
    int err;

    if (!settings->hook_url[0]) {
        hf_config_found(check, HF_FINDING_OK, "hooks",
                        "none: pushes are broadcast, nobody is asked");
        return;
    }
    err = hf_loop_new(&loop);
    if (!err)
        err = hf_hooks_open(loop, dir, settings, &hooks, &why);
    if (!err)
        err = hf_hooks_prepare(hooks, &why);
    if (err)
        hf_config_found(check, HF_FINDING_PROBLEM, "hooks", "%s",
                        why.text[0] ? why.text : hf_strerror(err));
    else
        hf_config_found(check, HF_FINDING_OK, "hooks",
                        "%s is asked (it was not tried)", settings->hook_url);
    hf_hooks_close(hooks);
    hf_loop_free(loop);
}

/* --- a socket ------------------------------------------------------------ */

void hf_config_check_socket(struct hf_config_check *check, const char *who,
                            const char *path)
{
    struct hf_why why = {""};
    int err = hf_unix_listener_look(path, &why);

    if (err == HF_EBUSY)
        hf_config_found(check, HF_FINDING_OK, "socket",
                        "a %s listens on %s now", who, path);
    else if (err)
        print(check, HF_FINDING_PROBLEM, "socket", why.text);
    else
        hf_config_found(check, HF_FINDING_OK, "socket", "%s can be made", path);
}

/* ------------------------------------------------------------------------- */

static void check_directory(struct hf_config_check *check, const char *path)
{
    struct hf_inspection inspection = {.found = pass_on, .ctx = check};
    struct hf_settings settings;
    struct hf_dir dir;

    (void)hf_inspect(path, &inspection);
    if (hf_dir_open(&dir, path, NULL))
        return; /* it has been said */
    if (hf_settings_read(&dir, &settings, NULL) == 0) {
        check_settings(check, &settings);
        check_policies(check, &dir, &settings);
        check_hooks(check, &dir, &settings);
        if (check->more)
            check->more(check, &dir, &settings);
    }
    hf_dir_close(&dir);
}

int hf_config_check_run(struct hf_config_check *check)
{
    struct hf_place place;
    struct hf_why why = {""};

    check_account(check);
    if (hf_place_find(&check->hints, &place, &why)) {
        print(check, HF_FINDING_PROBLEM, "place", why.text);
    } else {
        hf_config_found(check, HF_FINDING_OK, "place", "%s, said by %s",
                        place.dir, place.said_by);
        check_directory(check, place.dir);
    }
    if (check->found)
        return check->problems > 0;
    if (check->problems > 0)
        printf("\nIt cannot serve like this: %u problem%s.\n", check->problems,
               check->problems == 1 ? "" : "s");
    else if (check->warnings > 0)
        printf("\nIt can serve; %u warning%s.\n", check->warnings,
               check->warnings == 1 ? "" : "s");
    else
        printf("\nIt can serve.\n");
    return check->problems > 0 || fflush(stdout) != 0;
}

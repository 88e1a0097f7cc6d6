#include "schema/place.h"

#include <errno.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/conf.h"
#include "base/nearest.h"
#include "base/str.h"
#include "schema/dir.h"

static bool said(const char *text)
{
    return text && *text;
}

/* "BEGIN/END" into out; 0 or HF_ELIMIT. */
static int join(char *out, size_t cap, struct hf_str begin, const char *end)
{
    int len = snprintf(out, cap, "%.*s/%s", HF_STR_ARG(begin), end);

    return len < 0 || (size_t)len >= cap ? HF_ELIMIT : 0;
}

/* --- the home ------------------------------------------------------------ */

static const char *home(void)
{
    const char *ours = getenv("HOME");
    const struct passwd *account;
    struct stat st;

    if (said(ours) && ours[0] == '/' && stat(ours, &st) == 0 &&
        st.st_uid == geteuid())
        return ours;
    account = getpwuid(geteuid());
    return account && said(account->pw_dir) ? account->pw_dir : NULL;
}

int hf_place_home(char *out, size_t cap, struct hf_why *why)
{
    return hf_place_expand("~/" HF_PLACE_HOME, out, cap, why);
}

int hf_place_expand(const char *path, char *out, size_t cap, struct hf_why *why)
{
    struct hf_str begin;
    const char *root;

    if (path[0] != '~' || (path[1] != '/' && path[1] != '\0')) {
        if (path[0] == '~')
            return hf_explain(why, HF_EINVAL,
                              "%s: only ~/ is understood, the home of the "
                              "account itself; write the whole path",
                              path);
        if (strlen(path) >= cap)
            return hf_explain(why, HF_ELIMIT, "the path is too long: %s", path);
        memcpy(out, path, strlen(path) + 1);
        return 0;
    }
    root = home();
    if (!root)
        return hf_explain(why, HF_ENOTFOUND,
                          "%s: the account (uid %lu) has no home", path,
                          (unsigned long)geteuid());
    begin = hf_str_of(root);
    while (begin.len > 0 && begin.at[begin.len - 1] == '/')
        begin.len--;
    if (join(out, cap, begin, path[1] ? path + 2 : ""))
        return hf_explain(why, HF_ELIMIT, "the path is too long: %s", path);
    return 0;
}

/* --- the file ------------------------------------------------------------ */

struct reading {
    char dir[PATH_MAX]; /* "" = not said yet */
};

static int take(void *ctx, const char *section, const char *name,
                const char *value, struct hf_why *why)
{
    struct reading *reading = ctx;
    struct hf_nearest nearest = {.word = name};

    hf_nearest_offer(&nearest, "dir");
    if (*section)
        return hf_explain(why, HF_EINVAL,
                          "this file has no sections, only a line "
                          "dir = PATH; settings stand in " HF_FILE_SETTINGS
                          " of that directory");
    if (strcmp(name, "dir") != 0)
        return hf_explain(why, HF_EINVAL,
                          "unknown name '%s'%s; this file has only a line "
                          "dir = PATH, settings stand in " HF_FILE_SETTINGS
                          " of that directory",
                          name, nearest.found ? ": did you mean 'dir'?" : "");
    if (reading->dir[0])
        return hf_explain(why, HF_EINVAL, "dir: said twice");
    if (!*value)
        return hf_explain(why, HF_EINVAL,
                          "dir: a path is needed, like "
                          "dir = /home/me/holdfast");
    if (strlen(value) >= sizeof(reading->dir))
        return hf_explain(why, HF_EINVAL, "dir: the path is too long");
    memcpy(reading->dir, value, strlen(value) + 1);
    return 0;
}

/* Ours, the system's, or of whom the folder is, who could put another program
 * there as well. In /tmp it could be anybody's. */
static bool owner_counts(const struct stat *file, struct hf_str folder)
{
    char path[PATH_MAX];
    struct stat st;

    if (file->st_uid == geteuid() || file->st_uid == 0)
        return true;
    return !join(path, sizeof(path), folder, ".") && stat(path, &st) == 0 &&
           st.st_uid == file->st_uid;
}

/* Who may write it decides whose journal is served. */
static int check_file(const char *path, struct hf_str folder,
                      struct hf_why *why)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return errno == ENOENT || errno == ENOTDIR
                   ? HF_ENOTFOUND
                   : hf_explain(why, errno == EACCES ? HF_EDENIED : HF_EIO,
                                "%s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return hf_explain(why, HF_EINVAL, "%s: not a file", path);
    if (st.st_mode & S_IWOTH)
        return hf_explain(why, HF_EDENIED,
                          "%s: everybody on this machine may write it (mode "
                          "%03o), and so choose the journal: chmod o-w %s",
                          path, (unsigned)(st.st_mode & 0777), path);
    if (!owner_counts(&st, folder))
        return hf_explain(why, HF_EDENIED,
                          "%s: belongs to uid %lu, who is neither this account "
                          "nor the owner of the folder: make it anew",
                          path, (unsigned long)st.st_uid);
    return 0;
}

/* 0; HF_ENOTFOUND without *why: there is no such file in `folder`. */
static int read_file(struct hf_str folder, struct hf_place *out,
                     struct hf_why *why)
{
    struct reading reading = {.dir = ""};
    char path[PATH_MAX], dir[PATH_MAX];
    int err;

    if (join(path, sizeof(path), folder, HF_PLACE_FILE))
        return HF_ENOTFOUND;
    err = check_file(path, folder, why);
    if (err)
        return err;
    err = hf_conf_read(path, take, &reading, why);
    if (err)
        return err == HF_ENOTFOUND ? HF_EIO : err;
    if (!reading.dir[0])
        return hf_explain(why, HF_EINVAL,
                          "%s: a line dir = PATH is missing, like "
                          "dir = ~/" HF_PLACE_HOME,
                          path);
    err = hf_place_expand(reading.dir, dir, sizeof(dir), why);
    if (err)
        return err;
    (void)snprintf(out->said_by, sizeof(out->said_by), "%s", path);
    if (dir[0] == '/')
        memcpy(out->dir, dir, sizeof(dir));
    else if (join(out->dir, sizeof(out->dir), folder, dir))
        return hf_explain(why, HF_EINVAL, "the path is too long: %s", path);
    return 0;
}

/* --- the search ---------------------------------------------------------- */

struct search {
    const struct hf_place_hints *hints;
    struct hf_place *out;
    struct hf_why *why;
    struct hf_why tried; /* what was, so far */
};

static void __attribute__((format(printf, 2, 3)))
tried(struct search *search, const char *format, ...)
{
    char *text = search->tried.text;
    size_t len = strlen(text);
    va_list args;

    if (len > 0 && len + 2 < sizeof(search->tried.text)) {
        memcpy(text + len, ", ", 3);
        len += 2;
    }
    va_start(args, format);
    (void)vsnprintf(text + len, sizeof(search->tried.text) - len, format, args);
    va_end(args);
}

static int take_words(struct search *search, const char *path,
                      const char *said_by)
{
    struct hf_place *out = search->out;
    struct hf_why wrong = {""};
    int err;

    (void)snprintf(out->said_by, sizeof(out->said_by), "%s", said_by);
    err = hf_place_expand(path, out->dir, sizeof(out->dir), &wrong);
    return err ? hf_explain(search->why, err, "%s: %s", said_by, wrong.text)
               : 0;
}

/* Without its last slash and what is behind that. */
static struct hf_str folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (!slash)
        return HF_STR(".");
    return slash == path ? HF_STR("/.") /* join puts the slash */
                         : hf_str(path, (size_t)(slash - path));
}

static bool is_program(const char *path)
{
    struct stat st;

    return said(path) && path[0] == '/' && stat(path, &st) == 0 &&
           S_ISREG(st.st_mode) && (st.st_mode & S_IXUSR);
}

/* HF_ENOTFOUND: none there, go on. */
static int look_beside(struct search *search, const char *path)
{
    struct hf_str folder = folder_of(path);
    int err = read_file(folder, search->out, search->why);

    if (err == HF_ENOTFOUND)
        tried(search, "%.*s/" HF_PLACE_FILE " (not there)", HF_STR_ARG(folder));
    return err;
}

static int look_beside_us(struct search *search)
{
    const struct hf_place_hints *hints = search->hints;
    int err = HF_ENOTFOUND;

    if (is_program(hints->script))
        err = look_beside(search, hints->script);
    if (err != HF_ENOTFOUND || !said(hints->program))
        return err;
    if (is_program(hints->script) &&
        hf_str_eq(folder_of(hints->script), folder_of(hints->program)))
        return err;
    return look_beside(search, hints->program);
}

/* Even without its journal it is a journal directory: see restore and rescue. */
static bool holds(const char *dir, const char *name)
{
    char path[PATH_MAX];

    return !join(path, sizeof(path), hf_str_of(dir), name) &&
           access(path, F_OK) == 0;
}

static int look_here(struct search *search)
{
    struct hf_place *out = search->out;

    if (!holds(".", HF_FILE_JOURNAL) && !holds(".", HF_FILE_SETTINGS)) {
        tried(search, "the current directory (no journal in it)");
        return HF_ENOTFOUND;
    }
    memcpy(out->dir, ".", 2);
    (void)snprintf(out->said_by, sizeof(out->said_by), "the current directory");
    return 0;
}

/* The directory at out->dir, if it holds a journal. */
static int look_in(struct search *search, const char *said_by)
{
    struct hf_place *out = search->out;

    if (!holds(out->dir, HF_FILE_JOURNAL) &&
        !holds(out->dir, HF_FILE_SETTINGS)) {
        tried(search, "%s (%s)", out->dir,
              access(out->dir, X_OK) == 0 ? "no journal in it"
              : errno == ENOENT           ? "not there"
                                          : strerror(errno));
        return HF_ENOTFOUND;
    }
    (void)snprintf(out->said_by, sizeof(out->said_by), "%s", said_by);
    return 0;
}

static int look_at_home(struct search *search)
{
    struct hf_place *out = search->out;
    struct hf_why wrong = {""};

    if (hf_place_home(out->dir, sizeof(out->dir), &wrong)) {
        tried(search, "%s", wrong.text);
        return HF_ENOTFOUND;
    }
    return look_in(search, "the account's home");
}

static int look_at_system(struct search *search)
{
#ifdef HF_PLACE_SYSTEM
    (void)snprintf(search->out->dir, sizeof(search->out->dir), "%s",
                   HF_PLACE_SYSTEM);
    return look_in(search, "the system");
#else
    (void)search;
    return HF_ENOTFOUND;
#endif
}

static int give_up(struct search *search)
{
    bool beside = said(search->hints->program);

    return hf_explain(
        search->why, HF_ENOTFOUND,
        "no journal directory: `holdfast init` makes one in "
        "~/" HF_PLACE_HOME ", where all programs find it; any "
        "other is named by --dir%s by " HF_PLACE_VARIABLE "%s. Tried: %s",
        beside ? "," : " or",
        beside ? ", or in a file " HF_PLACE_FILE " beside the program" : "",
        search->tried.text);
}

int hf_place_find(const struct hf_place_hints *hints, struct hf_place *out,
                  struct hf_why *why)
{
    struct search search = {.hints = hints, .out = out, .why = why};
    int err;

    if (said(hints->option))
        return take_words(&search, hints->option, "--dir");
    tried(&search, "--dir (not given)");
    if (said(hints->variable))
        return take_words(&search, hints->variable, HF_PLACE_VARIABLE);
    tried(&search, HF_PLACE_VARIABLE " (not set)");
    err = look_beside_us(&search);
    if (err == HF_ENOTFOUND && hints->here)
        err = look_here(&search);
    if (err == HF_ENOTFOUND)
        err = look_at_home(&search);
    if (err == HF_ENOTFOUND)
        err = look_at_system(&search);
    return err == HF_ENOTFOUND ? give_up(&search) : err;
}

int hf_place_folder(const struct hf_place_hints *hints, char out[PATH_MAX])
{
    const char *path = is_program(hints->script) ? hints->script
                                                 : hints->program;
    char folder[PATH_MAX];

    if (!said(path))
        return HF_ENOTFOUND;
    if (join(folder, sizeof(folder), folder_of(path), "."))
        return HF_ELIMIT;
    return realpath(folder, out) ? 0 : HF_ENOTFOUND;
}

const char *hf_place_program(void)
{
    return (const char *)getauxval(AT_EXECFN); /* NULL: not told */
}

#include "schema/inspect.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/jwk.h"
#include "base/sys.h"
#include "schema/alone.h"
#include "schema/failed.h"
#include "schema/files.h"
#include "schema/inspect_impl.h"
#include "schema/move.h"
#include "schema/space.h"

#define FREE_WARNING  (INT64_C(128) << 20)
#define CLOCK_SANE_MS (INT64_C(1704067200) * 1000) /* 2024-01-01 */

void hf_found(struct hf_look *look, enum hf_finding_level level,
              const char *subject, const char *format, ...)
{
    struct hf_finding finding = {.level = level, .subject = subject};
    char text[1024];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    finding.text = text;
    if (level > look->worst)
        look->worst = level;
    look->wish->found(look->wish->ctx, &finding);
}

/* --- the directory ------------------------------------------------------- */

static bool open_directory(struct hf_look *look, const char *path)
{
    struct hf_dir *dir = &look->dir;

    dir->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir->fd >= 0 && realpath(path, dir->path) &&
        fstat(dir->fd, &look->st) == 0)
        return true;
    hf_found(look, HF_FINDING_PROBLEM, "directory",
             "%s: %s; name the journal directory with --dir, or make one with: "
             "holdfast init DIR",
             path, strerror(errno));
    return false;
}

static void inspect_directory(struct hf_look *look)
{
    mode_t mode = look->st.st_mode & 07777;
    const char *path = look->dir.path;

    look->dir.file_mode = (mode & S_IWGRP) ? 0660 : 0600;
    if (mode & S_IRWXO)
        hf_found(look, HF_FINDING_PROBLEM, "directory",
                 "%s has mode %04o: everybody may enter, so nothing of ours "
                 "starts there; chmod %s %s",
                 path, (unsigned)mode, mode & S_IWGRP ? "2770" : "700", path);
    else if ((mode & S_IWGRP) && !(mode & S_ISGID))
        hf_found(look, HF_FINDING_PROBLEM, "directory",
                 "%s has mode %04o without set-group-id: files get the group "
                 "of who makes them, and then others cannot open the journal; "
                 "chmod 2770 %s",
                 path, (unsigned)mode, path);
    else if (!(mode & S_IWGRP) && (mode & S_IRWXG))
        hf_found(look, HF_FINDING_WARNING, "directory",
                 "%s has mode %04o: the group may look but not work; chmod 700 "
                 "%s, or 2770 to share it",
                 path, (unsigned)mode, path);
    else
        hf_found(look, HF_FINDING_OK, "directory", "%s, mode %04o", path,
                 (unsigned)mode);
    if (access(path, R_OK | W_OK | X_OK) < 0)
        hf_found(look, HF_FINDING_PROBLEM, "directory",
                 "%s is not ours to write: %s; run this as its owner (uid %ld)",
                 path, strerror(errno), (long)look->st.st_uid);
}

static void inspect_file_system(struct hf_look *look)
{
    const char *name;

    if (hf_dir_network_fs(look->dir.fd, &name))
        hf_found(look, HF_FINDING_WARNING, "filesystem", "%s: %s",
                 look->dir.path, strerror(errno));
    else if (name)
        hf_found(look, HF_FINDING_PROBLEM, "filesystem",
                 "%s: SQLite's locks do not hold between hosts there, and "
                 "messages get lost; move the directory to a local disk. If "
                 "every program that uses it runs on this host, set "
                 "HOLDFAST_ALLOW_NETWORK_FS=all-processes-on-this-host",
                 name);
    else
        hf_found(look, HF_FINDING_OK, "filesystem", "local");
}

static void inspect_room(struct hf_look *look, const struct hf_space *space)
{
    int64_t free_bytes = space->room;

    if (free_bytes < 0)
        hf_found(look, HF_FINDING_OK, "space", "the file system does not say");
    else if (hf_space_judge(space) == HF_SPACE_FULL)
        hf_found(look, HF_FINDING_PROBLEM, "space",
                 "%" PRId64 " KiB free: publishing is refused (journal_full); "
                 "make room on the disk, or keep less (retain in %s) and run: "
                 "holdfast prune",
                 free_bytes >> 10, HF_FILE_SETTINGS);
    else if (free_bytes < FREE_WARNING)
        hf_found(look, HF_FINDING_WARNING, "space",
                 "%" PRId64 " MiB free; make room before it is full: then "
                 "publishing is refused",
                 free_bytes >> 20);
    else
        hf_found(look, HF_FINDING_OK, "space", "%" PRId64 " MiB free",
                 free_bytes >> 20);
}

static void inspect_ballast(struct hf_look *look, const struct hf_space *space)
{
    if (hf_space_judge(space) == HF_SPACE_TRY)
        hf_found(look, HF_FINDING_WARNING, "ballast",
                 "it is %s: the disk or a quota was full, and publishing is "
                 "refused until there is room; then the next publish puts it "
                 "back",
                 space->ballast ? "too small" : "missing");
    else if (space->ballast)
        hf_found(look, HF_FINDING_OK, "ballast",
                 "%" PRId64 " MiB to give up when the disk is full",
                 space->ballast >> 20);
    else
        hf_found(look, HF_FINDING_WARNING, "ballast", "it is missing");
}

/* After the database, which says how many pages of its own it has. */
static void inspect_space(struct hf_look *look)
{
    struct hf_space space;

    hf_space_look(&look->dir, look->free_pages, &space);
    inspect_room(look, &space);
    inspect_ballast(look, &space);
}

/* --- the files ----------------------------------------------------------- */

static const char *owner_of(uid_t uid, char *room, size_t cap)
{
    const struct passwd *entry = getpwuid(uid);

    if (entry)
        (void)snprintf(room, cap, "%s", entry->pw_name);
    else
        (void)snprintf(room, cap, "uid %ld", (long)uid);
    return room;
}

/* Whoever reads one can be anybody; no process of ours changes them. */
static bool is_secret(const char *name)
{
    return strcmp(name, HF_FILE_SECRET) == 0 ||
           strcmp(name, HF_FILE_HOOK_SECRET) == 0 ||
           strcmp(name, HF_FILE_KEYS) == 0;
}

/* Settings alone may be elsewhere, in /etc say, where packages keep them. */
static bool is_link_of_settings(const char *name, const struct stat *st)
{
    return S_ISLNK(st->st_mode) && strcmp(name, HF_FILE_SETTINGS) == 0;
}

static void inspect_link_of_settings(struct hf_look *look)
{
    struct stat st;

    if (fstatat(look->dir.fd, HF_FILE_SETTINGS, &st, 0) < 0 ||
        !S_ISREG(st.st_mode))
        hf_found(look, HF_FINDING_PROBLEM, "files",
                 HF_FILE_SETTINGS " is a link that leads to no file");
    else if (st.st_mode & S_IRWXO)
        hf_found(look, HF_FINDING_WARNING, "files",
                 HF_FILE_SETTINGS " leads to a file of mode %04o, and secrets "
                                  "may stand in it: chmod o=",
                 (unsigned)(st.st_mode & 0777));
}

static void inspect_file(struct hf_look *look, const char *name,
                         const struct stat *st)
{
    mode_t mode = st->st_mode & 0777;
    bool secret = is_secret(name);
    bool shared = look->dir.file_mode == 0660;
    mode_t wanted = secret ? look->dir.file_mode & 0640 : look->dir.file_mode;
    char owner[64], dir_owner[64];

    if (is_link_of_settings(name, st))
        inspect_link_of_settings(look);
    else if (!S_ISREG(st->st_mode) && !S_ISSOCK(st->st_mode))
        hf_found(look, HF_FINDING_PROBLEM, "files",
                 "%s is no regular file; Holdfast follows no links here: put "
                 "the file itself in the directory",
                 name);
    else if (mode & ~(mode_t)0660 & 0077)
        hf_found(look, secret ? HF_FINDING_PROBLEM : HF_FINDING_WARNING,
                 "files", "%s has mode %04o, wider than it should: chmod %04o",
                 name, (unsigned)mode, (unsigned)wanted);
    else if (!S_ISSOCK(st->st_mode) && (mode & wanted) != wanted)
        hf_found(look, HF_FINDING_PROBLEM, "files",
                 "%s has mode %04o, and who is to use it cannot: chmod %04o",
                 name, (unsigned)mode, (unsigned)wanted);
    else if (shared && st->st_gid != look->st.st_gid)
        hf_found(look, HF_FINDING_PROBLEM, "files",
                 "%s has another group than the directory, so other members "
                 "cannot open it: chgrp it to group %ld",
                 name, (long)look->st.st_gid);
    else if (!shared && st->st_uid != look->st.st_uid && st->st_uid != 0)
        hf_found(look, HF_FINDING_PROBLEM, "files",
                 "%s belongs to %s and the directory to %s, who cannot open "
                 "it: chown it",
                 name, owner_of(st->st_uid, owner, sizeof(owner)),
                 owner_of(look->st.st_uid, dir_owner, sizeof(dir_owner)));
    else if (!shared && st->st_uid != look->st.st_uid)
        hf_found(look, HF_FINDING_PROBLEM, "files",
                 "%s belongs to root and the directory to %s, who cannot open "
                 "it: chown it, and run Holdfast's commands as that user",
                 name, owner_of(look->st.st_uid, dir_owner, sizeof(dir_owner)));
}

static void inspect_files(struct hf_look *look)
{
    static const char *const needed[] = {HF_FILE_JOURNAL, HF_FILE_SECRET};
    enum hf_finding_level before = look->worst;
    struct hf_why moved = {""};
    const struct dirent *entry;
    struct stat st;
    unsigned count = 0;
    DIR *list = opendir(look->dir.path);

    look->worst = HF_FINDING_OK;
    while (list && (entry = readdir(list)) != NULL) {
        if (!hf_files_is_ours(entry->d_name) ||
            fstatat(look->dir.fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        count++;
        inspect_file(look, entry->d_name, &st);
    }
    if (list)
        (void)closedir(list); /* read only */
    if (hf_moved(&look->dir, &moved)) {
        hf_found(look, HF_FINDING_PROBLEM, "files", "%s", moved.text);
        return;
    }
    for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
        if (faccessat(look->dir.fd, needed[i], F_OK, AT_SYMLINK_NOFOLLOW) < 0)
            hf_found(look, HF_FINDING_PROBLEM, "files",
                     "%s is missing: holdfast init %s makes an empty one",
                     needed[i], look->dir.path);
    if (look->worst == HF_FINDING_OK)
        hf_found(look, HF_FINDING_OK, "files", "%u, owners and modes are right",
                 count);
    if (before > look->worst)
        look->worst = before;
}

static void inspect_settings(struct hf_look *look)
{
    struct hf_why why = {""};

    if (hf_settings_read(&look->dir, &look->settings, &why) == 0) {
        hf_found(look, HF_FINDING_OK, "settings", "%s can be read",
                 HF_FILE_SETTINGS);
        return;
    }
    hf_settings_default(&look->settings);
    hf_found(look, HF_FINDING_PROBLEM, "settings",
             "%s; nothing starts until that is mended", why.text);
}

static void judge_keys(struct hf_look *look, int err, struct hf_str text)
{
    struct hf_why why = {""};
    struct hf_jwks set;

    if (err == HF_ENOTFOUND) {
        hf_found(look, HF_FINDING_WARNING, "keys",
                 "%s is missing, so no token is taken: holdfast init %s makes "
                 "one",
                 HF_FILE_KEYS, look->dir.path);
        return;
    }
    if (!err)
        err = hf_jwks_read(text, &set, &why);
    if (err) {
        hf_found(look, HF_FINDING_PROBLEM, "keys",
                 "%s: %s; nothing starts until that is mended", HF_FILE_KEYS,
                 why.text[0] ? why.text : hf_strerror(err));
        return;
    }
    hf_found(look, HF_FINDING_OK, "keys", "%zu for tokens", set.count);
    hf_jwks_release(&set);
}

static void inspect_keys(struct hf_look *look)
{
    char *text = malloc(HF_JWKS_MAX);
    size_t len = 0;
    int err = text ? hf_file_read(look->dir.fd, HF_FILE_KEYS, text, HF_JWKS_MAX,
                                  &len)
                   : HF_ENOMEM;

    judge_keys(look, err, hf_str(text, len));
    if (text)
        explicit_bzero(text, len);
    free(text);
}

static void inspect_failed(struct hf_look *look)
{
    char text[HF_FAILED_TEXT] = "";

    if (!hf_failed(&look->dir)) {
        hf_found(look, HF_FINDING_OK, "disk", "no sync has failed");
        return;
    }
    (void)hf_failed_read(&look->dir, text); /* its being there is enough */
    hf_found(look, HF_FINDING_PROBLEM, "disk",
             "it has lost what was written (%s), so nothing is published. See "
             "to the disk, stop everything, then run: holdfast check --rescue",
             text);
}

static void inspect_clock(struct hf_look *look)
{
    if (hf_wall_ms() < CLOCK_SANE_MS)
        hf_found(look, HF_FINDING_WARNING, "clock",
                 "this host believes it is before 2024: messages get wrong "
                 "times, tokens do not expire; set the clock");
    else
        hf_found(look, HF_FINDING_OK, "clock", "plausible");
}

static void inspect_openers(struct hf_look *look)
{
    char who[512];
    size_t count = hf_alone_openers(&look->dir, who, sizeof(who));

    if (count == 0)
        hf_found(look, HF_FINDING_OK, "processes",
                 "none that we may see has the journal open");
    else
        hf_found(look, HF_FINDING_OK, "processes", "%zu: %s", count, who);
}

enum hf_finding_level hf_inspect(const char *path,
                                 const struct hf_inspection *inspection)
{
    struct hf_look look = {.wish = inspection, .dir = {.fd = -1}};

    if (open_directory(&look, path)) {
        inspect_directory(&look);
        inspect_file_system(&look);
        inspect_files(&look);
        inspect_settings(&look);
        inspect_keys(&look);
        inspect_failed(&look);
        inspect_clock(&look);
        hf_inspect_locks(&look);
        inspect_openers(&look);
        hf_inspect_db(&look);
        inspect_space(&look);
    }
    hf_dir_close(&look.dir);
    return look.worst;
}

#include "gateway/founding.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crypto.h"
#include "base/err.h"
#include "base/log.h"
#include "base/sys.h"
#include "channel/launch.h"
#include "schema/files.h"
#include "schema/journal.h"
#include "schema/policies.h"
#include "schema/settings_change.h"

/* With endings that servers may know, and without; none that place.h would take
 * for a journal. */
const char *const hf_founding_canaries[] = {HF_FILE_KEYS, HF_FILE_LIVE,
                                            HF_FILE_SECRET, NULL};

/* Files of a directory of ours, at most. */
#define FILES_MAX 1000u

static const struct hf_str deny =
    HF_STR_INIT("# Nothing of this folder is for the web.\n"
                "<IfModule mod_authz_core.c>\n"
                "    Require all denied\n"
                "</IfModule>\n"
                "<IfModule !mod_authz_core.c>\n"
                "    Order deny,allow\n"
                "    Deny from all\n"
                "</IfModule>\n");

static int failed(struct hf_why *why, const char *path)
{
    return hf_explain(why, HF_EIO, "%s: %s", path, strerror(errno));
}

/* --- removing ------------------------------------------------------------ */

/* A directory that we have made and nobody uses. Only files of ours go; where
 * there are others it stays. */
static void remove_dir(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *list = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;
    unsigned left = FILES_MAX;

    if (!list) {
        hf_close(&fd);
        return;
    }
    while (left-- > 0 && (entry = readdir(list)) != NULL)
        if (hf_files_is_ours(entry->d_name))
            (void)unlinkat(fd, entry->d_name, 0); /* then rmdir fails, too */
    (void)closedir(list);
    (void)rmdir(path);
}

void hf_founding_drop(const struct hf_spot *spot)
{
    if (hf_founding_left(spot))
        remove_dir(spot->dir);
}

/* --- begin and end ------------------------------------------------------- */

int hf_founding_begin(struct hf_founding *founding,
                      const struct hf_visit *visit, const char *open_topics,
                      struct hf_why *why)
{
    struct hf_place place;

    *founding = (struct hf_founding){
        .visit = visit, .open_topics = open_topics, .lock = -1};
    founding->lock = open(visit->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (founding->lock < 0)
        return failed(why, visit->folder);
    if (flock(founding->lock, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK
                   ? hf_explain(why, HF_EBUSY,
                                "It is being set up right now. Wait a moment "
                                "and load this page again.")
                   : failed(why, visit->folder);
    if (hf_place_find(&visit->hints, &place, NULL) != HF_ENOTFOUND)
        return hf_explain(why, HF_EEXIST,
                          "It was set up a moment ago. Load this page again.");
    return 0;
}

void hf_founding_end(struct hf_founding *founding)
{
    hf_close(&founding->lock);
}

/* --- the test ------------------------------------------------------------ */

void hf_founding_word(const struct hf_visit *visit, char out[HF_FOUNDING_WORD])
{
    char name[HF_OWNERSHIP_NAME];

    /* "holdfast-" 32 digits ".txt" */
    hf_ownership_name(hf_str_of(visit->key), name);
    (void)snprintf(out, HF_FOUNDING_WORD, "canary-%.32s", name + 9);
}

static int write_file(const char *dir, const char *name, struct hf_str text)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int err = fd < 0 ? HF_EIO : hf_file_replace(fd, name, 0600, text, false);

    hf_close(&fd);
    return err;
}

int hf_founding_test(const struct hf_founding *founding,
                     const struct hf_spot *spot, struct hf_why *why)
{
    char word[HF_FOUNDING_WORD];
    size_t i;
    int err;

    hf_founding_drop(spot);
    hf_founding_word(founding->visit, word);
    (void)rmdir(spot->dir); /* an empty one; others are not free */
    if (mkdir(spot->dir, 0700) < 0)
        return failed(why, spot->dir);
    err = write_file(spot->dir, HF_FILE_DENY, deny);
    for (i = 0; !err && hf_founding_canaries[i]; i++)
        err = write_file(spot->dir, hf_founding_canaries[i], hf_str_of(word));
    if (err) {
        err = failed(why, spot->dir);
        hf_founding_drop(spot);
    }
    return err;
}

/* "" = there is no canary. */
static void read_word(const struct hf_spot *spot, char out[HF_FOUNDING_WORD])
{
    int fd = open(spot->dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    size_t len = 0;

    if (fd < 0 ||
        hf_file_read(fd, HF_FILE_KEYS, out, HF_FOUNDING_WORD - 1, &len))
        len = 0;
    out[len] = '\0';
    hf_close(&fd);
}

bool hf_founding_tested(const struct hf_founding *founding,
                        const struct hf_spot *spot)
{
    char word[HF_FOUNDING_WORD], there[HF_FOUNDING_WORD];

    hf_founding_word(founding->visit, word);
    read_word(spot, there);
    return strcmp(word, there) == 0;
}

bool hf_founding_left(const struct hf_spot *spot)
{
    char word[HF_FOUNDING_WORD];
    char path[PATH_MAX + 16];

    (void)snprintf(path, sizeof(path), "%s/" HF_FILE_JOURNAL, spot->dir);
    read_word(spot, word);
    return strncmp(word, "canary-", 7) == 0 && access(path, F_OK) < 0;
}

/* --- the journal directory ----------------------------------------------- */

static int allow(struct hf_journal *journal, const char *pattern)
{
    const struct hf_policy policy = {
        .pattern = hf_str_of(pattern),
        .rights = HF_RIGHT_JOIN | HF_RIGHT_PUBLISH,
        .echo = true,
    };
    int err;

    err = hf_journal_begin(journal);
    if (err)
        return err;
    err = hf_policy_set(journal, &policy);
    if (!err)
        return hf_journal_commit(journal);
    hf_journal_rollback(journal);
    return err;
}

static int open_topics(const struct hf_dir *dir, const char *pattern,
                       struct hf_why *why)
{
    struct hf_settings settings;
    struct hf_journal *journal;
    int err;

    if (!*pattern)
        return 0;
    err = hf_settings_read(dir, &settings, why);
    if (!err)
        err = hf_journal_open(dir, &settings, HF_JOURNAL_WRITE, &journal, why);
    if (err)
        return err;
    err = allow(journal, pattern);
    hf_journal_close(journal);
    return err ? hf_explain(why, err, "the rights of visitors: %s",
                            hf_strerror(err))
               : 0;
}

/* Whoever put the side-car beside this program, so that it can be executed, wants
 * WebSockets, and has no other way to start it. */
static int let_sidecar_start(const struct hf_dir *dir, struct hf_why *why)
{
    static const struct hf_settings_change on_demand = {
        .section = "sidecar", .name = "start", .value = "on-demand"};
    struct hf_settings settings;
    char program[PATH_MAX];
    int err;

    hf_settings_default(&settings);
    if (hf_launch_find(&settings, program, NULL))
        return 0;
    err = hf_settings_change(dir, &on_demand, 1, why);
    if (!err)
        (void)unlinkat(dir->fd, HF_FILE_SETTINGS_BEFORE, 0); /* nobody's */
    return err;
}

static int fill(const struct hf_founding *founding, const char *path,
                struct hf_why *why)
{
    struct hf_dir dir;
    bool existed;
    int err;

    if (mkdir(path, 0700) < 0 || write_file(path, HF_FILE_DENY, deny))
        return failed(why, path);
    err = hf_dir_init(path, NULL, &existed, why);
    if (!err)
        err = hf_dir_open(&dir, path, why);
    if (err)
        return err;
    err = open_topics(&dir, founding->open_topics, why);
    if (!err)
        err = let_sidecar_start(&dir, why);
    if (!err && hf_ownership_keep(&dir, hf_str_of(founding->visit->key)))
        err = failed(why, path);
    hf_dir_close(&dir);
    return err;
}

/* An empty directory at `to` would be replaced, nothing else. */
static int move(const char *from, const struct hf_spot *spot,
                struct hf_why *why)
{
    int fd;

    hf_founding_drop(spot);
    if (rename(from, spot->dir) < 0)
        return failed(why, spot->dir);
    fd = open(spot->parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0)
        (void)fsync(fd); /* or the next sync of the system does it */
    hf_close(&fd);
    return 0;
}

/* In the home it is found without. */
static int say_where(const struct hf_founding *founding,
                     const struct hf_spot *spot, struct hf_why *why)
{
    const struct hf_visit *visit = founding->visit;
    bool beside = strcmp(spot->parent, visit->folder) == 0;
    char text[PATH_MAX + 16];
    struct hf_place place;
    int len = snprintf(text, sizeof(text), "dir = %s\n",
                       beside ? spot->name : spot->dir);

    if (hf_file_replace(founding->lock, HF_PLACE_FILE, 0600,
                        hf_str(text, (size_t)len), true) &&
        spot->number > 0)
        return failed(why, visit->folder);
    if (hf_place_find(&visit->hints, &place, why))
        return HF_EIO;
    return access(place.dir, F_OK) == 0
               ? 0
               : hf_explain(why, HF_EINVAL, "%s cannot be named in a file",
                            spot->dir);
}

/* The name it has meanwhile: one of the key's own, so that a try that was cut
 * short is cleared away by the next, and one that nobody else can know. */
static int name_part(const struct hf_founding *founding,
                     const struct hf_spot *spot, char out[PATH_MAX])
{
    unsigned char hash[HF_SHA256_LEN];
    unsigned long long number;
    int len;

    hf_hmac_sha256(hf_str_of(founding->visit->key), HF_STR("part"), hash);
    memcpy(&number, hash, sizeof(number));
    len = snprintf(out, PATH_MAX, "%s/.htholdfast.%016llx",
                   spot->parent[1] ? spot->parent : "", number);
    return len < 0 || (size_t)len >= PATH_MAX ? HF_ELIMIT : 0;
}

int hf_founding_found(const struct hf_founding *founding,
                      const struct hf_spot *spot, struct hf_why *why)
{
    char part[PATH_MAX];
    int err;

    err = name_part(founding, spot, part);
    if (err)
        return hf_explain(why, err, "the path is too long");
    remove_dir(part);
    err = fill(founding, part, why);
    if (!err)
        err = move(part, spot, why);
    if (err) {
        remove_dir(part);
        return err;
    }
    err = say_where(founding, spot, why);
    if (err) {
        (void)unlinkat(founding->lock, HF_PLACE_FILE, 0); /* it names nothing */
        remove_dir(spot->dir);
        return err;
    }
    hf_ownership_tidy(founding->visit->folder, hf_str_of(founding->visit->key));
    HF_LOG(HF_LOG_INFO, "set_up", hf_field("dir", spot->dir),
           hf_field("by", "a page"));
    return 0;
}

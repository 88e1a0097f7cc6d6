#include "schema/move.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sys.h"
#include "schema/failed.h"
#include "schema/fresh.h"
#include "schema/journal_impl.h"

/* Largest of the small files: keys of other services, a long configuration. */
#define SMALL_MAX (1024u * 1024u)

/* What a directory has besides its journal that cannot be made anew. */
static const char *const small[] = {HF_FILE_SETTINGS,    HF_FILE_SECRET,
                                    HF_FILE_HOOK_SECRET, HF_FILE_KEYS,
                                    HF_FILE_HEAD,        HF_FILE_DENY};

static int from_errno(struct hf_why *why, const char *dir, const char *name)
{
    return hf_explain(why, errno == EACCES ? HF_EDENIED : HF_EIO, "%s/%s: %s",
                      dir, name, strerror(errno));
}

/* --- the new directory ------------------------------------------------------ */

/* With the mode and group of the old one. */
static int make_directory(const struct hf_dir *from, const char *path,
                          struct hf_dir *to, struct hf_why *why)
{
    struct stat st;

    if (fstat(from->fd, &st) < 0)
        return from_errno(why, from->path, "");
    if (mkdir(path, 0700) < 0)
        return hf_explain(why, errno == EEXIST ? HF_EEXIST : HF_EIO,
                          "%s cannot be made: %s", path, strerror(errno));
    if ((st.st_mode & S_IRWXG) && chown(path, (uid_t)-1, st.st_gid) < 0)
        return hf_explain(why, HF_EDENIED,
                          "%s cannot be given to the group of %s: %s", path,
                          from->path, strerror(errno));
    if (chmod(path, st.st_mode & 07777) < 0)
        return hf_explain(why, HF_EIO, "%s: %s", path, strerror(errno));
    return hf_dir_open_bare(to, path, why);
}

static int copy_small(const struct hf_dir *from, const struct hf_dir *to,
                      const char *name, char *room, struct hf_why *why)
{
    struct stat st;
    size_t len = 0;
    int err = hf_file_read(from->fd, name, room, SMALL_MAX, &len);

    if (err == HF_ENOTFOUND)
        return 0;
    if (err == HF_ELIMIT)
        return hf_explain(why, err, "%s/%s is larger than a megabyte",
                          from->path, name);
    if (err || fstatat(from->fd, name, &st, 0) < 0)
        return from_errno(why, from->path, name);
    if (hf_file_replace(to->fd, name, st.st_mode & 0777, hf_str(room, len),
                        true))
        return from_errno(why, to->path, name);
    return 0;
}

static int copy_all_small(const struct hf_dir *from, const struct hf_dir *to,
                          struct hf_why *why)
{
    char *room = malloc(SMALL_MAX);
    size_t i;
    int err = 0;

    if (!room)
        return hf_explain(why, HF_ENOMEM, "%s", hf_strerror(HF_ENOMEM));
    for (i = 0; i < sizeof(small) / sizeof(small[0]) && !err; i++)
        err = copy_small(from, to, small[i], room, why);
    explicit_bzero(room, SMALL_MAX);
    free(room);
    return err;
}

static int copy_journal(const struct hf_dir *from, const struct hf_dir *to,
                        const struct hf_backup *backup, struct hf_fresh *fresh,
                        struct hf_why *why)
{
    struct hf_fresh_owner owner = {to->file_mode, (gid_t)-1};
    struct hf_db source = {.handle = NULL};
    char path[PATH_MAX];
    struct stat st;
    int err = hf_dir_file(to, HF_FILE_JOURNAL, path, sizeof(path));

    if (err)
        return hf_explain(why, err, "%s: the path is too long", to->path);
    if ((owner.mode & S_IRGRP) && fstat(to->fd, &st) == 0)
        owner.group = st.st_gid;
    err = hf_fresh_open(fresh, path, &owner, why);
    if (!err)
        err = hf_alone_read(&source, from, why);
    if (!err)
        err = hf_backup_whole(&source, fresh, backup, why);
    hf_db_close(&source);
    return err ? err : hf_fresh_finish(fresh, why);
}

/* What was made, if nothing came of it. The directory was empty before. */
static void remove_new(const struct hf_dir *to)
{
    size_t i;

    for (i = 0; i < sizeof(small) / sizeof(small[0]); i++)
        (void)unlinkat(to->fd, small[i], 0); /* some are not there */
    (void)rmdir(to->path); /* not if somebody has put something there */
}

/* --- the old one -------------------------------------------------------------- */

static int leave_word(const struct hf_dir *from, const char *path,
                      struct hf_why *why)
{
    char real[PATH_MAX];

    if (!realpath(path, real))
        return hf_explain(why, HF_EIO, "%s: %s", path, strerror(errno));
    if (hf_file_replace(from->fd, HF_FILE_MOVED, from->file_mode,
                        hf_str_of(real), true))
        return from_errno(why, from->path, HF_FILE_MOVED);
    return 0;
}

static int change_over(const struct hf_dir *from, const struct hf_dir *to,
                       struct hf_fresh *fresh, char kept[HF_ALONE_KEPT],
                       struct hf_why *why)
{
    struct hf_why after = {""};
    int err;

    err = leave_word(from, to->path, why);
    if (!err)
        err = hf_alone_retire(from, "moved", kept, why);
    if (err) {
        (void)unlinkat(from->fd, HF_FILE_MOVED, 0); /* it stays here */
        return err;
    }
    err = hf_fresh_place(fresh, false, &after);
    if (!err)
        return 0;
    hf_close(&fresh->fd); /* and so it is not removed */
    return hf_explain(
        why, err,
        "%s is whole but cannot be given its name (%s): rename it "
        "to " HF_FILE_JOURNAL
        " there. The journal is no longer in %s, where it is "
        "kept as %s",
        fresh->part, after.text, from->path, kept);
}

static int move_alone(const struct hf_dir *dir, const char *path,
                      const struct hf_backup *backup, char kept[HF_ALONE_KEPT],
                      struct hf_why *why)
{
    struct hf_fresh fresh = {.fd = -1, .dir = -1};
    struct hf_dir to = {.fd = -1};
    bool there;
    int err;

    err = make_directory(dir, path, &to, why);
    if (!err)
        err = copy_all_small(dir, &to, why);
    if (!err)
        err = copy_journal(dir, &to, backup, &fresh, why);
    if (!err)
        err = change_over(dir, &to, &fresh, kept, why);
    there = fresh.part[0] && fresh.dir >= 0 && fresh.fd < 0;
    hf_fresh_drop(&fresh);
    if (err && to.fd >= 0 && !there)
        remove_new(&to);
    hf_dir_close(&to);
    return err;
}

/* What root made, the account of the programs could not open. */
static int check_owner(const struct hf_dir *dir, struct hf_why *why)
{
    struct stat st;

    if (fstat(dir->fd, &st) < 0)
        return from_errno(why, dir->path, "");
    if (st.st_uid == geteuid())
        return 0;
    return hf_explain(why, HF_EDENIED,
                      "%s belongs to the account with the number %ld: move it "
                      "as that, with sudo -u '#%ld'",
                      dir->path, (long)st.st_uid, (long)st.st_uid);
}

/* What its disk has lost may be the newest messages, and the history would go on
 * by giving their ids to others. Only a rescue knows how to go on after that. */
static int check_disk(const struct hf_dir *dir, struct hf_why *why)
{
    char flag[HF_FAILED_TEXT];

    if (hf_failed_read(dir, flag) == HF_ENOTFOUND)
        return 0;
    return hf_explain(why, HF_EIO,
                      "the disk of %s has lost what was written to it: before "
                      "it is moved see to the disk, then run holdfast check "
                      "--rescue",
                      dir->path);
}

int hf_move(const struct hf_dir *dir, const char *path,
            const struct hf_backup *backup, char kept[HF_ALONE_KEPT],
            struct hf_why *why)
{
    struct hf_alone alone;
    int err;

    err = check_owner(dir, why);
    if (!err)
        err = check_disk(dir, why);
    if (!err)
        err = hf_alone_take(&alone, dir, why);
    if (err)
        return err;
    err = move_alone(dir, path, backup, kept, why);
    hf_alone_end(&alone);
    return err;
}

bool hf_moved(const struct hf_dir *dir, struct hf_why *why)
{
    char path[PATH_MAX];
    size_t len = 0;

    if (faccessat(dir->fd, HF_FILE_JOURNAL, F_OK, AT_SYMLINK_NOFOLLOW) == 0 ||
        hf_file_read(dir->fd, HF_FILE_MOVED, path, sizeof(path), &len))
        return false;
    (void)hf_explain(
        why, HF_ENOTFOUND,
        "the journal of %s was moved to %.*s, and goes on there or "
        "where that was taken to",
        dir->path, (int)len, path);
    return true;
}

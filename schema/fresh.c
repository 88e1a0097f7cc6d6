#include "schema/fresh.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/sys.h"

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE (1 << 0)
#endif
#define ROOM_TO_SPARE (UINT64_C(16) << 20) /* for those who write beside us */

static int from_errno(const struct hf_fresh *fresh, struct hf_why *why)
{
    int err = errno == ENOENT || errno == ENOTDIR ? HF_ENOTFOUND
              : errno == EACCES || errno == EPERM || errno == EROFS ? HF_EDENIED
              : errno == ENOSPC || errno == EDQUOT                  ? HF_EFULL
                                                                    : HF_EIO;

    return hf_explain(why, err, "cannot write %s/%s: %s", fresh->dir_path,
                      fresh->name, strerror(errno));
}

/* --- opening ------------------------------------------------------------- */

static int split(struct hf_fresh *fresh, const char *path, struct hf_why *why)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    char dir[PATH_MAX] = ".";
    int len = snprintf(fresh->part, sizeof(fresh->part), "%s.part", name);

    if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return hf_explain(why, HF_EINVAL, "%s is no name of a file", path);
    /* With room for what SQLite appends: "-journal". */
    if (len < 0 || len > NAME_MAX - 8 || strlen(path) >= sizeof(dir))
        return hf_explain(why, HF_ELIMIT, "%s: the name is too long", path);
    (void)snprintf(fresh->name, sizeof(fresh->name), "%s", name);
    if (slash) /* with the slash, so that "/x" gives "/" */
        (void)snprintf(dir, sizeof(dir), "%.*s", (int)(slash - path) + 1, path);
    (void)snprintf(fresh->dir_path, sizeof(fresh->dir_path), "%s", dir);
    fresh->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fresh->dir < 0 || !realpath(dir, fresh->dir_path))
        return from_errno(fresh, why);
    return 0;
}

/* Still the file of that name? Who made it before us may have placed it. */
static bool is_there(const struct hf_fresh *fresh)
{
    struct stat mine, named;

    return fstat(fresh->fd, &mine) == 0 &&
           fstatat(fresh->dir, fresh->part, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           mine.st_ino == named.st_ino && mine.st_dev == named.st_dev;
}

static void unlink_beside(const struct hf_fresh *fresh, const char *name)
{
    static const char *const suffixes[] = {"-journal", "-wal", "-shm"};
    char beside[NAME_MAX + 16];

    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
        (void)snprintf(beside, sizeof(beside), "%s%s", name, suffixes[i]);
        (void)unlinkat(fresh->dir, beside, 0); /* usually not there */
    }
}

static int take_part(struct hf_fresh *fresh, const struct hf_fresh_owner *owner,
                     struct hf_why *why)
{
    mode_t mode = owner->mode;

    fresh->fd = openat(fresh->dir, fresh->part,
                       O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
                       mode & 0600);
    if (fresh->fd < 0)
        return from_errno(fresh, why);
    if (flock(fresh->fd, LOCK_EX | LOCK_NB) < 0 || !is_there(fresh)) {
        hf_close(&fresh->fd); /* it is another's, drop must not touch it */
        return hf_explain(why, HF_EBUSY, "another process is writing %s/%s",
                          fresh->dir_path, fresh->part);
    }
    /* A killed one's rollback journal would be played into our file. */
    unlink_beside(fresh, fresh->part);
    /* Not to whatever group the directory has, should ours be refused. */
    if (owner->group != (gid_t)-1 &&
        fchown(fresh->fd, (uid_t)-1, owner->group) < 0)
        mode &= 0600;
    if (ftruncate(fresh->fd, 0) < 0 || fchmod(fresh->fd, mode) < 0)
        return from_errno(fresh, why);
    return 0;
}

int hf_fresh_open(struct hf_fresh *fresh, const char *path,
                  const struct hf_fresh_owner *owner, struct hf_why *why)
{
    char part[PATH_MAX + NAME_MAX + 2];
    int err;

    *fresh = (struct hf_fresh){.fd = -1, .dir = -1};
    err = split(fresh, path, why);
    if (!err)
        err = take_part(fresh, owner, why);
    if (err)
        return err;
    (void)snprintf(part, sizeof(part), "%s/%s", fresh->dir_path, fresh->part);
    return hf_db_open(&fresh->db, part, false, "OFF", why);
}

int hf_fresh_room(const struct hf_fresh *fresh, uint64_t bytes,
                  const char *remedy, struct hf_why *why)
{
    struct statvfs fs;
    uint64_t free_bytes;

    if (fstatvfs(fresh->dir, &fs) < 0)
        return from_errno(fresh, why);
    free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (free_bytes >= ROOM_TO_SPARE && free_bytes - ROOM_TO_SPARE >= bytes)
        return 0;
    return hf_explain(why, HF_EFULL,
                      "%s has %llu MiB free, and %llu MiB are needed for %s "
                      "with some to spare; %s",
                      fresh->dir_path, (unsigned long long)(free_bytes >> 20),
                      (unsigned long long)((bytes + ROOM_TO_SPARE) >> 20) + 1,
                      fresh->name, remedy);
}

/* --- putting it in place ------------------------------------------------- */

static bool exists(const struct hf_fresh *fresh, const char *suffix)
{
    char name[NAME_MAX + 16];

    (void)snprintf(name, sizeof(name), "%s%s", fresh->name, suffix);
    return faccessat(fresh->dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

int hf_fresh_finish(struct hf_fresh *fresh, struct hf_why *why)
{
    int on = 0;
    int err;

    if (fresh->db.handle) {
        (void)sqlite3_file_control(fresh->db.handle, "main",
                                   SQLITE_FCNTL_PERSIST_WAL, &on);
        err = hf_db_run(&fresh->db, "PRAGMA journal_mode = DELETE");
        if (err)
            return hf_explain(why, err, "%s/%s: %s", fresh->dir_path,
                              fresh->part, sqlite3_errmsg(fresh->db.handle));
        hf_db_close(&fresh->db);
    }
    if (fsync(fresh->fd) < 0)
        return from_errno(fresh, why);
    return 0;
}

/* Never over a file that is there; link, for it cannot. */
static int move_beside(struct hf_fresh *fresh)
{
    if (linkat(fresh->dir, fresh->part, fresh->dir, fresh->name, 0) == 0)
        return unlinkat(fresh->dir, fresh->part, 0);
    if (errno == EEXIST)
        return -1;
    /* No hard links there: FAT. Not every C library has this call. */
    return (int)syscall(SYS_renameat2, fresh->dir, fresh->part, fresh->dir,
                        fresh->name, RENAME_NOREPLACE);
}

int hf_fresh_place(struct hf_fresh *fresh, bool replace, struct hf_why *why)
{
    int err, moved;

    err = hf_fresh_finish(fresh, why);
    if (err)
        return err;
    /* SQLite would take a journal of that name for our file's. */
    if (!replace && (exists(fresh, "") || exists(fresh, "-journal") ||
                     exists(fresh, "-wal")))
        return hf_explain(why, HF_EEXIST, "%s/%s is there already",
                          fresh->dir_path, fresh->name);
    if (replace)
        unlink_beside(fresh, fresh->name);
    moved = replace ? renameat(fresh->dir, fresh->part, fresh->dir, fresh->name)
                    : move_beside(fresh);
    if (moved < 0 || fsync(fresh->dir) < 0)
        return from_errno(fresh, why);
    hf_close(&fresh->fd);
    return 0;
}

void hf_fresh_drop(struct hf_fresh *fresh)
{
    hf_db_close(&fresh->db);
    if (fresh->fd >= 0) {
        unlink_beside(fresh, fresh->part);
        (void)unlinkat(fresh->dir, fresh->part, 0); /* usually there */
        hf_close(&fresh->fd);
    }
    hf_close(&fresh->dir);
}

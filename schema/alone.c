#include "schema/alone.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/sys.h"
#include "schema/db.h"

/* "Lock bytes" of SQLite's os.h: pending, reserved, 510 shared. */
#define LOCK_FIRST 0x40000000
#define LOCK_BYTES 512

#define OPENERS_MAX 16u /* named; there may be more */

/* --- who has it open? ---------------------------------------------------- */

static bool has_open(const char *pid, const struct stat *file)
{
    char path[64];
    const struct dirent *entry;
    struct stat st;
    bool found = false;
    DIR *fds;

    (void)snprintf(path, sizeof(path), "/proc/%.20s/fd", pid);
    fds = opendir(path);
    if (!fds) /* gone, or of another user */
        return false;
    while (!found && (entry = readdir(fds)) != NULL)
        found = fstatat(dirfd(fds), entry->d_name, &st, 0) == 0 &&
                st.st_ino == file->st_ino && st.st_dev == file->st_dev;
    (void)closedir(fds); /* read only */
    return found;
}

static bool is_other_process(const char *name)
{
    return name[0] >= '1' && name[0] <= '9' &&
           strtol(name, NULL, 10) != (long)getpid();
}

/* Of the file that has this name in the directory. */
static size_t openers_of(const struct hf_dir *dir, const char *file_name,
                         char *out, size_t cap)
{
    const struct dirent *entry;
    struct stat file;
    size_t count = 0;
    DIR *processes;

    out[0] = '\0';
    if (fstatat(dir->fd, file_name, &file, AT_SYMLINK_NOFOLLOW) < 0)
        return 0;
    processes = opendir("/proc");
    if (!processes)
        return 0;
    while (count < OPENERS_MAX && (entry = readdir(processes)) != NULL) {
        size_t len = strlen(out);
        char name[17];

        if (!is_other_process(entry->d_name) || !has_open(entry->d_name, &file))
            continue;
        hf_process_name((pid_t)strtol(entry->d_name, NULL, 10), name);
        (void)snprintf(out + len, cap - len, "%s%.20s%s%s", count ? ", " : "",
                       entry->d_name, name[0] ? " " : "", name);
        count++;
    }
    (void)closedir(processes); /* read only */
    return count;
}

size_t hf_alone_openers(const struct hf_dir *dir, char *out, size_t cap)
{
    return openers_of(dir, HF_FILE_JOURNAL, out, cap);
}

/* --- alone --------------------------------------------------------------- */

static int say_busy(const struct hf_dir *dir, struct hf_why *why)
{
    char who[256];

    if (hf_alone_openers(dir, who, sizeof(who)) == 0)
        (void)snprintf(who, sizeof(who), "of another user");
    return hf_explain(why, HF_EBUSY,
                      "%s/%s is in use by processes: %s. Stop them, the web "
                      "server's gateway too, and keep them stopped meanwhile",
                      dir->path, HF_FILE_JOURNAL, who);
}

int hf_alone_take(struct hf_alone *alone, const struct hf_dir *dir,
                  struct hf_why *why)
{
    char who[256];
    int err;

    alone->fd = openat(dir->fd, HF_FILE_JOURNAL,
                       O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (alone->fd < 0)
        return hf_explain(why, errno == EACCES ? HF_EDENIED : HF_EIO,
                          "%s/%s: %s", dir->path, HF_FILE_JOURNAL,
                          strerror(errno));
    err = hf_lock_try(alone->fd, LOCK_FIRST, LOCK_BYTES);
    /* Who has opened it and not read yet has no lock, and would go on in a file
     * without a name. */
    if (!err && hf_alone_openers(dir, who, sizeof(who)) > 0)
        err = HF_EBUSY;
    if (!err)
        return 0;
    hf_alone_end(alone);
    if (err == HF_EBUSY)
        return say_busy(dir, why);
    return hf_explain(why, err, "%s/%s cannot be locked: %s", dir->path,
                      HF_FILE_JOURNAL, strerror(errno));
}

void hf_alone_end(struct hf_alone *alone)
{
    hf_close(&alone->fd);
}

int hf_alone_read(struct hf_db *db, const struct hf_dir *dir,
                  struct hf_why *why)
{
    char path[PATH_MAX];
    int code;

    if (hf_dir_file(dir, HF_FILE_JOURNAL, path, sizeof(path)))
        return hf_explain(why, HF_ELIMIT, "%s: the path is too long",
                          dir->path);
    code = sqlite3_open_v2(path, &db->handle,
                           SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX |
                               SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_EXRESCODE,
                           "unix-none");
    if (!code)
        code = sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE,
                                 1, NULL);
    if (!code)
        code = sqlite3_db_config(db->handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0,
                                 NULL);
    if (!code)
        code = sqlite3_exec(db->handle,
                            "PRAGMA locking_mode = EXCLUSIVE;"
                            "PRAGMA cell_size_check = ON;"
                            "PRAGMA mmap_size = 0;"
                            "PRAGMA query_only = ON;",
                            NULL, NULL, NULL);
    return code ? hf_explain(why, hf_db_error(db, code), "%s: %s", path,
                             sqlite3_errmsg(db->handle))
                : 0;
}

/* --- another in its place ------------------------------------------------ */

/* A name that is free, also after another replacement in the same second. */
static void name_kept(const struct hf_dir *dir, const char *tag,
                      char kept[HF_ALONE_KEPT])
{
    time_t now = time(NULL);
    struct tm utc = {.tm_mday = 1};
    char when[32] = "";
    unsigned n = 1;

    (void)gmtime_r(&now, &utc); /* cannot fail before the year 2^31 */
    (void)strftime(when, sizeof(when), "%Y%m%dT%H%M%SZ", &utc);
    (void)snprintf(kept, HF_ALONE_KEPT, HF_FILE_JOURNAL ".%.16s-%s", tag, when);
    while (faccessat(dir->fd, kept, F_OK, AT_SYMLINK_NOFOLLOW) == 0 && n < 100)
        (void)snprintf(kept, HF_ALONE_KEPT, HF_FILE_JOURNAL ".%.16s-%s-%u", tag,
                       when, ++n);
}

#define WAL HF_FILE_JOURNAL "-wal"

static int move_over(const struct hf_dir *dir, const struct hf_fresh *fresh,
                     const char *kept, const char *kept_wal)
{
    if (linkat(dir->fd, HF_FILE_JOURNAL, dir->fd, kept, 0) < 0)
        return -1;
    if (linkat(dir->fd, WAL, dir->fd, kept_wal, 0) < 0 && errno != ENOENT)
        return -1;
    if (fsync(dir->fd) < 0)
        return -1;
    if (unlinkat(dir->fd, WAL, 0) < 0 && errno != ENOENT)
        return -1;
    if (unlinkat(dir->fd, HF_FILE_JOURNAL "-shm", 0) < 0 && errno != ENOENT)
        return -1;
    if (renameat(fresh->dir, fresh->part, dir->fd, HF_FILE_JOURNAL) < 0)
        return -1;
    return fsync(dir->fd);
}

/* Is it the kept one that still stands there? Only the last sync comes after
 * the rename. */
static bool is_old_one(const struct hf_dir *dir, const char *kept)
{
    struct stat there, old;

    return fstatat(dir->fd, HF_FILE_JOURNAL, &there, AT_SYMLINK_NOFOLLOW) ==
               0 &&
           fstatat(dir->fd, kept, &old, AT_SYMLINK_NOFOLLOW) == 0 &&
           there.st_ino == old.st_ino;
}

/* The WAL gets its first name back. False: it is there under its second only,
 * and without it the old journal lacks its newest messages. */
static bool put_wal_back(const struct hf_dir *dir, const char *kept,
                         const char *kept_wal)
{
    if (!is_old_one(dir, kept))
        return true;
    if (linkat(dir->fd, kept_wal, dir->fd, WAL, 0) < 0)
        return errno == EEXIST || errno == ENOENT;
    (void)fsync(dir->fd); /* at worst the kept pair has everything */
    return true;
}

/* The journal's name goes before its log's: at no moment could it be opened
 * without. */
static int move_away(const struct hf_dir *dir, const char *kept,
                     const char *kept_wal)
{
    if (linkat(dir->fd, HF_FILE_JOURNAL, dir->fd, kept, 0) < 0)
        return -1;
    if (linkat(dir->fd, WAL, dir->fd, kept_wal, 0) < 0 && errno != ENOENT)
        return -1;
    if (fsync(dir->fd) < 0 || unlinkat(dir->fd, HF_FILE_JOURNAL, 0) < 0)
        return -1;
    (void)unlinkat(dir->fd, WAL, 0); /* without a journal they do no harm */
    (void)unlinkat(dir->fd, HF_FILE_JOURNAL "-shm", 0);
    return fsync(dir->fd);
}

int hf_alone_retire(const struct hf_dir *dir, const char *tag,
                    char kept[HF_ALONE_KEPT], struct hf_why *why)
{
    char kept_wal[HF_ALONE_KEPT + 8];

    name_kept(dir, tag, kept);
    (void)snprintf(kept_wal, sizeof(kept_wal), "%s-wal", kept);
    if (move_away(dir, kept, kept_wal) == 0)
        return 0;
    return hf_explain(why, HF_EIO, "%s/%s cannot be renamed to %s: %s",
                      dir->path, HF_FILE_JOURNAL, kept, strerror(errno));
}

/* Whoever opened the old file meanwhile and waits for our lock would go on in
 * it, with a log that has the name of the new one's. So we keep the lock until
 * he has given up. */
static void outlast_waiters(const struct hf_dir *dir, const char *kept)
{
    const struct timespec pause = {.tv_nsec = 100 * 1000 * 1000};
    int64_t until_ms = hf_boot_ms() + HF_ALONE_OUTLAST_MS;
    char who[256];

    while (openers_of(dir, kept, who, sizeof(who)) > 0 &&
           hf_boot_ms() < until_ms)
        (void)nanosleep(&pause, NULL); /* cut short is fine */
}

int hf_alone_replace(const struct hf_dir *dir, struct hf_fresh *fresh,
                     const char *tag, char kept[HF_ALONE_KEPT],
                     struct hf_why *why)
{
    char kept_wal[HF_ALONE_KEPT + 8];
    int error;

    name_kept(dir, tag, kept);
    (void)snprintf(kept_wal, sizeof(kept_wal), "%s-wal", kept);
    if (move_over(dir, fresh, kept, kept_wal) < 0) {
        error = errno;
        if (!put_wal_back(dir, kept, kept_wal))
            return hf_explain(
                why, HF_EIO,
                "the journal cannot be replaced: %s. Its newest messages are "
                "in %s/%s only: before anything else, cd there and run: "
                "ln %s " WAL,
                strerror(error), dir->path, kept_wal, kept_wal);
        return hf_explain(why, error == EEXIST ? HF_EEXIST : HF_EIO,
                          "%s/%s cannot be put in place of %s (which is kept "
                          "as %s): %s",
                          dir->path, fresh->part, HF_FILE_JOURNAL, kept,
                          strerror(error));
    }
    hf_close(&fresh->fd);
    outlast_waiters(dir, kept);
    return 0;
}

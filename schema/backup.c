#include "schema/backup.h"

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
#include "schema/migrate.h"

#define STEP_PAGES 256 /* a megabyte */

/* --- may the name be used? ----------------------------------------------- */

/* An older copy of a journal: by its header, for to open it in SQLite could
 * change it. */
static bool is_journal_file(const char *path)
{
    unsigned char head[72];
    size_t len = 0;
    int err = hf_file_read(AT_FDCWD, path, head, sizeof(head), &len);

    if (err != HF_ELIMIT || memcmp(head, "SQLite format 3", 16) != 0)
        return false;
    return ((uint32_t)head[68] << 24 | (uint32_t)head[69] << 16 |
            (uint32_t)head[70] << 8 | head[71]) == HF_APPLICATION_ID;
}

static int check_place(const struct hf_backup *backup, struct hf_why *why)
{
    const char *slash = strrchr(backup->path, '/');
    const char *name = slash ? slash + 1 : backup->path;
    struct stat st;

    /* Whichever journal it is: those who have it open would go on in a file
     * that has no name any more. */
    if (strcmp(name, HF_FILE_JOURNAL) == 0)
        return hf_explain(why, HF_EEXIST,
                          "%s is the name of a journal in use; give the copy "
                          "another",
                          backup->path);
    if (lstat(backup->path, &st) < 0)
        return 0; /* what is wrong with it is found out by who makes it */
    if (!backup->replace)
        return hf_explain(why, HF_EEXIST, "%s is there already", backup->path);
    if (!S_ISREG(st.st_mode) || !is_journal_file(backup->path))
        return hf_explain(why, HF_EEXIST,
                          "%s is there and is no copy of a journal; it is not "
                          "replaced",
                          backup->path);
    return 0;
}

/* --- copying ------------------------------------------------------------- */

static int64_t wal_bytes(struct hf_db *source)
{
    const char *path = sqlite3_db_filename(source->handle, "main");
    struct stat st;

    if (!path || !*path || stat(sqlite3_filename_wal(path), &st) < 0)
        return 0;
    return (int64_t)st.st_size;
}

static int check_room(struct hf_db *source, const struct hf_fresh *fresh,
                      const char *remedy, uint64_t *out_page_size,
                      struct hf_why *why)
{
    int64_t pages = 0, page_size = 0;
    int err;

    err = hf_db_number(source, "PRAGMA page_count", &pages);
    if (!err)
        err = hf_db_number(source, "PRAGMA page_size", &page_size);
    if (err)
        return hf_explain(why, err, "cannot read the journal: %s",
                          sqlite3_errmsg(source->handle));
    *out_page_size = (uint64_t)page_size;
    return hf_fresh_room(fresh, (uint64_t)pages * (uint64_t)page_size, remedy,
                         why);
}

static int say_copy_error(struct hf_db *copy, int code, struct hf_why *why)
{
    int err = (code & 0xff) == SQLITE_FULL ? HF_EFULL : hf_db_error(copy, code);

    return hf_explain(why, err, "the copy failed: %s", sqlite3_errstr(code));
}

/* 0, a code of SQLite, or one of ours with *why. */
static int step_through(struct hf_db *source, sqlite3_backup *run,
                        uint64_t page_size, const struct hf_backup *backup,
                        struct hf_why *why)
{
    int64_t at_start = wal_bytes(source);
    int64_t ceiling = backup->max_wal - backup->max_wal / 4;
    int code;

    while ((code = sqlite3_backup_step(run, STEP_PAGES)) == SQLITE_OK) {
        int64_t wal = wal_bytes(source);
        int total = sqlite3_backup_pagecount(run);
        int done = total - sqlite3_backup_remaining(run);

        if (backup->max_wal > 0 && wal > ceiling && wal > at_start)
            return hf_explain(why, HF_EBLOCKED,
                              "so much was published meanwhile that the "
                              "write-ahead log has %lld MiB; publishing goes "
                              "before, and the backup has given up. Try again "
                              "when less is published, or raise max_wal",
                              (long long)(wal >> 20));
        if (backup->progress &&
            backup->progress(backup->ctx, (uint64_t)done * page_size,
                             (uint64_t)total * page_size))
            return hf_explain(why, HF_ECLOSED, "stopped");
    }
    return code == SQLITE_DONE ? 0 : code;
}

static int copy_pages(struct hf_db *source, struct hf_db *copy,
                      uint64_t page_size, const struct hf_backup *backup,
                      struct hf_why *why)
{
    sqlite3_backup *run =
        sqlite3_backup_init(copy->handle, "main", source->handle, "main");
    int result, code;

    if (!run)
        return say_copy_error(copy, sqlite3_errcode(copy->handle), why);
    result = step_through(source, run, page_size, backup, why);
    code = sqlite3_backup_finish(run);
    if (result < 0)
        return result;
    if (result == 0)
        result = code;
    return result ? say_copy_error(copy, result, why) : 0;
}

/* Inside one snapshot, which keeps the backup from beginning again. */
static int copy_snapshot(struct hf_db *source, struct hf_db *copy,
                         uint64_t page_size, const struct hf_backup *backup,
                         struct hf_why *why)
{
    int64_t any;
    int err;

    err = hf_db_begin(source, false);
    if (!err)
        err = hf_db_number(source, "SELECT count(*) FROM sqlite_schema", &any);
    if (err)
        err = hf_explain(why, err, "cannot read the journal: %s",
                         sqlite3_errmsg(source->handle));
    else
        err = copy_pages(source, copy, page_size, backup, why);
    hf_db_rollback(source); /* nothing was written */
    return err;
}

/* --- what makes it a copy ------------------------------------------------ */

static int mark(struct hf_db *copy, struct hf_why *why)
{
    int err;

    err = hf_db_run(copy, "BEGIN IMMEDIATE;"
                          "UPDATE meta SET value = '' WHERE name = 'epoch';"
                          "DELETE FROM sessions;"
                          "DELETE FROM memberships;"
                          "DELETE FROM frames;"
                          "COMMIT;");
    if (err)
        return hf_explain(why, err, "the copy cannot be marked: %s",
                          sqlite3_errmsg(copy->handle));
    return 0;
}

static int look_over(struct hf_db *copy, bool quick, struct hf_why *why)
{
    sqlite3_stmt *stmt;
    bool row;
    int err;

    err = hf_db_get(
        copy, quick ? "PRAGMA quick_check(1)" : "PRAGMA integrity_check(1)",
        &stmt);
    if (!err)
        err = hf_db_step(copy, stmt, &row);
    if (err)
        return hf_explain(why, err, "the copy cannot be looked over: %s",
                          sqlite3_errmsg(copy->handle));
    if (!row)
        return hf_explain(why, HF_ESTORE, "the copy cannot be looked over");
    if (!hf_str_eq(hf_db_text(stmt, 0), HF_STR("ok")))
        err = hf_explain(why, HF_ESTORE, "it is damaged: %.*s",
                         HF_STR_ARG(hf_db_damage(hf_db_text(stmt, 0))));
    hf_db_done(stmt);
    return err;
}

static int copy(struct hf_db *source, struct hf_fresh *fresh,
                const struct hf_backup *backup, const char *remedy,
                struct hf_why *why)
{
    uint64_t page_size = 0;
    int err;

    err = check_room(source, fresh, remedy, &page_size, why);
    if (!err)
        err = copy_snapshot(source, &fresh->db, page_size, backup, why);
    if (!err)
        err = look_over(&fresh->db, backup->quick, why);
    return err;
}

static int fill(struct hf_db *source, struct hf_fresh *fresh,
                const struct hf_backup *backup, const char *remedy,
                struct hf_why *why)
{
    int err = copy(source, fresh, backup, remedy, why);

    return err ? err : mark(&fresh->db, why);
}

int hf_backup_whole(struct hf_db *source, struct hf_fresh *fresh,
                    const struct hf_backup *backup, struct hf_why *why)
{
    struct hf_backup all = *backup;

    all.max_wal = 0; /* nobody publishes meanwhile */
    return copy(source, fresh, &all, "free some or name another place", why);
}

int hf_backup_make(struct hf_db *source, const struct hf_backup *backup,
                   struct hf_why *why)
{
    struct hf_fresh_owner owner = {backup->mode, backup->group};
    struct hf_fresh fresh;
    int err;

    err = check_place(backup, why);
    if (err)
        return err;
    err = hf_fresh_open(&fresh, backup->path, &owner, why);
    if (!err)
        err = fill(source, &fresh, backup, "free some or name another place",
                   why);
    if (!err)
        err = hf_fresh_place(&fresh, backup->replace, why);
    hf_fresh_drop(&fresh);
    return err;
}

int hf_journal_backup(struct hf_journal *journal,
                      const struct hf_backup *backup, struct hf_why *why)
{
    struct hf_backup mine = *backup;
    struct stat st;

    if (fstat(journal->dir.fd, &st) < 0)
        return hf_explain(why, HF_EIO, "%s: %s", journal->dir.path,
                          strerror(errno));
    mine.mode = journal->dir.file_mode;
    mine.group = (mine.mode & S_IRGRP) ? st.st_gid : (gid_t)-1;
    mine.max_wal = journal->settings->max_wal;
    return hf_backup_make(&journal->db, &mine, why);
}

/* --- the way back -------------------------------------------------------- */

static int check_source(struct hf_db *source, const char *path,
                        struct hf_why *why)
{
    int64_t application = 0, version = 0;
    int err = hf_db_number(source, "PRAGMA application_id", &application);

    if (!err)
        err = hf_db_number(source, "PRAGMA user_version", &version);
    if (err)
        return hf_explain(why, err, "%s: %s", path,
                          sqlite3_errmsg(source->handle));
    if (application != HF_APPLICATION_ID || version < 1)
        return hf_explain(why, HF_EINVAL, "%s is no journal of Holdfast", path);
    if (version > (int64_t)HF_SCHEMA_VERSION)
        return hf_explain(why, HF_EINVAL,
                          "%s has version %lld of the tables and this program "
                          "knows %u; install a newer Holdfast",
                          path, (long long)version, HF_SCHEMA_VERSION);
    return hf_db_check_schema(source, hf_schema_texts, (unsigned)version, why);
}

/* SQLite follows no links here, so the path is resolved before. */
static int open_source(struct hf_db *source, const struct hf_dir *dir,
                       const char *path, struct hf_why *why)
{
    char real[PATH_MAX];
    struct stat mine, journal;
    int err;

    if (!realpath(path, real) || stat(real, &mine) < 0)
        return hf_explain(why, errno == ENOENT ? HF_ENOTFOUND : HF_EIO,
                          "%s: %s", path, strerror(errno));
    if (fstatat(dir->fd, HF_FILE_JOURNAL, &journal, 0) == 0 &&
        journal.st_ino == mine.st_ino && journal.st_dev == mine.st_dev)
        return hf_explain(why, HF_EINVAL, "%s is the journal itself", path);
    if (!S_ISREG(mine.st_mode) || !is_journal_file(real))
        return hf_explain(why, HF_EINVAL, "%s is no journal of Holdfast", path);
    err = hf_db_open(source, real, false, "OFF", why);
    if (!err)
        err = check_source(source, path, why);
    return err;
}

static int open_beside(struct hf_fresh *fresh, const struct hf_dir *dir,
                       struct hf_why *why)
{
    struct hf_fresh_owner owner = {dir->file_mode, (gid_t)-1};
    char path[PATH_MAX];
    struct stat st;
    int err = hf_dir_file(dir, HF_FILE_JOURNAL ".restore", path, sizeof(path));

    if (err || fstat(dir->fd, &st) < 0)
        return hf_explain(why, HF_EIO, "%s: the path cannot be used",
                          dir->path);
    if (owner.mode & S_IRGRP)
        owner.group = st.st_gid;
    return hf_fresh_open(fresh, path, &owner, why);
}

static int restore_alone(const struct hf_dir *dir, struct hf_db *source,
                         struct hf_fresh *fresh, const struct hf_backup *backup,
                         char kept[HF_ALONE_KEPT], struct hf_why *why)
{
    struct hf_backup whole = *backup;
    int err;

    whole.max_wal = 0;
    err = open_source(source, dir, backup->path, why);
    if (!err)
        err = open_beside(fresh, dir, why);
    if (!err)
        err = fill(source, fresh, &whole, "free some", why);
    if (!err)
        err = hf_fresh_finish(fresh, why);
    if (!err)
        err = hf_alone_replace(dir, fresh, "before", kept, why);
    if (!err && hf_failed_clear(dir))
        err = hf_explain(why, HF_EIO,
                         "the journal is put back, but the file %s/%s cannot "
                         "be removed: %s",
                         dir->path, HF_FILE_FAILED, strerror(errno));
    return err;
}

int hf_backup_restore(const struct hf_dir *dir, const struct hf_backup *backup,
                      char kept[HF_ALONE_KEPT], struct hf_why *why)
{
    struct hf_db source = {.handle = NULL};
    struct hf_fresh fresh = {.fd = -1, .dir = -1};
    struct hf_alone alone;
    int err;

    err = hf_alone_take(&alone, dir, why);
    if (err)
        return err;
    err = restore_alone(dir, &source, &fresh, backup, kept, why);
    hf_db_close(&source);
    hf_fresh_drop(&fresh);
    hf_alone_end(&alone);
    return err;
}

/*
 * live_open.c - live.db: which file it is, opened, made anew, closed
 */
#include "schema/live.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"
#include "base/sys.h"
#include "schema/journal_impl.h"
#include "schema/live_impl.h"
#include "schema/sql.h"

#define APPLICATION_ID 0x48464c31 /* "HFL1" */
#define SCHEMA_VERSION 6
#define WAIT_MS        1000 /* for other processes */
#define FILES_MAX      100u /* live-99.db: somebody damages them for sport */

static int file_name(unsigned number, char out[32])
{
    if (number == 0)
        return snprintf(out, 32, "%s", HF_FILE_LIVE);
    return snprintf(out, 32, "live-%u.db", number);
}

/*
 * A damaged file stays where it is, for others have it open, and the next
 * number is taken; the one with the greatest number counts. (Renaming would
 * leave two databases with one name for their WAL.)
 */
static unsigned newest(const struct hf_dir *dir)
{
    char name[32];
    unsigned number = 0;

    do {
        (void)file_name(number + 1, name);
    } while (faccessat(dir->fd, name, F_OK, 0) == 0 && ++number < FILES_MAX);
    return number;
}

static int fill(struct hf_db *db, struct hf_why *why)
{
    int err;

    err = hf_db_run(db, "BEGIN IMMEDIATE");
    if (!err)
        err = hf_db_run(db, hf_sql_live);
    if (!err)
        return hf_db_run(db, "COMMIT");
    (void)hf_explain(why, err, "%s", sqlite3_errmsg(db->handle));
    (void)hf_db_run(db, "ROLLBACK"); /* the first error counts */
    return err;
}

static int read_version(struct hf_db *db, int64_t *application,
                        int64_t *version)
{
    int err = hf_db_number(db, "PRAGMA application_id", application);

    return err ? err : hf_db_number(db, "PRAGMA user_version", version);
}

/* Filled first when it is empty. Of what is filled the version is read, too: a
 * program whose text is of another one would refuse its own files. */
static int check_version(struct hf_db *db, struct hf_why *why)
{
    int64_t application = 0, version = 0;
    int err;

    err = read_version(db, &application, &version);
    if (!err && application == 0 && version == 0) {
        err = fill(db, why);
        if (!err)
            err = read_version(db, &application, &version);
    }
    if (err)
        return err;
    if (application != APPLICATION_ID)
        return hf_explain(why, HF_ESTORE, "not ours");
    if (version != SCHEMA_VERSION)
        return hf_explain(why, HF_ESTORE, "of version %lld, not %d",
                          (long long)version, SCHEMA_VERSION);
    return 0;
}

/* Times since another boot mean nothing. */
static int forget_other_boot(struct hf_db *db)
{
    char boot[40];
    sqlite3_stmt *stmt;
    bool row, same = false;
    int err;

    err = hf_boot_id(boot);
    if (!err)
        err = hf_db_get(db, "SELECT id FROM boot", &stmt);
    if (!err)
        err = hf_db_step(db, stmt, &row);
    if (err)
        return err;
    if (row) {
        same = hf_str_eq(hf_db_text(stmt, 0), hf_str_of(boot));
        hf_db_done(stmt);
    }
    if (same)
        return 0;
    err = hf_db_run(db, "DELETE FROM leases; DELETE FROM replies;"
                        "DELETE FROM owners;"
                        "UPDATE reaper SET due_ms = 0;"
                        "DELETE FROM boot;");
    if (!err)
        err = hf_db_get(db, "INSERT INTO boot (id) VALUES (?1)", &stmt);
    if (err)
        return err;
    hf_db_bind_text(stmt, 1, hf_str_of(boot));
    return hf_db_finish(db, stmt);
}

static int open_number(struct hf_live *live, const struct hf_dir *dir,
                       unsigned number, struct hf_why *why)
{
    char name[32], path[PATH_MAX];
    struct hf_why here = {""};
    struct stat st;
    int err, fd;

    (void)file_name(number, name);
    err = hf_dir_file(dir, name, path, sizeof(path));
    if (err)
        return hf_explain(why, err, "%s: the path is too long", dir->path);
    fd = faccessat(dir->fd, name, F_OK, 0) == 0 ? -1
                                                : hf_dir_open_file(dir, name);
    hf_close(&fd); /* made with our mode; SQLite has not opened it yet */
    err = hf_db_open(&live->db, path, true, "OFF", why);
    if (err)
        return err;
    err = hf_db_run(&live->db, "PRAGMA journal_mode = WAL");
    hf_db_keep_few(&live->db);
    if (!err)
        err = check_version(&live->db, &here);
    if (!err)
        err = forget_other_boot(&live->db);
    if (err) {
        (void)hf_explain(why, err, "%s: %s", path,
                         here.text[0] ? here.text
                                      : sqlite3_errmsg(live->db.handle));
        hf_db_close(&live->db);
        return err;
    }
    live->number = number;
    if (fstatat(dir->fd, name, &st, 0) == 0) {
        live->device = st.st_dev;
        live->inode = st.st_ino;
    }
    return 0;
}

static int open_newest(struct hf_live *live, const struct hf_dir *dir,
                       struct hf_why *why)
{
    unsigned number = newest(dir);
    int err;

    err = open_number(live, dir, number, why);
    if (err != HF_ESTORE || number + 1 >= FILES_MAX)
        return err;
    HF_LOG(HF_LOG_WARN, "live_damaged", hf_field_i("number", number),
           hf_field("why", why ? why->text : NULL),
           hf_field("hint", "the next file is taken; polls are asked again"));
    return open_number(live, dir, number + 1, why);
}

int hf_live_open(const struct hf_dir *dir, struct hf_live **out,
                 struct hf_why *why)
{
    struct hf_why here = {""};
    struct hf_live *live;
    int err, lock;

    /* All of it under a lock, so that nobody meets a half-made file. */
    lock = hf_dir_open_file(dir, HF_FILE_WRITERS);
    if (lock < 0)
        return hf_explain(why, HF_EIO, "%s/%s: %s", dir->path, HF_FILE_WRITERS,
                          strerror(errno));
    live = calloc(1, sizeof(*live));
    err = live ? hf_lock_wait(lock, HF_WRITERS_LIVE, 1, hf_boot_ms() + WAIT_MS)
               : HF_ENOMEM;
    if (err)
        (void)hf_explain(&here, err, "live.db: %s", hf_strerror(err));
    else
        err = open_newest(live, dir, &here);
    hf_close(&lock);
    if (err) {
        free(live);
        return hf_explain(why, err, "%s", here.text);
    }
    hf_db_wait(&live->db, WAIT_MS);
    /* Without a name of its own it parks each poll anew. */
    if (hf_random(&live->self, sizeof(live->self)))
        live->self = 0;
    live->self &= INT64_MAX;
    *out = live;
    return 0;
}

void hf_live_close(struct hf_live *live)
{
    if (!live)
        return;
    hf_db_close(&live->db);
    free(live);
}

void hf_live_rest(struct hf_live *live)
{
    hf_db_forget(&live->db);
}

bool hf_live_moved(const struct hf_live *live, const struct hf_dir *dir)
{
    char name[32];
    struct stat st;

    (void)file_name(live->number, name);
    return newest(dir) != live->number || fstatat(dir->fd, name, &st, 0) != 0 ||
           st.st_dev != live->device || st.st_ino != live->inode;
}

#include "schema/migrate.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/sys.h"
#include "schema/backup.h"
#include "schema/journal_impl.h"
#include "schema/sql.h"

/* Copying a large journal takes a while, and whoever comes second waits. */
#define MIGRATE_WAIT_MS 120000

const char *const hf_schema_texts[HF_SCHEMA_VERSION] = {
    hf_sql_001_journal,
    hf_sql_002_retention,
    hf_sql_003_channels,
};

static int read_version(struct hf_journal *journal, unsigned *out)
{
    int64_t version;
    int err = hf_db_number(&journal->db, "PRAGMA user_version", &version);

    if (!err)
        *out = version < 0 ? 0 : (unsigned)version;
    return err;
}

static int back_up(struct hf_journal *journal, unsigned version,
                   struct hf_why *why)
{
    char name[48], path[PATH_MAX];
    struct hf_backup backup = {.path = path, .replace = true, .quick = true};
    int err;

    (void)snprintf(name, sizeof(name), HF_FILE_JOURNAL ".v%u-backup", version);
    err = hf_dir_file(&journal->dir, name, path, sizeof(path));
    if (err)
        return hf_explain(why, err, "%s: the path is too long",
                          journal->dir.path);
    HF_LOG(HF_LOG_INFO, "journal_migrating",
           hf_field_i("from", (long long)version),
           hf_field_i("to", HF_SCHEMA_VERSION), hf_field("backup", path));
    return hf_journal_backup(journal, &backup, why);
}

/* Inside the transaction. Other locks protect us from our own; a foreign
 * program may have done whatever it liked meanwhile. */
static int run_texts(struct hf_journal *journal, unsigned version)
{
    unsigned now = 0;
    int err;

    err = read_version(journal, &now);
    if (!err && now != version)
        return HF_EBUSY;
    for (; !err && version < HF_SCHEMA_VERSION; version++)
        err = hf_db_run(&journal->db, hf_schema_texts[version]);
    return err ? err : hf_db_do(&journal->db, "COMMIT");
}

static int change(struct hf_journal *journal, unsigned version,
                  struct hf_why *why)
{
    int err;

    err = hf_journal_lock(journal, hf_boot_ms() + journal->settings->busy_ms);
    if (!err)
        err = run_texts(journal, version);
    if (err)
        err = hf_explain(
            why, err,
            "the tables of %s/%s cannot be brought from version "
            "%u to %u: %s; nothing was changed",
            journal->dir.path, HF_FILE_JOURNAL, version, HF_SCHEMA_VERSION,
            err == HF_EBUSY ? "another program keeps the write lock"
                            : sqlite3_errmsg(journal->db.handle));
    hf_journal_unlock(journal);
    return err;
}

static int migrate_alone(struct hf_journal *journal, struct hf_why *why)
{
    unsigned version = 0;
    int err;

    err = read_version(journal, &version);
    if (err)
        return hf_explain(why, err, "cannot read %s/%s: %s", journal->dir.path,
                          HF_FILE_JOURNAL, sqlite3_errmsg(journal->db.handle));
    if (version >= HF_SCHEMA_VERSION)
        return 0; /* who was before us has done it */
    err = hf_db_check_schema(&journal->db, hf_schema_texts, version, why);
    if (!err)
        err = back_up(journal, version, why);
    if (!err)
        err = change(journal, version, why);
    if (!err)
        HF_LOG(HF_LOG_INFO, "journal_migrated",
               hf_field_i("from", (long long)version),
               hf_field_i("to", HF_SCHEMA_VERSION));
    return err;
}

int hf_migrate(struct hf_journal *journal, struct hf_why *why)
{
    int lock = hf_dir_open_file(&journal->dir, HF_FILE_WRITERS);
    int err;

    if (lock < 0)
        return hf_explain(why, HF_EIO, "%s/%s: %s", journal->dir.path,
                          HF_FILE_WRITERS, strerror(errno));
    err = hf_lock_wait(lock, HF_WRITERS_UPKEEP, 1,
                       hf_boot_ms() + MIGRATE_WAIT_MS);
    if (err)
        err = hf_explain(why, err,
                         "another process changes the tables of %s/%s; try "
                         "again in a while",
                         journal->dir.path, HF_FILE_JOURNAL);
    else
        err = migrate_alone(journal, why);
    hf_close(&lock); /* and so the lock */
    return err;
}

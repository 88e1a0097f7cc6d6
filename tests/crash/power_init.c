/*
 * power_init.c - the power fails while `holdfast init` makes a journal, or while
 * the tables of an older one are brought forward
 */
#include "tests/crash/power.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "schema/journal.h"
#include "schema/sql.h"

static void begin_init_cut(void *ctx)
{
    (void)ctx;
    shared->at_cut.next = shared->now.next; /* had init returned? */
}

static _Noreturn void end(void *ctx)
{
    (void)ctx;
    _exit(0);
}

static bool publish_in(const char *directory, struct hf_why *why)
{
    struct hf_publish publish = {
        .topic = HF_STR("t0"), .event = HF_STR("e"), .payload = HF_STR("1")};
    struct hf_settings settings;
    struct hf_journal *journal;
    struct hf_dir dir;
    uint64_t id;
    bool repeated, done;

    hf_settings_default(&settings);
    if (hf_dir_open(&dir, directory, why))
        return false;
    if (hf_journal_open(&dir, &settings, HF_JOURNAL_WRITE, &journal, why)) {
        hf_dir_close(&dir);
        return false;
    }
    done = hf_journal_begin(journal) == 0 &&
           hf_journal_append(journal, &publish, &id, &repeated) == 0 &&
           hf_journal_commit(journal) == 0;
    hf_journal_close(journal);
    hf_dir_close(&dir);
    return done;
}

static void begin(const char *directory, const char *image, uint64_t seed,
                  unsigned within)
{
    struct disk_plan plan = {
        .moment = DISK_ANY, .image = image, .cut = begin_init_cut, .made = end};

    hf_log_open("test", HF_LOG_ERROR + 1, false);
    plan.nth = 1 + disk_random(&seed) % within;
    plan.fate = (enum disk_fate)(disk_random(&seed) % DISK_FATES);
    plan.seed = disk_random(&seed);
    shared->moment = DISK_ANY;
    shared->now.next = 0;
    disk_begin(directory);
    disk_plan(&plan);
}

_Noreturn void power_init(const char *directory, const char *image,
                          uint64_t seed)
{
    struct hf_why why = {""};
    bool existed;

    if (mkdir(directory, 0700) < 0)
        power_die("mkdir", directory);
    begin(directory, image, seed, 130);
    if (hf_dir_init(directory, NULL, &existed, &why))
        power_die("init", why.text);
    shared->now.next = 1;
    while (publish_in(directory, &why))
        ;
    power_die("publish after init", why.text);
}

_Noreturn void power_judge_init(const char *image)
{
    struct hf_why why = {""};
    bool existed;

    hf_log_open("test", HF_LOG_ERROR + 1, false);
    shared->findings.cuts++;
    if (shared->at_cut.next > 0 && !publish_in(image, &why))
        power_bad(RULE_INIT, "init had returned: %s", why.text);
    if (hf_dir_init(image, NULL, &existed, &why))
        power_bad(RULE_INIT, "init again: %s", why.text);
    else if (!publish_in(image, &why))
        power_bad(RULE_INIT, "publish: %s", why.text);
    _exit(0);
}

/* --- tables of version 1 -------------------------------------------------- */

#define OLD_MESSAGES 40

static void make_old(const char *directory)
{
    struct hf_why why = {""};
    char path[PATH_MAX];
    sqlite3 *db;
    bool existed;
    unsigned i;

    if (hf_dir_init(directory, NULL, &existed, &why))
        power_die("init", why.text);
    (void)snprintf(path, sizeof(path), "cd '%s' && rm -f journal.db* head",
                   directory);
    if (system(path))
        power_die("cannot remove", directory);
    (void)snprintf(path, sizeof(path), "%s/%s", directory, HF_FILE_JOURNAL);
    if (sqlite3_open(path, &db) ||
        sqlite3_exec(db, "PRAGMA journal_mode = WAL", NULL, NULL, NULL) ||
        sqlite3_exec(db, hf_sql_001_journal, NULL, NULL, NULL))
        power_die("old tables", sqlite3_errmsg(db));
    for (i = 0; i < OLD_MESSAGES; i++)
        if (sqlite3_exec(db,
                         "INSERT INTO messages (topic, event, payload)"
                         " VALUES ('t0', 'old', '1')",
                         NULL, NULL, NULL))
            power_die("old message", sqlite3_errmsg(db));
    if (sqlite3_close(db) || chmod(path, 0600) < 0)
        power_die("old tables", "close");
}

_Noreturn void power_migrate(const char *directory, const char *image,
                             uint64_t seed)
{
    struct hf_why why = {""};

    make_old(directory);
    begin(directory, image, seed, 160);
    while (publish_in(directory, &why))
        shared->now.next = 1;
    power_die("publish in old tables", why.text);
}

static int count_old(void *ctx, const struct hf_row *row)
{
    *(unsigned *)ctx += hf_str_eq(row->event, HF_STR("old"));
    return 0;
}

static unsigned old_messages(const char *image, struct hf_why *why)
{
    struct hf_settings settings;
    struct hf_journal *journal;
    unsigned count = 0;
    struct hf_dir dir;
    uint64_t last;
    bool more;

    hf_settings_default(&settings);
    if (hf_dir_open(&dir, image, why))
        return 0;
    if (hf_journal_open(&dir, &settings, HF_JOURNAL_READ, &journal, why) == 0) {
        if (hf_journal_read(journal, 0, 1000, 1 << 20, count_old, &count, &last,
                            &more))
            count = 0;
        hf_journal_close(journal);
    }
    hf_dir_close(&dir);
    return count;
}

_Noreturn void power_judge_migrate(const char *image)
{
    struct hf_why why = {""};
    unsigned count;

    hf_log_open("test", HF_LOG_ERROR + 1, false);
    shared->findings.cuts++;
    if (!publish_in(image, &why))
        power_bad(RULE_MIGRATE, "publish: %s", why.text);
    count = old_messages(image, &why);
    if (count != OLD_MESSAGES)
        power_bad(RULE_MIGRATE, "%u of %d old messages are there: %s", count,
                  OLD_MESSAGES, why.text);
    _exit(0);
}

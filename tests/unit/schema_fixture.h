/*
 * schema_fixture.h - a fresh journal directory per test, connections to it,
 * and a foreign program's view of it: plain SQLite without us
 */
#ifndef HF_TESTS_SCHEMA_FIXTURE_H
#define HF_TESTS_SCHEMA_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include <sqlite3.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "schema/dir.h"
#include "schema/journal.h"
#include "schema/settings.h"

struct fixture {
    char path[64];
    struct hf_dir dir;
    struct hf_settings settings;
    sqlite3 *foreign; /* opened when first used */
};

static struct fixture f;

/* 0, or fails the test with the words of *why. */
static inline void ok_or_why(int err, const struct hf_why *why)
{
    if (err)
        fail_msg("%s: %s", hf_strerror(err), why->text);
}

static inline int fixture_set_up(void **state)
{
    const char *tmp = getenv("TMPDIR");
    struct hf_why why = {""};
    bool existed;

    (void)state;
    hf_log_open("test", HF_LOG_ERROR + 1, false); /* errors are looked for */
    f = (struct fixture){.dir = {.fd = -1}};
    (void)snprintf(f.path, sizeof(f.path), "%.30s/holdfast-test.XXXXXX",
                   tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(f.path));
    ok_or_why(hf_dir_init(f.path, NULL, &existed, &why), &why);
    assert_false(existed);
    ok_or_why(hf_dir_open(&f.dir, f.path, &why), &why);
    hf_settings_default(&f.settings);
    return 0;
}

static inline void foreign_close(void)
{
    assert_int_equal(sqlite3_close(f.foreign), SQLITE_OK);
    f.foreign = NULL;
}

static inline int fixture_tear_down(void **state)
{
    char command[128];

    (void)state;
    foreign_close();
    hf_dir_close(&f.dir);
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", f.path);
    return system(command);
}

#define FIXTURE_TEST(name)                                                     \
    cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

static inline const char *path_of(const char *name)
{
    static char path[PATH_MAX];

    assert_int_equal(hf_dir_file(&f.dir, name, path, sizeof(path)), 0);
    return path;
}

static inline struct hf_journal *open_journal(enum hf_journal_use use)
{
    struct hf_journal *journal = NULL;
    struct hf_why why = {""};

    ok_or_why(hf_journal_open(&f.dir, &f.settings, use, &journal, &why), &why);
    return journal;
}

static inline sqlite3 *foreign(void)
{
    if (!f.foreign) {
        assert_int_equal(sqlite3_open(path_of(HF_FILE_JOURNAL), &f.foreign),
                         SQLITE_OK);
        sqlite3_busy_timeout(f.foreign, 2000);
    }
    return f.foreign;
}

/* Words of the error, or "" when it worked. */
static inline const char *foreign_run(const char *sql)
{
    static char words[256];
    char *message = NULL;

    words[0] = '\0';
    if (sqlite3_exec(foreign(), sql, NULL, NULL, &message))
        (void)snprintf(words, sizeof(words), "%s", message ? message : "?");
    sqlite3_free(message);
    return words;
}

static inline void foreign_ok(const char *sql)
{
    assert_string_equal(foreign_run(sql), "");
}

static inline int64_t foreign_number(const char *sql)
{
    sqlite3_stmt *stmt;
    int64_t number;

    assert_int_equal(sqlite3_prepare_v2(foreign(), sql, -1, &stmt, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    number = sqlite3_column_int64(stmt, 0);
    assert_int_equal(sqlite3_finalize(stmt), SQLITE_OK);
    return number;
}

/* One message in a transaction of its own; its id. */
static inline uint64_t publish(struct hf_journal *journal, const char *topic,
                               const char *payload)
{
    struct hf_publish message = {.topic = hf_str_of(topic),
                                 .event = HF_STR("say"),
                                 .payload = hf_str_of(payload)};
    bool repeated = true;
    uint64_t id = 0;

    assert_int_equal(hf_journal_begin(journal), 0);
    assert_int_equal(hf_journal_append(journal, &message, &id, &repeated), 0);
    assert_int_equal(hf_journal_commit(journal), 0);
    assert_false(repeated);
    return id;
}

static inline uint64_t head_of(struct hf_journal *journal)
{
    uint64_t head = 0;

    assert_int_equal(hf_journal_head(journal, &head), 0);
    return head;
}

#endif

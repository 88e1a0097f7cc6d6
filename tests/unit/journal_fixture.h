/*
 * journal_fixture.h - a fresh journal directory for a test, and its removal
 */
#ifndef HF_TESTS_JOURNAL_FIXTURE_H
#define HF_TESTS_JOURNAL_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/err.h"
#include "base/clock.h"
#include "base/loop.h"
#include "channel/process.h"
#include "schema/dir.h"
#include "schema/policies.h"

struct fixture {
    char parent[64];
    char dir[80];
    struct hf_loop *loop;
    struct hf_process process;
};

static inline void fixture_fail(const char *what, const struct hf_why *why)
{
    fail_msg("%s: %s", what, why->text);
}

/* Write a policy through a connection of its own. */
static inline void allow_policy(const char *dir, const struct hf_policy *policy)
{
    struct hf_settings settings;
    struct hf_journal *journal = NULL;
    struct hf_why why = {""};
    struct hf_dir d;

    hf_settings_default(&settings);
    if (hf_dir_open(&d, dir, &why) ||
        hf_journal_open(&d, &settings, HF_JOURNAL_WRITE, &journal, &why))
        fixture_fail("allow", &why);
    assert_int_equal(hf_journal_begin(journal), 0);
    assert_int_equal(hf_policy_set(journal, policy), 0);
    assert_int_equal(hf_journal_commit(journal), 0);
    hf_journal_close(journal);
    hf_dir_close(&d);
}

static inline void allow(const char *dir, const char *pattern, unsigned rights,
                         bool echo)
{
    const struct hf_policy policy = {hf_str_of(pattern), rights, echo, 0};

    allow_policy(dir, &policy);
}

static inline void fixture_begin(struct fixture *f)
{
    const char *tmp = getenv("TMPDIR");
    struct hf_why why = {""};

    *f = (struct fixture){0};
    snprintf(f->parent, sizeof(f->parent), "%.40s/hfXXXXXX",
             tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(f->parent));
    snprintf(f->dir, sizeof(f->dir), "%s/j", f->parent);
    bool existed;
    if (hf_dir_init(f->dir, NULL, &existed, &why))
        fixture_fail("init", &why);
    allow(f->dir, "room:*", HF_RIGHT_JOIN | HF_RIGHT_PUBLISH, true);
    assert_int_equal(hf_loop_new(&f->loop), 0);
}

static inline void fixture_open(struct fixture *f, struct hf_process *process,
                                bool threaded)
{
    struct hf_why why = {""};

    if (hf_process_open(process, f->loop, f->dir, threaded, &why))
        fixture_fail("open", &why);
    /* who tests how often one may, says so */
    process->settings.push_rate = process->settings.join_rate = 0;
}

static inline void fixture_end(struct fixture *f)
{
    char command[128];

    hf_loop_free(f->loop);
    snprintf(command, sizeof(command), "rm -rf '%s'", f->parent);
    assert_int_equal(system(command), 0);
}

/* Publish as another program would, through a connection of its own. */
static inline uint64_t fixture_publish(const struct hf_process *process,
                                       const char *topic, const char *payload)
{
    struct hf_publish p = {.topic = hf_str_of(topic),
                           .event = HF_STR("news"),
                           .payload = hf_str_of(payload)};
    struct hf_journal *journal;
    struct hf_why why = {""};
    uint64_t id;
    bool repeated;

    if (hf_journal_open(&process->dir, &process->settings, HF_JOURNAL_WRITE,
                        &journal, &why))
        fixture_fail("publish", &why);
    assert_int_equal(hf_journal_begin(journal), 0);
    assert_int_equal(hf_journal_append(journal, &p, &id, &repeated), 0);
    assert_int_equal(hf_journal_commit(journal), 0);
    hf_journal_close(journal);
    return id;
}

/* What a script with the sqlite3 shell does. */
static inline void fixture_sql(const struct fixture *f, const char *sql)
{
    char command[600];

    snprintf(command, sizeof(command), "sqlite3 '%s/journal.db' \"%s\"", f->dir,
             sql);
    assert_int_equal(system(command), 0);
}

/* Turn the loop until *done, at most so long. */
static inline bool turn_until(struct hf_loop *loop, const bool *done,
                              int max_ms)
{
    int64_t end = hf_boot_ms() + max_ms;

    while (!*done && hf_boot_ms() < end)
        assert_int_equal(hf_loop_turn(loop, 10), 0);
    return *done;
}

static inline void turn_for(struct hf_loop *loop, int ms)
{
    bool never = false;

    (void)turn_until(loop, &never, ms);
}

#endif

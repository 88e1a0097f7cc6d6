/*
 * What memory that is short for a moment may leave behind in a connection:
 * nothing. Each allocation of SQLite's fails, alone or with all that follow.
 */
#include "schema/journal.h"

#include "schema_fixture.h"

#include <limits.h>
#include <stdbool.h>

#define FOREVER ULONG_MAX

static sqlite3_mem_methods below;
static unsigned long asked, fails_from, fails_to; /* counted from 1; 0 = none */

static bool due(void)
{
    asked++;
    return asked >= fails_from && asked <= fails_to;
}

static void *our_malloc(int size)
{
    return due() ? NULL : below.xMalloc(size);
}

static void *our_realloc(void *at, int size)
{
    return due() ? NULL : below.xRealloc(at, size);
}

static void run_short(unsigned long from, unsigned long to)
{
    asked = 0;
    fails_from = from;
    fails_to = to;
}

/* True while the story came to the call that was to fail. */
static bool struck(void)
{
    bool came = asked >= fails_from;

    run_short(0, 0);
    return came;
}

/* --- a reader ------------------------------------------------------------ */

static bool can_read(struct hf_journal *journal)
{
    uint64_t head = 0;
    int err = hf_journal_snapshot(journal);

    if (err)
        return false;
    err = hf_journal_head(journal, &head);
    hf_journal_snapshot_end(journal);
    return err == 0;
}

/* Its first snapshot, which makes all statements, meets the failure. */
static bool snapshot_fails(unsigned long from, unsigned long to)
{
    struct hf_journal *journal = open_journal(HF_JOURNAL_READ);
    bool came;

    run_short(from, to);
    (void)can_read(journal);
    came = struck();
    if (!can_read(journal))
        fail_msg("allocation %lu to %lu: no snapshot any more", from, to);
    hf_journal_close(journal);
    return came;
}

static void a_snapshot_ends_though_memory_is_short(void **state)
{
    unsigned long n;

    (void)state;
    for (n = 1; snapshot_fails(n, n); n++)
        continue;
    assert_true(n > 10);
    for (n = 1; snapshot_fails(n, FOREVER); n++)
        continue;
}

/* --- a writer ------------------------------------------------------------ */

static int append(struct hf_journal *journal, const char *event)
{
    struct hf_publish publish = {.topic = HF_STR("room:a"),
                                 .event = hf_str_of(event),
                                 .payload = HF_STR("{}")};
    bool repeated;
    uint64_t id;

    return hf_journal_append(journal, &publish, &id, &repeated);
}

/* A part of two messages, of which the second is refused. */
static bool part_fails(unsigned long from, unsigned long to)
{
    struct hf_journal *journal = open_journal(HF_JOURNAL_WRITE);
    bool came, begun;
    int err;

    assert_int_equal(hf_journal_begin(journal), 0);
    assert_int_equal(append(journal, "kept"), 0); /* makes the statement */
    run_short(from, to);
    err = hf_journal_part_begin(journal);
    begun = !err;
    if (begun)
        err = append(journal, "undone");
    if (!err)
        err = append(journal, "phx_refused");
    assert_int_not_equal(err, 0);
    if (begun)
        hf_journal_part_undo(journal);
    came = struck();
    (void)hf_journal_commit(journal); /* or SQLite has rolled back all of it */
    if (foreign_number("SELECT count(*) FROM messages WHERE event = 'undone'"))
        fail_msg("allocation %lu to %lu: the part was kept", from, to);
    assert_int_equal(hf_journal_begin(journal), 0);
    assert_int_equal(append(journal, "next"), 0);
    assert_int_equal(hf_journal_commit(journal), 0);
    hf_journal_close(journal);
    return came;
}

static void a_part_is_undone_though_memory_is_short(void **state)
{
    unsigned long n;

    (void)state;
    for (n = 1; part_fails(n, n); n++)
        continue;
    assert_true(n > 10);
    for (n = 1; part_fails(n, FOREVER); n++)
        continue;
}

static bool begin_fails(unsigned long from, unsigned long to)
{
    struct hf_journal *journal = open_journal(HF_JOURNAL_WRITE);
    bool came;
    int err;

    run_short(from, to);
    err = hf_journal_begin(journal);
    if (!err)
        hf_journal_rollback(journal);
    came = struck();
    if (hf_journal_begin(journal))
        fail_msg("allocation %lu to %lu: no transaction any more", from, to);
    assert_int_equal(append(journal, "next"), 0);
    assert_int_equal(hf_journal_commit(journal), 0);
    hf_journal_close(journal);
    return came;
}

static void a_rollback_succeeds_though_memory_is_short(void **state)
{
    unsigned long n;

    (void)state;
    for (n = 1; begin_fails(n, n); n++)
        continue;
    for (n = 1; begin_fails(n, FOREVER); n++)
        continue;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(a_snapshot_ends_though_memory_is_short),
        FIXTURE_TEST(a_part_is_undone_though_memory_is_short),
        FIXTURE_TEST(a_rollback_succeeds_though_memory_is_short),
    };
    sqlite3_mem_methods methods;

    if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &below))
        return 1;
    methods = below;
    methods.xMalloc = our_malloc;
    methods.xRealloc = our_realloc;
    /* A connection's own pool of small pieces would hide most of it. */
    if (sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) ||
        sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0))
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}

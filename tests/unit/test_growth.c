/*
 * How a connection learns that the journal has grown, and what it reads then
 */
#include "schema/journal_impl.h"

#include "schema_fixture.h"

static void a_change_is_told_once(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    struct hf_journal *r = open_journal(HF_JOURNAL_READ);
    bool changed = false;

    (void)state;
    assert_int_equal(hf_journal_changed(r, &changed), 0);
    assert_true(changed); /* the first call says yes */
    assert_int_equal(hf_journal_changed(r, &changed), 0);
    assert_false(changed);
    publish(w, "a", "1");
    assert_int_equal(hf_journal_changed(r, &changed), 0);
    assert_true(changed);
    assert_int_equal(hf_journal_changed(r, &changed), 0);
    assert_false(changed);
    hf_journal_close(r);
    hf_journal_close(w);
}

/* What a read sees in it, whatever is committed meanwhile. */
static void a_snapshot_within_a_snapshot_is_the_same(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    struct hf_journal *r = open_journal(HF_JOURNAL_READ);

    (void)state;
    publish(w, "a", "1");
    assert_int_equal(hf_journal_snapshot(r), 0);
    publish(w, "a", "2");
    assert_int_equal(hf_journal_snapshot(r), 0);
    assert_int_equal(head_of(r), 1);
    hf_journal_snapshot_end(r);
    assert_int_equal(head_of(r), 1); /* the outer one goes on */
    hf_journal_snapshot_end(r);
    assert_int_equal(head_of(r), 2);
    hf_journal_snapshot_end(r); /* none is open: nothing */
    hf_journal_close(r);
    hf_journal_close(w);
}

static void a_snapshot_is_open_only_where_something_is_new(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    struct hf_journal *r = open_journal(HF_JOURNAL_READ);
    bool new = false;

    (void)state;
    assert_int_equal(hf_journal_snapshot_if_new(r, &new), 0);
    assert_true(new); /* the first time */
    hf_journal_snapshot_end(r);
    assert_int_equal(hf_journal_snapshot_if_new(r, &new), 0);
    assert_false(new);
    publish(w, "a", "1");
    assert_int_equal(head_of(r), 1); /* none is open */
    assert_int_equal(hf_journal_snapshot_if_new(r, &new), 0);
    assert_true(new);
    publish(w, "a", "2");
    assert_int_equal(head_of(r), 1);
    hf_journal_snapshot_end(r);
    assert_int_equal(hf_journal_snapshot_if_new(r, &new), 0);
    assert_true(new); /* the second, committed in between */
    assert_int_equal(head_of(r), 2);
    hf_journal_snapshot_end(r);
    hf_journal_close(r);
    hf_journal_close(w);
}

static bool is_new(struct hf_journal *r)
{
    bool new = false;

    assert_int_equal(hf_journal_changed(r, &new), 0);
    return new;
}

/* Also those that make SQLite begin its log anew, or another one. */
static void every_commit_stirs(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    struct hf_journal *r = open_journal(HF_JOURNAL_READ);
    unsigned i;

    (void)state;
    assert_true(hf_journal_stirred(r)); /* it was never asked */
    assert_true(is_new(r));
    for (i = 0; i < 300; i++) {
        assert_false(hf_journal_stirred(r));
        if (i % 3 == 0)
            foreign_ok("INSERT INTO messages (topic, event, payload)"
                       " VALUES ('a', 'b', '1')");
        else
            publish(w, "a", "1");
        if (i % 50 == 0)
            foreign_ok("PRAGMA wal_checkpoint(TRUNCATE)");
        else if (i % 20 == 0)
            foreign_ok("PRAGMA wal_checkpoint(RESTART)");
        assert_true(hf_journal_stirred(r));
        assert_true(hf_journal_stirred(r)); /* until it is asked again */
        assert_true(is_new(r));
    }
    hf_journal_close(r);
    hf_journal_close(w);
}

/* Else each look of the watcher would find the pages it let go itself. */
static void to_rest_is_no_change(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    struct hf_journal *r = open_journal(HF_JOURNAL_READ);

    (void)state;
    publish(w, "a", "1");
    assert_true(is_new(r));
    hf_journal_rest(r);
    assert_false(hf_journal_stirred(r));
    assert_false(is_new(r));
    hf_journal_rest(r);
    publish(w, "a", "2");
    assert_true(is_new(r));
    hf_journal_close(r);
    hf_journal_close(w);
}

static int tables_known(const struct hf_journal *journal)
{
    int bytes = 0, most;

    assert_int_equal(sqlite3_db_status(journal->db.handle,
                                       SQLITE_DBSTATUS_SCHEMA_USED, &bytes,
                                       &most, 0),
                     0);
    return bytes;
}

static void
what_is_known_of_the_tables_can_be_shed_until_anybody_commits(void **state)
{
    struct hf_journal *w = open_journal(HF_JOURNAL_WRITE);
    struct hf_journal *r = open_journal(HF_JOURNAL_READ);
    int before, i;

    (void)state;
    publish(w, "a", "1");
    assert_true(is_new(r));
    before = tables_known(r);
    hf_journal_shed(r);
    assert_true(tables_known(r) < before / 10);
    assert_int_equal(r->db.kept_count, 1); /* to ask for the version */
    for (i = 0; i < 3; i++)
        assert_false(is_new(r));
    assert_false(hf_journal_stirred(r));
    assert_true(tables_known(r) < before / 10);
    for (i = 0; i < 3; i++) {
        publish(w, "a", "2");
        assert_true(hf_journal_stirred(r));
        assert_true(is_new(r));
        assert_false(is_new(r));
        assert_true(tables_known(r) > before / 2);
        if (i == 1)
            hf_journal_shed(r);
    }
    hf_journal_shed(r);
    foreign_ok("INSERT INTO messages (topic, event, payload)"
               " VALUES ('a', 'b', '1')");
    assert_true(is_new(r));
    hf_journal_close(r);
    hf_journal_close(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(a_change_is_told_once),
        FIXTURE_TEST(a_snapshot_within_a_snapshot_is_the_same),
        FIXTURE_TEST(a_snapshot_is_open_only_where_something_is_new),
        FIXTURE_TEST(every_commit_stirs),
        FIXTURE_TEST(to_rest_is_no_change),
        FIXTURE_TEST(
            what_is_known_of_the_tables_can_be_shed_until_anybody_commits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

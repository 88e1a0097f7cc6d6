#include "schema/writer.h"

#include "schema_fixture.h"

#include <pthread.h>
#include <sys/stat.h>

static struct hf_loop *loop;
static struct hf_writer *writer;
static sqlite3 *other; /* sees what is committed, and nothing else */

struct push {
    struct hf_job job;
    struct hf_publish message;
    bool fails;    /* after it has appended */
    unsigned done; /* how often */
    int err;
    uint64_t id;
    bool visible; /* for another connection, when it was done */
    pthread_t ran_on;
    struct push *then; /* submitted by done */
};

static int run(struct hf_job *job, struct hf_journal *journal)
{
    struct push *push = HF_ITEM(job, struct push, job);
    bool repeated;
    int err;

    push->ran_on = pthread_self();
    err = hf_journal_append(journal, &push->message, &push->id, &repeated);
    return err ? err : push->fails ? HF_EDENIED : 0;
}

static bool is_there(uint64_t id)
{
    char sql[64];
    sqlite3_stmt *stmt;
    bool there;

    (void)snprintf(sql, sizeof(sql), "SELECT 1 FROM messages WHERE id = %llu",
                   (unsigned long long)id);
    assert_int_equal(sqlite3_prepare_v2(other, sql, -1, &stmt, NULL), 0);
    there = sqlite3_step(stmt) == SQLITE_ROW;
    assert_int_equal(sqlite3_finalize(stmt), 0);
    return there;
}

static void done(struct hf_job *job, int err)
{
    struct push *push = HF_ITEM(job, struct push, job);

    push->done++;
    push->err = err;
    push->visible = !err && is_there(push->id);
    if (push->then)
        assert_int_equal(hf_writer_submit(writer, &push->then->job), 0);
}

static struct push push_of(const char *payload)
{
    return (struct push){
        .job = {.item = {.cost = strlen(payload)}, .run = run, .done = done},
        .message = {.topic = HF_STR("a"),
                    .event = HF_STR("b"),
                    .payload = hf_str_of(payload)}};
}

static void open_writer(bool threaded)
{
    struct hf_why why = {""};

    ok_or_why(hf_writer_open(threaded ? loop : NULL, &f.dir, &f.settings,
                             &writer, &why),
              &why);
}

static void wait_for(const struct push *push)
{
    int64_t end_ms = hf_boot_ms() + 3000;

    while (push->done == 0) {
        if (hf_boot_ms() > end_ms)
            fail_msg("not done");
        assert_int_equal(hf_loop_turn(loop, 50), 0);
    }
}

static void submit(struct push *push)
{
    assert_int_equal(hf_writer_submit(writer, &push->job), 0);
}

static void nothing_is_acknowledged_before_it_is_committed(void **state)
{
    int i;

    (void)state;
    open_writer(true);
    for (i = 0; i < 50; i++) {
        struct push push = push_of("1");

        submit(&push);
        assert_int_equal(push.done, 0); /* never inside of submit */
        wait_for(&push);
        assert_int_equal(push.done, 1);
        assert_int_equal(push.err, 0);
        assert_true(push.visible);
        assert_false(pthread_equal(push.ran_on, pthread_self()));
    }
}

static void many_jobs_share_a_commit_and_keep_their_order(void **state)
{
    static struct push pushes[2000];
    size_t i;

    (void)state;
    open_writer(true);
    for (i = 0; i < 2000; i++) {
        pushes[i] = push_of("1");
        submit(&pushes[i]);
    }
    wait_for(&pushes[1999]);
    for (i = 0; i < 2000; i++) {
        assert_int_equal(pushes[i].done, 1);
        assert_int_equal(pushes[i].id, i + 1);
        assert_true(pushes[i].visible);
    }
}

static void a_job_that_fails_fails_alone(void **state)
{
    struct push good = push_of("1"), bad = push_of("2"), odd = push_of("{"),
                last = push_of("4");

    (void)state;
    open_writer(true);
    bad.fails = true;
    foreign_ok("BEGIN IMMEDIATE"); /* so that all four are one batch */
    submit(&good);
    submit(&bad);
    submit(&odd);
    submit(&last);
    foreign_ok("ROLLBACK");
    wait_for(&last);
    assert_int_equal(good.err, 0);
    assert_int_equal(bad.err, HF_EDENIED);
    assert_int_equal(odd.err, HF_EINVAL);
    assert_int_equal(last.err, 0);
    assert_int_equal(foreign_number("SELECT count(*) FROM messages"
                                    " WHERE payload IN ('1', '4')"),
                     2);
    assert_int_equal(foreign_number("SELECT count(*) FROM messages"), 2);
}

/* It has a transaction of its own, which begins with nothing open. */
static int run_alone(struct hf_job *job, struct hf_journal *journal)
{
    int err = hf_journal_begin(journal);

    if (err)
        return err;
    err = run(job, journal);
    if (!err)
        return hf_journal_commit(journal);
    hf_journal_rollback(journal);
    return err;
}

static struct push alone_of(const char *payload)
{
    struct push push = push_of(payload);

    push.job.run = run_alone;
    push.job.alone = true;
    return push;
}

static void a_job_alone_has_a_transaction_of_its_own(void **state)
{
    struct push first = push_of("1"), alone = alone_of("2"),
                bad = alone_of("3"), last = push_of("4");

    (void)state;
    open_writer(true);
    bad.fails = true;
    foreign_ok("BEGIN IMMEDIATE"); /* so that they are one batch, or two */
    submit(&first);
    submit(&alone);
    submit(&bad);
    submit(&last);
    foreign_ok("ROLLBACK");
    wait_for(&alone);
    wait_for(&bad);
    wait_for(&last);
    assert_int_equal(first.err, 0);
    assert_int_equal(alone.err, 0);
    assert_true(alone.visible);
    assert_int_equal(bad.err, HF_EDENIED);
    assert_int_equal(last.err, 0);
    assert_int_equal(alone.done + bad.done + first.done + last.done, 4);
    assert_int_equal(foreign_number("SELECT count(*) FROM messages"
                                    " WHERE payload IN ('1', '2', '4')"),
                     3);
    assert_int_equal(foreign_number("SELECT count(*) FROM messages"), 3);
}

static void without_a_loop_a_job_alone_runs_at_once(void **state)
{
    struct push alone = alone_of("2");

    (void)state;
    open_writer(false);
    submit(&alone);
    assert_int_equal(alone.done, 1);
    assert_int_equal(alone.err, 0);
    assert_true(alone.visible);
}

static void without_the_lock_all_jobs_are_told_busy(void **state)
{
    struct push a = push_of("1"), b = push_of("2"), again = push_of("1");

    (void)state;
    f.settings.busy_ms = 100;
    open_writer(true);
    foreign_ok("BEGIN IMMEDIATE");
    submit(&a);
    submit(&b);
    wait_for(&a);
    wait_for(&b);
    assert_int_equal(a.err, HF_EBUSY);
    assert_int_equal(b.err, HF_EBUSY);
    foreign_ok("ROLLBACK");
    submit(&again);
    wait_for(&again);
    assert_int_equal(again.err, 0);
    assert_int_equal(foreign_number("SELECT count(*) FROM messages"), 1);
}

/* Somebody lets go of the lock between two batches. */
static void
what_came_while_another_was_refused_does_not_overtake_it(void **state)
{
    struct push a = push_of("1"), b = push_of("2"), later = push_of("3");

    (void)state;
    f.settings.busy_ms = 400;
    open_writer(true);
    foreign_ok("BEGIN IMMEDIATE");
    submit(&a);
    assert_int_equal(hf_loop_turn(loop, 100), 0);
    assert_int_equal(a.done, 0); /* it waits for the lock, and b behind it */
    submit(&b);
    wait_for(&a);
    foreign_ok("ROLLBACK");
    wait_for(&b);
    assert_int_equal(a.err, HF_EBUSY);
    assert_int_equal(b.err, HF_EBUSY);
    submit(&later);
    wait_for(&later);
    assert_int_equal(later.err, 0);
}

static void a_full_queue_refuses(void **state)
{
    static struct push pushes[8];
    bool taken[8];
    unsigned count = 0, i;

    (void)state;
    f.settings.queue_count = 3;
    f.settings.busy_ms = 10000;
    open_writer(true);
    foreign_ok("BEGIN IMMEDIATE");
    for (i = 0; i < 8; i++) {
        int err;

        pushes[i] = push_of("1");
        err = hf_writer_submit(writer, &pushes[i].job);
        assert_true(err == 0 || err == HF_ELIMIT);
        taken[i] = !err;
        count += taken[i];
        assert_int_equal(hf_loop_turn(loop, 10), 0);
    }
    /* The batch that waits for the lock, and three behind it. */
    assert_in_range(count, 4, 6);
    foreign_ok("ROLLBACK");
    for (i = 0; i < 8; i++)
        if (taken[i])
            wait_for(&pushes[i]);
    for (i = 0; i < 8; i++)
        assert_int_equal(pushes[i].done, taken[i]); /* refused: not called */
}

static void a_queue_with_too_many_bytes_refuses(void **state)
{
    static struct push pushes[8];
    unsigned count = 0, i;

    (void)state;
    f.settings.queue_bytes = 100;
    f.settings.busy_ms = 10000;
    open_writer(true);
    foreign_ok("BEGIN IMMEDIATE");
    for (i = 0; i < 8; i++) {
        pushes[i] = push_of("\"forty bytes, with the quotes around it \"");
        if (hf_writer_submit(writer, &pushes[i].job) == 0)
            count++;
        else
            pushes[i].done = 1;
        assert_int_equal(hf_loop_turn(loop, 10), 0);
    }
    /* The batch that waits for the lock, and two behind it; or only these two
     * when the writer's thread was slow to begin. */
    assert_in_range(count, 2, 5);
    foreign_ok("ROLLBACK");
    for (i = 0; i < 8; i++)
        wait_for(&pushes[i]);
    assert_int_equal(foreign_number("SELECT count(*) FROM messages"), count);
}

/* As long as somebody keeps the lock, be it for minutes: each batch is told
 * busy after busy_ms, reading goes on, and what is sent again and again with
 * its key is there once in the end. */
static void a_lock_that_is_kept_for_long_loses_and_doubles_nothing(void **state)
{
    struct hf_journal *r = open_journal(HF_JOURNAL_READ);
    char keys[10][16];
    int64_t sent_ms;
    int round, i, busy = 0;

    (void)state;
    f.settings.busy_ms = 60;
    open_writer(true);
    foreign_ok("BEGIN IMMEDIATE;"
               "INSERT INTO messages (topic, event, payload)"
               " VALUES ('a', 'b', '0')");
    for (i = 0; i < 10; i++)
        (void)snprintf(keys[i], sizeof(keys[i]), "key%d", i);
    for (round = 0; round < 8; round++) {
        struct push pushes[10];

        if (round == 6)
            foreign_ok("COMMIT");
        for (i = 0; i < 10; i++) {
            pushes[i] = push_of("1");
            pushes[i].message.publisher = HF_STR("me");
            pushes[i].message.key = hf_str_of(keys[i]);
            submit(&pushes[i]);
        }
        sent_ms = hf_boot_ms();
        assert_int_equal(head_of(r), round < 6 ? 0 : round == 6 ? 1 : 11);
        for (i = 0; i < 10; i++) {
            wait_for(&pushes[i]);
            busy += pushes[i].err == HF_EBUSY;
            assert_int_equal(pushes[i].err, round < 6 ? HF_EBUSY : 0);
        }
        /* The first may be a batch of its own. */
        assert_in_range(hf_boot_ms() - sent_ms, 0, 2 * 60 + 800);
    }
    assert_int_equal(busy, 60);
    assert_int_equal(foreign_number("SELECT count(*) FROM messages"), 11);
    hf_journal_close(r);
}

static void large_jobs_do_not_share_one_large_transaction(void **state)
{
    static struct push pushes[100];
    static char payload[60000];
    int64_t pages_before;
    struct stat st;
    size_t i;

    (void)state;
    memset(payload, 'x', sizeof(payload) - 1);
    payload[0] = payload[sizeof(payload) - 2] = '"';
    open_writer(true);
    foreign_ok("BEGIN IMMEDIATE");
    for (i = 0; i < 100; i++) {
        pushes[i] = push_of(payload);
        submit(&pushes[i]);
    }
    foreign_ok("ROLLBACK");
    for (i = 0; i < 100; i++) {
        wait_for(&pushes[i]);
        assert_int_equal(pushes[i].id, i + 1);
        assert_int_equal(pushes[i].err, 0);
    }
    /* 6 MB in all. The log is emptied at 500 pages, so a batch more at most. */
    assert_int_equal(stat(path_of(HF_FILE_JOURNAL "-wal"), &st), 0);
    pages_before = st.st_size / 4120;
    assert_in_range(pages_before, 1, 500 + 600);
}

/* Two processes repeat the same keys at the same time. */
static void concurrent_repeats_of_a_key_give_one_row(void **state)
{
    static struct push pushes[50];
    char keys[50][16];
    pid_t child;
    int i, status = -1;

    (void)state;
    fflush(NULL);
    child = fork();
    assert_true(child >= 0);
    foreign_close();
    for (i = 0; i < 50; i++)
        (void)snprintf(keys[i], sizeof(keys[i]), "key%d", i);
    if (child == 0) {
        /* The other process is a new program: nothing is inherited. */
        static char command[PATH_MAX + 400];

        (void)snprintf(
            command, sizeof(command),
            "i=0; while [ $i -lt 50 ]; do echo \"PRAGMA busy_timeout=3000;"
            " INSERT INTO messages (topic, event, payload, publisher, key)"
            " VALUES ('a', 'b', '1', 'me', 'key$i') ON CONFLICT DO NOTHING;\";"
            " i=$((i+1)); done | sqlite3 '%s' >/dev/null",
            path_of(HF_FILE_JOURNAL));
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    open_writer(true);
    for (i = 0; i < 50; i++) {
        pushes[i] = push_of("1");
        pushes[i].message.publisher = HF_STR("me");
        pushes[i].message.key = hf_str_of(keys[i]);
        submit(&pushes[i]);
        wait_for(&pushes[i]);
        assert_int_equal(pushes[i].err, 0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(foreign_number("SELECT count(*) FROM messages"), 50);
    for (i = 0; i < 50; i++) {
        struct push again = push_of("1");
        char sql[96];

        again.message.publisher = HF_STR("me");
        again.message.key = hf_str_of(keys[i]);
        submit(&again);
        wait_for(&again);
        assert_int_equal(again.err, 0);
        assert_int_equal(again.id, pushes[i].id);
        (void)snprintf(sql, sizeof(sql),
                       "SELECT id FROM messages WHERE key = 'key%d'", i);
        assert_int_equal(foreign_number(sql), again.id);
    }
}

static void done_may_submit_again(void **state)
{
    struct push first = push_of("1"), second = push_of("2");

    (void)state;
    first.then = &second;
    open_writer(true);
    submit(&first);
    wait_for(&second);
    assert_int_equal(second.id, 2);
}

static void closing_finishes_what_is_queued(void **state)
{
    static struct push pushes[1500];
    size_t i;

    (void)state;
    open_writer(true);
    for (i = 0; i < 1500; i++) {
        pushes[i] = push_of("1");
        submit(&pushes[i]);
    }
    hf_writer_close(writer);
    writer = NULL;
    for (i = 0; i < 1500; i++) {
        assert_int_equal(pushes[i].done, 1);
        assert_int_equal(pushes[i].err, 0);
    }
    assert_int_equal(foreign_number("SELECT count(*) FROM messages"), 1500);
}

static void closing_is_bounded_and_every_job_is_answered(void **state)
{
    static struct push pushes[5000];
    int64_t start_ms;
    size_t i;

    (void)state;
    f.settings.busy_ms = 200;
    open_writer(true);
    foreign_ok("BEGIN IMMEDIATE");
    for (i = 0; i < 5000; i++) {
        pushes[i] = push_of("1");
        submit(&pushes[i]);
    }
    start_ms = hf_boot_ms();
    hf_writer_close(writer);
    writer = NULL;
    assert_in_range(hf_boot_ms() - start_ms, 0, 2 * 200 + 1000);
    for (i = 0; i < 5000; i++) {
        assert_int_equal(pushes[i].done, 1);
        assert_true(pushes[i].err == HF_EBUSY || pushes[i].err == HF_ECLOSED);
    }
    foreign_ok("ROLLBACK");
    assert_int_equal(foreign_number("SELECT count(*) FROM messages"), 0);
}

static void without_a_loop_submit_does_it_all(void **state)
{
    struct push good = push_of("1"), bad = push_of("{");

    (void)state;
    open_writer(false);
    submit(&good);
    assert_int_equal(good.done, 1);
    assert_int_equal(good.err, 0);
    assert_true(good.visible);
    submit(&bad);
    assert_int_equal(bad.done, 1);
    assert_int_equal(bad.err, HF_EINVAL);
    f.settings.busy_ms = 50;
    foreign_ok("BEGIN IMMEDIATE");
    good = push_of("2");
    submit(&good);
    assert_int_equal(good.err, HF_EBUSY);
    foreign_ok("ROLLBACK");
}

static void without_a_loop_the_journal_is_opened_for_the_first_job(void **state)
{
    struct push early = push_of("1"), late = push_of("2");

    (void)state;
    foreign_ok("CREATE TABLE mine (x)"); /* refused at open */
    open_writer(false);
    submit(&early);
    assert_int_equal(early.done, 1);
    assert_int_equal(early.err, HF_EINVAL);
    foreign_ok("DROP TABLE mine");
    submit(&late);
    assert_int_equal(late.done, 1);
    assert_int_equal(late.err, 0);
    assert_true(late.visible);
}

static int set_up(void **state)
{
    if (fixture_set_up(state) || hf_loop_new(&loop))
        return -1;
    writer = NULL;
    return sqlite3_open(path_of(HF_FILE_JOURNAL), &other);
}

static int tear_down(void **state)
{
    hf_writer_close(writer);
    hf_loop_free(loop);
    (void)sqlite3_close(other);
    return fixture_tear_down(state);
}

#define WRITER_TEST(name)                                                      \
    cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WRITER_TEST(nothing_is_acknowledged_before_it_is_committed),
        WRITER_TEST(many_jobs_share_a_commit_and_keep_their_order),
        WRITER_TEST(a_job_that_fails_fails_alone),
        WRITER_TEST(a_job_alone_has_a_transaction_of_its_own),
        WRITER_TEST(without_a_loop_a_job_alone_runs_at_once),
        WRITER_TEST(without_the_lock_all_jobs_are_told_busy),
        WRITER_TEST(what_came_while_another_was_refused_does_not_overtake_it),
        WRITER_TEST(a_full_queue_refuses),
        WRITER_TEST(a_queue_with_too_many_bytes_refuses),
        WRITER_TEST(a_lock_that_is_kept_for_long_loses_and_doubles_nothing),
        WRITER_TEST(large_jobs_do_not_share_one_large_transaction),
        WRITER_TEST(concurrent_repeats_of_a_key_give_one_row),
        WRITER_TEST(done_may_submit_again),
        WRITER_TEST(closing_finishes_what_is_queued),
        WRITER_TEST(closing_is_bounded_and_every_job_is_answered),
        WRITER_TEST(without_a_loop_submit_does_it_all),
        WRITER_TEST(without_a_loop_the_journal_is_opened_for_the_first_job),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

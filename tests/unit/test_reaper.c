/*
 * reaper.c: of a crowd that came by long-poll and went away nothing stays, also
 * when it comes faster than one page a minute
 */
#include "tests/unit/longpoll_fixture.h"

#include "tests/unit/hook_room.h"

#include "schema/sessions.h"

#define MINUTE 60000
#define CROWD  1000

static struct hf_journal *w;

static int begin(void **state)
{
    struct hf_why why = {""};
    int err = setup(state);

    if (hf_journal_open(&process[0].dir, &process[0].settings, HF_JOURNAL_WRITE,
                        &w, &why))
        fixture_fail("open", &why);
    return err;
}

static int end(void **state)
{
    int err;

    hf_journal_close(w);
    err = teardown(state);
    hf_clock_shift(0, 0);
    return err;
}

#define REAPER_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

/* Rows of a table of live.db. */
static int live_rows(const char *table)
{
    char command[200], text[20] = "";
    FILE *out;

    (void)snprintf(command, sizeof(command),
                   "sqlite3 '%s/live.db' 'SELECT count(*) FROM %s'", f.dir,
                   table);
    out = popen(command, "r");
    assert_non_null(out);
    assert_non_null(fgets(text, sizeof(text), out));
    assert_int_equal(pclose(out), 0);
    return atoi(text);
}

static int count_session(void *ctx, uint64_t id, struct hf_str session)
{
    (void)id;
    (void)session;
    (*(size_t *)ctx)++;
    return 0;
}

static size_t sessions(void)
{
    size_t count = 0;

    assert_int_equal(
        hf_sessions_each(w, HF_STR(""), SIZE_MAX / 2, count_session, &count),
        0);
    return count;
}

static void name_of(int n, char out[HF_SESSION_ID_LEN + 1])
{
    (void)snprintf(out, HF_SESSION_ID_LEN + 1, "crowd%0*d",
                   HF_SESSION_ID_LEN - 5, n);
}

/* Each was seen now. */
static void crowd_in_live_db(void)
{
    struct hf_session_owner owner = {.params = HF_STR("{\"room\":1}")};
    char name[HF_SESSION_ID_LEN + 1];
    int n;

    for (n = 0; n < CROWD; n++) {
        name_of(n, name);
        assert_int_equal(hf_live_own(process[0].live, hf_str_of(name), &owner),
                         0);
    }
}

static void crowd_in_journal(void)
{
    char name[HF_SESSION_ID_LEN + 1];
    int n;

    assert_int_equal(hf_journal_begin(w), 0);
    for (n = 0; n < CROWD; n++) {
        name_of(n, name);
        assert_int_equal(hf_session_add(w, hf_str_of(name)), 0);
    }
    assert_int_equal(hf_journal_commit(w), 0);
}

/* So long after now, with some turns for everybody. */
static void later(int64_t ms)
{
    hf_clock_shift(ms, ms);
    turn_for(f.loop, 800);
}

static void a_crowd_that_only_connected_is_forgotten_in_one_pass(void **state)
{
    int64_t revive = process[0].settings.revive_ms;

    (void)state;
    crowd_in_live_db();
    assert_int_equal(live_rows("owners"), CROWD);
    later(revive);
    assert_int_equal(live_rows("owners"), CROWD);
    later(revive + 10 * MINUTE);
    assert_int_equal(live_rows("owners"), 0);
    assert_int_equal(live_rows("leases"), 0);
}

static void a_crowd_that_joined_is_removed_in_one_pass(void **state)
{
    int64_t revive = process[0].settings.revive_ms;

    (void)state;
    crowd_in_live_db();
    crowd_in_journal();
    later(revive);
    assert_int_equal(sessions(), CROWD);
    later(revive + 2 * MINUTE);
    assert_int_equal(sessions(), 0);
    assert_int_equal(live_rows("leases"), CROWD); /* for slower passes */
}

static void plain_cgi_removes_some_pages_of_it(void **state)
{
    int64_t revive = process[0].settings.revive_ms;

    (void)state;
    close_gate(0);
    close_gate(1);
    fixture_open(&f, &process[0], false);
    fixture_open(&f, &process[1], false);
    assert_int_equal(hf_longpoll_open(&process[0], 2000, &gate[0]), 0);
    assert_int_equal(hf_longpoll_open(&process[1], 2000, &gate[1]), 0);
    crowd_in_live_db();
    hf_clock_shift(revive + 10 * MINUTE, revive + 10 * MINUTE);
    hf_longpoll_clean_up(gate[0]);
    assert_int_equal(live_rows("owners"), 0);
}

/* --- with an application ---------------------------------------------------- */

static int begin_with_hooks(void **state)
{
    (void)state;
    hello.query = HF_STR("vsn=2.0.0&room=1&");
    fixture_begin(&f);
    room_open(f.dir, "join", "1s");
    open_gate(0);
    open_gate(1);
    a = b = (struct client){0};
    return 0;
}

static int end_with_hooks(void **state)
{
    int err = teardown(state);

    app_stop();
    return err;
}

/* Whose a session is stands in the journal once it has joined, and there only. */
static void an_owner_leaves_live_db_with_the_first_join(void **state)
{
    (void)state;
    open_session(&a);
    open_session(&b);
    assert_int_equal(live_rows("owners"), 2);
    say(&a, 0, JOIN("1"));
    got(&a, 0, JOINED("1"));
    assert_int_equal(live_rows("owners"), 1);
    say(&a, 1, "[null,\"2\",\"phoenix\",\"heartbeat\",{}]");
    poll_until(&a, 2);
    say(&b, 1, JOIN("1"));
    got(&b, 0, JOINED("1"));
    assert_int_equal(live_rows("owners"), 0);
    say(&b, 0, "[\"1\",\"2\",\"room:a\",\"phx_leave\",{}]");
    poll_until(&b, 2); /* it is still known */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        REAPER_TEST(a_crowd_that_only_connected_is_forgotten_in_one_pass),
        REAPER_TEST(a_crowd_that_joined_is_removed_in_one_pass),
        REAPER_TEST(plain_cgi_removes_some_pages_of_it),
        cmocka_unit_test_setup_teardown(
            an_owner_leaves_live_db_with_the_first_join, begin_with_hooks,
            end_with_hooks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Who is there, as WebSocket clients of one worker are told. */
#include "channel/tracker.h"

#include "tests/unit/session_fixture.h"

#define CROWD 200

static int set_up(void **state)
{
    int err = setup(state);

    allow(f.dir, "room:*", HF_RIGHT_JOIN | HF_RIGHT_PUBLISH | HF_RIGHT_PRESENCE,
          true);
    return err;
}

static int tear_down(void **state)
{
    int err = teardown(state);

    hf_clock_shift(0, 0);
    return err;
}

#define SESSION_TEST(name)                                                     \
    cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static void join_with(struct client *c, const char *ref, const char *payload)
{
    char text[400];

    snprintf(text, sizeof(text), "[\"%s\",\"%s\",\"room:a\",\"phx_join\",%s]",
             ref, ref, payload);
    say(c, text);
}

/* Message n, whose refs are cut out. */
static void got_like(struct client *c, size_t n, const char *wanted)
{
    char text[2000];
    const char *at;
    size_t len = 0;

    wait_for(c, n + 1);
    for (at = c->got[n]; *at && len < sizeof(text) - 1;) {
        text[len++] = *at;
        if (len >= 11 && memcmp(text + len - 11, "\"phx_ref\":\"", 11) == 0)
            at += HF_PRESENCE_REF;
        at++;
    }
    text[len] = '\0';
    assert_string_equal(text, wanted);
}

static void has(struct client *c, size_t n, const char *wanted)
{
    wait_for(c, n + 1);
    if (!strstr(c->got[n], wanted))
        fail_msg("%s is not in %s", wanted, c->got[n]);
}

#define ME(key) "{\"presence\":{\"key\":\"" key "\",\"meta\":{}}}"
#define STATE(ref, what)                                                       \
    "[\"" ref "\",null,\"room:a\",\"presence_state\"," what "]"
#define DIFF(joins, leaves)                                                    \
    "[null,null,\"room:a\",\"presence_diff\",{\"joins\":{" joins               \
    "},\"leaves\":{" leaves "}}]"
#define ENTRY(key) "\"" key "\":{\"metas\":[{\"phx_ref\":\"\"}]}"

static void a_join_is_told_who_is_there_then_the_diffs(void **state)
{
    (void)state;
    join_with(&a, "1", ME("al"));
    got(&a, 0, JOINED("1"));
    got_like(&a, 1, STATE("1", "{}"));
    got_like(&a, 2, DIFF(ENTRY("al"), ""));
    join_with(&b, "1", ME("bo"));
    got_like(&b, 1, STATE("1", "{" ENTRY("al") "}"));
    got_like(&b, 2, DIFF(ENTRY("bo"), ""));
    got_like(&a, 3, DIFF(ENTRY("bo"), ""));
    say(&b, "[\"1\",\"2\",\"room:a\",\"phx_leave\",{}]");
    got_like(&a, 4, DIFF("", ENTRY("bo")));
    quiet(&b, 5); /* its leave, and no diff of it */
}

static void tracking_by_event_is_answered(void **state)
{
    (void)state;
    join_with(&a, "1", "{\"config\":{\"presence\":{\"key\":\"me\"}}}");
    wait_for(&a, 2);
    say(&a, "[\"1\",\"2\",\"room:a\",\"presence\",{\"type\":\"presence\","
            "\"event\":\"track\",\"payload\":{\"n\":1}}]");
    wait_for(&a, 4);
    has(&a, strstr(a.got[2], "phx_reply") ? 2 : 3, "\"ok\"");
    has(&a, strstr(a.got[2], "phx_reply") ? 3 : 2, "{\"n\":1,\"phx_ref\":");
    say(&a, "[\"1\",\"3\",\"room:a\",\"presence\",{\"type\":\"presence\","
            "\"event\":\"untrack\"}]");
    wait_for(&a, 6);
    say(&a, "[\"1\",\"4\",\"room:a\",\"presence\",{\"type\":\"presence\","
            "\"event\":\"track\",\"payload\":[]}]");
    has(&a, 6, "invalid presence");
}

static void a_socket_that_goes_is_told_at_once(void **state)
{
    (void)state;
    join_with(&a, "1", "{}");
    join_with(&b, "1", ME("bo"));
    got_like(&a, 2, DIFF(ENTRY("bo"), ""));
    close_client(&b);
    got_like(&a, 3, DIFF("", ENTRY("bo")));
}

static void a_rejoin_with_the_same_meta_is_no_flap(void **state)
{
    (void)state;
    join_with(&a, "1", "{}");
    join_with(&b, "1", ME("bo"));
    wait_for(&a, 3);
    wait_for(&b, 3);
    join_with(&b, "2", ME("bo"));
    wait_for(&b, 6); /* reply, close, state */
    quiet(&a, 3);
    join_with(&b, "3", "{}");
    got_like(&a, 3, DIFF("", ENTRY("bo")));
}

static void without_the_right_nothing_is_told(void **state)
{
    (void)state;
    join_with(&b, "1", ME("bo"));
    wait_for(&b, 3);
    allow(f.dir, "room:*", HF_RIGHT_JOIN | HF_RIGHT_PUBLISH, true);
    join_with(&a, "1", ME("al"));
    got(&a, 0, JOINED("1"));
    say(&a, "[\"1\",\"2\",\"room:a\",\"presence\",{\"type\":\"presence\","
            "\"event\":\"track\",\"payload\":{}}]");
    has(&a, 1, "unauthorized");
    close_client(&b);
    quiet(&a, 2);
}

static void a_resumed_join_replays_no_diffs(void **state)
{
    uint64_t id;

    (void)state;
    id = publish("room:a", "1");
    join_with(&b, "1", ME("bo"));
    wait_for(&b, 3);
    say(&b, "[\"1\",\"2\",\"room:a\",\"phx_leave\",{}]");
    turn_for(f.loop, 50);
    publish("room:a", "2");
    join_since(&a, "1", id);
    got_like(&a, 1, STATE("1", "{}"));
    has(&a, 2, "\"news\",2]");
    join_with(&b, "3", ME("bo"));
    has(&a, 3, "\"joins\":{\"bo\"");
}

static void owned(struct client *c)
{
    struct hf_client client = {.vsn = HF_VSN_2, .owned = true};

    memcpy(client.owner, "abcdefghijklmnopqrstuv", HF_OWNER_LEN);
    *c = (struct client){.link = {.wake = woken, .close = closed}};
    assert_int_equal(hf_session_open(hub, &c->link, &client, &c->session), 0);
}

static void a_page_with_a_client_id_may_come_back(void **state)
{
    (void)state;
    join_with(&a, "1", "{}");
    close_client(&b);
    owned(&b);
    join_with(&b, "1", ME("bo"));
    got_like(&a, 2, DIFF(ENTRY("bo"), ""));
    wait_for(&b, 3);
    close_client(&b);
    quiet(&a, 3);
    owned(&b);
    join_with(&b, "1", ME("bo"));
    wait_for(&b, 2);
    quiet(&a, 3); /* no diff, and none when the grace is over */
    hf_clock_shift(14000, 14000);
    turn_for(f.loop, 50);
    hf_clock_shift(28000, 28000);
    turn_for(f.loop, 50);
    hf_clock_shift(46000, 46000);
    quiet(&a, 3);
    close_client(&b); /* now it stays away */
    turn_for(f.loop, 50);
    hf_clock_shift(46000 + 14000, 46000 + 14000);
    quiet(&a, 3);
    hf_clock_shift(46000 + 46000, 46000 + 46000);
    got_like(&a, 3, DIFF("", ENTRY("bo")));
}

static void a_worker_that_was_stopped_has_its_members_join_again(void **state)
{
    uint64_t entries, topics;

    (void)state;
    join_with(&a, "1", ME("al"));
    wait_for(&a, 3);
    hf_clock_shift(50000, 50000);
    wait_for(&a, 4);
    assert_string_equal(a.got[3], "[\"1\",\"1\",\"room:a\",\"phx_error\","
                                  "{\"reason\":\"presence_expired\"}]");
    join_with(&a, "2", ME("al"));
    got(&a, 4, JOINED("2"));
    hf_clock_shift(51000, 51000);
    turn_for(f.loop, 150);
    take_all(&a);
    has(&a, a.count - 1, "\"al\""); /* came back, or never went */
    assert_null(strstr(a.got[a.count - 1], "\"joins\":{}"));
    assert_int_equal(hf_presences_count(process.journal, &entries, &topics), 0);
    assert_int_equal(entries, 1);
}

static void a_worker_renews_its_lease(void **state)
{
    int64_t ms;

    (void)state;
    join_with(&a, "1", ME("al"));
    wait_for(&a, 3);
    for (ms = 0; ms < 200000; ms += 14000) {
        hf_clock_shift(ms, ms);
        turn_for(f.loop, 30);
    }
    quiet(&a, 3);
}

/* Nobody stays because nothing could be written when he left. */
static void a_leave_that_cannot_be_written_is_tried_again(void **state)
{
    struct hf_journal *other;
    struct hf_why why = {""};

    (void)state;
    join_with(&a, "1", "{}");
    join_with(&b, "1", ME("bo"));
    got_like(&a, 2, DIFF(ENTRY("bo"), ""));
    if (hf_journal_open(&process.dir, &process.settings, HF_JOURNAL_WRITE,
                        &other, &why))
        fixture_fail("open", &why);
    process.settings.busy_ms = 50;
    assert_int_equal(hf_journal_begin(other), 0);
    close_client(&b);
    turn_for(f.loop, 200);
    hf_journal_rollback(other);
    hf_journal_close(other);
    assert_int_equal(a.count, 3);
    got_like(&a, 3, DIFF("", ENTRY("bo")));
}

static void a_crowd_is_told_in_few_diffs(void **state)
{
    static struct client crowd[CROWD];
    char me[100];
    size_t n, diffs;

    (void)state;
    join_with(&a, "1", "{}");
    wait_for(&a, 2);
    for (n = 0; n < CROWD; n++) {
        open_client(&crowd[n]);
        snprintf(me, sizeof(me),
                 "{\"presence\":{\"key\":\"k%zu\",\"meta\":{}}}", n);
        join_with(&crowd[n], "1", me);
    }
    turn_for(f.loop, 300);
    take_all(&a);
    diffs = a.count - 2;
    assert_in_range(diffs, 1, 4);
    for (n = 0; n < CROWD; n++)
        close_client(&crowd[n]);
    turn_for(f.loop, 300);
    take_all(&a);
    assert_in_range(a.count - 2 - diffs, 1, 4);
    has(&a, a.count - 1, "\"joins\":{},\"leaves\":{\"k");
}

static uint64_t entries(void)
{
    uint64_t count, topics;

    assert_int_equal(hf_presences_count(process.journal, &count, &topics), 0);
    return count;
}

/* More than one job takes. */
#define FULL   7u /* clients */
#define TOPICS 90u

static void fill(struct client *clients)
{
    char text[200];
    size_t n, topic, i;

    for (n = 0; n < FULL; n++) {
        open_client(&clients[n]);
        for (topic = 0; topic < TOPICS; topic++) {
            snprintf(text, sizeof(text),
                     "[\"1\",\"1\",\"room:%zu\",\"phx_join\","
                     "{\"presence\":{\"key\":\"k%zu\",\"meta\":{}}}]",
                     topic, n);
            say(&clients[n], text);
        }
    }
    for (i = 0; i < 300 && entries() < FULL * TOPICS; i++)
        turn_for(f.loop, 10);
    assert_int_equal(entries(), FULL * TOPICS);
}

/* The worker ends, and another one looks. */
static void end_worker(void)
{
    close_client(&a);
    close_client(&b);
    hf_hub_close(hub);
    hf_process_close(&process);
    fixture_open(&f, &process, true);
    assert_int_equal(hf_hub_open(&process, &hub), 0);
    open_client(&a);
    open_client(&b);
}

static void a_worker_that_ends_leaves_nobody_behind(void **state)
{
    static struct client crowd[FULL];
    size_t n;

    (void)state;
    fill(crowd);
    for (n = 0; n < FULL; n++)
        close_client(&crowd[n]);
    end_worker();
    assert_int_equal(entries(), 0);
}

static void nor_when_it_was_just_writing(void **state)
{
    static struct client crowd[FULL];
    size_t n;

    (void)state;
    fill(crowd);
    close_client(&crowd[0]);
    assert_int_equal(hf_loop_turn(f.loop, 0), 0); /* handed over */
    for (n = 1; n < FULL; n++)
        close_client(&crowd[n]);
    end_worker();
    assert_int_equal(entries(), 0);
}

/* Somebody else was writing, so what was under way has failed. */
static void nor_when_what_it_was_writing_failed(void **state)
{
    static struct client crowd[FULL];
    struct hf_journal *other;
    struct hf_why why = {""};
    size_t n;

    (void)state;
    fill(crowd);
    if (hf_journal_open(&process.dir, &process.settings, HF_JOURNAL_WRITE,
                        &other, &why))
        fixture_fail("open", &why);
    assert_int_equal(hf_journal_begin(other), 0);
    process.settings.busy_ms = 50;
    close_client(&crowd[0]);
    assert_int_equal(hf_loop_turn(f.loop, 0), 0);
    (void)usleep(300000); /* it has, and nobody looks */
    process.settings.busy_ms = 5000;
    hf_journal_rollback(other);
    hf_journal_close(other);
    for (n = 1; n < FULL; n++)
        close_client(&crowd[n]);
    end_worker();
    assert_int_equal(entries(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SESSION_TEST(a_join_is_told_who_is_there_then_the_diffs),
        SESSION_TEST(tracking_by_event_is_answered),
        SESSION_TEST(a_socket_that_goes_is_told_at_once),
        SESSION_TEST(a_rejoin_with_the_same_meta_is_no_flap),
        SESSION_TEST(without_the_right_nothing_is_told),
        SESSION_TEST(a_resumed_join_replays_no_diffs),
        SESSION_TEST(a_page_with_a_client_id_may_come_back),
        SESSION_TEST(a_worker_that_was_stopped_has_its_members_join_again),
        SESSION_TEST(a_worker_renews_its_lease),
        SESSION_TEST(a_leave_that_cannot_be_written_is_tried_again),
        SESSION_TEST(a_crowd_is_told_in_few_diffs),
        SESSION_TEST(a_worker_that_ends_leaves_nobody_behind),
        SESSION_TEST(nor_when_it_was_just_writing),
        SESSION_TEST(nor_when_what_it_was_writing_failed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

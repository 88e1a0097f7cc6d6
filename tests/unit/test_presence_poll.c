/* Who is there, as long-poll clients are told, whichever of two processes
 * serves them. */
#include "channel/presence.h"

#include "tests/unit/longpoll_fixture.h"

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

#define POLL_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static void join_with(struct client *c, const char *ref, const char *payload)
{
    char text[400];

    snprintf(text, sizeof(text), "[\"%s\",\"%s\",\"room:a\",\"phx_join\",%s]",
             ref, ref, payload);
    say(c, 0, text);
}

static void push_presence(struct client *c, const char *ref,
                          const char *payload)
{
    char text[400];

    snprintf(text, sizeof(text), "[\"1\",\"%s\",\"room:a\",\"presence\",%s]",
             ref, payload);
    say(c, 1, text);
}

/* Message n, whose refs are cut out. */
static void got_like(struct client *c, size_t n, const char *wanted)
{
    char text[2000];
    const char *at;
    size_t len = 0;

    poll_until(c, n + 1);
    for (at = c->got[n]; *at && len < sizeof(text) - 1;) {
        text[len++] = *at;
        if (len >= 11 && memcmp(text + len - 11, "\"phx_ref\":\"", 11) == 0)
            at += HF_PRESENCE_REF;
        if (len >= 16 &&
            memcmp(text + len - 16, "\"phx_ref_prev\":\"", 16) == 0)
            at += HF_PRESENCE_REF;
        at++;
    }
    text[len] = '\0';
    assert_string_equal(text, wanted);
}

#define STATE(ref, what)                                                       \
    "[\"" ref "\",null,\"room:a\",\"presence_state\"," what "]"
#define DIFF(joins, leaves)                                                    \
    "[null,null,\"room:a\",\"presence_diff\",{\"joins\":{" joins               \
    "},\"leaves\":{" leaves "}}]"
#define ENTRY(key, meta) "\"" key "\":{\"metas\":[{" meta "\"phx_ref\":\"\"}]}"

static void a_join_is_told_who_is_there_then_the_diffs(void **state)
{
    (void)state;
    join_with(&a, "1", "{\"presence\":{\"key\":\"al\",\"meta\":{\"x\":1}}}");
    got(&a, 0, JOINED("1"));
    got_like(&a, 1, STATE("1", "{" ENTRY("al", "\"x\":1,") "}"));
    join_with(&b, "1", "{\"presence\":{\"key\":\"bo\",\"meta\":{}}}");
    got(&b, 0, JOINED("1"));
    got_like(&b, 1,
             STATE("1", "{" ENTRY("al", "\"x\":1,") "," ENTRY("bo", "") "}"));
    got_like(&a, 2, DIFF(ENTRY("bo", ""), ""));
    say(&b, 1, "[\"1\",\"2\",\"room:a\",\"phx_leave\",{}]");
    got_like(&a, 3, DIFF("", ENTRY("bo", "")));
    poll_until(&b, 4);
    poll_once(&b, 0);
    assert_int_equal(b.count, 4); /* no diff of its own leave */
    assert_int_equal(a.count, 4);
}

static void tracking_by_event_is_answered(void **state)
{
    (void)state;
    join_with(&a, "1", "{\"config\":{\"presence\":{\"key\":\"me\"}}}");
    got(&a, 0, JOINED("1"));
    got_like(&a, 1, STATE("1", "{}"));
    push_presence(&a, "2",
                  "{\"type\":\"presence\",\"event\":\"track\",\"payload\":{"
                  "\"n\":1}}");
    got(&a, 2, OK("\"1\"", "2"));
    got_like(&a, 3, DIFF(ENTRY("me", "\"n\":1,"), ""));
    push_presence(&a, "3",
                  "{\"type\":\"presence\",\"event\":\"track\",\"payload\":{"
                  "\"n\":2}}");
    got(&a, 4, OK("\"1\"", "3"));
    got_like(&a, 5,
             DIFF("\"me\":{\"metas\":[{\"n\":2,\"phx_ref\":\"\","
                  "\"phx_ref_prev\":\"\"}]}",
                  ENTRY("me", "\"n\":1,")));
    push_presence(&a, "4", "{\"type\":\"presence\",\"event\":\"untrack\"}");
    got(&a, 6, OK("\"1\"", "4"));
    poll_until(&a, 8);
    assert_non_null(strstr(a.got[7], "\"joins\":{},\"leaves\":{\"me\""));
    push_presence(&a, "5",
                  "{\"type\":\"presence\",\"event\":\"track\",\"payload\":7}");
    poll_until(&a, 9);
    assert_non_null(strstr(a.got[8], "invalid presence"));
    push_presence(&a, "6", "{\"any\":\"thing\"}"); /* a push like any other */
    poll_until(&a, 11);
    assert_non_null(strstr(a.got[9], "any"));
}

static void without_the_right_nothing_is_told(void **state)
{
    (void)state;
    join_with(&a, "1", "{\"presence\":{\"key\":\"al\",\"meta\":{}}}");
    poll_until(&a, 2);
    allow(f.dir, "room:*", HF_RIGHT_JOIN | HF_RIGHT_PUBLISH, true);
    join_with(&b, "1", "{\"presence\":{\"key\":\"bo\",\"meta\":{}}}");
    got(&b, 0, JOINED("1"));
    push_presence(&b, "2",
                  "{\"type\":\"presence\",\"event\":\"track\",\"payload\":{}}");
    poll_until(&b, 2);
    assert_non_null(strstr(b.got[1], "unauthorized"));
    say(&a, 1, "[\"1\",\"2\",\"room:a\",\"phx_leave\",{}]");
    publish("room:a", "1");
    got(&b, 2, "[null,null,\"room:a\",\"news\",1]");
}

static void a_rejoin_with_the_same_meta_is_no_flap(void **state)
{
    char before[200];

    (void)state;
    join_with(&b, "1", "{}");
    got_like(&b, 1, STATE("1", "{}"));
    join_with(&a, "1", "{\"presence\":{\"key\":\"al\",\"meta\":{\"x\":1}}}");
    poll_until(&a, 2);
    poll_until(&b, 3);
    snprintf(before, sizeof(before), "%s", strstr(a.got[1], "presence_state"));
    join_with(&a, "2", "{\"presence\":{\"key\":\"al\",\"meta\":{\"x\":1}}}");
    got(&a, 2, JOINED("2"));
    got(&a, 3, "[\"1\",\"1\",\"room:a\",\"phx_close\",{}]");
    poll_until(&a, 5);
    assert_string_equal(strstr(a.got[4], "presence_state"), before);
    join_with(&a, "3", "{}"); /* present no more */
    poll_until(&b, 4);
    assert_non_null(strstr(b.got[3], "\"leaves\":{\"al\""));
    poll_once(&b, 0);
    assert_int_equal(b.count, 4);
}

/* Of a diff that was missed the state tells. */
static void a_resumed_join_replays_no_diffs(void **state)
{
    char text[200], cursor[HF_CURSOR_MAX + 1];
    uint64_t id;

    (void)state;
    id = publish("room:a", "1");
    join_with(&b, "1", "{\"presence\":{\"key\":\"bo\",\"meta\":{}}}");
    say(&b, 1, "[\"1\",\"2\",\"room:a\",\"phx_leave\",{}]");
    publish("room:a", "2");
    cursor_text(cursor, id);
    snprintf(text, sizeof(text), "{\"since\":\"%s\"}", cursor);
    join_with(&a, "1", text);
    poll_until(&a, 3);
    assert_non_null(strstr(a.got[1], "\"news\",2]"));
    got_like(&a, 2, STATE("1", "{}"));
    join_with(&b, "3", "{\"presence\":{\"key\":\"bo\",\"meta\":{}}}");
    poll_until(&a, 4);
    assert_non_null(strstr(a.got[3], "\"joins\":{\"bo\""));
}

/* The state comes when the client has read on to the end, and then no diff that
 * is in it. */
static void a_state_waits_for_the_end_of_a_long_answer(void **state)
{
    size_t n, states = 0, diffs = 0;
    int i;

    (void)state;
    join_with(&a, "1", "{}");
    join_with(&b, "1", "{\"presence\":{\"key\":\"bo\",\"meta\":{}}}");
    for (i = 0; i < 510; i++)
        publish("room:a", "1");
    poll_until(&a, 512);
    for (n = 0; n < a.count; n++) {
        states += strstr(a.got[n], "presence_state") != NULL;
        diffs += strstr(a.got[n], "presence_diff") != NULL;
    }
    assert_int_equal(states, 1);
    assert_int_equal(diffs, 0);
    assert_non_null(strstr(a.got[511], "\"bo\""));
}

static void a_session_that_comes_back_too_late_joins_again(void **state)
{
    (void)state;
    join_with(&a, "1", "{\"presence\":{\"key\":\"al\",\"meta\":{}}}");
    poll_until(&a, 2);
    join_with(&b, "1", "{}");
    poll_until(&b, 2);
    hf_clock_shift(30000, 30000);
    poll_once(&b, 0); /* renews */
    hf_clock_shift(46000, 46000);
    poll_until(&b, 3);
    assert_non_null(strstr(b.got[2], "\"leaves\":{\"al\""));
    poll_until(&a, 3);
    assert_string_equal(a.got[2], "[\"1\",\"1\",\"room:a\",\"phx_error\","
                                  "{\"reason\":\"presence_expired\"}]");
    join_with(&a, "2", "{\"presence\":{\"key\":\"al\",\"meta\":{}}}");
    got(&a, 3, JOINED("2"));
    poll_until(&b, 4);
    assert_non_null(strstr(b.got[3], "\"joins\":{\"al\""));
}

static void who_polls_is_never_reaped(void **state)
{
    int64_t ms;

    (void)state;
    join_with(&a, "1", "{\"presence\":{\"key\":\"al\",\"meta\":{}}}");
    poll_until(&a, 2);
    for (ms = 0; ms < 200000; ms += 29000) {
        hf_clock_shift(ms, ms);
        poll_once(&a, (int)(ms / 29000) & 1);
        assert_int_equal(a.count, 2);
    }
}

/* A page that gives a client_id has one presence, whatever session it is in. */
static void a_client_id_takes_over_from_the_former_session(void **state)
{
    char before[200];

    (void)state;
    join_with(&b, "1", "{}");
    got_like(&b, 1, STATE("1", "{}"));
    hello.query = HF_STR("vsn=2.0.0&client_id=0123456789abcdefghijkl");
    join_with(&a, "1", "{\"presence\":{\"key\":\"al\",\"meta\":{}}}");
    poll_until(&a, 2);
    poll_until(&b, 3);
    snprintf(before, sizeof(before), "%s", strstr(a.got[1], "presence_state"));
    forget(&a);
    open_session(&a); /* its token was lost */
    join_with(&a, "1", "{\"presence\":{\"key\":\"al\",\"meta\":{}}}");
    poll_until(&a, 2);
    assert_string_equal(strstr(a.got[1], "presence_state"), before);
    hello.query = HF_STR("vsn=2.0.0&");
    hf_clock_shift(30000, 30000);
    poll_once(&a, 0);
    poll_once(&b, 0);
    hf_clock_shift(46000, 46000); /* the former session's lease is over */
    poll_once(&b, 0);
    poll_once(&b, 1);
    assert_int_equal(b.count, 3);
}

static void a_topic_that_is_full_refuses_who_wants_to_be_seen(void **state)
{
    char sql[400];

    (void)state;
    snprintf(sql, sizeof(sql),
             "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
             " WHERE i < %u) INSERT INTO presences (topic, key, ref, meta,"
             " owner, session, member, lease, since) SELECT 'room:a', 'k' || i,"
             " i, '{}', 'o' || i, 's', i, 's', 0 FROM n",
             HF_PRESENCE_MAX);
    fixture_sql(&f, sql);
    join_with(&a, "1", "{\"presence\":{\"key\":\"al\",\"meta\":{}}}");
    poll_until(&a, 1);
    assert_non_null(strstr(a.got[0], "presence full"));
    join_with(&a, "2", "{}");
    got(&a, 1, JOINED("2"));
    push_presence(&a, "3",
                  "{\"type\":\"presence\",\"event\":\"track\",\"payload\":{}}");
    join_with(&b, "1", "{\"presence\":{\"key\":\"__proto__\",\"meta\":{}}}");
    poll_until(&b, 1);
    assert_non_null(strstr(b.got[0], "invalid presence"));
}

static void a_meta_that_fits_into_no_diff_refuses_its_join_alone(void **state)
{
    char text[4000];
    FILE *conf;
    int n;

    (void)state;
    (void)snprintf(text, sizeof(text), "%s/holdfast.conf", f.dir);
    conf = fopen(text, "w");
    assert_non_null(conf);
    (void)fputs("[journal]\nmax_payload = 4096\n", conf);
    assert_int_equal(fclose(conf), 0);
    for (n = 0; n < 2; n++)
        close_gate(n);
    for (n = 0; n < 2; n++)
        open_gate(n);
    (void)snprintf(text, sizeof(text),
                   "[\"1\",\"1\",\"room:a\",\"phx_join\",{\"presence\":"
                   "{\"key\":\"al\",\"meta\":{\"a\":\"%02030d\"}}}]\n"
                   "[\"2\",\"2\",\"room:a\",\"phx_join\",{}]",
                   0);
    say(&a, 0, text);
    poll_until(&a, 2);
    assert_non_null(strstr(a.got[0], "invalid presence"));
    assert_string_equal(a.got[1], JOINED("2"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POLL_TEST(a_join_is_told_who_is_there_then_the_diffs),
        POLL_TEST(tracking_by_event_is_answered),
        POLL_TEST(without_the_right_nothing_is_told),
        POLL_TEST(a_rejoin_with_the_same_meta_is_no_flap),
        POLL_TEST(a_resumed_join_replays_no_diffs),
        POLL_TEST(a_state_waits_for_the_end_of_a_long_answer),
        POLL_TEST(a_session_that_comes_back_too_late_joins_again),
        POLL_TEST(who_polls_is_never_reaped),
        POLL_TEST(a_client_id_takes_over_from_the_former_session),
        POLL_TEST(a_topic_that_is_full_refuses_who_wants_to_be_seen),
        POLL_TEST(a_meta_that_fits_into_no_diff_refuses_its_join_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

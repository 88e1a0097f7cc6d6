#include "channel/longpoll.h"

#include "channel/longpoll_state.h"
#include "tests/unit/longpoll_fixture.h"

/* --- this file's clients --------------------------------------------------- */

static const struct client nobody; /* has no token */

static void room_for(size_t held)
{
    process[0].settings.max_held = process[1].settings.max_held = held;
}

static void be_paced(void)
{
    hello.query = HF_STR("vsn=2.0.0&paced=1&");
}

static void be_stock(void)
{
    hello.query = HF_STR("vsn=2.0.0&");
}

static uint32_t budget(void)
{
    return hf_holding_budget(&gate[0]->holding);
}

/* Joined, and with nothing to be told. */
static void join(struct client *c)
{
    say(c, 0, JOIN("1"));
    got(c, 0, JOINED("1"));
}

static struct get asks(const struct client *c, int n)
{
    struct get get;

    get_start(&get, n, c->token);
    return get;
}

/* --- tests ----------------------------------------------------------------- */

static void without_room_ours_are_told_when_to_come(void **state)
{
    struct get get;

    (void)state;
    be_paced();
    join(&a);
    room_for(0);
    get = asks(&a, 0);
    assert_true(get.answered);
    assert_int_equal(get.status, 204);
    assert_in_range(get.next_ms, 1000, 30000);
    assert_int_equal(strlen(get.token) > 0, 1);
}

static void news_is_told_whether_there_is_room_or_not(void **state)
{
    struct get get;

    (void)state;
    join(&a);
    room_for(0);
    publish("room:a", "1");
    get = asks(&a, 0); /* a stock client */
    assert_int_equal(get.status, 200);
    assert_int_equal(get.count, 1);
    assert_int_equal(get.next_ms, 0);
    get_free(&get);
    be_paced();
    get = asks(&a, 1);
    assert_int_equal(get.status, 200);
    assert_int_equal(get.count, 1);
    assert_in_range(get.next_ms, 1000, 30000);
    get_free(&get);
}

static void two_processes_share_the_room(void **state)
{
    static struct get first, second;

    (void)state;
    be_paced();
    join(&a);
    join(&b);
    room_for(1);
    get_start(&first, 0, a.token);
    turn_for(f.loop, 20);
    assert_false(first.answered);
    second = asks(&b, 1);
    assert_true(second.answered);
    assert_true(second.next_ms >= 1000);
    publish("room:a", "1");
    get_wait(&first, 1500);
    get_free(&first);
    poll_once(&b, 1);
    get_start(&second, 1, b.token); /* the place is free again */
    turn_for(f.loop, 20);
    assert_false(second.answered);
    hf_poll_cancel(&second.poll);
    assert_int_equal(hf_holding_excess(&gate[0]->holding), 0);
}

static void a_poll_that_was_given_up_frees_its_place(void **state)
{
    struct get get;

    (void)state;
    be_paced();
    join(&a);
    join(&b);
    room_for(1);
    get_start(&get, 0, a.token);
    hf_poll_cancel(&get.poll);
    get_start(&get, 1, b.token);
    assert_false(get.answered);
    hf_poll_cancel(&get.poll);
}

static void a_session_takes_one_place_however_often_it_asks(void **state)
{
    static struct get older, newer;

    (void)state;
    be_paced();
    join(&a);
    room_for(1);
    get_start(&older, 0, a.token);
    turn_for(f.loop, 20);
    get_start(&newer, 1, a.token); /* its connection broke, unseen by us */
    assert_false(newer.answered);
    get_wait(&older, 1500);
    assert_int_equal(older.status, 204);
    assert_false(newer.answered);
    hf_poll_cancel(&newer.poll);
}

static void a_stock_session_is_refused_where_there_is_no_room(void **state)
{
    struct get get;

    (void)state;
    join(&a);
    room_for(1);
    get_start(&get, 0, a.token); /* counts from now on */
    assert_false(get.answered);
    hf_poll_cancel(&get.poll);
    get = asks(&nobody, 0);
    assert_int_equal(get.status, 500);
    get = asks(&nobody, 1);
    assert_int_equal(get.status, 500);
    be_paced();
    get = asks(&nobody, 1); /* ours always come in */
    assert_int_equal(get.status, 410);
    be_stock();
    get_start(&get, 1, a.token); /* and the one that is in stays */
    assert_false(get.answered);
    hf_poll_cancel(&get.poll);
}

static void a_stock_session_that_went_away_counts_no_more(void **state)
{
    struct get get;

    (void)state;
    join(&a);
    room_for(1);
    get_start(&get, 0, a.token);
    hf_poll_cancel(&get.poll);
    get = asks(&nobody, 0);
    assert_int_equal(get.status, 500);
    hf_clock_shift(HF_STOCK_LIFE_MS + 1000, HF_STOCK_LIFE_MS + 1000);
    get = asks(&nobody, 0);
    assert_int_equal(get.status, 410);
    hf_clock_shift(0, 0);
}

/* a has sent something, b has not for longer. */
static void when_the_room_shrinks_the_quiet_ones_are_ended(void **state)
{
    struct get get_a, get_b;

    (void)state;
    join(&a);
    join(&b);
    room_for(2);
    get_start(&get_a, 0, a.token);
    get_start(&get_b, 0, b.token);
    assert_false(get_a.answered);
    assert_false(get_b.answered);
    hf_poll_cancel(&get_a.poll);
    hf_poll_cancel(&get_b.poll);
    say(&a, 0, "[\"1\",\"2\",\"room:b\",\"phx_leave\",{}]");
    poll_once(&a, 0);
    room_for(1);
    get_b = asks(&b, 0);
    assert_int_equal(get_b.status, 500);
    get_start(&get_a, 0, a.token);
    assert_false(get_a.answered);
    hf_poll_cancel(&get_a.poll);
}

static void a_refusal_counts_from_who_has_joined(void **state)
{
    struct get get;

    (void)state;
    room_for(100);
    hello.query = HF_STR("vsn=2.0.0&paced=1&refused=508&");
    get = asks(&nobody, 0);
    assert_int_equal(get.status, 410);
    get_start(&get, 0, a.token); /* anybody may have such a token */
    assert_int_equal(budget(), 100);
    hf_poll_cancel(&get.poll);
    join(&a);
    assert_int_equal(budget(), 50); /* with the answer that says so */
    poll_once(&a, 1);
    assert_int_equal(budget(), 50); /* not twice within 5 s */
}

static void a_number_that_is_no_refusal_counts_for_nothing(void **state)
{
    static const char *const queries[] = {
        "paced=1&refused=404&", "paced=1&refused=5080&",
        "paced=1&refused=&",    "paced=1&refused=-503&",
        "refused=508&",         "paced=0&refused=508&"};
    struct get get;
    size_t i;

    (void)state;
    be_paced();
    join(&a);
    room_for(100);
    for (i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
        hello.query = hf_str_of(queries[i]);
        get_start(&get, 0, a.token);
        hf_poll_cancel(&get.poll);
        assert_int_equal(budget(), 100);
    }
}

static void who_does_not_wait_is_slowed_down_then_refused(void **state)
{
    static struct get slowed;
    struct get get;
    int64_t start;

    (void)state;
    be_paced();
    join(&a);
    join(&b);
    room_for(1);
    process[0].settings.lease_ms = 3000; /* the place is kept so long */
    get_start(&get, 1, b.token);
    slowed = asks(&a, 0);
    assert_true(slowed.next_ms >= 1000);
    snprintf(a.token, sizeof(a.token), "%s", slowed.token);
    start = hf_boot_ms();
    get_start(&slowed, 0, a.token); /* at once */
    assert_false(slowed.answered);
    get_wait(&slowed, 1500);
    assert_true(hf_boot_ms() - start >= 900);
    assert_int_equal(slowed.status, 204);
    hf_poll_cancel(&get.poll);
}

static void a_lease_outlives_the_pause(void **state)
{
    struct hf_str session;
    struct hf_token token;
    struct get get;
    int64_t seen;
    int i;

    (void)state;
    be_paced();
    join(&a);
    room_for(0);
    get = asks(&a, 0);
    hf_clock_shift(14000, 14000); /* less than a third of the lease */
    for (i = 0; i < 3000; i++)    /* a crowd */
        (void)hf_holding_pause(&gate[0]->holding, true, hf_boot_ms());
    get = asks(&a, 0);
    assert_in_range(get.next_ms, 20000, 30000);
    assert_int_equal(hf_longpoll_token(gate[0], hf_str_of(a.token), &token),
                     HF_TOKEN_GOOD);
    session = hf_str(token.session, sizeof(token.session));
    assert_int_equal(hf_live_last_seen(process[0].live, session, &seen), 0);
    assert_true(hf_boot_ms() - seen + get.next_ms <
                process[0].settings.lease_ms);
    hf_clock_shift(0, 0);
}

/* Else each of its polls would fail, and at last its session. */
static void no_poll_of_ours_is_held_until_it_is_taken_for_lost(void **state)
{
    struct get get;

    (void)state;
    be_paced();
    join(&a);
    process[0].settings.lease_ms = 600 * 1000;
    gate[0]->hold_ms = 300 * 1000;
    get_start(&get, 0, a.token);
    turn_for(f.loop, 1);
    assert_false(get.answered);
    hf_clock_shift(HF_HOLD_PACED_MS - 1000, HF_HOLD_PACED_MS - 1000);
    turn_for(f.loop, 1);
    assert_false(get.answered);
    hf_clock_shift(HF_HOLD_PACED_MS + 1000, HF_HOLD_PACED_MS + 1000);
    get_wait(&get, 1000);
    assert_int_equal(get.status, 204);
    hf_clock_shift(0, 0);
}

static void all_that_are_released_come_back_one_after_another(void **state)
{
    static struct get ours, stock;

    (void)state;
    join(&a);
    join(&b);
    get_start(&stock, 0, a.token);
    be_paced();
    get_start(&ours, 0, b.token);
    hf_longpoll_release(gate[0]);
    assert_int_equal(ours.status, 204);
    assert_in_range(ours.next_ms, 1, HF_SCATTER_MS);
    assert_int_equal(stock.status, 204);
    assert_int_equal(stock.next_ms, 0);
}

/* Its places are taken: should it be let in, it would join and be ended, and come
 * again at once, for stock clients take an answer 410 for a success. */
static void a_stock_client_whose_address_has_no_room_is_not_let_in(void **state)
{
    struct get get, other;

    (void)state;
    join(&a);
    process[0].settings.max_held_per_address = 1;
    process[1].settings.max_held_per_address = 1;
    hello.peer = HF_STR("192.0.2.1");
    get_start(&get, 0, a.token);
    assert_false(get.answered);
    other = asks(&nobody, 0);
    assert_int_equal(other.status, 500);
    hello.peer = HF_STR("192.0.2.2");
    other = asks(&nobody, 0);
    assert_int_equal(other.status, 410);
    hello.peer = HF_STR("192.0.2.1");
    be_paced();
    other = asks(&nobody, 0); /* those wait, and need no place */
    assert_int_equal(other.status, 410);
    hf_poll_cancel(&get.poll);
    be_stock();
    other = asks(&nobody, 0);
    assert_int_equal(other.status, 410);
    hello.peer = hf_str(NULL, 0);
}

/* It polls again as soon as its push was answered, which its poll may have told
 * it of before. */
static void who_has_just_sent_something_may_come_at_once(void **state)
{
    struct get get, early;

    (void)state;
    be_paced();
    join(&a);
    join(&b);
    process[0].settings.max_held_per_address = 1;
    hello.peer = HF_STR("192.0.2.1");
    get_start(&get, 0, b.token);
    assert_false(get.answered);
    say(&a, 0, "[\"2\",\"2\",\"room:b\",\"phx_join\",{}]");
    poll_once(&a, 0);
    early = asks(&a, 0);
    assert_int_equal(early.status, 204);
    assert_true(early.next_ms >= 1000);
    snprintf(a.token, sizeof(a.token), "%s", early.token);
    early = asks(&a, 0);
    assert_int_equal(early.status, 204);
    hf_poll_cancel(&get.poll);
    hello.peer = hf_str(NULL, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_room_ours_are_told_when_to_come),
        TEST(news_is_told_whether_there_is_room_or_not),
        TEST(two_processes_share_the_room),
        TEST(a_poll_that_was_given_up_frees_its_place),
        TEST(a_session_takes_one_place_however_often_it_asks),
        TEST(a_stock_session_is_refused_where_there_is_no_room),
        TEST(a_stock_session_that_went_away_counts_no_more),
        TEST(a_stock_client_whose_address_has_no_room_is_not_let_in),
        TEST(who_has_just_sent_something_may_come_at_once),
        TEST(when_the_room_shrinks_the_quiet_ones_are_ended),
        TEST(a_refusal_counts_from_who_has_joined),
        TEST(a_number_that_is_no_refusal_counts_for_nothing),
        TEST(who_does_not_wait_is_slowed_down_then_refused),
        TEST(a_lease_outlives_the_pause),
        TEST(no_poll_of_ours_is_held_until_it_is_taken_for_lost),
        TEST(all_that_are_released_come_back_one_after_another),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

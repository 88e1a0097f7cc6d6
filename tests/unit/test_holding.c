#include "channel/holding.h"

#include "schema_fixture.h"

#include <signal.h>

#include "channel/limits.h"

/* The clock of these tests; any time of a boot but its first minutes. */
static int64_t now;

#define ROOM ((size_t)200)
static struct hf_hold holds[ROOM];
static size_t held;

static struct hf_holding open_as(enum hf_served served)
{
    struct hf_holding h;

    assert_int_equal(hf_holding_open(&h, &f.dir, &f.settings, served), 0);
    now = 10 * 3600 * 1000;
    held = 0;
    return h;
}

static struct hf_asker paced(bool active)
{
    return (struct hf_asker){
        .kind = HF_ASKER_PACED, .joined = true, .active = active};
}

static enum hf_verdict ask(struct hf_holding *h, const struct hf_asker *w,
                           int64_t *out_ms)
{
    struct hf_hold hold = {0};
    enum hf_verdict verdict = hf_holding_admit(h, w, now, &hold, out_ms);

    assert_int_equal(hold.taken, verdict == HF_HOLD);
    if (verdict == HF_HOLD) {
        assert_true(held < ROOM);
        holds[held++] = hold;
    }
    return verdict;
}

/* How many of them are held until one is not. */
static unsigned fill(struct hf_holding *h, struct hf_asker w)
{
    unsigned count = 0;
    int64_t ms;

    while (ask(h, &w, &ms) == HF_HOLD)
        count++;
    return count;
}

static void let_go(struct hf_holding *h)
{
    while (held > 0)
        hf_holding_release(h, &holds[--held]);
}

static void shut(struct hf_holding *h)
{
    let_go(h);
    hf_holding_close(h);
}

/* As in a busy hour: every second somebody finds no room. */
static void time_passes(struct hf_holding *h, int seconds, bool witnessed)
{
    while (seconds-- > 0) {
        now += 1000;
        if (witnessed)
            hf_holding_witness(h, now);
        (void)fill(h, paced(true));
    }
}

static void the_first_value_is_of_the_host_unless_it_is_set(void **state)
{
    static const struct {
        enum hf_served served;
        uint32_t budget;
    } hosts[] = {{HF_SERVED_CGI, 8},
                 {HF_SERVED_FCGID, 4},
                 {HF_SERVED_RESIDENT_APACHE, 100},
                 {HF_SERVED_RESIDENT_NGINX, 300},
                 {HF_SERVED_RESIDENT, 5000}};
    size_t i;

    (void)state;
    for (i = 0; i < 4; i++) {
        struct hf_holding h = open_as(hosts[i].served);

        assert_int_equal(hf_holding_budget(&h), hosts[i].budget);
        f.settings.held_first = 11;
        assert_int_equal(hf_holding_budget(&h), 11);
        f.settings.max_held = f.settings.cgi_max_held = 5;
        assert_int_equal(hf_holding_budget(&h), 5);
        hf_settings_default(&f.settings);
        shut(&h);
    }
}

static void a_quarter_is_for_those_who_sent_something_lately(void **state)
{
    struct hf_holding h = open_as(HF_SERVED_CGI);

    (void)state;
    assert_int_equal(fill(&h, paced(false)), 6);
    assert_int_equal(fill(&h, paced(true)), 2);
    let_go(&h);
    assert_int_equal(fill(&h, paced(true)), 8);
    shut(&h);
}

static void all_processes_share_one_budget(void **state)
{
    struct hf_holding a = open_as(HF_SERVED_CGI), b = open_as(HF_SERVED_CGI);
    int64_t ms;

    (void)state;
    assert_int_equal(fill(&a, paced(true)), 8);
    assert_int_equal(ask(&b,
                         &(struct hf_asker){.kind = HF_ASKER_PACED,
                                            .joined = true,
                                            .active = true},
                         &ms),
                     HF_LATER);
    hf_holding_release(&a, &holds[--held]);
    {
        struct hf_asker w = paced(true);

        assert_int_equal(ask(&b, &w, &ms), HF_HOLD);
        hf_holding_release(&b, &holds[--held]);
    }
    let_go(&a);
    hf_holding_close(&b);
    hf_holding_close(&a);
}

static void what_a_killed_process_held_is_free_again(void **state)
{
    struct hf_holding h = open_as(HF_SERVED_CGI);
    int ready[2];
    pid_t pid;
    char byte;

    (void)state;
    assert_int_equal(pipe(ready), 0);
    pid = fork();
    if (pid == 0) {
        struct hf_holding other = open_as(HF_SERVED_CGI);

        (void)fill(&other, paced(true));
        (void)!write(ready[1], "!", 1);
        for (;;)
            (void)pause();
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(fill(&h, paced(true)), 0);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    now += 1000; /* looked for once a second */
    assert_int_equal(fill(&h, paced(true)), 8);
    (void)close(ready[0]);
    (void)close(ready[1]);
    shut(&h);
}

static void it_grows_only_while_a_client_that_would_tell_comes(void **state)
{
    struct hf_holding h = open_as(HF_SERVED_CGI);

    (void)state;
    time_passes(&h, 60, false);
    assert_int_equal(hf_holding_budget(&h), 8);
    time_passes(&h, 50, true);
    assert_in_range(hf_holding_budget(&h), 17, 19); /* one in 5 s */
    time_passes(&h, 600, true);
    assert_int_equal(hf_holding_budget(&h), 40); /* the most as CGI */
    shut(&h);
}

static void it_does_not_grow_while_there_is_room(void **state)
{
    struct hf_holding h = open_as(HF_SERVED_RESIDENT);
    int i;

    (void)state;
    f.settings.held_first = 100;
    for (i = 0; i < 100; i++) {
        struct hf_asker w = paced(false);
        int64_t ms;

        now += 1000;
        hf_holding_witness(&h, now);
        assert_int_equal(ask(&h, &w, &ms), HF_HOLD);
        let_go(&h);
    }
    assert_int_equal(hf_holding_budget(&h), 100);
    (void)fill(&h, paced(true));
    assert_int_equal(hf_holding_budget(&h), 125);
    shut(&h);
}

/* There nobody is refused who could tell: all wait, the site's pages too. */
static void behind_apache_it_stays_at_its_first_value(void **state)
{
    struct hf_holding h = open_as(HF_SERVED_RESIDENT_APACHE);

    (void)state;
    time_passes(&h, 600, true);
    assert_int_equal(hf_holding_budget(&h), 100);
    hf_holding_reported(&h, 503, now);
    assert_int_equal(hf_holding_budget(&h), 50);
    let_go(&h);
    time_passes(&h, 3600, true);
    assert_int_equal(hf_holding_budget(&h), 100); /* back, and no further */
    f.settings.held_first = 120;
    let_go(&h);
    time_passes(&h, 600, true);
    assert_int_equal(hf_holding_budget(&h), 120); /* as the operator says */
    shut(&h);
}

static void a_reported_refusal_halves_it_once_in_five_seconds(void **state)
{
    struct hf_holding h = open_as(HF_SERVED_RESIDENT_APACHE);

    (void)state;
    hf_holding_reported(&h, 508, now);
    assert_int_equal(hf_holding_budget(&h), 50);
    now += 4999;
    hf_holding_reported(&h, 508, now);
    assert_int_equal(hf_holding_budget(&h), 50);
    now += 1;
    hf_holding_reported(&h, 508, now);
    assert_int_equal(hf_holding_budget(&h), 25);
    now += 5000;
    hf_holding_reported(&h, 508, now);
    assert_int_equal(hf_holding_budget(&h), 25); /* a quarter of the first */
    shut(&h);
}

static void where_it_was_refused_it_does_not_go_for_ten_minutes(void **state)
{
    struct hf_holding h = open_as(HF_SERVED_CGI);

    (void)state;
    time_passes(&h, 45, true);
    assert_in_range(hf_holding_budget(&h), 16, 18);
    while (hf_holding_budget(&h) < 17)
        time_passes(&h, 1, true);
    hf_holding_reported(&h, 508, now);
    assert_int_equal(hf_holding_budget(&h), 8);
    let_go(&h);
    time_passes(&h, 500, true);
    assert_int_equal(hf_holding_budget(&h), 13); /* 17 - 17/4 */
    time_passes(&h, 110, true);
    assert_int_equal(hf_holding_budget(&h), 14); /* one step in ten minutes */
    time_passes(&h, 500, true);
    assert_int_equal(hf_holding_budget(&h), 14);
    time_passes(&h, 110, true);
    assert_int_equal(hf_holding_budget(&h), 15);
    shut(&h);
}

static void it_is_never_below_two(void **state)
{
    struct hf_holding h = open_as(HF_SERVED_FCGID);
    int i;

    (void)state;
    for (i = 0; i < 10; i++) {
        now += 6000;
        hf_holding_reported(&h, 503, now);
    }
    assert_int_equal(hf_holding_budget(&h), 2);
    assert_int_equal(fill(&h, paced(true)), 2);
    shut(&h);
}

static void who_finds_no_room_is_given_moments_evenly_spaced(void **state)
{
    struct hf_holding h = open_as(HF_SERVED_CGI);
    struct hf_asker w = paced(true);
    int64_t ms, before = 0;
    int i;

    (void)state;
    (void)fill(&h, w); /* which took the first moment */
    for (i = 1; i < 500; i++) {
        assert_int_equal(ask(&h, &w, &ms), HF_LATER);
        assert_int_equal(ms, 1000 + 20 * i); /* 50 a second */
        before = ms;
    }
    now += 10000;
    assert_int_equal(ask(&h, &w, &ms), HF_LATER);
    assert_int_equal(ms,
                     before - 10000 + 20 > 1000 ? before - 10000 + 20 : 1000);
    for (i = 0; i < 5000; i++) {
        assert_int_equal(ask(&h, &w, &ms), HF_LATER);
        assert_in_range(ms, 1000, 30000); /* however many there are */
    }
    shut(&h);
}

static void after_a_refusal_they_come_as_much_less_often(void **state)
{
    struct hf_holding h = open_as(HF_SERVED_CGI);
    int64_t before, ms;

    (void)state;
    hf_holding_reported(&h, 508, now);
    (void)fill(&h, paced(true));
    before = hf_holding_pause(&h, true, now);
    ms = hf_holding_pause(&h, true, now);
    assert_int_equal(ms - before, 40); /* half of 50 a second */
    now += 5000;
    hf_holding_reported(&h, 508, now);
    before = hf_holding_pause(&h, true, now);
    ms = hf_holding_pause(&h, true, now);
    assert_int_equal(ms - before, 80);
    shut(&h);
}

static void times_of_another_boot_mean_long_ago(void **state)
{
    struct hf_holding h = open_as(HF_SERVED_CGI);
    struct hf_asker w = paced(true);
    int64_t ms;

    (void)state;
    now = INT64_C(90) * 24 * 3600 * 1000;
    hf_holding_reported(&h, 508, now);
    (void)fill(&h, w);
    let_go(&h);
    now = 60000;
    time_passes(&h, 10, true);
    assert_in_range(hf_holding_budget(&h), 5, 6);
    assert_int_equal(ask(&h, &w, &ms), HF_LATER);
    assert_in_range(ms, 1000, 2000);
    shut(&h);
}

static void who_has_joined_nothing_shares_a_tenth(void **state)
{
    struct hf_holding h = open_as(HF_SERVED_RESIDENT_APACHE);
    struct hf_asker w = {.kind = HF_ASKER_PACED};
    struct hf_hold hold = {0};
    int64_t ms;

    (void)state;
    assert_int_equal(hf_holding_admit(&h, &w, now, &hold, &ms), HF_HOLD);
    assert_int_equal(ms, HF_HOLD_UNJOINED_MS);
    hf_holding_release(&h, &hold);
    assert_int_equal(fill(&h, w), 10);
    assert_int_equal(fill(&h, paced(true)), 100); /* beside it */
    shut(&h);
}

static void nobody_gets_an_empty_answer_twice_within_a_second(void **state)
{
    struct hf_holding h = open_as(HF_SERVED_CGI);
    struct hf_asker w = paced(false);
    int64_t ms;

    (void)state;
    (void)fill(&h, paced(true));
    assert_int_equal(ask(&h, &w, &ms), HF_LATER);
    w.empty = true;
    w.since_ms = 300;
    assert_int_equal(ask(&h, &w, &ms), HF_HOLD); /* slowed down */
    assert_int_equal(ms, 700);
    assert_int_equal(ask(&h, &w, &ms),
                     HF_REFUSED); /* as long as there is room */
    w.active = true;              /* one that has sent something had a reason */
    assert_int_equal(ask(&h, &w, &ms), HF_LATER);
    w.active = false;
    w.since_ms = 1000; /* and one that waited, always */
    assert_int_equal(ask(&h, &w, &ms), HF_LATER);
    shut(&h);
}

static void an_address_holds_sixteen_and_loopback_any_number(void **state)
{
    static const char *const proxies[] = {"127.0.0.1", "::1",
                                          "::ffff:127.0.0.1", ""};
    struct hf_holding h = open_as(HF_SERVED_RESIDENT_APACHE);
    struct hf_asker w = paced(true);
    size_t i;

    (void)state;
    w.address = HF_STR("192.0.2.1");
    assert_int_equal(fill(&h, w), 16);
    w.address = HF_STR("192.0.2.10");
    assert_int_equal(fill(&h, w), 16);
    let_go(&h);
    w.address = HF_STR("192.0.2.1");
    assert_int_equal(fill(&h, w), 16); /* given back */
    let_go(&h);
    f.settings.max_held_per_address = 0;
    assert_int_equal(fill(&h, w), 100);
    f.settings.max_held_per_address = 16;
    let_go(&h);
    for (i = 0; i < 4; i++) {
        w.address = hf_str_of(proxies[i]);
        assert_int_equal(fill(&h, w), 100);
        let_go(&h);
    }
    shut(&h);
}

static void
where_each_hold_is_a_process_the_slots_know_the_address(void **state)
{
    static struct hf_holding all[20];
    static struct hf_hold theirs[20];
    struct hf_asker w = paced(true);
    unsigned i, count = 0;
    int64_t ms;

    (void)state;
    f.settings.held_first = 40;
    w.address = HF_STR("192.0.2.1");
    for (i = 0; i < 20; i++) {
        all[i] = open_as(HF_SERVED_CGI);
        if (hf_holding_admit(&all[i], &w, now, &theirs[i], &ms) == HF_HOLD)
            count++;
    }
    assert_int_equal(count, 16);
    w.address = HF_STR("192.0.2.2");
    assert_int_equal(hf_holding_admit(&all[19], &w, now, &theirs[19], &ms),
                     HF_HOLD);
    for (i = 0; i < 20; i++) {
        hf_holding_release(&all[i], &theirs[i]);
        hf_holding_close(&all[i]);
    }
}

static void a_poll_that_replaces_one_needs_no_place_of_its_own(void **state)
{
    struct hf_holding h = open_as(HF_SERVED_CGI);
    struct hf_asker w = paced(true);
    int64_t ms;

    (void)state;
    (void)fill(&h, w);
    w.replaces = true;
    assert_int_equal(ask(&h, &w, &ms), HF_HOLD);
    assert_int_equal(ask(&h, &w, &ms), HF_LATER); /* one, not any number */
    shut(&h);
}

static void a_stock_session_counts_as_long_as_it_lives(void **state)
{
    struct hf_holding h = open_as(HF_SERVED_CGI);
    unsigned count = 0;
    uint32_t max;

    (void)state;
    while (hf_holding_stock_enters(&h, HF_STOCK_COMES, false, now))
        count++;
    assert_int_equal(count, 6);                 /* a quarter is never theirs */
    assert_int_equal(fill(&h, paced(true)), 8); /* they only come */
    let_go(&h);
    while (count-- > 0)
        assert_true(hf_holding_stock_enters(&h, HF_STOCK_JOINED, true, now));
    assert_false(hf_holding_stock_enters(&h, HF_STOCK_BACK, true, now));
    assert_false(hf_holding_stock_enters(&h, HF_STOCK_COMES, false, now));
    assert_int_equal(fill(&h, paced(true)), 2); /* what they leave */
    assert_false(hf_holding_stock_excess(&h, &max));
    hf_holding_reported(&h, 508, now);
    assert_true(hf_holding_stock_excess(&h, &max));
    assert_int_equal(max, 3);
    assert_int_equal(hf_holding_excess(&h), 4);
    hf_holding_stock_left(&h);
    hf_holding_stock_left(&h);
    hf_holding_stock_left(&h);
    assert_false(hf_holding_stock_excess(&h, &max));
    shut(&h);
}

static void a_stock_request_is_held_while_its_session_is_in(void **state)
{
    struct hf_holding h = open_as(HF_SERVED_CGI);
    struct hf_asker w = {.kind = HF_ASKER_STOCK, .joined = true};
    int64_t ms;

    (void)state;
    (void)fill(&h, paced(true));
    assert_int_equal(ask(&h, &w, &ms), HF_HOLD); /* it is counted already */
    assert_int_equal(ms, HF_HOLD_STOCK_MS);
    w.joined = false;
    assert_int_equal(ask(&h, &w, &ms), HF_HOLD);
    assert_int_equal(ms, HF_HOLD_UNJOINED_MS);
    shut(&h);
}

static void lost_counts_of_stock_sessions_do_no_harm(void **state)
{
    struct hf_holding h = open_as(HF_SERVED_CGI);

    (void)state;
    hf_holding_stock_left(&h); /* below zero: counted by another meanwhile */
    assert_int_equal(fill(&h, paced(true)), 8);
    let_go(&h);
    assert_true(hf_holding_count_due(&h, now));
    assert_false(hf_holding_count_due(&h, now));
    hf_holding_counted(&h, 3, 0);
    assert_int_equal(fill(&h, paced(true)), 5);
    now += 1000;
    assert_true(hf_holding_count_due(&h, now));
    shut(&h);
}

static void a_reader_of_events_is_held_like_a_session(void **state)
{
    struct hf_holding h = open_as(HF_SERVED_CGI);
    struct hf_asker w = {.kind = HF_ASKER_READER, .joined = true};
    int64_t ms;

    (void)state;
    assert_int_equal(fill(&h, w), 6);
    assert_int_equal(ask(&h, &w, &ms), HF_LATER);
    assert_true(ms >= 1000);
    shut(&h);
}

static void with_nothing_to_hold_ours_are_told_when_to_come(void **state)
{
    struct hf_holding h;
    struct hf_asker w = paced(true);
    int64_t ms;

    (void)state;
    f.settings.cgi_max_held = 0;
    h = open_as(HF_SERVED_CGI);
    assert_int_equal(ask(&h, &w, &ms), HF_LATER);
    assert_int_equal(hf_holding_pause(&h, true, now) > 0, true);
    w.joined = false;
    assert_int_equal(ask(&h, &w, &ms), HF_LATER);
    assert_false(hf_holding_stock_enters(&h, HF_STOCK_COMES, false, now));
    assert_false(hf_holding_stock_enters(&h, HF_STOCK_BACK, true, now));
    shut(&h);
}

static void what_another_set_up_learnt_does_not_count(void **state)
{
    struct hf_holding h = open_as(HF_SERVED_CGI);

    (void)state;
    hf_holding_reported(&h, 508, now);
    assert_int_equal(hf_holding_budget(&h), 4);
    hf_holding_close(&h);
    h = open_as(HF_SERVED_CGI); /* the same one: it does */
    assert_int_equal(hf_holding_budget(&h), 4);
    h.served = HF_SERVED_RESIDENT_APACHE;
    assert_int_equal(hf_holding_budget(&h), 100);
    shut(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(the_first_value_is_of_the_host_unless_it_is_set),
        FIXTURE_TEST(a_quarter_is_for_those_who_sent_something_lately),
        FIXTURE_TEST(all_processes_share_one_budget),
        FIXTURE_TEST(what_a_killed_process_held_is_free_again),
        FIXTURE_TEST(it_grows_only_while_a_client_that_would_tell_comes),
        FIXTURE_TEST(it_does_not_grow_while_there_is_room),
        FIXTURE_TEST(behind_apache_it_stays_at_its_first_value),
        FIXTURE_TEST(a_reported_refusal_halves_it_once_in_five_seconds),
        FIXTURE_TEST(where_it_was_refused_it_does_not_go_for_ten_minutes),
        FIXTURE_TEST(it_is_never_below_two),
        FIXTURE_TEST(who_finds_no_room_is_given_moments_evenly_spaced),
        FIXTURE_TEST(after_a_refusal_they_come_as_much_less_often),
        FIXTURE_TEST(times_of_another_boot_mean_long_ago),
        FIXTURE_TEST(who_has_joined_nothing_shares_a_tenth),
        FIXTURE_TEST(nobody_gets_an_empty_answer_twice_within_a_second),
        FIXTURE_TEST(an_address_holds_sixteen_and_loopback_any_number),
        FIXTURE_TEST(where_each_hold_is_a_process_the_slots_know_the_address),
        FIXTURE_TEST(a_poll_that_replaces_one_needs_no_place_of_its_own),
        FIXTURE_TEST(a_stock_session_counts_as_long_as_it_lives),
        FIXTURE_TEST(a_stock_request_is_held_while_its_session_is_in),
        FIXTURE_TEST(lost_counts_of_stock_sessions_do_no_harm),
        FIXTURE_TEST(a_reader_of_events_is_held_like_a_session),
        FIXTURE_TEST(with_nothing_to_hold_ours_are_told_when_to_come),
        FIXTURE_TEST(what_another_set_up_learnt_does_not_count),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

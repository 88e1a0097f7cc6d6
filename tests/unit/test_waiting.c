#include "channel/waiting.h"

#include "channel/limits.h"
#include "tests/unit/journal_fixture.h"

/* Waiters of one process, on names in place of whole requests. */
static struct fixture f;
static struct hf_process process;
static struct hf_waiting waiting;

enum end { HERE, ANSWERED, LATE, RELEASED, FAILED };

struct guest {
    struct hf_waiter waiter;
    const char *names[4];
    const char *session; /* NULL = none */
    unsigned told, rung;
    bool more; /* has more to read for ever */
    enum end end;
};

static bool next_name(const void *ctx, size_t *at, struct hf_str *out)
{
    const struct guest *guest = ctx;

    if (*at == 4 || !guest->names[*at])
        return false;
    *out = hf_str_of(guest->names[(*at)++]);
    return true;
}

static struct hf_wait_for names_of(const struct guest *guest)
{
    struct hf_wait_for what = {.next = next_name, .ctx = guest};

    assert_int_equal(hf_journal_head(process.journal, &what.head), 0);
    what.more = guest->more;
    return what;
}

static struct guest *guest_of(struct hf_waiter *waiter)
{
    return HF_ITEM(waiter, struct guest, waiter);
}

static void end(struct hf_waiter *waiter, enum end how)
{
    assert_int_equal(guest_of(waiter)->end, HERE);
    guest_of(waiter)->end = how;
    hf_waiting_leave(waiter);
}

/* Goes on: what it was told of is counted only. */
static void came(struct hf_waiter *waiter)
{
    struct hf_wait_for what = names_of(guest_of(waiter));

    guest_of(waiter)->told++;
    assert_int_equal(hf_waiting_go_on(waiter, &what), 0);
}

static void deadline(struct hf_waiter *waiter)
{
    end(waiter, LATE);
}

static void release(struct hf_waiter *waiter)
{
    end(waiter, RELEASED);
}

static void fail_one(struct hf_waiter *waiter)
{
    end(waiter, FAILED);
}

static struct hf_str session_of(struct hf_waiter *waiter)
{
    const char *session = guest_of(waiter)->session;

    return session ? hf_str_of(session) : hf_str(NULL, 0);
}

static const struct hf_waiter_kind kind = {came, deadline, release, fail_one,
                                           session_of};
static const struct hf_waiter_kind other_kind = {came, deadline, release,
                                                 fail_one, NULL};

static void park(struct guest *guest, int64_t hold_ms)
{
    struct hf_wait_for what = names_of(guest);

    if (!guest->waiter.kind)
        guest->waiter.kind = &kind;
    assert_int_equal(hf_waiting_park(&waiting, &guest->waiter, &what, hold_ms),
                     0);
}

static void publish(const char *topic)
{
    (void)fixture_publish(&process, topic, "1");
    hf_waiting_soon(&waiting);
    turn_for(f.loop, 20);
}

static void rung(struct hf_waiting *w)
{
    (void)w;
}

static int setup(void **state)
{
    (void)state;
    fixture_begin(&f);
    fixture_open(&f, &process, false);
    return hf_waiting_open(&waiting, &process, rung);
}

static int teardown(void **state)
{
    (void)state;
    hf_waiting_release(&waiting);
    hf_waiting_close(&waiting);
    hf_process_close(&process);
    fixture_end(&f);
    return 0;
}

/* --- tests --------------------------------------------------------------- */

static void a_row_is_told_to_those_who_wait_for_its_topic_alone(void **state)
{
    struct guest one = {.names = {"room:1"}};
    struct guest both = {.names = {"room:2", "room:1"}};
    struct guest none = {.names = {NULL}};

    (void)state;
    park(&one, 5000);
    park(&both, 5000);
    park(&none, 5000);
    publish("room:1");
    publish("room:2");
    publish("room:3");
    assert_int_equal(one.told, 1);
    assert_int_equal(both.told, 2);
    assert_int_equal(none.told, 0);
    assert_int_equal(waiting.count, 3);
    hf_waiting_release(&waiting);
    assert_int_equal(one.end, RELEASED);
    assert_int_equal(none.end, RELEASED);
    assert_int_equal(waiting.topics.count, 0);
}

static void topics_that_change_are_heard_from_then_on(void **state)
{
    struct guest guest = {.names = {"room:1", "room:2"}};

    (void)state;
    park(&guest, 5000);
    guest.names[0] = "room:3";
    guest.names[1] = "room:1";
    guest.names[2] = "room:4";
    publish("room:2"); /* told of it, it says what it waits for now */
    publish("room:2");
    assert_int_equal(guest.told, 1);
    publish("room:4");
    publish("room:1");
    assert_int_equal(guest.told, 3);
    guest.names[0] = NULL;
    publish("room:3");
    publish("room:1");
    assert_int_equal(guest.told, 4);
    assert_int_equal(waiting.topics.count, 0);
    hf_waiting_release(&waiting);
}

static void a_deadline_comes_once_and_on_time(void **state)
{
    struct guest guest = {.names = {"room:1"}};
    int64_t start = hf_boot_ms();

    (void)state;
    park(&guest, 30);
    while (guest.end == HERE && hf_boot_ms() - start < 2000)
        assert_int_equal(hf_loop_turn(f.loop, 100), 0);
    assert_int_equal(guest.end, LATE);
    assert_true(hf_boot_ms() - start >= 30);
    assert_int_equal(waiting.count, 0);
    hf_waiting_leave(&guest.waiter); /* again: nothing */
}

static void a_session_is_found_until_it_leaves(void **state)
{
    struct guest guest = {.session = "s-1"}, plain = {.names = {"room:1"}};

    (void)state;
    plain.waiter.kind = &other_kind;
    park(&guest, 5000);
    park(&plain, 5000);
    assert_ptr_equal(hf_waiting_of(&waiting, HF_STR("s-1")), &guest.waiter);
    assert_null(hf_waiting_of(&waiting, HF_STR("")));
    hf_waiting_leave(&guest.waiter);
    assert_null(hf_waiting_of(&waiting, HF_STR("s-1")));
    hf_waiting_release(&waiting);
}

/* So that accepting goes on: a bounded number a turn, each once. */
static void many_are_told_over_several_turns(void **state)
{
    enum { MANY = 2 * HF_WAITING_TURN + 3 };
    static struct guest guests[MANY];
    unsigned told = 0;
    size_t n;

    (void)state;
    for (n = 0; n < MANY; n++) {
        guests[n] = (struct guest){.names = {"room:1"}, .more = n < 2};
        park(&guests[n], 5000);
    }
    hf_waiting_tell_all(&waiting);
    hf_waiting_tell_all(&waiting);
    assert_int_equal(hf_loop_turn(f.loop, 0), 0);
    for (n = 0; n < MANY; n++)
        told += guests[n].told;
    assert_int_equal(told, HF_WAITING_TURN);
    assert_int_equal(guests[0].told, 1);
    assert_int_equal(hf_loop_turn(f.loop, 0), 0);
    assert_int_equal(hf_loop_turn(f.loop, 0), 0);
    for (n = 2; n < MANY; n++)
        assert_int_equal(guests[n].told, 1);
    hf_waiting_leave(&guests[5].waiter);
    hf_waiting_release(&waiting);
    assert_int_equal(guests[0].end, RELEASED);
    assert_int_equal(guests[5].end, HERE);
    assert_int_equal(waiting.count, 0);
}

static void count_ring(struct hf_waiter *waiter)
{
    guest_of(waiter)->rung++;
    hf_waiting_tell(waiter);
}

static void leave_then(struct hf_waiter *waiter)
{
    end(waiter, ANSWERED);
}

static void each_walks_one_kind_and_may_have_it_told_or_leave(void **state)
{
    struct guest guests[3] = {{.session = "a"}, {.session = "b"}};

    (void)state;
    guests[2].waiter.kind = &other_kind;
    park(&guests[0], 5000);
    park(&guests[1], 5000);
    park(&guests[2], 5000);
    hf_waiting_tell(&guests[1].waiter);
    hf_waiting_each(&waiting, &kind, count_ring);
    assert_int_equal(guests[0].rung, 1);
    assert_int_equal(guests[1].rung, 1);
    assert_int_equal(guests[2].rung, 0);
    hf_waiting_each(&waiting, &kind, leave_then);
    assert_int_equal(guests[0].end, ANSWERED);
    assert_int_equal(guests[1].end, ANSWERED);
    assert_int_equal(waiting.count, 1);
    assert_int_equal(waiting.dirty_count, 0);
    hf_waiting_release(&waiting);
}

static struct guest late;

/* While others are told: a row comes, and somebody begins to wait for it. */
static void came_with_another(struct hf_waiter *waiter)
{
    came(waiter);
    if (late.waiter.kind)
        return;
    late = (struct guest){.names = {"room:2"}};
    (void)fixture_publish(&process, "room:2", "1");
    park(&late, 5000);
}

static void who_begins_to_wait_while_others_are_told_misses_nothing(void **state)
{
    static const struct hf_waiter_kind host_kind = {
        came_with_another, deadline, release, fail_one, NULL};
    struct guest host = {.names = {"room:1"}, .waiter.kind = &host_kind};
    bool again;

    (void)state;
    park(&host, 5000);
    (void)fixture_publish(&process, "room:1", "1");
    hf_waiting_soon(&waiting);
    assert_int_equal(hf_loop_turn(f.loop, 0), 0);
    again = waiting.grown; /* by itself, whoever else may have seen the row */
    turn_for(f.loop, 20);
    hf_waiting_release(&waiting);
    assert_true(again);
    assert_int_equal(host.told, 1);
    assert_int_equal(late.told, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            a_row_is_told_to_those_who_wait_for_its_topic_alone, setup,
            teardown),
        cmocka_unit_test_setup_teardown(
            topics_that_change_are_heard_from_then_on, setup, teardown),
        cmocka_unit_test_setup_teardown(a_deadline_comes_once_and_on_time,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_session_is_found_until_it_leaves,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(many_are_told_over_several_turns, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            who_begins_to_wait_while_others_are_told_misses_nothing, setup,
            teardown),
        cmocka_unit_test_setup_teardown(
            each_walks_one_kind_and_may_have_it_told_or_leave, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

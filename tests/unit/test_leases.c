/*
 * leases.h: presences end with their lease, neither before nor much later, and
 * whoever is there looks after it
 */
#include "channel/leases.h"

#include "tests/unit/hook_room.h"
#include "tests/unit/journal_fixture.h"

#include "channel/losses.h"
#include "schema/presences.h"
#include "schema/sessions.h"

#define LEASE 45000

static struct fixture f;
static struct hf_process process[2];
static struct hf_journal *w;

static int set_up(void **state)
{
    struct hf_why why = {""};

    (void)state;
    fixture_begin(&f);
    fixture_open(&f, &process[0], true);
    if (hf_journal_open(&process[0].dir, &process[0].settings, HF_JOURNAL_WRITE,
                        &w, &why))
        fixture_fail("open", &why);
    turn_for(f.loop, 30); /* the first pass */
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    hf_journal_close(w);
    hf_process_close(&process[0]);
    hf_process_close(&process[1]);
    fixture_end(&f);
    hf_clock_shift(0, 0);
    return 0;
}

#define LEASES_TEST(name)                                                      \
    cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static void track(const char *lease, const char *key, uint64_t member)
{
    struct hf_holder holder = {.owner = hf_str_of(key),
                               .session = hf_str_of(lease),
                               .member = member,
                               .lease = hf_str_of(lease)};

    assert_int_equal(hf_journal_begin(w), 0);
    assert_int_equal(hf_presence_track(w, &holder, HF_STR("room:p"),
                                       hf_str_of(key), HF_STR("{}"), HF_TRACK),
                     0);
    assert_int_equal(hf_journal_commit(w), 0);
}

static uint64_t entries(void)
{
    uint64_t count, topics;

    assert_int_equal(hf_presences_count(w, &count, &topics), 0);
    return count;
}

static void grant(const char *lease)
{
    assert_int_equal(hf_live_grant(process[0].live, hf_str_of(lease), 0), 0);
}

/* The clock moves on and everybody has some turns. */
static void at(int64_t ms)
{
    hf_clock_shift(ms, ms);
    turn_for(f.loop, 60);
}

static void a_presence_ends_with_its_lease(void **state)
{
    (void)state;
    grant("@dead");
    track("@dead", "d", 1);
    at(1000);
    grant("@alive");
    track("@alive", "a", 1);
    at(LEASE - 500);
    assert_int_equal(entries(), 2);
    at(LEASE + 100);
    assert_int_equal(entries(), 1);
    grant("@alive");
    at(2 * LEASE);
    assert_int_equal(entries(), 1);
    at(2 * LEASE + 500);
    assert_int_equal(entries(), 0);
}

static void a_lease_that_nobody_knows_begins_when_it_is_missed(void **state)
{
    (void)state;
    track("@lost", "x", 1);
    at(LEASE + 100); /* the first look at it */
    assert_int_equal(entries(), 1);
    at(2 * LEASE - 500);
    assert_int_equal(entries(), 1);
    at(2 * LEASE + 600);
    assert_int_equal(entries(), 0);
}

static void one_of_several_processes_judges_and_any_can(void **state)
{
    int64_t due;
    bool mine;

    (void)state;
    fixture_open(&f, &process[1], true);
    at(20);
    assert_int_equal(hf_live_reap(process[0].live, LEASE, &mine, &due), 0);
    assert_false(mine);
    grant("@dead");
    track("@dead", "d", 1);
    hf_process_close(&process[0]);
    at(LEASE + 200);
    assert_int_equal(entries(), 0);
    fixture_open(&f, &process[0], true);
}

static void who_judges_and_dies_is_replaced(void **state)
{
    int64_t due;
    bool mine;

    (void)state;
    grant("@dead");
    track("@dead", "d", 1);
    hf_leases_stop(&process[0].leases); /* the others are late */
    hf_clock_shift(LEASE + 100, 0);
    assert_int_equal(hf_live_reap(process[0].live, LEASE, &mine, &due), 0);
    assert_true(mine); /* and that was the last that was heard of it */
    hf_leases_start(&process[0].leases, &process[0]);
    at(LEASE + 100 + LEASE / 9 + 100);
    assert_int_equal(entries(), 0);
}

static void plain_cgi_looks_when_it_is_due(void **state)
{
    (void)state;
    hf_leases_stop(&process[0].leases);
    fixture_open(&f, &process[1], false);
    grant("@dead");
    track("@dead", "d", 1);
    hf_clock_shift(LEASE - 500, 0);
    hf_leases_look(&process[1]);
    assert_int_equal(entries(), 1);
    hf_clock_shift(LEASE + 100, 0);
    hf_leases_look(&process[1]);
    assert_int_equal(entries(), 0);
}

struct found {
    uint64_t ended;
    char frame[200];
};

static int note_membership(void *ctx, const struct hf_membership *m)
{
    ((struct found *)ctx)->ended = m->ended;
    return 0;
}

static int note_frame(void *ctx, uint64_t id, struct hf_str text)
{
    struct found *found = ctx;

    assert_int_equal(id, found->ended);
    snprintf(found->frame, sizeof(found->frame), "%.*s", HF_STR_ARG(text));
    return 0;
}

/* The client joins again when it hears of it. */
static void a_long_poll_channel_ends_with_its_presence(void **state)
{
    struct hf_membership m = {.topic = HF_STR("room:p"),
                              .join_ref = HF_STR("\"7\"")};
    struct found found = {0};

    (void)state;
    grant("s");
    assert_int_equal(hf_journal_begin(w), 0);
    assert_int_equal(hf_session_add(w, HF_STR("s")), 0);
    assert_int_equal(hf_journal_draw(w, &m.joined), 0);
    assert_int_equal(hf_membership_add(w, HF_STR("s"), &m), 0);
    assert_int_equal(hf_journal_commit(w), 0);
    track("s", "x", m.joined);
    at(LEASE + 100);
    assert_int_equal(entries(), 0);
    assert_int_equal(
        hf_memberships_each(w, HF_STR("s"), note_membership, &found), 0);
    assert_true(found.ended > m.joined);
    assert_int_equal(hf_frames_each(w, HF_STR("s"), 0, 10, note_frame, &found),
                     0);
    assert_string_equal(found.frame, "[\"7\",\"7\",\"room:p\",\"phx_error\","
                                     "{\"reason\":\"presence_expired\"}]");
}

/* While nothing can be written a judgement waits. */
static void a_judgement_that_fails_is_made_again(void **state)
{
    (void)state;
    grant("@dead");
    track("@dead", "d", 1);
    assert_int_equal(hf_journal_begin(w), 0);
    process[0].settings.busy_ms = 50;
    hf_clock_shift(LEASE + 100, 0);
    turn_for(f.loop, 300);
    hf_journal_rollback(w);
    assert_int_equal(entries(), 1);
    hf_clock_shift(LEASE + 5000, 0);
    turn_for(f.loop, 300);
    assert_int_equal(entries(), 0);
}

static void many_leases_are_looked_at_page_by_page(void **state)
{
    char name[16];
    int n;

    (void)state;
    assert_int_equal(hf_journal_begin(w), 0);
    for (n = 0; n < 700; n++) {
        struct hf_holder holder;

        snprintf(name, sizeof(name), "@%04d", n);
        holder = (struct hf_holder){hf_str_of(name), hf_str_of(name), 1,
                                    hf_str_of(name)};
        if (n % 7 == 0)
            grant(name);
        assert_int_equal(hf_presence_track(w, &holder, HF_STR("room:p"),
                                           hf_str_of(name), HF_STR("{}"),
                                           HF_TRACK),
                         0);
    }
    assert_int_equal(hf_journal_commit(w), 0);
    hf_clock_shift(LEASE + 100, 0);
    turn_for(f.loop, 400);
    assert_int_equal(entries(), 600);
    hf_clock_shift(2 * LEASE + 1000, 0);
    turn_for(f.loop, 600);
    assert_int_equal(entries(), 0);
}

static void a_lost_live_db_costs_nobody_its_presence(void **state)
{
    (void)state;
    grant("@a");
    track("@a", "a", 1);
    at(LEASE - 1000);
    assert_false(hf_live_moved(process[0].live, &process[0].dir));
    assert_int_equal(unlinkat(process[0].dir.fd, HF_FILE_LIVE, 0), 0);
    assert_true(hf_live_moved(process[0].live, &process[0].dir));
    at(LEASE + 100);
    assert_int_equal(entries(), 1);
    assert_false(hf_live_moved(process[0].live, &process[0].dir));
    at(2 * LEASE + 500);
    assert_int_equal(entries(), 0);
}

/* --- with an application ---------------------------------------------------- */

#define SILENT "silent-session-0000000"
#define THERE  "there-session-00000000"

static void with_hooks(const char *events)
{
    hf_process_close(&process[0]);
    room_open(f.dir, events, "1s");
    fixture_open(&f, &process[0], true);
    turn_for(f.loop, 30);
}

static void without_hooks(void)
{
    hf_process_close(&process[0]);
    app_stop();
}

static uint64_t join(const char *session, const char *topic)
{
    struct hf_membership m = {.topic = hf_str_of(topic),
                              .join_ref = HF_STR("\"7\"")};

    assert_int_equal(hf_journal_begin(w), 0);
    assert_int_equal(hf_session_add(w, hf_str_of(session)), 0);
    assert_int_equal(hf_journal_draw(w, &m.joined), 0);
    assert_int_equal(hf_membership_add(w, hf_str_of(session), &m), 0);
    assert_int_equal(hf_journal_commit(w), 0);
    return m.joined;
}

struct looked_for {
    struct hf_str topic; /* empty: any */
    size_t live;
};

static int count_live(void *ctx, const struct hf_membership *m)
{
    struct looked_for *l = ctx;

    l->live +=
        !m->ended && (l->topic.len == 0 || hf_str_eq(m->topic, l->topic));
    return 0;
}

static size_t live(const char *session, const char *topic)
{
    struct looked_for l = {hf_str_of(topic), 0};

    assert_int_equal(hf_memberships_each(w, hf_str_of(session), count_live, &l),
                     0);
    return l.live;
}

static int copy_frame(void *ctx, uint64_t id, struct hf_str text)
{
    (void)id;
    (void)snprintf(ctx, 200, "%.*s", HF_STR_ARG(text));
    return 0;
}

/* What is to come of a lease that is over has come. */
static void settled(void)
{
    int i;

    for (i = 0;
         i < 100 && (live(SILENT, "room:h") > 0 || process[0].losses.telling);
         i++)
        turn_for(f.loop, 20);
    turn_for(f.loop, 50);
}

static void a_silent_session_has_left_what_the_application_knows(void **state)
{
    char frame[200] = "";
    uint64_t before, after;

    (void)state;
    with_hooks("join, push, leave");
    grant(SILENT);
    track(SILENT, "x", join(SILENT, "room:h"));
    (void)join(SILENT, "plain:h");
    (void)join(THERE, "room:h");
    at(LEASE - 500);
    grant(THERE);
    turn_for(f.loop, 50);
    assert_int_equal(live(SILENT, "room:h"), 1);
    assert_int_equal(hf_journal_head(w, &before), 0);
    at(LEASE + LEASE / 9);
    settled();
    assert_int_equal(live(SILENT, "room:h"), 0);
    assert_int_equal(live(SILENT, "plain:h"), 1);
    assert_int_equal(live(THERE, "room:h"), 1);
    assert_int_equal(
        hf_frames_each(w, HF_STR(SILENT), 0, 10, copy_frame, frame), 0);
    assert_string_equal(frame, "[\"7\",\"7\",\"room:h\",\"phx_error\","
                               "{\"reason\":\"session_expired\"}]");
    assert_string_equal(room_log, "leave room:h session_expired\n");
    /* the end, the diff of presence, and what the application wanted */
    assert_int_equal(hf_journal_head(w, &after), 0);
    assert_true(after >= before + 3);
    grant(THERE);
    at(LEASE + LEASE / 3); /* and that was all */
    assert_string_equal(room_log, "leave room:h session_expired\n");
    assert_int_equal(live(SILENT, "plain:h"), 1);
    without_hooks();
}

static void without_hooks_a_silent_session_goes_on(void **state)
{
    (void)state;
    grant(SILENT);
    (void)join(SILENT, "room:h");
    at(3 * LEASE);
    assert_int_equal(live(SILENT, "room:h"), 1);
}

static void who_has_joined_again_is_not_said_to_have_left(void **state)
{
    struct hf_list list;
    uint64_t joined;
    size_t count = 0;

    (void)state;
    with_hooks("join, push, leave");
    joined = join(SILENT, "room:h");
    hf_list_init(&list);
    assert_int_equal(
        hf_losses_find(&process[0], HF_STR(SILENT), UINT64_MAX, &list, &count),
        0);
    assert_int_equal(count, 1);
    HF_ITEM(hf_list_first(&list), struct hf_loss, node)->ended = true;
    hf_losses_tell(&process[0], &list);
    turn_for(f.loop, 100);
    assert_string_equal(room_log, "");
    /* who left before the transaction was told of it then */
    count = 0;
    assert_int_equal(
        hf_losses_find(&process[0], HF_STR(SILENT), UINT64_MAX, &list, &count),
        0);
    assert_int_equal(hf_journal_begin(w), 0);
    assert_int_equal(hf_membership_end(w, HF_STR(SILENT), joined, joined + 1),
                     0);
    assert_int_equal(hf_journal_commit(w), 0);
    hf_losses_tell(&process[0], &list);
    turn_for(f.loop, 100);
    assert_string_equal(room_log, "");
    /* what was joined behind the judgement is not judged */
    (void)join(SILENT, "room:h");
    assert_int_equal(
        hf_losses_find(&process[0], HF_STR(SILENT), 0, &list, &count), 0);
    assert_true(hf_list_empty(&list));
    without_hooks();
}

static void many_channels_end_part_by_part(void **state)
{
    char topic[32];
    int n;

    (void)state;
    with_hooks("join");
    grant(SILENT);
    for (n = 0; n < 300; n++) {
        (void)snprintf(topic, sizeof(topic), "room:%d", n);
        (void)join(SILENT, topic);
    }
    at(LEASE + LEASE / 9);
    for (n = 0; n < 100 && live(SILENT, "") == 300; n++)
        turn_for(f.loop, 20);
    assert_int_equal(live(SILENT, ""), 44);
    hf_clock_shift(LEASE + LEASE / 9 + 2000, 0);
    for (n = 0; n < 100 && live(SILENT, "") > 0; n++)
        turn_for(f.loop, 20);
    assert_int_equal(live(SILENT, ""), 0);
    assert_string_equal(room_log, "");
    without_hooks();
}

static void plain_cgi_ends_it_and_cannot_tell(void **state)
{
    (void)state;
    with_hooks("join, leave");
    hf_leases_stop(&process[0].leases);
    fixture_open(&f, &process[1], false);
    grant(SILENT);
    (void)join(SILENT, "room:h");
    hf_clock_shift(LEASE + LEASE / 9, 0);
    hf_leases_look(&process[1]);
    assert_int_equal(live(SILENT, "room:h"), 0);
    turn_for(f.loop, 50);
    assert_string_equal(room_log, "");
    without_hooks();
}

static size_t waiting(void)
{
    struct hf_list *node, *tmp;
    size_t count = 0;

    HF_LIST_EACH(node, tmp, &process[0].losses.waiting)
    count++;
    return count;
}

/* As when a line fails, and everybody is lost in one pass. */
static void lose(size_t times)
{
    struct hf_list list;
    size_t count;

    hf_list_init(&list);
    while (times-- > 0) {
        count = 0;
        assert_int_equal(hf_losses_find(&process[0], HF_STR(SILENT), UINT64_MAX,
                                        &list, &count),
                         0);
        assert_int_equal(count, 1);
        HF_ITEM(hf_list_first(&list), struct hf_loss, node)->ended = true;
        hf_losses_tell(&process[0], &list);
    }
}

static void those_who_wait_to_be_told_of_are_bounded(void **state)
{
    (void)state;
    with_hooks("leave");
    (void)join(SILENT, "room:h");
    process[0].losses.telling = true; /* somebody, for long */
    lose(12000);
    assert_int_equal(waiting(), 10000);
    process[0].losses.telling = false;
    lose(1); /* they have joined again after all: nobody waits */
    assert_int_equal(waiting(), 0);
    without_hooks();
}

/* Whose the session was lies in memory with each. */
static void and_their_bytes(void **state)
{
    static char params[8192];
    struct hf_session_owner owner = {.params = hf_str(params, sizeof(params))};

    (void)state;
    memset(params, 'p', sizeof(params));
    with_hooks("leave");
    (void)join(SILENT, "room:h");
    assert_int_equal(hf_journal_begin(w), 0);
    assert_int_equal(hf_session_own(w, HF_STR(SILENT), &owner), 0);
    assert_int_equal(hf_journal_commit(w), 0);
    process[0].losses.telling = true;
    lose(3000);
    assert_in_range(waiting(), 1500, 2048); /* 16 MiB */
    process[0].losses.telling = false;
    lose(1);
    assert_int_equal(waiting(), 0);
    lose(1); /* and there is room again */
    without_hooks();
}

/* The application is being told, and others wait for their turn. */
static void a_process_that_ends_forgets_whom_it_has_not_told(void **state)
{
    int n;

    (void)state;
    with_hooks("leave");
    grant(SILENT);
    (void)join(SILENT, "room:h");
    (void)join(SILENT, "room:i");
    at(LEASE + LEASE / 9);
    for (n = 0; n < 100 && !process[0].losses.telling; n++)
        turn_for(f.loop, 1);
    without_hooks();
    assert_int_equal(live(SILENT, ""), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LEASES_TEST(a_presence_ends_with_its_lease),
        LEASES_TEST(a_lease_that_nobody_knows_begins_when_it_is_missed),
        LEASES_TEST(one_of_several_processes_judges_and_any_can),
        LEASES_TEST(who_judges_and_dies_is_replaced),
        LEASES_TEST(plain_cgi_looks_when_it_is_due),
        LEASES_TEST(a_long_poll_channel_ends_with_its_presence),
        LEASES_TEST(a_judgement_that_fails_is_made_again),
        LEASES_TEST(many_leases_are_looked_at_page_by_page),
        LEASES_TEST(a_lost_live_db_costs_nobody_its_presence),
        LEASES_TEST(a_silent_session_has_left_what_the_application_knows),
        LEASES_TEST(without_hooks_a_silent_session_goes_on),
        LEASES_TEST(who_has_joined_again_is_not_said_to_have_left),
        LEASES_TEST(those_who_wait_to_be_told_of_are_bounded),
        LEASES_TEST(and_their_bytes),
        LEASES_TEST(many_channels_end_part_by_part),
        LEASES_TEST(plain_cgi_ends_it_and_cannot_tell),
        LEASES_TEST(a_process_that_ends_forgets_whom_it_has_not_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

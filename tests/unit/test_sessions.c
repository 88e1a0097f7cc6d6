#include "schema/sessions.h"

#include "schema_fixture.h"

#include "schema/bell.h"

#include <poll.h>

static struct hf_journal *w;
static char seen[1024];

static int note_membership(void *ctx, const struct hf_membership *m)
{
    size_t len = strlen(seen);

    (void)ctx;
    (void)snprintf(seen + len, sizeof(seen) - len, "%.*s %.*s %lld %llu-%llu;",
                   HF_STR_ARG(m->topic), HF_STR_ARG(m->join_ref),
                   m->has_since ? (long long)m->since : -1,
                   (unsigned long long)m->joined, (unsigned long long)m->ended);
    return 0;
}

static int note_frame(void *ctx, uint64_t id, struct hf_str text)
{
    size_t len = strlen(seen);

    (void)ctx;
    (void)snprintf(seen + len, sizeof(seen) - len, "%llu %.*s;",
                   (unsigned long long)id, HF_STR_ARG(text));
    return 0;
}

static const char *memberships(const char *session)
{
    seen[0] = '\0';
    assert_int_equal(
        hf_memberships_each(w, hf_str_of(session), note_membership, NULL), 0);
    return seen;
}

static const char *frames(const char *session, uint64_t after)
{
    seen[0] = '\0';
    assert_int_equal(
        hf_frames_each(w, hf_str_of(session), after, 100, note_frame, NULL), 0);
    return seen;
}

static void join(const char *session, const char *topic, uint64_t joined)
{
    struct hf_membership m = {.topic = hf_str_of(topic),
                              .join_ref = HF_STR("\"1\""),
                              .joined = joined};

    assert_int_equal(hf_membership_add(w, hf_str_of(session), &m), 0);
}

static void begin(void)
{
    assert_int_equal(hf_journal_begin(w), 0);
}

static void commit(void)
{
    assert_int_equal(hf_journal_commit(w), 0);
}

static void a_session_is_there_once_it_was_added(void **state)
{
    bool there = true;

    (void)state;
    assert_int_equal(hf_session_exists(w, HF_STR("s"), &there), 0);
    assert_false(there);
    begin();
    assert_int_equal(hf_session_add(w, HF_STR("s")), 0);
    assert_int_equal(hf_session_add(w, HF_STR("s")), 0); /* again: nothing */
    commit();
    assert_int_equal(hf_session_exists(w, HF_STR("s"), &there), 0);
    assert_true(there);
}

static void memberships_come_back_by_join(void **state)
{
    struct hf_membership with_since = {.topic = HF_STR("b"),
                                       .join_ref = HF_STR("null"),
                                       .has_since = true,
                                       .since = 0,
                                       .joined = 3};

    (void)state;
    begin();
    join("s", "a", 7);
    assert_int_equal(hf_membership_add(w, HF_STR("s"), &with_since), 0);
    join("other", "a", 5);
    commit();
    assert_string_equal(memberships("s"), "b null 0 3-0;a \"1\" -1 7-0;");
    begin();
    assert_int_equal(hf_membership_end(w, HF_STR("s"), 7, 9), 0);
    assert_int_equal(hf_membership_end(w, HF_STR("s"), 7, 10), 0); /* once */
    commit();
    assert_string_equal(memberships("s"), "b null 0 3-0;a \"1\" -1 7-9;");
}

static void frames_come_back_after_a_cursor(void **state)
{
    (void)state;
    begin();
    assert_int_equal(hf_frame_add(w, HF_STR("s"), 2, HF_STR("two")), 0);
    assert_int_equal(hf_frame_add(w, HF_STR("t"), 3, HF_STR("three")), 0);
    assert_int_equal(hf_frame_add(w, HF_STR("s"), 4, HF_STR("")), 0);
    commit();
    assert_string_equal(frames("s", 0), "2 two;4 ;");
    assert_string_equal(frames("s", 2), "4 ;");
    assert_string_equal(frames("s", 4), "");
}

static int count_owner(void *ctx, uint64_t id, struct hf_str session)
{
    (void)ctx;
    return note_frame(NULL, id, session);
}

static void owners_of_frames_are_listed_in_pages(void **state)
{
    uint64_t last = 0;
    bool more = false;

    (void)state;
    begin();
    assert_int_equal(hf_frame_add(w, HF_STR("s"), 2, HF_STR("x")), 0);
    assert_int_equal(hf_frame_add(w, HF_STR("t"), 3, HF_STR("x")), 0);
    assert_int_equal(hf_frame_add(w, HF_STR("u"), 4, HF_STR("x")), 0);
    commit();
    seen[0] = '\0';
    assert_int_equal(hf_frames_owners(w, 0, 2, count_owner, NULL, &last, &more),
                     0);
    assert_string_equal(seen, "2 s;3 t;");
    assert_int_equal(last, 3);
    assert_true(more);
    assert_int_equal(
        hf_frames_owners(w, last, 2, count_owner, NULL, &last, &more), 0);
    assert_int_equal(last, 4);
    assert_false(more);
}

static void what_was_acknowledged_goes(void **state)
{
    (void)state;
    begin();
    join("s", "live", 1);
    join("s", "left", 2);
    join("s", "left later", 3);
    join("t", "left", 4);
    assert_int_equal(hf_membership_end(w, HF_STR("s"), 2, 10), 0);
    assert_int_equal(hf_membership_end(w, HF_STR("s"), 3, 12), 0);
    assert_int_equal(hf_membership_end(w, HF_STR("t"), 4, 10), 0);
    assert_int_equal(hf_frame_add(w, HF_STR("s"), 10, HF_STR("a")), 0);
    assert_int_equal(hf_frame_add(w, HF_STR("t"), 11, HF_STR("b")), 0);
    assert_int_equal(hf_frame_add(w, HF_STR("s"), 12, HF_STR("c")), 0);
    assert_int_equal(hf_session_acknowledged(w, HF_STR("s"), 11), 0);
    commit();
    assert_string_equal(frames("s", 0), "12 c;");
    assert_string_equal(frames("t", 0), "11 b;");
    assert_string_equal(memberships("s"),
                        "live \"1\" -1 1-0;left later \"1\" -1 3-12;");
    assert_string_equal(memberships("t"), "left \"1\" -1 4-10;");
}

static void a_removed_session_leaves_nothing(void **state)
{
    bool there = true;

    (void)state;
    begin();
    assert_int_equal(hf_session_add(w, HF_STR("s")), 0);
    assert_int_equal(hf_session_add(w, HF_STR("t")), 0);
    join("s", "a", 1);
    assert_int_equal(hf_frame_add(w, HF_STR("s"), 2, HF_STR("x")), 0);
    assert_int_equal(hf_frame_add(w, HF_STR("t"), 3, HF_STR("y")), 0);
    assert_int_equal(hf_session_remove(w, HF_STR("s")), 0);
    commit();
    assert_int_equal(hf_session_exists(w, HF_STR("s"), &there), 0);
    assert_false(there);
    assert_string_equal(memberships("s"), "");
    assert_string_equal(frames("s", 0), "");
    assert_string_equal(frames("t", 0), "3 y;");
    seen[0] = '\0';
    assert_int_equal(hf_sessions_each(w, HF_STR(""), 10, count_owner, NULL), 0);
    assert_string_equal(seen, "0 t;");
}

static void sessions_are_listed_in_pages(void **state)
{
    (void)state;
    begin();
    assert_int_equal(hf_session_add(w, HF_STR("b")), 0);
    assert_int_equal(hf_session_add(w, HF_STR("a")), 0);
    assert_int_equal(hf_session_add(w, HF_STR("c")), 0);
    commit();
    seen[0] = '\0';
    assert_int_equal(hf_sessions_each(w, HF_STR("a"), 1, count_owner, NULL), 0);
    assert_string_equal(seen, "0 b;");
}

static void every_change_rings_the_session(void **state)
{
    struct hf_bell_names names = {0};
    struct hf_bell *bell = NULL;
    struct pollfd rung = {.events = POLLIN};
    int step;

    (void)state;
    assert_int_equal(hf_bell_open(&f.dir, &bell), 0);
    assert_int_equal(hf_bell_claim(bell, &rung.fd), 0);
    hf_bell_names_add(&names, HF_STR("s"));
    hf_bell_listen(bell, &names);
    for (step = 0; step < 4; step++) {
        begin();
        if (step == 0)
            join("s", "a", 1);
        else if (step == 1)
            assert_int_equal(hf_frame_add(w, HF_STR("s"), 2, HF_STR("x")), 0);
        else if (step == 2)
            assert_int_equal(hf_membership_end(w, HF_STR("s"), 1, 3), 0);
        else
            assert_int_equal(hf_session_remove(w, HF_STR("s")), 0);
        assert_int_equal(poll(&rung, 1, 0), 0); /* not before the commit */
        commit();
        assert_int_equal(poll(&rung, 1, 0), 1);
        hf_bell_drain(bell);
    }
    begin();
    join("s", "a", 4);
    hf_journal_rollback(w);
    begin();
    commit();
    assert_int_equal(poll(&rung, 1, 0), 0); /* a rollback rings nobody */
    hf_bell_close(bell);
}

/* --- whose they are -------------------------------------------------------- */

static char owner_seen[200];

static int note_owner(void *ctx, const struct hf_session_owner *owner)
{
    (void)ctx;
    (void)snprintf(owner_seen, sizeof(owner_seen), "%.*s|%.*s|%lld|%llu",
                   HF_STR_ARG(owner->user), HF_STR_ARG(owner->claims),
                   (long long)owner->expires_ms,
                   (unsigned long long)owner->born);
    return 0;
}

static void a_session_is_nobodys_until_it_is_owned(void **state)
{
    struct hf_session_owner owner = {
        .user = HF_STR("alice"), .expires_ms = INT64_MAX, .born = 7};

    (void)state;
    begin();
    assert_int_equal(hf_session_add(w, HF_STR("s")), 0);
    assert_int_equal(hf_session_owner(w, HF_STR("s"), note_owner, NULL, NULL),
                     HF_ENOTFOUND);
    assert_int_equal(hf_session_own(w, HF_STR("s"), &owner), 0);
    commit();
    assert_int_equal(hf_session_owner(w, HF_STR("s"), note_owner, NULL, NULL), 0);
    assert_string_equal(owner_seen, "alice||9223372036854775807|7");
    owner = (struct hf_session_owner){
        .claims = HF_STR("{\"a\":[]}"), .expires_ms = 5, .born = 8};
    begin();
    assert_int_equal(hf_session_own(w, HF_STR("s"), &owner), 0);
    commit();
    assert_int_equal(hf_session_owner(w, HF_STR("s"), note_owner, NULL, NULL), 0);
    assert_string_equal(owner_seen, "|{\"a\":[]}|5|8");
    assert_int_equal(hf_session_owner(w, HF_STR("t"), note_owner, NULL, NULL),
                     HF_ENOTFOUND);
}

static bool disconnected(const char *topic, uint64_t after)
{
    bool is = false;

    assert_int_equal(hf_session_disconnected(w, hf_str_of(topic), after, &is),
                     0);
    return is;
}

static void disconnect(const char *user)
{
    char sql[200];

    (void)snprintf(sql, sizeof(sql),
                   "INSERT INTO messages (topic, event, payload)"
                   " VALUES ('user_socket:%s', 'disconnect', '{}')",
                   user);
    foreign_ok(sql);
}

static void a_disconnect_ends_what_was_born_before_it(void **state)
{
    (void)state;
    disconnect("alice"); /* 1 */
    foreign_ok("INSERT INTO messages (topic, event, payload)"
               " VALUES ('user_socket:bob', 'hello', '{}')");
    assert_true(disconnected("user_socket:alice", 0));
    assert_false(disconnected("user_socket:alice", 1));
    assert_false(disconnected("user_socket:bob", 0));
    disconnect("alice"); /* 3 */
    assert_true(disconnected("user_socket:alice", 1));
    assert_true(disconnected("user_socket:alice", 2));
    assert_false(disconnected("user_socket:alice", 3));
}

static void a_disconnect_is_known_for_two_days(void **state)
{
    (void)state;
    disconnect("alice");
    disconnect("bob");
    foreign_ok("DELETE FROM messages");
    foreign_ok("UPDATE disconnects SET at = at - 49 * 3600000"
               " WHERE topic = 'user_socket:alice'");
    foreign_ok("UPDATE disconnects SET at = at - 47 * 3600000"
               " WHERE topic = 'user_socket:bob'");
    assert_true(disconnected("user_socket:bob", 0));
    disconnect("carol");
    assert_false(disconnected("user_socket:alice", 0));
    assert_true(disconnected("user_socket:bob", 0));
    assert_true(disconnected("user_socket:carol", 0));
}

static int set_up(void **state)
{
    if (fixture_set_up(state))
        return -1;
    w = open_journal(HF_JOURNAL_WRITE);
    return 0;
}

static int tear_down(void **state)
{
    hf_journal_close(w);
    return fixture_tear_down(state);
}

#define SESSIONS_TEST(name)                                                    \
    cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SESSIONS_TEST(a_session_is_there_once_it_was_added),
        SESSIONS_TEST(memberships_come_back_by_join),
        SESSIONS_TEST(frames_come_back_after_a_cursor),
        SESSIONS_TEST(owners_of_frames_are_listed_in_pages),
        SESSIONS_TEST(what_was_acknowledged_goes),
        SESSIONS_TEST(a_removed_session_leaves_nothing),
        SESSIONS_TEST(sessions_are_listed_in_pages),
        SESSIONS_TEST(every_change_rings_the_session),
        SESSIONS_TEST(a_session_is_nobodys_until_it_is_owned),
        SESSIONS_TEST(a_disconnect_ends_what_was_born_before_it),
        SESSIONS_TEST(a_disconnect_is_known_for_two_days),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

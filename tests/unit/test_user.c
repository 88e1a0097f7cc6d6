#include "channel/user.h"

#include "base/jwt.h"
#include "channel/session_state.h"
#include "tests/unit/session_fixture.h"

#include "tests/unit/hook_room.h"

/* `client` as this user, whose connect had parameters. */
static int connect_user(struct client *c, struct hf_client client,
                        const char *user)
{
    struct hf_identity *identity;
    int err;

    assert_int_equal(
        hf_identity_new(hf_str_of(user), HF_STR(""), HF_NEVER, &identity), 0);
    hf_client_set(&client, identity);
    assert_int_equal(hf_client_set_params(&client, HF_STR("{\"a\":\"1\"}")), 0);
    close_client(c);
    *c = (struct client){.link = {.wake = woken, .close = closed}};
    err = hf_session_open(hub, &c->link, &client, &c->session);
    hf_client_release(&client);
    return err;
}

static void open_user(struct client *c, const char *user)
{
    assert_int_equal(
        connect_user(c, (struct hf_client){.vsn = HF_VSN_2}, user), 0);
}

/* A frame that brings a token of this user for so long. */
static void bring_to(struct client *c, const char *topic, const char *event,
                     const char *user, int seconds)
{
    const struct hf_jwks *keys = hf_keys_now(process.keys);
    char claims[200], frame[3000];
    struct hf_buf token;

    hf_buf_init(&token, HF_JWT_MAX);
    (void)snprintf(claims, sizeof(claims), "{\"sub\":\"%s\",\"exp\":%lld}",
                   user, (long long)(hf_wall_ms() / 1000 + seconds));
    assert_int_equal(hf_jwt_make(&keys->keys[0], hf_str_of(claims), &token), 0);
    (void)snprintf(frame, sizeof(frame),
                   "[\"1\",\"2\",\"%s\",\"%s\","
                   "{\"access_token\":\"%.*s\"}]",
                   topic, event, (int)token.len, token.at);
    hf_buf_release(&token);
    say(c, frame);
}

static void bring(struct client *c, const char *event, const char *user)
{
    bring_to(c, "room:a", event, user, 600);
}

static void renew(struct client *c, const char *user)
{
    bring(c, "access_token", user);
}

static void disconnect(const char *user)
{
    char sql[200];

    (void)snprintf(sql, sizeof(sql),
                   "INSERT INTO messages (topic, event, payload) VALUES"
                   " ('user_socket:%s', 'disconnect', '{}')",
                   user);
    fixture_sql(&f, sql);
}

static void wait_closed(const struct client *c)
{
    int64_t end = hf_boot_ms() + 5000;

    while (!c->closed && hf_boot_ms() < end)
        assert_int_equal(hf_loop_turn(f.loop, 10), 0);
    assert_int_equal(c->closed, 1001);
}

#define RENEWED                                                                \
    "[\"1\",\"2\",\"room:a\",\"phx_reply\",{\"status\":\"ok\","                \
    "\"response\":{}}]"

#define UNAUTHORIZED                                                           \
    "[\"1\",\"2\",\"room:a\",\"phx_reply\",{\"status\":\"error\","             \
    "\"response\":{\"reason\":\"unauthorized\"}}]"

static void a_fresher_token_leaves_the_parameters(void **state)
{
    (void)state;
    open_user(&a, "ann");
    say(&a, JOIN("1"));
    got(&a, 0, JOINED("1"));
    renew(&a, "ann");
    got(&a, 1, RENEWED);
    renew(&a, "bob");
    got(&a, 2, UNAUTHORIZED);
    renew(&a, "ann");
    got(&a, 3, RENEWED);
}

static void a_disconnect_ends_its_user_alone(void **state)
{
    (void)state;
    open_user(&a, "ann");
    open_user(&b, "bob");
    disconnect("ann");
    wait_closed(&a);
    assert_int_equal(b.closed, 0);
}

static void a_disconnect_is_not_for_who_comes_later(void **state)
{
    (void)state;
    disconnect("ann");
    open_user(&a, "ann"); /* nobody made the hub read it before */
    quiet(&a, 0);
    assert_int_equal(a.closed, 0);
    disconnect("ann");
    open_user(&b, "ann"); /* while another one is known */
    wait_closed(&a);
    quiet(&b, 0);
    assert_int_equal(b.closed, 0);
}

static void a_disconnect_while_it_is_asked_about_is_for_it(void **state)
{
    struct hf_client asked = {.vsn = HF_VSN_2, .asked = true};

    (void)state;
    disconnect("ann");
    assert_int_equal(hf_journal_head(process.journal, &asked.asked_at), 0);
    disconnect("ann");
    assert_int_equal(hf_hub_catch_up(hub), 0); /* as busy hubs have */
    assert_int_equal(connect_user(&a, asked, "ann"), HF_ENOTFOUND);
    assert_int_equal(connect_user(&b, asked, "bob"), 0);
    close_client(&b);
    assert_int_equal(hf_journal_head(process.journal, &asked.asked_at), 0);
    assert_int_equal(connect_user(&a, asked, "ann"), 0);
}

static void
what_waited_behind_a_push_goes_on_when_its_channel_was_ended(void **state)
{
    (void)state;
    say(&a, JOIN("1"));
    got(&a, 0, JOINED("1"));
    say(&a, "[\"1\",\"2\",\"room:a\",\"news\",{}]");
    say(&a, "[\"1\",\"3\",\"room:a\",\"phx_leave\",{}]");
    allow(f.dir, "room:*", HF_RIGHT_PUBLISH, true);
    assert_int_equal(hf_hub_catch_up(hub), 0);
    got(&a, 1,
        "[\"1\",\"1\",\"room:a\",\"phx_error\","
        "{\"reason\":\"unauthorized\"}]");
    got(&a, 2,
        "[\"1\",\"2\",\"room:a\",\"phx_reply\",{\"status\":\"ok\","
        "\"response\":{}}]");
    got(&a, 3,
        "[\"1\",\"3\",\"room:a\",\"phx_reply\",{\"status\":\"ok\","
        "\"response\":{}}]");
    quiet(&a, 4);
}

static void a_join_brings_no_token_of_another_user(void **state)
{
    (void)state;
    open_user(&a, "ann");
    bring(&a, "phx_join", "bob");
    got(&a, 0, UNAUTHORIZED);
    bring(&a, "phx_join", "ann");
    got(&a, 1, RENEWED);
}

static void a_join_beyond_the_rate_brings_no_token(void **state)
{
    (void)state;
    process.settings.join_rate = 1;
    process.settings.max_channels = 1;
    say(&a, JOIN("1"));
    say(&a, JOIN("1"));
    wait_for(&a, 2);
    bring(&a, "phx_join", "ann");
    wait_for(&a, 3);
    assert_non_null(strstr(a.got[2], "rate_limited"));
    assert_int_equal(a.session->client.user.len, 0);
}

static void a_join_that_waits_has_not_brought_its_token(void **state)
{
    (void)state;
    say(&a, JOIN("1"));
    got(&a, 0, JOINED("1"));
    say(&a, "[\"1\",\"2\",\"room:a\",\"news\",{}]"); /* under way */
    bring(&a, "phx_join", "ann");
    assert_int_equal(a.session->client.user.len, 0);
    /* its answer and the join's; the row only if it came before the join */
    wait_for(&a, 3);
    if (a.session->client.user.len == 0)
        wait_for(&a, 4);
    assert_true(hf_str_eq(a.session->client.user, HF_STR("ann")));
}

static void where_tokens_are_the_applications_none_is_judged(void **state)
{
    (void)state;
    process.settings.tokens = HF_TOKENS_APPLICATION;
    open_user(&a, "ann");
    bring(&a, "phx_join", "bob");
    got(&a, 0, RENEWED);
    assert_true(hf_str_eq(a.session->client.user, HF_STR("ann")));
    bring(&a, "access_token", "bob");
    got(&a, 1, UNAUTHORIZED);
}

static int begin_asked(void **state)
{
    (void)state;
    fixture_begin(&f);
    room_open(f.dir, "connect", "1s");
    fixture_open(&f, &process, true);
    assert_int_equal(hf_hub_open(&process, &hub), 0);
    open_client(&a);
    open_client(&b);
    return 0;
}

static int begin_joined(void **state)
{
    (void)state;
    fixture_begin(&f);
    room_open(f.dir, "join", "1s");
    fixture_open(&f, &process, true);
    assert_int_equal(hf_hub_open(&process, &hub), 0);
    open_client(&a);
    open_client(&b);
    return 0;
}

static int end_asked(void **state)
{
    app_stop();
    return teardown(state);
}

static void whom_the_application_has_named_may_join_with_its_token(void **state)
{
    (void)state;
    open_user(&a, "number 7");
    bring(&a, "phx_join", "ann");
    got(&a, 0, RENEWED);
    assert_true(hf_str_eq(a.session->client.user, HF_STR("number 7")));
    renew(&a, "ann");
    got(&a, 1, UNAUTHORIZED);
}

static void a_join_brings_its_token_once(void **state)
{
    int64_t until;

    (void)state;
    bring_to(&a, "room:a", "phx_join", "ann", 300);
    got(&a, 0, RENEWED);
    bring_to(&a, "room:slow", "phx_join", "ann", 600);
    bring_to(&a, "room:a", "access_token", "ann", 900);
    got(&a, 1, RENEWED);
    until = a.session->client.identity->expires_ms;
    wait_for(&a, 3);
    assert_int_equal(a.session->client.identity->expires_ms, until);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_fresher_token_leaves_the_parameters),
        T(a_disconnect_ends_its_user_alone),
        T(a_disconnect_is_not_for_who_comes_later),
        T(a_disconnect_while_it_is_asked_about_is_for_it),
        T(what_waited_behind_a_push_goes_on_when_its_channel_was_ended),
        T(a_join_brings_no_token_of_another_user),
        T(a_join_beyond_the_rate_brings_no_token),
        T(a_join_that_waits_has_not_brought_its_token),
        T(where_tokens_are_the_applications_none_is_judged),
        cmocka_unit_test_setup_teardown(
            whom_the_application_has_named_may_join_with_its_token, begin_asked,
            end_asked),
        cmocka_unit_test_setup_teardown(a_join_brings_its_token_once,
                                        begin_joined, end_asked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

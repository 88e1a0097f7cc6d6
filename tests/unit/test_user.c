#include "channel/user.h"

#include "base/jwt.h"
#include "tests/unit/session_fixture.h"

/* Somebody, whose connect had parameters. */
static void open_user(struct client *c, const char *user)
{
    struct hf_client client = {.vsn = HF_VSN_2};
    struct hf_identity *identity;

    assert_int_equal(hf_identity_new(hf_str_of(user), HF_STR(""), HF_NEVER,
                                     &identity),
                     0);
    hf_client_set(&client, identity);
    assert_int_equal(hf_client_set_params(&client, HF_STR("{\"a\":\"1\"}")), 0);
    close_client(c);
    *c = (struct client){.link = {woken, closed}};
    assert_int_equal(hf_session_open(hub, &c->link, &client, &c->session), 0);
    hf_client_release(&client);
}

/* Push a token of this user on room:a. */
static void renew(struct client *c, const char *user)
{
    const struct hf_jwks *keys = hf_keys_now(process.keys);
    char claims[200], frame[3000];
    struct hf_buf token;

    hf_buf_init(&token, HF_JWT_MAX);
    (void)snprintf(claims, sizeof(claims), "{\"sub\":\"%s\",\"exp\":%lld}",
                   user, (long long)(hf_wall_ms() / 1000 + 600));
    assert_int_equal(hf_jwt_make(&keys->keys[0], hf_str_of(claims), &token), 0);
    (void)snprintf(frame, sizeof(frame),
                   "[\"1\",\"2\",\"room:a\",\"access_token\","
                   "{\"access_token\":\"%.*s\"}]",
                   (int)token.len, token.at);
    hf_buf_release(&token);
    say(c, frame);
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

static void a_fresher_token_leaves_the_parameters(void **state)
{
    (void)state;
    open_user(&a, "ann");
    say(&a, JOIN("1"));
    got(&a, 0, JOINED("1"));
    renew(&a, "ann");
    got(&a, 1, RENEWED);
    renew(&a, "bob");
    got(&a, 2,
        "[\"1\",\"2\",\"room:a\",\"phx_reply\",{\"status\":\"error\","
        "\"response\":{\"reason\":\"unauthorized\"}}]");
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

static void what_waited_behind_a_push_goes_on_when_its_channel_was_ended(
    void **state)
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

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_fresher_token_leaves_the_parameters),
        T(a_disconnect_ends_its_user_alone),
        T(a_disconnect_is_not_for_who_comes_later),
        T(what_waited_behind_a_push_goes_on_when_its_channel_was_ended),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

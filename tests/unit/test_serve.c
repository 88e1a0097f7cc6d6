/* The routes of the gateway to the protocol, with doubles of longpoll.h,
 * publishing.h and events.h that note what they are asked. */
#include "gateway/serve.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>

#include "base/err.h"
#include "channel/longpoll.h"

/* --- the double ---------------------------------------------------------- */

struct hf_longpoll {
    unsigned polls, posts, cancels, forgets, releases;
    bool at_once; /* answer before start returns */
    bool ndjson;
    char token[HF_TOKEN_MAX + 1];
    char body[64];
    char query[64];
    struct hf_poll *parked;
    unsigned publishes, follows, forgotten, hung_up;
    struct hf_plain_answer plain; /* to either of them */
};

static struct hf_longpoll longpoll;

static void note(char *out, size_t cap, struct hf_str text)
{
    (void)snprintf(out, cap, "%.*s", HF_STR_ARG(text));
}

void hf_poll_start(struct hf_longpoll *lp, struct hf_poll *poll,
                   const struct hf_hello *hello, struct hf_str token)
{
    lp->polls++;
    note(lp->token, sizeof(lp->token), token);
    note(lp->query, sizeof(lp->query), hello->query);
    if (lp->at_once)
        poll->answer(poll, HF_STR("{\"status\":410}"));
    else
        lp->parked = poll;
}

void hf_poll_cancel(struct hf_poll *poll)
{
    assert_ptr_equal(poll, longpoll.parked);
    longpoll.cancels++;
}

void hf_longpoll_release(struct hf_longpoll *lp)
{
    struct hf_poll *poll = lp->parked;

    lp->releases++;
    lp->parked = NULL;
    if (poll)
        poll->answer(poll, HF_STR("{\"status\":204}"));
}

void hf_post_start(struct hf_longpoll *lp, struct hf_post *post,
                   const struct hf_hello *hello, struct hf_str token,
                   struct hf_str body, bool ndjson)
{
    lp->posts++;
    lp->ndjson = ndjson;
    note(lp->token, sizeof(lp->token), token);
    note(lp->body, sizeof(lp->body), body);
    note(lp->query, sizeof(lp->query), hello->query);
    if (lp->at_once)
        post->answer(post, HF_STR("{\"status\":200}"));
}

void hf_post_forget(struct hf_post *post)
{
    (void)post;
    longpoll.forgets++;
}

void hf_publishing_start(struct hf_longpoll *lp,
                         struct hf_publishing *publishing,
                         const struct hf_hello *hello, struct hf_str body,
                         bool ndjson)
{
    (void)hello;
    lp->publishes++;
    lp->ndjson = ndjson;
    note(lp->body, sizeof(lp->body), body);
    if (lp->at_once)
        publishing->answer(publishing, &lp->plain);
}

void hf_publishing_forget(struct hf_publishing *publishing)
{
    (void)publishing;
    longpoll.forgotten++;
}

void hf_events_start(struct hf_longpoll *lp, struct hf_events *events,
                     const struct hf_hello *hello)
{
    lp->follows++;
    note(lp->query, sizeof(lp->query), hello->query);
    if (lp->at_once)
        events->answer(events, &lp->plain);
}

void hf_events_cancel(struct hf_events *events)
{
    (void)events;
    longpoll.hung_up++;
}

/* --- set-up -------------------------------------------------------------- */

static struct {
    struct hf_exchange exchange;
    unsigned replies;
    char head[2048];
    char body[128];
} client;

static struct hf_settings settings;
static struct hf_gateway gateway;
static struct hf_request request;

static void reply(struct hf_exchange *exchange, struct hf_str head,
                  struct hf_str body)
{
    assert_ptr_equal(exchange, &client.exchange);
    client.replies++;
    note(client.head, sizeof(client.head), head);
    note(client.body, sizeof(client.body), body);
}

static int set_up(void **state)
{
    (void)state;
    memset(&longpoll, 0, sizeof(longpoll));
    memset(&client, 0, sizeof(client));
    memset(&settings, 0, sizeof(settings));
    settings.max_body = 100;
    (void)snprintf(settings.mount, sizeof(settings.mount), "/socket");
    client.exchange.reply = reply;
    gateway = (struct hf_gateway){.settings = &settings, .longpoll = &longpoll};
    request = (struct hf_request){.method = HF_STR("GET"),
                                  .script_name = HF_STR("/socket"),
                                  .path_info = HF_STR("/longpoll"),
                                  .hello.query = HF_STR("vsn=2.0.0&token=T")};
    return 0;
}

static void start(void)
{
    hf_exchange_start(&client.exchange, &gateway, &request);
}

static void expect(unsigned status, const char *body)
{
    char line[32];

    assert_int_equal(client.replies, 1);
    (void)snprintf(line, sizeof(line), "Status: %u ", status);
    assert_memory_equal(client.head, line, strlen(line));
    assert_string_equal(client.body, body);
}

/* --- tests --------------------------------------------------------------- */

static void a_get_is_a_poll(void **state)
{
    (void)state;
    longpoll.at_once = true;
    start();
    assert_int_equal(longpoll.polls, 1);
    assert_string_equal(longpoll.token, "T");
    assert_string_equal(longpoll.query, "vsn=2.0.0&token=T");
    expect(200, "{\"status\":410}");
}

static void a_poll_may_be_answered_later(void **state)
{
    (void)state;
    start();
    assert_int_equal(client.replies, 0);
    hf_longpoll_release(&longpoll);
    expect(200, "{\"status\":204}");
    hf_exchange_gone(&client.exchange); /* nothing is under way */
    assert_int_equal(longpoll.cancels, 0);
}

static void a_poll_whose_client_is_gone_is_cancelled(void **state)
{
    (void)state;
    start();
    hf_exchange_gone(&client.exchange);
    hf_exchange_gone(&client.exchange);
    assert_int_equal(longpoll.cancels, 1);
    assert_int_equal(client.replies, 0);
}

static void nothing_is_held_while_we_leave(void **state)
{
    (void)state;
    gateway.leaving = true;
    start();
    assert_int_equal(longpoll.releases, 1);
    expect(200, "{\"status\":204}");
}

static void a_post_is_a_push(void **state)
{
    (void)state;
    longpoll.at_once = true;
    request.method = HF_STR("POST");
    request.token_header = HF_STR("H");
    request.content_type = HF_STR("application/x-ndjson");
    request.content_length = HF_STR("5");
    request.body = HF_STR("[...]");
    start();
    assert_int_equal(longpoll.posts, 1);
    assert_true(longpoll.ndjson);
    assert_string_equal(longpoll.token, "H");
    assert_string_equal(longpoll.body, "[...]");
    expect(200, "{\"status\":200}");
}

static void a_push_of_another_type_is_one_message(void **state)
{
    (void)state;
    request.method = HF_STR("POST");
    request.content_type = HF_STR("application/json");
    start();
    assert_int_equal(longpoll.posts, 1);
    assert_false(longpoll.ndjson);
}

static void a_push_whose_client_is_gone_is_forgotten(void **state)
{
    (void)state;
    request.method = HF_STR("POST");
    start();
    hf_exchange_gone(&client.exchange);
    assert_int_equal(longpoll.forgets, 1);
    assert_int_equal(longpoll.cancels, 0);
}

static void a_push_cut_short_does_nothing(void **state)
{
    (void)state;
    request.method = HF_STR("POST");
    request.content_length = HF_STR("6");
    request.body = HF_STR("[...]");
    start();
    assert_int_equal(longpoll.posts, 0);
    expect(400, "{\"status\":400}");
}

/* The ends refuse it by its length, but not where the settings were not read
 * yet, or where no length was said. */
static void a_push_over_the_limit_does_nothing(void **state)
{
    (void)state;
    settings.max_body = 4;
    request.method = HF_STR("POST");
    request.body = HF_STR("[...]");
    start();
    assert_int_equal(longpoll.posts, 0);
    expect(413, "{\"status\":413}");
    client.replies = 0;
    request.path_info = HF_STR("/publish");
    start();
    assert_int_equal(longpoll.publishes, 0);
    expect(413, "{\"status\":413}");
}

/* Before each request, and where it says no there is nothing else. */
static const struct hf_request *admitted;
static int admission;

static int admit(struct hf_gateway *asked, const struct hf_request *which)
{
    assert_ptr_equal(asked, &gateway);
    admitted = which;
    return admission;
}

static void a_request_that_is_not_admitted_gets_a_sentence(void **state)
{
    (void)state;
    gateway.admit = admit;
    admission = HF_EINVAL;
    start();
    assert_ptr_equal(admitted, &request);
    assert_int_equal(longpoll.polls, 0);
    assert_int_equal(client.replies, 1);
    assert_true(strncmp(client.head, "Status: 500 ", 12) == 0);
    assert_non_null(strstr(client.head, "Content-Type: text/plain"));
    assert_non_null(strstr(client.body, "not ready"));

    admission = 0;
    longpoll.at_once = true;
    start();
    assert_int_equal(longpoll.polls, 1);
    assert_int_equal(client.replies, 2);
}

static void a_publish_has_the_status_that_it_is_answered(void **state)
{
    (void)state;
    longpoll.at_once = true;
    longpoll.plain = (struct hf_plain_answer){429, 3, HF_STR("{}")};
    request.path_info = HF_STR("/publish");
    request.method = HF_STR("POST");
    request.content_type = HF_STR("application/x-ndjson; charset=utf-8");
    request.body = HF_STR("{...}");
    start();
    assert_int_equal(longpoll.publishes, 1);
    assert_true(longpoll.ndjson);
    assert_string_equal(longpoll.body, "{...}");
    expect(429, "{}");
    assert_non_null(strstr(client.head, "\r\nRetry-After: 3\r\n"));
    assert_non_null(strstr(client.head, "no-store"));
    assert_null(strstr(client.head, "WWW-Authenticate"));
    assert_string_equal(client.head + strlen(client.head) - 4, "\r\n\r\n");
}

static void who_may_not_is_told_how_to_say_who_he_is(void **state)
{
    (void)state;
    longpoll.at_once = true;
    longpoll.plain = (struct hf_plain_answer){401, 0, HF_STR("{}")};
    request.path_info = HF_STR("/events");
    start();
    assert_int_equal(longpoll.follows, 1);
    expect(401, "{}");
    assert_non_null(strstr(client.head, "\r\nWWW-Authenticate: Bearer\r\n"));
    assert_null(strstr(client.head, "Retry-After"));
}

static void plain_requests_whose_client_is_gone_are_let_go(void **state)
{
    (void)state;
    request.path_info = HF_STR("/events");
    start();
    hf_exchange_gone(&client.exchange);
    hf_exchange_gone(&client.exchange);
    assert_int_equal(longpoll.hung_up, 1);
    request.path_info = HF_STR("/publish");
    request.method = HF_STR("POST");
    start();
    hf_exchange_gone(&client.exchange);
    hf_exchange_gone(&client.exchange);
    assert_int_equal(longpoll.forgotten, 1);
    assert_int_equal(client.replies, 0);
}

static void a_publish_cut_short_does_nothing(void **state)
{
    (void)state;
    request.path_info = HF_STR("/publish");
    request.method = HF_STR("POST");
    request.content_length = HF_STR("6");
    request.body = HF_STR("{...}");
    start();
    assert_int_equal(longpoll.publishes, 0);
    assert_int_equal(client.replies, 1);
    assert_memory_equal(client.head, "Status: 400 ", 12);
}

static void plain_paths_say_which_methods_they_take(void **state)
{
    (void)state;
    request.path_info = HF_STR("/publish");
    start();
    expect(405, "");
    assert_non_null(strstr(client.head, "\r\nAllow: POST, OPTIONS\r\n"));
    client.replies = 0;
    request.path_info = HF_STR("/events");
    request.method = HF_STR("HEAD");
    start();
    expect(405, "");
    assert_non_null(strstr(client.head, "\r\nAllow: GET, OPTIONS\r\n"));
    assert_int_equal(longpoll.publishes + longpoll.follows, 0);
}

static void a_preflight_is_answered_without_a_session(void **state)
{
    (void)state;
    request.method = HF_STR("OPTIONS");
    request.allow_headers = HF_STR("content-type");
    request.hello.query = HF_STR("");
    request.hello.from.origin = HF_STR("http://example.com");
    request.hello.from.host = HF_STR("example.com");
    start();
    assert_int_equal(longpoll.polls + longpoll.posts, 0);
    expect(200, "");
    assert_non_null(
        strstr(client.head, "Access-Control-Allow-Headers: content-type\r\n"));
}

static void a_denied_preflight_says_403_and_no_more(void **state)
{
    (void)state;
    request.method = HF_STR("OPTIONS");
    request.hello.from.origin = HF_STR("http://evil.example");
    request.hello.from.host = HF_STR("example.com");
    start();
    expect(200, "{\"status\":403}");
    assert_non_null(strstr(client.head, "Access-Control-Allow-Origin: *\r\n"));
    assert_null(strstr(client.head, "Access-Control-Allow-Methods"));
}

static void a_preflight_for_another_host_is_denied(void **state)
{
    (void)state;
    (void)snprintf(settings.hosts[0], sizeof(settings.hosts[0]), "example.com");
    settings.hosts_count = 1;
    request.method = HF_STR("OPTIONS");
    request.hello.from.origin = HF_STR("http://evil.example");
    request.hello.from.host = HF_STR("evil.example");
    start();
    expect(200, "{\"status\":403}");
}

static void other_methods_get_an_empty_400(void **state)
{
    (void)state;
    request.method = HF_STR("HEAD");
    start();
    expect(400, "");
}

static void other_paths_get_a_404_that_is_not_json(void **state)
{
    (void)state;
    request.path_info = HF_STR("/other");
    start();
    expect(404, "Not found.\n");
    assert_null(strstr(client.head, "json"));
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_get_is_a_poll),
        TEST(a_poll_may_be_answered_later),
        TEST(a_poll_whose_client_is_gone_is_cancelled),
        TEST(nothing_is_held_while_we_leave),
        TEST(a_post_is_a_push),
        TEST(a_push_of_another_type_is_one_message),
        TEST(a_push_whose_client_is_gone_is_forgotten),
        TEST(a_push_cut_short_does_nothing),
        TEST(a_push_over_the_limit_does_nothing),
        TEST(a_request_that_is_not_admitted_gets_a_sentence),
        TEST(a_publish_has_the_status_that_it_is_answered),
        TEST(who_may_not_is_told_how_to_say_who_he_is),
        TEST(plain_requests_whose_client_is_gone_are_let_go),
        TEST(a_publish_cut_short_does_nothing),
        TEST(plain_paths_say_which_methods_they_take),
        TEST(a_preflight_is_answered_without_a_session),
        TEST(a_denied_preflight_says_403_and_no_more),
        TEST(a_preflight_for_another_host_is_denied),
        TEST(other_methods_get_an_empty_400),
        TEST(other_paths_get_a_404_that_is_not_json),
    };

    return cmocka_run_group_tests_name("serve", tests, NULL, NULL);
}

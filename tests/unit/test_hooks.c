#include "channel/hooks.h"

#include "tests/unit/hook_app.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/err.h"
#include "base/json.h"

#define SECRET "0123456789abcdef0123456789abcdef"

struct asked {
    struct hf_hook_call call;
    bool done;
    enum hf_hook_result result;
    struct hf_hook_answer *answer;
    int64_t took_ms, since_ms;
};

static struct hf_loop *loop;
static struct hf_dir dir;
static struct hf_settings settings;
static struct hf_hooks *hooks;
static char last_head[4096], last_body[65536];

static void write_secret(const char *text, mode_t mode)
{
    int fd =
        openat(dir.fd, HF_FILE_HOOK_SECRET, O_CREAT | O_WRONLY | O_TRUNC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    (void)close(fd);
}

static char *behave(const char *head, const char *body)
{
    char *huge;

    (void)snprintf(last_head, sizeof(last_head), "%s", head);
    (void)snprintf(last_body, sizeof(last_body), "%s", body);
    if (strstr(body, "\"event\":\"slow\""))
        (void)usleep(1500000);
    if (strstr(body, "\"event\":\"while\""))
        (void)usleep(150000);
    if (strstr(body, "\"event\":\"hangup\""))
        return NULL;
    if (strstr(body, "\"event\":\"500\""))
        return strdup("HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\n{}");
    if (strstr(body, "\"event\":\"moved\""))
        return strdup("HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\n"
                      "Content-Length: 0\r\n\r\n");
    if (strstr(body, "\"event\":\"junk\""))
        return app_json("<b>Warning</b>: not JSON");
    if (strstr(body, "\"event\":\"huge\"")) {
        huge = malloc(3000000);
        memset(huge, ' ', 2999999);
        huge[2999999] = '\0';
        memcpy(huge, "HTTP/1.1 200 OK\r\n\r\n{", 20);
        return huge;
    }
    if (strstr(body, "\"event\":\"head\"")) {
        huge = malloc(200100);
        memset(huge, 'x', 200099);
        huge[200099] = '\0';
        memcpy(huge, "HTTP/1.1 200 OK\r\nx: ", 20);
        for (size_t i = 1000; i < 200000; i += 1000)
            memcpy(huge + i, "\r\nx: ", 5);
        memcpy(huge + 200000, "\r\n\r\n{}", 6);
        return huge;
    }
    return app_json("{\"status\":\"ok\"}");
}

static int set_up(void **state)
{
    static char path[] = "/tmp/hf-hooks-XXXXXX";
    struct hf_why why;

    (void)state;
    (void)snprintf(path, sizeof(path), "/tmp/hf-hooks-XXXXXX");
    assert_non_null(mkdtemp(path));
    (void)snprintf(dir.path, sizeof(dir.path), "%s", path);
    dir.fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    dir.file_mode = 0600;
    write_secret(SECRET "\n", 0600);
    hf_settings_default(&settings);
    settings.hook_timeout_ms = 1000;
    app_answers = behave;
    app_start(settings.hook_url);
    assert_int_equal(hf_loop_new(&loop), 0);
    if (hf_hooks_open(loop, &dir, &settings, &hooks, &why))
        fail_msg("%s", why.text);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    hf_hooks_close(hooks);
    hooks = NULL;
    hf_loop_free(loop);
    app_stop();
    (void)unlinkat(dir.fd, HF_FILE_HOOK_SECRET, 0);
    (void)close(dir.fd);
    (void)rmdir(dir.path);
    return 0;
}

static void answered(struct hf_hook_call *call, enum hf_hook_result result,
                     struct hf_hook_answer *answer)
{
    struct asked *asked = HF_ITEM(call, struct asked, call);

    assert_false(asked->done);
    asked->done = true;
    asked->result = result;
    asked->answer = answer;
    asked->took_ms = hf_boot_ms() - asked->since_ms;
}

static int ask(struct asked *asked, const char *topic, const char *event)
{
    struct hf_hook_request request = {
        .kind = HF_HOOK_PUSH,
        .session = HF_STR("session"),
        .transport = "websocket",
        .topic = hf_str_of(topic),
        .event = hf_str_of(event),
        .payload.text = HF_STR("{\"n\": 1.50}"),
        .join_ref = HF_STR("\"1\""),
        .ref = HF_STR("\"2\""),
    };

    *asked =
        (struct asked){.call.answered = answered, .since_ms = hf_boot_ms()};
    return hf_hooks_call(hooks, &asked->call, &request);
}

static void wait_for(struct asked *asked)
{
    int64_t end = hf_boot_ms() + 8000;

    while (!asked->done && hf_boot_ms() < end)
        assert_int_equal(hf_loop_turn(loop, 50), 0);
    assert_true(asked->done);
}

static void gets(const char *event, enum hf_hook_result result)
{
    struct asked asked;

    assert_int_equal(ask(&asked, "room:a", event), 0);
    wait_for(&asked);
    if (asked.result != result)
        fail_msg("%s: %d instead of %d", event, asked.result, result);
    assert_true(!asked.answer == (result != HF_HOOK_ANSWERED));
    hf_hook_answer_free(asked.answer);
    assert_int_equal(hf_hooks_pending(hooks), 0);
}

static void a_call_is_answered(void **state)
{
    (void)state;
    gets("ok", HF_HOOK_ANSWERED);
    assert_string_equal(
        last_body,
        "{\"hook\":\"push\",\"socket\":{\"transport\":\"websocket\","
        "\"id\":\"session\",\"user\":null,\"topics\":null,\"params\":{}},"
        "\"topic\":\"room:a\",\"event\":\"ok\",\"payload\":{\"n\": 1.50},"
        "\"join_ref\":\"1\",\"ref\":\"2\",\"key\":null}");
    assert_non_null(
        strcasestr(last_head, "\r\nContent-Type: application/json"));
    assert_null(strcasestr(last_head, "\r\nExpect:"));
    assert_null(strcasestr(last_head, "\r\nCookie:"));
}

static void a_request_is_signed(void **state)
{
    unsigned char mac[HF_SHA256_LEN];
    char text[70000], hex[2 * HF_SHA256_LEN + 1];
    const char *at;
    long long t;
    size_t i;

    (void)state;
    gets("ok", HF_HOOK_ANSWERED);
    at = strstr(last_head, "Holdfast-Signature: t=");
    assert_non_null(at);
    t = strtoll(at + 22, NULL, 10);
    assert_true(llabs(t - (long long)time(NULL)) < 10);
    (void)snprintf(text, sizeof(text), "%lld.%s", t, last_body);
    hf_hmac_sha256(HF_STR(SECRET), hf_str_of(text), mac);
    for (i = 0; i < sizeof(mac); i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", mac[i]);
    assert_non_null(strstr(at, ",v1="));
    assert_memory_equal(strstr(at, ",v1=") + 4, hex, 64);
}

static void bytes_and_odd_names_arrive_whole(void **state)
{
    struct asked asked = {.call.answered = answered};
    struct hf_hook_request request = {
        .kind = HF_HOOK_LEAVE,
        .user = HF_STR("a\"b"),
        .topics = HF_STR("{\"a\":[]}"),
        .params = HF_STR("{\"p\":[1]}"),
        .transport = "longpoll",
        .topic = HF_STR("room:\xc3\xa9\\"),
        .payload = {HF_STR("\0\1\xff"), true},
        .key = HF_STR("k"),
        .reason = "closed",
    };

    (void)state;
    assert_int_equal(hf_hooks_call(hooks, &asked.call, &request), 0);
    wait_for(&asked);
    assert_int_equal(asked.result, HF_HOOK_ANSWERED);
    hf_hook_answer_free(asked.answer);
    assert_string_equal(
        last_body,
        "{\"hook\":\"leave\",\"socket\":{\"transport\":\"longpoll\","
        "\"id\":null,\"user\":\"a\\\"b\",\"topics\":{\"a\":[]},"
        "\"params\":{\"p\":[1]}},\"topic\":\"room:\xc3\xa9\\\\\","
        "\"event\":null,\"payload\":{\"_binary\":\"AAH/\"},\"join_ref\":null,"
        "\"ref\":null,\"key\":\"k\",\"reason\":\"closed\"}");
}

static void what_is_no_answer_fails(void **state)
{
    (void)state;
    gets("500", HF_HOOK_FAILED);
    gets("moved", HF_HOOK_FAILED);
    gets("junk", HF_HOOK_FAILED);
    gets("hangup", HF_HOOK_FAILED);
    gets("huge", HF_HOOK_FAILED);
    gets("head", HF_HOOK_FAILED);
    assert_int_equal(app_calls, 6); /* nothing is ever repeated, or followed */
}

static void nobody_listening_fails_at_once(void **state)
{
    char url[sizeof(settings.hook_url)];

    (void)state;
    (void)snprintf(url, sizeof(url), "%s", settings.hook_url);
    (void)snprintf(settings.hook_url, sizeof(settings.hook_url),
                   "http://127.0.0.1:1/");
    gets("ok", HF_HOOK_FAILED);
    (void)snprintf(settings.hook_url, sizeof(settings.hook_url), "%s", url);
}

static void the_environment_names_no_proxy(void **state)
{
    (void)state;
    (void)setenv("http_proxy", "http://127.0.0.1:1/", 1);
    (void)setenv("ALL_PROXY", "http://127.0.0.1:1/", 1);
    gets("ok", HF_HOOK_ANSWERED);
    (void)unsetenv("http_proxy");
    (void)unsetenv("ALL_PROXY");
}

static void a_slow_one_times_out(void **state)
{
    struct asked asked;

    (void)state;
    assert_int_equal(ask(&asked, "room:a", "slow"), 0);
    wait_for(&asked);
    assert_int_equal(asked.result, HF_HOOK_TIMEOUT);
    assert_true(asked.took_ms >= 900 && asked.took_ms < 2500);
}

static void no_more_than_allowed_are_under_way(void **state)
{
    struct asked asked[24];
    char topic[16];
    size_t i;

    (void)state;
    settings.hook_concurrency = 6;
    for (i = 0; i < 24; i++) {
        (void)snprintf(topic, sizeof(topic), "t%zu", i);
        assert_int_equal(ask(&asked[i], topic, "while"), 0);
    }
    for (i = 0; i < 24; i++) {
        wait_for(&asked[i]);
        assert_int_equal(asked[i].result, HF_HOOK_ANSWERED);
        hf_hook_answer_free(asked[i].answer);
    }
    assert_int_equal(app_most, 6);
}

static void a_slow_topic_leaves_room_for_others(void **state)
{
    struct asked slow[40], other;
    size_t i;

    (void)state;
    for (i = 0; i < 40; i++)
        assert_int_equal(ask(&slow[i], "slow", "slow"), 0);
    for (i = 0; i < 5; i++) { /* they are under way by now */
        (void)usleep(20000);
        assert_int_equal(hf_loop_turn(loop, 0), 0);
    }
    assert_int_equal(ask(&other, "quick", "ok"), 0);
    wait_for(&other);
    assert_int_equal(other.result, HF_HOOK_ANSWERED);
    assert_true(other.took_ms < 700);
    hf_hook_answer_free(other.answer);
    for (i = 0; i < 40; i++)
        wait_for(&slow[i]);
    assert_int_equal(slow[0].result, HF_HOOK_TIMEOUT);
    assert_int_equal(slow[39].result, HF_HOOK_BUSY); /* and was never sent */
    assert_true(app_calls < 41);
}

static void too_many_that_wait_are_refused(void **state)
{
    struct asked *asked = calloc(2000, sizeof(*asked));
    size_t i, taken = 0;
    int err = 0;

    (void)state;
    assert_non_null(asked);
    settings.hook_timeout_ms = 100;
    for (i = 0; i < 2000 && err == 0; i++, taken++)
        err = ask(&asked[i], "room:a", "slow");
    assert_int_equal(err, HF_ELIMIT);
    assert_int_equal(taken, 501); /* half of what may wait at all */
    assert_int_equal(ask(&asked[1999], "room:b", "ok"), 0);
    for (i = 0; i < 500; i++)
        wait_for(&asked[i]);
    wait_for(&asked[1999]);
    hf_hook_answer_free(asked[1999].answer);
    free(asked);
}

static void what_was_forgotten_ends_unseen(void **state)
{
    struct asked asked, waiting;
    size_t i;

    (void)state;
    settings.hook_concurrency = 1;
    assert_int_equal(ask(&asked, "a", "while"), 0);
    assert_int_equal(ask(&waiting, "b", "ok"), 0);
    for (i = 0; i < 3; i++)
        assert_int_equal(hf_loop_turn(loop, 20), 0);
    hf_hook_forget(&waiting.call);
    hf_hook_forget(&asked.call);
    hf_hook_forget(&asked.call);
    assert_int_equal(hf_hooks_pending(hooks), 1);
    for (i = 0; i < 50 && hf_hooks_pending(hooks) > 0; i++)
        assert_int_equal(hf_loop_turn(loop, 20), 0);
    assert_int_equal(hf_hooks_pending(hooks), 0);
    assert_false(asked.done || waiting.done);
    assert_int_equal(app_calls, 1);
}

static void closing_answers_all(void **state)
{
    struct asked asked[10];
    size_t i;

    (void)state;
    for (i = 0; i < 10; i++)
        assert_int_equal(ask(&asked[i], "a", "while"), 0);
    assert_int_equal(hf_loop_turn(loop, 20), 0);
    hf_hooks_close(hooks);
    hooks = NULL;
    for (i = 0; i < 10; i++)
        assert_true(asked[i].done && asked[i].result == HF_HOOK_CLOSED);
}

static void only_what_was_chosen_is_asked(void **state)
{
    struct hf_why why;

    (void)state;
    assert_true(hf_hooks_want(hooks, HF_HOOK_JOIN, HF_STR("a")));
    assert_true(hf_hooks_want(hooks, HF_HOOK_PUSH, HF_STR("a")));
    assert_false(hf_hooks_want(hooks, HF_HOOK_LEAVE, HF_STR("a")));
    assert_false(hf_hooks_want(hooks, HF_HOOK_CONNECT, HF_STR("")));
    assert_false(hf_hooks_want(NULL, HF_HOOK_PUSH, HF_STR("a")));
    hf_hooks_close(hooks);
    strcpy(settings.hook_events[0], "leave");
    strcpy(settings.hook_events[1], "connect");
    settings.hook_events_count = 2;
    strcpy(settings.hook_topics[0], "room:*");
    strcpy(settings.hook_topics[1], "exact");
    settings.hook_topics_count = 2;
    assert_int_equal(hf_hooks_open(loop, &dir, &settings, &hooks, &why), 0);
    assert_true(hf_hooks_want(hooks, HF_HOOK_LEAVE, HF_STR("room:a")));
    assert_true(hf_hooks_want(hooks, HF_HOOK_LEAVE, HF_STR("exact")));
    assert_false(hf_hooks_want(hooks, HF_HOOK_LEAVE, HF_STR("other")));
    assert_false(hf_hooks_want(hooks, HF_HOOK_JOIN, HF_STR("room:a")));
    assert_true(hf_hooks_want(hooks, HF_HOOK_CONNECT, HF_STR("")));
}

static void a_secret_must_be_one(void **state)
{
    struct hf_hooks *none;
    struct hf_why why;

    (void)state;
    write_secret(SECRET, 0644);
    assert_int_equal(hf_hooks_open(loop, &dir, &settings, &none, &why),
                     HF_EDENIED);
    write_secret("short\n", 0600);
    assert_int_equal(hf_hooks_open(loop, &dir, &settings, &none, &why),
                     HF_EINVAL);
    assert_int_equal(unlinkat(dir.fd, HF_FILE_HOOK_SECRET, 0), 0);
    assert_int_equal(hf_hooks_open(loop, &dir, &settings, &none, &why),
                     HF_ENOTFOUND);
    assert_non_null(strstr(why.text, "holdfast init"));
    settings.hook_url[0] = '\0';
    assert_int_equal(hf_hooks_open(loop, &dir, &settings, &none, &why), 0);
    assert_null(none);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_call_is_answered),
        TEST(a_request_is_signed),
        TEST(bytes_and_odd_names_arrive_whole),
        TEST(what_is_no_answer_fails),
        TEST(nobody_listening_fails_at_once),
        TEST(the_environment_names_no_proxy),
        TEST(a_slow_one_times_out),
        TEST(no_more_than_allowed_are_under_way),
        TEST(a_slow_topic_leaves_room_for_others),
        TEST(too_many_that_wait_are_refused),
        TEST(what_was_forgotten_ends_unseen),
        TEST(closing_answers_all),
        TEST(only_what_was_chosen_is_asked),
        TEST(a_secret_must_be_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

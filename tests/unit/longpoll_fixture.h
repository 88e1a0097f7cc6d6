/*
 * longpoll_fixture.h - two clients that poll two gateways of one host
 */
#ifndef HF_TESTS_LONGPOLL_FIXTURE_H
#define HF_TESTS_LONGPOLL_FIXTURE_H

#include "base/json.h"
#include "channel/cursor.h"
#include "channel/limits.h"
#include "channel/longpoll.h"
#include "channel/longpoll_state.h"
#include "tests/unit/journal_fixture.h"

/*
 * Two gateways of one host, each with connections and a writer of its own, on
 * one loop: whichever serves a request, the client must not notice.
 */
static struct fixture f;
static struct hf_process process[2];
static struct hf_longpoll *gate[2];

/* One long-poll client. */
struct client {
    char token[HF_TOKEN_MAX + 1];
    size_t count;
    char *got[4000];
};

static struct client a, b;

struct get {
    struct hf_poll poll;
    bool answered;
    int status;
    long long next_ms; /* 0: not there */
    char token[HF_TOKEN_MAX + 1];
    size_t count;
    char *messages[HF_ANSWER_MESSAGES + 1];
};

struct postal {
    struct hf_post post;
    bool answered;
    int status;
};

static struct hf_hello hello = {
    .query = HF_STR_INIT("vsn=2.0.0&"), /* until a test says otherwise */
    .from = {.host = HF_STR_INIT("localhost"), .loopback_listener = true}};

/* --- requests ---------------------------------------------------------- */

static inline int status_of(struct hf_str body, struct hf_json *out)
{
    struct hf_json status;
    long long number;

    assert_int_equal(hf_json_read(body, 8, out), 0);
    assert_true(hf_json_find(*out, HF_STR("status"), &status));
    assert_int_equal(hf_json_integer(status, &number), 0);
    return (int)number;
}

static inline char *text_of(struct hf_json string)
{
    char *text = malloc(string.raw.len + 1);
    size_t len;

    assert_int_equal(hf_json_unescape(string, text, string.raw.len, &len), 0);
    text[len] = '\0';
    return text;
}

static inline void poll_answered(struct hf_poll *poll, struct hf_str body)
{
    struct get *get = HF_ITEM(poll, struct get, poll);
    struct hf_json object, member;
    struct hf_json_walk walk;

    assert_false(get->answered);
    get->answered = true;
    get->status = status_of(body, &object);
    if (hf_json_find(object, HF_STR("token"), &member)) {
        char *token = text_of(member);

        snprintf(get->token, sizeof(get->token), "%s", token);
        free(token);
    }
    if (hf_json_find(object, HF_STR("next_ms"), &member))
        assert_int_equal(hf_json_integer(member, &get->next_ms), 0);
    if (!hf_json_find(object, HF_STR("messages"), &member))
        return;
    hf_json_walk(member, &walk);
    while (hf_json_element(&walk, &member))
        get->messages[get->count++] = text_of(member);
}

static inline void get_start(struct get *get, int n, const char *token)
{
    *get = (struct get){.poll = {.answer = poll_answered}};
    hf_poll_start(gate[n], &get->poll, &hello, hf_str_of(token));
    hf_longpoll_look_at_coming(gate[n]); /* as if the turn ended here */
}

static inline void get_wait(struct get *get, int max_ms)
{
    if (!turn_until(f.loop, &get->answered, max_ms))
        fail_msg("the poll was not answered in %d ms", max_ms);
}

static inline void get_free(struct get *get)
{
    while (get->count > 0)
        free(get->messages[--get->count]);
}

static inline void post_answered(struct hf_post *post, struct hf_str body)
{
    struct postal *postal = HF_ITEM(post, struct postal, post);
    struct hf_json object;

    assert_false(postal->answered);
    postal->answered = true;
    postal->status = status_of(body, &object);
}

static inline int post_to(int n, const char *token, const char *body,
                          bool ndjson)
{
    struct postal postal = {.post = {.answer = post_answered}};

    hf_post_start(gate[n], &postal.post, &hello, hf_str_of(token),
                  hf_str_of(body), ndjson);
    assert_true(turn_until(f.loop, &postal.answered, 5000));
    return postal.status;
}

/* --- a client ---------------------------------------------------------- */

static inline void open_session(struct client *c)
{
    struct get get;

    get_start(&get, 0, "");
    get_wait(&get, 1000);
    assert_int_equal(get.status, 410);
    snprintf(c->token, sizeof(c->token), "%s", get.token);
    get_free(&get);
}

/* One poll through gateway n, as a client makes it. */
static inline void poll_once(struct client *c, int n)
{
    struct get get;
    size_t i;

    get_start(&get, n, c->token);
    get_wait(&get, 3000);
    assert_true(get.status == 200 || get.status == 204);
    snprintf(c->token, sizeof(c->token), "%s", get.token);
    for (i = 0; i < get.count; i++)
        c->got[c->count++] = strdup(get.messages[i]);
    get_free(&get);
}

/* Poll through the two gateways in turn until n messages came in all. */
static inline void poll_until(struct client *c, size_t n)
{
    int turn = 0, in_vain = 0;

    while (c->count < n && turn < 40 && in_vain < 3) {
        size_t before = c->count;

        poll_once(c, turn++ & 1);
        in_vain = c->count == before ? in_vain + 1 : 0;
    }
    if (c->count < n)
        fail_msg("%zu messages came, %zu were expected", c->count, n);
}

static inline void got(struct client *c, size_t n, const char *text)
{
    poll_until(c, n + 1);
    assert_string_equal(c->got[n], text);
}

static inline void say(struct client *c, int n, const char *body)
{
    assert_int_equal(post_to(n, c->token, body, true), 200);
}

static inline uint64_t publish(const char *topic, const char *payload)
{
    return fixture_publish(&process[0], topic, payload);
}

static inline void cursor_text(char *out, uint64_t id)
{
    struct hf_cursor cursor = {hf_journal_epoch(process[0].journal), id};

    out[hf_cursor_format(cursor, out)] = '\0';
}

static inline void open_gate(int n)
{
    fixture_open(&f, &process[n], n == 0);
    assert_int_equal(hf_longpoll_open(&process[n], 2000, &gate[n]), 0);
}

static inline void close_gate(int n)
{
    hf_longpoll_close(gate[n]);
    hf_process_close(&process[n]);
}

static inline int setup(void **state)
{
    (void)state;
    hello.query = HF_STR("vsn=2.0.0&");
    fixture_begin(&f);
    open_gate(0);
    open_gate(1);
    a = b = (struct client){0};
    open_session(&a);
    open_session(&b);
    return 0;
}

static inline void forget(struct client *c)
{
    while (c->count > 0)
        free(c->got[--c->count]);
}

static inline int teardown(void **state)
{
    (void)state;
    forget(&a);
    forget(&b);
    close_gate(0);
    close_gate(1);
    fixture_end(&f);
    return 0;
}

#define JOIN(ref) "[\"" ref "\",\"" ref "\",\"room:a\",\"phx_join\",{}]"
#define JOINED(ref)                                                            \
    "[\"" ref "\",\"" ref "\",\"room:a\",\"phx_reply\","                       \
    "{\"status\":\"ok\",\"response\":{}}]"
#define OK(join_ref, ref)                                                      \
    "[" join_ref ",\"" ref "\",\"room:a\",\"phx_reply\","                      \
    "{\"status\":\"ok\",\"response\":{}}]"

#endif

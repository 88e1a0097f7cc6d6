/*
 * plain_fixture.h - plain HTTP without HTTP: one process, its two requests
 */
#ifndef HF_TESTS_PLAIN_FIXTURE_H
#define HF_TESTS_PLAIN_FIXTURE_H

#include "base/json.h"
#include "channel/cursor.h"
#include "channel/events.h"
#include "channel/publishing.h"
#include "tests/unit/journal_fixture.h"

static struct fixture f;
static struct hf_process process;
static struct hf_longpoll *gate;
static struct hf_hello hello;

/* What a request was answered. */
struct reply {
    bool answered;
    unsigned status, retry_s;
    char *body;
};

static inline void take(struct reply *reply,
                        const struct hf_plain_answer *answer)
{
    assert_false(reply->answered);
    reply->answered = true;
    reply->status = answer->status;
    reply->retry_s = answer->retry_s;
    reply->body = malloc(answer->body.len + 1);
    memcpy(reply->body, answer->body.at, answer->body.len);
    reply->body[answer->body.len] = '\0';
}

struct publish_request {
    struct hf_publishing publishing;
    struct reply reply;
};

struct events_request {
    struct hf_events events;
    struct reply reply;
};

static inline void published(struct hf_publishing *publishing,
                             const struct hf_plain_answer *answer)
{
    take(&HF_ITEM(publishing, struct publish_request, publishing)->reply,
         answer);
}

static inline void heard(struct hf_events *events,
                         const struct hf_plain_answer *answer)
{
    take(&HF_ITEM(events, struct events_request, events)->reply, answer);
}

static struct publish_request publishing;
static struct events_request listening;

/* The body stays until the next request. */
static inline const char *post_as(const char *body, bool ndjson)
{
    free(publishing.reply.body);
    publishing = (struct publish_request){.publishing = {.answer = published}};
    hf_publishing_start(gate, &publishing.publishing, &hello, hf_str_of(body),
                        ndjson);
    assert_true(turn_until(f.loop, &publishing.reply.answered, 5000));
    return publishing.reply.body;
}

static inline const char *post(const char *body)
{
    return post_as(body, false);
}

static inline void get_start(struct events_request *get, const char *query)
{
    free(get->reply.body);
    *get = (struct events_request){.events = {.answer = heard}};
    hello.query = hf_str_of(query);
    hf_events_start(gate, &get->events, &hello);
    hello.query = HF_STR("");
}

static inline const char *get_wait(struct events_request *get, int max_ms)
{
    if (!turn_until(f.loop, &get->reply.answered, max_ms))
        fail_msg("the request was not answered in %d ms", max_ms);
    return get->reply.body;
}

static inline const char *get(const char *query)
{
    get_start(&listening, query);
    return get_wait(&listening, 5000);
}

/* A string member of the answer. */
static inline void member(const char *body, const char *name, char *out,
                          size_t cap)
{
    struct hf_json object, value;
    size_t len = 0;

    assert_int_equal(hf_json_read(hf_str_of(body), 64, &object), 0);
    if (!hf_json_find(object, hf_str_of(name), &value))
        fail_msg("%s has no %s", body, name);
    assert_int_equal(hf_json_unescape(value, out, cap - 1, &len), 0);
    out[len] = '\0';
}

/* ?topic=TOPIC&since=CURSOR of the answer before, and more. */
static inline const char *go_on(const char *topics, const char *more)
{
    char cursor[HF_CURSOR_MAX + 1], query[400];

    member(listening.reply.body, "cursor", cursor, sizeof(cursor));
    snprintf(query, sizeof(query), "%s&since=%s%s", topics, cursor, more);
    return get(query);
}

static inline size_t messages(const char *body)
{
    struct hf_json object, list, one;
    struct hf_json_walk walk;
    size_t count = 0;

    assert_int_equal(hf_json_read(hf_str_of(body), 64, &object), 0);
    assert_true(hf_json_find(object, HF_STR("messages"), &list));
    hf_json_walk(list, &walk);
    while (hf_json_element(&walk, &one))
        count++;
    return count;
}

static inline void has(const char *body, const char *part)
{
    if (!strstr(body, part))
        fail_msg("\"%s\" is not in %s", part, body);
}

static inline void refused(const char *body, const struct reply *reply,
                           unsigned status, const char *reason)
{
    char text[100];

    snprintf(text, sizeof(text), "{\"error\":{\"reason\":\"%s\",", reason);
    has(body, text);
    assert_int_equal(reply->status, status);
}

static inline int set_up(void **state)
{
    (void)state;
    hello = (struct hf_hello){
        .from = {.host = HF_STR("localhost"), .loopback_listener = true},
        .peer = HF_STR("192.0.2.7")};
    fixture_begin(&f);
    fixture_open(&f, &process, true);
    assert_int_equal(hf_longpoll_open(&process, 2000, &gate), 0);
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    hf_longpoll_close(gate);
    hf_process_close(&process);
    fixture_end(&f);
    free(publishing.reply.body);
    free(listening.reply.body);
    publishing = (struct publish_request){.reply.answered = false};
    listening = (struct events_request){.reply.answered = false};
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif

/*
 * hook_room.h - the application of the tests that have one: what it answers to
 * each topic joined and each event pushed
 */
#ifndef HF_TESTS_HOOK_ROOM_H
#define HF_TESTS_HOOK_ROOM_H

#include "tests/unit/hook_app.h"

/* What came, oldest first: "join room:a", "push room:a echo", ... */
static char room_log[20000];
static pthread_mutex_t room_lock = PTHREAD_MUTEX_INITIALIZER;

/* The JSON string of a member, without quotes. */
static inline void room_word(const char *body, const char *name, char *out,
                             size_t cap)
{
    char start[40];
    const char *at;
    size_t len;

    (void)snprintf(start, sizeof(start), "\"%s\":\"", name);
    at = strstr(body, start);
    out[0] = '\0';
    if (!at)
        return;
    at += strlen(start);
    len = strcspn(at, "\"");
    (void)snprintf(out, cap, "%.*s", (int)len, at);
}

static inline char *room_payload(const char *body)
{
    const char *at = strstr(body, ",\"payload\":");
    const char *end;

    if (!at)
        return strdup("null"); /* of a connect */
    at += 11;
    end = strstr(at, ",\"join_ref\":");
    return strndup(at, (size_t)(end - at));
}

/* `text` with %s for the payload. */
static inline char *room_say(const char *text, const char *payload)
{
    const char *at = strstr(text, "%s");
    char *json = NULL, *answer;

    if (!at)
        return app_json(text);
    if (asprintf(&json, "%.*s%s%s", (int)(at - text), text, payload, at + 2) <
        0)
        return NULL;
    answer = app_json(json);
    free(json);
    return answer;
}

#define ROOM_DO(event)                                                         \
    "{\"do\":\"broadcast\",\"event\":\"" event "\","                           \
    "\"payload\":%s}"

static const struct {
    const char *hook, *name; /* of the topic joined or left, or the event */
    const char *answer;      /* NULL: HTTP 500 */
    int after_ms;
} room_rules[] = {
    {"connect", "", "{\"status\":\"ok\",\"id\":\"ann\"}", 200},
    {"join", "room:deny",
     "{\"status\":\"error\",\"response\":{\"reason\":\"unauthorized\"}}", 0},
    {"join", "room:hello",
     "{\"status\":\"ok\",\"response\":{\"hello\":\"world\",\"params\":%s}}", 0},
    {"join", "room:crash", NULL, 0},
    {"join", "room:slow", "{\"status\":\"ok\"}", 300},
    {"join", "room:welcome",
     "{\"status\":\"ok\",\"actions\":[{\"do\":\"push\",\"event\":\"welcome\","
     "\"payload\":{\"a\":1}}]}",
     0},
    {"join", "room:loud",
     "{\"status\":\"ok\",\"actions\":[" ROOM_DO(
         "joined") ",{\"do\":\"push\",\"event\":\"welcome\",\"payload\":{\"a\":"
                   "1}}]}",
     0},
    {"join", "room:never", "{\"status\":\"ok\"}", 3000},
    {"join", "", "{\"status\":\"ok\"}", 0},
    {"push", "echo", "{\"status\":\"ok\",\"response\":%s}", 0},
    {"push", "slow", "{\"status\":\"ok\",\"response\":%s}", 300},
    {"push", "never", "{\"status\":\"ok\"}", 3000},
    {"push", "custom", "{\"status\":\"maybe\",\"response\":{\"a\":1}}", 0},
    {"push", "noreply", "{}", 0},
    {"push", "shout", "{\"actions\":[" ROOM_DO("shout") "]}", 0},
    {"push", "shout_ack",
     "{\"status\":\"ok\",\"actions\":[" ROOM_DO("shout") "]}", 0},
    {"push", "slow_ack",
     "{\"status\":\"ok\",\"actions\":[" ROOM_DO("shout") "]}", 300},
    {"push", "shout_others",
     "{\"status\":\"ok\",\"actions\":[{\"do\":\"broadcast_others\",\"event\":"
     "\"shout\",\"payload\":%s}]}",
     0},
    {"push", "elsewhere",
     "{\"status\":\"ok\",\"actions\":[{\"do\":\"broadcast\",\"topic\":"
     "\"room:b\",\"event\":\"shout\",\"payload\":%s}]}",
     0},
    {"push", "mixed",
     "{\"status\":\"ok\",\"actions\":[{\"do\":\"push\",\"event\":\"p1\","
     "\"payload\":1},{\"do\":\"broadcast\",\"event\":\"b1\",\"payload\":2},"
     "{\"do\":\"push\",\"event\":\"p2\",\"payload\":3},{\"do\":\"reply\"},"
     "{\"do\":\"broadcast\",\"event\":\"b2\",\"payload\":4},{\"do\":\"push\","
     "\"event\":\"p3\",\"payload\":%s}]}",
     0},
    {"push", "here",
     "{\"actions\":[{\"do\":\"track\",\"key\":\"k\",\"meta\":{}}," ROOM_DO(
         "shout") "]}",
     0},
    {"push", "crash", "{\"actions\":[{\"do\":\"crash\"}]}", 0},
    {"push", "stop", "{\"actions\":[{\"do\":\"stop\"}]}", 0},
    {"push", "stop_reply",
     "{\"status\":\"ok\",\"response\":{\"bye\":true},\"actions\":[" ROOM_DO(
         "bye") ",{\"do\":\"stop\"}]}",
     0},
    {"push", "illegal",
     "{\"status\":\"ok\",\"actions\":[{\"do\":\"broadcast\",\"event\":\"x\","
     "\"payload\":1},{\"do\":\"broadcast\",\"event\":\"phx_close\","
     "\"payload\":{}}]}",
     0},
    {"push", "absent",
     "{\"actions\":[{\"do\":\"update\",\"key\":\"nobody\",\"meta\":{}}]}", 0},
    {"push", "junk", "what?", 0},
    {"push", "500", NULL, 0},
    {"leave", "room:crash", NULL, 0},
    {"leave", "",
     "{\"actions\":[{\"do\":\"broadcast\",\"event\":\"left\","
     "\"payload\":{}}]}",
     0},
};

static inline char *room_answers(const char *head, const char *body)
{
    char hook[20], topic[64], event[64], reason[64], *payload, *answer = NULL;
    const char *name;
    size_t i;

    (void)head;
    room_word(body, "hook", hook, sizeof(hook));
    room_word(body, "topic", topic, sizeof(topic));
    room_word(body, "event", event, sizeof(event));
    room_word(body, "reason", reason, sizeof(reason));
    name = strcmp(hook, "push") == 0 ? event : topic;
    (void)pthread_mutex_lock(&room_lock);
    (void)snprintf(room_log + strlen(room_log), 200, "%s %s%s%s\n", hook, topic,
                   event[0] || reason[0] ? " " : "", event[0] ? event : reason);
    (void)pthread_mutex_unlock(&room_lock);
    payload = room_payload(body);
    for (i = 0; i < sizeof(room_rules) / sizeof(room_rules[0]); i++) {
        if (strcmp(room_rules[i].hook, hook) != 0 ||
            (room_rules[i].name[0] && strcmp(room_rules[i].name, name) != 0))
            continue;
        (void)usleep((unsigned)room_rules[i].after_ms * 1000);
        if (room_rules[i].answer)
            answer = room_say(room_rules[i].answer, payload);
        break;
    }
    free(payload);
    return answer ? answer
                  : strdup("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n");
}

/* Have the directory `dir` use it. */
static inline void room_open(const char *dir, const char *events,
                             const char *timeout)
{
    char url[64], path[200];
    FILE *conf;

    room_log[0] = '\0';
    app_answers = room_answers;
    app_start(url);
    (void)snprintf(path, sizeof(path), "%s/holdfast.conf", dir);
    conf = fopen(path, "w");
    assert_non_null(conf);
    (void)fprintf(conf,
                  "[hooks]\nhook_url = %s\nhook_events = %s\n"
                  "hook_timeout = %s\nhook_topics = room:*\n",
                  url, events, timeout);
    assert_int_equal(fclose(conf), 0);
}

#endif

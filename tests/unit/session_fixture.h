/*
 * session_fixture.h - two clients on one hub, each keeping what it is sent
 */
#ifndef HF_TESTS_SESSION_FIXTURE_H
#define HF_TESTS_SESSION_FIXTURE_H

#include "channel/cursor.h"
#include "channel/limits.h"
#include "channel/session.h"
#include "tests/unit/journal_fixture.h"

/* A client over a link that keeps what it is sent as text. */
struct client {
    struct hf_link link;
    struct hf_session *session;
    bool woken;
    int closed; /* code; 0 = open */
    size_t count;
    char *got[4000];
};

static struct fixture f;
static struct hf_process process;
static struct hf_hub *hub;
static struct client a, b;

static inline void woken(struct hf_link *link)
{
    struct client *c = HF_ITEM(link, struct client, link);

    assert_false(c->woken); /* told once until it came back empty-handed */
    c->woken = true;
}

static inline void closed(struct hf_link *link, int code)
{
    HF_ITEM(link, struct client, link)->closed = code;
}

/* Text as it is, a binary frame as "binary" and its bytes in hexadecimal. */
static inline char *legible(const struct hf_msg *msg)
{
    char *text;
    uint32_t i;

    if (!msg->binary)
        return strndup(msg->text, msg->len);
    text = malloc(8 + 2 * (size_t)msg->len);
    memcpy(text, "binary ", 8);
    for (i = 0; i < msg->len; i++)
        (void)sprintf(text + 7 + 2 * i, "%02x", (unsigned char)msg->text[i]);
    return text;
}

static inline void take_all(struct client *c)
{
    struct hf_msg *msgs[32];
    size_t n, i;

    if (!c->woken)
        return;
    while ((n = hf_session_take(c->session, msgs, 32, 65536)) > 0) {
        for (i = 0; i < n; i++) {
            assert_true(c->count < 4000);
            c->got[c->count++] = legible(msgs[i]);
            hf_msg_unref(msgs[i]);
        }
    }
    c->woken = false;
}

/* Turn until the client has n messages in all. */
static inline void wait_for(struct client *c, size_t n)
{
    int64_t end = hf_boot_ms() + 5000;

    while (c->count < n && hf_boot_ms() < end) {
        assert_int_equal(hf_loop_turn(f.loop, 10), 0);
        take_all(&a);
        take_all(&b);
    }
    if (c->count < n)
        fail_msg("%zu messages came, %zu were expected", c->count, n);
}

/* A while in which nothing may come. */
static inline void quiet(struct client *c, size_t n)
{
    int64_t end = hf_boot_ms() + 100;

    while (hf_boot_ms() < end) {
        assert_int_equal(hf_loop_turn(f.loop, 10), 0);
        take_all(&a);
        take_all(&b);
    }
    assert_int_equal(c->count, n);
}

static inline void forget(struct client *c)
{
    while (c->count > 0)
        free(c->got[--c->count]);
}

static inline void open_as(struct client *c, enum hf_vsn vsn)
{
    struct hf_client client = {.vsn = vsn};

    *c = (struct client){.link = {.wake = woken, .close = closed}};
    assert_int_equal(hf_session_open(hub, &c->link, &client, &c->session), 0);
}

static inline void open_client(struct client *c)
{
    open_as(c, HF_VSN_2);
}

static inline void close_client(struct client *c)
{
    if (c->session)
        hf_session_detach(c->session);
    c->session = NULL;
    forget(c);
}

static inline void say(struct client *c, const char *text)
{
    assert_int_equal(hf_session_receive(c->session, hf_str_of(text), false), 0);
    take_all(c);
}

static inline void say_binary(struct client *c, struct hf_str bytes)
{
    assert_int_equal(hf_session_receive(c->session, bytes, true), 0);
    take_all(c);
}

static inline void got(struct client *c, size_t n, const char *text)
{
    wait_for(c, n + 1);
    assert_string_equal(c->got[n], text);
}

static inline uint64_t publish(const char *topic, const char *payload)
{
    return fixture_publish(&process, topic, payload);
}

static inline int setup(void **state)
{
    (void)state;
    fixture_begin(&f);
    fixture_open(&f, &process, true);
    assert_int_equal(hf_hub_open(&process, &hub), 0);
    open_client(&a);
    open_client(&b);
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    close_client(&a);
    close_client(&b);
    hf_hub_close(hub);
    hf_process_close(&process);
    fixture_end(&f);
    return 0;
}

#define JOIN(ref) "[\"" ref "\",\"" ref "\",\"room:a\",\"phx_join\",{}]"
#define JOINED(ref)                                                            \
    "[\"" ref "\",\"" ref "\",\"room:a\",\"phx_reply\","                       \
    "{\"status\":\"ok\",\"response\":{}}]"

static inline void cursor_text(char *out, uint64_t id)
{
    struct hf_cursor cursor = {hub->epoch, id};

    out[hf_cursor_format(cursor, out)] = '\0';
}

static inline void join_since(struct client *c, const char *ref, uint64_t id)
{
    char cursor[HF_CURSOR_MAX + 1], text[200];

    cursor_text(cursor, id);
    snprintf(text, sizeof(text),
             "[\"%s\",\"%s\",\"room:a\",\"phx_join\",{\"since\":\"%s\"}]", ref,
             ref, cursor);
    say(c, text);
}

static inline void got_row(struct client *c, size_t n, const char *ref,
                           uint64_t id, uint64_t payload)
{
    char cursor[HF_CURSOR_MAX + 1], text[200];

    cursor_text(cursor, id);
    snprintf(text, sizeof(text), "[\"%s\",\"%s\",\"room:a\",\"news\",%llu]",
             ref, cursor, (unsigned long long)payload);
    got(c, n, text);
}

#endif

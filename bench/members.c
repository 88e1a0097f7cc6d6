/*
 * members.c - what a session and a membership of a WebSocket cost in memory,
 * and one message for each member that it goes to
 *
 *     bench/members [SESSIONS]        default 10000: bytes of the heap
 *     bench/members deliver M N       N messages to a topic of M members; for
 *                                     counting instructions:
 *
 *     valgrind --tool=callgrind --toggle-collect=delivered \
 *         --callgrind-out-file=/dev/null bench/members deliver 1000 20
 *
 * prints "Collected" instructions: reading the row, encoding it and handing it
 * to all. Two runs with different M give the cost of one more member. Sessions
 * are on a hub with a real journal; their transport is a counter, so what the
 * side-car's socket costs comes on top (bench/idle_ws.js has all of it).
 *
 * The heap is asked by mallinfo2: what is in use, malloc's own words included.
 * The floor beside it is malloc's smallest piece.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/jwt.h"
#include "base/log.h"
#include "channel/link.h"
#include "schema/policies.h"

#define TOPICS 100u

struct client {
    struct hf_link link;
    struct hf_session *session;
    struct client *next_woken;
    bool woken;
    size_t received;
};

static char parent[] = "/tmp/holdfast-bench.XXXXXX";
static char path[64];
static struct hf_loop *loop;
static struct hf_process process;
static struct hf_hub *hub;
static struct hf_journal *publisher;
static struct hf_jwks keys;
static struct client *clients;
static struct client *woken;

#define MUST(what)                                                             \
    do {                                                                       \
        if (what) {                                                            \
            (void)fprintf(stderr, "%s:%d: %s failed: %s\n", __FILE__,          \
                          __LINE__, #what, why.text);                          \
            exit(1);                                                           \
        }                                                                      \
    } while (0)

/* --- clients -------------------------------------------------------------- */

static void wake(struct hf_link *link)
{
    struct client *c = HF_ITEM(link, struct client, link);

    c->woken = true;
    c->next_woken = woken;
    woken = c;
}

static void closed(struct hf_link *link, int code)
{
    (void)link;
    (void)fprintf(stderr, "closed with %d\n", code);
    exit(1);
}

static void take_all(void)
{
    struct hf_msg *msgs[64];
    size_t n;

    while (woken) {
        struct client *c = woken;

        woken = c->next_woken;
        while ((n = hf_session_take(c->session, msgs, 64, 65536)) > 0) {
            c->received += n;
            while (n > 0)
                hf_msg_unref(msgs[--n]);
        }
        c->woken = false;
    }
}

static struct hf_identity *somebody(size_t n)
{
    struct hf_why why = {""};
    struct hf_identity *identity;
    struct hf_buf token;
    const char *wrong;
    char claims[200];
    int len = snprintf(claims, sizeof(claims),
                       "{\"sub\":\"user-%05zu\",\"exp\":%lld,\"topics\":"
                       "{\"room:*\":[\"join\",\"publish\"]}}",
                       n, (long long)hf_wall_ms() / 1000 + 3600);

    hf_buf_init(&token, HF_JWT_MAX);
    MUST(hf_jwt_make(&keys.keys[0], hf_str(claims, (size_t)len), &token));
    MUST(hf_identity_of_token(&keys, hf_buf_str(&token), hf_wall_ms(),
                              &identity, &wrong));
    hf_buf_release(&token);
    return identity;
}

static void open_session(struct client *c, size_t n, bool known)
{
    struct hf_why why = {""};
    struct hf_client client = {.vsn = HF_VSN_2};

    *c = (struct client){.link = {.wake = wake, .close = closed}};
    if (known)
        hf_client_set(&client, somebody(n));
    MUST(hf_session_open(hub, &c->link, &client, &c->session));
    hf_client_release(&client);
}

static void join_topic(struct client *c, size_t topic)
{
    struct hf_why why = {""};
    char text[100];
    int len = snprintf(text, sizeof(text),
                       "[\"1\",\"1\",\"room:%05zu\",\"phx_join\",{}]", topic);

    MUST(hf_session_receive(c->session, hf_str(text, (size_t)len), false));
    take_all();
}

static void close_all(size_t count)
{
    while (count > 0)
        hf_session_detach(clients[--count].session);
}

/* --- the heap -------------------------------------------------------------- */

static size_t in_use(void)
{
    struct mallinfo2 info = mallinfo2();

    return info.uordblks + info.hblkhd;
}

static size_t each(size_t before, size_t count)
{
    return (in_use() - before) / count;
}

static void measure(size_t count, bool known)
{
    size_t start = in_use(), before = start, i, n;

    for (i = 0; i < count; i++)
        open_session(&clients[i], i, known);
    (void)printf("%s: session %zu B", known ? "with a token" : "anonymous",
                 each(before, count));

    before = in_use();
    for (i = 0; i < count; i++)
        join_topic(&clients[i], i % TOPICS);
    (void)printf(", first membership %zu B", each(before, count));

    before = in_use();
    for (n = 1; n < 10; n++)
        for (i = 0; i < count; i++)
            join_topic(&clients[i], (i + n) % TOPICS);
    (void)printf(", each of nine more %zu B", each(before, 9 * count));
    (void)printf("; in all, with ten each, %zu B\n", each(start, count));

    close_all(count);
    (void)printf("    left behind when all are gone: %zd B\n",
                 (ssize_t)(in_use() - start));
}

static void measure_topics(size_t count)
{
    size_t before, i;

    for (i = 0; i < count; i++)
        open_session(&clients[i], i, false);
    before = in_use();
    for (i = 0; i < count; i++)
        join_topic(&clients[i], TOPICS + i);
    (void)printf("a membership that is its topic's only one: %zu B\n",
                 each(before, count));
    close_all(count);
}

static void measure_floor(size_t count)
{
    void **pieces = calloc(count, sizeof(*pieces));
    size_t before = in_use(), i;

    for (i = 0; pieces && i < count; i++)
        pieces[i] = malloc(1);
    (void)printf("floor, malloc(1): %zu B\n", each(before, count));
    for (i = 0; pieces && i < count; i++)
        free(pieces[i]);
    free(pieces);
}

/* --- delivery --------------------------------------------------------------- */

static void publish(void)
{
    static char payload[] = "{\"user\":\"annika\",\"text\":\"good morning\"}";
    struct hf_publish message = {.topic = HF_STR("room:00000"),
                                 .event = HF_STR("say"),
                                 .payload = hf_str_of(payload)};
    struct hf_why why = {""};
    bool repeated;
    uint64_t id;

    MUST(hf_journal_begin(publisher));
    MUST(hf_journal_append(publisher, &message, &id, &repeated));
    MUST(hf_journal_commit(publisher));
}

/* Named on callgrind's command line. */
__attribute__((noinline)) void delivered(void);
void delivered(void)
{
    struct hf_why why = {""};

    MUST(hf_hub_catch_up(hub));
    take_all();
}

static void deliver(size_t members, size_t messages)
{
    size_t i, n;

    for (i = 0; i < members; i++) {
        open_session(&clients[i], i, false);
        join_topic(&clients[i], 0);
    }
    for (n = 0; n < messages; n++) {
        publish();
        delivered();
    }
    for (i = 0; i < members; i++)
        if (clients[i].received != 1 + messages) {
            (void)fprintf(stderr, "client %zu received %zu\n", i,
                          clients[i].received);
            exit(1);
        }
    close_all(members);
}

/* ------------------------------------------------------------------------- */

static void begin(size_t count)
{
    static const struct hf_policy policy = {
        HF_STR_INIT("room:*"), HF_RIGHT_JOIN | HF_RIGHT_PUBLISH, true, 0};
    struct hf_why why = {""};
    struct hf_buf key;
    bool existed;

    hf_log_open("bench", HF_LOG_ERROR, false);
    clients = calloc(count, sizeof(*clients));
    MUST(!clients || !mkdtemp(parent));
    (void)snprintf(path, sizeof(path), "%s/j", parent);
    MUST(hf_dir_init(path, NULL, &existed, &why));
    MUST(hf_loop_new(&loop));
    MUST(hf_process_open(&process, loop, path, true, &why));
    MUST(hf_journal_open(&process.dir, &process.settings, HF_JOURNAL_WRITE,
                         &publisher, &why));
    MUST(hf_journal_begin(publisher));
    MUST(hf_policy_set(publisher, &policy));
    MUST(hf_journal_commit(publisher));
    process.settings.join_rate = 0;

    hf_buf_init(&key, 4096);
    MUST(hf_buf_add_str(&key, HF_STR("{\"keys\":[")));
    MUST(hf_jwk_make(HF_JWK_HS256, HF_STR("bench"), &key));
    MUST(hf_buf_add_str(&key, HF_STR("]}")));
    MUST(hf_jwks_read(hf_buf_str(&key), &keys, &why));
    hf_buf_release(&key);
    MUST(hf_hub_open(&process, &hub));
}

static void end(void)
{
    char command[100];

    hf_hub_close(hub);
    hf_journal_close(publisher);
    hf_process_close(&process);
    hf_loop_free(loop);
    hf_jwks_release(&keys);
    free(clients);
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", parent);
    (void)!system(command);
}

int main(int argc, char **argv)
{
    size_t count = argc > 2   ? strtoul(argv[2], NULL, 10)
                   : argc > 1 ? strtoul(argv[1], NULL, 10)
                              : 10000;

    if (count == 0) {
        (void)fprintf(stderr, "usage: %s [SESSIONS | deliver MEMBERS TIMES]\n",
                      argv[0]);
        return 2;
    }
    begin(count);
    if (argc == 4) {
        deliver(count, strtoul(argv[3], NULL, 10));
    } else {
        (void)printf("%zu sessions\n", count);
        measure_floor(count);
        measure(count, false);
        measure(count, true);
        measure(count, true); /* maps keep their size: nothing more is left */
        measure_topics(count);
    }
    end();
    return 0;
}

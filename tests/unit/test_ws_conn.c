/*
 * Sockets of the side-car over a real hub and journal; what depends on time is
 * tried by shifting the clock.
 */
#include "sidecar/ws_conn.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/sys.h"
#include "channel/process.h"
#include "channel/tracker.h"
#include "schema/policies.h"
#include "sidecar/echo.h"

#define HEARTBEAT "[null,\"1\",\"phoenix\",\"heartbeat\",{}]"
#define REPLY                                                                  \
    "[null,\"1\",\"phoenix\",\"phx_reply\",{\"status\":\"ok\","                \
    "\"response\":{}}]"

static struct hf_loop *loop;
static struct hf_process process;
static struct hf_hub *hub;
static struct hf_conns conns;
static char path[64];

/* --- set-up --------------------------------------------------------------- */

static int allow(const char *pattern, unsigned further_rights)
{
    struct hf_journal *journal;
    struct hf_policy policy = {.pattern = hf_str_of(pattern),
                               .rights = HF_RIGHT_JOIN | HF_RIGHT_PUBLISH |
                                         further_rights,
                               .echo = true};
    struct hf_why why;
    int err = hf_journal_open(&process.dir, &process.settings, HF_JOURNAL_WRITE,
                              &journal, &why);

    if (err)
        return err;
    err = hf_journal_begin(journal);
    if (!err)
        err = hf_policy_set(journal, &policy);
    if (!err)
        err = hf_journal_commit(journal);
    hf_journal_close(journal);
    return err;
}

static int set_up(void **state)
{
    struct hf_why why = {.text = ""};
    bool existed;

    (void)state;
    (void)snprintf(path, sizeof(path), "/tmp/hf-conn-XXXXXX");
    if (!mkdtemp(path) || hf_dir_init(path, NULL, &existed, &why) ||
        hf_loop_new(&loop) ||
        hf_process_open(&process, loop, path, true, &why)) {
        print_error("%s\n", why.text);
        return -1;
    }
    hf_log_open("test", HF_LOG_ERROR, false);
    if (allow("room:*", 0) || allow("hall:*", HF_RIGHT_PRESENCE) ||
        hf_hub_open(&process, &hub) ||
        hf_conns_init(&conns, loop, hub, &process.settings))
        return -1;
    return 0;
}

static int tear_down(void **state)
{
    char command[sizeof(path) + 16];

    (void)state;
    hf_conns_release(&conns);
    hf_hub_close(hub);
    hf_process_close(&process);
    hf_loop_free(loop);
    (void)snprintf(command, sizeof(command), "rm -rf %s", path);
    return system(command);
}

/* --- a client ------------------------------------------------------------- */

struct client {
    int fd;
    bool ended; /* the server's end of the stream has come */
    struct hf_buf got;
};

static void turns(int count)
{
    while (count-- > 0)
        assert_int_equal(hf_loop_turn(loop, 0), 0);
}

static void connect_as(struct client *client, const struct hf_client *who,
                       struct hf_str early)
{
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX,
                                SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
                                pair),
                     0);
    *client = (struct client){.fd = pair[0]};
    hf_buf_init(&client->got, (size_t)1 << 24);
    hf_conns_add(&conns, pair[1], NULL, who, NULL, early);
}

static void connect_with(struct client *client, struct hf_str early)
{
    connect_as(client, &(struct hf_client){.vsn = HF_VSN_2}, early);
}

static void connect_client(struct client *client)
{
    connect_with(client, HF_STR(""));
}

static void hang_up(struct client *client)
{
    close(client->fd);
    hf_buf_release(&client->got);
}

/* All of it: the server takes its share each turn. */
static void send_bytes(const struct client *client, const void *bytes,
                       size_t len)
{
    const char *at = bytes;

    while (len > 0) {
        ssize_t sent = send(client->fd, at, len, MSG_NOSIGNAL);

        if (sent < 0 && errno == EAGAIN) {
            turns(1);
            continue;
        }
        assert_true(sent > 0);
        at += sent;
        len -= (size_t)sent;
    }
}

/* A masked frame's header, its mask changing nothing. */
static void send_head(const struct client *client, unsigned first, size_t len)
{
    char room[HF_WS_HEAD_MAX + 4] = {0};
    size_t head = hf_ws_head(room + HF_WS_HEAD_MAX, HF_WS_TEXT, len);
    char *start = room + HF_WS_HEAD_MAX - head;

    start[0] = (char)first;
    start[1] = (char)(start[1] | '\x80');
    send_bytes(client, start, head + 4);
}

static void send_frame(const struct client *client, unsigned first,
                       struct hf_str payload)
{
    send_head(client, first, payload.len);
    send_bytes(client, payload.at, payload.len);
}

static void send_text(const struct client *client, const char *text)
{
    send_frame(client, 0x81, hf_str_of(text));
}

static void collect(struct client *client)
{
    char part[65536];
    ssize_t len;

    while ((len = recv(client->fd, part, sizeof(part), 0)) > 0)
        assert_int_equal(hf_buf_add(&client->got, part, (size_t)len), 0);
    if (len == 0 || errno == ECONNRESET || errno == EPIPE)
        client->ended = true;
}

static bool ends_with(const struct client *client, struct hf_str tail)
{
    return client->got.len >= tail.len &&
           memcmp(client->got.at + client->got.len - tail.len, tail.at,
                  tail.len) == 0;
}

static void expect_tail(struct client *client, struct hf_str tail)
{
    int tries = 200; /* the journal's writer is a thread */

    while (tries-- > 0 && !ends_with(client, tail)) {
        assert_int_equal(hf_loop_turn(loop, 10), 0);
        collect(client);
    }
    if (!ends_with(client, tail))
        fail_msg("%zu bytes that do not end as expected: %.*s", client->got.len,
                 (int)client->got.len, client->got.at);
    hf_buf_reset(&client->got);
}

static bool has(const struct client *client, const char *part)
{
    return client->got.len > 0 &&
           memmem(client->got.at, client->got.len, part, strlen(part));
}

/* Somewhere in what comes. */
static void expect_news(struct client *client, const char *part)
{
    int tries = 200;

    while (!has(client, part) && tries-- > 0) {
        assert_int_equal(hf_loop_turn(loop, 10), 0);
        collect(client);
    }
    if (!has(client, part))
        fail_msg("no %s in %.*s", part, (int)client->got.len, client->got.at);
    hf_buf_reset(&client->got);
}

static void expect_nothing(struct client *client)
{
    collect(client);
    if (client->got.len > 0 || client->ended)
        fail_msg("%zu bytes or the end", client->got.len);
}

static void expect_text(struct client *client, const char *text)
{
    char frame[256];
    size_t len = strlen(text);

    assert_true(len < 126);
    frame[0] = '\x81';
    frame[1] = (char)len;
    memcpy(frame + 2, text, len);
    expect_tail(client, hf_str(frame, len + 2));
}

static void expect_alive(struct client *client)
{
    send_text(client, HEARTBEAT);
    expect_text(client, REPLY);
}

static void expect_goodbye(struct client *client, int code)
{
    char frame[4] = {'\x88', 2, (char)(code >> 8), (char)code};

    expect_tail(client, hf_str(frame, sizeof(frame)));
}

static void join(struct client *client)
{
    send_text(client, "[\"1\",\"1\",\"room:a\",\"phx_join\",{}]");
    expect_tail(client, HF_STR("{\"status\":\"ok\",\"response\":{}}]"));
}

static void pass_ms(int64_t ms)
{
    static int64_t shifted_ms;

    shifted_ms += ms;
    hf_clock_shift(shifted_ms, shifted_ms);
    hf_conns_tick(&conns);
    turns(2);
}

/* --- tests ---------------------------------------------------------------- */

static void early_bytes_are_the_first_that_are_read(void **state)
{
    struct client client;

    (void)state;
    connect_with(&client, HF_STR("\x89\x82\0\0\0\0hi\x81\xa3\0\0\0\0[null,"));
    turns(1);
    collect(&client);
    assert_true(ends_with(&client, HF_STR("\x8a\x02hi")));
    send_bytes(&client, "\"1\",\"phoenix\",\"heartbeat\",{}]", 29);
    turns(1);
    collect(&client);
    assert_false(client.ended);
    assert_true(ends_with(&client, HF_STR("\"response\":{}}]")));
    hang_up(&client);
    turns(2);
    assert_int_equal(conns.count, 0);
}

static void an_idle_socket_holds_no_memory_of_its_own(void **state)
{
    struct client client;

    (void)state;
    connect_client(&client);
    send_frame(&client, 0x01, HF_STR("[null,\"1\","));
    turns(1);
    assert_true(conns.partial_bytes > 0);
    send_frame(&client, 0x80, HF_STR("\"phoenix\",\"heartbeat\",{}]"));
    expect_text(&client, REPLY);
    assert_int_equal(conns.partial_bytes, 0);
    assert_true(hf_list_empty(&conns.partials));

    send_head(&client, 0x89, 5);
    send_bytes(&client, "abc", 3);
    turns(1);
    assert_true(conns.partial_bytes > 0);
    send_bytes(&client, "de", 2);
    expect_tail(&client, HF_STR("\x8a\x05"
                                "abcde"));
    assert_int_equal(conns.partial_bytes, 0);
    hang_up(&client);
}

static void pings_in_pieces_may_come_inside_a_message_in_pieces(void **state)
{
    struct client client;
    int i;

    (void)state;
    connect_client(&client);
    send_frame(&client, 0x01, HF_STR("[null,\"1\","));
    turns(1);
    for (i = 0; i < 2; i++) {
        send_head(&client, 0x89, 4);
        send_bytes(&client, "ab", 2);
        turns(1);
        send_bytes(&client, "cd", 2);
        expect_tail(&client, HF_STR("\x8a\x04"
                                    "abcd"));
    }
    send_frame(&client, 0x80, HF_STR("\"phoenix\",\"heartbeat\",{}]"));
    expect_text(&client, REPLY);
    hang_up(&client);
}

/* It is no fragment, and stops nobody counting them. */
static void send_pong_in_pieces(struct client *client)
{
    send_head(client, 0x8a, 2);
    send_bytes(client, "a", 1);
    turns(1);
    send_bytes(client, "b", 1);
}

static void a_message_may_have_so_many_fragments_and_no_more(void **state)
{
    struct client client;
    uint32_t i;

    (void)state;
    connect_client(&client);
    send_frame(&client, 0x01, HF_STR("[null,\"1\",\"phoenix\","));
    for (i = 2; i < HF_FRAGMENTS; i++) {
        send_frame(&client, 0x00, HF_STR(" "));
        if (i % 100 == 0)
            send_pong_in_pieces(&client);
    }
    send_frame(&client, 0x80, HF_STR("\"heartbeat\",{}]"));
    expect_text(&client, REPLY);

    /* empty ones, too; and the last but one tells that it is not the last */
    send_frame(&client, 0x01, HF_STR(""));
    for (i = 2; i < HF_FRAGMENTS; i++)
        send_frame(&client, 0x00, HF_STR(""));
    send_pong_in_pieces(&client);
    turns(2);
    expect_nothing(&client);
    send_frame(&client, 0x00, HF_STR(""));
    expect_goodbye(&client, HF_WS_POLICY);
    hang_up(&client);
}

static void who_sends_too_much_is_not_read_for_a_second(void **state)
{
    struct client client;
    unsigned n;

    (void)state;
    connect_client(&client);
    for (n = 0; n < conns.max_frames; n++)
        send_frame(&client, 0x8a, HF_STR(""));
    turns(20);
    assert_false(hf_list_empty(&conns.paused));
    send_text(&client, HEARTBEAT);
    turns(3);
    pass_ms(HF_READ_PAUSE_MS - 200);
    expect_nothing(&client);
    pass_ms(300);
    expect_text(&client, REPLY);
    assert_true(hf_list_empty(&conns.paused));
    expect_alive(&client);
    hang_up(&client);
}

static bool many_answers_wait;

static bool is_full_as_told(void *session)
{
    (void)session;
    return many_answers_wait;
}

static void answers_that_were_dropped_hold_nobody_up(void **state)
{
    struct hf_service service = hf_service_channels;
    struct client client;

    (void)state;
    service.is_full = is_full_as_told;
    conns.service = &service;
    connect_client(&client);
    many_answers_wait = true;
    expect_alive(&client);
    send_text(&client, HEARTBEAT);
    turns(3);
    many_answers_wait = false;
    turns(3);
    expect_nothing(&client);
    assert_false(hf_list_empty(&conns.full));
    pass_ms(HF_TICK_MS);
    expect_text(&client, REPLY);
    assert_true(hf_list_empty(&conns.full));
    hang_up(&client);
    turns(2);
}

static struct hf_link *its_link;

static int open_and_note(struct hf_hub *its_hub, struct hf_link *link,
                         const struct hf_client *who, void **out_session)
{
    its_link = link;
    return hf_service_channels.open(its_hub, link, who, out_session);
}

/* As a token that expires: all has been said. */
static size_t take_the_end(void *session, struct hf_msg **out, size_t max,
                           size_t max_bytes)
{
    (void)session;
    (void)out;
    (void)max;
    (void)max_bytes;
    its_link->close(its_link, HF_WS_POLICY);
    return 0;
}

static void who_hangs_up_as_we_say_goodbye_is_gone(void **state)
{
    struct hf_service service = hf_service_channels;
    struct client client;

    (void)state;
    service.open = open_and_note;
    service.take = take_the_end;
    conns.service = &service;
    connect_client(&client);
    send_text(&client, HEARTBEAT);
    hang_up(&client);
    turns(3);
    assert_int_equal(conns.count, 0);
}

#define ASKED 20000u

/* So many heartbeats, numbered. */
static void write_down(struct hf_buf *asked)
{
    char frame[64];
    unsigned n;

    hf_buf_init(asked, (size_t)1 << 24);
    for (n = 0; n < ASKED; n++) {
        int len = snprintf(frame + 6, sizeof(frame) - 6,
                           "[null,\"%05u\",\"phoenix\",\"heartbeat\",{}]", n);

        memcpy(frame, "\x81\x80\0\0\0", 6);
        frame[1] = (char)(0x80 | len);
        assert_int_equal(hf_buf_add(asked, frame, 6 + (size_t)len), 0);
    }
}

static void ask_what_is_taken(const struct client *client, struct hf_str *asked)
{
    ssize_t sent = 0;

    while (asked->len > 0 && sent >= 0) {
        sent = send(client->fd, asked->at, asked->len, MSG_NOSIGNAL);
        if (sent > 0)
            *asked = hf_str_from(*asked, (size_t)sent);
    }
}

static void expect_all_answers(const struct client *client)
{
    const char *at = client->got.at, *end = at + client->got.len;
    unsigned n;

    for (n = 0; n < ASKED; n++) {
        char mark[40];
        int len = snprintf(mark, sizeof(mark), "[null,\"%05u\",", n);

        at = memmem(at, (size_t)(end - at), mark, (size_t)len);
        assert_non_null(at);
    }
}

static void who_asks_faster_than_it_reads_is_not_read_meanwhile(void **state)
{
    struct client client, other;
    struct hf_buf bytes;
    struct hf_str asked;
    int i;

    (void)state;
    hf_conns_release(&conns);
    process.settings.push_rate = 0; /* or it would be paused before */
    assert_int_equal(hf_conns_init(&conns, loop, hub, &process.settings), 0);
    connect_client(&client);
    connect_client(&other);
    write_down(&bytes);
    asked = hf_buf_str(&bytes);
    for (i = 0; i < 400; i++) {
        ask_what_is_taken(&client, &asked);
        turns(1);
    }
    assert_false(hf_list_empty(&conns.full));
    assert_true(asked.len > 0); /* its own socket holds it up */
    expect_alive(&other);
    for (i = 0; i < 10000 && !has(&client, "\"19999\",\"phoenix\""); i++) {
        ask_what_is_taken(&client, &asked);
        turns(1);
        collect(&client);
    }
    expect_all_answers(&client);
    assert_true(hf_list_empty(&conns.full));
    hf_buf_reset(&client.got);
    expect_alive(&client);
    hf_buf_release(&bytes);
    hang_up(&client);
    hang_up(&other);
}

static int option_of(int fd, int level, int name)
{
    int value = -1;
    socklen_t len = sizeof(value);

    assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
    return value;
}

static void a_socket_sends_at_once_and_buffers_little(void **state)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int served, copy;

    (void)state;
    assert_int_equal(bind(listener, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len),
                     0);
    assert_int_equal(connect(client, (struct sockaddr *)&address, len), 0);
    served = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    copy = dup(served);
    hf_conns_add(&conns, served, NULL, &(struct hf_client){.vsn = HF_VSN_2},
                 NULL, HF_STR(""));
    assert_int_equal(option_of(copy, IPPROTO_TCP, TCP_NODELAY), 1);
    assert_int_equal(option_of(copy, IPPROTO_TCP, TCP_USER_TIMEOUT),
                     HF_GONE_MS);
    /* the kernel doubles what it is asked for */
    assert_int_equal(option_of(copy, SOL_SOCKET, SO_SNDBUF),
                     2 * HF_SEND_BUFFER);
    close(copy);
    close(client);
    close(listener);
}

#define PING HF_STR("\x89\0")

static void pong(const struct client *client)
{
    send_frame(client, 0x8a, HF_STR(""));
    turns(2);
}

static void who_is_silent_is_asked_and_a_pong_will_do(void **state)
{
    struct client client;
    int i;

    (void)state;
    connect_client(&client);
    for (i = 0; i < 4; i++) {
        pass_ms(24000);
        expect_nothing(&client);
        pass_ms(1100);
        expect_tail(&client, PING);
        pass_ms(20000);
        expect_nothing(&client); /* once is enough */
        pong(&client);
    }
    expect_alive(&client);
    hang_up(&client);
}

static void who_is_silent_too_long_is_sent_away(void **state)
{
    struct client silent, speaks, pings, dribbles;

    (void)state;
    connect_client(&silent);
    connect_client(&speaks);
    connect_client(&pings);
    connect_client(&dribbles);
    pass_ms(26000);
    pass_ms(14000);
    expect_tail(&silent, PING);
    expect_tail(&speaks, PING);
    expect_alive(&speaks);
    send_frame(&pings, 0x89, HF_STR(""));
    send_bytes(&dribbles, "\x81", 1);
    turns(2);
    pass_ms(19000);
    expect_nothing(&silent);
    pass_ms(2000);
    expect_goodbye(&silent, HF_WS_AWAY);
    expect_goodbye(&dribbles, HF_WS_AWAY);
    expect_alive(&speaks);
    expect_alive(&pings);
    hang_up(&silent);
    hang_up(&speaks);
    hang_up(&pings);
    hang_up(&dribbles);
}

static void after_a_pause_of_ours_everybody_has_a_tick_to_answer(void **state)
{
    struct client alive, dead;

    (void)state;
    connect_client(&alive);
    connect_client(&dead);
    pass_ms(3600000);
    expect_tail(&alive, PING);
    expect_tail(&dead, PING);
    pong(&alive);
    pass_ms(1000);
    expect_alive(&alive);
    expect_goodbye(&dead, HF_WS_AWAY);
    hang_up(&alive);
    hang_up(&dead);
}

static void with_settings(int64_t ping_ms, int64_t idle_ms)
{
    hf_conns_release(&conns);
    process.settings.ping_ms = ping_ms;
    process.settings.idle_ms = idle_ms;
    assert_int_equal(hf_conns_init(&conns, loop, hub, &process.settings), 0);
}

static void where_idle_is_shorter_nobody_is_asked(void **state)
{
    struct client client;

    (void)state;
    with_settings(25000, 10000);
    connect_client(&client);
    pass_ms(9000);
    expect_nothing(&client);
    pass_ms(1100);
    expect_goodbye(&client, HF_WS_AWAY);
    hang_up(&client);
}

/* May know who is present, and is not. */
static void watch(struct client *client)
{
    connect_client(client);
    send_text(client, "[\"1\",\"1\",\"hall:a\",\"phx_join\",{}]");
    expect_news(client, "presence_state");
}

static void appear(struct client *client, const struct hf_client *who,
                   struct client *watcher)
{
    connect_as(client, who, HF_STR(""));
    send_text(client, "[\"1\",\"1\",\"hall:a\",\"phx_join\","
                      "{\"presence\":{\"key\":\"ann\",\"meta\":{}}}]");
    expect_news(watcher, "presence_diff");
    turns(3);
    collect(client);
    hf_buf_reset(&client->got);
}

static void who_is_present_and_does_not_answer_is_gone_in_a_lease(void **state)
{
    struct client present, watcher;

    (void)state;
    watch(&watcher);
    appear(&present, &(struct hf_client){.vsn = HF_VSN_2}, &watcher);
    pass_ms(25100);
    pass_ms(18500);
    expect_tail(&present, PING);
    expect_tail(&watcher, PING);
    pong(&watcher);
    expect_nothing(&watcher);
    pass_ms(800);
    expect_goodbye(&present, HF_WS_AWAY);
    expect_news(&watcher, "\"leaves\":{\"ann\"");
    hang_up(&present);
    hang_up(&watcher);
}

/* That page could come back, but not beyond the lease. */
static void a_page_that_gave_a_client_id_gets_no_more_than_a_lease(void **state)
{
    struct hf_client who = {
        .vsn = HF_VSN_2, .owned = true, .owner = "0123456789abcdefghijkl"};
    struct client present, watcher;

    (void)state;
    watch(&watcher);
    appear(&present, &who, &watcher);
    pass_ms(25100);
    pong(&watcher);
    pass_ms(19000);
    expect_goodbye(&present, HF_WS_AWAY);
    expect_news(&watcher, "\"leaves\":{\"ann\"");
    hang_up(&present);
    appear(&present, &who, &watcher);
    hang_up(&present); /* heard of just now */
    turns(20);
    expect_nothing(&watcher);
    hang_up(&watcher);
}

static void without_pings_only_who_is_present_is_asked(void **state)
{
    struct client plain, watcher, left, present;

    (void)state;
    with_settings(0, 60000);
    watch(&watcher);
    appear(&left, &(struct hf_client){.vsn = HF_VSN_2}, &watcher);
    send_text(&left, "[\"1\",\"2\",\"hall:a\",\"phx_leave\",{}]");
    expect_news(&left, "phx_close");
    expect_news(&watcher, "leaves");
    connect_client(&plain);
    join(&plain);
    appear(&present, &(struct hf_client){.vsn = HF_VSN_2}, &watcher);
    pass_ms(29000);
    expect_nothing(&present);
    pass_ms(1100);
    expect_tail(&present, PING); /* two thirds of a lease */
    pass_ms(20000);
    expect_goodbye(&present, HF_WS_AWAY);
    expect_news(&watcher, "leaves");
    expect_nothing(&plain);
    expect_nothing(&left);
    pass_ms(10001);
    expect_goodbye(&plain, HF_WS_AWAY); /* after `idle`, as ever */
    expect_goodbye(&watcher, HF_WS_AWAY);
    expect_goodbye(&left, HF_WS_AWAY);
    hang_up(&plain);
    hang_up(&left);
    hang_up(&present);
    hang_up(&watcher);
}

/* As by the application, which may take its time. */
static void make_present_unheard(void)
{
    size_t at = 0;
    struct hf_topic *topic = hf_map_next(&hub->topics, &at);
    struct hf_hold hold;

    assert_non_null(topic);
    assert_int_equal(hf_tracker_hold(HF_ITEM(hf_list_first(&topic->members),
                                             struct hf_member, in_topic),
                                     &hold),
                     0);
}

static void who_becomes_present_while_silent_is_asked_too(void **state)
{
    struct client client;
    int i;

    (void)state;
    with_settings(0, 60000);
    watch(&client);
    for (i = 0; i < 2; i++) {
        pass_ms(20000);
        pass_ms(15000);
        make_present_unheard();
        pass_ms(10000); /* beyond the lease, but it was not asked */
        expect_nothing(&client);
        pass_ms(30100);
        expect_tail(&client, PING);
        pong(&client);
        send_text(&client, "[\"1\",\"2\",\"hall:a\",\"phx_leave\",{}]");
        expect_news(&client, "phx_close");
        send_text(&client, "[\"1\",\"3\",\"hall:a\",\"phx_join\",{}]");
        expect_news(&client, "presence_state");
    }
    hang_up(&client);
}

/* It was we who did not listen. */
static void after_a_pause_of_ours_who_is_present_is_asked_first(void **state)
{
    struct client present, watcher;

    (void)state;
    watch(&watcher);
    appear(&present, &(struct hf_client){.vsn = HF_VSN_2}, &watcher);
    pass_ms(22000);
    pass_ms(22500);
    expect_tail(&present, PING);
    expect_tail(&watcher, PING);
    pong(&present);
    pong(&watcher);
    pass_ms(1000);
    expect_alive(&present);
    expect_nothing(&watcher);
    hang_up(&present);
    hang_up(&watcher);
}

static void a_short_lease_is_looked_at_more_often(void **state)
{
    (void)state;
    assert_int_equal(conns.tick_ms, HF_TICK_MS);
    hf_conns_release(&conns);
    process.settings.lease_ms = 2000;
    assert_int_equal(hf_conns_init(&conns, loop, hub, &process.settings), 0);
    assert_int_equal(conns.tick_ms, 166);
}

/* Replies until the kernel takes no more. */
static void fill(const struct client *client)
{
    char text[320];
    int i;

    (void)snprintf(text, sizeof(text),
                   "[null,\"%0250d\",\"phoenix\",\"heartbeat\",{}]", 0);
    for (i = 0; i < 900; i++)
        send_text(client, text);
    turns(20);
    assert_false(hf_list_empty(&conns.stuck));
}

static void who_reads_nothing_for_30_seconds_is_given_up(void **state)
{
    struct client deaf, other;

    (void)state;
    connect_client(&deaf);
    connect_client(&other);
    fill(&deaf);
    pass_ms(HF_STUCK_MS - 1000);
    assert_int_equal(conns.count, 2);
    pass_ms(2000);
    expect_alive(&other);
    assert_int_equal(conns.count, 2);
    pass_ms(HF_CLOSING_MS + 1);
    assert_int_equal(conns.count, 1);
    expect_alive(&other);
    hang_up(&deaf);
    hang_up(&other);
}

static void who_reads_a_little_is_not(void **state)
{
    struct client slow;
    char part[60000];
    int i;

    (void)state;
    connect_client(&slow);
    fill(&slow);
    for (i = 0; i < 4 && !hf_list_empty(&conns.stuck); i++) {
        pass_ms(HF_STUCK_MS - 10000);
        assert_true(recv(slow.fd, part, sizeof(part), 0) > 0);
        turns(3);
        send_frame(&slow, 0x8a, HF_STR("")); /* it is not silent */
        turns(2);
    }
    assert_true(i > 1);
    expect_alive(&slow);
    hang_up(&slow);
}

static void who_wakes_up_after_1013_reads_whole_frames_up_to_it(void **state)
{
    struct client deaf;
    size_t at = 0;

    (void)state;
    connect_client(&deaf);
    fill(&deaf);
    pass_ms(HF_STUCK_MS + 1);
    while (!deaf.ended) {
        collect(&deaf);
        turns(1);
    }
    while (at + 4 < deaf.got.len) {
        assert_int_equal((unsigned char)deaf.got.at[at], 0x81);
        assert_int_equal(deaf.got.at[at + 1], 126);
        at += 4 + ((size_t)(unsigned char)deaf.got.at[at + 2] << 8) +
              (unsigned char)deaf.got.at[at + 3];
    }
    assert_int_equal(at, deaf.got.len - 4);
    assert_memory_equal(deaf.got.at + at, "\x88\x02\x03\xf5", 4);
    hang_up(&deaf);
}

static void a_goodbye_that_is_not_answered_ends_after_a_while(void **state)
{
    struct client client;

    (void)state;
    connect_client(&client);
    turns(1);
    while (hf_conns_goodbye_one(&conns, HF_WS_RESTART, HF_STR("")))
        ; /* the next one */
    expect_goodbye(&client, HF_WS_RESTART);
    assert_true(client.ended); /* our side is shut with it */
    send_text(&client, HEARTBEAT);
    turns(2);
    pass_ms(HF_CLOSING_MS - 1000);
    assert_int_equal(conns.count, 1);
    pass_ms(1001);
    assert_int_equal(conns.count, 0);
    hang_up(&client);
}

static void when_partial_messages_are_too_many_the_oldest_goes(void **state)
{
#define CLIENTS 258u
    static struct client clients[CLIENTS];
    static char bytes[255 * 1024];
    size_t i;

    (void)state;
    memset(bytes, 'x', sizeof(bytes));
    for (i = 0; i < CLIENTS; i++) {
        connect_client(&clients[i]);
        send_head(&clients[i], 0x82, sizeof(bytes) + 10);
        send_bytes(&clients[i], bytes, sizeof(bytes));
        turns(5);
    }
    assert_true(conns.partial_bytes <= HF_PARTIAL_BYTES);
    assert_true(conns.partial_bytes > HF_PARTIAL_BYTES / 10 * 9);
    for (i = 0; i < CLIENTS; i++) {
        collect(&clients[i]);
        if (i < 3)
            expect_goodbye(&clients[i], HF_WS_LATER);
        else
            assert_false(clients[i].ended);
        hang_up(&clients[i]);
    }
    turns(10);
    assert_int_equal(conns.partial_bytes, 0);
}

/* A turn writes to so many; the others are not forgotten, and who asks for
 * something meanwhile has its answer before all of them have theirs. */
static void a_broadcast_to_many_takes_more_than_one_turn(void **state)
{
#define MANY (2 * HF_WRITE_SOCKETS + 100u)
    static struct client clients[MANY];
    struct client sender, asker;
    size_t i, first = 0, reached = 0, answered = 0;

    (void)state;
    if (hf_raise_fd_limit() < 2 * MANY + 100)
        skip();
    connect_client(&asker);
    for (i = 0; i < MANY; i++) {
        connect_client(&clients[i]);
        join(&clients[i]);
    }
    connect_client(&sender);
    send_text(&sender, "[\"1\",\"1\",\"room:a\",\"phx_join\",{}]");
    send_text(&sender, "[\"1\",\"2\",\"room:a\",\"say\",{}]");
    for (i = 0; i < 500 && reached < MANY; i++) {
        size_t now = 0, c;

        assert_int_equal(hf_loop_turn(loop, 10), 0);
        for (c = 0; c < MANY; c++) {
            collect(&clients[c]);
            now += clients[c].got.len > 0;
        }
        if (now > 0 && first == 0) {
            first = now;
            send_text(&asker, HEARTBEAT);
        }
        assert_true(now - reached <= HF_WRITE_SOCKETS);
        reached = now;
        collect(&asker);
        if (asker.got.len > 0 && answered == 0)
            answered = reached;
    }
    assert_int_equal(reached, MANY);
    assert_in_range(first, HF_WRITE_LOOK, HF_WRITE_SOCKETS);
    assert_in_range(answered, first, MANY - 1);
    hang_up(&asker);
    for (i = 0; i < MANY; i++) {
        assert_true(ends_with(&clients[i], HF_STR("\"room:a\",\"say\",{}]")));
        hang_up(&clients[i]);
    }
    hang_up(&sender);
}

/* Rows of another process, each with its number. */
static void publish(unsigned from, unsigned count, size_t padding)
{
    struct hf_publish row = {.topic = HF_STR("room:a"), .event = HF_STR("say")};
    struct hf_journal *journal;
    struct hf_why why;
    char payload[2048];
    unsigned n;

    assert_true(padding < 2000);
    assert_int_equal(hf_journal_open(&process.dir, &process.settings,
                                     HF_JOURNAL_WRITE, &journal, &why),
                     0);
    assert_int_equal(hf_journal_begin(journal), 0);
    for (n = from; n < from + count; n++) {
        bool repeated;
        uint64_t id;
        int len = snprintf(payload, sizeof(payload),
                           "{\"n\":%u,\"x\":\"%0*u\"}", n, (int)padding, 0u);

        row.payload = hf_str(payload, (size_t)len);
        assert_int_equal(hf_journal_append(journal, &row, &id, &repeated), 0);
    }
    assert_int_equal(hf_journal_commit(journal), 0);
    hf_journal_close(journal);
}

/* All of them came, in order; what was collected is given back. */
static void expect_numbers(struct client *client, unsigned from, unsigned count)
{
    const char *at = client->got.at, *end = at + client->got.len;
    unsigned n;

    for (n = from; n < from + count; n++) {
        char mark[16];
        int len = snprintf(mark, sizeof(mark), "\"n\":%u,", n);
        const char *next =
            memmem(at, (size_t)(end - at), "\"n\":", strlen("\"n\":"));

        assert_non_null(next);
        assert_memory_equal(next, mark, (size_t)len);
        at = next + len;
    }
    assert_null(memmem(at, (size_t)(end - at), "\"n\":", strlen("\"n\":")));
    hf_buf_reset(&client->got);
}

static void turn_until_has(struct client *client, unsigned number)
{
    char mark[16];
    int tries = 500;

    (void)snprintf(mark, sizeof(mark), "\"n\":%u,", number);
    while (!has(client, mark) && tries-- > 0) {
        assert_int_equal(hf_loop_turn(loop, 10), 0);
        collect(client);
    }
    assert_true(has(client, mark));
}

static void who_reads_late_loses_nothing_and_holds_little(void **state)
{
#define ROWS (3 * HF_RING_ROWS)
    struct client slow, quick;

    (void)state;
    connect_client(&slow);
    connect_client(&quick);
    join(&slow);
    join(&quick);
    publish(1, ROWS, 1000);
    turn_until_has(&quick, ROWS);
    expect_numbers(&quick, 1, ROWS);
    /* What the kernel has not taken is no more than a batch, by reference; the
     * ring has gone on. */
    assert_false(hf_list_empty(&conns.stuck));
    assert_int_equal(hub->counts.refilled, 0);
    assert_true(hub->rings.bytes <= HF_RING_BYTES);
    turn_until_has(&slow, ROWS);
    expect_numbers(&slow, 1, ROWS);
    assert_in_range(hub->counts.refilled, 1, ROWS);
    assert_true(hf_list_empty(&conns.stuck));
    publish(ROWS + 1, 1, 0); /* and it is live again */
    turn_until_has(&slow, ROWS + 1);
    hang_up(&slow);
    hang_up(&quick);
}

/* A socket is written 32 messages in a turn, and a page has more. */
static void in_a_flood_who_reads_is_served_from_the_ring(void **state)
{
    struct client clients[20];
    size_t c;

    (void)state;
    for (c = 0; c < 20; c++) {
        connect_client(&clients[c]);
        join(&clients[c]);
    }
    publish(1, 4 * HF_RING_ROWS, 0);
    for (c = 0; c < 20; c++) {
        turn_until_has(&clients[c], 4 * HF_RING_ROWS);
        expect_numbers(&clients[c], 1, 4 * HF_RING_ROWS);
        hang_up(&clients[c]);
    }
    assert_int_equal(hub->counts.refilled, 0);
}

static void a_quiet_topic_holds_no_rows(void **state)
{
    struct client client;
    struct hf_topic *topic;

    (void)state;
    connect_client(&client);
    join(&client);
    topic = hf_hub_find(hub, HF_STR("room:a"));
    publish(1, 10, 0);
    turn_until_has(&client, 10);
    assert_int_equal(topic->ring.count, 10);
    pass_ms(HF_RING_QUIET_MS / 2);
    publish(11, 1, 0);
    turn_until_has(&client, 11);
    pass_ms(HF_RING_QUIET_MS / 2); /* not quiet yet */
    assert_int_equal(topic->ring.count, 11);
    pass_ms(HF_RING_QUIET_MS);
    assert_int_equal(topic->ring.count, 0);
    assert_int_equal(topic->ring.size, 0);
    assert_int_equal(hub->rings.bytes, 0);
    hf_buf_reset(&client.got);
    publish(12, 1, 0);
    turn_until_has(&client, 12);
    expect_numbers(&client, 12, 1);
    assert_int_equal(hub->counts.refilled, 0);
    hang_up(&client);
}

/* --- the last word ---------------------------------------------------------- */

/* Takes one write, and then its line is cut. */
struct fragile {
    struct hf_layer head;
    bool used;
};

static int write_once(struct hf_layer *layer, int fd, const struct iovec *parts,
                      size_t count, size_t *out_taken)
{
    struct fragile *fragile = HF_ITEM(layer, struct fragile, head);
    size_t i;

    (void)fd;
    if (fragile->used)
        return HF_ECLOSED;
    for (i = 0; i < count; i++)
        *out_taken += parts[i].iov_len;
    fragile->used = true;
    return 0;
}

static void close_fragile(struct hf_layer *layer, int fd)
{
    (void)layer;
    close(fd);
}

/* It answers, and then has to say why it closes. */
static void a_line_that_is_cut_before_the_last_word_is_the_end(void **state)
{
    static const struct hf_layer_ops ops = {.write = write_once,
                                            .close = close_fragile};
    static const char text_and_nonsense[] = "\x81\x81\0\0\0\0a"
                                            "\xf1\x80\0\0\0";
    struct fragile fragile = {.head = {.ops = &ops}};
    struct hf_client who = {.vsn = HF_VSN_2};
    struct hf_conns echo;
    int pair[2];

    (void)state;
    assert_int_equal(hf_echo_init(&echo, loop, &process.settings), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair),
                     0);
    hf_conns_add(&echo, pair[1], &fragile.head, &who, NULL, HF_STR(""));
    assert_int_equal(
        send(pair[0], text_and_nonsense, sizeof(text_and_nonsense), 0),
        sizeof(text_and_nonsense));
    turns(3);
    assert_true(fragile.used);
    assert_int_equal(echo.count, 0);
    close(pair[0]);
    hf_conns_release(&echo);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(early_bytes_are_the_first_that_are_read),
        TEST(an_idle_socket_holds_no_memory_of_its_own),
        TEST(pings_in_pieces_may_come_inside_a_message_in_pieces),
        TEST(a_message_may_have_so_many_fragments_and_no_more),
        TEST(who_sends_too_much_is_not_read_for_a_second),
        TEST(answers_that_were_dropped_hold_nobody_up),
        TEST(who_hangs_up_as_we_say_goodbye_is_gone),
        TEST(who_asks_faster_than_it_reads_is_not_read_meanwhile),
        TEST(a_socket_sends_at_once_and_buffers_little),
        TEST(who_is_silent_is_asked_and_a_pong_will_do),
        TEST(who_is_silent_too_long_is_sent_away),
        TEST(after_a_pause_of_ours_everybody_has_a_tick_to_answer),
        TEST(where_idle_is_shorter_nobody_is_asked),
        TEST(who_is_present_and_does_not_answer_is_gone_in_a_lease),
        TEST(a_page_that_gave_a_client_id_gets_no_more_than_a_lease),
        TEST(without_pings_only_who_is_present_is_asked),
        TEST(who_becomes_present_while_silent_is_asked_too),
        TEST(after_a_pause_of_ours_who_is_present_is_asked_first),
        TEST(a_short_lease_is_looked_at_more_often),
        TEST(who_reads_nothing_for_30_seconds_is_given_up),
        TEST(who_reads_a_little_is_not),
        TEST(who_wakes_up_after_1013_reads_whole_frames_up_to_it),
        TEST(a_goodbye_that_is_not_answered_ends_after_a_while),
        TEST(when_partial_messages_are_too_many_the_oldest_goes),
        TEST(a_broadcast_to_many_takes_more_than_one_turn),
        TEST(who_reads_late_loses_nothing_and_holds_little),
        TEST(in_a_flood_who_reads_is_served_from_the_ring),
        TEST(a_quiet_topic_holds_no_rows),
        TEST(a_line_that_is_cut_before_the_last_word_is_the_end),
    };

    return cmocka_run_group_tests_name("ws_conn", tests, NULL, NULL);
}

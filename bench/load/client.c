/* client.c - the life of one client; see fleet.h */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "bench/load/fleet.h"
#include "bench/load/wire.h"

enum { TEXT = 1, CLOSE = 8, PING = 9, PONG = 10 };

static void become(struct hf_fleet *fleet, struct hf_client *client,
                   enum hf_client_state state)
{
    fleet->in_state[client->state]--;
    fleet->in_state[state]++;
    client->state = (uint8_t)state;
}

static void unjoin(struct hf_fleet *fleet, struct hf_member *member)
{
    if (member->joined)
        fleet->topics[member->topic].joined--;
    member->joined = false;
}

struct hf_stream hf_client_abandon(struct hf_fleet *fleet,
                                   struct hf_client *client, int64_t back_ms)
{
    struct hf_stream stream = client->stream;
    struct hf_member *members = hf_members_of(fleet, client);
    unsigned i;

    for (i = 0; i < fleet->options.each; i++)
        unjoin(fleet, &members[i]);
    client->stream = (struct hf_stream){.fd = -1};
    hf_buf_release(&client->in);
    hf_buf_release(&client->out);
    client->joined = 0;
    client->beat_ns = 0;
    client->wanted = back_ms >= 0;
    if (!client->wanted)
        fleet->unwanted++;
    client->due_ns = fleet->now_ns;
    if (back_ms > 0)
        client->due_ns +=
            hf_fleet_random(fleet, (unsigned)back_ms * 1000u) * 1000ll;
    become(fleet, client, HF_CLIENT_AWAY);
    return stream;
}

void hf_client_cut(struct hf_fleet *fleet, struct hf_client *client, bool reset,
                   int64_t back_ms)
{
    struct hf_stream stream = hf_client_abandon(fleet, client, back_ms);

    hf_stream_close(&stream, reset);
}

/* Not our doing. */
static void lost(struct hf_fleet *fleet, struct hf_client *client,
                 enum hf_tally why)
{
    fleet->counts[why]++;
    hf_client_cut(fleet, client, false, fleet->options.back_ms);
}

void hf_client_forget(struct hf_fleet *fleet, struct hf_client *client)
{
    struct hf_member *members = hf_members_of(fleet, client);
    unsigned i;

    for (i = 0; i < fleet->options.each; i++) {
        members[i].strict = false;
        members[i].cursor_len = 0;
    }
}

/* --- writing --------------------------------------------------------------- */

static void poll_for(struct hf_fleet *fleet, struct hf_client *client, bool out)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};

    if (client->polls_out == out)
        return;
    client->polls_out = out;
    if (out)
        event.events |= EPOLLOUT;
    (void)epoll_ctl(fleet->epoll, EPOLL_CTL_MOD, client->stream.fd, &event);
}

/* False: the connection is gone. */
static bool flush(struct hf_fleet *fleet, struct hf_client *client)
{
    struct hf_buf *out = &client->out;
    ssize_t len;

    while (out->len > 0) {
        len = hf_stream_write(&client->stream, out->at, out->len);
        if (len < 0)
            return false;
        if (len == 0)
            break;
        hf_buf_drop(out, (size_t)len);
    }
    poll_for(fleet, client, out->len > 0 && hf_stream_blocked(&client->stream));
    if (out->len == 0)
        hf_buf_release(out);
    return true;
}

/* A broken connection shows when it is read. */
static void say(struct hf_fleet *fleet, struct hf_client *client,
                unsigned opcode, struct hf_str payload)
{
    (void)hf_wire_frame(&client->out, opcode, payload);
    (void)flush(fleet, client);
}

void hf_client_say(struct hf_fleet *fleet, struct hf_client *client,
                   struct hf_str text)
{
    say(fleet, client, TEXT, text);
}

void hf_client_beat(struct hf_fleet *fleet, struct hf_client *client)
{
    if (client->beat_ns != 0)
        fleet->counts[HF_TALLY_BEATS_LATE]++;
    fleet->counts[HF_TALLY_BEATS]++;
    client->beat_ns = hf_now_ns();
    hf_client_say(fleet, client,
                  HF_STR("[null,\"h\",\"phoenix\",\"heartbeat\",{}]"));
}

void hf_client_leave(struct hf_fleet *fleet, struct hf_client *client,
                     int32_t back_ms)
{
    client->back_ms = back_ms;
    become(fleet, client, HF_CLIENT_LEAVING);
    client->began_ns = fleet->now_ns;              /* patience begins anew */
    say(fleet, client, CLOSE, HF_STR("\x03\xe9")); /* 1001 */
}

/* --- coming ---------------------------------------------------------------- */

bool hf_client_open(struct hf_fleet *fleet, struct hf_client *client)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT,
                                .data.ptr = client};

    if (!hf_stream_open(&client->stream, &fleet->options.to, client->number))
        return false;
    if (epoll_ctl(fleet->epoll, EPOLL_CTL_ADD, client->stream.fd, &event)) {
        hf_stream_close(&client->stream, false);
        return false;
    }
    hf_buf_init(&client->in, 1u << 26);
    hf_buf_init(&client->out, 1u << 26);
    (void)hf_wire_request(&client->out, fleet->options.headers);
    client->polls_out = true;
    client->began_ns = hf_now_ns();
    fleet->counts[HF_TALLY_OPENED]++;
    become(fleet, client, HF_CLIENT_COMING);
    return true;
}

static void join(struct hf_fleet *fleet, struct hf_client *client,
                 const struct hf_member *member)
{
    unsigned topic = fleet->options.first + member->topic;
    char text[256];
    int len;

    if (fleet->options.stock)
        len = snprintf(text, sizeof(text),
                       "[\"1\",\"1\",\"room:%u\",\"phx_join\",{}]", topic);
    else
        len = snprintf(
            text, sizeof(text),
            "[\"1\",\"1\",\"room:%u\",\"phx_join\",{\"since\":\"%.*s\"}]",
            topic, (int)member->cursor_len, member->cursor);
    (void)hf_wire_frame(&client->out, TEXT, hf_str(text, (size_t)len));
}

static void join_all(struct hf_fleet *fleet, struct hf_client *client)
{
    struct hf_member *members = hf_members_of(fleet, client);
    unsigned i;

    become(fleet, client, HF_CLIENT_JOINING);
    for (i = 0; i < fleet->options.each; i++)
        join(fleet, client, &members[i]);
    (void)flush(fleet, client);
}

static void keep_cursor(struct hf_member *member, struct hf_str cursor)
{
    if (cursor.len == 0 || cursor.len > HF_FLEET_CURSOR)
        return;
    memcpy(member->cursor, cursor.at, cursor.len);
    member->cursor_len = (uint8_t)cursor.len;
}

/* A number to go on from is known when the server went on where we were, or
 * when nothing has been published yet. */
static void joined(struct hf_fleet *fleet, struct hf_client *client,
                   struct hf_member *member, struct hf_str response)
{
    struct hf_topic *topic = &fleet->topics[member->topic];
    bool resumed = member->cursor_len > 0 && !fleet->options.stock;
    bool recovered =
        memmem(response.at, response.len, "\"recovered\":true", 16) != NULL;

    fleet->counts[HF_TALLY_JOINS]++;
    if (resumed && !recovered)
        fleet->counts[HF_TALLY_GAPS]++;
    if (!resumed || !recovered) {
        /* else the next row says it: pushes may be under way */
        member->strict = topic->newest == fleet->options.from;
        member->last = member->strict ? topic->newest : 0;
    }
    keep_cursor(member, hf_wire_string(response, "\"cursor\":"));
    member->joined = true;
    topic->joined++;
    if (++client->joined < fleet->options.each ||
        client->state != HF_CLIENT_JOINING)
        return;
    client->up_ns = hf_now_ns();
    hf_times_add(&fleet->up, (uint64_t)(client->up_ns - client->began_ns));
    become(fleet, client, HF_CLIENT_JOINED);
}

/* --- what comes ------------------------------------------------------------ */

static struct hf_member *member_of(const struct hf_fleet *fleet,
                                   const struct hf_client *client,
                                   struct hf_str topic)
{
    struct hf_member *members = hf_members_of(fleet, client);
    unsigned number, at;

    if (!hf_str_starts(topic, HF_STR("room:")))
        return NULL;
    number = (unsigned)hf_wire_number(topic, "room:") - fleet->options.first;
    if (number >= fleet->options.topics)
        return NULL;
    at = (number + fleet->options.topics - members[0].topic) %
         fleet->options.topics;
    return at < fleet->options.each ? &members[at] : NULL;
}

static void on_reply(struct hf_fleet *fleet, struct hf_client *client,
                     const struct hf_wire_message *message)
{
    bool ok = memmem(message->payload.at, message->payload.len,
                     "\"status\":\"ok\"", 13) != NULL;
    struct hf_member *member;

    if (hf_str_eq(message->topic, HF_STR("phoenix"))) {
        if (client->beat_ns == 0)
            fleet->counts[HF_TALLY_BAD]++;
        else
            hf_times_add(&fleet->beats,
                         (uint64_t)(hf_now_ns() - client->beat_ns));
        client->beat_ns = 0;
        return;
    }
    if (hf_str_starts(message->ref, HF_STR("p"))) {
        fleet->counts[ok ? HF_TALLY_PUSHES_OK : HF_TALLY_PUSHES_REFUSED]++;
        hf_times_add(&fleet->ack,
                     (uint64_t)hf_now_ns() - hf_wire_number(message->ref, "p"));
        return;
    }
    member = member_of(fleet, client, message->topic);
    if (!member || member->joined)
        fleet->counts[HF_TALLY_BAD]++;
    else if (ok)
        joined(fleet, client, member, message->payload);
    else
        fleet->counts[HF_TALLY_JOINS_REFUSED]++;
}

static void judge(struct hf_fleet *fleet, struct hf_member *member, uint32_t n)
{
    if (!member->strict)
        return;
    if (n <= member->last)
        fleet->counts[HF_TALLY_AGAIN]++;
    else
        fleet->counts[HF_TALLY_LOST] += n - member->last - 1;
}

static void on_row(struct hf_fleet *fleet, struct hf_client *client,
                   struct hf_member *member,
                   const struct hf_wire_message *message)
{
    uint32_t n = (uint32_t)hf_wire_number(message->payload, "\"n\":");
    int64_t at = (int64_t)hf_wire_number(message->payload, "\"t\":");
    int64_t now = hf_now_ns();

    fleet->counts[HF_TALLY_ROWS]++;
    judge(fleet, member, n);
    if (client->state == HF_CLIENT_JOINED && at > client->up_ns && at <= now)
        hf_times_add(&fleet->latency, (uint64_t)(now - at));
    else
        fleet->counts[HF_TALLY_REPLAYED]++;
    if (fleet->goal != 0 && member->last < fleet->goal && n >= fleet->goal) {
        hf_times_add(&fleet->reached, (uint64_t)(now - fleet->goal_ns));
        fleet->goal_left--;
    }
    member->strict = true;
    if (member->last < n)
        member->last = n;
    if (fleet->topics[member->topic].newest < n)
        fleet->topics[member->topic].newest = n;
    keep_cursor(member, message->ref);
}

/* The server ended the channel; as clients do, join it again. */
static void on_end(struct hf_fleet *fleet, struct hf_client *client,
                   struct hf_member *member)
{
    fleet->counts[HF_TALLY_ENDED]++;
    unjoin(fleet, member);
    client->joined--;
    join(fleet, client, member);
    (void)flush(fleet, client);
}

static void on_message(struct hf_fleet *fleet, struct hf_client *client,
                       struct hf_str text)
{
    struct hf_wire_message message;
    struct hf_member *member;

    if (!hf_wire_message(text, &message)) {
        fleet->counts[HF_TALLY_BAD]++;
        return;
    }
    if (hf_str_eq(message.event, HF_STR("phx_reply"))) {
        on_reply(fleet, client, &message);
        return;
    }
    member = member_of(fleet, client, message.topic);
    if (!member || !member->joined)
        fleet->counts[HF_TALLY_BAD]++;
    else if (hf_str_eq(message.event, HF_STR("m")))
        on_row(fleet, client, member, &message);
    else if (hf_str_starts(message.event, HF_STR("phx_")))
        on_end(fleet, client, member);
}

static enum hf_tally count_of(unsigned code)
{
    switch (code) {
    case 1001:
        return HF_TALLY_CLOSED_1001;
    case 1008:
        return HF_TALLY_CLOSED_1008;
    case 1012:
        return HF_TALLY_CLOSED_1012;
    case 1013:
        return HF_TALLY_CLOSED_1013;
    default:
        return HF_TALLY_CLOSED_OTHER;
    }
}

/* Answer it and go; come back when we are told to, if at all. */
static void on_close(struct hf_fleet *fleet, struct hf_client *client,
                     struct hf_str body)
{
    const unsigned char *at = (const unsigned char *)body.at;
    unsigned code = body.len >= 2 ? (unsigned)(at[0] << 8 | at[1]) : 0;
    int64_t retry_ms = (int64_t)hf_wire_number(body, "retry_ms=");
    bool leaving = client->state == HF_CLIENT_LEAVING;
    int64_t back_ms = fleet->options.back_ms;

    if (!leaving) {
        say(fleet, client, CLOSE, hf_str(body.at, body.len >= 2 ? 2 : 0));
        fleet->counts[count_of(code)]++;
    }
    if (leaving)
        back_ms = client->back_ms;
    hf_client_cut(fleet, client, false, back_ms);
    if (!leaving && client->wanted && retry_ms > 0)
        client->due_ns = fleet->now_ns + retry_ms * HF_NS_PER_MS;
}

static void on_frame(struct hf_fleet *fleet, struct hf_client *client,
                     const struct hf_wire_piece *piece)
{
    if (piece->opcode == TEXT)
        on_message(fleet, client, piece->payload);
    else if (piece->opcode == PING)
        say(fleet, client, PONG, piece->payload);
    else if (piece->opcode == CLOSE)
        on_close(fleet, client, piece->payload);
    else
        fleet->counts[HF_TALLY_BAD]++;
}

/* How much of it was used; -1: the client has gone meanwhile. */
static ssize_t on_answer(struct hf_fleet *fleet, struct hf_client *client,
                         struct hf_str bytes)
{
    int status;
    ssize_t used = hf_wire_answer(bytes, &status);

    if (used < 0)
        lost(fleet, client,
             status != 0 ? HF_TALLY_REFUSED : HF_TALLY_UNCONNECTED);
    else if (used > 0)
        join_all(fleet, client);
    return used;
}

static ssize_t on_frames(struct hf_fleet *fleet, struct hf_client *client,
                         struct hf_str bytes)
{
    struct hf_wire_piece piece;
    size_t used = 0;
    ssize_t len;

    while ((len = hf_wire_unframe(hf_str_from(bytes, used), &piece)) > 0) {
        used += (size_t)len;
        on_frame(fleet, client, &piece);
        if (client->state == HF_CLIENT_AWAY)
            return -1;
    }
    if (len == 0)
        return (ssize_t)used;
    lost(fleet, client, HF_TALLY_BAD);
    return -1;
}

static bool on_bytes(struct hf_fleet *fleet, struct hf_client *client,
                     struct hf_str bytes)
{
    ssize_t used;

    while (bytes.len > 0) {
        bool coming = client->state == HF_CLIENT_COMING;

        used = coming ? on_answer(fleet, client, bytes)
                      : on_frames(fleet, client, bytes);
        if (used < 0)
            return false;
        bytes = hf_str_from(bytes, (size_t)used);
        if (used == 0 || !coming)
            break;
    }
    if (bytes.len == 0)
        hf_buf_release(&client->in);
    else if (client->in.len == 0)
        (void)hf_buf_add_str(&client->in, bytes);
    else
        hf_buf_drop(&client->in, client->in.len - bytes.len);
    return true;
}

/* What was left of the last read, and this, stand together in client->in; but
 * as a rule nothing was left, and nothing is copied. */
static bool read_some(struct hf_fleet *fleet, struct hf_client *client)
{
    ssize_t len = hf_stream_read(&client->stream, fleet->input, HF_FLEET_INPUT);

    if (len == 0)
        return false;
    if (len < 0) {
        if (client->state == HF_CLIENT_LEAVING)
            hf_client_cut(fleet, client, false, client->back_ms);
        else
            lost(fleet, client,
                 client->state == HF_CLIENT_COMING ? HF_TALLY_UNCONNECTED
                                                   : HF_TALLY_DROPPED);
        return false;
    }
    fleet->counts[HF_TALLY_BYTES] += (uint64_t)len;
    if (client->in.len == 0)
        return on_bytes(fleet, client, hf_str(fleet->input, (size_t)len));
    (void)hf_buf_add(&client->in, fleet->input, (size_t)len);
    return on_bytes(fleet, client, hf_buf_str(&client->in));
}

void hf_client_on_event(struct hf_fleet *fleet, struct hf_client *client)
{
    if (client->out.len > 0)
        (void)flush(fleet, client);
    while (read_some(fleet, client) && hf_stream_pending(&client->stream))
        continue;
    /* Reading may have finished the handshake that writing waited for, and then
     * nothing else would tell. */
    if (client->out.len > 0 && client->stream.fd >= 0)
        (void)flush(fleet, client);
}

#include "bench/load/fleet.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "base/sys.h"

#define EVENTS  256
#define TICK_NS (10 * HF_NS_PER_MS) /* heartbeats, who is to come */

const char *const hf_tally_names[HF_TALLYS] = {
    [HF_TALLY_ROWS] = "rows",
    [HF_TALLY_REPLAYED] = "replayed",
    [HF_TALLY_BYTES] = "bytes",
    [HF_TALLY_LOST] = "lost",
    [HF_TALLY_AGAIN] = "again",
    [HF_TALLY_BAD] = "bad",
    [HF_TALLY_PUSHES] = "pushes",
    [HF_TALLY_PUSHES_OK] = "pushes_ok",
    [HF_TALLY_PUSHES_REFUSED] = "pushes_refused",
    [HF_TALLY_SKIPPED] = "skipped",
    [HF_TALLY_JOINS] = "joins",
    [HF_TALLY_JOINS_REFUSED] = "joins_refused",
    [HF_TALLY_GAPS] = "gaps",
    [HF_TALLY_ENDED] = "ended",
    [HF_TALLY_OPENED] = "opened",
    [HF_TALLY_UNCONNECTED] = "unconnected",
    [HF_TALLY_REFUSED] = "refused",
    [HF_TALLY_TIMED_OUT] = "timed_out",
    [HF_TALLY_DROPPED] = "dropped",
    [HF_TALLY_CLOSED_1001] = "closed_1001",
    [HF_TALLY_CLOSED_1008] = "closed_1008",
    [HF_TALLY_CLOSED_1012] = "closed_1012",
    [HF_TALLY_CLOSED_1013] = "closed_1013",
    [HF_TALLY_CLOSED_OTHER] = "closed_other",
    [HF_TALLY_BEATS] = "beats",
    [HF_TALLY_BEATS_LATE] = "beats_late",
    [HF_TALLY_CHURNED] = "churned",
    [HF_TALLY_STRAYS] = "strays",
    [HF_TALLY_STRAYS_ENDED] = "strays_ended",
    [HF_TALLY_STRAYS_KEPT] = "strays_kept",
};

int64_t hf_now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * HF_NS_PER_S + now.tv_nsec;
}

/* --- opening and closing --------------------------------------------------- */

static void place(struct hf_fleet *fleet)
{
    const struct hf_fleet_options *options = &fleet->options;
    size_t members = (size_t)options->clients * options->each;
    size_t i;

    for (i = 0; i < options->clients; i++) {
        fleet->clients[i].number = (uint32_t)i;
        fleet->clients[i].stream.fd = -1;
    }
    for (i = 0; i < members; i++)
        fleet->members[i].topic = (uint32_t)(i % options->topics);
    for (i = 0; i < options->topics; i++)
        fleet->topics[i].newest = options->from;
    fleet->in_state[HF_CLIENT_AWAY] = options->clients;
    fleet->unwanted = options->clients;
}

int hf_fleet_open(struct hf_fleet *fleet,
                  const struct hf_fleet_options *options)
{
    memset(fleet, 0, sizeof(*fleet));
    fleet->options = *options;
    fleet->random = (uint64_t)hf_now_ns() | 1;
    fleet->epoll = epoll_create1(EPOLL_CLOEXEC);
    fleet->input = malloc(HF_FLEET_INPUT);
    fleet->clients = calloc(options->clients, sizeof(*fleet->clients));
    fleet->members = calloc((size_t)options->clients * options->each,
                            sizeof(*fleet->members));
    fleet->topics = calloc(options->topics, sizeof(*fleet->topics));
    if (fleet->epoll < 0 || !fleet->input || !fleet->clients ||
        !fleet->members || !fleet->topics) {
        (void)fprintf(stderr, "ws_load: no memory for so many\n");
        return -1;
    }
    if (hf_raise_fd_limit() < options->clients + 100u) {
        (void)fprintf(stderr,
                      "ws_load: %u clients need more descriptors than "
                      "the limit allows (ulimit -n)\n",
                      options->clients);
        return -1;
    }
    place(fleet);
    return 0;
}

void hf_fleet_close(struct hf_fleet *fleet)
{
    unsigned i;

    for (i = 0; fleet->clients && i < fleet->options.clients; i++) {
        hf_stream_close(&fleet->clients[i].stream, false);
        hf_buf_release(&fleet->clients[i].in);
        hf_buf_release(&fleet->clients[i].out);
    }
    hf_strays_close(fleet);
    free(fleet->clients);
    free(fleet->members);
    free(fleet->topics);
    free(fleet->input);
    hf_close(&fleet->epoll);
}

/* --- what is due ----------------------------------------------------------- */

void hf_fleet_want(struct hf_fleet *fleet, unsigned count)
{
    unsigned i;

    for (i = 0; i < count && i < fleet->options.clients; i++) {
        struct hf_client *client = &fleet->clients[i];

        if (client->state != HF_CLIENT_AWAY || client->wanted)
            continue;
        client->wanted = true;
        client->due_ns = 0;
        fleet->unwanted--;
    }
}

/* As many handshakes as may be under way. */
static void open_due(struct hf_fleet *fleet)
{
    unsigned left = fleet->options.clients;
    unsigned busy =
        fleet->in_state[HF_CLIENT_COMING] + fleet->in_state[HF_CLIENT_JOINING];

    if (fleet->in_state[HF_CLIENT_AWAY] == fleet->unwanted)
        return;
    for (; left > 0 && busy < fleet->options.window; left--) {
        struct hf_client *client = &fleet->clients[fleet->scan];

        if (client->state == HF_CLIENT_AWAY && client->wanted &&
            client->due_ns <= fleet->now_ns) {
            if (!hf_client_open(fleet, client))
                return; /* a full backlog: at the next tick */
            client->wanted = false;
            busy++;
        }
        fleet->scan = (fleet->scan + 1) % fleet->options.clients;
    }
}

/* Each in turn, so that all of them are spread over the time between two. */
static void beat_due(struct hf_fleet *fleet)
{
    const struct hf_fleet_options *options = &fleet->options;
    int64_t between;

    if (options->beat_s == 0)
        return;
    between = options->beat_s * HF_NS_PER_S / options->clients;
    if (fleet->beat_due_ns == 0)
        fleet->beat_due_ns = fleet->now_ns;
    for (; fleet->beat_due_ns <= fleet->now_ns; fleet->beat_due_ns += between) {
        struct hf_client *client = &fleet->clients[fleet->beat];

        fleet->beat = (fleet->beat + 1) % options->clients;
        if (client->state == HF_CLIENT_JOINED)
            hf_client_beat(fleet, client);
    }
}

/* Once a second: who got nowhere. */
static void impatience(struct hf_fleet *fleet)
{
    int64_t begun_ns = fleet->now_ns - HF_FLEET_PATIENCE;
    unsigned i;

    for (i = 0; i < fleet->options.clients; i++) {
        struct hf_client *client = &fleet->clients[i];

        if (client->state == HF_CLIENT_AWAY ||
            client->state == HF_CLIENT_JOINED || client->began_ns > begun_ns)
            continue;
        fleet->counts[HF_TALLY_TIMED_OUT]++;
        hf_client_cut(fleet, client, true, 0);
    }
    hf_strays_tick(fleet);
}

void hf_fleet_push_rate(struct hf_fleet *fleet, double rate)
{
    fleet->push_rate = rate;
    fleet->push_due_ns = hf_now_ns();
}

void hf_fleet_churn_rate(struct hf_fleet *fleet, double rate)
{
    fleet->churn_rate = rate;
    fleet->churn_due_ns = hf_now_ns();
}

bool hf_fleet_push(struct hf_fleet *fleet, unsigned topic)
{
    static const char filling[] =
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
    struct hf_client *client =
        &fleet->clients[topic / fleet->options.each % fleet->options.clients];
    char payload[128], text[sizeof(filling) + 256];
    int64_t now = hf_now_ns();
    int len, pad;

    if (client->state != HF_CLIENT_JOINED) {
        fleet->counts[HF_TALLY_SKIPPED]++;
        return false;
    }
    len = snprintf(payload, sizeof(payload), "{\"n\":%u,\"t\":%lld,\"p\":\"",
                   ++fleet->topics[topic].newest, (long long)now);
    pad = (int)fleet->options.payload - len - 2;
    pad = pad < 0 ? 0 : pad;
    pad = pad >= (int)sizeof(filling) ? (int)sizeof(filling) - 1 : pad;
    len = snprintf(
        text, sizeof(text), "[\"1\",\"p%lld\",\"room:%u\",\"m\",%s%.*s\"}]",
        (long long)now, fleet->options.first + topic, payload, pad, filling);
    fleet->counts[HF_TALLY_PUSHES]++;
    hf_client_say(fleet, client, hf_str(text, (size_t)len));
    return true;
}

static void push_due(struct hf_fleet *fleet)
{
    int64_t now = hf_now_ns();

    for (; fleet->push_rate > 0 && fleet->push_due_ns <= now;
         fleet->push_due_ns += (int64_t)(1e9 / fleet->push_rate)) {
        (void)hf_fleet_push(fleet, fleet->push_topic);
        fleet->push_topic = (fleet->push_topic + 1) % fleet->options.topics;
    }
}

static void churn_due(struct hf_fleet *fleet)
{
    for (; fleet->churn_rate > 0 && fleet->churn_due_ns <= fleet->now_ns;
         fleet->churn_due_ns += (int64_t)(1e9 / fleet->churn_rate))
        hf_churn(fleet);
}

/* --- the loop -------------------------------------------------------------- */

static void take_events(struct hf_fleet *fleet, int64_t timeout_ns)
{
    struct epoll_event events[EVENTS];
    struct timespec timeout = {.tv_sec = timeout_ns / HF_NS_PER_S,
                               .tv_nsec = timeout_ns % HF_NS_PER_S};
    int count = epoll_pwait2(fleet->epoll, events, EVENTS, &timeout, NULL);
    int i;

    fleet->now_ns = hf_now_ns();
    for (i = 0; i < count; i++) {
        if (hf_stray_on_event(fleet, events[i].data.ptr))
            continue;
        if (((struct hf_client *)events[i].data.ptr)->state != HF_CLIENT_AWAY)
            hf_client_on_event(fleet, events[i].data.ptr);
        push_due(fleet);
    }
}

static int64_t sooner(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

bool hf_fleet_run(struct hf_fleet *fleet, int64_t until_ns,
                  bool (*done)(const struct hf_fleet *fleet))
{
    int64_t tick_ns = 0, second_ns = hf_now_ns() + HF_NS_PER_S;
    int64_t wait_ns;

    fleet->now_ns = hf_now_ns();
    while (!done || !done(fleet)) {
        if (fleet->now_ns >= until_ns)
            return false;
        if (fleet->now_ns >= tick_ns) {
            tick_ns = fleet->now_ns + TICK_NS;
            beat_due(fleet);
            churn_due(fleet);
        }
        if (fleet->now_ns >= second_ns) {
            second_ns = fleet->now_ns + HF_NS_PER_S;
            impatience(fleet);
        }
        push_due(fleet);
        open_due(fleet);
        wait_ns = sooner(tick_ns, until_ns);
        if (fleet->push_rate > 0)
            wait_ns = sooner(wait_ns, fleet->push_due_ns);
        wait_ns -= hf_now_ns();
        take_events(fleet, wait_ns < 0 ? 0 : wait_ns);
    }
    return true;
}

/* --- what has come --------------------------------------------------------- */

void hf_fleet_aim(struct hf_fleet *fleet, uint32_t goal)
{
    size_t count = (size_t)fleet->options.clients * fleet->options.each;
    size_t i;

    fleet->goal = goal;
    fleet->goal_ns = hf_now_ns();
    fleet->goal_left = 0;
    for (i = 0; i < count; i++)
        fleet->goal_left += fleet->members[i].last < goal;
}

unsigned hf_fleet_behind(const struct hf_fleet *fleet)
{
    size_t count = (size_t)fleet->options.clients * fleet->options.each;
    unsigned behind = 0;
    size_t i;

    for (i = 0; i < count; i++) {
        const struct hf_member *member = &fleet->members[i];

        behind += member->joined && member->strict &&
                  member->last < fleet->topics[member->topic].newest;
    }
    return behind;
}

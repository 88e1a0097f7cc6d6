/*
 * churn.c - clients that go, in all the ways in which they do; see fleet.h
 *
 * Some vanish without a word to anybody: their side of the connection stays,
 * but nobody reads it, sends heartbeats or answers pings. Some never finish a
 * handshake. These are strays, and it is for the server to end them.
 */
#include <stdlib.h>
#include <sys/epoll.h>

#include "bench/load/fleet.h"
#include "bench/load/wire.h"

#define STRAYS_MAX 4096u
#define STRAY_NS   (180 * HF_NS_PER_S) /* by then the server has ended it */
#define BACK_MS    2000                /* who was ended is back within it */

struct hf_stray {
    struct hf_stream stream; /* fd -1: free */
    int64_t began_ns;
    bool begun; /* its part of a request is written */
    bool waits; /* ... and then it waits, or else it goes at once */
};

unsigned hf_fleet_random(struct hf_fleet *fleet, unsigned below)
{
    fleet->random ^= fleet->random << 13; /* xorshift64 */
    fleet->random ^= fleet->random >> 7;
    fleet->random ^= fleet->random << 17;
    return below == 0 ? 0 : (unsigned)((fleet->random >> 20) % below);
}

/* --- strays ---------------------------------------------------------------- */

static struct hf_stray *free_stray(struct hf_fleet *fleet)
{
    struct hf_stray *strays = fleet->strays;
    unsigned i;

    if (!strays) {
        strays = calloc(STRAYS_MAX, sizeof(*strays));
        if (!strays)
            return NULL;
        for (i = 0; i < STRAYS_MAX; i++)
            strays[i].stream.fd = -1;
        fleet->strays = strays;
    }
    if (fleet->strays_count == STRAYS_MAX)
        return NULL;
    for (i = 0; strays[i].stream.fd >= 0; i++)
        continue;
    return &strays[i];
}

static void end_stray(struct hf_fleet *fleet, struct hf_stray *stray,
                      bool reset)
{
    hf_stream_close(&stray->stream, reset);
    fleet->strays_count--;
}

static void begin_stray(struct hf_fleet *fleet, struct hf_stray *stray)
{
    stray->began_ns = fleet->now_ns;
    fleet->strays_count++;
    fleet->counts[HF_TALLY_STRAYS]++;
}

static void watch_stray(struct hf_fleet *fleet, struct hf_stray *stray, int how,
                        uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = stray};

    (void)epoll_ctl(fleet->epoll, how, stray->stream.fd, &event);
}

/* It is there, and does nothing any more. */
static void vanish(struct hf_fleet *fleet, struct hf_client *client)
{
    struct hf_stray *stray = free_stray(fleet);

    if (!stray) {
        hf_client_cut(fleet, client, true, BACK_MS);
        return;
    }
    stray->stream = hf_client_abandon(fleet, client, BACK_MS);
    stray->begun = true;
    begin_stray(fleet, stray);
    watch_stray(fleet, stray, EPOLL_CTL_MOD, EPOLLRDHUP);
}

static void break_handshake(struct hf_fleet *fleet, bool waits)
{
    struct hf_stray *stray = free_stray(fleet);

    if (!stray || !hf_stream_open(&stray->stream, &fleet->options.to, 0))
        return;
    stray->begun = false;
    stray->waits = waits;
    begin_stray(fleet, stray);
    watch_stray(fleet, stray, EPOLL_CTL_ADD, EPOLLOUT | EPOLLRDHUP);
}

bool hf_stray_on_event(struct hf_fleet *fleet, void *which)
{
    struct hf_stray *stray = which;
    struct hf_str part = HF_STR("GET /socket/websocket?vsn=2.0.0 HTTP/1.1\r\n");

    if (!fleet->strays || stray < fleet->strays ||
        stray >= fleet->strays + STRAYS_MAX)
        return false;
    if (stray->stream.fd < 0)
        return true;
    if (stray->begun) {
        fleet->counts[HF_TALLY_STRAYS_ENDED]++;
        end_stray(fleet, stray, false);
        return true;
    }
    stray->begun = true;
    (void)hf_stream_write(&stray->stream, part.at, part.len);
    if (stray->waits)
        watch_stray(fleet, stray, EPOLL_CTL_MOD, EPOLLRDHUP);
    else
        end_stray(fleet, stray, false);
    return true;
}

void hf_strays_tick(struct hf_fleet *fleet)
{
    unsigned i;

    for (i = 0; fleet->strays_count > 0 && i < STRAYS_MAX; i++) {
        struct hf_stray *stray = &fleet->strays[i];

        if (stray->stream.fd < 0 || stray->began_ns + STRAY_NS > fleet->now_ns)
            continue;
        fleet->counts[HF_TALLY_STRAYS_KEPT]++;
        end_stray(fleet, stray, true);
    }
}

void hf_strays_close(struct hf_fleet *fleet)
{
    unsigned i;

    for (i = 0; fleet->strays && i < STRAYS_MAX; i++)
        hf_stream_close(&fleet->strays[i].stream, true);
    free(fleet->strays);
    fleet->strays = NULL;
    fleet->strays_count = 0;
}

/* --- who goes -------------------------------------------------------------- */

/* Publishers stay: with one of them a number might go that was not written. */
static struct hf_client *somebody(struct hf_fleet *fleet)
{
    const struct hf_fleet_options *options = &fleet->options;
    unsigned stay = (options->topics + options->each - 1) / options->each;
    unsigned tries;

    if (fleet->push_rate <= 0)
        stay = 0;
    for (tries = 0; stay < options->clients && tries < 20; tries++) {
        unsigned i = stay + hf_fleet_random(fleet, options->clients - stay);

        if (fleet->clients[i].state == HF_CLIENT_JOINED)
            return &fleet->clients[i];
    }
    return NULL;
}

void hf_churn(struct hf_fleet *fleet)
{
    struct hf_client *client = somebody(fleet);
    unsigned how = hf_fleet_random(fleet, 100);

    if (!client)
        return;
    fleet->counts[HF_TALLY_CHURNED]++;
    if (how < 10)
        break_handshake(fleet, how < 5);
    if (hf_fleet_random(fleet, 2) == 0)
        hf_client_forget(fleet, client);
    if (how < 45)
        hf_client_leave(fleet, client, BACK_MS);
    else if (how < 70)
        hf_client_cut(fleet, client, true, BACK_MS);
    else if (how < 90)
        hf_client_cut(fleet, client, false, BACK_MS);
    else
        vanish(fleet, client);
}

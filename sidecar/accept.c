#include "sidecar/accept.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/err.h"
#include "base/log.h"
#include "sidecar/limits.h"

/* One listener, and whether it is watched. */
struct hf_gate {
    struct hf_watch watch;
    struct hf_accept *accept;
    const struct hf_listener *listener;
    bool open;
};

/* The listener would stay readable: rest instead of trying all the time. */
static void failed(const struct hf_gate *gate)
{
    if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
        return;
    HF_LOG(HF_LOG_WARN, "accept_failed",
           hf_field("address", gate->listener->address),
           hf_field("why", strerror(errno)),
           hf_field("effect", "clients wait to be let in"),
           hf_field("next", "trying again within a second"));
    gate->accept->resting = true;
}

static bool accept_one(const struct hf_gate *gate)
{
    struct hf_guest guest = {
        .through = gate->listener,
        .address = {.ss_family = AF_UNSPEC},
        .address_len = sizeof(guest.address),
    };

    guest.fd = accept4(gate->watch.fd, (struct sockaddr *)&guest.address,
                       &guest.address_len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (guest.fd < 0) {
        failed(gate);
        return false;
    }
    gate->accept->came(gate->accept, &guest);
    return true;
}

static void on_gate(struct hf_watch *watch, uint32_t events)
{
    struct hf_gate *gate = HF_ITEM(watch, struct hf_gate, watch);
    unsigned left = HF_ACCEPT_BATCH;

    (void)events;
    while (left > 0 && gate->accept->has_room(gate->accept) && accept_one(gate))
        left--;
    gate->accept->came_all(gate->accept);
    hf_accept_update(gate->accept);
}

static void set_open(struct hf_accept *accept, struct hf_gate *gate, bool open)
{
    if (open == gate->open)
        return;
    if (!open)
        hf_loop_unwatch(accept->loop, &gate->watch);
    else if (hf_loop_watch(accept->loop, &gate->watch, EPOLLIN))
        return; /* no memory: the next tick tries again */
    gate->open = open;
}

void hf_accept_update(struct hf_accept *accept)
{
    bool open = !accept->resting && accept->has_room(accept);
    size_t i;

    for (i = 0; i < accept->count; i++)
        set_open(accept, &accept->gates[i], open);
}

void hf_accept_tick(struct hf_accept *accept)
{
    accept->resting = false;
    hf_accept_update(accept);
}

int hf_accept_open(struct hf_accept *accept,
                   const struct hf_listener *listeners, size_t count)
{
    size_t i;

    accept->gates = calloc(count, sizeof(*accept->gates));
    if (!accept->gates)
        return HF_ENOMEM;
    for (i = 0; i < count; i++) {
        accept->gates[i] = (struct hf_gate){
            .watch = {.fd = listeners[i].fd, .ready = on_gate},
            .accept = accept,
            .listener = &listeners[i],
        };
    }
    accept->count = count;
    return 0;
}

void hf_accept_last(struct hf_accept *accept)
{
    size_t i;

    for (i = 0; i < accept->count; i++)
        while (!accept->gates[i].listener->passed && !accept->resting &&
               accept->has_room(accept) && accept_one(&accept->gates[i]))
            ; /* one more */
    accept->came_all(accept);
}

void hf_accept_close(struct hf_accept *accept)
{
    size_t i;

    for (i = 0; i < accept->count; i++)
        set_open(accept, &accept->gates[i], false);
    free(accept->gates);
    accept->gates = NULL;
    accept->count = 0;
}

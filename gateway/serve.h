/*
 * serve.h - one HTTP request from the moment it is whole to its answer
 *
 * The same for FastCGI and CGI: the end embeds a struct hf_exchange in its own
 * request, starts it, and gets exactly one reply, at once or later, unless it
 * says before that the client is gone.
 *
 *           start                 reply
 *     idle -------> under way --------------> idle
 *                       |
 *                       +--- gone ----------> idle (no reply)
 */
#ifndef HF_GATEWAY_SERVE_H
#define HF_GATEWAY_SERVE_H

#include "channel/events.h"
#include "channel/longpoll.h"
#include "channel/ondemand.h"
#include "channel/publishing.h"
#include "gateway/probe.h"
#include "gateway/request.h"

/* What all requests of the process share. */
struct hf_gateway {
    const struct hf_settings *settings;
    const struct hf_dir *dir; /* the journal's; NULL: not known yet */
    struct hf_ondemand ondemand;
    struct hf_longpoll *longpoll;
    const char *dir_option; /* the value of --dir; NULL = not said */
    const char *served_by;  /* "CGI", "FastCGI" */
    struct hf_loop *loop;
    bool resident;   /* stays: FastCGI */
    bool on_socket;  /* which it made itself: nobody started it for a request */
    unsigned probes; /* of the doctor, under way */
    bool leaving;           /* we are about to exit: hold nothing */
    /* Called before each request, which it may look at: from what the first
     * says, the rest becomes known (resident.h). Not 0: the request gets 500
     * and has no other effect; why is in the log. NULL: all is known. */
    int (*admit)(struct hf_gateway *gateway, const struct hf_request *request);
};

struct hf_exchange {
    /* May come before hf_exchange_start returns. `head` (respond.h) and `body`
     * are borrowed. The struct is then free for another start. */
    void (*reply)(struct hf_exchange *exchange, struct hf_str head,
                  struct hf_str body);
    /* A part of an answer, of which more will come; the first has the head. It
     * goes out now, or it may be lost: only the doctor sends parts, which are
     * short. NULL: there are none. */
    void (*part)(struct hf_exchange *exchange, struct hf_str head,
                 struct hf_str body);
    /* private */
    enum {
        HF_EXCHANGE_IDLE,
        HF_EXCHANGE_POLL,
        HF_EXCHANGE_POST,
        HF_EXCHANGE_PUBLISH,
        HF_EXCHANGE_EVENTS,
        HF_EXCHANGE_PROBE,
    } work;
    union {
        struct hf_poll poll;
        struct hf_post post;
        struct hf_publishing publishing;
        struct hf_events events;
        struct hf_probe *probe;
    };
};

/* Does it wait for something to come? What does not is answered soon. */
static inline bool hf_exchange_waits(const struct hf_exchange *exchange)
{
    return exchange->work == HF_EXCHANGE_POLL ||
           exchange->work == HF_EXCHANGE_EVENTS ||
           exchange->work == HF_EXCHANGE_PROBE;
}

/* What a visitor is told when we cannot serve: nothing about this host. */
extern const struct hf_str hf_not_ready_text;

/* Everything of `request` is borrowed for the call only. */
void hf_exchange_start(struct hf_exchange *exchange, struct hf_gateway *gateway,
                       const struct hf_request *request);

/* The client hung up, or nobody could take the reply: there is none. A held
 * request is let go, a push happens unseen. Does nothing when idle. */
void hf_exchange_gone(struct hf_exchange *exchange);

#endif

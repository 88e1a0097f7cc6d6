/*
 * hooks.h - asking the application, over HTTP, without ever waiting for it
 *
 * A call is one signed POST; its answer comes by callback on the loop's thread.
 * The only file that calls libcurl. What is bounded: the calls under way
 * (hook_concurrency), those that wait for their turn, the time of each, the
 * size of an answer. One topic has half of all that at most, so that a topic
 * whose calls take long leaves room for the others.
 *
 *     hf_hooks_call --> waiting ----> under way ----> answered(result, answer)
 *                          |              |
 *                          |              +- hook_timeout: TIMEOUT
 *                          +- hook_timeout: BUSY; it was never sent
 *
 * A request goes out at most once: connections are not used again, for a
 * request that fails on a connection somebody else has just closed would be
 * repeated by the library.
 */
#ifndef HF_CHANNEL_HOOKS_H
#define HF_CHANNEL_HOOKS_H

#include "base/loop.h"
#include "channel/hook_answer.h"
#include "schema/settings.h"

struct hf_hooks; /* one per process */

/*
 * `*out` stays NULL where no hook_url is set. The secret that signs requests is
 * read from its file. 0; HF_EINVAL, HF_ENOTFOUND, HF_EDENIED, HF_EIO, HF_ENOMEM
 * with *why filled. `settings` is borrowed.
 */
int hf_hooks_open(struct hf_loop *loop, const struct hf_dir *dir,
                  const struct hf_settings *settings, struct hf_hooks **out,
                  struct hf_why *why);
/*
 * Load libcurl now, where somebody reads that it is missing; else the first
 * call does, and is refused if that fails. A plain CGI process calls seldom and
 * would pay for it each time. 0; HF_ENOTFOUND, HF_EIO, HF_ENOMEM with *why
 * filled. NULL hooks: nothing.
 */
int hf_hooks_prepare(struct hf_hooks *hooks, struct hf_why *why);
/* Every call is answered HF_HOOK_CLOSED before it returns. NULL: nothing. */
void hf_hooks_close(struct hf_hooks *hooks);

/* Is this asked of the application? `topic` is empty for connect. False for
 * NULL hooks. */
bool hf_hooks_want(const struct hf_hooks *hooks, enum hf_hook_kind kind,
                   struct hf_str topic);

enum hf_hook_result {
    HF_HOOK_ANSWERED,
    HF_HOOK_BUSY,    /* never sent: too many wait */
    HF_HOOK_TIMEOUT, /* sent, and what came of it is not known */
    HF_HOOK_FAILED,  /* not reached, or what came back is no answer */
    HF_HOOK_CLOSED,  /* we are shutting down; as with a time-out */
};

/* The reason in the error reply that a client gets for it; NULL for
 * HF_HOOK_ANSWERED. */
const char *hf_hook_reason(enum hf_hook_kind kind, enum hf_hook_result result);

/* What a hook is told. Texts may be empty where said; all are borrowed for the
 * call of hf_hooks_call only. */
struct hf_hook_request {
    enum hf_hook_kind kind;
    struct hf_str session; /* id; empty: none yet */
    struct hf_str user;    /* empty: anonymous */
    struct hf_str topics;  /* the claim of its token, JSON text; or empty */
    struct hf_str token;   /* connect: as the client gave it; or empty */
    struct hf_str address; /* connect: where it is; or empty */
    struct hf_str params;  /* JSON object; empty is {} */
    const char *transport; /* "websocket", "longpoll" */
    struct hf_str topic;   /* what follows: not for connect */
    struct hf_str event;
    struct hf_hook_payload payload; /* text empty and not binary: {} */
    struct hf_str join_ref;         /* JSON text; empty is null */
    struct hf_str ref;
    struct hf_str key;  /* of an idempotent push, or empty */
    const char *reason; /* leave: "left", "closed", ...; else NULL */
};

struct hf_hook_call {
    /* Exactly once, never within hf_hooks_call. `answer` is the callee's to
     * free, and NULL unless the result is HF_HOOK_ANSWERED. */
    void (*answered)(struct hf_hook_call *call, enum hf_hook_result result,
                     struct hf_hook_answer *answer);
    struct hf_hook_sent *sent; /* private; NULL when not under way */
};

/* 0: answered will be called. HF_ELIMIT: too many wait (say "busy");
 * HF_ENOMEM; HF_ECLOSED. On error it is not called. */
int hf_hooks_call(struct hf_hooks *hooks, struct hf_hook_call *call,
                  const struct hf_hook_request *request);

/* Nobody wants the answer any more. What waits is not sent, what is under way
 * ends unseen. Does nothing when there is none. */
void hf_hook_forget(struct hf_hook_call *call);

/* Calls under way and waiting, for status and tests. */
size_t hf_hooks_pending(const struct hf_hooks *hooks);

#endif

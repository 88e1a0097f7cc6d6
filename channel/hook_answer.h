/*
 * hook_answer.h - what the application says to a hook; the one decoder of it
 *
 *     {"status": "ok",              // absent: no reply (not of connect, join)
 *      "response": {...},           // default {}; of join, connect an object
 *      "id": "42",                  // connect only: the user's id
 *      "actions": [{"do": "broadcast", "event": "said", "payload": {...}},
 *                  {"do": "broadcast_others", ..., "topic": "room:b"},
 *                  {"do": "push", "event": "hint", "payload": {...}},
 *                  {"do": "track", "key": "k", "meta": {...}},
 *                  {"do": "update", "key": "k", "meta": {...}},
 *                  {"do": "untrack", "key": "k"},
 *                  {"do": "reply"},               // its place, else: last
 *                  {"do": "stop"} or {"do": "crash"}]}   // the last one
 *
 * The application is ours to trust in what it wants, not in how well it writes:
 * a member nobody knows, one that stands twice, a wrong type or a bound passed
 * makes the whole answer malformed, before anything of it is done.
 * {"_binary":"<base64>"} as response or payload stands for bytes.
 */
#ifndef HF_CHANNEL_HOOK_ANSWER_H
#define HF_CHANNEL_HOOK_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

enum hf_hook_kind {
    HF_HOOK_CONNECT, /* may this client connect? */
    HF_HOOK_JOIN,
    HF_HOOK_PUSH,
    HF_HOOK_LEAVE, /* left, or was lost: nobody waits for a reply */
};

/* Its name on the wire and in holdfast.conf. */
const char *hf_hook_name(enum hf_hook_kind kind);

#define HF_HOOK_ANSWER_MAX  (1024u * 1024u) /* bytes of a whole answer */
#define HF_HOOK_ACTIONS_MAX 256u
#define HF_HOOK_STATUS_MAX  64u  /* bytes of a status, as they stand */
#define HF_HOOK_ID_MAX      128u /* bytes of a user's id */

/* JSON text as it was written; or bytes, when it was {"_binary":...}. */
struct hf_hook_payload {
    struct hf_str text;
    bool binary;
};

struct hf_hook_action {
    enum {
        HF_HOOK_BROADCAST,
        HF_HOOK_BROADCAST_OTHERS, /* to all but the sender */
        HF_HOOK_SEND,             /* "push": to the sender alone */
        HF_HOOK_TRACK,
        HF_HOOK_UPDATE,
        HF_HOOK_UNTRACK,
    } what;
    struct hf_str topic; /* empty: the channel's own */
    struct hf_str event;
    struct hf_hook_payload payload;
    struct hf_str key;  /* presence */
    struct hf_str meta; /* JSON text */
};

struct hf_hook_answer {
    bool replies;         /* there is a status */
    struct hf_str status; /* what stands between the quotes of its JSON text */
    bool responds;        /* there is a response; else it is {} */
    struct hf_hook_payload response;
    struct hf_str id;
    size_t reply_at; /* the reply goes before this action; count: behind all */
    bool stop;       /* the channel ends afterwards: phx_close */
    bool crash;      /* the same with phx_error */
    size_t count;
    struct hf_hook_action *actions;
};

/*
 * Decode `text`, which is copied. *out is the caller's until
 * hf_hook_answer_free. 0; HF_EMALFORMED, and *out_why says what is wrong, for
 * the application's owner (NULL is allowed); HF_ENOMEM.
 */
int hf_hook_answer_decode(struct hf_str text, enum hf_hook_kind kind,
                          struct hf_hook_answer **out, const char **out_why);
void hf_hook_answer_free(struct hf_hook_answer *answer); /* NULL: nothing */

/* Is its status "ok"? Of connect and join: the client is let in. */
bool hf_hook_answer_ok(const struct hf_hook_answer *answer);
/* Does anything of it need a transaction? */
bool hf_hook_answer_writes(const struct hf_hook_answer *answer);

#endif

/*
 * longpoll.h - the protocol over requests that come and go (section 6, D6)
 *
 * A session's stream is a pure function of the journal, so nothing is kept
 * here between requests but the polls that are parked. The transport embeds a
 * struct hf_poll or hf_post in its own request and gets one answer by
 * callback, at once or later; the body is the whole HTTP body, always JSON,
 * always for HTTP status 200.
 *
 *     GET   hf_poll_start  ... answer(body)        or hf_poll_cancel
 *     POST  hf_post_start  ... answer(body)
 */
#ifndef HF_CHANNEL_LONGPOLL_H
#define HF_CHANNEL_LONGPOLL_H

#include "channel/connecting.h"
#include "channel/holding.h"
#include "channel/process.h"
#include "channel/token.h"
#include "channel/waiting.h"

struct hf_post_work;

struct hf_longpoll; /* one per process */

/* `hold_ms` is the longest hold; never shorter than HF_EMPTY_SPACING_MS, since
 * stock clients come back at once (D14). How many may be held at once depends
 * on process->served (holding.h). `process` is borrowed. */
int hf_longpoll_open(struct hf_process *process, int64_t hold_ms,
                     struct hf_longpoll **out);
/* Answers every parked poll (204, its stream goes on elsewhere), finishes and
 * answers the posts under way, then frees. NULL: nothing. */
void hf_longpoll_close(struct hf_longpoll *longpoll);

/* Answer every parked poll now: before a shutdown. */
void hf_longpoll_release(struct hf_longpoll *longpoll);

/* Client addresses are no longer (longest: IPv6 with a mapped IPv4 address); of
 * longer ones what counts for the limit of an address is their beginning. */
#define HF_POLL_ADDRESS_MAX 46u

struct hf_poll_coming {
    struct hf_list node;
    size_t address_len;
    char address[HF_POLL_ADDRESS_MAX];
};

struct hf_poll_asking {
    struct hf_connecting connecting;
    struct hf_client client;
};

/* Kept small: thousands are parked. Who the client is is found out when there is
 * something for it, and not kept. */
struct hf_poll {
    /* Called exactly once, unless cancelled; may come before start returns.
     * `body` is borrowed. The poll is the transport's again. */
    void (*answer)(struct hf_poll *poll, struct hf_str body);
    /* private */
    union {                      /* one of them at a time */
        struct hf_waiter waiter; /* parked: for its session, user and topics */
        struct hf_poll_asking ask;       /* the application is asked */
        struct hf_poll_coming coming;    /* to be looked at at the turn's end */
    };
    struct hf_longpoll *asking; /* not NULL while the application is asked */
    struct hf_token token;      /* as it came; the answer's is newer */
    uint64_t poll_no;           /* a higher one in live.db ends this poll */
    struct hf_hold hold;        /* while parked */
    uint8_t vsn;      /* enum hf_vsn */
    bool is_coming;   /* it is in hf_longpoll.coming */
    bool paced;       /* the client waits next_ms, and tells of refusals */
    uint16_t refused; /* the HTTP status it tells of; 0: none */
};

/*
 * A GET. `token` is the token text or empty. Everything is borrowed for the
 * call only; a parked poll keeps only itself. May be given the zeroed struct
 * with `answer` set. In a resident process most are looked at at the end of the
 * turn, together: what many need is then read and written once.
 */
void hf_poll_start(struct hf_longpoll *longpoll, struct hf_poll *poll,
                   const struct hf_hello *hello, struct hf_str token);

/* Does the query of a GET say that it is a client of ours (7.2)? */
bool hf_poll_is_paced(struct hf_str query);

/* The client hung up while its poll was parked: no answer; nothing is lost,
 * since only a returning token acknowledges. Does nothing when not parked. */
void hf_poll_cancel(struct hf_poll *poll);

/* Plain CGI, when the answer is out: what resident processes do by timer, if
 * none has done it for minutes: one bounded step of retention, one page of dead
 * sessions. */
void hf_longpoll_clean_up(struct hf_longpoll *longpoll);

/* Polls parked in this process. */
size_t hf_longpoll_parked(const struct hf_longpoll *longpoll);

struct hf_post {
    /* Exactly once; may come before start returns. */
    void (*answer)(struct hf_post *post, struct hf_str body);
    struct hf_post_work *work; /* private: under way, or NULL */
};

/* A POST. `ndjson`: its content type says lines (parameters allowed); else the
 * body is one message. Borrowed for the call only. */
void hf_post_start(struct hf_longpoll *longpoll, struct hf_post *post,
                   const struct hf_hello *hello, struct hf_str token,
                   struct hf_str body, bool ndjson);

/* The transport is gone before the answer: let it happen unseen. */
void hf_post_forget(struct hf_post *post);

#endif

/*
 * link.h - the seam between the protocol and a transport that stays connected
 *
 * Eight calls down, two callbacks up (and one for people who watch); all on the loop's thread. The transport
 * turns bytes into whole frames and messages into bytes; it knows nothing of
 * topics. (Long-poll, which stays connected never, has longpoll.h.)
 *
 *     transport                          channel
 *     hf_session_open  ---------------->
 *     hf_session_receive  ------------->  decode, decide
 *     hf_session_is_full  ------------->  shall I wait before I read more?
 *                      <---------------   link->wake: there is something
 *     hf_session_take  ---------------->  next messages, oldest first
 *     (hf_session_expect  ------------->  it is about to be called)
 *                      <---------------   link->close: say goodbye, detach
 *     hf_session_has_presence  -------->  shall I look whether it is alive?
 *     hf_session_give_up  ------------->  it is not
 *     hf_session_detach  -------------->  the session is gone
 */
#ifndef HF_CHANNEL_LINK_H
#define HF_CHANNEL_LINK_H

#include "base/str.h"
#include "channel/connect.h"
#include "channel/hub.h"
#include "channel/msg.h"

/* What a transport knows of its peer, for people. */
struct hf_link_state {
    size_t unsent; /* bytes that the peer's machine, or the web server between,
                         has not taken yet; more may be on the way */
    int64_t quiet_ms; /* so long nothing was heard of it */
};

struct hf_link {
    /* There is something to take. Do not take here: schedule it for the end of
     * the turn. Called once until hf_session_take came back empty-handed. */
    void (*wake)(struct hf_link *link);
    /* Say goodbye with an RFC 6455 section 7.4 code, then detach; not within
     * this call. Nothing more is delivered, and frames are ignored. */
    void (*close)(struct hf_link *link, int code);
    /* May be NULL: nothing is known. */
    void (*look)(struct hf_link *link, struct hf_link_state *out);
};

struct hf_session;

/* A client that passed hf_connect_check; `client` is copied. *out belongs to
 * the hub until detach. 0; HF_ENOTFOUND: its user was disconnected while the
 * application was asked: close with 1001; HF_ENOMEM, HF_ESTORE, HF_EBUSY. */
int hf_session_open(struct hf_hub *hub, struct hf_link *link,
                    const struct hf_client *client, struct hf_session **out);

/* One complete frame from the peer; borrowed. 0; HF_EMALFORMED: close with
 * 1011 (4.9); HF_ELIMIT: too much waits already: close with 1008;
 * HF_ENOMEM: close with 1011. */
int hf_session_receive(struct hf_session *session, struct hf_str frame,
                       bool binary);

/* The peer asks faster than its answers are given or it takes them: read no more
 * of it for now, until this is false again. Nobody tells when it is: ask after
 * hf_session_take, and now and then, for answers may also be dropped. */
bool hf_session_is_full(struct hf_session *session);

/*
 * The next messages to send, at most max and about max_bytes (at least one
 * when there is any); their references become the caller's. Fewer than could
 * be: the session has nothing more, or its share of this turn is used up and
 * wake will be called again.
 */
size_t hf_session_take(struct hf_session *session, struct hf_msg **out,
                       size_t max, size_t max_bytes);

/* Its messages will be taken soon: what that needs is fetched into the
 * processor's caches, meanwhile. For who has thousands of them to ask. */
void hf_session_expect(struct hf_session *session);

/* May its client be present anywhere (tracker.h)? Then others are to be told
 * within a lease when it is dead, so its silence matters. */
bool hf_session_has_presence(const struct hf_session *session);

/* The peer has been silent for so long that it counts as dead: detach then ends
 * its presence at once, also that of a page which may come back. */
void hf_session_give_up(struct hf_session *session);

/* The transport is gone; frees the session. Pushes under way are still
 * journaled; their replies go nowhere. */
void hf_session_detach(struct hf_session *session);

#endif

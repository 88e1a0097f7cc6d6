#include "channel/session.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "channel/heads.h"
#include "channel/owner.h"
#include "channel/session_state.h"
#include "channel/tracker.h"
#include "channel/token.h"
#include "channel/user.h"

struct hf_stalled {
    struct hf_stalled *next;
    struct hf_str topic; /* copied behind the bytes */
    size_t len;
    bool binary;
    char bytes[];
};

/* --- waking the transport ---------------------------------------------- */

void hf_session_wake(struct hf_session *session)
{
    if (session->woken || session->closing ||
        hf_list_linked(&session->deferred))
        return;
    session->woken = true;
    session->link->wake(session->link);
}

void hf_session_fail(struct hf_session *session, int code)
{
    if (session->closing)
        return;
    session->closing = true;
    session->link->close(session->link, code);
}

void hf_session_end(struct hf_session *session, int code)
{
    if (!session->replies)
        hf_session_fail(session, code);
    else
        session->ending = (uint16_t)code;
}

/* --- frames ------------------------------------------------------------ */

/* It overtakes what waits, so it names only what has gone before it. */
static struct hf_msg *heads_msg(const struct hf_session *session,
                                const struct hf_frame *frame)
{
    struct hf_list *node, *tmp;
    struct hf_msg *msg = NULL;
    struct hf_buf heads;

    hf_buf_init(&heads, SIZE_MAX / 2); /* bounded by max_channels */
    (void)hf_heads_begin(&heads);
    HF_LIST_EACH(node, tmp, &session->members)
    {
        struct hf_member *member = HF_ITEM(node, struct hf_member, in_session);

#ifdef HF_BROKEN_HEADS_CRY_WOLF
        member->sent = session->hub->cursor;
#endif
        if (member->with_cursors)
            (void)hf_heads_add(
                &heads, hf_topic_name(member->topic),
                (struct hf_cursor){session->hub->epoch, member->sent});
    }
    if (hf_heads_end(&heads) == 0 && hf_buf_error(&heads) == 0)
        msg = hf_msg_ok(frame, HF_NULL, hf_buf_str(&heads));
    hf_buf_release(&heads);
    return msg;
}

static void answer_heartbeat(struct hf_session *session,
                             const struct hf_frame *frame)
{
    hf_reply(session, hf_heads_asked(frame)
                          ? heads_msg(session, frame)
                          : hf_msg_ok(frame, HF_NULL, HF_EMPTY));
}

/* The token taken may end channels, the one it came on too. */
static int renew(struct hf_session *session, const struct hf_frame *frame)
{
    struct hf_member *member = hf_member_find(session, frame->topic);
    int64_t retry_ms =
        hf_rate_take(hf_push_rate(&session->hub->process->settings),
                     &session->push_due_us, hf_boot_us());
    int err;

    if (retry_ms > 0) {
        hf_reply_in_order(
            member,
            hf_msg_limited(frame, hf_member_join_ref(member), retry_ms));
        return 0;
    }
    err = hf_user_renew(session, frame->payload, false);
    member = hf_member_find(session, frame->topic);
    if (err == HF_ENOMEM)
        return err;
    if (member)
        hf_reply_in_order(
            member,
            err ? hf_msg_refusal(frame, hf_member_join_ref(member),
                                 hf_user_reason(err))
                : hf_msg_ok(frame, hf_member_join_ref(member), HF_EMPTY));
    return 0;
}

/* 0, HF_ENOMEM, or HF_EAGAIN: its topic waits for what is under way. */
static int handle(struct hf_session *session, const struct hf_frame *frame)
{
    struct hf_member *member = hf_member_find(session, frame->topic);
    struct hf_str joined = {NULL, 0};

    if (hf_asking_about(session, frame->topic))
        return HF_EAGAIN;
    if (member)
        joined = hf_member_join_ref(member);
    switch (hf_dispatch(frame, joined)) {
    case HF_ACTION_HEARTBEAT:
        answer_heartbeat(session, frame);
        return 0;
    case HF_ACTION_UNMATCHED:
        hf_reply(session, hf_msg_refusal(frame, HF_NULL, "unmatched topic"));
        return 0;
    case HF_ACTION_LEAVE_UNJOINED:
        hf_reply(session, hf_msg_ok(frame, frame->join_ref.raw, HF_EMPTY));
        return 0;
    case HF_ACTION_JOIN:
    case HF_ACTION_JOIN_AGAIN:
        return hf_member_join(session, frame);
    case HF_ACTION_LEAVE:
        return hf_member_leave(member, frame);
    case HF_ACTION_PUSH:
        return hf_renewal_asked(frame) ? renew(session, frame)
                                       : hf_push_start(member, frame);
    case HF_ACTION_DROP:
        return 0;
    }
    return 0;
}

static int stall(struct hf_session *session, const struct hf_frame *frame,
                 struct hf_str bytes, bool binary)
{
    size_t len = bytes.len + frame->topic.len;
    struct hf_stalled *stalled;

    if (session->stalled_count >= HF_STALLED_MAX ||
        session->stalled_bytes + len > HF_STALLED_BYTES)
        return HF_ELIMIT;
    stalled = malloc(sizeof(*stalled) + len);
    if (!stalled)
        return HF_ENOMEM;
    stalled->next = NULL;
    stalled->len = bytes.len;
    stalled->binary = binary;
    memcpy(stalled->bytes, bytes.at, bytes.len);
    stalled->topic = hf_str(stalled->bytes + bytes.len, frame->topic.len);
    if (frame->topic.len > 0)
        memcpy(stalled->bytes + bytes.len, frame->topic.at, frame->topic.len);
    *session->stalled_end = stalled;
    session->stalled_end = &stalled->next;
    session->stalled_count++;
    session->stalled_bytes += len;
    return 0;
}

static void drop_stalled(struct hf_session *session, struct hf_stalled **at)
{
    struct hf_stalled *stalled = *at;

    *at = stalled->next;
    if (!*at)
        session->stalled_end = at;
    session->stalled_count--;
    session->stalled_bytes -= stalled->len + stalled->topic.len;
    free(stalled);
}

/* Does a frame of this topic wait, before `end` (NULL: any)? */
static bool waits(const struct hf_session *session, struct hf_str topic,
                  const struct hf_stalled *end)
{
    const struct hf_stalled *stalled;

    for (stalled = session->stalled; stalled != end; stalled = stalled->next)
        if (hf_str_eq(stalled->topic, topic))
            return true;
    return false;
}

static int handle_stalled(struct hf_session *session,
                          const struct hf_stalled *stalled)
{
    struct hf_frame frame;
    int err;

    if (waits(session, stalled->topic, stalled))
        return HF_EAGAIN;
    err = hf_frame_decode(session->client.vsn,
                          hf_str(stalled->bytes, stalled->len), stalled->binary,
                          &frame);
    if (err)
        return err;
    err = handle(session, &frame);
    hf_frame_release(&frame);
    return err;
}

static void unstall_once(struct hf_session *session)
{
    struct hf_stalled **at = &session->stalled;

    while (*at && !session->closing && !session->ending) {
        int err = handle_stalled(session, *at);

        if (err == HF_EAGAIN) {
            at = &(*at)->next;
            continue;
        }
        drop_stalled(session, at);
        if (err)
            hf_session_fail(session, HF_CLOSE_FAULT);
    }
}

static void defer(struct hf_session *session)
{
    struct hf_hub *hub = session->hub;

    if (!hf_list_linked(&session->deferred))
        hf_list_append(&hub->deferred, &session->deferred);
    hf_loop_at_turn_end(hub->process->loop, &hub->turn);
}

/* A frame that is handled may end what others wait for: then once more. Not
 * while the tail goes through topics and members, which a frame may end. */
void hf_session_unstall(struct hf_session *session)
{
    session->unstall = true;
    if (session->unstalling)
        return;
    if (session->hub->reading) {
        defer(session);
        return;
    }
    session->unstalling = true;
    while (session->unstall) {
        session->unstall = false;
        unstall_once(session);
    }
    session->unstalling = false;
}

void hf_session_undefer(struct hf_list *deferred)
{
    struct hf_list *node;

    while ((node = hf_list_first(deferred)) != NULL) {
        struct hf_session *session = HF_ITEM(node, struct hf_session, deferred);

        hf_list_remove(node);
        if (session->unstall)
            hf_session_unstall(session);
        hf_session_wake(session);
    }
}

static bool is_heartbeat(const struct hf_frame *frame)
{
    return hf_dispatch(frame, hf_str(NULL, 0)) == HF_ACTION_HEARTBEAT;
}

static int receive(struct hf_session *session, const struct hf_frame *frame,
                   struct hf_str bytes, bool binary)
{
    int err;

    if (session->waiting >= HF_REPLIES_MAX ||
        session->waiting_bytes >= HF_REPLIES_BYTES)
        return HF_ELIMIT;
    if (!is_heartbeat(frame) && waits(session, frame->topic, NULL))
        return stall(session, frame, bytes, binary);
    err = handle(session, frame);
    return err == HF_EAGAIN ? stall(session, frame, bytes, binary) : err;
}

int hf_session_receive(struct hf_session *session, struct hf_str bytes,
                       bool binary)
{
    struct hf_frame frame;
    int err;

    if (session->closing || session->ending)
        return 0;
    err = hf_frame_decode(session->client.vsn, bytes, binary, &frame);
    if (err)
        return err;
    err = receive(session, &frame, bytes, binary);
    hf_frame_release(&frame);
    return err;
}

/* From the mark down to half of it, so that a transport does not change its mind
 * with every few messages. */
bool hf_session_is_full(struct hf_session *session)
{
    unsigned part = session->full ? 2 : 1;

    session->full = session->waiting >= HF_REPLIES_FULL / part ||
                    session->waiting_bytes >= HF_REPLIES_FULL_BYTES / part;
    return session->full;
}

struct hf_str hf_session_id(struct hf_session *session)
{
    if (!session->named && hf_token_new_session(session->id) == 0)
        session->named = true;
    return hf_str(session->id, session->named ? sizeof(session->id) : 0);
}

/* --- life -------------------------------------------------------------- */

/* What the hub has passed already while the application was asked. */
static int check_still_wanted(const struct hf_session *session)
{
    const struct hf_client *client = &session->client;

    if (!client->asked)
        return 0;
    return hf_owner_check(session->hub->process->journal, client->user,
                          client->asked_at);
}

int hf_session_open(struct hf_hub *hub, struct hf_link *link,
                    const struct hf_client *client, struct hf_session **out)
{
    struct hf_session *session = calloc(1, sizeof(*session));
    int err;

    if (!session)
        return HF_ENOMEM;
    session->hub = hub;
    session->link = link;
    session->client = hf_client_copy(client);
    hf_list_init(&session->asking);
    hf_list_init(&session->members);
    hf_list_init(&session->ready);
    session->replies_end = &session->replies;
    session->stalled_end = &session->stalled;
    err = hf_user_watch(session);
    if (err == 0)
        err = check_still_wanted(session);
    if (err) {
        hf_user_unwatch(session);
        hf_client_release(&session->client);
        free(session);
        return err;
    }
    hub->counts.sessions++;
    *out = session;
    return 0;
}

bool hf_session_has_presence(const struct hf_session *session)
{
    return session->present > 0;
}

void hf_session_give_up(struct hf_session *session)
{
    session->given_up = true;
}

void hf_session_detach(struct hf_session *session)
{
    struct hf_list *node, *tmp;

    session->closing = true;
    HF_LIST_EACH(node, tmp, &session->members)
    hf_asking_lost(HF_ITEM(node, struct hf_member, in_session), "closed");
    hf_asking_abandon(session);
    hf_tracker_gone(session);
    while ((node = hf_list_first(&session->members)) != NULL)
        hf_member_remove(HF_ITEM(node, struct hf_member, in_session));
    hf_push_abandon(session);
    while (session->replies) {
        struct hf_answer *answer = session->replies;

        session->replies = answer->next;
        hf_msg_unref(answer->msg);
        free(answer);
    }
    while (session->stalled)
        drop_stalled(session, &session->stalled);
    hf_list_remove(&session->deferred);
    hf_user_unwatch(session);
    hf_client_release(&session->client);
    session->hub->counts.sessions--;
    free(session);
}

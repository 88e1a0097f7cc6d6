#include "channel/session.h"

#include <stdlib.h>

#include "base/err.h"
#include "channel/heads.h"
#include "channel/session_state.h"
#include "channel/user.h"

struct hf_stalled {
    struct hf_stalled *next;
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

void hf_session_undefer(struct hf_list *deferred)
{
    struct hf_list *node;

    while ((node = hf_list_first(deferred)) != NULL) {
        hf_list_remove(node);
        hf_session_wake(HF_ITEM(node, struct hf_session, deferred));
    }
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

/* 0, HF_ENOMEM, or HF_EAGAIN: must wait for pushes under way. */
static int handle(struct hf_session *session, const struct hf_frame *frame)
{
    struct hf_member *member = hf_member_find(session, frame->topic);
    struct hf_str joined = {NULL, 0};

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
        return hf_push_start(member, frame);
    case HF_ACTION_DROP:
        return 0;
    }
    return 0;
}

static int stall(struct hf_session *session, struct hf_str bytes, bool binary)
{
    struct hf_stalled *frame;

    if (session->stalled_count >= HF_STALLED_MAX)
        return HF_ELIMIT;
    frame = malloc(sizeof(*frame) + bytes.len);
    if (!frame)
        return HF_ENOMEM;
    frame->next = NULL;
    frame->len = bytes.len;
    frame->binary = binary;
    memcpy(frame->bytes, bytes.at, bytes.len);
    *session->stalled_end = frame;
    session->stalled_end = &frame->next;
    session->stalled_count++;
    return 0;
}

static void drop_stalled(struct hf_session *session)
{
    struct hf_stalled *frame = session->stalled;

    session->stalled = frame->next;
    if (!session->stalled)
        session->stalled_end = &session->stalled;
    session->stalled_count--;
    free(frame);
}

static int handle_stalled(struct hf_session *session,
                          const struct hf_stalled *stalled)
{
    struct hf_frame frame;
    int err = hf_frame_decode(session->client.vsn,
                              hf_str(stalled->bytes, stalled->len),
                              stalled->binary, &frame);

    if (err)
        return err;
    err = handle(session, &frame);
    hf_frame_release(&frame);
    return err;
}

void hf_session_unstall(struct hf_session *session)
{
    while (session->stalled && !session->closing && !session->ending) {
        int err = handle_stalled(session, session->stalled);

        if (err == HF_EAGAIN)
            return;
        drop_stalled(session);
        if (err)
            hf_session_fail(session, HF_CLOSE_FAULT);
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
    if (session->stalled && !is_heartbeat(frame))
        return stall(session, bytes, binary);
    err = handle(session, frame);
    return err == HF_EAGAIN ? stall(session, bytes, binary) : err;
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

/* --- life -------------------------------------------------------------- */

int hf_session_open(struct hf_hub *hub, struct hf_link *link,
                    const struct hf_client *client, struct hf_session **out)
{
    struct hf_session *session = calloc(1, sizeof(*session));

    if (!session)
        return HF_ENOMEM;
    session->hub = hub;
    session->link = link;
    session->client = hf_client_copy(client);
    hf_list_init(&session->members);
    hf_list_init(&session->ready);
    session->replies_end = &session->replies;
    session->stalled_end = &session->stalled;
    if (hf_user_watch(session)) {
        hf_user_unwatch(session);
        hf_client_release(&session->client);
        free(session);
        return HF_ENOMEM;
    }
    hub->counts.sessions++;
    *out = session;
    return 0;
}

void hf_session_detach(struct hf_session *session)
{
    struct hf_list *node;

    session->closing = true;
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
        drop_stalled(session);
    hf_list_remove(&session->deferred);
    hf_user_unwatch(session);
    hf_client_release(&session->client);
    session->hub->counts.sessions--;
    free(session);
}

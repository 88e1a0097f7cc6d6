#include "channel/session_state.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "channel/row.h"
#include "channel/tracker.h"
#include "channel/user.h"

/* It was caught up, so its position moved with the hub (D7). */
static void catch_up(struct hf_member *member)
{
    if (member->cursor < member->topic->hub->cursor)
        member->cursor = member->topic->hub->cursor;
}

void hf_member_hold(struct hf_member *member)
{
    if (!hf_list_linked(&member->ready))
        catch_up(member);
    member->held = true;
}

void hf_member_unhold(struct hf_member *member)
{
    struct hf_session *session = member->session;

    member->held = false;
    if (!hf_list_linked(&member->ready)) /* and its position is where it was */
        hf_list_append(&session->ready, &member->ready);
    hf_session_wake(session);
}

void hf_member_ready(struct hf_member *member)
{
    struct hf_session *session = member->session;

    if (member->held)
        return; /* until it goes on */
    if (!hf_list_linked(&member->ready)) {
        catch_up(member);
        hf_list_append(&session->ready, &member->ready);
    }
    hf_session_wake(session);
}

/* --- membership -------------------------------------------------------- */

struct hf_member *hf_member_find(const struct hf_session *session,
                                 struct hf_str topic_name)
{
    struct hf_topic *topic = hf_hub_find(session->hub, topic_name);
    struct hf_list *node, *tmp;

    if (!topic)
        return NULL;
    HF_LIST_EACH(node, tmp, &session->members)
    {
        struct hf_member *member = HF_ITEM(node, struct hf_member, in_session);

        if (member->topic == topic)
            return member;
    }
    return NULL;
}

void hf_member_remove(struct hf_member *member)
{
    struct hf_session *session = member->session;
    struct hf_topic *topic = member->topic;
    struct hf_asking *ends = hf_answers_release(member);

    hf_tracker_left(member);
    hf_list_remove(&member->in_session);
    hf_list_remove(&member->in_topic);
    hf_list_remove(&member->ready);
    session->members_count--;
    session->hub->counts.members--;
    session->hub->counts.lagging -= member->lagging ? 1u : 0u;
    free(member);
    hf_hub_left(topic);
    if (ends)
        hf_asking_ended(ends, NULL);
}

void hf_member_expel(struct hf_member *member, const char *reason)
{
    struct hf_session *session = member->session;
    struct hf_msg *msg = hf_msg_phx_error(member, reason);

    hf_asking_lost(member, reason);
    hf_member_remove(member);
    hf_reply(session, msg);
}

static int add_member(struct hf_session *session, const struct hf_frame *frame,
                      uint64_t cursor, bool with_cursors, struct hf_str key,
                      struct hf_member **out)
{
    struct hf_str join_ref = hf_join_ref_of(frame);
    /* The text begins where the size is still rounded up. */
    size_t len = offsetof(struct hf_member, join_ref) + join_ref.len + key.len;
    struct hf_member *member =
        calloc(1, len > sizeof(*member) ? len : sizeof(*member));
    int err;

    if (!member)
        return HF_ENOMEM;
    err = hf_hub_enter(session->hub, frame->topic, &member->topic);
    if (err) {
        free(member);
        return err;
    }
    member->session = session;
    member->cursor = cursor;
    member->sent = cursor;
    member->began = cursor;
    member->live = session->hub->cursor;
    member->answers_end = &member->answers;
    member->with_cursors = with_cursors;
    member->realtime = hf_join_realtime(frame);
    member->without_self = hf_join_without_self(frame);
    member->join_ref_len = (uint8_t)join_ref.len;
    memcpy(member->join_ref, join_ref.at, join_ref.len);
    member->key_len = (uint8_t)key.len;
    if (key.len > 0)
        memcpy(member->join_ref + join_ref.len, key.at, key.len);
    hf_list_append(&session->members, &member->in_session);
    hf_list_append(&member->topic->members, &member->in_topic);
    session->members_count++;
    session->hub->counts.members++;
    *out = member;
    return 0;
}

/* --- join and leave ---------------------------------------------------- */

/* `theirs`: the response of the application, an object. */
static struct hf_msg *joined_msg(const struct hf_session *session,
                                 const struct hf_frame *frame,
                                 const struct hf_resume *resume,
                                 const struct hf_start *start,
                                 struct hf_str theirs)
{
    struct hf_buf ours, both;
    struct hf_msg *msg = NULL;

    hf_buf_init(&ours, 128); /* a cursor, a flag and a word */
    hf_buf_init(&both, theirs.len + 128);
    if (hf_join_response(&ours, resume, start, session->hub->epoch) == 0 &&
        hf_join_merge(&both, theirs, hf_buf_str(&ours)) == 0)
        msg = hf_msg_ok(frame, frame->join_ref.raw, hf_buf_str(&both));
    hf_buf_release(&ours);
    hf_buf_release(&both);
    return msg;
}

/* The new join is answered first, then the old membership closed (4.3); with
 * equal join_refs a close would hit the new one, so none is sent. */
static void end_older(struct hf_member *older, struct hf_str join_ref,
                      struct hf_msg **out_close)
{
    *out_close = hf_str_eq(join_ref, hf_member_join_ref(older))
                     ? NULL
                     : hf_msg_close(older);
    hf_member_remove(older);
}

static const char *join_refused(const struct hf_session *session,
                                const struct hf_frame *frame,
                                const struct hf_member *older, size_t pending,
                                bool *out_null_ref)
{
    const struct hf_process *process = session->hub->process;

    return hf_join_refused(
        frame, hf_rights_of(process->rights, &session->client, frame->topic),
        session->members_count + pending - (older ? 1u : 0u),
        process->settings.max_channels, out_null_ref);
}

/* What the join says of presence; where the application is asked, it says who
 * is present. NULL, or the reason why it cannot be. */
static const char *presence_of(struct hf_session *session,
                               const struct hf_frame *frame, bool asked,
                               struct hf_presence_join *out)
{
    struct hf_hub *hub = session->hub;
    struct hf_str owner =
        hf_presence_owner_of(&session->client, hf_session_id(session));
    struct hf_grant grant =
        hf_rights_of(hub->process->rights, &session->client, frame->topic);

    hf_presence_of_join(frame, &session->client, owner, grant, out);
    if (asked)
        out->meta = HF_STR("");
    return hf_tracker_refused(hub->tracker, frame, owner, out);
}

/* What a replay holds goes behind the reply, as answers do: it is little, and
 * in front of all live rows. */
struct replay {
    const struct hf_member *member;
    struct hf_buf payload;
};

static int replay_row(void *ctx, const struct hf_row *row)
{
    struct replay *replay = ctx;
    struct hf_row marked = *row;
    const struct hf_member *member = replay->member;
    uint64_t epoch = member->session->hub->epoch;
    int err;

    if (!hf_replayable(row))
        return 0;
    hf_buf_reset(&replay->payload);
    err = hf_replayed_payload(&replay->payload, row, epoch);
    if (err)
        return err;
    marked.payload = hf_buf_str(&replay->payload);
    hf_reply(member->session, hf_row_msg(&marked, epoch, hf_member_form(member),
                                         hf_member_join_ref(member)));
    return 0;
}

static int send_replay(const struct hf_member *member,
                       const struct hf_start *start)
{
    struct hf_hub *hub = member->session->hub;
    struct replay replay = {member, {0}};
    uint64_t last;
    bool more;
    int err;

    hf_buf_init(&replay.payload, SIZE_MAX / 2); /* bounded by its row */
    err = hf_journal_read_topic(hub->process->journal,
                                hf_topic_name(member->topic), start->replay,
                                hub->cursor, HF_REPLAY_LOOK, SIZE_MAX,
                                replay_row, &replay, &last, &more);
    hf_buf_release(&replay.payload);
    return err;
}

static int accept_join(struct hf_session *session, const struct hf_frame *frame,
                       struct hf_str theirs, bool asked, struct hf_member **out)
{
    struct hf_hub *hub = session->hub;
    struct hf_resume resume = hf_resume_of(frame);
    struct hf_presence_join presence;
    struct hf_member *member;
    struct hf_start start;
    int err;

    if (hf_resume_locate(&resume, hub->process->journal, frame->topic,
                         hub->epoch, hub->cursor, &start)) {
        hub->counts.joins_refused++;
        hf_reply(session, hf_msg_refusal(frame, frame->join_ref.raw, "busy"));
        return 0;
    }
    (void)presence_of(session, frame, asked, &presence); /* it was judged */
    err = add_member(session, frame, start.cursor, resume.asked, presence.key,
                     &member);
    if (err)
        return err;
    hub->counts.joins++;
    hf_reply(session, joined_msg(session, frame, &resume, &start, theirs));
    err = hf_tracker_joined(member, presence.meta);
    if (err)
        return err;
    if (member->owed || start.cursor < hub->cursor)
        hf_list_append(&session->ready, &member->ready);
    *out = member;
    if (resume.replay && start.replay < hub->cursor)
        err = send_replay(member, &start);
    return err;
}

/* A join as it stands at this moment. */
struct join {
    struct hf_member *older; /* the membership that it ends; or NULL */
    const char *refusal;     /* NULL: it may happen */
    bool null_ref;           /* and is answered so */
    int64_t retry_ms;        /* > 0: too soon, whatever it is */
};

/* `token`: what became of the one it brought. `pending`: joins the application
 * is asked about, which count as joined. */
static struct join judge_join(struct hf_session *session,
                              const struct hf_frame *frame, int token,
                              size_t pending)
{
    struct hf_presence_join presence;
    struct join join = {NULL, NULL, false, 0};
    /* Up to the head first, so that whatever is committed later reaches the
     * member live and nothing earlier does (D7); rights are then the newest,
     * too. It may end memberships, so look for the older one after it. */
#ifdef HF_BROKEN_HEAD_IS_HUB
    int err = 0;
#else
    int err = hf_hub_catch_up(session->hub);
#endif

    join.older = hf_member_find(session, frame->topic);
    if (err == HF_EREPLACED)
        join.refusal = "journal_failed";
    else if (err || token == HF_ENOMEM)
        join.refusal = "busy";
    else if (token && token != HF_ENOTFOUND)
        join.refusal = hf_user_reason(token);
    else
        join.refusal =
            join_refused(session, frame, join.older, pending, &join.null_ref);
    if (!join.refusal)
        join.refusal = presence_of(session, frame, false, &presence);
    return join;
}

/* `answer`: what the application said, or NULL when it was not asked. */
static int settle_join(struct hf_session *session, const struct hf_frame *frame,
                       const struct join *join,
                       const struct hf_hook_answer *answer,
                       struct hf_member **out)
{
    bool denied = answer && !hf_hook_answer_ok(answer);
    struct hf_msg *close = NULL;
    int err = 0;

    if (join->older)
        end_older(join->older, hf_join_ref_of(frame), &close);
    if (join->retry_ms > 0 || join->refusal || denied)
        session->hub->counts.joins_refused++;
    if (join->retry_ms > 0)
        hf_reply(session,
                 hf_msg_limited(frame, frame->join_ref.raw, join->retry_ms));
    else if (join->refusal)
        hf_reply(session,
                 hf_msg_refusal(frame,
                                join->null_ref ? HF_NULL : frame->join_ref.raw,
                                join->refusal));
    else if (denied)
        hf_reply(session,
                 hf_msg_joined(frame, answer->status, answer->response.text));
    else
        err = accept_join(session, frame,
                          answer ? answer->response.text : HF_EMPTY,
                          answer != NULL, out);
    if (close)
        hf_reply(session, close);
    return err;
}

int hf_member_join(struct hf_session *session, const struct hf_frame *frame)
{
    struct hf_member *member = hf_member_find(session, frame->topic);
    struct join join = {.older = member};
    int token, err;

    if (member && member->in_flight > 0)
        return HF_EAGAIN;
    join.retry_ms = hf_rate_take(hf_join_rate(&session->hub->process->settings),
                                 &session->join_due_us, hf_boot_us());
    if (join.retry_ms == 0) { /* only now: to verify a token is dear */
        token = hf_user_renew(session, frame->payload, true);
        join = judge_join(session, frame, token, hf_asking_joins(session));
    }
    if (!join.refusal && join.retry_ms == 0 &&
        hf_asking_wanted(session, HF_HOOK_JOIN, frame->topic)) {
        err = hf_ask(session, HF_HOOK_JOIN, frame);
        if (err != HF_ELIMIT)
            return err;
        join.refusal = "busy";
    }
    return settle_join(session, frame, &join, NULL, &member);
}

int hf_member_join_asked(struct hf_session *session,
                         const struct hf_frame *frame, const char *reason,
                         const struct hf_hook_answer *answer,
                         struct hf_member **out)
{
    /* The token it brought was taken before; a fresher one may have come. */
    struct join join = judge_join(session, frame, 0, 0);

    *out = NULL;
    if (!join.refusal)
        join.refusal = reason;
    return settle_join(session, frame, &join, answer, out);
}

void hf_member_left(struct hf_member *member, const struct hf_frame *frame)
{
    struct hf_session *session = member->session;
    struct hf_msg *close = hf_msg_close(member);
    struct hf_msg *ok = hf_msg_ok(frame, hf_member_join_ref(member), HF_EMPTY);

    hf_member_remove(member);
    hf_reply(session, ok);
    hf_reply(session, close);
}

int hf_member_leave(struct hf_member *member, const struct hf_frame *frame)
{
    struct hf_session *session = member->session;

#ifndef HF_BROKEN_LEAVE_DOES_NOT_WAIT
    if (member->in_flight > 0)
        return HF_EAGAIN; /* waits for its pushes (D5) */
#endif
    /* who leaves is not kept by an application that has too much to do */
    if (!hf_asking_wanted(session, HF_HOOK_LEAVE, frame->topic) ||
        hf_ask(session, HF_HOOK_LEAVE, frame))
        hf_member_left(member, frame);
    return 0;
}

#include "channel/post_state.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "channel/heads.h"
#include "channel/hook_once.h"
#include "channel/once.h"
#include "channel/presence.h"

/* --- memberships in hand ----------------------------------------------- */

static struct hf_str put(char **at, struct hf_str s)
{
    struct hf_str copy = {*at, s.len};

    if (s.len > 0)
        memcpy(*at, s.at, s.len);
    *at += s.len;
    return copy;
}

int hf_post_remember(struct hf_post_work *work, const struct hf_membership *m)
{
    struct hf_joined *j =
        malloc(sizeof(*j) + m->topic.len + m->join_ref.len + m->presence.len);
    char *at;

    if (!j)
        return HF_ENOMEM;
    at = j->bytes;
    j->topic = put(&at, m->topic);
    j->join_ref = put(&at, m->join_ref);
    j->presence = put(&at, m->presence);
    j->at = m->joined;
    j->next = work->joined;
    work->joined = j;
    work->joined_count++;
    return 0;
}

struct hf_joined *hf_post_joined(const struct hf_post_work *work,
                                 struct hf_str topic)
{
    struct hf_joined *j;

    for (j = work->joined; j; j = j->next)
        if (hf_str_eq(j->topic, topic))
            return j;
    return NULL;
}

static void forget(struct hf_post_work *work, const struct hf_joined *gone)
{
    struct hf_joined **at = &work->joined;

    while (*at != gone)
        at = &(*at)->next;
    *at = gone->next;
    work->joined_count--;
}

void hf_post_forget_all(struct hf_post_work *work)
{
    struct hf_joined *j;

    while ((j = work->joined) != NULL) {
        forget(work, j);
        free(j);
    }
}

/* --- replies ----------------------------------------------------------- */

/* What work->text holds becomes the session's next frame, under `id`. */
static int add_frame_at(struct hf_post_work *work, uint64_t id)
{
    struct hf_str text = hf_buf_str(&work->text);

    if (hf_buf_error(&work->text))
        return hf_buf_error(&work->text);
    return hf_frame_add(work->journal, hf_post_session(work), id, text);
}

/* The same with an id drawn for it; before the first join there is no stream
 * yet, and it waits in live.db, as replies to heartbeats alone do. */
int hf_post_add_frame(struct hf_post_work *work)
{
    uint32_t len = (uint32_t)work->text.len;
    uint64_t id;
    int err;

    if (!work->exists) {
        (void)hf_buf_add(&work->early, &len, sizeof(len));
        (void)hf_buf_add_str(&work->early, hf_buf_str(&work->text));
        return hf_buf_error(&work->early);
    }
    err = hf_journal_draw(work->journal, &id);
    return err ? err : add_frame_at(work, id);
}

static int hf_post_reply_error(struct hf_post_work *work,
                               const struct hf_frame *frame,
                               struct hf_str join_ref, const char *reason)
{
    hf_buf_reset(&work->text);
    (void)hf_reply_error(&work->text, frame, join_ref, reason);
    return hf_post_add_frame(work);
}

static int reply_limited(struct hf_post_work *work,
                         const struct hf_frame *frame, struct hf_str join_ref,
                         int64_t retry_ms)
{
    hf_buf_reset(&work->text);
    (void)hf_reply_limited(&work->text, frame, join_ref, retry_ms);
    return hf_post_add_frame(work);
}

int hf_post_reply_ok(struct hf_post_work *work, const struct hf_frame *frame,
                     struct hf_str join_ref)
{
    hf_buf_reset(&work->text);
    (void)hf_reply_ok(&work->text, frame, join_ref, HF_EMPTY);
    return hf_post_add_frame(work);
}

static int add_close(struct hf_post_work *work, const struct hf_joined *j)
{
    hf_buf_reset(&work->text);
    (void)hf_encode_close(&work->text, work->client.vsn, j->join_ref, j->topic);
    return hf_post_add_frame(work);
}

/* --- what the application wants ---------------------------------------- */

/* Where nothing happens without its answer: why there is none; else NULL. */
static const char *unanswered(const struct hf_post_work *work)
{
    if (!work->wanted || work->answer)
        return NULL;
    return work->reason ? work->reason : "busy"; /* it was not asked */
}

/* The channel ends behind everything else. */
static int end_channel(struct hf_post_work *work, struct hf_joined *j)
{
    uint64_t id;
    int err = hf_journal_draw(work->journal, &id);

    if (err == 0)
        err =
            hf_membership_end(work->journal, hf_post_session(work), j->at, id);
    hf_buf_reset(&work->text);
    if (work->answer->crash)
        (void)hf_encode_error(&work->text, work->client.vsn, j->join_ref,
                              j->topic, "channel_crash");
    else
        (void)hf_encode_close(&work->text, work->client.vsn, j->join_ref,
                              j->topic);
    if (err == 0)
        err = add_frame_at(work, id);
    forget(work, j);
    free(j);
    return err;
}

static int answer_and_end(struct hf_post_work *work,
                          const struct hf_frame *frame)
{
    struct hf_joined *j = hf_post_joined(work, frame->topic);
    int err = hf_post_answer(work, frame, j);

    if (err || (!work->answer->stop && !work->answer->crash))
        return err;
    return end_channel(work, j);
}

/* --- join -------------------------------------------------------------- */

static int encode_joined(struct hf_post_work *work,
                         const struct hf_frame *frame,
                         const struct hf_resume *resume,
                         const struct hf_start *start)
{
    struct hf_str theirs =
        work->answer ? work->answer->response.text : HF_EMPTY;
    struct hf_buf ours, both;
    int err;

    hf_buf_init(&ours, 128); /* a cursor, a flag and a word */
    hf_buf_init(&both, theirs.len + 128);
    hf_buf_reset(&work->text);
    err = hf_join_response(&ours, resume, start, work->token.epoch);
    if (err == 0)
        err = hf_join_merge(&both, theirs, hf_buf_str(&ours));
    if (err == 0)
        err = hf_reply_ok(&work->text, frame, frame->join_ref.raw,
                          hf_buf_str(&both));
    hf_buf_release(&ours);
    hf_buf_release(&both);
    return err;
}

/* --- presence ------------------------------------------------------------ */

struct hf_holder hf_post_holder(const struct hf_post_work *work,
                                uint64_t joined)
{
    struct hf_str session = hf_post_session(work);

    return (struct hf_holder){
        .owner = hf_presence_owner_of(&work->client, session),
        .session = session,
        .member = joined,
        .lease = session,
    };
}

static int track(struct hf_post_work *work, const struct hf_membership *m,
                 struct hf_str meta)
{
    struct hf_holder holder = hf_post_holder(work, m->joined);

    return hf_presence_track(work->journal, &holder, m->topic, m->presence,
                             meta, HF_TRACK);
}

/* Who cannot be tracked is not joined half: NULL, or the reason. */
static const char *presence_refused(struct hf_post_work *work,
                                    const struct hf_frame *frame,
                                    struct hf_grant grant,
                                    struct hf_presence_join *out)
{
    struct hf_str owner =
        hf_presence_owner_of(&work->client, hf_post_session(work));

    hf_presence_of_join(frame, &work->client, owner, grant, out);
    if (work->asked) /* the application says who is present */
        out->meta = HF_STR("");
    if (out->refused || out->meta.len == 0)
        return out->refused;
    return hf_presence_reason(hf_presence_room(
        work->journal, owner, frame->topic, out->key, out->meta));
}

static int push_presence(struct hf_post_work *work,
                         const struct hf_frame *frame,
                         const struct hf_joined *j,
                         const struct hf_presence_push *push)
{
    struct hf_holder holder = hf_post_holder(work, j->at);
    const char *reason = NULL;
    int err = 0;

    if (j->presence.len == 0)
        reason = "unauthorized"; /* the right is newer than the channel */
    if (!reason)
        err = push->tracks
                  ? hf_presence_track(work->journal, &holder, frame->topic,
                                      j->presence, push->meta, HF_TRACK)
                  : hf_presence_untrack(work->journal, holder.owner,
                                        frame->topic, j->presence);
    if (err)
        reason = hf_presence_reason(err);
    if (err && !reason)
        return err;
    return reason ? hf_post_reply_error(work, frame, j->join_ref, reason)
                  : hf_post_reply_ok(work, frame, j->join_ref);
}

/* ------------------------------------------------------------------------- */

/* The membership begins at its reply's id; a stream that resumes replays
 * (since, joined] behind it (D6). */
static int begin_membership(struct hf_post_work *work,
                            const struct hf_frame *frame,
                            const struct hf_presence_join *presence,
                            uint64_t id)
{
    struct hf_resume resume = hf_resume_of(frame);
    struct hf_membership m = {.topic = frame->topic,
                              .join_ref = hf_join_ref_of(frame),
                              .has_since = resume.asked,
                              .has_replay = resume.replay,
                              .joined = id,
                              .vsn = work->client.vsn,
                              .presence = presence->key};
    struct hf_start start;
    int err = hf_resume_locate(&resume, work->journal, frame->topic,
                               work->token.epoch, id, &start);

    if (err)
        return err;
    m.since = start.cursor;
    m.replay = start.replay;
    err = encode_joined(work, frame, &resume, &start);
    if (err == 0)
        err = hf_session_add(work->journal, hf_post_session(work));
    if (err == 0 && !work->exists)
        err = hf_post_own(work);
    if (err == 0)
        err = hf_membership_add(work->journal, hf_post_session(work), &m);
    if (err == 0)
        err = add_frame_at(work, id);
    if (err == 0)
        err = hf_post_remember(work, &m);
    if (err == 0 && presence->meta.len > 0)
        err = track(work, &m, presence->meta);
    if (err == 0)
        work->exists = true;
    return err;
}

/* The older membership ends where the new one begins; its close comes behind
 * the new reply, and not at all when it would hit the new one (4.3). */
static int end_older(struct hf_post_work *work, const struct hf_joined *older,
                     uint64_t at, struct hf_str new_join_ref)
{
#ifdef HF_BROKEN_OLDER_GOES_ON
    int err = 0;
#else
    int err =
        hf_membership_end(work->journal, hf_post_session(work), older->at, at);
#endif

    if (err || hf_str_eq(older->join_ref, new_join_ref))
        return err;
    return add_close(work, older);
}

/* The answer to a join that may not be: ours, with a reason, or else the
 * application's; the older one ends all the same. */
static int refuse_join(struct hf_post_work *work, const struct hf_frame *frame,
                       const struct hf_joined *older, int64_t retry_ms,
                       const char *reason, bool null_ref)
{
    uint64_t id;
    int err = 0;

    if (older) /* what ends with it ends before its reply */
        err = hf_journal_draw(work->journal, &id);
    if (err == 0 && retry_ms > 0)
        err = reply_limited(work, frame, frame->join_ref.raw, retry_ms);
    else if (err == 0 && reason)
        err = hf_post_reply_error(
            work, frame, null_ref ? HF_NULL : frame->join_ref.raw, reason);
    else if (err == 0)
        err = hf_post_answer_reply(work, frame, frame->join_ref.raw);
    if (err || !older)
        return err; /* nothing has changed */
    return end_older(work, older, id, hf_join_ref_of(frame));
}

static int accept_join(struct hf_post_work *work, const struct hf_frame *frame,
                       const struct hf_presence_join *presence,
                       const struct hf_joined *older)
{
    uint64_t id;
    int err = hf_journal_draw(work->journal, &id);

    if (err == 0)
        err = begin_membership(work, frame, presence, id);
    if (err == 0 && older)
        err = end_older(work, older, id, hf_join_ref_of(frame));
    if (err || !work->answer)
        return err;
    return answer_and_end(work, frame);
}

static bool join_refused_by_application(const struct hf_post_work *work)
{
    return work->answer && !hf_hook_answer_ok(work->answer);
}

static int join(struct hf_post_work *work, const struct hf_frame *frame,
                const char *token_refusal)
{
    const struct hf_settings *settings = &work->longpoll->process->settings;
    struct hf_joined *older = hf_post_joined(work, frame->topic);
    struct hf_grant grant = hf_rights_of(work->longpoll->writer_rights,
                                         &work->client, frame->topic);
    int64_t retry_ms = hf_rate_take(
        hf_join_rate(settings), &work->rates.join_due_us, hf_wall_ms() * 1000);
    struct hf_presence_join presence;
    bool null_ref = false;
    const char *reason =
        hf_join_refused(frame, grant, work->joined_count - (older ? 1u : 0u),
                        settings->max_channels, &null_ref);
    int err;

    if (token_refusal) {
        reason = token_refusal;
        null_ref = false;
    }
    if (work->asked)
        retry_ms = 0; /* it was let through before it was asked */
    if (!reason)
        reason = unanswered(work);
    if (!reason)
        reason = presence_refused(work, frame, grant, &presence);
    if (older)
        forget(work, older);
    err = retry_ms > 0 || reason || join_refused_by_application(work)
              ? refuse_join(work, frame, older, retry_ms, reason, null_ref)
              : accept_join(work, frame, &presence, older);
    free(older);
    return err;
}

static int join_with_token(struct hf_post_work *work,
                           const struct hf_frame *frame)
{
    const char *refusal;
    int err = hf_post_renew(work, frame, &refusal);

    return err ? err : join(work, frame, refusal);
}

static int renew(struct hf_post_work *work, const struct hf_frame *frame)
{
    struct hf_str join_ref = hf_post_joined(work, frame->topic)->join_ref;
    const char *refusal;
    int err = hf_post_renew(work, frame, &refusal);

    if (err)
        return err;
    return refusal ? hf_post_reply_error(work, frame, join_ref, refusal)
                   : hf_post_reply_ok(work, frame, join_ref);
}

/* --- leave and push ---------------------------------------------------- */

static int leave(struct hf_post_work *work, const struct hf_frame *frame)
{
    struct hf_joined *j = hf_post_joined(work, frame->topic);
    int err = work->answer ? hf_post_answer(work, frame, j) : 0;
    uint64_t id = 0;

    if (err == 0)
        err = hf_journal_draw(work->journal, &id);
    forget(work, j);
    if (err == 0)
        err =
            hf_membership_end(work->journal, hf_post_session(work), j->at, id);
#ifdef HF_BROKEN_DELETE_AT_LEAVE
    if (err == 0)
        err = hf_session_acknowledged(work->journal, hf_post_session(work), id);
#endif
    hf_buf_reset(&work->text);
    (void)hf_reply_ok(&work->text, frame, j->join_ref, HF_EMPTY);
    if (err == 0)
        err = add_frame_at(work, id);
    if (err == 0)
        err = add_close(work, j);
    free(j);
    return err;
}

/* What a client got wrong is its answer; other errors undo the POST. */
static bool is_refusal(int err)
{
    return err == HF_EINVAL || err == HF_ELIMIT || err == HF_ECONFLICT ||
           err == HF_EAGAIN;
}

/* A push with a key is told which row it was, or is. */
static int reply_pushed(struct hf_post_work *work, const struct hf_frame *frame,
                        struct hf_str join_ref, uint64_t id)
{
    struct hf_cursor cursor = {work->token.epoch, id};
    struct hf_buf response;
    int err;

    hf_buf_init(&response, 64); /* a cursor and its name */
    hf_buf_reset(&work->text);
    err = hf_push_response(&response, cursor);
    if (err == 0)
        err = hf_reply_ok(&work->text, frame, join_ref, hf_buf_str(&response));
    hf_buf_release(&response);
    return err ? err : hf_post_add_frame(work);
}

static int publish(struct hf_post_work *work, const struct hf_frame *frame,
                   const struct hf_once *once, struct hf_str join_ref,
                   struct hf_grant grant)
{
    struct hf_publish publish = {.topic = frame->topic,
                                 .event = frame->event,
                                 .payload = frame->payload.raw,
                                 .kind = frame->kind,
                                 .publisher = once->publisher,
                                 .key = once->key,
                                 .after = once->after,
                                 .skip = grant.echo ? HF_STR("")
                                                    : hf_post_session(work)};
    int64_t retry_ms;
    bool repeated;
    uint64_t id;
    int err = hf_topic_limited(work->journal, &publish, grant.rate, &retry_ms);

    if (err == 0 && retry_ms > 0)
        return reply_limited(work, frame, join_ref, retry_ms);
    if (err == 0)
        err = hf_journal_append(work->journal, &publish, &id, &repeated);
    if (is_refusal(err))
        return hf_post_reply_error(work, frame, join_ref,
                                   hf_publish_reason(err));
    if (err)
        return err;
    return once->key.len > 0 ? reply_pushed(work, frame, join_ref, id)
                             : hf_post_reply_ok(work, frame, join_ref);
}

/* The application's answer, or what was kept for the push's key meanwhile. */
static int answer_once(struct hf_post_work *work, const struct hf_frame *frame,
                       const struct hf_once *once, struct hf_str join_ref)
{
    struct hf_hook_answer *answer = work->answer, *kept;
    int err = hf_hook_once_keep(work->journal, frame, once, answer, &kept);

    if (err == HF_ECONFLICT)
        return hf_post_reply_error(work, frame, join_ref,
                                   hf_publish_reason(err));
    if (err)
        return err;
    if (kept)
        work->answer = kept;
    err = answer_and_end(work, frame);
    work->answer = answer; /* a batch that is undone begins with it again */
    hf_hook_answer_free(kept);
    return err;
}

static int push(struct hf_post_work *work, const struct hf_frame *frame)
{
    const struct hf_settings *settings = &work->longpoll->process->settings;
    struct hf_grant grant = hf_rights_of(work->longpoll->writer_rights,
                                         &work->client, frame->topic);
    const struct hf_joined *j = hf_post_joined(work, frame->topic);
    struct hf_str join_ref = j->join_ref;
    struct hf_presence_push presence;
    struct hf_once once = {.key = {NULL, 0}};
    int64_t retry_ms;
    bool is_presence = hf_presence_of_push(frame, grant, &presence);
    const char *refusal =
        is_presence ? presence.refused
                    : hf_push_refused(frame, grant, settings->max_payload);

    /* rights first: a key tells nobody what is in a topic */
    if (!refusal && !is_presence)
        refusal = hf_once_of(frame, work->client.user, &once);
    if (refusal)
        return hf_post_reply_error(work, frame, join_ref, refusal);
    retry_ms = hf_rate_take(hf_push_rate(settings), &work->rates.push_due_us,
                            hf_wall_ms() * 1000);
    if (retry_ms > 0 && !work->asked)
        return reply_limited(work, frame, join_ref, retry_ms);
    refusal = unanswered(work);
    if (refusal)
        return hf_post_reply_error(work, frame, join_ref, refusal);
    if (work->answer)
        return answer_once(work, frame, &once, join_ref);
    if (is_presence)
        return push_presence(work, frame, j, &presence);
    return publish(work, frame, &once, join_ref, grant);
}

/* ------------------------------------------------------------------------- */

int hf_post_heartbeat(struct hf_post_work *work, struct hf_journal *journal,
                      const struct hf_frame *frame)
{
    int err = 0;

    if (!hf_heads_asked(frame))
        return hf_post_reply_ok(work, frame, HF_NULL);
    if (work->heads.len == 0) /* the token says them, whoever asks */
        err = hf_heads_read(&work->heads, journal, &work->token);
    hf_buf_reset(&work->text);
    if (err == 0)
        err =
            hf_reply_ok(&work->text, frame, HF_NULL, hf_buf_str(&work->heads));
    return err ? err : hf_post_add_frame(work);
}

int hf_post_carry_out(struct hf_post_work *work, const struct hf_frame *frame)
{
    const struct hf_joined *j = hf_post_joined(work, frame->topic);
    struct hf_str joined = {NULL, 0};

    if (j)
        joined = j->join_ref;
    switch (hf_dispatch(frame, joined)) {
    case HF_ACTION_HEARTBEAT:
        return hf_post_heartbeat(work, work->journal, frame);
    case HF_ACTION_UNMATCHED:
        return hf_post_reply_error(work, frame, HF_NULL, "unmatched topic");
    case HF_ACTION_LEAVE_UNJOINED:
        return hf_post_reply_ok(work, frame, frame->join_ref.raw);
    case HF_ACTION_JOIN:
    case HF_ACTION_JOIN_AGAIN:
        return join_with_token(work, frame);
    case HF_ACTION_LEAVE:
        return leave(work, frame);
    case HF_ACTION_PUSH:
        return hf_renewal_asked(frame) ? renew(work, frame) : push(work, frame);
    case HF_ACTION_DROP:
        return 0;
    }
    return 0;
}

/*
 * post.c - frames of a long-poll session: a POST, carried out as rows (D6)
 *
 * All of a POST happens inside one part of one IMMEDIATE transaction of the
 * writer, so two POSTs of a session in two processes come one after the other,
 * and a POST that fails has had no effect. Its replies are frames of the
 * session's stream; they arrive by poll. A POST of nothing but heartbeats needs
 * no transaction, so that whoever only reads is served while the journal takes
 * no writes.
 */
#include <stdlib.h>

#include "base/err.h"
#include "base/log.h"
#include "channel/dispatch.h"
#include "channel/longpoll_state.h"
#include "schema/sessions.h"

/* A live membership, while a POST is carried out. */
struct joined {
    struct joined *next;
    uint64_t at; /* its join's id */
    struct hf_str topic, join_ref;
    char bytes[];
};

struct hf_post_work {
    struct hf_job job;
    struct hf_longpoll *longpoll;
    struct hf_post *post; /* NULL: the transport is gone */
    struct hf_token token;
    struct hf_journal *journal; /* writer thread, while run */
    struct joined *joined;
    size_t joined_count;
    bool exists;         /* the session has rows */
    struct hf_buf text;  /* scratch of one frame */
    struct hf_buf early; /* replies for live.db: length, text */
    size_t count;
    struct hf_frame *frames;
    char body[];
};

static struct hf_str session_of(const struct hf_post_work *work)
{
    return hf_str(work->token.session, sizeof(work->token.session));
}

/* --- memberships in hand ----------------------------------------------- */

static int remember(struct hf_post_work *work, struct hf_str topic,
                    struct hf_str join_ref, uint64_t at)
{
    struct joined *j = malloc(sizeof(*j) + topic.len + join_ref.len);

    if (!j)
        return HF_ENOMEM;
    memcpy(j->bytes, topic.at, topic.len);
    memcpy(j->bytes + topic.len, join_ref.at, join_ref.len);
    j->topic = hf_str(j->bytes, topic.len);
    j->join_ref = hf_str(j->bytes + topic.len, join_ref.len);
    j->at = at;
    j->next = work->joined;
    work->joined = j;
    work->joined_count++;
    return 0;
}

static struct joined *find(const struct hf_post_work *work, struct hf_str topic)
{
    struct joined *j;

    for (j = work->joined; j; j = j->next)
        if (hf_str_eq(j->topic, topic))
            return j;
    return NULL;
}

static void forget(struct hf_post_work *work, const struct joined *gone)
{
    struct joined **at = &work->joined;

    while (*at != gone)
        at = &(*at)->next;
    *at = gone->next;
    work->joined_count--;
}

static void forget_all(struct hf_post_work *work)
{
    struct joined *j;

    while ((j = work->joined) != NULL) {
        forget(work, j);
        free(j);
    }
}

static int load_membership(void *ctx, const struct hf_membership *m)
{
    if (m->ended)
        return 0;
    return remember(ctx, m->topic, m->join_ref, m->joined);
}

/* --- replies ----------------------------------------------------------- */

/* What work->text holds becomes the session's next frame, under `id`. */
static int add_frame_at(struct hf_post_work *work, uint64_t id)
{
    struct hf_str text = hf_buf_str(&work->text);

    if (hf_buf_error(&work->text))
        return hf_buf_error(&work->text);
    return hf_frame_add(work->journal, session_of(work), id, text);
}

/* The same with an id drawn for it; before the first join there is no stream
 * yet, and it waits in live.db, as replies to heartbeats alone do. */
static int add_frame(struct hf_post_work *work)
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

static int reply_error(struct hf_post_work *work, const struct hf_frame *frame,
                       struct hf_str join_ref, const char *reason)
{
    hf_buf_reset(&work->text);
    (void)hf_reply_error(&work->text, frame, join_ref, reason);
    return add_frame(work);
}

static int reply_ok(struct hf_post_work *work, const struct hf_frame *frame,
                    struct hf_str join_ref)
{
    hf_buf_reset(&work->text);
    (void)hf_reply_ok(&work->text, frame, join_ref, HF_EMPTY);
    return add_frame(work);
}

static int add_close(struct hf_post_work *work, const struct joined *j)
{
    hf_buf_reset(&work->text);
    (void)hf_encode_close(&work->text, j->join_ref, j->topic);
    return add_frame(work);
}

/* --- join -------------------------------------------------------------- */

static int encode_joined(struct hf_post_work *work,
                         const struct hf_frame *frame,
                         const struct hf_resume *resume,
                         const struct hf_start *start)
{
    struct hf_buf response;

    hf_buf_init(&response, 128); /* a cursor, a flag and a word */
    hf_buf_reset(&work->text);
    (void)hf_join_response(&response, resume, start, work->token.epoch);
    (void)hf_reply_ok(&work->text, frame, frame->join_ref.raw,
                      hf_buf_str(&response));
    hf_buf_release(&response);
    return hf_buf_error(&work->text);
}

/* The membership begins at its reply's id; a stream that resumes replays
 * (since, joined] behind it (D6). */
static int begin_membership(struct hf_post_work *work,
                            const struct hf_frame *frame, uint64_t id)
{
    struct hf_resume resume = hf_resume_of(frame);
    struct hf_membership m = {.topic = frame->topic,
                              .join_ref = hf_join_ref_of(frame),
                              .has_since = resume.asked,
                              .joined = id};
    struct hf_start start;
    uint64_t trimmed;
    int err = hf_journal_trimmed(work->journal, frame->topic, &trimmed);

    if (err)
        return err;
    start = hf_resume_start(&resume, work->token.epoch, id, trimmed);
    m.since = start.cursor;
    err = encode_joined(work, frame, &resume, &start);
    if (err == 0)
        err = hf_session_add(work->journal, session_of(work));
    if (err == 0)
        err = hf_membership_add(work->journal, session_of(work), &m);
    if (err == 0)
        err = add_frame_at(work, id);
    if (err == 0)
        err = remember(work, frame->topic, m.join_ref, id);
    if (err == 0)
        work->exists = true;
    return err;
}

/* The older membership ends where the new one begins; its close comes behind
 * the new reply, and not at all when it would hit the new one (4.3). */
static int end_older(struct hf_post_work *work, const struct joined *older,
                     uint64_t at, struct hf_str new_join_ref)
{
    int err = hf_membership_end(work->journal, session_of(work), older->at, at);

    if (err || hf_str_eq(older->join_ref, new_join_ref))
        return err;
    return add_close(work, older);
}

static int join(struct hf_post_work *work, const struct hf_frame *frame)
{
    const struct hf_settings *settings = &work->longpoll->process->settings;
    struct joined *older = find(work, frame->topic);
    bool null_ref;
    const char *refusal = hf_join_refused(
        frame, hf_rights_of(work->longpoll->writer_rights, frame->topic),
        work->joined_count - (older ? 1u : 0u), settings->max_channels,
        &null_ref);
    uint64_t id;
    int err;

    if (refusal && !older) /* nothing changes, so nothing is drawn */
        return reply_error(work, frame,
                           null_ref ? HF_NULL : frame->join_ref.raw, refusal);
    if (older)
        forget(work, older);
    err = hf_journal_draw(work->journal, &id);
    if (err == 0 && refusal)
        err = reply_error(work, frame, null_ref ? HF_NULL : frame->join_ref.raw,
                          refusal);
    else if (err == 0)
        err = begin_membership(work, frame, id);
    if (err == 0 && older)
        err = end_older(work, older, id, hf_join_ref_of(frame));
    free(older);
    return err;
}

/* --- leave and push ---------------------------------------------------- */

static int leave(struct hf_post_work *work, const struct hf_frame *frame)
{
    struct joined *j = find(work, frame->topic);
    uint64_t id;
    int err = hf_journal_draw(work->journal, &id);

    forget(work, j);
    if (err == 0)
        err = hf_membership_end(work->journal, session_of(work), j->at, id);
    hf_buf_reset(&work->text);
    (void)hf_reply_ok(&work->text, frame, j->join_ref, HF_EMPTY);
    if (err == 0)
        err = add_frame_at(work, id);
    if (err == 0)
        err = add_close(work, j);
    free(j);
    return err;
}

static int push(struct hf_post_work *work, const struct hf_frame *frame)
{
    const struct hf_settings *settings = &work->longpoll->process->settings;
    struct hf_grant grant =
        hf_rights_of(work->longpoll->writer_rights, frame->topic);
    const char *refusal = hf_push_refused(frame, grant, settings->max_payload);
    struct hf_str join_ref = find(work, frame->topic)->join_ref;
    struct hf_publish publish = {.topic = frame->topic,
                                 .event = frame->event,
                                 .payload = frame->payload.raw,
                                 .skip = grant.echo ? HF_STR("")
                                                    : session_of(work)};
    bool repeated;
    uint64_t id;
    int err;

    if (refusal)
        return reply_error(work, frame, join_ref, refusal);
    err = hf_journal_append(work->journal, &publish, &id, &repeated);
    if (err == HF_EINVAL || err == HF_ELIMIT || err == HF_ECONFLICT)
        return reply_error(work, frame, join_ref, hf_publish_reason(err));
    return err ? err : reply_ok(work, frame, join_ref);
}

/* --- the job, on the writer's thread ----------------------------------- */

static int carry_out(struct hf_post_work *work, const struct hf_frame *frame)
{
    const struct joined *j = find(work, frame->topic);
    struct hf_str joined = {NULL, 0};

    if (j)
        joined = j->join_ref;
    switch (hf_dispatch(frame, joined)) {
    case HF_ACTION_HEARTBEAT:
        return reply_ok(work, frame, HF_NULL);
    case HF_ACTION_UNMATCHED:
        return reply_error(work, frame, HF_NULL, "unmatched topic");
    case HF_ACTION_LEAVE_UNJOINED:
        return reply_ok(work, frame, frame->join_ref.raw);
    case HF_ACTION_JOIN:
    case HF_ACTION_JOIN_AGAIN:
        return join(work, frame);
    case HF_ACTION_LEAVE:
        return leave(work, frame);
    case HF_ACTION_PUSH:
        return push(work, frame);
    case HF_ACTION_DROP:
        return 0;
    }
    return 0;
}

/* What the POST finds: the session's rows, as far as there are any. */
static int load(struct hf_post_work *work)
{
    struct hf_str session = session_of(work);
    int err;

    if (hf_journal_epoch(work->journal) != work->token.epoch)
        return HF_ENOTFOUND;
    err = hf_rights_refresh(work->longpoll->writer_rights, work->journal, NULL);
    if (err == 0)
        err = hf_session_exists(work->journal, session, &work->exists);
    if (err || !work->exists)
        return err ? err : work->token.joined ? HF_ENOTFOUND : 0;
    err = hf_session_acknowledged(work->journal, session, work->token.cursor);
    if (err == 0)
        err =
            hf_memberships_each(work->journal, session, load_membership, work);
    return err;
}

static int run(struct hf_job *job, struct hf_journal *journal)
{
    struct hf_post_work *work = HF_ITEM(job, struct hf_post_work, job);
    size_t n;
    int err;

    work->journal = journal;
    hf_buf_reset(&work->early);
    forget_all(work);
    err = load(work);
    for (n = 0; n < work->count && err == 0; n++)
        err = carry_out(work, &work->frames[n]);
    work->journal = NULL;
    return err;
}

/* --- back on the loop's thread ----------------------------------------- */

/* Replies before the first join and those to heartbeats alone go to live.db,
 * now that nothing can undo them. One that does not fit is lost to a client
 * which asks without reading: it is bounded there, and the client's push times
 * out. */
static void deliver_early(struct hf_post_work *work)
{
    struct hf_live *live = work->longpoll->process->live;
    struct hf_str rest = hf_buf_str(&work->early);
    int err = 0;

    if (work->token.replies > 0)
        (void)hf_live_replies_drop(live, session_of(work), work->token.replies);
    while (rest.len > 0) {
        uint32_t len;

        memcpy(&len, rest.at, sizeof(len));
        rest = hf_str_from(rest, sizeof(len));
        err = hf_live_reply_add(live, session_of(work), work->token.replies,
                                hf_str(rest.at, len));
        if (err)
            break;
        rest = hf_str_from(rest, len);
    }
    if (err && err != HF_ELIMIT)
        HF_LOG(HF_LOG_WARN, "reply_lost", hf_field("why", hf_strerror(err)));
    if (work->early.len == 0)
        return;
    hf_longpoll_nudge(work->longpoll, session_of(work));
    hf_wake_ring(work->longpoll->wake, session_of(work)); /* elsewhere */
}

/* Nothing was done, and the reason passes by itself. Other errors may come from
 * a commit that has reached the disk all the same. */
static bool not_now(int err)
{
    return err == HF_EBUSY || err == HF_ELIMIT || err == HF_EBLOCKED ||
           err == HF_EFULL;
}

static const char *body_for(int err)
{
    if (err == 0)
        return "{\"status\":200}";
    return not_now(err) ? "{\"status\":503}" : "{\"status\":500}";
}

static void work_free(struct hf_post_work *work)
{
    forget_all(work);
    hf_buf_release(&work->text);
    hf_buf_release(&work->early);
    free(work->frames);
    free(work);
}

static void answer(struct hf_post *post, const char *body)
{
    post->work = NULL;
    post->answer(post, hf_str_of(body));
}

static void done(struct hf_job *job, int err)
{
    struct hf_post_work *work = HF_ITEM(job, struct hf_post_work, job);

    if (err == 0) {
        deliver_early(work);
        hf_longpoll_soon(work->longpoll);
    } else if (err != HF_ENOTFOUND) {
        HF_LOG(HF_LOG_WARN, "post_failed", hf_field("why", hf_strerror(err)),
               hf_field("effect", not_now(err)
                                      ? "nothing of it was done"
                                      : "it is not known what was done"));
    }
    if (work->post)
        answer(work->post, body_for(err));
    work_free(work);
}

/* --- heartbeats, without the writer ------------------------------------ */

static bool only_heartbeats(const struct hf_post_work *work)
{
    static const struct hf_str unjoined = {NULL, 0};
    size_t n;

    for (n = 0; n < work->count; n++)
        if (hf_dispatch(&work->frames[n], unjoined) != HF_ACTION_HEARTBEAT)
            return false;
    return true;
}

/* As load(), by the loop's connection: 0, HF_ENOTFOUND: the session is no more,
 * or what hinders reading. */
static int find_session(const struct hf_post_work *work)
{
    struct hf_journal *journal = work->longpoll->process->journal;
    uint64_t head;
    bool exists = false;
    int err = hf_journal_snapshot(journal);

    if (err)
        return err;
    err = hf_journal_head(journal, &head);
    if (err == 0 && hf_journal_epoch(journal) != work->token.epoch)
        err = HF_ENOTFOUND;
    if (err == 0)
        err = hf_session_exists(journal, session_of(work), &exists);
    hf_journal_snapshot_end(journal);
    return err == 0 && work->token.joined && !exists ? HF_ENOTFOUND : err;
}

static int answer_heartbeats(struct hf_post_work *work)
{
    int err = find_session(work);
    size_t n;

    for (n = 0; n < work->count && err == 0; n++)
        err = reply_ok(work, &work->frames[n], HF_NULL);
    return err;
}

/* --- a POST ------------------------------------------------------------ */

static struct hf_post_work *work_new(struct hf_longpoll *lp,
                                     struct hf_post *post,
                                     const struct hf_token *token,
                                     struct hf_str body)
{
    struct hf_post_work *work = calloc(1, sizeof(*work) + body.len);

    if (!work)
        return NULL;
    work->job.run = run;
    work->job.done = done;
    work->job.item.cost = sizeof(*work) + body.len;
    work->longpoll = lp;
    work->post = post;
    work->token = *token;
    hf_buf_init(&work->text, SIZE_MAX / 2);  /* bounded by its frame */
    hf_buf_init(&work->early, SIZE_MAX / 2); /* and by the number of them */
    if (body.len > 0)
        memcpy(work->body, body.at, body.len);
    return work;
}

/* The next line without its LF or CRLF; blank ones are passed over (6.5, H). */
static bool next_line(struct hf_str *rest, struct hf_str *out)
{
    while (rest->len > 0) {
        const char *end = memchr(rest->at, '\n', rest->len);
        size_t len = end ? (size_t)(end - rest->at) : rest->len;

        *out = hf_str(rest->at, len);
        *rest = hf_str_from(*rest, end ? len + 1 : len);
        if (out->len > 0 && out->at[out->len - 1] == '\r')
            out->len--;
        if (out->len > 0)
            return true;
    }
    return false;
}

/* Decode all of it before any state is touched. 0, HF_EMALFORMED, HF_ELIMIT,
 * HF_ENOMEM. */
static int decode_lines(struct hf_post_work *work, struct hf_str body)
{
    struct hf_str rest = body, line;
    size_t lines = 0;
    int err = 0;

    while (next_line(&rest, &line))
        lines++;
    if (lines > HF_POST_LINES)
        return HF_ELIMIT;
    work->frames = calloc(lines ? lines : 1, sizeof(*work->frames));
    if (!work->frames)
        return HF_ENOMEM;
    for (rest = body; err == 0 && next_line(&rest, &line); work->count++)
        err = hf_frame_decode(line, &work->frames[work->count]);
    return err;
}

static int decode_one(struct hf_post_work *work, struct hf_str body)
{
    work->frames = calloc(1, sizeof(*work->frames));
    if (!work->frames)
        return HF_ENOMEM;
    work->count = 1;
    return hf_frame_decode(body, &work->frames[0]);
}

static const char *body_for_malformed(int err)
{
    switch (err) {
    case HF_ELIMIT:
        return "{\"status\":413}";
    case HF_ENOMEM:
        return "{\"status\":503}";
    default:
        return "{\"status\":400}"; /* P: at once, and nothing of it is done */
    }
}

static void start_work(struct hf_longpoll *lp, struct hf_post *post,
                       const struct hf_token *token, struct hf_str body,
                       bool ndjson)
{
    struct hf_post_work *work = work_new(lp, post, token, body);
    struct hf_str copy;
    int err;

    if (!work) {
        answer(post, "{\"status\":503}");
        return;
    }
    copy = hf_str(work->body, body.len);
    err = ndjson ? decode_lines(work, copy) : decode_one(work, copy);
    if (err) {
        work_free(work);
        answer(post, body_for_malformed(err));
        return;
    }
    post->work = work;
    if (only_heartbeats(work)) {
        done(&work->job, answer_heartbeats(work));
        return;
    }
    err = hf_writer_submit(lp->process->writer, &work->job);
    if (err) {
        work_free(work);
        answer(post, "{\"status\":503}");
    }
}

void hf_post_start(struct hf_longpoll *lp, struct hf_post *post,
                   const struct hf_hello *hello, struct hf_str token_text,
                   struct hf_str body, bool ndjson)
{
    struct hf_token token;

    if (hf_connect_check(&lp->process->settings, hello)) {
        answer(post, "{\"status\":403}");
        return;
    }
    switch (hf_longpoll_token(lp, token_text, &token)) {
    case HF_TOKEN_ABSENT:
        answer(post, "{\"status\":410}");
        return;
    case HF_TOKEN_DEAD:
        answer(post, "{\"status\":500}");
        return;
    case HF_TOKEN_GOOD:
        start_work(lp, post, &token, body, ndjson);
        return;
    }
}

void hf_post_forget(struct hf_post *post)
{
    if (post->work)
        post->work->post = NULL;
    post->work = NULL;
}

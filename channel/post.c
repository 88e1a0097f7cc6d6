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
#include "channel/post_state.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/log.h"
#include "channel/owner.h"

/* --- the job, on the writer's thread ----------------------------------- */

static int load_membership(void *ctx, const struct hf_membership *m)
{
    if (m->ended)
        return 0;
    return hf_post_remember(ctx, m);
}

/* What the POST finds: the session's rows, as far as there are any. */
static int load(struct hf_post_work *work)
{
    struct hf_str session = hf_post_session(work);
    int err;

    if (hf_journal_epoch(work->journal) != work->token.epoch)
        return HF_ENOTFOUND;
    err = hf_rights_refresh(work->longpoll->writer_rights, work->journal, NULL);
    if (err == 0)
        err = hf_session_exists(work->journal, session, &work->exists);
    if (err || !work->exists)
        return err ? err : work->token.joined ? HF_ENOTFOUND : 0;
#ifdef HF_BROKEN_POST_ACKNOWLEDGES
    err = hf_session_acknowledged(work->journal, session, INT64_MAX);
#else
    err = hf_session_acknowledged(work->journal, session, work->token.cursor);
#endif
    if (err == 0)
        err = hf_session_rates(work->journal, session, &work->rates);
#ifndef HF_BROKEN_STALE_POST
    if (err == 0)
        err =
            hf_memberships_each(work->journal, session, load_membership, work);
#endif
    return err;
}

/* Whoever serves the session's next POST goes on counting. */
static int keep_rates(struct hf_post_work *work,
                      const struct hf_session_rates *before)
{
#ifdef HF_BROKEN_RATE_FORGOTTEN
    return 0;
#endif
    if (!work->exists || (work->rates.push_due_us == before->push_due_us &&
                          work->rates.join_due_us == before->join_due_us))
        return 0;
    return hf_session_set_rates(work->journal, hf_post_session(work),
                                &work->rates);
}

static int run(struct hf_job *job, struct hf_journal *journal)
{
    struct hf_post_work *work = HF_ITEM(job, struct hf_post_work, job);
    struct hf_session_rates before;
    size_t n;
    int err;

    work->journal = journal;
    work->client = work->came;
    work->refused = 0;
    hf_buf_reset(&work->early);
    hf_buf_reset(&work->heads);
#ifndef HF_BROKEN_STALE_POST
    hf_post_forget_all(work);
#endif
    work->rates = work->unjoined; /* unless it has a row */
    err = load(work);
    before = work->rates;
    for (n = work->at; n < work->upto && err == 0; n++)
        err = hf_post_carry_out(work, &work->body.frames[n]);
    if (err == 0)
        err = keep_rates(work, &before);
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
        (void)hf_live_replies_drop(live, hf_post_session(work),
                                   work->token.replies);
    while (rest.len > 0) {
        uint32_t len;

        memcpy(&len, rest.at, sizeof(len));
        rest = hf_str_from(rest, sizeof(len));
        err = hf_live_reply_add(live, hf_post_session(work),
                                work->token.replies, hf_str(rest.at, len));
        if (err)
            break;
        rest = hf_str_from(rest, len);
    }
    if (err && err != HF_ELIMIT)
        HF_LOG(HF_LOG_WARN, "reply_lost", hf_field("why", hf_strerror(err)));
    if (work->early.len == 0)
        return;
    hf_longpoll_nudge(work->longpoll, hf_post_session(work));
    hf_wake_ring(work->longpoll->waiting.wake, hf_post_session(work)); /* elsewhere */
}

/* Nothing was done, and the reason passes by itself. Other errors may come from
 * a commit that has reached the disk all the same. */
static bool not_now(int err)
{
    return err == HF_EBUSY || err == HF_ELIMIT || err == HF_EBLOCKED ||
           err == HF_EFULL;
}

/* `partly`: an earlier transaction of it is done. */
static const char *body_for(int err, bool partly)
{
    if (err == 0)
        return "{\"status\":200}";
    return not_now(err) && !partly ? "{\"status\":503}" : "{\"status\":500}";
}

static void work_free(struct hf_post_work *work)
{
    hf_post_end(work);
    hf_post_renewals_free(work);
    hf_client_release(&work->came);
    hf_post_forget_all(work);
    hf_buf_release(&work->text);
    hf_buf_release(&work->early);
    hf_body_release(&work->body);
    hf_buf_release(&work->heads);
    free(work);
}

static void answer(struct hf_post *post, const char *body)
{
    post->work = NULL;
    post->answer(post, hf_str_of(body));
}

void hf_post_finish(struct hf_post_work *work, int err)
{
    bool partly = work->staged && work->at > 0;

    if (err && err != HF_ENOTFOUND)
        HF_LOG(HF_LOG_WARN, "post_failed", hf_field("why", hf_strerror(err)),
               hf_field("effect", !not_now(err)
                                      ? "it is not known what was done"
                                  : partly ? "its first frames were done"
                                           : "nothing of it was done"));
    if (work->post)
        answer(work->post, body_for(err, partly));
    work_free(work);
}

static void done(struct hf_job *job, int err)
{
    struct hf_post_work *work = HF_ITEM(job, struct hf_post_work, job);

    if (err == 0) {
        deliver_early(work);
        hf_waiting_soon(&work->longpoll->waiting);
    }
    if (work->staged && hf_post_stage_done(work, err))
        return;
    hf_post_finish(work, err);
}

/* --- heartbeats, without the writer ------------------------------------ */

static bool only_heartbeats(const struct hf_post_work *work)
{
    static const struct hf_str unjoined = {NULL, 0};
    size_t n;

    for (n = 0; n < work->body.count; n++)
        if (hf_dispatch(&work->body.frames[n], unjoined) != HF_ACTION_HEARTBEAT)
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
        err = hf_session_exists(journal, hf_post_session(work), &exists);
    hf_journal_snapshot_end(journal);
    return err == 0 && work->token.joined && !exists ? HF_ENOTFOUND : err;
}

static int answer_heartbeats(struct hf_post_work *work)
{
    int err = find_session(work);
    size_t n;

    for (n = 0; n < work->body.count && err == 0; n++)
        err = hf_post_heartbeat(work, work->longpoll->process->journal,
                                &work->body.frames[n]);
    return err;
}

/* --- a POST ------------------------------------------------------------ */

static struct hf_post_work *work_new(struct hf_longpoll *lp,
                                     struct hf_post *post,
                                     const struct hf_client *client,
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
    work->came = hf_client_copy(client);
    work->token = *token;
    hf_buf_init(&work->heads, SIZE_MAX / 2); /* bounded by max_channels */
    hf_buf_init(&work->text, SIZE_MAX / 2);  /* bounded by its frame */
    hf_buf_init(&work->early, SIZE_MAX / 2); /* and by the number of them */
    if (body.len > 0)
        memcpy(work->bytes, body.at, body.len);
    return work;
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
                       const struct hf_client *client,
                       const struct hf_token *token, uint64_t born,
                       struct hf_str peer, struct hf_str body, bool ndjson)
{
    struct hf_post_work *work = work_new(lp, post, client, token, body);
    int err;

    if (!work) {
        answer(post, "{\"status\":503}");
        return;
    }
    work->born = born;
    err =
        hf_body_decode(&work->body, client->vsn, work->bytes, body.len, ndjson);
    if (err == 0)
        err = hf_post_renewals_read(work);
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
    if (hf_holding_tight(&lp->holding, peer)) /* else it makes no difference */
        (void)hf_live_note_active(lp->process->live, hf_post_session(work),
                                  HF_ACTIVE_NOTE_MS);
    work->upto = work->body.count;
    if (hf_post_asks(work)) {
        hf_post_begin(work);
        return;
    }
#ifdef HF_BROKEN_STALE_POST
    (void)hf_memberships_each(lp->process->journal, hf_post_session(work),
                              load_membership, work);
#endif
    hf_post_count_joins(work);
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
    struct hf_client client = {.vsn = HF_VSN_2};
    struct hf_token token;
    uint64_t born = 0;

    if (hf_connect_check(&lp->process->settings, hello, &client)) {
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
        break;
    }
    if (hf_owner_find(lp->process->journal, lp->process->live, &token, &client,
                      &born, NULL))
        answer(post, "{\"status\":500}"); /* its poll is told why */
    else
        start_work(lp, post, &client, &token, born, hello->peer, body, ndjson);
    hf_client_release(&client);
}

void hf_post_forget(struct hf_post *post)
{
    if (post->work)
        post->work->post = NULL;
    post->work = NULL;
}

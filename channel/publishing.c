#include "channel/publishing.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/err.h"
#include "base/log.h"
#include "channel/dispatch.h"
#include "channel/longpoll_state.h"
#include "channel/once.h"
#include "channel/publication.h"
#include "channel/rate.h"

struct hf_publishing_work {
    struct hf_job job;
    struct hf_longpoll *longpoll;
    struct hf_publishing *publishing; /* NULL: the transport is gone */
    struct hf_client client;          /* a reference; loop's thread */
    bool ndjson;
    struct hf_publications list; /* its frames point into bytes */
    /* of each: of its topic, and what it became */
    struct entry {
        unsigned rate;
        uint64_t id;
    } * entries;
    /* what the transaction comes to */
    uint64_t epoch;
    size_t at; /* the one it was at when it failed; count: none */
    int64_t retry_ms;
    char words[160]; /* of the journal, when it refuses */
    char bytes[];
};

static void refuse(struct hf_publishing *publishing,
                   const struct hf_plain_refusal *refusal)
{
    char room[HF_PLAIN_REFUSAL_MAX];
    struct hf_plain_answer answer = hf_plain_refuse(refusal, room);

    publishing->answer(publishing, &answer);
}

static void work_free(struct hf_publishing_work *work)
{
    hf_publications_release(&work->list);
    hf_client_release(&work->client);
    free(work->entries);
    free(work);
}

/* --- on the writer's thread ---------------------------------------------- */

static int append(struct hf_publishing_work *work, struct hf_journal *journal,
                  const struct hf_frame *frame, struct entry *entry)
{
    struct hf_once once;
    struct hf_publish publish = {.topic = frame->topic,
                                 .event = frame->event,
                                 .payload = frame->payload.raw,
                                 .kind = frame->kind};
    bool repeated;
    int err;

    if (hf_once_of(frame, work->client.user, &once)) /* was judged before */
        return HF_EINVAL;
    publish.publisher = once.publisher;
    publish.key = once.key;
    err = hf_topic_limited(journal, &publish, entry->rate, &work->retry_ms);
    if (err == 0 && work->retry_ms > 0)
        return HF_EAGAIN;
    return err ? err
               : hf_journal_append(journal, &publish, &entry->id, &repeated);
}

static int run(struct hf_job *job, struct hf_journal *journal)
{
    struct hf_publishing_work *work =
        HF_ITEM(job, struct hf_publishing_work, job);
    int err = 0;

    work->epoch = hf_journal_epoch(journal);
    work->retry_ms = 0;
    for (work->at = 0; work->at < work->list.count; work->at++) {
        err = append(work, journal, &work->list.frames[work->at],
                     &work->entries[work->at]);
        if (err)
            break;
    }
#ifdef HF_BROKEN_PARTLY_PUBLISHED
    return 0;
#endif
    if (err == HF_EINVAL)
        (void)snprintf(work->words, sizeof(work->words), "%s",
                       hf_journal_refusal(journal));
    return err;
}

/* --- the answer ---------------------------------------------------------- */

static void add_cursor(struct hf_buf *out, uint64_t epoch, uint64_t id)
{
    char cursor[HF_CURSOR_MAX];
    size_t len = hf_cursor_format((struct hf_cursor){epoch, id}, cursor);

    (void)hf_buf_addf(out, "\"%.*s\"", (int)len, cursor);
}

static int encode(struct hf_buf *out, const struct hf_publishing_work *work)
{
    size_t n;

    (void)hf_buf_add_str(out, work->ndjson ? HF_STR("{\"cursors\":[")
                                           : HF_STR("{\"cursor\":"));
    for (n = 0; n < work->list.count; n++) {
        if (n > 0)
            (void)hf_buf_add_byte(out, ',');
        add_cursor(out, work->epoch, work->entries[n].id);
    }
    (void)hf_buf_add_str(out, work->ndjson ? HF_STR("]}\n") : HF_STR("}\n"));
    return hf_buf_error(out);
}

/* It is in the journal, whatever may be wrong with saying so. */
static void say_published(struct hf_publishing_work *work)
{
    struct hf_plain_answer answer = {.status = 200};
    struct hf_buf body;

    hf_buf_init(&body, HF_POST_LINES * (HF_CURSOR_MAX + 3) + 32);
    if (encode(&body, work) == 0)
        answer.body = hf_buf_str(&body);
    else
        answer.body = HF_STR("{}\n");
    work->publishing->answer(work->publishing, &answer);
    hf_buf_release(&body);
}

static void say_failed(struct hf_publishing_work *work, int err)
{
    struct hf_plain_refusal refusal = hf_plain_failure(err);

    if (err == HF_EAGAIN)
        refusal = (struct hf_plain_refusal){.reason = "rate_limited",
                                            .retry_ms = work->retry_ms};
    if (err == HF_EINVAL && work->words[0])
        refusal.message = work->words;
    if (work->at < work->list.count)
        refusal.line = work->list.lines[work->at];
    refuse(work->publishing, &refusal);
}

static void done(struct hf_job *job, int err)
{
    struct hf_publishing_work *work =
        HF_ITEM(job, struct hf_publishing_work, job);

    if (err == 0)
        hf_waiting_soon(&work->longpoll->waiting); /* nobody rings us for it */
    else if (err == HF_ESTORE || err == HF_EIO)
        HF_LOG(HF_LOG_ERROR, "publish_failed",
               hf_field("why", hf_strerror(err)),
               hf_field("next", "see 'holdfast status'; the sender was told"));
    if (work->publishing) {
        work->publishing->work = NULL;
        if (err == 0)
            say_published(work);
        else
            say_failed(work, err);
    }
    work_free(work);
}

/* --- judging ------------------------------------------------------------- */

/* Where the rates of those without a session are kept: under a name that no
 * session has, that status does not count as one, and that does not tell who it
 * is. */
static int counted_as(const struct hf_process *process,
                      const struct hf_client *client, struct hf_str peer,
                      char out[HF_SESSION_ID_LEN])
{
    struct hf_str who = client->user.len > 0 ? client->user : peer;
    unsigned char mac[HF_SHA256_LEN];
    char text[HF_BASE64URL_LEN(HF_SHA256_LEN)];
    struct hf_buf name;
    int err;

    hf_buf_init(&name, SIZE_MAX / 2); /* bounded by token and address */
    (void)hf_buf_add_str(&name, client->user.len > 0
                                    ? HF_STR("publishes: user ")
                                    : HF_STR("publishes: address "));
    (void)hf_buf_add_str(&name, who);
    err = hf_buf_error(&name);
    if (err == 0)
        hf_hmac(&process->secret, hf_buf_str(&name), mac);
    hf_buf_release(&name);
    if (err)
        return err;
    (void)hf_base64url(hf_str((const char *)mac, sizeof(mac)), text);
    out[0] = '@';
    memcpy(out + 1, text, HF_SESSION_ID_LEN - 1);
    return 0;
}

/* As for sessions that have no row yet (post_rates.c): nobody is refused for
 * what live.db does not know. */
static int64_t count(const struct hf_publishing_work *work, struct hf_str peer)
{
    const struct hf_process *process = work->longpoll->process;
    char room[HF_SESSION_ID_LEN];
    struct hf_str name = hf_str(room, sizeof(room));
    struct hf_session_rates rates;
    int64_t retry_ms = 0;
    int err;

    if (process->settings.push_rate == 0)
        return 0;
    err = counted_as(process, &work->client, peer, room);
    if (err == 0)
        err = hf_live_rates(process->live, name, &rates);
    if (err == 0)
        retry_ms = hf_rate_take_many(hf_push_rate(&process->settings),
                                     work->list.count, &rates.push_due_us,
                                     hf_wall_ms() * 1000);
    if (err == 0 && retry_ms == 0)
        err = hf_live_set_rates(process->live, name, &rates);
    if (err)
        HF_LOG(HF_LOG_WARN, "pushes_not_counted",
               hf_field("why", hf_strerror(err)));
    return retry_ms;
}

static const char *refused(const struct hf_publishing_work *work,
                           const struct hf_frame *frame, struct entry *entry)
{
    const struct hf_process *process = work->longpoll->process;
    struct hf_grant grant =
        hf_rights_of(process->rights, &work->client, frame->topic);
    struct hf_once once;
    const char *reason =
        hf_push_refused(frame, grant, process->settings.max_payload);

    entry->rate = grant.rate;
    if (reason) /* rights first: a key tells nobody what is in a topic */
        return reason;
    if (hf_hooks_want(process->hooks, HF_HOOK_PUSH, frame->topic))
        return "application";
    return hf_once_of(frame, work->client.user, &once);
}

static struct hf_plain_refusal judge(struct hf_publishing_work *work,
                                     struct hf_str peer)
{
    const struct hf_process *process = work->longpoll->process;
    struct hf_plain_refusal refusal = {.nobody = !work->client.identity};
    bool changed = false;
    size_t n;
    int err = hf_rights_refresh(process->rights, process->journal, &changed);

    if (changed) /* whoever notices it first tells the others */
        hf_waiting_tell_all(&work->longpoll->waiting);
    if (err)
        return hf_plain_failure(err);
    for (n = 0; n < work->list.count && !refusal.reason; n++) {
        refusal.reason =
            refused(work, &work->list.frames[n], &work->entries[n]);
        refusal.line = refusal.reason ? work->list.lines[n] : 0;
    }
    if (refusal.reason)
        return refusal;
    refusal.retry_ms = count(work, peer);
    refusal.reason = refusal.retry_ms > 0 ? "rate_limited" : NULL;
    return refusal;
}

/* --- start --------------------------------------------------------------- */

static size_t lines_at_once(const struct hf_settings *settings)
{
    if (settings->push_rate == 0 || settings->push_burst >= HF_POST_LINES)
        return HF_POST_LINES;
    return settings->push_burst > 0 ? settings->push_burst : 1;
}

static struct hf_plain_refusal decode(struct hf_publishing_work *work,
                                      size_t len)
{
    size_t most = lines_at_once(&work->longpoll->process->settings);
    int err = hf_publications_decode(&work->list, hf_str(work->bytes, len),
                                     work->ndjson);

    if (err == HF_EMALFORMED)
        return (struct hf_plain_refusal){.reason = "malformed",
                                         .message = work->list.wrong,
                                         .line = work->list.wrong_line};
    if (err == HF_ELIMIT || (err == 0 && work->list.count > most))
        return (struct hf_plain_refusal){.reason = "too many lines"};
    if (err == 0) {
        work->entries = calloc(work->list.count, sizeof(*work->entries));
        err = work->entries ? 0 : HF_ENOMEM;
    }
    work->at = work->list.count; /* no line is to blame for the commit */
    return err ? hf_plain_failure(err) : (struct hf_plain_refusal){0};
}

static struct hf_plain_refusal submit(struct hf_publishing_work *work)
{
    work->job.run = run;
    work->job.done = done;
    if (hf_writer_submit(work->longpoll->process->writer, &work->job))
        return (struct hf_plain_refusal){.reason = "busy"};
    return (struct hf_plain_refusal){0};
}

/* Takes the client's references over. */
static struct hf_publishing_work *work_new(struct hf_longpoll *lp,
                                           struct hf_client *client,
                                           struct hf_str body, bool ndjson)
{
    struct hf_publishing_work *work = calloc(1, sizeof(*work) + body.len);

    if (!work)
        return NULL;
    work->longpoll = lp;
    work->ndjson = ndjson;
    work->client = *client;
    *client = (struct hf_client){0};
    work->job.item.cost = sizeof(*work) + body.len;
    if (body.len > 0)
        memcpy(work->bytes, body.at, body.len);
    return work;
}

void hf_publishing_start(struct hf_longpoll *lp,
                         struct hf_publishing *publishing,
                         const struct hf_hello *hello, struct hf_str body,
                         bool ndjson)
{
    struct hf_client client;
    struct hf_plain_refusal refusal =
        hf_plain_connect(lp->process, hello, &client);
    struct hf_publishing_work *work = NULL;

    if (!refusal.reason) {
        work = work_new(lp, &client, body, ndjson);
        refusal.reason = work ? NULL : "busy";
    }
    if (!refusal.reason)
        refusal = decode(work, body.len);
    if (!refusal.reason)
        refusal = judge(work, hello->peer);
    if (!refusal.reason) {
        work->publishing = publishing;
        publishing->work = work;
        refusal = submit(work);
        if (!refusal.reason)
            return; /* done() answers, or has */
        publishing->work = NULL;
    }
    refuse(publishing, &refusal);
    if (work)
        work_free(work);
    hf_client_release(&client);
}

void hf_publishing_forget(struct hf_publishing *publishing)
{
    if (publishing->work)
        publishing->work->publishing = NULL;
    publishing->work = NULL;
}

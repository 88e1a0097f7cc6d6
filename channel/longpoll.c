#include "channel/longpoll.h"

#include <assert.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "base/log.h"
#include "channel/answered.h"
#include "channel/dispatch.h"
#include "channel/longpoll_state.h"
#include "channel/owner.h"
#include "channel/witness.h"
#include "schema/sessions.h"

static enum hf_vsn poll_vsn(const struct hf_poll *poll)
{
    return (enum hf_vsn)poll->vsn;
}

static struct hf_str session_of(const struct hf_poll *poll)
{
    return hf_str(poll->token.session, sizeof(poll->token.session));
}

/* --- bodies ------------------------------------------------------------ */

void hf_poll_answer_bare(struct hf_longpoll *lp, struct hf_poll *poll,
                         const char *body)
{
    hf_client_release(&lp->client);
    poll->answer(poll, hf_str_of(body));
}

void hf_poll_answer(struct hf_longpoll *lp, struct hf_poll *poll, int status,
                    const struct hf_token *token, int64_t next_ms,
                    struct hf_str messages)
{
    char text[HF_TOKEN_MAX];
    size_t len = hf_token_format(token, &lp->process->secret, text);

    hf_client_release(&lp->client);
    hf_buf_reset(&lp->body);
    (void)hf_buf_add_str(&lp->body, HF_STR("{\"status\":"));
    (void)hf_buf_add_u64(&lp->body, (unsigned)status);
    (void)hf_buf_add_str(&lp->body, HF_STR(",\"token\":\""));
    (void)hf_buf_add(&lp->body, text, len);
    (void)hf_buf_add_str(&lp->body, HF_STR("\","));
    if (next_ms > 0) {
        (void)hf_buf_add_str(&lp->body, HF_STR("\"next_ms\":"));
        (void)hf_buf_add_u64(&lp->body, (unsigned long long)next_ms);
        (void)hf_buf_add_byte(&lp->body, ',');
    }
    (void)hf_buf_add_str(&lp->body, HF_STR("\"messages\":["));
    (void)hf_buf_add_str(&lp->body, messages);
    (void)hf_buf_add_str(&lp->body, HF_STR("]}"));
    if (len == 0 || hf_buf_error(&lp->body))
        hf_poll_answer_bare(lp, poll, "{\"status\":500}");
    else
        poll->answer(poll, hf_buf_str(&lp->body));
}

/* --- parking ----------------------------------------------------------- */

static struct hf_poll *poll_of(struct hf_waiter *waiter)
{
    return HF_ITEM(waiter, struct hf_poll, waiter);
}

static struct hf_longpoll *longpoll_of(const struct hf_waiter *waiter)
{
    return HF_ITEM(waiter->waiting, struct hf_longpoll, waiting);
}

/* It need not be told how the common transaction ended. */
static void forget_settling(struct hf_longpoll *lp, const struct hf_poll *poll)
{
    size_t n;

    for (n = 0; n < lp->settling_count; n++) {
        if (lp->settling[n] == poll) {
            lp->settling[n] = lp->settling[--lp->settling_count];
            return;
        }
    }
}

void hf_poll_unpark(struct hf_poll *poll)
{
    if (poll->waiter.waiting) {
        struct hf_longpoll *lp = longpoll_of(&poll->waiter);

        hf_holding_release(&lp->holding, &poll->hold);
        forget_settling(lp, poll);
    }
    hf_waiting_leave(&poll->waiter);
}

/* End it with nothing; it comes back with the token it came with. */
static void release_for(struct hf_poll *poll, int64_t next_ms)
{
    struct hf_longpoll *lp = longpoll_of(&poll->waiter);

    hf_poll_unpark(poll);
    hf_poll_answer(lp, poll, 204, &poll->token, next_ms, HF_STR(""));
}

/* We stop: another process may serve it soon, but not all of them at once. */
static void release(struct hf_waiter *waiter)
{
    release_for(poll_of(waiter), hf_poll_scatter(poll_of(waiter)));
}

/* There is a newer poll of the session. */
static void supersede(struct hf_waiter *waiter)
{
    release_for(poll_of(waiter), 0);
}

static struct hf_str waiters_session(struct hf_waiter *waiter)
{
    return session_of(poll_of(waiter));
}

/* The client's user, and the topics of the stream just read. */
struct topics {
    char room[HF_USER_TOPIC_MAX];
    struct hf_str user;
    const struct hf_stream *stream;
};

static bool next_topic(const void *ctx, size_t *at, struct hf_str *out)
{
    const struct topics *topics = ctx;
    size_t in_stream = *at > 0 ? *at - 1 : 0;
    bool found = true;

    if (*at == 0 && topics->user.len > 0)
        *out = topics->user;
    else
        found = hf_stream_next_topic(topics->stream, &in_stream, out);
    *at = in_stream + 1;
    return found;
}

static struct hf_wait_for what_of(struct topics *topics,
                                  const struct hf_longpoll *lp)
{
    topics->user = hf_user_topic(lp->client.user, topics->room);
    topics->stream = &lp->stream;
    return (struct hf_wait_for){next_topic, topics, lp->stream.head,
                                lp->stream.more};
}

/* `most` is what it was admitted for. To the end of its token at most, which the
 * client is then told. */
static int64_t hold_of(const struct hf_longpoll *lp, int64_t most)
{
    const struct hf_identity *identity = lp->client.identity;
    int64_t hold = lp->hold_ms;
    int64_t left;

    /* The lease begins when it parks, and a third is left for coming back. */
    if (hold > lp->process->settings.lease_ms / 3 * 2)
        hold = lp->process->settings.lease_ms / 3 * 2;
    if (hold < HF_EMPTY_SPACING_MS)
        hold = HF_EMPTY_SPACING_MS;
    if (hold > most)
        hold = most;
    if (!identity || identity->expires_ms == HF_NEVER)
        return hold;
    left = identity->expires_ms - hf_wall_ms() + 1; /* rounded up */
    return left < hold ? left : hold;
}

static const struct hf_waiter_kind kind;

void hf_poll_parked(struct hf_longpoll *lp, const struct hf_poll *poll)
{
    hf_wake_ring(lp->waiting.wake, session_of(poll));
}

/* Where there is room enough it need not be known to the millisecond when it was
 * parked. */
static int take_number(struct hf_longpoll *lp, struct hf_poll *poll)
{
    struct hf_live *live = lp->process->live;
    enum hf_live_stock stock = hf_poll_stock(poll, lp->stream.next.joined);

    if (lp->together && !hf_holding_tight(&lp->holding, hf_str(NULL, 0)) &&
        hf_live_park_again(live, session_of(poll), stock, &poll->poll_no) == 0)
        return 0;
    return hf_live_park(live, session_of(poll), stock,
                        hf_token_shown(&poll->token), &poll->poll_no);
}

/* It holds poll->hold, at most so long. */
static int park(struct hf_longpoll *lp, struct hf_poll *poll, int64_t most_ms)
{
    struct topics topics;
    struct hf_wait_for what = what_of(&topics, lp);
    int err = lp->park_err;

    if (err == 0)
        err = take_number(lp, poll);
    poll->waiter.kind = &kind;
    if (err == 0)
        err = hf_waiting_park(&lp->waiting, &poll->waiter, &what,
                              hold_of(lp, most_ms));
    if (err) {
        hf_holding_release(&lp->holding, &poll->hold);
        return err;
    }
    hf_client_release(&lp->client); /* found again when there is something */
    if (lp->together)
        lp->settling[lp->settling_count++] = poll;
    else
        hf_poll_parked(lp, poll);
    return 0;
}

/* --- answering --------------------------------------------------------- */

/* The session is past reviving, or what it must still read is gone: every
 * client since 1.4 then opens a new session and joins again (D6, D7). */
static void answer_dead(struct hf_longpoll *lp, struct hf_poll *poll)
{
    hf_poll_unpark(poll);
    hf_poll_answer_bare(lp, poll, "{\"status\":500}");
}

/* With what came for it, or with nothing. */
static void answer_stream(struct hf_longpoll *lp, struct hf_poll *poll,
                          int64_t next_ms)
{
    struct hf_token *next = &lp->stream.next;

    if (poll->refused)
        hf_poll_hear(lp, poll, next->joined);
    next->expiry_ms = hf_wall_ms() + lp->process->settings.revive_ms;
    if (lp->stream.count > 0)
        hf_answered_note(lp->answered, &poll->token, next);
    hf_poll_answer(lp, poll, lp->stream.count > 0 ? 200 : 204, next, next_ms,
                   hf_buf_str(&lp->stream.messages));
}

/* It waits no more. There may be less room than when it began to. */
static void end_wait(struct hf_longpoll *lp, struct hf_poll *poll)
{
    bool slowed = poll->hold.kind == HF_HELD_BRIEF && lp->stream.next.joined;
    int64_t next_ms;

    hf_poll_unpark(poll);
    next_ms = lp->stream.more ? 0 : hf_poll_pause(lp, poll);
    if (next_ms > 0)
        hf_poll_seen(lp, poll, next_ms);
    lp->stream.next.empty = lp->stream.count == 0 && slowed;
    answer_stream(lp, poll, next_ms);
}

/* Nothing is there for it, and it may not wait. */
static void put_off(struct hf_longpoll *lp, struct hf_poll *poll,
                    int64_t next_ms)
{
    hf_poll_seen(lp, poll, next_ms);
    lp->stream.next.empty = next_ms > 0;
    answer_stream(lp, poll, next_ms);
}

/* May the session still join all it has joined? A new session is told of each
 * topic what it may do there (D10). */
static int check_rights(struct hf_longpoll *lp, const struct hf_client *client)
{
    struct hf_process *process = lp->process;
    struct hf_str name;
    uint64_t snapshot = hf_waiting_snapshot(&lp->waiting);
    bool changed = false;
    size_t at = 0;
    int err = 0;

    if (snapshot == 0 || snapshot != lp->rights_of)
        err = hf_rights_refresh(process->rights, process->journal, &changed);
    lp->rights_of = err ? 0 : snapshot;
    if (changed) /* whoever notices it first tells the others */
        hf_waiting_tell_all(&lp->waiting);
    while (err == 0 && hf_stream_next_topic(&lp->stream, &at, &name)) {
        if (!(hf_rights_of(process->rights, client, name).rights &
              HF_RIGHT_JOIN))
            err = HF_EDENIED;
    }
    return err;
}

struct farewell {
    enum hf_vsn vsn;
    struct hf_buf *messages;
    struct hf_buf text;
    size_t count;
};

static int add_farewell(void *ctx, const struct hf_membership *m)
{
    struct farewell *farewell = ctx;

    if (m->ended)
        return 0;
    hf_buf_reset(&farewell->text);
    (void)hf_encode_error(&farewell->text, farewell->vsn, m->join_ref, m->topic,
                          "token_expired");
    if (farewell->count++ > 0)
        (void)hf_buf_add_byte(farewell->messages, ',');
    (void)hf_json_quote(farewell->messages, hf_buf_str(&farewell->text));
    return hf_buf_error(&farewell->text);
}

/* Its channels are told once that the token has expired; who comes back with
 * what this answer brings has to open a new session (D10). Nothing is written:
 * the same poll again gets the same answer. */
static void answer_expired(struct hf_longpoll *lp, struct hf_poll *poll)
{
    struct hf_token next = poll->token;
    struct hf_buf messages;
    struct farewell farewell = {.vsn = poll_vsn(poll), .messages = &messages};
    int err = 0;

    hf_buf_init(&messages, SIZE_MAX / 2); /* bounded by the memberships */
    hf_buf_init(&farewell.text, SIZE_MAX / 2);
    if (!next.expired)
        err = hf_memberships_each(lp->process->journal, session_of(poll),
                                  add_farewell, &farewell);
    if (err == 0)
        err = hf_buf_error(&messages);
    next.expired = true;
    if (err || farewell.count == 0) {
        answer_dead(lp, poll);
    } else {
        hf_poll_unpark(poll);
        hf_poll_answer(lp, poll, 200, &next, 0, hf_buf_str(&messages));
    }
    hf_buf_release(&messages);
    hf_buf_release(&farewell.text);
}

/* phoenix.js sends its authToken with every GET. One of a later expiry is kept;
 * all else that is wrong with it was said when the session was made. */
static bool take_fresher(struct hf_longpoll *lp, const struct hf_hello *hello)
{
    struct hf_identity *identity;

    if (!hello || lp->process->settings.tokens == HF_TOKENS_APPLICATION ||
        !hf_connect_fresher(lp->process->keys, hello, &lp->client, &identity))
        return false;
    hf_client_set(&lp->client, identity);
    return true;
}

/* Whose the session is, what came for it and whether it may still have that:
 * all of one moment (D6). `hello`: of the GET, or NULL when it was parked. */
static int compute(struct hf_longpoll *lp, struct hf_poll *poll,
                   const struct hf_hello *hello)
{
    struct hf_process *process = lp->process;
    struct hf_journal *journal = process->journal;
    bool fresher = false, exists = false;
    uint64_t born;
    int err = hf_journal_snapshot(journal);

    if (err)
        return err;
    hf_client_release(&lp->client);
    lp->client = (struct hf_client){.vsn = poll_vsn(poll)};
    err = hf_owner_find(journal, process->live, &poll->token, &lp->client,
                        &born, &exists);
    if (err == 0) {
        fresher = take_fresher(lp, hello);
        lp->stream.snapshot = hf_waiting_snapshot(&lp->waiting);
        err = hf_stream_read_within(&lp->stream, journal, process->live,
                                    &poll->token, poll_vsn(poll), exists);
    }
    if (err == 0)
        err = check_rights(lp, &lp->client);
    lp->known.poll = NULL;
    if (err == 0)
        hf_poll_remember(lp, poll);
    hf_journal_snapshot_end(journal);
    if (fresher)
        hf_owner_renew(process, &poll->token, &lp->client, born);
    return err;
}

/* Compute; true when the poll has been answered. */
static bool answer_if_any(struct hf_longpoll *lp, struct hf_poll *poll,
                          const struct hf_hello *hello)
{
    int err = compute(lp, poll, hello);

    if (err == HF_EEXPIRED) {
        answer_expired(lp, poll);
        return true;
    }
    if (err) {
        if (err != HF_EGAP && err != HF_ENOTFOUND && err != HF_EDENIED)
            HF_LOG(HF_LOG_WARN, "poll_failed",
                   hf_field("why", hf_strerror(err)),
                   hf_field("effect", "the client opens a new session"));
        answer_dead(lp, poll);
        return true;
    }
    if (lp->stream.count == 0) {
        if (lp->stream.more)
            poll->token = lp->stream.next; /* a page a turn */
        return false;
    }
    if (poll->waiter.waiting) {
        end_wait(lp, poll);
    } else {
        int64_t next_ms = lp->stream.more ? 0 : hf_poll_pause(lp, poll);

        hf_poll_seen(lp, poll, next_ms);
        lp->stream.next.empty = false;
        answer_stream(lp, poll, next_ms);
    }
    return true;
}

static void came(struct hf_waiter *waiter)
{
    struct hf_longpoll *lp = longpoll_of(waiter);
    struct hf_poll *poll = poll_of(waiter);
    struct topics topics;
    struct hf_wait_for what;

    if (answer_if_any(lp, poll, NULL))
        return;
    what = what_of(&topics, lp); /* a POST elsewhere may have joined */
    hf_client_release(&lp->client);
    if (hf_waiting_go_on(waiter, &what))
        answer_dead(lp, poll);
}

static void deadline(struct hf_waiter *waiter)
{
    struct hf_longpoll *lp = longpoll_of(waiter);

    if (hf_poll_is_known(lp, poll_of(waiter)) ||
        !answer_if_any(lp, poll_of(waiter), NULL))
        end_wait(lp, poll_of(waiter));
}

static void fail(struct hf_waiter *waiter)
{
    answer_dead(longpoll_of(waiter), poll_of(waiter));
}

static const struct hf_waiter_kind kind = {.came = came,
                                           .deadline = deadline,
                                           .release = release,
                                           .fail = fail,
                                           .session = waiters_session};

void hf_longpoll_nudge(struct hf_longpoll *lp, struct hf_str session)
{
    struct hf_waiter *waiter = hf_waiting_of(&lp->waiting, session);

    if (waiter)
        hf_waiting_tell(waiter);
}

/* What live.db alone knows: newer polls of a session in another process, and
 * replies that are not in the journal. */
static void look_at_live(struct hf_waiter *waiter)
{
    const struct hf_longpoll *lp = longpoll_of(waiter);
    const struct hf_poll *poll = poll_of(waiter);
    uint64_t newest = 0;
    uint32_t reply_n = 0;

    (void)hf_live_newest(lp->process->live, session_of(poll), &newest,
                         &reply_n);
#ifndef HF_BROKEN_OLDER_POLL_STAYS
    if (newest > poll->poll_no)
        supersede(waiter);
    else
#endif
        if (reply_n > poll->token.replies)
        hf_waiting_tell(waiter);
}

static void rung(struct hf_waiting *waiting)
{
    struct hf_longpoll *lp = HF_ITEM(waiting, struct hf_longpoll, waiting);
    bool changed = false;

    if (hf_live_changed(lp->process->live, &changed) == 0 && changed)
        hf_waiting_each(waiting, &kind, look_at_live);
}

/* --- a GET ------------------------------------------------------------- */

enum hf_token_state hf_longpoll_token(const struct hf_longpoll *lp,
                                      struct hf_str text, struct hf_token *out)
{
    int64_t now = hf_wall_ms();

    if (text.len == 0 || hf_token_parse(text, &lp->process->secret, out) ||
        out->mount != lp->mount)
        return HF_TOKEN_ABSENT;
#ifdef HF_BROKEN_DEAD_IS_UNKNOWN
    if (now > out->expiry_ms)
        return HF_TOKEN_ABSENT;
#endif
    if (now > out->expiry_ms || now > out->birth_ms + HF_TOKEN_LIFE_MS)
        return HF_TOKEN_DEAD;
    return HF_TOKEN_GOOD;
}

/* A newer poll of the session ends the older one at once (6.4, H). */
static void release_older(struct hf_longpoll *lp, struct hf_poll *poll)
{
    struct hf_waiter *older = hf_waiting_of(&lp->waiting, session_of(poll));

    if (older)
        supersede(older);
}

void hf_poll_go_on(struct hf_longpoll *lp, struct hf_poll *poll,
                   const struct hf_hello *hello, struct hf_str address)
{
    enum hf_verdict verdict;
    int64_t ms = 0;

    hf_answered_note(lp->answered, &poll->token, NULL);
    hf_poll_hear(lp, poll, poll->token.joined);
    release_older(lp, poll);
#ifdef HF_BROKEN_NEWS_ONLY_WITH_ROOM
    if (hf_holding_pause(&lp->holding, true, hf_boot_ms()) > 0) {
        hf_poll_answer_bare(lp, poll, "{\"status\":500}");
        return;
    }
#endif
    if (answer_if_any(lp, poll, hello))
        return;
    verdict = hf_poll_admit(lp, poll, address, lp->stream.next.joined, &ms);
    if (verdict == HF_HOLD && park(lp, poll, ms) == 0)
        return;
    if (lp->stream.more)
        put_off(lp, poll, 0); /* it comes back for the next page */
    else if (verdict == HF_LATER)
        put_off(lp, poll, ms);
    else
        hf_poll_answer_bare(lp, poll, "{\"status\":500}");
}

void hf_poll_start(struct hf_longpoll *lp, struct hf_poll *poll,
                   const struct hf_hello *hello, struct hf_str token)
{
    assert(!poll->waiter.waiting);

    hf_client_release(&lp->client);
    lp->client = (struct hf_client){.vsn = HF_VSN_2};
    if (hf_connect_check(&lp->process->settings, hello, &lp->client)) {
        hf_poll_answer_bare(lp, poll, "{\"status\":403}");
        return;
    }
    poll->vsn = (uint8_t)lp->client.vsn;
    hf_poll_read(poll, hello);
    switch (hf_longpoll_token(lp, token, &poll->token)) {
    case HF_TOKEN_ABSENT:
        if (hf_poll_may_begin(lp, poll, hello->peer))
            hf_poll_connect(lp, poll, hello);
        else
            hf_poll_answer_bare(lp, poll, "{\"status\":500}");
        return;
    case HF_TOKEN_DEAD:
        hf_poll_answer_bare(lp, poll, "{\"status\":500}");
        return;
    case HF_TOKEN_GOOD:
        if (lp->process->threaded && hello->auth_token.len == 0)
            hf_poll_come(lp, poll, hello->peer);
        else
            hf_poll_go_on(lp, poll, hello, hello->peer);
        return;
    }
}

void hf_poll_cancel(struct hf_poll *poll)
{
    if (poll->asking)
        hf_poll_stop_asking(poll);
    if (poll->is_coming)
        hf_poll_come_no_more(poll);
    hf_poll_unpark(poll);
}

/* --- life -------------------------------------------------------------- */

int hf_longpoll_open(struct hf_process *process, int64_t hold_ms,
                     struct hf_longpoll **out)
{
    struct hf_longpoll *lp = calloc(1, sizeof(*lp));
    int err;

    if (!lp)
        return HF_ENOMEM;
    lp->process = process;
    lp->hold_ms = hold_ms;
    lp->mount = hf_token_mount(hf_str_of(process->settings.mount));
    hf_list_init(&lp->staged);
    hf_list_init(&lp->coming);
    lp->look_at_coming.end = hf_longpoll_turn_ends;
    hf_buf_init(&lp->body, SIZE_MAX / 2); /* bounded by the stream's */
    err = hf_rights_new(&lp->writer_rights);
    if (err == 0)
        err = hf_holding_open(&lp->holding, &process->dir, &process->settings,
                              process->served);
    if (err == 0)
        err = hf_waiting_open(&lp->waiting, process, rung);
    if (err == 0 && process->hooks)
        err = hf_session_locks_open(process->loop, &process->dir, &lp->locks);
    if (err) {
        hf_longpoll_close(lp);
        return err;
    }
    hf_reaper_start(lp);
    if (process->threaded)
        hf_witness_polls(lp);
    *out = lp;
    return 0;
}

void hf_longpoll_release(struct hf_longpoll *lp)
{
    hf_longpoll_release_coming(lp);
    hf_waiting_release(&lp->waiting);
}

void hf_longpoll_close(struct hf_longpoll *lp)
{
    if (!lp)
        return;
    hf_inquiry_answer(lp->process->inquiry, NULL, NULL);
    hf_longpoll_release(lp);
    hf_process_finish_writes(lp->process); /* answers the posts under way */
    hf_post_close_all(lp);
    hf_session_locks_close(lp->locks);
    hf_reaper_stop(lp);
    hf_loop_cancel_turn(&lp->look_at_coming);
    hf_waiting_close(&lp->waiting);
    hf_holding_close(&lp->holding);
    hf_stream_release(&lp->stream);
    hf_client_release(&lp->client);
    hf_buf_release(&lp->body);
    hf_rights_free(lp->writer_rights);
    free(lp->answered);
    free(lp);
}

static void end_excess(struct hf_waiter *waiter)
{
    struct hf_longpoll *lp = longpoll_of(waiter);
    struct hf_poll *poll = poll_of(waiter);
    int64_t next_ms;

    if (lp->excess == 0 || poll->hold.kind != HF_HELD_FULL)
        return;
    lp->excess--;
    next_ms = hf_holding_pause(&lp->holding, false, hf_boot_ms());
    hf_poll_seen(lp, poll, next_ms);
    release_for(poll, next_ms);
}

void hf_longpoll_shrink(struct hf_longpoll *lp)
{
    hf_waiting_each(&lp->waiting, &kind, end_excess);
}

size_t hf_longpoll_parked(const struct hf_longpoll *lp)
{
    return lp->waiting.count;
}

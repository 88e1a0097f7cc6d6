#include "channel/longpoll.h"

#include <assert.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "base/log.h"
#include "channel/dispatch.h"
#include "channel/longpoll_state.h"
#include "channel/owner.h"
#include "schema/sessions.h"

/* Polls recomputed in one turn, so that accepting goes on meanwhile. */
#define ANSWERS_PER_TURN 256u

/* A topic that parked polls wait for. */
struct wait_topic {
    struct hf_list waits;
    size_t len;
    char name[];
};

struct hf_poll_wait {
    struct hf_poll *poll;
    struct wait_topic *topic;
    struct hf_list in_topic;
};

static struct hf_str session_of(const struct hf_poll *poll)
{
    return hf_str(poll->token.session, sizeof(poll->token.session));
}

/* --- bodies ------------------------------------------------------------ */

static void answer_bare(struct hf_poll *poll, const char *body)
{
    hf_client_release(&poll->client);
    poll->answer(poll, hf_str_of(body));
}

/* {"status":S,"token":T,"messages":[...]}; a token must be in each of them,
 * clients store whatever the field holds (6.1, C). */
static void answer_with(struct hf_longpoll *lp, struct hf_poll *poll,
                        int status, const struct hf_token *token,
                        struct hf_str messages)
{
    char text[HF_TOKEN_MAX];
    size_t len = hf_token_format(
        token,
        hf_str((const char *)lp->process->secret, sizeof(lp->process->secret)),
        text);

    hf_client_release(&poll->client);
    hf_buf_reset(&lp->body);
    (void)hf_buf_addf(&lp->body, "{\"status\":%d,\"token\":\"%.*s\",", status,
                      (int)len, text);
    (void)hf_buf_add_str(&lp->body, HF_STR("\"messages\":["));
    (void)hf_buf_add_str(&lp->body, messages);
    (void)hf_buf_add_str(&lp->body, HF_STR("]}"));
    if (len == 0 || hf_buf_error(&lp->body))
        answer_bare(poll, "{\"status\":500}");
    else
        poll->answer(poll, hf_buf_str(&lp->body));
}

/* --- who waits for what ------------------------------------------------ */

static struct wait_topic *topic_for(struct hf_longpoll *lp, struct hf_str name)
{
    struct wait_topic *topic = hf_map_get(&lp->topics, name);

    if (topic)
        return topic;
    topic = calloc(1, sizeof(*topic) + name.len);
    if (!topic)
        return NULL;
    hf_list_init(&topic->waits);
    topic->len = name.len;
    memcpy(topic->name, name.at, name.len);
    if (hf_map_put(&lp->topics, hf_str(topic->name, topic->len), topic)) {
        free(topic);
        return NULL;
    }
    hf_wake_add(lp->wake, name);
    return topic;
}

static void drop_waits(struct hf_longpoll *lp, struct hf_poll_wait *waits,
                       uint32_t count)
{
    uint32_t n;

    for (n = 0; n < count; n++) {
        struct wait_topic *topic = waits[n].topic;

        hf_list_remove(&waits[n].in_topic);
        if (!hf_list_empty(&topic->waits))
            continue;
        (void)hf_map_remove(&lp->topics, hf_str(topic->name, topic->len));
        hf_wake_drop(lp->wake, hf_str(topic->name, topic->len));
        free(topic);
    }
    free(waits);
}

static void stop_waiting(struct hf_longpoll *lp, struct hf_poll *poll)
{
    drop_waits(lp, poll->waits, poll->waits_count);
    poll->waits = NULL;
    poll->waits_count = 0;
}

/* In the place made for it. 0 or HF_ENOMEM. */
static int wait_for(struct hf_longpoll *lp, struct hf_poll *poll,
                    struct hf_str name)
{
    struct hf_poll_wait *wait = &poll->waits[poll->waits_count];

    wait->poll = poll;
    wait->topic = topic_for(lp, name);
    if (!wait->topic)
        return HF_ENOMEM;
    hf_list_append(&wait->topic->waits, &wait->in_topic);
    poll->waits_count++;
    return 0;
}

/* Wait for the topics of the stream just read, and for the client's user. */
static int wait_for_topics(struct hf_longpoll *lp, struct hf_poll *poll)
{
    char room[HF_USER_TOPIC_MAX];
    struct hf_str user = hf_user_topic(poll->client.user, room), name;
    size_t at = 0, count = user.len > 0 ? 1 : 0;
    int err = 0;

    while (hf_stream_next_topic(&lp->stream, &at, &name))
        count++;
    if (count == 0)
        return 0;
    poll->waits = calloc(count, sizeof(*poll->waits));
    if (!poll->waits)
        return HF_ENOMEM;
    if (user.len > 0)
        err = wait_for(lp, poll, user);
    for (at = 0; err == 0 && hf_stream_next_topic(&lp->stream, &at, &name);)
        err = wait_for(lp, poll, name);
    if (err)
        stop_waiting(lp, poll);
    return err;
}

/* --- parking ----------------------------------------------------------- */

static void unpark(struct hf_poll *poll)
{
    struct hf_longpoll *lp = poll->owner;

    hf_client_release(&poll->client);
    if (!lp)
        return;
    poll->owner = NULL;
    stop_waiting(lp, poll);
    hf_wake_drop(lp->wake, session_of(poll));
    if (hf_map_get(&lp->sessions, session_of(poll)) == poll)
        (void)hf_map_remove(&lp->sessions, session_of(poll));
    hf_list_remove(&poll->parked);
    hf_list_remove(&poll->dirty);
    hf_loop_disarm(lp->process->loop, &poll->deadline);
    lp->parked_count--;
}

/* End it with nothing; it comes back with the token it came with. */
static void release(struct hf_poll *poll)
{
    struct hf_longpoll *lp = poll->owner;

    unpark(poll);
    answer_with(lp, poll, 204, &poll->token, HF_STR(""));
}

static void make_dirty(struct hf_poll *poll)
{
    struct hf_longpoll *lp = poll->owner;

    if (!hf_list_linked(&poll->dirty))
        hf_list_append(&lp->dirty, &poll->dirty);
    hf_loop_at_turn_end(lp->process->loop, &lp->turn);
}

static void deadline(struct hf_timer *timer);

/* To the end of its token at most, which the client is then told. */
static int64_t hold_of(const struct hf_longpoll *lp, const struct hf_poll *poll)
{
    const struct hf_identity *identity = poll->client.identity;
    int64_t hold = lp->hold_ms;
    int64_t left;

    if (!lp->stream.next.joined && hold > HF_HOLD_UNJOINED_MS)
        hold = HF_HOLD_UNJOINED_MS;
    /* The lease begins when it parks, and a third is left for coming back. */
    if (hold > lp->process->settings.lease_ms / 3 * 2)
        hold = lp->process->settings.lease_ms / 3 * 2;
    if (hold < HF_EMPTY_SPACING_MS)
        hold = HF_EMPTY_SPACING_MS;
    if (!identity || identity->expires_ms == HF_NEVER)
        return hold;
    left = identity->expires_ms - hf_wall_ms() + 1; /* rounded up */
    return left < hold ? left : hold;
}

/* What was committed between reading and listening rang no bell of ours; and
 * a page may have held nothing but what is not for this session. */
static void look_again(struct hf_longpoll *lp, struct hf_poll *poll)
{
    uint64_t head;

    if (lp->stream.more)
        make_dirty(poll);
    if (hf_journal_head(lp->process->journal, &head) == 0 &&
        head > lp->stream.head)
        hf_longpoll_soon(lp);
}

static int park(struct hf_longpoll *lp, struct hf_poll *poll)
{
    struct hf_loop *loop = lp->process->loop;
    int err;

    if (lp->parked_count == 0) {
        lp->cursor = lp->stream.head; /* nobody waited for what lies before */
        lp->epoch = poll->token.epoch;
    }
    err = hf_live_park(lp->process->live, session_of(poll), &poll->poll_no);
    if (err)
        return err;
    err = wait_for_topics(lp, poll);
    if (err)
        return err;
    poll->deadline.fire = deadline;
    err = hf_map_put(&lp->sessions, session_of(poll), poll);
    if (err == 0)
        err = hf_loop_arm(loop, &poll->deadline, hold_of(lp, poll) * 1000);
    if (err) {
        (void)hf_map_remove(&lp->sessions, session_of(poll));
        stop_waiting(lp, poll);
        return err;
    }
    poll->owner = lp;
    hf_list_append(&lp->parked, &poll->parked);
    hf_wake_add(lp->wake, session_of(poll));
    lp->parked_count++;
    hf_client_release(&poll->client); /* found again when there is something */
    look_again(lp, poll);
    /* an older poll of the session may be parked in another process */
    hf_wake_ring(lp->wake, session_of(poll));
    return 0;
}

/* --- answering --------------------------------------------------------- */

/* The session is past reviving, or what it must still read is gone: every
 * client since 1.4 then opens a new session and joins again (D6, D7). */
static void answer_dead(struct hf_poll *poll)
{
    unpark(poll);
    answer_bare(poll, "{\"status\":500}");
}

static void answer_stream(struct hf_longpoll *lp, struct hf_poll *poll)
{
    unpark(poll);
    lp->stream.next.expiry_ms = hf_wall_ms() + lp->process->settings.revive_ms;
    answer_with(lp, poll, lp->stream.count > 0 ? 200 : 204, &lp->stream.next,
                hf_buf_str(&lp->stream.messages));
}

/* Something that may concern every parked poll. */
static void all_came(struct hf_longpoll *lp)
{
    struct hf_list *node, *tmp;

    HF_LIST_EACH(node, tmp, &lp->parked)
    make_dirty(HF_ITEM(node, struct hf_poll, parked));
}

/* May the session still join all it has joined? A new session is told of each
 * topic what it may do there (D10). */
static int check_rights(struct hf_longpoll *lp, const struct hf_client *client)
{
    struct hf_process *process = lp->process;
    struct hf_str name;
    bool changed = false;
    size_t at = 0;
    int err = hf_rights_refresh(process->rights, process->journal, &changed);

    if (changed) /* whoever notices it first tells the others */
        all_came(lp);
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
    struct farewell farewell = {.vsn = poll->client.vsn, .messages = &messages};
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
        answer_dead(poll);
    } else {
        unpark(poll);
        answer_with(lp, poll, 200, &next, hf_buf_str(&messages));
    }
    hf_buf_release(&messages);
    hf_buf_release(&farewell.text);
}

/* phoenix.js sends its authToken with every GET. One of a later expiry is kept;
 * all else that is wrong with it was said when the session was made. */
static bool take_fresher(const struct hf_longpoll *lp, struct hf_poll *poll,
                         const struct hf_hello *hello)
{
    struct hf_identity *identity;

    if (!hello || lp->process->settings.tokens == HF_TOKENS_APPLICATION ||
        !hf_connect_fresher(lp->process->keys, hello, &poll->client, &identity))
        return false;
    hf_client_set(&poll->client, identity);
    return true;
}

/* Whose the session is, what came for it and whether it may still have that:
 * all of one moment (D6). `hello`: of the GET, or NULL when it was parked. */
static int compute(struct hf_longpoll *lp, struct hf_poll *poll,
                   const struct hf_hello *hello)
{
    struct hf_process *process = lp->process;
    struct hf_journal *journal = process->journal;
    bool fresher = false;
    uint64_t born;
    int err = hf_journal_snapshot(journal);

    if (err)
        return err;
    err = hf_owner_find(journal, process->live, &poll->token, &poll->client,
                        &born);
    if (err == 0) {
        fresher = take_fresher(lp, poll, hello);
        err = hf_stream_read_within(&lp->stream, journal, process->live,
                                    &poll->token, poll->client.vsn);
    }
    if (err == 0)
        err = check_rights(lp, &poll->client);
    hf_journal_snapshot_end(journal);
    if (fresher)
        hf_owner_renew(process, &poll->token, &poll->client, born);
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
        answer_dead(poll);
        return true;
    }
    if (lp->stream.count == 0) {
        if (lp->stream.more)
            poll->token = lp->stream.next; /* a page a turn */
        return false;
    }
    answer_stream(lp, poll);
    return true;
}

/* Nothing came: what it waits for may have changed all the same (a join by a
 * POST in another process). The former topics go last, so that those which stay
 * are heard all the time. */
static void wait_anew(struct hf_longpoll *lp, struct hf_poll *poll)
{
    struct hf_poll_wait *former = poll->waits;
    uint32_t count = poll->waits_count;
    int err;

    poll->waits = NULL;
    poll->waits_count = 0;
    err = wait_for_topics(lp, poll);
    drop_waits(lp, former, count);
    hf_client_release(&poll->client);
    if (err)
        answer_dead(poll);
    else
        look_again(lp, poll);
}

static void deadline(struct hf_timer *timer)
{
    struct hf_poll *poll = HF_ITEM(timer, struct hf_poll, deadline);
    struct hf_longpoll *lp = poll->owner;

    if (!answer_if_any(lp, poll, NULL))
        answer_stream(lp, poll);
}

/* Those that have more to read come behind the end of the list as it is now,
 * so that each reads a page a turn. */
static void answer_dirty(struct hf_longpoll *lp)
{
    unsigned left = ANSWERS_PER_TURN;
    struct hf_list *node;

    hf_list_append(&lp->dirty, &lp->later);
    while ((node = lp->dirty.next) != &lp->later && left-- > 0) {
        struct hf_poll *poll = HF_ITEM(node, struct hf_poll, dirty);

        hf_list_remove(node);
        if (!answer_if_any(lp, poll, NULL))
            wait_anew(lp, poll);
    }
    hf_list_remove(&lp->later);
    if (!hf_list_empty(&lp->dirty))
        hf_loop_at_turn_end(lp->process->loop, &lp->turn);
}

/* --- what came --------------------------------------------------------- */

static int row_came(void *ctx, const struct hf_row *row)
{
    struct hf_longpoll *lp = ctx;
    struct wait_topic *topic = hf_map_get(&lp->topics, row->topic);
    struct hf_list *node, *tmp;

    if (!topic)
        return 0;
    HF_LIST_EACH(node, tmp, &topic->waits)
    make_dirty(HF_ITEM(node, struct hf_poll_wait, in_topic)->poll);
    return 0;
}

static int frame_came(void *ctx, uint64_t id, struct hf_str session)
{
    (void)id;
#ifndef HF_BROKEN_NO_SESSION_BELL
    hf_longpoll_nudge(ctx, session);
#endif
    return 0;
}

static int look_in_snapshot(struct hf_longpoll *lp)
{
    struct hf_journal *journal = lp->process->journal;
    uint64_t head, at = lp->cursor;
    bool more = true, changed = false;
    int err = hf_journal_head(journal, &head);

    if (err == 0 && hf_journal_epoch(journal) != lp->epoch) {
        lp->epoch = hf_journal_epoch(journal);
        lp->cursor = head;
        all_came(lp);
        return 0;
    }
    if (err == 0)
        err = hf_rights_refresh(lp->process->rights, journal, &changed);
    if (err == 0 && changed)
        all_came(lp); /* each is looked at for what it may */
    while (err == 0 && more)
        err = hf_journal_read_topics(journal, at, HF_PAGE_ROWS, row_came, lp,
                                     &at, &more);
    for (at = lp->cursor, more = true; err == 0 && more;)
        err = hf_frames_owners(journal, at, HF_PAGE_ROWS, frame_came, lp, &at,
                               &more);
    if (err == 0)
        lp->cursor = head;
    return err;
}

/* The journal's files were replaced below this process, which can read no more
 * of it. */
static void end_all(struct hf_longpoll *lp)
{
    struct hf_list *node;

    while ((node = hf_list_first(&lp->parked)) != NULL)
        answer_dead(HF_ITEM(node, struct hf_poll, parked));
}

static void look(struct hf_longpoll *lp)
{
    struct hf_journal *journal = lp->process->journal;
    int err = hf_journal_snapshot(journal);

    if (err == 0) {
        err = look_in_snapshot(lp);
        hf_journal_snapshot_end(journal);
    }
    if (err == HF_EREPLACED) /* the journal has said why */
        end_all(lp);
    else if (err)
        HF_LOG(HF_LOG_WARN, "tail_failed", hf_field("why", hf_strerror(err)),
               hf_field("next", "polls look again at their deadline"));
}

static void end_of_turn(struct hf_turn *turn)
{
    struct hf_longpoll *lp = HF_ITEM(turn, struct hf_longpoll, turn);

    if (lp->grown && lp->parked_count > 0)
        look(lp);
    lp->grown = false;
    answer_dirty(lp);
}

static void grown(void *ctx)
{
    hf_longpoll_soon(ctx);
}

void hf_longpoll_soon(struct hf_longpoll *lp)
{
    lp->grown = true;
    hf_loop_at_turn_end(lp->process->loop, &lp->turn);
}

void hf_longpoll_nudge(struct hf_longpoll *lp, struct hf_str session)
{
    struct hf_poll *poll = hf_map_get(&lp->sessions, session);

    if (poll)
        make_dirty(poll);
}

/* What live.db alone knows: newer polls of a session in another process, and
 * replies that are not in the journal. */
static void look_at_live(void *ctx)
{
    struct hf_longpoll *lp = ctx;
    struct hf_list *node, *tmp;
    bool changed = false;

    if (hf_live_changed(lp->process->live, &changed) || !changed)
        return;
    HF_LIST_EACH(node, tmp, &lp->parked)
    {
        struct hf_poll *poll = HF_ITEM(node, struct hf_poll, parked);
        uint64_t newest = 0;
        uint32_t reply_n = 0;

        (void)hf_live_newest(lp->process->live, session_of(poll), &newest,
                             &reply_n);
#ifndef HF_BROKEN_OLDER_POLL_STAYS
        if (newest > poll->poll_no)
            release(poll);
        else
#endif
            if (reply_n > poll->token.replies)
            make_dirty(poll);
    }
}

/* --- a GET ------------------------------------------------------------- */

enum hf_token_state hf_longpoll_token(const struct hf_longpoll *lp,
                                      struct hf_str text, struct hf_token *out)
{
    struct hf_str key =
        hf_str((const char *)lp->process->secret, sizeof(lp->process->secret));
    int64_t now = hf_wall_ms();

    if (text.len == 0 || hf_token_parse(text, key, out) ||
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

static void create(struct hf_longpoll *lp, struct hf_poll *poll)
{
    struct hf_live *live = lp->process->live;
    struct hf_journal *journal = lp->process->journal;
    struct hf_token token = {.mount = lp->mount, .birth_ms = hf_wall_ms()};
    int err = hf_journal_snapshot(journal);

    if (err == 0) {
        err = hf_journal_head(journal, &token.cursor);
        token.epoch = hf_journal_epoch(journal);
        hf_journal_snapshot_end(journal);
    }
    if (err == 0)
        err = hf_token_new_session(token.session);
    if (err == 0)
        err = hf_owner_keep(live, &token, &poll->client);
    if (err) {
        answer_bare(poll, "{\"status\":500}");
        return;
    }
    token.expiry_ms = token.birth_ms + lp->process->settings.revive_ms;
    answer_with(lp, poll, 410, &token, HF_STR(""));
}

/* A newer poll of the session ends the older one at once (6.4, H). */
static void release_older(struct hf_longpoll *lp, struct hf_poll *poll)
{
    struct hf_poll *older = hf_map_get(&lp->sessions, session_of(poll));

    if (older)
        release(older);
}

static void go_on(struct hf_longpoll *lp, struct hf_poll *poll,
                  const struct hf_hello *hello)
{
    bool room;

    release_older(lp, poll);
    if (answer_if_any(lp, poll, hello)) {
        (void)hf_live_seen(lp->process->live, session_of(poll),
                           lp->process->settings.lease_ms);
        return;
    }
    room = lp->parked_count < lp->process->settings.max_held;
    if (!room && lp->stream.more)
        answer_stream(lp, poll); /* it comes back for the next page */
    else if (!room || park(lp, poll) != 0)
        answer_bare(poll, "{\"status\":500}");
}

static void refuse_connect(struct hf_poll *poll, int err)
{
    answer_bare(poll,
                err == HF_EDENIED ? "{\"status\":403}" : "{\"status\":500}");
}

static void stop_asking(struct hf_poll *poll)
{
    hf_connecting_cancel(&poll->connecting);
    poll->asking = NULL;
}

static void connected(struct hf_connecting *connecting, int err)
{
    struct hf_poll *poll = HF_ITEM(connecting, struct hf_poll, connecting);
    struct hf_longpoll *lp = poll->asking;

    stop_asking(poll);
    if (err)
        refuse_connect(poll, err);
    else
        create(lp, poll);
}

static int ask_connect(struct hf_longpoll *lp, struct hf_poll *poll,
                       const struct hf_hello *hello)
{
    int err;

    poll->connecting.done = connected;
    poll->connecting.client = &poll->client;
    err =
        hf_connecting_start(&poll->connecting, lp->process, hello, "longpoll");
    if (err)
        return err;
    poll->asking = lp;
    return 0;
}

static void connect_new(struct hf_longpoll *lp, struct hf_poll *poll,
                        const struct hf_hello *hello)
{
    const struct hf_process *process = lp->process;
    bool asked = false;
    int err = hf_connect_identify(&process->settings, process->keys, hello,
                                  &poll->client);

    if (err == 0)
        err = hf_connect_params(process, hello, &poll->client);
    if (err == 0 && hf_connecting_wanted(process)) {
        err = ask_connect(lp, poll, hello);
        asked = err == 0;
    }
    if (err)
        refuse_connect(poll, err);
    else if (!asked)
        create(lp, poll);
}

void hf_poll_start(struct hf_longpoll *lp, struct hf_poll *poll,
                   const struct hf_hello *hello, struct hf_str token)
{
    assert(!poll->owner);

    if (hf_connect_check(&lp->process->settings, hello, &poll->client)) {
        answer_bare(poll, "{\"status\":403}");
        return;
    }
    switch (hf_longpoll_token(lp, token, &poll->token)) {
    case HF_TOKEN_ABSENT:
        connect_new(lp, poll, hello);
        return;
    case HF_TOKEN_DEAD:
        answer_bare(poll, "{\"status\":500}");
        return;
    case HF_TOKEN_GOOD:
        go_on(lp, poll, hello);
        return;
    }
}

void hf_poll_cancel(struct hf_poll *poll)
{
    if (poll->asking)
        stop_asking(poll);
    unpark(poll);
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
    lp->turn.end = end_of_turn;
    hf_list_init(&lp->parked);
    hf_list_init(&lp->dirty);
    hf_list_init(&lp->staged);
    hf_buf_init(&lp->body, SIZE_MAX / 2); /* bounded by the stream's */
    err = hf_rights_new(&lp->writer_rights);
    if (err == 0)
        err = hf_wake_new(process->loop, &process->dir, process->journal, grown,
                          lp, &lp->wake);
    if (err == 0 && process->hooks)
        err = hf_session_locks_open(process->loop, &process->dir, &lp->locks);
    if (err) {
        hf_longpoll_close(lp);
        return err;
    }
    hf_wake_on_ring(lp->wake, look_at_live);
    if (!process->threaded)
        hf_wake_without_descriptors(lp->wake);
    hf_reaper_start(lp);
    *out = lp;
    return 0;
}

void hf_longpoll_release(struct hf_longpoll *lp)
{
    struct hf_list *node;

    while ((node = hf_list_first(&lp->parked)) != NULL)
        release(HF_ITEM(node, struct hf_poll, parked));
}

void hf_longpoll_close(struct hf_longpoll *lp)
{
    if (!lp)
        return;
    hf_longpoll_release(lp);
    hf_process_finish_writes(lp->process); /* answers the posts under way */
    hf_post_close_all(lp);
    hf_session_locks_close(lp->locks);
    hf_reaper_stop(lp);
    hf_loop_cancel_turn(&lp->turn);
    if (lp->wake)
        hf_wake_free(lp->wake);
    hf_map_release(&lp->topics);
    hf_map_release(&lp->sessions);
    hf_stream_release(&lp->stream);
    hf_buf_release(&lp->body);
    hf_rights_free(lp->writer_rights);
    free(lp);
}

size_t hf_longpoll_parked(const struct hf_longpoll *lp)
{
    return lp->parked_count;
}

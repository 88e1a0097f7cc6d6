#include "channel/witness.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "channel/answered.h"
#include "channel/longpoll_state.h"
#include "channel/session_state.h"

/*
 *     explain 1 <epoch> <id> <diff> TAB <topic> TAB <skip> TAB <who>
 *     <session> ..                                  lines
 *
 *     1 <kind> <epoch>
 *     T <members> <due> <passed>
 *     W <began> <live> <cursor> <flags> <unsent> <quiet> <read> TAB ..texts
 *     E <topics> <flags> TAB <session> TAB <user>
 *     P <held> <cursor> <replay> <at> <came> <sent> <shown> TAB <session>
 *
 * No text has a tab or a line's end in it: topics, users and session ids have no
 * control characters, and a join_ref is JSON.
 */

/* --- the question --------------------------------------------------------- */

void hf_witness_ask(struct hf_buf *out, const struct hf_witness_question *q)
{
    (void)hf_buf_addf(out, "explain 1 %" PRIx64 " %" PRIu64 " %d\t", q->epoch,
                      q->id, q->diff);
    (void)hf_buf_add_str(out, q->topic);
    (void)hf_buf_add_byte(out, '\t');
    (void)hf_buf_add_str(out, q->skip);
    (void)hf_buf_add_byte(out, '\t');
    (void)hf_buf_add_str(out, q->who);
    (void)hf_buf_add_byte(out, '\n');
}

void hf_witness_ask_session(struct hf_buf *out, struct hf_str session)
{
    (void)hf_buf_add_str(out, session);
    (void)hf_buf_add_byte(out, '\n');
}

/* What stands before the next `end`, which is passed over; at the last one all
 * that is left. */
static struct hf_str cut(struct hf_str *text, char end)
{
    const char *at = text->len ? memchr(text->at, end, text->len) : NULL;
    struct hf_str part = *text;

    if (at)
        part.len = (size_t)(at - text->at);
    *text = hf_str_from(*text, at ? part.len + 1 : part.len);
    return part;
}

/* A number in decimal or hex; 0 when it is none. */
static uint64_t number(struct hf_str *line, int base)
{
    struct hf_str word = cut(line, ' ');
    char text[24];

    if (word.len == 0 || word.len >= sizeof(text))
        return 0;
    memcpy(text, word.at, word.len);
    text[word.len] = '\0';
    return strtoull(text, NULL, base);
}

/* `rest`: the lines behind. False: of another version. */
static bool read_question(struct hf_str text, struct hf_witness_question *q,
                          struct hf_str *rest)
{
    struct hf_str line = cut(&text, '\n');
    struct hf_str numbers = cut(&line, '\t');

    if (!hf_str_eq(cut(&numbers, ' '), HF_STR("explain")) ||
        !hf_str_eq(cut(&numbers, ' '), HF_STR("1")))
        return false;
    q->epoch = number(&numbers, 16);
    q->id = number(&numbers, 10);
    q->diff = number(&numbers, 10) != 0;
    q->topic = cut(&line, '\t');
    q->skip = cut(&line, '\t');
    q->who = line;
    *rest = text;
    return true;
}

/* --- the side-car ---------------------------------------------------------- */

/* A member that is not in the list of those with something to take is where its
 * hub is (member.c). */
static uint64_t reached(const struct hf_member *member)
{
    uint64_t hub = member->topic->hub->cursor;

    return hf_list_linked(&member->ready) || member->held ||
                   member->cursor > hub
               ? member->cursor
               : hub;
}

/* What it needs next is not in the ring any more; the mark is set when it takes
 * something. */
static bool is_behind(const struct hf_member *member)
{
    return member->lagging || reached(member) < member->topic->ring.low;
}

static bool is_left_out(const struct hf_member *member,
                        const struct hf_witness_question *q)
{
    const struct hf_session *session = member->session;

    if (q->diff && q->id <= member->told)
        return true;
    return q->skip.len > 0 && session->named &&
           hf_str_eq(q->skip, hf_str(session->id, sizeof(session->id)));
}

static bool is_meant(struct hf_session *session, struct hf_str who)
{
    return who.len == 0 || hf_str_eq(who, hf_session_id(session)) ||
           hf_str_eq(who, session->client.user);
}

static bool may_join(const struct hf_session *session, struct hf_str topic)
{
    return hf_rights_of(session->hub->process->rights, &session->client, topic)
               .rights &
           HF_RIGHT_JOIN;
}

static void add_socket(struct hf_member *member,
                       const struct hf_witness_question *q, struct hf_buf *out)
{
    struct hf_session *session = member->session;
    const struct hf_hub *hub = session->hub;
    struct hf_link_state link = {.unsent = 0};

    if (session->link->look)
        session->link->look(session->link, &link);
    (void)hf_buf_addf(
        out, "W %" PRIu64 " %" PRIu64 " %" PRIu64 " %u %zu %lld %lld\t",
        member->began, member->live, reached(member),
        (unsigned)may_join(session, q->topic) |
            (unsigned)is_left_out(member, q) << 1 |
            (unsigned)is_behind(member) << 2 | (unsigned)member->held << 3 |
            (unsigned)(session->link->look != NULL) << 4,
        link.unsent, (long long)link.quiet_ms,
        (long long)hf_hub_read_at(hub, q->id));
    (void)hf_buf_add_str(out, hf_session_id(session));
    (void)hf_buf_add_byte(out, '\t');
    (void)hf_buf_add_str(out, session->client.user);
    (void)hf_buf_add_byte(out, '\t');
    (void)hf_buf_add_str(out, hf_member_join_ref(member));
    (void)hf_buf_add_byte(out, '\n');
}

/* Returns how many were told of one by one. */
static unsigned tell_members(const struct hf_topic *topic,
                             const struct hf_witness_question *q,
                             struct hf_buf *out)
{
    struct hf_witness_totals totals = {0, 0, 0};
    struct hf_list *node, *tmp;
    unsigned told = 0;

    HF_LIST_EACH(node, tmp, &topic->members)
    {
        struct hf_member *member = HF_ITEM(node, struct hf_member, in_topic);
        bool due = member->began < q->id && !is_left_out(member, q);

        totals.members++;
        totals.due += due;
        totals.passed += due && reached(member) >= q->id;
        if (told < HF_WITNESS_MEMBERS && is_meant(member->session, q->who)) {
            add_socket(member, q, out);
            told++;
        }
    }
    (void)hf_buf_addf(out, "T %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
                      totals.members, totals.due, totals.passed);
    return told;
}

static void add_elsewhere(struct hf_session *session, struct hf_str topic,
                          struct hf_buf *out)
{
    (void)hf_buf_addf(out, "E %u %d\t", (unsigned)session->members_count,
                      may_join(session, topic));
    (void)hf_buf_add_str(out, hf_session_id(session));
    (void)hf_buf_add_byte(out, '\t');
    (void)hf_buf_add_str(out, session->client.user);
    (void)hf_buf_add_byte(out, '\n');
}

/* By one of its topics; who has joined none is not found. */
static void look_elsewhere(const struct hf_hub *hub,
                           const struct hf_witness_question *q,
                           struct hf_buf *out)
{
    const struct hf_topic *topic;
    struct hf_list *node, *tmp;
    size_t at = 0;

    while ((topic = hf_map_next(&hub->topics, &at)) != NULL) {
        HF_LIST_EACH(node, tmp, &topic->members)
        {
            struct hf_member *member =
                HF_ITEM(node, struct hf_member, in_topic);

            if (!is_meant(member->session, q->who))
                continue;
            add_elsewhere(member->session, q->topic, out);
            return;
        }
    }
}

static bool asks_for_state(struct hf_str question)
{
    return hf_str_eq(question, HF_STR(HF_WITNESS_STATE));
}

static void tell_of_sockets(void *ctx, struct hf_str question,
                            struct hf_buf *out)
{
    const struct hf_hub *hub = ctx;
    struct hf_witness_question q;
    const struct hf_topic *topic;
    struct hf_str rest;
    unsigned told = 0;

    if (asks_for_state(question))
        (void)hf_buf_addf(out,
                          "1 side-car " PACKAGE_VERSION " %zu %zu %zu\n",
                          hub->counts.sessions, hub->counts.members,
                          hub->counts.lagging);
    if (!read_question(question, &q, &rest))
        return;
    (void)hf_buf_addf(out, "1 side-car %" PRIx64 "\n", hub->epoch);
    if (hub->epoch != q.epoch)
        return;
    topic = hf_hub_find(hub, q.topic);
    if (topic)
        told = tell_members(topic, &q, out);
    if (q.who.len > 0 && told == 0)
        look_elsewhere(hub, &q, out);
}

void hf_witness_sockets(struct hf_hub *hub)
{
    hf_inquiry_answer(hub->process->inquiry, tell_of_sockets, hub);
}

/* --- the gateway ------------------------------------------------------------ */

static void add_poll(const struct hf_longpoll *lp, struct hf_str session,
                     uint64_t id, struct hf_buf *out)
{
    struct hf_waiter *waiter = hf_waiting_of(&lp->waiting, session);
    struct hf_answered_sum sum;

    hf_answered_look(lp->answered, session, id, &sum);
    if (waiter) {
        const struct hf_token *token =
            &HF_ITEM(waiter, struct hf_poll, waiter)->token;

        sum.cursor = token->cursor;
        sum.replay = token->replay;
        sum.replay_at = token->replay_at;
    } else if (sum.came_ms == 0 && sum.sent_ms == 0) {
        return;
    }
    (void)hf_buf_addf(
        out, "P %d %" PRIu64 " %" PRIu64 " %" PRIu64 " %lld %lld %lld\t",
        waiter != NULL, sum.cursor, sum.replay, sum.replay_at,
        (long long)sum.came_ms, (long long)sum.sent_ms,
        (long long)sum.shown_ms);
    (void)hf_buf_add_str(out, session);
    (void)hf_buf_add_byte(out, '\n');
}

static void tell_of_polls(void *ctx, struct hf_str question, struct hf_buf *out)
{
    const struct hf_longpoll *lp = ctx;
    struct hf_witness_question q;
    struct hf_str rest;
    unsigned count = 0;

    if (asks_for_state(question))
        (void)hf_buf_addf(out, "1 gateway " PACKAGE_VERSION " %zu\n",
                          hf_longpoll_parked(lp));
    if (!read_question(question, &q, &rest))
        return;
    (void)hf_buf_addf(out, "1 gateway %" PRIx64 "\n", lp->waiting.epoch);
    if (lp->waiting.epoch != q.epoch)
        return;
    while (rest.len > 0 && count++ < HF_WITNESS_MEMBERS)
        add_poll(lp, cut(&rest, '\n'), q.id, out);
}

void hf_witness_polls(struct hf_longpoll *lp)
{
    lp->answered = calloc(1, sizeof(*lp->answered)); /* or it knows less */
    hf_inquiry_answer(lp->process->inquiry, tell_of_polls, lp);
}

/* --- what is heard ----------------------------------------------------------- */

static void read_socket(struct hf_str numbers, struct hf_str texts,
                        const struct hf_witness_heard *heard)
{
    struct hf_witness_socket socket = {.began = number(&numbers, 10),
                                       .live = 0};
    unsigned flags;

    socket.live = number(&numbers, 10);
    socket.cursor = number(&numbers, 10);
    flags = (unsigned)number(&numbers, 10);
    socket.may_join = flags & 1;
    socket.left_out = flags & 2;
    socket.lagging = flags & 4;
    socket.held = flags & 8;
    socket.link_known = flags & 16;
    socket.unsent = number(&numbers, 10);
    socket.quiet_ms = (int64_t)number(&numbers, 10);
    socket.read_ms = (int64_t)number(&numbers, 10);
    socket.session = cut(&texts, '\t');
    socket.user = cut(&texts, '\t');
    socket.join_ref = texts;
    heard->socket(heard->ctx, &socket);
}

static void read_elsewhere(struct hf_str numbers, struct hf_str texts,
                           const struct hf_witness_heard *heard)
{
    struct hf_witness_elsewhere there = {.topics =
                                             (unsigned)number(&numbers, 10)};

    there.may_join = number(&numbers, 10) != 0;
    there.session = cut(&texts, '\t');
    there.user = texts;
    heard->elsewhere(heard->ctx, &there);
}

static void read_totals(struct hf_str numbers,
                        const struct hf_witness_heard *heard)
{
    struct hf_witness_totals totals = {.members = number(&numbers, 10)};

    totals.due = number(&numbers, 10);
    totals.passed = number(&numbers, 10);
    heard->totals(heard->ctx, &totals);
}

static void read_poll(struct hf_str numbers, struct hf_str texts,
                      const struct hf_witness_heard *heard)
{
    struct hf_witness_poll poll = {.held = number(&numbers, 10) != 0};

    poll.cursor = number(&numbers, 10);
    poll.replay = number(&numbers, 10);
    poll.replay_at = number(&numbers, 10);
    poll.came_ms = (int64_t)number(&numbers, 10);
    poll.sent_ms = (int64_t)number(&numbers, 10);
    poll.shown_ms = (int64_t)number(&numbers, 10);
    poll.session = texts;
    heard->poll(heard->ctx, &poll);
}

static int read_line(struct hf_str line, const struct hf_witness_heard *heard)
{
    struct hf_str numbers = cut(&line, '\t');
    struct hf_str kind = cut(&numbers, ' ');

    switch (kind.len == 1 ? kind.at[0] : '\0') {
    case 'W':
        read_socket(numbers, line, heard);
        return 0;
    case 'E':
        read_elsewhere(numbers, line, heard);
        return 0;
    case 'T':
        read_totals(numbers, heard);
        return 0;
    case 'P':
        read_poll(numbers, line, heard);
        return 0;
    default:
        return HF_EMALFORMED;
    }
}

int hf_witness_read(struct hf_str answer, uint64_t epoch,
                    const struct hf_witness_heard *heard)
{
    struct hf_str first = cut(&answer, '\n');
    int err = 0;

    if (first.len == 0)
        return HF_EAGAIN;
    if (!hf_str_eq(cut(&first, ' '), HF_STR("1")))
        return HF_EMALFORMED;
    heard->process(heard->ctx, cut(&first, ' '));
    if (number(&first, 16) != epoch)
        return HF_ENOTFOUND;
    while (answer.len > 0 && !err)
        err = read_line(cut(&answer, '\n'), heard);
    return err;
}

int hf_witness_read_state(struct hf_str answer, struct hf_witness_state *out)
{
    struct hf_str line = cut(&answer, '\n');

    if (line.len == 0)
        return HF_EAGAIN;
    if (!hf_str_eq(cut(&line, ' '), HF_STR("1")))
        return HF_EMALFORMED;
    *out = (struct hf_witness_state){.kind = cut(&line, ' ')};
    out->version = cut(&line, ' ');
    if (hf_str_eq(out->kind, HF_STR("side-car"))) {
        out->sockets = number(&line, 10);
        out->members = number(&line, 10);
        out->lagging = number(&line, 10);
    } else if (hf_str_eq(out->kind, HF_STR("gateway"))) {
        out->held = number(&line, 10);
    } else {
        return HF_EMALFORMED;
    }
    return 0;
}

#include "cli/explain.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "channel/owner.h"

/* Where the message lies for one membership. */
enum place {
    HAD,     /* said with its join that it has it */
    LATER,   /* joined behind it */
    LIVE,    /* came while it was joined */
    REPLAY,  /* follows the answer to its join */
    PERHAPS, /* so do the newest few of the past */
    ENDED,   /* it had left */
};

struct hf_explain_poll {
    char session[64];
    char user[HF_USER_MAX + 1];
    enum place place;
    uint64_t joined, ended, since;
    bool with_presence;
    struct hf_witness_poll heard; /* its session is not set */
    pid_t held_by; /* the process that holds a poll of it; or 0 */
    struct hf_live_seat seat;
};

static enum place place_of(const struct hf_membership *m, uint64_t id)
{
    if (id > m->joined)
        return m->ended && id > m->ended ? ENDED : LIVE;
    if (m->has_since && m->since < m->joined)
        return id > m->since ? REPLAY : HAD;
    if (m->has_replay && id > m->replay)
        return PERHAPS;
    return LATER;
}

/* --- from the journal -------------------------------------------------------- */

static int add_membership(void *ctx, struct hf_str session, struct hf_str user,
                          const struct hf_membership *m)
{
    struct hf_explain *explain = ctx;
    struct hf_explain_poll *poll = &explain->polls[explain->polls_count++];

    *poll = (struct hf_explain_poll){.place = place_of(m, explain->id),
                                     .joined = m->joined,
                                     .ended = m->ended,
                                     .since = m->since,
                                     .with_presence = m->presence.len > 0};
    (void)snprintf(poll->session, sizeof(poll->session), "%.*s",
                   HF_STR_ARG(session));
    (void)snprintf(poll->user, sizeof(poll->user), "%.*s", HF_STR_ARG(user));
    return hf_live_seat(explain->live, session, &poll->seat);
}

int hf_explain_polls_find(struct hf_explain *explain)
{
    explain->polls = calloc(HF_WITNESS_MEMBERS, sizeof(*explain->polls));
    if (!explain->polls)
        return HF_ENOMEM;
    return hf_trace_members(explain->cli->journal,
                            hf_str_of(explain->trace.topic), explain->who,
                            HF_WITNESS_MEMBERS, add_membership, explain);
}

void hf_explain_polls_free(struct hf_explain *explain)
{
    free(explain->polls);
    explain->polls = NULL;
}

void hf_explain_polls_ask(const struct hf_explain *explain, struct hf_buf *out)
{
    size_t i;

    for (i = 0; i < explain->polls_count; i++)
        hf_witness_ask_session(out, hf_str_of(explain->polls[i].session));
}

/* Several processes may have served it: of the first times the earlier counts,
 * of its place the later. */
static void merge(struct hf_witness_poll *known,
                  const struct hf_witness_poll *heard)
{
    if (heard->held || heard->cursor > known->cursor) {
        known->cursor = heard->cursor;
        known->replay = heard->replay;
        known->replay_at = heard->replay_at;
        known->came_ms = heard->came_ms;
    }
    known->held = known->held || heard->held;
    if (heard->sent_ms && (!known->sent_ms || heard->sent_ms < known->sent_ms))
        known->sent_ms = heard->sent_ms;
    if (heard->shown_ms &&
        (!known->shown_ms || heard->shown_ms < known->shown_ms))
        known->shown_ms = heard->shown_ms;
}

void hf_explain_poll_heard(struct hf_explain *explain,
                           const struct hf_witness_poll *heard)
{
    size_t i;

    for (i = 0; i < explain->polls_count; i++) {
        struct hf_explain_poll *poll = &explain->polls[i];

        if (!hf_str_eq(heard->session, hf_str_of(poll->session)))
            continue;
        merge(&poll->heard, heard);
        if (heard->held)
            poll->held_by = explain->pid;
    }
}

/* --- may it? ------------------------------------------------------------------ */

struct judged {
    struct hf_explain *explain;
    const char *verdict;
};

static int judge(void *ctx, const struct hf_session_owner *owner)
{
    struct judged *judged = ctx;
    struct hf_explain *explain = judged->explain;
    struct hf_client client = {.user = owner->user};
    int err = hf_identity_new(owner->user, owner->claims, owner->expires_ms,
                              &client.identity);

    if (err)
        return err;
    if (hf_owner_check(explain->cli->journal, owner->user, owner->born) ==
        HF_ENOTFOUND)
        judged->verdict = "no: its user was disconnected since";
    else if (owner->expires_ms < hf_wall_ms())
        judged->verdict = "no: its token has expired";
    else if (hf_rights_of(explain->rights, &client,
                          hf_str_of(explain->trace.topic))
                 .rights &
             HF_RIGHT_JOIN)
        judged->verdict = "yes, now";
    hf_identity_unref(client.identity);
    return 0;
}

/* What it may do is looked at whenever something is read for it. */
static const char *may_join(struct hf_explain *explain, struct hf_str session)
{
    struct judged judged = {
        explain, "no: neither a policy nor its token gives it the right to "
                 "join this topic"};
    struct hf_str topic = hf_str_of(explain->trace.topic);
    int err =
        hf_session_owner(explain->cli->journal, session, judge, &judged, NULL);

    if (err == HF_ENOTFOUND)
        return hf_rights_of(explain->rights, NULL, topic).rights & HF_RIGHT_JOIN
                   ? "yes, now"
                   : "no: no policy lets visitors without a token join this "
                     "topic";
    return err ? "unknown: it cannot be read" : judged.verdict;
}

/* --- words --------------------------------------------------------------------- */

static bool is_left_out(const struct hf_explain *explain,
                        const struct hf_explain_poll *poll)
{
    return hf_str_eq(hf_str_of(explain->trace.skip), hf_str_of(poll->session));
}

static bool is_due(const struct hf_explain *explain,
                   const struct hf_explain_poll *poll)
{
    if (is_left_out(explain, poll) ||
        (hf_explain_is_diff(explain) && !poll->with_presence))
        return false;
    return poll->place == LIVE || poll->place == REPLAY ||
           poll->place == PERHAPS;
}

static void print_due(const struct hf_explain *explain,
                      const struct hf_explain_poll *poll)
{
    char text[HF_CURSOR_MAX + 1];

    printf("for it       ");
    if (is_left_out(explain, poll)) {
        printf("no: the publisher has left this session out\n");
        return;
    }
    if (hf_explain_is_diff(explain) && !poll->with_presence) {
        printf("no: changes of presence are not for it\n");
        return;
    }
    switch (poll->place) {
    case HAD:
        printf("no: it said with its join, since %s, that it has it\n",
               hf_explain_cursor(explain, poll->since, text));
        return;
    case LATER:
        printf("no: joined behind it, at %s\n",
               hf_explain_cursor(explain, poll->joined, text));
        return;
    case LIVE:
        printf("yes: joined before it, at %s\n",
               hf_explain_cursor(explain, poll->joined, text));
        return;
    case REPLAY:
        printf("yes: joined later, with since %s\n",
               hf_explain_cursor(explain, poll->since, text));
        return;
    case PERHAPS:
        printf("perhaps: joined later, and asked for the newest few\n");
        return;
    case ENDED:
        printf("no: it had left, at %s\n",
               hf_explain_cursor(explain, poll->ended, text));
        return;
    }
}

static uint64_t shown(const struct hf_explain_poll *poll)
{
    return poll->heard.cursor > poll->seat.shown ? poll->heard.cursor
                                                 : poll->seat.shown;
}

/* Coming with a cursor acknowledges all before it (D6). */
static bool is_acknowledged(const struct hf_explain *explain,
                            const struct hf_explain_poll *poll)
{
    const struct hf_witness_poll *heard = &poll->heard;

    if (poll->place == LIVE)
        return shown(poll) >= explain->id;
    if (poll->seat.shown >= poll->joined)
        return true;
    return heard->cursor >= poll->joined &&
           (heard->replay != poll->joined || heard->replay_at >= explain->id);
}

/* Is what it must still read before the message gone? */
static bool has_gap(const struct hf_explain *explain,
                    const struct hf_explain_poll *poll)
{
    uint64_t after = shown(poll) > poll->joined ? shown(poll) : poll->joined;
    bool gap = false;

    if (poll->place != LIVE)
        after = poll->since;
    return hf_journal_gap(explain->cli->journal,
                          hf_str_of(explain->trace.topic), after, &gap) == 0 &&
           gap;
}

static void print_sent(const struct hf_explain *explain,
                       const struct hf_explain_poll *poll, bool acknowledged)
{
    char time[HF_EXPLAIN_TIME];

    printf("sent         ");
    if (poll->heard.sent_ms && poll->place == LIVE)
        printf("yes, in an answer of %s\n",
               hf_explain_time(poll->heard.sent_ms, time));
    else if (acknowledged)
        printf("yes; no process that runs now remembers when\n");
    else if (has_gap(explain, poll))
        printf("no: messages that it has not read were removed, so its next "
               "poll is answered with status 500; it then joins anew and is "
               "told of the gap\n");
    else if (explain->trace.is != HF_TRACE_MESSAGE)
        printf("unknown: it may have been before it was removed\n");
    else if (poll->held_by)
        printf("not yet: process %ld holds its poll and answers it\n",
               (long)poll->held_by);
    else
        printf("unknown: no poll of it is held now; if it was not, its next "
               "answer has it\n");
}

static void print_acknowledged(const struct hf_explain_poll *poll,
                               bool acknowledged)
{
    char time[HF_EXPLAIN_TIME];

    if (!acknowledged)
        printf("acknowledged not that is known of: it has not come back from "
               "beyond it\n");
    else if (poll->heard.shown_ms && poll->place == LIVE)
        printf("acknowledged yes, by the poll of %s\n",
               hf_explain_time(poll->heard.shown_ms, time));
    else
        printf("acknowledged yes, by a later poll\n");
}

static void print_seen(const struct hf_explain_poll *poll)
{
    if (poll->seat.seen_ms)
        printf("heard of     %.1f s ago\n",
               (double)(hf_boot_ms() - poll->seat.seen_ms) / 1000);
    else
        printf("heard of     not since this machine was started\n");
}

static void print_one(struct hf_explain *explain,
                      const struct hf_explain_poll *poll)
{
    bool acknowledged = is_acknowledged(explain, poll);

    printf("\nsession      %s\ntransport    long-poll\nuser         %s\n",
           poll->session, poll->user[0] ? poll->user : "nobody known");
    print_due(explain, poll);
    printf("authorised   %s\n", may_join(explain, hf_str_of(poll->session)));
    if (is_due(explain, poll)) {
        print_sent(explain, poll, acknowledged);
        print_acknowledged(poll, acknowledged);
    }
    print_seen(poll);
}

int hf_explain_polls_print(struct hf_explain *explain)
{
    size_t i;

    for (i = 0; i < explain->polls_count; i++)
        print_one(explain, &explain->polls[i]);
    return hf_cli_flush(explain->cli);
}

int hf_explain_stranger(struct hf_explain *explain)
{
    char session[64];
    int err = hf_trace_session(explain->cli->journal, explain->who, session);

    if (err)
        return err;
    printf("\nsession      %s\n"
           "transport    long-poll\n"
           "for it       no: it has not joined this topic, or has left it and "
           "acknowledged all before that\n"
           "authorised   %s\n",
           session, may_join(explain, hf_str_of(session)));
    return 0;
}

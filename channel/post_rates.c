#include "channel/post_state.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "channel/rate.h"

/*
 * A session has no row to count in before its first join is accepted, and
 * whoever is always refused never has one. So its joins are counted in live.db
 * before they are tried: a POST beside this one, or the next, finds them counted
 * whatever has become of them. The transaction counts from the same state on,
 * and what it comes to is the row's if there is one in the end.
 */

static size_t count_joins(const struct hf_post_work *work, size_t from)
{
    static const struct hf_str unjoined = {NULL, 0};
    size_t n, joins = 0;

    for (n = from; n < work->upto; n++)
        joins += hf_dispatch(&work->body.frames[n], unjoined) == HF_ACTION_JOIN;
    return joins;
}

static int count(struct hf_post_work *work, size_t joins)
{
    const struct hf_process *process = work->longpoll->process;
    struct hf_session_rates rates;
    int64_t now_us = hf_wall_ms() * 1000;
    int err = hf_live_rates(process->live, hf_post_session(work), &rates);

    if (err)
        return err;
    work->unjoined = rates;
    while (joins-- > 0)
        (void)hf_rate_take(hf_join_rate(&process->settings), &rates.join_due_us,
                           now_us);
    if (rates.join_due_us == work->unjoined.join_due_us)
        return 0;
    return hf_live_set_rates(process->live, hf_post_session(work), &rates);
}

void hf_post_count_joins(struct hf_post_work *work)
{
    size_t from = work->counted > work->at ? work->counted : work->at;
    size_t joins;
    int err;

    if (work->token.joined) /* then the row counts */
        return;
    joins = count_joins(work, from);
    if (work->upto > work->counted)
        work->counted = work->upto;
    if (joins == 0)
        return;
    err = count(work, joins);
    if (err) /* nobody is refused for it: live.db may be lost at any time */
        HF_LOG(HF_LOG_WARN, "joins_not_counted",
               hf_field("why", hf_strerror(err)));
}

int hf_post_rates_now(const struct hf_post_work *work,
                      struct hf_session_rates *out)
{
    const struct hf_process *process = work->longpoll->process;
    struct hf_str session = hf_post_session(work);
    bool exists;
    int err = hf_session_exists(process->journal, session, &exists);

    if (err)
        return err;
    return exists ? hf_session_rates(process->journal, session, out)
                  : hf_live_rates(process->live, session, out);
}

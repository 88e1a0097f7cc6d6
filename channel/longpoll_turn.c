/*
 * longpoll_turn.c - the polls that come in one turn, looked at at its end
 *
 * What many need is then read and written once: one snapshot of the journal, one
 * transaction of live.db, and of each topic one page of rows (common.h).
 */
#include "channel/longpoll_state.h"

#include "base/err.h"
#include "base/log.h"

void hf_poll_come(struct hf_longpoll *lp, struct hf_poll *poll,
                  struct hf_str address)
{
    struct hf_poll_coming *coming = &poll->coming;

    *coming = (struct hf_poll_coming){.address_len = address.len};
    if (coming->address_len > sizeof(coming->address))
        coming->address_len = sizeof(coming->address);
    if (coming->address_len > 0)
        memcpy(coming->address, address.at, coming->address_len);
    hf_list_append(&lp->coming, &coming->node);
    poll->is_coming = true;
    hf_loop_at_turn_end(lp->process->loop, &lp->look_at_coming);
}

void hf_poll_come_no_more(struct hf_poll *poll)
{
    hf_list_remove(&poll->coming.node);
    poll->is_coming = false;
    poll->waiter = (struct hf_waiter){0}; /* as before it came */
}

static struct hf_poll *first_coming(const struct hf_longpoll *lp)
{
    struct hf_list *node = hf_list_first(&lp->coming);

    return node ? HF_ITEM(node, struct hf_poll, coming.node) : NULL;
}

static void look_at(struct hf_longpoll *lp, struct hf_poll *poll)
{
    struct hf_poll_coming came_as = poll->coming;

    hf_poll_come_no_more(poll);
    hf_poll_go_on(lp, poll, NULL, hf_str(came_as.address, came_as.address_len));
}

/* Those who were parked are, or their newer poll would not be known elsewhere. */
static void settle(struct hf_longpoll *lp, int err)
{
    if (err)
        HF_LOG(HF_LOG_WARN, "parking_failed", hf_field("why", hf_strerror(err)),
               hf_field_i("polls", (long long)lp->settling_count),
               hf_field("effect", "they are answered, and come again"));
    while (lp->settling_count > 0) {
        struct hf_poll *poll = lp->settling[lp->settling_count - 1];

        if (err) {
            hf_poll_unpark(poll);
            hf_poll_answer_bare(lp, poll, "{\"status\":500}");
        } else {
            lp->settling_count--;
            hf_poll_parked(lp, poll);
        }
    }
}

void hf_longpoll_look_at_coming(struct hf_longpoll *lp)
{
    struct hf_live *live = lp->process->live;
    size_t left = HF_WAITING_TURN;
    struct hf_poll *poll;

    if (hf_list_empty(&lp->coming))
        return;
    hf_waiting_share(&lp->waiting);
    lp->park_err = hf_live_together(live);
    lp->together = lp->park_err == 0;
    while (left-- > 0 && (poll = first_coming(lp)) != NULL)
        look_at(lp, poll);
    if (lp->together) {
        int err = hf_live_together_end(live);

#ifdef HF_BROKEN_UNKEPT /* parked, and no other process knows */
        err = 0;
#endif
        settle(lp, err);
    }
    lp->together = false;
    lp->park_err = 0;
    hf_waiting_share_end(&lp->waiting);
    if (!hf_list_empty(&lp->coming))
        hf_loop_at_turn_end(lp->process->loop, &lp->look_at_coming);
}

void hf_longpoll_turn_ends(struct hf_turn *turn)
{
    hf_longpoll_look_at_coming(
        HF_ITEM(turn, struct hf_longpoll, look_at_coming));
}

/* They go on elsewhere, with the tokens they came with. */
void hf_longpoll_release_coming(struct hf_longpoll *lp)
{
    struct hf_poll *poll;

    while ((poll = first_coming(lp)) != NULL) {
        hf_poll_come_no_more(poll);
        hf_poll_answer(lp, poll, 204, &poll->token, hf_poll_scatter(poll),
                       HF_STR(""));
    }
}

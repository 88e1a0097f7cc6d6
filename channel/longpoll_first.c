/*
 * longpoll_first.c - a GET without a token: who is it, and may it come? A new
 * session
 */
#include "channel/longpoll_state.h"

#include "base/clock.h"
#include "base/err.h"
#include "channel/owner.h"

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
        err = hf_owner_keep(live, &token, &lp->client);
    if (err) {
        hf_poll_answer_bare(lp, poll, "{\"status\":500}");
        return;
    }
    token.expiry_ms = token.birth_ms + lp->process->settings.revive_ms;
    hf_poll_answer(lp, poll, 410, &token, 0, HF_STR(""));
}

static void refuse_connect(struct hf_longpoll *lp, struct hf_poll *poll,
                           int err)
{
    hf_poll_answer_bare(
        lp, poll, err == HF_EDENIED ? "{\"status\":403}" : "{\"status\":500}");
}

void hf_poll_stop_asking(struct hf_poll *poll)
{
    hf_connecting_cancel(&poll->ask.connecting);
    hf_client_release(&poll->ask.client);
    poll->asking = NULL;
    poll->waiter = (struct hf_waiter){0}; /* as before it asked */
}

static void connected(struct hf_connecting *connecting, int err)
{
    struct hf_poll *poll = HF_ITEM(connecting, struct hf_poll, ask.connecting);
    struct hf_longpoll *lp = poll->asking;

    lp->client = hf_client_copy(&poll->ask.client);
    hf_poll_stop_asking(poll);
    if (err)
        refuse_connect(lp, poll, err);
    else
        create(lp, poll);
}

static int ask_connect(struct hf_longpoll *lp, struct hf_poll *poll,
                       const struct hf_hello *hello)
{
    int err;

    poll->ask = (struct hf_poll_asking){
        .connecting = {.done = connected, .client = &poll->ask.client},
        .client = lp->client};
    lp->client = (struct hf_client){.vsn = HF_VSN_2}; /* it is the poll's now */
    poll->asking = lp;
    err = hf_connecting_start(&poll->ask.connecting, lp->process, hello,
                              "longpoll");
    if (err)
        hf_poll_stop_asking(poll);
    return err;
}

void hf_poll_connect(struct hf_longpoll *lp, struct hf_poll *poll,
                     const struct hf_hello *hello)
{
    const struct hf_process *process = lp->process;
    bool asked = false;
    int err = hf_connect_identify(&process->settings, process->keys, hello,
                                  &lp->client);

    if (err == 0)
        err = hf_connect_params(process, hello, &lp->client);
    if (err == 0 && hf_connecting_wanted(process)) {
        err = ask_connect(lp, poll, hello);
        asked = err == 0;
    }
    if (err)
        refuse_connect(lp, poll, err);
    else if (!asked)
        create(lp, poll);
}

/*
 * connecting.h - a client that the application is asked to let in (D12)
 *
 * After our own checks, where hook_events has `connect`. The application sees
 * the connect parameters and who the token says it is; it may refuse, say who
 * the user is, and what later hooks are told in place of the parameters.
 */
#ifndef HF_CHANNEL_CONNECTING_H
#define HF_CHANNEL_CONNECTING_H

#include "channel/connect.h"
#include "channel/process.h"

struct hf_connecting {
    /* Once, never within hf_connecting_start: 0: let in, `client` says as whom;
     * HF_EDENIED: refused; else the application failed. */
    void (*done)(struct hf_connecting *connecting, int err);
    struct hf_client *client; /* the caller's */
    struct hf_hook_call call; /* private */
};

/* Decode the parameters of hello's query and keep them with the client, where
 * there are hooks at all. 0, HF_EDENIED: they are none, HF_ENOMEM. */
int hf_connect_params(const struct hf_process *process,
                      const struct hf_hello *hello, struct hf_client *client);

/* Is it asked at all? */
bool hf_connecting_wanted(const struct hf_process *process);

/* `done` and `client` are set; `client` stays until done or cancelled. 0;
 * HF_ELIMIT, HF_ENOMEM, HF_ECLOSED, HF_ESTORE, HF_EBUSY, HF_EREPLACED: not
 * asked. */
int hf_connecting_start(struct hf_connecting *connecting,
                        struct hf_process *process,
                        const struct hf_hello *hello, const char *transport);
void hf_connecting_cancel(struct hf_connecting *connecting);

#endif

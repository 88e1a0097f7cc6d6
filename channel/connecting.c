#include "channel/connecting.h"

#include "base/err.h"
#include "base/log.h"
#include "base/params.h"

/* What is ours, and what must not be passed on: tokens, and what is as good as
 * one: who knows a client_id takes over what it tracks (presence.h). */
static const char *const ours[] = {
    "vsn", "token", "_csrf_token", "apikey", "client_id", "access_token", NULL};

/* Room for what the query says in JSON: each byte may become six. */
#define PARAMS_JSON (8u * HF_PARAMS_BYTES)

int hf_connect_params(const struct hf_process *process,
                      const struct hf_hello *hello, struct hf_client *client)
{
    struct hf_buf json;
    int err;

    if (!process->hooks)
        return 0;
    hf_buf_init(&json, PARAMS_JSON);
    err = hf_params_json(hello->query, ours, &json);
    if (err == 0)
        err = hf_client_set_params(client, hf_buf_str(&json));
    hf_buf_release(&json);
    if (err != HF_EMALFORMED && err != HF_ELIMIT)
        return err;
    HF_LOG(HF_LOG_WARN, "connect_refused", hf_field("reason", "parameters"),
           hf_field("why", hf_strerror(err)), hf_field_s("peer", hello->peer));
    return HF_EDENIED;
}

bool hf_connecting_wanted(const struct hf_process *process)
{
    return hf_hooks_want(process->hooks, HF_HOOK_CONNECT, HF_STR(""));
}

/* --- the answer ------------------------------------------------------------- */

/* The application knows who it is, whatever the token says; what that allows
 * stays. */
static int name_user(struct hf_client *client, struct hf_str id)
{
    struct hf_identity *identity;
    int err;

    if (id.len == 0)
        return 0;
    err = hf_identity_new(
        id, hf_client_topics(client),
        client->identity ? client->identity->expires_ms : HF_NEVER, &identity);
    if (err == 0)
        hf_client_set(client, identity);
    return err;
}

static int let_in(struct hf_client *client, const struct hf_hook_answer *answer)
{
    int err = name_user(client, answer->id);

    if (err == HF_EINVAL) {
        HF_LOG(HF_LOG_WARN, "hook_failed", hf_field("hook", "connect"),
               hf_field("why", "its id has control characters"));
        return err;
    }
    if (err == 0 && answer->responds)
        err = hf_client_set_params(client, answer->response.text);
    return err;
}

static void answered(struct hf_hook_call *call, enum hf_hook_result result,
                     struct hf_hook_answer *answer)
{
    struct hf_connecting *connecting =
        HF_ITEM(call, struct hf_connecting, call);
    int err = HF_EBUSY;

    if (result == HF_HOOK_ANSWERED)
        err = hf_hook_answer_ok(answer) ? let_in(connecting->client, answer)
                                        : HF_EDENIED;
    hf_hook_answer_free(answer);
    connecting->done(connecting, err);
}

int hf_connecting_start(struct hf_connecting *connecting,
                        struct hf_process *process,
                        const struct hf_hello *hello, const char *transport)
{
    struct hf_client *client = connecting->client;
    char room[HF_JWT_MAX];
    struct hf_hook_request request = {
        .kind = HF_HOOK_CONNECT,
        .user = client->user,
        .topics = hf_client_topics(client),
        .token = hf_connect_token(&process->settings, hello, room),
        .address = hello->peer,
        .params = hf_client_params(client),
        .transport = transport,
    };
    int err = hf_journal_head(process->journal, &client->asked_at);

    if (err)
        return err;
    client->asked = true;
    connecting->call.answered = answered;
    return hf_hooks_call(process->hooks, &connecting->call, &request);
}

void hf_connecting_cancel(struct hf_connecting *connecting)
{
    hf_hook_forget(&connecting->call);
}

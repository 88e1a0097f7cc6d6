#include "channel/owner.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"

static struct hf_str session_of(const struct hf_token *token)
{
    return hf_str(token->session, sizeof(token->session));
}

struct hf_session_owner hf_owner_of(const struct hf_client *client,
                                    uint64_t born)
{
    const struct hf_identity *identity = client->identity;

    return (struct hf_session_owner){
        .user = client->user,
        .claims = identity ? identity->topics : HF_STR(""),
        .expires_ms = identity ? identity->expires_ms : HF_NEVER,
        .params = hf_client_params(client),
        .born = born};
}

int hf_owner_keep(struct hf_live *live, struct hf_token *token,
                  const struct hf_client *client)
{
    struct hf_session_owner owner;

    token->owned = client->identity || client->params;
    if (!token->owned)
        return 0;
    owner =
        hf_owner_of(client, client->asked ? client->asked_at : token->cursor);
    return hf_live_own(live, session_of(token), &owner);
}

/* --- finding ------------------------------------------------------------- */

struct found {
    struct hf_client *client;
    uint64_t born;
};

static int take(void *ctx, const struct hf_session_owner *owner)
{
    struct found *found = ctx;
    struct hf_identity *identity;
    int err = hf_identity_new(owner->user, owner->claims, owner->expires_ms,
                              &identity);

    if (err)
        return err == HF_EINVAL ? HF_ESTORE : err; /* damaged */
    hf_client_set(found->client, identity);
    if (owner->params.len > 0)
        err = hf_client_set_params(found->client, owner->params);
    if (err)
        return err;
    found->born = owner->born;
    return 0;
}

int hf_owner_check(struct hf_journal *journal, struct hf_str user,
                   uint64_t after)
{
    char room[HF_USER_TOPIC_MAX];
    struct hf_str topic = hf_user_topic(user, room);
    bool ended = false;
    int err;

    if (topic.len == 0)
        return 0;
    err = hf_session_disconnected(journal, topic, after, &ended);
    return err ? err : ended ? HF_ENOTFOUND : 0;
}

int hf_owner_find(struct hf_journal *journal, struct hf_live *live,
                  const struct hf_token *token, struct hf_client *client,
                  uint64_t *out_born, bool *out_exists)
{
    struct found found = {client, 0};
    int err;

    *out_born = 0;
    hf_client_set(client, NULL);
    /* Also of a session that was anonymous when the token was made: a frame of
     * its may have brought one since. */
    err =
        hf_session_owner(journal, session_of(token), take, &found, out_exists);
    if (err == HF_ENOTFOUND && !token->owned)
        return 0;
    /* It went over to the journal with the first join, of which this token does
     * not know: the next one does, so that this is tried once or twice. */
    if (err == 0 && token->owned && !token->joined)
        (void)hf_live_disown(live, session_of(token));
    if (err == HF_ENOTFOUND)
        err = hf_live_owner(live, session_of(token), take, &found);
    if (err == 0)
        err = hf_owner_check(journal, client->user, found.born);
    if (err)
        return err;
    *out_born = found.born;
    return hf_wall_ms() >= client->identity->expires_ms ? HF_EEXPIRED : 0;
}

/* --- renewing ------------------------------------------------------------ */

struct renewal {
    struct hf_job job;
    char session[HF_SESSION_ID_LEN];
    struct hf_session_owner owner;
    char text[]; /* user and claims */
};

static int write_owner(struct hf_job *job, struct hf_journal *journal)
{
    struct renewal *renewal = HF_ITEM(job, struct renewal, job);

    return hf_session_own(journal,
                          hf_str(renewal->session, sizeof(renewal->session)),
                          &renewal->owner);
}

static void written(struct hf_job *job, int err)
{
    if (err) /* it brings the token again with its next poll */
        HF_LOG(HF_LOG_WARN, "renewal_failed",
               hf_field("why", hf_strerror(err)));
    free(HF_ITEM(job, struct renewal, job));
}

static struct hf_str put(char **at, struct hf_str s)
{
    struct hf_str copy = hf_str(*at, s.len);

    if (s.len > 0)
        memcpy(*at, s.at, s.len);
    *at += s.len;
    return copy;
}

static struct renewal *renewal_new(const struct hf_token *token,
                                   const struct hf_session_owner *owner)
{
    size_t len = owner->user.len + owner->claims.len + owner->params.len;
    struct renewal *renewal = calloc(1, sizeof(*renewal) + len);
    char *at;

    if (!renewal)
        return NULL;
    renewal->job.run = write_owner;
    renewal->job.done = written;
    renewal->job.item.cost = sizeof(*renewal) + len;
    memcpy(renewal->session, token->session, sizeof(renewal->session));
    at = renewal->text;
    renewal->owner = *owner;
    renewal->owner.user = put(&at, owner->user);
    renewal->owner.claims = put(&at, owner->claims);
    renewal->owner.params = put(&at, owner->params);
    return renewal;
}

void hf_owner_renew(struct hf_process *process, const struct hf_token *token,
                    const struct hf_client *client, uint64_t born)
{
    struct hf_session_owner owner = hf_owner_of(client, born);
    struct renewal *renewal = renewal_new(token, &owner);

    if (!token->joined)
        (void)hf_live_own(process->live, session_of(token), &owner);
    if (renewal && hf_writer_submit(process->writer, &renewal->job))
        free(renewal);
}

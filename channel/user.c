#include "channel/user.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/jwt.h"
#include "base/log.h"
#include "channel/connecting.h"
#include "channel/session_state.h"

/* The wall clock may be set meanwhile: look again at least so often, ms. */
#define LOOK_MS 60000

/* RFC 6455 section 7.4.1. */
#define CLOSE_AWAY   1001
#define CLOSE_POLICY 1008

/* Sessions of one user in this process; made and freed with them. */
struct hf_user {
    struct hf_hub *hub;
    struct hf_list sessions; /* struct hf_session.in_user */
    size_t len;
    char topic[]; /* user_socket:<user> */
};

/* --- the token's end ----------------------------------------------------- */

static void expire(struct hf_session *session)
{
    struct hf_list *node;

    while ((node = hf_list_first(&session->members)) != NULL)
        hf_member_expel(HF_ITEM(node, struct hf_member, in_session),
                        "token_expired");
    hf_session_end(session, CLOSE_POLICY);
}

static int arm(struct hf_session *session)
{
    struct hf_loop *loop = session->hub->process->loop;
    const struct hf_identity *identity = session->client.identity;
    int64_t left;

    if (!identity || identity->expires_ms == HF_NEVER) {
        hf_loop_disarm(loop, &session->expiry);
        return 0;
    }
    left = identity->expires_ms - hf_wall_ms();
    if (left > LOOK_MS)
        left = LOOK_MS;
    return hf_loop_arm(loop, &session->expiry, left > 0 ? left * 1000 : 0);
}

static void on_expiry(struct hf_timer *timer)
{
    struct hf_session *session = HF_ITEM(timer, struct hf_session, expiry);

    if (hf_wall_ms() >= session->client.identity->expires_ms || arm(session))
        expire(session); /* without a timer there is no safe way on */
}

/* --- the user ------------------------------------------------------------ */

static struct hf_user *user_for(struct hf_hub *hub, struct hf_str topic)
{
    struct hf_user *user = hf_map_get(&hub->users, topic);

    if (user)
        return user;
    user = calloc(1, sizeof(*user) + topic.len);
    if (!user)
        return NULL;
    user->hub = hub;
    hf_list_init(&user->sessions);
    user->len = topic.len;
    memcpy(user->topic, topic.at, topic.len);
    if (hf_map_put(&hub->users, hf_str(user->topic, user->len), user)) {
        free(user);
        return NULL;
    }
    hf_wake_add(hub->wake, topic);
    hf_hub_soon(hub); /* what was committed before this rang no bell of ours */
    return user;
}

static void drop_if_empty(struct hf_user *user)
{
    if (!user || !hf_list_empty(&user->sessions))
        return;
    (void)hf_map_remove(&user->hub->users, hf_str(user->topic, user->len));
    hf_wake_drop(user->hub->wake, hf_str(user->topic, user->len));
    free(user);
}

static void leave(struct hf_session *session)
{
    struct hf_user *user = session->user;

    hf_list_remove(&session->in_user);
    session->user = NULL;
    drop_if_empty(user);
}

static bool is_known_as(const struct hf_session *session, struct hf_str topic)
{
    const struct hf_user *user = session->user;

    return user && hf_str_eq(hf_str(user->topic, user->len), topic);
}

int hf_user_watch(struct hf_session *session)
{
    char room[HF_USER_TOPIC_MAX];
    struct hf_str topic = hf_user_topic(session->client.user, room);
    struct hf_user *user = NULL;

    session->expiry.fire = on_expiry;
    /* What the hub has not read yet, which may be hours old where nobody had
     * joined, is for those of before. Should it fail, the client comes again. */
    if (topic.len > 0 && !is_known_as(session, topic))
        (void)hf_hub_catch_up(session->hub);
    if (topic.len > 0 && !(user = user_for(session->hub, topic)))
        return HF_ENOMEM;
    if (arm(session)) {
        drop_if_empty(user);
        return HF_ENOMEM;
    }
    if (user != session->user) {
        leave(session);
        session->user = user;
        hf_list_append(&user->sessions, &session->in_user);
    }
    return 0;
}

void hf_user_unwatch(struct hf_session *session)
{
    leave(session);
    hf_loop_disarm(session->hub->process->loop, &session->expiry);
}

void hf_user_disconnect(struct hf_hub *hub, struct hf_str topic)
{
    struct hf_user *user = hf_map_get(&hub->users, topic);
    struct hf_list *node, *tmp;

    if (!user)
        return;
    HF_LIST_EACH(node, tmp, &user->sessions) /* none is freed within close */
    hf_session_fail(HF_ITEM(node, struct hf_session, in_user), CLOSE_AWAY);
}

/* --- a fresher token ----------------------------------------------------- */

static struct hf_member *not_allowed(const struct hf_session *session)
{
    const struct hf_rights *rights = session->hub->process->rights;
    struct hf_list *node, *tmp;

    HF_LIST_EACH(node, tmp, &session->members)
    {
        struct hf_member *member = HF_ITEM(node, struct hf_member, in_session);
        struct hf_grant grant = hf_rights_of(rights, &session->client,
                                             hf_topic_name(member->topic));

        if (!(grant.rights & HF_RIGHT_JOIN))
            return member;
    }
    return NULL;
}

/* Frames that waited for one may go on when it ends, and change the list. */
static void check_rights(struct hf_session *session)
{
    struct hf_member *member;

    while ((member = not_allowed(session)) != NULL)
        hf_member_expel(member, "unauthorized");
}

bool hf_user_token_counts(const struct hf_process *process,
                          struct hf_json value)
{
    return value.type == HF_JSON_STRING &&
           process->settings.tokens != HF_TOKENS_APPLICATION;
}

int hf_user_token(const struct hf_process *process, struct hf_json payload,
                  bool join, struct hf_identity **out)
{
    struct hf_json value;
    struct hf_str token;
    char text[HF_JWT_MAX];
    const char *why;
    int err;

    if (!hf_json_find(payload, HF_STR("access_token"), &value) ||
        (join && !hf_user_token_counts(process, value)))
        return HF_ENOTFOUND;
    token = hf_str(text, 0);
    if (hf_json_unescape(value, text, sizeof(text), &token.len))
        return HF_EDENIED;
    if (join && !hf_jwt_shaped(token))
        return HF_ENOTFOUND;
    err = hf_identity_of_token(hf_keys_now(process->keys), token, hf_wall_ms(),
                               out, &why);
    if (err)
        HF_LOG(HF_LOG_INFO, "token_refused", hf_field("why", why));
    return err;
}

int hf_user_may_be(const struct hf_client *client,
                   const struct hf_identity *identity, bool passes)
{
    if (client->user.len == 0 || hf_str_eq(client->user, identity->user))
        return 0;
    return passes ? HF_ENOTFOUND : HF_EDENIED;
}

const char *hf_user_reason(int err)
{
    return err == HF_EEXPIRED ? "token_expired" : "unauthorized";
}

int hf_user_renew(struct hf_session *session, struct hf_json payload, bool join)
{
    const struct hf_process *process = session->hub->process;
    struct hf_client *client = &session->client;
    struct hf_identity *former = client->identity;
    struct hf_identity *identity = NULL;
    int err = hf_user_token(process, payload, join, &identity);

    if (err)
        return err;
    err =
        hf_user_may_be(client, identity, join && hf_connecting_wanted(process));
    if (err) {
        hf_identity_unref(identity);
        return err;
    }
    (void)hf_identity_ref(former); /* until the new one is watched */
    hf_client_set(client, identity);
    err = hf_user_watch(session);
    if (err) {
        hf_client_set(client, former);
        return err;
    }
    hf_identity_unref(former);
    check_rights(session);
    return 0;
}

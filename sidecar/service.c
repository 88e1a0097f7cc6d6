#include "sidecar/service.h"

static int open_session(struct hf_hub *hub, struct hf_link *link,
                        const struct hf_client *client, void **out_session)
{
    struct hf_session *session;
    int err = hf_session_open(hub, link, client, &session);

    if (!err)
        *out_session = session;
    return err;
}

static int receive(void *session, struct hf_str message, bool binary)
{
    return hf_session_receive(session, message, binary);
}

static bool is_full(void *session)
{
    return hf_session_is_full(session);
}

static size_t take(void *session, struct hf_msg **out, size_t max,
                   size_t max_bytes)
{
    return hf_session_take(session, out, max, max_bytes);
}

static void expect(void *session)
{
    hf_session_expect(session);
}

static bool has_presence(const void *session)
{
    return hf_session_has_presence(session);
}

static void give_up(void *session)
{
    hf_session_give_up(session);
}

static void detach(void *session)
{
    hf_session_detach(session);
}

const struct hf_service hf_service_channels = {
    .open = open_session,
    .receive = receive,
    .is_full = is_full,
    .take = take,
    .expect = expect,
    .has_presence = has_presence,
    .give_up = give_up,
    .detach = detach,
};

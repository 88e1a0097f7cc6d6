#include "sidecar/echo.h"

#include <stdlib.h>

#include "base/err.h"

struct echo {
    struct hf_link *link;
    struct hf_list answers; /* struct answer, oldest first */
};

struct answer {
    struct hf_list node;
    struct hf_msg *msg;
};

static int open_echo(struct hf_hub *hub, struct hf_link *link,
                     const struct hf_client *client, void **out_session)
{
    struct echo *echo = calloc(1, sizeof(*echo));

    (void)hub;
    (void)client;
    if (!echo)
        return HF_ENOMEM;
    echo->link = link;
    hf_list_init(&echo->answers);
    *out_session = echo;
    return 0;
}

static int receive(void *session, struct hf_str message, bool binary)
{
    struct echo *echo = session;
    struct answer *answer = calloc(1, sizeof(*answer));

    if (!answer)
        return HF_ENOMEM;
    answer->msg = hf_msg_of(message);
    if (!answer->msg) {
        free(answer);
        return HF_ENOMEM;
    }
    answer->msg->binary = binary;
    if (hf_list_empty(&echo->answers))
        echo->link->wake(echo->link);
    hf_list_append(&echo->answers, &answer->node);
    return 0;
}

/* The oldest one, whose reference is the caller's. */
static struct hf_msg *next(struct hf_list *node)
{
    struct answer *answer = HF_ITEM(node, struct answer, node);
    struct hf_msg *msg = answer->msg;

    hf_list_remove(node);
    free(answer);
    return msg;
}

static size_t take(void *session, struct hf_msg **out, size_t max,
                   size_t max_bytes)
{
    struct echo *echo = session;
    struct hf_list *node;
    size_t count = 0, bytes = 0;

    while (count < max && bytes < max_bytes &&
           (node = hf_list_first(&echo->answers))) {
        out[count] = next(node);
        bytes += out[count++]->len;
    }
    return count;
}

static bool has_presence(const void *session)
{
    (void)session;
    return false;
}

static void give_up(void *session)
{
    (void)session; /* nobody is told of it */
}

static void detach(void *session)
{
    struct echo *echo = session;
    struct hf_list *node;

    while ((node = hf_list_first(&echo->answers)))
        hf_msg_unref(next(node));
    free(echo);
}

static const struct hf_service echo_service = {
    .open = open_echo,
    .receive = receive,
    .take = take,
    .has_presence = has_presence,
    .give_up = give_up,
    .detach = detach,
    .in_turn = true,
};

int hf_echo_init(struct hf_conns *conns, struct hf_loop *loop,
                 const struct hf_settings *settings)
{
    int err = hf_conns_init(conns, loop, NULL, settings);

    conns->service = &echo_service;
    conns->max_message = HF_ECHO_BYTES;
    conns->max_fragments = HF_ECHO_FRAGMENTS;
    conns->max_frames = 0; /* as fast as its answers are read */
    return err;
}

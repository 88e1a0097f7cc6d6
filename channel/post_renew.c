/*
 * post_renew.c - fresher tokens that the frames of a POST bring (user.h)
 *
 * They are verified on the loop's thread, where the keys are, before anything
 * is done; taken, or not, in the place of their frame.
 */
#include "channel/post_state.h"

#include <stdlib.h>

#include "base/err.h"
#include "channel/connecting.h"
#include "channel/owner.h"
#include "channel/user.h"

/* Different tokens in one POST; a client has one, and says it for each channel. */
#define TOKENS_MAX 8u

struct hf_post_renewal {
    struct hf_post_renewal *next;
    const struct hf_frame *frame;
    bool join;                    /* the frame is one */
    bool passes;                  /* as of hf_user_may_be */
    bool again;                   /* an earlier one has brought this token */
    struct hf_str token;          /* JSON text, of the frame */
    int err;                      /* of the token: HF_EEXPIRED, HF_EDENIED */
    struct hf_identity *identity; /* a reference, unless err */
};

/* The token of a frame, as that of an earlier one if it is the same. */
static int verify(struct hf_post_work *work, struct hf_post_renewal *renewal)
{
    const struct hf_post_renewal *r;
    unsigned others = 0;

    for (r = work->renewals; r; r = r->next) {
        if (hf_str_eq(r->token, renewal->token)) {
            renewal->again = true;
            renewal->identity = hf_identity_ref(r->identity);
            return r->err;
        }
        others += !r->again;
    }
    return others < TOKENS_MAX
               ? hf_user_token(work->longpoll->process, renewal->frame->payload,
                               renewal->join, &renewal->identity)
               : HF_EDENIED;
}

static int read_frame(struct hf_post_work *work, const struct hf_frame *frame)
{
    bool join = hf_str_eq(frame->event, HF_STR("phx_join"));
    struct hf_json token = {.type = HF_JSON_NULL};
    struct hf_post_renewal *renewal;

    if (!join && !hf_renewal_asked(frame))
        return 0;
    (void)hf_json_find(frame->payload, HF_STR("access_token"), &token);
    if (join && !hf_user_token_counts(work->longpoll->process, token))
        return 0;
    renewal = calloc(1, sizeof(*renewal));
    if (!renewal)
        return HF_ENOMEM;
    *renewal = (struct hf_post_renewal){
        .frame = frame,
        .join = join,
        .passes = join && hf_connecting_wanted(work->longpoll->process),
        .token = token.raw};
    renewal->err = verify(work, renewal);
    renewal->next = work->renewals;
    work->renewals = renewal;
    return renewal->err == HF_ENOMEM ? HF_ENOMEM : 0;
}

int hf_post_renewals_read(struct hf_post_work *work)
{
    size_t n;
    int err = 0;

    for (n = 0; n < work->body.count && err == 0; n++)
        err = read_frame(work, &work->body.frames[n]);
    return err;
}

void hf_post_renewals_free(struct hf_post_work *work)
{
    struct hf_post_renewal *renewal;

    while ((renewal = work->renewals) != NULL) {
        work->renewals = renewal->next;
        hf_identity_unref(renewal->identity);
        free(renewal);
    }
}

/* From now on the session is this client's. Who was nobody begins to be
 * somebody here: a disconnect before it is none of his. */
int hf_post_own(struct hf_post_work *work)
{
    struct hf_session_owner owner;
    int err = 0;

    if (!work->client.identity)
        return 0;
    if (work->born == 0)
        err = hf_journal_head(work->journal, &work->born);
    if (err)
        return err;
    owner = hf_owner_of(&work->client, work->born);
    return hf_session_own(work->journal, hf_post_session(work), &owner);
}

static const struct hf_post_renewal *find(const struct hf_post_work *work,
                                          const struct hf_frame *frame)
{
    const struct hf_post_renewal *renewal = work->renewals;

    while (renewal && renewal->frame != frame)
        renewal = renewal->next;
    return renewal;
}

static void take(struct hf_client *client,
                 const struct hf_post_renewal *renewal)
{
    client->identity = renewal->identity;
    client->user = renewal->identity->user;
}

static int may_be(const struct hf_client *client,
                  const struct hf_post_renewal *renewal)
{
    return renewal->err
               ? renewal->err
               : hf_user_may_be(client, renewal->identity, renewal->passes);
}

struct hf_client hf_post_client_with(const struct hf_post_work *work,
                                     const struct hf_frame *frame)
{
    const struct hf_post_renewal *renewal = find(work, frame);
    struct hf_client client = work->came;

    if (renewal && !may_be(&client, renewal))
        take(&client, renewal);
    return client;
}

void hf_post_renewed(struct hf_post_work *work)
{
    if (work->client.identity != work->came.identity)
        hf_client_set(&work->came, hf_identity_ref(work->client.identity));
}

int hf_post_renew(struct hf_post_work *work, const struct hf_frame *frame,
                  const char **out_refusal)
{
    const struct hf_post_renewal *renewal = find(work, frame);
    int err;

    *out_refusal = NULL;
    if (!renewal)
        return 0;
    err = may_be(&work->client, renewal);
    if (err == HF_ENOTFOUND && renewal->join)
        return 0; /* passed over */
    if (err) {
        *out_refusal = hf_user_reason(err);
        return 0;
    }
    take(&work->client, renewal);
    return work->exists ? hf_post_own(work) : 0;
}

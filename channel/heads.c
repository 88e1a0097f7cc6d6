#include "channel/heads.h"

#include "base/err.h"
#include "schema/sessions.h"

/* Rows looked at, per topic, for the newest one that was for this client; only
 * who publishes without echo has others. */
#define LOOK 64u

bool hf_heads_asked(const struct hf_frame *heartbeat)
{
    struct hf_json heads;

    return hf_json_find(heartbeat->payload, HF_STR("heads"), &heads) &&
           heads.type == HF_JSON_TRUE;
}

int hf_heads_begin(struct hf_buf *out)
{
    return hf_buf_add_str(out, HF_STR("{\"heads\":{"));
}

int hf_heads_add(struct hf_buf *out, struct hf_str topic,
                 struct hf_cursor cursor)
{
    char text[HF_CURSOR_MAX];
    size_t len = hf_cursor_format(cursor, text);

    if (out->len > 0 && out->at[out->len - 1] != '{')
        (void)hf_buf_add_byte(out, ',');
    (void)hf_json_quote(out, topic);
    return hf_buf_addf(out, ":\"%.*s\"", (int)len, text);
}

int hf_heads_end(struct hf_buf *out)
{
    return hf_buf_add_str(out, HF_STR("}}"));
}

/* --- of a long-poll session ---------------------------------------------- */

struct look {
    struct hf_buf *out;
    struct hf_journal *journal;
    const struct hf_token *token;
    uint64_t since; /* of the membership looked at */
    uint64_t head;  /* 0: none found yet */
    size_t rows;
};

/* Newest first. */
static int look_at_row(void *ctx, const struct hf_row *row)
{
    struct look *look = ctx;
    struct hf_str session =
        hf_str(look->token->session, sizeof(look->token->session));

    look->rows++;
    if (row->id <= look->since)
        look->head = look->since;
    else if (!hf_str_eq(row->skip, session))
        look->head = row->id;
    return look->head > 0 ? HF_ENOTFOUND : 0;
}

static int look_at_member(void *ctx, const struct hf_membership *m)
{
    struct look *look = ctx;
    const struct hf_token *token = look->token;
    uint64_t through =
        token->replay == m->joined ? token->replay_at : token->cursor;
    int err;

    if (!m->has_since || m->ended || m->joined > token->cursor)
        return 0; /* its reply is not among what the client has */
#ifdef HF_BROKEN_HEADS_CRY_WOLF
    through = INT64_MAX;
#endif
    look->since = m->since;
    look->head = 0;
    look->rows = 0;
    err = hf_journal_read_back(look->journal, m->topic, through, LOOK,
                               look_at_row, look);
    if (err && err != HF_ENOTFOUND)
        return err;
    if (look->head == 0 && look->rows < LOOK)
        look->head = m->since;
    if (look->head == 0)
        return 0;
    return hf_heads_add(look->out, m->topic,
                        (struct hf_cursor){token->epoch, look->head});
}

int hf_heads_read(struct hf_buf *out, struct hf_journal *journal,
                  const struct hf_token *token)
{
    struct look look = {.out = out, .journal = journal, .token = token};
    int err;

    (void)hf_heads_begin(out);
    err = hf_memberships_each(journal,
                              hf_str(token->session, sizeof(token->session)),
                              look_at_member, &look);
    return err ? err : hf_heads_end(out);
}

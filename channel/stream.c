#include "channel/stream.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/json.h"
#include "channel/presence.h"
#include "channel/resume.h"
#include "channel/row.h"
#include "schema/sessions.h"

/* Bounds what one answer may hold while it is computed: every joined topic
 * may contribute a full answer's worth of rows. */
#define ARENA_MAX  (64u * 1024u * 1024u)
#define ARENA_KEPT (1024u * 1024u)

/* A slice of the arena, which moves while it grows. */
struct slice {
    size_t at;
    size_t len;
};

struct hf_stream_member {
    struct slice topic;
    struct slice join_ref;
    bool has_since;
    bool marked;    /* what is replayed is marked so, and is not all (D8) */
    uint64_t since; /* what is replayed behind the reply is above this */
    uint64_t joined, ended;
    bool presence; /* is told who is there */
    bool owed;     /* and was not yet */
};

struct hf_stream_item {
    uint64_t id;
    bool is_row; /* a frame of the same id goes first */
    bool quoted; /* its text is a JSON string already */
    struct slice text;
};

static struct hf_str resolve(const struct hf_stream *stream, struct slice s)
{
    return hf_str(stream->arena.at + s.at, s.len);
}

static int store(struct hf_stream *stream, struct hf_str s, struct slice *out)
{
    *out = (struct slice){stream->arena.len, s.len};
    return hf_buf_add_str(&stream->arena, s);
}

/* Room for one more element; NULL when out of memory. */
static void *grow(void **array, size_t *cap, size_t count, size_t size)
{
    size_t want = *cap ? *cap * 2 : 16;
    void *bigger;

    if (count < *cap)
        return *array;
    bigger = realloc(*array, want * size);
    if (!bigger)
        return NULL;
    *array = bigger;
    *cap = want;
    return bigger;
}

/* A source had more than was read; nothing beyond `last` may be sent yet. */
static void cut_at(struct hf_stream *stream, uint64_t last)
{
    if (!stream->cut || last < stream->through)
        stream->through = last;
    stream->cut = true;
}

/* --- collecting -------------------------------------------------------- */

static int add_member(void *ctx, const struct hf_membership *m)
{
    struct hf_stream *stream = ctx;
    struct hf_stream_member *member;
    void *array = stream->members;
    int err;

    if (!grow(&array, &stream->members_cap, stream->members_count,
              sizeof(*member)))
        return HF_ENOMEM;
    stream->members = array;
    member = &stream->members[stream->members_count];
    *member = (struct hf_stream_member){.has_since = m->has_since,
                                        .marked = m->has_replay,
                                        .since = m->has_since    ? m->since
                                                 : m->has_replay ? m->replay
                                                                 : m->joined,
                                        .joined = m->joined,
                                        .ended = m->ended,
                                        .presence = m->presence.len > 0};
    member->owed =
        member->presence && m->ended == 0 && m->joined >= stream->owed_from;
    err = store(stream, m->topic, &member->topic);
    if (err == 0)
        err = store(stream, m->join_ref, &member->join_ref);
    if (err == 0)
        stream->members_count++;
    return err;
}

static int add_item(struct hf_stream *stream, struct hf_stream_item item)
{
    void *array = stream->items;

    if (!grow(&array, &stream->items_cap, stream->items_count,
              sizeof(*stream->items)))
        return HF_ENOMEM;
    stream->items = array;
    stream->items[stream->items_count++] = item;
    return 0;
}

static int add_frame(void *ctx, uint64_t id, struct hf_str text)
{
    struct hf_stream *stream = ctx;
    struct slice kept;
    int err = store(stream, text, &kept);

    return err ? err
               : add_item(stream,
                          (struct hf_stream_item){.id = id, .text = kept});
}

static int collect_frames(struct hf_stream *stream, struct hf_journal *journal,
                          const struct hf_token *token)
{
    struct hf_str session = hf_str(token->session, sizeof(token->session));
    int err;

    if (stream->frames_to <= token->cursor)
        return 0;
    err = hf_frames_each(journal, session, token->cursor, HF_ANSWER_MESSAGES,
                         add_frame, stream);
    if (err == 0 && stream->items_count >= HF_ANSWER_MESSAGES)
        cut_at(stream, stream->items[stream->items_count - 1].id);
    return err;
}

struct row_context {
    struct hf_stream *stream;
    const struct hf_token *token;
    struct slice join_ref;
    uint64_t epoch;
    uint64_t told; /* who is there was told up to here (presence.h) */
};

static bool is_skipped(const struct hf_token *token, struct hf_str skip)
{
    return hf_str_eq(skip, hf_str(token->session, sizeof(token->session)));
}

static bool for_this(const struct hf_token *token, const struct hf_row *row)
{
    return !is_skipped(token, row->skip);
}

/* Encode a row behind the arena's contents. The join_ref lies in the arena,
 * which may move, so it is copied out first. */
static int encode_row(struct row_context *c, const struct hf_row *row,
                      struct slice *out)
{
    char ref[HF_REF_MAX];
    struct hf_buf *arena = &c->stream->arena;
    int err;

    if (c->join_ref.len > 0)
        memcpy(ref, arena->at + c->join_ref.at, c->join_ref.len);
    out->at = arena->len;
    err = hf_encode_row(arena, row, c->epoch, c->stream->vsn,
                        hf_str(ref, c->join_ref.len));
    out->len = arena->len - out->at;
    return err;
}

static int add_row(void *ctx, const struct hf_row *row)
{
    struct row_context *c = ctx;
    struct slice text;
    int err;

    if (!for_this(c->token, row) || hf_presence_known(row, c->told))
        return 0;
    err = encode_row(c, row, &text);
    return err ? err
               : add_item(c->stream, (struct hf_stream_item){.id = row->id,
                                                             .is_row = true,
                                                             .text = text});
}

static struct slice ref_for_rows(const struct hf_stream_member *member)
{
#ifdef HF_BROKEN_LIVE_NULL_REF
    return (struct slice){0, 0};
#endif
    return member->has_since ? member->join_ref : (struct slice){0, 0};
}

/* The member's topic, copied to `name`: the arena moves while rows come. */
static struct hf_str topic_of(const struct hf_stream *stream,
                              const struct hf_stream_member *member,
                              char name[HF_TOPIC_MAX])
{
    struct hf_str topic = resolve(stream, member->topic);

    memcpy(name, topic.at, topic.len);
    return hf_str(name, topic.len);
}

/* A state that is still to be sent holds all that came before it. */
static uint64_t told(const struct hf_stream_member *member)
{
    return member->presence && !member->owed ? 0 : UINT64_MAX;
}

/* Of a page that others have, too, what is for this session. */
static int add_page(struct row_context *c, const struct hf_common_page *page)
{
    struct hf_stream_item item = {.is_row = true, .quoted = true};
    size_t n;
    int err = 0;

    for (n = 0; n < page->count && err == 0; n++) {
        const struct hf_common_row *row = &page->rows[n];

#ifndef HF_BROKEN_ALL_IN_COMMON
        if (is_skipped(c->token, hf_common_skip(page, row)) ||
            (row->presence && row->id <= c->told))
            continue;
#endif
        item.id = row->id;
        err = store(c->stream, hf_common_text(page, row), &item.text);
        if (err == 0)
            err = add_item(c->stream, item);
    }
    if (err == 0 && page->more)
        cut_at(c->stream, page->last);
    return err;
}

static int collect_page(struct row_context *c, struct hf_journal *journal,
                        struct hf_str topic, uint64_t from, uint64_t to)
{
    const struct hf_common_of of = {.snapshot = c->stream->snapshot,
                                    .epoch = c->epoch,
                                    .topic = topic,
                                    .after = from,
                                    .through = to,
                                    .vsn = c->stream->vsn};
    const struct hf_common_page *page;
    int err = hf_common_read(&c->stream->common, journal, &of, &page);

    if (err)
        return err;
#ifndef HF_BROKEN_NO_WATERMARK
    if (page->gap)
        return HF_EGAP;
#endif
    return add_page(c, page);
}

/* Rows of one membership's interval after the token's cursor. */
static int collect_rows(struct hf_stream *stream, struct hf_journal *journal,
                        const struct hf_token *token,
                        const struct hf_stream_member *member)
{
    struct row_context c = {stream, token, ref_for_rows(member), token->epoch,
                            told(member)};
    uint64_t from =
        member->joined > token->cursor ? member->joined : token->cursor;
    uint64_t to = member->ended ? member->ended : stream->head;
    char name[HF_TOPIC_MAX];
    struct hf_str topic = topic_of(stream, member, name);
    uint64_t last;
    bool gap, more;
    int err;

    if (to <= from)
        return 0;
    if (stream->snapshot && c.join_ref.len == 0)
        return collect_page(&c, journal, topic, from, to);
    err = hf_journal_gap(journal, topic, from, &gap);
    if (err)
        return err;
#ifndef HF_BROKEN_NO_WATERMARK
    if (gap)
        return HF_EGAP;
#endif
    err = hf_journal_read_topic(journal, topic, from, to, HF_ANSWER_MESSAGES,
                                HF_ANSWER_BYTES, add_row, &c, &last, &more);
    if (err == 0 && more)
        cut_at(stream, last);
    return err;
}

static int by_id(const void *a, const void *b)
{
    const struct hf_stream_item *x = a, *y = b;

    if (x->id != y->id)
        return x->id < y->id ? -1 : 1;
    return (int)x->is_row - (int)y->is_row;
}

static int collect(struct hf_stream *stream, struct hf_journal *journal,
                   const struct hf_token *token)
{
    struct hf_str session = hf_str(token->session, sizeof(token->session));
    size_t n;
    int err = hf_memberships_each(journal, session, add_member, stream);

    if (err == 0)
        err = collect_frames(stream, journal, token);
    for (n = 0; n < stream->members_count && err == 0; n++)
        err = collect_rows(stream, journal, token, &stream->members[n]);
    if (err == 0 && stream->items_count > 1)
        qsort(stream->items, stream->items_count, sizeof(*stream->items),
              by_id);
    return err;
}

/* --- emitting ---------------------------------------------------------- */

static bool full(const struct hf_stream *stream)
{
    return stream->count >= HF_ANSWER_MESSAGES ||
           stream->messages.len >= HF_ANSWER_BYTES;
}

static int emit_string(struct hf_stream *stream, struct hf_str text,
                       bool quoted)
{
    if (stream->count > 0)
        (void)hf_buf_add_byte(&stream->messages, ',');
    if (quoted)
        (void)hf_buf_add_str(&stream->messages, text);
    else
        (void)hf_json_quote(&stream->messages, text);
    stream->count++;
    return hf_buf_error(&stream->messages);
}

static int emit(struct hf_stream *stream, struct hf_str text)
{
    return emit_string(stream, text, false);
}

static int emit_row(struct row_context *c, const struct hf_row *row)
{
    struct slice text;
    int err = encode_row(c, row, &text);

    return err ? err : emit(c->stream, resolve(c->stream, text));
}

static int emit_replayed(void *ctx, const struct hf_row *row)
{
    struct row_context *c = ctx;

    return for_this(c->token, row) && !hf_presence_known(row, c->told)
               ? emit_row(c, row)
               : 0;
}

static int emit_marked(void *ctx, const struct hf_row *row)
{
    struct row_context *c = ctx;
    struct hf_row marked = *row;
    struct hf_buf payload;
    int err;

    if (!for_this(c->token, row) || !hf_replayable(row))
        return 0;
    hf_buf_init(&payload, SIZE_MAX / 2); /* bounded by its row */
    err = hf_replayed_payload(&payload, row, c->epoch);
    marked.payload = hf_buf_str(&payload);
    if (err == 0)
        err = emit_row(c, &marked);
    hf_buf_release(&payload);
    return err;
}

static const struct hf_stream_member *joined_at(const struct hf_stream *stream,
                                                uint64_t id)
{
    size_t n;

    for (n = 0; n < stream->members_count; n++)
        if (stream->members[n].joined == id)
            return &stream->members[n];
    return NULL;
}

/*
 * Send the topic's rows in (after, joined] of a join that resumed. *out_rest is
 * where to go on when the answer is full; 0 when the replay is complete.
 */
static int replay(struct hf_stream *stream, struct hf_journal *journal,
                  const struct hf_token *token,
                  const struct hf_stream_member *member, uint64_t after,
                  uint64_t *out_rest)
{
    /* Of the time before it joined a state tells all. */
    struct row_context c = {stream, token, member->join_ref, token->epoch,
                            UINT64_MAX};
    char name[HF_TOPIC_MAX];
    struct hf_str topic = topic_of(stream, member, name);
    uint64_t last;
    bool gap, more;
    int err;

    *out_rest = 0;
    if (after >= member->joined)
        return 0;
    if (full(stream)) {
        *out_rest = after;
        return 0;
    }
    err = hf_journal_gap(journal, topic, after, &gap);
    if (err)
        return err;
    if (gap && !member->marked)
        return HF_EGAP;
    err = hf_journal_read_topic(
        journal, topic, after, member->joined,
        HF_ANSWER_MESSAGES - stream->count, HF_ANSWER_BYTES,
        member->marked ? emit_marked : emit_replayed, &c, &last, &more);
    if (err == 0 && more)
        *out_rest = last;
    return err;
}

static void stop_in_replay(struct hf_stream *stream, uint64_t joined,
                           uint64_t rest)
{
    stream->next.cursor = joined;
    stream->next.replay = joined;
    stream->next.replay_at = rest;
}

/* The replay that the last answer could not hold whole. True: this one cannot
 * either, so it is all there is. */
static int go_on_replaying(struct hf_stream *stream, struct hf_journal *journal,
                           const struct hf_token *token, bool *out_stop)
{
    const struct hf_stream_member *member;
    uint64_t rest = 0;
    int err = 0;

    *out_stop = false;
    member = token->replay ? joined_at(stream, token->replay) : NULL;
    if (member)
        err = replay(stream, journal, token, member, token->replay_at, &rest);
    if (err || rest == 0)
        return err;
    stop_in_replay(stream, token->cursor, rest);
    stream->next.replay = token->replay;
    *out_stop = true;
    return 0;
}

/* One item, and the replay behind it when it is the reply to a join that
 * resumed. */
static int emit_item(struct hf_stream *stream, struct hf_journal *journal,
                     const struct hf_token *token,
                     const struct hf_stream_item *item, bool *out_stop)
{
    const struct hf_stream_member *member;
    uint64_t rest = 0;
    int err = emit_string(stream, resolve(stream, item->text), item->quoted);

    *out_stop = false;
    stream->next.cursor = item->id;
    if (err || item->is_row)
        return err;
    member = joined_at(stream, item->id);
    if (!member)
        return 0;
    err = replay(stream, journal, token, member, member->since, &rest);
    if (err || rest == 0)
        return err;
    stop_in_replay(stream, item->id, rest);
    *out_stop = true;
    return 0;
}

/* --- who is there -------------------------------------------------------- */

static const struct hf_stream_member *
next_owed(const struct hf_stream *stream, const struct hf_stream_member *from)
{
    const struct hf_stream_member *end =
        stream->members + stream->members_count;

    for (; from < end; from++)
        if (from->owed)
            return from;
    return NULL;
}

static int emit_state(struct hf_stream *stream, struct hf_journal *journal,
                      const struct hf_stream_member *member)
{
    char name[HF_TOPIC_MAX], ref[HF_REF_MAX];
    struct hf_str topic = topic_of(stream, member, name);
    size_t at = stream->arena.len;
    struct hf_buf state;
    int err;

    memcpy(ref, stream->arena.at + member->join_ref.at, member->join_ref.len);
    hf_buf_init(&state, HF_PRESENCE_STATE_MAX);
    err = hf_presence_state(journal, topic, &state);
    if (err == 0)
        err = hf_encode_push(&stream->arena, stream->vsn,
                             hf_str(ref, member->join_ref.len), HF_NULL, topic,
                             HF_STR("presence_state"), hf_buf_str(&state));
    hf_buf_release(&state);
    if (err)
        return err;
    return emit(stream, hf_str_from(hf_buf_str(&stream->arena), at));
}

/*
 * The state goes last, in the answer that reaches the head: it is that of this
 * snapshot, so every diff up to here is in it and none behind it is. Until then
 * the token says to whom it is owed. Nothing of it is kept: it would be a copy
 * of the whole crowd for each who joins.
 */
static int emit_states(struct hf_stream *stream, struct hf_journal *journal)
{
    const struct hf_stream_member *member = stream->members;
    int err = 0;

    while (err == 0 && !stream->more &&
           (member = next_owed(stream, member)) != NULL) {
        if (full(stream)) {
            stream->more = true;
            break;
        }
        err = emit_state(stream, journal, member++);
    }
    if (stream->more)
        member = next_owed(stream, member);
    stream->next.states = member && stream->more ? member->joined : 0;
    return err;
}

static int emit_all(struct hf_stream *stream, struct hf_journal *journal,
                    const struct hf_token *token)
{
    bool stop;
    size_t n;
    int err = go_on_replaying(stream, journal, token, &stop);

    for (n = 0; n < stream->items_count && err == 0 && !stop; n++) {
        const struct hf_stream_item *item = &stream->items[n];

        if (stream->cut && item->id > stream->through)
            break;
        if (full(stream)) {
            stream->more = true; /* what is left goes with the next answer */
            return 0;
        }
        err = emit_item(stream, journal, token, item, &stop);
    }
    stream->more = stop || stream->cut;
#ifdef HF_BROKEN_TWO_SNAPSHOTS
    while (hf_journal_in_snapshot(journal))
        hf_journal_snapshot_end(journal);
    if (err == 0)
        err = hf_journal_head(journal, &stream->head);
#endif
    if (err == 0 && !stop)
        stream->next.cursor = stream->cut ? stream->through : stream->head;
#ifdef HF_BROKEN_CUT_IS_HEAD
    stream->next.cursor = stream->head;
#endif
    return err;
}

/* --- replies from live.db ---------------------------------------------- */

static int emit_reply(void *ctx, uint32_t n, struct hf_str text)
{
    struct hf_stream *stream = ctx;

    if (full(stream))
        return HF_EAGAIN;
    stream->next.replies = n;
    return emit(stream, text);
}

static int emit_replies(struct hf_stream *stream, struct hf_live *live,
                        const struct hf_token *token)
{
    struct hf_str session = hf_str(token->session, sizeof(token->session));
    int err =
        hf_live_replies_each(live, session, token->replies, emit_reply, stream);

    return err == HF_EAGAIN ? 0 : err;
}

/* --- public ------------------------------------------------------------ */

/* Empty it; what one large answer needed is not kept for the small ones. */
static void reuse(struct hf_buf *buf)
{
    if (buf->cap > ARENA_KEPT)
        hf_buf_release(buf);
    if (buf->max == 0)
        hf_buf_init(buf, ARENA_MAX);
    hf_buf_reset(buf);
}

static void reset(struct hf_stream *stream, const struct hf_token *token)
{
    reuse(&stream->messages);
    reuse(&stream->arena);
    stream->count = 0;
    stream->members_count = 0;
    stream->items_count = 0;
    stream->cut = false;
    stream->more = false;
    stream->next = *token;
    stream->next.replay = 0;
    stream->next.replay_at = 0;
    stream->owed_from = token->states ? token->states : token->cursor + 1;
}

/* What is the same for all who read in this snapshot. */
static int read_common(struct hf_stream *stream, struct hf_journal *journal)
{
    int err;

    if (stream->snapshot && stream->snapshot == stream->known_of)
        return 0;
    stream->known_of = 0;
    err = hf_journal_head(journal, &stream->head);
    stream->frames_to = stream->head;
    if (err == 0 && stream->snapshot) /* who reads alone finds it out */
        err = hf_frames_highest(journal, &stream->frames_to);
    if (err == 0)
        stream->known_of = stream->snapshot;
    return err;
}

static int read_in_snapshot(struct hf_stream *stream,
                            struct hf_journal *journal, struct hf_live *live,
                            const struct hf_token *token, bool exists)
{
    int err;

    err = read_common(stream, journal);
    if (err)
        return err;
    if (hf_journal_epoch(journal) != token->epoch)
        return HF_ENOTFOUND;
    if (!exists && token->joined)
        return HF_ENOTFOUND;
    stream->next.joined = exists;
    err = emit_replies(stream, live, token);
    if (err)
        return err;
    if (!exists) {
        stream->next.cursor = stream->head;
        return 0;
    }
    err = collect(stream, journal, token);
    if (err == 0)
        err = emit_all(stream, journal, token);
    return err ? err : emit_states(stream, journal);
}

int hf_stream_read_within(struct hf_stream *stream, struct hf_journal *journal,
                          struct hf_live *live, const struct hf_token *token,
                          enum hf_vsn vsn, bool exists)
{
    reset(stream, token);
    stream->vsn = vsn;
    return read_in_snapshot(stream, journal, live, token, exists);
}

int hf_stream_read(struct hf_stream *stream, struct hf_journal *journal,
                   struct hf_live *live, const struct hf_token *token,
                   enum hf_vsn vsn)
{
    struct hf_str session = hf_str(token->session, sizeof(token->session));
    bool exists = false;
    int err = hf_journal_snapshot(journal);

    if (err)
        return err;
    stream->snapshot = 0;
    err = hf_session_exists(journal, session, &exists);
    if (err == 0)
        err = hf_stream_read_within(stream, journal, live, token, vsn, exists);
    hf_journal_snapshot_end(journal);
    return err;
}

bool hf_stream_next_topic(const struct hf_stream *stream, size_t *at,
                          struct hf_str *out)
{
    for (; *at < stream->members_count; (*at)++) {
        if (stream->members[*at].ended)
            continue;
        *out = resolve(stream, stream->members[*at].topic);
        (*at)++;
        return true;
    }
    return false;
}

void hf_stream_release(struct hf_stream *stream)
{
    hf_buf_release(&stream->messages);
    hf_buf_release(&stream->arena);
    hf_common_release(&stream->common);
    free(stream->members);
    free(stream->items);
    *stream = (struct hf_stream){0};
}

#include "channel/resume.h"

#include "base/err.h"

static bool is(struct hf_str a, const char *b)
{
    return hf_str_eq(a, hf_str_of(b));
}

/* --- what is asked ------------------------------------------------------- */

/* A non-negative whole number; absent and null stay what they are. */
static bool number(struct hf_json object, struct hf_str name, long long *value)
{
    struct hf_json member;

    if (!hf_json_find(object, name, &member) || member.type == HF_JSON_NULL)
        return true;
    return hf_json_integer(member, value) == 0;
}

static void read_since(struct hf_json payload, struct hf_json since,
                       struct hf_resume *resume)
{
    char text[HF_CURSOR_MAX];
    long long last = 0;
    size_t len;

    resume->asked = true;
    if (hf_json_unescape(since, text, sizeof(text), &len))
        resume->refused = "invalid since";
    else if (len == 0)
        resume->from_now = true;
    else if (hf_cursor_parse(hf_str(text, len), &resume->since))
        resume->refused = "invalid since";
    if (!number(payload, HF_STR("last"), &last))
        resume->refused = "invalid last";
    resume->last = last > HF_LAST_MAX ? HF_LAST_MAX : (uint64_t)last;
}

static void read_replay(struct hf_json replay, struct hf_resume *resume)
{
    long long from_ms = 0, limit = HF_REPLAY_ROWS;

    resume->replay = true;
    if (!number(replay, HF_STR("since"), &from_ms) ||
        !number(replay, HF_STR("limit"), &limit))
        resume->refused = "invalid replay";
    resume->from_ms = from_ms;
    resume->limit =
        limit > HF_REPLAY_ROWS_MAX ? HF_REPLAY_ROWS_MAX : (uint64_t)limit;
}

struct hf_resume hf_resume_of(const struct hf_frame *frame)
{
    struct hf_resume resume = {0};
    struct hf_json member;

    if (hf_json_find(frame->payload, HF_STR("since"), &member) &&
        member.type == HF_JSON_STRING)
        read_since(frame->payload, member, &resume);
    else if (hf_json_find(frame->payload, HF_STR("config"), &member) &&
             hf_json_find(member, HF_STR("broadcast"), &member) &&
             hf_json_find(member, HF_STR("replay"), &member) &&
             member.type == HF_JSON_OBJECT)
        read_replay(member, &resume);
    return resume;
}

/* --- where it begins ----------------------------------------------------- */

struct hf_start hf_resume_start(const struct hf_resume *resume, uint64_t epoch,
                                uint64_t joined, uint64_t trimmed)
{
    struct hf_start start = {.cursor = joined, .replay = joined};

    if (!resume->asked || resume->from_now)
        return start;
    if (resume->since.epoch != epoch || resume->since.id > joined)
        start.gap = "reset";
    else if (resume->since.id < trimmed)
        start.gap = "trimmed";
    if (start.gap)
        return start;
    start.recovered = true;
    start.cursor = resume->since.id;
    return start;
}

/* The newest n are asked for, none of them that something is missing behind;
 * what is committed while we look is not older. */
static int locate_last(const struct hf_resume *resume,
                       struct hf_journal *journal, struct hf_str topic,
                       uint64_t trimmed, uint64_t *cursor)
{
    uint64_t before;
    int err = hf_journal_before_last(journal, topic, resume->last, &before);

    if (before < trimmed)
        before = trimmed;
    if (err == 0 && before < *cursor)
        *cursor = before;
    return err;
}

struct search {
    const struct hf_resume *resume;
    struct hf_start *start;
    uint64_t found;
    size_t bytes;
};

/* Newest first, until there are enough, or what comes is older. A page is all
 * that is looked through: a replay is a look back, not a way to resume. */
static int search_row(void *ctx, const struct hf_row *row)
{
    struct search *search = ctx;

    search->bytes += row->payload.len;
    if (row->at_ms < search->resume->from_ms ||
        search->found >= search->resume->limit ||
        (search->found > 0 && search->bytes > HF_REPLAY_BYTES))
        return HF_ENOTFOUND;
    if (hf_replayable(row))
        search->found++;
    search->start->replay = row->id - 1;
    return 0;
}

static int locate_replay(const struct hf_resume *resume,
                         struct hf_journal *journal, struct hf_str topic,
                         uint64_t joined, struct hf_start *start)
{
    struct search search = {.resume = resume, .start = start};
    int err = hf_journal_read_back(journal, topic, joined, HF_REPLAY_LOOK,
                                   search_row, &search);

    return err == HF_ENOTFOUND ? 0 : err;
}

int hf_resume_locate(const struct hf_resume *resume, struct hf_journal *journal,
                     struct hf_str topic, uint64_t epoch, uint64_t joined,
                     struct hf_start *out)
{
    uint64_t trimmed = 0;
    int err = 0;

    if (resume->asked && (!resume->from_now || resume->last > 0))
        err = hf_journal_trimmed(journal, topic, &trimmed);
    if (err)
        return err;
    *out = hf_resume_start(resume, epoch, joined, trimmed);
    if (resume->from_now && resume->last > 0)
        return locate_last(resume, journal, topic, trimmed, &out->cursor);
    if (resume->replay && resume->limit > 0)
        return locate_replay(resume, journal, topic, joined, out);
    return 0;
}

/* --- what is answered ---------------------------------------------------- */

int hf_join_response(struct hf_buf *out, const struct hf_resume *resume,
                     const struct hf_start *start, uint64_t epoch)
{
    char cursor[HF_CURSOR_MAX];
    size_t len;

    if (!resume->asked)
        return hf_buf_add_str(out, HF_EMPTY);
    len = hf_cursor_format((struct hf_cursor){epoch, start->cursor}, cursor);
#ifdef HF_BROKEN_REPLY_CURSOR_IS_HEAD
    len = hf_cursor_format((struct hf_cursor){epoch, start->replay}, cursor);
#endif
    return hf_buf_addf(out, "{\"cursor\":\"%.*s\",\"recovered\":%s%s%s%s}",
                       (int)len, cursor, start->recovered ? "true" : "false",
                       start->gap ? ",\"gap\":\"" : "",
                       start->gap ? start->gap : "", start->gap ? "\"" : "");
}

bool hf_replayable(const struct hf_row *row)
{
    struct hf_json payload;

    return row->kind == HF_KIND_JSON && is(row->event, "broadcast") &&
           hf_json_read(row->payload, HF_JSON_DEPTH, &payload) == 0 &&
           payload.type == HF_JSON_OBJECT;
}

int hf_replayed_payload(struct hf_buf *out, const struct hf_row *row,
                        uint64_t epoch)
{
    char cursor[HF_CURSOR_MAX];
    size_t len = hf_cursor_format((struct hf_cursor){epoch, row->id}, cursor);
    struct hf_json object, name, value;
    struct hf_json_walk walk;
    bool has_members;

    if (hf_json_read(row->payload, HF_JSON_DEPTH, &object))
        return HF_EMALFORMED;
    hf_json_walk(object, &walk);
    has_members = hf_json_member(&walk, &name, &value);
    (void)hf_buf_add(out, object.raw.at, object.raw.len - 1);
    (void)hf_buf_addf(out, "%s\"meta\":{\"replayed\":true,\"id\":\"%.*s\"}}",
                      has_members ? "," : "", (int)len, cursor);
    return hf_buf_error(out);
}

#include "channel/dispatch.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/err.h"
#include "channel/topic.h"

static bool is(struct hf_str a, const char *b)
{
    return hf_str_eq(a, hf_str_of(b));
}

enum hf_action hf_dispatch(const struct hf_frame *frame, struct hf_str joined)
{
    bool join = is(frame->event, "phx_join");
    bool leave = is(frame->event, "phx_leave");

    if (is(frame->topic, "phoenix") && is(frame->event, "heartbeat"))
        return HF_ACTION_HEARTBEAT;
    if (!joined.at) {
        if (join)
            return HF_ACTION_JOIN;
        return leave ? HF_ACTION_LEAVE_UNJOINED : HF_ACTION_UNMATCHED;
    }
    if (join)
        return HF_ACTION_JOIN_AGAIN;
    /* The one comparison that makes reconnects safe: whatever belongs to an
     * earlier membership is not for this one. A V1 join may have left it
     * without a mark to compare. */
    if (frame->join_ref.type != HF_JSON_NULL && !hf_str_eq(joined, HF_NULL) &&
        !hf_str_eq(frame->join_ref.raw, joined))
        return HF_ACTION_DROP;
    return leave ? HF_ACTION_LEAVE : HF_ACTION_PUSH;
}

bool hf_renewal_asked(const struct hf_frame *frame)
{
    return is(frame->event, "access_token");
}

struct hf_str hf_join_ref_of(const struct hf_frame *frame)
{
    return frame->join_ref.type == HF_JSON_NULL && frame->vsn != HF_VSN_1
               ? frame->ref.raw
               : frame->join_ref.raw;
}

static bool broadcast_config(const struct hf_frame *frame, struct hf_json *out)
{
    struct hf_json config;

    return hf_json_find(frame->payload, HF_STR("config"), &config) &&
           hf_json_find(config, HF_STR("broadcast"), out) &&
           out->type == HF_JSON_OBJECT;
}

bool hf_join_realtime(const struct hf_frame *frame)
{
    struct hf_json broadcast;

    return broadcast_config(frame, &broadcast);
}

bool hf_join_without_self(const struct hf_frame *frame)
{
    struct hf_json broadcast, self;

    return broadcast_config(frame, &broadcast) &&
           hf_json_find(broadcast, HF_STR("self"), &self) &&
           self.type == HF_JSON_FALSE;
}

const char *hf_join_refused(const struct hf_frame *frame, struct hf_grant grant,
                            size_t joined_topics, size_t max_topics,
                            bool *out_null_ref)
{
    *out_null_ref = false;
    if (!grant.known || !hf_topic_legal(frame->topic)) {
        *out_null_ref = true; /* as for a topic that no channel serves (4.2) */
        return "unmatched topic";
    }
    if (!(grant.rights & HF_RIGHT_JOIN))
        return "unauthorized";
    if (joined_topics >= max_topics)
        return "too many channels joined";
    return hf_resume_of(frame).refused;
}

const char *hf_push_refused(const struct hf_frame *frame, struct hf_grant grant,
                            size_t max_payload)
{
    if (!hf_event_pushable(frame->event))
        return "event not allowed";
    if (!(grant.rights & HF_RIGHT_PUBLISH))
        return "unauthorized";
    if (frame->payload.raw.len > max_payload)
        return "payload too large";
    return NULL;
}

struct hf_rate hf_push_rate(const struct hf_settings *settings)
{
    return (struct hf_rate){settings->push_rate, settings->push_burst};
}

/* Who comes back joins all its topics at once; phoenix.js up to 1.8.15 each of
 * them twice, when its first attempt to connect had failed (4.3). */
struct hf_rate hf_join_rate(const struct hf_settings *settings)
{
    size_t all = 2 * settings->max_channels;

    return (struct hf_rate){settings->join_rate, settings->join_rate > all
                                                     ? settings->join_rate
                                                     : all};
}

int hf_topic_limited(struct hf_journal *journal,
                     const struct hf_publish *publish, unsigned rate,
                     int64_t *out_ms)
{
    int64_t second_ago = hf_wall_ms() - 1000, at = 0;
    uint64_t repeated = 0;
    int err = 0;

    *out_ms = 0;
    if (rate > 0)
        err = hf_journal_pace(journal, publish->topic, rate, second_ago, &at);
    if (err || at == 0)
        return err;
    /* A repeat adds nothing. What else is wrong with its key is for append. */
    err = hf_journal_repeated(journal, publish, &repeated);
    if (err && err != HF_ECONFLICT)
        return err;
    if (repeated == 0)
        *out_ms = at < second_ago + 1000 ? at - second_ago : 1000;
    return 0;
}

const char *hf_publish_reason(int err)
{
    switch (err) {
    case HF_EBUSY:
        return "busy"; /* the write lock; may be tried again */
    case HF_ELIMIT:
        return "payload too large";
    case HF_EINVAL:
        return "refused by the journal";
    case HF_ECONFLICT:
        return "key_reused";
    case HF_EAGAIN:
        return "too early"; /* behind one that is not there */
    case HF_ENOTFOUND:
        return "not present"; /* the application updates who is not there */
    case HF_EBLOCKED:
        return "journal_blocked"; /* passes when a reader ends */
    case HF_EFULL:
        return "journal_full"; /* passes when there is room */
    default:
        return "journal_failed";
    }
}

int hf_push_response(struct hf_buf *out, struct hf_cursor cursor)
{
    char text[HF_CURSOR_MAX];
    size_t len = hf_cursor_format(cursor, text);

    return hf_buf_addf(out, "{\"cursor\":\"%.*s\"}", (int)len, text);
}

/* Whichever reader takes the last of two members of one name, as JavaScript
 * does; so ours come last. */
int hf_join_merge(struct hf_buf *out, struct hf_str theirs, struct hf_str ours)
{
    struct hf_json_walk walk;
    struct hf_json object, name, value;

    if (hf_str_eq(ours, HF_EMPTY))
        return hf_buf_add_str(out, theirs);
    if (hf_json_read(theirs, 1024, &object) || object.type != HF_JSON_OBJECT)
        return hf_buf_add_str(out, ours);
    hf_json_walk(object, &walk);
    if (!hf_json_member(&walk, &name, &value))
        return hf_buf_add_str(out, ours);
    (void)hf_buf_add(out, theirs.at, theirs.len - 1);
    (void)hf_buf_add_byte(out, ',');
    (void)hf_buf_add_str(out, hf_str_from(ours, 1));
    return hf_buf_error(out);
}

int hf_reply_ok(struct hf_buf *out, const struct hf_frame *frame,
                struct hf_str join_ref, struct hf_str response)
{
    return hf_encode_reply(out, frame->vsn, join_ref, frame->ref.raw,
                           frame->raw_topic.raw, "ok", response);
}

/* {"reason":"..."}: the reasons are our own words and need no escapes. */
static struct hf_str reason_object(char *out, size_t cap, const char *reason)
{
    int len = snprintf(out, cap, "{\"reason\":\"%s\"}", reason);

    return hf_str(out, len < 0 ? 0 : (size_t)len);
}

int hf_reply_error(struct hf_buf *out, const struct hf_frame *frame,
                   struct hf_str join_ref, const char *reason)
{
    char object[96];

    return hf_encode_reply(out, frame->vsn, join_ref, frame->ref.raw,
                           frame->raw_topic.raw, "error",
                           reason_object(object, sizeof(object), reason));
}

int hf_reply_limited(struct hf_buf *out, const struct hf_frame *frame,
                     struct hf_str join_ref, int64_t retry_ms)
{
    char object[96];
    int len = snprintf(object, sizeof(object),
                       "{\"reason\":\"rate_limited\",\"retry_ms\":%lld}",
                       (long long)retry_ms);

    return hf_encode_reply(out, frame->vsn, join_ref, frame->ref.raw,
                           frame->raw_topic.raw, "error",
                           hf_str(object, len < 0 ? 0 : (size_t)len));
}

int hf_encode_close(struct hf_buf *out, enum hf_vsn vsn, struct hf_str join_ref,
                    struct hf_str topic)
{
    return hf_encode_push(out, vsn, join_ref, join_ref, topic,
                          HF_STR("phx_close"), HF_EMPTY);
}

int hf_encode_error(struct hf_buf *out, enum hf_vsn vsn, struct hf_str join_ref,
                    struct hf_str topic, const char *reason)
{
    char object[96];

    return hf_encode_push(out, vsn, join_ref, join_ref, topic,
                          HF_STR("phx_error"),
                          reason_object(object, sizeof(object), reason));
}

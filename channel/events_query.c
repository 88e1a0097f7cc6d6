#include "channel/events_query.h"

#include "base/query.h"
#include "channel/topic.h"

/* Digits of a number: a longer one is none of ours. */
#define DIGITS_MAX 9u

static bool number(struct hf_str text, int64_t *out)
{
    int64_t n = 0;
    size_t i;

    if (text.len == 0 || text.len > DIGITS_MAX)
        return false;
    for (i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return false;
        n = n * 10 + (text.at[i] - '0');
    }
    *out = n;
    return true;
}

/* A topic that is named twice is delivered once. */
static const char *read_topic(struct hf_str value, struct hf_events_query *out)
{
    char *room = out->names + out->count * HF_TOPIC_MAX, spare[HF_TOPIC_MAX];
    struct hf_str topic;
    size_t len, n;

    if (out->count == HF_EVENTS_TOPICS)
        room = spare;
    if (hf_query_decode(value, room, HF_TOPIC_MAX, &len) ||
        !hf_topic_legal(hf_str(room, len)))
        return "invalid topic";
    topic = hf_str(room, len);
    for (n = 0; n < out->count; n++)
        if (hf_str_eq(out->topics[n], topic))
            return NULL;
    if (out->count == HF_EVENTS_TOPICS)
        return "too many topics";
    out->topics[out->count++] = topic;
    return NULL;
}

static const char *read_since(struct hf_str text, struct hf_resume *resume)
{
    resume->from_now = text.len == 0;
    if (text.len > 0 && hf_cursor_parse(text, &resume->since))
        return "invalid since";
    return NULL;
}

static const char *read_last(struct hf_str text, struct hf_resume *resume)
{
    int64_t last;

    if (!number(text, &last))
        return "invalid last";
    resume->last = last > HF_LAST_MAX ? HF_LAST_MAX : (uint64_t)last;
    return NULL;
}

static const char *read_hold(struct hf_str text, int64_t *hold_ms)
{
    int64_t seconds;

    if (!number(text, &seconds))
        return "invalid hold";
    *hold_ms = seconds * 1000;
    return NULL;
}

static const char *read_pair(struct hf_str name, struct hf_str value,
                             struct hf_events_query *out)
{
    char key[8], room[HF_CURSOR_MAX];
    struct hf_str text;
    size_t len;

    if (hf_query_decode(name, key, sizeof(key), &len))
        return NULL; /* none of ours */
    text = hf_str(key, len);
    if (hf_str_eq(text, HF_STR("topic")))
        return read_topic(value, out);
    /* too long for any of them: then it is none, and refused as such */
    if (hf_query_decode(value, room, sizeof(room), &len)) {
        room[0] = '?';
        len = 1;
    }
    value = hf_str(room, len);
    if (hf_str_eq(text, HF_STR("since")))
        return read_since(value, &out->resume);
    if (hf_str_eq(text, HF_STR("last")))
        return read_last(value, &out->resume);
    if (hf_str_eq(text, HF_STR("hold")))
        return read_hold(value, &out->hold_ms);
    if (hf_str_eq(text, HF_STR("paced")))
        out->paced = hf_str_eq(value, HF_STR("1"));
    return NULL;
}

const char *hf_events_query_read(struct hf_str query,
                                 struct hf_events_query *out)
{
    struct hf_str name, value;
    const char *refused = NULL;

    out->count = 0;
    out->resume = (struct hf_resume){.asked = true, .from_now = true};
    out->hold_ms = -1;
    out->paced = false;
    while (!refused && hf_query_next(&query, &name, &value))
        refused = read_pair(name, value, out);
    if (refused)
        return refused;
    if (out->count == 0)
        return "no topic";
    if (!out->resume.from_now)
        out->resume.last = 0; /* what was missed comes whole or not at all */
    return out->resume.last > 0 && out->count > 1 ? "invalid last" : NULL;
}

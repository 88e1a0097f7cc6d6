#include "channel/topic.h"

#include "base/utf8.h"

/* The journal's CHECK refuses the same bytes (D2): what passes here can be
 * written there. */
static bool has_control(struct hf_str name)
{
    size_t i;

    for (i = 0; i < name.len; i++) {
        unsigned char byte = (unsigned char)name.at[i];

        if (byte < 0x20 || byte == 0x7f)
            return true;
    }
    return false;
}

static bool is_name(struct hf_str name, size_t max)
{
    return name.len >= 1 && name.len <= max && !has_control(name) &&
           hf_utf8_valid(name);
}

bool hf_topic_legal(struct hf_str topic)
{
    return is_name(topic, HF_TOPIC_MAX);
}

bool hf_topic_reserved(struct hf_str topic)
{
    return hf_str_eq(topic, HF_STR("phoenix")) ||
           hf_str_starts(topic, HF_STR("user_socket:")) ||
           hf_str_starts(topic, HF_STR("holdfast:"));
}

bool hf_event_legal(struct hf_str event)
{
    return is_name(event, HF_EVENT_MAX);
}

bool hf_event_pushable(struct hf_str event)
{
    return hf_event_legal(event) && !hf_str_starts(event, HF_STR("phx_")) &&
           !hf_str_starts(event, HF_STR("chan_reply_")) &&
           !hf_str_starts(event, HF_STR("presence_")) &&
           !hf_str_eq(event, HF_STR("disconnect"));
}

bool hf_pattern_matches(struct hf_str pattern, struct hf_str topic)
{
    struct hf_str prefix;

    if (!hf_pattern_prefix(pattern, &prefix))
        return hf_str_eq(pattern, topic);
    return hf_str_starts(topic, prefix);
}

bool hf_pattern_prefix(struct hf_str pattern, struct hf_str *out_prefix)
{
    if (pattern.len == 0 || pattern.at[pattern.len - 1] != '*')
        return false;
    *out_prefix = hf_str(pattern.at, pattern.len - 1);
    return true;
}

bool hf_pattern_legal(struct hf_str pattern)
{
    const char *star;

    if (!hf_topic_legal(pattern))
        return false;
    /* Elsewhere it would be meant as a wildcard and mean itself. */
    star = memchr(pattern.at, '*', pattern.len);
    return !star || star == pattern.at + pattern.len - 1;
}

#include "channel/once.h"

#include "channel/topic.h"

/* No user is named so by accident; and if one is, he must still guess keys. */
static const char anonymous[] = "anonymous at ";

_Static_assert(sizeof(anonymous) - 1 + HF_TOPIC_MAX <= 255,
               "the journal takes 255 bytes of publisher");

static bool has_control(struct hf_str text)
{
    size_t n;

    for (n = 0; n < text.len; n++)
        if ((unsigned char)text.at[n] < 0x20 || text.at[n] == 0x7f)
            return true;
    return false;
}

static struct hf_str publisher_of(struct hf_str user, struct hf_str topic,
                                  char *room)
{
    if (user.len > 0) {
        memcpy(room, user.at, user.len);
        return hf_str(room, user.len);
    }
    memcpy(room, anonymous, sizeof(anonymous) - 1);
    memcpy(room + sizeof(anonymous) - 1, topic.at, topic.len);
    return hf_str(room, sizeof(anonymous) - 1 + topic.len);
}

const char *hf_once_of(const struct hf_frame *frame, struct hf_str user,
                       struct hf_once *out)
{
    size_t least = user.len > 0 ? 1 : HF_KEY_ANONYMOUS;
    struct hf_json key;
    size_t len;

    out->key = out->publisher = hf_str(NULL, 0);
    if (!hf_json_find(frame->options, HF_STR("key"), &key))
        return NULL;
    if (hf_json_unescape(key, out->bytes, HF_KEY_MAX, &len) || len < least ||
        has_control(hf_str(out->bytes, len)))
        return "invalid key";
#ifdef HF_BROKEN_NO_KEY
    return NULL;
#endif
    out->key = hf_str(out->bytes, len);
    out->publisher = publisher_of(user, frame->topic, out->bytes + HF_KEY_MAX);
    return NULL;
}

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

/* A key in the options. False: it is there, and is none. */
static bool read_key(const struct hf_frame *frame, struct hf_str name,
                     char *room, struct hf_str *out)
{
    struct hf_json key;
    size_t len;

    *out = hf_str(NULL, 0);
    if (!hf_json_find(frame->options, name, &key))
        return true;
    if (hf_json_unescape(key, room, HF_KEY_MAX, &len) || len == 0 ||
        has_control(hf_str(room, len)))
        return false;
    *out = hf_str(room, len);
    return true;
}

static const char *refuse(struct hf_once *out)
{
    out->key = out->after = hf_str(NULL, 0);
    return "invalid key";
}

const char *hf_once_of(const struct hf_frame *frame, struct hf_str user,
                       struct hf_once *out)
{
    size_t least = user.len > 0 ? 1 : HF_KEY_ANONYMOUS;
    char *room = out->bytes;

    out->publisher = hf_str(NULL, 0);
    if (!read_key(frame, HF_STR("key"), room, &out->key) ||
        !read_key(frame, HF_STR("after"), room + HF_KEY_MAX, &out->after))
        return refuse(out);
    if (out->key.len == 0) {
        out->after = out->key; /* who cannot be repeated comes when it comes */
        return NULL;
    }
    if (out->key.len < least)
        return refuse(out);
#ifdef HF_BROKEN_NO_KEY
    out->key = out->after = hf_str(NULL, 0);
    return NULL;
#endif
    out->publisher = publisher_of(user, frame->topic, room + 2 * HF_KEY_MAX);
    return NULL;
}

#include "channel/hook_effects.h"

#include "base/err.h"

static int broadcast(struct hf_journal *journal,
                     const struct hf_hook_action *action,
                     const struct hf_hook_from *from, uint64_t *out_id)
{
    bool own = action->topic.len == 0 || hf_str_eq(action->topic, from->topic);
    struct hf_publish publish = {
        .topic = own ? from->topic : action->topic,
        .event = action->event,
        .payload = action->payload.text,
        .kind = action->payload.binary ? HF_KIND_BINARY : HF_KIND_JSON,
    };
    bool repeated;
    uint64_t id;
    int err;

    if (action->what == HF_HOOK_BROADCAST_OTHERS || from->leaving)
        publish.skip = from->session;
    err = hf_journal_append(journal, &publish, &id, &repeated);
    if (err == 0 && own)
        *out_id = id;
    return err;
}

/* Who leaves, or is gone, is present no more, whatever the application says;
 * the rest of its answer is for others. */
static int track(struct hf_journal *journal,
                 const struct hf_hook_action *action,
                 const struct hf_hook_from *from, enum hf_track how)
{
    if (from->leaving || !from->holder)
        return 0;
    return hf_presence_track(journal, from->holder, from->topic, action->key,
                             action->meta, how);
}

static int untrack(struct hf_journal *journal,
                   const struct hf_hook_action *action,
                   const struct hf_hook_from *from)
{
    if (!from->holder)
        return 0;
    return hf_presence_untrack(journal, from->holder->owner, from->topic,
                               action->key);
}

int hf_hook_write(struct hf_journal *journal,
                  const struct hf_hook_action *action,
                  const struct hf_hook_from *from, uint64_t *out_id)
{
    switch (action->what) {
    case HF_HOOK_BROADCAST:
    case HF_HOOK_BROADCAST_OTHERS:
        return broadcast(journal, action, from, out_id);
    case HF_HOOK_SEND:
        return 0;
    case HF_HOOK_TRACK:
        return track(journal, action, from, HF_TRACK);
    case HF_HOOK_UPDATE:
        return track(journal, action, from, HF_UPDATE);
    case HF_HOOK_UNTRACK:
        return untrack(journal, action, from);
    }
    return HF_EINVAL;
}

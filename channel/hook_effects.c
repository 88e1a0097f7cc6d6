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
    case HF_HOOK_UPDATE:
    case HF_HOOK_UNTRACK:
        return HF_EINVAL;
    }
    return HF_EINVAL;
}

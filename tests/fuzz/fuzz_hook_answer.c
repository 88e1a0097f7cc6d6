/*
 * fuzz_hook_answer.c - any bytes as an application's answer to a hook
 *
 * The first byte chooses the hook. What decodes keeps to its bounds, and each
 * of its texts is what an action of that kind may have.
 */
#include "tests/fuzz/fuzz.h"

#include "base/err.h"
#include "base/json.h"
#include "channel/hook_answer.h"
#include "channel/limits.h"

static void check_json(struct hf_str text)
{
    struct hf_json value;

    CHECK(!hf_json_read(text, HF_JSON_DEPTH + 4, &value));
}

static void check_payload(const struct hf_hook_payload *payload)
{
    if (!payload->binary)
        check_json(payload->text);
}

static void check_action(const struct hf_hook_action *action)
{
    CHECK(action->topic.len <= HF_TOPIC_MAX);
    CHECK(action->event.len <= HF_EVENT_MAX);
    switch (action->what) {
    case HF_HOOK_BROADCAST:
    case HF_HOOK_BROADCAST_OTHERS:
    case HF_HOOK_SEND:
        CHECK(action->event.len > 0 && action->key.len == 0);
        check_payload(&action->payload);
        return;
    case HF_HOOK_TRACK:
    case HF_HOOK_UPDATE:
        check_json(action->meta);
        CHECK(action->key.len > 0);
        return;
    case HF_HOOK_UNTRACK:
        CHECK(action->key.len > 0 && action->meta.len == 0);
        return;
    }
    CHECK(false);
}

static void check_answer(const struct hf_hook_answer *answer,
                         enum hf_hook_kind kind)
{
    size_t i;

    CHECK(answer->count <= HF_HOOK_ACTIONS_MAX);
    CHECK(answer->reply_at <= answer->count);
    CHECK(answer->status.len <= HF_HOOK_STATUS_MAX);
    CHECK(answer->replies == (answer->status.len > 0));
    CHECK(answer->id.len <= HF_HOOK_ID_MAX);
    CHECK(!answer->stop || !answer->crash);
    if (kind == HF_HOOK_CONNECT || kind == HF_HOOK_JOIN)
        CHECK(answer->replies);
    else
        CHECK(answer->id.len == 0);
    check_payload(&answer->response);
    for (i = 0; i < answer->count; i++)
        check_action(&answer->actions[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_hook_answer *answer;
    const char *why = NULL;
    enum hf_hook_kind kind;

    if (size == 0)
        return 0;
    kind = data[0] & 3;
    if (hf_hook_answer_decode(hf_str((const char *)data + 1, size - 1), kind,
                              &answer, &why)) {
        CHECK(why);
        return 0;
    }
    check_answer(answer, kind);
    hf_hook_answer_free(answer);
    return 0;
}

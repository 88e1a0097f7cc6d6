#include "channel/hook_answer.h"

#include <stdlib.h>

#include "base/crypto.h"
#include "base/err.h"
#include "base/json.h"
#include "channel/limits.h"

/* An answer holds a frame's payload, which may be so deep, two levels down. */
#define DEPTH (HF_JSON_DEPTH + 4u)

struct decoding {
    enum hf_hook_kind kind;
    struct hf_hook_answer *answer;
    char *room; /* for what is unescaped; as long as the text */
    const char *why;
};

const char *hf_hook_name(enum hf_hook_kind kind)
{
    static const char *const names[] = {"connect", "join", "push", "leave"};

    return names[kind];
}

static int wrong(struct decoding *d, const char *why)
{
    d->why = why;
    return HF_EMALFORMED;
}

/* The bytes of a string, 1 to `max`; they take less room than its text. */
static int take_text(struct decoding *d, struct hf_json value, size_t max,
                     struct hf_str *out)
{
    size_t len;

    if (value.type != HF_JSON_STRING)
        return wrong(d, "a string is needed for topic, event, key and id");
    if (hf_json_unescape(value, d->room, value.raw.len, &len) || len == 0 ||
        len > max)
        return wrong(d, "topic, event, key or id is empty or too long");
    *out = hf_str(d->room, len);
    d->room += len;
    return 0;
}

/* {"_binary":"..."} and nothing else in it? */
static bool binary_form(struct hf_json value, struct hf_json *out)
{
    struct hf_json_walk walk;
    struct hf_json name, more;

    if (value.type != HF_JSON_OBJECT)
        return false;
    hf_json_walk(value, &walk);
    return hf_json_member(&walk, &name, out) &&
           hf_str_eq(name.raw, HF_STR("\"_binary\"")) &&
           out->type == HF_JSON_STRING && !hf_json_member(&walk, &name, &more);
}

static int take_payload(struct decoding *d, struct hf_json value,
                        struct hf_hook_payload *out)
{
    struct hf_json bytes;
    size_t len;

    *out = (struct hf_hook_payload){.text = value.raw};
    if (!binary_form(value, &bytes))
        return 0;
    /* its slashes may be escaped; bytes are decoded where their base64 is,
     * which is ahead of them all the way */
    if (hf_json_unescape(bytes, d->room, bytes.raw.len, &len) ||
        hf_base64_decode(hf_str(d->room, len), (unsigned char *)d->room, &len))
        return wrong(d, "_binary is not base64");
    out->binary = true;
    out->text = hf_str(d->room, len);
    d->room += len;
    return 0;
}

/* --- actions ------------------------------------------------------------- */

struct words {
    struct hf_json what, topic, event, payload, key, meta;
};

/* Where the value of the member called `name` goes; NULL: nobody knows it. */
static struct hf_json *word_place(struct words *words, struct hf_str name)
{
    if (hf_str_eq(name, HF_STR("\"do\"")))
        return &words->what;
    if (hf_str_eq(name, HF_STR("\"topic\"")))
        return &words->topic;
    if (hf_str_eq(name, HF_STR("\"event\"")))
        return &words->event;
    if (hf_str_eq(name, HF_STR("\"payload\"")))
        return &words->payload;
    if (hf_str_eq(name, HF_STR("\"key\"")))
        return &words->key;
    if (hf_str_eq(name, HF_STR("\"meta\"")))
        return &words->meta;
    return NULL;
}

static int read_words(struct decoding *d, struct hf_json object,
                      struct words *out)
{
    struct hf_json_walk walk;
    struct hf_json name, value;

    *out = (struct words){.what = {.raw = {NULL, 0}}};
    if (object.type != HF_JSON_OBJECT)
        return wrong(d, "an action is an object with a member \"do\"");
    hf_json_walk(object, &walk);
    while (hf_json_member(&walk, &name, &value)) {
        struct hf_json *place = word_place(out, name.raw);

        if (!place)
            return wrong(d, "an action has a member that is not known");
        if (place->raw.at)
            return wrong(d, "an action has the same member twice");
        *place = value;
    }
    return 0;
}

/* Does the action have these members, and no other? 'T' topic, which may be
 * absent, 'e' event, 'p' payload, 'k' key, 'm' meta. */
static bool has_just(const struct words *words, const char *members)
{
    return (!words->topic.raw.at || strchr(members, 'T')) &&
           !words->event.raw.at == !strchr(members, 'e') &&
           !words->payload.raw.at == !strchr(members, 'p') &&
           !words->key.raw.at == !strchr(members, 'k') &&
           !words->meta.raw.at == !strchr(members, 'm');
}

static int take_members(struct decoding *d, const struct words *words,
                        struct hf_hook_action *out)
{
    int err = 0;

    if (words->topic.raw.at)
        err = take_text(d, words->topic, HF_TOPIC_MAX, &out->topic);
    if (!err && words->event.raw.at)
        err = take_text(d, words->event, HF_EVENT_MAX, &out->event);
    if (!err && words->payload.raw.at)
        err = take_payload(d, words->payload, &out->payload);
    if (!err && words->key.raw.at)
        err = take_text(d, words->key, HF_TOPIC_MAX, &out->key);
    out->meta = words->meta.raw;
    return err;
}

static const struct {
    struct hf_str name; /* with its quotes */
    int what;           /* of struct hf_hook_action, or one of the below */
    const char *members;
} known[] = {
    {HF_STR_INIT("\"broadcast\""), HF_HOOK_BROADCAST, "Tep"},
    {HF_STR_INIT("\"broadcast_others\""), HF_HOOK_BROADCAST_OTHERS, "Tep"},
    {HF_STR_INIT("\"push\""), HF_HOOK_SEND, "ep"},
    {HF_STR_INIT("\"track\""), HF_HOOK_TRACK, "km"},
    {HF_STR_INIT("\"update\""), HF_HOOK_UPDATE, "km"},
    {HF_STR_INIT("\"untrack\""), HF_HOOK_UNTRACK, "k"},
#define REPLY (-1)
    {HF_STR_INIT("\"reply\""), REPLY, ""},
#define STOP (-2)
    {HF_STR_INIT("\"stop\""), STOP, ""},
#define CRASH (-3)
    {HF_STR_INIT("\"crash\""), CRASH, ""},
};

#define KNOWN_COUNT (sizeof(known) / sizeof(known[0]))

/* Not an action but where the reply goes, or how the channel ends. */
static int take_mark(struct decoding *d, int what, bool *reply_placed)
{
    struct hf_hook_answer *answer = d->answer;

    if (what == STOP)
        answer->stop = true;
    else if (what == CRASH)
        answer->crash = true;
    else if (*reply_placed)
        return wrong(d, "two actions \"reply\"");
    else
        answer->reply_at = answer->count;
    *reply_placed = *reply_placed || what == REPLY;
    return 0;
}

static int take_action(struct decoding *d, struct hf_json object,
                       bool *reply_placed)
{
    struct hf_hook_answer *answer = d->answer;
    struct hf_hook_action *action = &answer->actions[answer->count];
    struct words words;
    size_t i;
    int err = read_words(d, object, &words);

    if (err)
        return err;
    if (answer->stop || answer->crash)
        return wrong(d, "nothing comes behind \"stop\" or \"crash\"");
    for (i = 0; i < KNOWN_COUNT; i++)
        if (hf_str_eq(words.what.raw, known[i].name))
            break;
    if (i == KNOWN_COUNT)
        return wrong(d, "an action's \"do\" is none that is known");
    if (!has_just(&words, known[i].members))
        return wrong(d, "an action lacks a member or has one too many");
    if (known[i].what < 0)
        return take_mark(d, known[i].what, reply_placed);
    *action = (struct hf_hook_action){0};
    /* one of those it can be: the table has no other */
    action->what = (unsigned)known[i].what;
    answer->count++;
    return take_members(d, &words, action);
}

static int take_actions(struct decoding *d, struct hf_json list)
{
    struct hf_hook_answer *answer = d->answer;
    bool reply_placed = false;
    struct hf_json_walk walk;
    struct hf_json element;
    size_t count = 0;
    int err = 0;

    if (list.type != HF_JSON_ARRAY)
        return wrong(d, "actions: a list is needed");
    for (hf_json_walk(list, &walk); hf_json_element(&walk, &element);)
        count++;
    if (count > HF_HOOK_ACTIONS_MAX)
        return wrong(d, "more than 256 actions");
    if (count == 0)
        return 0;
    answer->actions = calloc(count, sizeof(*answer->actions));
    if (!answer->actions)
        return HF_ENOMEM;
    hf_json_walk(list, &walk);
    while (err == 0 && hf_json_element(&walk, &element))
        err = take_action(d, element, &reply_placed);
    if (err == 0 && !reply_placed && d->kind != HF_HOOK_JOIN)
        answer->reply_at = answer->count;
    if (err == 0 && reply_placed && !answer->replies)
        err = wrong(d, "an action \"reply\", and no status to reply with");
    return err;
}

/* --- the whole ------------------------------------------------------------ */

struct parts {
    struct hf_json status, response, id, actions;
};

static struct hf_json *part_place(struct parts *parts, struct hf_str name)
{
    if (hf_str_eq(name, HF_STR("\"status\"")))
        return &parts->status;
    if (hf_str_eq(name, HF_STR("\"response\"")))
        return &parts->response;
    if (hf_str_eq(name, HF_STR("\"id\"")))
        return &parts->id;
    if (hf_str_eq(name, HF_STR("\"actions\"")))
        return &parts->actions;
    return NULL;
}

static int read_parts(struct decoding *d, struct hf_str text, struct parts *out)
{
    struct hf_json_walk walk;
    struct hf_json object, name, value;

    *out = (struct parts){.status = {.raw = {NULL, 0}}};
    if (hf_json_read(text, DEPTH, &object))
        return wrong(d, "it is not JSON");
    if (object.type != HF_JSON_OBJECT)
        return wrong(d, "it is not a JSON object");
    hf_json_walk(object, &walk);
    while (hf_json_member(&walk, &name, &value)) {
        struct hf_json *place = part_place(out, name.raw);

        if (!place)
            return wrong(d, "it has a member that is not known");
        if (place->raw.at)
            return wrong(d, "it has the same member twice");
        *place = value;
    }
    return 0;
}

static int take_status(struct decoding *d, struct hf_json status)
{
    if (!status.raw.at)
        return d->kind == HF_HOOK_PUSH || d->kind == HF_HOOK_LEAVE
                   ? 0
                   : wrong(d, "status is missing: \"ok\" lets the client in");
    if (status.type != HF_JSON_STRING || status.raw.len <= 2 ||
        status.raw.len - 2 > HF_HOOK_STATUS_MAX)
        return wrong(d, "status: a string of 1 to 64 bytes is needed");
    d->answer->replies = true;
    d->answer->status = hf_str(status.raw.at + 1, status.raw.len - 2);
    return 0;
}

static int take_response(struct decoding *d, struct hf_json response)
{
    struct hf_hook_answer *answer = d->answer;

    answer->response.text = HF_STR("{}");
    if (!response.raw.at)
        return 0;
    if ((d->kind == HF_HOOK_JOIN || d->kind == HF_HOOK_CONNECT) &&
        response.type != HF_JSON_OBJECT)
        return wrong(d, "response: of join and connect it is an object");
    if (!answer->replies)
        return wrong(d, "a response, and no status to go with it");
    answer->responds = true;
    if (d->kind == HF_HOOK_JOIN || d->kind == HF_HOOK_CONNECT) {
        /* where bytes have no place */
        answer->response.text = response.raw;
        return 0;
    }
    return take_payload(d, response, &answer->response);
}

static int take_parts(struct decoding *d, const struct parts *parts)
{
    int err = take_status(d, parts->status);

    if (err == 0)
        err = take_response(d, parts->response);
    if (err || d->kind == HF_HOOK_CONNECT) {
        if (!err && parts->actions.raw.at)
            return wrong(d, "actions: there is no channel yet");
        if (!err && parts->id.raw.at)
            err = take_text(d, parts->id, HF_HOOK_ID_MAX, &d->answer->id);
        return err;
    }
    if (parts->id.raw.at)
        return wrong(d, "id: only the answer to connect has one");
    if (!parts->actions.raw.at)
        return 0;
    if (d->kind == HF_HOOK_JOIN && !hf_hook_answer_ok(d->answer))
        return wrong(d, "actions: a join that is refused has no channel");
    return take_actions(d, parts->actions);
}

static int decode(struct decoding *d, struct hf_str text)
{
    struct parts parts;
    int err = read_parts(d, text, &parts);

    return err ? err : take_parts(d, &parts);
}

/* The struct, then a copy of the text, then room for what is unescaped. */
int hf_hook_answer_decode(struct hf_str text, enum hf_hook_kind kind,
                          struct hf_hook_answer **out, const char **out_why)
{
    struct decoding d = {.kind = kind};
    char *copy;
    int err;

    if (out_why)
        *out_why = "it is longer than 1 MiB";
    if (text.len > HF_HOOK_ANSWER_MAX)
        return HF_EMALFORMED;
    d.answer = calloc(1, sizeof(*d.answer) + 2 * text.len);
    if (!d.answer)
        return HF_ENOMEM;
    copy = (char *)(d.answer + 1);
    if (text.len > 0)
        memcpy(copy, text.at, text.len);
    d.room = copy + text.len;
    err = decode(&d, hf_str(copy, text.len));
    if (err) {
        hf_hook_answer_free(d.answer);
        if (out_why)
            *out_why = d.why;
        return err;
    }
    *out = d.answer;
    return 0;
}

void hf_hook_answer_free(struct hf_hook_answer *answer)
{
    if (!answer)
        return;
    free(answer->actions);
    free(answer);
}

bool hf_hook_answer_ok(const struct hf_hook_answer *answer)
{
    return hf_str_eq(answer->status, HF_STR("ok"));
}

bool hf_hook_answer_writes(const struct hf_hook_answer *answer)
{
    size_t i;

    for (i = 0; i < answer->count; i++)
        if (answer->actions[i].what != HF_HOOK_SEND)
            return true;
    return false;
}

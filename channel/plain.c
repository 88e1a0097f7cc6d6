#include "channel/plain.h"

#include <stdio.h>

#include "base/err.h"
#include "base/json.h"
#include "channel/dispatch.h"

/* Bytes of a message as a JSON string. */
#define MESSAGE_MAX 320u

static const struct kind {
    const char *reason;
    unsigned status;
    unsigned retry_s;
    const char *message;
} kinds[] = {
    {"malformed", 400, 0, "the body is not what it must be"},
    {"invalid topic", 400, 0,
     "a topic is 1 to 200 bytes of UTF-8 without control characters"},
    {"no topic", 400, 0, "name one, as in ?topic=room:1"},
    {"too many topics", 400, 0, "one request may name 16"},
    {"invalid since", 400, 0, "since must be a cursor, or empty"},
    {"invalid last", 400, 0,
     "last must be a whole number, and there must be one topic"},
    {"invalid hold", 400, 0, "hold must be a whole number of seconds"},
    {"invalid key", 400, 0,
     "a key is at most 128 bytes, and without a token at least 22"},
    {"refused by the journal", 400, 0, "a rule of the journal refuses it"},
    {"invalid token", 401, 0, "the token is not valid, or has expired"},
    {"refused", 403, 0,
     "this host, origin or version may not connect; the log says which"},
    {"unmatched topic", 403, 0, "no policy is for this topic"},
    {"unauthorized", 403, 0, "no right to do so on this topic"},
    {"event not allowed", 403, 0, "this event is reserved"},
    {"application", 403, 0,
     "here an application decides, which is not asked over plain HTTP"},
    {"key_reused", 409, 0, "its key was used before for something else"},
    {"payload too large", 413, 0, "the payload is over max_payload"},
    {"too many lines", 413, 0, "so many messages may not come at once"},
    {"rate_limited", 429, 1, "too many messages: slower"},
    {"busy", 503, 1, "not now; try again"},
    {"journal_full", 503, 30, "the disk of the server is full"},
    {"journal_blocked", 503, 30,
     "a program on the server keeps a transaction open"},
    {"journal_failed", 503, 60,
     "the journal has failed; what became of it is not known"},
};

static struct kind kind_of(const char *reason)
{
    const struct kind unknown = {reason, 500, 0, "a fault of the server"};
    size_t n;

    for (n = 0; n < sizeof(kinds) / sizeof(kinds[0]); n++)
        if (hf_str_eq(hf_str_of(kinds[n].reason), hf_str_of(reason)))
            return kinds[n];
    return unknown;
}

/* Whoever gave no token may be let in with one (RFC 9110 section 15.5.2). */
static unsigned status_of(const struct hf_plain_refusal *refusal,
                          unsigned status)
{
    bool rights =
        hf_str_eq(hf_str_of(refusal->reason), HF_STR("unauthorized")) ||
        hf_str_eq(hf_str_of(refusal->reason), HF_STR("unmatched topic"));

    return rights && refusal->nobody ? 401 : status;
}

struct hf_plain_answer hf_plain_refuse(const struct hf_plain_refusal *refusal,
                                       char room[HF_PLAIN_REFUSAL_MAX])
{
    struct kind kind = kind_of(refusal->reason);
    struct hf_str message =
        hf_str_of(refusal->message ? refusal->message : kind.message);
    struct hf_plain_answer answer = {
        .status = status_of(refusal, kind.status),
        .retry_s = refusal->retry_ms > 0
                       ? (unsigned)((refusal->retry_ms + 999) / 1000)
                       : kind.retry_s,
    };
    char line[32] = "", retry[40] = "", quoted[MESSAGE_MAX];
    int len;

    if (hf_json_quoted_len(message) > sizeof(quoted))
        message = hf_str_of(kind.message);
    message =
        hf_str(quoted, (size_t)(hf_json_quote_to(quoted, message) - quoted));
    if (refusal->line > 0)
        (void)snprintf(line, sizeof(line), ",\"line\":%zu", refusal->line);
    if (refusal->retry_ms > 0)
        (void)snprintf(retry, sizeof(retry), ",\"retry_ms\":%lld",
                       (long long)refusal->retry_ms);
    len = snprintf(room, HF_PLAIN_REFUSAL_MAX,
                   "{\"error\":{\"reason\":\"%s\",\"message\":%.*s%s%s}}\n",
                   refusal->reason, HF_STR_ARG(message), line, retry);
    answer.body = hf_str(room, len > 0 ? (size_t)len : 0);
    return answer;
}

struct hf_plain_refusal hf_plain_connect(const struct hf_process *process,
                                         const struct hf_hello *hello,
                                         struct hf_client *client)
{
    int err;

    *client = (struct hf_client){.vsn = HF_VSN_2};
    if (hf_connect_check(&process->settings, hello, client))
        return (struct hf_plain_refusal){.reason = "refused"};
    if (process->settings.tokens == HF_TOKENS_APPLICATION ||
        hf_hooks_want(process->hooks, HF_HOOK_CONNECT, HF_STR("")))
        return (struct hf_plain_refusal){.reason = "application"};
    err = hf_connect_identify(&process->settings, process->keys, hello, client);
    if (err == HF_EDENIED)
        return (struct hf_plain_refusal){.reason = "invalid token"};
    if (err)
        return (struct hf_plain_refusal){.reason = "busy"};
    return (struct hf_plain_refusal){.nobody = !client->identity};
}

struct hf_plain_refusal hf_plain_failure(int err)
{
    if (err == HF_ENOMEM || err == HF_ECLOSED)
        return (struct hf_plain_refusal){.reason = "busy"};
    return (struct hf_plain_refusal){.reason = hf_publish_reason(err)};
}

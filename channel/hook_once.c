#include "channel/hook_once.h"

#include "base/crypto.h"
#include "base/err.h"
#include "schema/kept_answers.h"

#define DIGEST_LEN HF_BASE64URL_LEN(HF_SHA256_LEN)

/* Topics and events have no control characters, so nothing runs together. */
static int digest(const struct hf_frame *frame, char out[DIGEST_LEN])
{
    unsigned char mac[HF_SHA256_LEN];
    struct hf_buf text;
    int err;

    hf_buf_init(&text, SIZE_MAX / 2); /* bounded by its frame */
    (void)hf_buf_add_str(&text, frame->topic);
    (void)hf_buf_add_byte(&text, '\n');
    (void)hf_buf_add_str(&text, frame->event);
    (void)hf_buf_addf(&text, "\n%d\n", (int)frame->kind);
    (void)hf_buf_add_str(&text, frame->payload.raw);
    err = hf_buf_error(&text);
    if (err == 0) {
        hf_hmac_sha256(HF_STR("hook"), hf_buf_str(&text), mac);
        (void)hf_base64url(hf_str((const char *)mac, sizeof(mac)), out);
    }
    hf_buf_release(&text);
    return err;
}

static int find(struct hf_journal *journal, const struct hf_kept_key *key,
                struct hf_hook_answer **out)
{
    struct hf_buf text;
    int err;

    hf_buf_init(&text, 2 * HF_HOOK_ANSWER_MAX);
    err = hf_kept_answer(journal, key, &text);
    if (err == 0)
        err = hf_hook_answer_decode(hf_buf_str(&text), HF_HOOK_PUSH, out, NULL);
    hf_buf_release(&text);
    return err == HF_EMALFORMED ? HF_ESTORE : err;
}

int hf_hook_once_find(struct hf_journal *journal, const struct hf_frame *frame,
                      const struct hf_once *once, struct hf_hook_answer **out)
{
    char room[DIGEST_LEN];
    struct hf_kept_key key = {once->publisher, once->key,
                              hf_str(room, sizeof(room))};
    int err;

    if (once->key.len == 0)
        return HF_ENOTFOUND;
    err = digest(frame, room);
    return err ? err : find(journal, &key, out);
}

/* The reply alone, as the application would say it. */
static void write_reply(struct hf_buf *out, const struct hf_hook_answer *answer)
{
    char *at;

    (void)hf_buf_add_byte(out, '{');
    if (answer->replies) {
        (void)hf_buf_add_str(out, HF_STR("\"status\":\""));
        (void)hf_buf_add_str(out, answer->status);
        (void)hf_buf_add_str(out, HF_STR("\",\"response\":"));
    }
    if (answer->replies && answer->response.binary) {
        (void)hf_buf_add_str(out, HF_STR("{\"_binary\":\""));
        at = hf_buf_room(out, HF_BASE64_LEN(answer->response.text.len));
        if (at)
            hf_buf_grown(out, hf_base64(answer->response.text, at));
        (void)hf_buf_add_str(out, HF_STR("\"}"));
    } else if (answer->replies) {
        (void)hf_buf_add_str(out, answer->response.text);
    }
    (void)hf_buf_add_byte(out, '}');
}

int hf_hook_once_keep(struct hf_journal *journal, const struct hf_frame *frame,
                      const struct hf_once *once,
                      const struct hf_hook_answer *answer,
                      struct hf_hook_answer **out)
{
    char room[DIGEST_LEN];
    struct hf_kept_key key = {once->publisher, once->key,
                              hf_str(room, sizeof(room))};
    struct hf_buf text;
    int err;

    *out = NULL;
    if (once->key.len == 0)
        return 0;
    err = digest(frame, room);
    if (err == 0)
        err = find(journal, &key, out);
    if (err != HF_ENOTFOUND)
        return err;
    hf_buf_init(&text, 2 * HF_HOOK_ANSWER_MAX);
    write_reply(&text, answer);
    err = hf_buf_error(&text);
    if (err == 0)
        err = hf_kept_answer_add(journal, &key, hf_buf_str(&text));
    hf_buf_release(&text);
    return err;
}

/*
 * fuzz_line.c - any bytes as a line for `holdfast publish`
 *
 * What decodes must be within its limits, and must be the same message again
 * after `holdfast tail` has printed it.
 */
#include "tests/fuzz/fuzz.h"

#include "cli/lines.h"

static void check_limits(const struct hf_publish *publish)
{
    CHECK(publish->topic.len >= 1 && publish->topic.len <= HF_TOPIC_MAX);
    CHECK(publish->event.len >= 1 && publish->event.len <= HF_EVENT_MAX);
    CHECK(publish->payload.len >= 1);
    CHECK(publish->key.len <= HF_LINE_KEY_MAX);
    CHECK(publish->publisher.len <= HF_LINE_PUBLISHER_MAX);
    CHECK(publish->kind == HF_KIND_JSON && publish->skip.len == 0);
}

/* But for line breaks, which become blanks. */
static bool same_payload(struct hf_str was, struct hf_str is)
{
    if (was.len != is.len)
        return false;
    for (size_t i = 0; i < was.len; i++)
        if (was.at[i] != is.at[i] &&
            !(is.at[i] == ' ' && (was.at[i] == '\n' || was.at[i] == '\r')))
            return false;
    return true;
}

static void check_printed(const struct hf_publish *publish, size_t size)
{
    static struct hf_line again;
    struct hf_row row = {
        .id = 1,
        .topic = publish->topic,
        .event = publish->event,
        .payload = publish->payload,
    };
    struct hf_str text;
    struct hf_buf buf;

    hf_buf_init(&buf, 8 * size + 1024); /* an escape takes six bytes */
    CHECK(!hf_line_encode(&buf, 1, &row));
    text = hf_buf_str(&buf);
    CHECK(memchr(text.at, '\n', text.len) == text.at + text.len - 1);
    CHECK(!hf_line_decode(text, &again, NULL));
    CHECK(hf_str_eq(again.publish.topic, publish->topic));
    CHECK(hf_str_eq(again.publish.event, publish->event));
    CHECK(same_payload(publish->payload, again.publish.payload));
    hf_buf_release(&buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct hf_line line;
    struct hf_why why = {""};

    if (hf_line_decode(hf_str((const char *)data, size), &line, &why)) {
        CHECK(why.text[0]);
        return 0;
    }
    check_limits(&line.publish);
    check_printed(&line.publish, size);
    return 0;
}

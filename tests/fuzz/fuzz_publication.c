/*
 * fuzz_publication.c - any bytes as the body of a publish
 *
 * As lines and as one object. What is taken keeps its payload as it was
 * written, keeps within the limits, and each line is what it is alone.
 */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "base/err.h"
#include "channel/publication.h"
#include "channel/topic.h"

static void check_frame(const struct hf_frame *frame, struct hf_str text)
{
    struct hf_json again;

    CHECK(hf_topic_legal(frame->topic));
    CHECK(hf_event_legal(frame->event));
    CHECK(frame->ref.type == HF_JSON_NULL);
    CHECK(frame->options.type == HF_JSON_NULL ||
          frame->options.type == HF_JSON_OBJECT);
    if (frame->kind == HF_KIND_BINARY)
        return;
    CHECK(frame->payload.raw.at >= text.at);
    CHECK(frame->payload.raw.at + frame->payload.raw.len <= text.at + text.len);
    CHECK(hf_json_read(frame->payload.raw, HF_JSON_DEPTH, &again) == 0);
    CHECK(again.raw.len == frame->payload.raw.len);
}

static void check_alone(const struct hf_frame *frame, struct hf_str line)
{
    struct hf_publications alone;

    CHECK(hf_publications_decode(&alone, line, false) == 0);
    CHECK(alone.count == 1);
    CHECK(hf_str_eq(alone.frames[0].topic, frame->topic));
    CHECK(hf_str_eq(alone.frames[0].event, frame->event));
    CHECK(alone.frames[0].kind == frame->kind);
    CHECK(hf_str_eq(alone.frames[0].payload.raw, frame->payload.raw));
    hf_publications_release(&alone);
}

/* The line of this number, without its end. */
static struct hf_str line_at(struct hf_str text, size_t number)
{
    const char *end;

    while (--number > 0) {
        end = memchr(text.at, '\n', text.len);
        CHECK(end);
        text = hf_str_from(text, (size_t)(end - text.at) + 1);
    }
    end = memchr(text.at, '\n', text.len);
    if (end)
        text.len = (size_t)(end - text.at);
    if (text.len > 0 && text.at[text.len - 1] == '\r')
        text.len--;
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_str text = hf_str((const char *)data, size);
    struct hf_publications list;
    size_t n;
    int err = hf_publications_decode(&list, text, false);

    CHECK(err == 0 || err == HF_EMALFORMED);
    CHECK((err == 0) == (list.wrong == NULL));
    if (err == 0) {
        CHECK(list.count == 1);
        check_frame(&list.frames[0], text);
    }
    hf_publications_release(&list);

    err = hf_publications_decode(&list, text, true);
    CHECK(err == 0 || err == HF_EMALFORMED || err == HF_ELIMIT);
    CHECK(err || (list.count > 0 && list.count <= HF_POST_LINES));
    for (n = 0; n < list.count; n++) {
        check_frame(&list.frames[n], text);
        check_alone(&list.frames[n], line_at(text, list.lines[n]));
    }
    hf_publications_release(&list);
    return 0;
}

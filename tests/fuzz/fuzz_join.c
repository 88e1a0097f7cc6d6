/*
 * fuzz_join.c - any payload of a join or a heartbeat, any options of a push
 *
 * An input is the payload, a line end and the sixth element. What is asked of
 * the past, of heads, of a repeated push and of presence must be within its
 * bounds, or be refused.
 */
#include "tests/fuzz/fuzz.h"

#include "channel/dispatch.h"
#include "channel/heads.h"
#include "channel/once.h"
#include "channel/presence.h"
#include "channel/resume.h"

static void check_resume(const struct hf_frame *frame)
{
    struct hf_resume resume = hf_resume_of(frame);

    if (resume.refused) {
        CHECK(resume.refused[0]);
        return;
    }
    CHECK(!resume.asked || !resume.replay);
    CHECK(!resume.from_now || resume.asked);
    CHECK(resume.last <= HF_LAST_MAX);
    if (resume.replay)
        CHECK(resume.limit <= HF_REPLAY_ROWS_MAX && resume.from_ms >= 0);
}

static void check_once(const struct hf_frame *frame, struct hf_str user)
{
    struct hf_once once;
    const char *refused = hf_once_of(frame, user, &once);

    if (refused) {
        CHECK(once.key.len == 0 && once.after.len == 0);
        return;
    }
    CHECK(once.key.len <= HF_KEY_MAX && once.publisher.len <= 255);
    CHECK(once.after.len <= (once.key.len > 0 ? HF_KEY_MAX : 0));
    CHECK((once.key.len > 0) == (once.publisher.len > 0));
    if (once.key.len > 0 && user.len == 0)
        CHECK(once.key.len >= HF_KEY_ANONYMOUS);
}

static void check_presence(const struct hf_frame *frame)
{
    static const struct hf_grant may = {.rights = HF_RIGHT_PRESENCE};
    static const struct hf_grant may_not = {.rights = HF_RIGHT_JOIN};
    static const struct hf_client nobody = {.vsn = HF_VSN_2};
    struct hf_presence_join join;
    struct hf_presence_push push;

    hf_presence_of_join(frame, &nobody, HF_STR("0123456789012345678901"), may,
                        &join);
    if (!join.refused)
        CHECK(join.allowed && join.key.len > 0 &&
              join.key.len <= HF_PRESENCE_KEY);
    hf_presence_of_join(frame, &nobody, HF_STR("0123456789012345678901"),
                        may_not, &join);
    CHECK(!join.allowed && join.key.len == 0);
    if (hf_presence_of_push(frame, may, &push) && !push.refused)
        CHECK(!push.tracks || push.meta.len > 0);
    if (hf_presence_of_push(frame, may_not, &push))
        CHECK(push.refused);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_str all = hf_str((const char *)data, size);
    const char *line = size > 0 ? memchr(all.at, '\n', size) : NULL;
    size_t payload = line ? (size_t)(line - all.at) : size;
    struct hf_frame frame;
    struct hf_buf text;

    hf_buf_init(&text, size + 100);
    CHECK(!hf_buf_add_str(&text, HF_STR("[\"1\",\"1\",\"room:a\",\"presence\",")));
    CHECK(!hf_buf_add_str(&text, hf_str(all.at, payload)));
    if (line) {
        CHECK(!hf_buf_add_byte(&text, ','));
        CHECK(!hf_buf_add_str(&text, hf_str_from(all, payload + 1)));
    }
    CHECK(!hf_buf_add_byte(&text, ']'));
    if (hf_frame_decode(HF_VSN_2, hf_buf_str(&text), false, &frame) == 0) {
        check_resume(&frame);
        check_once(&frame, HF_STR(""));
        check_once(&frame, HF_STR("ann"));
        check_presence(&frame);
        (void)hf_heads_asked(&frame);
        (void)hf_join_realtime(&frame);
        hf_frame_release(&frame);
    }
    hf_buf_release(&text);
    return 0;
}

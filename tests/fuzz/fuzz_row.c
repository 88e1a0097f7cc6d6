/*
 * fuzz_row.c - any payload of a row, as each form sends it
 *
 * A script may have put anything into the journal that is JSON, or bytes. The
 * first byte chooses which of them it is. What is sent must be a whole message
 * of its form, with the payload in it, whatever realtime-js makes of a broadcast
 * (kind 4).
 */
#include "tests/fuzz/fuzz.h"

#include "channel/proto.h"
#include "channel/row.h"

#define EPOCH UINT64_C(0x0123456789abcdef)
#define TOPIC HF_STR("room:a")

/* Nothing stands beside the bytes, or it would be lost. */
static bool is_bytes_alone(const struct hf_row *row)
{
    struct hf_json all, payload, name, value;
    struct hf_json_walk walk;

    CHECK(!hf_json_read(row->payload, HF_JSON_DEPTH, &all));
    CHECK(hf_json_find(all, HF_STR("payload"), &payload));
    CHECK(payload.type == HF_JSON_OBJECT);
    hf_json_walk(payload, &walk);
    return hf_json_member(&walk, &name, &value) &&
           hf_json_is(name, HF_STR("_binary")) &&
           !hf_json_member(&walk, &name, &value);
}

/* 04 | T | E | M | enc 0 | topic | user event | metadata | payload */
static void check_kind_4(struct hf_str bytes, const struct hf_row *row)
{
    const unsigned char *at = (const unsigned char *)bytes.at;
    size_t head;

    CHECK(bytes.len >= 5 && at[4] == 0);
    CHECK(row->kind == HF_KIND_BINARY || is_bytes_alone(row));
    head = 5u + at[1] + at[2] + at[3];
    CHECK(bytes.len >= head && bytes.len - head <= row->payload.len);
    CHECK(hf_str_eq(hf_str(bytes.at + 5, at[1]), row->topic));
}

/* 02 | T | E | topic | event | payload */
static void check_kind_2(struct hf_str bytes, const struct hf_row *row)
{
    size_t head = 3 + row->topic.len + row->event.len;

    CHECK(row->kind == HF_KIND_BINARY && bytes.len >= head);
    CHECK(hf_str_eq(hf_str_from(bytes, head), row->payload));
}

static void check_text(struct hf_str text, const struct hf_row *row,
                       enum hf_form form, bool cursor)
{
    enum hf_vsn vsn = form == HF_FORM_OBJECT ? HF_VSN_1 : HF_VSN_2;
    struct hf_frame frame;

    CHECK(!hf_frame_decode(vsn, text, false, &frame));
    CHECK(hf_str_eq(frame.topic, row->topic));
    CHECK(hf_str_eq(frame.event, row->event));
    CHECK((frame.ref.type == HF_JSON_STRING) == cursor);
    if (row->kind == HF_KIND_JSON)
        CHECK(hf_str_eq(frame.payload.raw, row->payload));
    else
        CHECK(frame.payload.type == HF_JSON_OBJECT);
    hf_frame_release(&frame);
}

static void check_form(const struct hf_row *row, enum hf_form form,
                       struct hf_str join_ref)
{
    struct hf_msg *msg = hf_row_msg(row, EPOCH, form, join_ref);
    struct hf_str sent;

    CHECK(msg);
    sent = hf_msg_text(msg);
    if (!msg->binary)
        check_text(sent, row, form, join_ref.len > 0);
    else if (sent.at[0] == 4 && form == HF_FORM_REALTIME)
        check_kind_4(sent, row);
    else if (sent.at[0] == 2)
        check_kind_2(sent, row);
    else
        CHECK(false);
    hf_msg_unref(msg);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum hf_form forms[] = {HF_FORM_OBJECT, HF_FORM_ARRAY,
                                         HF_FORM_FRAMES, HF_FORM_REALTIME};
    struct hf_row row = {
        .id = 43, .topic = TOPIC, .event = HF_STR("broadcast")};
    struct hf_json value;
    size_t i;

    if (size == 0)
        return 0;
    row.payload = hf_str((const char *)data + 1, size - 1);
    row.kind = data[0] & 1 ? HF_KIND_BINARY : HF_KIND_JSON;
    if (row.kind == HF_KIND_JSON) {
        /* a frame is one bracket deeper than its payload */
        if (hf_json_read(row.payload, HF_JSON_DEPTH - 1, &value))
            return 0;
        row.payload = value.raw;
    }
    for (i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        check_form(&row, forms[i], hf_str(NULL, 0));
        check_form(&row, forms[i], HF_STR("\"3\""));
    }
    return 0;
}

#include "channel/row.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void check(struct hf_row row, const char *join_ref, const char *want)
{
    struct hf_buf out;

    hf_buf_init(&out, 1000);
    assert_int_equal(
        hf_encode_row(&out, &row, 0, HF_VSN_2, hf_str_of(join_ref)), 0);
    (void)hf_buf_add_byte(&out, '\0');
    assert_string_equal(out.at, want);
    hf_buf_release(&out);
}

static struct hf_row row(void)
{
    return (struct hf_row){.id = 77,
                           .topic = HF_STR("room:\"a\""),
                           .event = HF_STR("news"),
                           .payload = HF_STR("{ \"n\" : 1E2 }")};
}

static void without_cursors_it_is_what_phoenix_broadcasts(void **state)
{
    (void)state;
    check(row(), "", "[null,null,\"room:\\\"a\\\"\",\"news\",{ \"n\" : 1E2 }]");
}

static void with_cursors_it_carries_join_ref_and_cursor(void **state)
{
    (void)state;
    check(row(), "\"4\"",
          "[\"4\",\"j:AAAAAAAAAAA.77\",\"room:\\\"a\\\"\",\"news\","
          "{ \"n\" : 1E2 }]");
}

static void binary_takes_its_json_form(void **state)
{
    struct hf_row binary = row();

    (void)state;
    binary.topic = HF_STR("t");
    binary.kind = HF_KIND_BINARY;
    binary.payload = HF_STR("\x00\x01\xff");
    check(binary, "", "[null,null,\"t\",\"news\",{\"_binary\":\"AAH/\"}]");
    binary.payload = HF_STR("");
    check(binary, "", "[null,null,\"t\",\"news\",{\"_binary\":\"\"}]");
}

/* --- for a WebSocket ------------------------------------------------------ */

static void check_form(const struct hf_row *row, enum hf_form form,
                       const char *join_ref, bool binary, struct hf_str want)
{
    struct hf_str same_ref = hf_str_of(join_ref);
    enum hf_form same = form;
    struct hf_msg *msg = hf_row_msg(row, 0, form, same_ref), *shared;

    assert_non_null(msg);
    assert_int_equal(msg->binary, binary);
    assert_int_equal(msg->len, want.len);
    assert_memory_equal(msg->text, want.at, want.len);

    /* whom it is shared with is sent the same */
    hf_row_same(row, &same, &same_ref);
    shared = hf_row_msg(row, 0, same, same_ref);
    assert_non_null(shared);
    assert_int_equal(shared->binary, binary);
    assert_int_equal(shared->len, want.len);
    assert_memory_equal(shared->text, want.at, want.len);
    hf_msg_unref(msg);
    hf_msg_unref(shared);
}

static void v1_is_told_the_cursor_in_ref_alone(void **state)
{
    struct hf_row r = row();

    (void)state;
    r.topic = HF_STR("t");
    check_form(&r, HF_FORM_OBJECT, "", false,
               HF_STR("{\"topic\":\"t\",\"event\":\"news\",\"payload\":"
                      "{ \"n\" : 1E2 },\"ref\":null}"));
    check_form(&r, HF_FORM_OBJECT, "\"4\"", false,
               HF_STR("{\"topic\":\"t\",\"event\":\"news\",\"payload\":"
                      "{ \"n\" : 1E2 },\"ref\":\"j:AAAAAAAAAAA.77\"}"));
}

static void bytes_go_as_frames_unless_there_is_a_cursor(void **state)
{
    struct hf_row r = row();

    (void)state;
    r.topic = HF_STR("t");
    r.kind = HF_KIND_BINARY;
    r.payload = HF_STR("\x00\x01\xff");
    check_form(&r, HF_FORM_FRAMES, "", true,
               HF_STR("\x02\x01\x04tnews\x00\x01\xff"));
    check_form(&r, HF_FORM_REALTIME, "", true,
               HF_STR("\x04\x01\x04\x00\x00tnews\x00\x01\xff"));
    check_form(&r, HF_FORM_FRAMES, "\"4\"", false,
               HF_STR("[\"4\",\"j:AAAAAAAAAAA.77\",\"t\",\"news\","
                      "{\"_binary\":\"AAH/\"}]"));
    check_form(&r, HF_FORM_OBJECT, "", false,
               HF_STR("{\"topic\":\"t\",\"event\":\"news\",\"payload\":"
                      "{\"_binary\":\"AAH/\"},\"ref\":null}"));
}

#define USER(payload)                                                          \
    HF_STR("{\"type\":\"broadcast\",\"event\":\"shout\",\"payload\":" payload  \
           "}")

static void realtime_js_gets_back_the_bytes_it_sent(void **state)
{
    struct hf_row r = row();

    (void)state;
    r.topic = HF_STR("t");
    r.event = HF_STR("broadcast");
    r.payload = USER("{\"_binary\":\"AAH/\"}");
    check_form(&r, HF_FORM_REALTIME, "", true,
               HF_STR("\x04\x01\x05\x00\x00tshout\x00\x01\xff"));
    r.payload = USER("{\"_binary\":\"\"},\"meta\":{\"a\":1}");
    check_form(&r, HF_FORM_REALTIME, "", true,
               HF_STR("\x04\x01\x05\x07\x00tshout{\"a\":1}"));
    r.payload = USER("{\"_binary\":\"AAH/\"}");
    check_form(&r, HF_FORM_FRAMES, "", false,
               HF_STR("[null,null,\"t\",\"broadcast\",{\"type\":\"broadcast\","
                      "\"event\":\"shout\",\"payload\":"
                      "{\"_binary\":\"AAH/\"}}]"));
    check_form(&r, HF_FORM_REALTIME, "\"4\"", false,
               HF_STR("[\"4\",\"j:AAAAAAAAAAA.77\",\"t\",\"broadcast\","
                      "{\"type\":\"broadcast\",\"event\":\"shout\","
                      "\"payload\":{\"_binary\":\"AAH/\"}}]"));
}

static void what_is_no_broadcast_of_bytes_stays_text(void **state)
{
    static const struct hf_str payloads[] = {
        HF_STR_INIT("{}"),
        HF_STR_INIT("[\"_binary\"]"),
        HF_STR_INIT("{\"event\":\"e\",\"payload\":{\"_binary\":1}}"),
        HF_STR_INIT("{\"event\":\"e\",\"payload\":{\"_binary\":\"A\"}}"),
        HF_STR_INIT(
            "{\"event\":\"e\",\"payload\":{\"_binary\":\"\\u0041A==\"}}"),
        HF_STR_INIT("{\"event\":1,\"payload\":{\"_binary\":\"AA==\"}}"),
        HF_STR_INIT("{\"payload\":{\"_binary\":\"AA==\"}}"),
        HF_STR_INIT(
            "{\"event\":\"e\",\"payload\":{\"_binary\":\"AA==\",\"a\":1}}"),
        HF_STR_INIT(
            "{\"event\":\"e\",\"payload\":{\"_binary\":\"AA==\"},\"a\":1}"),
        HF_STR_INIT("{\"event\":\"e\",\"payload\":{\"i\":1}}"),
    };
    struct hf_row r = row();
    size_t i;

    (void)state;
    r.event = HF_STR("broadcast");
    for (i = 0; i < sizeof(payloads) / sizeof(payloads[0]); i++) {
        struct hf_msg *msg;

        r.payload = payloads[i];
        msg = hf_row_msg(&r, 0, HF_FORM_REALTIME, HF_STR(""));
        assert_non_null(msg);
        assert_false(msg->binary);
        hf_msg_unref(msg);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_cursors_it_is_what_phoenix_broadcasts),
        cmocka_unit_test(with_cursors_it_carries_join_ref_and_cursor),
        cmocka_unit_test(binary_takes_its_json_form),
        cmocka_unit_test(v1_is_told_the_cursor_in_ref_alone),
        cmocka_unit_test(bytes_go_as_frames_unless_there_is_a_cursor),
        cmocka_unit_test(realtime_js_gets_back_the_bytes_it_sent),
        cmocka_unit_test(what_is_no_broadcast_of_bytes_stays_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

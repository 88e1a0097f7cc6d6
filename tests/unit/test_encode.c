#include "channel/encode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/err.h"

static void assert_str(struct hf_str got, const char *want)
{
    assert_int_equal(got.len, strlen(want));
    if (got.len > 0)
        assert_memory_equal(got.at, want, got.len);
}

/* --- JSON payloads -------------------------------------------------------- */

static void a_reply_is_what_phoenix_sends(void **state)
{
    struct hf_buf buf;

    (void)state;
    hf_buf_init(&buf, 1024);
    assert_int_equal(hf_encode_reply(&buf, HF_VSN_2, HF_STR("\"1\""),
                                     HF_STR("\"2\""), HF_STR("\"room:a\""),
                                     "ok", HF_EMPTY),
                     0);
    assert_str(hf_buf_str(&buf), "[\"1\",\"2\",\"room:a\",\"phx_reply\","
                                 "{\"status\":\"ok\",\"response\":{}}]");

    hf_buf_reset(&buf);
    assert_int_equal(hf_encode_reply(&buf, HF_VSN_2, HF_NULL, HF_STR("7"),
                                     HF_STR("9"), "error",
                                     HF_STR("{\"reason\":1}")),
                     0);
    assert_str(hf_buf_str(&buf),
               "[null,7,9,\"phx_reply\","
               "{\"status\":\"error\",\"response\":{\"reason\":1}}]");
    hf_buf_release(&buf);
}

static void a_push_quotes_its_names_and_keeps_its_payload(void **state)
{
    struct hf_buf buf;

    (void)state;
    hf_buf_init(&buf, 1024);
    assert_int_equal(hf_encode_push(&buf, HF_VSN_2, HF_NULL,
                                    HF_STR("\"j:x.1\""),
                                    HF_STR("a\"\\/\n\xc3\xa4"), HF_STR("say"),
                                    HF_STR("{ \"n\" : 1.0 }")),
                     0);
    assert_str(hf_buf_str(&buf), "[null,\"j:x.1\",\"a\\\"\\\\/\\n\xc3\xa4\","
                                 "\"say\",{ \"n\" : 1.0 }]");
    hf_buf_release(&buf);
}

static void encoding_goes_on_where_the_buffer_ends(void **state)
{
    struct hf_buf buf;

    (void)state;
    hf_buf_init(&buf, 1024);
    assert_int_equal(hf_buf_add_byte(&buf, ','), 0);
    assert_int_equal(hf_encode_push(&buf, HF_VSN_2, HF_STR("\"1\""),
                                    HF_STR("\"1\""), HF_STR("t"),
                                    HF_STR("phx_close"), HF_EMPTY),
                     0);
    assert_str(hf_buf_str(&buf), ",[\"1\",\"1\",\"t\",\"phx_close\",{}]");
    hf_buf_release(&buf);
}

/* A half frame among whole ones would break all that follow. */
static void a_frame_that_does_not_fit_leaves_nothing(void **state)
{
    struct hf_buf buf;
    size_t max, whole;

    (void)state;
    hf_buf_init(&buf, 1024);
    assert_int_equal(hf_encode_push(&buf, HF_VSN_2, HF_NULL, HF_NULL,
                                    HF_STR("topic"), HF_STR("event"), HF_EMPTY),
                     0);
    whole = buf.len;
    hf_buf_release(&buf);

    for (max = 1; max <= whole; max++) {
        hf_buf_init(&buf, max + 1);
        assert_int_equal(hf_buf_add_byte(&buf, '#'), 0);
        assert_int_equal(hf_encode_push(&buf, HF_VSN_2, HF_NULL, HF_NULL,
                                        HF_STR("topic"), HF_STR("event"),
                                        HF_EMPTY),
                         max == whole ? 0 : HF_ELIMIT);
        assert_int_equal(buf.len, max == whole ? whole + 1 : 1);
        hf_buf_release(&buf);
    }
    for (max = 0; max < 40; max++) {
        hf_buf_init(&buf, max);
        assert_int_equal(hf_encode_reply(&buf, HF_VSN_2, HF_NULL, HF_NULL,
                                         HF_STR("\"topic\""), "ok", HF_EMPTY),
                         HF_ELIMIT);
        assert_int_equal(buf.len, 0);
        hf_buf_release(&buf);
    }
}

static void in_v1_messages_are_objects_without_join_ref(void **state)
{
    struct hf_buf buf;

    (void)state;
    hf_buf_init(&buf, 1024);
    assert_int_equal(hf_encode_reply(&buf, HF_VSN_1, HF_STR("\"1\""),
                                     HF_STR("\"2\""), HF_STR("\"r\\u0061\""),
                                     "ok", HF_STR("{ }")),
                     0);
    assert_str(hf_buf_str(&buf),
               "{\"topic\":\"r\\u0061\",\"event\":\"phx_reply\",\"payload\":"
               "{\"status\":\"ok\",\"response\":{ }},\"ref\":\"2\"}");
    hf_buf_reset(&buf);
    assert_int_equal(hf_encode_push(&buf, HF_VSN_1, HF_STR("\"1\""), HF_NULL,
                                    HF_STR("a\""), HF_STR("e\n"),
                                    HF_STR("[1]")),
                     0);
    assert_str(hf_buf_str(&buf), "{\"topic\":\"a\\\"\",\"event\":\"e\\n\","
                                 "\"payload\":[1],\"ref\":null}");
    hf_buf_release(&buf);
}

static void a_status_may_be_any_text(void **state)
{
    struct hf_buf buf;

    (void)state;
    hf_buf_init(&buf, 1024);
    assert_int_equal(hf_encode_reply(&buf, HF_VSN_2, HF_NULL, HF_NULL,
                                     HF_STR("\"t\""), "may\"be", HF_EMPTY),
                     0);
    assert_str(hf_buf_str(&buf), "[null,null,\"t\",\"phx_reply\",{\"status\":"
                                 "\"may\\\"be\",\"response\":{}}]");
    hf_buf_release(&buf);
}

/* --- bytes as payload ----------------------------------------------------- */

#define BYTES HF_STR("\x00\x01\x02\xff")

static void check_msg(const struct hf_parts *parts, bool binary,
                      struct hf_str want)
{
    struct hf_msg *msg = hf_parts_msg(parts);

    assert_non_null(msg);
    assert_int_equal(msg->binary, binary);
    assert_int_equal(msg->len, want.len);
    assert_memory_equal(msg->text, want.at, want.len);
    hf_msg_unref(msg);
}

static void reply(enum hf_form form, const char *join_ref, const char *ref,
                  const char *topic, bool binary, struct hf_str want)
{
    struct hf_parts parts;

    hf_parts_reply(&parts, form, hf_str_of(join_ref), hf_str_of(ref),
                   hf_str_of(topic), HF_STR("ok"), HF_KIND_BINARY, BYTES);
    check_msg(&parts, binary, want);
}

static void push(enum hf_form form, const char *join_ref, const char *ref,
                 bool binary, struct hf_str want)
{
    struct hf_parts parts;

    hf_parts_push(&parts, form, hf_str_of(join_ref), hf_str_of(ref),
                  HF_STR("room:a"), HF_STR("say"), HF_KIND_BINARY, BYTES);
    check_msg(&parts, binary, want);
}

/* As recorded: binary-push-echo. */
static void a_binary_reply_is_kind_1(void **state)
{
    (void)state;
    reply(HF_FORM_FRAMES, "\"1\"", "\"2\"", "\"room:a\"", true,
          HF_STR("\x01\x01\x01\x06\x02"
                 "12room:aok\x00\x01\x02\xff"));
    reply(HF_FORM_FRAMES, "null", "null", "\"room:a\"", true,
          HF_STR("\x01\x00\x00\x06\x02"
                 "room:aok\x00\x01\x02\xff"));
}

static void what_a_binary_reply_cannot_carry_makes_it_text(void **state)
{
    char longest[260];

    (void)state;
    reply(HF_FORM_FRAMES, "1", "\"2\"", "\"t\"", false,
          HF_STR("[1,\"2\",\"t\",\"phx_reply\",{\"status\":\"ok\","
                 "\"response\":{\"_binary\":\"AAEC/w==\"}}]"));
    reply(HF_FORM_FRAMES, "\"1\"", "[]", "\"t\"", false,
          HF_STR("[\"1\",[],\"t\",\"phx_reply\",{\"status\":\"ok\","
                 "\"response\":{\"_binary\":\"AAEC/w==\"}}]"));
    reply(HF_FORM_FRAMES, "null", "\"\\u0031\"", "\"t\"", false,
          HF_STR("[null,\"\\u0031\",\"t\",\"phx_reply\",{\"status\":\"ok\","
                 "\"response\":{\"_binary\":\"AAEC/w==\"}}]"));
    memset(longest, 'x', sizeof(longest));
    longest[0] = longest[257] = '"';
    longest[258] = '\0'; /* 256 bytes between quotes */
    {
        struct hf_parts parts;

        hf_parts_reply(&parts, HF_FORM_FRAMES, HF_NULL, hf_str_of(longest),
                       HF_STR("\"t\""), HF_STR("ok"), HF_KIND_BINARY, BYTES);
        assert_false(parts.binary);
        longest[256] = '"';
        longest[257] = '\0';
        hf_parts_reply(&parts, HF_FORM_FRAMES, HF_NULL, hf_str_of(longest),
                       HF_STR("\"t\""), HF_STR("ok"), HF_KIND_BINARY, BYTES);
        assert_true(parts.binary);
    }
}

/* As recorded: binary-server-push, binary-broadcast. */
static void a_binary_push_is_kind_0_and_a_broadcast_kind_2(void **state)
{
    (void)state;
    push(HF_FORM_FRAMES, "\"1\"", "null", true,
         HF_STR("\x00\x01\x06\x03"
                "1room:asay\x00\x01\x02\xff"));
    push(HF_FORM_FRAMES, "null", "null", true,
         HF_STR("\x02\x06\x03"
                "room:asay\x00\x01\x02\xff"));
    push(HF_FORM_FRAMES, "12", "null", false,
         HF_STR("[12,null,\"room:a\",\"say\",{\"_binary\":\"AAEC/w==\"}]"));
}

static void a_cursor_is_worth_more_than_a_binary_frame(void **state)
{
    (void)state;
    push(HF_FORM_FRAMES, "\"1\"", "\"j:A.7\"", false,
         HF_STR("[\"1\",\"j:A.7\",\"room:a\",\"say\","
                "{\"_binary\":\"AAEC/w==\"}]"));
    push(HF_FORM_REALTIME, "\"1\"", "\"j:A.7\"", false,
         HF_STR("[\"1\",\"j:A.7\",\"room:a\",\"say\","
                "{\"_binary\":\"AAEC/w==\"}]"));
}

static void realtime_js_knows_kind_4_alone(void **state)
{
    (void)state;
    push(HF_FORM_REALTIME, "null", "null", true,
         HF_STR("\x04\x06\x03\x00\x00"
                "room:asay\x00\x01\x02\xff"));
    push(HF_FORM_REALTIME, "\"1\"", "null", true,
         HF_STR("\x04\x06\x03\x00\x00"
                "room:asay\x00\x01\x02\xff"));
    reply(HF_FORM_REALTIME, "\"1\"", "\"2\"", "\"t\"", false,
          HF_STR("[\"1\",\"2\",\"t\",\"phx_reply\",{\"status\":\"ok\","
                 "\"response\":{\"_binary\":\"AAEC/w==\"}}]"));
}

static void where_text_alone_goes_bytes_are_base64(void **state)
{
    (void)state;
    push(HF_FORM_ARRAY, "null", "null", false,
         HF_STR("[null,null,\"room:a\",\"say\",{\"_binary\":\"AAEC/w==\"}]"));
    push(HF_FORM_OBJECT, "\"1\"", "null", false,
         HF_STR("{\"topic\":\"room:a\",\"event\":\"say\",\"payload\":"
                "{\"_binary\":\"AAEC/w==\"},\"ref\":null}"));
    reply(HF_FORM_OBJECT, "\"1\"", "\"2\"", "\"t\"", false,
          HF_STR("{\"topic\":\"t\",\"event\":\"phx_reply\",\"payload\":"
                 "{\"status\":\"ok\",\"response\":"
                 "{\"_binary\":\"AAEC/w==\"}},\"ref\":\"2\"}"));
}

static void no_bytes_at_all_are_a_payload_too(void **state)
{
    struct hf_parts parts;

    (void)state;
    hf_parts_push(&parts, HF_FORM_FRAMES, HF_NULL, HF_NULL, HF_STR("t"),
                  HF_STR("e"), HF_KIND_BINARY, HF_STR(""));
    check_msg(&parts, true, HF_STR("\x02\x01\x01te"));
    hf_parts_push(&parts, HF_FORM_ARRAY, HF_NULL, HF_NULL, HF_STR("t"),
                  HF_STR("e"), HF_KIND_BINARY, hf_str(NULL, 0));
    check_msg(&parts, false,
              HF_STR("[null,null,\"t\",\"e\",{\"_binary\":\"\"}]"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reply_is_what_phoenix_sends),
        cmocka_unit_test(a_push_quotes_its_names_and_keeps_its_payload),
        cmocka_unit_test(encoding_goes_on_where_the_buffer_ends),
        cmocka_unit_test(a_frame_that_does_not_fit_leaves_nothing),
        cmocka_unit_test(in_v1_messages_are_objects_without_join_ref),
        cmocka_unit_test(a_status_may_be_any_text),
        cmocka_unit_test(a_binary_reply_is_kind_1),
        cmocka_unit_test(what_a_binary_reply_cannot_carry_makes_it_text),
        cmocka_unit_test(a_binary_push_is_kind_0_and_a_broadcast_kind_2),
        cmocka_unit_test(a_cursor_is_worth_more_than_a_binary_frame),
        cmocka_unit_test(realtime_js_knows_kind_4_alone),
        cmocka_unit_test(where_text_alone_goes_bytes_are_base64),
        cmocka_unit_test(no_bytes_at_all_are_a_payload_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "channel/dispatch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/err.h"

#define EPOCH UINT64_C(0x1122334455667788)

static const struct hf_str none = {NULL, 0};

static enum hf_action act(const char *text, struct hf_str joined)
{
    struct hf_frame frame;

    assert_int_equal(hf_frame_decode(HF_VSN_2, hf_str_of(text), false, &frame),
                     0);
    return hf_dispatch(&frame, joined);
}

static void a_heartbeat_is_answered_whatever_it_carries(void **state)
{
    (void)state;
    assert_int_equal(act("[null,\"1\",\"phoenix\",\"heartbeat\",{}]", none),
                     HF_ACTION_HEARTBEAT);
    assert_int_equal(act("[\"9\",null,\"phoenix\",\"heartbeat\",7]", none),
                     HF_ACTION_HEARTBEAT);
    assert_int_equal(act("[null,\"1\",\"phoenix\",\"other\",{}]", none),
                     HF_ACTION_UNMATCHED);
}

static void an_unjoined_topic_can_be_joined_and_left_only(void **state)
{
    (void)state;
    assert_int_equal(act("[\"1\",\"1\",\"a\",\"phx_join\",{}]", none),
                     HF_ACTION_JOIN);
    assert_int_equal(act("[\"1\",\"1\",\"a\",\"phx_leave\",{}]", none),
                     HF_ACTION_LEAVE_UNJOINED);
    assert_int_equal(act("[\"1\",\"1\",\"a\",\"shout\",{}]", none),
                     HF_ACTION_UNMATCHED);
    assert_int_equal(act("[\"1\",\"1\",12,\"shout\",{}]", none),
                     HF_ACTION_UNMATCHED);
}

static void a_frame_of_an_earlier_join_is_dropped(void **state)
{
    struct hf_str one = HF_STR("\"1\"");

    (void)state;
    assert_int_equal(act("[\"1\",\"2\",\"a\",\"shout\",{}]", one),
                     HF_ACTION_PUSH);
    assert_int_equal(act("[null,\"2\",\"a\",\"shout\",{}]", one),
                     HF_ACTION_PUSH);
    assert_int_equal(act("[\"0\",\"2\",\"a\",\"shout\",{}]", one),
                     HF_ACTION_DROP);
    /* the number 1 is not the string "1" */
    assert_int_equal(act("[1,\"2\",\"a\",\"shout\",{}]", one), HF_ACTION_DROP);
    assert_int_equal(act("[\"0\",\"2\",\"a\",\"phx_leave\",{}]", one),
                     HF_ACTION_DROP);
    assert_int_equal(act("[\"1\",\"2\",\"a\",\"phx_leave\",{}]", one),
                     HF_ACTION_LEAVE);
    /* a join is never stale: it is the newer one */
    assert_int_equal(act("[\"0\",\"2\",\"a\",\"phx_join\",{}]", one),
                     HF_ACTION_JOIN_AGAIN);
}

static void a_join_without_join_ref_takes_its_ref(void **state)
{
    struct hf_frame frame;

    (void)state;
    assert_int_equal(
        hf_frame_decode(HF_VSN_2, HF_STR("[null,\"7\",\"a\",\"phx_join\",{}]"),
                        false, &frame),
        0);
    assert_true(hf_str_eq(hf_join_ref_of(&frame), HF_STR("\"7\"")));
    assert_int_equal(hf_frame_decode(HF_VSN_2,
                                     HF_STR("[3,\"7\",\"a\",\"phx_join\",{}]"),
                                     false, &frame),
                     0);
    assert_true(hf_str_eq(hf_join_ref_of(&frame), HF_STR("3")));
}

static void a_join_is_refused_with_its_reason(void **state)
{
    struct hf_grant all = {HF_RIGHT_JOIN, true, true, 0};
    struct hf_grant known = {HF_RIGHT_PUBLISH, true, true, 0};
    struct hf_grant unknown = {0, true, false, 0};
    struct hf_frame frame;
    bool null_ref;

    (void)state;
    assert_int_equal(
        hf_frame_decode(HF_VSN_2, HF_STR("[\"1\",\"1\",\"a\",\"phx_join\",{}]"),
                        false, &frame),
        0);
    assert_null(hf_join_refused(&frame, all, 0, 2, &null_ref));
    assert_string_equal(hf_join_refused(&frame, all, 2, 2, &null_ref),
                        "too many channels joined");
    assert_false(null_ref);
    assert_string_equal(hf_join_refused(&frame, known, 0, 2, &null_ref),
                        "unauthorized");
    assert_false(null_ref);
    assert_string_equal(hf_join_refused(&frame, unknown, 0, 2, &null_ref),
                        "unmatched topic");
    assert_true(null_ref);
}

static void a_push_is_refused_with_its_reason(void **state)
{
    struct hf_grant all = {HF_RIGHT_JOIN | HF_RIGHT_PUBLISH, true, true, 0};
    struct hf_grant reader = {HF_RIGHT_JOIN, true, true, 0};
    struct hf_frame frame;

    (void)state;
    assert_int_equal(hf_frame_decode(HF_VSN_2,
                                     HF_STR("[\"1\",\"1\",\"a\",\"say\",[1]]"),
                                     false, &frame),
                     0);
    assert_null(hf_push_refused(&frame, all, 3));
    assert_string_equal(hf_push_refused(&frame, all, 2), "payload too large");
    assert_string_equal(hf_push_refused(&frame, reader, 3), "unauthorized");
    assert_int_equal(
        hf_frame_decode(HF_VSN_2,
                        HF_STR("[\"1\",\"1\",\"a\",\"phx_close\",{}]"), false,
                        &frame),
        0);
    assert_string_equal(hf_push_refused(&frame, all, 99), "event not allowed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_heartbeat_is_answered_whatever_it_carries),
        cmocka_unit_test(an_unjoined_topic_can_be_joined_and_left_only),
        cmocka_unit_test(a_frame_of_an_earlier_join_is_dropped),
        cmocka_unit_test(a_join_without_join_ref_takes_its_ref),
        cmocka_unit_test(a_join_is_refused_with_its_reason),
        cmocka_unit_test(a_push_is_refused_with_its_reason),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

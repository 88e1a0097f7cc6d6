#include "channel/msg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void a_new_message_has_one_reference_and_no_header(void **state)
{
    struct hf_msg *msg = hf_msg_new(5);

    (void)state;
    assert_non_null(msg);
    assert_int_equal(msg->refs, 1);
    assert_int_equal(msg->len, 5);
    assert_int_equal(msg->head_len, 0);
    assert_false(msg->binary);
    memcpy(msg->text, "hello", 5); /* all of it is ours to write */
    assert_true(hf_str_eq(hf_msg_text(msg), HF_STR("hello")));
    hf_msg_unref(msg);
}

static void a_message_is_a_copy_of_its_text(void **state)
{
    char text[] = "[null,null]";
    struct hf_msg *msg = hf_msg_of(hf_str(text, strlen(text)));

    (void)state;
    assert_non_null(msg);
    memset(text, 'x', sizeof(text));
    assert_true(hf_str_eq(hf_msg_text(msg), HF_STR("[null,null]")));
    hf_msg_unref(msg);
}

static void an_empty_text_makes_an_empty_message(void **state)
{
    struct hf_msg *msg = hf_msg_of(hf_str(NULL, 0));

    (void)state;
    assert_non_null(msg);
    assert_int_equal(msg->len, 0);
    hf_msg_unref(msg);
}

static void a_message_lives_until_its_last_reference_goes(void **state)
{
    struct hf_msg *msg = hf_msg_of(HF_STR("x"));

    (void)state;
    assert_ptr_equal(hf_msg_ref(msg), msg);
    assert_int_equal(msg->refs, 2);
    hf_msg_unref(msg);
    assert_int_equal(msg->refs, 1);
    assert_true(hf_str_eq(hf_msg_text(msg), HF_STR("x")));
    hf_msg_unref(msg); /* the sanitizer sees a leak or a use after this */
    hf_msg_unref(NULL);
}

/* One write sends header and text: room's end is the text's beginning. */
static void the_header_stands_directly_before_the_text(void **state)
{
    struct hf_msg *msg = hf_msg_of(HF_STR("text"));

    (void)state;
    assert_ptr_equal(msg->room + HF_MSG_HEADROOM, msg->text);
    memset(msg->room, 'h', HF_MSG_HEADROOM);
    assert_true(hf_str_eq(hf_msg_text(msg), HF_STR("text")));
    hf_msg_unref(msg);
}

static void a_message_of_4_GiB_is_refused(void **state)
{
    (void)state;
    assert_null(hf_msg_new((size_t)UINT32_MAX));
    assert_null(hf_msg_new(SIZE_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_message_has_one_reference_and_no_header),
        cmocka_unit_test(a_message_is_a_copy_of_its_text),
        cmocka_unit_test(an_empty_text_makes_an_empty_message),
        cmocka_unit_test(a_message_lives_until_its_last_reference_goes),
        cmocka_unit_test(the_header_stands_directly_before_the_text),
        cmocka_unit_test(a_message_of_4_GiB_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

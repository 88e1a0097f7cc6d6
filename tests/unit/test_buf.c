#include "base/buf.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>

#include "base/err.h"

/* Linked with --wrap=realloc: memory runs out when a test says so. */
void *__real_realloc(void *at, size_t size);
void *__wrap_realloc(void *at, size_t size);

static bool out_of_memory;

void *__wrap_realloc(void *at, size_t size)
{
    return out_of_memory ? NULL : __real_realloc(at, size);
}

static void assert_holds(const struct hf_buf *buf, struct hf_str expected)
{
    assert_int_equal(buf->len, expected.len);
    assert_memory_equal(buf->at, expected.at, expected.len);
}

static void a_new_one_holds_no_memory(void **state)
{
    struct hf_buf buf;

    (void)state;
    hf_buf_init(&buf, 100);
    assert_null(buf.at);
    assert_int_equal(hf_buf_str(&buf).len, 0);
    assert_int_equal(hf_buf_error(&buf), 0);
    hf_buf_release(&buf);
}

static void the_zeroed_struct_can_be_released(void **state)
{
    struct hf_buf buf = {0};

    (void)state;
    hf_buf_release(&buf);
    assert_int_equal(hf_buf_add_byte(&buf, 'x'), HF_ELIMIT);
}

static void adds_follow_each_other(void **state)
{
    struct hf_buf buf;

    (void)state;
    hf_buf_init(&buf, 1000);
    assert_int_equal(hf_buf_add(&buf, "a\0b", 3), 0);
    assert_int_equal(hf_buf_add_str(&buf, HF_STR("|")), 0);
    assert_int_equal(hf_buf_add_byte(&buf, '\xff'), 0);
    assert_int_equal(hf_buf_add_u64(&buf, 0), 0);
    assert_int_equal(hf_buf_add_u64(&buf, 18446744073709551615ULL), 0);
    assert_int_equal(hf_buf_addf(&buf, "<%s:%d>", "x", -7), 0);
    assert_int_equal(hf_buf_add_str(&buf, hf_str(NULL, 0)), 0);
    assert_holds(&buf, HF_STR("a\0b|\xff"
                              "0"
                              "18446744073709551615<x:-7>"));
    hf_buf_release(&buf);
}

static void it_fills_up_to_its_maximum_and_not_past_it(void **state)
{
    struct hf_buf buf;

    (void)state;
    hf_buf_init(&buf, 10);
    assert_int_equal(hf_buf_add(&buf, "123456789", 9), 0);
    assert_int_equal(hf_buf_add(&buf, "ab", 2), HF_ELIMIT);
    assert_holds(&buf, HF_STR("123456789"));
    assert_int_equal(hf_buf_error(&buf), HF_ELIMIT);
    assert_int_equal(hf_buf_add(&buf, "0", 1), 0);
    assert_int_equal(hf_buf_add_byte(&buf, 'x'), HF_ELIMIT);
    assert_int_equal(hf_buf_addf(&buf, "%s", "y"), HF_ELIMIT);
    assert_holds(&buf, HF_STR("1234567890"));
    assert_true(buf.cap <= 10);
    hf_buf_release(&buf);
}

static void a_formatted_text_may_end_at_the_maximum(void **state)
{
    struct hf_buf buf;

    (void)state;
    hf_buf_init(&buf, 5);
    assert_int_equal(hf_buf_addf(&buf, "%d", 12345), 0);
    assert_holds(&buf, HF_STR("12345"));
    assert_int_equal(hf_buf_add_byte(&buf, '6'), HF_ELIMIT);
    hf_buf_release(&buf);
}

static void the_first_error_is_remembered_until_reset(void **state)
{
    struct hf_buf buf;

    (void)state;
    hf_buf_init(&buf, SIZE_MAX);
    assert_null(hf_buf_room(&buf, SIZE_MAX));
    assert_int_equal(hf_buf_error(&buf), HF_ENOMEM);
    buf.max = 1;
    assert_int_equal(hf_buf_add(&buf, "ab", 2), HF_ELIMIT);
    assert_int_equal(hf_buf_error(&buf), HF_ENOMEM);
    hf_buf_reset(&buf);
    assert_int_equal(hf_buf_error(&buf), 0);
    hf_buf_release(&buf);
}

static void without_memory_the_contents_stay(void **state)
{
    struct hf_buf buf;

    (void)state;
    hf_buf_init(&buf, 100000);
    out_of_memory = true;
    assert_int_equal(hf_buf_add(&buf, "x", 1), HF_ENOMEM);
    assert_null(buf.at);
    out_of_memory = false;
    assert_int_equal(hf_buf_add(&buf, "kept", 4), 0);
    out_of_memory = true;
    assert_null(hf_buf_room(&buf, 50000));
    assert_int_equal(hf_buf_addf(&buf, "%050000d", 1), HF_ENOMEM);
    out_of_memory = false;
    assert_int_equal(hf_buf_error(&buf), HF_ENOMEM);
    assert_holds(&buf, HF_STR("kept"));
    hf_buf_release(&buf);
}

static void reset_keeps_the_memory_and_release_the_maximum(void **state)
{
    struct hf_buf buf;
    const char *at;

    (void)state;
    hf_buf_init(&buf, 100);
    assert_int_equal(hf_buf_add(&buf, "abc", 3), 0);
    at = buf.at;
    hf_buf_reset(&buf);
    assert_int_equal(buf.len, 0);
    assert_int_equal(hf_buf_add(&buf, "d", 1), 0);
    assert_ptr_equal(buf.at, at);
    hf_buf_release(&buf);
    assert_null(buf.at);
    assert_int_equal(buf.max, 100);
    assert_int_equal(hf_buf_add(&buf, "e", 1), 0);
    hf_buf_release(&buf);
}

static void room_is_written_first_and_counted_after(void **state)
{
    struct hf_buf buf;
    char *at;

    (void)state;
    hf_buf_init(&buf, 300);
    assert_int_equal(hf_buf_add(&buf, "ab", 2), 0);
    at = hf_buf_room(&buf, 298);
    assert_non_null(at);
    memset(at, 'c', 298);
    assert_int_equal(buf.len, 2);
    hf_buf_grown(&buf, 3);
    assert_holds(&buf, HF_STR("abccc"));
    assert_null(hf_buf_room(&buf, 296));
    assert_int_equal(hf_buf_error(&buf), HF_ELIMIT);
    hf_buf_release(&buf);
}

static void room_for_nothing_is_no_failure(void **state)
{
    struct hf_buf buf;

    (void)state;
    hf_buf_init(&buf, 0);
    assert_non_null(hf_buf_room(&buf, 0));
    hf_buf_grown(&buf, 0);
    assert_int_equal(hf_buf_error(&buf), 0);
    hf_buf_release(&buf);
}

static void drop_takes_from_the_front(void **state)
{
    struct hf_buf buf;

    (void)state;
    hf_buf_init(&buf, 100);
    hf_buf_drop(&buf, 0);
    assert_int_equal(hf_buf_add(&buf, "abcdef", 6), 0);
    hf_buf_drop(&buf, 0);
    assert_holds(&buf, HF_STR("abcdef"));
    hf_buf_drop(&buf, 2);
    assert_holds(&buf, HF_STR("cdef"));
    hf_buf_drop(&buf, 4);
    assert_int_equal(buf.len, 0);
    hf_buf_release(&buf);
}

static void many_small_adds_grow_it_rarely(void **state)
{
    struct hf_buf buf;
    unsigned moves = 0, i;

    (void)state;
    hf_buf_init(&buf, 100000);
    for (i = 0; i < 100000; i++) {
        size_t cap = buf.cap;

        assert_int_equal(hf_buf_add_byte(&buf, (char)i), 0);
        moves += buf.cap != cap;
    }
    assert_true(moves < 15);
    assert_int_equal(buf.cap, 100000);
    for (i = 0; i < 100000; i++)
        assert_true(buf.at[i] == (char)i);
    hf_buf_release(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_one_holds_no_memory),
        cmocka_unit_test(the_zeroed_struct_can_be_released),
        cmocka_unit_test(adds_follow_each_other),
        cmocka_unit_test(it_fills_up_to_its_maximum_and_not_past_it),
        cmocka_unit_test(a_formatted_text_may_end_at_the_maximum),
        cmocka_unit_test(the_first_error_is_remembered_until_reset),
        cmocka_unit_test(without_memory_the_contents_stay),
        cmocka_unit_test(reset_keeps_the_memory_and_release_the_maximum),
        cmocka_unit_test(room_is_written_first_and_counted_after),
        cmocka_unit_test(room_for_nothing_is_no_failure),
        cmocka_unit_test(drop_takes_from_the_front),
        cmocka_unit_test(many_small_adds_grow_it_rarely),
    };

    return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}

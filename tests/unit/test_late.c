#include "base/late.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <math.h>
#include <string.h>

#define CALLS(CALL) CALL(sqrt) CALL(fabs)
static struct {
    CALLS(HF_LATE_MEMBER)
} lib;
static const struct hf_late_call calls[] = {CALLS(HF_LATE_ENTRY)};

static void calls_of_a_library_can_be_used_once_it_is_loaded(void **state)
{
    struct hf_why why = {""};

    (void)state;
    assert_int_equal(
        hf_late_load("libm.so.6", calls, HF_LATE_COUNT(calls), &why), 0);
    assert_true(lib.sqrt(9.0) == 3.0);
    assert_true(lib.fabs(-2.0) == 2.0);
    assert_string_equal(why.text, "");
}

static void a_library_that_is_not_there_is_named(void **state)
{
    struct hf_why why = {""};

    (void)state;
    assert_int_equal(hf_late_load("libholdfast-has-none.so.1", calls,
                                  HF_LATE_COUNT(calls), &why),
                     HF_ENOTFOUND);
    assert_non_null(strstr(why.text, "libholdfast-has-none.so.1"));
}

static void a_call_that_it_lacks_is_named(void **state)
{
    static void *at;
    static const struct hf_late_call lacking[] = {
        {"holdfast_has_none", &at, NULL}};
    struct hf_why why = {""};

    (void)state;
    assert_int_equal(hf_late_load("libm.so.6", lacking, 1, &why), HF_ENOTFOUND);
    assert_non_null(strstr(why.text, "libm.so.6 has no holdfast_has_none"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_of_a_library_can_be_used_once_it_is_loaded),
        cmocka_unit_test(a_library_that_is_not_there_is_named),
        cmocka_unit_test(a_call_that_it_lacks_is_named),
    };

    return cmocka_run_group_tests_name("late", tests, NULL, NULL);
}

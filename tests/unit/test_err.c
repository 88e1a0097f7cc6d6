#include "base/err.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

static void every_error_has_its_own_words(void **state)
{
    int a, b;

    (void)state;
    for (a = HF_EEXPIRED; a <= HF_OK; a++) {
        assert_string_not_equal(hf_strerror(a), "");
        assert_string_not_equal(hf_strerror(a), hf_strerror(1));
        for (b = HF_EEXPIRED; b < a; b++)
            assert_string_not_equal(hf_strerror(a), hf_strerror(b));
    }
}

static void a_number_that_is_no_error_has_words_too(void **state)
{
    (void)state;
    assert_non_null(hf_strerror(1));
    assert_non_null(hf_strerror(-1000));
}

static void explain_fills_the_text_and_returns_the_error(void **state)
{
    struct hf_why why = {""};

    (void)state;
    assert_int_equal(hf_explain(&why, HF_EIO, "%s: line %d", "a.conf", 3),
                     HF_EIO);
    assert_string_equal(why.text, "a.conf: line 3");
}

static void explain_to_nobody_is_allowed(void **state)
{
    (void)state;
    assert_int_equal(hf_explain(NULL, HF_EINVAL, "x"), HF_EINVAL);
}

static void a_long_explanation_is_cut(void **state)
{
    struct hf_why why;

    (void)state;
    (void)hf_explain(&why, HF_EINVAL, "%0600d", 1);
    assert_int_equal(strlen(why.text), sizeof(why.text) - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_error_has_its_own_words),
        cmocka_unit_test(a_number_that_is_no_error_has_words_too),
        cmocka_unit_test(explain_fills_the_text_and_returns_the_error),
        cmocka_unit_test(explain_to_nobody_is_allowed),
        cmocka_unit_test(a_long_explanation_is_cut),
    };

    return cmocka_run_group_tests_name("err", tests, NULL, NULL);
}

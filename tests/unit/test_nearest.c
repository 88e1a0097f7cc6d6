#include "base/nearest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

/* The nearest of three names to `word`; NULL for none. */
static const char *meant(const char *word)
{
    static const char *const known[] = {"hold", "max_held", "cgi_hold"};
    struct hf_nearest nearest = {.word = word};
    size_t i;

    for (i = 0; i < 3; i++)
        hf_nearest_offer(&nearest, known[i]);
    return nearest.found;
}

static void a_slip_of_the_fingers_is_understood(void **state)
{
    (void)state;
    assert_string_equal(meant("max_hold"), "max_held");  /* replaced */
    assert_string_equal(meant("max_hled"), "max_held");  /* exchanged */
    assert_string_equal(meant("maxheld"), "max_held");   /* left out */
    assert_string_equal(meant("max__held"), "max_held"); /* put in */
    assert_string_equal(meant("MAX-HELD"), "max_held");
    assert_string_equal(meant("cgihold"), "cgi_hold");
    assert_string_equal(meant("holds"), "hold");
    assert_string_equal(meant("hodl"), "hold");
}

static void what_is_far_from_everything_is_not_guessed(void **state)
{
    static const char letters[] = "aaaaaaaaaabbbbbbbbbbccccccccccdddddddddde";

    (void)state;
    assert_null(meant(""));
    assert_null(meant("x"));
    assert_null(meant("port"));
    assert_null(meant("maximum_of_held_polls"));
    assert_null(meant(letters)); /* one letter too long */
}

static void the_first_of_two_that_are_equally_near_is_taken(void **state)
{
    struct hf_nearest nearest = {.word = "b"};

    (void)state;
    hf_nearest_offer(&nearest, "a");
    hf_nearest_offer(&nearest, "c");
    assert_string_equal(nearest.found, "a");
    hf_nearest_offer(&nearest, "b");
    assert_string_equal(nearest.found, "b");
    assert_int_equal(nearest.distance, 0);
}

static void words_of_forty_letters_are_compared(void **state)
{
    char word[41], other[41];
    struct hf_nearest nearest = {.word = word};

    (void)state;
    memset(word, 'a', 40);
    memset(other, 'a', 40);
    word[40] = other[40] = '\0';
    other[0] = 'b';
    other[39] = 'b';
    hf_nearest_offer(&nearest, other);
    assert_ptr_equal(nearest.found, other);
    assert_int_equal(nearest.distance, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slip_of_the_fingers_is_understood),
        cmocka_unit_test(what_is_far_from_everything_is_not_guessed),
        cmocka_unit_test(the_first_of_two_that_are_equally_near_is_taken),
        cmocka_unit_test(words_of_forty_letters_are_compared),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "channel/cursor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/err.h"

static void a_cursor_is_epoch_and_id(void **state)
{
    static const struct {
        struct hf_cursor cursor;
        const char *text;
    } rows[] = {
        {{0, 0}, "j:AAAAAAAAAAA.0"},
        {{1, 42}, "j:AAAAAAAAAAE.42"},
        {{0x0123456789abcdefu, 7}, "j:ASNFZ4mrze8.7"},
        {{0xfbffbfffffffffffu, 10}, "j:-_-_______8.10"},
        {{UINT64_MAX, INT64_MAX}, "j:__________8.9223372036854775807"},
        {{UINT64_MAX, UINT64_MAX}, "j:__________8.18446744073709551615"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[HF_CURSOR_MAX];
        struct hf_cursor again;
        size_t len = hf_cursor_format(rows[i].cursor, text);

        assert_int_equal(len, strlen(rows[i].text));
        assert_memory_equal(text, rows[i].text, len);
        assert_int_equal(hf_cursor_parse(hf_str(text, len), &again), 0);
        assert_true(again.epoch == rows[i].cursor.epoch);
        assert_true(again.id == rows[i].cursor.id);
    }
}

static void only_what_format_writes_is_a_cursor(void **state)
{
    static const struct hf_str rows[] = {
        HF_STR_INIT(""),
        HF_STR_INIT("j"),
        HF_STR_INIT("j:"),
        HF_STR_INIT("42"),
        HF_STR_INIT("j:42"),
        HF_STR_INIT("J:AAAAAAAAAAA.0"),
        HF_STR_INIT("AAAAAAAAAAA.0"),
        HF_STR_INIT("j:AAAAAAAAAAA"),
        HF_STR_INIT("j:AAAAAAAAAAA."),
        HF_STR_INIT("j:AAAAAAAAAAA:0"),
        HF_STR_INIT("j:AAAAAAAAAAA00"),
        HF_STR_INIT("j:AAAAAAAAAAA.00"),
        HF_STR_INIT("j:AAAAAAAAAAA.01"),
        HF_STR_INIT("j:AAAAAAAAAAA.+1"),
        HF_STR_INIT("j:AAAAAAAAAAA.-1"),
        HF_STR_INIT("j:AAAAAAAAAAA.1 "),
        HF_STR_INIT(" j:AAAAAAAAAAA.1"),
        HF_STR_INIT("j:AAAAAAAAAAA.1\0"),
        HF_STR_INIT("j:AAAAAAAAAAA.1.1"),
        HF_STR_INIT("j:AAAAAAAAAAA.0x1"),
        HF_STR_INIT("j:AAAAAAAAAAA.18446744073709551616"),
        HF_STR_INIT("j:AAAAAAAAAAA.99999999999999999999"),
        HF_STR_INIT("j:AAAAAAAAAAA.100000000000000000000000000000"),
        HF_STR_INIT("j:AAAAAAAAAA.0"),   /* ten characters */
        HF_STR_INIT("j:AAAAAAAAAAAA.0"), /* twelve */
        HF_STR_INIT("j:AAAAAAAAAAA=.0"), /* padded */
        HF_STR_INIT("j:AAAAAAAAAA=.0"),  /* eleven with padding */
        HF_STR_INIT("j:AAAAAAAAAAB.0"),  /* spare bits that count for nothing */
        HF_STR_INIT("j:+/+///////8.10"), /* the other alphabet */
        HF_STR_INIT("j:AAAAA AAAAA.0"),
        HF_STR_INIT("j:AAAAA\nAAAAA.0"),
        HF_STR_INIT("j:\xc3\xa4"
                    "AAAAAAAAA.0"),
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct hf_cursor out = {5, 6};

        assert_int_equal(hf_cursor_parse(rows[i], &out), HF_EMALFORMED);
        assert_true(out.epoch == 5 && out.id == 6); /* left alone */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cursor_is_epoch_and_id),
        cmocka_unit_test(only_what_format_writes_is_a_cursor),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

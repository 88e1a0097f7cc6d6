#include "base/utf8.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

struct sample {
    const char *what;
    struct hf_str text;
};

static const struct sample good[] = {
    {"nothing", HF_STR_INIT("")},
    {"ASCII", HF_STR_INIT("hello")},
    {"NUL", HF_STR_INIT("a\0b")},
    {"U+007F", HF_STR_INIT("\x7f")},
    {"U+0080, first of two bytes", HF_STR_INIT("\xc2\x80")},
    {"U+07FF, last of two bytes", HF_STR_INIT("\xdf\xbf")},
    {"U+0800, first of three", HF_STR_INIT("\xe0\xa0\x80")},
    {"U+D7FF, before the surrogates", HF_STR_INIT("\xed\x9f\xbf")},
    {"U+E000, after the surrogates", HF_STR_INIT("\xee\x80\x80")},
    {"U+FEFF, the byte order mark", HF_STR_INIT("\xef\xbb\xbf")},
    {"U+FFFF, last of three", HF_STR_INIT("\xef\xbf\xbf")},
    {"U+10000, first of four", HF_STR_INIT("\xf0\x90\x80\x80")},
    {"U+10FFFF, the last one", HF_STR_INIT("\xf4\x8f\xbf\xbf")},
    {"after eight ASCII bytes", HF_STR_INIT("12345678\xc3\xa4")},
    {"across a word", HF_STR_INIT("1234567\xc3\xa4 and on it goes")},
};

static const struct sample bad[] = {
    {"a continuation alone", HF_STR_INIT("\x80")},
    {"the last continuation", HF_STR_INIT("\xbf")},
    {"a lead before ASCII", HF_STR_INIT("\xc2x")},
    {"C0, overlong", HF_STR_INIT("\xc0\x80")},
    {"C1, overlong", HF_STR_INIT("\xc1\xbf")},
    {"E0 80, overlong", HF_STR_INIT("\xe0\x80\x80")},
    {"E0 9F, overlong", HF_STR_INIT("\xe0\x9f\xbf")},
    {"F0 80, overlong", HF_STR_INIT("\xf0\x80\x80\x80")},
    {"F0 8F, overlong", HF_STR_INIT("\xf0\x8f\xbf\xbf")},
    {"U+D800", HF_STR_INIT("\xed\xa0\x80")},
    {"U+DFFF", HF_STR_INIT("\xed\xbf\xbf")},
    {"U+110000", HF_STR_INIT("\xf4\x90\x80\x80")},
    {"F5", HF_STR_INIT("\xf5\x80\x80\x80")},
    {"FE", HF_STR_INIT("\xfe")},
    {"FF", HF_STR_INIT("\xff")},
    {"third byte is a lead", HF_STR_INIT("\xe2\x82\xc2")},
    {"fourth byte is ASCII", HF_STR_INIT("\xf0\x9f\x98x")},
    {"after eight ASCII bytes", HF_STR_INIT("12345678\xff")},
    {"eighth of eight", HF_STR_INIT("1234567\xff")},
};

/* Incomplete: may go on, but may not end. */
static const struct sample open_ended[] = {
    {"one of two", HF_STR_INIT("\xc3")},
    {"one of three", HF_STR_INIT("\xe2")},
    {"two of three", HF_STR_INIT("\xe2\x82")},
    {"one of four", HF_STR_INIT("\xf0")},
    {"two of four", HF_STR_INIT("\xf0\x9f")},
    {"three of four", HF_STR_INIT("abc\xf0\x9f\x98")},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool feed_bytes(struct hf_utf8 *utf8, struct hf_str text)
{
    size_t i;

    for (i = 0; i < text.len; i++) {
        if (!hf_utf8_feed(utf8, hf_str(text.at + i, 1)))
            return false;
    }
    return true;
}

static void valid_text_is_valid_whole_and_byte_by_byte(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(good); i++) {
        struct hf_utf8 utf8 = {0};

        if (!hf_utf8_valid(good[i].text) || !feed_bytes(&utf8, good[i].text) ||
            !hf_utf8_done(&utf8))
            fail_msg("refused: %s", good[i].what);
    }
}

static void invalid_text_is_invalid_whole_and_byte_by_byte(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(bad); i++) {
        struct hf_utf8 utf8 = {0};

        if (hf_utf8_valid(bad[i].text) || feed_bytes(&utf8, bad[i].text))
            fail_msg("accepted: %s", bad[i].what);
    }
}

static void a_text_that_stops_inside_a_character_is_not_done(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(open_ended); i++) {
        struct hf_utf8 utf8 = {0};

        if (hf_utf8_valid(open_ended[i].text) ||
            !hf_utf8_feed(&utf8, open_ended[i].text) || hf_utf8_done(&utf8))
            fail_msg("wrong: %s", open_ended[i].what);
    }
}

static void it_fails_at_the_first_byte_that_cannot_be(void **state)
{
    struct hf_utf8 utf8 = {0};

    (void)state;
    assert_true(hf_utf8_feed(&utf8, HF_STR("\xed")));
    assert_false(hf_utf8_feed(&utf8, HF_STR("\xa0"))); /* a surrogate */
}

static void every_code_point_is_judged_rightly(void **state)
{
    uint32_t point;

    (void)state;
    for (point = 0x800; point < 0x200000; point++) {
        bool wide = point >= 0x10000;
        char text[4] = {(char)(wide ? 0xf0 | point >> 18 : 0xe0 | point >> 12),
                        (char)(0x80 | (point >> (wide ? 12 : 6) & 0x3f)),
                        (char)(0x80 | (point >> (wide ? 6 : 0) & 0x3f)),
                        (char)(0x80 | (point & 0x3f))};
        bool right = point <= 0x10ffff && (point < 0xd800 || point > 0xdfff);

        if (hf_utf8_valid(hf_str(text, wide ? 4 : 3)) != right)
            fail_msg("U+%04X", point);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(valid_text_is_valid_whole_and_byte_by_byte),
        cmocka_unit_test(invalid_text_is_invalid_whole_and_byte_by_byte),
        cmocka_unit_test(a_text_that_stops_inside_a_character_is_not_done),
        cmocka_unit_test(it_fails_at_the_first_byte_that_cannot_be),
        cmocka_unit_test(every_code_point_is_judged_rightly),
    };

    return cmocka_run_group_tests_name("utf8", tests, NULL, NULL);
}
